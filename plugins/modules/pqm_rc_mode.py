#!/usr/bin/python
"""Put a branch into PQM's RC mode and take it out again (R13)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pqm_rc_mode
short_description: Put a branch into PQM's RC mode, or take it out
description:
  - PQM's configuration is an INI file with a section for each branch. Its key C(commit_re) is the expression that a
    commit message must match. In RC mode, C(commit_re) lets only C([release-critical=NAME]) land. Beside it,
    C(commit_re_open) keeps the open branch's expression, C(rc_since) and C(rc_for) say since when and for which
    rollout, and C(rc_tip) is the id of the branch's tip when RC mode was set.
  - Entering only renames the line of the open expression. So leaving restores the file byte for byte, except for what
    others edited in it meanwhile, which stays.
  - Replaces the file by one rename, with its owner and mode. A symbolic link is followed. If a call was interrupted,
    the next one completes it.
  - Neither takes over nor ends RC mode that another rollout set, unless O(take_over) names that rollout.
options:
  path:
    description: PQM's configuration.
    type: path
    required: true
  branch:
    description: The branch's section.
    type: str
    default: devel
  state:
    description: Whether the branch is to be in RC mode. Use check mode to ask only.
    type: str
    choices: [rc, open]
    required: true
  reason:
    description: The rollout's id, or a reason. It is noted as C(rc_for).
    type: str
    required: true
  take_over:
    description: Other rollouts, by their C(rc_for), whose RC mode may be taken over or ended. RC mode without C(rc_for)
      is C(nobody)'s.
    type: list
    elements: str
    default: []
  location:
    description: The branch as everybody reads it, a URL or path. Its tip is noted, and later compared with the noted
      one.
    type: str
    required: true
attributes:
  check_mode:
    description: Returns the state now, and what would be done.
    support: full
  diff_mode:
    description: Shows the change of the file.
    support: full
extends_documentation_fragment:
  - downtime.runbook.vcs
  - downtime.runbook.rollout.clock
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Let only what is release-critical land on devel
  downtime.runbook.pqm_rc_mode:
    path: /home/pqm/pqm.conf
    state: rc
    reason: 2026-12
    location: lp:~launchpad-pqm/launchpad/devel
"""

RETURN = r"""
in_rc_mode:
  description: Whether the branch is in RC mode at the end; in check mode, when the module looked.
  type: bool
  returned: success
since:
  description: Since when it is in RC mode, ISO 8601 in UTC; null when it is not, or nobody noted it.
  type: str
  returned: success
  sample: "2026-12-07T08:03:11+00:00"
reason:
  description: For which rollout or why it is in RC mode; null when it is not, or nobody noted it.
  type: str
  returned: success
ours:
  description: Whether it is in RC mode for O(reason), or for a rollout in O(take_over).
  type: bool
  returned: success
commit_re:
  description: The expression that a commit message must match at the end.
  type: str
  returned: success
tip:
  description: The branch's tip now; null while the branch is open.
  type: dict
  returned: success
  sample: {revno: 12735, revid: pqm@prae-20261207080412-x1y2z3}
as_before:
  description: Whether the branch is in RC mode and its tip equals, by revision or content, that when RC mode was set.
  type: bool
  returned: success
why:
  description: Why C(as_before) is true or false, in a sentence.
  type: str
  returned: success
  sample: devel is as before, at 12734
dropped:
  description: The expression of RC mode, if somebody had edited it and it is gone now; else null.
  type: str
  returned: success
"""

import json
import shlex
from pathlib import Path
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.merge import pqm_configuration, rc_mode
from ..module_utils.rollout_host.pqm.branch import BranchError, GuardedBranch
from ..module_utils.rollout_host.pqm.configuration import Configuration, RcModeError, now
from ..module_utils.rollout_host.vcs import kinds

NOBODY = "nobody"
TAKEN = """E-rc-mode-taken  {branch} is in RC mode already, for {who} since {since}, not for {reason} ({path}).
  Nothing was changed. Is that over, and nothing of it still to land?
    ansible-playbook playbooks/{playbook}.yml -e @PLAN -e {take_over}
  Then:  ./runbook.py run"""


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options, as documented above."""
    return {
        "path": {"type": "path", "required": True},
        "branch": {"type": "str", "default": "devel"},
        "state": {"type": "str", "choices": ["rc", "open"], "required": True},
        "reason": {"type": "str", "required": True},
        "take_over": {"type": "list", "elements": "str", "default": []},
        "location": {"type": "str", "required": True},
        **kinds.ARGUMENTS,
        "clock_offset": {"type": "float", "default": 0},
    }


def check_owner(options: Mapping[str, Any], mode: pqm_configuration.Mode, path: Path) -> None:
    """Raise RcModeError if RC mode was set for another rollout, whose it is."""
    who = mode.reason or NOBODY
    if mode.in_rc_mode and who not in (options["reason"], *options["take_over"]):
        playbook = "rc_mode_enter" if options["state"] == "rc" else "rc_mode_leave"
        take_over = shlex.quote(json.dumps({"pqm_rc_mode_take_over": [who]}))
        since = mode.since or "nobody knows when"
        words = {"who": who, "since": since, "path": path, "playbook": playbook, "take_over": take_over}
        raise RcModeError(TAKEN.format(branch=options["branch"], reason=options["reason"], **words))


def wanted(options: Mapping[str, Any], text: str, tip: tuple[int, str] | None) -> str:
    """Return the text that the file should have."""
    if tip is None:  # the branch is to be open
        return pqm_configuration.leave(text, options["branch"])
    since = now(options["clock_offset"])
    return pqm_configuration.enter(text, options["branch"], since=since, reason=options["reason"], tip=tip[1])


def switch(
    options: Mapping[str, Any], file: Configuration, guarded: GuardedBranch, tip: tuple[int, str] | None
) -> None:
    """Switch the mode in the file. A revision that lands while we switch belongs to the branch as it was before."""
    before = file.text
    file.replace(wanted(options, before, tip))
    if tip and not pqm_configuration.read(before, options["branch"]).in_rc_mode:
        landed = guarded.tip()
        if landed != tip:
            file.replace(wanted(options, before, landed))


def facts(options: Mapping[str, Any], text: str, guarded: GuardedBranch) -> dict[str, Any]:
    """Return the present facts. An open branch is not read, so that RC mode can be left while its server is down."""
    mode = pqm_configuration.read(text, options["branch"])
    tip = guarded.tip() if mode.in_rc_mode else None
    release = guarded.release(mode.tip, tip) if tip else None
    return {
        "in_rc_mode": mode.in_rc_mode,
        "since": mode.since if mode.in_rc_mode else None,
        "reason": mode.reason if mode.in_rc_mode else None,
        "ours": mode.in_rc_mode and (mode.reason or NOBODY) in (options["reason"], *options["take_over"]),
        "commit_re": mode.commit_re,
        "tip": {"revno": tip[0], "revid": tip[1]} if tip else None,
        "as_before": bool(release and release.released),
        "why": release.why if release else f"{options['branch']} is not in RC mode",
    }


def dropped(before: str, branch: str, state: str) -> str | None:
    """Return RC mode's expression if somebody has edited it and this switch drops it; else None."""
    mode = pqm_configuration.read(before, branch)
    edited = mode.in_rc_mode and mode.commit_re not in (None, rc_mode.RC, mode.commit_re_open)
    return mode.commit_re if edited and (state == "open" or not pqm_configuration.holds_back(mode.commit_re)) else None


def run(module: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Switch unless that is done already, and return the facts. Raises RcModeError, BranchError and ValueError."""
    file = Configuration(options["path"])
    before = file.text
    guarded = GuardedBranch(options["branch"], options["location"], kinds.named(options))
    if not module.check_mode:
        check_owner(options, pqm_configuration.read(before, options["branch"]), file.path)
    tip = guarded.tip() if options["state"] == "rc" else None
    after = wanted(options, before, tip)
    result = {"changed": after != before, "dropped": dropped(before, options["branch"], options["state"])}
    if result["changed"] and not module.check_mode:
        switch(options, file, guarded, tip)
        after = file.text
    headers = {"before_header": str(file.path), "after_header": str(file.path)}
    diff = {**headers, "before": before, "after": after}
    return {**result, "diff": diff, **facts(options, file.text, guarded)}


def main() -> None:
    """Read the arguments, switch, and answer."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    options = module.params
    for name in ("reason", "branch", "location"):
        value = options[name]
        if not value.strip() or value != value.strip() or len(value.splitlines()) > 1:
            module.fail_json(msg=f"E-bad-{name}  {name} is {value!r}; one line of text was expected.")
    try:
        module.exit_json(**run(module, options))
    except (RcModeError, BranchError) as error:
        module.fail_json(msg=str(error))
    except ValueError as error:
        module.fail_json(
            msg=f"E-pqm-configuration  {options['path']}: {error}.\n"
            "  Nothing was changed. Mend the file, then:  ./runbook.py run"
        )


if __name__ == "__main__":
    main()
