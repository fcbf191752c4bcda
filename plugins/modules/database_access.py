#!/usr/bin/python
"""Open what a killed outage left closed: access to its database, and the replay of its standbys."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_access
short_description: Open a database to users again after an outage that was killed
description:
  - If an outage of ours was killed while access was closed, ends what is left of it and restores what it saved, the
    connection limit or the state of the pools (R18).
  - Leaves open access alone. Fails if somebody else closed access, and leaves that alone too.
  - Then lets the standbys catch up whose replay an outage of ours paused, one after the other. Leaves a replay alone
    that somebody else paused.
  - Refuses to run while an outage is running.
options:
  standbys:
    description: All streaming standbys of the database. A pause is reported, not ended, on a standby where it is not
      ours.
attributes:
  check_mode:
    description: Looks, and opens nothing.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.access
  - downtime.runbook.database.standbys
  - downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Open access
  downtime.runbook.database_access:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    pools: [{console: host=127.0.0.1 port=6432 user=losa dbname=pgbouncer, database: launchpad_prod}]
"""

RETURN = r"""
was:
  description: How access was found, C(open) or C(left closed).
  returned: success
  type: str
left_by:
  description: Id of the run whose outage was killed with access closed; null when access was open.
  returned: success
  type: str
paused_by:
  description: Id of the run whose outage left the replay of standbys paused; null when no replay was.
  returned: success
  type: str
ended_sessions:
  description: How many sessions of the killed outage were still there.
  returned: success
  type: int
standbys:
  description:
    - The standbys whose replay was resumed, in order; empty in check mode.
    - C(seconds) is how long the standby took to catch up, null if it has not. C(remark) is what people should know
      about it, or null.
  returned: success
  type: list
  elements: dict
  sample: [{standby: 10.0.0.2, seconds: 0.2, remark: null}]
summary:
  description: One line for people.
  returned: success
  type: str
  sample: access was open · standby 10.0.0.2 has caught up in 0.2 s
locked_out:
  description: Whether access is still closed. The message holds the command that opens it.
  returned: on failure
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.database.access.base import Access
from ..module_utils.rollout_host.database.access.postgres import access as access_of
from ..module_utils.rollout_host.database.arguments import ACCESS, DATABASE, STANDBYS, check_connections
from ..module_utils.rollout_host.database.connection import (
    RolloutError,
    connect,
    message,
    require_primary,
    take_lock,
)
from ..module_utils.rollout_host.database.driver import psycopg
from ..module_utils.rollout_host.database.standbys import left_paused, resume_replay, standbys_of

ARGUMENTS = {
    **DATABASE,
    **ACCESS,
    **STANDBYS,
}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Open access if it is ours and closed, resume replay; returns the module's answer. Raises RolloutError."""
    params = module.params
    connection = connect(params["dsn"], "access")
    require_primary(connection)
    access = access_of(connection, params["dsn"], params["state_directory"], params["pools"])
    paused = left_paused(params["state_directory"], access.database)
    paused_by = paused["run_id"] if paused else None
    if module.check_mode:
        left = access.refuse_if_closed_by_someone_else()
        ended, left_by, was, standbys = 0, left["run_id"] if left else None, access.state()[0], []
    else:
        take_lock(connection)
        ended = access.end_orphans([])
        with access.taken_over() as left_by:
            was = access.state()[0]
        standbys = resumed(params, access)
    return {
        "changed": bool(left_by or ended or paused_by),
        "was": was,
        "left_by": left_by,
        "paused_by": paused_by,
        "ended_sessions": ended,
        "standbys": standbys,
        "summary": summary(left_by, paused, standbys, check=module.check_mode),
    }


def resumed(params: dict[str, Any], access: Access) -> list[dict[str, Any]]:
    """Let the standbys that we have paused catch up. Raises RolloutError `E-standby-left` if one is not as before."""
    where = params["state_directory"], access.database
    standbys = resume_replay(standbys_of(params), access.connection, *where)
    still = left_paused(*where)
    if still:
        remarks = "; ".join(f"{one['standby']}: {one['remark']}" for one in standbys if one["remark"])
        raise RolloutError(
            f"E-standby-left  access to {access.database} is open, but a standby is not as before the outage of "
            f"{still['run_id']}: {remarks}.\nThen: mend that, and run playbooks/outage_undo.yml again"
        )
    return standbys


def summary(left_by: str | None, paused: dict[str, Any] | None, standbys: list[dict[str, Any]], *, check: bool) -> str:
    """Return in one line what was left, and what became of it."""
    opened = "would open" if check else "opened"
    parts = [f"{opened} access that {left_by} had left closed" if left_by else "access was open"]
    if check and paused:
        count = len(paused["standbys"])
        parts.append(f"would resume the replay of {count} standbys that {paused['run_id']} had paused")
    for one in standbys:
        caught_up = "has not caught up" if one["seconds"] is None else f"has caught up in {one['seconds']:.1f} s"
        remark = f" ({one['remark']})" if one["remark"] else ""
        parts.append(f"standby {one['standby']} {caught_up}{remark}")
    return " · ".join(parts)


def main() -> None:
    """Read the arguments, open what was left closed, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    try:
        answer = run(module)
    except (RolloutError, psycopg.Error, OSError) as error:
        module.fail_json(msg=message(error), **{"locked_out": False, **getattr(error, "facts", {})})
    for standby in answer["standbys"]:
        if standby["remark"]:
            module.warn(f"standby {standby['standby']}: {standby['remark']}")
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
