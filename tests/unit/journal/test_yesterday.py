"""Journals that the code of before the typed events has written: they read, fold and are written the same.

Beside each journal stands what that code made of it, with the plan of `plan.json`, whose process has yesterday's words.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_core.journal import aborts, brackets, events, incidents, outbox, questions, stages
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.merge import pins
from rollout.journal.file import Journal
from rollout.views import exceptions, happenings, overview

YESTERDAY = Path(__file__).parent / "yesterday"
PLAN = json.loads((YESTERDAY / "plan.json").read_text(encoding="utf-8"))
NAMES = sorted(path.stem for path in YESTERDAY.glob("*.jsonl"))
WORDS = {"ends_with": "until", "end_early": "release"}  # what a bracket's fields were called


@pytest.fixture(params=NAMES)
def journal(request: pytest.FixtureRequest) -> Journal:
    return Journal(YESTERDAY / f"{request.param}.jsonl")


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def folds(entries: list[Entry]) -> dict[str, Any]:
    """What follows from the entries, under the names that the files have for it."""
    now = entries[-1].at
    of_an_incident = ("number", "file", "summary", "details", "seen", "opened", "by", "state", "due", "waived")
    announced = [dataclasses.replace(each, incident=None) for each in outbox.announcements(entries)]
    return {
        "records": plain(stages.actual(entries)),
        "estimates": plain(stages.estimates(entries)),
        "switched_on": [
            {WORDS.get(name, name): value for name, value in plain(each).items()}
            for each in brackets.switched_on(PLAN["process"], entries)
        ],
        "announcements": [{k: v for k, v in plain(each).items() if k != "incident"} for each in announced],
        "missed": plain(outbox.missed(PLAN, entries, now)),
        "settled": pins.settled(entries),
        "fields": sorted(pins.fields(entries)),
        "incidents": [{k: plain(getattr(i, k)) for k in of_an_incident} for i in incidents.incidents(entries)],
        "unanswered": [entry.seq for entry, _ in questions.unanswered(entries)],
        "exceptions": plain(exceptions.exceptions(entries)),
        "happenings": plain(list(happenings.happenings(entries))),
        "stop_ladders": plain(aborts.stop_ladders(entries)),
        "verification": plain(aborts.verification(entries)),
        "problem": plain(aborts.problem(entries)),
        "next_attempt": plain(aborts.next_attempt(entries)),
        "why": aborts.why(entries),
        "aborted_at": plain(aborts.aborted_at(entries)),
        "status": json.loads(json.dumps(overview.as_json(overview.overview(PLAN, entries, now)), default=plain)),
    }


def test_what_follows_is_what_followed(journal: Journal) -> None:
    then = json.loads(journal.path.with_suffix(".json").read_text(encoding="utf-8"))
    now = folds(journal.entries)
    assert now.keys() == then.keys()
    for name, found in now.items():
        assert found == then[name], name


def test_what_is_read_is_written_the_same(tmp_path: Path) -> None:
    """To the byte: names, order of the keys, chain of hashes. (The other journals lack fields: they were samples.)"""
    journal = Journal(YESTERDAY / "all_kinds.jsonl")
    moments = iter([entry.at for entry in journal.entries])
    again = Journal(tmp_path / "journal.jsonl", lambda: next(moments))
    for entry in journal.entries:
        again.write(entry.event)
    assert again.path.read_bytes() == journal.path.read_bytes()


def test_every_event_is_among_them() -> None:
    found = {entry.event.event_name for entry in Journal(YESTERDAY / "all_kinds.jsonl").entries}
    assert found == set(events.EVENTS)
