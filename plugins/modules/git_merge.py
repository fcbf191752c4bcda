#!/usr/bin/python
"""Merge one pinned revision of a branch into another, commit and push it (R10)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: git_merge
short_description: Merge one pinned revision of a git branch into another and push it
description:
  - Does in the working tree I(tree) what the procedure says (R10). Fetch, reset, merge (always as a
    commit of its own, C(--no-ff)), commit, push to I(push_to).
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
    description: Branch to merge from, C(LOCATION) or C(LOCATION#BRANCH), the location being a URL or path. Without a
      branch it is the one that HEAD names there.
    type: str
    required: true
  revision:
    description: Revision of I(source) to merge. Its number is its position on the line of first parents, the root
      being 1.
    type: int
    required: true
  revid:
    description: Hash that I(revision) must have. The plan pins both.
    type: str
  push_to:
    description: The target branch as everybody reads it, as I(source). It is never forced.
    type: str
    required: true
  message:
    description: Commit message. The default is C(Merge NAME REVISION.), NAME being the last part of I(source).
    type: str
  committer:
    description: Who commits, as C(Name <address>). The default is who the host's user is to git.
    type: str
  resolution:
    description: Branch, as I(source), in which a developer merged I(revision) into the target and resolved the
      conflicts. It is merged instead.
    type: str
  git_executable:
    description: The client.
    type: str
    default: git
attributes:
  check_mode: {support: full, description: The merge is tried in a temporary copy.}
  diff_mode: {support: full, description: The files that the merge changes.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Merge db-stable 10381 into devel
  downtime.runbook.git_merge:
    tree: /home/pqm/archives/rocketfuel/launchpad/devel
    source: git+ssh://git.launchpad.net/launchpad#db-stable
    revision: 10381
    push_to: git+ssh://git.launchpad.net/launchpad#devel
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
  sample: [fetch, reset, merge -r 10381, commit, push]
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
  sample: [{path: lib/lp/app.py, conflict: "both modified: lib/lp/app.py"}]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.vcs.git_working_tree import WorkingTree
from ..module_utils.rollout_host.vcs.merge import ARGUMENTS, merge


def main():
    """Read the arguments, merge, tell."""
    executable = {"git_executable": {"type": "str", "default": "git"}}
    merge(AnsibleModule(argument_spec={**ARGUMENTS, **executable}, supports_check_mode=True), WorkingTree)


if __name__ == "__main__":
    main()
