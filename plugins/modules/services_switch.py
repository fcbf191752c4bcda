#!/usr/bin/python
"""Pause, resume or restart the services of one host in one call (R5)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: services_switch
short_description: Pause, resume or restart the services of a host
description:
  - Pauses the services in their order. What is at work then is waited for, and the service is looked at again, before
    the next one.
  - How a service was is written into O(state_directory) before it is touched. Resuming brings each back exactly so, the
    last first. What was paused already stays so. Both can be interrupted at any point and repeated.
  - One that cannot be resumed does not keep the others from it; then the module fails and names it.
options:
  state:
    description: Whether the services are to be paused, to run as before, or to be restarted.
    type: str
    choices: [paused, running, restarted]
    required: true
  services:
    description: The services, in the order in which they are paused.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What people call it. No two of a host have one name.
        type: str
        required: true
      kind:
        description:
          - C(systemd) needs O(services[].unit). C(command) needs O(services[].stop), O(services[].start) and
            O(services[].check). C(cron) and C(flag) need O(services[].path), C(banner) too; its O(services[].text) is
            O(window_start) in UTC unless it is given. C(http) needs O(services[].url) and O(services[].paused).
          - C(systemd) and C(command) can be restarted.
        type: str
        choices: [systemd, command, cron, flag, banner, http]
        required: true
      unit:
        description: The unit, with its suffix. It is stopped and started, never enabled or disabled. Of a timer, the
          units that it has started are waited for.
        type: str
      systemctl:
        description: The beginning of each command to systemd, such as C([sudo, -n, systemctl]) or
          C([systemctl, --user]).
        type: list
        elements: str
        default: [systemctl]
      stop:
        description: The command that stops it, as argv. What it starts must be the service manager's.
        type: list
        elements: str
        default: []
      start:
        description: The command that starts it.
        type: list
        elements: str
        default: []
      check:
        description: The command that tells how it is. 0 means that it runs, 1 or 3 that it is stopped, anything else
          that this is not known.
        type: list
        elements: str
        default: []
      restart:
        description: The command that restarts it; without one, it is stopped and started.
        type: list
        elements: str
        default: []
      path:
        description:
          - Of C(cron), the INI file that switches the jobs, with a section for each job and a key C(enabled). A job
            that cannot read it runs, so it is read back after it was written. The original waits as
            C(FILE.before-pause); a paused file that somebody has edited is kept as C(FILE.while-paused).
          - Of C(flag), the file that pauses the service by being there. Of C(banner), the one that the web server
            shows.
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
          - A lock file whose process does not exist any more, or began after the file was written, is stale and not
            waited for. One without a process id is.
        type: path
      text:
        description: What the banner says.
        type: str
      url:
        description: Where the flag is read (GET, a JSON object) and written.
        type: str
      token:
        description: The token, from the vault, that goes with each request in a header. Redirects are not followed.
        type: str
        default: ""
      token_header:
        description: The header that the token goes in.
        type: str
        default: Authorization
      token_prefix:
        description: What comes before the token there.
        type: str
        default: "Bearer "
      method:
        description: The method that writes.
        type: str
        choices: [PUT, POST, PATCH]
        default: PUT
      paused:
        description: The fields that are sent as JSON to pause it. Resuming sends these fields with the values that they
          had.
        type: dict
      timeout_seconds:
        description: How long this service is waited for; O(timeout_seconds) unless it is given.
        type: float
  restart:
    description: What is restarted, in this order. Services of the kinds C(systemd) and C(command), each with the
      options of O(services), or one command as a list of words.
    type: list
    elements: raw
    default: []
  window_start:
    description: Start of the window, ISO 8601 with its offset from UTC, for a banner without a text.
    type: str
  timeout_seconds:
    description: How long a service is waited for, and each of its commands.
    type: float
    default: 120
  settle_seconds:
    description: For how long no cron job may have held its lock. A job that read the switch just before takes its lock
      just after.
    type: float
    default: 2
  state_directory:
    description: Where the records of the pauses are kept.
    type: path
    default: ~/.rollout
attributes:
  check_mode:
    description: Returns what it would do and what is at work now, and waits for nothing.
    support: full
  diff_mode:
    description: Shows the change of each service.
    support: full
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Pause the services
  downtime.runbook.services_switch:
    state: paused
    window_start: "2026-12-09T08:00:00+00:00"
    services:
      - {name: banner, kind: banner, path: /srv/launchpad/+maintenancetime.txt}
      - {name: cron, kind: cron, path: /srv/launchpad/etc/cron.ini, lock_directory: /var/lock}
      - {name: nightly reports, kind: systemd, unit: reports.timer, systemctl: [sudo, -n, systemctl]}
      - name: sign-ups
        kind: http
        url: https://flags.example.com/api/sign-ups
        token: "{{ vault_flags_token }}"
        paused: {enabled: false}

- name: Restart the application
  downtime.runbook.services_switch:
    state: restarted
    restart: [{name: application, kind: systemd, unit: app.service}]
"""

RETURN = r"""
services:
  description:
    - Each service that was looked at, in the order of the work. C(was) is C(running) or C(paused), before the pause.
      C(text) says how it is at the end; in check mode, how it was found.
    - C(still_running) and C(stale) are lines about what is at work, and about traces of work that nobody does any more.
      C(waited_seconds) is how long it took until nothing was at work. C(kept) says where an edit of a paused file is.
  returned: always
  type: list
  elements: dict
  sample: [{name: cron, kind: cron, changed: true, was: running, text: "expire off", still_running: [], stale: [],
    waited_seconds: 2.1, kept: null}]
"""

import re
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.services import switching
from ..module_utils.rollout_host.services.kinds.base import ServiceError
from ..module_utils.rollout_host.services.kinds.table import OPTIONS, restarted, services
from ..module_utils.rollout_host.services.record import Records

JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def argument_spec() -> dict[str, Any]:
    """Return the options, as documented above."""
    return {
        "state": {"type": "str", "choices": ["paused", "running", "restarted"], "required": True},
        "services": {"type": "list", "elements": "dict", "default": [], "options": OPTIONS},
        "restart": {"type": "list", "elements": "raw", "default": []},
        "window_start": {"type": "str"},
        "timeout_seconds": {"type": "float", "default": 120},
        "settle_seconds": {"type": "float", "default": 2},
        "state_directory": {"type": "path", "default": "~/.rollout"},
    }


def banner_text(window_start: str | None) -> str:
    """Return the banner's line: the start of the window in UTC. Raises ServiceError if the site could not read it."""
    try:
        # fromisoformat knows "Z" only since Python 3.11
        start: datetime | None = datetime.fromisoformat(re.sub("Z$", "+00:00", window_start or ""))
    except ValueError:
        start = None
    if start is None or start.tzinfo is None:
        raise ServiceError(f"E-banner-time  {window_start!r} is not a time (expected 2026-12-09T08:00:00+00:00).")
    return start.astimezone(timezone.utc).isoformat()


def entry(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return a service as its kind takes it: a banner has a text. Raises ServiceError."""
    for job in given["jobs"]:
        if given["jobs"] != ["all"] and (not JOB.fullmatch(job) or job == "all"):
            raise ServiceError(f"E-unknown-job  {job!r} is not the name of a job ('all' only on its own).")
    if given["kind"] != "banner" or given["text"]:
        return given
    pausing = options["state"] == "paused"  # to be resumed, it only needs any text
    return {**given, "text": banner_text(options["window_start"]) if pausing else "maintenance"}


def main() -> None:
    """Pause, resume or restart."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    options, check = module.params, module.check_mode
    done: list[dict[str, Any]] = []
    errors: list[ServiceError] = []
    restarting = options["state"] == "restarted"
    try:
        entries = [entry(each, options) for each in options["services"]]
        found = services(entries, options["timeout_seconds"])
        records = Records(options["state_directory"])
        if restarting:
            again = restarted(options["restart"], options["timeout_seconds"])
            for service in [] if check else again:
                service.restart()
        elif options["state"] == "paused":
            switching.pause_all(found, records, options["settle_seconds"], done, check=check)
        else:
            errors = switching.resume_all(found, records, done, check=check)
    except ServiceError as error:
        errors = [error]
    changes = [each.pop("diff") for each in done if "diff" in each]
    changed = restarting or any(each["changed"] for each in done)
    result: dict[str, Any] = {"changed": changed, "services": done, "diff": changes}
    if errors:
        module.fail_json(msg="\n".join(map(str, errors)), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
