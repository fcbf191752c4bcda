#!/usr/bin/python
"""Look at everything an outage depends on, while nobody is locked out yet: all findings at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_preflight
short_description: Check that an outage can be had now
description:
  - Checks all that an outage depends on (R18), from the pending patches to the clock. Every check runs, whatever the
    others found, and all that failed are told at once, each with what to do about it.
  - Changes nothing, but for the outage's program, which it brings to O(state_directory) (not in check mode).
  - Needs psycopg 3 on the host and PostgreSQL 14 or later. The user's ~/.pgpass holds the password.
options:
  dsn:
    description: libpq conninfo of the database as a superuser, without a password.
    type: str
    required: true
  schema_directory:
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files. Without it no patches are looked for.
    type: path
  patches: {description: Names of the patches that the plan pinned., type: list, elements: str, default: []}
  permissions:
    description: Permissions file on the host that the outage will apply.
    type: path
  permissions_command:
    description: The site's own permission script, as argv, started in O(schema_directory).
    type: list
    elements: str
    default: []
  upgrade_command: {description: "Its upgrade script, likewise.", type: list, elements: str, default: []}
  upgrade_command_closes_access: {description: That closes and opens access itself., type: bool, default: false}
  pools:
    description: The pools in pgbouncer through which users come. None means that PostgreSQL itself closes access.
    type: list
    elements: dict
    default: []
    suboptions: &pool
      console: {description: libpq conninfo of its admin console (C(dbname=pgbouncer))., type: str, required: true}
      database: {description: Name of the database in pgbouncer., type: str, required: true}
  standbys:
    description: All standbys; as many must be streaming.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn: {description: libpq conninfo of the database on the standby as a superuser., type: str, required: true}
      pools:
        description: The pools in pgbouncer that lead there.
        type: list
        elements: dict
        default: []
        suboptions: *pool
  state_directory:
    description: Directory on the host for what an outage keeps there.
    type: path
    default: ~/.rollout
  max_lag_seconds: {description: A standby that is further behind fails., type: float, default: 60}
  max_sync_seconds:
    description: A standby must reach the primary's position of the moment within so many seconds.
    type: float
    default: 10
  max_transaction_seconds: {description: A transaction that has been open for longer fails., type: float, default: 60}
  fragile_users:
    description: Users that must not be interrupted. If one is connected, people have to stop it by hand.
    type: list
    elements: str
    default: []
  bad_users:
    description: Users that are known to misbehave. They are told with their bug, and ended with everybody else.
    type: list
    elements: dict
    default: []
    suboptions:
      user: {description: Name of the role., type: str, required: true}
      bug: {description: The bug that tells of it., type: str, required: true}
  system_users:
    description: Users of monitoring and the like, which may be superusers and are neither fragile nor bad.
    type: list
    elements: str
    default: []
  application_users:
    description: Users that applications connect as. None may be a superuser, whom closed access does not stop.
    type: list
    elements: str
    default: []
  rewrite_factor:
    description: How often over the patches may write the database anew; so much room there must be, for it and its WAL.
    type: float
    default: 1
  clock:
    description: The host's time, and the control machine's before and after it asked, in seconds since the epoch.
    type: dict
    suboptions:
      asked: {description: The control machine's before., type: float, required: true}
      host: {description: The host's., type: float, required: true}
      answered: {description: The control machine's after., type: float, required: true}
  max_clock_difference_seconds: {description: A clock that differs by more fails., type: float, default: 5}
  backup_marker:
    description: File on the host that every good backup touches. An archived WAL is looked at without it too.
    type: path
  max_backup_age_hours: {description: An older backup or last archived WAL fails., type: float, default: 26}
attributes:
  check_mode: {description: Checks as always; the outage's program is not brought., support: full}
  diff_mode: {description: There is nothing to differ., support: none}
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
  description: One entry a check, in the order of checking.
  returned: always
  type: list
  elements: dict
  contains:
    check: {description: What was asked., type: str}
    ok: {description: Whether it is as expected., type: bool}
    found: {description: What was found., type: str}
    expected: {description: What it should be., type: str}
    todo: {description: "What to do when it is not ok; when it is, what should be known all the same.", type: str}
  sample: [{check: access, ok: true, found: open, expected: open, todo: ""}]
summary:
  description: One line for people.
  returned: always
  type: str
  sample: 14 of 14 ✓ · lag 0.2 s · no transaction over 60 s
remarks:
  description: Lines on what is ok and should be known all the same.
  returned: always
  type: list
  elements: str
  sample: ["bad users: karma (2 sessions), bug 612345; ended when access closes"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.rollout_core.preflight import findings as preflight
from ..module_utils.rollout_host.database.access.postgres import POOLS
from ..module_utils.rollout_host.database.connection import database_name
from ..module_utils.rollout_host.database.driver import PSYCOPG_IMPORT_ERROR
from ..module_utils.rollout_host.database.standbys import STANDBYS
from ..module_utils.rollout_host.preflight.checks import look

TIME = {"type": "float", "required": True}
NAMES = {"type": "list", "elements": "str", "default": []}
BAD_USER = {"user": {"type": "str", "required": True}, "bug": {"type": "str", "required": True}}
ARGUMENTS = {
    "dsn": {"type": "str", "required": True},
    "schema_directory": {"type": "path"},
    "patches": NAMES,
    "permissions": {"type": "path"},
    "permissions_command": NAMES,
    "upgrade_command": NAMES,
    "upgrade_command_closes_access": {"type": "bool", "default": False},
    "pools": POOLS,
    "standbys": STANDBYS,
    "state_directory": {"type": "path", "default": "~/.rollout"},
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
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
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
