"""The report of one rollout as a single HTML file: what was planned, what happened, who said yes, what is left."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import jinja2

from plugins.module_utils.rollout_core.journal.deeds import StageAttempt
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.incidents import first_sentence
from plugins.module_utils.rollout_core.time import timeline
from rollout.views import brackets
from rollout.views.abort_pack import users
from rollout.views.announcements import announced, waivers
from rollout.views.chart import chart, close_up
from rollout.views.exceptions import exceptions
from rollout.views.history import History, StageHistory
from rollout.views.incidents import announced as incident_announced
from rollout.views.text import clean, length, value_text

EXIT_CODES = {6: "Not everything could be undone.", 7: "Users may still be locked out."}


@dataclass(frozen=True)
class Headline:
    """The outcome as a sentence, and a second sentence with the detail."""

    sentence: str
    detail: str


@dataclass(frozen=True)
class Comparison:
    """One step of a stage: seconds predicted (None: not foreseen) against seconds measured (None: not reached).

    `cut_off`: its stage was stopped or failed, after the step had run for the seconds measured.
    """

    step: str
    predicted: float | None
    measured: float | None
    cut_off: bool = False

    @property
    def over(self) -> bool:
        """Return True if the step took longer than predicted."""
        return self.predicted is not None and self.measured is not None and self.measured > self.predicted


def render_report(plan: Mapping[str, Any], entries: Sequence[Entry], *, broken_at: int | None = None) -> str:
    """Return the report as HTML that needs no other file.

    `plan` is the plain data under `rollout` of the plan file, `entries` the journal's (docs/architecture.md),
    `broken_at` the first line of the journal that does not follow from the line before it, as rollout_core.journal
    finds it.
    """
    history = History(plan, entries, broken_at)
    now = entries[-1].at if entries else None
    asked_from = history.aborted_at or now
    backup = timeline.parse_instant(plan["backup_window"]["start"])
    template = _environment().get_template("report.html.j2")
    return template.render(
        history=history,
        headline=headline(history),
        chart=chart(history),
        close_up=close_up(history),
        outside=[stage for stage in history.stages if not stage.plan.window],
        left=[stage for stage in history.stages if stage.state != "done"],
        asked=sorted(((s, gate) for s in history.stages for gate in s.gates), key=lambda pair: pair[1].asked),
        now=now,
        backup=backup,
        announced=announced(entries),
        waivers=waivers(entries),
        exceptions=exceptions(entries),
        notice_hours=(backup - asked_from) / timedelta(hours=1) if asked_from else None,
    )


def headline(history: History) -> Headline:
    """Return how the rollout ended, for someone who reads nothing else."""
    closed, stopped = history.closed, _stopped(history)
    window_minutes = history.plan["window"]["minutes"]
    if history.outcome == "done":
        end, planned = history.actual_end, history.planned_end
        when = f"The window’s work ended {end:%H:%M:%S} UTC, {_early_or_late(end, planned)}." if end and planned else ""
        out = f"Users were out for {length(history.downtime)} of {window_minutes} minutes. " if history.downtime else ""
        return Headline("The rollout went through.", out + when)
    if closed is None:
        left = [stage for stage in history.stages if stage.state != "done"]
        return Headline("The rollout is not finished.", f"Next: {left[0].name}, {left[0].title}." if left else "")
    detail = EXIT_CODES.get(closed.exit_code or 0, "")
    if history.outcome == "refused":
        no = next((gate for stage in history.stages for gate in stage.gates if gate.answer == "no"), None)
        said = f"“{no.question}” was answered no by {no.by}." if no else "A gate was answered no."
        return Headline("The rollout was stopped.", f"{said} {detail}".strip())
    sentences = {
        "aborted": "The rollout was aborted.",
        "backed_out": "Everything was backed out.",
        "failed": "The rollout failed.",
        "dropped": "The plan was dropped before anything had begun.",
    }
    if history.outcome == "backed_out":
        refused = [gate for stage in history.stages for gate in stage.gates if gate.answer == "no"]
        detail = " ".join(f"“{gate.question}” was answered no by {gate.by}." for gate in refused)
    sentence = sentences.get(history.outcome, f"The rollout ended: {history.outcome}.")
    if history.outcome == "failed" and stopped:
        sentence = f"The rollout failed in {stopped.name}."
        detail = detail or first_sentence(closed.message)
    if history.outcome == "aborted" and not detail:
        detail = users(history)
    if history.irreversible:
        detail = f"The commit is made: the new schema is kept. {detail}".strip()
    return Headline(sentence, detail)


def _stopped(history: History) -> StageHistory | None:
    ended_badly = [stage for stage in history.stages if stage.last and stage.last.outcome not in {"ok", None}]
    return max(ended_badly, key=lambda stage: stage.attempts[-1].started, default=None)


def _early_or_late(end: datetime, planned: datetime) -> str:
    if abs(end - planned) < timedelta(seconds=1):
        return "as planned"
    return f"{length(abs(end - planned))} {'later' if end > planned else 'earlier'} than planned ({planned:%H:%M:%S})"


def comparisons(stage: StageHistory) -> list[Comparison]:
    """Return the predicted steps, against what the stage measured of them (R9)."""
    told = {step.step: step for step in (stage.last.steps if stage.last else ()) if step.duration is not None}
    measured = {name: step.duration.total_seconds() for name, step in told.items() if step.duration is not None}
    measured |= {name: row["seconds"] for row in _timed_rows(stage.last) if (name := row_name(row))}
    predicted = {step.name: step.seconds for step in stage.plan.steps}
    if not measured and not (predicted and stage.last):
        return []
    return [
        Comparison(step, predicted.get(step), measured.get(step), cut_off=step in told and not told[step].whole)
        for step in {**predicted, **measured}
    ]


def sum_of(rows: Sequence[Comparison], side: Literal["predicted", "measured"]) -> float | None:
    """Return one side's seconds of all steps; None if a step did not end (except R9's pad, which never does)."""
    if any((row.measured is None or row.cut_off) and row.step != "pad" for row in rows) and side == "measured":
        return None
    return sum(getattr(row, side) or 0.0 for row in rows)


def _timed_rows(attempt: StageAttempt | None) -> Iterator[Mapping[str, Any]]:
    for value in (attempt.other_facts if attempt else {}).values():
        if is_table(value) and all(isinstance(row.get("seconds"), int | float) for row in value):
            yield from value


def row_name(row: Mapping[str, Any]) -> str | None:
    """Return what a row with seconds is about: its first text."""
    return next((value for value in row.values() if isinstance(value, str)), None)


def plain_facts(attempt: StageAttempt) -> dict[str, Any]:
    """Return the facts that are not shown as a table of seconds already."""
    timed = [value for value in attempt.other_facts.values() if is_table(value) and "seconds" in value[0]]
    return {key: value for key, value in attempt.other_facts.items() if value not in timed}


def is_table(value: Any) -> bool:
    """Return True for a list of mappings, which is shown as a table."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        length=length,
        length_of=len,
        sum_of=sum_of,
        first_sentence=first_sentence,
        bracket_sentence=brackets.sentence,
        bracket_ends=brackets.ends,
        incident_announced=incident_announced,
        value_text=value_text,
        comparisons=comparisons,
        plain_facts=plain_facts,
    )
    environment.tests["table"] = is_table
    return environment
