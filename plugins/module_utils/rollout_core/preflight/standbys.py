"""Judges the standbys before an outage: are all there, close behind, and can each catch up (R18)?"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .findings import UNDO, Finding, duration, finding, remark


def standby_count(streaming: Sequence[str], expected: int) -> Finding:
    """Judge whether as many standbys stream as the site has; `streaming` names them."""
    todo = (
        "look at the standbys' logs, and at database_standbys (one that is late on purpose belongs there, with "
        "`delayed: true`); without them nothing is left if the primary breaks"
    )
    found = f"{len(streaming)} streaming" + (f": {', '.join(streaming)}" if streaming else "")
    return finding("standbys", found, f"{expected} streaming", todo, ok=len(streaming) == expected)


def standby(host: str, facts: Mapping[str, Any], lag_limit: float, sync_seconds: float) -> list[Finding]:
    """Judge a standby: how far it is behind, and whether it can catch up with the primary once the outage is over.

    The facts: `recovering`, `replay` (pg_get_wal_replay_pause_state), `receiver` (the status of its WAL receiver, None
    without one), `slot` (name, empty without one), `slot_active` and `wal_status` of that slot as the primary says
    (None: it has none of that name), `reached` (the position that the primary had when it was asked, within
    `sync_seconds`: replayed, or only received by one that is late on purpose), `lag` in seconds (None: it has replayed
    nothing yet), `left_by`, the killed run of ours that paused its replay (None: none did), `delay`, its
    recovery_min_apply_delay in seconds, `delayed`, whether the site says that it is late on purpose, and `may_pause`,
    whether our user may pause its replay.
    """
    if not facts["recovering"]:
        expected, todo = "a standby", "database_standbys must name standbys"
        return [finding("standby can sync", f"{host} is not in recovery", expected, todo, ok=False)]
    if facts["delay"]:  # whether it may be is told below
        late = f"replays {duration(facts['delay'])} late ({host})"
        behind = remark("lag", late, "its recovery_min_apply_delay", "")
    else:
        behind = _lag(host, facts["lag"], lag_limit)
    wrong = [*_delay(facts), *_hindrances(facts, sync_seconds)]
    told = "; ".join(problem for problem, _ in wrong) or "streams and replays"
    todo = "\n".join(f"on {host}: {do}" if do.startswith(("SELECT", "ALTER")) else do for _, do in wrong)
    return [behind, finding("standby can sync", f"{told} ({host})", "streams and replays", todo, ok=not wrong)]


def _lag(host: str, seconds: float | None, limit: float) -> Finding:
    said = "nothing replayed yet" if seconds is None else f"{seconds:.1f} s"
    return finding(
        "lag",
        f"{said} ({host})",
        f"at most {limit:.0f} s",
        "wait until it has caught up",
        ok=seconds is not None and seconds <= limit,
    )


def _delay(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with a standby's delay: one that nobody says is meant can be neither paused nor awaited."""
    if facts["delay"] and not facts["delayed"]:
        told = f"recovery_min_apply_delay: it replays {duration(facts['delay'])} late, so its replay cannot be paused"
        meant = "or, if that is meant: `delayed: true` in its entry of database_standbys; the outage leaves it alone"
        return [(told, f"ALTER SYSTEM SET recovery_min_apply_delay = 0; SELECT pg_reload_conf()\n{meant}")]
    if facts["delayed"] and not facts["delay"]:
        told = "it replays at once, although its entry of database_standbys says `delayed: true`"
        return [(told, "take that out, or set recovery_min_apply_delay there")]
    return []


def _hindrances(facts: Mapping[str, Any], sync_seconds: float) -> list[tuple[str, str]]:
    """Return what keeps a standby from catching up: [(problem, what to do)]."""
    wrong = []
    if not facts["may_pause"] and not facts["delayed"]:
        wrong.append(("our user may not pause its replay", "name a superuser in its entry of database_standbys"))
    if facts["replay"] != "not paused":
        by_hand = "SELECT pg_wal_replay_resume(), if nobody needs it paused"
        wrong.append((f"its replay is {facts['replay']}", UNDO if facts["left_by"] else by_hand))
    if facts["receiver"] != "streaming":
        wrong.append(
            (f"its WAL receiver is {facts['receiver'] or 'not there'}", "look at its log: it has lost the primary")
        )
    if facts["slot_active"] is False:
        wrong.append((f"its slot {facts['slot']} is not active", "look at primary_slot_name and at its log"))
    if facts["wal_status"] == "lost":
        wrong.append((f"its slot {facts['slot']} has lost WAL", "make that standby anew (pg_basebackup)"))
    if not facts["reached"] and not wrong and bool(facts["delay"]) == facts["delayed"]:
        wrong.append(
            (f"did not reach the primary's position within {sync_seconds:.0f} s", "find out what keeps it busy")
        )
    return wrong
