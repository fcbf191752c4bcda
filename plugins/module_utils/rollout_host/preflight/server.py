"""The preflight's checks of the primary: settings, sessions, locks, what a commit would wait for (R18)."""

from __future__ import annotations

from typing import Iterator

from ...rollout_core.preflight import database as judge
from ...rollout_core.preflight.findings import Finding
from .access import clients
from .base import Inspection, host_of

_SERVER = """
    SELECT rolname AS user, rolsuper AS superuser, pg_is_in_recovery() AS recovering,
        current_setting('server_version_num')::int AS version
    FROM pg_roles WHERE rolname = current_user"""
_LOCKS = """
    SELECT current_setting('max_locks_per_transaction')::int AS per_transaction,
        current_setting('max_connections')::int AS connections,
        current_setting('max_prepared_transactions')::int AS prepared,
        (SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'i', 'I', 'S', 't', 'v', 'm', 'f'))
            AS relations"""
_SESSIONS = """
    SELECT coalesce(usename, '') AS user, coalesce(application_name, '') AS application, pid, backend_type AS backend,
        extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds, coalesce(query, '') AS query
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type <> 'parallel worker' AND pid <> pg_backend_pid()
    ORDER BY backend_start"""
_SUPERUSERS = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY rolname"
_PREPARED = """
    SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float AS seconds
    FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared"""
_SYNCHRONOUS = (
    "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')"
)
_SYNCHRONOUS_COMMIT = """
    SELECT CASE WHEN setrole = 0 AND setdatabase = 0 THEN 'ALL' ELSE rolname END AS role, datname AS database,
        lower(split_part(config, '=', 2)) AS value
    FROM pg_db_role_setting CROSS JOIN unnest(setconfig) AS config
        LEFT JOIN pg_roles ON pg_roles.oid = setrole LEFT JOIN pg_database ON pg_database.oid = setdatabase
    WHERE config LIKE 'synchronous_commit=%' AND (setdatabase = 0 OR datname = current_database())
    UNION ALL (
        SELECT NULL, NULL, lower(setting) FROM pg_file_settings WHERE name = 'synchronous_commit' AND applied
        ORDER BY seqno DESC LIMIT 1)"""


def server(inspection: Inspection) -> list[Finding]:
    """Check that we are connected to the primary, as a superuser."""
    facts = inspection.rows(_SERVER)[0]
    return [judge.server(host=host_of(inspection.params["dsn"]), **facts)]


def reserved_connections(inspection: Inspection) -> list[Finding]:
    """Check that the outage gets its own connections."""
    return [judge.reserved_connections(int(_setting(inspection, "superuser_reserved_connections")))]


def locks(inspection: Inspection) -> list[Finding]:
    """Check that one transaction can lock everything."""
    return [judge.locks(**inspection.rows(_LOCKS)[0])]


def sessions(inspection: Inspection) -> Iterator[Finding]:
    """Check who is connected, and for how long in one transaction."""
    params, connected = inspection.params, inspection.rows(_SESSIONS)
    bad = [each["user"] for each in params["bad_users"]]
    yield judge.transactions(connected, params["max_transaction_seconds"], bad)
    through_pools, pooled = clients(params["pools"])
    direct = [session for session in connected if session["pid"] not in pooled]
    users, system = direct + through_pools, params["system_users"]
    yield judge.fragile_users(users, params["fragile_users"], system)
    yield judge.bad_users(users, params["bad_users"], system)
    roles = [row["rolname"] for row in inspection.rows(_SUPERUSERS)]
    yield judge.superusers(users, roles, inspection.connection.info.user, system, params["application_users"])
    if params["pools"]:
        yield judge.past_the_pooler(direct, roles)


def prepared_transactions(inspection: Inspection) -> list[Finding]:
    """Check that no transaction is prepared and not committed."""
    return [judge.prepared_transactions(inspection.rows(_PREPARED))]


def commit(inspection: Inspection) -> list[Finding]:
    """Check that the commit would not wait for a missing standby, nor for a paused replay."""
    names, session = _setting(inspection, "synchronous_standby_names"), _setting(inspection, "synchronous_commit")
    present = [row["application_name"] for row in inspection.rows(_SYNCHRONOUS)]
    settings, pauses = inspection.rows(_SYNCHRONOUS_COMMIT), bool(inspection.params["standbys"])
    return [
        judge.synchronous_standbys(names, present, session),
        judge.remote_apply(names, settings, session, pauses),
    ]


def _setting(inspection: Inspection, name: str) -> str:
    return str(inspection.rows("SELECT current_setting(%(name)s) AS value", name=name)[0]["value"])
