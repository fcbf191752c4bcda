"""Finds what db-stable holds and devel lacks, in the branches as they are on their server (R8)."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Mapping, Sequence

from ...rollout_core.merge import deployable, messages, selection
from ...rollout_core.schema import patches
from . import kinds
from .base import TIP, LogEntry, Named, Vcs
from .branches import name_of

FIRST_LOOK = 32  # revisions of db-stable; eight times as many at each further look
ARGUMENTS: dict[str, dict[str, Any]] = {
    **kinds.ARGUMENTS,
    "db_stable": {"type": "str", "required": True},
    "devel": {"type": "str", "required": True},
}


class Refused(Exception):  # noqa: N818  it carries an answer
    """An error: the question has no good answer; the text is the module's message."""


class Backlog:
    """The two branches, and what db-stable holds that devel lacks."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Take the branches from a module's params. Raises Refused for a location that cannot be a branch."""
        for field in ("db_stable", "devel", "schema_directory"):
            value = params.get(field, "x")
            if not value.strip("/") or value.startswith("-") or ".." in re.split("[/#]", value):
                raise Refused(f"E-bad-branch  {field} is {value!r}; a path or URL was expected.")
        self.vcs: Vcs = kinds.named(params)
        self.db_stable: str = params["db_stable"].rstrip("/")
        self.devel: str = params["devel"].rstrip("/")
        self.names = selection.Branches(name_of(self.db_stable), name_of(self.devel))
        self._devel_tip: int | None = None

    def revisions(self) -> tuple[LogEntry, list[LogEntry]]:
        """Return the last revision that devel has, and those that it lacks, lowest first.

        A revision whose merge was backed out (R17) is lacking: it is an ancestor of devel, and the next merge brings it
        back.
        """
        tip = self.vcs.revision_info(self.db_stable)[0]
        look = FIRST_LOOK
        while tip:
            log = self.vcs.log(self.db_stable, max(1, tip - look + 1), tip)
            has = self._count_in_devel(log, math.inf)
            while has:
                merge = self.vcs.bringing(self.devel, log[has - 1]["revid"])
                if merge is None or not self._is_rolled_back(merge["revno"]):
                    break
                has = self._count_in_devel(log[:has], merge["revno"])
            if has:
                return log[has - 1], log[has:]
            if look >= tip:
                break
            look *= 8
        raise Refused(
            f"E-unrelated-branches  {self.devel} has no revision of {self.db_stable}.\n"
            f"  Are both right, and are both {self.vcs.name} branches?"
        )

    def taken_back(self, lacking: list[LogEntry]) -> int:
        """Return the number of the highest of these lacking revisions that devel contains nevertheless; 0 if none.

        It was merged and backed out; a lower one cannot be merged any more.
        """
        contained = self._count_in_devel(lacking, math.inf)
        return lacking[contained - 1]["revno"] if contained else 0

    def has(self, revid: str) -> bool:
        """Return True if devel contains a revision, backed out or not."""
        return self.vcs.bringing(self.devel, revid) is not None

    def _is_rolled_back(self, revno: int) -> bool:
        """Return True if devel's revision is rolled back, by the messages above it (which may roll back each other)."""
        if self._devel_tip is None:
            self._devel_tip = self.vcs.revision_info(self.devel)[0]
        if revno == self._devel_tip:
            return False
        verdicts = deployable.assess(self.vcs.log(self.devel, revno, self._devel_tip), {}).revisions
        return verdicts[0].state == "rolled-back"

    def _count_in_devel(self, log: Sequence[LogEntry], below: float) -> int:
        """Return how many revisions devel had below one of its own, by bisection: it has all before one that it has."""
        low, high = 0, len(log)
        while low < high:
            middle = (low + high) // 2
            merge = self.vcs.bringing(self.devel, log[middle]["revid"])
            if merge is not None and merge["revno"] < below:
                low = middle + 1
            else:
                high = middle
        return low


class Schemas:
    """The schema directories of both branches, exported into `scratch`."""

    def __init__(self, backlog: Backlog, directory: str, scratch: str) -> None:
        """Take `directory`, where the schema patches are in both branches."""
        self.backlog, self.directory, self.scratch = backlog, directory, Path(scratch)

    def at(self, branch: str, revision: Named) -> dict[str, str]:
        """Return the SQL files of the schema directory at a revision, {name: text}; none where it has no directory."""
        target = self.scratch / f"schema-{len(list(self.scratch.iterdir()))}"
        self.backlog.vcs.export(branch, self.directory, revision, target)
        return {file.name: patches.decoded(file.read_bytes()) for file in sorted(target.glob("*.sql"))}

    def read(
        self, last: LogEntry, lacking: list[LogEntry]
    ) -> tuple[selection.Shared, list[tuple[int, dict[str, str]]]]:
        """Return what `shared` and `changed` do. Raises Refused if no SQL file is anywhere: the name is wrong, then.

        The first schema patch of a service makes the directory, so the last revision that devel has may lack it.
        """
        shared, changed = self.shared(last, lacking), self.changed(lacking)
        if not (shared.names or shared.devel or any(schema for _, schema in changed)):
            raise Refused(
                f"E-no-schema-directory  {self.backlog.db_stable} has no SQL file in {self.directory}, at revision"
                f" {last['revno']} or later.\n  Then:  mend revision_schema_directory in the inventory"
            )
        return shared, changed

    def changed(self, lacking: list[LogEntry]) -> list[tuple[int, dict[str, str]]]:
        """Return (revno, schema) for each of these revisions that changed the schema directory."""
        if not lacking:
            return []
        branch, first, last = self.backlog.db_stable, lacking[0]["revno"], lacking[-1]["revno"]
        numbers = self.backlog.vcs.changed_in(branch, first, last, self.directory)
        return [(revno, self.at(branch, revno)) for revno in numbers]

    def shared(self, entry: LogEntry, lacking: list[LogEntry]) -> selection.Shared:
        """Return the last revision that devel has, with the schema directories there and at devel's tip."""
        names = frozenset(self.at(self.backlog.db_stable, entry["revno"]))
        devel, taken_back = self.at(self.backlog.devel, TIP), self.backlog.taken_back(lacking)
        return selection.Shared(entry["revno"], entry["revid"], names, devel, taken_back, self.backlog.names)


def bug_tags(value: Mapping[Any, Any]) -> dict[int, list[str]]:
    """Return {bug: [tag]} of a module's argument. Raises ValueError that names the bug."""
    for bug, listed in value.items():
        if not re.fullmatch("[0-9]{1,15}", str(bug)) or not isinstance(listed, list):
            raise ValueError(f"bug_tags: {bug}: {listed!r}; expected a bug number and a list of tags")
    return {int(bug): [str(tag) for tag in listed] for bug, listed in value.items()}


def bugs(revisions: Sequence[LogEntry]) -> list[int]:
    """Return the numbers of the bugs that the messages of these revisions name, sorted, each once."""
    return sorted({bug for each in revisions for bug in messages.parse(each["message"]).bugs})
