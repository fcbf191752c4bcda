#!/usr/bin/python
"""Apply the pinned schema patches while access is closed, in one call that opens access again whatever happens."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_outage
short_description: Close a database to users, apply the pinned schema patches, and open it again
description:
  - Checks that the pending patches in O(schema_directory) are exactly those that the plan pinned. If none is pending,
    there is nothing to do and no outage.
  - Saves on the host how access is, closes it, ends the users' sessions, applies all patches in one transaction, and
    opens access again. Where PostgreSQL itself closes access, the same commit opens it. The session's application_name
    is C(rollout RUN_ID).
  - An SQL error, SIGTERM, SIGHUP, SIGINT or the deadline rolls everything back and opens access. After C(kill -9), the
    guardian opens access. Without O(detach) there is no guardian, and the next call opens it, or
    M(downtime.runbook.database_access).
  - The point of no return is when COMMIT is sent. If the connection breaks then, the module reads from the database
    what became of it.
  - While the outage runs, C(progress-DATABASE.json) in O(state_directory) tells its step, and at the end its result.
    M(downtime.runbook.database_outage_progress) reads that file, M(downtime.runbook.database_outage_stop) stops the
    outage.
  - Succeeds only if the patches' rows are in the revision table when it is read again after the commit (R18).
options:
  schema_directory:
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files, and the C(patch-MMMM-mm-p.undo.sql) files
      for O(work=schema_undo).
  digests:
    description: What the pinned patches were when they were chosen, each C(FILE=SHA256). One without is not compared.
    type: list
    elements: str
    default: []
  undo_files:
    description: The undo files that were tried on a copy, for O(work=schema_undo), each C(FILE=SHA256). Any other is
      refused.
    type: list
    elements: str
    default: []
  run_id:
    description: Id of this run. It marks the sessions and the progress, so that others can find them.
    type: str
    required: true
  work:
    description:
      - What is done while access is closed.
      - C(patches) applies the pinned patches.
      - C(script) runs the site's own upgrade script.
      - C(schema_undo) runs undo files.
      - C(keep_closed) does nothing, until it is stopped or the deadline comes.
    type: str
    choices: [patches, script, keep_closed, schema_undo]
    default: patches
  standbys:
    description: All streaming standbys of the database. Their replay is paused before access closes, and resumed, one
      by one, once access is open.
  permissions:
    description: The permissions file on the host (roles/database/README.md). In the transaction of the patches, after
      the last one, the differences from it are granted and revoked. Without it, permissions stay.
    type: path
  permissions_command:
    description:
      - The site's own permission script and its options. It runs in O(schema_directory) after the commit, before access
        is opened.
      - If it fails, access is opened all the same. The patches are in then (C(irreversible)).
    type: list
    elements: str
    default: []
  upgrade_command:
    description: The site's own upgrade script and its options, for O(work=script). It runs in O(schema_directory).
    type: list
    elements: str
    default: []
  upgrade_command_closes_access:
    description:
      - Whether O(upgrade_command) closes and opens access itself. It must then keep the contract of full-update.py
        (exit codes and last line), and O(pools) are needed.
      - Otherwise the module closes access around it, and it must exit with 0.
    type: bool
    default: false
  lock_timeout_seconds:
    description: How long a patch may wait for a lock.
    type: float
    default: 10
  lock_attempts:
    description: How often a patch is tried that did not get a lock. Before each further try, users' sessions are ended
      again. When none is left, the failure C(E-lock-timeout) names who holds the lock.
    type: int
    default: 3
  detach:
    description:
      - Do the outage in a process and session of its own, and wait for its end only for a moment. Nothing on the
        control machine, nor on the way from there, is needed any more, or can end the outage.
      - The result is kept in a file, for M(downtime.runbook.database_outage_progress).
      - A guardian beside the process opens access if the process dies, hangs past its deadline, or waits for a standby.
      - In check mode this has no effect.
    type: bool
    default: false
  deadline_seconds:
    description:
      - Give up so many seconds after access was closed, by this host's monotonic clock. If none is left, the outage is
        refused before access is closed. Without it, there is no deadline.
      - The deadline is the lateness rule's (R19), so the failure has C(verdict=abort).
    type: float
attributes:
  check_mode:
    description: Checks everything for which the outage can be refused, and touches nothing.
    support: full
  diff_mode:
    description: Shows the rows of the revision table before and after.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.access
  - downtime.runbook.database.standbys
  - downtime.runbook.database.schema
  - downtime.runbook.database.pinned
  - downtime.runbook.database.rows
  - downtime.runbook.rollout.clock
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Close access, patch, open access
  downtime.runbook.database_outage:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    schema_directory: ~/srv/launchpad/r12735/database/schema
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
    run_id: 2026-12/0007-outage-1
    detach: true
"""

RETURN = r"""
finished:
  description: Whether the outage has ended. Until then, only RV(answer_file) is returned beside this.
  returned: always
  type: bool
answer_file:
  description: The file in which the result will be.
  returned: when the outage was detached and has not ended
  type: str
committed:
  description: Whether the pinned patches are in the revision table for good.
  returned: when the outage has ended
  type: bool
outage_seconds:
  description: Seconds from closing access to having it open again; 0 without an outage.
  returned: always
  type: float
  sample: 1.9
steps:
  description: The steps of the outage, in order. Their sum is RV(outage_seconds).
  returned: always
  type: list
  elements: dict
  sample: [{step: close access, seconds: 0.01}, {step: patch-2208-30-0.sql, seconds: 1.2}]
closed_at:
  description: When access closed, ISO 8601 in UTC; null without an outage.
  returned: always
  type: str
  sample: "2026-12-09T08:00:00.101+00:00"
opened_at:
  description: When access was open again, ISO 8601 in UTC; null without an outage.
  returned: always
  type: str
  sample: "2026-12-09T08:00:02.003+00:00"
ended_sessions:
  description: How many sessions of users were ended.
  returned: always
  type: int
restore_point:
  description: The restore point that was made before access closed, its name and position; null if there is none.
  returned: when there was an outage
  type: dict
  sample: {name: rollout 2026-12/0007-outage-1 20261209T080000Z, lsn: 0/3000148}
analyzed:
  description: Tables that were rewritten or created, and analyzed once access was open. Not part of the outage.
  returned: when patches were applied
  type: list
  elements: dict
  sample: [{table: public.branch, seconds: 0.8}]
standbys:
  description: How long each standby took to catch up (null if it did not), and what people should know about it.
  returned: when the replay of standbys was paused
  type: list
  elements: dict
  sample: [{standby: jubany, seconds: 0.2, remark: null}]
standby_seconds:
  description: How long all standbys took, one after the other; null if one of them did not catch up.
  returned: when the replay of standbys was paused
  type: float
summary:
  description: One line for people.
  returned: success
  type: str
  sample: outage 1.9 s · 4 patches 1.4 s · users locked out 08:00:00.1–08:00:02.0 · 38 connections ended
took_over:
  description: Id of the killed run that had left access closed; null without one.
  returned: always
  type: str
locked_out:
  description: Whether access is still closed. The message holds the command that opens it.
  returned: on failure
  type: bool
verdict:
  description: C(abort), the rollout must be aborted.
  returned: when the outage failed because of its deadline
  type: str
irreversible:
  description: Whether the patches are committed although the module failed.
  returned: on failure
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.database.arguments import (
    ACCESS,
    DATABASE,
    PINNED,
    ROWS,
    SCHEMA,
    STANDBYS,
    check_connections,
)
from ..module_utils.rollout_host.database.outage.answer import failure
from ..module_utils.rollout_host.database.outage.bundle import bring
from ..module_utils.rollout_host.database.outage.detached import result as kept_result
from ..module_utils.rollout_host.database.outage.detached import start
from ..module_utils.rollout_host.database.outage.worker import check, run
from ..module_utils.rollout_host.database.work.kinds import WORKS

ARGUMENTS = {
    **DATABASE,
    **ACCESS,
    **STANDBYS,
    **SCHEMA,
    **PINNED,
    "digests": {"type": "list", "elements": "str", "default": []},
    "undo_files": {"type": "list", "elements": "str", "default": []},
    "run_id": {"type": "str", "required": True},
    "work": {"type": "str", "choices": list(WORKS), "default": "patches"},
    "permissions": {"type": "path"},
    "permissions_command": {"type": "list", "elements": "str", "default": []},
    "upgrade_command": {"type": "list", "elements": "str", "default": []},
    "upgrade_command_closes_access": {"type": "bool", "default": False},
    "lock_timeout_seconds": {"type": "float", "default": 10},
    "lock_attempts": {"type": "int", "default": 3},
    "detach": {"type": "bool", "default": False},
    "deadline_seconds": {"type": "float"},
    "clock_offset": {"type": "float", "default": 0},
    **ROWS,
}
MOMENT = 1.5  # seconds; a short outage ends in it, and has the host to itself


def detached(params: dict[str, Any]) -> dict[str, Any]:
    """Run the outage under a guardian; return its result if it ends at once, else what is needed to follow it."""
    try:
        pid, answer_file = start(bring(params["state_directory"]), params, MOMENT)
    except OSError as error:
        return {"finished": True, **failure(error)}
    result = kept_result(answer_file)
    if result is None:
        return {"failed": False, "changed": False, "finished": False, "pid": pid, "answer_file": answer_file}
    return {"finished": True, **result}


def main() -> None:
    """Read the arguments, carry out the outage, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    if module.check_mode:
        result = {"finished": True, **check(module.params)}
    elif module.params["detach"]:
        result = detached(module.params)
    else:
        result = {"finished": True, **run(module.params)}
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result["failed"]:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
