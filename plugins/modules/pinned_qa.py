#!/usr/bin/python
"""Judge the pinned revision's QA again, by today's tags (R8)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pinned_qa
short_description: Judge the QA of the pinned revision again
description:
  - A bug may be tagged qa-bad, or land again, after its revision was pinned. Right before the merge, this judges again,
    by the current tags, every revision up to the pinned one that O(devel) lacks (R8). It fails when one of them is not
    QA-ok.
  - A revision that O(devel) already has is merged. Its QA is not asked again, unless its merge was backed out (R17).
options:
  revision:
    description: Number of the pinned revision of O(db_stable).
    type: int
    required: true
  revid:
    description: Id of the pinned revision. The branch must still have it under that number.
    type: str
    required: true
  bug_tags:
    description: Tags by bug number, such as C({45419:[qa-ok]}).
    type: dict
    required: true
extends_documentation_fragment:
  - downtime.runbook.vcs
  - downtime.runbook.branches
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Judge the pinned revision again
  downtime.runbook.pinned_qa:
    db_stable: lp:~launchpad-pqm/launchpad/db-stable
    devel: lp:~launchpad-pqm/launchpad/devel
    revision: 10381
    revid: launchpad@pqm.canonical.com-20110302081123-ypx4sd1mzbcyv6ov
    bug_tags: {45188: [qa-ok]}
"""

RETURN = r"""
evidence:
  description: What was judged, in a line.
  type: list
  elements: str
  returned: success
  sample: ["db-stable 10381 is still QA-ok: 12 revisions that devel lacks"]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.merge import deployable
from ..module_utils.rollout_host.vcs import backlog
from ..module_utils.rollout_host.vcs.base import VcsError


def judge(params: Mapping[str, Any]) -> list[str]:
    """Return the evidence. Raises Refused, VcsError, and ValueError for tags that cannot be read."""
    tags = backlog.bug_tags(params["bug_tags"])
    revision, revid = params["revision"], params["revid"]
    if not revision:
        raise backlog.Refused(
            "E-not-settled  No revision is pinned yet.\n  Nothing was merged.\n  Then:  ./runbook.py run select"
        )
    branches = backlog.Backlog(params)
    source, target = branches.names.source, branches.names.target
    last, lacking = branches.revisions()
    if revision <= last["revno"] and branches.has(revid):
        return [f"{target} has {source} {revision} already: there is nothing to merge"]
    if (revision, revid) not in [(each["revno"], each["revid"]) for each in lacking]:
        raise backlog.Refused(
            f"E-pin-moved  {source} {revision} is not {revid} any more, which was pinned.\n"
            "  Nothing was merged.\n"
            "  Then:  set rollout.pinned.revision in the plan to what it is now, and ./runbook.py run select"
        )
    refusal = deployable.pin_refusal(lacking, tags, revision, source)
    if refusal:
        raise backlog.Refused(refusal)
    count = sum(each["revno"] <= revision for each in lacking)
    return [f"{source} {revision} is still QA-ok: {count} revision{'' if count == 1 else 's'} that {target} lacks"]


def main() -> None:
    """Read the arguments, judge, and answer."""
    module = AnsibleModule(
        argument_spec={
            **backlog.ARGUMENTS,
            "revision": {"type": "int", "required": True},
            "revid": {"type": "str", "required": True},
            "bug_tags": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        evidence = judge(module.params)
    except backlog.Refused as refused:
        module.fail_json(msg=str(refused))
    except VcsError as error:
        module.fail_json(msg=f"E-{module.params['vcs']}  {error}")
    except ValueError as error:
        module.fail_json(msg=f"E-bad-argument  {error}.")
    module.exit_json(changed=False, evidence=evidence)


if __name__ == "__main__":
    main()
