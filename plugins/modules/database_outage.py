#!/usr/bin/python
"""Apply the pinned schema patches behind a closed gate, in one call that opens the gate again whatever happens."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_outage
short_description: Close a database to users, apply the pinned schema patches, and open it again
description:
  - Checks that the patches pending in O(schema_directory) are exactly those that the plan pinned. Nothing pending means
    nothing to do, and no outage.
  - Saves the database's connection limit on the host, sets it to 0 (superusers pass), ends the users' sessions, applies
    all patches in one transaction with application_name C(rollout RUN_ID), and puts the limit back in that transaction.
  - An SQL error, SIGTERM, SIGHUP, SIGINT or the deadline roll everything back and open the gate. After kill -9 the gate
    stays closed; the next call takes it over, and C(database_gate) opens it.
  - Success is rows in the revision table, which are read again after the commit (R18).
  - Needs psycopg 3 on the host and PostgreSQL 14 or later. The user's ~/.pgpass holds the password.
options:
  dsn:
    description: libpq conninfo of the database as a superuser, without a password.
    type: str
    required: true
  schema_directory:
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files.
    type: path
    required: true
  patches:
    description: Names of the patches that the plan pinned, each C(patch-MMMM-mm-p.sql).
    type: list
    elements: str
    required: true
  run_id:
    description: The rollout's id. It marks the sessions, so that they can be found from elsewhere.
    type: str
    required: true
  standbys:
    description: Conninfos of the standbys, to measure when they have replayed the commit. Done after the outage.
    type: list
    elements: str
    default: []
  state_directory:
    description: Directory on the host for the saved connection limit.
    type: path
    default: ~/.rollout
  deadline_seconds:
    description: Give up after so many seconds, counted from closing the gate. No deadline by default.
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
- name: Close the gate, patch, open the gate
  database_outage:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    schema_directory: ~/srv/launchpad/r12735/database/schema
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
    run_id: 2026-12
"""

RETURN = r"""
committed:
  description: Whether the pinned patches are in the revision table for good.
  returned: always
  type: bool
outage_seconds:
  description: From closing the gate to its being open again; 0 without an outage.
  returned: always
  type: float
  sample: 1.9
steps:
  description: Where that time went, in order. The sum is the outage.
  returned: always
  type: list
  elements: dict
  sample: [{step: close the gate, seconds: 0.01}, {step: patch-2208-30-0.sql, seconds: 1.2}]
closed_at:
  description: When the gate closed, ISO 8601 in UTC; null without an outage.
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
standby_seconds:
  description: How long after the gate opened the slowest standby had replayed the commit; null if it was not in time.
  returned: when there was an outage and there are standbys
  type: float
summary:
  description: One line for people.
  returned: success
  type: str
  sample: outage 1.9 s · 4 patches 1.4 s · gate closed 08:00:00.1–08:00:02.0 · 38 connections ended
took_over:
  description: Id of the killed run whose closed gate was opened; null otherwise.
  returned: always
  type: str
locked_out:
  description: The gate is still closed. The message holds the command that opens it.
  returned: on failure
  type: bool
irreversible:
  description: The patches are committed although the module failed.
  returned: on failure
  type: bool
"""

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rollout_database import (
    PSYCOPG_IMPORT_ERROR,
    Patch,
    Provenance,
    Revision,
    RolloutError,
    connect,
    message,
    pending_patches,
    refuse_other_patches,
    refuse_unsound,
    require_primary,
    revision_rows,
    take_lock,
)
from ansible.module_utils.rollout_gate import Gate
from ansible.module_utils.rollout_outage import Outage
from ansible.module_utils.rollout_standby import seconds_until_replayed

with suppress(ImportError):  # PSYCOPG_IMPORT_ERROR says so
    import psycopg

ARGUMENTS = {
    "dsn": {"type": "str", "required": True},
    "schema_directory": {"type": "path", "required": True},
    "patches": {"type": "list", "elements": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    "standbys": {"type": "list", "elements": "str", "default": []},
    "state_directory": {"type": "path", "default": "~/.rollout"},
    "deadline_seconds": {"type": "float"},
    "clock_offset": {"type": "float", "default": 0},
    "branch_nick": {"type": "str"},
    "revno": {"type": "int"},
    "revid": {"type": "str"},
}
NO_OUTAGE = {"outage_seconds": 0.0, "steps": [], "closed_at": None, "opened_at": None, "ended_sessions": 0}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do the whole of it and return the module's answer. Raises RolloutError."""
    dsn, run_id = module.params["dsn"], module.params["run_id"]
    # Sessions named `rollout …` are orphans to the next run, so a check must not be named like that.
    connection = connect(dsn, f"check {run_id}" if module.check_mode else f"rollout {run_id} gate")
    require_primary(connection)
    gate = Gate(connection, dsn, module.params["state_directory"])
    if module.check_mode:
        left = gate.refuse_if_closed_by_someone_else()
        before, pending = look(module, connection)
        after = [*before, *(patch.name.row for patch in pending)]
        said = f"no outage: check mode, {len(pending)} patches are pending"
        left_by = left and left["run_id"]
        return {**answer(before, after), **NO_OUTAGE, "committed": not pending, "took_over": left_by, "summary": said}
    take_lock(connection)
    gate.end_orphans([connection.info.backend_pid])
    with gate.taken_over() as left:
        before, pending = look(module, connection)
        measured = outage(module, gate, pending) if pending else NO_OUTAGE
        after = verified_rows(gate, pending, measured)
    answered = {**answer(before, after), **measured, "committed": True, "took_over": left, "summary": summary(measured)}
    answered["changed"] = answered["changed"] or left is not None
    return answered


def look(module: AnsibleModule, connection: Any) -> tuple[list[Revision], list[Patch]]:
    """Return the rows and the pending patches once everything is refused that can be refused beforehand."""
    rows = revision_rows(connection)
    pending = pending_patches(module.params["schema_directory"], rows)
    refuse_other_patches(module.params["patches"], pending, rows)
    refuse_unsound(pending)
    return rows, pending


def outage(module: AnsibleModule, gate: Gate, pending: list[Patch]) -> dict[str, Any]:
    """Have the outage; returns what it measured."""
    params = module.params
    provenance = Provenance(params["branch_nick"], params["revno"], params["revid"])
    with connect(params["dsn"], f"rollout {params['run_id']}") as patching:
        result = Outage(gate, patching, params["run_id"], provenance).run(pending, params["deadline_seconds"])
    if result.remark:
        module.warn(result.remark)
    measured = {key: value for key, value in result._asdict().items() if key != "remark"}
    for key in ("closed_at", "opened_at"):
        at = datetime.fromtimestamp(measured[key] + params["clock_offset"], timezone.utc)
        measured[key] = at.isoformat(timespec="milliseconds")
    if params["standbys"]:
        measured["standby_seconds"] = seconds_until_replayed(params["standbys"], gate.connection)
    return measured


def summary(measured: dict[str, Any]) -> str:
    """Say in one line what the outage was."""
    if not measured["steps"]:
        return "no outage: nothing was pending"
    patches = [step["seconds"] for step in measured["steps"] if step["step"].startswith("patch-")]
    parts = [
        f"outage {measured['outage_seconds']:.1f} s",
        f"{len(patches)} patches {sum(patches):.1f} s",
        f"gate closed {measured['closed_at'][11:21]}–{measured['opened_at'][11:21]}",
        f"{measured['ended_sessions']} connections ended",
    ]
    if "standby_seconds" in measured:
        late = measured["standby_seconds"]
        parts.append("STANDBY NOT CAUGHT UP" if late is None else f"standby caught up {late:.1f} s later")
    return " · ".join(parts)


def verified_rows(gate: Gate, pending: list[Patch], measured: dict[str, Any]) -> list[Revision]:
    """Read the rows again, after the commit. What goes wrong from here on does so with the patches in."""
    try:
        rows = revision_rows(gate.connection)
    except psycopg.Error as error:
        message = f"E-rows-unread  the patches are committed, but the rows could not be read again: {error}"
        raise RolloutError(message, committed=True, irreversible=True, **measured) from error
    missing = sorted({patch.name.row for patch in pending} - {row[:3] for row in rows})
    if missing:
        raise RolloutError(f"E-rows-missing  the commit succeeded, yet these rows are not there: {missing}", **measured)
    return rows


def answer(before: list[Any], after: list[Any]) -> dict[str, Any]:
    """Return `changed` and `diff` for the rows before and after."""
    texts = ["".join("{}-{:02d}-{}\n".format(*row) for row in rows) for rows in (before, after)]
    return {"changed": len(before) != len(after), "diff": dict(zip(("before", "after"), texts))}


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
    try:
        answered = run(module)
    except (RolloutError, psycopg.Error, OSError) as error:
        known = {**NO_OUTAGE, "committed": False, "locked_out": False, "irreversible": False}
        known.update(getattr(error, "facts", {}))
        on_record = {"outage_seconds": known["outage_seconds"], "outage_steps": known["steps"]}
        module.fail_json(msg=message(error), facts=on_record, **known)
    module.exit_json(**answered)


if __name__ == "__main__":
    main()
