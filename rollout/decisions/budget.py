"""`./runbook.py budget`: tells whether the last restore of staging, by its logs, fits production's window (R2, R9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import SchemaValidator
from pydantic_core import core_schema as schema

from plugins.module_utils.rollout_core.merge import selection
from plugins.module_utils.rollout_core.schema import budget as budgets
from plugins.module_utils.rollout_core.schema import patches
from rollout import documents
from rollout import inventory as inventories
from rollout.outcomes import BadInputError


def rule(
    inventory: Path, factor: float | None, plus_minutes: float | None, window_minutes: float | None
) -> budgets.Budget:
    """Return the budget's numbers: the inventory's, or those given instead. Raises BadInputError."""
    policy = inventories.policy(inventory)
    return budgets.Budget(
        policy.window_minutes if window_minutes is None else window_minutes,
        policy.database_time.factor if factor is None else factor,
        policy.database_time.plus_minutes if plus_minutes is None else plus_minutes,
    )


def judge(logs: Sequence[Path], rule: budgets.Budget, pending: patches.Pending | None) -> dict[str, Any]:
    """The answer, as `budget --json` prints it: times in seconds. Raises BadInputError when no log tells a time, and
    when the last restore has lines of timings that cannot be read.

    `pending`, where it is known, is what production has to apply: nothing else counts, and what of it has no time is
    named, and then it does not fit.
    """
    try:
        log, restore = budgets.last_of({str(path): _text(path) for path in logs})
    except budgets.NoTimings as error:
        raise BadInputError(f"E-no-timings  {error}.\n  {error.then}") from error
    wanted = None if pending is None else [str(patch) for patch in pending.patches]
    counted = {name: seconds for name, seconds in restore.seconds.items() if wanted is None or name in wanted}
    estimate = rule.estimate(counted.values())
    untimed = None if wanted is None else [name for name in wanted if name not in counted]
    return {
        "log": log,
        "line": restore.line,
        "at": restore.at.isoformat() if restore.at else None,
        "patches": counted,
        "aggregate": round(sum(counted.values()), 3),
        "estimate": estimate,
        "window": round(rule.window_minutes * 60, 3),
        "factor": rule.factor,
        "plus_minutes": rule.plus_minutes,
        "fits": rule.fits(estimate) and not untimed,
        "untimed": untimed,
        "not_pending": None if wanted is None else [name for name in restore.seconds if name not in wanted],
        "misnamed": None if pending is None else pending.misnamed,
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the answer as lines for a person."""
    rule = budgets.Budget(found["window"] / 60, found["factor"], found["plus_minutes"])
    schema = selection.Schema(tuple(found["patches"]), found["patches"], found["estimate"], (), rule)
    told = [f"{schema.summary}: {'fits' if found['fits'] else 'does not fit'}"]
    told += [
        f"  {name}: no staging timing, so nobody knows: restore staging with it" for name in found["untimed"] or ()
    ]
    told += [f"  {seconds:8.1f} s  {name}" for name, seconds in found["patches"].items()]
    told += [f"  {name} is not pending on production: not counted" for name in found["not_pending"] or ()]
    told += [f"  {name} is outside {patches.PATTERN}: nobody will ever apply it" for name in found["misnamed"] or ()]
    return [*told, f"The last restore: {found['log']}:{found['line']}, {found['at'] or 'without a date'}"]


def read_pending(directory: Path, applied: Path) -> patches.Pending:
    """Return the patches that production has to apply: the directory's, without those applied. Raises BadInputError."""
    names = [path.name for path in directory.iterdir() if path.suffix.lower() == ".sql"]
    if not names:
        raise BadInputError(f"E-no-schema-directory  {directory} holds no SQL file; expected {patches.PATTERN}.")
    number = schema.int_schema(strict=True, ge=0)
    row = schema.tuple_schema([number, number, number])
    rows: list[tuple[int, int, int]] = documents.checked(
        applied, SchemaValidator(schema.list_schema(row)).validate_python
    )
    return patches.pending(names, rows)


def _text(path: Path) -> str:
    """Return a log's text; bytes that are no UTF-8 are replaced, not refused."""
    return documents.read_text(path, errors="replace")
