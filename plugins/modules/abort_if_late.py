#!/usr/bin/python
"""Judge the rollout's lateness with rollout_core.lateness, and fail if it must be aborted (R19)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: abort_if_late
short_description: Fail when the rollout is too late and can still be aborted
description:
  - Projects when the rollout's window stages will end, from its plan and its journal, and compares that with the
    planned end.
  - Fails with C(verdict=abort) when the rollout would end more than O(limit_minutes) late and nothing irreversible has
    happened yet (R19). Past the point of no return it never fails; it warns, and the verdict is C(must_finish).
  - Fails too when it cannot be judged, because the journal is not there, says nothing, is damaged or is another
    rollout's. What nobody can judge is not on track.
  - Returns how long the running stage may still take, for work that carries its own deadline.
  - Reads the journal and the clock of the machine that it runs on. Delegate it to the control machine.
options:
  limit_minutes:
    description: The rollout is too late when it is more than this many minutes off-track (R19).
    type: float
    required: true
extends_documentation_fragment:
  - downtime.runbook.rollout
  - downtime.runbook.rollout.clock
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Abort if it is too late
  downtime.runbook.abort_if_late:
    plan: "{{ rollout }}"
    journal: "{{ rollout_journal }}"
    limit_minutes: "{{ rollout.policy.abort_after_minutes }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
seconds_left:
  description:
    - How long the stage that runs may still run before the rollout is more than O(limit_minutes) off-track, in seconds.
    - It is negative when that is past, and null when every stage of the window is done.
  returned: always
  type: float
  sample: 2541.2
stage:
  description: The stage of the window that runs or is next; null when all are done.
  returned: always
  type: str
  sample: outage
verdict:
  description: C(on_track), C(late), C(abort) or C(must_finish).
  returned: always
  type: str
  sample: late
off_track_seconds:
  description: Projected end minus planned end, in seconds. It is negative when the rollout is early.
  returned: always
  type: float
  sample: 412.5
projected_end:
  description: When the last stage of the window would end, ISO 8601 in UTC.
  returned: always
  type: str
  sample: "2026-12-09T08:38:00+00:00"
planned_end:
  description: When it was planned to end, ISO 8601 in UTC.
  returned: always
  type: str
  sample: "2026-12-09T08:31:00+00:00"
last_safe_abort:
  description: The latest moment at which undoing still ends inside the window; null when nothing can be aborted.
  returned: always
  type: str
  sample: "2026-12-09T09:24:00+00:00"
reason:
  description: The verdict in one sentence.
  returned: always
  type: str
  sample:
    patch 2208-56-0 has run 0:10 of about 0:20; the rollout would end 08:31, planned 08:31;
    it can be aborted until 09:24
"""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Mapping, NoReturn, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.journal import entries as typed
from ..module_utils.rollout_core.journal import runs, stages
from ..module_utils.rollout_core.journal import text as journal
from ..module_utils.rollout_core.time import lateness, timeline


def judge(plan: Mapping[str, Any], entries: Sequence[typed.Entry], now: datetime, limit: timedelta) -> dict[str, Any]:
    """Return the outlook at `now` and its verdict, as the module returns them."""
    layout = timeline.planned(plan, stages.estimates(entries))
    view = lateness.outlook(layout, stages.actual(entries), timeline.window(plan)[1], now)
    left = lateness.time_left(layout, view, limit)
    return {
        "seconds_left": None if left is None else left.total_seconds(),
        "stage": view.stage,
        "verdict": lateness.verdict(view, limit).value,
        "off_track_seconds": view.off_track.total_seconds(),
        "projected_end": view.projected_end.isoformat(),
        "planned_end": view.planned_end.isoformat(),
        "last_safe_abort": view.last_safe_abort.isoformat() if view.last_safe_abort else None,
        "reason": lateness.reason(view, limit),
    }


def read_entries(path: Path, plan: Mapping[str, Any]) -> Sequence[typed.Entry]:
    """Return the journal's entries; none if it does not exist. Raises ValueError if it is broken."""
    reading = journal.read(path.read_text(encoding="utf-8"))
    if reading.broken_at is not None:
        raise ValueError(f"its line {reading.broken_at} does not follow from the line before it")
    entries = typed.entries(reading.entries)
    if not entries:
        raise ValueError("nothing is written there")
    if others := runs.of_others(entries, str(plan.get("id", "")), timeline.window(plan)[0]):
        raise ValueError(f"it tells of {others}")
    return entries


def unknown(module: AnsibleModule, why: object) -> NoReturn:
    """Fail, because lateness that cannot be judged does not count as on track."""
    path, rollout = module.params["journal"], module.params["plan"].get("id", "ID")
    module.fail_json(
        msg="E-lateness-unknown  Whether the rollout is late cannot be judged, so it is not on track.\n"
        f"  {path}: {why}.\n"
        f"  By hand:  -e rollout_journal=var/rollouts/{rollout}/journal.jsonl\n"
        "  There is none before  ./runbook.py run  has begun with the plan."
    )


def main() -> None:
    """Judge lateness once, and fail if the verdict is abort."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "journal": {"type": "path", "required": True},
            "limit_minutes": {"type": "float", "required": True},
            "clock_offset": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    now = datetime.now(timezone.utc) + timedelta(seconds=module.params["clock_offset"])
    limit = timedelta(minutes=module.params["limit_minutes"])
    try:
        plan = module.params["plan"]
        result = judge(plan, read_entries(Path(module.params["journal"]), plan), now, limit)
    except OSError as error:
        unknown(module, error.strerror)
    except KeyError as error:
        unknown(module, f"it, or the plan, has no {error}")
    except ValueError as error:
        unknown(module, error)
    if result["verdict"] == lateness.Verdict.ABORT.value:
        module.fail_json(
            msg=f"E-late-abort  {result['reason']}.\n"
            "  More than the limit, and it can still be undone: it must be aborted (R19).\n"
            "  The runbook now undoes the window's stages. By hand: the `undo` playbooks of process.yml, latest first.",
            **result,
        )
    if result["verdict"] != lateness.Verdict.ON_TRACK.value:
        module.warn(f"{result['verdict']}: {result['reason']}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
