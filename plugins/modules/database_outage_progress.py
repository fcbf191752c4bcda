#!/usr/bin/python
"""Look how far a detached outage is; once it has ended, return its answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_outage_progress
short_description: Look how far a detached outage is, and return its result at the end
description:
  - Takes one look at an outage that M(downtime.runbook.database_outage) started with C(detach). Call it with C(until).
  - A look ends when the outage ends, when its next step begins (but after a second at least), or after O(wait_seconds).
    C(finished) says whether the outage has ended.
  - Returns a finished outage's result as it is, success or failure.
  - If the outage's process is gone without a result, fails and says what the database says (R18, R19).
  - Changes nothing. Needs Linux, because it reads /proc.
options:
  answer_file:
    description: The file in which the outage keeps its result, as the task that started it returned it.
    type: path
    required: true
  dsn:
    description: libpq conninfo of the database as a superuser, without a password. It is used only if there is no
      result.
  run_id:
    description: Id of the run that the outage was started with.
    type: str
    required: true
  wait_seconds:
    description: How long to wait for something new.
    type: float
    default: 2
attributes:
  check_mode:
    description: Does the same as always, because it changes nothing.
    support: full
  diff_mode:
    description: Returns the outage's own differences.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.access
  - downtime.runbook.database.pinned
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Wait for the outage to end
  downtime.runbook.database_outage_progress:
    answer_file: ~/.rollout/answer-x1y2z3.json
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
    run_id: 2026-12/0007-outage-1
  register: outage
  until: outage.finished
  retries: 5400
  delay: 0
"""

RETURN = r"""
finished:
  description: Whether the outage has ended. If so, everything that C(database_outage) returns is returned too.
  returned: always
  type: bool
progress:
  description: The step that runs now, and for how many seconds already; null before the first step and after the last.
  returned: while the outage runs
  type: dict
  sample: {step: patch-2208-56-0.sql, running_seconds: 122.4}
answer:
  description:
    - C(committed), C(rolled_back), C(locked_out) or C(refused); null until that is certain.
    - It is certain once users are in again, even if standbys are still waited for.
  returned: while the outage runs
  type: str
committed:
  description: As C(database_outage) returns it. Null when the outage's process is gone and its session still works.
  returned: when the outage has ended
  type: bool
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.database.arguments import ACCESS, DATABASE, PINNED, check_connections
from ..module_utils.rollout_host.database.connection import RolloutError
from ..module_utils.rollout_host.database.conninfo import database_name
from ..module_utils.rollout_host.database.driver import psycopg
from ..module_utils.rollout_host.database.outage.detached import result as kept_result
from ..module_utils.rollout_host.database.outage.progress import read, running
from ..module_utils.rollout_host.database.outage.remains import Remains, lost, silent
from ..module_utils.rollout_host.services.processes import marked

ARGUMENTS = {
    **DATABASE,
    **ACCESS,
    **PINNED,
    "answer_file": {"type": "path", "required": True},
    "run_id": {"type": "str", "required": True},
    "wait_seconds": {"type": "float", "default": 2},
}
LOOK_SECONDS = 0.02
SETTLES = 1.0  # looks must not take the host from the patches they look at
SESSION_SECONDS = 3.0  # the server notices within one that a client has died


def look(params: dict[str, Any]) -> dict[str, Any]:
    """Wait for something new; return the outage's result with `finished`, or how far it is."""
    where = params["state_directory"], database_name(params["dsn"]), params["run_id"]
    begun, known = time.monotonic(), step_of(read(*where))
    while True:
        result, state, waited = kept_result(params["answer_file"]), read(*where), time.monotonic() - begun
        another = waited >= SETTLES and step_of(state) != known
        if result is not None or another or waited >= params["wait_seconds"]:
            break
        time.sleep(LOOK_SECONDS)
    if result is None and marked(params["run_id"]):
        answer = state["answer"] if state else None
        return {"finished": False, "changed": False, "progress": running(state), "answer": answer}
    result = result or kept_result(params["answer_file"])  # it may have ended since we looked
    return {**(result or lost_outage(params, state)), "finished": True}


def step_of(state: dict[str, Any] | None) -> int:
    """Return how many steps have begun."""
    return len(state["steps"]) if state else 0


def lost_outage(params: dict[str, Any], state: dict[str, Any] | None) -> dict[str, Any]:
    """Return the failure of an outage whose worker and guardian are gone without an answer."""
    try:
        remains = Remains(params, params["run_id"])
        return lost(remains, state, remains.sessions_after(SESSION_SECONDS), "")
    except (RolloutError, psycopg.Error, OSError) as error:
        return silent(params, database_name(params["dsn"]), state, error)


def main() -> None:
    """Read the arguments, look at the outage, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    result = look(module.params)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
