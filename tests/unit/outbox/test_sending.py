"""Announcing over real channels that fail: nothing is posted twice, and nothing is lost (R7, R23)."""

import signal

import pytest

from lab.waiting import eventually
from plugins.module_utils.rollout_core.journal import outbox as core
from rollout.announcing import outstanding
from rollout.plan import model as plans
from tests.unit.journals import event, lines
from tests.unit.outbox.channels import PLAN, Person, Site

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd, of the lab's mail server: on loopback
STATUS, MAIL = b"Idempotency-Key", b"\r\n.\r\n"


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.close()


def states(announcement):
    return {copy.channel: copy.state for copy in announcement.copies}


def events(site):
    return [
        entry["event"]
        for entry in lines(site.outbox(None).journal.entries)
        if entry["event"].startswith("announcement")
    ]


def test_out_on_every_channel_and_only_once(site):
    announcement, person = site.announce()
    assert states(announcement) == {"status": "sent", "mail": "sent"}
    assert (len(site.posts), len(site.mails), person.asked) == (1, 1, [])
    assert events(site)[:3] == ["announcement_queued", "announcement_sending", "announcement_sending"]
    site.announce()
    assert (len(site.posts), len(site.mails)) == (1, 1)
    assert len(events(site)) == 5


def test_a_channel_that_is_down_is_tried_again_and_then_a_person_is_asked(site):
    site.to_status.close()
    announcement, person = site.announce()
    assert states(announcement) == {"status": "failed", "mail": "sent"}
    assert person.asked == ["unsent: status does not take it. What now?"]
    tries = [
        e
        for e in lines(site.outbox(None).journal.entries)
        if e["event"] == "announcement_tried" and e["channel"] == "status"
    ]
    assert [each["outcome"] for each in tries] == ["not_sent"] * len(tries)
    assert len(tries) > 3
    again, person = site.announce()
    assert again.copies[0].attempts == len(tries) + 1, "who types it again is asked after one more attempt"
    assert len(person.asked) == 1
    site.to_status.open()
    announcement, person = site.announce()
    assert (announcement.settled, person.asked) == (True, [])
    assert (len(site.posts), len(site.mails)) == (1, 1)


@pytest.mark.parametrize(("word", "state"), [("by-hand", "sent"), ("without", "given up")])
def test_what_a_person_settles_is_on_record(site, word, state):
    site.to_mail.close()
    announcement, _ = site.announce(unsent=[word])
    assert states(announcement) == {"status": "sent", "mail": state}
    (settled,) = (e for e in lines(site.outbox(None).journal.entries) if e["event"] == "announcement_settled")
    assert (settled["by"], settled["reason"]) == ("mia", "by phone" if word == "without" else None)
    site.to_mail.open()
    site.announce()
    assert site.mails == []


def test_an_answer_that_is_cut_off_is_repeated_where_the_channel_knows_a_repeat(site):
    site.to_status.cut = STATUS
    announcement, _ = site.announce()
    assert states(announcement)["status"] == "failed"
    assert site.to_status.cuts > 1
    site.to_status.cut = None
    announcement, person = site.announce()
    assert (states(announcement)["status"], person.asked) == ("sent", [])
    assert len(site.posts) == 1


def test_an_answer_that_is_cut_off_is_asked_about_where_it_does_not(site):
    site.to_mail.cut = MAIL
    announcement, person = site.announce()
    assert states(announcement) == {"status": "sent", "mail": "in doubt"}
    assert person.asked == ["in_doubt: Is it out on mail?"]
    assert (len(site.mails), site.to_mail.cuts) == (1, 1)
    site.to_mail.cut = None
    announcement, _ = site.announce(in_doubt=["out"])
    assert states(announcement)["mail"] == "sent"
    assert len(site.mails) == 1


def test_a_doubt_that_has_outlived_the_channels_memory_is_asked_about(site):
    site.to_status.cut = STATUS
    site.announce()
    site.to_status.cut = None
    box = site.outbox(None)
    box.clock.wait_until(box.clock.now() + core.timedelta(hours=1), lambda: None)
    announcement, person = site.announce(in_doubt=["out"])
    assert person.asked == ["in_doubt: Is it out on status?"]
    assert (announcement.settled, len(site.posts)) == (True, 1)


def test_two_persons_with_one_address_both_get_their_text(site):
    about = {"address": "team@lab.example", "revno": 7, "deployed": {}, "next_merge": "", "next_window": ""}
    cowboy = {"why": "it is slow", "bug": None, "files": ["a.py"], "hosts": [], "state": "to_apply"}
    owners = [{"owner": who, "cowboys": [{"id": f"{who}-1", **cowboy}], **about} for who in ("mia", "tom")]
    box = site.outbox(None)
    box.send(box.queue("chase", recipients=owners))
    assert sorted(mail.read_text().count("Hello mia") for mail in site.mails) == [0, 1]
    assert sorted(mail.read_text().count("Hello tom") for mail in site.mails) == [0, 1]


POINTS = [  # and how many copies are in doubt then
    ("announcement_queued", "before", 1, 0),
    ("announcement_queued", "after", 1, 0),
    ("announcement_sending", "before", 1, 0),
    ("announcement_sending", "after", 1, 1),
    ("announcement_sending", "after", 2, 2),
    ("announcement_tried", "before", 1, 2),
    ("announcement_tried", "after", 1, 1),
    ("announcement_tried", "after", 2, 0),
]


@pytest.mark.parametrize(("event", "when", "number", "doubts"), POINTS, ids=str)
def test_killed_at_each_point_it_goes_out_once_on_every_channel(site, event, when, number, doubts):
    assert site.killed(event, when, number) == -signal.SIGKILL
    eventually(lambda: not site.posting())
    announcement, person = site.announce()
    assert max(len(site.posts), len(site.mails)) <= 1, "nobody has said that it is to be sent again"
    assert len(person.asked) == doubts, "a doubt leads to a question"
    assert list(states(announcement).values()).count("in doubt") == doubts
    there = {"status": site.posts, "mail": site.mails}  # what a person sees who looks
    words = ["out" if there[name] else "again" for name, state in states(announcement).items() if state == "in doubt"]
    announcement, _ = site.announce(in_doubt=words)
    assert announcement.settled
    assert (len(site.posts), len(site.mails)) == (1, 1)


def test_what_is_in_no_doubt_goes_out_before_anybody_is_asked(site):
    class Looks(Person):
        def begin(self, question):
            self.asked.append(f"{question.gate}, mails: {len(site.mails)}")

    assert site.killed("announcement_sending", "after", 1) == -signal.SIGKILL
    person = Looks()
    site.outbox(person).send(1)
    assert person.asked == ["in_doubt, mails: 1"]


def test_an_abort_that_could_not_be_announced_is_announced_once_by_hand(site):
    plan = plans.load(PLAN).model_copy(update={"inventory": str(site.inventory)})
    plans.save(plan, site.directory / "plan.yml")
    site.announce()
    site.outbox(None).journal.write(event("rollout_closed", outcome="aborted", exit_code=4, message="late"))
    for _ in range(2):
        assert outstanding.send_open(site.directory / "plan.yml", Person(), lambda _: None)
        assert (len(site.posts), len(site.mails)) == (2, 2)
