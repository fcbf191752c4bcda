"""Which revision goes out (R2, R8, R9): QA, budget and sound patches joined."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import selection
from plugins.module_utils.rollout_core.merge.selection import Branches, Selection, Shared, Site
from plugins.module_utils.rollout_core.schema.budget import Budget
from plugins.module_utils.rollout_core.schema.patches import PatchName

CASES = yaml.safe_load((Path(__file__).parent / "selections.yml").read_text())
LAST_IN_DEVEL = 100


def patch(number: str) -> tuple[str, str]:
    name = PatchName.parse(f"patch-{number}.sql")
    return str(name), f"-- About {number}.\nINSERT INTO LaunchpadDatabaseRevision VALUES {name.row};\n"


def changed(schema: dict[str, str], changes: list[str]) -> dict[str, str]:
    schema = dict(schema)
    for sign, what in ((change[0], change[1:]) for change in changes):
        if sign == "+":
            schema.update([patch(what)])
        elif sign == "-":
            del schema[f"patch-{what}.sql"]
        elif sign == "~":
            schema[f"patch-{what}.sql"] = "SELECT 1;"
        else:
            schema[what] = "SELECT 1;"
    return schema


def select(case: dict[str, Any]) -> tuple[Selection, list[dict[str, Any]], list[tuple[int, dict[str, str]]], Shared]:
    revisions = [{"revno": n, "revid": f"rev-{n}", "message": text} for n, text in case["revisions"].items()]
    devel = changed({}, case.get("devel", []))
    there = dict(patch(number) for number in case.get("shared", []))
    names = Branches(*case["branches"]) if "branches" in case else Branches()
    shared = Shared(LAST_IN_DEVEL, "rev-100", frozenset(there), devel, case.get("taken_back", 0), names)
    schemas = []
    for revno, changes in case.get("schema", {}).items():
        there = changed(there, changes)
        schemas.append((revno, there))
    timings = {f"patch-{number}.sql": seconds for number, seconds in case.get("timings", {}).items()}
    rule = Budget(case.get("window", 90), 2, case.get("plus", 10))
    site = Site(case.get("bugs", {}), case.get("applied", []), timings, rule)
    return selection.select(revisions, shared, schemas, site), revisions, schemas, shared


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_selection(case: dict[str, Any]) -> None:
    selected, revisions, schemas, shared = select(case)
    pinned = case.get("pinned")
    chosen = selected.highest if pinned is None else selected.candidate(pinned)
    if "refused" in case:
        assert chosen is None or chosen.reasons
        lines = selection.refusal(selected, pinned).split("\n")
        for part in case["refused"]:
            assert any(part in line for line in lines), lines
        return
    assert chosen is not None
    assert not chosen.reasons
    assert (chosen.revno, chosen.revid) == (case["chosen"], f"rev-{case['chosen']}")
    if "patches" in case:
        assert list(chosen.schema.pending) == [f"patch-{number}.sql" for number in case["patches"]]
    if "fits" in case:
        assert selected.fits == [
            dict(zip(("revision", "patches", "seconds", "minutes"), row, strict=True)) for row in case["fits"]
        ]
    if "evidence" in case:
        assert selected.evidence(chosen) == case["evidence"]
    changes = selection.schema_changes(chosen, revisions, schemas, shared)
    assert [change["patch"] for change in changes] == list(chosen.schema.pending)
    texts = selection.pending_texts(chosen, schemas, shared)
    assert texts == {name: patch(name[6:-4])[1] for name in chosen.schema.pending}
    alike = [name for name, text in texts.items() if shared.devel.get(name, text) == text]
    assert [each.partition("=")[0] for each in selection.digests(texts, shared)] == alike
    behind = selected.left_behind(chosen)
    assert all(chosen.revno < each["revision"] <= each["upto"] and each["why"] for each in behind)
    told = {number for each in behind for number in range(each["revision"], each["upto"] + 1)}
    assert {each.revno for each in selected.candidates if each.revno > chosen.revno and each.schema.problems} <= told


def test_schema_changes_say_what_and_by_whom() -> None:
    case = {
        "revisions": {101: "[r=stub][bug=1] Add a column.", 102: "[no-qa] Mend its patch.", 103: "[no-qa] x"},
        "bugs": {1: ["qa-ok"]},
        "devel": ["+2208-29-0"],
        "schema": {101: ["~2208-30-0"], 102: ["+2208-30-0"]},
        "timings": {"2208-29-0": 5.0, "2208-30-0": 70.5},
    }
    selected, revisions, schemas, shared = select(case)
    assert selected.highest is not None
    assert selection.schema_changes(selected.highest, revisions, schemas, shared) == [
        {
            "patch": "patch-2208-29-0.sql",
            "title": "About 2208-29-0.",
            "staging_seconds": 5.0,
            "revno": None,
            "message": None,
        },
        {
            "patch": "patch-2208-30-0.sql",
            "title": "About 2208-30-0.",
            "staging_seconds": 70.5,
            "revno": 101,
            "message": "Add a column.",
        },
    ]


# Months of up to eight revisions, each with a bug in some state and perhaps a patch that takes some time.
months = st.lists(st.tuples(st.sampled_from(["qa-ok", "qa-ok", "qa-bad"]), st.integers(-1, 1500)), max_size=8)


@given(months)
def test_the_highest_is_the_highest(month: list[tuple[str, int]]) -> None:
    case: dict[str, Any] = {"revisions": {}, "bugs": {}, "schema": {}, "timings": {}}
    for index, (tag, seconds) in enumerate(month, start=1):
        case["revisions"][LAST_IN_DEVEL + index] = f"[bug={index}] x"
        case["bugs"][index] = [tag]
        if seconds >= 0:
            case["schema"][LAST_IN_DEVEL + index] = [f"+2208-{index:02d}-0"]
            case["timings"][f"2208-{index:02d}-0"] = seconds
    may_go = []
    for index in range(1, len(month) + 1):
        upto = month[:index]
        fits = 2 * sum(max(seconds, 0) for _, seconds in upto) + 600 <= 5400
        if fits and all(tag == "qa-ok" for tag, _ in upto):
            may_go.append(LAST_IN_DEVEL + index)
    highest = select(case)[0].highest
    assert (highest.revno if highest else None) == (may_go[-1] if may_go else None)
