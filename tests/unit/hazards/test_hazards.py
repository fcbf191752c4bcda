"""What squawk says, in words for the gate; evidence, never a verdict (R8)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.schema import hazards

CASES = yaml.safe_load((Path(__file__).parent / "reports.yml").read_text())
PATCHES = ["patch-2208-57-0.sql", "patch-2208-58-0.sql"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_report(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(ValueError, match=case["refused"]):
            hazards.read(case["report"], PATCHES)
        return
    found = hazards.read(case["report"], PATCHES)
    assert (found.line(), found.others) == (case["line"], case["others"])
    assert [each["words"] for each in found.as_dicts()] == [remark.words for remark in found.remarks]
