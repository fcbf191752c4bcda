#!/usr/bin/python
"""Choose the revision of db-stable that goes out (R2, R8, R9)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: select_revision
short_description: Find the highest revision of db-stable that may go out
description:
  - Judges every revision of O(db_stable) that O(devel) lacks by ancestry. A revision may go out when everything up to
    it is QA-ok by the tags of its bugs (R8), when the schema patches that production would then have to apply are
    sound, and when they fit the window by their time on staging (R2, R9).
  - Chooses the highest such revision, or judges the one that was pinned by hand, and says why each higher one stays
    behind. A revision that O(devel) already has may be pinned too, for a second attempt.
options:
  schema_directory:
    description: Directory of the schema patches in both branches.
    type: str
    default: database/schema
  bug_tags:
    description: Tags by bug number, such as C({45419:[qa-ok]}).
    type: dict
    required: true
  applied:
    description: Production's rows of LaunchpadDatabaseRevision, each C([major, minor, patch]).
    type: list
    elements: list
    required: true
  timings:
    description: Seconds on staging by the patch's file name, from M(downtime.runbook.staging_timings).
    type: dict
    required: true
  revision:
    description: Number of the revision that was pinned by hand. The default is the highest that may go out.
    type: int
extends_documentation_fragment:
  - downtime.runbook.vcs
  - downtime.runbook.branches
  - downtime.runbook.estimate
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Choose the revision
  downtime.runbook.select_revision:
    db_stable: lp:~launchpad-pqm/launchpad/db-stable
    devel: lp:~launchpad-pqm/launchpad/devel
    bug_tags: {45188: [qa-ok], 45419: [qa-needstesting]}
    applied: [[2208, 0, 0], [2208, 28, 1]]
    timings: {patch-2208-30-0.sql: 70.5}
    window_minutes: 90
    factor: 2
    plus_minutes: 10
"""

RETURN = r"""
revision:
  description: Number of the chosen revision of db-stable.
  type: int
  returned: success
  sample: 10381
revid:
  description: Its revision id.
  type: str
  returned: success
branches:
  description: What people call the branch that goes out, C(source), and the one that it is merged into, C(target).
  type: dict
  returned: success
  sample: {source: db-stable, target: devel}
patches:
  description: File names of the patches that production has to apply after the merge, in order.
  type: list
  elements: str
  returned: success
  sample: [patch-2208-30-0.sql]
digests:
  description:
    - What they are, each C(FILE=SHA256) of the text that is sent to the database.
    - Without those that O(devel) has in another wording, as only the merge tells which one stays.
  type: list
  elements: str
  returned: success
evidence:
  description: What a person should read before pinning the revision.
  type: list
  elements: str
  returned: success
  sample: ["db-stable tip 10388 · QA-ok up to 10381 · 10382 blocks: bug 45419 is qa-needstesting"]
steps:
  description: Estimated seconds on production for each patch, then the C(pad).
  type: list
  elements: dict
  returned: success
  sample: [{step: patch-2208-30-0.sql, seconds: 141.0}, {step: pad, seconds: 600.0}]
fits:
  description:
    - The revisions that could have been chosen instead, lowest first, each C({revision, patches, seconds, minutes}).
    - C(patches) is the number of patches, C(seconds) their time on staging, C(minutes) the outage it makes (R9).
  type: list
  elements: dict
  returned: success
  sample: [{revision: 10379, patches: 10, seconds: 50.3, minutes: 11.7}]
left_behind:
  description:
    - Why each revision above the chosen one stays behind, lowest first, each C({revision, upto, why}).
    - Neighbours with the same problem share an entry. A revision that is only kept back by one below it has none.
  type: list
  elements: dict
  returned: success
  sample: [{revision: 10382, upto: 10382, why: [bug 45419 is qa-needstesting]}]
schema_changes:
  description: Each patch with its title, its seconds on staging, and the revision that brought it.
  type: list
  elements: dict
  returned: success
qa:
  description: The QA state of every revision that devel lacks, C({tip, deployable, blocked_by, revisions}).
  type: dict
  returned: success
texts:
  description: The texts of C(patches) by file name, as they will be after the merge.
  type: dict
  returned: success
texts_left_out:
  description: File names of the patches that are too large to be in C(texts).
  type: list
  elements: str
  returned: success
"""

import dataclasses
import math
import re
import tempfile
from typing import Any, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.merge import selection
from ..module_utils.rollout_core.schema import budget, patches
from ..module_utils.rollout_host.vcs import backlog
from ..module_utils.rollout_host.vcs.backlog import Backlog, Refused, Schemas
from ..module_utils.rollout_host.vcs.base import VcsError

TEXT_AT_MOST, TEXTS_AT_MOST = 200_000, 1_000_000  # characters of one patch, and of all, that are worth carrying around


class Unfit(Refused):
    """An error: the revision pinned by hand may not go out, or none may."""


def choose(params: Mapping[str, Any], scratch: str) -> dict[str, Any]:
    """Read the branches and return the choice. Raises Refused, Unfit and VcsError, and ValueError for bad arguments."""
    branches = Backlog(params)
    reading = Schemas(branches, params["schema_directory"], scratch)
    rule = budget.Budget(params["window_minutes"], params["factor"], params["plus_minutes"])
    tags = backlog.bug_tags(params["bug_tags"])
    site = selection.Site(tags, rows(params["applied"]), timings(params["timings"]), rule)
    last, lacking = branches.revisions()
    shared, schemas = reading.read(last, lacking)
    selected = selection.select(lacking, shared, schemas, site)
    pinned = params["revision"]
    chosen = selected.highest if pinned is None else selected.candidate(pinned)
    if chosen is None or chosen.reasons:
        raise Unfit(selection.refusal(selected, pinned))
    if pinned is not None and pinned < chosen.revno:  # devel has it already, and more
        revid = branches.vcs.revision_info(branches.db_stable, pinned)[1]
        chosen = dataclasses.replace(chosen, revno=pinned, revid=revid)
    texts = selection.pending_texts(chosen, schemas, shared)
    carried = worth_carrying(texts)
    return {
        "revision": chosen.revno,
        "revid": chosen.revid,
        "branches": vars(branches.names),
        "patches": list(chosen.schema.pending),
        "digests": selection.digests(texts, shared),
        "evidence": selected.evidence(chosen),
        "steps": rule.steps(chosen.schema.staging_seconds),
        "fits": selected.fits,
        "left_behind": selected.left_behind(chosen),
        "schema_changes": selection.schema_changes(chosen, lacking, schemas, shared),
        "qa": selected.assessment.as_dict(),
        "texts": carried,
        "texts_left_out": [name for name in texts if name not in carried],
    }


def worth_carrying(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts, in order, that are small enough to be copied to the control machine."""
    carried: dict[str, str] = {}
    total = 0
    for name, text in texts.items():
        if len(text) <= TEXT_AT_MOST and total + len(text) <= TEXTS_AT_MOST:
            carried[name] = text
            total += len(text)
    return carried


def rows(value: Sequence[Sequence[Any]]) -> list[tuple[int, ...]]:
    """Return [(major, minor, patch)]. Raises ValueError that names the row."""
    for row in value:
        if len(row) != 3 or not all(re.fullmatch("[0-9]{1,9}", str(number)) for number in row):
            raise ValueError(f"applied: {row!r}; expected [major, minor, patch]")
    return [(int(major), int(minor), int(patch)) for major, minor, patch in value]


def timings(value: Mapping[str, Any]) -> Mapping[str, float]:
    """Return {patch: seconds}. Raises ValueError that names the patch."""
    for name, seconds in value.items():
        patches.PatchName.parse(name)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise ValueError(f"timings: {name}: {seconds!r}; expected seconds")
    return value


def main() -> None:
    """Read the arguments, choose, and answer."""
    module = AnsibleModule(
        argument_spec={
            **backlog.ARGUMENTS,
            "schema_directory": {"type": "str", "default": "database/schema"},
            "bug_tags": {"type": "dict", "required": True},
            "applied": {"type": "list", "elements": "list", "required": True},
            "timings": {"type": "dict", "required": True},
            "window_minutes": {"type": "float", "required": True},
            "factor": {"type": "float", "required": True},
            "plus_minutes": {"type": "float", "required": True},
            "revision": {"type": "int"},
        },
        supports_check_mode=True,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="select_revision-") as scratch:
            result = choose(module.params, scratch)
    except Refused as refused:
        pinned_by_hand = isinstance(refused, Unfit) and module.params["revision"] is not None
        module.fail_json(msg=str(refused), **({"bad_input": "pinned.revision"} if pinned_by_hand else {}))
    except VcsError as error:
        module.fail_json(msg=f"E-{module.params['vcs']}  {error}")
    except ValueError as error:
        module.fail_json(msg=f"E-bad-argument  {error}.")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
