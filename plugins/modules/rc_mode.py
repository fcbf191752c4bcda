#!/usr/bin/python
"""Put a branch into RC mode and take it out again (R13)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rc_mode
short_description: Put a branch into RC mode, or take it out
description:
  - Who guards the branch reads an INI file with a section for each branch. Its key C(commit_re) is the expression that
    a commit message must match. In RC mode, C(commit_re) lets only C([release-critical=NAME]) land. Beside it,
    C(commit_re_open) keeps the open branch's expression, C(rc_since) and C(rc_for) say since when and for which
    rollout, and C(rc_tip) is the id of the branch's tip when RC mode was set.
  - Entering only renames the line of the open expression. So leaving restores the file byte for byte, except for what
    others edited in it meanwhile, which stays.
  - Replaces the file by one rename, with its owner and mode. A symbolic link is followed. If a call was interrupted,
    the next one completes it.
  - Neither takes over nor ends RC mode that another rollout set, unless O(take_over) names that rollout.
options:
  kind:
    description:
      - C(pqm), PQM reads the file O(path), its configuration.
      - C(hook), git's C(update) hook of O(repository), as C(./runbook.py rc-check --hook) prints it, reads the file
        C(rc_mode.conf) in the repository's directory at each push. Once the branch is in RC mode, the hook is tried. An
        ordinary commit must not land, a release-critical one and the runbook's own merge must.
      - C(command), the site's own commands do it. O(path) only keeps since when and for which rollout.
      - Except for PQM, a file that is not there is made, with the branch open for every message.
    type: str
    choices: [pqm, hook, command]
    default: pqm
  path:
    description: The file, such as PQM's configuration. For a hook it is given by O(repository).
    type: path
  repository:
    description: The git repository that everybody pushes to, its directory on this host.
    type: path
  merges:
    description: The branch that rollouts merge, whose merge the hook lets in. A new file says so as C(merges).
    type: str
    default: db-stable
  enter_command:
    description: The site's own command that enters RC mode.
    type: list
    elements: str
    default: []
  leave_command:
    description: The site's own command that leaves it.
    type: list
    elements: str
    default: []
  state_command:
    description: The site's own command that ends with 0 if the branch is in RC mode, and with 1 if not.
    type: list
    elements: str
    default: []
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
  downtime.runbook.rc_mode:
    path: /home/pqm/pqm.conf
    state: rc
    reason: 2026-12
    location: lp:~launchpad-pqm/launchpad/devel

- name: The same for a git repository, as the user whom it belongs to
  downtime.runbook.rc_mode:
    kind: hook
    repository: /srv/git/service.git
    branch: main
    merges: db
    state: rc
    reason: 2026-12
    location: /srv/git/service.git#main
    vcs: git
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

from ..module_utils.rollout_core.merge import rc_mode_file
from ..module_utils.rollout_host.rc_mode import guards
from ..module_utils.rollout_host.rc_mode.branch import BranchError, GuardedBranch
from ..module_utils.rollout_host.rc_mode.configuration import RcModeError
from ..module_utils.rollout_host.rc_mode.switch import NOBODY, dropped, facts, opened, switch, wanted
from ..module_utils.rollout_host.vcs import kinds

TAKEN = """E-rc-mode-taken  {branch} is in RC mode already, for {who} since {since}, not for {reason} ({path}).
  Nothing was changed. Is that over, and nothing of it still to land?
    ansible-playbook playbooks/{playbook}.yml -e @PLAN -e {take_over}
  Then:  ./runbook.py run"""


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options, as documented above."""
    return {
        "kind": {"type": "str", "choices": ["pqm", "hook", "command"], "default": "pqm"},
        "path": {"type": "path"},
        "repository": {"type": "path"},
        "merges": {"type": "str", "default": "db-stable"},
        **{
            f"{name}_command": {"type": "list", "elements": "str", "default": []}
            for name in ("enter", "leave", "state")
        },
        "branch": {"type": "str", "default": "devel"},
        "state": {"type": "str", "choices": ["rc", "open"], "required": True},
        "reason": {"type": "str", "required": True},
        "take_over": {"type": "list", "elements": "str", "default": []},
        "location": {"type": "str", "required": True},
        **kinds.ARGUMENTS,
        "clock_offset": {"type": "float", "default": 0},
    }


def check_owner(options: Mapping[str, Any], mode: rc_mode_file.Mode, path: Path) -> None:
    """Raise RcModeError if RC mode was set for another rollout, whose it is."""
    who = mode.reason or NOBODY
    if mode.in_rc_mode and who not in (options["reason"], *options["take_over"]):
        playbook = "rc_mode_enter" if options["state"] == "rc" else "rc_mode_leave"
        take_over = shlex.quote(json.dumps({"rc_mode_take_over": [who]}))
        since = mode.since or "nobody knows when"
        words = {"who": who, "since": since, "path": path, "playbook": playbook, "take_over": take_over}
        raise RcModeError(TAKEN.format(branch=options["branch"], reason=options["reason"], **words))


def make_way(options: Mapping[str, Any], mode: rc_mode_file.Mode, guard: guards.Guard, path: Path) -> None:
    """End RC mode at the guard before the file says so; raise RcModeError if what is on there is not in the file.

    In this order nothing is on that is not on record, whenever this is interrupted.
    """
    if options["state"] == "open" and mode.in_rc_mode:
        guard.follow(in_rc_mode=False)
        guard.verify(in_rc_mode=False)
    elif options["state"] == "rc" and not mode.in_rc_mode and guard.is_on():
        check_owner(options, mode._replace(in_rc_mode=True), path)


def run(module: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Switch unless that is done already, and return the facts. Raises RcModeError, BranchError and ValueError."""
    file = opened(options)
    before, guard = file.text, guards.of(options)
    guarded = GuardedBranch(options["branch"], options["location"], kinds.named(options))
    mode = rc_mode_file.read(before, options["branch"])
    if not module.check_mode:
        check_owner(options, mode, file.path)
        make_way(options, mode, guard, file.path)
    tip = guarded.tip() if options["state"] == "rc" else None
    after = wanted(options, before, tip)
    result = {"changed": after != before, "dropped": dropped(before, options["branch"], options["state"])}
    if result["changed"] and not module.check_mode:
        switch(options, file, guarded, tip)
        after = file.text
    in_rc_mode = rc_mode_file.read(file.text, options["branch"]).in_rc_mode
    if in_rc_mode and options["state"] == "rc":
        if not module.check_mode:
            guard.follow(in_rc_mode=True)
        guard.verify(in_rc_mode=True)
    headers = {"before_header": str(file.path), "after_header": str(file.path)}
    diff = {**headers, "before": before, "after": after}
    return {**result, "diff": diff, **facts(options, file.text, guarded)}


def main() -> None:
    """Read the arguments, switch, and answer."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    options = module.params
    for name in ("reason", "branch", "location", "merges"):
        value = options[name]
        if not value.strip() or value != value.strip() or len(value.splitlines()) > 1:
            module.fail_json(msg=f"E-bad-{name}  {name} is {value!r}; one line of text was expected.")
    try:
        module.exit_json(**run(module, options))
    except (RcModeError, BranchError) as error:
        module.fail_json(msg=str(error))
    except ValueError as error:
        module.fail_json(
            msg=f"E-rc-mode-file  {options['path'] or options['repository']}: {error}.\n"
            "  Nothing was changed. Mend the file, then:  ./runbook.py run"
        )


if __name__ == "__main__":
    main()
