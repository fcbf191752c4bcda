"""The deployment report: the QA state of every revision of one or more branches, as a single HTML file (R8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from rollout.views.judged_branch import JudgedBranch
from rollout.views.text import clean

# The order in which states can be chosen, and how each looks: the word always stands beside the colour.
KINDS = {
    **dict.fromkeys(("bad", "orphaned"), "bad"),
    **dict.fromkeys(("needstesting", "rcfixed"), "waits"),
    "rolled-back": "rolled-back",
    **dict.fromkeys(("ok", "untestable", "no-qa", "testfix", "poller"), "good"),
}


def render(branches: Sequence[JudgedBranch]) -> str:
    """Return the page. It needs no other file and no script: its style reacts to the check boxes of the states."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    counts = Counter(each.state for branch in branches for each in branch.found.revisions)
    return environment.get_template("qa_report.html.j2").render(
        branches=branches,
        rows=rows,
        states=[state for state in KINDS if state in counts],
        counts=counts,
        headline="; ".join(_headline(branch) for branch in branches) + ".",
    )


def _headline(branch: JudgedBranch) -> str:
    found = branch.found
    if found.deployable is None:
        return f"{branch.name}: nothing can be deployed"
    return f"{branch.name} can be deployed up to {found.deployable}{'' if found.blocked_by else ', its tip'}"


def rows(branch: JudgedBranch) -> list[dict[str, Any]]:
    """Return a table row for each revision, the highest first."""
    written = {each["revno"]: each for each in branch.revisions}
    return [
        {
            "revno": each.revno,
            "state": each.state,
            "kind": KINDS[each.state],
            "why": each.why,
            "message": " ".join(str(written[each.revno]["message"]).split()),
            "date": written[each.revno].get("date"),
        }
        for each in reversed(branch.found.revisions)
    ]
