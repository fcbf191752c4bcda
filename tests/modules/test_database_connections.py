"""Connection strings of the database modules: by `service=` all of it works, and none with a password is used."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import postgres
from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, RUN, Database, Slow, wait_for
from tests.modules.test_database_outage_detached import Detached

Run = Callable[..., dict[str, Any]]
SECRET = "S3CRET"  # noqa: S105 - of nobody
FORMS = [
    f"host=127.0.0.1 user=postgres dbname=x password={SECRET}",
    f"host=127.0.0.1 sslpassword = '{SECRET} x'",
    f"postgresql://postgres:{SECRET}@127.0.0.1/x",
    f"postgresql://postgres@127.0.0.1/x?password={SECRET}",
    f"postgresql://postgres@127.0.0.1/x?%70assword={SECRET}",
    f"dbname='postgresql://postgres:{SECRET}@127.0.0.1/x'",
]


@pytest.fixture
def by_service(database: Database) -> Database:
    """The same database; its connections stand in the ~/.pg_service.conf of the host's user."""
    sections = []
    for name, host in (("primary", database.servers.primary), ("standby", database.servers.standby)):
        fields = {"host": host, "port": postgres.PORT, "user": "postgres", "dbname": database.name}
        sections.append(f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in fields.items()))
    (database.directory / "home" / ".pg_service.conf").write_text("\n".join(sections))
    database.dsn = lambda host=None, user="postgres": "service=standby" if host else "service=primary"  # type: ignore[assignment,misc]  # noqa: ARG005
    return database


def test_an_outage_by_service(by_service: Database, run_module: Run) -> None:
    answer = run_module("database_outage", by_service.outage(), env=by_service.environment())
    assert not answer["failed"], answer
    assert answer["committed"]
    assert by_service.rows() == ROWS_AFTER
    assert by_service.progress()["answer"] == "committed", "its progress is under the database's own name"
    assert answer["standbys"][0]["standby"] == by_service.servers.standby
    by_service.assert_users_are_in()


def test_who_follows_and_who_stops_it_find_it_by_service(by_service: Database, slow: Slow, run_module: Run) -> None:
    slow.lock()
    detached = Detached(run_module, by_service)
    detached.begin()
    wait_for(by_service.waiting, "the third patch to wait for the lock")
    assert detached.look(wait_seconds=0)["progress"]["step"] == FOUR[2]
    given = {key: detached.arguments()[key] for key in ("dsn", "patches", "state_directory")}
    arguments = {**given, "stop_run": RUN, "grace_seconds": 1}
    answer = run_module("database_outage_stop", arguments, env=by_service.environment(f"stop of {RUN}"))
    slow.let_go()
    assert (answer["answer"], answer["survivors"]) == ("rolled_back", [])
    assert by_service.rows() == ROWS_BEFORE
    by_service.assert_users_are_in()


def test_all_that_it_leaves_is_for_its_user_alone(database: Database, run_module: Run) -> None:
    """Whatever the umask, and although somebody has opened the directory."""
    state = database.directory / "state"
    state.mkdir(mode=0o777)
    before = os.umask(0)
    try:
        answer = run_module("database_outage", database.outage(), env=database.environment())
    finally:
        os.umask(before)
    assert not answer["failed"], answer
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (state, *state.rglob("*"))}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert database.progress_file in modes


def test_what_old_runs_have_left_is_removed(database: Database, run_module: Run) -> None:
    state = database.directory / "state"
    state.mkdir(mode=0o700)
    for number in range(30):
        for name in (f"answer-{number}.json", f"log-{number}.txt"):
            (state / name).write_text("{}")
            os.utime(state / name, (number, number))
    run_module("database_outage", database.outage(detach=True), env=database.environment())
    assert sorted(path.name for path in state.glob("log-?.txt")) == []
    assert (state / "log-29.txt").exists()
    assert len(list(state.glob("answer-*.json"))) in (12, 13), "the run's own is made after that"


MODULES: dict[str, dict[str, Any]] = {
    "database_outage": {"schema_directory": "/x", "patches": [], "run_id": RUN, "state_directory": "/x"},
    "database_outage_progress": {"patches": [], "run_id": RUN, "state_directory": "/x", "answer_file": "/x"},
    "database_outage_stop": {"patches": [], "stop_run": RUN, "state_directory": "/x"},
    "database_revisions": {},
}


@pytest.mark.parametrize("dsn", FORMS)
@pytest.mark.parametrize("module", MODULES)
def test_a_password_is_refused_and_not_shown(module: str, dsn: str, run_module: Run, tmp_path: Path) -> None:
    answer = run_module(module, {"dsn": dsn, **MODULES[module]}, env={"HOME": str(tmp_path)})
    assert answer["failed"]
    assert answer["msg"].startswith("E-password-in-dsn  dsn has a password in it (`"), answer
    assert "~/.pgpass" in answer["msg"]
    assert "~/.pg_service.conf" in answer["msg"]
    assert SECRET not in json.dumps(answer)


@pytest.mark.parametrize("where", ["standbys", "pools", "pools of a standby"])
def test_so_is_one_of_a_standby_or_a_console(where: str, run_module: Run, database: Database) -> None:
    pool = {"console": FORMS[0], "database": "x"}
    given, named = {
        "standbys": ({"standbys": [{"dsn": FORMS[0]}]}, "standbys.0.dsn"),
        "pools": ({"pools": [pool]}, "pools.0.console"),
        "pools of a standby": ({"standbys": [{"dsn": database.dsn(), "pools": [pool]}]}, "standbys.0.pools.0.console"),
    }[where]
    answer = run_module("database_outage", database.outage(**given), env=database.environment())
    assert answer["msg"].startswith(f"E-password-in-dsn  {named} has"), answer
    assert SECRET not in json.dumps(answer)
    assert not (database.directory / "state").exists(), "nothing was touched"
