"""A stage that only looks runs on any day, by its name; before it is due that counts for nothing (R18)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from rollout.engine import look_ahead, stage_selection, try_out
from rollout.journal.clock import Clock
from rollout.outcomes import ExitCode
from rollout.plan import model as plans

EARLY, DUE = timedelta(hours=-3), timedelta(hours=-2)


@pytest.fixture
def site(site):
    site.plan(prepare={"any_day": True})
    return site


def ahead(site, *names):
    """Look ahead at these stages; the exit code."""

    def work(conductor):
        plan, now = conductor.rollout.plan, conductor.rollout.clock.now()
        return look_ahead.look_ahead(conductor.rollout, stage_selection.on_any_day(plan, names, now))

    return site.run(work=work)


def test_it_looks_and_nothing_is_on_record(site):
    assert ahead(site, "prepare") is ExitCode.DONE
    assert site.ran == ["prepare"]
    assert not (site.directory / "journal.jsonl").exists()
    screen = site.screen.getvalue()
    assert "    3 parts\n" in screen
    assert "A look ahead, not on record: prepare is due " in screen


def test_in_its_turn_it_is_done_all_the_same(site):
    ahead(site, "prepare")
    assert site.run() is ExitCode.DONE
    assert site.ran == ["prepare", "prepare", "close", "change", "open"]


def test_what_it_finds_wrong_is_told_and_no_more(site):
    site.playbooks(failing=["prepare"])
    assert ahead(site, "prepare") is ExitCode.FAILED
    assert "E-told-to  prepare was told to fail." in site.screen.getvalue()
    assert not (site.directory / "journal.jsonl").exists()


@pytest.mark.parametrize(
    ("names", "begin", "found"),
    [
        (["prepare"], EARLY, ["prepare"]),
        (["prepare"], DUE, []),
        (["prepare", "close"], EARLY, []),
        (["close"], EARLY, []),
        (["nowhere"], EARLY, []),
        ([], EARLY, []),
    ],
)
def test_only_by_its_name_alone_and_before_it_is_due(site, names, begin, found):
    plan = plans.load(site.directory / "plan.yml")
    now = plan.window.start + begin
    assert [stage.stage for stage in stage_selection.on_any_day(plan, names, now)] == found


def test_all_stages_are_tried_and_a_failure_does_not_end_it(site):
    site.playbooks(failing=["close"])

    def work(conductor):
        return try_out.try_out(conductor.rollout, [])

    assert site.run(work=work) is ExitCode.FAILED
    assert not (site.directory / "journal.jsonl").exists()
    said = site.screen.getvalue()
    assert "    3 parts\n✓ prepare\n" in said
    assert "✗ close\nE-told-to  close was told to fail." in said
    assert said.index("✗ close") < said.index("▸ open · ")
    assert "nothing is on record.  Failed: close.\n" in said


def test_whoever_comes_too_early_hears_what_can_be_done(site):
    assert site.run("prepare", clock=Clock()) is ExitCode.DONE
    assert site.ran == []
    next_line, try_line = site.screen.getvalue().splitlines()[:2]
    assert re.fullmatch(r"Next: prepare, due .+ UTC, in 2 days 2[12] hours\.  Then:  \./runbook\.py run", next_line)
    assert try_line == "  Try it now, nothing is changed:  ./runbook.py run --check prepare"


def test_after_an_abort_it_looks_at_what_was_pinned(site):
    site.plan(pinned={"revision": 7, "patches": ["patch-2208-30-0.sql"]})

    def work(conductor):
        plan = conductor.rollout.plan
        return look_ahead.look_again(conductor.rollout, stage_selection.only_looking(plan, ["prepare"]))

    assert site.run(work=work) is ExitCode.DONE
    assert site.ran == ["prepare"]
    first, *_, last = site.screen.getvalue().splitlines()
    assert (
        first
        == "Rollout 2026-12 was aborted, and stays so. This looks at what its plan has pinned: revision 7, 1 patch."
    )
    assert last == "Nothing of this is on record.  The next attempt:  ./runbook.py next"
    assert not (site.directory / "journal.jsonl").exists()
