#!/usr/bin/python
"""Look whether the merge is blessed by a CI, and run spurious failures again (R11)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: blessing
short_description: Look once whether a CI has blessed the merged revision, and run spurious failures again
description:
  - Takes one look. Call it with C(until). The revision is blessed when the last run of each named check on exactly this
    revision is green (R11). What a check is depends on the O(kind) of CI.
  - Runs a check again, a limited number of times, when it failed in a way that is known to be spurious, or when it
    did not come to its end, such as a cancelled one. Fails on any other failure.
  - Waits for a CI that does not answer, up to a limit of its own. If a server takes no more questions, asks nothing
    before the time that it names.
options:
  kind:
    description:
      - C(buildbot) asks the REST API (version 2) of a Buildbot master. A check is a builder.
      - C(github) asks GitHub's REST API. A check is a check run, such as a job of GitHub Actions, or the context of
        a commit status. If both have the name, both must be green.
      - C(gitlab) asks GitLab's REST API (version 4). A check is a job, or an external status.
      - C(forgejo) asks the API (version 1) of Forgejo or Gitea. A check is the context of a commit status. Nothing can
        be run again there.
      - C(command) runs O(command) for each check. It ends with 0 if the check is green, 1 if it is red, and 2 if it
        still runs. The last address that it prints is where a browser finds the run.
    type: str
    choices: [buildbot, github, gitlab, forgejo, command]
    default: buildbot
  url:
    description: Address of the Buildbot master's pages, or of the API, such as C(https://api.github.com),
      C(https://gitlab.example.com/api/v4) or C(https://forge.example.com/api/v1). Without TLS no token is sent, except
      to this machine.
    type: str
  repository:
    description: The repository, C(OWNER/NAME). In GitLab, the project's path or number.
    type: str
  command:
    description: The site's own command. C({check}), C({revid}), C({revno}) and C({branch}) in its words are replaced.
    type: list
    elements: str
    default: []
  again_command:
    description: The site's own command that runs a check again. Without one, O(kind=command) runs nothing again.
    type: list
    elements: str
    default: []
  checks:
    description: Names of the checks that must be green. No other counts.
    type: list
    elements: str
    required: true
  accepts:
    description: Words of the CI that may stand for success, beside it. By default there are none, for a check that
      was skipped has tested nothing.
    type: list
    elements: str
    choices: [neutral, skipped, warning]
    default: []
  revno:
    description: Number of the merged revision. In Bazaar, builds may name the revision by it and its branch.
    type: int
    required: true
  revid:
    description: Id of the merged revision, a revision id of Bazaar or a hash of git.
    type: str
    required: true
  branch:
    description: The merged branch as the CI names it. Empty when Buildbot's builders build no other branch.
    type: str
    default: ""
  spurious:
    description: Failures that are known not to be the code's fault.
    type: list
    elements: dict
    default: []
    suboptions:
      pattern:
        description: Regular expression, searched in the output of each failed test, or in the description where the CI
          shows no output.
        type: str
        required: true
      bug:
        description: Number of the bug about the failure.
        type: int
        required: true
      checks:
        description: Checks in which it happens. An empty list means all of them.
        type: list
        elements: str
        default: []
        aliases: [builders]
  reruns:
    description: How often each check may be run again for one revision.
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
    description: How long it may take until a check begins with the revision, or is there at all.
    type: float
    required: true
  down_minutes:
    description: How long the CI may be away.
    type: float
    required: true
  record:
    description: File that keeps, from one look to the next, which checks were run again, since when the CI is away, and
      until when it takes no more questions.
    type: path
    required: true
  user:
    description: User to log in to Buildbot as, if the master lets only users force a build.
    type: str
    default: ""
  password:
    description: The user's password.
    type: str
    default: ""
  token:
    description: The API's token; for Buildbot the bearer token that its proxy wants. A command has it as
      C(BLESSING_TOKEN) in its environment.
    type: str
    default: ""
  ca_file:
    description: Certificates to trust instead of the system's, in PEM. Not for Buildbot.
    type: path
  timeout_seconds:
    description: How long each answer, or each command, may take.
    type: float
    default: 30
attributes:
  check_mode: {support: full, description: "Looks, runs nothing again, and does not ask to be called again."}
extends_documentation_fragment: downtime.runbook.attributes.no_diff
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Wait for Buildbot
  downtime.runbook.blessing:
    url: https://lpbuildbot.example.com/
    checks: [lucid_lp, lucid_db_lp]
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

- name: Look at the checks of a commit on GitHub
  downtime.runbook.blessing:
    kind: github
    url: https://api.github.com
    repository: example/service
    token: "{{ vault_github_token }}"
    checks: [test, "migrations (postgresql-15)"]
    revno: 412
    revid: 0d4c4f1ad6a0b7a2a9f31a2b7c6a2d2f4d3e5c61
    waits_hours: 4
    start_minutes: 15
    down_minutes: 30
    record: var/rollouts/2026-12/blessing.json
"""

RETURN = r"""
finished:
  description: Whether the wait is over.
  returned: always
  type: bool
begun:
  description: When the wait began, in seconds since the epoch.
  returned: unless the CI refuses
  type: float
state:
  description: C(blessed), C(wait), C(rerun) (only in check mode), C(red), C(down) when the CI does not answer, or
    C(limited) when it takes no more questions for now.
  returned: unless the CI refuses
  type: str
line:
  description: The state of the checks in one line for a person.
  returned: unless the CI refuses
  type: str
  sample: lucid_lp ✓ 4:02 h · lucid_db_lp running 3:41 of about 4:10 h
progress:
  description: The line without what changes every second, and for how many seconds the longest check has run.
  returned: while it is waited for
  type: dict
  sample: {step: "lucid_lp ✓ · lucid_db_lp running, about 4:10 h", running_seconds: 13260}
blessed:
  description: The green checks of the revision, each C({check, run, seconds, url, reruns}).
  returned: unless the CI refuses
  type: list
  elements: dict
rerun:
  description: What was run again for this revision in any run, each C({check, run, url, why, bug}).
  returned: unless the CI refuses
  type: list
  elements: dict
evidence:
  description: The line, and one for each check that was run again.
  returned: unless the CI refuses
  type: list
  elements: str
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.ci.base import CiDownError, CiError, CiLimitedError
from ..module_utils.rollout_host.ci.look import down, limited, look
from ..module_utils.rollout_host.ci.record import Record, down_too_long, red, waited_too_long

SPURIOUS = {
    "pattern": {"type": "str", "required": True},
    "bug": {"type": "int", "required": True},
    "checks": {"type": "list", "elements": "str", "default": [], "aliases": ["builders"]},
}
WORDS = {"type": "list", "elements": "str", "default": []}
ARGUMENTS = {
    "kind": {"type": "str", "choices": ["buildbot", "github", "gitlab", "forgejo", "command"], "default": "buildbot"},
    "url": {"type": "str"},
    "repository": {"type": "str"},
    "command": WORDS,
    "again_command": WORDS,
    "checks": {"type": "list", "elements": "str", "required": True},
    "accepts": {**WORDS, "choices": ["neutral", "skipped", "warning"]},
    "revno": {"type": "int", "required": True},
    "revid": {"type": "str", "required": True},
    "branch": {"type": "str", "default": ""},
    "spurious": {"type": "list", "elements": "dict", "default": [], "options": SPURIOUS},
    "reruns": {"type": "int", "default": 2},
    "begun": {"type": "float"},
    "waits_hours": {"type": "float", "required": True},
    "start_minutes": {"type": "float", "required": True},
    "down_minutes": {"type": "float", "required": True},
    "record": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "token": {"type": "str", "default": "", "no_log": True},
    "ca_file": {"type": "path"},
    "timeout_seconds": {"type": "float", "default": 30},
}


def main() -> None:
    """Read the arguments, look at the CI, and answer."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params, check = module.params, module.check_mode
    params["begun"] = time.time() if params["begun"] is None else params["begun"]
    record = Record(params["record"], params["revid"], keep=not check)
    try:
        result = look(params, record, check=check)
        record.up()
    except CiDownError as error:
        result = down(error, record, params)
    except CiLimitedError as error:
        result = limited(error, record, params)
    except (CiError, OSError, OverflowError) as error:
        told = f"E-ci-refused  {error}\n  Then:  ./runbook.py run blessing"
        module.fail_json(msg=told, finished=True, facts={"rerun": record.rerun})
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
        facts = {name: result[name] for name in ("evidence", "blessed", "rerun")}
        module.fail_json(msg=message, facts=facts, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
