"""What is announced, computed from the journal (R7, R20–R24): tables that a person of the field can check."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.stages import actual
from plugins.module_utils.rollout_core.time import timeline
from tests.unit.journals import typed

HERE = Path(__file__).parent
JOURNALS = yaml.safe_load((HERE / "journals.yml").read_text(encoding="utf-8"))
MISSED = yaml.safe_load((HERE / "missed.yml").read_text(encoding="utf-8"))
CHANNELS = ("status", "mail", "irc")
WINDOW = "2026-12-09T08:00:00Z"
REMINDER = {"message": "reminder", "by": "reminder_hours_before"}
LATER = {"by": "next_attempt_hours_notice"}
FIRST = {
    "message": "first",
    "by": "first_announcement_hours_before",
    "after_abort": {"message": "new_date", **LATER},
    "when_moved": {"message": "rescheduled", **LATER},
}
PLAN = {
    "window": {"start": WINDOW, "minutes": 90},
    "policy": {"first_announcement_hours_before": 48, "reminder_hours_before": 4, "next_attempt_hours_notice": 24},
    "process": [
        {"stage": "confirm", "playbook": "", "gates": [{"gate": "dba", "named": True}]},
        {"stage": "announce", "announces": FIRST},
        {"stage": "merge", "playbook": "pqm_merge"},
        {"stage": "remind", "announces": REMINDER},
        {"stage": "starting", "announces": {"message": "starting"}},
    ],
}


def day(clock):
    return f"2026-12-07T{clock}+00:00"


def queued(number, message, at, stage, channels=("status",)):
    texts = {channel: {"title": "", "body": f"{message}!", "via": channel, "to": None} for channel in channels}
    about = {"announcement": number, "message": message, "stage": stage, "by": None, "texts": texts}
    return {"at": at, "event": "announcement_queued", **about}


def happened(number, channel, clock, what, more=None):
    about = {"at": clock, "announcement": number, "channel": channel}
    if what == "sending":
        return {"event": "announcement_sending", "attempt": more or 1, "key": "k", **about}
    if what == "settled":
        return {"event": "announcement_settled", "as": more, "by": "mia", "reason": "told by phone", **about}
    until = day(more) if more else None
    return {"event": "announcement_tried", "outcome": what, "said": what, "repeatable_until": until, **about}


@pytest.mark.parametrize("case", JOURNALS, ids=[case["case"] for case in JOURNALS])
def test_how_each_copy_stands(case):
    entries = [queued(1, "first", day("07:00:00"), "announce", CHANNELS)]
    entries += [happened(1, channel, day(clock), what, *more) for clock, channel, what, *more in case["events"]]
    (announcement,) = outbox.announcements(typed(entries))
    stands = {}
    for copy in announcement.copies:
        again = [] if copy.settled or copy.state == outbox.IN_DOUBT else [f"{outbox.next_attempt_at(copy):%H:%M:%S}"]
        stands[copy.channel] = [copy.state, copy.attempts, *again]
    assert stands == case["stands"]
    assert announcement.settled == all(state[0] in ("sent", "given up") for state in stands.values())
    for channel, clock in case.get("doubtful_after", {}).items():
        (copy,) = (copy for copy in announcement.copies if copy.channel == channel)
        last = timeline.parse_instant(day(clock))
        assert not copy.doubtful(last)
        assert copy.doubtful(last.replace(microsecond=1))


def sent(case):
    """The journal of a row of missed.yml."""
    stages = {"reminder": "remind"}
    entries = []
    for number, (message, at) in enumerate([*case["sent"].items(), *case.get("down", {}).items()], start=1):
        at, stage = f"{at}+00:00", stages.get(message, "announce")
        entries += [queued(number, message, at, stage), happened(number, "status", at, "sending")]
        entries.append(happened(number, "status", at, "not_sent" if message in case.get("down", {}) else "sent"))
        entries.append({"at": at, "event": "stage_finished", "stage": stage, "outcome": "ok"})
    for message, (at, *seen) in case.get("doubt", {}).items():
        number = len(case["sent"]) + 1
        at = f"{at}+00:00"
        entries += [queued(number, message, at, stages[message]), happened(number, "status", at, "sending")]
        entries += [happened(number, "status", f"{moment}+00:00", "settled", "sent") for moment in seen]
    if "waived" in case:
        waived = {"message": case["waived"], "by": "francis", "reason": "the list was down"}
        entries.append({"at": f"{case['now']}+00:00", "event": "announcement_waived", **waived})
    if "moved" in case:
        moved = {"from": "2026-12-16T08:00:00Z", "to": WINDOW, "redo": outbox.withdrawn_by_move(PLAN, typed(entries))}
        entries.append({"at": f"{case['moved']}+00:00", "event": "window_moved", **moved})
    return entries


@pytest.mark.parametrize("case", MISSED, ids=[case["case"] for case in MISSED])
def test_what_was_not_announced_in_time(case):
    plan = {**PLAN, "follows": ["2026-12"]} if case.get("follows") else PLAN
    now = datetime.fromisoformat(case["now"]).replace(tzinfo=UTC)
    assert [each.told() for each in outbox.missed(plan, typed(sent(case)), now)] == case["missed"]


def test_a_move_withdraws_what_was_confirmed_and_announced_and_nothing_else():
    done = [
        {"at": day("08:00:00"), "event": "stage_finished", "stage": name, "outcome": "ok"}
        for name in ("confirm", "announce", "merge", "remind", "starting")
    ]
    redo = outbox.withdrawn_by_move(PLAN, typed(done))
    assert redo == ["confirm", "announce", "remind"]
    after = [*done, {"at": day("09:00:00"), "event": "window_moved", "from": WINDOW, "to": WINDOW, "redo": redo}]
    assert {name for name, record in actual(typed(after)).items() if not record.done} == set(redo)


def test_who_has_not_heard_of_the_old_time_hears_the_new_one_as_the_first():
    moved = {"at": day("09:00:00"), "event": "window_moved", "from": WINDOW, "to": WINDOW, "redo": []}
    assert outbox.message_of(PLAN, typed([moved]), FIRST)[0] == "first"
    failed = [queued(1, "first", day("07:00:00"), "announce"), happened(1, "status", day("07:00:01"), "not_sent")]
    assert outbox.message_of(PLAN, typed([*failed, moved]), FIRST)[0] == "first"
    out = [queued(1, "first", day("07:00:00"), "announce"), happened(1, "status", day("07:00:01"), "sent")]
    assert outbox.message_of(PLAN, typed([*out, moved]), FIRST)[0] == "rescheduled"
    assert outbox.message_of(PLAN, typed(out), FIRST)[0] == "first"


def test_who_hears_of_it_for_the_first_time_after_a_move_is_told_the_same_on_every_channel():
    moved = {"at": day("06:00:00"), "event": "window_moved", "from": WINDOW, "to": WINDOW, "redo": []}
    half = [
        queued(1, "first", day("07:00:00"), "announce", ("status", "mail")),
        happened(1, "status", day("07:00:01"), "sent"),
        happened(1, "mail", day("07:00:01"), "not_sent"),
    ]
    assert outbox.message_of(PLAN, typed([moved, *half]), FIRST)[0] == "first"
    assert outbox.standing(typed([moved, *half]), "first", "announce").number == 1


def test_a_move_takes_back_what_is_not_out_and_names_the_time_before():
    moved = {"at": day("09:00:00"), "event": "window_moved", "from": WINDOW, "to": WINDOW, "redo": [], "by": "mia"}
    entries = [
        queued(1, "first", day("07:00:00"), "announce", CHANNELS),
        happened(1, "status", day("07:00:01"), "sent"),
        happened(1, "mail", day("07:00:01"), "not_sent"),
        queued(2, "problem", day("07:00:00"), None),
        moved,
    ]
    first, problem = outbox.announcements(typed(entries))
    assert [copy.state for copy in first.copies] == [outbox.SENT, outbox.GIVEN_UP, outbox.GIVEN_UP]
    assert (first.copies[1].by, first.copies[1].said) == ("mia", "withdrawn: the window was moved")
    assert not problem.settled, "it is not about the window"


def test_who_has_heard_of_the_next_attempt_hears_that_it_was_moved():
    moved = {"at": day("09:00:00"), "event": "window_moved", "from": WINDOW, "to": WINDOW, "redo": []}
    heard = [queued(1, "new_date", day("07:00:00"), "announce"), happened(1, "status", day("07:00:01"), "sent")]
    following = {**PLAN, "follows": ["2026-12"]}
    assert outbox.message_of(following, typed(heard), FIRST)[0] == "new_date"
    assert outbox.message_of(following, typed([*heard, moved]), FIRST)[0] == "rescheduled"


def test_the_key_is_the_same_for_each_attempt_and_no_other_copy():
    entries = [queued(1, "first", day("07:00:00"), "announce", CHANNELS)]
    tried = [
        *entries,
        happened(1, "status", day("07:00:01"), "sending"),
        happened(1, "status", day("07:00:02"), "sent"),
    ]
    keys = {
        outbox.key("2026-12", outbox.announcements(typed(j))[0], outbox.announcements(typed(j))[0].copies[0])
        for j in (entries, tried)
    }
    assert len(keys) == 1
    (announcement,) = outbox.announcements(typed(entries))
    keys |= {outbox.key("2026-12", announcement, copy) for copy in announcement.copies}
    keys.add(outbox.key("2026-12.2", announcement, announcement.copies[0]))
    assert len(keys) == 4
