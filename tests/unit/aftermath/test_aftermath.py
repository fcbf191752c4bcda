"""After an abort (R20, R21): what is told, the next attempt, its plan, the draft of its announcement."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from plugins.module_utils.rollout_core.journal.stages import actual, estimates
from plugins.module_utils.rollout_core.time import timeline
from rollout import ROOT
from rollout.after_abort import conclusion
from rollout.after_abort.aborted import Aborted
from rollout.after_abort.next_attempt import backup_for, candidates
from rollout.after_abort.next_plan import carried
from rollout.announcing.abort_notices import write_draft
from rollout.journal import store
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError, ExitCode, LockedError
from rollout.plan import model as plans
from rollout.plan import store as plan_store
from rollout.plan.schedule import Listed, Schedule
from rollout.views.overview import overview
from tests.unit.journals import event, last, lines, typed

from .conftest import ABORT, CARRIED, MERGED, PIN, WHY, WINDOW, Says

RUNBOOK = ["./runbook.py", "next"]
FIXED = "2026-12-10T16:00:00Z"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- what is told (R20) -----------------------------------------------------------------------------------------------


def test_the_story(site):
    said = site.conclude("missing index on translationmessage", FIXED, "yes")
    late = "47 h of notice is enough, but the fix comes 16 h before and merge, blessing and qastaging need 20 h"
    assert said[1:3] == [
        f"Next attempt  Fri 11 Dec 2026 08:00 UTC (backup window)           no: {late}",
        "              Wed 16 Dec 2026 08:00 UTC (window of the schedule)  yes: 6 d 23 h of notice",
    ]
    assert said[-1] == "  Then:  ./runbook.py run"
    assert "waived" not in "\n".join(said), "a waiver would gain nothing"
    told = last(site.journal, "problem_told")
    assert (told["source"], told["mended_at"], told["new_pin"], told["by"]) == (
        "missing index on translationmessage",
        "2026-12-10T16:00:00+00:00",
        True,
        "mia",
    )
    assert [entry["event"] for entry in lines(site.journal.entries)[-5:]] == [
        "verified",
        "abort_packed",
        "problem_told",
        "next_attempt",
        "rollout_closed",
    ]


@pytest.mark.parametrize(
    ("told", "known", "missing"),
    [
        ([], (None, None, None), '--source "…" --mended-at ISO --new-pin|--same-pin'),
        (["a slow patch"], ("a slow patch", None, None), "--mended-at ISO --new-pin|--same-pin"),
        (["a slow patch", FIXED], ("a slow patch", "2026-12-10T16:00:00+00:00", None), "--new-pin|--same-pin"),
    ],
)
def test_what_nobody_tells_is_on_record_and_no_plan_is_made(site, told, known, missing):
    lines = site.conclude(*told)
    assert lines[-1] == f"  When the problem is known:  ./runbook.py next {missing}"
    entry = last(site.journal, "problem_told")
    assert (entry["source"], entry["mended_at"], entry["new_pin"]) == known
    assert entry["by"] == ("mia" if told else "nobody")
    assert last(site.journal, "next_attempt") is None
    assert [path.name for path in store.directory().iterdir()] == ["2026-12"]


def test_who_mistypes_is_asked_again_and_told_why(site):
    asker = Says(lines=["a slow patch", "tomorrow", "2026-12-10 16:00", FIXED, "perhaps", "no"])
    conclusion.conclude(site.aborted, asker, None, WHY, write_draft)
    assert [name for name, _ in asker.prompts] == ["source", *["mended_at"] * 3, *["new_pin"] * 2]
    assert asker.prompts[2][1].startswith("E-bad-instant  'tomorrow': write 2026-12-10T16:00:00Z")
    assert last(site.journal, "problem_told")["new_pin"] is False


def test_an_answers_file_that_says_nonsense_is_not_asked_for_ever(site):
    class File(Says):
        def tell(self, name, prompt):
            super().tell(name, prompt)
            return {"source": "a slow patch", "mended_at": "10 Dec"}.get(name)

    asker = File(by="robot")
    lines = conclusion.conclude(site.aborted, asker, None, WHY, write_draft)
    assert len(asker.prompts) == 3
    assert "mended_at: '10 Dec' is no answer." in lines
    assert last(site.journal, "problem_told")["by"] == "robot"


def test_ctrl_c_at_the_question_keeps_the_abort_going(site):
    class Busy(Says):
        def tell(self, name, prompt):
            super().tell(name, prompt)
            raise KeyboardInterrupt

    lines = conclusion.conclude(site.aborted, Busy(), None, WHY, write_draft)
    assert lines[-1].startswith("  When the problem is known:  ./runbook.py next")
    assert (site.directory / "abort.md").exists()


def test_now_is_the_moment_at_which_it_is_said(site):
    site.conclude("a slow patch", " Now ", "no")
    assert timeline.parse_instant(last(site.journal, "problem_told")["mended_at"]) == site.clock.now()


def test_a_plan_that_cannot_be_made_keeps_the_abort_going(site):
    schedule = ROOT / site.plan.inventory / "schedule.yml"
    schedule.write_text("schedule: {windows: on Wednesdays}\n")
    lines = site.conclude("a slow patch", FIXED, "no")
    assert lines[-1] == "  Mend it, then:  ./runbook.py next"
    assert any("No plan was made for the next attempt: E-bad-input" in line for line in lines)
    assert "Source: a slow patch (mia)" in site.pack()


def test_an_abort_that_was_interrupted_is_concluded_again_without_asking_again(site):
    told = Says(lines=["a lock of the backup", "now", "no"])
    conclusion.conclude(site.aborted, told, None, WHY, write_draft)
    first = site.next_plan()
    again = Says()
    conclusion.conclude(site.aborted, again, None, WHY, write_draft)
    assert again.prompts == []
    assert site.next_plan() == first
    assert len([e for e in lines(site.journal.entries) if e["event"] == "problem_told"]) == 1


# -- the plan of the next attempt (R21) -------------------------------------------------------------------------------


def test_with_the_same_pin_the_merge_stands(site):
    lines = site.conclude("a lock of the backup", "now", "no")
    plan, entries = site.next_plan(), site.next_journal()
    assert (plan.id, plan.window.start) == ("2026-12.2", at("2026-12-11T08:00"))
    assert plan.pinned.model_dump(exclude_none=True) == {**PIN, **MERGED}, "who lands cowboys is looked at again"
    assert [(e["event"], e["stage"], e["rollout"]) for e in entries] == [
        ("stage_carried", stage, "2026-12") for stage in CARRIED
    ]
    assert [name for name, record in actual(typed(entries)).items() if record.done] == CARRIED
    outage = next(row for row in timeline.planned(plan.as_vars(), estimates(typed(entries))) if row.name == "outage")
    assert outage.expected == timedelta(seconds=607.5), "the measured time of the patches is carried too"
    assert f"same revision; done: {', '.join(CARRIED)}; backup Wed 16 Dec 2026 08:00 UTC" in "\n".join(lines)


def test_with_a_fix_everything_is_done_again(site):
    site.conclude("a wrong patch", FIXED, "yes")
    plan = site.next_plan()
    assert (plan.window.start, plan.pinned.model_dump(exclude_none=True)) == (at("2026-12-16T08:00"), {})
    assert site.next_journal() == []
    assert plan.follows == ["2026-12"], "what the aborted one has left on is its own to end (R13)"


def test_what_was_carried_once_is_carried_again_from_where_it_was_done(site):
    site.conclude("a lock of the backup", "now", "no")
    plan, directory = site.next_plan(), site.next_directory
    site.clock.instant = plan.window.start + timedelta(minutes=42)
    again = Journal(directory / "journal.jsonl", now=site.clock.now)
    for stage in ("deliver", "preflight"):
        again.write(event("stage_started", stage=stage, attempt=1))
        again.write(event("stage_finished", stage=stage, outcome="ok", facts={}, message=None))
    aborted_again = Aborted(directory, plan, again, site.clock)
    conclusion.conclude(aborted_again, Says(lines=["the same", "now", "no"]), None, WHY, write_draft)
    third = (directory / last(again, "next_attempt")["plan"]).resolve()
    assert (third.parent.name, plans.load(third).window.start) == ("2026-12.3", at("2026-12-16T08:00"))
    assert plans.load(third).follows == ["2026-12", "2026-12.2"]
    assert [e["rollout"] for e in lines(Journal(third.with_name("journal.jsonl")).entries)] == ["2026-12"] * len(
        CARRIED
    )


def test_a_stage_that_was_not_done_is_not_carried_nor_what_rests_on_it(site):
    done = [entry for entry in lines(site.journal.entries) if entry.get("stage") != "merge"]
    assert [each.stage for each in carried(site.plan, typed(done))] == ["select", "rc_mode"]


def test_the_backup_window_leaves_room_for_another_abort(site):
    site.conclude("a lock of the backup", "now", "no")
    assert site.next_plan().backup_window.start == at("2026-12-16T08:00"), "the next that there is"
    lines = site.next(mended_at="2026-12-14T08:00Z")
    assert site.next_plan().window.start == at("2026-12-16T08:00"), lines
    assert site.next_plan().backup_window.start == at("2026-12-18T08:00"), "its own backup"


def test_a_backup_less_than_a_day_later_is_none(site):
    site.conclude("a lock of the backup", "now", "no")
    site.next(window=at("2026-12-10T10:00"))
    assert site.next_plan().backup_window.start == at("2026-12-16T08:00"), "the 11th is 20.5 h after the end"


def test_a_rehearsal_goes_on_in_the_next_plan(site):
    site.conclude()
    site.next(source="a lock", mended_at="now", new_pin=False)
    first = site.next_journal()[0]
    assert (first["event"], first["reason"]) == ("clock_set", "the rehearsal of 2026-12 goes on")
    away = timeline.parse_instant(first["at"]) - site.clock.now()
    assert timedelta() <= away < timedelta(minutes=5), "the clock that the rehearsal had, not the wall's"


def test_no_window_in_a_year(site):
    lines = site.conclude("it takes two years", "2028-12-09T08:00Z", "no")
    assert lines[-1] == "  No window of the year ahead will do.  Choose one:  ./runbook.py next --window ISO"
    assert (site.last["start"], site.last["plan"]) == (None, None)
    # 51 Wednesdays after the 9th, each but the last with its Friday, and the backup window
    assert len(site.last["considered"]) == 1 + 52 + 51
    assert lines[1].endswith("after it has begun")


# -- later: ./runbook.py next -----------------------------------------------------------------------------------------


def test_later_when_it_is_known(site):
    site.conclude()
    site.clock.instant = ABORT + timedelta(hours=25)
    lines = site.next(source="missing  index\non translationmessage", mended_at="now", new_pin=False)
    assert lines[0].endswith("no: 22 h of notice, R21 asks for 24 h")
    assert site.next_plan().window.start == at("2026-12-16T08:00")
    assert "missing index on translationmessage" in site.announcement()
    assert "- Next attempt: Wed 16 Dec 2026 08:00 UTC" in site.pack()


def test_what_was_told_at_the_abort_need_not_be_told_again(site):
    site.conclude("a slow patch", FIXED)
    site.next(new_pin=True)
    assert site.next_plan().window.start == at("2026-12-16T08:00")
    told = last(site.journal, "problem_told")
    assert (told["source"], told["mended_at"]) == ("a slow patch", "2026-12-10T16:00:00+00:00")


def test_what_is_missing_is_asked_at_the_terminal(site):
    site.conclude()
    site.next("a slow patch", "now", "no", mended_at=None)
    assert site.next_plan().window.start == at("2026-12-11T08:00")


def test_an_aborted_rollout_stays_closed_whatever_is_told_later(site):
    site.conclude()
    site.next(source="a lock", mended_at="now", new_pin=False)
    assert store.is_closed(site.directory)
    assert plan_store.current(None)[0] == site.next_directory
    assert overview(site.plan.as_vars(), site.journal.entries, site.clock.now()).closed[1].outcome == "aborted"


def test_a_second_call_sets_the_first_plan_aside(site):
    site.conclude("a lock of the backup", "now", "no")
    first = site.next_plan()
    lines = site.next(source="a wrong patch", mended_at=FIXED, new_pin=True)
    assert (site.next_plan().id, site.next_plan().window.start) == ("2026-12.2", at("2026-12-16T08:00"))
    aside = site.directory / "replaced" / "1-2026-12.2"
    assert f"Set aside, not begun: {aside.relative_to(ROOT)}" in lines
    assert plans.load(aside / "plan.yml") == first
    assert plan_store.current(None)[0] == site.next_directory
    site.next(mended_at="2026-12-17T08:00Z")
    assert sorted(path.name for path in aside.parent.iterdir()) == ["1-2026-12.2", "2-2026-12.2"]


def test_a_plan_that_cannot_be_made_leaves_the_earlier_one_where_it_was(site):
    site.conclude("a lock of the backup", "now", "no")
    first = site.next_directory
    (ROOT / site.plan.inventory / "production_status.yml").write_text("cowboys: 7\n")
    with pytest.raises(BadInputError, match="E-bad-input"):
        site.next(mended_at="now")
    assert plans.load(first / "plan.yml").window.start == at("2026-12-11T08:00")


def test_a_plan_that_has_begun_is_not_replaced(site):
    site.conclude("a lock of the backup", "now", "no")
    Journal(site.next_directory / "journal.jsonl").write(event("rollout_opened", plan="0" * 64, by="mia"))
    with pytest.raises(BadInputError, match=r"E-next-begun  The next attempt, 2026-12\.2, has begun"):
        site.next(mended_at="now", plan_file=site.directory / "plan.yml")
    assert site.next_plan().window.start == at("2026-12-11T08:00")


def test_a_plan_that_a_runbook_works_on_is_not_replaced(site):
    site.conclude("a lock of the backup", "now", "no")
    with store.lock(site.next_directory), pytest.raises(LockedError, match="E-locked"):
        site.next(mended_at="now")


def test_a_waiver_brings_it_forward_and_is_on_record(site):
    told = ("a wrong patch", "2026-12-10T08:00Z", "yes")
    hint = "  If R8's distance were waived, Fri 11 Dec 2026 08:00 UTC would do:  ./runbook.py next --waive-r8 NAME"
    assert hint in site.conclude(*told)
    lines = site.next(waived_by="Kiko")
    assert lines[0].endswith("yes: 47 h of notice; 48 h for the merge (R8) waived by Kiko")
    assert site.last["waived_by"] == "Kiko"
    assert site.next_plan().window.start == at("2026-12-11T08:00")


def test_a_window_of_ones_own_choice(site):
    site.conclude("a lock of the backup", "now", "no")
    site.next(window=at("2026-12-12T23:00"))
    assert site.next_plan().window.start == at("2026-12-12T23:00")
    assert [row["kind"] for row in site.last["considered"]] == ["chosen by hand"]
    assert (
        "Starts: 23.00 UTC 12th of December 2026\nExpected back by: 00.30 UTC 13th of December 2026\n"
        in site.announcement()
    )


def test_a_window_of_ones_own_choice_keeps_the_distances_too(site):
    site.conclude("a lock of the backup", "now", "no")
    with pytest.raises(BadInputError, match=r"E-window-refused.*\n.*no: 13 h of notice, R21 asks for 24 h"):
        site.next(window=at("2026-12-09T22:00"))
    assert site.next_plan().window.start == at("2026-12-11T08:00"), "the plan that there was"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, r"E-not-told .*\n  Tell it:  \./runbook\.py next --source \"…\" --mended-at ISO --new-pin\|--same-pin"),
        ({"source": " "}, "E-no-source"),
        ({"mended_at": "2026-12-10T16:00"}, "E-bad-instant .*with its offset"),
        ({"mended_at": "soon"}, "E-bad-instant"),
        ({"source": "x", "mended_at": "now", "new_pin": True, "waived_by": " "}, "E-no-name .*--waive-r8 NAME"),
        ({"source": "x", "mended_at": "now", "new_pin": False, "waived_by": "Kiko"}, "E-nothing-to-waive"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(site, given, says):
    site.conclude()
    site.put_clock_on_record()
    before = (site.directory / "journal.jsonl").read_text()
    with pytest.raises(BadInputError, match=says):
        conclusion.follow_up(conclusion.NextRequest(**given), Says(), write_draft)
    assert (site.directory / "journal.jsonl").read_text() == before


def test_a_rollout_that_was_not_aborted_has_no_next_attempt(site):
    with pytest.raises(BadInputError, match="E-not-aborted  No rollout was aborted"):
        conclusion.follow_up(conclusion.NextRequest(), Says(), write_draft)
    with pytest.raises(BadInputError, match="E-not-aborted  2026-12 was not aborted"):
        conclusion.follow_up(conclusion.NextRequest(plan_file=site.directory / "plan.yml"), Says(), write_draft)


def test_the_command(site):
    """As typed, in a process of its own; the wall's clock is years away from the rehearsal's."""
    site.conclude()
    site.put_clock_on_record()
    words = [*RUNBOOK, "--source", "a lock", "--mended-at", "now", "--same-pin"]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stdout.splitlines()[-1]) == (0, "  Then:  ./runbook.py run"), (
        made.stdout + made.stderr
    )
    plan = yaml.safe_load((store.directory() / "2026-12.2" / "plan.yml").read_text())["rollout"]
    assert plan["window"]["start"] == "2026-12-11T08:00:00Z"
    assert "Fri 11 Dec 2026 08:00" in (site.directory / "report.html").read_text()
    moot = [*RUNBOOK, "--waive-r8", "Kiko"]
    refused = subprocess.run(moot, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (refused.returncode, "E-nothing-to-waive" in refused.stderr) == (ExitCode.BAD_INPUT, True)


# -- the windows there are --------------------------------------------------------------------------------------------


def test_backups_that_fall_after_the_next_window_are_in_their_place(site):
    schedule = Schedule(windows="FREQ=WEEKLY;BYDAY=WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0", backup_after="9d")
    found = [(f"{one.start:%d %b}", one.kind) for one in candidates(site.plan, schedule, ABORT)]
    assert found[:5] == [
        ("11 Dec", "backup window"),
        ("16 Dec", "window of the schedule"),
        ("23 Dec", "window of the schedule"),
        ("25 Dec", "backup of December 2026"),
        ("30 Dec", "window of the schedule"),
    ]


def test_a_backup_window_that_the_schedule_has_too_is_looked_at_once(site):
    schedule = Schedule(windows="FREQ=WEEKLY;BYDAY=WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0", backup_after="48h")
    backup = plans.Window(start=at("2026-12-16T08:00"), minutes=90)
    found = list(candidates(site.plan.model_copy(update={"backup_window": backup}), schedule, ABORT))[:3]
    assert [f"{one.start:%d}" for one in found] == ["16", "18", "23"]


def test_listed_windows_and_their_backups_go_before_the_rule(site):
    weekly = "FREQ=WEEKLY;BYDAY=WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0"
    listed = [Listed(window=at("2026-12-17T08:00"), backup=at("2027-01-04T08:00"))]
    schedule = Schedule(windows=weekly, backup_after="48h", listed=listed)
    found = [(f"{one.start:%d %b}", one.kind) for one in candidates(site.plan, schedule, ABORT)]
    assert found[:5] == [
        ("11 Dec", "backup window"),
        ("17 Dec", "window of the schedule"),
        ("04 Jan", "backup of December 2026"),
        ("06 Jan", "window of the schedule"),
        ("08 Jan", "backup of January 2027"),
    ]
    backups = [
        backup_for(start, candidates(site.plan, schedule, ABORT), site.plan.policy, schedule)
        for start in (at("2026-12-17T08:00"), at("2026-12-11T08:00"))
    ]
    assert [f"{backup:%d %b}" for backup in backups] == ["04 Jan", "17 Dec"]


def test_a_schedule_that_ends(site):
    rule = "FREQ=WEEKLY;BYDAY=WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0;UNTIL=20261223T080000Z"
    found = candidates(site.plan, Schedule(windows=rule, backup_after="48h"), WINDOW)
    assert [f"{one.start:%d}" for one in found] == ["11", "16", "18", "23", "25"]
