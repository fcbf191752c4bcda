"""One playbook through ansible-runner: what it reported, and what failed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from rollout import ROOT

POLL_SECONDS = 0.2  # how often ansible-runner looks at its child; its own default of 5 s delays every end (measured)

SAYS = ("msg", "module_stderr", "stderr")  # where a failed task's reason stands

OnTask = Callable[[str, str], None]


@dataclass(frozen=True)
class Failure:
    """One host's failed task. `result` is the module's own, `unreachable` that ssh did not get there."""

    host: str
    task: str
    result: Mapping[str, Any]
    unreachable: bool = False

    @property
    def message(self) -> str:
        """What to show: the module's message, or where to look when it has none."""
        said = "\n  ".join(str(self.result[key]).strip() for key in SAYS if self.result.get(key)) or "no message"
        if self.unreachable:
            return f"E-unreachable  {self.host} does not answer: {said}\n  Look at:  ansible {self.host} -m ping"
        return said if said.startswith("E-") else f"E-task-failed  {self.host}: {self.task}\n  {said}"


@dataclass
class PlaybookRun:
    """What one run of a playbook came to. `stats` is what it handed over with set_stats; `output` is Ansible's own."""

    output: Path
    ok: bool = False
    stats: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def failed_with(self, key: str) -> Any:
        """The first value a failed module returned under `key`, or None."""
        return next((f.result[key] for f in self.failures if f.result.get(key)), None)

    @property
    def message(self) -> str:
        """Every different failure once, and where Ansible's own output is."""
        seen = list(dict.fromkeys(failure.message for failure in self.failures))
        if not seen:
            seen = ["E-playbook-failed  ansible-playbook ended without saying what failed."]
        return "\n".join([*seen, f"  Ansible's output:  {self.output}"])


def run_playbook(
    playbook: str,
    *,
    inventory: Path,
    plan_file: Path,
    extra_vars: Mapping[str, Any],
    artifacts: Path,
    project: Path = ROOT,
    check: bool = False,
    on_task: OnTask = lambda _task, _host: None,
) -> PlaybookRun:
    """Run the project's `playbooks/PLAYBOOK.yml` with the plan as extra vars, and wait for it.

    `on_task` hears of each task as a host begins it. `artifacts` is a directory of this run alone: ansible-runner keeps
    its events there. The playbook's process is not killed by signals to this one: terminals are only views.
    """
    run = PlaybookRun(output=artifacts / "stdout")
    arguments = ["--extra-vars", f"@{plan_file}", *(["--check", "--diff"] if check else [])]

    artifacts.parent.mkdir(exist_ok=True)

    def hear(event: dict[str, Any]) -> bool:
        _hear(event, run, on_task)
        return True

    runner = ansible_runner.run(
        private_data_dir=str(artifacts.parent),
        artifact_dir=str(artifacts.parent),
        ident=artifacts.name,
        project_dir=str(project),
        playbook=f"playbooks/{playbook}.yml",
        inventory=str(inventory),
        extravars=dict(extra_vars),
        cmdline=shlex.join(arguments),
        envvars={
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner switches it off unless it is told
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        settings={"pexpect_timeout": POLL_SECONDS, "suppress_ansible_output": True},
        suppress_env_files=True,
        event_handler=hear,
        cancel_callback=lambda: False,
        quiet=True,
    )
    (artifacts / "command").unlink(missing_ok=True)  # it holds the whole environment
    run.ok = runner.rc == 0
    return run


def _hear(event: dict[str, Any], run: PlaybookRun, on_task: OnTask) -> None:
    kind, data = event["event"], event.get("event_data", {})
    if kind == "runner_on_start":
        on_task(data.get("task", ""), data.get("host", ""))
    elif kind in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
        unreachable = kind == "runner_on_unreachable"
        run.failures.append(Failure(data.get("host", ""), data.get("task", ""), data.get("res", {}), unreachable))
    elif kind == "playbook_on_stats":
        run.stats.update(data.get("artifact_data", {}))
