"""Judges the facts that PostgreSQL tells before an outage: server, sessions, standbys (R18).

Sessions are {user, application, pid, seconds, query, backend}: `seconds` is the age of the open transaction (None:
there is none), `backend` PostgreSQL's backend_type; the `pid` of a client of pgbouncer is a text that says where it is.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from ..schema import sql
from .findings import LISTED_AT_MOST, Finding, duration, finding, listed, name, remark

OLDEST_VERSION = 14
QUERY_WIDTH = 60
_SECRET = re.compile(r"\bpass(?:word|wd|phrase)?\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"\s*(?:(?:first|any)\s*)?([0-9]+)\s*\(", re.IGNORECASE)
_NOT_WAITING = ("off", "local")
Session = Mapping[str, Any]


def server(user: str, superuser: bool, recovering: bool, version: int, host: str) -> Finding:  # noqa: FBT001 (facts)
    """Judge the connection; any user but a superuser would be locked out with the users."""
    wrong = [f"{user} is not a superuser"] if not superuser else []
    wrong += [f"{host} is a standby"] if recovering else []
    wrong += [f"PostgreSQL {version // 10000} is too old"] if version < OLDEST_VERSION * 10000 else []
    good = f"superuser {user} on the primary, PostgreSQL {version // 10000}.{version % 10000}"
    expected = f"a superuser on the primary, PostgreSQL {OLDEST_VERSION} or later"
    return finding("server", ", ".join(wrong) or good, expected, "set database_dsn", ok=not wrong)


def reserved_connections(reserved: int) -> Finding:
    """Judge whether the outage gets its connections even when users hold all others."""
    todo = "ALTER SYSTEM SET superuser_reserved_connections = 3, and restart the server on another day"
    return finding("reserved connections", str(reserved), "at least 2", todo, ok=reserved >= 2)


def locks(relations: int, per_transaction: int, connections: int, prepared: int) -> Finding:
    """Judge whether one transaction can lock every table, index and sequence of the database, as the patches may."""
    slots = connections + prepared
    enough = -(-relations // slots)
    todo = (
        f"ALTER SYSTEM SET max_locks_per_transaction = {enough + enough // 4}, first on the standbys, and restart them "
        "on another day"
    )
    expected = f"at most {per_transaction * slots} (max_locks_per_transaction {per_transaction} × {slots})"
    return finding("locks", f"{relations} relations", expected, todo, ok=relations <= per_transaction * slots)


def folded(query: str) -> str:
    """Return a query in one short line without any literal, and nothing behind a word for a password."""
    code = sql.without_literals(query)
    words = " ".join(code.split())
    secret = _SECRET.search(words)
    if secret:
        words = words[: secret.end()] + " …"
    return words if len(words) <= QUERY_WIDTH else words[: QUERY_WIDTH - 1] + "…"


def transactions(sessions: Sequence[Session], limit: float, bad_users: Sequence[str]) -> Finding:
    """Judge the open transactions: a long one holds locks, and its user's work would be lost.

    Those of bad users are ended with everybody's. An autovacuum gives way to a patch, unless it prevents a wraparound.
    """
    long = [
        session
        for session in sessions
        if session["seconds"] is not None and session["seconds"] > limit and session["user"] not in bad_users
        if session["backend"] != "autovacuum worker" or "to prevent wraparound" in session["query"]
    ]
    long.sort(key=lambda session: -float(session["seconds"]))
    found = [
        f"{each['user'] or each['backend']} ({each['application'] or 'no name'}) for {duration(each['seconds'])}, "
        f"pid {each['pid']}: {folded(each['query'])}"
        for each in long
    ]
    pids = ", ".join(str(each["pid"]) for each in long[:1])
    todo = f"ask its owner to end it, or end it:  SELECT pg_terminate_backend({pids})"
    return finding("transactions", listed(found) or "none", f"none over {limit:.0f} s", todo, ok=not long)


def fragile_users(sessions: Sequence[Session], fragile: Sequence[str], system_users: Sequence[str]) -> Finding:
    """Judge whether users that must not be interrupted are connected: people stop these, the outage never does."""
    connected = _by_user(sessions, [user for user in fragile if user not in system_users])
    found = [f"{user} ({_names(of_user)}), {_where(of_user)}" for user, of_user in connected.items()]
    todo = f"stop by hand what connects as {', '.join(connected)}, where it runs"
    return finding("fragile users", listed(found) or "none connected", "none connected", todo, ok=not found)


def bad_users(sessions: Sequence[Session], bad: Sequence[Mapping[str, Any]], system_users: Sequence[str]) -> Finding:
    """Report connected users that are known to misbehave, each with its bug: they are ended, and that is no failure."""
    bugs = {each["user"]: each["bug"] for each in bad if each["user"] not in system_users}
    connected = _by_user(sessions, list(bugs))
    found = [f"{user} ({_names(of_user)}), bug {bugs[user]}" for user, of_user in connected.items()]
    todo = "ended when access closes" if found else ""
    return remark("bad users", listed(found) or "none connected", "ended with everybody", todo)


def superusers(
    sessions: Sequence[Session],
    superuser_roles: Sequence[str],
    ours: str,
    system_users: Sequence[str],
    application_users: Sequence[str],
) -> Finding:
    """Judge whether any superuser is an application, by name or by sessions: closed access lets superusers pass."""
    suspected = [role for role in superuser_roles if role != ours and role not in system_users]
    connected = _by_user(sessions, suspected)
    offenders = sorted({*connected, *(role for role in superuser_roles if role in application_users)})
    found = [f"{role} ({_names(connected[role])})" if role in connected else role for role in offenders]
    todo = "; ".join(f"ALTER ROLE {name(role)} NOSUPERUSER" for role in offenders)
    todo += "\nor, if it is no application's: list it in database_system_users"
    expected = "none: closed access does not stop superusers"
    return finding("superusers", listed(found) or "none", expected, todo, ok=not found)


def past_the_pooler(sessions: Sequence[Session], superuser_roles: Sequence[str]) -> Finding:
    """Report users who are connected past pgbouncer: they are ended, and can connect again during the outage."""
    users = sorted({session["user"] for session in sessions if session["backend"] == "client backend"})
    connected = _by_user(sessions, [user for user in users if user not in superuser_roles])
    found = [f"{user} ({_names(of_user)})" for user, of_user in connected.items()]
    todo = "ended, and nothing but pg_hba.conf keeps them from coming again" if found else ""
    return remark("past pgbouncer", listed(found) or "nobody", "nobody but superusers", todo)


def prepared_transactions(prepared: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge prepared transactions, which hold locks without a session that could be ended: {gid, owner, seconds}."""
    found = [f"{each['gid']} of {each['owner']} for {duration(each['seconds'])}" for each in prepared]
    gids = "; ".join("ROLLBACK PREPARED '{}'".format(each["gid"].replace("'", "''")) for each in prepared)
    return finding(
        "prepared transactions", listed(found) or "none", "none", f"ask its owner, then:  {gids}", ok=not found
    )


def other_runs(sessions: Sequence[Session], holder: str) -> Finding:
    """Judge whether anybody else patches now: the sessions of a run, or the `holder` of the lock (empty: nobody)."""
    found = [f"{each['application']} (pid {each['pid']})" for each in sessions]
    found += [holder] if holder and not found else []
    return finding("other runs", listed(found) or "none", "none", "wait for it, or stop it there", ok=not found)


def synchronous_standbys(standby_names: str, present: Sequence[str], session: str) -> Finding:
    """Judge whether the commit would wait for a standby that is not there, for ever, with access closed.

    `present` are the synchronous standbys that stream, `session` is our own synchronous_commit.
    """
    match = _HOW_MANY.match(standby_names)
    needed = 0 if not standby_names.strip() else int(match[1]) if match else 1
    waits = session not in _NOT_WAITING
    found = f"{len(present)} of {needed} ({standby_names})" if needed else "none is waited for"
    todo = "start it, or:  ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()"
    expected = "as many as the commit waits for"
    return finding("synchronous standbys", found, expected, todo, ok=not waits or len(present) >= needed)


def remote_apply(
    standby_names: str,
    settings: Sequence[Mapping[str, Any]],
    session: str,
    pauses_replay: bool,  # noqa: FBT001 (a fact)
) -> Finding:
    """Judge whether a commit would wait for ever until paused standbys have applied it.

    `settings` are all settings of synchronous_commit, {role, database, value}, None for every role or database;
    `session` is our own. They have no effect as long as no standby is synchronous.
    """
    check, expected = "remote_apply", "nobody waits for the replay, which will be paused"
    if not standby_names.strip() or not pauses_replay:
        return remark(check, "nobody waits", expected, "")
    found = [each for each in settings if each["value"] == "remote_apply"]
    told = [_whose(each) for each in found]
    todo = "; ".join(_set_on(each) for each in found)
    if session == "remote_apply" and not found:
        told, todo = ["this very session"], "take it out of the options of database_dsn"
    return finding(check, listed(told) or "nobody waits", expected, todo, ok=not told)


def _whose(setting: Mapping[str, Any]) -> str:
    said = f"role {setting['role']}" if setting["role"] else ""
    said += f"{' in ' if said else ''}database {setting['database']}" if setting["database"] else ""
    return said or "the whole server"


def _set_on(setting: Mapping[str, Any]) -> str:
    role, database = setting["role"], setting["database"]
    if role:
        where = f"ROLE {role if role == 'ALL' else name(role)}" + (f" IN DATABASE {name(database)}" if database else "")
    else:
        where = f"DATABASE {name(database)}" if database else "SYSTEM"
    statement = f"ALTER {where} SET synchronous_commit = 'on'"
    return statement if role or database else f"{statement}; SELECT pg_reload_conf()"


def _by_user(sessions: Sequence[Session], users: Sequence[str]) -> dict[str, list[Session]]:
    found: dict[str, list[Session]] = {}
    for session in sessions:
        if session["user"] in users and session["backend"] == "client backend":
            found.setdefault(session["user"], []).append(session)
    return dict(sorted(found.items()))


def _names(sessions: Sequence[Session]) -> str:
    count = f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}"
    names = sorted({str(session["application"]) for session in sessions if session["application"]})
    return f"{count} of {', '.join(names)}" if names else count


def _where(sessions: Sequence[Session]) -> str:
    """Return the sessions' pids, and where clients of pgbouncer come from."""
    pids = [str(each["pid"]) for each in sessions if isinstance(each["pid"], int)]
    clients = [str(each["pid"]) for each in sessions if not isinstance(each["pid"], int)]
    more = f" and {len(pids) - LISTED_AT_MOST} more" if len(pids) > LISTED_AT_MOST else ""
    told = [f"pid{'s' if len(pids) > 1 else ''} {', '.join(pids[:LISTED_AT_MOST])}{more}"] if pids else []
    return listed([*told, *clients])
