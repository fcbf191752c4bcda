#!/usr/bin/python
"""Stop a run's outage on the database host and say what became of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_outage_stop
short_description: Stop the outage of a run, the gentlest way that works, and prove that nothing of it is left
description:
  - Asks the outage's worker (SIGTERM), which then rolls back and opens access by itself. Only if it does not answer
    in O(grace_seconds), cancels what its session executes, ends the session, kills its processes, in this order (R19).
  - Works as well if the worker hangs, was stopped or killed, or never began. Never takes the lock of the outage, never
    opens access of a killed one; C(database_access) does.
  - A worker that has committed is left to end by itself, and whoever follows it hears how. Then it is too late, and so
    it is once its COMMIT was sent. If that only waits for a synchronous standby, that wait is ended.
  - A worker's guardian opens access when the worker had to be killed, and is killed only if it does not.
  - What became of the patches is read from the revision table, whatever the worker said.
  - Processes are those with C(ROLLOUT_RUN=stop_run) in their environment, sessions those with its application_name.
  - Needs Linux, psycopg 3 on the host and PostgreSQL 14 or later. The user's ~/.pgpass holds the password.
options:
  dsn:
    description: libpq conninfo of the database as a superuser, without a password.
    type: str
    required: true
  patches:
    description: Names of the patches that the plan pinned.
    type: list
    elements: str
    required: true
  stop_run:
    description: Id of the run to stop.
    type: str
    required: true
  grace_seconds:
    description: How long the worker has to answer.
    type: float
    default: 3
  pools:
    description: The pools in pgbouncer through which users come. None means that PostgreSQL itself closes access.
    type: list
    elements: dict
    default: []
    suboptions:
      console:
        description: libpq conninfo of pgbouncer's admin console (C(dbname=pgbouncer)), without a password.
        type: str
        required: true
      database:
        description: Name of the database in pgbouncer.
        type: str
        required: true
  state_directory:
    description: Directory on the host with the progress and the saved connection limit.
    type: path
    default: ~/.rollout
attributes:
  check_mode:
    description: Looks, and stops nothing; the answer is what is so now.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Stop the outage
  downtime.runbook.database_outage_stop:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
    stop_run: 2026-12/0007-outage-1
"""

RETURN = r"""
answer:
  description:
    - C(rolled_back), nothing of it was kept; C(too_late), the patches are committed; C(stopped), no outage of that run
      had begun.
    - C(unknown), a session of it is still at work, or the rows are neither all there nor all absent.
  returned: always
  type: str
ladder:
  description: What was done, in order. Empty when nothing of the run was here.
  returned: always
  type: list
  elements: dict
  sample: [{rung: ask, did: "asked pid 4711: python3 …: it answered rolled_back (0.1 s)", seconds: 0.08}]
survivors:
  description:
    - Processes and sessions of the run that are still there, in words. Empty means that nothing is.
    - Empty as well when the answer is C(too_late), for then they are left alone.
  returned: always
  type: list
  elements: str
access:
  description: C(open), C(left closed) by a run of ours, or C(closed by someone else).
  returned: success
  type: str
summary:
  description: One line for people.
  returned: success
  type: str
  sample: "nothing was kept: the rows are as before; access is open"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.rollout_host.database.access.postgres import POOLS
from ..module_utils.rollout_host.database.connection import RolloutError, database_name, message
from ..module_utils.rollout_host.database.driver import PSYCOPG_IMPORT_ERROR, psycopg
from ..module_utils.rollout_host.database.outage.progress import COMMITTED
from ..module_utils.rollout_host.database.outage.remains import Remains, found
from ..module_utils.rollout_host.database.outage.stop import OutageStop

ARGUMENTS = {
    "dsn": {"type": "str", "required": True},
    "patches": {"type": "list", "elements": "str", "required": True},
    "stop_run": {"type": "str", "required": True},
    "grace_seconds": {"type": "float", "default": 3},
    "pools": POOLS,
    "state_directory": {"type": "path", "default": "~/.rollout"},
}


def climb(stop: OutageStop, params: dict[str, Any], *, act: bool) -> dict[str, Any]:
    """Take the ladder as far as it is needed, if we are to `act`; returns what became of the outage.

    Raises RolloutError when the database cannot be asked; by then the worker has been.
    """
    if act:
        stop.ask(params["grace_seconds"])
    remains = Remains(params, params["stop_run"])
    if act:
        stop.end_patching(remains)
    if act and stop.answer != COMMITTED and not stop.committing(remains):
        stop.end_rest(remains)
    sessions = remains.sessions()
    state = found(remains, stop.state, sessions)
    outage_begun = bool(stop.state and stop.state["steps"])
    undecided = "too_late" if stop.committing(remains) else "unknown"
    answer = {True: "too_late", None: undecided, False: "rolled_back" if outage_begun else "stopped"}[
        state["committed"]
    ]
    if act and answer == "too_late":
        stop.let_go_on()
    here = [*(process.text for process in stop.processes()), *(session.text for session in sessions)]
    survivors = [] if answer == "too_late" else here
    return {"answer": answer, "survivors": survivors, "access": state["access"], "summary": state["told"]}


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
    params = module.params
    stop = OutageStop(params["stop_run"], database_name(params["dsn"]), params["state_directory"])
    try:
        result = climb(stop, params, act=not module.check_mode)
    except (RolloutError, psycopg.Error, OSError) as error:
        left = [process.text for process in stop.processes()]
        module.fail_json(msg=message(error), answer="unknown", ladder=stop.ladder, survivors=left)
    module.exit_json(changed=bool(stop.ladder), ladder=stop.ladder, **result)


if __name__ == "__main__":
    main()
