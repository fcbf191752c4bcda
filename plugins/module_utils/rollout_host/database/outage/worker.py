"""The whole of an outage: the checks before it, the outage, what comes after it, and the answer (R18, R19)."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any, Callable, Mapping

from ..access.base import Access
from ..access.postgres import access as access_of
from ..connection import RolloutError, connect, one_row, require_primary, session_names, take_lock
from ..driver import psycopg
from ..standbys import pause_replay, resume_replay, standbys_of
from ..work.kinds import work_of
from .answer import NO_OUTAGE, failure, summary, what_became
from .progress import Progress
from .run import Interruptible, Outage, OutageWork, Result

_POINT_BYTES = 46  # of a restore point's 63: the rest says when


def check(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the module would answer, `failed` included, by checking everything that can be refused."""
    try:
        # Sessions named `rollout …` are orphans to the next run, so a check must not be named like that.
        connection = connect(params["dsn"], f"check {params['run_id']}"[:63])
        require_primary(connection)
        access = access_of(connection, params["dsn"], params["state_directory"], params["pools"])
        left = access.refuse_if_closed_by_someone_else()
        result = work_of(params)(params, access).checked()
    except (RolloutError, psycopg.Error, OSError) as error:
        return failure(error)
    return {"failed": False, **NO_OUTAGE, "took_over": left and left["run_id"], **result}


def run(params: Mapping[str, Any], tell: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """Carry out the outage and return the module's result, `failed` included. `tell` gets the progress.

    From here on this process only notes SIGTERM, SIGHUP and SIGINT, except where it can be stopped.
    """
    progress = None
    interruptible = Interruptible()
    try:
        connection = connect(params["dsn"], session_names(params["run_id"])[1])
        require_primary(connection)
        access = access_of(connection, params["dsn"], params["state_directory"], params["pools"])
        take_lock(connection)  # before progress is written: the lock's holder writes it
        work = params.get("work") or "patches"
        progress = Progress(params["state_directory"], access.database, params["run_id"], work, tell)
        progress.note(patches=params["patches"], dsn=params["dsn"], pools=params["pools"])
        result = _worked(params, access, progress, interruptible)
    except (RolloutError, psycopg.Error, OSError) as error:
        result = failure(error)
    if progress:
        became = what_became(result, work_of(params).done_word)
        progress.answer(became)  # before the standbys: they do not change the answer
        _resume_standbys(params, access, progress, result)
        progress.answer(became, finished=True)
    if not result["failed"]:
        result.setdefault("summary", summary(result))
    return result


def _worked(
    params: Mapping[str, Any], access: Access, progress: Progress, interruptible: Interruptible
) -> dict[str, Any]:
    """Take over what a killed run left, carry out the outage if there is work, and return the module's result."""
    access.end_orphans([access.connection.info.backend_pid])
    with access.taken_over() as left:
        work = work_of(params)(params, access)
        measured = _outage(params, access, work, progress, interruptible) if work.wanted else dict(NO_OUTAGE)
        verified = work.verified(access.connection, measured)
    result = {**measured, "took_over": left, **verified}
    result["changed"] = result["changed"] or left is not None
    return {"failed": False, **result}


def _outage(
    params: Mapping[str, Any], access: Access, work: OutageWork, progress: Progress, interruptible: Interruptible
) -> dict[str, Any]:
    """Carry out the outage; return its measures, and the results of what is done after it."""
    deadline = params["deadline_seconds"]
    if deadline is not None and deadline <= 0:
        said = "no time is left for an outage.\nNothing was touched. Then: undo the window's stages (R19)"
        raise RolloutError(f"E-outage-deadline  {said}", verdict="abort")
    if work.closes_access:
        pause_replay(standbys_of(params), params["run_id"], params["state_directory"], access.database)
    point, warnings = _restore_point(access, params["run_id"]) if work.irreversible else (None, [])
    with work:
        outage = Outage(access, params["run_id"], interruptible, progress.begin, progress.note)
        result = outage.run(work, deadline)
        progress.answer(work.done_word)  # now: users are in, and nothing that follows takes it back
        measured = _measured(result, params["clock_offset"])
        after = work.after(access.connection, progress.begin)
    measured["warnings"] = warnings + measured["warnings"] + after.pop("warnings", [])
    return {**measured, **after, "restore_point": point}


def _resume_standbys(params: Mapping[str, Any], access: Access, progress: Progress, result: dict[str, Any]) -> None:
    """Resume the standbys' replay, unless they would replay closed access; put into `result` how long that took."""
    if result.get("locked_out"):
        return
    where = params["state_directory"], access.database
    begun = time.monotonic()
    try:
        caught_up = resume_replay(standbys_of(params), access.connection, *where, progress.begin)
    except (RolloutError, psycopg.Error, OSError) as error:
        result.setdefault("warnings", []).append(f"the standbys were not resumed: {' '.join(str(error).split())}")
        return
    if caught_up:
        result["standbys"] = caught_up
        all_there = all(standby["seconds"] is not None for standby in caught_up)
        result["standby_seconds"] = round(time.monotonic() - begun, 3) if all_there else None


def _measured(result: Result, clock_offset: float) -> dict[str, Any]:
    measured = result._asdict()
    for key in ("closed_at", "opened_at"):
        at = datetime.fromtimestamp(measured[key] + clock_offset, timezone.utc)
        measured[key] = at.isoformat(timespec="milliseconds")
    return measured


def _restore_point(access: Access, run_id: str) -> tuple[dict[str, str] | None, list[str]]:
    """Make a restore point in the WAL, to which the database can be put back as before the outage; return its name."""
    whose = f"rollout {run_id}".encode()[:_POINT_BYTES].decode(errors="ignore")
    name = f"{whose} {datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    try:
        (position,) = one_row(access.connection, "SELECT pg_create_restore_point(%s)::text", [name])
    except psycopg.Error as error:  # wal_level = minimal has none
        return None, [f"there is no restore point: {' '.join(str(error).split())}"]
    return {"name": name, "lsn": str(position)}, []
