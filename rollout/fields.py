"""Types of fields for plans, processes and an inventory's files, each held to a pattern.

Text that reaches a command line on a host is checked against a pattern here, before anything runs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from plugins.module_utils.rollout_core import plain_text
from plugins.module_utils.rollout_core.time import timeline

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
SlugOrNone = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9_-]*)?$", max_length=64)]
Fact = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
PlanId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z][0-9a-z.-]*$", max_length=40)]
Rule = Annotated[str, StringConstraints(pattern=r"^R([1-9]|1[0-9]|2[0-6])$")]
Word = Annotated[str, StringConstraints(pattern=r"^[\w.@:+/=-]+$", max_length=200)]


def _line(text: str) -> str:
    if wrong := plain_text.no_line(text):
        raise ValueError(wrong)
    return text


def _branch(text: str) -> str:
    if text.startswith("-") or any(character.isspace() for character in text):
        raise ValueError("expected a branch, without spaces and with no - at its beginning")
    return text


# One line of text. Ansible gets the plan and fills in templates, which can run anything: no {{, {% or {#.
Line = Annotated[str, StringConstraints(max_length=400), AfterValidator(_line)]
# Where a branch is: what a version control would take for an option is none.
Branch = Annotated[Line, AfterValidator(_branch)]
PlaybookPath = Annotated[
    str,
    StringConstraints(pattern=r"^(playbooks|inventories|(\.\./)+[\w-][\w.-]*)(/[\w-][\w.-]*)+\.yml$", max_length=200),
]
RelativePath = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$", max_length=200)]


def _duration(text: str) -> str:
    timeline.parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Instant = Annotated[AwareDatetime, AfterValidator(timeline.parse_instant)]


class Model(BaseModel):
    """The base of all models; an unknown field is an error, for a misspelt one must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A_YEAR = 366 * 24 * 60  # minutes: nothing here lasts longer, and timedelta has an end
Minutes = Annotated[float, Field(gt=0, le=A_YEAR)]
FromZero = Annotated[float, Field(ge=0, le=A_YEAR)]
