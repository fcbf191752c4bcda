"""Makes things go wrong in a drill, by real means. Each fault is a context: it is mended when the block ends.

A slow patch sleeps inside its own backend, locks are held by real sessions, and what hangs was sent SIGSTOP.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml

from lab import processes
from lab.drills.rollout import Rollout
from lab.layout import Lab
from lab.waiting import eventually
from rollout import ROOT
from rollout.engine.processes import marked

FOR_EVER = 3600  # seconds; no drill takes that long


@contextmanager
def slow_patches(rollout: Rollout, seconds: Mapping[str, float]) -> Iterator[None]:
    """Make commands of a patch slow in production only: `seconds` for each, by its tag such as `CREATE INDEX`.

    The cause, an event trigger, is a part of the schema: take the dump that is to be compared with after this.
    """
    when = " ".join(f"WHEN '{tag}' THEN {length}" for tag, length in seconds.items())
    tags = ", ".join(f"'{tag}'" for tag in seconds)
    with _session(rollout.dsn, "drill") as session:
        session.execute(
            "CREATE FUNCTION drill_slow() RETURNS event_trigger LANGUAGE plpgsql AS "
            f"$$BEGIN PERFORM pg_sleep(CASE tg_tag {when} END); END$$"
        )
        session.execute(
            f"CREATE EVENT TRIGGER drill_slow ON ddl_command_start WHEN TAG IN ({tags}) EXECUTE FUNCTION drill_slow()"
        )
    try:
        yield
    finally:
        with _session(rollout.dsn, "drill") as session:  # a DROP EVENT TRIGGER fires none
            session.execute("DROP EVENT TRIGGER drill_slow")
            session.execute("DROP FUNCTION drill_slow()")


class Backup:
    """A superuser's pg_dump in the middle of a table; an outage must not end it."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        """Stand for the dump in `session`, which holds the table's lock."""
        self._session = session

    def works(self) -> bool:
        """Return True if nobody has ended the backup."""
        with suppress(psycopg.Error):
            return self._session.execute("SELECT 1").fetchone() == (1,)
        return False

    def end(self) -> None:
        """End the backup's work on the table."""
        self._session.execute("COMMIT")


@contextmanager
def backup(rollout: Rollout, table: str) -> Iterator[Backup]:
    """Have a backup of production read `table`."""
    with _session(rollout.dsn, "pg_dump") as session:
        session.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE")
        yield Backup(session)


@contextmanager
def stuck_jobs(rollout: Rollout) -> Iterator[Callable[[], bool]]:
    """Have the cron jobs wait, with their own locks held, for a lock on the table in which they log their runs.

    Yields a function that tells whether one still waits.
    """
    with _session(rollout.dsn, "drill") as session:
        session.execute("BEGIN; LOCK TABLE JobRun IN EXCLUSIVE MODE")
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'cron:%' AND wait_event_type = 'Lock'"

        def waits() -> bool:  # asked in a session of its own: inside a transaction the answer stays as it is
            return rollout.sql(query) != ""

        eventually(waits, "a cron job waits for the lock")
        yield waits


@contextmanager
def frozen(found: Callable[[], Iterable[psutil.Process]]) -> Iterator[Callable[[], None]]:
    """Send SIGSTOP to every process that `found` finds, also to new ones; yield a function that lets them go on."""
    stopped: set[psutil.Process] = set()
    while new := set(found()) - stopped:
        _send(new, signal.SIGSTOP)
        stopped |= new

    def thaw() -> None:
        _send(stopped, signal.SIGCONT)
        stopped.clear()

    try:
        yield thaw
    finally:
        thaw()


@contextmanager
def other_checkout(rollout: Rollout) -> Iterator[Path]:
    """Have the runbook started from another checkout, in which somebody edits something; yield its directory."""
    checkout = rollout.records.with_name(f"{rollout.records.name}-checkout")
    shutil.rmtree(checkout, ignore_errors=True)
    not_copied = shutil.ignore_patterns("var", ".*", "__pycache__", "tests", "docs", "bench")
    shutil.copytree(ROOT, checkout, ignore=not_copied, symlinks=True)
    shutil.copytree(ROOT / "tests" / "verify", checkout / "tests" / "verify")
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    rollout.checkout = checkout
    try:
        yield checkout
    finally:
        rollout.checkout = ROOT
        shutil.rmtree(checkout)


def leave_out(playbook: Path) -> None:
    """Give every play of a playbook a tag that lets Ansible leave out its tasks and still call it a success."""
    plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    playbook.write_text(yaml.safe_dump([{**play, "tags": ["never"]} for play in plays]), encoding="utf-8")


def of_part(lab: Lab, part: str) -> list[psutil.Process]:
    """A part of the lab and what it has started: `ssh-gac` is a host's ssh server and all that runs in its sessions."""
    return marked(processes.MARK, f"{lab.directory}:{part}")


def of_stage(rollout: Rollout, host: str, stage: str) -> list[psutil.Process]:
    """Return the processes that a stage's playbook runs on a host at the moment."""
    found = []
    for process in of_part(rollout.lab, f"ssh-{host}"):
        with suppress(psutil.Error):  # gone meanwhile
            if f"-{stage}-" in process.environ().get("ROLLOUT_RUN", ""):
                found.append(process)
    return found


def of_conductor(rollout: Rollout, pid: int) -> list[psutil.Process]:
    """Return the conductor, what it has started, and what its runs have left in sessions of their own: Ansible, ssh."""
    found = {process.pid: process for process in marked("ROLLOUT_CONTROL", f"{rollout.directory}/")}
    with suppress(psutil.NoSuchProcess):
        conductor = psutil.Process(pid)
        found |= {process.pid: process for process in (conductor, *conductor.children(recursive=True))}
    return list(found.values())


def _send(found: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@contextmanager
def _session(dsn: str, application: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True, application_name=application) as session:
        yield session
