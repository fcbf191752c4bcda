"""A stage that settles something else than before: what was done on it is done again, by itself (R11, R13)."""

from datetime import timedelta

import pytest

from rollout.after_abort.next_plan import carried
from rollout.engine import stage_selection
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import model as plans
from rollout.views.overview import overview
from tests.unit.conductor.site import Site
from tests.unit.journals import typed

EXPECTS = "expects: {minutes: 1, from: guess}"
STAGES = f"""
- {{stage: choose, title: Choose, rules: [], due: -5h, playbook: choose, carries: true, {EXPECTS}}}
- {{stage: build, title: Build, rules: [], due: -5h, playbook: build, carries: true, {EXPECTS}}}
- {{stage: look, title: Look, rules: [], due: -5h, playbook: look, {EXPECTS}}}
- {{stage: change, title: Change, rules: [], due: 0m, window: true, playbook: change, {EXPECTS}}}
"""
FIRST, FIXED = {"revno": 7}, {"revno": 8, "unfixed_revno": 7}


def soon(minutes):
    return timedelta(hours=-5, minutes=minutes)


@pytest.fixture
def site(tmp_path):
    """All before the window is done on revision 7."""
    made = Site(tmp_path, STAGES, {"choose": {"pin": FIRST}, "build": {"pin": {"built": "seven"}}})
    assert made.run("choose", "build", "look", begin=soon(0)) == ExitCode.DONE
    assert pinned(made) == {**FIRST, "built": "seven"}
    return made


def pinned(site):
    return plans.load(site.directory / "plan.yml").pinned.model_dump(exclude_none=True)


def states(site):
    plan = plans.load(site.directory / "plan.yml")
    return {row.stage: row.state for row in overview(plan.as_vars(), typed(site.entries), plan.window.start).rows}


def taken_over(site):
    return [each.stage for each in carried(plans.load(site.directory / "plan.yml"), typed(site.entries))]


def test_the_same_again_leaves_everything_as_it_is(site):
    assert site.run("choose", begin=soon(10)) == ExitCode.DONE
    assert site.ran == ["choose", "build", "look", "choose"]
    assert states(site)["look"] == "done"
    assert not any("redo" in entry for entry in site.entries)


def test_what_rests_on_it_is_done_again_by_the_next_run(site):
    site.playbooks(choose={"pin": FIXED}, build={"pin": {"built": "eight"}})
    assert taken_over(site) == ["choose", "build"]
    assert site.run("choose", begin=soon(10)) == ExitCode.DONE
    assert "choose settled something else than before. To be done again: build, look" in site.screen.getvalue()
    assert (states(site)["build"], states(site)["look"]) == ("undone", "undone")
    assert pinned(site) == FIXED, "what was built of the first one is settled no more"
    assert taken_over(site) == ["choose"], "no next attempt takes over what rests on the first one"

    assert site.run(begin=soon(20)) == ExitCode.DONE
    assert site.ran[3:] == ["choose", "build", "look", "change"]
    assert pinned(site) == {**FIXED, "built": "eight"}


def test_it_is_done_again_in_the_same_run(site):
    site.playbooks(failing=["choose"])
    assert site.run("choose", begin=soon(10)) == ExitCode.FAILED
    assert states(site)["build"] == "done", "nothing else is settled yet"
    site.playbooks(choose={"pin": FIXED})
    assert site.run(begin=soon(20)) == ExitCode.DONE
    assert site.ran[4:] == ["choose", "build", "look", "change"]


def test_the_window_is_not_begun_over_it(site):
    site.playbooks(choose={"pin": FIXED})
    assert site.run("choose", "change", begin=soon(10)) == ExitCode.BAD_INPUT
    assert site.ran[3:] == ["choose"]
    assert site.events("rollout_closed", "message")[-1].startswith("E-out-of-turn  change comes after build, look")
    assert site.run(begin=soon(20)) == ExitCode.DONE


def test_a_fix_is_said_to_the_stage_that_merges_and_not_once_the_window_has_begun(tmp_path):
    merging = STAGES.replace("playbook: choose", "merges: true, playbook: choose")
    site = Site(tmp_path, merging, {"choose": {"pin": FIRST}})

    def allowed(*stages):
        return lambda conductor: stage_selection.check_fix(conductor.rollout, stages)

    site.run(work=allowed("choose", "build"))
    for stages in ((), ("build",)):
        with pytest.raises(BadInputError, match=r"E-not-the-merge .* ./runbook.py run choose --fixed-in REVNO"):
            site.run(work=allowed(*stages))
    assert site.run(begin=soon(0)) == ExitCode.DONE
    with pytest.raises(BadInputError, match="E-window-begun "):
        site.run(work=allowed("choose"))
