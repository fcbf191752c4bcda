"""A plan that has not begun is dropped, on record; no two open plans have the same window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rollout import ROOT
from rollout.commands import cli
from rollout.journal import store as journals
from rollout.journal.file import NAME, Journal
from rollout.outcomes import BadInputError, LockedError, NoPlanError
from rollout.plan import drop, move, store, windows
from rollout.plan import model as plans
from rollout.plan.model import Window
from tests.unit.journals import event, lines

PLAN = yaml.safe_load((Path(__file__).with_name("plan.yml")).read_text())["rollout"]
START = plans.load(Path(__file__).with_name("plan.yml")).window.start
LAB = ROOT / "inventories/lab"
STARTED = event("stage_started", stage="confirm", attempt=1, run="2026-12/0002-confirm-1")


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path))
    return tmp_path


def planned(records: Path, name: str = "2026-12", **changes: object) -> Journal:
    """A plan of the lab, and its journal, with nothing in it yet."""
    directory = records / name
    directory.mkdir()
    plan = plans.Plan.model_validate({**PLAN, "id": name, "inventory": "inventories/lab", **changes})
    plans.save(plan, directory / "plan.yml")
    return Journal(directory / NAME, lambda: datetime(2026, 11, 1, tzinfo=UTC))


def test_a_dropped_plan_is_over_everywhere_and_says_why(records: Path) -> None:
    journal = planned(records)
    with drop.dropped("2026-12", " the other  window\nis better ") as kept:
        assert kept.plan.id == "2026-12"
    told = lines(Journal(journal.path).entries)
    assert [each["event"] for each in told] == ["rollout_opened", "plan_dropped", "rollout_closed"]
    assert (told[1]["reason"], told[2]["outcome"]) == ("the other window is better", "dropped")
    assert journals.is_closed(journal.path.parent)
    assert list(store.open_rollouts()) == []
    with pytest.raises(NoPlanError):
        store.current(None)
    with pytest.raises(BadInputError, match=r"^E-dropped  2026-12 was dropped by \S+, .* the other window is better"):
        drop.refuse_dropped(store.kept(journal.path.parent))
    with (
        pytest.raises(BadInputError, match=r"^E-over  2026-12 is over already \(dropped\)"),
        drop.dropped("2026-12", "x"),
    ):
        pass


@pytest.mark.parametrize("command", [["run"], ["resume"], ["abort", "--reason", "x"], ["plan", "check"]])
def test_no_command_goes_on_with_it(command: list[str], records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.commands.given.inventory.check_groups", lambda *_: None)  # there is no lab
    path = planned(records).path.with_name("plan.yml")
    with drop.dropped("2026-12", "x"):
        pass
    named = [str(path)] if command[0] == "plan" else ["--plan", str(path)]
    done = CliRunner().invoke(cli.main, [*command, *named])
    assert str(done.exception).startswith("E-dropped  2026-12 was dropped by"), done.output


@pytest.mark.parametrize(
    "begun",
    [STARTED, event("announcement_queued", announcement=1, message="new_date", stage="announce", by=None, texts={})],
)
def test_what_has_begun_or_was_announced_is_aborted_instead(begun: object, records: Path) -> None:
    journal = planned(records)
    journal.write(begun)  # type: ignore[arg-type]
    before = journal.path.read_bytes()
    with (
        pytest.raises(BadInputError, match=r"^E-begun  2026-12 has begun(?s:.*)abort --plan"),
        drop.dropped("2026-12", "x"),
    ):
        pass
    assert journal.path.read_bytes() == before


def test_what_is_wrong_with_what_was_typed(records: Path) -> None:
    planned(records)
    with pytest.raises(BadInputError, match=r"^E-no-such-plan  There is no plan 2027-01. Open are: 2026-12\."):  # noqa: SIM117
        with drop.dropped("2027-01", "x"):
            pass
    with pytest.raises(BadInputError, match=r"^E-no-reason"), drop.dropped("2026-12", " \n"):
        pass
    for outside in ("../2026-12", "..", "."):
        with pytest.raises(BadInputError, match=r"^E-no-such-plan"), drop.dropped(outside, "x"):
            pass


def test_a_plan_that_is_at_work_is_not_dropped(records: Path) -> None:
    directory = planned(records).path.parent
    with journals.lock(directory), pytest.raises(LockedError), drop.dropped("2026-12", "x"):
        pass


def test_reports_and_incidents_are_not_about_a_dropped_plan(records: Path) -> None:
    planned(records, "2026-11").write(event("rollout_opened"))
    planned(records)
    with drop.dropped("2026-12", "x"):
        pass
    assert store.latest()[0].name == "2026-11"


@pytest.mark.parametrize(
    ("minutes", "taken"), [(0, True), (-89, True), (89, True), (-90, False), (90, False), (24 * 60, False)]
)
def test_a_window_belongs_to_one_open_plan(minutes: int, taken: bool, records: Path) -> None:
    planned(records)
    window = Window(start=START + timedelta(minutes=minutes), minutes=90)
    if not taken:
        windows.refuse_taken(LAB, None, window)
        return
    with pytest.raises(BadInputError) as refused:
        windows.refuse_taken(LAB, None, window)
    said = str(refused.value)
    assert said.startswith("E-window-taken  2026-12 has that window: ")
    assert "./runbook.py plan drop 2026-12 --reason …" in said
    windows.refuse_taken(LAB, None, window, but=["2026-12"])


def test_one_that_has_begun_is_to_be_aborted(records: Path) -> None:
    planned(records).write(STARTED)
    with pytest.raises(BadInputError, match=r"Or end it: +\./runbook\.py abort --plan \S+/2026-12/plan\.yml --reason"):
        windows.refuse_taken(LAB, None, Window(start=START, minutes=90))


def test_other_services_and_what_is_over_take_no_window(records: Path) -> None:
    window = Window(start=START, minutes=90)
    planned(records, "2026-11", inventory="inventories/production", service="bugs")
    windows.refuse_taken(LAB, "launchpad", window)
    planned(records).write(event("rollout_closed", outcome="aborted", exit_code=4))
    windows.refuse_taken(LAB, None, window)
    with pytest.raises(BadInputError, match=r"^E-window-taken  2026-11"):  # the same service by another inventory
        windows.refuse_taken(LAB, "bugs", window)


def test_a_window_is_not_moved_to_where_another_is(records: Path) -> None:
    planned(records)
    moved = planned(records, "2026-11", window={"start": (START - timedelta(days=7)).isoformat(), "minutes": 90})
    wanted = move.Move(START + timedelta(minutes=30), "it suits us", START + timedelta(days=3))
    with pytest.raises(BadInputError, match=r"^E-window-taken  2026-12"):
        move.move(None, moved.path.with_name("plan.yml"), wanted)
    assert not moved.path.exists()
