#!/usr/bin/python
"""Open a database's gate that a killed outage left closed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_gate
short_description: Open a database to users again after an outage that was killed
description:
  - When an outage of ours was killed while the gate was closed, ends what is left of it and puts back the connection
    limit that it had saved. An open gate is left alone; so is one that somebody else closed, which is a failure (R18).
  - Refuses while an outage is running. Needs psycopg 3 on the host and PostgreSQL 14 or later.
options:
  dsn:
    description: libpq conninfo of the database as a superuser, without a password.
    type: str
    required: true
  state_directory:
    description: Directory on the host with the saved connection limit.
    type: path
    default: ~/.rollout
attributes:
  check_mode:
    description: Looks, and opens nothing.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Open the gate
  database_gate:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
"""

RETURN = r"""
was:
  description: C(open) or C(left closed).
  returned: success
  type: str
left_by:
  description: Id of the rollout whose outage was killed; null when the gate was open.
  returned: success
  type: str
ended_sessions:
  description: Sessions of the killed outage that were still there.
  returned: success
  type: int
locked_out:
  description: The gate is still closed. The message holds the command that opens it.
  returned: on failure
  type: bool
"""

from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rollout_database import (
    PSYCOPG_IMPORT_ERROR,
    RolloutError,
    connect,
    message,
    require_primary,
    take_lock,
)
from ansible.module_utils.rollout_gate import Gate

with suppress(ImportError):  # PSYCOPG_IMPORT_ERROR says so
    import psycopg

ARGUMENTS = {"dsn": {"type": "str", "required": True}, "state_directory": {"type": "path", "default": "~/.rollout"}}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Open the gate if it is ours and closed; returns the module's answer. Raises RolloutError."""
    dsn = module.params["dsn"]
    connection = connect(dsn, "gate")
    require_primary(connection)
    gate = Gate(connection, dsn, module.params["state_directory"])
    if module.check_mode:
        left = gate.refuse_if_closed_by_someone_else()
        return {"changed": bool(left), "was": gate.state()[0], "left_by": left and left["run_id"], "ended_sessions": 0}
    take_lock(connection)
    ended = gate.end_orphans([])
    with gate.taken_over() as left_by:
        was = gate.state()[0]
    return {"changed": bool(left_by or ended), "was": was, "left_by": left_by, "ended_sessions": ended}


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
    try:
        answer = run(module)
    except (RolloutError, psycopg.Error, OSError) as error:
        module.fail_json(msg=message(error), **{"locked_out": False, **getattr(error, "facts", {})})
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
