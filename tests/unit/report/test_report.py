"""The report is one well-formed file that says everything the journal knows, whatever stands in it."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from plugins.module_utils.rollout_core.journal.incidents import first_sentence
from rollout.views import report
from rollout.views.history import History
from rollout.views.report import comparisons, headline, render_report
from rollout.views.text import length
from tests.unit.journals import typed

from .conftest import chained

TEMPLATE = Path(report.__file__).with_name("report.html.j2")
HOSTILE = "<script>alert('x')</script> & \"quoted\" ]]> </style> {{ 7*7 }} \x1b[31mred\x1b[0m \x00 ☃"
WINDOW_HOSTILE = {"start": "2026-12-16T08:00:00+00:00", "kind": HOSTILE, "accepted": True, "why": HOSTILE}
NO_OUTAGE = {"at": "2026-12-09T08:00:00+00:00", "event": "rollout_closed", "exit_code": 3, "outcome": "refused"}


def text_of(html: str) -> str:
    """Everything a person reads, with white space collapsed."""
    body = tree(html).find("body")
    assert body is not None
    return re.sub(r"\s+", " ", "".join(body.itertext()))


def tree(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)  # noqa: S314  our own text; a parser that forgives would prove nothing


@pytest.fixture(
    params=["good", "aborted", "stopped", "backed_out", "announced", None],
    ids=["good", "aborted", "stopped", "backed out", "announced", "not finished"],
)
def sample(request, entries):
    return entries(request.param)


def test_everything_of_the_journal_is_there(plan, sample):
    text = text_of(render_report(plan, typed(sample)))
    for stage in plan["process"]:
        assert stage["title"] in text
        assert all(rule in text for rule in stage["rules"])
    for entry in sample:
        said = [
            *entry.get("facts", {}).get("evidence", []),
            *entry.get("evidence", []),
            *(entry[key] for key in ("question", "by", "source", "playbook", "reason", "summary") if entry.get(key)),
            *(window["why"] for window in entry.get("considered", ())),
            *(failed for host in entry.get("hosts", {}).values() for failed in host["failed"]),
            *(entry[key] for key in ("problem", "details", "resolution", "mended_by", "affected") if entry.get(key)),
            *(part for text in entry.get("texts", {}).values() for part in (text["title"], text["body"])),
        ]
        if entry["event"] == "announcement_queued":  # its `by` is a deadline
            said.remove(entry["by"]) if entry["by"] else None
        if message := entry.get("message"):  # how earlier runs ended stands in one sentence, what failed in full
            said.append(first_sentence(message) if entry["event"] == "rollout_closed" else message)
        missing = [line for line in said if re.sub(r"\s+", " ", line).strip() not in text]
        assert not missing, f"entry {entry['seq']} ({entry['event']})"
    for person in plan["people"].values():
        assert person in text


def test_a_gate_stands_with_its_answer_who_gave_it_and_how(plan, entries):
    text = text_of(render_report(plan, typed(entries("good"))))
    assert (
        "GO for the outage? yes outage · asked Wed 9 Dec 07:58:10, answered Wed 9 Dec 07:59:41 (after 1:31 min)" in text
    )
    assert "by mia, terminal" in text


def test_an_errors_whole_message_keeps_its_lines(plan, entries):
    report = tree(render_report(plan, typed(entries("good"))))
    (conflict,) = [pre.text for pre in report.iter("pre") if pre.text and "E-merge-conflict" in pre.text]
    assert conflict.splitlines()[1].startswith(" " * 18 + "Nothing was committed")
    assert "bzr merge -r 10381 lp:db-stable" in conflict


def test_nothing_outside_the_file_is_referred_to(plan, sample):
    html = render_report(plan, typed(sample))
    references = [
        value
        for element in tree(html).iter()
        for name, value in element.attrib.items()
        if name in {"src", "href", "data", "srcset", "action", "poster"}
    ]
    assert references
    outside = [
        value
        for value in references
        if not value.startswith("#")
        and value not in {"plan.yml", "journal.jsonl", "abort.md", "announcement.txt"}
        and not re.fullmatch(r"incident-\d+\.md", value)
    ]
    assert not outside
    assert not re.search(r"https?://|url\(|@import|<script", html)


def test_html_is_well_formed_and_ids_are_unique(plan, sample):
    html = render_report(plan, typed(sample))
    assert html.startswith("<!DOCTYPE html>\n<html")
    root = tree(html)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    targets = [a.get("href", "")[1:] for a in root.iter("a") if a.get("href", "").startswith("#")]
    assert targets
    assert set(targets) <= set(ids)


def test_only_elements_that_html_knows_as_empty_close_themselves():
    """`<meta/>` is fine in HTML; `<td/>` is well-formed XML, but a browser would leave it open."""
    source = TEMPLATE.read_text(encoding="utf-8")
    assert set(re.findall(r"<(\w+)[^<>]*/>", source)) <= {"meta", "br", "hr", "rect", "line"}


@pytest.mark.parametrize(
    "put",
    [
        lambda events: events[0].update(by=HOSTILE),
        lambda events: events[2].update(question=HOSTILE),
        lambda events: events[2].update(evidence=[HOSTILE]),
        lambda events: events[3].update(by=HOSTILE, source=HOSTILE),
        lambda events: events[4]["facts"].update(evidence=[HOSTILE]),
        lambda events: events[4]["facts"].update({HOSTILE: {HOSTILE: [HOSTILE]}, "rows": [{HOSTILE: HOSTILE}]}),
        lambda events: events[4]["facts"].update(applied=[{"patch": HOSTILE, "seconds": 1.5}]),
        lambda events: events[6].update(message=HOSTILE),
        lambda events: events[7].update(message=HOSTILE),
        lambda events: told(events, "verdict", reason=HOSTILE),
        lambda events: told(events, "stop_finished", survivors=[HOSTILE], unproven=[HOSTILE]),
        lambda events: told(events, "verified", summary=HOSTILE, hosts={HOSTILE: {"passed": 0, "failed": [HOSTILE]}}),
        lambda events: told(events, "problem_told", source=HOSTILE, by=HOSTILE),
        lambda events: told(events, "next_attempt", plan=HOSTILE),
        lambda events: told(events, "next_attempt", considered=[WINDOW_HOSTILE]),
        lambda events: events.append(
            {
                "at": "2026-12-09T08:43:00+00:00",
                "event": "incident_opened",
                "number": 1,
                "file": HOSTILE,
                "problem": HOSTILE,
            }
        ),
    ],
    ids=[
        *("opener", "question", "gate-evidence", "answerer", "evidence", "facts", "patch", "error", "end", "verdict"),
        *("stop", "hosts", "problem", "next-plan", "window", "incident"),
    ],
)
def test_hostile_text_is_shown_and_nothing_more(plan, entries, put):
    events = [dict(entry) for entry in entries("stopped")]
    before = shape(render_report(plan, typed(events)))
    put(events)
    html = render_report(plan, typed(events))
    assert "<script>alert('x')" in text_of(html)
    assert "{{ 7*7 }} red" in text_of(html)
    assert not [name for name in shape(html) if name == "script"]
    assert set(shape(html)) <= {*before, "table", "thead", "tbody", "tr", "th", "td"}


def told(events: list[dict[str, object]], event: str, **fields: object) -> None:
    next(entry for entry in events if entry["event"] == event).update(fields)


def shape(html: str) -> list[str]:
    """The elements as a browser's forgiving parser finds them."""
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):  # noqa: ARG002  the parser's own signature
            found.append(tag)

    Tags(convert_charrefs=True).feed(html)
    return found


def test_hostile_names_of_the_plan_are_escaped(plan, entries):
    people = {**plan["people"], "losa": HOSTILE}
    process = [{**stage, "title": HOSTILE} for stage in plan["process"]]
    html = render_report({**plan, "people": people, "process": process}, typed(entries("good")))
    assert "script" not in shape(html)
    assert "<script>alert('x')" in text_of(html)


def test_bars_stand_in_the_order_of_the_stages(plan, sample):
    drawn = tree(render_report(plan, typed(sample))).find(".//{*}svg")
    assert drawn is not None
    bars = [(bar.get("class", "").split(), percent(bar, "x"), percent(bar, "width")) for bar in drawn.iter("rect")]
    planned = [(left, width) for kinds, left, width in bars if "planned" in kinds]
    assert len(planned) == sum(bool(stage.get("window")) for stage in plan["process"])
    assert all(first + width <= later + 0.01 for (first, width), (later, _) in pairwise(planned))
    done = [left for kinds, left, _ in bars if "done" in kinds]
    assert bool(done) == any(entry.get("stage") == "pause" for entry in sample)
    assert done == sorted(done)
    assert all(left + width <= 100.001 for _, left, width in bars)


def percent(bar: ElementTree.Element, name: str) -> float:
    value = bar.get(name, "")
    assert value.endswith("%")
    return float(value[:-1])


def test_the_chain_of_hashes_is_checked(plan, entries):
    good = entries("good")
    assert f"Its {len(good)} lines follow from one another" in text_of(render_report(plan, typed(good)))
    good[5] = {**good[5], "attempt": 7}
    assert "The journal’s chain of hashes breaks at line 7" in text_of(render_report(plan, typed(good)))


def test_a_journal_that_could_not_be_read_further_is_said(plan, entries):
    html = render_report(plan, typed(entries("good")[:4]), broken_at=5)
    assert "The journal’s chain of hashes breaks at line 5" in text_of(html)


def test_a_journal_without_entries_gives_a_report(plan):
    assert "The rollout is not finished." in text_of(render_report(plan, []))


def test_a_crash_in_a_stage_gives_a_report(plan, entries):
    begun = {"at": "2026-12-09T08:00:00+00:00", "event": "stage_started", "stage": "outage", "attempt": 1}
    text = text_of(render_report(plan, typed(entries(None, begun))))
    assert "outage running" in text


def test_a_rehearsal_says_so(plan, entries):
    moved = {"at": "2026-12-07T07:59:00+00:00", "event": "clock_set", "offset_seconds": 86400.0, "reason": "--at"}
    assert "A rehearsal." in text_of(render_report(plan, typed(entries(None, moved))))
    assert "A rehearsal." not in text_of(render_report(plan, typed(entries("good"))))


@pytest.mark.parametrize(
    ("backup", "says"),
    [
        ("2026-12-11T08:00:00Z", "47.3 h after the abort; 24 h of notice are wanted (R21): enough."),
        ("2026-12-10T08:42:44.1Z", "24.0 h after the abort; 24 h of notice are wanted (R21): enough."),
        ("2026-12-10T08:42:44.0Z", "24.0 h after the abort; 24 h of notice are wanted (R21): too short, plan another."),
    ],
)
def test_notice_of_the_next_attempt(plan, entries, backup, says):
    window = {"start": backup, "minutes": 90}
    assert says in text_of(render_report({**plan, "backup_window": window}, typed(entries("aborted"))))


def test_every_verdict_stands_with_its_end_and_its_last_safe_abort(plan, entries):
    text = text_of(render_report(plan, typed(entries("stopped"))))
    assert "08:10:24 outage runs 1.00 s late 08:25 09:23 patch-2208-56-0.sql has run 10:20" in text
    assert "08:40:24 outage runs 30:01 min abort 08:55 09:23 patch-2208-56-0.sql has run 40:20" in text


def test_what_was_stopped_is_proven(plan, entries):
    text = text_of(render_report(plan, typed(entries("stopped"))))
    assert "08:40:24 outage outage_stop 0.70 s rolled back nothing, proven" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"survivors": ["pid 7 psql on wildcherry"]}, "stopped pid 7 psql on wildcherry What was taken back"),
        ({"unproven": ["wildcherry"]}, "stopped wildcherry did not answer What was taken back"),
        ({"answer": "too_late"}, "too late What was taken back"),
    ],
)
def test_what_survived_a_stop_is_said(plan, entries, change, says):
    stop = {"answer": "stopped", **change}
    events = [{**entry, **stop} if entry["event"] == "stop_finished" else entry for entry in entries("stopped")]
    assert says in text_of(render_report(plan, typed(events)))


def test_a_stop_without_an_end_on_record_is_not_called_proven(plan, entries):
    events = [entry for entry in entries("stopped") if entry["event"] != "stop_finished"]
    text = text_of(render_report(plan, typed(events)))
    assert "no end on record" in text
    assert "proven" not in text


def test_every_host_stands_with_what_is_not_as_before(plan, entries):
    found = {"gac": {"passed": 11, "failed": ["test_x: cron is off"]}, "wildcherry": {"passed": 9, "failed": []}}
    bad = {"outcome": "failed", "summary": "not as expected: gac (20 tests passed)", "hosts": found}
    events = [{**entry, **bad} if entry["event"] == "verified" else entry for entry in entries("stopped")]
    text = text_of(render_report(plan, typed(events)))
    assert "Every host, as before? no" in text
    assert "gac 11 test_x: cron is off wildcherry 9 –" in text
    assert "Every host, as before? yes" in text_of(render_report(plan, typed(entries("stopped"))))


def test_source_estimate_and_the_windows_considered(plan, entries):
    text = text_of(render_report(plan, typed(entries("stopped"))))
    assert "Source: missing index on translationmessage; mended Thu 10 Dec 2026 16:00 UTC at best; takes a new" in text
    assert "Next attempt: Wed 16 Dec 2026 08:00 UTC, ../2026-12.2/plan.yml" in text
    assert "Wed 16 Dec 2026 08:00 window of the schedule yes: 6 d 23 h of notice" in text
    assert "h of notice are wanted" not in text, "that is for journals that know no next attempt"


def test_what_nobody_told_is_asked_for(plan, entries):
    nothing = {"source": None, "mended_at": None, "new_pin": None, "by": "nobody"}
    events = [{**e, **nothing} if e["event"] == "problem_told" else e for e in entries("stopped")]
    text = text_of(render_report(plan, typed([e for e in events if e["event"] != "next_attempt"])))
    assert "Nobody has said yet what the source was (R20)." in text
    assert './runbook.py next --source "…" --mended-at ISO' in text


def test_a_stage_that_stands_from_an_earlier_rollout(plan):
    carried = {"at": "2026-12-09T09:00:00+00:00", "event": "stage_carried", "stage": "merge", "rollout": "2026-11"}
    history = History(plan, typed(chained([{**carried, "facts": {"evidence": ["devel 10"]}}])))
    (merge,) = [stage for stage in history.stages if stage.name == "merge"]
    assert (merge.state, merge.carried) == ("done", "2026-11")
    text = text_of(render_report(plan, typed(history.entries)))
    assert "in rollout 2026-11" in text
    assert "Not done: select, qastaging, pause" in text


@pytest.mark.parametrize(
    ("name", "sentence", "detail"),
    [
        ("good", "The rollout went through.", "Users were out for 3:20 min of 90 minutes."),
        ("aborted", "The rollout was aborted.", "Users are in: everything is back since 08:42:44 UTC, after 42:44 min"),
        ("stopped", "The rollout was aborted.", "Users are in: everything is back since 08:40:30 UTC, after 40:30 min"),
        (None, "The rollout is not finished.", "Next: outage, Lock users out, patch the database, let them in."),
    ],
)
def test_headline(plan, entries, name, sentence, detail):
    said = headline(History(plan, typed(entries(name))))
    assert said.sentence == sentence
    assert said.detail.startswith(detail)


@pytest.mark.parametrize(
    ("exit_code", "says"),
    [(6, "Not everything could be undone."), (7, "Users may still be locked out."), (4, "Users are in")],
)
def test_headline_says_what_an_abort_left_behind(plan, entries, exit_code, says):
    events = entries("aborted")
    events[-1] = {**events[-1], "exit_code": exit_code}
    assert says in headline(History(plan, typed(events))).detail


def test_headline_of_a_no(plan, entries):
    asked, answered = entries()[-2:]
    events = [*entries()[:-1], {**answered, "answer": "no"}, {**NO_OUTAGE, "message": "E-gate-no"}]
    said = headline(History(plan, typed(events)))
    assert said.sentence == "The rollout was stopped."
    assert said.detail == f"“{asked['question']}” was answered no by mia."


def test_headline_of_a_failure_after_the_commit(plan, entries):
    events = [event for event in entries("good") if event.get("stage") != "done"][:-1]
    events[-1] = {**events[-1], "outcome": "failed", "message": "E-smoke-css  A stylesheet did not load."}
    closed = {"at": "2026-12-09T08:04:05+00:00", "event": "rollout_closed", "outcome": "failed", "exit_code": 1}
    said = headline(History(plan, typed([*events, {**closed, "message": events[-1]["message"]}])))
    assert said.sentence == "The rollout failed in smoke."
    assert said.detail == "The commit is made: the new schema is kept. A stylesheet did not load."


def test_patches_are_compared_with_their_prediction(plan, entries):
    (outage,) = [stage for stage in History(plan, typed(entries("good"))).stages if stage.name == "outage"]
    rows = {row.step: (row.predicted, row.measured, row.over) for row in comparisons(outage)}
    assert rows["patch-2208-30-0.sql"] == (4.2, 3.9, False)
    assert rows["patch-2208-56-0.sql"] == (20.4, 31.7, True)
    assert rows["pad"] == (600, None, False)


def test_steps_of_a_stage_that_was_stopped(plan, entries):
    (outage,) = [stage for stage in History(plan, typed(entries("stopped"))).stages if stage.name == "outage"]
    rows = {row.step: (row.measured, row.over, row.cut_off) for row in comparisons(outage)}
    assert rows["patch-2208-30-0.sql"] == (pytest.approx(3.9), False, False)
    assert rows["patch-2208-56-0.sql"] == (pytest.approx(2421.3), True, True), "from its begin until the stage ended"
    assert rows["patch-2208-57-0.sql"] == (None, False, False)
    text = text_of(render_report(plan, typed(entries("stopped"))))
    assert "patch-2208-56-0.sql20.4 s40:21 min, cut off" in text


def test_patches_that_were_not_reached_are_compared_too(plan, entries):
    (outage,) = [stage for stage in History(plan, typed(entries("aborted"))).stages if stage.name == "outage"]
    assert [row.step for row in comparisons(outage) if row.measured is None and row.step != "pad"] == [
        "patch-2208-56-0.sql",
        "patch-2208-57-0.sql",
        "patch-2208-59-0.sql",
    ]


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0.0049, "0.00 s"),
        (0.495, "0.49 s"),
        (9.994, "9.99 s"),
        (9.995, "10.0 s"),
        (59.94, "59.9 s"),
        (59.95, "1:00 min"),
        (245, "4:05 min"),
        (3599.4, "59:59 min"),
        (3599.6, "1:00:00 h"),
        (86399, "23:59:59 h"),
        (183600, "2 d 03:00 h"),
        (-61, "−1:01 min"),
    ],
)
def test_length(seconds, says):
    assert length(timedelta(seconds=seconds)) == length(seconds) == says


def test_length_of_nothing():
    assert length(None) == "–"


@pytest.mark.parametrize(
    ("message", "says"),
    [("E-late-abort  It is late.\n  More.", "It is late."), ("No code here.", "No code here."), ("", "")],
)
def test_first_sentence(message, says):
    assert first_sentence(message) == says
