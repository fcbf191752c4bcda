#!/usr/bin/python
"""Estimate the outage anew from what qastaging measured (R9)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: outage_estimate
short_description: Estimate the outage again, from the patch times on qastaging
description:
  - Takes the times of the patches that were applied on qastaging from the merged revision, and estimates the outage by
    the rule of R9. A patch that was on qastaging before keeps its earlier estimate.
  - Returns the earlier estimate beside the new one.
  - Reads the plan and the journal on the control machine.
options:
  journal:
    description: Path of the rollout's journal. A run by hand may have none.
  stage:
    description: The stage that is estimated.
    type: str
    default: outage
  patches:
    description: Names of the pinned patches, in the order of application.
    type: list
    elements: str
    required: true
  revid:
    description: Id of the merged revision. Only rows with this id count.
    type: str
    required: true
  timings:
    description: The rows, from M(downtime.runbook.database_revisions).
    type: list
    elements: dict
    required: true
  applied:
    description: The patches that have just been applied, each C({patch, seconds}). In check mode, seconds are null.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - downtime.runbook.rollout
  - downtime.runbook.estimate
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Estimate the outage anew
  downtime.runbook.outage_estimate:
    plan: "{{ rollout }}"
    journal: "{{ rollout_journal }}"
    patches: [patch-2208-30-0.sql]
    revid: pqm@prae-20261207080312-x1
    timings: [{patch: patch-2208-30-0.sql, seconds: 70.5, revid: pqm@prae-20261207080312-x1}]
    factor: 2
    plus_minutes: 10
    window_minutes: 90
"""

RETURN = r"""
estimates:
  description: The stage's estimate, step by step; empty when the earlier estimate stands.
  returned: success
  type: dict
  sample: {outage: [{step: patch-2208-30-0.sql, seconds: 141.0}, {step: pad, seconds: 600.0}]}
evidence:
  description: The earlier estimate and the new one, in a line for a person.
  returned: success
  type: str
  sample: "outage estimate 12.4 min → 12.4 min of 90: 2 × 70.5 s measured here of 1 patch + 10 min (R9)"
"""

from pathlib import Path
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.journal import text as journal
from ..module_utils.rollout_core.journal.entries import entries
from ..module_utils.rollout_core.journal.stages import estimates
from ..module_utils.rollout_core.schema import budget
from ..module_utils.rollout_core.schema import estimate as remeasure
from ..module_utils.rollout_core.time import timeline

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "journal": {"type": "path", "required": True},
    "stage": {"type": "str", "default": "outage"},
    "patches": {"type": "list", "elements": "str", "required": True},
    "revid": {"type": "str", "required": True},
    "timings": {"type": "list", "elements": "dict", "required": True},
    "applied": {"type": "list", "elements": "dict", "default": []},
    "factor": {"type": "float", "required": True},
    "plus_minutes": {"type": "float", "required": True},
    "window_minutes": {"type": "float", "required": True},
}


def earlier(plan: Mapping[str, Any], path: Path, stage: str) -> tuple[list[dict[str, Any]], float]:
    """Return the stage's steps and its whole seconds by the earlier estimate; no steps if that is a mere guess."""
    reading = journal.read(path.read_text(encoding="utf-8") if path.exists() else "")
    if reading.broken_at is not None:
        raise ValueError(f"{path}:{reading.broken_at} does not follow from the line before it")
    planned = {each.name: each for each in timeline.planned(plan, estimates(entries(reading.entries)))}
    if stage not in planned:
        return [], 0.0
    steps = [{"step": step.name, "seconds": step.seconds} for step in planned[stage].steps]
    return steps, planned[stage].expected.total_seconds()


def main() -> None:
    """Estimate, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        steps, seconds = earlier(params["plan"], Path(params["journal"]), params["stage"])
        measured = remeasure.measured(params["timings"], params["applied"], params["revid"])
        rule = budget.Budget(params["window_minutes"], params["factor"], params["plus_minutes"])
        estimate = remeasure.next_estimate(params["patches"], measured, steps, seconds, rule)
    except (KeyError, ValueError, OSError) as error:
        module.fail_json(msg=f"E-estimate-unknown  The plan, the journal or the timings cannot be read: {error!r}.")
    estimates = {params["stage"]: estimate.steps} if estimate.steps else {}
    module.exit_json(changed=False, estimates=estimates, evidence=estimate.evidence)


if __name__ == "__main__":
    main()
