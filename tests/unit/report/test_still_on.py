"""What is still switched on stands in every record, with its command; so does what was backed out (R13, R17)."""

from __future__ import annotations

import copy
import re

import pytest

from rollout.views.abort_pack import render_abort_pack
from rollout.views.history import History
from rollout.views.incident import render_incident
from rollout.views.report import headline, render_report
from tests.unit.journals import typed

from .test_report import text_of

BRACKET = {"what": "PQM is in RC mode", "ends_with": "switch", "end_early": "rc_mode_end_early"}
WHY = "devel has the merge (12735), and fixes must land."
SAID = "PQM is in RC mode since Mon 7 Dec 08:01 UTC: devel has the merge (12735), and fixes must land."
COMMAND = "./runbook.py run switch"


@pytest.fixture
def bracket(plan):
    """The plan; its merge is done in RC mode, which ends with the switch."""
    changed = copy.deepcopy(plan)
    next(stage for stage in changed["process"] if stage["stage"] == "merge")["bracket"] = BRACKET
    return changed


@pytest.fixture
def stays(entries):
    """The rollout that was stopped; RC mode could not be left."""
    told = {"stage": "merge", "playbook": "rc_mode_end_early", "outcome": "ok", "evidence": ["devel 12735"]}
    stop = {"at": "2026-12-09T08:40:33+00:00", "event": "release_finished", **told, "message": None}
    return entries("stopped", {**stop, "released": False, "why": WHY})


def test_the_abort_pack_begins_with_it_and_says_how_it_ends(bracket, stays):
    pack = render_abort_pack(bracket, typed(stays))
    assert f"- STILL ON: {SAID}" in pack.partition("\n## ")[0]
    assert f"1. End it once it may end: {SAID}\n\n       {COMMAND}\n" in pack
    assert f"what merge switched on STAYS ON: {WHY}" in pack


def test_the_report_begins_with_it(bracket, stays):
    text = text_of(render_report(bracket, typed(stays)))
    assert f"Still on: {SAID} To end it: {COMMAND}" in text
    assert text.index(SAID) < text.index("Planned against actual")
    assert f"rc_mode_end_early Wed 9 Dec 08:40:33: stays on, {WHY} devel 12735" in text


def test_the_incident_report_says_so(bracket, stays):
    opened = {"at": "2026-12-09T08:50:00+00:00", "event": "incident_opened", "number": 1, "file": "incident-1.md"}
    text = render_incident(bracket, typed([*stays, {**opened, "problem": "CSS."}]), 1)
    assert f"- STILL ON: {SAID} To end it: `{COMMAND}`" in text


def test_what_ended_in_its_turn_is_on_record_and_nothing_more(bracket, entries):
    text = text_of(render_report(bracket, typed(entries("good"))))
    assert "Still on" not in text
    assert re.search(r"Mon 7 Dec 08:01:02 PQM is in RC mode merge Wed 9 Dec 08:\d\d:\d\d, by switch", text)


def test_what_was_backed_out_is_not_done_and_nothing_goes_on_from_it(bracket, entries):
    history = History(bracket, typed(entries("backed_out")))
    states = {stage.name: stage.state for stage in history.stages}
    assert (states["select"], states["merge"], states["qastaging"]) == ("undone", "undone", "refused")
    assert history.still_on == []
    assert history.switched_on[0].ended_by == "pqm_back_out"
    assert headline(history).sentence == "Everything was backed out."
    no = "patch-2208-56-0.sql (An index): is it good on qastaging?"
    assert headline(history).detail == f"“{no}” was answered no by wgrant."
    text = text_of(render_report(bracket, typed(entries("backed_out"))))
    assert "rolled back where it comes from: ./runbook.py plan new" in text
    assert "devel 12736 takes the merge out" in text
    assert "pqm@pqm-20261207-out" in text
    with pytest.raises(ValueError, match="was not aborted"):
        render_abort_pack(bracket, typed(entries("backed_out")))


def test_who_answered_for_what_is_on_record(bracket, entries):
    text = text_of(render_report(bracket, typed(entries("backed_out"))))
    assert "patch-2208-30-0.sql (A column): is it good on qastaging? yes" in text
    assert "by jml, another terminal" in text
    assert "patch-2208-56-0.sql (An index): is it good on qastaging? no" in text
    assert "by wgrant, another terminal" in text
