"""Where a rollout stands, computed from plan, journal and now."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from rollout.plan import model as plans
from rollout.views import screen
from rollout.views.overview import overview
from tests.unit.journals import typed

PLAN = plans.load(Path(__file__).parents[1] / "plan" / "plan.yml").as_vars()


def at(clock):
    return datetime.fromisoformat(f"2026-12-09T{clock}").replace(tzinfo=UTC)


def entry(clock, event, stage="pause", **fields):
    return {"at": at(clock).isoformat(), "event": event, "stage": stage, **fields}


STARTED = entry("07:30:00", "stage_started", attempt=1)


def finished(outcome):
    return entry("07:33:00", "stage_finished", outcome=outcome, facts={}, message=None)


@pytest.mark.parametrize(
    ("entries", "now", "state"),
    [
        ([], "07:29:00", "to come"),
        ([], "07:31:00", "overdue"),
        ([STARTED], "07:31:00", "running"),
        ([STARTED, finished("ok")], "07:40:00", "done"),
        ([STARTED, finished("failed")], "07:40:00", "failed"),
        ([STARTED, finished("late")], "07:40:00", "late"),
        ([STARTED, finished("refused")], "07:40:00", "refused"),
        ([STARTED, finished("ok"), entry("07:41:00", "undo_finished", outcome="ok")], "07:42:00", "undone"),
        ([STARTED, finished("ok"), entry("07:41:00", "undo_finished", outcome="failed")], "07:42:00", "done"),
        ([STARTED, finished("failed"), entry("07:35:00", "stage_started", attempt=2)], "07:40:00", "running"),
    ],
)
def test_the_state_of_a_stage(entries, now, state):
    assert overview(PLAN, typed(entries), at(now)).rows[0].state == state


def test_lateness_counts_from_the_window_on():
    before, inside = overview(PLAN, [], at("07:50:00")), overview(PLAN, typed([STARTED]), at("08:10:00"))
    assert before.verdict is None
    assert screen.lateness_line(before) == "lateness counts from the window on"
    assert inside.verdict == "late"
    assert screen.lateness_line(inside).startswith("late · pause has run 40:00 of about 5:00")


def test_what_a_person_sees():
    view = overview(
        PLAN, typed([STARTED, finished("ok"), entry("08:00:00", "stage_started", "outage", attempt=1)]), at("08:02:05")
    )
    console = Console(width=120, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 - lives as long as the test
    console.print(screen.headline(view), screen.table(view), sep="\n")
    seen = [line.rstrip() for line in console.export_text().splitlines()]
    assert seen[0] == "2026-12 · window Wed 09 Dec 08:00–09:30 UTC (backup Fri 11 Dec 08:00) · now Wed 09 Dec 08:02:05"
    assert " ".join(seen[2].split()) == "✓ pause Wed 09 Dec 07:30 – 07:35 07:30:00 – 07:33:00 3:00 min R5"
    assert seen[3].startswith("▸  outage · running")
    assert "2:05 min of about 12:00 min" in seen[3]
    assert view.next_stage is not None
    assert view.next_stage.stage == "outage"
