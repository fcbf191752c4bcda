"""The answer of an outage, to Ansible and to whoever follows it: measures, rows, one line for people (R18)."""

from __future__ import annotations

from typing import Any, Sequence

from ..connection import message
from .progress import COMMITTED, LOCKED_OUT, REFUSED, ROLLED_BACK

NO_OUTAGE = {"outage_seconds": 0.0, "steps": [], "closed_at": None, "opened_at": None, "ended_sessions": 0}


def changes(before: Sequence[Any], after: Sequence[Any]) -> dict[str, Any]:
    """Return `changed` and `diff` for the rows before and after."""
    texts = ["".join("{}-{:02d}-{}\n".format(*row) for row in rows) for rows in (before, after)]
    return {"changed": len(before) != len(after), "diff": dict(zip(("before", "after"), texts))}


def failure(error: Exception) -> dict[str, Any]:
    """Return the module's result for an error."""
    known = {**NO_OUTAGE, "committed": False, "locked_out": False, "irreversible": False}
    known.update(getattr(error, "facts", {}))
    on_record = {"outage_seconds": known["outage_seconds"], "outage_steps": known["steps"]}
    return {"failed": True, "msg": message(error), "facts": on_record, **known}


def summary(measured: dict[str, Any]) -> str:
    """Return the outage in one line."""
    if not measured["steps"]:
        return "no outage: nothing was pending"
    patches = [step["seconds"] for step in measured["steps"] if step["step"].startswith("patch-")]
    parts = [
        f"outage {measured['outage_seconds']:.1f} s",
        f"{len(patches)} patches {sum(patches):.1f} s",
        f"users locked out {measured['closed_at'][11:21]}–{measured['opened_at'][11:21]}",
        f"{measured['ended_sessions']} connections ended",
    ]
    if "standby_seconds" in measured:
        late = measured["standby_seconds"]
        parts.append("STANDBY NOT CAUGHT UP" if late is None else f"standby caught up {late:.1f} s later")
    return " · ".join(parts)


def what_became(result: dict[str, Any], done: str = COMMITTED) -> str:
    """Return one word for what became of the outage; `done` is the word for success of its kind of work."""
    if result.get("locked_out"):
        return LOCKED_OUT
    if result["committed"]:
        return COMMITTED
    if not result["failed"]:
        return done
    return ROLLED_BACK if result["steps"] else REFUSED
