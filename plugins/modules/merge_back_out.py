#!/usr/bin/python
"""Back out one merge from a branch, commit and push that (R17)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: merge_back_out
short_description: Back out exactly one merge from a branch and push that
description:
  - Does in the working tree I(tree) what takes back mainline revision I(revno) of I(push_to), a merge. Update, revert,
    C(brz merge -r N..N-1) or C(git revert -m 1), commit, push. What landed later stays.
  - Verified by content before it is pushed. Every file that the merge changed is as before it, but for what landed
    later.
  - The commit's message is C([release-critical=APPROVER][rollback=N] Back out the merge of WHAT, REASON), with a colon.
    It lands in RC mode (R13), and QA counts the merge as rolled back.
  - May be run again after any failure. A back-out that stands in I(push_to) changes nothing, one that was committed but
    not pushed is only pushed. What conflicts with later landings is listed, and nothing is left behind.
options:
  tree:
    description: Working tree of the branch, on the host. What is not committed there is reverted.
    type: path
    required: true
  push_to:
    description: The branch as everybody reads it. A URL or path; in git, C(LOCATION#BRANCH).
    type: str
    required: true
  revno:
    description: Number of the merge on I(push_to).
    type: int
    required: true
  revid:
    description: Its id, or its hash.
    type: str
    required: true
  what:
    description: What was merged, in a few words.
    type: str
    required: true
  reason:
    description: Why it is backed out, one line without brackets.
    type: str
    required: true
  approver:
    description: Who says so, the name in C([release-critical=NAME]).
    type: str
    required: true
  committer:
    description: Who commits, as C(Name <address>). The default is who the host's user is to the version control.
    type: str
extends_documentation_fragment: [downtime.runbook.vcs]
attributes:
  check_mode: {support: full, description: The back-out is tried in a temporary copy.}
  diff_mode: {support: full, description: The files that the back-out changes.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Back out the merge of db-stable 10381
  downtime.runbook.merge_back_out:
    tree: /home/pqm/archives/rocketfuel/launchpad/devel
    push_to: lp:~launchpad-pqm/launchpad/devel
    revno: 12735
    revid: launchpad@pqm.canonical.com-20110309080312-2dtg8iyghw5hpwqv
    what: db-stable 10381
    reason: patch-2208-30-0 locks translationmessage for minutes
    approver: flacoste
"""

RETURN = r"""
revno:
  description: Number of the revision of I(push_to) that is the back-out.
  type: int
  returned: success
  sample: 12740
revid:
  description: Its id; null in check mode, before there is one.
  type: str
  returned: success
parents:
  description: Ids of its parents.
  type: list
  elements: str
  returned: success
already_backed_out:
  description: Nothing had to be done.
  type: bool
  returned: success
steps:
  description: What was done.
  type: list
  elements: str
  returned: always
  sample: [update, revert, back out 12735, commit, push]
files:
  description: What the back-out changed.
  type: list
  elements: dict
  returned: success
  sample: [{change: removed, path: database/schema/patch-2208-30-0.sql}]
conflicts:
  description: What conflicted; empty on success.
  type: list
  elements: dict
  returned: always
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.vcs import kinds
from ..module_utils.rollout_host.vcs.landing import carry_out
from ..module_utils.rollout_host.vcs.merge_back_out import MergeBackOutLanding

LINE = re.compile(r"[^\[\]\x00-\x1f\x7f]{1,200}")
FIELDS = {  # what stands in the commit message
    "what": (LINE, "one line of 1 to 200 characters without brackets"),
    "reason": (LINE, "one line of 1 to 200 characters without brackets"),
    "approver": (re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,39}"), "a name without spaces"),
    "revid": (re.compile(r"[^\s-]\S*"), "a revision id"),
}


def main() -> None:
    """Read the arguments, back out, and answer."""
    module = AnsibleModule(
        argument_spec={
            **kinds.ARGUMENTS,
            "tree": {"type": "path", "required": True},
            "push_to": {"type": "str", "required": True},
            "revno": {"type": "int", "required": True},
            "revid": {"type": "str", "required": True},
            "what": {"type": "str", "required": True},
            "reason": {"type": "str", "required": True},
            "approver": {"type": "str", "required": True},
            "committer": {"type": "str"},
        },
        supports_check_mode=True,
    )
    for field, (pattern, expected) in FIELDS.items():
        if not pattern.fullmatch(module.params[field]) or not module.params[field].strip():
            module.fail_json(msg=f"E-bad-{field}  {field} is {module.params[field]!r}; expected {expected}.")
    working = kinds.named(module.params).working_tree(module.params)
    carry_out(module, MergeBackOutLanding(working, module.params))


if __name__ == "__main__":
    main()
