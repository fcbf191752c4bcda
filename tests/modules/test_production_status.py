"""The production_status module on real files (R16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

STATUS = """\
# What runs in production.
# Ask before you edit.

deployed:
  revision: 9  # of devel
  revid: pqm@prae-20261111074502-x1
  at: 2026-11-11T08:41:07Z
  rollout: 2026-11

# chased every Monday
cowboys:
  # the front page
  - id: lp-12
    who: allenap
    why: Private bugs — counted: all of them
    bug: 44871
    diff: cowboys/lp-12.diff
    hosts: [gac, soybean]
  - {id: lp-15, who: jml, why: queue times out, diff: cowboys/lp-15.diff}  # nobody else can
  - id: lp-17
    who: sinzui
    why: >
      One long name
    diff: cowboys/lp-17.diff
    hosts:
      - soybean

# the end
"""


@pytest.fixture
def status(tmp_path: Path) -> Path:
    path = tmp_path / "production_status.yml"
    path.write_text(STATUS.replace("— counted:", "— counted"))
    path.chmod(0o640)
    return path


@pytest.fixture
def record(run_module, status):
    def run(*landed: str, check: bool = False, **options):
        args = {"path": str(status), "revision": 12735, "revid": "pqm@prae-1", "rollout": "2026-12", **options}
        return run_module("production_status", {**args, "landed": list(landed)}, check, diff=True)

    return run


def lines_changed(result) -> list[str]:
    """Lines of the old text that are not in the new one, and of the new one that are not in the old one."""
    old, new = (result["diff"][side].splitlines() for side in ("before", "after"))
    return [f"-{line}" for line in old if line not in new] + [f"+{line}" for line in new if line not in old]


def test_what_changes_is_replaced_and_everything_else_stays(record, status):
    result = record("lp-12", "lp-17", "lp-99")
    assert not result["failed"], result["msg"]
    assert result["changed"]
    assert (result["dropped"], result["left"]) == (["lp-12", "lp-17"], [{"id": "lp-15", "who": "jml"}])
    at = result["deployed"]["at"]
    assert (
        status.read_text()
        == f"""\
# What runs in production.
# Ask before you edit.

deployed:
  revision: 12735  # of devel
  revid: pqm@prae-1
  at: {at}
  rollout: 2026-12

# chased every Monday
cowboys:
  # the front page
  - {{id: lp-15, who: jml, why: queue times out, diff: cowboys/lp-15.diff}}  # nobody else can

# the end
"""
    )
    assert status.stat().st_mode & 0o777 == 0o640
    assert result["diff"]["after"] == status.read_text()
    again = record("lp-12", "lp-17")
    assert (again["changed"], again["dropped"], again["deployed"]["at"]) == (False, [], at)


def test_the_time_is_the_rollouts_clock(record, status):
    shift = timedelta(days=17)
    before = datetime.now(UTC).replace(microsecond=0)
    record(clock_offset=shift.total_seconds())
    after = datetime.now(UTC)
    assert before + shift <= yaml.safe_load(status.read_text())["deployed"]["at"] <= after + shift


def test_when_all_have_landed_the_list_is_empty(record, status):
    result = record("lp-12", "lp-15", "lp-17")
    assert result["left"] == []
    text = status.read_text()
    assert yaml.safe_load(text)["cowboys"] == []
    assert "cowboys: []\n  # the front page\n\n# the end\n" in text


def test_check_mode_shows_what_it_would_write(record, status):
    before = status.read_text()
    result = record("lp-15", check=True)
    assert result["changed"]
    assert "-  - {id: lp-15, who: jml, why: queue times out, diff: cowboys/lp-15.diff}  # nobody else can" in (
        lines_changed(result)
    )
    assert status.read_text() == before


LAYOUTS = {
    "in one line, nothing deployed yet": """\
cowboys: [{id: lp-15, who: jml, why: w, diff: d}, {id: lp-16, who: jml, why: w, diff: d}]
""",
    "deployed is null": """\
# head
deployed: null
cowboys: [{id: lp-15, who: jml, why: w, diff: d}, {id: lp-16, who: jml, why: w, diff: d}]""",
    "a block scalar, no indentation, no newline at the end": """\
# head
deployed: {revision: 9, revid: x, at: 2026-11-11T08:41:07Z, rollout: 2026-11}
cowboys:
- id: lp-15
  who: jml
  why: |
    two
    lines
  diff: d
- {id: lp-16, who: jml, why: w, diff: d}""",
    "everything in another order": """\
cowboys:
  - who: jml
    why: w
    diff: d
    id: lp-15


  - {diff: d, why: w, who: jml, id: lp-16}
deployed:
    rollout: 2026-11
    revision: 9
    revid: 'x'
    at: 2026-11-11 08:41:07+00:00
""",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_any_layout_ends_with_the_right_data(record, status, text):
    status.write_text(text)
    result = record("lp-15")
    assert not result["failed"], result["msg"]
    written = yaml.safe_load(status.read_text())
    assert written["cowboys"] == [{"id": "lp-16", "who": "jml", "why": "w", "diff": "d"}]
    assert (written["deployed"]["revision"], written["deployed"]["rollout"]) == (12735, "2026-12")
    assert status.read_text().startswith("# head\n") == text.startswith("# head\n")
    assert not record("lp-15")["changed"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "There is no "),
        ("cowboys: [\n", " cannot be read: while parsing"),
        ("- lp-15\n", " must have the keys deployed and cowboys, and no others."),
        ("deployed: {}\n", " must have the keys deployed and cowboys, and no others."),
        ("cowboys: [{id: lp-15, who: jml, diff: d}]\n", "cowboy 1 (lp-15): why is missing (expected text)"),
    ],
)
def test_a_status_that_cannot_be_used_stays_as_it_is(record, status, text, sentence):
    status.unlink()
    if text is not None:
        status.write_text(text)
    result = record()
    assert result["failed"]
    assert result["msg"].startswith("E-production-status  ")
    assert sentence in result["msg"]
    assert status.exists() == (text is not None)
    assert text is None or status.read_text() == text
