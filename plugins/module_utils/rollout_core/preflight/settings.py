"""Judges the settings that the outage's sessions begin with, whoever made them: server, database, role, both (R18).

Time limits are not here: our sessions switch them off themselves (database/connection.py).
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from .findings import Finding, finding, listed, name, remark


class Setting(NamedTuple):
    """A setting that would hurt: its value then (`unfit`), the right one, what would happen, and whether that fails."""

    unfit: Sequence[str]
    right: str
    why: str
    fails: bool = True


RULES = {
    "default_transaction_read_only": Setting(["on"], "off", "nothing can be written, and access not be closed"),
    "session_replication_role": Setting(
        ["replica", "local"], "origin", "the patches' foreign keys and triggers may be passed over"
    ),
    "standard_conforming_strings": Setting(["off"], "on", "a backslash in a patch means something else"),
    "synchronous_commit": Setting(["off"], "on", "a crash right after the commit may lose it", fails=False),
}
_EXPECTED = "what the outage needs"


def settings(
    found: Sequence[Mapping[str, str]], made_in: str | None, rows_in: str | None, user: str, database: str
) -> list[Finding]:
    """Judge the settings of a session as the outage makes it: {name, setting, source}, as pg_settings has them.

    `made_in` is the schema in which a patch's tables would be made, `rows_in` that of LaunchpadDatabaseRevision; None
    where there is none.
    """
    values = {each["name"]: each["setting"] for each in found}
    hurts = [each for each in found if each["name"] in RULES and each["setting"] in RULES[each["name"]].unfit]
    failing = [each for each in hurts if RULES[each["name"]].fails]
    told = [_told(each, RULES[each["name"]].why) for each in failing]
    todo = [_undone(each, user, database) for each in failing]
    if rows_in is not None and made_in != rows_in:
        path = next(each for each in found if each["name"] == "search_path")
        told.append(_told(path, f"the patches' tables would be made in {made_in or 'no schema'}, not in {rows_in}"))
        todo.append(_undone(path, user, database))
    if values.get("default_transaction_read_only") == "on" and len(todo) > 0:
        todo.insert(0, "SET default_transaction_read_only = off;  -- in that psql first: it is read-only as well")
    findings = [finding("settings", listed(told) or "fit", _EXPECTED, "\n".join(todo), ok=not told)]
    mild = [each for each in hurts if not RULES[each["name"]].fails]
    if mild:
        listing = listed([_told(each, RULES[each["name"]].why) for each in mild])
        findings.append(
            remark("settings", listing, _EXPECTED, "; ".join(_undone(each, user, database) for each in mild))
        )
    return findings


def event_triggers(found: Sequence[Mapping[str, Any]]) -> Finding:
    """Report the event triggers that fire in our sessions: {name, event, function}. They run with every patch."""
    told = [f"{each['name']} at {each['event']} runs {each['function']}" for each in found]
    todo = "they run with every patch: see that qastaging has the same, or it has not tried the patches with them"
    return remark("event triggers", listed(told) or "none", "the same as on qastaging", todo if told else "")


def _told(setting: Mapping[str, str], why: str) -> str:
    return f"{setting['name']} = {setting['setting']} ({setting['source']}): {why}"


def _undone(setting: Mapping[str, str], user: str, database: str) -> str:
    """Return the statement that takes a setting back where it was made, or words where no statement can."""
    what, source = setting["name"], setting["source"]
    right = RULES[what].right if what in RULES else '"$user", public'
    where = {
        "database": f"DATABASE {name(database)}",
        "user": f"ROLE {name(user)}",
        "database user": f"ROLE {name(user)} IN DATABASE {name(database)}",
        "global": "ROLE ALL",
    }
    if source in where:
        return f"ALTER {where[source]} RESET {what};"
    if source in ("client", "environment variable"):
        return f"take {what} out of the options of database_dsn, and out of PGOPTIONS of that user"
    if source == "command line":
        return f"take {what} off the server's command line"
    return f"ALTER SYSTEM SET {what} = {right}; SELECT pg_reload_conf();"
