#!/usr/bin/python
"""Pause or resume the services of one host in one call: its cron jobs and its maintenance banner (R5)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: services_switch
short_description: Pause or resume the cron jobs and the maintenance banner of a host
description:
  - An INI file switches the cron jobs. It has a section for each job with a key C(enabled). A job that cannot read the
    file runs, so the switch is read back after it was written, and a job that already runs is waited for.
  - Pausing keeps the original file as C(FILE.before-pause) and puts a paused one in its place. Resuming renames the
    original back, byte for byte. Both can be interrupted at any point and repeated.
  - If somebody edited the paused file, it is kept as C(FILE.while-paused) when the original comes back.
  - The banner goes up before the jobs are paused and comes down after they are resumed.
options:
  state:
    description: Whether the services are to be paused or to run.
    type: str
    choices: [paused, running]
    required: true
  cron_ini:
    description: The INI file. Without it, this host has no cron jobs.
    type: path
  jobs:
    description: Jobs to pause, by the names of their sections. C(all) on its own is every job, also one without a
      section.
    type: list
    elements: str
    default: [all]
  lock_directory:
    description:
      - Directory in which a running job holds its lock file C(launchpad-JOB.lock), which contains its process id.
        Without it, running jobs are not waited for.
      - A lock file whose process does not exist any more, or began after the file was written, is stale and not waited
        for. One without a process id is.
    type: path
  banner:
    description: The file that announces the maintenance on the site's pages. Without it, this host has no banner.
    type: path
  window_start:
    description: Start of the window, ISO 8601 with its offset from UTC. It is needed to put a banner up.
    type: str
  timeout_seconds:
    description: How long running jobs are waited for.
    type: float
    default: 120
  settle_seconds:
    description: For how long no job may have held its lock. A job that read the switch just before takes its lock just
      after.
    type: float
    default: 2
attributes:
  check_mode:
    description: Returns what it would do and which jobs run now, and waits for nothing.
    support: full
  diff_mode:
    description: Shows the change of the switch and of the banner.
    support: full
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Pause the services
  downtime.runbook.services_switch:
    state: paused
    cron_ini: /srv/launchpad/etc/cron.ini
    jobs: [soyuz-publisher, translations-export]
    lock_directory: /var/lock
    banner: /srv/launchpad/+maintenancetime.txt
    window_start: "2026-12-09T08:00:00+00:00"
"""

RETURN = r"""
jobs:
  description: The jobs that were asked for.
  returned: always
  type: list
  elements: str
disabled:
  description: The jobs that are off at the end; in check mode, as they were found.
  returned: always
  type: list
  elements: str
still_running:
  description:
    - Jobs that hold their lock, each C({job, pid, command, lock, text}). A success leaves none, except in check mode.
  returned: always
  type: list
  elements: dict
stale_locks:
  description:
    - Lock files that a job which is gone has left, each C({job, pid, command, lock, text}); the process with that
      number, if there is one, is another. Nothing is done about them.
  returned: always
  type: list
  elements: dict
waited_seconds:
  description: How long it took until no job held its lock, the settling included.
  returned: always
  type: float
banner:
  description: What the banner says at the end; null when there is none.
  returned: always
  type: str
  sample: "2026-12-09T08:00:00+00:00"
kept:
  description: Where a paused file that somebody had edited is kept; null when nobody had.
  returned: always
  type: str
"""

import re
import time
from datetime import datetime, timezone
from typing import Any, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.site import cron_switch
from ..module_utils.rollout_host.services import job_locks
from ..module_utils.rollout_host.services.switch import Banner, CronIni, SwitchError, SwitchStep

JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
STILL_RUNNING = """E-jobs-still-running  {jobs} held its lock for {timeout:g} s after it was switched off.
  The switch stays off, so no new run begins. Look:  ps -fp {pids}
  Wait for them, or end them if their owner agrees. Then:  ./runbook.py run"""


def argument_spec() -> dict[str, Any]:
    """Return the options, as documented above."""
    return {
        "state": {"type": "str", "choices": ["paused", "running"], "required": True},
        "cron_ini": {"type": "path"},
        "jobs": {"type": "list", "elements": "str", "default": ["all"]},
        "lock_directory": {"type": "path"},
        "banner": {"type": "path"},
        "window_start": {"type": "str"},
        "timeout_seconds": {"type": "float", "default": 120},
        "settle_seconds": {"type": "float", "default": 2},
    }


def banner_text(window_start: str | None) -> str:
    """Return the banner's line: the start of the window in UTC. Raises SwitchError if the site could not read it."""
    try:
        # fromisoformat knows "Z" only since Python 3.11
        start: datetime | None = datetime.fromisoformat(re.sub("Z$", "+00:00", window_start or ""))
    except ValueError:
        start = None
    if start is None or start.tzinfo is None:
        raise SwitchError(f"E-banner-time  {window_start!r} is not a time (expected 2026-12-09T08:00:00+00:00).")
    return start.astimezone(timezone.utc).isoformat() + "\n"


def wait_for_jobs(
    lock_directory: str, jobs: list[str] | None, timeout: float, settle: float
) -> tuple[list[dict[str, Any]], float]:
    """Wait until no job has held its lock for `settle` seconds; return (jobs that still hold one, seconds waited)."""
    began = free_since = time.monotonic()
    while True:
        held, now = [each.as_dict() for each in job_locks.held(lock_directory, jobs)], time.monotonic()
        free_since = now if held else free_since
        if not held and now - free_since >= settle:
            return [], now - began
        if held and now - began >= timeout:
            return held, now - began
        time.sleep(0.1)


def main() -> None:
    """Pause (banner, jobs, wait) or resume (jobs, banner)."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    options, pausing = module.params, module.params["state"] == "paused"
    names = None if options["jobs"] == ["all"] else options["jobs"]
    for name in names or []:
        if not JOB.fullmatch(name) or name == "all":
            module.fail_json(msg=f"E-unknown-job  {name!r} is not the name of a job ('all' only on its own).")
    try:
        ini = CronIni(options["cron_ini"], names) if options["cron_ini"] else None
        banner = Banner(options["banner"]) if options["banner"] else None
        wanted_banner = banner_text(options["window_start"]) if pausing and banner else None
        steps = in_order(banner, ini, wanted_banner, pausing=pausing)
        if not module.check_mode:
            for step in steps:
                step.run()
            if ini and pausing:
                ini.check_paused()
        facts = state_of(ini, banner)
    except SwitchError as error:
        module.fail_json(msg=str(error))

    result = dict(facts, changed=bool(steps), diff=[step.diff for step in steps], still_running=[], waited_seconds=0.0)
    result["kept"] = next((step.keeps for step in steps if step.keeps), None)
    result["stale_locks"] = []
    if ini and pausing and options["lock_directory"]:
        locks = job_locks.look(options["lock_directory"], names)
        result["stale_locks"] = [each.as_dict() for each in locks if each.stale]
        if module.check_mode:
            result["still_running"] = [each.as_dict() for each in locks if not each.stale]
        else:
            result["still_running"], result["waited_seconds"] = wait_for_jobs(
                options["lock_directory"], names, options["timeout_seconds"], options["settle_seconds"]
            )
            if result["still_running"]:
                module.fail_json(msg=describe(result, options["timeout_seconds"]), **result)
    module.exit_json(**result)


def in_order(banner: Banner | None, ini: CronIni | None, wanted: str | None, *, pausing: bool) -> list[SwitchStep]:
    """Return the steps in order: the banner goes up before anything is paused, and down after all is resumed."""
    told = banner.plan(wanted) if banner else None
    switched = (ini.plan_pause() if pausing else ini.plan_resume()) if ini else None
    return [step for step in ((told, switched) if pausing else (switched, told)) if step]


def state_of(ini: CronIni | None, banner: Banner | None) -> dict[str, Any]:
    """Return the present state of jobs and banner."""
    jobs = ini.known_jobs() if ini else []
    text = ini.text() if ini else None
    return {
        "jobs": jobs,
        "disabled": [job for job in jobs if not cron_switch.enabled(text, job)],
        "banner": banner.shown() if banner else None,
    }


def describe(result: Mapping[str, Any], timeout: float) -> str:
    """The message about jobs that do not end, and about locks that nobody holds."""
    held: Sequence[Mapping[str, Any]] = result["still_running"]
    process = {True: "pid {pid}: {command}", False: "no pid"}
    jobs = ", ".join(f"{one['job']} ({process[bool(one['pid'])].format(**one)})" for one in held)
    pids = ",".join(str(one["pid"]) for one in held if one["pid"])
    message = STILL_RUNNING.format(jobs=jobs, timeout=timeout, pids=pids or "PID")
    nameless = [one["lock"] for one in held if not one["pid"]]
    message += "".join(f"\n  {lock} names no process; if no such job runs:  rm {lock}" for lock in nameless)
    return message + "".join(f"\n  {one['text']}" for one in result["stale_locks"])


if __name__ == "__main__":
    main()
