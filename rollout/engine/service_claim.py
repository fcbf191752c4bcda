"""The rollout's claim on its service: taken before anything is said or touched, and ended with the rollout."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import Any

from plugins.module_utils.rollout_core.journal import claims as core
from plugins.module_utils.rollout_core.journal import text as text_format
from plugins.module_utils.rollout_core.journal.claims import TakeOver
from plugins.module_utils.rollout_core.journal.events import ServiceClaimed
from rollout import ROOT
from rollout.engine.playbooks import PlaybookRun
from rollout.engine.rollout import Rollout
from rollout.journal import store
from rollout.journal.file import NAME
from rollout.outcomes import ClaimRefusedError, ExitCode, LeftAsIs, RunbookError

TAKE, END = "claim", "claim_end"
NOBODYS = TakeOver()


@dataclass
class ServiceClaim:
    """What one run of the runbook does with it. `heard` is how many lines of the journal the host has heard of."""

    rollout: Rollout
    heard: int = 0

    def take(self, over: TakeOver = NOBODYS, *, may_be_unknown: bool = False) -> None:
        """Claim the service, or see that it is ours still; `over` says from whom it is taken.

        Raises ClaimRefusedError when another rollout has it (exit code 5), when the journal is not the one that was
        heard of, or when it is not known whose it is: unless that may be so, because something is to be taken back.
        """
        asked = {"claim_from": over.rollout, "claim_why": over.reason, "claim_over": _closed_here()}
        run = self._played(TAKE, asked)
        if not run.ok:
            self._refused(run, may_be_unknown=may_be_unknown)
            return
        claim: dict[str, Any] = run.stats.get("claim") or {}
        if run.stats.get("claimed") or over.rollout:
            where = (os.uname().nodename, str(ROOT))
            self.rollout.journal.write(ServiceClaimed(str(claim.get("service")), getpass.getuser(), *where))
        self.heard = len(self.rollout.journal.entries)

    @property
    def on_record(self) -> bool:
        """Return True if the service was claimed for this rollout, in this run or before."""
        return self.rollout.journal.last(ServiceClaimed) is not None

    def begin(self) -> None:
        """Claim the service if this run has not: a rollout begins. Raises ClaimRefusedError."""
        if not self.heard:
            self.take()

    def still_ours(self) -> None:
        """See that it is ours still, before something is said, if anything has happened since. Raises LeftAsIs."""
        if len(self.rollout.journal.entries) > self.heard:
            try:
                self.take()
            except ClaimRefusedError as refused:
                raise LeftAsIs(str(refused), "", refused.exit_code) from refused

    def settle(self, outcome: str) -> None:
        """Tell the host how far the journal is, and end the claim if the rollout is over."""
        over = outcome in core.ENDS
        if not (self.heard or over) or not self.on_record:
            return
        run = self._played(END, {"claim_ends": outcome}) if over else self._played(TAKE, {})
        self.heard = len(self.rollout.journal.entries)
        if not run.ok and not run.failed_with("claim_lost"):  # by then it is another rollout's
            what = "is not ended" if over else "does not know how far the journal is"
            self.rollout.screen.say(f"! The claim on the service {what}: {run.message}")

    def _played(self, playbook: str, asked: dict[str, Any]) -> PlaybookRun:
        work = self.rollout.begin(playbook, self.rollout.run_id(playbook), extra_vars=asked)
        return work.wait(lambda: self.rollout.uninterrupted("the claim on the service is settled first."))

    def _refused(self, run: PlaybookRun, *, may_be_unknown: bool) -> None:
        """Raise ClaimRefusedError, unless what is not known may be so."""
        self.rollout.screen.quiet()
        if run.failed_with("claim_lost"):
            raise ClaimRefusedError(run.message, ExitCode.LOCKED)
        if run.failed_with("journal_lost") or not may_be_unknown:
            raise ClaimRefusedError(f"{run.message}\n  Mend it, then:  ./runbook.py run", ExitCode.FAILED)
        self.rollout.screen.say(f"! Whether the service is still this rollout's is not known.\n{run.message}")


def code_of(run: PlaybookRun) -> ExitCode:
    """Return the exit code of a command whose playbook came to that: another rollout may have the service."""
    if run.ok:
        return ExitCode.DONE
    return ExitCode.LOCKED if run.failed_with("claim_lost") else ExitCode.FAILED


def _closed_here() -> list[str]:
    """Return the journals of the rollouts here that are over, by their first lines: their claims count as ended."""
    found = []
    for directory in store.newest_first():
        try:
            if store.is_closed(directory):
                found += text_format.heads((directory / NAME).read_text(encoding="utf-8"))[:1]
        except (RunbookError, ValueError, OSError):
            continue  # whose end is not known is not over
    return found
