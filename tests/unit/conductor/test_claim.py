"""What the conductor does with the claim: nothing is asked, said or touched on a service that is another rollout's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollout.engine.playbooks import Failure, PlaybookRun
from rollout.engine.stage_run import StageRun
from rollout.journal.clock import Clock
from rollout.outcomes import ClaimRefusedError, ExitCode
from rollout.plan.process import Stage
from tests.unit.conductor.site import NowhereToClaim, Site
from tests.unit.journals import event

FOREIGN = "E-claimed  launchpad is another rollout's: 2026-12 of tom on prae"


class Anothers(NowhereToClaim):
    """The service is another rollout's."""

    def take(self, *_: object, **__: object) -> None:
        raise ClaimRefusedError(FOREIGN, ExitCode.LOCKED)


def refused(site: Site, **how: Any) -> str:
    with pytest.raises(ClaimRefusedError) as caught:
        site.run(claim=Anothers, **how)
    assert caught.value.exit_code is ExitCode.LOCKED
    assert site.ran == []
    return str(caught.value)


def events(site: Site) -> list[str]:
    return [entry["event"] for entry in site.entries if entry["event"] != "clock_set"]


def test_a_rollout_begins_with_its_claim(site: Site) -> None:
    assert refused(site) == FOREIGN
    assert events(site) == ["rollout_opened"]  # no question, no stage
    assert site.run() == ExitCode.DONE


def test_what_has_nothing_to_do_claims_nothing(site: Site) -> None:
    assert site.run(claim=Anothers, clock=Clock()) == ExitCode.DONE
    assert "Next: prepare, due " in site.screen.getvalue()


def test_one_that_goes_on_looks_before_a_word_is_written(site: Site) -> None:
    site.run("prepare", work=lambda conductor: conductor.journal.write(event("service_claimed", service="launchpad")))
    before = (site.directory / "journal.jsonl").read_bytes()
    refused(site, clock=Clock())
    assert (site.directory / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize("takes_back", ["abort", "resume"])
def test_an_abort_is_refused_too(takes_back: str, site: Site) -> None:
    def work(conductor: Any) -> Any:
        stage = conductor.rollout.stage("close")
        return conductor.abort("x", None) if takes_back == "abort" else conductor.resume(stage, "2026-12/0001", [])

    assert refused(site, work=work) == FOREIGN
    assert events(site) == ["rollout_opened"]


@pytest.mark.parametrize(
    ("lost", "code"), [("claim_lost", ExitCode.LOCKED), ("journal_lost", ExitCode.FAILED)], ids=["claim", "journal"]
)
def test_a_stage_that_finds_another_there_undoes_nothing(
    lost: str, code: ExitCode, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = StageRun._attempt

    def found(self: StageRun, stage: Stage) -> PlaybookRun:
        if stage.stage != "change":
            return attempt(self, stage)
        self._began(stage)
        return PlaybookRun(
            Path("stdout"), failures=[Failure("db", "Check", {"msg": FOREIGN, lost: True}, Path("site"))]
        )

    monkeypatch.setattr(StageRun, "_attempt", found)
    assert site.run() == code
    assert site.ran == ["prepare", "close"]
    closed = site.entries[-1]
    assert (closed["event"], closed["outcome"], closed["exit_code"]) == ("rollout_closed", "failed", code)
    assert closed["message"].startswith(FOREIGN)
    assert "undo_started" not in events(site)


def test_before_something_is_said_it_is_looked_whether_anything_has_happened(site: Site) -> None:
    looked: list[int] = []

    class Ours(NowhereToClaim):
        def take(self, *_: object, **__: object) -> None:
            self.heard = len(self.rollout.journal.entries)
            looked.append(self.heard)

    def work(conductor: Any) -> ExitCode:
        for _ in range(2):
            conductor.journal.write(event("service_claimed", service="launchpad"))
            conductor.claim.still_ours()
            conductor.claim.still_ours()
        return ExitCode.DONE

    site.run(claim=Ours, work=work)
    assert looked == [1, 2]
