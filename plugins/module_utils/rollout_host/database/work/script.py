"""The work by the site's own upgrade script (R12, R18).

Its exit code is not trusted: the rows are, and if it keeps the contract of full-update.py its last line as well.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from ....rollout_core.schema import full_update
from ....rollout_core.schema.full_update import Output, Run
from ....rollout_core.schema.patches import PatchName
from .. import upgrade_script as script
from ..access.base import Access
from ..connection import (
    RolloutError,
    pending_patches,
    refuse_other_patches,
    refuse_unsound,
    revision_rows,
    what_was_kept,
)
from ..driver import psycopg
from ..outage.answer import changes, summary
from ..outage.run import Outage, OutageWork, WorkError
from .patches import Patching
from .script_run import run

WORK = "script"  # as the option `work` names it
SETTING = "database_upgrade"
_DEADLINE = "SIGALRM"


class Scripted(OutageWork):
    """Has the site's script apply the pending patches, which must be the pinned ones."""

    def __init__(self, params: Mapping[str, Any], access: Access) -> None:
        """Read what is pending. Raises RolloutError for other patches than were pinned, and for a missing script."""
        self.params, self.access = params, access
        self.closes_access = not params.get("upgrade_command_closes_access")
        self.argv: Sequence[str] = params["upgrade_command"]
        self.before = revision_rows(access.connection)
        self.pending = pending_patches(params["schema_directory"], self.before)
        refuse_other_patches(params["patches"], params.get("digests") or [], self.pending, self.before)
        refuse_unsound(self.pending)
        if params.get("permissions") or params.get("permissions_command"):
            raise RolloutError(
                "E-permissions-twice  database_upgrade_command sets permissions itself, so nothing would use "
                "database_permissions or database_permissions_command.\nNothing was touched. "
                "Then: leave one of them out of the inventory, and ./runbook.py run preflight"
            )
        if not self.closes_access and not params["pools"]:
            raise RolloutError(
                "E-upgrade-pools  database_upgrade_command_closes_access means that the script switches pgbouncer; "
                "without database_pools nobody here could look at it, or open what is left closed.\n"
                "Nothing was touched. Then: add them to the inventory, and ./runbook.py run preflight"
            )
        script.refuse_missing(self.argv, params["schema_directory"], f"{SETTING}_command")
        self.output = Output()
        self.log = ""

    @property
    def wanted(self) -> bool:
        """Return True if any patch is pending."""
        return bool(self.pending)

    def checked(self) -> dict[str, Any]:
        """Return what the module would answer, with the rows as they would be."""
        result = changes(self.before, [*self.before, *(patch.name.row for patch in self.pending)])
        said = f"no outage: check mode, {self.argv[0]} would apply {len(self.pending)} patches"
        return {**result, "committed": not self.pending, "summary": said}

    def run(self, outage: Outage) -> None:
        """Run the script to its end, or stop it: SIGINT first. Raises WorkError."""
        if not self.closes_access:
            self.access.save(self.params["run_id"])  # so whoever finds it closed knows who did it, and opens it
        log = script.new_log(self.params["state_directory"], self.access.database)
        self.log = str(log)
        try:
            ended = run(outage, self.argv, self.params, log, outage.interruptible, _begin_steps(outage))
        except OSError as error:
            told = script.not_startable(self.argv, self.params["schema_directory"], error, f"{SETTING}_command")
            raise WorkError(told.splitlines()[0], "correct it in the inventory, and ./runbook.py run") from error
        self.output = full_update.read(log.read_text(encoding="utf-8", errors="replace"))
        judged = self._judged(ended, outage.interruptible.received)
        if not judged.succeeded:
            told = full_update.told(judged, self.log)
            raise WorkError(told, _then(judged, self.params["dsn"]), **self._facts(judged))

    def _judged(self, ended: script.ScriptEnd, received: str | None) -> Run:
        """Return the judgement on its end, and on the rows after it."""
        missing: list[PatchName] | None = None
        for _ in range(2):  # the real one ends every session that it does not know: perhaps ours
            with suppress(psycopg.Error, RolloutError):
                self.access.reconnect()
                rows = {row.name for row in revision_rows(self.access.connection)}
                missing = [patch.name for patch in self.pending if patch.name not in rows]
                break
        return Run(
            command=Path(self.argv[0]).name,
            database=self.access.database,
            exit_code=ended.exit_code,
            seconds=ended.seconds,
            output=self.output,
            pending=[patch.name for patch in self.pending],
            missing=missing,
            closes_access=not self.closes_access,
            known=True,
            setting=SETTING,
            stopped="its deadline" if received == _DEADLINE else f"stopped by {received}",
        )

    def _facts(self, run: Run) -> dict[str, Any]:
        """Return the facts of a failure, besides its message."""
        facts: dict[str, Any] = {"log": self.log}
        seconds = full_update.outage_seconds(self.output) if run.closes_access else None
        if seconds is not None:
            facts["outage_seconds"] = seconds
        if run.missing is not None and len(run.missing) < len(run.pending):
            facts["irreversible"] = True
        elif run.exit_code is None and run.stopped == "its deadline":
            facts["verdict"] = "abort"
        return facts

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Look for the rows; return whether all are there, and a sentence on what was kept."""
        rows = {row[:3] for row in revision_rows(connection)}
        return {patch.name.row for patch in self.pending} <= rows, what_was_kept(connection, self.before, None)

    def verified(self, connection: psycopg.Connection[Any], measured: dict[str, Any]) -> dict[str, Any]:
        """Read the rows and the directory again: nothing else was applied, and nothing else is pending."""
        rows = revision_rows(connection)
        expected = {row[:3] for row in self.before} | {patch.name.row for patch in self.pending}
        others = sorted({row[:3] for row in rows} ^ expected)
        left = [str(patch.name) for patch in pending_patches(self.params["schema_directory"], rows)]
        if others or left:
            named = ", ".join([*left, *(PatchName(*row).number for row in others)])
            told = (
                f"E-rows-missing  {self.argv[0]} has left other rows than were pinned: {named}.\n"
                f"Its output: {self.log}\nThen: a developer says whether the site can go on with that"
            )
            raise RolloutError(told, **{**measured, "committed": True, "irreversible": True})
        if not self.pending:
            return {**changes(self.before, rows), "committed": True}
        all_of_it = {**measured, **(self._its_own(measured) if not self.closes_access else {})}
        answer = {key: all_of_it[key] for key in ("outage_seconds", "closed_at", "opened_at", "steps")}
        answer.update(committed=True, log=self.log, summary=summary(all_of_it))
        return {**changes(self.before, rows), **answer}

    def _its_own(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outage's duration in the script's own words; its work before and after that users did not feel."""
        names = [step["step"] for step in measured["steps"]]
        first = names.index("Outage starts") if "Outage starts" in names else 0
        last = max((n for n, name in enumerate(names) if name.startswith("Enabling access")), default=len(names) - 1)
        steps = measured["steps"][first : last + 1]
        seconds = full_update.outage_seconds(self.output)
        if seconds is None:
            seconds = round(sum(step["seconds"] for step in steps), 3)
        before = sum(step["seconds"] for step in measured["steps"][:first])
        closed_at = datetime.fromisoformat(measured["closed_at"]) + timedelta(seconds=before)
        at = {"closed_at": closed_at, "opened_at": closed_at + timedelta(seconds=seconds)}
        instants = {key: instant.isoformat(timespec="milliseconds") for key, instant in at.items()}
        return {"outage_seconds": seconds, "steps": steps, **instants}

    found = staticmethod(Patching.found)  # the same rows


def _begin_steps(outage: Outage) -> Callable[[str], None]:
    def take(line: str) -> None:
        if step := full_update.step(line):
            outage.begin(step)

    return take


def _then(run: Run, dsn: str) -> str:
    if run.exit_code is None and run.stopped == "its deadline":
        return "undo the window's stages (R19), and find out what it waited for"
    return full_update.remedy(run, dsn)
