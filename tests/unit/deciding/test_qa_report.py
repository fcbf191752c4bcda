"""The deployment report is one well-formed page that says all that was found, whatever stands in the messages (R8)."""

import json
import re
import subprocess
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import yaml

from plugins.module_utils.rollout_core.merge import deployable
from rollout import ROOT
from rollout.views import qa_report
from rollout.views.judged_branch import JudgedBranch

HOSTILE = "<script>alert('x')</script> & \"quoted\" ]]> </style> {{ 7*7 }} \x1b[31mred\x1b[0m ☃"
CASES = yaml.safe_load((ROOT / "tests/unit/deployable/branches.yml").read_text())


def branch(name, messages, tags):
    log = [{"revno": revno, "message": message, "date": "2026-12-01"} for revno, message in messages.items()]
    return JudgedBranch(name, deployable.assess(log, tags), log)


def tree(html):
    return ElementTree.fromstring(html)  # noqa: S314  our own text; a parser that forgives would prove nothing


def rows(page):
    """{id: (classes, cells)} of every revision's row."""
    return {
        row.get("id"): (row.get("class").split(), ["".join(cell.itertext()).strip() for cell in row])
        for row in page.iter("tr")
        if row.get("id")
    }


def the_line(page):
    """The revisions right below a line under which all can go. It is a row of its own, so no check box hides it."""
    below = [row.get("id") for above, row in pairwise(page.iter("tr")) if above.get("class") == "line"]
    return [int(name.partition("-")[2]) for name in below]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_every_revision_is_there_with_its_state_and_why(case):
    made = branch("db-stable", case["branch"], case["bugs"])
    page = tree(qa_report.render([made]))
    found = rows(page)
    assert list(found) == [f"r1-{each.revno}" for each in reversed(made.found.revisions)]
    for each in made.found.revisions:
        classes, (revno, state, why, message) = found[f"r1-{each.revno}"]
        assert (revno, state, why) == (str(each.revno), each.state, each.why)
        assert f"is-{each.state}" in classes
        assert message.startswith(" ".join(case["branch"][each.revno].split()))
    assert the_line(page) == [made.found.deployable] * (made.found.deployable is not None)
    assert [link.get("href") for link in page.iter("a")] == [f"#r1-{revno}" for revno in made.found.blocked_by]


def test_each_state_can_be_hidden_and_only_those_there_are_asked():
    made = [
        branch("devel", {1: "[no-qa] x", 2: "[bug=1] x", 3: "[bug=1] x"}, {1: ["qa-bad"]}),
        branch("db-stable", {1: "[testfix] x", 2: "x"}, {}),
    ]
    html = qa_report.render(made)
    page = tree(html)
    boxes = [box.get("id") for box in page.iter("input")]
    assert boxes == ["show-bad", "show-orphaned", "show-no-qa", "show-testfix"]
    assert all(box.get("checked") for box in page.iter("input"))
    hidden = re.findall(r"main:has\(#(show-[\w-]+):not\(:checked\)\) tr\.(is-[\w-]+) \{ display: none; \}", html)
    assert hidden == [(box, box.replace("show-", "is-")) for box in boxes]
    assert ["".join(label.itertext()).strip() for label in page.iter("label")][:2] == ["bad (2)", "orphaned (1)"]
    assert [heading.text for heading in page.iter("h2")] == ["devel", "db-stable"]
    assert {row.partition("-")[0] for row in rows(page)} == {"r1", "r2"}


def test_every_state_has_a_look():
    judged = {state for case in CASES for state in case["states"].values()}
    assert set(qa_report.KINDS) == judged
    assert {state for state, kind in qa_report.KINDS.items() if kind in ("good", "rolled-back")} == deployable.GOOD


def test_nothing_of_a_message_becomes_markup():
    page = tree(qa_report.render([branch(HOSTILE, {1: HOSTILE}, {})]))
    assert not list(page.iter("script"))
    _, cells = rows(page)["r1-1"]
    assert "<script>alert('x')</script> & \"quoted\" ]]> </style> {{ 7*7 }} red ☃" in cells[3]


def test_it_needs_nothing_from_elsewhere():
    page = tree(qa_report.render([branch("devel", {1: "[no-qa] See http://example.com/x.js"}, {})]))
    assert not [e.tag for e in page.iter() if e.get("src") or (e.get("href") or "#")[0] != "#"]
    style = "".join("".join(each.itertext()) for each in page.iter("style"))
    assert "url(" not in style
    assert "@import" not in style


def test_the_command_writes_it(tmp_path):
    (tmp_path / "devel.json").write_text(json.dumps([{"revno": 7, "message": "[no-qa] x"}]))
    (tmp_path / "tags.yml").write_text("{}")
    argv = ["deployable", "--log", tmp_path / "devel.json", "--tags", tmp_path / "tags.yml"]
    written = [ROOT / "runbook.py", *argv, "--html", tmp_path / "report.html"]
    answered = subprocess.run(written, capture_output=True, text=True, check=True)
    assert answered.stdout == "tip 7 · deployable as tip: 7\n"
    page = tree((tmp_path / "report.html").read_text())
    assert [heading.text for heading in page.iter("h1")] == ["devel can be deployed up to 7, its tip."]
