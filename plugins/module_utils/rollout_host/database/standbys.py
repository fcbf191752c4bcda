"""Standbys: their replay is paused before an outage, and resumed after it, one after the other (R18, R21).

While replay is paused, readers there see nothing of the outage: neither access, which is replicated where it is
PostgreSQL's own, nor the locks of the patches. A paused replay is something left open: it is on record until it is
resumed. All durations are seconds.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from .access.base import read_record, write_record
from .access.console import as_given, pools_of
from .connection import RolloutError, connect, one_row
from .conninfo import host_name
from .driver import psycopg

_PAUSES = 10.0  # seconds
_RESTARTS = 30.0
NOT_PAUSED, PAUSED = "not paused", "paused"


class Standby(NamedTuple):
    """A standby: conninfo of the database there, and the pools in pgbouncer that lead to it, [{console, database}].

    One that is `delayed` replays late on purpose (recovery_min_apply_delay): the outage leaves it alone.
    """

    dsn: str
    pools: Sequence[Mapping[str, str]]
    delayed: bool = False


def all_standbys_of(params: Mapping[str, Any]) -> list[Standby]:
    """Return the standbys in a module's option `standbys`."""
    return [Standby(given["dsn"], given["pools"], bool(given.get("delayed"))) for given in params["standbys"]]


def standbys_of(params: Mapping[str, Any]) -> list[Standby]:
    """Return those standbys that an outage pauses, and lets catch up."""
    return [standby for standby in all_standbys_of(params) if not standby.delayed]


def written(primary: psycopg.Connection[Any]) -> str:
    """Return the position up to which the primary has written its log (a pg_lsn)."""
    return str(one_row(primary, "SELECT pg_current_wal_lsn()::text")[0])


def replay_state(standby: psycopg.Connection[Any]) -> str:
    """Return `not paused`, `pause requested` (it is not yet) or `paused`. Raises RolloutError `E-not-a-standby`."""
    row = standby.execute("SELECT pg_get_wal_replay_pause_state() WHERE pg_is_in_recovery()").fetchone()
    if row is None:
        raise RolloutError(f"E-not-a-standby  the server at {standby.info.host} is not in recovery")
    return str(row[0])


def pause_replay(standbys: Sequence[Standby], run_id: str, state_directory: str, database: str) -> None:
    """Pause the standbys' replay, so that readers there see neither closed access nor locks.

    It is on record before it is done, with the pools that were open. A replay that somebody else has paused is left to
    them. Raises RolloutError `E-standby-…` or `E-no-connection`, and then none is left paused that was not.
    """
    file = _file(state_directory, database)
    record = {"database": database, "run_id": run_id}
    ours = {entry["dsn"]: entry for entry in (left_paused(state_directory, database) or {"standbys": []})["standbys"]}
    pausing, new = [], {}
    with ExitStack() as stack:
        for standby in standbys:
            connection = stack.enter_context(connect(standby.dsn, "pause"))
            if standby.dsn not in ours and replay_state(connection) == NOT_PAUSED:
                on = [pool for pool in pools_of(standby.pools) if pool.look().open]
                ours[standby.dsn] = {"dsn": standby.dsn, "pools": as_given(on)}
                new[standby.dsn] = connection
            if standby.dsn in ours:
                pausing.append(connection)
        if not pausing:
            return
        _record(file, record, ours)
        try:
            for connection in pausing:
                connection.execute("SELECT pg_wal_replay_pause()")
            for connection in pausing:
                _wait_until_paused(connection)
        except BaseException:
            for dsn, connection in new.items():
                with suppress(psycopg.Error):
                    connection.execute("SELECT pg_wal_replay_resume()")
                    del ours[dsn]
            _record(file, record, ours)
            raise


def left_paused(state_directory: str, database: str) -> dict[str, Any] | None:
    """Return the record of the standbys whose replay a run of ours has paused and not resumed; None if there are none.

    It is {run_id, standbys: [{dsn, pools}]}; `pools` are those that were open and have to be opened again.
    """
    return read_record(_file(state_directory, database))


def resume_replay(
    standbys: Sequence[Standby],
    primary: psycopg.Connection[Any],
    state_directory: str,
    database: str,
    on_step: Callable[[str], Any] | None = None,
    seconds: float = 60,
) -> list[dict[str, Any]]:
    """Let the standbys on record catch up, one after the other: close its pools, replay, open its pools.

    Each replays up to the primary's position, and is taken off the record once it is as before. Returns [{standby,
    seconds, remark}]; `seconds` is None for one that has not caught up within `seconds`, or whose replay was not ours
    to resume; `remark` says what is to be known or done.
    """
    record = left_paused(state_directory, database)
    if record is None:
        return []
    left, answers = {entry["dsn"]: entry for entry in record["standbys"]}, []
    ours = list(left.values())
    for entry in ours:
        if on_step:
            on_step(f"let standby {_name(entry['dsn'])} catch up")
        took, remarks, as_before = _caught_up(entry, _position(primary), seconds)
        answers.append({"standby": _name(entry["dsn"]), "seconds": took, "remark": "; ".join(remarks) or None})
        if as_before:
            del left[entry["dsn"]]
            _record(_file(state_directory, database), record, left)
    theirs = "its replay had been paused by somebody else, and still is"
    return answers + [
        {"standby": _name(standby.dsn), "seconds": None, "remark": theirs}
        for standby in standbys
        if standby.dsn not in {entry["dsn"] for entry in ours}
    ]


def _caught_up(entry: dict[str, Any], lsn: str | None, seconds: float) -> tuple[float | None, list[str], bool]:
    """Return how long it took, remarks on it, and whether all of it is as it was before the outage."""
    pools, as_before = pools_of(entry["pools"]), False
    remarks: list[str] = []
    for pool in pools:
        with _noted(remarks):
            pool.disable()
            pool.kill()
    took = None
    with _noted(remarks):
        took = _resumed(entry["dsn"], lsn, seconds)
        as_before = True
        if took is None:
            remarks.append(f"it has not caught up after {seconds:.0f} s")
    for pool in pools:
        with _noted(remarks):
            pool.open()
        as_before = as_before and bool(pool.seen and pool.seen.open)
    return took, remarks, as_before


def _resumed(dsn: str, lsn: str | None, seconds: float) -> float | None:
    """Resume replay, and return how long it took until `lsn` was replayed; None if it was not within `seconds`.

    Tries again for a while when the connection breaks or none can be had: that standby may be starting again.
    """
    begun = time.monotonic()
    while True:
        try:
            with connect(dsn, "resume") as standby:
                return _replayed(standby, lsn, begun, seconds)
        except (psycopg.OperationalError, RolloutError):
            if time.monotonic() - begun > min(seconds, _RESTARTS):
                raise
            time.sleep(0.2)


def _replayed(standby: psycopg.Connection[Any], lsn: str | None, begun: float, seconds: float) -> float | None:
    if standby.execute("SELECT pg_is_in_recovery()").fetchone() != (True,):
        return 0.0  # it was promoted: there is nothing to replay
    standby.execute("SELECT pg_wal_replay_resume()")
    while lsn is not None and time.monotonic() - begun <= seconds:
        if standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [lsn]).fetchone() == (True,):
            return round(time.monotonic() - begun, 3)
        time.sleep(0.01)
    return None


def _wait_until_paused(standby: psycopg.Connection[Any]) -> None:
    """Wait until replay is paused: that comes between two records of the log, a moment after the request."""
    deadline = time.monotonic() + _PAUSES
    while (state := replay_state(standby)) != PAUSED:
        if time.monotonic() > deadline:
            raise RolloutError(
                f"E-standby-not-paused  the replay at {standby.info.host} is {state!r} {_PAUSES:.0f} s after it was "
                f"told to pause.\nThen: see what its startup process waits for, and ./runbook.py run preflight"
            )
        time.sleep(0.005)


@contextmanager
def _noted(remarks: list[str]) -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, RolloutError) as error:
        remarks.append(str(error).strip().split("\n")[0])


def _position(primary: psycopg.Connection[Any]) -> str | None:
    """Return the position up to which a standby has to replay; None if the primary cannot tell."""
    with suppress(psycopg.Error):
        return written(primary)
    return None


def _file(state_directory: str, database: str) -> Path:
    return Path(state_directory) / f"standbys-{database}.json"


def _record(file: Path, record: dict[str, Any], standbys: dict[str, dict[str, Any]]) -> None:
    """Write the record with these standbys; without any, delete the record."""
    if standbys:
        write_record(file, {**record, "standbys": list(standbys.values())})
    else:
        with suppress(FileNotFoundError):
            file.unlink()


def _name(dsn: str) -> str:
    return host_name(dsn) or dsn
