"""Tells faults of the database server from faults of a patch (R17, R18)."""

from __future__ import annotations

# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_REMEDIES = {
    "08": "see in the server's log why the connection was lost",
    "25P04": "find out why it took so long: transaction_timeout ended it",
    "53100": "make room on the server's disk",
    "53": "give the server what it has run out of",
    "57014": "find out what cancelled it: a timeout of the role or the database, or a person",
    "57": "see in the server's log who ended its session, or stopped the server",
    "58": "mend what the server's log says",
    "XX": "mend what the server's log says",
}


def remedy(sqlstate: str | None) -> str | None:
    """Return what to do about an error that is none of the patch's; None if the patch is to blame.

    Without a SQLSTATE the server said nothing any more: the connection was lost.
    """
    state = sqlstate or "08"
    return _REMEDIES.get(state) or _REMEDIES.get(state[:2])
