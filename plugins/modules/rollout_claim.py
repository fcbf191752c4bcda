#!/usr/bin/python
"""Claim a service for one rollout on its database host, or see whose it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_claim
short_description: Claim a service for one rollout, or see whose it is
description:
  - Of each service, one rollout is open at a time, whatever control machine it is conducted from. The claim says which.
    It is a record in C(claims.json) in the state directory of the database host.
  - Fails with C(claim_lost=true), naming the other rollout, when that one has the service or its database.
  - The claim knows how far the rollout's journal had come when it was last heard of. Fails with C(journal_lost=true)
    when that is not in the journal any more, because its end was edited or cut off.
options:
  state:
    description:
      - C(claimed) takes the service, unless another rollout has it.
      - C(checked) fails unless this rollout has it. Check mode lets pass that nobody has.
      - C(free) fails only if another rollout has it, and changes nothing. It warns when that is not known.
      - C(ended) ends this rollout's claim. A claim of another rollout stays as it is.
    type: str
    choices: [claimed, checked, free, ended]
    default: checked
  rollout:
    description: Id of the rollout's plan.
    type: str
    required: true
  service:
    description: Name of the service.
    type: str
    required: true
  database:
    description: libpq conninfo of the database, without a password. Who has it has the service, by whatever name.
    type: str
    default: ""
  journal:
    description: Path of the rollout's journal on the control machine. It need not be there.
    type: path
    required: true
  checkout:
    description: The runbook's directory on the control machine.
    type: str
    required: true
  run:
    description: Id of the run that asks.
    type: str
    default: ""
  outcome:
    description: With C(state=ended), how the rollout ended.
    type: str
    choices: [aborted, backed_out, done, dropped]
    default: done
  take_over_from:
    description:
      - With C(state=claimed), id of the rollout whose claim is taken over, because nothing of it is at work any more.
      - With the id of this rollout, its journal counts as it is now.
    type: str
    default: ""
  reason:
    description: Why it is taken over.
    type: str
    default: ""
  closed:
    description: Journals of rollouts that are over, by the SHA-256 of their first lines. Their claims count as ended.
    type: list
    elements: str
    default: []
  control:
    description: What the control machine says of itself. The action plugin of the same name fills it in.
    type: dict
    default: {}
    suboptions:
      by:
        description: Who conducts the rollout.
        type: str
        default: ""
      machine:
        description: Name of the control machine.
        type: str
        default: ""
      heads:
        description: The SHA-256 of each line of O(journal), in order.
        type: list
        elements: str
        default: []
  state_directory:
    description: Directory on the database host for what a rollout keeps there.
    type: path
    default: ~/.rollout
attributes:
  check_mode:
    description: Says whether it would fail, and changes nothing.
    support: full
  diff_mode:
    description: Shows the change of the claims.
    support: full
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Claim the service
  downtime.runbook.rollout_claim:
    state: claimed
    rollout: 2026-12
    service: launchpad
    database: host=wildcherry user=postgres dbname=launchpad_prod
    journal: var/rollouts/2026-12/journal.jsonl
    checkout: /home/losa/runbook
  delegate_to: wildcherry
  run_once: true
"""

RETURN = r"""
claim:
  description: This rollout's claim as it is now; empty when it has none.
  returned: always
  type: dict
  sample: {rollout: 2026-12, service: launchpad, by: stub, since: "2026-11-25T08:00:00+00:00", state: open}
other:
  description: The open claim of another rollout, which was taken over; empty without one.
  returned: always
  type: dict
claimed:
  description: True when the claim was made by this call.
  returned: always
  type: bool
claim_lost:
  description: True when another rollout has the service.
  returned: on failure
  type: bool
claim_unknown:
  description: True when nobody knows whose the service is. The host does not answer, or its claims cannot be read.
  returned: when it is so
  type: bool
journal_lost:
  description: True when the journal lacks what the claim knows of it.
  returned: on failure
  type: bool
"""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.journal import claims as core
from ..module_utils.rollout_host.site import claims

ARGUMENTS = {
    "state": {"type": "str", "choices": ["claimed", "checked", "free", "ended"], "default": "checked"},
    "rollout": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "database": {"type": "str", "default": ""},
    "journal": {"type": "path", "required": True},
    "checkout": {"type": "str", "required": True},
    "run": {"type": "str", "default": ""},
    "outcome": {"type": "str", "choices": list(core.ENDS), "default": "done"},
    "take_over_from": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "closed": {"type": "list", "elements": "str", "default": []},
    "control": {
        "type": "dict",
        "default": {},
        "options": {
            "by": {"type": "str", "default": ""},
            "machine": {"type": "str", "default": ""},
            "heads": {"type": "list", "elements": "str", "default": []},
        },
    },
    "state_directory": {"type": "path", "default": "~/.rollout"},
}


def claimant_of(params: Mapping[str, Any]) -> core.Claimant:
    """Return who asks."""
    control = params["control"]
    return core.Claimant(
        rollout=params["rollout"],
        service=params["service"],
        database=params["database"],
        by=control.get("by") or "",
        machine=control.get("machine") or "",
        checkout=params["checkout"],
        journal=params["journal"],
        heads=control.get("heads") or [],
        run=params["run"],
    )


def settle(params: Mapping[str, Any], records: claims.Records, now: str, *, check_mode: bool) -> core.Claims:
    """Return the claims as they are to be afterwards; `now` is ISO 8601 in UTC. Raises core.Refused."""
    found = core.seen(records, claimant_of(params), params["closed"])
    state = params["state"]
    if state == "claimed":
        return core.taken(found, now, core.TakeOver(params["take_over_from"], params["reason"]))
    if state == "ended":
        return core.ended(found, now, params["outcome"])
    if state == "free" or (check_mode and not core.is_open(found.own)):
        return core.free(found)
    return core.checked(found, now)


def run(params: Mapping[str, Any], now: str, warn: Callable[[str], object], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's answer. Raises core.Refused and ClaimsError.

    A host that can be read only lets work go on that has begun: then `warn` is told.
    """
    directory = Path(params["state_directory"])
    if check_mode or params["state"] == "free":
        before = claims.read(directory)
        return told(before, settle(params, before, now, check_mode=check_mode))
    try:
        with claims.locked(directory):
            before = claims.read(directory)
            found = settle(params, before, now, check_mode=False)
            if found.records != before:
                claims.write(directory, found.records)
    except claims.UnwritableError as error:
        if params["state"] != "checked":
            raise
        warn(str(error))
        before = claims.read(directory)
        settle(params, before, now, check_mode=False)
        return told(before, core.seen(before, claimant_of(params)))
    return told(before, found)


def told(before: claims.Records, found: core.Claims) -> dict[str, Any]:
    """Return what is so now, as the module returns it."""
    shown = [json.dumps(list(records), indent=1, sort_keys=True) + "\n" for records in (before, found.records)]
    return {
        "changed": shown[0] != shown[1],
        "claim": dict(found.own or {}),
        "other": dict(found.other or {}),
        "claimed": found.claimed,
        "diff": {"before": shown[0], "after": shown[1]},
    }


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        module.exit_json(**run(module.params, now, module.warn, check_mode=module.check_mode))
    except core.Refused as refused:
        module.fail_json(msg=str(refused), claim_lost=refused.claim_lost, journal_lost=refused.journal_lost)
    except claims.ClaimsError as error:
        if module.params["state"] == "free":  # what takes something back goes on
            module.exit_json(
                changed=False, claim={}, other={}, claimed=False, claim_unknown=True, warnings=[str(error)]
            )
        module.fail_json(msg=str(error), claim_unknown=True)


if __name__ == "__main__":
    main()
