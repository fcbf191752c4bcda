"""Nobody hears that it is done before the site was looked at (R22, R23): not after a failure, not out of turn."""

from __future__ import annotations

import pytest

from rollout.outcomes import BadInputError, ExitCode
from tests.unit.conductor.scripted_runner import scripted
from tests.unit.conductor.site import STAGES, Site

AFTER = """
- {stage: smoke, title: Look, rules: [R22], due: 0m, window: true, playbook: smoke, expects: {minutes: 1, from: guess}}
- {stage: done, title: Tell, rules: [R23], due: 0m, playbook: done, expects: {minutes: 1, from: guess}}
"""


@pytest.fixture
def site(tmp_path):
    with scripted():
        yield Site(tmp_path, STAGES + AFTER)


def test_when_the_checks_fail_it_is_not_told_and_an_incident_is_begun(site):
    site.playbooks(failing=["smoke"])
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change", "open", "smoke"]
    assert "incident about E-told-to  smoke was told to fail." in site.screen.getvalue()
    with pytest.raises(BadInputError, match="E-out-of-turn  done comes after smoke"):
        site.run("done")
    site.playbooks()
    assert site.run() == ExitCode.DONE
    assert site.ran[-2:] == ["smoke", "done"]


def test_it_is_not_told_before_the_window_either(site):
    with pytest.raises(BadInputError, match="E-out-of-turn  done comes after prepare, close, change, open, smoke"):
        site.run("done")
    assert site.ran == []
