"""What does not fit the window goes back to the drawing board (R2), with a proposal for the database time (R9)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rollout.plan import findings
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.plan.process import Expects
from tests.unit.journals import typed

HERE = Path(__file__).parent
NOW = datetime(2026, 12, 7, 8, tzinfo=UTC)
ROWS = [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / "fits.yml").read_text())]


def plan_of(row):
    base = plans.load(HERE / "plan.yml")
    pause, outage = base.process
    others = {
        "cowboys": {"minutes": 4.5, "from": "guess"},
        "resume": {"minutes": 5.5, "from": "history", "worst_minutes": 6.1, "samples": 4},
    }
    after = [
        pause.model_copy(update={"stage": name, "due": "0m", "expects": Expects.model_validate(expects)})
        for name, expects in others.items()
    ]
    pinned = {"revision": row["pinned"]} if "pinned" in row else {}
    return Plan.model_validate(
        {**base.model_copy(update={"process": [pause, outage, *after]}).as_vars(), "pinned": pinned}
    )


def journal_of(row):
    entries = [{"at": NOW.isoformat(), "event": "rollout_opened", "plan": "0", "by": "mia"}]
    if "measured" in row:
        facts = {
            "estimates": {"outage": [{"step": "pad", "seconds": row["measured"] * 60}]},
            "pin": {"revision": 12},
        }
        if "fits" in row:
            names = ("revision", "patches", "minutes")
            facts["fits"] = {"outage": [dict(zip(names, fit, strict=True)) for fit in row["fits"]]}
        entries.append(
            {"at": NOW.isoformat(), "event": "stage_finished", "stage": "select", "outcome": "ok", "facts": facts}
        )
    if "begun" in row:
        entries.append({"at": NOW.isoformat(), "event": "stage_started", "stage": row["begun"], "attempt": 1})
    if "undone" in row:
        entries.append({"at": NOW.isoformat(), "event": "undo_finished", "stage": row["undone"], "outcome": "ok"})
    return entries


@pytest.mark.parametrize("row", ROWS)
def test_what_fits(row):
    found = findings.findings(plan_of(row), NOW, typed(journal_of(row)))
    assert [where for where, _ in found] == [("rollout", "process")] * len(found)
    said = "; ".join(what for _, what in found) or None
    if "ends" in row:
        assert said is not None
        assert said.endswith(row["ends"])
    else:
        assert said == row["says"]


def test_the_choice_may_come_from_an_earlier_rollout():
    """After an abort, the selection is carried over (R21)."""
    row = {"measured": 86, "fits": [[11, 2, 10.1], [12, 3, 86]]}
    entries = [{**entry, "event": "stage_carried"} if "facts" in entry else entry for entry in journal_of(row)]
    ((_, what),) = findings.findings(plan_of(row), NOW, typed(entries))
    assert "the highest revision whose patches fit is 11 (2 patches, 10.1 min)" in what
