#!/usr/bin/python
"""Merge one pinned revision of a branch into another, commit and push it (R10)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bzr_merge
short_description: Merge one pinned revision of a Bazaar branch into another and push it
description:
  - Does in the working tree I(tree) what the procedure says (R10). Update, revert, merge, commit, push to I(push_to).
  - Everything is judged by the ancestry of the branches, never by a commit message. A revision that I(push_to) already
    contains changes nothing; a merge that was committed but not pushed is only pushed. So it may be run again after
    any failure.
  - A conflict leaves no trace in the tree, and the error says how a developer reproduces it.
  - In check mode the merge is really made, in a temporary copy of the branch, and I(tree) is not touched. Files that
    nobody versioned are not in the copy, so what they collide with is only found by the real merge.
options:
  tree:
    description: Working tree of the target branch, on the host. What is not committed there is reverted.
    type: path
    required: true
  source:
    description: Branch to merge from, a URL or path.
    type: str
    required: true
  revision:
    description: Revision number of I(source) to merge.
    type: int
    required: true
  revid:
    description: Revision id that I(revision) must have. The plan pins both.
    type: str
  push_to:
    description: The target branch as everybody reads it, a URL or path.
    type: str
    required: true
  message:
    description: Commit message. The default is C(Merge NAME REVISION.), NAME being the last part of I(source).
    type: str
  committer:
    description: Who commits, as C(Name <address>). The default is who the host's user is to Bazaar.
    type: str
  resolution:
    description: Branch in which a developer merged I(revision) into the target and resolved the conflicts. It is merged
      instead.
    type: str
  brz_executable:
    description: The client, C(brz) or C(bzr).
    type: str
    default: brz
attributes:
  check_mode: {support: full, description: The merge is tried in a temporary copy.}
  diff_mode: {support: full, description: The files that the merge changes.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Merge db-stable 10381 into devel
  bzr_merge:
    tree: /home/pqm/archives/rocketfuel/launchpad/devel
    source: lp:~launchpad-pqm/launchpad/db-stable
    revision: 10381
    push_to: lp:~launchpad-pqm/launchpad/devel
"""

RETURN = r"""
revno:
  description: Number of the revision of I(push_to) that first contains the source revision.
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
files:
  description: What the merge changed.
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

import tempfile
from pathlib import Path

from ansible.module_utils import rollout_bzr, rollout_bzr_tree
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollout_bzr_merge import Merge, MergeError

BRANCH_FIELDS = ("source", "push_to", "resolution")


def result(merge, record, files, *, changed):
    """What the module returns: a log record of the target (or what it will be), and what was done for it."""
    return {
        "changed": changed,
        "already_merged": not changed,
        "revno": record["revno"],
        "revid": record["revid"],
        "parents": record["parents"],
        "source_revid": merge.revid,
        "files": files,
        "conflicts": [],
        "steps": merge.steps,
    }


def merge_for_real(merge):
    """Bring the tree up, merge unless that is done, push, and read back what the branch has."""
    base, unpushed = merge.bring_up()
    if not unpushed:
        merge.merge_and_commit(commit=True)
    merge.push(base)
    record = merge.verify(base)
    return result(merge, record, merge.ask(rollout_bzr.changes, merge.push_to, str(record["revno"])), changed=True)


def merge_in_a_copy(merge, scratch):
    """The same in a copy of the branch, without commit and push: what would be done, or what would conflict."""
    merge.workdir = str(scratch / "branch")
    rollout_bzr.run(["branch", "-q", "--", merge.tree, merge.workdir], executable=merge.brz)
    base, record = merge.bring_up()
    if not record:
        merge.merge_and_commit(commit=False)
        files = rollout_bzr_tree.uncommitted_files(merge.workdir, executable=merge.brz)
        revno = merge.ask(rollout_bzr.revision_info, merge.workdir)[0] + 1
        merge.steps.append("commit")
        record = {"revno": revno, "revid": None, "parents": [base]}
    else:
        files = merge.ask(rollout_bzr.changes, merge.workdir, str(record["revno"]))
    merge.steps.append("push")
    return result(merge, record, files, changed=True)


def run(merge, scratch):
    """Merge; in `scratch`, a directory, if given. Raises MergeError and BzrError."""
    merge.pin()
    record = merge.merged(merge.push_to)
    if record:
        files = merge.ask(rollout_bzr.changes, merge.push_to, str(record["revno"]))
        return result(merge, record, files, changed=False)
    merge.check_resolution()
    merge.check_tree()
    return merge_in_a_copy(merge, scratch) if scratch else merge_for_real(merge)


def main():
    """Read the arguments, merge, tell."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "path", "required": True},
            "source": {"type": "str", "required": True},
            "revision": {"type": "int", "required": True},
            "revid": {"type": "str"},
            "push_to": {"type": "str", "required": True},
            "message": {"type": "str"},
            "committer": {"type": "str"},
            "resolution": {"type": "str"},
            "brz_executable": {"type": "str", "default": "brz"},
        },
        supports_check_mode=True,
    )
    merge = Merge(module.params)
    for field in BRANCH_FIELDS:
        if (module.params[field] or "").startswith("-"):
            module.fail_json(msg=f"E-bad-branch  {field} is {module.params[field]!r}; a path or URL was expected.")
    if merge.revision < 1:
        module.fail_json(msg=f"E-bad-revision  revision is {merge.revision}; a revision number from 1 was expected.")
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="bzr_merge-") as scratch:
            answer = run(merge, Path(scratch) if module.check_mode else None)
    except MergeError as error:
        module.fail_json(msg=str(error), steps=merge.steps, **{"conflicts": [], **error.facts})
    except rollout_bzr.BzrError as error:
        module.fail_json(msg=f"E-bzr  {error}", steps=merge.steps, conflicts=[])
    if module._diff and answer["changed"]:
        answer["diff"] = {"prepared": "".join("{change:<10}{path}\n".format(**entry) for entry in answer["files"])}
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
