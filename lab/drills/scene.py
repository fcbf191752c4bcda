"""One drill under way: the rollout at its window, the runbook at its terminal, a user who tries to connect."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from lab.drills import faults, timing
from lab.drills.judge import Found, Schema
from lab.drills.probe import Probe
from lab.drills.rollout import Rollout
from lab.layout import APP_HOSTS
from lab.waiting import eventually
from rollout.engine import processes

T = TypeVar("T")
PATIENCE = 180.0  # seconds of waiting, after which the drill has failed
ROWS = "SELECT format('patch-%s-%s-%s.sql', major, lpad(minor::text, 2, '0'), patch) FROM LaunchpadDatabaseRevision"
SESSIONS = "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE 'rollout %'"
SERVICES, BANNER = "cron.ini", "srv/launchpad/+maintenancetime.txt"
# What the answers file says besides the gates' answers: go on after a crash; and after an abort what it was (R20).
ANSWERS = {"resume": True}
TEXTS = {"source": "a drill", "mended_at": "now", "new_pin": "no"}


class Scene:
    """What a drill's script works with. When its block ends, faults are mended, and what still runs is ended.

    `also` is what only this drill looks at.
    """

    def __init__(self, rollout: Rollout) -> None:
        """Set the scene; `rollout` is at its window."""
        self.rollout = rollout
        self.exit_code: int | None = None
        self.also: dict[str, str] = {}
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.probe = Probe(rollout.users_dsn)
        self._left = ExitStack()
        self._before = ""  # the schema
        homes = [rollout.lab.home(host) for host in APP_HOSTS]
        files = [home / name for home in homes for name in (SERVICES, BANNER)]
        self._services_before = {path: _content(path) for path in files}

    def __enter__(self) -> Scene:
        """Begin, with a user who tries to connect."""
        self._left.enter_context(self.probe)
        return self

    def __exit__(self, *_: object) -> None:
        """Mend the faults, and end what still runs of the rollout."""
        self._left.close()

    def fault(self, fault: AbstractContextManager[T]) -> T:
        """Make something go wrong until the scene ends. A fault in the schema must come before `start`."""
        return self._left.enter_context(fault)

    # -- what a person does ---------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the runbook at its terminal, with an answers file; arguments such as `run --at=29m`, `resume`."""
        self._before = self._before or self.rollout.schema()
        self.started = self.started or datetime.now(UTC)
        command = [arguments[0], *self.rollout.answering(ANSWERS, texts=TEXTS), *arguments[1:]]
        process = self.rollout.start(*command)
        self._left.callback(self._end, process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the runbook ends. Raises NeverHappenedError."""
        self.until(lambda: process.poll() is not None, "the runbook ends")
        self.exit_code = process.returncode
        self.ended = datetime.now(UTC)

    def run(self, *arguments: str) -> None:
        """Start the runbook at its terminal, and wait until it ends. Raises NeverHappenedError."""
        self.end(self.start(*arguments))

    # -- what is seen ---------------------------------------------------------------------------------------------

    def until(self, what: Callable[[], T], it: str) -> T:
        """Return the first true answer of `what`. Raises NeverHappenedError naming `it`."""
        return eventually(what, it, PATIENCE)

    def until_entry(self, event: str, **fields: str) -> Mapping[str, Any]:
        """Return the journal's first entry of that event with those fields. Raises NeverHappenedError."""
        wanted = {"event": event, **fields}.items()

        def first() -> Mapping[str, Any] | None:
            return next((entry for entry in self.rollout.journal if wanted <= entry.items()), None)

        return self.until(first, " ".join([event, *fields.values()])) or {}

    @property
    def screen(self) -> str:
        """Return the output of the runbooks."""
        path = self.rollout.screen_file
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def found(self, problem: str | None) -> Found:
        """Return what is found now, for the judge."""
        survivors = [*map(processes.told, self.rollout.survivors()), *self._sessions()]
        status = self.rollout.runbook("status", "--json", "--plan", str(self.rollout.directory / "plan.yml"))
        answer: dict[str, Any] = {}
        with suppress(ValueError):
            answer = json.loads(status.stdout)
        limit = self.rollout.sql("SELECT datconnlimit FROM pg_database WHERE datname = current_database()")
        return Found(
            exit_code=self.exit_code,
            schema=self._schema(),
            users_are_in=self.probe.users_are_in,
            connection_limit=int(limit),
            services=self._services(),
            survivors=survivors,
            journal=self.rollout.journal_text,
            status=answer if status.returncode == 0 else {},
            screen=self.screen,
            packs=[path.name for path in self.rollout.directory.glob("abort*.md")],
            also=self.also,
            seconds=self.seconds(),
            problem=problem,
        )

    def seconds(self) -> dict[str, float]:
        """Return the seconds from the limit to the verdict, from there until users are in again, and of the run."""
        plan, entries = self.rollout.plan, self.rollout.journal
        found = {}
        if self.started and self.ended:
            found["exit code"] = self.ended - self.started
        number = timing.judged(entries)
        crossed = timing.limit_crossed(plan, entries)
        if number is not None and crossed is not None:
            judged = timing.system_time(entries, number)
            found["verdict"] = judged - crossed
            if self.probe.in_since and self.probe.in_since > judged:
                found["access"] = self.probe.in_since - judged
        return {check: length.total_seconds() for check, length in found.items()}

    def _schema(self) -> Schema:
        now = self.rollout.schema()
        if now == (self._before or now):
            return "as before"
        pinned = set(self.rollout.pinned["patches"])
        return "deployed" if pinned <= set(self.rollout.sql(ROWS).split()) else "something else"

    def _services(self) -> list[str]:
        """Return what is not as before the window: the switch of the cron jobs, byte for byte, and the banners."""
        changed = [path for path, before in self._services_before.items() if _content(path) != before]
        return [f"{path.relative_to(self.rollout.lab.directory)} is another" for path in changed]

    def _sessions(self) -> list[str]:
        """Return the rollout's sessions of the database."""
        told = f"SELECT format('session %s: %s', pid, application_name) FROM ({SESSIONS}) AS ours"  # noqa: S608
        return self.rollout.sql(told).splitlines()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End a runbook that still runs, and what is left of the rollout."""
        conductor = faults.of_conductor(self.rollout, process.pid) if process.poll() is None else []
        processes.stop([*conductor, *self.rollout.survivors()], grace=0)
        process.wait()
        self.rollout.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM ({SESSIONS}) AS ours")  # noqa: S608


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
