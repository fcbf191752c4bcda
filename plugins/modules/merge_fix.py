#!/usr/bin/python
"""Judge whether a later revision of the branch, with a fix of the merge, may go out instead of it (R11, R13)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: merge_fix
short_description: Judge whether a later revision may go out instead of the merge
description:
  - In RC mode a fix of the merge lands on I(push_to) as a revision of its own. Buildbot blesses that revision, not the
    merge, so it is what has to go out. This says whether revision I(fixed_in) may.
  - It must come after the merge of I(revision) on the mainline, have all that the merge brought, by content, and
    nothing more of I(source).
  - Everything that landed after the merge up to it must be release-critical (R13), whether or not PQM was in RC mode.
  - Schema patches may have been changed, but none may have come or gone; only the pinned ones are applied.
options:
  tree:
    description: Working tree of the target branch, on the host. It is not touched.
    type: path
    required: true
  source:
    description: Branch that was merged, a URL or path; in git, C(LOCATION#BRANCH).
    type: str
    required: true
  revision:
    description: Revision number of I(source) that was merged.
    type: int
    required: true
  revid:
    description: Revision id that I(revision) must have.
    type: str
  push_to:
    description: The target branch as everybody reads it, as I(source).
    type: str
    required: true
  fixed_in:
    description: Revision number of I(push_to) that has the fix.
    type: int
    required: true
  approvers:
    description: Name of each who approves what is release-critical, by C(lead), C(architect) and C(strategist).
    type: dict
    default: {}
extends_documentation_fragment:
  - downtime.runbook.vcs
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Judge devel 12737, which has the fix of the merge of db-stable 10381
  downtime.runbook.merge_fix:
    tree: /home/pqm/archives/rocketfuel/launchpad/devel
    source: lp:~launchpad-pqm/launchpad/db-stable
    revision: 10381
    push_to: lp:~launchpad-pqm/launchpad/devel
    fixed_in: 12737
"""

RETURN = r"""
revno:
  description: Number of the revision with the fix, I(fixed_in).
  type: int
  returned: success
  sample: 12737
revid:
  description: Its id.
  type: str
  returned: success
merge:
  description: The merge itself.
  type: dict
  returned: success
  sample: {revno: 12735, revid: launchpad@pqm.canonical.com-20110309080312-2dtg8iyghw5hpwqv}
landed:
  description: Each revision after the merge up to this one, oldest first, and who approved it.
  type: list
  elements: dict
  returned: success
  sample: [{revno: 12737, message: "[release-critical=jml] Fix it.", reason: "release-critical by jml"}]
changed_patches:
  description: Schema patches that they changed. Where one is applied already, it is not applied again.
  type: list
  elements: str
  returned: success
refused:
  description: Numbers of the revisions that are not release-critical, if the module fails for that.
  type: list
  elements: int
  returned: failure
taken_back:
  description: Files that are gone although the merge brought them, if the module fails for that.
  type: list
  elements: str
  returned: failure
"""

import tempfile
from pathlib import Path
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.vcs import kinds
from ..module_utils.rollout_host.vcs.base import VcsError
from ..module_utils.rollout_host.vcs.branches import LandingError
from ..module_utils.rollout_host.vcs.merge_fix import MergeFix, first_line


def judge(params: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Return the facts for the gate. Raises LandingError if that revision may not go out."""
    fix = MergeFix(kinds.named(params).working_tree(params), params)
    merge, landed, changed_patches = fix.judge(params["fixed_in"], scratch, params["approvers"])
    last = landed[-1][0]
    return {
        "revno": last["revno"],
        "revid": last["revid"],
        "merge": {"revno": merge["revno"], "revid": merge["revid"]},
        "landed": [{"revno": each["revno"], "message": first_line(each), "reason": reason} for each, reason in landed],
        "changed_patches": changed_patches,
    }


def main() -> None:
    """Read the arguments, judge, and answer."""
    module = AnsibleModule(
        argument_spec={
            **kinds.ARGUMENTS,
            "tree": {"type": "path", "required": True},
            "source": {"type": "str", "required": True},
            "revision": {"type": "int", "required": True},
            "revid": {"type": "str"},
            "push_to": {"type": "str", "required": True},
            "fixed_in": {"type": "int", "required": True},
            "approvers": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="rollout-fix-") as scratch:
            found = judge(module.params, Path(scratch))
    except LandingError as error:
        module.fail_json(msg=str(error), **error.facts)
    except VcsError as error:
        module.fail_json(msg=f"E-{module.params['vcs']}  {error}")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
