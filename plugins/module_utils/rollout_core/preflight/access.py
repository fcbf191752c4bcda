"""Judges access before an outage: it is open, and ours to close and open (R18)."""

from __future__ import annotations

from .findings import UNDO, Finding, finding

NOT_ADMIN, PAUSED = "not admin", "paused"  # why a pgbouncer takes no command (database/access/console.py)


def access(state: str, opening_command: str) -> Finding:
    """Judge whether users can connect now: nobody has left access closed."""
    todo = f"ask who closed it, then:  {opening_command}" if state == "closed by someone else" else UNDO
    return finding("access", state, "open", todo, ok=state == "open")


def pool(
    name: str, state: str, opening_command: str, left_by: str | None, refusal: str | None, resuming_command: str
) -> Finding:
    """Judge a pool in pgbouncer, by its state in words: it must be open, and we must be allowed to close and open it.

    `left_by` is the killed run of ours that left it in this state, None if there is none. `refusal` is why its
    pgbouncer would take no command of ours, None if it would.
    """
    wrong, todo = [], []
    if state != "open":
        wrong.append(f"{name} is {state}")
        todo.append(UNDO if left_by else f"ask who switched it off, then:  {opening_command}")
    if refusal == NOT_ADMIN:
        wrong.append(f"our user may not switch {name}")
        todo.append("add our user to admin_users in pgbouncer.ini, and RELOAD")
    if refusal == PAUSED:
        wrong.append(f"all of that pgbouncer is paused or suspended, {name} with it")
        todo.append(f"ask who paused it, then:  {resuming_command}")
    found, expected = "; ".join(wrong) or f"{name} is open", "open, and ours to switch"
    return finding("pgbouncer", found, expected, "\n".join(todo), ok=not wrong)
