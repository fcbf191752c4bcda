#!/usr/bin/python
"""Check everything an outage depends on, before anybody is locked out, and report all findings at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_preflight
short_description: Check that an outage would be possible now
description:
  - Checks everything that an outage depends on (R18), from the pending patches to the clock. Every check runs, whatever
    the others find. All failures are reported together, each with what to do about it.
  - What an outage does first is tried on a connection of its own, and rolled back.
  - Changes nothing, except that it brings the outage's program to O(state_directory), unless in check mode.
options:
  schema_directory:
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files. Without it, patches are not checked.
    type: path
  delivered:
    description: Whether O(schema_directory) must be there by now. Otherwise it is a remark that it is not.
    type: bool
    default: true
  patches:
    description: Names of the patches that the plan pinned.
    type: list
    elements: str
    default: []
  digests:
    description: What the pinned patches were when they were chosen, each C(FILE=SHA256). One without is not compared.
    type: list
    elements: str
    default: []
  permissions:
    description: The permissions file on the host that the outage will apply.
    type: path
  permissions_command:
    description: The site's own permission script and its options, run in O(schema_directory).
    type: list
    elements: str
    default: []
  upgrade_command:
    description: The site's own upgrade script and its options, run in O(schema_directory).
    type: list
    elements: str
    default: []
  upgrade_command_closes_access:
    description: Whether O(upgrade_command) closes and opens access itself.
    type: bool
    default: false
  standbys:
    description: All streaming standbys of the database. As many must be streaming.
  max_lag_seconds:
    description: Fail for a standby that is further behind.
    type: float
    default: 60
  max_sync_seconds:
    description: Fail for a standby that takes longer to reach the primary's present position.
    type: float
    default: 10
  max_transaction_seconds:
    description: Fail for a transaction that has been open for longer.
    type: float
    default: 60
  fragile_users:
    description: Users that must not be interrupted. If one is connected, somebody has to stop it by hand.
    type: list
    elements: str
    default: []
  bad_users:
    description: Users that are known to misbehave. They are reported with their bug, and ended with everybody else.
    type: list
    elements: dict
    default: []
    suboptions:
      user:
        description: Name of the role.
        type: str
        required: true
      bug:
        description: The bug about the user.
        type: str
        required: true
  system_users:
    description: Users of monitoring and the like. They may be superusers, and are neither fragile nor bad.
    type: list
    elements: str
    default: []
  application_users:
    description: Users that applications connect as. None may be a superuser, because closed access does not keep a
      superuser out.
    type: list
    elements: str
    default: []
  rewrite_factor:
    description: How many times over the patches may write the whole database. So much room must be free, for the data
      and its WAL.
    type: float
    default: 1
  clock:
    description: The host's time, and the control machine's time before and after it asked for it, in seconds since the
      epoch.
    type: dict
    suboptions:
      asked:
        description: The control machine's time before it asked.
        type: float
        required: true
      host:
        description: The host's time.
        type: float
        required: true
      answered:
        description: The control machine's time when it had the answer.
        type: float
        required: true
  max_clock_difference_seconds:
    description: Fail if the clocks differ by more.
    type: float
    default: 5
  backup_marker:
    description: File on the host that every good backup touches. The last archived WAL is checked with or without it.
    type: path
  max_backup_age_hours:
    description: Fail if the last backup or the last archived WAL is older.
    type: float
    default: 26
attributes:
  check_mode:
    description: Checks the same as always, and does not bring the outage's program.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.access
  - downtime.runbook.database.standbys
  - downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Check the database
  downtime.runbook.database_preflight:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    schema_directory: ~/srv/launchpad/r12735/database/schema
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
    standbys: [{dsn: host=127.0.0.2 user=postgres dbname=launchpad_prod}]
    bad_users: [{user: karma, bug: "612345"}]
"""

RETURN = r"""
findings:
  description: One entry for each check, in the order of the checks.
  returned: always
  type: list
  elements: dict
  contains:
    check: {description: Name of the check., type: str}
    ok: {description: Whether it is as expected., type: bool}
    found: {description: What was found., type: str}
    expected: {description: What it should be., type: str}
    todo: {description: "What to do if it is not ok, or what to know although it is.", type: str}
  sample: [{check: access, ok: true, found: open, expected: open, todo: ""}]
summary:
  description: One line for people.
  returned: always
  type: str
  sample: 14 of 14 ✓ · lag 0.2 s · no transaction over 60 s
remarks:
  description: What people should know although it is ok, a line each.
  returned: always
  type: list
  elements: str
  sample: ["bad users: karma (2 sessions), bug 612345; ended when access closes"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.preflight import findings as preflight
from ..module_utils.rollout_host.database.arguments import ACCESS, DATABASE, STANDBYS, check_connections
from ..module_utils.rollout_host.database.conninfo import database_name
from ..module_utils.rollout_host.preflight.checks import look

TIME = {"type": "float", "required": True}
NAMES = {"type": "list", "elements": "str", "default": []}
BAD_USER = {"user": {"type": "str", "required": True}, "bug": {"type": "str", "required": True}}
ARGUMENTS = {
    **DATABASE,
    **ACCESS,
    **STANDBYS,
    "schema_directory": {"type": "path"},
    "delivered": {"type": "bool", "default": True},
    "patches": NAMES,
    "digests": NAMES,
    "permissions": {"type": "path"},
    "permissions_command": NAMES,
    "upgrade_command": NAMES,
    "upgrade_command_closes_access": {"type": "bool", "default": False},
    "max_lag_seconds": {"type": "float", "default": 60},
    "max_sync_seconds": {"type": "float", "default": 10},
    "max_transaction_seconds": {"type": "float", "default": 60},
    "fragile_users": NAMES,
    "bad_users": {"type": "list", "elements": "dict", "default": [], "options": BAD_USER},
    "system_users": NAMES,
    "application_users": NAMES,
    "rewrite_factor": {"type": "float", "default": 1},
    "clock": {"type": "dict", "options": {"asked": TIME, "host": TIME, "answered": TIME}},
    "max_clock_difference_seconds": {"type": "float", "default": 5},
    "backup_marker": {"type": "path"},
    "max_backup_age_hours": {"type": "float", "default": 26},
}


def main() -> None:
    """Read the arguments, make all checks, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    params = module.params
    findings, lag = look(params, bring_worker=not module.check_mode)
    answer: dict[str, Any] = {
        "changed": False,
        "findings": [finding._asdict() for finding in findings],
        "summary": preflight.summary(findings, lag, params["max_transaction_seconds"]),
        "remarks": preflight.remarks(findings),
    }
    if not all(finding.ok for finding in findings):
        module.fail_json(msg=preflight.complaint(database_name(params["dsn"]), params["dsn"], findings), **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
