#!/usr/bin/python
"""Choose the revision of db-stable that goes out (R2, R8, R9)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: select_revision
short_description: Find the highest revision of db-stable that may go out
description:
  - Judges every revision of I(db_stable) that I(devel) lacks, by ancestry. It may go out when everything up to it is
    QA-ok by the tags of its bugs (R8), the schema patches that production would then have to apply are sound, and their
    time on staging says that they fit the window (R2, R9).
  - Chooses the highest such revision, or judges the one that was pinned by hand, and says why each further one stays
    behind. A revision that I(devel) has already may be pinned too, as for a second attempt.
  - Reads the branches only, and changes nothing.
options:
  db_stable:
    description: Branch to merge from, a URL or path.
    type: str
    required: true
  devel:
    description: Branch to merge into, a URL or path, as everybody reads it.
    type: str
    required: true
  schema_directory:
    description: Where the schema patches are in both branches.
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
    description: Seconds on staging by the patch's file name, from M(staging_timings).
    type: dict
    required: true
  window_minutes:
    description: Length of the window (R2).
    type: float
    required: true
  factor:
    description: How much longer a patch takes on production than on staging (R9).
    type: float
    required: true
  plus_minutes:
    description: What is added to the time of the patches (R9).
    type: float
    required: true
  revision:
    description: Number of the revision that was pinned by hand. The default is the highest that may go out.
    type: int
  brz_executable:
    description: The client, C(brz) or C(bzr).
    type: str
    default: brz
attributes:
  check_mode: {support: full, description: Chooses as always, since it changes nothing.}
  diff_mode: {support: none, description: There is nothing to differ.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Choose the revision
  select_revision:
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
patches:
  description: File names of the patches that production has to apply after the merge, in order.
  type: list
  elements: str
  returned: success
  sample: [patch-2208-30-0.sql]
evidence:
  description: What a person reads before pinning it.
  type: list
  elements: str
  returned: success
  sample: ["db-stable tip 10388 · QA-ok up to 10381 · 10382 blocks: bug 45419 is qa-needstesting"]
steps:
  description: Seconds on production for each patch, then the C(pad).
  type: list
  elements: dict
  returned: success
  sample: [{step: patch-2208-30-0.sql, seconds: 141.0}, {step: pad, seconds: 600.0}]
fits:
  description:
    - What could have been chosen instead, lowest first, each C({revision, patches, seconds, minutes}).
    - C(patches) is their number, C(seconds) their time on staging, C(minutes) what that makes on production (R9).
  type: list
  elements: dict
  returned: success
  sample: [{revision: 10379, patches: 10, seconds: 50.3, minutes: 11.7}]
schema_changes:
  description: Each patch with its title, its seconds on staging, and the revision that brought it.
  type: list
  elements: dict
  returned: success
qa:
  description: The QA state of every revision that devel lacks, C({tip, deployable, blocked_by, revisions}).
  type: dict
  returned: success
"""

import dataclasses
import math
import tempfile
from pathlib import Path

from ansible.module_utils import rollout_bzr
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollout_core import budget, patches, selection

FIRST_LOOK = 32  # revisions of db-stable; eight times as many at each further look


class Refused(Exception):  # noqa: N818  it carries an answer
    """Nothing can be chosen; the text is the module's message."""


class Reading:
    """What the two branches hold. Everything is asked of them as they are on their server."""

    def __init__(self, params, scratch):
        """Keep where the branches are, and a directory to export to."""
        self.db_stable, self.devel = params["db_stable"].rstrip("/"), params["devel"].rstrip("/")
        self.directory, self.brz, self.scratch = params["schema_directory"], params["brz_executable"], Path(scratch)

    def revisions(self):
        """Return the last revision that devel has, a log record, and those that it lacks, lowest first."""
        tip, _ = rollout_bzr.revision_info(self.db_stable, executable=self.brz)
        look = FIRST_LOOK
        while tip:
            log = rollout_bzr.log(self.db_stable, f"{max(1, tip - look + 1)}..{tip}", executable=self.brz)
            has = self._count_in_devel(log)
            if has:
                return log[has - 1], log[has:]
            if look >= tip:
                break
            look *= 8
        raise Refused(
            f"E-unrelated-branches  {self.devel} has no revision of {self.db_stable}.\n"
            "  Are both URLs right?  bzr info URL"
        )

    def _count_in_devel(self, log):
        """Count the records that devel has, by bisection: with a revision, it has all those before."""
        low, high = 0, len(log)
        while low < high:
            middle = (low + high) // 2
            if rollout_bzr.first_containing(self.devel, log[middle]["revid"], executable=self.brz):
                low = middle + 1
            else:
                high = middle
        return low

    def schema(self, branch, revision):
        """Return the SQL files of the schema directory at a revision, {name: text}."""
        target = self.scratch / f"schema-{len(list(self.scratch.iterdir()))}"
        location = f"{rollout_bzr.at(branch)}/{self.directory}"
        rollout_bzr.run(["export", "--format=dir", "-r", revision, "--", target, location], executable=self.brz)
        files = sorted(target.glob("*.sql")) if target.is_dir() else []
        if not files:
            raise Refused(
                f"E-no-schema-directory  {branch} has no SQL file in {self.directory} at revision {revision}.\n"
                f"  What is there:  bzr ls -r {revision} {branch}"
            )
        return {file.name: file.read_text(encoding="utf-8", errors="replace") for file in files}

    def schemas(self, lacking):
        """Return (revno, schema) for each of these revisions that changed the schema directory."""
        if not lacking:
            return []
        span = f"{lacking[0]['revno']}..{lacking[-1]['revno']}"
        location = f"{rollout_bzr.at(self.db_stable)}/{self.directory}"
        printed = rollout_bzr.run(
            ["log", "--line", "-n1", "--forward", "-r", span, "--", location], executable=self.brz
        )
        changed = [int(line.split(":")[0]) for line in printed.splitlines()]
        return [(revno, self.schema(self.db_stable, revno)) for revno in changed]

    def shared(self, record):
        """Return the last revision that devel has and what the schema directories held there and hold in devel."""
        names = frozenset(self.schema(self.db_stable, record["revno"]))
        return selection.Shared(record["revno"], record["revid"], names, self.schema(self.devel, -1))


def choose(params, scratch):
    """Read the branches and decide. Raises Refused, BzrError, and ValueError for arguments that cannot be read."""
    reading = Reading(params, scratch)
    rule = budget.Budget(params["window_minutes"], params["factor"], params["plus_minutes"])
    site = selection.Site(tags(params["bug_tags"]), rows(params["applied"]), timings(params["timings"]), rule)
    record, lacking = reading.revisions()
    shared, schemas = reading.shared(record), reading.schemas(lacking)
    selected = selection.select(lacking, shared, schemas, site)
    pinned = params["revision"]
    chosen = selected.highest if pinned is None else selected.candidate(pinned)
    if chosen is None or chosen.reasons:
        raise Refused(selection.refusal(selected, pinned))
    if pinned is not None and pinned < chosen.revno:  # devel has it already, and more
        revid = rollout_bzr.revision_info(reading.db_stable, pinned, executable=reading.brz)[1]
        chosen = dataclasses.replace(chosen, revno=pinned, revid=revid)
    return {
        "revision": chosen.revno,
        "revid": chosen.revid,
        "patches": list(chosen.schema.pending),
        "evidence": selected.evidence(chosen),
        "steps": rule.steps(chosen.schema.staging_seconds),
        "fits": selected.fits,
        "schema_changes": selection.schema_changes(chosen, lacking, schemas, shared),
        "qa": selected.assessment.as_dict(),
    }


def tags(value):
    """Return {bug: [tag]}. Raises ValueError that names the bug."""
    for bug, listed in value.items():
        if not str(bug).isdigit() or not isinstance(listed, list):
            raise ValueError(f"bug_tags: {bug}: {listed!r}; expected a bug number and a list of tags")
    return {int(bug): [str(tag) for tag in listed] for bug, listed in value.items()}


def rows(value):
    """Return [(major, minor, patch)]. Raises ValueError that names the row."""
    for row in value:
        if len(row) != 3 or not all(str(number).isdigit() for number in row):
            raise ValueError(f"applied: {row!r}; expected [major, minor, patch]")
    return [tuple(int(number) for number in row) for row in value]


def timings(value):
    """Return {patch: seconds}. Raises ValueError that names the patch."""
    for name, seconds in value.items():
        patches.PatchName.parse(name)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise ValueError(f"timings: {name}: {seconds!r}; expected seconds")
    return value


def main():
    """Read the arguments, choose, tell."""
    module = AnsibleModule(
        argument_spec={
            "db_stable": {"type": "str", "required": True},
            "devel": {"type": "str", "required": True},
            "schema_directory": {"type": "str", "default": "database/schema"},
            "bug_tags": {"type": "dict", "required": True},
            "applied": {"type": "list", "elements": "list", "required": True},
            "timings": {"type": "dict", "required": True},
            "window_minutes": {"type": "float", "required": True},
            "factor": {"type": "float", "required": True},
            "plus_minutes": {"type": "float", "required": True},
            "revision": {"type": "int"},
            "brz_executable": {"type": "str", "default": "brz"},
        },
        supports_check_mode=True,
    )
    for field in ("db_stable", "devel", "schema_directory"):
        value = module.params[field]
        if not value.strip("/") or value.startswith("-") or ".." in value.split("/"):
            module.fail_json(msg=f"E-bad-branch  {field} is {value!r}; a path or URL was expected.")
    try:
        with tempfile.TemporaryDirectory(prefix="select_revision-") as scratch:
            result = choose(module.params, scratch)
    except Refused as refused:
        pinned_by_hand = module.params["revision"] is not None
        module.fail_json(msg=str(refused), **({"bad_input": "pinned.revision"} if pinned_by_hand else {}))
    except rollout_bzr.BzrError as error:
        module.fail_json(msg=f"E-bzr  {error}")
    except ValueError as error:
        module.fail_json(msg=f"E-bad-argument  {error}.")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
