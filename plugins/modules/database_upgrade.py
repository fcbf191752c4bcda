#!/usr/bin/python
"""Apply every pending schema patch to a database that nobody depends on: access stays open, one transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_upgrade
short_description: Apply all pending schema patches in one transaction, without locking anybody out
description:
  - Is meant for qastaging and staging (R12). Applies all patches in O(schema_directory) that have no row in the
    revision table, in one transaction. Each patch must insert its own row. After an error, everything is rolled back.
options:
  dsn:
    description: libpq conninfo of the database as a superuser or the tables' owner, without a password.
  log_file:
    description: A file to append the upgrade's log lines to, such as C(2208-30-0 applied just now in 70.5 seconds)
      (R9).
    type: path
  permissions:
    description: A permissions file on the host. It is applied after the patches, in their transaction, as an outage
      does, and rolled back; if that fails, so are the patches.
    type: path
attributes:
  check_mode:
    description: Checks the pending patches and applies none.
    support: full
  diff_mode:
    description: Shows the rows of the revision table before and after.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.schema
  - downtime.runbook.database.rows
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Upgrade qastaging
  downtime.runbook.database_upgrade:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_qastaging
    schema_directory: ~/launchpad/database/schema
"""

RETURN = r"""
applied:
  description: The patches that this call applied (in check mode, would apply), in order, each with its seconds and its
    title, which is the first comment in its file.
  returned: success
  type: list
  elements: dict
  sample: [{patch: patch-2208-30-0.sql, title: Remember when a bug task was triaged, seconds: 70.5}]
rows:
  description: The whole revision table afterwards, as lists of major, minor and patch.
  returned: success
  type: list
  elements: list
  sample: [[2208, 0, 0], [2208, 30, 0]]
permissions_tried:
  description: Whether the permissions file was tried.
  returned: success
  type: bool
  sample: true
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema.patches import PatchName
from ..module_utils.rollout_host.database import permissions
from ..module_utils.rollout_host.database.arguments import DATABASE, ROWS, SCHEMA, check_connections
from ..module_utils.rollout_host.database.connection import (
    Provenance,
    RolloutError,
    connect,
    message,
    pending_patches,
    refuse_unsound,
    revision_rows,
    take_lock,
)
from ..module_utils.rollout_host.database.driver import psycopg
from ..module_utils.rollout_host.database.upgrade import upgrade

ARGUMENTS = {**DATABASE, **SCHEMA, **ROWS, "log_file": {"type": "path"}, "permissions": {"type": "path"}}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Apply the pending patches; return the module's answer. Raises RolloutError."""
    params = module.params
    wanted = permissions.read(params["permissions"]) if params["permissions"] else None
    with connect(params["dsn"], "upgrade") as connection:
        if not module.check_mode:
            take_lock(connection)
        before = revision_rows(connection)
        pending = pending_patches(params["schema_directory"], before)
        if module.check_mode:
            refuse_unsound(pending)
            applied = [{"patch": str(patch.name), "title": patch.title, "seconds": None} for patch in pending]
            after = [*(row[:3] for row in before), *(patch.name.row for patch in pending)]
        else:
            provenance = Provenance(params["branch_nick"], params["revno"], params["revid"])
            applied = upgrade(connection, before, pending, provenance, params["log_file"], wanted)
            after = [row[:3] for row in revision_rows(connection)]
    texts = ["".join(f"{PatchName(*row[:3]).number}\n" for row in rows) for rows in (before, after)]
    return {
        "changed": bool(applied),
        "applied": applied,
        "rows": [list(row) for row in after],
        "permissions_tried": wanted is not None and not module.check_mode,
        "diff": dict(zip(("before", "after"), texts)),
    }


def main() -> None:
    """Read the arguments, apply the pending patches, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    try:
        answer = run(module)
    except (RolloutError, psycopg.Error, OSError) as error:
        module.fail_json(msg=message(error), **getattr(error, "facts", {}))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
