#!/usr/bin/python
"""Look at everything an outage depends on, while nobody is locked out yet: all findings at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_preflight
short_description: Check that an outage can be had now
description:
  - Checks the connection, the pending patches and each one's text, standbys and their lag, long and prepared
    transactions, the gate, the disk (R18). Every check runs, whatever the others found, and all that failed are told at
    once, each with what to do about it.
  - Changes nothing.
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
    description: Names of the patches that the plan pinned.
    type: list
    elements: str
    required: true
  standbys:
    description: Conninfos of all standbys; as many must be streaming.
    type: list
    elements: str
    default: []
  state_directory:
    description: Directory on the host for the saved connection limit.
    type: path
    default: ~/.rollout
  max_lag_seconds:
    description: A standby that is further behind fails.
    type: float
    default: 60
  max_transaction_seconds:
    description: A transaction that has been open for longer fails.
    type: float
    default: 60
attributes:
  check_mode:
    description: Checks as always, since it changes nothing.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Check the database
  database_preflight:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    schema_directory: ~/srv/launchpad/r12735/database/schema
    patches: [patch-2208-30-0.sql, patch-2208-56-0.sql]
    standbys: [host=127.0.0.2 user=postgres dbname=launchpad_prod]
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
    todo: {description: "What to do when it is not ok.", type: str}
  sample: [{check: gate, ok: true, found: open, expected: open, todo: wait for the other run}]
summary:
  description: One line for people.
  returned: always
  type: str
  sample: 14 of 14 ✓ · lag 0.2 s · no transaction over 60 s
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rollout_core import patches
from ansible.module_utils.rollout_database import (
    PSYCOPG_IMPORT_ERROR,
    RolloutError,
    connect,
    message,
    pending_patches,
    refuse_other_patches,
    require_primary,
    revision_rows,
)
from ansible.module_utils.rollout_gate import Gate
from ansible.module_utils.rollout_standby import lag, written

with suppress(ImportError):  # PSYCOPG_IMPORT_ERROR says so
    import psycopg

ARGUMENTS = {
    "dsn": {"type": "str", "required": True},
    "schema_directory": {"type": "path", "required": True},
    "patches": {"type": "list", "elements": "str", "required": True},
    "standbys": {"type": "list", "elements": "str", "default": []},
    "state_directory": {"type": "path", "default": "~/.rollout"},
    "max_lag_seconds": {"type": "float", "default": 60},
    "max_transaction_seconds": {"type": "float", "default": 60},
}
LONG_TRANSACTIONS = """
    SELECT usename, application_name, extract(epoch FROM clock_timestamp() - xact_start)::int, pid, left(query, 60)
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND xact_start < clock_timestamp() - %s * interval '1 second' ORDER BY xact_start"""
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared"
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
PATCHING = """
    SELECT application_name, pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'rollout %'"""
MEGABYTE = 1e6


class Finding(NamedTuple):
    """The answer to one check; `todo` is what to do when it is not ok."""

    check: str
    ok: bool
    found: str
    expected: str
    todo: str = ""


class Preflight:
    """The checks. Each is a method that yields findings; one that breaks becomes a failed finding itself."""

    def __init__(self, params: dict[str, Any]) -> None:
        """`params` are the module's; `lag` is the largest lag found, None when it could not be found out."""
        self.params = params
        self.connection = connect(params["dsn"], "preflight")
        self.lag: float | None = None

    def findings(self) -> list[Finding]:
        """Run all checks."""
        checks: list[Callable[[], Iterator[Finding]]] = [
            self.server, self.reserve, self.patches, self.standbys, self.lags, self.transactions, self.prepared,
            self.gate, self.others, self.state, self.disk,
        ]  # fmt: skip
        found = []
        for check in checks:
            try:
                found += list(check())
            except (RolloutError, psycopg.Error, OSError) as error:
                lines = message(error).split("\n")
                what = "a check that can be made"
                found.append(Finding(check.__name__, ok=False, found=lines[0], expected=what, todo=" ".join(lines[1:])))
        return [finding._replace(todo="") if finding.ok else finding for finding in found]

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(query, values or None).fetchall()

    def server(self) -> Iterator[Finding]:
        """The primary, as a superuser: others would be locked out with the users."""
        require_primary(self.connection)
        wanted = "superuser on the primary"
        yield Finding("server", ok=True, found=wanted, expected=wanted)

    def reserve(self) -> Iterator[Finding]:
        """Two connections must be had even when users hold all others."""
        reserved = int(self.ask("SHOW superuser_reserved_connections")[0][0])
        todo = "set superuser_reserved_connections to 3 and restart, on another day"
        yield Finding("reserved connections", reserved >= 2, str(reserved), "at least 2", todo)

    def patches(self) -> Iterator[Finding]:
        """Pending is what the plan pinned, and every patch is sound."""
        rows = revision_rows(self.connection)
        pending = pending_patches(self.params["schema_directory"], rows)
        refuse_other_patches(self.params["patches"], pending, rows)
        expected = f"the {len(self.params['patches'])} pinned ones"
        yield Finding("patches", ok=True, found=f"{len(pending)} pending", expected=expected)
        for patch in pending:
            wrong = patches.check(str(patch.name), patch.text)
            yield Finding(
                str(patch.name), not wrong, "; ".join(wrong) or "sound", "sound", "fix it or back it out (R17)"
            )

    def standbys(self) -> Iterator[Finding]:
        """All of them stream."""
        count, expected = self.ask(STREAMING)[0][0], len(self.params["standbys"])
        todo = "look at the standbys' logs; without them there is no way back from a broken primary"
        yield Finding("standbys", count == expected, f"{count} streaming", f"{expected} streaming", todo)

    def lags(self) -> Iterator[Finding]:
        """Each standby has replayed what the primary had written a moment ago."""
        limit, position = self.params["max_lag_seconds"], written(self.connection)
        for dsn in self.params["standbys"]:
            behind = lag(dsn, position)
            self.lag = max(self.lag or 0, behind or 0)
            found = "has replayed nothing yet" if behind is None else f"{behind:.1f} s"
            ok = behind is not None and behind <= limit
            yield Finding("lag", ok, found, f"at most {limit:.0f} s", f"wait until it has caught up: {dsn}")

    def transactions(self) -> Iterator[Finding]:
        """A long transaction holds locks; its user's work would be lost."""
        limit = self.params["max_transaction_seconds"]
        found = [
            f"{user} ({application}) for {age} s, pid {pid}: {query}"
            for user, application, age, pid, query in self.ask(LONG_TRANSACTIONS, limit)
        ]
        todo = "ask its owner, or end it: SELECT pg_terminate_backend(PID)"
        yield Finding("transactions", not found, "; ".join(found) or "none", f"none over {limit:.0f} s", todo)

    def prepared(self) -> Iterator[Finding]:
        """They hold locks with no session that could be ended."""
        found = [gid for (gid,) in self.ask(PREPARED)]
        yield Finding("prepared transactions", not found, ", ".join(found) or "none", "none", "ROLLBACK PREPARED 'GID'")

    def gate(self) -> Iterator[Finding]:
        """Nobody left it closed."""
        gate = Gate(self.connection, self.params["dsn"], self.params["state_directory"])
        state, saved = gate.state()
        todo = "playbooks/outage_undo.yml opens it" if saved else f"ask who closed it, then: {gate.opening_command(-1)}"
        yield Finding("gate", state == "open", state, "open", todo)

    def others(self) -> Iterator[Finding]:
        """Nobody is patching right now."""
        found = [f"{application} (pid {pid})" for application, pid in self.ask(PATCHING)]
        yield Finding("other runs", not found, ", ".join(found) or "none", "none", "wait for it, or stop it there")

    def state(self) -> Iterator[Finding]:
        """The old connection limit can be saved."""
        directory = Path(self.params["state_directory"])
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        ok = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
        yield Finding("state directory", ok, "writable" if ok else f"{existing} is not", "writable", f"see {directory}")

    def disk(self) -> Iterator[Finding]:
        """Patches may write every table anew, once."""
        free = shutil.disk_usage(self.ask("SHOW data_directory")[0][0]).free
        size = self.ask("SELECT pg_database_size(current_database())")[0][0]
        found, expected = f"{free / MEGABYTE:,.0f} MB free", f"at least the database's {size / MEGABYTE:,.0f} MB"
        yield Finding("disk", free >= size, found, expected, "make room on the database's volume")


def summary(findings: list[Finding], lag_seconds: float | None, limit: float) -> str:
    """Say in one line how it stands."""
    good = sum(finding.ok for finding in findings)
    parts = [f"{good} of {len(findings)} " + ("✓" if good == len(findings) else "✗")]
    if lag_seconds is not None:
        parts.append(f"lag {lag_seconds:.1f} s")
    if any(finding.check == "transactions" and finding.ok for finding in findings):
        parts.append(f"no transaction over {limit:.0f} s")
    return " · ".join(parts)


def complaint(database: str, findings: list[Finding]) -> str:
    """List every failed check and what to do about it."""
    failed = [finding for finding in findings if not finding.ok]
    lines = [f"E-preflight  {len(failed)} of {len(findings)} checks of {database} failed, nothing was changed:"]
    for finding in failed:
        lines.append(f"  {finding.check}: {finding.found} (expected: {finding.expected})")
        if finding.todo:
            lines.append(f"      {finding.todo}")
    return "\n".join([*lines, "  Then: ./runbook.py run preflight"])


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    if PSYCOPG_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("psycopg"), exception=PSYCOPG_IMPORT_ERROR)
    try:
        preflight = Preflight(module.params)
    except RolloutError as error:
        module.fail_json(msg=message(error))
    findings = preflight.findings()
    said = summary(findings, preflight.lag, module.params["max_transaction_seconds"])
    answer = {"changed": False, "findings": [finding._asdict() for finding in findings], "summary": said}
    if not all(finding.ok for finding in findings):
        module.fail_json(msg=complaint(preflight.connection.info.dbname, findings), **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
