"""The plan of one rollout: a YAML file with one top-level key, `rollout` (docs/architecture.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, StringConstraints

from rollout import documents
from rollout.fields import Fact, Instant, Line, Model, PlanId, PlaybookPath, RelativePath, Slug, Word
from rollout.inventory import Policy
from rollout.plan.process import Gate, MergeBackOut, Stage
from rollout.whole_file import write_whole


class Window(Model):
    """The time in which users may be without the service: `start` with its offset from UTC, and its minutes (R2)."""

    start: Instant
    minutes: int = Field(gt=0, le=24 * 60)

    @property
    def end(self) -> datetime:
        """Return the instant at which the window ends."""
        return self.start + timedelta(minutes=self.minutes)


class Cowboy(Model):
    """A patch made by hand in production (R16). `diff` is relative to the production status file; no `hosts`: all."""

    id: Slug
    who: Line
    why: Line
    bug: int | None = Field(default=None, gt=0)
    diff: RelativePath
    tree: RelativePath | Literal["."] = "."
    hosts: list[Word] | None = Field(default=None, min_length=1)


class Pinned(Model):
    """What earlier stages have settled. Written by the conductor, or by hand before the first run (`revision`)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[Fact, int | Word | list[Word]] = Field(init=False)

    revision: int | None = Field(default=None, gt=0)
    patches: list[Annotated[str, StringConstraints(pattern=r"^patch-\d{4}-\d{2}-\d\.sql$")]] | None = None


class Plan(Model):
    """One rollout. `follows`: the aborted ones whose next attempt it is; what they have left on is its own.

    `service` is what the inventory calls the service: one rollout of it is open at a time (plans of before have none).
    `kind`: which of `processes/` it follows, none for the monthly deployment. `playbook`: the site's own, for which the
    gate is closed (R18). `of`: the rollout whose schema is backed out (R17).
    """

    id: PlanId
    kind: Slug | None = None
    playbook: PlaybookPath | None = None
    of: PlanId | None = None
    follows: list[PlanId] = Field(default_factory=list)
    inventory: Line
    service: Line | None = None
    window: Window
    backup_window: Window
    people: dict[Slug, Line]
    policy: Policy
    process: list[Stage] = Field(min_length=1)
    cowboys: list[Cowboy] = Field(default_factory=list)
    pinned: Pinned = Pinned()

    def as_vars(self) -> dict[str, Any]:
        """Return the plan as plain data: what the file has, what playbooks get, what rollout_core reads."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def service_name(self) -> str:
        """What the claim and the lock are on: the service, or the inventory where that names none."""
        return self.service or self.inventory

    def gates(self) -> dict[str, Gate | MergeBackOut]:
        """Return every gate of the process by name."""
        return {gate.gate: gate for stage in self.process for gate in stage.all_gates}

    def playbooks(self) -> list[str]:
        """Return every playbook that the rollout may run, except those that stop a stage."""
        return [name for stage in self.process for name in stage.playbooks]


class PlanFile(Model):
    """The plan's file; its one top-level key keeps plan fields apart from role variables in Ansible."""

    rollout: Plan


def load(path: Path) -> Plan:
    """Read and check a plan file. Raises BadInputError."""
    return documents.load(path, PlanFile).rollout


def save(plan: Plan, path: Path) -> None:
    """Write the plan; a reader sees either the whole old file or the whole new one."""
    text = "# A rollout's plan (docs/architecture.md). `pinned` is written by the runbook as stages settle.\n"
    text += yaml.safe_dump({"rollout": plan.as_vars()}, sort_keys=False, allow_unicode=True, width=160)
    write_whole(path, text)
