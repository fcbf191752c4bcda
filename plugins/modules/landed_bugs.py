#!/usr/bin/python
"""Return the bugs of what db-stable holds and devel lacks (R8)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: landed_bugs
short_description: Name the bugs that landed on db-stable and not yet on devel
description:
  - Reads the message of every revision of O(db_stable) that O(devel) lacks by ancestry, and returns the bugs that these
    messages name (R8). The bugs' tags tell which of the revisions are QA'd.
extends_documentation_fragment:
  - downtime.runbook.vcs
  - downtime.runbook.branches
  - downtime.runbook.attributes.changes_nothing
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

from ..module_utils.rollout_host.vcs import backlog
from ..module_utils.rollout_host.vcs.base import VcsError


def main() -> None:
    """Read the arguments and the branches, and answer."""
    module = AnsibleModule(argument_spec=backlog.ARGUMENTS, supports_check_mode=True)
    try:
        _, lacking = backlog.Backlog(module.params).revisions()
    except backlog.Refused as refused:
        module.fail_json(msg=str(refused))
    except VcsError as error:
        module.fail_json(msg=f"E-{module.params['vcs']}  {error}")
    module.exit_json(changed=False, bugs=backlog.bugs(lacking), revisions=len(lacking))


if __name__ == "__main__":
    main()
