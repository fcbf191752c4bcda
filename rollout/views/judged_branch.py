"""What the deployment report is made from: a branch and the QA state of its revisions (R8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.module_utils.rollout_core.merge import deployable


@dataclass(frozen=True)
class JudgedBranch:
    """A branch by name, the assessment of its revisions, and the revisions `{revno, message, date}`."""

    name: str
    found: deployable.Assessment
    revisions: Sequence[Mapping[str, Any]]
