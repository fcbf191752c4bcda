"""Runs one playbook through ansible-runner; tells what it reported, and what failed."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ansible_runner

from plugins.module_utils.rollout_core import plain_text
from plugins.module_utils.rollout_core.playbook import work
from rollout import ROOT, documents, inventory, private, site
from rollout.engine import reasons, ssh
from rollout.engine.silence import Silence
from rollout.outcomes import BadInputError

LOOK_SECONDS = 0.2  # between two looks at a playbook at work
POLL_SECONDS = 0.2  # how often ansible-runner looks at its child; its own default of 5 s delays every end (measured)

OURS = Path(__file__).parent / "bin"  # its ansible-playbook is the one that ansible-runner finds

CONTROL_MARK = "ROLLOUT_CONTROL"  # in the environment of every process of a run on this machine


@dataclass(frozen=True)
class Failure:
    """A task that failed on one host. `result` is the module's own; `unreachable`: ssh did not reach the host."""

    host: str
    task: str
    result: Mapping[str, Any]
    inventory: Path
    unreachable: bool = False

    @property
    def message(self) -> str:
        """Return what to show: the module's message, or where to look if it has none."""
        return reasons.message(self.host, self.task, self.result, self.inventory, unreachable=self.unreachable)


@dataclass
class PlaybookRun:
    """The result of one run of a playbook. `stats` was handed over with set_stats; `output` is Ansible's own.

    `nothing_ran` is why a run that Ansible calls a success is none: it did not do its work, or did not report it.
    """

    output: Path
    ok: bool = False
    stats: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    plays: list[work.PlayWork] = field(default_factory=list)
    nothing_ran: str = ""

    def failed_with(self, key: str) -> Any:
        """Return the first value that a failed module returned under `key`, or None."""
        return next((f.result[key] for f in self.failures if f.result.get(key)), None)

    @property
    def message(self) -> str:
        """Return each different failure once, and where Ansible's own output is."""
        seen = list(dict.fromkeys(failure.message for failure in self.failures))
        if self.nothing_ran:
            seen = [self.nothing_ran]
        if not seen:
            seen = [_refused(self.output) or "E-playbook-failed  ansible-playbook ended without saying what failed."]
        return "\n".join([*seen, f"  Ansible's output:  {self.output}"])


def _refused(output: Path) -> str:
    """Return the message with which the callback beside the playbooks ended ansible-playbook; empty if it did not."""
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines() if output.exists() else []
    said = list(dropwhile(lambda line: not line.startswith("E-not-whole"), lines))
    return "\n".join([*said[:1], *takewhile(lambda line: line.startswith("  "), said[1:])])


@dataclass(frozen=True)
class Playbook:
    """A playbook to run: the project's `playbooks/NAME.yml` on an inventory, with a plan and more as extra vars.

    `artifacts` is a directory of this run alone: ansible-runner keeps its events there, and every process of the run on
    this machine carries its path in the environment (CONTROL_MARK). `limit` is a pattern of hosts. `aloof`: over
    connections of its own, given up early, because those of another run may hang. `reports` are the facts without which
    it has not done its work.
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
    reports: tuple[str, ...] = ("evidence",)

    @property
    def path(self) -> Path:
        """Return where the playbook is: in the site, or in the project."""
        return site.playbook(self.name, self.inventory, self.project)

    def arguments(self) -> str:
        """Return further words of ansible-playbook's command line."""
        return shlex.join(["--extra-vars", f"@{self.plan_file}", *(["--check", "--diff"] if self.check else [])])

    def environment(self) -> dict[str, str]:
        """Return the variables that ansible-playbook gets besides this process's environment."""
        common = {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner switches it off unless it is told
            "PATH": f"{OURS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ROLLOUT_ANSIBLE": str(Path(sys.executable).parent),
            CONTROL_MARK: str(self.artifacts),
            "TMPDIR": str(temporary()),
            "ANSIBLE_HOME": str(site.var() / "ansible"),
            "ANSIBLE_ROLES_PATH": str(self.inventory / "roles"),
            "ANSIBLE_CALLBACK_PLUGINS": str(self.project / "playbooks" / "callback_plugins"),  # for the site's, too
            **ssh.environment(),
            private.USERS_UMASK: os.environ.get(private.USERS_UMASK, ""),
            **inventory.vaults(),
        }
        return {**common, **(ssh.ALOOF if self.aloof else {})}


@dataclass(frozen=True)
class Listener:
    """Callbacks of a run: for each event, for each task as a host begins it, and for each `progress` of a module."""

    task: Callable[[str, str], None] = lambda _task, _host: None
    progress: Callable[[Mapping[str, Any]], None] = lambda _progress: None
    event: Callable[[str, str, str], None] = lambda _kind, _host, _task: None


def temporary() -> Path:
    """Return the directory for temporary files: what is killed leaves them behind, and they lie with what is ours."""
    return site.var() / "tmp"


def run_playbook(
    playbook: Playbook, listener: Listener | None = None, cancelled: Callable[[], bool] = lambda: False
) -> PlaybookRun:
    """Run a playbook and wait for it; return the result. Signals to this process do not end it.

    Once `cancelled` says so, ansible-runner kills ansible-playbook; its workers, which have sessions of their own,
    outlive that.
    """
    run = PlaybookRun(output=playbook.artifacts / "stdout")
    refuse_templates({**playbook.extra_vars, str(playbook.plan_file): documents.checked(playbook.plan_file, _as_it_is)})
    playbook.artifacts.parent.mkdir(exist_ok=True)
    _forget_environments(playbook.artifacts.parent)  # of runs that were killed
    temporary().mkdir(parents=True, exist_ok=True)

    def hear(event: dict[str, Any]) -> bool:
        (playbook.artifacts / "command").unlink(missing_ok=True)  # it is of no more use
        _hear(event, run, playbook.inventory, listener or Listener())
        return True

    runner = ansible_runner.run(
        private_data_dir=str(playbook.artifacts.parent),
        artifact_dir=str(playbook.artifacts.parent),
        ident=playbook.artifacts.name,
        project_dir=str(playbook.project),
        playbook=str(playbook.path),
        inventory=str(playbook.inventory),
        limit=playbook.limit,
        extravars=dict(playbook.extra_vars),
        cmdline=playbook.arguments(),
        envvars=playbook.environment(),
        settings={"pexpect_timeout": POLL_SECONDS, "suppress_ansible_output": True},
        suppress_env_files=True,
        fact_cache_type="memory",  # else it is a directory that is as open as the playbook's umask
        event_handler=hear,
        cancel_callback=cancelled,
        quiet=True,
    )
    _forget_environments(playbook.artifacts.parent)
    if runner.rc == 0:
        run.nothing_ran = _nothing_ran(playbook, run)
    run.ok = runner.rc == 0 and not run.nothing_ran
    return run


def _nothing_ran(playbook: Playbook, run: PlaybookRun) -> str:
    """Return the message about a success without work; empty if the playbook did its work on every host (R18)."""
    found = [each.said for each in work.idle(run.plays)]
    found += [f"`{fact}` was not reported" for fact in work.unreported(run.stats, playbook.reports)]
    if not found:
        return ""
    argv = ["-i", str(playbook.inventory), os.path.relpath(playbook.path, ROOT), "-e", f"@{playbook.plan_file}"]
    lines = [
        f"E-nothing-ran  playbooks/{playbook.name}.yml ended without an error, but its work was not done.",
        *dict.fromkeys(found),
        "Tags, a `when` or a loop over nothing may leave tasks out.",
        f"See which there are:  {shlex.join(['ansible-playbook', *argv, '--list-tasks'])}",
    ]
    return "\n  ".join(lines)


def _as_it_is(document: Any) -> Any:
    return document


def refuse_templates(extra_vars: Mapping[str, Any]) -> None:
    """Raise BadInputError for a text that Ansible would take for a template: it runs what that says, here."""
    for name, value in extra_vars.items():
        if mark := next((mark for text in plain_text.texts_in(value) if (mark := plain_text.template(text))), None):
            raise BadInputError(f"E-template  {name}: expected text without {mark}; nothing was touched.")


def _forget_environments(directory: Path) -> None:
    """Delete what ansible-runner writes of each run before it begins: the whole environment, secrets and all."""
    for file in directory.glob("*/command"):
        file.unlink(missing_ok=True)


class PlaybookAtWork(threading.Thread):
    """A playbook at work, while lateness is judged. `progress` is what its modules have reported and nobody took."""

    def __init__(
        self,
        playbook: Playbook,
        on_task: Callable[[str, str], None] = lambda _task, _host: None,
        on_silence: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Start the playbook. After a long silence, `on_silence` gets a line that says what it waits for."""
        super().__init__(name=playbook.name, daemon=True)
        self.playbook = playbook
        self.progress: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self._silence, self._on_silence = Silence(time.monotonic()), on_silence
        self._listener = Listener(on_task, self.progress.put, self._heard)
        self._cancelled = threading.Event()
        self._outcome: PlaybookRun | Exception = PlaybookRun(output=playbook.artifacts / "stdout")
        self.start()

    def _heard(self, kind: str, host: str, task: str) -> None:
        self._silence.hear(time.monotonic(), kind, host, task)

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
            if line := self._silence.line(time.monotonic()):
                self._on_silence(line)
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


def _hear(event: dict[str, Any], run: PlaybookRun, inventory: Path, listener: Listener) -> None:
    kind, data = event["event"], plain_text.cleaned(event.get("event_data", {}))  # hosts say what they like
    listener.event(kind, data.get("host", ""), data.get("task", ""))
    work.hear(run.plays, kind, data)
    if progress := (data.get("res") or {}).get("progress"):
        listener.progress(progress)
    if kind == "runner_on_start":
        listener.task(data.get("task", ""), data.get("host", ""))
    elif kind in {"runner_on_failed", "runner_on_unreachable"} and not data.get("ignore_errors"):
        unreachable = kind == "runner_on_unreachable"
        failed = Failure(data.get("host", ""), data.get("task", ""), data.get("res") or {}, inventory, unreachable)
        run.failures.append(failed)
    elif kind == "playbook_on_stats":
        run.stats.update(data.get("artifact_data", {}))
