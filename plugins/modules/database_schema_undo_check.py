#!/usr/bin/python
"""Try the undo files of schema patches on a copy of a database's schema, and the patches again after them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_schema_undo_check
short_description: Try the undo files of schema patches on a copy
description:
  - Undoing a schema after its commit is an outage of its own. Its undo files are tried first (R17).
  - Copies the schema and the revision rows, of a database that has the patches, to a new database on the same server.
    Runs the undo files there, beginning with that of the latest patch, then the patches again, and compares what
    pg_dump prints. The copy is always dropped.
  - Fails for an undo file that is missing, unsound or does not run. Whether each patch is a round trip, and which
    statements destroy data, is evidence for the DBA, who decides.
options:
  dsn:
    description: libpq conninfo of a database that has the patches, as a superuser, without a password.
  schema_directory:
    description: Directory on the host with the patches and, beside them, their C(patch-MMMM-mm-p.undo.sql) files.
  patches:
    description: Names of the patches to undo, each C(patch-MMMM-mm-p.sql).
requirements: [pg_dump and psql of the server's version]
attributes:
  check_mode:
    description: Does the same as always, because nothing of it stays.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.schema
  - downtime.runbook.database.pinned
  - downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Try the undo files
  downtime.runbook.database_schema_undo_check:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_qastaging
    schema_directory: ~/launchpad/database/schema
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
"""

RETURN = r"""
trips:
  description: Whether each patch made a round trip, in the order of application.
  returned: success
  type: list
  elements: dict
  sample: [{patch: patch-2208-30-0.sql, round_trip: true, says: "a round trip: 1 lines of the schema, and back"}]
losses:
  description: The statements of the undo files that destroy data, each with its file and line.
  returned: success
  type: list
  elements: str
  sample: ["patch-2208-58-1.undo.sql:4: DROP TABLE BugSummary"]
undo_files:
  description: The files that were tried, in the order in which they run, each C(FILE=SHA256).
  returned: success
  type: list
  elements: str
evidence:
  description: The result, in lines for the DBA.
  returned: success
  type: list
  elements: str
"""

from typing import Any, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema.patches import PatchName
from ..module_utils.rollout_core.schema.undo_files import Trip, losses
from ..module_utils.rollout_host.database.arguments import DATABASE, PINNED, SCHEMA, check_connections
from ..module_utils.rollout_host.database.connection import (
    Patch,
    RolloutError,
    connect,
    message,
    read_patch,
    revision_rows,
    take_lock,
)
from ..module_utils.rollout_host.database.driver import psycopg
from ..module_utils.rollout_host.database.schema_copy import Tools, copy_of, round_trips
from ..module_utils.rollout_host.database.work.undo_files import fingerprints, read_undos

ARGUMENTS = {**DATABASE, **SCHEMA, **PINNED}


def run(params: dict[str, Any], tools: Tools) -> dict[str, Any]:
    """Return the module's answer. Raises RolloutError."""
    with connect(params["dsn"], "schema undo check") as connection:
        take_lock(connection)  # what is being patched cannot be copied
        database = connection.info.dbname
        rows = revision_rows(connection)
        undos = read_undos(params["schema_directory"], params["patches"], rows)
        refuse_not_applied(params["patches"], undos, database)
        patches = [read_patch(params["schema_directory"], PatchName(*undo.name.row)) for undo in reversed(undos)]
        with copy_of(connection, params["dsn"], tools) as target:
            trips = round_trips(target, undos, patches, tools)
    lost = [loss for undo in undos for loss in losses(undo.name, undo.text)]
    return {
        "changed": False,
        "trips": [trip._asdict() for trip in trips],
        "losses": lost,
        "undo_files": fingerprints(undos),
        "evidence": evidence(database, trips, lost),
    }


def refuse_not_applied(names: Sequence[str], undos: Sequence[Patch], database: str) -> None:
    """Raise RolloutError E-not-applied unless the database has every patch: a missing one cannot be undone."""
    there = {undo.name.number for undo in undos}
    missing = [name for name in names if PatchName.parse(name).number not in there]
    if missing:
        raise RolloutError(
            f"E-not-applied  {database} does not have {', '.join(missing)}: nothing to undo on a copy of it.\n"
            f"Nothing was touched. Then: upgrade it to the merge, and ./runbook.py run check"
        )


def evidence(database: str, trips: Sequence[Trip], lost: Sequence[str]) -> list[str]:
    """Return all results for the DBA; the bad ones come first."""
    good = sum(trip.round_trip for trip in trips)
    told = [f"tried on a copy of the schema of {database}: {good} of {len(trips)} patches are round trips"]
    told += [f"{trip.patch}: {trip.says}" for trip in sorted(trips, key=lambda trip: trip.round_trip)]
    return [*told, *(f"takes data away: {loss}" for loss in lost)]


def main() -> None:
    """Read the arguments, try the undo files, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    tools = Tools(*(module.get_bin_path(name, required=True) for name in Tools._fields))
    try:
        answer = run(module.params, tools)
    except (RolloutError, psycopg.Error, OSError) as error:
        module.fail_json(msg=message(error), **getattr(error, "facts", {}))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
