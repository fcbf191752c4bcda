"""The preflight's checks of locks on what the patches touch, held by whoever stays when access is closed (R18)."""

from __future__ import annotations

import time
from typing import Any, Iterator, Mapping, Sequence

from ...rollout_core.preflight import lock_holders as judge
from ...rollout_core.preflight.findings import Finding
from ...rollout_core.preflight.mentions import mentions
from .base import Inspection
from .patches import pending

_STAYS_SECONDS = 1.0  # who holds its locks for longer is told
# Closing access ends users' sessions and no others. A parallel worker goes with its leader; an autovacuum gives way.
_HOLDERS = """
    SELECT pid, backend_type AS backend, coalesce(usename, '') AS user, coalesce(application_name, '') AS application,
        (SELECT min(subname)::text FROM pg_stat_subscription AS applier WHERE applier.pid = activity.pid)
            AS subscription,
        xact_start, extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds,
        array_agg(DISTINCT relname::text) AS tables
    FROM pg_locks JOIN pg_stat_activity AS activity USING (pid) JOIN pg_class ON pg_class.oid = relation
        LEFT JOIN pg_roles ON pg_roles.oid = usesysid
    WHERE locktype = 'relation' AND granted AND pid <> pg_backend_pid() AND relation >= 16384
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND lower(relname) = ANY (%(words)s) AND backend_type NOT IN ('autovacuum worker', 'parallel worker')
        AND NOT (backend_type = 'client backend' AND NOT rolsuper)
    GROUP BY 1, 2, 3, 4, 5, xact_start ORDER BY xact_start"""
_APPLIERS = """
    SELECT subname::text AS name, array_agg(DISTINCT relname::text) AS tables
    FROM pg_subscription JOIN pg_subscription_rel ON srsubid = pg_subscription.oid
        JOIN pg_class ON pg_class.oid = srrelid
    WHERE subenabled AND lower(relname) = ANY (%(words)s) GROUP BY 1 ORDER BY 1"""


def lock_holders(inspection: Inspection) -> Iterator[Finding]:
    """Check that nobody who stays when access is closed holds locks on what the pending patches touch."""
    touched = sorted(mentions(patch.text for patch in pending(inspection)).words)
    if not touched:
        return
    yield judge.lock_holders(_holding(inspection, touched))
    yield judge.subscriptions(inspection.rows(_APPLIERS, words=touched))


def _holding(inspection: Inspection, words: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return who holds locks on tables of these names, now and a moment later, in the same transaction."""
    first = inspection.rows(_HOLDERS, words=words)
    if not first:
        return []
    time.sleep(_STAYS_SECONDS)
    then = {(each["pid"], each["xact_start"]) for each in first}
    return [each for each in inspection.rows(_HOLDERS, words=words) if (each["pid"], each["xact_start"]) in then]
