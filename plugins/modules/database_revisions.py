#!/usr/bin/python
"""Ask a database which schema patches it has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_revisions
short_description: Verify the rows of the schema revision table
description:
  - Reads LaunchpadDatabaseRevision. Fails unless every patch of O(present) has a row there and no patch of O(absent)
    has. The rows are the only proof of what was committed (R12, R18).
options:
  dsn:
    description: libpq conninfo of the database, without a password. A standby will do.
  present:
    description: Names of patches that must have been applied.
    type: list
    elements: str
    default: []
  schema_directory:
    description: Directory on the host with the patches. Their titles are read there.
    type: path
  absent:
    description: Names of patches that must not have been applied.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Verify the rows of the revision table
  downtime.runbook.database_revisions:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    present: [patch-2208-30-0.sql]
"""

RETURN = r"""
rows:
  description: The whole table, as lists of major, minor and patch.
  returned: always
  type: list
  elements: list
  sample: [[2208, 0, 0], [2208, 30, 0]]
timings:
  description: The patches of O(present) that have a row, each with its title (the first comment or statement in its
    file), its seconds (null when the row has none), when it was applied (ISO 8601, UTC) and from which revision.
  returned: always
  type: list
  elements: dict
  sample: [{patch: patch-2208-30-0.sql, title: Add a column., seconds: 70.5, applied_at: "2026-12-09T08:00:01+00:00",
    revid: pqm@prae-20261207080312-x1}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema.patches import PatchName
from ..module_utils.rollout_host.database.arguments import DATABASE, check_connections
from ..module_utils.rollout_host.database.connection import (
    RolloutError,
    connect,
    message,
    read_patch,
    revision_rows,
)
from ..module_utils.rollout_host.database.driver import psycopg

ARGUMENTS = {
    **DATABASE,
    "present": {"type": "list", "elements": "str", "default": []},
    "absent": {"type": "list", "elements": "str", "default": []},
    "schema_directory": {"type": "path"},
}


def run(params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's answer. Raises RolloutError."""
    try:
        present, absent = ([PatchName.parse(name) for name in params[key]] for key in ("present", "absent"))
    except ValueError as error:
        raise RolloutError(f"E-bad-patch-name  {error}") from error
    with connect(params["dsn"], "revisions") as connection:
        rows, database = revision_rows(connection), connection.info.dbname
    applied = {row.name: row for row in rows}
    timings = [
        {
            "patch": str(name),
            "title": read_patch(params["schema_directory"], name).title if params["schema_directory"] else "",
            "seconds": None if (seconds := applied[name].seconds) is None else round(seconds, 3),
            "applied_at": f"{applied[name].start_time.isoformat(timespec='seconds')}+00:00",
            "revid": applied[name].revid,
        }
        for name in present
        if name in applied
    ]
    answer = {"changed": False, "rows": [list(row[:3]) for row in rows], "timings": timings}
    wrong = {
        "not applied": [str(name) for name in present if name not in applied],
        "applied, and must not be": [str(name) for name in absent if name in applied],
    }
    said = "; ".join(f"{what}: {', '.join(names)}" for what, names in wrong.items() if names)
    if said:
        look = f"psql {params['dsn']!r} -c 'TABLE LaunchpadDatabaseRevision'"
        told = f"E-wrong-rows  {database} has other patches than it should. {said}.\nSee:  {look}"
        raise RolloutError(told, **answer)
    return answer


def main() -> None:
    """Read the arguments, ask the database, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    try:
        answer = run(module.params)
    except (RolloutError, psycopg.Error, OSError) as error:
        module.fail_json(msg=message(error), **getattr(error, "facts", {}))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
