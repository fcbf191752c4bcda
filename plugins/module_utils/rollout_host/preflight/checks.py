"""Every check of the preflight, in the order in which people read them (R18)."""

from __future__ import annotations

from typing import Any, Mapping

from ...rollout_core.preflight.findings import Finding
from ..database.connection import RolloutError
from . import access as access
from . import host, lock_holders, patches, server, settings, standbys, trial
from .base import Check, Inspection, asking, findings_of, not_made

# Name, for when it cannot be made, and check. A check makes one finding or several.
CHECKS: list[tuple[str, Check]] = [
    ("server", server.server),
    ("settings", settings.settings),
    ("event triggers", settings.event_triggers),
    ("access", access.access_is_open),
    ("other runs", access.other_runs),
    ("patches", patches.patches),
    ("roles", patches.roles),
    ("permissions", patches.permissions),
    ("standbys", standbys.standbys),
    ("trial", trial.trial),  # after the standbys: it writes, and a quiet primary's standbys are asked how late they are
    ("sessions", server.sessions),
    ("lock holders", lock_holders.lock_holders),
    ("prepared transactions", server.prepared_transactions),
    ("commit", server.commit),
    ("reserved connections", server.reserved_connections),
    ("locks", server.locks),
    ("disk", host.disk),
    ("backup", host.backups),
]
WITHOUT_A_CONNECTION: list[tuple[str, Check]] = [
    ("scripts", patches.scripts),
    ("state directory", host.state),
    ("clock", host.clock),
]


def look(params: Mapping[str, Any], *, bring_worker: bool) -> tuple[list[Finding], float | None]:
    """Make every check, or without a connection to the primary those that need none; return findings and lag.

    The lag, in seconds, is that of the standby that is furthest behind (None: nobody knows).
    """
    inspection = Inspection(params, bring_worker)
    on_host = findings_of(WITHOUT_A_CONNECTION, inspection)
    try:
        inspection.connection = asking(params["dsn"])
    except RolloutError as error:
        return [not_made("server", error), *on_host], None
    with inspection.connection:
        return findings_of(CHECKS, inspection) + on_host, inspection.lag
