"""The plan of one rollout and the process it follows: models, and the checks that need more than one field.

A plan file is YAML with one top-level key, `rollout` (docs/architecture.md). Strings that reach a command line on a
host are held to a pattern here, before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    model_validator,
)

from plugins.module_utils.rollout_core.time import timeline
from rollout import announcing, documents
from rollout.documents import Finding
from rollout.plan import fit

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
SlugOrNone = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9_-]*)?$", max_length=64)]
Fact = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
PlanId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z][0-9a-z.-]*$", max_length=40)]
Rule = Annotated[str, StringConstraints(pattern=r"^R([1-9]|1[0-9]|2[0-6])$")]
Word = Annotated[str, StringConstraints(pattern=r"^[\w.@:+/=-]+$", max_length=200)]
# One line of text. Ansible gets the plan and fills in templates, which can run anything: no {{, {% or {#.
Line = Annotated[str, StringConstraints(pattern=r"^([^{\x00-\x1f\x7f]|\{[^{%#\x00-\x1f\x7f])+\{?$", max_length=400)]
PlaybookPath = Annotated[
    str, StringConstraints(pattern=r"^(playbooks|inventories)(/[\w-][\w.-]*)+\.yml$", max_length=200)
]
RelativePath = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$", max_length=200)]


def _duration(text: str) -> str:
    timeline.parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Instant = Annotated[AwareDatetime, AfterValidator(lambda instant: instant.astimezone(UTC))]


class Model(BaseModel):
    """Unknown fields are errors: a misspelt one must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A_YEAR = 366 * 24 * 60  # minutes: nothing here lasts longer, and timedelta has an end
Minutes = Annotated[float, Field(gt=0, le=A_YEAR)]
FromZero = Annotated[float, Field(ge=0, le=A_YEAR)]


class Window(Model):
    """When users may be locked out: `start` with its offset from UTC, and minutes (R2)."""

    start: Instant
    minutes: int = Field(gt=0, le=24 * 60)

    @property
    def end(self) -> datetime:
        """The last moment of the window."""
        return self.start + timedelta(minutes=self.minutes)


class DatabaseTime(Model):
    """Production's database time is staging's by `factor`, plus `plus_minutes` (R9)."""

    factor: float = Field(gt=0, le=1000)
    plus_minutes: FromZero


class Policy(Model):
    """The numbers of the process: an inventory's group_vars/all/policy.yml, frozen in the plan."""

    window_minutes: int = Field(gt=0, le=24 * 60)
    abort_after_minutes: Minutes
    ask_minutes_before_last_safe_abort: FromZero
    merge_hours_before: FromZero
    reminder_hours_before: FromZero
    first_announcement_hours_before: FromZero = 48  # plans of before there was one announce nothing
    next_attempt_hours_notice: FromZero
    replica_restore_hours: FromZero
    merge_lead_hours: FromZero
    pause_minutes_before: FromZero
    database_time: DatabaseTime
    decide_hours: FromZero = 2
    qa_days_before: FromZero = 7


class Step(Model):
    """One step of a stage and how many seconds it takes; `pad` is the minutes that R9 adds."""

    step: Line
    seconds: float = Field(ge=0, le=A_YEAR * 60)


class Expects(Model):
    """How long a stage takes, in minutes, and who says so.

    `guess`, `staging` (an earlier stage measures it, R9), or `history`: the median of `samples` earlier rollouts, the
    longest of which took `worst_minutes`. `steps`, if there are any, are what it is made of, in order.
    """

    minutes: Minutes
    source: Slug = Field(alias="from")
    worst_minutes: Minutes | None = None
    samples: int | None = Field(default=None, gt=0)
    steps: list[Step] | None = None


class BackOut(Model):
    """What a no leads to: a question of its own, and the playbook that takes everything back once it is a yes (R17)."""

    gate: Slug
    question: Line
    who: list[Slug] = Field(min_length=1)
    waits: Duration
    playbook: Slug


class Gate(Model):
    """A question to a person. `{name}` in it stands for a field of the plan or a fact of the stage.

    `each`: a fact, a list of dicts. The question is asked for every one of them, and filled in from it too.
    `named`: a yes is a named person's word, and stands until the window is moved (R3).
    """

    gate: Slug
    ask: Literal["before", "after"]
    question: Line
    who: list[Slug] = Field(min_length=1)
    waits: Duration
    each: Fact | None = None
    named: bool = False
    on_no: BackOut | None = None


class Undo(Model):
    """The playbook that takes a stage back, and at most how many minutes that takes: a guess, or history's worst."""

    playbook: Slug
    minutes: Minutes
    source: Slug = Field(alias="from", default="guess")
    samples: int | None = Field(default=None, gt=0)


class Holds(Model):
    """A state that outlasts its stage: `what` holds until stage `until` is done, or playbook `release` has ended it."""

    what: Line
    until: Slug
    release: Slug


def _message(name: str) -> str:
    if name not in announcing.MESSAGES:
        raise ValueError(f"no such message; there are {', '.join(announcing.MESSAGES)}")
    return name


def _number_of_policy(name: str) -> str:
    if name not in Policy.model_fields or not name.endswith(("_hours_before", "_hours_notice")):
        raise ValueError("expected the name of a policy's number of hours, such as reminder_hours_before")
    return name


class Announced(Model):
    """A message, and the policy's number of hours before the window `by` which it must be out (R7, R21)."""

    message: Annotated[str, AfterValidator(_message)]
    by: Annotated[str, AfterValidator(_number_of_policy)] | None = None


class Announces(Announced):
    """What a stage announces: `after_abort` in the next attempt, `when_moved` if people have heard of another time."""

    after_abort: Announced | None = None
    when_moved: Announced | None = None


class Stage(Model):
    """One entry of process.yml (docs/process.md). It runs its `playbook`, or announces; `playbook` then is empty."""

    stage: Slug
    title: Line
    rules: list[Rule]
    due: Duration
    playbook: SlugOrNone = ""
    announces: Announces | None = None
    expects: Expects
    begins_by: Duration | None = None
    window: bool = False
    carries: bool = False
    holds: Holds | None = None
    gates: list[Gate] = []
    stop: Slug = "stop"
    needs: Literal["playbook", "of"] | None = None
    any_day: bool = False
    abortable: Annotated[Literal["yes", "no", "until_commit"], BeforeValidator(timeline.yes_or_no)] = "yes"
    undo: Undo | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> Stage:
        if bool(self.playbook) == (self.announces is not None):
            raise ValueError("expected `playbook` or `announces`, and not both")
        if self.announces and (self.window or self.undo or self.holds or self.any_day):
            raise ValueError("what was announced is not undone: no `window`, `undo`, `holds` or `any_day`")
        return self

    def due_at(self, window: Window) -> datetime:
        """When it is due, if that is the window."""
        return window.start + timeline.parse_duration(self.due)

    @property
    def all_gates(self) -> list[Gate | BackOut]:
        """Its gates, each followed by the one that a no leads to."""
        return [each for gate in self.gates for each in (gate, gate.on_no) if each is not None]


class Cowboy(Model):
    """A patch applied by hand on production (R16). `diff` is relative to the production status file; no hosts: all."""

    id: Slug
    who: Line
    why: Line
    bug: int | None = Field(default=None, gt=0)
    diff: RelativePath
    tree: RelativePath | Literal["."] = "."
    hosts: list[Word] | None = Field(default=None, min_length=1)


class Pinned(Model):
    """What earlier stages settled. Written by the conductor, or by hand before the first run (`revision`)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, int | Word | list[Word]] = Field(init=False)

    revision: int | None = Field(default=None, gt=0)
    patches: list[Annotated[str, StringConstraints(pattern=r"^patch-\d{4}-\d{2}-\d\.sql$")]] | None = None


class Plan(Model):
    """One rollout. `follows`: the aborted ones whose next attempt it is; what they have left on is its own.

    `kind`: which of `processes/` it follows, none for the monthly deployment. `playbook`: the site's own, for which the
    gate is closed (R18). `of`: the rollout whose schema is backed out (R17).
    """

    id: PlanId
    kind: Slug | None = None
    playbook: PlaybookPath | None = None
    of: PlanId | None = None
    follows: list[PlanId] = []
    inventory: Line
    window: Window
    backup_window: Window
    people: dict[Slug, Line]
    policy: Policy
    process: list[Stage] = Field(min_length=1)
    cowboys: list[Cowboy] = []
    pinned: Pinned = Pinned()

    def as_vars(self) -> dict[str, Any]:
        """The plan as plain data: what stands in the file, what playbooks get, what rollout_core reads."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def gates(self) -> dict[str, Gate | BackOut]:
        """Every gate of the process by name."""
        return {gate.gate: gate for stage in self.process for gate in stage.all_gates}

    def playbooks(self) -> list[str]:
        """Every playbook that carrying it out may run, but those that stop a stage."""
        named = [stage.playbook for stage in self.process if stage.playbook]
        named += [stage.undo.playbook for stage in self.process if stage.undo]
        named += [stage.holds.release for stage in self.process if stage.holds]
        return [*named, *(gate.on_no.playbook for stage in self.process for gate in stage.gates if gate.on_no)]


class PlanFile(Model):
    """The file's one top-level key keeps plan fields apart from role variables in Ansible."""

    rollout: Plan


class PolicyFile(Model):
    """group_vars/all/policy.yml."""

    policy: Policy


class ProcessFile(RootModel[list[Stage]]):
    """process.yml: a list of stages."""


def load(path: Path) -> Plan:
    """Read and validate a plan file. Raises BadInputError."""
    return documents.load(path, PlanFile).rollout


def save(plan: Plan, path: Path) -> None:
    """Write the plan so that a reader sees the whole old file or the whole new one."""
    text = "# A rollout's plan (docs/architecture.md). `pinned` is written by the runbook as stages settle.\n"
    text += yaml.safe_dump({"rollout": plan.as_vars()}, sort_keys=False, allow_unicode=True, width=160)
    draft = path.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def findings(plan: Plan, now: datetime, entries: Sequence[Mapping[str, Any]] = ()) -> list[Finding]:
    """What is wrong with a plan, where it takes two fields, a clock or what was measured since to see it.

    Nothing, once the window has begun: it may be finished whatever it takes.
    """
    records = timeline.actual(entries)
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


def _process_findings(plan: Plan, entries: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
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
    """What is announced is due before it must be out (R7)."""
    stage = plan.process[number]
    due = timeline.parse_duration(stage.due)
    if stage.announces and stage.announces.by:
        by = stage.announces.by
        deadline = -timedelta(hours=getattr(plan.policy, by))
        if due > deadline:
            what = f"{stage.stage} is due {stage.due}, and must be out {-deadline} before the window ({by})"
            yield ("rollout", "process", number, "due"), what


def _bracket_findings(plan: Plan, number: int) -> Iterator[Finding]:
    """What a stage switches on, a later one ends; what is backed out as a whole has touched no user (R13, R17)."""
    stage = plan.process[number]
    where = ("rollout", "process", number)
    if stage.holds is not None:
        later = {later.stage: later for later in plan.process[number + 1 :]}
        until = later.get(stage.holds.until)
        if until is None:
            what = f"{stage.stage} holds until {stage.holds.until}, which is no later stage"
            yield (*where, "holds", "until"), f"{what}; later are {', '.join(later) or 'none'}"
        elif until.carries != stage.carries:
            what = f"{stage.stage} and {until.stage}, which ends it, must both say `carries: true`, or neither"
            yield (*where, "carries" if stage.carries else "holds"), what
    begun = any(earlier.window for earlier in plan.process[: number + 1])
    for position, gate in enumerate(stage.gates):
        if gate.on_no and begun:
            what = f"{stage.stage} comes too late to back everything out: the window has begun"
            yield (*where, "gates", position, "on_no"), what
