"""The reason of a failed task, out of what Ansible, ssh, sudo and su say (reasons.yml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.engine import reasons

CASES = yaml.safe_load(Path(__file__).with_name("reasons.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_what_is_told(case: dict[str, Any]) -> None:
    told = reasons.message(
        "wildcherry", "Look", case["result"], Path("inventories/x"), unreachable=case.get("unreachable", False)
    )
    if "told" in case:
        assert told == case["told"]
    else:
        assert told.startswith(case["begins"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_in_a_line_it_is_a_line(case: dict[str, Any]) -> None:
    said = reasons.sentence("wildcherry", case["result"], unreachable=case.get("unreachable", False))
    assert said
    assert "\n" not in said
