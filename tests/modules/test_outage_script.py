"""The outage by the site's own upgrade script, on real servers, with access around it or its own (R12, R18, R19)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, RUN, Database, both_versions, wait_for

if TYPE_CHECKING:
    from tests.modules.conftest import RunningModule
    from tests.modules.pgbouncers import Pooler

SCRIPT = Path(__file__).with_name("full_update.py")
DEFERRED = 30.0  # seconds, a deadline that is not to come


class Site:
    """The script, what it is given, and how it is to go wrong."""

    def __init__(
        self, start_module: Callable[..., RunningModule], database: Database, pooler: Pooler | None = None
    ) -> None:
        """With a pgbouncer, the script closes and opens that, and pauses the standby; else access is around it."""
        self.start_module, self.database, self.pooler = start_module, database, pooler
        self.command = [sys.executable, str(SCRIPT), "--dsn", database.dsn(), "--schema", "."]
        self.more: dict[str, Any] = {}
        if pooler is not None:
            self.command += ["--pgbouncer", pooler.pgbouncer.console(), "--primary", database.name]
            self.command += ["--standby", database.dsn(host=database.servers.standby)]
            self.more = {"upgrade_command_closes_access": True, "pools": [pooler.primary]}

    def start(self, mood: str = "", *, check: bool = False, **more: Any) -> RunningModule:
        arguments = {
            "work": "script",
            "upgrade_command": self.command,
            "deadline_seconds": DEFERRED,
            **self.more,
            **more,
        }
        environment = {**self.database.environment(), "STAND_IN": mood}
        return self.start_module("database_outage", self.database.outage(**arguments), check, env=environment)

    def outage(self, mood: str = "", **more: Any) -> dict[str, Any]:
        return self.start(mood, **more).result()

    def hanging(self, mood: str = "hang", **more: Any) -> RunningModule:
        """The script has patched, and hangs before its commit."""
        running = self.start(mood, **more)
        idle = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND state = 'idle in transaction'"
        wait_for(lambda: self.database.ask(idle, f"rollout {RUN}"), "the script's session to have patched")
        wait_for(lambda: len(self.scripts()) == 2, "the script and its child")
        return running

    def scripts(self) -> list[psutil.Process]:
        """The script and what it started, alive and with the run's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("ROLLOUT_RUN") == RUN and process.environ().get("PGAPPNAME")
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def assert_nothing_is_left(self, rows: list[tuple[int, int, int]]) -> None:
        assert self.scripts() == []
        assert self.database.rows() == rows
        self.database.assert_users_are_in()
        if self.pooler is not None:
            assert self.pooler.state() == (False, False)
            with self.pooler.connect("primary") as client:
                assert client.execute("SELECT count(*) FROM Person").fetchone() == (12000,)


OURS, ITS_OWN = "access", "its own access"
both_gates = pytest.mark.parametrize("site", [OURS, ITS_OWN], indirect=True)
its_own_access = pytest.mark.parametrize("site", [ITS_OWN], indirect=True)


@pytest.fixture
def site(
    start_module: Callable[..., RunningModule], database: Database, request: pytest.FixtureRequest
) -> Iterator[Site]:
    if getattr(request, "param", OURS) == OURS:
        yield Site(start_module, database)
        return
    from tests.modules import pgbouncers

    with pgbouncers.pooler(database.servers, database.name, database.directory / "home") as pooler:
        yield Site(start_module, database, pooler)
        with psycopg.connect(database.servers.dsn(database.name, host=database.servers.standby)) as standby:
            standby.execute("SELECT pg_wal_replay_resume()")  # a script that was killed had paused it


@both_versions
@both_gates
def test_it_patches_and_its_lines_are_the_steps(site: Site) -> None:
    answer = site.outage()
    assert not answer["failed"], answer["msg"]
    assert (answer["changed"], answer["committed"], answer["took_over"]) == (True, True, None)
    steps = [step["step"] for step in answer["steps"]]
    assert [step for step in steps if step.startswith("patch-")] == FOUR
    own = ("Outage starts", f"Enabling access to {site.database.name}")
    assert (steps[0], steps[-1]) == (own if site.pooler else ("close access", "open access"))
    assert answer["summary"].startswith(f"outage {answer['outage_seconds']:.1f} s · 4 patches ")
    log = Path(answer["log"])
    assert log.parent == site.database.directory / "state"
    assert log.stat().st_mode & 0o777 == 0o600
    if site.pooler:  # `Outage complete. 0:00:00.495286`
        (told,) = [line.split()[-1] for line in log.read_text().splitlines() if "Outage complete." in line]
        assert answer["outage_seconds"] == pytest.approx(float(told.split(":")[-1]), abs=0.001)
        assert answer["opened_at"] > answer["closed_at"]
        assert answer["ended_sessions"] == 0, "the script ended them; we count ours"
    progress = site.database.progress()
    assert (progress["answer"], progress["finished"], progress["work"]) == ("committed", True, "script")
    site.assert_nothing_is_left(ROWS_AFTER)


def test_our_access_is_closed_around_a_script_that_has_none(site: Site) -> None:
    with site.database.user() as before:
        running = site.hanging()
        site.database.assert_users_are_out()
        with pytest.raises(psycopg.OperationalError):
            before.execute("SELECT 1")
    running.process.send_signal(signal.SIGTERM)
    answer = running.result()
    assert answer["msg"].startswith(
        f"E-upgrade-stopped  {Path(sys.executable).name} on {site.database.name} was ended "
    )
    assert "stopped by SIGTERM" in answer["msg"]
    assert "Nothing was kept: the rows are as before. Access is open again; users were out for" in answer["msg"]
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (False, False, False)
    site.assert_nothing_is_left(ROWS_BEFORE)


def test_nothing_is_pending(site: Site) -> None:
    assert not site.outage()["failed"]
    again = site.outage()
    assert (again["failed"], again["changed"], again["outage_seconds"]) == (False, False, 0.0)
    assert again["summary"] == "no outage: nothing was pending"


def test_check_mode_runs_nothing(site: Site) -> None:
    answer = site.outage(check=True)
    assert (answer["failed"], answer["changed"], answer["committed"]) == (False, True, False)
    assert site.database.rows() == ROWS_BEFORE
    assert not (site.database.directory / "state").exists()


@both_gates
def test_exit_0_after_a_rollback_is_a_failure(site: Site) -> None:
    site.database.write(FOUR[2], "SELECT 1;")
    with (site.database.schema / FOUR[2]).open("a") as patch:  # so it is not seen before it is run
        patch.write("DELETE FROM LaunchpadDatabaseRevision WHERE minor = 57;\n")
    before = site.database.dump()
    answer = site.outage()
    assert answer["msg"].startswith("E-upgrade-rolled-back  ")
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (False, False, False)
    assert f"It says: {FOUR[2]} failed to update LaunchpadDatabaseRevision correctly." in answer["msg"]
    assert site.database.dump() == before
    site.assert_nothing_is_left(ROWS_BEFORE)


@its_own_access
@pytest.mark.parametrize(
    ("mood", "name", "says", "rows"),
    [
        ("dry", "E-upgrade-rolled-back", "Nothing was kept: the rows are as before.", ROWS_BEFORE),
        ("fragile", "E-upgrade-failed", "exited 99: a preflight check failed.", ROWS_BEFORE),
        ("last line", "E-upgrade-unfinished", "KEPT: the rows 2208-30-0, ", ROWS_AFTER),
    ],
)
def test_every_other_end_is_a_failure(
    site: Site, mood: str, name: str, says: str, rows: list[tuple[int, int, int]]
) -> None:
    answer = site.outage(mood)
    committed = rows == ROWS_AFTER
    assert answer["msg"].startswith(f"{name}  ")
    assert says in answer["msg"]
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (committed, committed, False)
    assert site.database.progress()["answer"] == ("committed" if committed else "rolled_back")
    site.assert_nothing_is_left(rows)


@pytest.mark.parametrize(("mood", "site"), [("hang", OURS), ("hang", ITS_OWN), ("deaf", ITS_OWN)], indirect=["site"])
def test_the_deadline_ends_it_with_all_that_it_started(site: Site, mood: str) -> None:
    answer = site.outage(mood, deadline_seconds=3)
    assert answer["msg"].startswith("E-upgrade-deadline  ")
    assert (answer["verdict"], answer["committed"], answer["locked_out"]) == ("abort", False, False)
    assert mood != "deaf" or "is still paused. Resume it there" in answer["msg"]
    site.assert_nothing_is_left(ROWS_BEFORE)


@both_gates
def test_a_worker_that_is_killed_leaves_no_script_behind_an_open_access(site: Site) -> None:
    started = site.hanging(detach=True).result()
    assert not started["finished"]
    os.kill(site.database.progress()["pid"], signal.SIGKILL)
    follow = {key: site.database.outage()[key] for key in ("dsn", "patches", "run_id", "state_directory")}
    follow.update(answer_file=started["answer_file"], wait_seconds=20, pools=site.more.get("pools", []))
    environment = site.database.environment()
    answer = site.start_module("database_outage_progress", follow, env=environment).result()
    while not answer.get("finished", True):
        answer = site.start_module("database_outage_progress", follow, env=environment).result()
    assert answer["msg"].startswith("E-outage-lost  ")
    assert (answer["committed"], answer["locked_out"]) == (False, False)
    site.assert_nothing_is_left(ROWS_BEFORE)


@both_gates
def test_a_script_that_ends_our_sessions_too(site: Site) -> None:
    answer = site.outage("ruthless")
    assert not answer["failed"], answer["msg"]
    assert answer["committed"]
    site.assert_nothing_is_left(ROWS_AFTER)


def test_an_outage_is_stopped_with_the_script_in_it(site: Site) -> None:
    site.hanging(detach=True).result()
    given = {key: site.database.outage()[key] for key in ("dsn", "patches", "state_directory")}
    environment = site.database.environment(f"stop of {RUN}")
    answer = site.start_module("database_outage_stop", {**given, "stop_run": RUN, "grace_seconds": 3}, env=environment)
    stopped = answer.result()
    assert (stopped["answer"], stopped["survivors"]) == ("rolled_back", [])
    assert [rung["rung"] for rung in stopped["ladder"]] == ["ask"]
    site.assert_nothing_is_left(ROWS_BEFORE)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"upgrade_command": ["./full-update.py"]}, "E-upgrade-command  ./full-update.py cannot be run in "),
        ({"upgrade_command_closes_access": True}, "E-upgrade-pools  "),
        ({"permissions": "/nowhere"}, "E-permissions-twice  "),
        ({"permissions_command": ["/bin/true"]}, "E-permissions-twice  "),
        ({"patches": FOUR[:3]}, "E-other-patches  "),
        ({"digests": [f"{FOUR[1]}={64 * '0'}"]}, f"E-other-patches  {FOUR[1]} is not what it was when it was chosen"),
    ],
)
def test_what_is_refused_before_anybody_is_locked_out(site: Site, more: dict[str, Any], says: str) -> None:
    with site.database.user() as user:
        answer = site.outage(**more)
        assert answer["msg"].startswith(says)
        assert (answer["committed"], answer["outage_seconds"]) == (False, 0.0)
        user.execute("SELECT 1")  # still the same session
    assert site.database.rows() == ROWS_BEFORE


def test_a_script_that_applies_what_nobody_pinned(site: Site, tmp_path: Path) -> None:
    own = tmp_path / "own.sh"
    rows = ", ".join(f"({major}, {minor}, {patch})" for major, minor, patch in [*ROWS_AFTER[2:], (2208, 61, 0)])
    insert = f"INSERT INTO LaunchpadDatabaseRevision VALUES {rows}"  # noqa: S608
    code = f"import psycopg; psycopg.connect({site.database.dsn()!r}, autocommit=True).execute({insert!r})"
    own.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
    own.chmod(0o755)
    answer = site.outage(upgrade_command=[str(own)])
    assert answer["msg"].startswith("E-rows-missing  ")
    assert "2208-61-0" in answer["msg"]
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (True, True, False)
    site.database.assert_users_are_in()


@its_own_access
def test_it_closes_and_opens_a_real_pgbouncer(site: Site) -> None:
    assert site.pooler is not None
    with site.pooler.connect("primary") as client:
        client.execute("SELECT 1")
        answer = site.outage()
        assert not answer["failed"], answer["msg"]
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    wait_for(lambda: site.database.rows(site.database.servers.standby) == ROWS_AFTER, "the standby to replay")
    site.assert_nothing_is_left(ROWS_AFTER)


@its_own_access
@pytest.mark.parametrize(("mood", "rows"), [("crash", ROWS_BEFORE), ("disabled", ROWS_AFTER)])
def test_a_pgbouncer_that_it_leaves_closed_is_opened(site: Site, mood: str, rows: list[tuple[int, int, int]]) -> None:
    answer = site.outage(mood)
    committed = rows == ROWS_AFTER
    assert (answer["failed"], answer["locked_out"]) == (True, False), answer["msg"]
    assert (answer["committed"], answer["irreversible"]) == (committed, committed)
    code = "96: access to the database was not enabled again" if committed else "1: an exception ended it"
    assert answer["msg"].startswith("E-upgrade-failed  ")
    assert f" on {site.database.name} exited {code}." in answer["msg"].split("\n")[0]
    assert "Open the database first" not in answer["msg"]
    assert "is still paused. Resume it there" in answer["msg"]
    site.assert_nothing_is_left(rows)
