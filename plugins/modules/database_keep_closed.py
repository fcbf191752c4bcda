#!/usr/bin/python
"""Close access to a database and keep it closed while others work: a partial downtime."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_keep_closed
short_description: Close a database to users, keep it closed, and open it again
description:
  - Serves work that needs a downtime and deploys nothing (R18).
  - O(state=closed) starts a worker on the host, which closes access, ends the users' sessions, and keeps access closed
    until it is told to open it. The module returns once the users are out.
  - The worker needs nothing from the control machine, and goes on when PostgreSQL is restarted. At the end of O(window)
    it opens access by itself. If it dies, a guardian opens access.
  - O(state=look) changes nothing and tells whether access is kept closed.
  - O(state=open) tells the worker to open access, and waits until it has. If the worker was killed,
    M(downtime.runbook.database_access) opens what it left closed.
options:
  state:
    description: What to do. C(look) only looks.
    type: str
    choices: [closed, look, open]
    required: true
  run_id:
    description: Id of this run. It marks the worker and its sessions. It is needed to close.
    type: str
  window:
    description: The window, at whose end the worker opens access by itself. It is needed to close.
    type: dict
    suboptions:
      start:
        description: An instant, such as C(2026-12-09T08:00:00Z).
        type: str
        required: true
      minutes:
        description: Length of the window.
        type: float
        required: true
  required:
    description: With O(state=look), fail unless access is kept closed.
    type: bool
    default: false
attributes:
  check_mode:
    description: Looks, and touches nothing.
    support: full
extends_documentation_fragment:
  - downtime.runbook.database
  - downtime.runbook.database.access
  - downtime.runbook.rollout.clock
  - downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Close access and keep it closed
  downtime.runbook.database_keep_closed:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    state: closed
    run_id: 2026-12-partial-downtime/0007-close-1
    window: {start: 2026-12-09T08:00:00Z, minutes: 90}

- name: Open access
  downtime.runbook.database_keep_closed:
    dsn: host=127.0.0.1 user=postgres dbname=launchpad_prod
    state: open
"""

RETURN = r"""
kept_closed:
  description: Whether access is kept closed now.
  returned: success
  type: bool
run_id:
  description: Id of the run that closed access; null when no run of ours did.
  returned: success
  type: str
outage_seconds:
  description: How long access has been closed, or was; null when it was not.
  returned: success
  type: float
opens_at:
  description: When the worker opens access by itself, ISO 8601 in UTC; null when access is not kept closed.
  returned: success
  type: str
  sample: "2026-12-09T09:30:00+00:00"
summary:
  description: One line for people.
  returned: success
  type: str
  sample: access is kept closed, for 12 s so far · 38 connections ended · it opens by itself at 09:30:00 UTC
locked_out:
  description: Whether access is still closed. The message holds the command that opens it.
  returned: on failure
  type: bool
verdict:
  description: C(abort), the rollout must be aborted.
  returned: when no time is left, or access is not kept closed though it is required
  type: str
"""

import signal
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.time.timeline import parse_instant
from ..module_utils.rollout_host.database.access.postgres import access as access_of
from ..module_utils.rollout_host.database.arguments import ACCESS, DATABASE, check_connections
from ..module_utils.rollout_host.database.connection import (
    RolloutError,
    connect,
    message,
    require_primary,
)
from ..module_utils.rollout_host.database.conninfo import database_name
from ..module_utils.rollout_host.database.driver import psycopg
from ..module_utils.rollout_host.database.outage.bundle import bring
from ..module_utils.rollout_host.database.outage.detached import result as kept_result
from ..module_utils.rollout_host.database.outage.detached import start
from ..module_utils.rollout_host.database.work.keep_closed import WORK, Keeper
from ..module_utils.rollout_host.services import processes

ARGUMENTS = {
    **DATABASE,
    **ACCESS,
    "state": {"type": "str", "choices": ["closed", "look", "open"], "required": True},
    "run_id": {"type": "str"},
    "window": {
        "type": "dict",
        "options": {"start": {"type": "str", "required": True}, "minutes": {"type": "float", "required": True}},
    },
    "required": {"type": "bool", "default": False},
    "clock_offset": {"type": "float", "default": 0},
}
CLOSES_WITHIN = 60.0  # ending sessions gives up after 10
OPENS_WITHIN = 60.0  # opening gives up after 30
LOOK_SECONDS = 0.05


def close(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Have a worker keep access closed; if one does so already, it is left alone. Raises RolloutError."""
    keeper = last(params)
    if keeper and keeper.keeps:
        return {"changed": False, **told(params, keeper)}
    window_ends = parse_instant(params["window"]["start"]) + timedelta(minutes=params["window"]["minutes"])
    seconds = (window_ends - now(params)).total_seconds()
    if seconds <= 0:
        said = f"the window ended {window_ends:%F %H:%M} UTC.\nNothing was touched."
        raise RolloutError(f"E-keep-closed-deadline  {said} Then: undo the window's stages (R19)", verdict="abort")
    with connect(params["dsn"], f"check {params['run_id']}"[:63]) as connection:
        require_primary(connection)
        access_of(
            connection, params["dsn"], params["state_directory"], params["pools"]
        ).refuse_if_closed_by_someone_else()
    if check:
        return {"changed": True, **told(params, None)}
    spec = {**params, "work": WORK, "deadline_seconds": seconds, "patches": [], "standbys": []}
    _, answer_file = start(bring(params["state_directory"]), spec, 0)
    until = time.monotonic() + CLOSES_WITHIN
    while time.monotonic() < until:
        if answer := kept_result(answer_file):
            raise failed(answer)
        keeper = last(params)
        if keeper and keeper.keeps and keeper.run_id == params["run_id"]:
            return {"changed": True, **told(params, keeper)}
        time.sleep(LOOK_SECONDS)
    open_(params, check=False)
    raise RolloutError(f"E-not-closed  users were not out after {CLOSES_WITHIN:.0f} s; access is open again.")


def open_(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Have the worker open access, and wait for that. Raises RolloutError if it could not."""
    keeper = last(params)
    process = keeper and keeper.process
    if not keeper or not process or check:
        return {"changed": bool(process), **told(params, keeper)}
    processes.ask([process], signal.SIGTERM)
    processes.wait([process], OPENS_WITHIN)
    answer = keeper.result
    if answer and answer["failed"] and answer.get("locked_out"):
        raise failed(answer)
    return {"changed": True, **told(params, last(params))}


def last(params: dict[str, Any]) -> Keeper | None:
    """Return the worker that last kept access to this database closed, or None."""
    return Keeper.last(params["state_directory"], database_name(params["dsn"]))


def told(params: dict[str, Any], keeper: Keeper | None) -> dict[str, Any]:
    """Return how access is kept closed, as the module returns it."""
    answer = keeper.result if keeper and not keeper.keeps else None
    run_id = keeper.run_id if keeper else None
    if keeper and keeper.keeps:
        opens = now(params) + timedelta(seconds=keeper.seconds_left)
        so_far = f"for {keeper.seconds:.0f} s so far · {keeper.state['ended_sessions']} connections ended"
        said = f"access is kept closed, {so_far} · it opens by itself at {opens:%H:%M:%S} UTC"
        opens_at = opens.isoformat(timespec="seconds")
        known = {"kept_closed": True, "run_id": run_id, "outage_seconds": keeper.seconds}
        return {**known, "opens_at": opens_at, "summary": said}
    known = {"kept_closed": False, "run_id": run_id, "outage_seconds": None, "opens_at": None}
    if not answer:
        return {**known, "summary": "access is not kept closed by a worker of ours"}
    seconds = answer.get("outage_seconds", 0.0)
    said = failed(answer).args[0].splitlines()[0] if answer["failed"] else "access is open again"
    return {**known, "outage_seconds": seconds, "summary": f"{said} · users were out for {seconds:.1f} s"}


def refuse_unheld(params: dict[str, Any], found: dict[str, Any]) -> None:
    """Raise RolloutError E-not-kept-closed if access should be kept closed and is not."""
    if params["required"] and not found["kept_closed"]:
        raise RolloutError(
            f"E-not-kept-closed  users may be in: {found['summary']}.\n"
            "Then: see how far the site's work came; ./runbook.py run close_access closes it again",
            verdict="abort",
        )


def failed(answer: dict[str, Any]) -> RolloutError:
    """Return the worker's failure as an error of this module."""
    facts = {key: answer[key] for key in ("locked_out", "verdict", "facts") if key in answer}
    return RolloutError(
        answer.get("msg") or f"E-keep-closed-crashed  {answer['crashed'].strip().splitlines()[-1]}", **facts
    )


def now(params: dict[str, Any]) -> datetime:
    """Return the rollout's time."""
    return datetime.now(timezone.utc) + timedelta(seconds=params["clock_offset"])


def main() -> None:
    """Read the arguments, close or open access, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True, required_if=[("state", "closed", ["run_id", "window"])])
    check_connections(module)
    params = module.params
    try:
        if params["state"] == "closed":
            answer = close(params, check=module.check_mode)
        elif params["state"] == "open":
            answer = open_(params, check=module.check_mode)
        else:
            answer = {"changed": False, **told(params, last(params))}
            if not module.check_mode:
                refuse_unheld(params, answer)
    except (RolloutError, psycopg.Error, OSError, ValueError) as error:
        module.fail_json(msg=message(error), **{"locked_out": False, **getattr(error, "facts", {})})
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
