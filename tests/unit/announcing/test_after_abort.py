"""The new date after an abort (R21): what goes wrong with it does not keep the abort from its end."""

from rollout import ROOT
from rollout.after_abort.aborted import Aborted
from rollout.announcing import abort_notices
from rollout.gates import answers_file
from rollout.gates import model as gates
from rollout.journal import store
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.plan import model as plans
from tests.unit.journals import last


def test_a_next_attempt_that_somebody_works_on_is_not_announced_and_that_is_said(tmp_path):
    aborted, following = tmp_path / "2026-12", tmp_path / "2026-12.2"
    for directory in (aborted, following):
        directory.mkdir()
    plan, clock = plans.load(ROOT / "tests/unit/plan/plan.yml"), Clock()
    draft = aborted / "announcement.txt"
    draft.write_text("It will be tried again.\n", encoding="utf-8")
    plans.save(plan, following / "plan.yml")
    journal = Journal(aborted / "journal.jsonl", now=clock.now)
    says_yes = answers_file.AnswersFile(by="test", answers={gates.NEW_DATE: True})
    with store.lock(following):
        (line,) = abort_notices.offer(
            Aborted(aborted, plan, journal, clock), following / "plan.yml", draft, says_yes, lambda _: None
        )
    assert line.startswith("The new date was NOT ANNOUNCED: E-locked")
    assert last(journal, "gate_answered")["answer"] == "yes"
