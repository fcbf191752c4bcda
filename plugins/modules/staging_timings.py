#!/usr/bin/python
"""Read how long each schema patch took in the last staging restore (R9)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: staging_timings
short_description: Read the patch times of the last staging restore from its log
description:
  - Takes, among the logs that match O(logs), the one that was written to last, and in it the last restore. An appended
    log holds every past restore, may hold the same lines twice, and has dated lines about earlier upgrades (R9).
  - Never falls back to an older restore. Fails when the last one failed or its log cannot be read.
options:
  logs:
    description: Paths of the restore logs, a glob pattern. C(~) is the home of the user on the host.
    type: str
    required: true
extends_documentation_fragment: downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Read the staging restore logs
  downtime.runbook.staging_timings:
    logs: /x/launchpad.net-logs/staging/sourcherry/2011-*-staging_restore.log
"""

RETURN = r"""
timings:
  description: Seconds on staging by the patch's file name.
  type: dict
  returned: success
  sample: {patch-2208-30-0.sql: 70.5}
log:
  description: Path of the log that they are from.
  type: str
  returned: success
line:
  description: Line of the log where that restore's upgrade begins, from 1.
  type: int
  returned: success
at:
  description: When the upgrade ended by the log's own times, ISO 8601 in UTC; null when its lines have no times.
  type: str
  returned: success
  sample: "2026-12-06T03:12:40+00:00"
evidence:
  description: The number of patches and the restore they are from, in a line for a person.
  type: str
  returned: success
  sample: 11 patches timed in the staging restore of Sun 6 Dec 2026 03:12 UTC (2026-12-06-staging_restore.log)
"""

import glob
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema import budget

LARGEST = 64 * 2**20  # bytes of a log, as for `budget`


def newest(pattern: str) -> Path | None:
    """Return the path that was written to last, of several at once the last by name; None if nothing matches."""
    paths = [Path(path) for path in glob.glob(str(Path(pattern).expanduser()))]  # noqa: PTH207  absolute patterns too
    return max((path for path in paths if path.is_file()), key=lambda path: (path.stat().st_mtime, path), default=None)


def told(restore: budget.Restore, path: Path) -> str:
    """Return the restore in a line for a person, who will see whether it is recent enough."""
    count = f"{len(restore.seconds)} patch{'' if len(restore.seconds) == 1 else 'es'}"
    when = restore.at.strftime(f"of %a {restore.at.day} %b %Y %H:%M UTC") if restore.at else "without a date"
    return f"{count} timed in the staging restore {when} ({path.name})"


def main() -> None:
    """Read the log, and answer."""
    module = AnsibleModule(argument_spec={"logs": {"type": "str", "required": True}}, supports_check_mode=True)
    pattern = module.params["logs"]
    path = newest(pattern)
    if path is None:
        module.fail_json(
            msg=f"E-no-restore-log  No file matches {pattern}.\n"
            f"  Expected the log of a staging restore, with lines like  {budget.EXPECTED_LINE}\n"
            "  Then:  restore staging, or mend revision_logs in the inventory, and ./runbook.py run select"
        )
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            module.fail_json(
                msg=f"E-restore-log-unreadable  {path}: it is too large; expected at most {LARGEST // 2**20} MiB.\n"
                f"  Only its last restore counts:  tail -c {LARGEST // 2**20}M {path} > FILE  in a place that"
                " revision_logs in the inventory names"
            )
        restore = budget.last_restore(content.decode("utf-8", "replace"))
    except OSError as error:
        module.fail_json(msg=f"E-restore-log-unreadable  {path}: {error.strerror}.")
    except budget.NoTimings as error:
        module.fail_json(msg=f"E-no-timings  {path}: {error}.\n  {error.then}\n  Then:  ./runbook.py run select")
    at = restore.at.isoformat() if restore.at else None
    evidence = told(restore, path)
    module.exit_json(changed=False, timings=restore.seconds, log=str(path), line=restore.line, at=at, evidence=evidence)


if __name__ == "__main__":
    main()
