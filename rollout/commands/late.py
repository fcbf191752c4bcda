"""`./runbook.py late`: the verdict on lateness, a function of plan, journal and a given moment alone (R19).

Both files may be written by hand (docs/architecture.md): only what a verdict needs is checked. The fields of a plan and
of a journal entry are those of their classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, fields
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator, ValidationError, from_json
from pydantic_core import core_schema as schema

from plugins.module_utils.rollout_core.journal import stages as fold
from plugins.module_utils.rollout_core.journal import text as journal
from plugins.module_utils.rollout_core.journal.entries import Entry, entry
from plugins.module_utils.rollout_core.journal.events import Event
from plugins.module_utils.rollout_core.journal.events.base import key, needed
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout import documents
from rollout.documents import Finding
from rollout.outcomes import BadInputError
from rollout.plan.model import Plan
from rollout.plan.process import Expects, Stage, Undo

Fields = Mapping[str, CoreSchema]

ABORTABLE = ["yes", "no", "until_commit"]
A_YEAR = 366 * 24 * 3600  # seconds
ABOVE_0 = schema.float_schema(gt=0, le=A_YEAR)
FROM_0 = schema.float_schema(ge=0, le=A_YEAR)
TOLD_AT_MOST = 10  # bad lines of a journal


def late(plan_file: Path, journal_file: Path, now: datetime) -> dict[str, Any]:
    """Return the verdict at `now`, as `late --json` prints it. Raises BadInputError, which names file and line."""
    plan = read_plan(plan_file)
    entries = fold.until(read_journal(journal_file, [stage["stage"] for stage in plan["process"]]), now)
    return judge(plan, entries, now)


def judge(plan: timeline.Plan, entries: Sequence[Entry], now: datetime) -> dict[str, Any]:
    """Return the verdict on what has happened by `now`; instants are ISO 8601 in UTC, None if there is none."""
    limit = timedelta(minutes=plan["policy"]["abort_after_minutes"])
    layout, window_end = timeline.planned(plan, fold.estimates(entries)), timeline.window(plan)[1]
    view = lateness.outlook(layout, fold.actual(entries), window_end, now)
    return {
        "verdict": lateness.verdict(view, limit).value,
        "off_track_minutes": round(view.off_track / timedelta(minutes=1), 6),
        "projected_end": view.projected_end.isoformat(),
        "planned_end": view.planned_end.isoformat(),
        "last_safe_abort": view.last_safe_abort.isoformat() if view.last_safe_abort else None,
        "stage": view.stage,
        "step": view.step,
        "reason": lateness.reason(view, limit),
    }


def line(found: Mapping[str, Any]) -> str:
    """Return the verdict as a line for a person."""
    return f"{found['verdict'].replace('_', ' ')} · {found['reason']}"


# -- the plan ---------------------------------------------------------------------------------------------------------


def read_plan(path: Path) -> dict[str, Any]:
    """Return what a plan file has under `rollout`. Raises BadInputError."""
    plan: dict[str, Any] = documents.checked(path, SchemaValidator(_plan()).validate_python)["rollout"]
    if found := list(_process_findings(plan["process"])):
        raise documents.refused(path, found)
    return plan


def _plan() -> CoreSchema:
    """Return the schema of the fields that a verdict needs of a plan. Other fields may be there, unchecked."""
    minutes, text = ABOVE_0, schema.str_schema(min_length=1)
    stage = _fields(
        {
            "stage": text,
            "due": schema.no_info_after_validator_function(_duration, schema.str_schema()),
            "expects": _fields({}, {"minutes": minutes, "steps": _steps()}, _names(Expects)),
        },
        {
            "window": schema.bool_schema(),
            "abortable": schema.no_info_plain_validator_function(_abortable),
            "undo": _fields({"minutes": minutes}, {}, _names(Undo)),
        },
        _names(Stage),
    )
    plan = {
        "window": _fields({"start": _instant(), "minutes": minutes}, {}, []),
        "policy": _fields({"abort_after_minutes": minutes}),
        "process": schema.list_schema(stage, min_length=1),
    }
    return _fields({"rollout": _fields(plan, {}, _names(Plan))}, {}, [])


def _names(model: type[BaseModel]) -> list[str]:
    """Return the names of the model's fields as a file has them, former names included."""
    return [*(each.alias or name for name, each in model.model_fields.items()), *documents.RENAMED]


def _steps() -> CoreSchema:
    return schema.list_schema(_fields({"step": schema.str_schema(), "seconds": FROM_0}))


def _process_findings(process: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    if not any(stage.get("window") for stage in process):
        yield ("rollout", "process"), "no stage is in the window: expected at least one with `window: true`"
    names = [stage["stage"] for stage in process]
    for number, stage in enumerate(process):
        where = ("rollout", "process", number)
        if stage["stage"] in names[:number]:
            yield (*where, "stage"), f"{stage['stage']} is there twice"
        if not (stage["expects"].get("minutes") or stage["expects"].get("steps")):
            yield (*where, "expects", "minutes"), "is missing, and so are steps"


# -- the journal ------------------------------------------------------------------------------------------------------


def read_journal(path: Path, stages: Sequence[str]) -> list[Entry]:
    """Return the entries of a journal, the runbook's or one written by hand. Raises BadInputError.

    In a journal written by hand, no line has `prev`. A last line that was cut off while the runbook wrote it is left
    out.
    """
    content = documents.read_text(path)
    entries: list[Entry] = []
    bad: list[str] = []
    events = {
        kind.event_name: SchemaValidator(_event(kind, looked_at, stages)) for kind, looked_at in fold.JUDGED.items()
    }
    other = SchemaValidator(_fields({"at": _instant(), "event": _other_event(list(events))}))
    for number, told in _lines(path, content):
        event = told.get("event") if isinstance(told, dict) else None
        try:
            checked = events.get(str(event), other).validate_python(told)
            if event in events:
                entries.append(entry({**told, **checked}, number))
        except ValidationError as error:
            found = documents.findings(error)
            bad += [f"{path}:{number}: {'.'.join(map(str, where)) or 'entry'}: {what}" for where, what in found]
        except ValueError as error:
            bad.append(f"{path}:{number}: {error}")
    if bad:
        raise _refused(path, bad)
    return entries


def _lines(path: Path, content: str) -> Iterator[tuple[int, Any]]:
    """Yield each line's number, from 1, and its content. Raises BadInputError for a line that no journal has."""
    if '"prev"' in content.lstrip().partition("\n")[0]:
        reading = journal.read(content, from_json)
        if reading.broken_at is not None:
            what = "its `prev` is not the hash of the line before it, as in a journal that the runbook wrote"
            raise _refused(path, [f"{path}:{reading.broken_at}: {what}; by hand, no line has one"])
        yield from enumerate(reading.entries, start=1)
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = from_json(line)
        except ValueError as error:
            raise _refused(path, [f"{path}:{number}: expected one JSON object, found {line.strip()[:60]!r}"]) from error
        if isinstance(entry, dict) and "prev" in entry:
            raise _refused(path, [f"{path}:{number}: has `prev`, which the first line has not: all lines or none"])
        yield number, entry


def _event(kind: type[Event], looked_at: Sequence[str], stages: Sequence[str]) -> CoreSchema:
    """Return the schema of an event that counts for a verdict: the fields that it must have, and those it may have."""
    needs: dict[str, CoreSchema] = {"at": _instant(), "event": schema.str_schema()}
    may_have: dict[str, CoreSchema] = {}
    for each in fields(kind):  # type: ignore[arg-type]  # every event is a dataclass
        if key(each) in looked_at:
            (needs if needed(each) else may_have)[key(each)] = _field(each, stages)
    return _fields(needs, may_have)


def _field(each: Field[Any], stages: Sequence[str]) -> CoreSchema:
    """Return the schema of a field: `stage` is one of the plan's, others are as their class says."""
    stage = schema.literal_schema(list(stages))
    kinds: dict[str, CoreSchema] = {
        "str": schema.str_schema(),
        "str | None": schema.str_schema(),
        "int | None": schema.nullable_schema(schema.int_schema(ge=0)),
        "bool": schema.bool_schema(),
        "datetime | None": _instant(),
        "Sequence[str]": schema.list_schema(schema.str_schema()),
        "Mapping[str, Any]": _fields(
            {}, {"estimates": schema.dict_schema(stage, _steps()), "irreversible": schema.bool_schema()}
        ),
    }
    if key(each) == "stage":
        return stage
    words = each.metadata.get("one_of")
    return schema.literal_schema(list(words)) if words else kinds[str(each.type)]


def _other_event(judged: Sequence[str]) -> CoreSchema:
    """Return the schema of any other event; a name that is nearly that of a judged one is refused as a misspelling."""

    @lru_cache
    def check(event: str) -> str:
        if meant := get_close_matches(event, judged, n=1, cutoff=0.85):
            raise ValueError(f"is no event: did you mean {meant[0]}?")
        return event

    return schema.no_info_after_validator_function(check, schema.str_schema())


def _refused(path: Path, bad: Sequence[str]) -> BadInputError:
    told = [*bad[:TOLD_AT_MOST], *([f"… and {len(bad) - TOLD_AT_MOST} more"] if len(bad) > TOLD_AT_MOST else [])]
    lines = "\n".join(f"  {line}" for line in told)
    return BadInputError(f"E-bad-input  {path} cannot be used; nothing was touched.\n{lines}")


# -- fields -----------------------------------------------------------------------------------------------------------


def _fields(needs: Fields, optional: Fields | None = None, others: Iterable[str] | None = None) -> CoreSchema:
    """Return the schema of a mapping with these fields. `others` are further names that are allowed; None: any."""
    fields = {name: schema.typed_dict_field(each) for name, each in needs.items()}
    for name, each in (optional or {}).items():
        fields[name] = schema.typed_dict_field(each, required=False)
    for name in others or ():
        fields.setdefault(name, schema.typed_dict_field(schema.any_schema(), required=False))
    return schema.typed_dict_schema(fields, extra_behavior="ignore" if others is None else "forbid")


def _instant() -> CoreSchema:
    return schema.no_info_plain_validator_function(timeline.parse_instant)


def _duration(text: str) -> str:
    timeline.parse_duration(text)
    return text


def _abortable(value: Any) -> str:
    """Return the word for `abortable`: YAML reads a bare yes or no as true or false. Raises ValueError."""
    word = timeline.yes_or_no(value)
    if word not in ABORTABLE:
        raise ValueError(f"expected {', '.join(ABORTABLE)}")
    return word
