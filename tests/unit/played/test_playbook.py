"""Playbooks as a whole: what is asked of one, and what it did (tables of facts)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.playbook import request, work

HERE = Path(__file__).parent


def cases(name: str) -> Any:
    found = yaml.safe_load((HERE / f"{name}.yml").read_text(encoding="utf-8"))
    return pytest.mark.parametrize("case", found, ids=[case["case"] for case in found])


@cases("requests")
def test_a_playbook_is_played_whole_or_not_at_all(case: dict[str, Any]) -> None:
    ways = (case.get("strategy", "linear"), case.get("left_out", False))
    play = request.PlayAsked("PAUSE: the services", "services", case["hosts"], *ways)
    said = request.refusal(case["asked"], [play])
    assert said is None if not case["refused"] else said is not None
    assert (said or "").split("\n  ")[1:-1] == case["refused"]
    assert said is None or said.startswith("E-not-whole  ")


@cases("works")
def test_where_no_work_was_done(case: dict[str, Any]) -> None:
    plays: list[work.PlayWork] = []
    for heard in case["heard"]:
        first, *more = heard.split()
        if first == "play":
            work.hear(plays, "playbook_on_play_start", {"name": more[0]})
        else:
            work.hear(plays, f"runner_on_{more[0]}", {"host": first, "task_action": more[1]})
    assert [f"{each.play}:{each.host}" for each in work.idle(plays)] == case["idle"]


def test_what_was_to_be_reported_and_was_not() -> None:
    wanted = ("evidence", "irreversible", "pin")
    assert work.unreported({}, wanted) == ["evidence", "irreversible", "pin"]
    assert work.unreported({"evidence": [], "irreversible": None, "pin": {}}, wanted) == ["evidence", "irreversible"]
    assert work.unreported({"evidence": "done", "irreversible": True, "pin": {}}, wanted) == ["evidence"]
    assert work.unreported({"evidence": ["done"], "irreversible": False, "pin": {"revid": "x"}}, wanted) == []
