"""The abort pack (R19-R21): from plan and journal alone, it says what is, and what is left for a person."""

from __future__ import annotations

import re

import pytest

from rollout.views.abort_pack import render_abort_pack
from tests.unit.journals import typed

OPEN = "E-gate  The gate could not be opened.\n  Open it:  psql -c 'ALTER DATABASE launchpad_prod CONNECTION LIMIT -1'"
HOSTILE = "a | b <script> \n# Heading\n```\n{{ 7*7 }}"


def changed(events, event, stage=None, **fields):
    return [{**e, **fields} if e["event"] == event and stage in (None, e.get("stage")) else e for e in events]


def without(events, *kinds):
    return [entry for entry in events if entry["event"] not in kinds]


def head(text):
    """The lines before the first section."""
    return text.partition("\n## ")[0].splitlines()


def section(text, title):
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0].strip()


def test_the_first_lines_say_what_happened_and_whether_users_are_in(plan, entries):
    assert head(render_abort_pack(plan, typed(entries("stopped")))) == [
        "# Rollout 2026-12 (inventories/lab): aborted Wed 9 Dec 2026 08:40:34 UTC",
        "",
        "- Why: patch-2208-56-0.sql has run 40:20 of about 0:20; 30:01 late (limit 30:00).",
        "- Users are in: everything is back since 08:40:30 UTC, after 40:30 min of downtime.",
        "- Undone: outage, pause.",
        "- Everything is as before: 21 tests passed on gac, wildcherry.",
        "- Source: missing index on translationmessage",
        "- Next attempt: Wed 16 Dec 2026 08:00 UTC",
    ]


def test_written_before_anybody_is_asked_and_before_the_end(plan, entries):
    """The conductor has it written while the journal still goes on."""
    events = without(entries("stopped"), "problem_told", "next_attempt", "rollout_closed")
    text = render_abort_pack(plan, typed(events))
    assert "- Users are in: everything is back since 08:40:30 UTC" in head(text)[3]
    assert '- Source: not told yet.\n\nOnce it is known: `./runbook.py next --source "…" --mended-at ISO`' in text


def test_an_undone_rollout_leaves_nothing_to_do(plan, entries):
    assert "## To do by hand" not in render_abort_pack(plan, typed(entries("stopped")))


def test_what_is_not_undone_stands_first_with_its_command(plan, entries):
    events = changed(entries("stopped"), "undo_finished", "outage", outcome="failed", message=OPEN)
    text = render_abort_pack(plan, typed(events), "var/rollouts/elsewhere")
    assert head(text)[3:5] == ["- USERS MAY STILL BE LOCKED OUT of the database.", "- NOT UNDONE: outage."]
    to_do = section(text, "To do by hand")
    assert "1. Undo outage. This lets the users in." in to_do
    command = "ansible-playbook -i inventories/lab playbooks/outage_undo.yml -e @var/rollouts/elsewhere/plan.yml"
    assert f"       {command}\n" in to_do
    assert "     Open it:  psql -c 'ALTER DATABASE launchpad_prod CONNECTION LIMIT -1'" in to_do
    assert "`./runbook.py verify --expect as_before --plan var/rollouts/elsewhere/plan.yml`" in to_do
    assert text.index("## To do by hand") < text.index("## What it said")


def test_exit_code_7_leaves_no_doubt(plan, entries):
    events = changed(entries("stopped"), "undo_finished", "outage", outcome="failed", message=OPEN)
    text = render_abort_pack(plan, typed(changed(events, "rollout_closed", exit_code=7)))
    assert "- USERS ARE STILL LOCKED OUT of the database." in head(text)


def test_users_are_in_though_services_are_not(plan, entries):
    events = changed(entries("stopped"), "undo_finished", "pause", outcome="failed", message="E-cron  No.")
    text = render_abort_pack(plan, typed(events))
    assert "- Users are in: the database is open since 08:40:26 UTC. Not everything else is back." in head(text)
    assert "1. Undo pause.\n\n       ansible-playbook -i inventories/lab playbooks/services_resume.yml" in text


def test_undos_by_hand_are_in_their_order(plan, entries):
    """What was begun last is undone first; and not everything is back, though users and services are."""
    switch = [
        {"event": "stage_started", "attempt": 1},
        {"event": "stage_finished", "outcome": "failed", "facts": {}, "message": "E-switch  No."},
        {"event": "undo_started", "playbook": "trees_switch_back"},
        {"event": "undo_finished", "playbook": "trees_switch_back", "outcome": "failed", "message": "E-back  No."},
    ]
    begun = [
        {"seq": 90 + n, "at": "2026-12-09T08:40:25.700000+00:00", "stage": "switch", **e} for n, e in enumerate(switch)
    ]
    text = render_abort_pack(plan, typed([*entries("stopped"), *begun]))
    assert "- Users are in: the database is open since 08:40:26 UTC. Not everything else is back." in head(text)
    assert "- NOT UNDONE: switch." in head(text)
    failed = changed(entries("stopped"), "undo_finished", "outage", outcome="failed", message=OPEN)
    to_do = section(render_abort_pack(plan, typed([*failed, *begun])), "To do by hand")
    assert to_do.index("1. Undo switch.") < to_do.index("2. Undo outage.")


def test_an_undo_that_was_repeated_by_hand_counts(plan, entries):
    events = changed(entries("stopped"), "undo_finished", "outage", outcome="failed", message=OPEN)
    (at,) = [n for n, e in enumerate(events) if e["event"] == "undo_finished" and e["stage"] == "outage"]
    again = [{**events[at - 1], "at": events[at]["at"]}, {**events[at], "outcome": "ok", "message": None}]
    text = render_abort_pack(plan, typed([*events[: at + 1], *again, *events[at + 1 :]]))
    assert "- Undone: outage, pause." in head(text)


def test_users_were_never_out(plan, entries):
    events = [e for e in entries("stopped") if e.get("stage") not in {"outage"}]
    assert "- Users were never locked out of the database." in head(render_abort_pack(plan, typed(events)))
    events = [e for e in events if e.get("stage") != "pause"]
    text = render_abort_pack(plan, typed(events))
    assert "- Nothing was to be undone: no stage of the window had begun." in head(text)
    assert section(text, "What was taken back") == "- Nothing: no stage of the window had begun."


@pytest.mark.parametrize(
    ("change", "to_do"),
    [
        ({"survivors": ["pid 7 psql"]}, "1. End what still runs of outage: pid 7 psql"),
        ({"unproven": ["wildcherry"]}, "1. See what still runs of outage on wildcherry, which did not answer."),
    ],
)
def test_what_survived_is_to_be_ended(plan, entries, change, to_do):
    events = changed(entries("stopped"), "stop_finished", **change)
    assert to_do in section(render_abort_pack(plan, typed(events)), "To do by hand")


def test_a_stop_without_an_end_on_record_is_to_be_looked_at(plan, entries):
    text = render_abort_pack(plan, typed(without(entries("stopped"), "stop_finished")))
    assert "1. See whether anything of outage still runs" in section(text, "To do by hand")


def test_every_host_and_what_is_not_as_before(plan, entries):
    hosts = {"gac": {"passed": 11, "failed": ["test_x: cron is off"]}, "wildcherry": {"passed": 9, "failed": []}}
    events = changed(entries("stopped"), "verified", outcome="failed", summary="not as expected: gac", hosts=hosts)
    text = render_abort_pack(plan, typed(events))
    assert "- NOT AS BEFORE: not as expected: gac." in head(text)
    assert "1. Mend gac: test_x: cron is off" in section(text, "To do by hand")
    found = section(text, "Every host")
    assert "| gac | 11 | test_x: cron is off |\n| wildcherry | 9 | – |" in found
    events = changed(events, "verified", summary="testinfra looked at no host: no inventory", hosts={})
    assert "1. Look at the hosts: testinfra looked at no host" in render_abort_pack(plan, typed(events))


def test_hosts_that_nobody_looked_at_are_not_said_to_be_well(plan, entries):
    text = render_abort_pack(plan, typed(entries("aborted")))
    assert "- The hosts were not looked at." in head(text)
    assert "`./runbook.py verify --expect as_before --plan var/rollouts/2026-12/plan.yml`" in section(
        text, "Every host"
    )


def test_what_stands_is_what_was_done_before_the_window(plan, entries):
    stands = section(render_abort_pack(plan, typed(entries("stopped"))), "What stands")
    assert re.findall(r"- \*\*(\w+)\*\* done", stands) == ["select", "merge", "qastaging"]
    assert "push → devel 12735 (verified)" in stands


def test_the_timeline_is_whole_and_in_order(plan, entries):
    lines = section(render_abort_pack(plan, typed(entries("stopped"))), "Timeline (UTC)").splitlines()
    assert [line.partition("; ")[0] for line in lines[-11:]] == [
        "- Wed 9 Dec 08:00:04  outage: patch-2208-56-0.sql begins",
        "- Wed 9 Dec 08:10:24  outage: late, patch-2208-56-0.sql has run 10:20 of about 0:20",
        "- Wed 9 Dec 08:40:24  outage: abort, patch-2208-56-0.sql has run 40:20 of about 0:20",
        "- Wed 9 Dec 08:40:24  outage is asked to stop by outage_stop",
        "- Wed 9 Dec 08:40:25  outage answers rolled back (0.70 s)",
        "- Wed 9 Dec 08:40:25  outage ends, late (40:26 min): patch-2208-56-0.sql has run 40:20 of about 0:20",
        "- Wed 9 Dec 08:40:26  outage undone by outage_undo (1.10 s)",
        "- Wed 9 Dec 08:40:30  pause undone by services_resume (3.10 s)",
        "- Wed 9 Dec 08:40:34  the hosts are as before: 21 tests passed on gac, wildcherry",
        "- Wed 9 Dec 08:44:10  mia says: missing index on translationmessage",
        "- Wed 9 Dec 08:44:11  next attempt: Wed 16 Dec 2026 08:00 UTC",
    ]
    assert lines[-7].endswith("; nothing of it is left")


def test_an_abort_that_somebody_asked_for(plan, entries):
    asked = {"at": "2026-12-09T08:40:00+00:00", "event": "abort_requested", "by": "mia", "reason": "the DBA is ill"}
    events = [*entries("stopped"), {**asked, "seq": 99, "source": "another terminal"}]
    text = render_abort_pack(plan, typed(events))
    assert "- Wed 9 Dec 08:40:00  mia asks for an abort (another terminal): the DBA is ill" in text


def test_planned_and_actual(plan, entries):
    table = section(render_abort_pack(plan, typed(entries("stopped"))), "Planned and actual (UTC)")
    row = "| outage | Wed 9 Dec 08:00:00–08:12:21 | Wed 9 Dec 08:00:00–08:40:25 | 40:26 min | 12:21 min | undone |"
    assert row in table
    assert "| smoke | Wed 9 Dec 08:20:21–08:25:21 | – | – | 5:00 min | not begun |" in table


def test_the_windows_that_were_considered(plan, entries):
    told = section(render_abort_pack(plan, typed(entries("stopped"))), "The problem and the next attempt (R20, R21)")
    assert "- Mended: Thu 10 Dec 2026 16:00 UTC, at best\n- Needs a new revision: yes" in told
    assert "| Wed 16 Dec 2026 08:00 | window of the schedule | yes: 6 d 23 h of notice |" in told
    assert "[../2026-12.2/plan.yml](../2026-12.2/plan.yml)" in told
    none = changed(entries("stopped"), "next_attempt", start=None, plan=None)
    assert "None of these will do: `./runbook.py next --window ISO`" in render_abort_pack(plan, typed(none))


def test_an_old_journal_is_enough(plan, entries):
    text = render_abort_pack(plan, typed(entries("aborted")))
    assert head(text)[0] == "# Rollout 2026-12 (inventories/lab): aborted Wed 9 Dec 2026 08:42:44 UTC"
    assert "E-late-abort  outage has run 42:22 of about 12:21" in section(text, "What it said")


@pytest.mark.parametrize("name", ["good", None])
def test_without_an_abort_there_is_no_pack(plan, entries, name):
    with pytest.raises(ValueError, match="2026-12 was not aborted"):
        render_abort_pack(plan, typed(entries(name)))


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("problem_told", {"source": HOSTILE, "by": HOSTILE}),
        ("verified", {"outcome": "failed", "summary": HOSTILE, "hosts": {"gac": {"passed": 0, "failed": [HOSTILE]}}}),
        ("stop_finished", {"survivors": [HOSTILE]}),
        ("undo_finished", {"outcome": "failed", "message": HOSTILE}),
        ("verdict", {"reason": HOSTILE}),
        ("abort_packed", {"why": HOSTILE}),
    ],
)
def test_text_stays_in_its_line_or_its_block(plan, entries, event, fields):
    text = render_abort_pack(plan, typed(changed(entries("stopped"), event, **fields)))
    fence, outside = None, []
    for line in text.splitlines():
        ticks = re.match(r" *(`{3,})", line)
        if fence is None and ticks:
            fence = ticks[1]
        elif fence and line.strip() == fence:
            fence = None
        elif fence is None:
            outside.append(line)
    assert fence is None, "a block was left open"
    assert not [line for line in outside if line.startswith("# Heading") or "<script>" in line]
    assert "{{ 7*7 }}" in text
