#!/usr/bin/python
"""Read how long each schema patch takes on a copy of production: from a log, from qastaging, or as people say (R9)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: staging_timings
short_description: Read how long each patch took on a copy of production
description:
  - Of C(log), takes among the logs that match O(logs) the one that was written to last, and in it the last restore. An
    appended log holds every past restore, may hold the same lines twice, and has dated lines about earlier upgrades
    (R9). Never falls back to an older restore. Fails when the last one failed or its log cannot be read.
  - Of C(qastaging), takes what its database measured when each patch was applied there, from the revision table.
  - Of C(given), takes what people measured by hand, and says who.
options:
  kind:
    description: Where the times come from.
    type: str
    choices: [log, qastaging, given]
    default: log
  logs:
    description: Of C(log), the paths of the restore logs, a glob pattern. C(~) is the home of the user on the host.
    type: str
  dsn:
    description: Of C(qastaging), the libpq conninfo of its database, without a password.
    type: str
  seconds:
    description: Of C(given), seconds by the patch's file name.
    type: dict
    default: {}
  source:
    description: Of C(given), who measured them, where and when, in a line for people. Numbers without it are refused.
    type: str
extends_documentation_fragment: downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Read the staging restore logs
  downtime.runbook.staging_timings:
    logs: /x/launchpad.net-logs/staging/sourcherry/2011-*-staging_restore.log

- name: Take what qastaging measured
  downtime.runbook.staging_timings:
    kind: qastaging
    dsn: host=127.0.0.1 user=postgres dbname=shop_qastaging

- name: Take what was measured by hand
  downtime.runbook.staging_timings:
    kind: given
    seconds: {patch-2208-30-0.sql: 70.5}
    source: stub, on a copy of production of 6 Dec 2026
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
  returned: kind log
line:
  description: Line of the log where that restore's upgrade begins, from 1.
  type: int
  returned: kind log
at:
  description: When the upgrade ended by the log's own times, or the last patch on qastaging, ISO 8601 in UTC; null when
    that is not known.
  type: str
  returned: success
  sample: "2026-12-06T03:12:40+00:00"
evidence:
  description: The number of patches and where their times are from, in a line for a person.
  type: str
  returned: success
  sample: 11 patches timed in the staging restore of Sun 6 Dec 2026 03:12 UTC (2026-12-06-staging_restore.log)
"""

import glob
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.schema import budget
from ..module_utils.rollout_core.schema.patches import PatchName
from ..module_utils.rollout_host.database.arguments import check_connections
from ..module_utils.rollout_host.database.connection import RolloutError, connect, message, revision_rows
from ..module_utils.rollout_host.database.driver import psycopg

ARGUMENTS: dict[str, Any] = {
    "kind": {"type": "str", "choices": ["log", "qastaging", "given"], "default": "log"},
    "logs": {"type": "str"},
    "dsn": {"type": "str"},
    "seconds": {"type": "dict", "default": {}},
    "source": {"type": "str"},
}
NEEDED = [("kind", "log", ["logs"]), ("kind", "qastaging", ["dsn"])]

LARGEST = 64 * 2**20  # bytes of a log, as for `budget`


def newest(pattern: str) -> Path | None:
    """Return the path that was written to last, of several at once the last by name; None if nothing matches."""
    paths = [Path(path) for path in glob.glob(str(Path(pattern).expanduser()))]  # noqa: PTH207  absolute patterns too
    return max((path for path in paths if path.is_file()), key=lambda path: (path.stat().st_mtime, path), default=None)


def told(seconds: Mapping[str, float], where: str) -> str:
    """Return the source in a line for a person."""
    return f"{len(seconds)} patch{'' if len(seconds) == 1 else 'es'} timed {where}"


def day(at: datetime | None) -> str:
    """Return when it was, for a person who will see whether it is recent enough."""
    return at.strftime(f"of %a {at.day} %b %Y %H:%M UTC") if at else "without a date"


def of_log(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times of the last restore in the newest log. Raises RolloutError."""
    pattern = params["logs"]
    path = newest(pattern)
    if path is None:
        raise RolloutError(
            f"E-no-restore-log  No file matches {pattern}.\n"
            f"Expected the log of a staging restore, with lines like  {budget.EXPECTED_LINE}\n"
            "Then:  restore staging, or mend revision_logs in the inventory, and ./runbook.py run select"
        )
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise RolloutError(
                f"E-restore-log-unreadable  {path}: it is too large; expected at most {LARGEST // 2**20} MiB.\n"
                f"Only its last restore counts:  tail -c {LARGEST // 2**20}M {path} > FILE  in a place that"
                " revision_logs in the inventory names"
            )
        restore = budget.last_restore(content.decode("utf-8", "replace"))
    except OSError as error:
        raise RolloutError(f"E-restore-log-unreadable  {path}: {error.strerror}.") from None
    except budget.NoTimings as error:
        raise RolloutError(f"E-no-timings  {path}: {error}.\n{error.then}\nThen:  ./runbook.py run select") from None
    where = f"in the staging restore {day(restore.at)} ({path.name})"
    more = {"log": str(path), "line": restore.line, "at": restore.at and restore.at.isoformat()}
    return {**more, "timings": restore.seconds, "evidence": told(restore.seconds, where)}


def of_qastaging(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the revision table of qastaging's database says. Raises RolloutError."""
    try:
        with connect(params["dsn"], "timings") as connection:
            rows, database = revision_rows(connection), connection.info.dbname
    except psycopg.Error as error:
        raise RolloutError(message(error)) from None
    timed = [row for row in rows if row.seconds is not None]
    if not timed:
        raise RolloutError(
            f"E-no-timings  No row of the revision table of {database} says how long its patch took.\n"
            "Upgrade qastaging with the patches once. Then:  ./runbook.py run select"
        )
    ends = [row.start_time + timedelta(seconds=row.seconds or 0) for row in timed]
    at = max(ends).replace(tzinfo=timezone.utc, microsecond=0)
    seconds = {str(row.name): round(row.seconds or 0, 3) for row in timed}
    where = f"by qastaging's own upgrades, the last {day(at)} ({database})"
    return {"timings": seconds, "at": at.isoformat(), "evidence": told(seconds, where)}


def of_people(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times that are given. Raises RolloutError for what is no time of a patch, or has no source."""
    given, source = params["seconds"], " ".join((params["source"] or "").split())
    if not given or not source:
        lacks = "no numbers are given" if not given else "nobody says who measured them, where and when"
        raise RolloutError(
            f"E-no-timings-source  The times of the patches are given by hand, and {lacks}.\n"
            "Write both into the inventory: revision_timings: {patch-2208-30-0.sql: 70.5}, and revision_timings_source"
        )
    for name, seconds in given.items():
        try:
            PatchName.parse(name)
        except ValueError as error:
            raise RolloutError(f"E-bad-timing  {error}.") from None
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
            raise RolloutError(f"E-bad-timing  {name}: {seconds!r}; expected seconds, such as 70.5.")
    return {"timings": dict(given), "at": None, "evidence": told(given, f"by hand: {source}")}


def main() -> None:
    """Read the times, and answer."""
    module = AnsibleModule(ARGUMENTS, required_if=NEEDED, supports_check_mode=True)
    kind = module.params["kind"]
    if kind == "qastaging":
        check_connections(module)
    try:
        answer = {"log": of_log, "qastaging": of_qastaging, "given": of_people}[kind](module.params)
    except RolloutError as error:
        module.fail_json(msg=message(error))
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
