"""`./runbook.py announce`: sends what is due and not out; corrects a wrong announcement, visibly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from plugins.module_utils.rollout_core.journal import outbox as core
from plugins.module_utils.rollout_core.journal import runs
from rollout.announcing import abort_notices, outbox
from rollout.announcing.outbox import Outbox
from rollout.gates import model as gates
from rollout.outcomes import BadInputError
from rollout.plan import store
from rollout.plan.store import KeptRollout

Say = Callable[[str], None]


def send_open(
    plan_file: Path | None, asker: gates.Asker, say: Say, ours: Callable[[KeptRollout], object] = lambda _: None
) -> bool:
    """Send what the latest rollout has queued and is not out, and its abort; whether all is out or settled by then.

    What no stage has queued yet is a stage's: `run`. `ours` is called before a rollout that is open says anything: it
    raises when the service is another's. Raises LockedError while a runbook is at work, BadInputError.
    """
    with store.locked(*store.latest(plan_file)) as kept:
        box = outbox.at_rest(kept, asker, say)
        if runs.outcome(box.journal.entries) == "aborted" and abort_notices.untold(box.journal):
            box.queue(abort_notices.ABORTED)
        open_ = [each.number for each in core.announcements(box.journal.entries) if not each.settled]
        if not open_:
            say("Nothing that was queued is left to be sent.  What comes next:  ./runbook.py status")
        elif runs.outcome(box.journal.entries) not in runs.FINAL:
            ours(kept)
        settled = [_sent(box, number) for number in open_]
        return all(settled)


def correct(plan_file: Path | None, number: int, right: str, asker: gates.Asker, say: Say) -> bool:
    """Send a correction of announcement `number` wherever that is out; return True if the correction is out everywhere.

    Raises BadInputError when there is no such announcement, or it is out nowhere.
    """
    with _box(plan_file, asker, say) as box:
        known = {each.number: each for each in core.announcements(box.journal.entries)}
        if number not in known:
            have = ", ".join(f"{each.number} {each.message}" for each in known.values()) or "none"
            said = f"E-no-such-announcement  There is no announcement {number}; there are: {have}."
            raise BadInputError(f"{said}\n  Their texts, and where they are out:  ./runbook.py report")
        out = [copy for copy in known[number].copies if copy.state == core.SENT]
        if not out:
            said = f"Announcement {number} ({known[number].message}) is out nowhere: there is nothing to correct."
            raise BadInputError(f"E-not-out  {said}")
        if to := [copy.to for copy in out if copy.to]:
            said = f"Announcement {number} ({known[number].message}) went to persons: write to {', '.join(to)}."
            raise BadInputError(f"E-to-persons  {said}")
        on = list(dict.fromkeys(copy.via for copy in out))
        return _sent(box, box.queue("correction", on=on, corrects=number, right=right))


@contextmanager
def _box(plan_file: Path | None, asker: gates.Asker, say: Say) -> Iterator[Outbox]:
    with store.locked(*store.latest(plan_file)) as kept:
        yield outbox.at_rest(kept, asker, say)


def _sent(box: Outbox, number: int) -> bool:
    announcement = box.send(number)
    for line in outbox.told(announcement):
        box.say(line)
    return announcement.settled
