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
  - What descends from a marked process and has no mark, because sudo or somebody else took it away, is ended too.
  - Never touches anything else. What another user runs in that family is named (O(relatives)); root can end it, if it
    is told. It is written down in C(~/.rollout), so that a later look names it too, as long as it lives. Needs Linux.
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
  relatives:
    description: End only these processes, as a run of this module by another user returned them.
    type: list
    elements: dict
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
  description: The processes of the run that are still there at the end, also those of other users.
  returned: always
  type: list
  elements: str
relatives:
  description:
    - Those of other users that are still there, each with its C(pid), C(started), C(command) and C(user), and in words
      C(text).
  returned: always
  type: list
  elements: dict
"""

import signal
from typing import Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.services.family import Relative, relative, relatives, unmarked, write_down
from ..module_utils.rollout_host.services.processes import BY_HAND, Process, ask, lives, marked, marks_by_hand, wait

ARGUMENTS = {
    "stop_run": {"type": "str", "default": ""},
    "grace_seconds": {"type": "float", "default": 3},
    "relatives": {"type": "list", "elements": "dict"},
}
ROUNDS = 3  # one that is being ended may just have started another
KILL_SECONDS = 2.0


class FamilyStop:
    """Ends a run's processes. `told` is what was done, in words; `others` are other users' processes."""

    def __init__(self, run: str, grace_seconds: float) -> None:
        """Begin with nothing done."""
        self.run, self.grace_seconds = run, grace_seconds
        self.told: dict[str, list[str]] = {"asked": [], "ended": [], "killed": []}
        self.others: list[Relative] = []

    def look(self) -> list[Process]:
        """Return the run's processes that belong to this user, and remember those that do not."""
        there = marked(self.run)
        there += [process for process in unmarked(self.run, there) if process not in there]
        self.others += [each for each in relatives(self.run, there) if each not in self.others]
        return there

    def end_all(self) -> None:
        """End this user's processes; those of other users are written down first, as their parents may end."""
        for _ in range(ROUNDS):
            there = self.look()
            write_down(self.run, self.others)
            if not there:
                break
            self.end(there)

    def end(self, there: Sequence[Process]) -> None:
        """Send SIGINT to these processes, then SIGTERM, then SIGKILL to those that are left."""
        ask(there, signal.SIGINT)
        left = wait(there, self.grace_seconds / 2)
        ask(left, signal.SIGTERM)
        left = wait(left, self.grace_seconds / 2)
        ask(left, signal.SIGKILL)
        alive = wait(left, KILL_SECONDS)
        self.told["asked"] += [process.text for process in there]
        self.told["ended"] += [process.text for process in there if process not in left]
        self.told["killed"] += [process.text for process in left if process not in alive]


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
    """Read the arguments, end the processes, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if module.params["stop_run"] in ("", BY_HAND):
        module.fail_json(msg=which_run(), asked=[], ended=[], killed=[], survivors=[], relatives=[])
    given = module.params["relatives"]
    stop = FamilyStop(module.params["stop_run"], module.params["grace_seconds"])
    if given is not None:
        try:
            stop.others = [relative(record) for record in given]
        except (KeyError, TypeError, ValueError) as error:
            module.fail_json(msg=f"E-relatives  These are no processes as this module returns them: {error!r}")
        if not module.check_mode:
            stop.end([each.process for each in stop.others if lives(each.process)])
        ours: list[Process] = []
    else:
        if not module.check_mode:
            stop.end_all()
        ours = stop.look()
    left = [each for each in stop.others if each.lives]
    if given is None and not module.check_mode:
        write_down(stop.run, left)
    module.exit_json(
        changed=bool(stop.told["asked"]),
        survivors=[*(process.text for process in ours), *(each.text for each in left)],
        relatives=[each.record() for each in left],
        **stop.told,
    )


if __name__ == "__main__":
    main()
