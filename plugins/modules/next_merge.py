#!/usr/bin/python
"""Work out when the next merge after this one is, so that people know until when something must land (R1, R8)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: next_merge
short_description: Tell by when a change must be on devel to go out with the next window
description:
  - Reads the schedule's list of windows and, beyond the list, its rule. A merge is made a fixed time before its window
    (R8), and nothing is added to it afterwards.
options:
  windows:
    description: The rule for windows, an RFC 5545 rule in UTC, as schedule.yml has it (R1).
    type: str
    required: true
  listed:
    description: The windows that are listed, as schedule.yml has them. From the month of the first to the month of the
      last, only the list counts, and the rule does not.
    type: list
    elements: dict
    default: []
    suboptions:
      window:
        description: Start of the window, ISO 8601.
        type: str
        required: true
      backup:
        description: Start of its backup window, ISO 8601.
        type: str
        required: true
  window:
    description: Start of this rollout's window, ISO 8601.
    type: str
    required: true
  merge_hours_before:
    description: How long before its window a merge is made (R8).
    type: float
    required: true
requirements: [python-dateutil]
extends_documentation_fragment: downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: See when the next merge is
  downtime.runbook.next_merge:
    windows: FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0
    window: 2026-12-09T08:00:00Z
    merge_hours_before: 48
"""

RETURN = r"""
window:
  description: This window, for people.
  returned: success
  type: str
  sample: Wed 9 Dec 2026 08:00 UTC
next_window:
  description: The window after it, for people; null when the rule has ended.
  returned: success
  type: str
  sample: Wed 13 Jan 2027 08:00 UTC
next_merge:
  description: When the merge of the next window is made, for people; null when the rule has ended.
  returned: success
  type: str
  sample: Mon 11 Jan 2027 08:00 UTC
"""

from datetime import datetime, timedelta

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.rollout_core.time import schedule
from ..module_utils.rollout_core.time.timeline import parse_instant

try:
    from dateutil.rrule import rrulestr

    DATEUTIL_IMPORT_ERROR = None
except ImportError as _error:
    DATEUTIL_IMPORT_ERROR = str(_error)


def words(instant: datetime | None) -> str | None:
    """Return an instant as people say it; None for None."""
    return f"{instant:%a} {instant.day} {instant:%b %Y %H:%M} UTC" if instant else None


def main() -> None:
    """Work it out, and answer."""
    module = AnsibleModule(
        argument_spec={
            "windows": {"type": "str", "required": True},
            "listed": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "window": {"type": "str", "required": True},
                    "backup": {"type": "str", "required": True},
                },
            },
            "window": {"type": "str", "required": True},
            "merge_hours_before": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    if DATEUTIL_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("python-dateutil"), exception=DATEUTIL_IMPORT_ERROR)
    try:
        window = parse_instant(module.params["window"])
        listed = [parse_instant(one["window"]) for one in module.params["listed"]]
        following = schedule.next_window(
            listed,
            window,
            lambda after: rrulestr(module.params["windows"], dtstart=after.replace(microsecond=0)).after(after),
        )
    except ValueError as error:
        module.fail_json(msg=f"E-bad-schedule  The schedule or the window cannot be read: {error}.")
    merge = following and following - timedelta(hours=module.params["merge_hours_before"])
    module.exit_json(changed=False, window=words(window), next_window=words(following), next_merge=words(merge))


if __name__ == "__main__":
    main()
