"""What db-stable holds that devel lacks, asked of the branches as they are on their server, in Bazaar or git (R8).

Both kinds of branches answer the same questions (bzr, git); what is judged knows no difference. A
revision is always {revno, revid, message, …}; in git its number is its place on the line of first parents.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ...rollout_core.merge import deployable, messages, selection
from . import bzr, git

KINDS = ("bzr", "git")
VcsError = (bzr.BzrError, git.GitError)
FIRST_LOOK = 32  # revisions of db-stable; eight times as many at each further look
ARGUMENTS = {
    "vcs": {"type": "str", "default": "bzr", "choices": list(KINDS)},
    "db_stable": {"type": "str", "required": True},
    "devel": {"type": "str", "required": True},
    "brz_executable": {"type": "str", "default": "brz"},
    "git_executable": {"type": "str", "default": "git"},
}


class Refused(Exception):  # noqa: N818  it carries an answer
    """The question has no good answer; the text is the module's message."""


class Client:
    """The questions of one kind of version control; raises VcsError as bzr and git do."""

    def __init__(self, kind, executable):
        """`kind` is one of KINDS."""
        self.kind, self._executable = kind, executable
        self._asked = {"bzr": bzr, "git": git}[kind]

    def revision_info(self, branch, revision="-1"):
        """Return (revno, revid)."""
        return self._asked.revision_info(branch, str(revision), executable=self._executable)

    def log(self, branch, first=None, last=None):
        """Return the mainline revisions from number `first` to `last`, lowest first; without numbers, all."""
        span = f"{first}..{last}" if first else None
        return self._asked.log(branch, span, executable=self._executable)

    def brought_by(self, branch, revid):
        """Return the number of the mainline revision that first contains a revision; None: the branch lacks it."""
        found = self._asked.first_containing(branch, revid, executable=self._executable)
        return found[0] if found else None

    def export(self, branch, directory, revision, target):
        """Write what the branch holds in a directory at a revision into `target`."""
        self._asked.export(branch, directory, revision, target, executable=self._executable)

    def changed(self, branch, first, last, directory):
        """Return the numbers, from `first` to `last`, of the revisions that changed something in a directory."""
        if self.kind == "git":
            records = git.log(branch, f"{first}..{last}", self._executable, directory)
            return [record["revno"] for record in records]
        location = f"{bzr.at(branch)}/{directory}"
        argv = ["log", "--line", "-n1", "--forward", "-r", f"{first}..{last}", "--", location]
        printed = bzr.run(argv, executable=self._executable)
        return [int(line.split(":")[0]) for line in printed.splitlines()]


class Range:
    """db-stable and devel, and what the first holds that the second lacks."""

    def __init__(self, client, db_stable, devel):
        """Keep where they are."""
        self.client, self.db_stable, self.devel = client, db_stable, devel
        self._devel_tip = None

    @classmethod
    def of(cls, params):
        """Return the range that a module's params name. Raises Refused for what cannot be a branch."""
        for field in ("db_stable", "devel", "schema_directory"):
            value = params.get(field, "x")
            if not value.strip("/") or value.startswith("-") or ".." in re.split("[/#]", value):
                raise Refused(f"E-bad-branch  {field} is {value!r}; a path or URL was expected.")
        executable = params["git_executable" if params["vcs"] == "git" else "brz_executable"]
        branches = (params["db_stable"].rstrip("/"), params["devel"].rstrip("/"))
        return cls(Client(params["vcs"], executable), *branches)

    def revisions(self):
        """Return the last revision that devel has, a log record, and those that it lacks, lowest first.

        What a merge brought that was backed out again (R17) is lacking: it is an ancestor of devel, and the next merge
        brings it back.
        """
        tip = self.client.revision_info(self.db_stable)[0]
        look = FIRST_LOOK
        while tip:
            log = self.client.log(self.db_stable, max(1, tip - look + 1), tip)
            has = self._count_in_devel(log, math.inf)
            while has:
                merge = self.client.brought_by(self.devel, log[has - 1]["revid"])
                if not self._is_rolled_back(merge):
                    break
                has = self._count_in_devel(log[:has], merge)
            if has:
                return log[has - 1], log[has:]
            if look >= tip:
                break
            look *= 8
        raise Refused(
            f"E-unrelated-branches  {self.devel} has no revision of {self.db_stable}.\n"
            f"  Are both right, and are both {self.client.kind} branches?"
        )

    def taken_back(self, lacking):
        """Return the number of the highest of these revisions that devel contains all the same; 0: of none.

        It was merged and backed out; a lower one cannot be merged any more.
        """
        contained = self._count_in_devel(lacking, math.inf)
        return lacking[contained - 1]["revno"] if contained else 0

    def has(self, revid):
        """Tell whether devel contains a revision, backed out or not."""
        return self.client.brought_by(self.devel, revid) is not None

    def _is_rolled_back(self, revno):
        """Tell whether devel's revision is rolled back, by what the messages above it say, also of each other."""
        if revno == self._tip_of_devel():
            return False
        verdicts = deployable.assess(self.client.log(self.devel, revno, self._tip_of_devel()), {}).revisions
        return verdicts[0].state == "rolled-back"

    def _tip_of_devel(self):
        if self._devel_tip is None:
            self._devel_tip = self.client.revision_info(self.devel)[0]
        return self._devel_tip

    def _count_in_devel(self, log, below):
        """Count the records that devel had below one of its revisions, by bisection: with one, all those before."""
        low, high = 0, len(log)
        while low < high:
            middle = (low + high) // 2
            brought_by = self.client.brought_by(self.devel, log[middle]["revid"])
            if brought_by is not None and brought_by < below:
                low = middle + 1
            else:
                high = middle
        return low


class Schemas:
    """The schema directories of a range; they are exported into `scratch`."""

    def __init__(self, range_, directory, scratch):
        """`directory` is where the schema patches are in both branches."""
        self.range, self.client, self.directory, self.scratch = range_, range_.client, directory, Path(scratch)

    def at(self, branch, revision):
        """Return the SQL files of the schema directory at a revision, {name: text}. Raises Refused if there is none."""
        target = self.scratch / f"schema-{len(list(self.scratch.iterdir()))}"
        self.client.export(branch, self.directory, revision, target)
        files = sorted(target.glob("*.sql"))
        if not files:
            raise Refused(
                f"E-no-schema-directory  {branch} has no SQL file in {self.directory} at revision {revision}.\n"
                "  Then:  mend revision_schema_directory in the inventory"
            )
        return {file.name: file.read_text(encoding="utf-8", errors="replace") for file in files}

    def changed(self, lacking):
        """Return (revno, schema) for each of these revisions that changed the schema directory."""
        if not lacking:
            return []
        first, last = lacking[0]["revno"], lacking[-1]["revno"]
        numbers = self.client.changed(self.range.db_stable, first, last, self.directory)
        return [(revno, self.at(self.range.db_stable, revno)) for revno in numbers]

    def shared(self, record, lacking):
        """Return the last revision that devel has and what the schema directories held there and hold in devel."""
        names = frozenset(self.at(self.range.db_stable, record["revno"]))
        devel, taken_back = self.at(self.range.devel, "-1"), self.range.taken_back(lacking)
        return selection.Shared(record["revno"], record["revid"], names, devel, taken_back)


def bug_tags(value):
    """Return {bug: [tag]} of a module's argument. Raises ValueError that names the bug."""
    for bug, listed in value.items():
        if not str(bug).isdigit() or not isinstance(listed, list):
            raise ValueError(f"bug_tags: {bug}: {listed!r}; expected a bug number and a list of tags")
    return {int(bug): [str(tag) for tag in listed] for bug, listed in value.items()}


def bugs(revisions):
    """Return the numbers of the bugs that the messages of these revisions name, sorted, each once."""
    return sorted({bug for each in revisions for bug in messages.parse(str(each["message"])).bugs})
