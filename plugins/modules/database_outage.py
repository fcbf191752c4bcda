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
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files.
    type: path
    required: true
  patches:
    description: Names of the patches that the plan pinned, each C(patch-MMMM-mm-p.sql).
    type: list
    elements: str
    required: true
  run_id:
    description: Id of this run. It marks the sessions and the progress, so that they can be found from elsewhere.
    type: str
    required: true
  standbys:
    description: Conninfos of the standbys, to measure when they have replayed the commit. Done after the outage.
    type: list
    elements: str
    default: []
  state_directory:
    description: Directory on the host for the saved connection limit and the progress.
    type: path
    default: ~/.rollout
  detach:
    description:
      - Do it in a process of its own, in a session of its own, and do not wait for its end longer than a moment. Its
        result is then kept in a file for C(database_outage_progress). Without effect in check mode.
    type: bool
    default: false
  deadline_seconds:
    description:
      - Give up after so many seconds, counted from closing the gate, by this host's monotonic clock. Nothing left is
        refused before the gate is closed. No deadline by default.
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
- name: Close the gate, patch, open the gate
  database_outage:
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
verdict:
  description: C(abort), the rollout must be aborted.
  returned: when it failed because of its deadline
  type: str
irreversible:
  description: The patches are committed although the module failed.
  returned: on failure
  type: bool
"""

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rollout_answer import NO_OUTAGE, changes, failure, summary, what_became
from ansible.module_utils.rollout_database import (
    PSYCOPG_IMPORT_ERROR,
    Patch,
    Provenance,
    Revision,
    RolloutError,
    connect,
    pending_patches,
    refuse_other_patches,
    refuse_unsound,
    require_primary,
    revision_rows,
    session_names,
    take_lock,
)
from ansible.module_utils.rollout_detach import detach
from ansible.module_utils.rollout_detach import result as kept_result
from ansible.module_utils.rollout_gate import Gate
from ansible.module_utils.rollout_outage import Outage
from ansible.module_utils.rollout_progress import COMMITTED, Progress
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
    "detach": {"type": "bool", "default": False},
    "deadline_seconds": {"type": "float"},
    "clock_offset": {"type": "float", "default": 0},
    "branch_nick": {"type": "str"},
    "revno": {"type": "int"},
    "revid": {"type": "str"},
}
MOMENT = 1.5  # seconds; a short outage ends in it, and has the host to itself


def check(module: AnsibleModule) -> dict[str, Any]:
    """Look at what can be refused, and return what the module would come to, `failed` included."""
    try:
        # Sessions named `rollout …` are orphans to the next run, so a check must not be named like that.
        connection = connect(module.params["dsn"], f"check {module.params['run_id']}")
        require_primary(connection)
        gate = Gate(connection, module.params["dsn"], module.params["state_directory"])
        left = gate.refuse_if_closed_by_someone_else()
        before, pending = look(module, connection)
    except (RolloutError, psycopg.Error, OSError) as error:
        return failure(error)
    said = f"no outage: check mode, {len(pending)} patches are pending"
    result = changes(before, [*before, *(patch.name.row for patch in pending)])
    result.update(NO_OUTAGE, committed=not pending, took_over=left and left["run_id"], summary=said)
    return {"failed": False, **result}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do the whole of it and return the module's result, `failed` included."""
    params = module.params
    progress = None
    try:
        connection = connect(params["dsn"], session_names(params["run_id"])[1])
        require_primary(connection)
        gate = Gate(connection, params["dsn"], params["state_directory"])
        take_lock(connection)  # before a word of progress: that of the one who has the lock must stand
        progress = Progress(params["state_directory"], connection.info.dbname, params["run_id"])
        result = patched(module, gate, progress)
    except (RolloutError, psycopg.Error, OSError) as error:
        result = failure(error)
    if progress:
        progress.answer(what_became(result), finished=True)
    return result


def patched(module: AnsibleModule, gate: Gate, progress: Progress) -> dict[str, Any]:
    """Take over what a killed run left, have the outage if anything is pending, and return the module's result."""
    gate.end_orphans([gate.connection.info.backend_pid])
    with gate.taken_over() as left:
        before, pending = look(module, gate.connection)
        measured = outage(module, gate, pending, progress) if pending else NO_OUTAGE
        after = verified_rows(gate, pending, measured)
    result = {**changes(before, after), **measured, "committed": True, "took_over": left, "summary": summary(measured)}
    result["changed"] = result["changed"] or left is not None
    return {"failed": False, **result}


def look(module: AnsibleModule, connection: Any) -> tuple[list[Revision], list[Patch]]:
    """Return the rows and the pending patches once everything is refused that can be refused beforehand."""
    rows = revision_rows(connection)
    pending = pending_patches(module.params["schema_directory"], rows)
    refuse_other_patches(module.params["patches"], pending, rows)
    refuse_unsound(pending)
    return rows, pending


def outage(module: AnsibleModule, gate: Gate, pending: list[Patch], progress: Progress) -> dict[str, Any]:
    """Have the outage; returns what it measured."""
    params = module.params
    deadline = params["deadline_seconds"]
    if deadline is not None and deadline <= 0:
        said = "no time is left for an outage.\nNothing was touched. Then: undo the window's stages (R19)"
        raise RolloutError(f"E-outage-deadline  {said}", verdict="abort")
    provenance = Provenance(params["branch_nick"], params["revno"], params["revid"])
    with connect(params["dsn"], session_names(params["run_id"])[0]) as patching:
        result = Outage(gate, patching, params["run_id"], provenance, progress.begin).run(pending, deadline)
    progress.answer(COMMITTED)  # now: what follows is only measured
    measured = {key: value for key, value in result._asdict().items() if key != "remark"}
    if result.remark:
        measured["warnings"] = [result.remark]
    for key in ("closed_at", "opened_at"):
        at = datetime.fromtimestamp(measured[key] + params["clock_offset"], timezone.utc)
        measured[key] = at.isoformat(timespec="milliseconds")
    if params["standbys"]:
        progress.begin("wait for the standbys")
        measured["standby_seconds"] = seconds_until_replayed(params["standbys"], gate.connection)
    return measured


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


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
    if module.check_mode:
        result = check(module)
    elif module.params["detach"]:
        pid, answer_file = detach(module.params["state_directory"], lambda: run(module), MOMENT)
        result = kept_result(answer_file)
        if result is None or "crashed" in result:  # database_outage_progress knows what that means
            module.exit_json(changed=False, finished=False, pid=pid, answer_file=answer_file)
    else:
        result = run(module)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    (module.fail_json if result["failed"] else module.exit_json)(finished=True, **result)


if __name__ == "__main__":
    main()
