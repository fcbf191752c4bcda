"""Runs one playbook through ansible-runner; tells what it reported, and what failed."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ansible_runner

from rollout import ROOT

LOOK_SECONDS = 0.2  # between two looks at a playbook at work
POLL_SECONDS = 0.2  # how often ansible-runner looks at its child; its own default of 5 s delays every end (measured)

TEMPORARY = ROOT / "var" / "tmp"  # what is killed leaves its temporary files behind: not outside of the checkout

SAYS = ("msg", "module_stderr", "stderr")  # where a failed task's reason stands

CONTROL_MARK = "ROLLOUT_CONTROL"  # in the environment of every process of a run on this machine


@dataclass(frozen=True)
class Failure:
    """A task that failed on one host. `result` is the module's own; `unreachable`: ssh did not reach the host."""

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


@dataclass(frozen=True)
class Playbook:
    """What to run: the project's `playbooks/NAME.yml` on an inventory, with a plan and more as extra vars.

    `artifacts` is a directory of this run alone: ansible-runner keeps its events there, and every process of the run on
    this machine carries its path in the environment (CONTROL_MARK). `limit` is a pattern of hosts. `aloof`: over
    connections of its own, given up early, because those of another run may hang.
    """

    name: str
    inventory: Path
    plan_file: Path
    extra_vars: Mapping[str, Any]
    artifacts: Path
    project: Path = ROOT
    limit: str | None = None
    check: bool = False
    aloof: bool = False

    def arguments(self) -> str:
        """More of ansible-playbook's command line."""
        return shlex.join(["--extra-vars", f"@{self.plan_file}", *(["--check", "--diff"] if self.check else [])])

    def environment(self) -> dict[str, str]:
        """What ansible-playbook gets besides the environment of this process."""
        common = {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner switches it off unless it is told
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            CONTROL_MARK: str(self.artifacts),
            "TMPDIR": str(TEMPORARY),
        }
        aloof = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none", "ANSIBLE_TIMEOUT": "3"}
        return {**common, **(aloof if self.aloof else {})}


@dataclass(frozen=True)
class Listener:
    """Callbacks of a run: one for each task as a host begins it, one for each `progress` that a module reports."""

    task: Callable[[str, str], None] = lambda _task, _host: None
    progress: Callable[[Mapping[str, Any]], None] = lambda _progress: None


def run_playbook(
    playbook: Playbook, listener: Listener | None = None, cancelled: Callable[[], bool] = lambda: False
) -> PlaybookRun:
    """Run it and wait for it. It is not ended by signals to this process: terminals are only views.

    Once `cancelled` says so, ansible-runner kills ansible-playbook; the workers, which have sessions of their own,
    outlive that.
    """
    run = PlaybookRun(output=playbook.artifacts / "stdout")
    playbook.artifacts.parent.mkdir(exist_ok=True)
    TEMPORARY.mkdir(parents=True, exist_ok=True)

    def hear(event: dict[str, Any]) -> bool:
        _hear(event, run, listener or Listener())
        return True

    runner = ansible_runner.run(
        private_data_dir=str(playbook.artifacts.parent),
        artifact_dir=str(playbook.artifacts.parent),
        ident=playbook.artifacts.name,
        project_dir=str(playbook.project),
        playbook=f"playbooks/{playbook.name}.yml",
        inventory=str(playbook.inventory),
        limit=playbook.limit,
        extravars=dict(playbook.extra_vars),
        cmdline=playbook.arguments(),
        envvars=playbook.environment(),
        settings={"pexpect_timeout": POLL_SECONDS, "suppress_ansible_output": True},
        suppress_env_files=True,
        event_handler=hear,
        cancel_callback=cancelled,
        quiet=True,
    )
    (playbook.artifacts / "command").unlink(missing_ok=True)  # it holds the whole environment
    run.ok = runner.rc == 0
    return run


class PlaybookAtWork(threading.Thread):
    """A playbook at work, while this process judges. `progress` is what its modules have answered and nobody took."""

    def __init__(self, playbook: Playbook, on_task: Callable[[str, str], None] = lambda _task, _host: None) -> None:
        """Start the playbook."""
        super().__init__(name=playbook.name, daemon=True)
        self.playbook = playbook
        self.progress: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self._listener = Listener(on_task, self.progress.put)
        self._cancelled = threading.Event()
        self._outcome: PlaybookRun | Exception = PlaybookRun(output=playbook.artifacts / "stdout")
        self.start()

    def run(self) -> None:
        """Run the playbook; called by the thread."""
        try:
            self._outcome = run_playbook(self.playbook, self._listener, self._cancelled.is_set)
        except Exception as error:
            self._outcome = error

    def ended(self, seconds: float = 0.0) -> bool:
        """Return True if the playbook has ended, or ends within `seconds`."""
        self.join(seconds)
        return not self.is_alive()

    def wait(self, meanwhile: Callable[[], object] = lambda: None) -> PlaybookRun:
        """Wait for the end, calling `meanwhile` several times a second; return the result."""
        while not self.ended(LOOK_SECONDS):
            meanwhile()
        return self.outcome()

    def cancel(self) -> None:
        """Have ansible-playbook killed."""
        self._cancelled.set()

    def outcome(self) -> PlaybookRun:
        """Wait for the end; return the result."""
        self.join()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def _hear(event: dict[str, Any], run: PlaybookRun, listener: Listener) -> None:
    kind, data = event["event"], event.get("event_data", {})
    if progress := (data.get("res") or {}).get("progress"):
        listener.progress(progress)
    if kind == "runner_on_start":
        listener.task(data.get("task", ""), data.get("host", ""))
    elif kind in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
        unreachable = kind == "runner_on_unreachable"
        run.failures.append(Failure(data.get("host", ""), data.get("task", ""), data.get("res", {}), unreachable))
    elif kind == "playbook_on_stats":
        run.stats.update(data.get("artifact_data", {}))
