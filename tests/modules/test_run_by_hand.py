"""The mark of what is played by hand: the same in every play of one run, and another in the next (R19)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rollout import ROOT

PLAYBOOK = """
- &play
  name: "NOTE: the mark"
  hosts: all
  gather_facts: false
  environment: {ROLLOUT_RUN: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
  tasks:
    - name: Note the mark of what is started, and what a role would call the run
      vars: {run: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
      ansible.builtin.shell: echo "$ROLLOUT_RUN|{{ run }}" >> {{ notes }}
- *play
"""


def marks(directory: Path, *more: str) -> set[str]:
    """Play it by hand, on three hosts at once; return the marks that were there."""
    notes = directory / f"notes-{len(list(directory.iterdir()))}"
    (directory / "playbook.yml").write_text(PLAYBOOK)
    said = ["-e", f"notes={notes}", "-e", '{"rollout": {"id": "2026-12"}}', *more]
    hosts = ["-i", "a,b,c,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), *hosts, *said, str(directory / "playbook.yml")]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_REMOTE_TMP": str(directory / "tmp"),
    }
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = notes.read_text().splitlines()
    assert len(lines) == 6
    assert all(mark == run for mark, run in (line.split("|") for line in lines)), lines
    return {line.split("|")[0] for line in lines}


def test_a_mark_is_one_run(tmp_path: Path) -> None:
    (first,), (second,) = marks(tmp_path), marks(tmp_path)
    assert first != second
    for mark in (first, second):
        assert mark.startswith("by hand ")
        assert mark.endswith(" 2026-12")
    assert marks(tmp_path, "-e", "rollout_run=2026-12/0007-outage-1") == {"2026-12/0007-outage-1"}
