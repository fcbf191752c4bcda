"""`./runbook.py late`: a verdict for any moment, from nothing but a plan and a journal (R19)."""

import json
import re
from datetime import timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.journal.stages import until
from plugins.module_utils.rollout_core.time import timeline
from rollout import ROOT
from rollout.commands import late
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import model as plans
from rollout.plan import process
from tests.forks.runbook import runbook
from tests.unit.journals import event_of, typed
from tests.unit.lateness.rollouts import HERE, at, table

PLAN, JOURNAL = HERE / "by_hand.yml", HERE / "by_hand.jsonl"
WHOLE = ROOT / "tests" / "unit" / "plan" / "plan.yml"
NEEDED = ("window", "policy", "process", "stage", "due", "expects", "minutes", "steps", "abortable", "undo")
LINES = [json.loads(line) for line in JOURNAL.read_text().splitlines() if line]


def command(*arguments):
    return runbook("late", *arguments)


def test_the_command_by_hand():
    answered = command("--plan", PLAN, "--journal", JOURNAL, "--now", "2026-12-09T09:42:01+01:00", "--json")
    assert (answered.returncode, answered.stderr) == (ExitCode.DONE, "")
    assert json.loads(answered.stdout) == {
        "verdict": "abort",
        "off_track_minutes": pytest.approx(1801 / 60, abs=1e-6),
        "projected_end": "2026-12-09T08:46:01+00:00",
        "planned_end": "2026-12-09T08:16:00+00:00",
        "last_safe_abort": "2026-12-09T09:23:00+00:00",
        "stage": "outage",
        "step": "patch-2208-56-0.sql",
        "reason": "patch 2208-56-0 has run 41:51 of about 2:00; the rollout would end 08:46, planned 08:16, 30:01 late "
        "(limit 30:00); it can be aborted until 09:23",
    }


def test_a_person_gets_a_sentence():
    answered = command("--plan", PLAN, "--journal", JOURNAL, "--now", "2026-12-09T08:30:00Z")
    assert answered.stdout.startswith("late · patch 2208-56-0 has run 29:50 of about 2:00; the rollout would end 08:34")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--plan", PLAN, "--journal", JOURNAL, "--now", "08:30"], "E-bad-instant  '08:30' is not an instant"),
        (
            ["--plan", PLAN, "--journal", HERE / "none.jsonl", "--now", "2026-12-09T08:30:00Z"],
            "none.jsonl' does not exist",
        ),
        (["--plan", JOURNAL, "--journal", JOURNAL, "--now", "2026-12-09T08:30:00Z"], "by_hand.jsonl"),
        (["--plan", PLAN, "--journal", JOURNAL], "Missing option '--now'"),
    ],
)
def test_bad_input_is_exit_code_2(arguments, says):
    answered = command(*arguments)
    assert answered.returncode == ExitCode.BAD_INPUT
    assert says in answered.stderr


@pytest.mark.parametrize("row", table("bad_by_hand.yml"))
def test_what_is_wrong_is_named_with_its_line(row, tmp_path):
    plan, journal = tmp_path / "plan.yml", tmp_path / "journal.jsonl"
    text = PLAN.read_text()
    for old, new in [row["plan"]] if "plan" in row else []:
        assert old in text
        text = text.replace(old, new)
    plan.write_text(text)
    journal.write_text(JOURNAL.read_text() + row.get("line", ""))
    with pytest.raises(BadInputError) as refused:
        late.late(plan, journal, at("08:30:00"))
    assert re.search(row["says"], str(refused.value)), str(refused.value)


def test_ten_bad_lines_are_enough(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"event": "note"}\n' * 25)
    with pytest.raises(BadInputError, match=r"jsonl:10: at: is missing\n  … and 15 more"):
        late.late(PLAN, tmp_path / "journal.jsonl", at("08:30:00"))


# -- the runbook's own plan and journal -------------------------------------------------------------------------------


@pytest.fixture
def chained(tmp_path):
    """The journal of by_hand.jsonl as the runbook writes it."""
    moments = iter([timeline.parse_instant(line["at"]) for line in LINES])
    journal = Journal(tmp_path / "journal.jsonl", lambda: next(moments))
    for line in LINES:
        journal.write(event_of(line))
    return journal.path


def test_the_runbooks_journal_says_the_same(chained):
    assert late.late(PLAN, chained, at("08:30:00")) == late.late(PLAN, JOURNAL, at("08:30:00"))


def test_a_line_that_is_being_written_is_no_entry(chained):
    whole = late.late(PLAN, chained, at("08:30:00"))
    chained.write_text(chained.read_text() + '{"seq": 5, "at": "2026-12-09T08:')
    assert late.late(PLAN, chained, at("08:30:00")) == whole


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[1].replace('"ok"', '"failed"'), *lines[2:]],  # an edited line
        lambda lines: [lines[0], *lines[2:]],  # a missing one
        lambda lines: [*lines[:2], re.sub(r',"prev":"\w+"', "", lines[2]), *lines[3:]],  # half of a chain
    ],
)
def test_a_broken_chain_is_refused(chained, change):
    chained.write_text("".join(change(chained.read_text().splitlines(keepends=True))))
    with pytest.raises(BadInputError, match=r"journal\.jsonl:[23]: its `prev` is not the hash of the line before it"):
        late.late(PLAN, chained, at("08:30:00"))


def test_a_whole_plan_will_do_and_so_does_an_empty_journal(tmp_path):
    (tmp_path / "journal.jsonl").write_text("")
    assert late.late(WHOLE, tmp_path / "journal.jsonl", at("07:00:00"))["planned_end"] == "2026-12-09T08:12:00+00:00"


def test_every_field_of_a_whole_plan_is_known(tmp_path):
    """A field that the plan's models gain must not make `late` refuse it; one that nobody knows is refused."""
    plan, journal = yaml.safe_load(WHOLE.read_text()), tmp_path / "journal.jsonl"
    journal.write_text("")
    before = late.late(WHOLE, journal, at("07:00:00"))
    stage = plan["rollout"]["process"][0]
    for fields, model in [(plan["rollout"], plans.Plan), (stage, process.Stage), (stage["expects"], process.Expects)]:
        fields.update({each.alias or name: 1 for name, each in model.model_fields.items() if name not in NEEDED})
    stage["holds"] = "yesterday's word"
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(plan))
    assert late.late(tmp_path / "plan.yml", journal, at("07:00:00")) == before
    stage["held"] = 1
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(plan))
    with pytest.raises(BadInputError, match=r"process\.0\.held: is not a field that is known here"):
        late.late(tmp_path / "plan.yml", journal, at("07:00:00"))


def test_the_examples_of_the_contract_can_be_judged(tmp_path):
    text = (ROOT / "docs" / "architecture.md").read_text()
    (plan,) = re.findall(r"```yaml\n(rollout:\n  window: .*?)```", text, re.DOTALL)
    (journal,) = re.findall(r"```\n(\{\"at\": .*?)```", text, re.DOTALL)
    (tmp_path / "plan.yml").write_text(plan)
    (tmp_path / "journal.jsonl").write_text(journal)
    found = late.late(tmp_path / "plan.yml", tmp_path / "journal.jsonl", at("08:30:00"))
    assert (found["verdict"], found["step"], found["off_track_minutes"]) == ("late", "patch-2208-56-0.sql", 19.666667)


def test_the_journals_order_is_what_happened_and_now_is_where_it_ends(tmp_path):
    """At 08:01 the end of the outage, at 08:05, is still to come."""
    done = {"at": "2026-12-09T08:05:00Z", "event": "stage_finished", "stage": "outage", "outcome": "ok"}
    (tmp_path / "journal.jsonl").write_text(JOURNAL.read_text() + json.dumps(done) + "\n")
    moments = {now: late.late(PLAN, tmp_path / "journal.jsonl", at(now))["stage"] for now in ("08:01:00", "08:05:00")}
    assert moments == {"08:01:00": "outage", "08:05:00": "resume"}


def test_what_is_unrelated_is_not_looked_at(tmp_path):
    unrelated = [
        {"at": "2026-12-09T08:00:00Z", "event": "weather", "stage": "nowhere", "outcome": "fair"},
        {"at": "2026-12-09T08:00:00Z", "event": "gate_asked", "stage": "outage", "gate": "go"},
        {"at": "2026-12-09T08:00:00Z", "event": "stop_requested", "stage": "outage", "why": "x"},
    ]
    mixed = [json.dumps({key: line[key] for key in reversed(line)}) for line in [*LINES[:3], *unrelated, *LINES[3:]]]
    (tmp_path / "journal.jsonl").write_text("\n".join(mixed))
    for now in ("07:00:00", "07:31:00", "08:01:00", "08:42:01"):
        assert late.late(PLAN, tmp_path / "journal.jsonl", at(now)) == late.late(PLAN, JOURNAL, at(now))


@given(st.integers(-3600, 7200), st.integers(0, 600))
def test_as_time_goes_by_nothing_unhappens(seconds, more):
    now = at("08:00:00") + timedelta(seconds=seconds)
    before, after = (until(typed(LINES), moment) for moment in (now, now + timedelta(seconds=more)))
    assert list(after[: len(before)]) == list(before)


def test_a_journal_in_which_the_window_was_moved_can_be_judged(tmp_path):
    """What was done for another window is not done any more."""
    at_ = {"at": "2026-12-09T07:40:00Z"}
    moved = {**at_, "event": "window_moved", "from": "2026-12-02T08:00:00Z", "to": "2026-12-09T08:00:00Z"}
    journal = tmp_path / "journal.jsonl"
    verdicts = []
    for redo in ([], ["pause"]):
        journal.write_text("\n".join(map(json.dumps, [*LINES[:2], {**moved, "redo": redo}])))
        verdicts.append(late.late(PLAN, journal, at("07:45:00"))["stage"])
    assert verdicts == ["outage", "pause"]
    del moved["to"]
    journal.write_text(json.dumps(moved))
    with pytest.raises(BadInputError, match=r"jsonl:1: window_moved has no `to`"):
        late.late(PLAN, journal, at("07:45:00"))
