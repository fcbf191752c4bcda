"""The preflight's checks of what the outage's sessions begin with: settings, event triggers (R18)."""

from __future__ import annotations

from ...rollout_core.preflight import settings as judge
from ...rollout_core.preflight.findings import Finding
from .base import Inspection

_SETTINGS = "SELECT name, setting, source FROM pg_settings WHERE name = ANY (%(names)s)"
# `current_schema` may be one of the user's own, which the search path has before public.
_SCHEMAS = """
    SELECT current_schema()::text AS made_in, (
        SELECT nspname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = to_regclass('LaunchpadDatabaseRevision')) AS rows_in"""
_EVENT_TRIGGERS = """
    SELECT evtname AS name, evtevent AS event, evtfoid::regproc::text AS function FROM pg_event_trigger
    WHERE evtenabled IN ('O', 'A') ORDER BY evtname"""


def settings(inspection: Inspection) -> list[Finding]:
    """Check the settings that our own session has: the outage's are made in the same way."""
    found = inspection.rows(_SETTINGS, names=[*judge.RULES, "search_path"])
    user, database = inspection.connection.info.user, inspection.connection.info.dbname
    return judge.settings(found, user=user, database=database, **inspection.rows(_SCHEMAS)[0])


def event_triggers(inspection: Inspection) -> list[Finding]:
    """Check which event triggers a patch would fire."""
    return [judge.event_triggers(inspection.rows(_EVENT_TRIGGERS))]
