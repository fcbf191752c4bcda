"""Something is killed at a random moment of an outage: never between, users are in, or somebody says how (R18, R19).

Ten moments with every `make test`, two hundred with `make faults`; `FAULTS_SEED=42 make faults` has that one again.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lab import clients
from lab.postgres import Servers
from tests.faults.moments import CLOSED, PAUSED, Moment
from tests.faults.stage import Stage, slow_patches
from tests.modules.database_servers import Database, wait_for
from tests.modules.pgbouncers import pooler

CLIENTS = 12
SEEDS = [int(os.environ["FAULTS_SEED"])] if "FAULTS_SEED" in os.environ else range(int(os.environ.get("FAULTS", "10")))


@pytest.fixture(scope="session")
def schemas(fault_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The schema with its rows, wholly old and wholly new, as pg_dump has them: by an outage that nobody disturbs."""
    database = Database.new(fault_servers, tmp_path_factory.mktemp("schemas"), itertools.count(9000))
    slow_patches(database)
    old = database.dump()
    stage = Stage(Moment.of(0), database, None)
    answer = stage.module("database_outage", database.outage(run_id=stage.run_id))
    assert answer["committed"], answer
    return {"old": old, "new": database.dump()}


@pytest.fixture
def stage(seed: int, database: Database) -> Iterator[Stage]:
    """An outage that has not begun, with clients of the database."""
    moment = Moment.of(seed)
    with ExitStack() as stack:
        pool = None
        dsn = clients.dsn(database.servers, database.name)
        if moment.access == "pgbouncer":
            pool = stack.enter_context(pooler(database.servers, database.name, database.directory / "home"))
            host, port = pool.pgbouncer.address
            dsn = f"host={host} port={port} user=launchpad dbname={database.name} passfile={pool.passfile}"
        stage = Stage(moment, database, pool)
        stack.callback(stage.end)
        stage.crowd = stack.enter_context(clients.Crowd(dsn, CLIENTS))
        yield stage


@pytest.mark.parametrize("seed", [pytest.param(seed, id=str(Moment.of(seed))) for seed in SEEDS])
def test_never_between(stage: Stage, schemas: dict[str, str], record_property: Callable[[str, Any], None]) -> None:
    stage.begin()
    stage.wait_for_the_moment()
    stage.strike()
    answer = stage.answer()
    stage.tell(f"the answer: {answer}")
    survivors = stage.survivors()
    assert not survivors, told(stage, f"still there: {survivors}")
    left = stage.left()
    if left:
        assert_it_is_told(stage, answer, left)
    became = what_became(stage, schemas)
    assert_nobody_says_otherwise(stage, answer, became)
    record_property("moment", (stage.moment.fault, stage.moment.access, ", ".join([became, *left])))
    if left:
        stage.put_right()
    assert not stage.left(), told(stage, f"still so: {stage.left()}")
    assert stage.users_get_in(), told(stage, "users do not get in")
    stage.crowd.wait_until_all_are_in()
    assert_standby_is_the_same(stage)


def assert_it_is_told(stage: Stage, answer: dict[str, Any] | None, left: list[str]) -> None:
    """Something was left: only if nobody was there who could put it right, and whoever can say something says so."""
    assert stage.moment.may_leave(left), told(stage, f"{left}, though somebody could put it right")
    check = stage.module("database_access", stage.only("dsn", "state_directory", "pools", "standbys"), check=True)
    stage.tell(f"database_access says: {check}")
    says = {CLOSED: check.get("left_by"), PAUSED: check.get("paused_by")}
    assert all(says.get(each, stage.run_id) == stage.run_id for each in left), told(stage, f"{left}, and nobody knows")
    if answer is not None and CLOSED in left:
        assert answer["locked_out"], told(stage, "the answer does not say that access is closed")
        assert stage.opening_command in answer["msg"], told(stage, "the answer does not say how to open it")


def what_became(stage: Stage, schemas: dict[str, str]) -> str:
    """The schema is `old` or `new`: wholly, and its rows with it."""
    dump = stage.database.dump()
    became = next((name for name, schema in schemas.items() if schema == dump), None)
    assert became, told(stage, f"the schema is neither old nor new:\n{dump}")
    return became


def assert_nobody_says_otherwise(stage: Stage, answer: dict[str, Any] | None, became: str) -> None:
    """What was answered, to whoever followed the outage and to whoever stopped it, is so."""
    if answer is not None and answer.get("committed") is not None:
        assert answer["committed"] == (became == "new"), told(stage, f"the answer is wrong: the schema is {became}")
    if stage.stopped is not None:
        right = {"old": ("rolled_back", "stopped"), "new": ("too_late",)}[became]
        assert stage.stopped["answer"] in right, told(stage, f"the stop's answer is wrong: the schema is {became}")
        assert not stage.stopped["survivors"], told(stage, "the stop left something")


def assert_standby_is_the_same(stage: Stage) -> None:
    """It replays, and to the same state as the primary."""
    database = stage.database
    (position,) = database.ask("SELECT pg_current_wal_lsn()::text")[0]
    replayed = "SELECT 1 WHERE pg_last_wal_replay_lsn() >= %s::pg_lsn"
    wait_for(lambda: stage.on_standby(replayed, position), told(stage, "the standby to catch up"))
    assert database.dump(host=database.servers.standby) == database.dump(), told(stage, "the standby is not the same")


def told(stage: Stage, what: str) -> str:
    """A failure, with all that somebody needs who looks for its cause."""
    story = "\n".join(stage.story)
    return f"{what}\nAgain: FAULTS_SEED={stage.moment.seed} make faults\n{stage.moment}\n{story}\n"
