#!/usr/bin/python
"""Name the bugs of what db-stable holds and devel lacks (R8)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: landed_bugs
short_description: Name the bugs that landed on db-stable and not yet on devel
description:
  - Reads the messages of every revision of I(db_stable) that I(devel) lacks, by ancestry, and names the bugs that they
    are for (R8). Their tags say which of those revisions are QA'd.
  - Reads the branches only, and changes nothing.
options:
  vcs:
    description: What both branches are of.
    type: str
    default: bzr
    choices: [bzr, git]
  db_stable:
    description: Branch to merge from, a URL or path; in git with C(#) and its name behind it.
    type: str
    required: true
  devel:
    description: Branch to merge into, as everybody reads it.
    type: str
    required: true
  brz_executable:
    description: The Bazaar client, C(brz) or C(bzr).
    type: str
    default: brz
  git_executable:
    description: The git client.
    type: str
    default: git
attributes:
  check_mode: {support: full, description: Reads as always, since it changes nothing.}
  diff_mode: {support: none, description: There is nothing to differ.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Name the bugs whose tags count
  downtime.runbook.landed_bugs:
    db_stable: lp:~launchpad-pqm/launchpad/db-stable
    devel: lp:~launchpad-pqm/launchpad/devel
"""

RETURN = r"""
bugs:
  description: Numbers of the bugs, sorted.
  type: list
  elements: int
  returned: success
  sample: [45188, 45419]
revisions:
  description: How many revisions devel lacks.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.vcs import landings


def main() -> None:
    """Read the arguments and the branches, tell."""
    module = AnsibleModule(argument_spec=landings.ARGUMENTS, supports_check_mode=True)
    try:
        _, lacking = landings.Range.of(module.params).revisions()
    except landings.Refused as refused:
        module.fail_json(msg=str(refused))
    except landings.VcsError as error:
        module.fail_json(msg=f"E-{module.params['vcs']}  {error}")
    module.exit_json(changed=False, bugs=landings.bugs(lacking), revisions=len(lacking))


if __name__ == "__main__":
    main()
