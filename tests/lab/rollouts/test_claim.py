"""The claim on the lab's service: a second checkout takes it over, and a journal whose end was touched is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.drills.rollout import Rollout
from lab.drills.second_checkout import SecondCheckout, second_checkout

BEGIN = ("run", "--at=-22d", "--answers", "inventories/lab/answers.yml")


@pytest.fixture
def second(at_the_window: Rollout) -> Iterator[SecondCheckout]:
    with second_checkout(at_the_window.lab) as checkout:
        planned = checkout.runbook("plan", "new")
        assert planned.returncode == 0, planned.stdout + planned.stderr
        yield checkout


def claims(rollout: Rollout) -> list[dict[str, Any]]:
    path = rollout.lab.home("wildcherry") / ".rollout/claims.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["claims"]
    return found


def journal_of(second: SecondCheckout) -> list[dict[str, Any]]:
    path = second.directory / "var/rollouts/2026-12/journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_who_takes_over_says_so_and_who_had_it_is_stopped(
    at_the_window: Rollout, second: SecondCheckout, ansible: Callable[..., Any]
) -> None:
    first = at_the_window
    refused = second.runbook(*BEGIN)
    assert refused.returncode == 5, refused.stdout + refused.stderr
    assert f"another rollout's: {first.directory.name} of " in refused.stderr
    assert second.runbook("run", "preflight").returncode == 5
    assert [each["event"] for each in journal_of(second)] == ["clock_set", "rollout_opened"]
    other = second.runbook("take-over", "--from", "2027-01", "--reason", "x")
    assert (other.returncode, "E-claimed" in other.stderr) == (5, True)
    taken = second.runbook("take-over", "--from", first.directory.name, "--reason", "prae burnt down")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    asked, done = journal_of(second)[-2:]
    assert (asked["event"], asked["from"], asked["reason"]) == ("claim_take_over", "2026-12", "prae burnt down")
    assert (done["event"], done["checkout"]) == ("service_claimed", str(second.directory))
    before = first.journal_text
    stopped = first.run("--at=-30m")
    assert stopped.returncode == 5, stopped.stdout + stopped.stderr
    assert f"({second.directory})" in stopped.stderr
    assert "taken over from 2026-12: prae burnt down" in stopped.stderr
    assert [json.loads(line)["event"] for line in first.journal_text.removeprefix(before).splitlines()] == ["clock_set"]
    given = ("-e", f"@{first.directory}/plan.yml", "-e", f"rollout_journal={first.directory}/journal.jsonl")
    for playbook in ("services_pause", "rc_mode_leave"):  # by hand it is the same, forth and back
        by_hand = ansible("ansible-playbook", f"playbooks/{playbook}.yml", *given)
        assert "E-claimed" in by_hand.stdout
    assert not first.paused("gac")
    assert second.runbook("plan", "drop", "2026-12", "--reason", "it was alive").returncode == 0
    assert [each["state"] for each in claims(first)] == ["dropped"]
    tried = first.runbook("run", "--check", "--at=-25m", "pause")
    assert tried.returncode == 0, tried.stdout + tried.stderr


@pytest.mark.parametrize(
    ("touch", "says"),
    [
        (lambda lines: lines[:-1], "its end was cut off"),
        (lambda lines: [*lines[:-1], lines[-1].replace("ok", "OK")], "it was edited"),
    ],
    ids=["cut", "edited"],
)
def test_the_end_of_the_journal_is_known_to_the_database_host(
    at_the_window: Rollout, touch: Callable[[list[str]], list[str]], says: str
) -> None:
    path = at_the_window.directory / "journal.jsonl"
    whole = path.read_text()
    path.write_text("".join(touch(whole.splitlines(keepends=True))))
    assert path.read_text() != whole
    refused = at_the_window.runbook("abort", "--reason", "x")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert f"E-journal-lost  {path}" in refused.stderr
    assert says in refused.stderr
    counts = at_the_window.runbook(
        "take-over", "--from", at_the_window.directory.name, "--reason", "looked at the hosts"
    )
    assert counts.returncode == 0, counts.stdout + counts.stderr
    assert claims(at_the_window)[0]["lines"] == len(path.read_text().splitlines()) - 1  # and then it is put on record


def test_a_rollout_that_is_over_leaves_the_service_free(at_the_window: Rollout) -> None:
    aborted = at_the_window.runbook("abort", "--reason", "x", *at_the_window.answering())
    assert aborted.returncode == 4, aborted.stdout + aborted.stderr
    assert [each["state"] for each in claims(at_the_window)] == ["aborted"]
    claims_file = at_the_window.lab.home("wildcherry") / ".rollout/claims.json"
    claims_file.write_text(claims_file.read_text().replace('"aborted"', '"open"'))  # as if the host had been away then
    planned = at_the_window.runbook("plan", "new")  # the same window again: it is free
    assert planned.returncode == 0, planned.stdout + planned.stderr
    begun = at_the_window.runbook("run", "confirm", "--at=-22d", *at_the_window.answering())
    assert begun.returncode == 0, begun.stdout + begun.stderr
    assert [each["rollout"] for each in claims(at_the_window)] == ["2026-12.2"]
