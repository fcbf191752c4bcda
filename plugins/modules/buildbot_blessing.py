#!/usr/bin/python
"""Look whether Buildbot blesses the merge, and force spurious failures again (R11)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: buildbot_blessing
short_description: Look once whether Buildbot has blessed the merged revision, and force spurious failures again
description:
  - Takes one look. Call it with C(until). The revision is blessed when the last build of exactly this revision is green
    on every builder (R11).
  - Forces a build again, a limited number of times, when it failed in a way that is known to be spurious, or when it
    did not come to its end (exception, retry, cancelled, skipped). Fails on any other failure.
  - Waits for a master that does not answer, up to a limit of its own.
  - Reads Buildbot's REST API, version 2.
options:
  url:
    description: Address of the Buildbot master's pages.
    type: str
    required: true
  builders:
    description: Names of the builders that must bless the revision.
    type: list
    elements: str
    required: true
  revno:
    description: Number of the merged revision. In Bazaar, builds may name the revision by it and its branch.
    type: int
    required: true
  revid:
    description: Id of the merged revision, a revision id of Bazaar or a hash of git.
    type: str
    required: true
  branch:
    description: The merged branch as Buildbot names it. Empty when the builders build no other branch.
    type: str
    default: ""
  spurious:
    description: Failures that are known not to be the code's fault.
    type: list
    elements: dict
    default: []
    suboptions:
      pattern:
        description: Regular expression, searched in the output of each failed test.
        type: str
        required: true
      bug:
        description: Number of the bug about the failure.
        type: int
        required: true
      builders:
        description: Builders on which it happens. An empty list means all of them.
        type: list
        elements: str
        default: []
  forces:
    description: How often each builder may be forced again for one revision.
    type: int
    default: 2
  begun:
    description:
      - When the wait began, in seconds since the epoch, as the first look returned it. All limits count from then.
      - The default is now, for the first look.
    type: float
  waits_hours:
    description: How long to wait in all.
    type: float
    required: true
  start_minutes:
    description: How long an idle builder may take to begin with the revision.
    type: float
    required: true
  down_minutes:
    description: How long the master may be away.
    type: float
    required: true
  record:
    description: File that keeps, from one look to the next, which builds were forced again and since when the master is
      away.
    type: path
    required: true
  user:
    description: User to log in as, if the master lets only users force a build.
    type: str
    default: ""
  password:
    description: The user's password.
    type: str
    default: ""
  token:
    description: Bearer token, if the master's proxy wants one.
    type: str
    default: ""
  timeout_seconds:
    description: How long each answer of the master may take.
    type: float
    default: 10
attributes:
  check_mode: {support: full, description: "Looks, forces nothing, and does not ask to be called again."}
extends_documentation_fragment: downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Wait for the blessing
  downtime.runbook.buildbot_blessing:
    url: https://lpbuildbot.example.com/
    builders: [lucid_lp, lucid_db_lp]
    revno: 12735
    revid: launchpad@pqm.example.com-20261207080341-0123456789abcdef
    branch: devel
    spurious: [{pattern: Could not kill stale process, bug: 612345}]
    begun: "{{ first_look.begun }}"
    waits_hours: 8
    start_minutes: 30
    down_minutes: 60
    record: var/rollouts/2026-12/blessing.json
  register: blessing
  until: blessing.finished
  retries: 480
  delay: 60
"""

RETURN = r"""
finished:
  description: Whether the wait is over.
  returned: always
  type: bool
begun:
  description: When the wait began, in seconds since the epoch.
  returned: unless Buildbot refuses
  type: float
state:
  description: C(blessed), C(wait), C(force) (only in check mode), C(red), or C(down) when the master does not answer.
  returned: unless Buildbot refuses
  type: str
line:
  description: The state of the builds in one line for a person.
  returned: unless Buildbot refuses
  type: str
  sample: lucid_lp ✓ 4:02 h · lucid_db_lp running 3:41 of about 4:10 h
progress:
  description: The line without what changes every second, and for how many seconds the longest build has run.
  returned: while it is waited for
  type: dict
  sample: {step: "lucid_lp ✓ · lucid_db_lp running, about 4:10 h", running_seconds: 13260}
blessed:
  description: The green builds of the revision, each C({builder, build, seconds, url, forced}).
  returned: unless Buildbot refuses
  type: list
  elements: dict
forced:
  description: The builds of this revision that were forced again in any run, each C({builder, build, url, why, bug}).
  returned: unless Buildbot refuses
  type: list
  elements: dict
evidence:
  description: The line, and one for each build that was forced again.
  returned: unless Buildbot refuses
  type: list
  elements: str
"""

import re
import time
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.merge.blessing import Blessing, BlessingQuestion, Limits, Spurious, judge
from ..module_utils.rollout_core.merge.builds import Builder, Merged, builds_of
from ..module_utils.rollout_host.ci.blessing import Record, down_too_long, red, waited_too_long
from ..module_utils.rollout_host.ci.buildbot import Buildbot, BuildbotDownError, BuildbotError

SPURIOUS = {
    "pattern": {"type": "str", "required": True},
    "bug": {"type": "int", "required": True},
    "builders": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "builders": {"type": "list", "elements": "str", "required": True},
    "revno": {"type": "int", "required": True},
    "revid": {"type": "str", "required": True},
    "branch": {"type": "str", "default": ""},
    "spurious": {"type": "list", "elements": "dict", "default": [], "options": SPURIOUS},
    "forces": {"type": "int", "default": 2},
    "begun": {"type": "float"},
    "waits_hours": {"type": "float", "required": True},
    "start_minutes": {"type": "float", "required": True},
    "down_minutes": {"type": "float", "required": True},
    "record": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "token": {"type": "str", "default": "", "no_log": True},
    "timeout_seconds": {"type": "float", "default": 10},
}


def look(params: dict[str, Any], record: Record, *, check: bool) -> dict[str, Any]:
    """Look once, and force again what may be. Raises BuildbotError; BuildbotDownError if it does not answer."""
    given = {name: params[name] for name in ("url", "user", "password", "token")}
    buildbot = Buildbot(timeout=params["timeout_seconds"], **given)
    question = asked(params, record)
    builders = read(buildbot, params["builders"], question.merged)
    blessing = judge(builders, question)
    changed = False
    if blessing.state == "force" and not check:
        for verdict in (each for each in blessing.verdicts if each.state == "spurious"):
            buildbot.force_again(verdict.build)
            record.forced_again(verdict)
            changed = True
    return {"changed": changed, "blessing": blessing, **answer(blessing, record)}


def read(buildbot: Buildbot, names: list[str], merged: Merged) -> list[Builder]:
    """Return the builders' facts; failed steps are read only for a build that is the revision's last."""
    ids = buildbot.builder_ids()
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise BuildbotError(f"{buildbot.url} has no builder {', '.join(unknown)}; it has {', '.join(sorted(ids))}")
    found = []
    for builder in (buildbot.builder(name, ids[name]) for name in names):
        last = builds_of(builder, merged)[-1:]
        failed = {build["number"]: buildbot.failed_steps(build) for build in last if build["complete"]}
        found.append(replace(builder, failed=failed))
    return found


def asked(params: dict[str, Any], record: Record) -> BlessingQuestion:
    """Return the question to the builders. Raises BuildbotError for a pattern that is no regular expression."""
    for each in params["spurious"]:
        try:
            re.compile(each["pattern"])
        except re.error as error:
            raise BuildbotError(f"the pattern {each['pattern']!r} of bug {each['bug']} is wrong: {error}") from error
    return BlessingQuestion(
        Merged(params["revno"], params["revid"], params["branch"]),
        [Spurious(each["pattern"], each["bug"], tuple(each["builders"])) for each in params["spurious"]],
        Limits(params["forces"], params["start_minutes"] * 60),
        now=time.time(),
        begun=params["begun"],
        forced=record.builds,
    )


def answer(blessing: Blessing, record: Record) -> dict[str, Any]:
    """Return the module's answer after a look."""
    green = [verdict for verdict in blessing.verdicts if verdict.state == "green"]
    blessed = [
        {
            "builder": verdict.builder,
            "build": verdict.build["number"],
            "seconds": round(verdict.seconds, 3),
            "url": verdict.url,
            "forced": verdict.forced,
        }
        for verdict in green
    ]
    lasts = [verdict.seconds for verdict in blessing.verdicts if verdict.state in ("running", "pending")]
    return {
        "state": blessing.state,
        "finished": blessing.state in ("blessed", "red"),
        "line": blessing.line,
        "progress": {"step": blessing.step, "running_seconds": round(max(lasts, default=0.0), 3)},
        "blessed": blessed,
        "forced": record.forced,
        "evidence": [blessing.line, *record.lines()],
    }


def down(error: Exception, record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's answer for a master that does not answer."""
    now = time.time()
    seconds = max(0.0, now - max(record.down_since(now), params["begun"]))
    line = f"Buildbot is away: {error}"
    return {
        "changed": False,
        "state": "down",
        "finished": False,
        "line": line,
        "progress": {"step": line, "running_seconds": round(seconds, 3)},
        "blessed": [],
        "forced": record.forced,
        "evidence": [line, *record.lines()],
        "too_long": seconds > params["down_minutes"] * 60,
    }


def main() -> None:
    """Read the arguments, look at Buildbot, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params, check = module.params, module.check_mode
    params["begun"] = time.time() if params["begun"] is None else params["begun"]
    record = Record(params["record"], params["revid"], keep=not check)
    try:
        result = look(params, record, check=check)
        record.up()
    except BuildbotDownError as error:
        result = down(error, record, params)
    except (BuildbotError, OSError, re.error) as error:
        told = f"E-buildbot-refused  {error}\n  Then:  ./runbook.py run blessing"
        module.fail_json(msg=told, finished=True, facts={"forced": record.forced})
    blessing = result.pop("blessing", None)
    message = None
    if result["state"] == "red":
        message = red(blessing, " ".join(filter(None, [params["branch"], f"r{params['revno']}"])))
    elif result.pop("too_long", False):
        message = down_too_long(result["line"], params["down_minutes"])
    elif not result["finished"] and time.time() - params["begun"] > params["waits_hours"] * 3600:
        message = waited_too_long(result["line"], params["waits_hours"])
    result["begun"] = params["begun"]
    result["finished"] = result["finished"] or check or message is not None
    if result["finished"]:
        del result["progress"]
    if message:
        facts = {name: result[name] for name in ("evidence", "blessed", "forced")}
        module.fail_json(msg=message, facts=facts, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
