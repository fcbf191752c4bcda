"""The process that a plan follows: a list of stages, from process.yml or a file in processes/ (docs/process.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, RootModel, model_validator

from plugins.module_utils.rollout_core.time import timeline
from rollout.fields import A_YEAR, Duration, Fact, Line, Minutes, Model, Rule, Slug, SlugOrNone
from rollout.inventory import Policy
from rollout.plan.messages import MESSAGES

# Yesterday's names of playbooks, as plans that were made then have them frozen.
RENAMED = {
    "buildbot_blessing": "blessing",
    "gate_close": "access_close",
    "gate_open": "access_open",
    "gate_release": "access_may_open",
    "gate_stop": "access_stop",
    "pqm_back_out": "merge_back_out",
    "rc_mode_release": "rc_mode_end_early",
    "schema_back_out": "schema_undo",
    "schema_back_out_check": "schema_undo_check",
    "schema_back_out_done": "schema_undo_done",
    "schema_back_out_preflight": "schema_undo_preflight",
    "schema_back_out_stop": "schema_undo_stop",
    "schema_back_out_trees": "schema_undo_trees",
    "schema_back_out_trees_undo": "schema_undo_trees_back",
    "schema_back_out_undo": "schema_undo_reopen",
}


def _of_today(name: str) -> str:
    if name in RENAMED:
        raise ValueError(f"that playbook is called `{RENAMED[name]}` now")
    return name


PlaybookName = Annotated[Slug, AfterValidator(_of_today)]


class ExpectedStep(Model):
    """One step of a stage and how many seconds it takes; `pad` is the step for the minutes that R9 adds."""

    step: Line
    seconds: float = Field(ge=0, le=A_YEAR * 60)


class Expects(Model):
    """The estimate of how long a stage takes, in minutes, and who says so.

    `guess`, `staging` (an earlier stage measures it, R9), or `history`: the median of `samples` earlier rollouts, the
    longest of which took `worst_minutes`. `steps`, if there are any, are its parts, in order.
    """

    minutes: Minutes
    source: Slug = Field(alias="from")
    worst_minutes: Minutes | None = None
    samples: int | None = Field(default=None, gt=0)
    steps: list[ExpectedStep] | None = None


class MergeBackOut(Model):
    """The back-out that a no leads to: a question of its own and, on a yes, the playbook that takes all back (R17)."""

    gate: Slug
    question: Line
    who: list[Slug] = Field(min_length=1)
    waits: Duration
    playbook: PlaybookName


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
    on_no: MergeBackOut | None = None


class Undo(Model):
    """The playbook that undoes a stage, and how many minutes it takes at most: a guess, or history's worst."""

    playbook: PlaybookName
    minutes: Minutes
    source: Slug = Field(alias="from", default="guess")
    samples: int | None = Field(default=None, gt=0)


class Bracket(Model):
    """A state, `what`, that a stage switches on; stage `ends_with` ends it, or playbook `end_early` if that may be."""

    what: Line
    ends_with: Slug
    end_early: PlaybookName


class OptionalStage(Model):
    """The group that a stage is for, of a service that may have none; then the stage is left out of the plan.

    `without` says what that means, for whoever makes the plan.
    """

    group: Slug
    without: Line | None = None


def _message(name: str) -> str:
    if name not in MESSAGES:
        raise ValueError(f"no such message; there are {', '.join(MESSAGES)}")
    return name


def _number_of_policy(name: str) -> str:
    if name not in Policy.model_fields or not name.endswith(("_hours_before", "_hours_notice")):
        raise ValueError("expected the name of a policy's number of hours, such as reminder_hours_before")
    return name


class TimedMessage(Model):
    """A message, and `by`: the policy's number of hours before the window at which it must be out (R7, R21)."""

    message: Annotated[str, AfterValidator(_message)]
    by: Annotated[str, AfterValidator(_number_of_policy)] | None = None


class Announces(TimedMessage):
    """The messages of a stage: `after_abort` in the next attempt, `when_moved` if people have heard of another time."""

    after_abort: TimedMessage | None = None
    when_moved: TimedMessage | None = None


class Stage(Model):
    """One entry of process.yml (docs/process.md). It runs its `playbook`, or announces; `playbook` then is empty.

    `merges`: it makes the merge that goes out, so a fix of it (`run --fixed-in`) is for this stage.
    """

    stage: Slug
    title: Line
    rules: list[Rule]
    due: Duration
    playbook: Annotated[SlugOrNone, AfterValidator(_of_today)] = ""
    announces: Announces | None = None
    expects: Expects
    begins_by: Duration | None = None
    window: bool = False
    carries: bool = False
    merges: bool = False
    bracket: Bracket | None = None
    optional: OptionalStage | None = None
    gates: list[Gate] = Field(default_factory=list)
    stop: PlaybookName = "stop"
    needs: Literal["playbook", "of"] | None = None
    any_day: bool = False
    abortable: Annotated[Literal["yes", "no", "until_commit"], BeforeValidator(timeline.yes_or_no)] = "yes"
    undo: Undo | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> Stage:
        if bool(self.playbook) == (self.announces is not None):
            raise ValueError("expected `playbook` or `announces`, and not both")
        if self.announces and (self.window or self.undo or self.bracket or self.any_day):
            raise ValueError("what was announced is not undone: no `window`, `undo`, `bracket` or `any_day`")
        return self

    def due_at(self, start: datetime) -> datetime:
        """Return when the stage is due, if the window begins at `start`."""
        return start + timeline.parse_duration(self.due)

    @property
    def reports(self) -> tuple[str, ...]:
        """Return the facts that the stage's playbook must report; without them the stage is not done."""
        pin = ("pin",) if self.merges else ()
        irreversible = ("irreversible",) if self.abortable == "until_commit" else ()
        return ("evidence", *pin, *irreversible)

    @property
    def playbooks(self) -> list[str]:
        """Return every playbook that the stage may run, except the one that stops it."""
        named = [self.playbook, self.undo and self.undo.playbook, self.bracket and self.bracket.end_early]
        return [name for name in (*named, *(gate.on_no.playbook for gate in self.gates if gate.on_no)) if name]

    @property
    def all_gates(self) -> list[Gate | MergeBackOut]:
        """Return the stage's gates, each followed by the one that its no leads to."""
        return [each for gate in self.gates for each in (gate, gate.on_no) if each is not None]


class ProcessFile(RootModel[Annotated[list[Stage], Field(min_length=1)]]):
    """A process file: a list of stages."""
