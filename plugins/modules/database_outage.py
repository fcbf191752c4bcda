#!/usr/bin/python
"""Apply the pinned schema patches while access is closed, in one call that opens access again whatever happens."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_outage
short_description: Close a database to users, apply the pinned schema patches, and open it again
description:
  - Checks that the patches pending in O(schema_directory) are exactly those that the plan pinned. Nothing pending means
    nothing to do, and no outage.
  - Saves on the host how access is, closes it, ends the users' sessions, applies all patches in one transaction with
    application_name C(rollout RUN_ID), and opens access, PostgreSQL's own with that very commit.
  - An SQL error, SIGTERM, SIGHUP, SIGINT or the deadline roll everything back and open access. After kill -9 the
    guardian opens it; without O(detach) there is none, then the next call takes access over, or C(database_access).
  - COMMIT sent is the point of no return. What became of it is read from the database if the connection breaks there.
  - While it works, C(progress-DATABASE.json) in O(state_directory) says which step it is at, and at the end what became
    of it. C(database_outage_progress) reads that, C(database_outage_stop) stops it.
  - With O(detach), nothing on the way from the control machine can end it, and nothing there is needed any more.
  - Success is rows in the revision table, which are read again after the commit (R18).
  - Needs psycopg 3 on the host and PostgreSQL 14 or later. The user's ~/.pgpass holds the password.
options:
  dsn:
    description: libpq conninfo of the database as a superuser, without a password.
    type: str
    required: true
  schema_directory:
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files, or C(patch-MMMM-mm-p.undo.sql).
    type: path
    required: true
  patches:
    description: Names of the patches that the plan pinned, each C(patch-MMMM-mm-p.sql).
    type: list
    elements: str
    required: true
  undo_files:
    description:
      - With O(work=schema_undo), the undo files that were tried on a copy, each C(FILE=SHA256). Others are refused.
    type: list
    elements: str
    default: []
  run_id:
    description: Id of this run. It marks the sessions and the progress, so that they can be found from elsewhere.
    type: str
    required: true
  work:
    description:
      - What is done while access is closed. C(patches), the pinned patches; C(script), the site's own upgrade script;
        C(schema_undo), undo files; C(keep_closed), nothing, until it is stopped or the deadline comes.
    type: str
    choices: [patches, script, keep_closed, schema_undo]
    default: patches
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
  standbys:
    description: The standbys, whose replay is paused before access closes and resumed, one by one, once it is open.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn:
        description: libpq conninfo of the database on the standby as a superuser, without a password.
        type: str
        required: true
      pools:
        description: The pools in pgbouncer that lead there.
        type: list
        elements: dict
        default: []
        suboptions:
          console:
            description: As of O(pools[].console).
            type: str
            required: true
          database:
            description: As of O(pools[].database).
            type: str
            required: true
  permissions:
    description:
      - The permissions file on the host (roles/database/README.md). What differs from it is granted and revoked after
        the last patch, in its transaction. None by default.
    type: path
  permissions_command:
    description:
      - The site's own permission script and its options, run in O(schema_directory) after the commit, before
        access is opened. When it fails, access is opened, and the patches are in (C(irreversible)).
    type: list
    elements: str
    default: []
  upgrade_command:
    description: With O(work=script), the site's own upgrade script and its options, run in O(schema_directory).
    type: list
    elements: str
    default: []
  upgrade_command_closes_access:
    description:
      - Whether O(upgrade_command) closes and opens access itself and keeps the rest of full-update.py's contract too,
        exit codes and last line; then O(pools) are needed. If not, access is closed around it, and it has to exit 0.
    type: bool
    default: false
  lock_timeout_seconds:
    description: How long a patch may wait for a lock.
    type: float
    default: 10
  lock_attempts:
    description:
      - How often a patch that did not get a lock is tried. In between users' sessions are ended again. The failure
        C(E-lock-timeout) names who holds the lock.
    type: int
    default: 3
  state_directory:
    description: Directory on the host for the worker file, the saved state of access, the progress and the answer.
    type: path
    default: ~/.rollout
  detach:
    description:
      - Do it in a process of its own, in a session of its own, and do not wait for its end longer than a moment. Its
        result is then kept in a file for C(database_outage_progress). Without effect in check mode.
      - Beside it a guardian opens access if that process dies, hangs past its deadline, or waits for a standby.
    type: bool
    default: false
  deadline_seconds:
    description:
      - Give up after so many seconds, counted from closing access, by this host's monotonic clock. Nothing left is
        refused before access is closed. No deadline by default.
      - Giving up is the lateness rule's (R19), so the failure has C(verdict=abort).
    type: float
  clock_offset:
    description: Seconds to add to this host's clock in what is returned; not 0 only in rehearsals.
    type: float
    default: 0
  branch_nick:
    description: Branch of the tree that O(schema_directory) belongs to, for the rows.
    type: str
  revno:
    description: Its revision number, for the rows.
    type: int
  revid:
    description: Its revision id, for the rows.
    type: str
attributes:
  check_mode:
    description: Checks everything that can be refused, and touches nothing.
    support: full
  diff_mode:
    description: The rows of the revision table before and after.
    support: full
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
  description: Whether it has ended. Otherwise nothing else is returned yet but RV(answer_file).
  returned: always
  type: bool
answer_file:
  description: Where the result will be.
  returned: when it was detached and has not ended
  type: str
committed:
  description: Whether the pinned patches are in the revision table for good.
  returned: when it has ended
  type: bool
outage_seconds:
  description: From closing access to its being open again; 0 without an outage.
  returned: always
  type: float
  sample: 1.9
steps:
  description: Where that time went, in order. The sum is the outage.
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
  description: When it was open again, likewise.
  returned: always
  type: str
  sample: "2026-12-09T08:00:02.003+00:00"
ended_sessions:
  description: How many users' sessions were ended.
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
  description: Of each standby how long it took to catch up (null, it did not) and what is to be known of it.
  returned: when the replay of standbys was paused
  type: list
  elements: dict
  sample: [{standby: jubany, seconds: 0.2, remark: null}]
standby_seconds:
  description: How long that took for all of them, one after the other; null if one of them did not catch up.
  returned: when the replay of standbys was paused
  type: float
summary:
  description: One line for people.
  returned: success
  type: str
  sample: outage 1.9 s · 4 patches 1.4 s · users locked out 08:00:00.1–08:00:02.0 · 38 connections ended
took_over:
  description: Id of the killed run whose access was opened; null otherwise.
  returned: always
  type: str
locked_out:
  description: Access is still closed. The message holds the command that opens it.
  returned: on failure
  type: bool
verdict:
  description: C(abort), the rollout must be aborted.
  returned: when it failed because of its deadline
  type: str
irreversible:
  description: The patches are committed although the module failed.
  returned: on failure
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.rollout_host.database.access.postgres import POOLS
from ..module_utils.rollout_host.database.driver import PSYCOPG_IMPORT_ERROR
from ..module_utils.rollout_host.database.outage.answer import failure
from ..module_utils.rollout_host.database.outage.bundle import bring
from ..module_utils.rollout_host.database.outage.detached import result as kept_result
from ..module_utils.rollout_host.database.outage.detached import start
from ..module_utils.rollout_host.database.outage.worker import check, run
from ..module_utils.rollout_host.database.standbys import STANDBYS
from ..module_utils.rollout_host.database.work.kinds import WORKS

ARGUMENTS = {
    "dsn": {"type": "str", "required": True},
    "schema_directory": {"type": "path", "required": True},
    "patches": {"type": "list", "elements": "str", "required": True},
    "undo_files": {"type": "list", "elements": "str", "default": []},
    "run_id": {"type": "str", "required": True},
    "work": {"type": "str", "choices": list(WORKS), "default": "patches"},
    "pools": POOLS,
    "standbys": STANDBYS,
    "permissions": {"type": "path"},
    "permissions_command": {"type": "list", "elements": "str", "default": []},
    "upgrade_command": {"type": "list", "elements": "str", "default": []},
    "upgrade_command_closes_access": {"type": "bool", "default": False},
    "lock_timeout_seconds": {"type": "float", "default": 10},
    "lock_attempts": {"type": "int", "default": 3},
    "state_directory": {"type": "path", "default": "~/.rollout"},
    "detach": {"type": "bool", "default": False},
    "deadline_seconds": {"type": "float"},
    "clock_offset": {"type": "float", "default": 0},
    "branch_nick": {"type": "str"},
    "revno": {"type": "int"},
    "revid": {"type": "str"},
}
MOMENT = 1.5  # seconds; a short outage ends in it, and has the host to itself


def detached(params: dict[str, Any]) -> dict[str, Any]:
    """Have it under a guardian, and return its result if it ends at once, else what it is followed by."""
    try:
        pid, answer_file = start(bring(params["state_directory"]), params, MOMENT)
    except OSError as error:
        return {"finished": True, **failure(error)}
    result = kept_result(answer_file)
    if result is None:
        return {"failed": False, "changed": False, "finished": False, "pid": pid, "answer_file": answer_file}
    return {"finished": True, **result}


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
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
