"""Whose the service is, and whether a journal is still the one that its claim knows: facts in, a decision out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.rollout_core.journal import claims
from plugins.module_utils.rollout_core.journal.claims import Claimant, Claims, Refused, TakeOver

NOW, LATER = "2026-12-07T08:00:00+00:00", "2026-12-07T09:00:00+00:00"
TOM = Claimant(
    rollout="2026-12",
    service="launchpad",
    database="dbname=launchpad_prod",
    by="tom",
    machine="prae",
    checkout="/home/tom/runbook",
    journal="journal.jsonl",
    heads=["a1", "a2"],
)
ANN = replace(TOM, by="ann", checkout="/home/ann/runbook", journal="/home/ann/journal.jsonl", heads=["b1"])
KEPT = TOM.record(NOW)


def seen(*records: claims.Record, by: Claimant = TOM, closed: tuple[str, ...] = ()) -> Claims:
    return claims.seen(records, by, closed)


def refused(found: Claims, over: TakeOver | None = None) -> str:
    with pytest.raises(Refused) as caught:
        claims.taken(found, LATER, over or TakeOver())
    return str(caught.value)


def test_a_service_that_nobody_has_is_taken() -> None:
    found = claims.taken(seen(), NOW, TakeOver())
    assert (found.claimed, list(found.records)) == (True, [KEPT])
    assert KEPT["lines"] == 2
    assert KEPT["head"] == "a2"


@pytest.mark.parametrize(
    ("case", "other"),
    [
        ("the same plan in another checkout", ANN),
        ("on another machine", replace(ANN, machine="sourcherry", checkout=TOM.checkout)),
        ("another plan in the same checkout", replace(TOM, rollout="2026-12.2", journal="2.jsonl", heads=["c1"])),
        ("other records in the same checkout", replace(TOM, journal="elsewhere.jsonl", heads=["c1"])),
        ("by hand, without a journal, in another checkout", replace(ANN, heads=[])),
        ("the same service by another name", replace(ANN, service="lp")),
        ("another database of the service", replace(ANN, database="dbname=other")),
    ],
)
def test_of_a_service_one_rollout_is_open(case: str, other: Claimant) -> None:
    said = refused(seen(KEPT, by=other))
    assert said.startswith(f"E-claimed  {other.service} is another rollout's: 2026-12 of tom on prae"), case
    assert "since 2026-12-07 08:00 UTC" in said
    assert './runbook.py take-over --from 2026-12 --reason "…"' in said
    for look in (claims.free, lambda found: claims.checked(found, LATER)):
        with pytest.raises(Refused) as caught:
            look(seen(KEPT, by=other))
        assert caught.value.claim_lost


def test_another_service_with_another_database_is_nothing_to_us() -> None:
    other = replace(ANN, service="bugs", database="dbname=bugs")
    found = claims.taken(seen(KEPT, by=other), LATER, TakeOver())
    assert list(found.records) == [KEPT, other.record(LATER)]


def test_a_rollout_that_was_moved_is_known_by_its_journal() -> None:
    moved = replace(TOM, machine="other", checkout="/elsewhere", heads=["a1", "a2", "a3"])
    found = claims.checked(seen(KEPT, by=moved), LATER)
    assert (found.own or {})["lines"] == 3
    assert (found.own or {})["since"] == NOW


def test_a_claim_that_was_made_by_hand_goes_over_to_the_journal_that_comes_later() -> None:
    by_hand = replace(TOM, heads=[]).record(NOW)
    found = claims.taken(seen(by_hand), LATER, TakeOver())
    assert ((found.own or {})["first"], found.claimed) == ("a1", False)


@pytest.mark.parametrize(
    ("case", "heads", "says"),
    [
        ("all is there", ["a1", "a2"], None),
        ("it has grown", ["a1", "a2", "a3"], None),
        ("cut off", ["a1"], "It has 1 lines, and had 2"),
        ("its last line edited", ["a1", "x2"], "Its line 2 is not the one"),
        ("edited, and gone on with", ["a1", "x2", "x3"], "Its line 2 is not the one"),
        ("begun anew", ["x1", "x2"], "Its line 2 is not the one"),
    ],
)
def test_the_end_of_a_journal_is_known_elsewhere(case: str, heads: list[str], says: str | None) -> None:
    found = seen(KEPT, by=replace(TOM, heads=heads))
    if says is None:
        assert (claims.checked(found, LATER).own or {})["lines"] == len(heads), case
        return
    with pytest.raises(Refused) as caught:
        claims.checked(found, LATER)
    assert (caught.value.journal_lost, caught.value.claim_lost) == (True, False)
    assert str(caught.value).startswith("E-journal-lost  journal.jsonl, the journal of 2026-12")
    assert says in str(caught.value)
    claims.free(found)  # what takes something back goes on


def test_a_journal_counts_as_it_is_once_a_person_says_so() -> None:
    cut = seen(KEPT, by=replace(TOM, heads=["a1"]))
    assert refused(cut).startswith("E-journal-lost")
    found = claims.taken(cut, LATER, TakeOver("2026-12", "restored"))
    assert ((found.own or {})["lines"], (found.own or {})["since"]) == (1, NOW)


def test_a_take_over_says_from_whom_and_why_to_who_had_it() -> None:
    assert refused(seen(KEPT, by=ANN), TakeOver("2026-11", "gone")).startswith("E-claimed")
    found = claims.taken(seen(KEPT, by=ANN), LATER, TakeOver("2026-12", "prae burnt down"))
    assert (found.claimed, len(found.records), found.other) == (True, 1, KEPT)
    with pytest.raises(Refused, match=r"of ann on prae .* taken over from 2026-12: prae burnt down"):
        claims.checked(seen(*found.records), LATER)


@pytest.mark.parametrize("outcome", claims.ENDS)
def test_a_claim_ends_with_its_rollout(outcome: str) -> None:
    found = claims.ended(seen(KEPT), LATER, outcome)
    assert (found.own or {})["state"] == outcome
    with pytest.raises(Refused, match=rf"^E-not-claimed  launchpad .* 2026-12 is over \({outcome}\)"):
        claims.checked(seen(*found.records), LATER)
    assert claims.free(seen(*found.records)).own == found.own  # an undo by hand after it
    assert claims.taken(seen(*found.records, by=ANN), LATER, TakeOver()).claimed


def test_nobody_ends_the_claim_of_another() -> None:
    assert claims.ended(seen(KEPT, by=ANN), LATER, "done").records == (KEPT,)


def test_a_claim_whose_rollout_is_over_here_is_over() -> None:
    found = claims.taken(seen(KEPT, by=ANN, closed=("a1",)), LATER, TakeOver())
    assert (found.claimed, [each["by"] for each in found.records]) == (True, ["ann"])


def test_what_is_told_of_another_has_no_control_characters() -> None:
    record = {**KEPT, "by": "tom\x1b[2J", "run": "2026-12/0007-pause\u202e"}
    assert claims.told(record) == (
        "2026-12 of tom?[2J on prae (/home/tom/runbook), since 2026-12-07 08:00 UTC; "
        "last heard of 2026-12-07 08:00 UTC (2026-12/0007-pause?)"
    )
