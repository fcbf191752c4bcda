#!/usr/bin/python
"""Merge one pinned revision of a branch into another, commit and push it (R10)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: merge
short_description: Merge one pinned revision of a branch into another and push it
description:
  - Does in the working tree I(tree) what the procedure says (R10). Update, revert, merge, commit, push to I(push_to).
    In git the merge is always a commit of its own, and nothing is ever forced.
  - Everything is judged by the ancestry and the content of the branches, never by a commit message. A revision that
    I(push_to) already contains changes nothing; a merge that was committed but not pushed is only pushed. So it may be
    run again after any failure.
  - A merge that was backed out is still an ancestor, and merging again would bring nothing. So what merges of I(source)
    brought is looked for in I(push_to), and a revision that just backs one out is taken back by a commit of its own,
    before the merge. Where content is gone in another way, the module fails and names the files.
  - A conflict leaves no trace in the tree, and the error says how a developer reproduces it.
  - In check mode the merge is really made and committed, in a temporary copy of the branch, and I(tree) is not touched.
    Files that nobody versioned are not in the copy, so what they collide with is only found by the real merge.
options:
  tree:
    description: Working tree of the target branch, on the host. What is not committed there is reverted.
    type: path
    required: true
  source:
    description: Branch to merge from, a URL or path; in git, C(LOCATION#BRANCH), or C(LOCATION) for the one that HEAD
      names there.
    type: str
    required: true
  revision:
    description: Revision number of I(source) to merge, its position on the line of first parents, the root being 1.
    type: int
    required: true
  revid:
    description: Id that I(revision) must have, in git its hash. The plan pins both.
    type: str
  push_to:
    description: The target branch as everybody reads it, named as I(source).
    type: str
    required: true
  commit_message:
    description: Commit message. The default is C(Merge NAME REVISION.), NAME being the last part of I(source).
    type: str
  committer:
    description: Who commits, as C(Name <address>). The default is who the host's user is to the
      version control.
    type: str
  resolution:
    description: Branch, named as I(source), in which a developer merged I(revision) into the target and resolved the
      conflicts. It is merged instead.
    type: str
extends_documentation_fragment: [downtime.runbook.vcs]
attributes:
  check_mode: {support: full, description: The merge is tried in a temporary copy.}
  diff_mode: {support: full, description: The files that the merge changes.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Merge db-stable 10381 into devel
  downtime.runbook.merge:
    tree: /home/pqm/archives/rocketfuel/launchpad/devel
    source: lp:~launchpad-pqm/launchpad/db-stable
    revision: 10381
    push_to: lp:~launchpad-pqm/launchpad/devel
"""

RETURN = r"""
revno:
  description: Number of the revision of I(push_to) from which on it has the source revision with all its content. That
    is the merge, or what took its back-out back.
  type: int
  returned: success
  sample: 12735
revid:
  description: Its id; null in check mode, before there is one.
  type: str
  returned: success
parents:
  description: Ids of its parents, the one on I(push_to) first.
  type: list
  elements: str
  returned: success
source_revid:
  description: Id of the revision that was merged.
  type: str
  returned: success
already_merged:
  description: Nothing had to be done.
  type: bool
  returned: success
steps:
  description: What was done, in the words of the procedure.
  type: list
  elements: str
  returned: always
  sample: [update, revert, merge -r 10381, commit, push]
taken_back:
  description: Files that are gone although the merge that brought them is an ancestor, if the module fails for that.
  type: list
  elements: str
  returned: failure
files:
  description: What the merge changed, and what taking back a back-out before it did.
  type: list
  elements: dict
  returned: success
  sample: [{change: added, path: database/schema/patch-2208-30-0.sql}]
conflicts:
  description: What conflicted; empty on success.
  type: list
  elements: dict
  returned: always
  sample: [{path: lib/lp/app.py, conflict: Text conflict in lib/lp/app.py}]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.vcs import kinds
from ..module_utils.rollout_host.vcs.landing import carry_out
from ..module_utils.rollout_host.vcs.merge import Merge


def main() -> None:
    """Read the arguments, merge, and answer."""
    module = AnsibleModule(
        argument_spec={
            **kinds.ARGUMENTS,
            "tree": {"type": "path", "required": True},
            "source": {"type": "str", "required": True},
            "revision": {"type": "int", "required": True},
            "revid": {"type": "str"},
            "push_to": {"type": "str", "required": True},
            "commit_message": {"type": "str"},
            "committer": {"type": "str"},
            "resolution": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["revision"] < 1:
        found = params["revision"]
        module.fail_json(msg=f"E-bad-revision  revision is {found}; a revision number from 1 was expected.")
    carry_out(module, Merge(kinds.named(params).working_tree(params), params))


if __name__ == "__main__":
    main()
