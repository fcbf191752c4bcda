"""Judges who holds locks on what the patches touch, and is not ended when access closes (R18)."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .findings import Finding, duration, finding, listed, name, remark

_EXPECTED = "nobody who stays when access is closed"


def lock_holders(holders: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge sessions that stay when access is closed, and hold locks on tables that a pending patch mentions.

    They are {pid, backend, user, application, subscription, seconds, tables}: `backend` is PostgreSQL's backend_type,
    `subscription` the one for which a worker applies changes (None: none), `seconds` the age of the transaction.
    """
    told = [
        f"{each['backend']} {_whose(each)} (pid {each['pid']}) holds {', '.join(each['tables'])} "
        f"for {duration(each['seconds'])}"
        for each in holders
    ]
    todo = "\n".join(dict.fromkeys(_end(each) for each in holders))
    return finding("lock holders", listed(told) or "none", _EXPECTED, todo, ok=not told)


def subscriptions(appliers: Sequence[Mapping[str, Any]]) -> Finding:
    """Report subscriptions whose workers write to tables that a pending patch mentions: {name, tables}.

    Closed access does not stop them, and one that was ended comes again. A patch waits for the transaction that they
    are in, which is short as a rule.
    """
    told = [f"{each['name']} writes to {', '.join(each['tables'])}" for each in appliers]
    disable = "; ".join(f"ALTER SUBSCRIPTION {name(each['name'])} DISABLE" for each in appliers)
    todo = f"the outage does not stop it; to be sure, before GO:  {disable}  (and ENABLE afterwards)" if told else ""
    return remark("subscriptions", listed(told) or "none", "none that writes to what the patches touch", todo)


def _whose(holder: Mapping[str, Any]) -> str:
    if holder["subscription"]:
        return f"of subscription {holder['subscription']}"
    return f"of {holder['user'] or 'no user'} ({holder['application'] or 'no name'})"


def _end(holder: Mapping[str, Any]) -> str:
    if holder["subscription"]:
        return f"ALTER SUBSCRIPTION {name(holder['subscription'])} DISABLE, and ENABLE once the outage is over"
    end = f"SELECT pg_terminate_backend({holder['pid']})"
    if holder["backend"] == "client backend":
        return f"ask its owner to end it, or end it:  {end}"
    return f"stop it where it is configured, for it may be started again; then:  {end}"
