"""Module rollout_claim, and its half on the control machine: what is kept on the database host, and what is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollout.journal.file import Journal
from tests.modules.playing import Played, play
from tests.unit.journals import event

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Call:
    """`call(state, by=…, heads=…, check=False, **options)`: the module's answer."""

    def claim(state: str, by: str = "tom", *, heads: str = "a1 a2", check: bool = False, **more: Any) -> dict[str, Any]:
        options = {
            "rollout": "2026-12",
            "service": "launchpad",
            "database": "dbname=launchpad_prod",
            "journal": f"/home/{by}/journal.jsonl",
            "checkout": f"/home/{by}",
            "state_directory": str(tmp_path / "state"),
            "control": {"by": by, "machine": "prae", "heads": heads.split()},
            "state": state,
            **more,
        }
        return run_module("rollout_claim", options, check, diff=True)

    return claim


def kept(tmp_path: Path) -> list[dict[str, Any]]:
    claims: list[dict[str, Any]] = json.loads((tmp_path / "state/claims.json").read_text())["claims"]
    return claims


def test_one_has_it_and_the_other_is_told(call: Call, tmp_path: Path) -> None:
    first = call("claimed")
    assert (first["changed"], first["claimed"], first["claim"]["by"]) == (True, True, "tom")
    second = call("claimed", "ann", heads="b1")
    assert (second["failed"], second["claim_lost"]) == (True, True)
    assert second["msg"].startswith("E-claimed  launchpad is another rollout's: 2026-12 of tom on prae (/home/tom)")
    assert [each["by"] for each in kept(tmp_path)] == ["tom"]
    grown = call("checked", heads="a1 a2 a3")
    assert (grown["changed"], grown["claim"]["lines"]) == (True, 3)
    assert call("ended", heads="a1 a2 a3", outcome="aborted")["claim"]["state"] == "aborted"
    assert call("claimed", "ann", heads="b1")["claimed"]


def test_only_one_of_many_at_once_gets_it(start_module: Callable[..., Any], tmp_path: Path) -> None:
    started = []
    for number in range(4):
        options = {"rollout": "2026-12", "service": "launchpad", "journal": "j", "checkout": f"/{number}"}
        control = {"by": "losa", "machine": "prae", "heads": [f"first-{number}"]}
        options |= {"state": "claimed", "state_directory": str(tmp_path / "state"), "control": control}
        started.append(start_module("rollout_claim", options))
    answers = [running.result() for running in started]
    assert sorted(answer["failed"] for answer in answers) == [False, True, True, True]


def test_it_is_private_whatever_the_umask(call: Call, tmp_path: Path) -> None:
    call("claimed")
    paths = [tmp_path / "state", tmp_path / "state/claims.json", tmp_path / "state/claims.lock"]
    assert [oct(path.stat().st_mode & 0o777) for path in paths] == ["0o700", "0o600", "0o600"]


def test_check_mode_claims_nothing_and_sees_what_would_fail(call: Call, tmp_path: Path) -> None:
    would = call("claimed", check=True)
    assert (would["changed"], '"by": "tom"' in would["diff"]["after"]) == (True, True)
    assert call("checked", check=True)["failed"] is False  # the run that is tried would claim it
    assert not (tmp_path / "state").exists()
    call("claimed")
    for state in ("claimed", "checked", "free"):
        assert call(state, "ann", heads="b1", check=True)["claim_lost"]


def test_without_a_claim_it_says_what_to_type(call: Call) -> None:
    said = call("checked")["msg"]
    assert said.startswith("E-not-claimed  launchpad is not claimed for 2026-12: nobody has claimed it.")
    assert "./runbook.py run" in said
    assert "ansible-playbook -i INVENTORY playbooks/claim.yml -e @PLAN" in said
    assert call("free")["changed"] is False


def test_claims_that_cannot_be_read_are_not_guessed_about(call: Call, tmp_path: Path) -> None:
    call("claimed")
    (tmp_path / "state/claims.json").write_text("{")
    for state in ("claimed", "checked", "ended"):
        answer = call(state)
        assert (answer["claim_unknown"], answer["msg"].split()[0]) == (True, "E-claim-unreadable")
    taking_back = call("free")
    assert (taking_back["failed"], taking_back["claim_unknown"]) == (False, True)
    assert taking_back["warnings"][0].startswith("E-claim-unreadable")


def test_a_host_that_cannot_be_written_keeps_no_stage(call: Call, tmp_path: Path) -> None:
    call("claimed")
    (tmp_path / "state/claims.lock").unlink()
    (tmp_path / "state/claims.lock").mkdir()  # root may write anywhere, but no file over a directory
    checked = call("checked", heads="a1 a2 a3")
    assert (checked["failed"], checked["claim"]["lines"]) == (False, 2)
    assert checked["warnings"][0].startswith("E-claim-unwritable")
    assert call("checked", "ann", heads="b1")["claim_lost"]
    assert call("claimed", heads="a1 a2 a3")["msg"].startswith("E-claim-unwritable")


class Site:
    """Two hosts on this machine, and a rollout whose playbooks are played by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = directory / "journal.jsonl"
        self.variables = {
            "rollout": {"id": "2026-12", "inventory": "inventories/site", "pinned": {}},
            "rollout_journal": str(self.journal),
            "database_dsn": "dbname=nowhere",
        }

    def play(self, playbook: str, *options: str, **more: Any) -> Played:
        variables = {**self.variables, **more}
        return play(playbook, self.directory, ["database", "app"], variables, *options, HOME=str(self.directory))


def test_by_hand_a_playbook_wants_the_claim_and_the_journal_that_it_knows(tmp_path: Path) -> None:
    site = Site(tmp_path)
    journal = Journal(site.journal)
    journal.write(event("clock_set", offset_seconds=0.0, reason=""))
    refused = site.play("cowboys_apply")
    assert refused.code
    assert "E-not-claimed  inventories/site is not claimed for 2026-12" in refused.output
    assert "lateness" not in refused.output
    taken = site.play("claim")
    assert (taken.code, taken.told["claimed"]) == (0, True), taken.output
    journal.write(event("clock_set", offset_seconds=1.0, reason=""))
    lines = site.journal.read_text().splitlines(keepends=True)
    assert "E-not-claimed" not in site.play("cowboys_apply").output  # it comes as far as the next thing that is missing
    (claim,) = json.loads((tmp_path / ".rollout/claims.json").read_text())["claims"]
    assert (claim["lines"], claim["run"], claim["since"]) == (2, "by hand", taken.told["claim"]["since"])
    site.journal.write_text(lines[0])
    cut = site.play("cowboys_apply")
    assert "E-journal-lost" in cut.output
    assert "its end was cut off" in cut.output
    site.journal.write_text("".join(lines))
    assert site.play("claim_end", claim_ends="aborted").code == 0
    assert "2026-12 is over (aborted)" in site.play("cowboys_apply").output
