#!/usr/bin/python
"""Stop a run's outage on the database host and say what became of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_outage_stop
short_description: Stop the outage of a run as gently as possible, and prove that nothing of it is left
description:
  - Asks the outage's worker with SIGTERM to roll back and open access. If the worker does not answer in
    O(grace_seconds), cancels the statement of its session, ends the session, and kills its processes, in this order
    (R19).
  - Works too if the worker hangs, was stopped, was killed, or never began. Never takes the lock of the outage.
  - Never opens access that a killed outage left closed. M(downtime.runbook.database_access) does that.
  - Once COMMIT was sent it is too late, and a worker that has committed is left to end by itself. If the COMMIT only
    waits for a synchronous standby, that wait is ended.
  - If the worker had to be killed, its guardian opens access. The guardian is killed only if it does not.
  - Reads from the revision table what became of the patches, whatever the worker said.
  - Finds processes by C(ROLLOUT_RUN=stop_run) in their environment, and sessions by their application_name. Needs
    Linux.
options:
  stop_run:
    description:
      - Id of the run to stop. Without one it is the last run that this host knows on the database; with C(by hand) the
        same, if that was played by hand.
      - Processes at work on another database are left alone, whatever their mark.
    type: str
    default: ""
  grace_seconds:
    description: How long the worker has to answer.
    type: float
    default: 3
attributes:
  check_mode:
    description: Looks and stops nothing. The answer is what is true now.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.access
  - downtime.runbook.database.pinned
  - downtime.runbook.attributes.no_diff
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
    - C(rolled_back) when nothing was kept, C(too_late) when the patches are committed, C(stopped) when no outage of the
      run had begun.
    - C(unknown) when a session of the run is still at work, or when the rows are neither all there nor all absent.
  returned: always
  type: str
ladder:
  description: What was done, in order. Empty when nothing of the run was found.
  returned: always
  type: list
  elements: dict
  sample: [{rung: ask, did: "asked pid 4711: python3 …: it answered rolled_back (0.1 s)", seconds: 0.08}]
survivors:
  description:
    - Processes and sessions of the run that are still there, each in words.
    - Always empty when the answer is C(too_late), because they are left alone then.
  returned: always
  type: list
  elements: str
access:
  description: How access is. C(open), C(left closed) by a run of ours, or C(closed by someone else).
  returned: success
  type: str
summary:
  description: One line for people.
  returned: success
  type: str
  sample: "nothing was kept: the rows are as before; access is open"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.database.arguments import ACCESS, DATABASE, PINNED, check_connections
from ..module_utils.rollout_host.database.connection import RolloutError, message
from ..module_utils.rollout_host.database.conninfo import database_name
from ..module_utils.rollout_host.database.driver import psycopg
from ..module_utils.rollout_host.database.outage.progress import COMMITTED
from ..module_utils.rollout_host.database.outage.remains import Remains, found
from ..module_utils.rollout_host.database.outage.stop import OutageStop, run_meant

ARGUMENTS = {
    **DATABASE,
    **ACCESS,
    **PINNED,
    "stop_run": {"type": "str", "default": ""},
    "grace_seconds": {"type": "float", "default": 3},
}


def climb(stop: OutageStop, params: dict[str, Any], *, act: bool) -> dict[str, Any]:
    """Climb the ladder of the stop as far as needed, if we are to `act`; return what became of the outage.

    Raises RolloutError if the database cannot be asked; by then the worker has been asked.
    """
    stop.others(keep=act)  # before what began them has ended
    if act:
        stop.ask(params["grace_seconds"])
    remains = Remains(params, stop.run_id)
    if act:
        stop.end_patching(remains)
    stop.others(keep=act)
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
    ours = [process.text for process in stop.processes()]
    here = [*ours, *stop.others(keep=act), *(session.text for session in sessions)]
    survivors = [] if answer == "too_late" else here
    return {"answer": answer, "survivors": survivors, "access": state["access"], "summary": state["told"]}


def main() -> None:
    """Read the arguments, stop the outage, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    params = module.params
    database, directory = database_name(params["dsn"]), params["state_directory"]
    try:
        stop = OutageStop(run_meant(params["stop_run"], database, directory), database, directory)
    except RolloutError as error:
        module.fail_json(msg=message(error), answer="unknown", ladder=[], survivors=[])
    try:
        result = climb(stop, params, act=not module.check_mode)
    except (RolloutError, psycopg.Error, OSError) as error:
        left = [*(process.text for process in stop.processes()), *stop.others(keep=not module.check_mode)]
        module.fail_json(msg=message(error), answer="unknown", ladder=stop.ladder, survivors=left)
    module.exit_json(changed=bool(stop.ladder), ladder=stop.ladder, **result)


if __name__ == "__main__":
    main()
