"""Judges what came of trying the outage's first steps (R18)."""

from __future__ import annotations

from typing import Sequence, Tuple

from .findings import Finding, finding, listed

Step = Tuple[str, "str | None", str]
_READ_ONLY, _NO_LOCK = "25006", "55P03"


def trial(steps: Sequence[Step]) -> Finding:
    """Judge the steps that were tried and rolled back: [(what, its error or None, its SQLSTATE or "")]."""
    failed = [(what, error, state) for what, error, state in steps if error is not None]
    told = [f"{what}: {error}" for what, error, _ in failed]
    todo = "\n".join(dict.fromkeys(_do(state) for _, _, state in failed))
    done = f"{', '.join(what for what, _, _ in steps)}: done, and rolled back"
    return finding("trial", listed(told) or done, "can be done", todo, ok=not told)


def _do(state: str) -> str:
    if state == _READ_ONLY:
        return "see `settings` and `server`: whatever makes it read-only"
    if state == _NO_LOCK:
        return "see who holds the lock:  SELECT pid, query FROM pg_stat_activity WHERE xact_start IS NOT NULL"
    return "mend what PostgreSQL says: the outage would hear the same"
