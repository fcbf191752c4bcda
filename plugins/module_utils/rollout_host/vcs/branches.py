"""The branches of a landing: what they hold, as read from the version control and remembered."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Callable, Iterable, NoReturn, TypeVar

from . import content
from .base import TIP, LockedError, LogEntry, Manifest, MissingRevisionError, VcsError, WorkingTree

Answer = TypeVar("Answer")
FOR_GOOD = ("manifest", "cat")  # what a revision holds never changes

# What a LOSA reads. Names and locations are quoted for the shell, so each command can be pasted.
BAD_BRANCH = "E-bad-branch  {field} is {found!r}; a path or URL was expected."
UNREADABLE = """\
E-branch-unreadable  {branch} cannot be read from this host: {reason}
  Try it there:  {try_it}"""
LOCKED = "E-locked  {reason}"
NO_TREE = """\
E-no-tree  There is no branch at {tree}.
  Make it:  {make_tree}"""


class LandingError(Exception):
    """An error: the landing cannot go on. The text says what happened, where, and what to type next."""

    def __init__(self, text: str, **facts: Any) -> None:
        """Keep the facts beside the text."""
        super().__init__(text)
        self.facts = facts


def name_of(branch: str) -> str:
    """Return what people call a branch: "db-stable" for lp:~pqm/launchpad/db-stable, or …/launchpad#db-stable."""
    return branch.rstrip("/").replace(":", "/").replace("#", "/").rpartition("/")[2]


def counted(things: Iterable[object], one: str, many: str = "") -> str:
    """Return "1 file" or "2 files"."""
    number = len(list(things))
    return one if number == 1 else f"{number} {many or one[2:] + 's'}"


class LandingBranches:
    """The branches of a landing: target, source, resolution, and here (the tree's own).

    Answers about a branch are as of the last look at it.
    """

    def __init__(self, working: WorkingTree) -> None:
        """Take the working tree of the target."""
        self.working, self.vcs, self.steps = working, working.vcs, working.steps
        self.target = name_of(working.push_to)
        self._answers: dict[tuple[object, ...], Any] = {}  # (branch, question, arguments) -> what was answered

    def words(self) -> dict[str, Any]:
        """Return the values for the placeholders in error texts."""
        known = {"tree": self.working.tree, "push_to": self.working.push_to}
        quoted = {name: shlex.quote(value) for name, value in known.items()}
        return {**quoted, **self.working.commands(), "target": self.target}

    def refuse(self, text: str, *, facts: dict[str, Any] | None = None, **words: object) -> NoReturn:
        """Raise LandingError with a text filled in."""
        raise LandingError(text.format(**{**self.words(), **words}), **(facts or {}))

    def _unreadable(self, name: str, error: VcsError) -> NoReturn:
        if isinstance(error, LockedError):
            self.refuse(LOCKED, reason=error.stderr)
        branch = shlex.quote(self.working.branches.get(name, self.working.tree))
        self.refuse(UNREADABLE, branch=branch, reason=error.stderr, try_it=self.working.try_it(name))

    def ask(self, question: Callable[..., Answer], name: str, *arguments: object) -> Answer:
        """Return the answer of Vcs to a question about the branch with that name.

        Raises LandingError if the branch cannot be read, MissingRevisionError if it lacks the revision.
        """
        known = (name, question.__name__, *arguments)
        if known in self._answers:
            answer: Answer = self._answers[known]
            return answer
        try:
            found = question(self.working.where(name), *arguments)
        except MissingRevisionError:
            raise
        except VcsError as error:
            self._unreadable(name, error)
        if name in self.working.branches or question.__name__ in FOR_GOOD:
            self._answers[known] = found
        return found

    def look(self, scratch: Path | None) -> None:
        """Read the branches as they are now; in `scratch`, a directory, if the tree is not to be touched."""
        for name, branch in self.working.branches.items():
            if branch.startswith("-"):
                self.refuse(BAD_BRANCH, field="push_to" if name == "target" else name, found=branch)
        if not self.working.is_there():
            self.refuse(NO_TREE)
        for name in self.working.branches:
            self.look_at(name, scratch)

    def look_at(self, name: str, scratch: Path | None = None) -> None:
        """Read one branch as it is now."""
        for known in [known for known in self._answers if known[0] == name and known[1] not in FOR_GOOD]:
            del self._answers[known]
        try:
            self.working.look_at(name, scratch)
        except VcsError as error:
            self._unreadable(name, error)

    def tip(self, name: str) -> LogEntry:
        """Return the last revision of a branch."""
        return self.ask(self.vcs.log, name, TIP, TIP)[0]

    def at(self, name: str, revno: int) -> LogEntry:
        """Return a mainline revision of a branch by its number."""
        return self.ask(self.vcs.log, name, revno, revno)[0]

    def on(self, name: str, revid: str) -> LogEntry | None:
        """Return the mainline revision of a branch that first contains `revid`, or None."""
        return self.ask(self.vcs.bringing, name, revid)

    def since(self, name: str, entry: LogEntry) -> list[LogEntry]:
        """Return the mainline above a revision, lowest first."""
        return self.ask(self.vcs.log, name, entry["revno"])[1:]

    # -- content

    def manifest(self, name: str, revid: str) -> Manifest:
        """Return the manifest of a revision, which a branch contains."""
        known = [(where, "manifest", revid) for where in ("target", "source", "here")]
        found: Manifest | None = next((self._answers[each] for each in known if each in self._answers), None)
        return self.ask(self.vcs.manifest, name, revid) if found is None else found

    def change(self, name: str, entry: LogEntry) -> content.Change:
        """Return what a mainline revision changed."""
        before = self.manifest(name, entry["parents"][0]) if entry["parents"] else {}
        return before, self.manifest(name, entry["revid"])

    def text(self, name: str, **revids: str) -> content.Text:
        """Return a function that reads a file of a branch at the revision that stands for a side."""
        return lambda path, side: self.ask(self.vcs.cat, name, revids[side], path)

    def undoes(self, name: str, done: LogEntry, undone: LogEntry) -> bool:
        """Return True if a mainline revision (`done`) is by content just the undoing of another."""
        if not (done["parents"] and undone["parents"]):
            return False
        # `is` is a word of Python's, so the sides of `done` come as a dict.
        sides = {"was": done["parents"][0], "is": done["revid"]}
        text = self.text(name, before=undone["parents"][0], after=undone["revid"], **sides)
        return content.undoes(self.change(name, done), self.change(name, undone), text)
