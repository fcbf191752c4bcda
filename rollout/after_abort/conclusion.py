"""What follows an abort: the abort pack, the questions of R20, the next attempt (R21); at once, or later by `next`."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from plugins.module_utils.rollout_core.journal.events import AbortPacked, HostsVerified
from rollout.after_abort import next_attempt
from rollout.after_abort import problem as problems
from rollout.after_abort.aborted import PACK, Aborted, WriteDraft, last_aborted, typed
from rollout.after_abort.problem import Told, WhoTells
from rollout.outcomes import BadInputError, RunbookError
from rollout.plan import store


def conclude(
    aborted: Aborted, asker: WhoTells, verified: HostsVerified | None, why: str, write_draft: WriteDraft
) -> list[str]:
    """Do what follows the undo of an abort; return lines for the screen, the last of which says what to type next.

    `why` is the message that the rollout ends with. `verified` is what testinfra found (None: nobody looked). A plan
    that cannot be made does not keep the abort from its end.
    """
    journal, clock = aborted.journal, aborted.clock
    if verified is not None:
        journal.write(verified)
    journal.write(AbortPacked(file=PACK, why=why))
    aborted.write_pack()  # before anybody is asked: it may be needed at once
    try:
        told, lines = problems.ask(asker, aborted.told, clock.now)
    except KeyboardInterrupt:  # whoever is asked has something better to do
        told, lines = aborted.told, []
    aborted.put_on_record(told, "nobody" if told == Told() else getattr(asker, "by", None) or getpass.getuser())
    try:
        if told.missing:
            lines.append(f"  When the problem is known:  ./runbook.py next {' '.join(told.missing)}")
        else:
            lines += next_attempt.work_out(aborted, told, write_draft)
    except (RunbookError, OSError) as error:
        lines += [f"No plan was made for the next attempt: {error}", "  Mend it, then:  ./runbook.py next"]
    aborted.write_pack()
    return [f"Abort pack: {typed(aborted.directory / PACK)}", *lines]


@dataclass(frozen=True)
class NextRequest:
    """The command line of `next`; None for an option that was not given."""

    plan_file: Path | None = None
    source: str | None = None
    mended_at: str | None = None
    new_pin: bool | None = None
    waived_by: str | None = None
    window: datetime | None = None


def follow_up(request: NextRequest, asker: WhoTells, write_draft: WriteDraft) -> tuple[Path, list[str]]:
    """Record what people say of the problem now, work out the next attempt anew, and return directory and lines.

    The directory is the aborted rollout's, the lines are for the screen. Raises BadInputError when no rollout was
    aborted, something is still not known, the window will not do, or the next attempt has begun; LockedError while a
    runbook is at work on it.
    """
    with store.locked(last_aborted(request.plan_file)) as kept:
        aborted, clock = Aborted.of(kept), kept.clock
        told, remarks = problems.ask(asker, _with_given(aborted.told, request, clock.now()), clock.now)
        if told.missing:
            lines = ["E-not-told  Not all is known that the next attempt depends on (R20).", *remarks]
            raise BadInputError("\n".join([*lines, f"  Tell it:  ./runbook.py next {' '.join(told.missing)}"]))
        _refuse_an_idle_waiver(request.waived_by, told)
        aborted.put_on_record(told, getpass.getuser())
        lines = next_attempt.work_out(aborted, told, write_draft, request.waived_by, request.window)
        aborted.write_pack()
    return aborted.directory, lines


def _with_given(known: Told, request: NextRequest, now: datetime) -> Told:
    if request.source is not None:
        known = replace(known, source=problems.source(request.source))
    if request.mended_at is not None:
        known = replace(known, mended_at=problems.mended_at(request.mended_at, now))
    return known if request.new_pin is None else replace(known, new_pin=request.new_pin)


def _refuse_an_idle_waiver(waived_by: str | None, told: Told) -> None:
    """Raise BadInputError for a waiver without a person's name, or when there is nothing to waive."""
    if waived_by is not None and not waived_by.strip():
        raise BadInputError("E-no-name  R8's distance is waived by a person.  Name who did:  --waive-r8 NAME")
    if waived_by is not None and not told.new_pin:
        said = "E-nothing-to-waive  An unchanged pin needs no new merge, so R8 asks for no distance."
        raise BadInputError(f"{said}\n  Without --waive-r8, or for a new revision:  ./runbook.py next --new-pin")
