"""A site's process that is another one with changes: what it leaves out, changes and adds (docs/process.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from rollout import documents
from rollout.documents import Finding, Location
from rollout.fields import Model, Slug
from rollout.plan.process import Stage


class ChangedStage(Model):
    """The fields of a stage that are different in the site's process; the others stay."""

    model_config = ConfigDict(extra="allow", frozen=True)

    stage: Slug


class AddedStage(Model):
    """A stage of the site's own, and the stage after which it comes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    after: Slug
    stage: Slug


class Extension(Model):
    """The changes that make the site's process out of another one, `base`."""

    base: Slug = Field(alias="from")
    leave_out: list[Slug] = Field(default_factory=list)
    change: list[ChangedStage] = Field(default_factory=list)
    add: list[AddedStage] = Field(default_factory=list)


@dataclass
class _Draft:
    """The stages so far, and what is wrong with the changes, by where it stands in the file."""

    base: str
    stages: list[Stage]
    wrong: list[Finding] = field(default_factory=list)

    def leave_out(self, name: str, where: Location) -> None:
        if (place := self._place(name, where)) is not None:
            del self.stages[place]

    def change(self, changed: ChangedStage, where: Location) -> None:
        if (place := self._place(changed.stage, (*where, "stage"))) is not None:
            stage = self._stage({**_fields(self.stages[place]), **_fields(changed)}, where)
            self.stages[place] = stage or self.stages[place]

    def add(self, added: AddedStage, where: Location) -> None:
        place = self._place(added.after, (*where, "after"))
        if place is not None and (stage := self._stage(_fields(added, but="after"), where)):
            self.stages.insert(place + 1, stage)

    def _place(self, name: str, where: Location) -> int | None:
        names = [stage.stage for stage in self.stages]
        if name in names:
            return names.index(name)
        self.wrong.append((where, f"{self.base} has no stage {name} here; there are {', '.join(names)}"))
        return None

    def _stage(self, fields: dict[str, Any], where: Location) -> Stage | None:
        try:
            return Stage.model_validate(fields)
        except ValidationError as error:
            self.wrong += [((*where, *location), what) for location, what in documents.findings(error)]
            return None


def extended(path: Path, extension: Extension, base: Sequence[Stage]) -> list[Stage]:
    """Return the stages of the site's process. Raises BadInputError that names file and line of what cannot be."""
    draft = _Draft(extension.base, list(base))
    for number, name in enumerate(extension.leave_out):
        draft.leave_out(name, ("leave_out", number))
    for number, changed in enumerate(extension.change):
        draft.change(changed, ("change", number))
    for number, added in enumerate(extension.add):
        draft.add(added, ("add", number))
    if draft.wrong:
        raise documents.refused(path, draft.wrong)
    return draft.stages


def _fields(stage: Model, but: str = "") -> dict[str, Any]:
    return stage.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={but})
