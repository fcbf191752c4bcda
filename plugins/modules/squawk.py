#!/usr/bin/python
"""Let squawk look at schema patches (R8, R17)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: squawk
short_description: Have squawk look for locks that schema patches would hold for long
description:
  - Runs the linter C(squawk) on the texts of patches, in a temporary directory that is removed.
  - What squawk finds is evidence for a person and never a failure. If squawk is missing, crashes or takes too long, the
    evidence says so. The answer comes from its report, never from its exit code.
options:
  patches:
    description: Texts of the patches by file name. They are linted as parts of one transaction.
    type: dict
    required: true
  left_out:
    description: Names of patches whose texts were too large to be brought here. The evidence names them.
    type: list
    elements: str
    default: []
  pg_version:
    description: Version of production's PostgreSQL, such as C(15.4). Without one, squawk assumes a recent one.
    type: str
    default: ""
  executable:
    description: The program. A bare name is looked for beside this Python first, then in PATH.
    type: str
    default: squawk
  seconds:
    description: How long squawk may take.
    type: int
    default: 60
extends_documentation_fragment: downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Look for locks
  downtime.runbook.squawk:
    patches: {patch-2208-57-0.sql: "CREATE INDEX bug__owner__idx ON Bug (owner);"}
    pg_version: "15"
  delegate_to: localhost
"""

RETURN = r"""
evidence:
  description: What squawk found or why it gave no answer, each a line for a person.
  type: list
  elements: str
  returned: success
  sample: ["squawk: 1 remark (patch-2208-57-0.sql:12: index without CONCURRENTLY)"]
looked:
  description: Whether squawk gave an answer.
  type: bool
  returned: success
remarks:
  description: Its remarks about locks and transactions, each C({patch, line, rule, words}).
  type: list
  elements: dict
  returned: success
  sample:
    - {patch: patch-2208-57-0.sql, line: 12, rule: require-concurrent-index-creation, words: index without CONCURRENTLY}
others:
  description: How many of its findings are about other things, such as style. They are not returned.
  type: int
  returned: success
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema import hazards
from ..module_utils.rollout_core.schema.patches import PatchName


class Silent(Exception):  # noqa: N818  it carries an answer
    """An error: squawk gave no answer; the text says why."""


def program(executable: str) -> str:
    """Return the program to run; for a bare name, the one beside this Python, as in a virtual environment."""
    if os.sep in executable:
        return str(Path(executable).expanduser().absolute())
    beside = Path(sys.executable).with_name(executable)
    return str(beside) if beside.exists() else executable


def report(patches: Mapping[str, str], pg_version: str, executable: str, seconds: float) -> Any:
    """Return squawk's report on the texts by name. Raises Silent."""
    with tempfile.TemporaryDirectory(prefix="squawk-") as name:
        for patch, text in patches.items():
            (Path(name) / patch).write_text(text, encoding="utf-8")
        config = Path(name) / "squawk.toml"  # an empty one: otherwise it looks for one in every directory above
        config.touch()
        argv = [program(executable), "--config", str(config), "--reporter", "json", "--assume-in-transaction"]
        argv += ["--pg-version", pg_version] if pg_version else []
        try:
            done = subprocess.run(
                [*argv, *sorted(patches)],
                cwd=name,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except OSError as error:
            raise Silent(f"{executable} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise Silent(f"no answer after {seconds} s") from error
    if done.returncode not in (0, 1):  # 1: it has found something
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise Silent(f"exited {done.returncode}: {said[0][:200]}")
    try:
        return json.loads(done.stdout.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise Silent(f"its report cannot be read: {error}") from error


def look(patches: Mapping[str, str], pg_version: str, executable: str, seconds: float) -> dict[str, Any]:
    """Return the module's answer on these texts by name."""
    if not patches:
        return {"evidence": [], "looked": False, "remarks": [], "others": 0}
    try:
        found = hazards.read(report(patches, pg_version, executable, seconds), list(patches))
    except (Silent, ValueError) as error:
        told = f"squawk has not looked at the patches: {error}"
        return {"evidence": [told], "looked": False, "remarks": [], "others": 0}
    return {"evidence": [found.line()], "looked": True, "remarks": found.as_dicts(), "others": found.others}


def main() -> None:
    """Read the arguments, look, and answer."""
    module = AnsibleModule(
        argument_spec={
            "patches": {"type": "dict", "required": True},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "pg_version": {"type": "str", "default": ""},
            "executable": {"type": "str", "default": "squawk"},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        patches = {str(PatchName.parse(name)): str(text) for name, text in given["patches"].items()}
    except ValueError as error:
        module.fail_json(msg=f"E-bad-argument  patches: {error}.")
    tempfile.tempdir = module.tmpdir
    found = look(patches, given["pg_version"], given["executable"], given["seconds"])
    if given["left_out"]:
        names = ", ".join(given["left_out"])
        found["evidence"].append(f"squawk has not looked at {names}: too large to be brought here")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
