#!/usr/bin/python
"""End the processes of a run on this host and prove that none is left."""

from __future__ import annotations

DOCUMENTATION = r"""
module: processes_stop
short_description: End every process of a run on this host
description:
  - Finds the processes with C(ROLLOUT_RUN=stop_run) in their environment and interrupts them as Ctrl-C would, so that
    they can clear up. Sends SIGTERM and then SIGKILL to those that remain (R19).
  - A process that a marked one starts is marked too, even in a session of its own. So a command that restarts a service
    must leave the start to the service manager, or the service counts as part of the run.
  - Never touches a process without the mark. Only root sees the processes of other users. Needs Linux.
options:
  stop_run:
    description:
      - Id of the run to stop. Without one, and with C(by hand) alone, nothing is stopped and the module fails with what
        is at work here by hand; what one person plays is not another's.
    type: str
    default: ""
  grace_seconds:
    description: How long the processes have before they are killed.
    type: float
    default: 3
attributes:
  check_mode:
    description: Returns the processes that are there, and ends none.
    support: full
extends_documentation_fragment: downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: End what the run left
  downtime.runbook.processes_stop:
    stop_run: 2026-12/0009-switch-1
"""

RETURN = r"""
asked:
  description: The processes that were found, each in words.
  returned: always
  type: list
  elements: str
  sample: ["pid 4711: python3 …"]
ended:
  description: The processes that ended when they were asked to.
  returned: always
  type: list
  elements: str
killed:
  description: The processes that were killed.
  returned: always
  type: list
  elements: str
survivors:
  description: The processes of the run that are still there at the end.
  returned: always
  type: list
  elements: str
"""

import signal
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.services.processes import BY_HAND, ask, marked, marks_by_hand, wait

ARGUMENTS = {"stop_run": {"type": "str", "default": ""}, "grace_seconds": {"type": "float", "default": 3}}
ROUNDS = 3  # one that is being ended may just have started another
KILL_SECONDS = 2.0


def stop(run: str, grace_seconds: float) -> dict[str, list[str]]:
    """End the processes of `run`; returns `asked`, `ended` and `killed`, in words."""
    told: dict[str, list[str]] = {"asked": [], "ended": [], "killed": []}
    for _ in range(ROUNDS):
        there = marked(run)
        if not there:
            break
        ask(there, signal.SIGINT)
        left = wait(there, grace_seconds / 2)
        ask(left, signal.SIGTERM)
        left = wait(left, grace_seconds / 2)
        ask(left, signal.SIGKILL)
        alive = wait(left, KILL_SECONDS)
        told["asked"] += [process.text for process in there]
        told["ended"] += [process.text for process in there if process not in left]
        told["killed"] += [process.text for process in left if process not in alive]
    return told


def which_run() -> str:
    """Return the message for somebody who names no run: what is at work here by hand may be anybody's."""
    there = [f"  {mark}  ({', '.join(each.text for each in found)})" for mark, found in sorted(marks_by_hand().items())]
    return "\n".join(
        [
            "E-which-run  What one person plays by hand is not another's: nothing was stopped.",
            f"  At work on this host by hand:{'' if there else '  nothing'}",
            *there,
            '  Say which:  -e \'{"stop_run": "MARK"}\'',
        ]
    )


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    run = module.params["stop_run"]
    if run in ("", BY_HAND):
        module.fail_json(msg=which_run(), asked=[], ended=[], killed=[], survivors=[])
    told: dict[str, Any] = {"asked": [], "ended": [], "killed": []}
    if not module.check_mode:
        told = stop(run, module.params["grace_seconds"])
    survivors = [process.text for process in marked(run)]
    module.exit_json(changed=bool(told["asked"]), survivors=survivors, **told)


if __name__ == "__main__":
    main()
