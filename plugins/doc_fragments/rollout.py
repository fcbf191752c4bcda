"""A rollout's own facts: its plan, its journal and its clock."""

from __future__ import annotations


class ModuleDocFragment:
    """The plan and the journal; `.clock` is the rehearsal's clock."""

    DOCUMENTATION = r"""
options:
  plan:
    description: The plan, as it stands under C(rollout) in the plan file.
    type: dict
    required: true
  journal:
    description: Path of the rollout's journal.
    type: path
    required: true
"""

    CLOCK = r"""
options:
  clock_offset:
    description: Seconds to add to this machine's clock. It is 0 except in rehearsals.
    type: float
    default: 0
"""
