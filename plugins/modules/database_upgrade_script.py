#!/usr/bin/python
"""Apply the pending schema patches with the site's own script, and trust the rows instead of its exit code."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_upgrade_script
short_description: Upgrade a database with the site's own script, and prove by the rows what it did
description:
  - Runs the script as it is, without a shell, in a process group of its own, and writes its output to a file on the
    host (R12). Ends the whole group at O(deadline_seconds), or when the module itself is ended, with SIGINT first.
  - The script has succeeded when every patch that was pending has its row, the last line is C(All good. All done.), and
    the exit code is 0. The code alone proves nothing, because it is 0 after a rollback too. Nor does
    C(applied just now).
  - Runs the script even when no patch is pending, because it sets permissions too. It is not run again if it has
    already succeeded for the same revision and command.
  - Refuses pending patches that are misnamed or unsound, before the script is run.
options:
  dsn:
    description: libpq conninfo of the database, without a password and past pgbouncer, to read the rows.
  command:
    description: The script and its options.
    type: list
    elements: str
    required: true
  chdir:
    description: Directory to run the script in. A relative path of the script starts there.
    type: path
  revid:
    description: Id of the revision of the tree. A success is remembered for this revision.
    type: str
    required: true
  deadline_seconds:
    description: How long the script may take.
    type: float
    required: true
  directory:
    description: Directory for the output and for the record of the last success.
    type: path
    default: ~/.rollout
attributes:
  check_mode:
    description: Checks the pending patches and runs nothing. The script has no dry run.
    support: full
  diff_mode:
    description: Shows the rows of the revision table before and after.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.schema
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Upgrade qastaging with the site's script
  downtime.runbook.database_upgrade_script:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_qastaging
    schema_directory: ~/launchpad/database/schema
    command: [database/schema/full-update.py, --pgbouncer, host=127.0.0.1 port=6432 user=pgbouncer]
    chdir: ~/launchpad
    revid: pqm@prae-20261207080312-x1
    deadline_seconds: 5400
"""

RETURN = r"""
applied:
  description: The patches that were pending and have a row now (in check mode, would have), in order, each with its
    title and its seconds by row or output, whichever is longer.
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
evidence:
  description: What the script did, in lines for a person.
  returned: success
  type: list
  elements: str
log:
  description: The file with the output of the script; null when it was not run.
  returned: when the script was started, also on failure
  type: str
exit_code:
  description: The exit code of the script, negative for a signal, null when it was ended at its deadline.
  returned: when the script was started, also on failure
  type: int
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema import full_update
from ..module_utils.rollout_host.database import upgrade_script as script
from ..module_utils.rollout_host.database.arguments import DATABASE, SCHEMA, check_connections
from ..module_utils.rollout_host.database.connection import (
    Patch,
    RevisionRow,
    RolloutError,
    connect,
    message,
    pending_patches,
    refuse_unsound,
    revision_rows,
    take_lock,
)
from ..module_utils.rollout_host.database.driver import psycopg

ARGUMENTS = {
    **DATABASE,
    **SCHEMA,
    "command": {"type": "list", "elements": "str", "required": True},
    "chdir": {"type": "path"},
    "revid": {"type": "str", "required": True},
    "deadline_seconds": {"type": "float", "required": True},
    "directory": {"type": "path", "default": "~/.rollout"},
}


def look(params: dict[str, Any], *, lock: bool) -> tuple[str, list[RevisionRow], list[Patch]]:
    """Return the database's name, rows and pending patches. Raises RolloutError, also if another run is at work."""
    with connect(params["dsn"], "upgrade") as connection:
        if lock:
            take_lock(connection)  # until here: the script ends every session that it does not know
        rows = revision_rows(connection)
        pending = pending_patches(params["schema_directory"], rows)
        refuse_unsound(pending)
        return connection.info.dbname, rows, pending


def rows_now(dsn: str) -> list[RevisionRow] | None:
    """Return the rows after the run; None if nobody can look, which is no success either."""
    with suppress(RolloutError, psycopg.Error), connect(dsn, "upgrade") as connection:
        return revision_rows(connection)
    return None


def carry_out(params: dict[str, Any], database: str, before: list[RevisionRow], pending: list[Patch]) -> dict[str, Any]:
    """Run the script and judge it by what it left; return the module's answer. Raises RolloutError."""
    log = script.new_log(params["directory"], database)
    ended = script.run(params["command"], params["chdir"], log, params["deadline_seconds"], "qastaging_upgrade_command")
    output = full_update.read(log.read_text(encoding="utf-8", errors="replace"))
    after = rows_now(params["dsn"])
    there = None if after is None else {row.name: row.seconds for row in after}
    names = [patch.name for patch in pending]
    missing = None if there is None else [name for name in names if name not in there]
    run = full_update.Run(
        Path(params["command"][0]).name, database, ended.exit_code, ended.seconds, output, names, missing
    )
    facts = {"log": str(log), "exit_code": ended.exit_code}
    if not run.succeeded or after is None or there is None:
        raise RolloutError(full_update.failure(run, str(log), params["dsn"]), **facts)
    script.record_success(params["directory"], database, success(params, log))
    seconds, remarks = full_update.timings(output, {str(name): there[name] for name in names})
    applied = [{"patch": str(p.name), "title": p.title, "seconds": seconds[str(p.name)]} for p in pending]
    outage = f", outage {output.took}" if output.took else ""
    told = f"{run.command} came to its end in {ended.seconds:.1f} s{outage} · its output: {log}"
    return {**answer(before, after, applied), "changed": True, "evidence": [told, *remarks], **facts}


def success(params: dict[str, Any], log: Path) -> dict[str, Any]:
    """Return the record of a run that ended well."""
    return {"revid": params["revid"], "command": params["command"], "log": str(log)}


def answer(before: list[RevisionRow], after: list[RevisionRow], applied: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the part of the module's answer that is the same whether the script was run or not."""
    texts = ["".join(f"{row.name.number}\n" for row in rows) for rows in (before, after)]
    return {
        "changed": bool(applied),
        "applied": applied,
        "rows": [list(row[:3]) for row in after],
        "evidence": [],
        "log": None,
        "diff": dict(zip(("before", "after"), texts)),
    }


def run(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Return the module's answer. Raises RolloutError."""
    database, before, pending = look(params, lock=not check)
    last = script.last_success(params["directory"], database)
    if not pending and last == success(params, Path((last or {}).get("log", ""))):
        script_name = Path(params["command"][0]).name
        told = f"{script_name} has come to its end for this revision before · its output: {last['log']}"
        return {**answer(before, before, []), "evidence": [told]}
    if not check:
        return carry_out(params, database, before, pending)
    would = [{"patch": str(patch.name), "title": patch.title, "seconds": None} for patch in pending]
    told = f"would run {' '.join(params['command'])}"
    return {**answer(before, before, would), "changed": True, "evidence": [told]}


def main() -> None:
    """Read the arguments, run the script, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check_connections(module)
    try:
        result = run(module.params, check=module.check_mode)
    except (RolloutError, psycopg.Error, OSError) as error:
        module.fail_json(msg=message(error), **getattr(error, "facts", {}))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
