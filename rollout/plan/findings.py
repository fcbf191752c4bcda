"""Finds problems of a plan that one field alone does not show: it takes two fields, the time, or measured durations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.stages import actual
from plugins.module_utils.rollout_core.time import timeline
from rollout.documents import Finding
from rollout.plan import fit
from rollout.plan.model import Plan


def findings(plan: Plan, now: datetime, entries: Sequence[Entry] = ()) -> list[Finding]:
    """Return the problems of the plan; none once the window has begun, which may be finished however long it takes."""
    records = actual(entries)
    if any(stage.window and stage.stage in records and not records[stage.stage].undone for stage in plan.process):
        return []
    return [*_window_findings(plan, now), *_process_findings(plan, entries)]


def _window_findings(plan: Plan, now: datetime) -> Iterator[Finding]:
    window, backup, always = plan.window, plan.backup_window, plan.policy.window_minutes
    if window.end <= now:
        past = f"the window is past: it ended {window.end:%F %H:%M} UTC, now is {now:%F %H:%M}"
        yield ("rollout", "window", "start"), past
    if window.minutes != always:
        yield ("rollout", "window", "minutes"), f"a window is always {always} minutes (R2), found {window.minutes}"
    if backup.start < window.end:
        yield ("rollout", "backup_window", "start"), "the backup window must come after the window (R1)"


def _process_findings(plan: Plan, entries: Sequence[Entry]) -> Iterator[Finding]:
    if not any(stage.window for stage in plan.process):
        yield ("rollout", "process"), "no stage is in the window: expected at least one with `window: true`"
    elif overrun := fit.overrun(plan.as_vars(), entries):
        yield ("rollout", "process"), overrun
    for number, stage in enumerate(plan.process):
        if stage.begins_by and timeline.parse_duration(stage.begins_by) < timeline.parse_duration(stage.due):
            what = f"{stage.stage} must begin by {stage.begins_by}, before it is due ({stage.due})"
            yield ("rollout", "process", number, "begins_by"), what
        yield from _announcement_findings(plan, number)
        yield from _bracket_findings(plan, number)
    names = [name for stage in plan.process for name in (stage.stage, *(f"gate {g.gate}" for g in stage.all_gates))]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ("rollout", "process"), f"{name} is there twice"


def _announcement_findings(plan: Plan, number: int) -> Iterator[Finding]:
    """Yield a finding if an announcement is due later than it must be out (R7)."""
    stage = plan.process[number]
    due = timeline.parse_duration(stage.due)
    if stage.announces and stage.announces.by:
        by = stage.announces.by
        deadline = -timedelta(hours=getattr(plan.policy, by))
        if due > deadline:
            what = f"{stage.stage} is due {stage.due}, and must be out {-deadline} before the window ({by})"
            yield ("rollout", "process", number, "due"), what


def _bracket_findings(plan: Plan, number: int) -> Iterator[Finding]:
    """Yield a finding if no later stage ends a bracket (R13), or a merge back-out can come inside the window (R17)."""
    stage = plan.process[number]
    where = ("rollout", "process", number)
    if stage.bracket is not None:
        later = {later.stage: later for later in plan.process[number + 1 :]}
        end = later.get(stage.bracket.ends_with)
        if end is None:
            what = f"what {stage.stage} switches on ends with {stage.bracket.ends_with}, which is no later stage"
            yield (*where, "bracket", "ends_with"), f"{what}; later are {', '.join(later) or 'none'}"
        elif end.carries != stage.carries:
            what = f"{stage.stage} and {end.stage}, which ends it, must both say `carries: true`, or neither"
            yield (*where, "carries" if stage.carries else "bracket"), what
    begun = any(earlier.window for earlier in plan.process[: number + 1])
    for position, gate in enumerate(stage.gates):
        if gate.on_no and begun:
            what = f"{stage.stage} comes too late to back everything out: the window has begun"
            yield (*where, "gates", position, "on_no"), what
