"""A drill whose outcome is wrong must fail: everything a drill looks at, wrong once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.drills.drills import DRILLS
from lab.drills.judge import Check, Expected, Found, judge, next_command, undo_command
from plugins.module_utils.rollout_core.journal import text as text_format

REASON = "patch 2208-56-0 has run 0:15 of about 0:01; the rollout would end 08:30, planned 08:00, 30:01 late"
VERDICT = {"event": "verdict", "stage": "outage", "verdict": "abort", "reason": REASON}
ENTRIES = [
    {"event": "stage_started", "stage": "outage", "attempt": 1},
    VERDICT,
    {"event": "undo_finished", "stage": "outage", "outcome": "ok"},
    {"event": "undo_finished", "stage": "pause", "outcome": "ok"},
    {"event": "rollout_closed", "outcome": "aborted", "exit_code": 4, "message": "E-late-abort"},
]
ROWS = [{"stage": "pause", "state": "undone"}, {"stage": "outage", "state": "undone"}]


def journal(*entries: dict[str, object]) -> str:
    text, prev = "", text_format.FIRST_PREV
    for number, entry in enumerate(entries, 1):
        line = text_format.line({"seq": number, "at": "2026-12-09T08:00:00+00:00", **entry}, prev)
        text, prev = text + line, text_format.digest(line)
    return text


ABORTED = Expected(
    exit_code=4,
    outcome="aborted",
    verdict="abort",
    because="patch 2208-56-0",
    schema="as before",
    states={"pause": "undone", "outage": "undone"},
    undone=["outage", "pause"],
    says="E-late-abort",
    also={"the backup": "still works"},
)
AS_EXPECTED = Found(
    exit_code=4,
    schema="as before",
    users_are_in=True,
    connection_limit=-1,
    services=[],
    survivors=[],
    journal=journal(*ENTRIES),
    status={"rows": ROWS, "closed": {"outcome": "aborted"}},
    screen="E-late-abort  too late\n  Look:  ./runbook.py status\n",
    packs=["abort.md"],
    also={"the backup": "still works"},
    seconds={"exit code": 41.5},
)


def wrong(expected: Expected, found: Found) -> list[str]:
    return [check.what for check in judge(expected, found) if not check.right]


def test_all_as_expected() -> None:
    assert wrong(ABORTED, AS_EXPECTED) == []


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("the drill", {"problem": "a patch waits: still not, after 180 s"}),
        ("exit code", {"exit_code": 1}),
        ("exit code", {"exit_code": None}),
        ("schema", {"schema": "deployed"}),
        ("schema", {"schema": "something else"}),
        ("access", {"users_are_in": False}),
        ("access", {"connection_limit": 0}),
        ("services", {"services": ["hosts/gac/home/cron.ini is another"]}),
        ("survivors", {"survivors": ["pid 4711: ansible-playbook"]}),
        ("the backup", {"also": {"the backup": "is gone"}}),
        ("the backup", {"also": {}}),
        ("abort pack", {"packs": []}),
        ("status --json", {"status": {"rows": ROWS, "closed": None}}),
        ("stages", {"status": {"rows": ROWS[:1], "closed": {"outcome": "aborted"}}}),
        (
            "stages",
            {"status": {"rows": [ROWS[0], {"stage": "outage", "state": "late"}], "closed": {"outcome": "aborted"}}},
        ),
        ("the screen", {"screen": "E-late-abort  too late\n"}),
        ("the screen says", {"screen": "  Look:  ./runbook.py status\n"}),
    ],
)
def test_what_is_wrong_is_found(check: str, change: dict[str, object]) -> None:
    assert wrong(ABORTED, replace(AS_EXPECTED, **change)) == [check]


@pytest.mark.parametrize(
    ("checks", "text"),
    [
        (["verdict"], journal(*(ENTRIES[:1] + ENTRIES[2:]))),
        (["verdict"], journal(ENTRIES[0], {**VERDICT, "reason": "pause has run 0:15"}, *ENTRIES[2:])),
        (["verdict"], journal(*ENTRIES[:2], {**VERDICT, "verdict": "must_finish"}, *ENTRIES[2:])),
        (["undone"], journal(*ENTRIES[:2], ENTRIES[3], ENTRIES[2], ENTRIES[4])),
        (["undone"], journal(*ENTRIES[:3], {**ENTRIES[3], "outcome": "failed"}, ENTRIES[4])),
        (["journal"], journal(*ENTRIES[:4])),
        (["journal"], journal(*ENTRIES[:4], {**ENTRIES[4], "exit_code": 6})),
        (["journal"], journal(*ENTRIES) + '{"seq": 6, "torn'),
        (
            ["undone", "journal"],
            journal(*ENTRIES).replace('"undo_finished","stage":"outage"', '"undone","stage":"outage"'),
        ),
        (["verdict", "undone", "journal"], ""),
    ],
)
def test_what_is_wrong_in_the_journal_is_found(checks: list[str], text: str) -> None:
    assert wrong(ABORTED, replace(AS_EXPECTED, journal=text)) == checks


def test_a_status_that_says_nothing() -> None:
    assert wrong(ABORTED, replace(AS_EXPECTED, status={})) == ["stages", "status --json"]


def test_every_stage_is_every_stage() -> None:
    expected = replace(ABORTED, states={"every stage": "undone"})
    assert wrong(expected, AS_EXPECTED) == []
    rows = [*ROWS, {"stage": "smoke", "state": "to come"}]
    assert wrong(expected, replace(AS_EXPECTED, status={**AS_EXPECTED.status, "rows": rows})) == ["stages"]


def test_no_verdict_is_expected() -> None:
    assert wrong(replace(ABORTED, verdict=None, because=""), AS_EXPECTED) == ["verdict"]


def test_nothing_begun_is_not_closed() -> None:
    expected = Expected(exit_code=2, schema="as before", states={"pause": "to come"})
    rows = [{"stage": "pause", "state": "to come"}]
    found = replace(AS_EXPECTED, exit_code=2, journal="", status={"rows": rows, "closed": None}, packs=[])
    assert wrong(expected, found) == []
    assert wrong(expected, replace(found, journal=journal(*ENTRIES[-1:]))) == ["journal"]


def test_seconds_decide_nothing() -> None:
    (check,) = (check for check in judge(ABORTED, AS_EXPECTED) if check.what == "exit code")
    assert check == Check("exit code", "4", "4", right=True, seconds=41.5)
    assert wrong(ABORTED, replace(AS_EXPECTED, seconds={"exit code": 4711.0, "verdict": -1.0})) == []


def test_commands_on_the_screen() -> None:
    command = "ansible-playbook -i inventories/lab playbooks/services_resume.yml -e @plan.yml"
    screen = f"E-x  it hangs.\n  By hand:  {command}\nand so on"
    assert undo_command(screen) == command
    assert next_command(f"{screen}\n  Then:  ./runbook.py resume\n") == "./runbook.py resume"
    assert (undo_command("nothing"), next_command("nothing")) == (None, None)


@pytest.mark.parametrize("name", DRILLS)
def test_the_table_of_drills_is_sound(name: str) -> None:
    expected = DRILLS[name].expected
    assert expected.exit_code in range(8)
    assert expected.schema in ("as before", "deployed")
    assert expected.verdict in (None, "abort", "must_finish")
    assert expected.outcome == "aborted" or expected.exit_code not in (4, 6)
    assert json.dumps(expected.also), "plain words"
