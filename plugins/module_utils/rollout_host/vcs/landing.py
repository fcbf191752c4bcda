"""A commit that a stage makes on a branch and pushes, in either version control, safe to repeat (R10, R17).

The deeds in the working tree, and the questions to the branches, are those of a WorkingTree: bzr_working_tree
or git_working_tree. A landing is planned as a list of commits on top of the branch's tip. Whatever of them
stands in the tree already, committed and not pushed, is recognized by content and ancestry, kept, and only the rest is
made.
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from . import content

# What a LOSA reads. Names and locations are quoted for the shell, so each command can be pasted.
UNREADABLE = """\
E-branch-unreadable  {branch} cannot be read from this host: {reason}
  Try it there:  {try_it}"""
NO_TREE = """\
E-no-tree  There is no branch at {tree}.
  Make it:  {make_tree}"""
OWN_REVISIONS = """\
E-own-revisions  {tree} has revisions that {push_to} lacks, and they are not {deed}. Nothing was committed.
  See them:        {see_own}
  If they may go:  {drop_own}
  Then:            {again}"""
NOT_COMMITTED = """\
E-not-committed  {Deed} was not committed: {reason}
                 The tree {tree} is as it was."""
NOT_PUSHED = """\
E-not-pushed  {push_to} did not take {deed}: {reason}
              It is committed in {tree}; the next run only pushes it.
  Look there:  {look_there}
  Then:        {again}"""
MOVED = """\
E-target-moved  Somebody pushed to {push_to} during {deed}.
                Nothing of it was kept; the tree {tree} is as it was.
  Once more:  {again}"""
NOT_VERIFIED = """\
E-not-verified  {push_to} does not have what was made: {deed}.
                made  {made}
                found {found}
  See what it has:  {see_tip}"""


class LandingError(Exception):
    """It cannot go on; the text says what happened, where, and what to type next. `facts` go into the result."""

    def __init__(self, text, **facts):
        """Keep the facts beside the text."""
        super().__init__(text)
        self.facts = facts


def name_of(branch):
    """Return what people call a branch: "db-stable" for lp:~pqm/launchpad/db-stable, or …/launchpad#db-stable."""
    return branch.rstrip("/").replace(":", "/").replace("#", "/").rpartition("/")[2]


class Landing:
    """What a merge and a back-out have in common. `deed` is what it is called, `again` the command that repeats it."""

    deed, again = "", ""

    def __init__(self, working):
        """Take the working tree in which it is made."""
        self.working, self.steps = working, working.steps
        self.target = name_of(working.push_to)
        self._answers = {}  # (branch, question, arguments) -> what was answered

    def words(self):
        """Return what the texts are filled in with."""
        working = self.working
        known = {"tree": working.tree, "push_to": working.push_to}
        deed = {"deed": self.deed, "Deed": self.deed[:1].upper() + self.deed[1:], "again": self.again}
        return {
            **{name: shlex.quote(value) for name, value in known.items()},
            **deed,
            **working.commands(),
            "target": self.target,
        }

    def refuse(self, text, *, facts=None, **words):
        """Raise LandingError with a text filled in."""
        raise LandingError(text.format(**{**self.words(), **words}), **(facts or {}))

    def ask(self, question, name, *arguments):
        """Ask about the branch that a name stands for: target, source, resolution, or here (the tree's own).

        `question` is a name in bzr and git. A branch is as it was when it was last looked at. Raises
        LandingError if the branch cannot be read, the system's error if it lacks the revision.
        """
        working, known = self.working, (name, question, arguments)
        if known in self._answers:
            return self._answers[known]
        try:
            found = getattr(working.questions, question)(working.where(name), *arguments, executable=working.executable)
        except working.Error as error:
            if error.missing_revision:
                raise
            branch = shlex.quote(working.branches.get(name, working.tree))
            return self.refuse(UNREADABLE, branch=branch, reason=error.stderr, try_it=working.try_it(name))
        if name in working.branches or question in ("manifest", "cat"):
            self._answers[known] = found
        return found

    def look(self, scratch):
        """Read the branches as they are now. In `scratch`, a directory, if the tree is not to be touched."""
        if not self.working.is_there():
            self.refuse(NO_TREE)
        for name in self.working.branches:
            self.look_at(name, scratch)

    def look_at(self, name, scratch=None):
        """Read one branch as it is now."""
        for known in [known for known in self._answers if known[0] == name and known[1] not in ("manifest", "cat")]:
            del self._answers[known]
        try:
            self.working.look_at(name, scratch)
        except self.working.Error as error:
            self.refuse(
                UNREADABLE,
                branch=shlex.quote(self.working.branches[name]),
                reason=error.stderr,
                try_it=self.working.try_it(name),
            )

    def on(self, name, revid):
        """Return the log record of the mainline revision of a branch that first contains `revid`, or None."""
        try:
            return self.ask("log", name, "mainline:revid:" + revid)[0]
        except self.working.Error:
            return None

    def since(self, name, record):
        """Return the log records of the mainline above one, lowest first."""
        return self.ask("log", name, f"{record['revno']}..")[1:]

    # -- content

    def manifest(self, name, revid):
        """Return the manifest of a revision, which a branch contains."""
        for where in ("target", "source", "here"):
            if (where, "manifest", (revid,)) in self._answers:
                return self._answers[where, "manifest", (revid,)]
        return self.ask("manifest", name, revid)

    def change(self, name, record):
        """Return what a mainline revision changed, a pair of manifests."""
        before = self.manifest(name, record["parents"][0]) if record["parents"] else {}
        return before, self.manifest(name, record["revid"])

    def undoes(self, name, done, undone):
        """Tell whether a mainline revision (`done`) is by content just the undoing of another; both are log records."""
        if not (done["parents"] and undone["parents"]):
            return False
        revids = {
            "was": done["parents"][0], "is": done["revid"], "before": undone["parents"][0], "after": undone["revid"],
        }  # fmt: skip
        return content.undoes(
            self.change(name, done),
            self.change(name, undone),
            lambda path, side: self.ask("cat", name, revids[side], path),
        )

    # -- the deeds

    def bring_up(self, plan):
        """Update and revert the tree and bring it to the branch's tip; return (that tip's record, what stands on it).

        `plan` is the list of commits to be made, each with `is_it(record)`. What was committed and not pushed is kept
        if it is the beginning of the plan. Raises LandingError on other revisions of its own.
        """
        self.working.clear()
        theirs = self.ask("log", "target", "-1")[0]
        ours = self.ask("revision_info", "here")[1]
        if ours == theirs["revid"]:
            return theirs, []
        if self.ask("first_containing", "target", ours):
            self.advance()
            return self.ask("log", "here", "-1")[0], []  # with what came meanwhile
        if self.ask("first_containing", "here", theirs["revid"]) != (theirs["revno"], theirs["revid"]):
            self.refuse(OWN_REVISIONS)
        own = self.since("here", theirs)
        if len(own) > len(plan) or not all(commit.is_it(record) for commit, record in zip(plan, own)):
            self.refuse(OWN_REVISIONS)
        return theirs, own

    def advance(self):
        """Bring the tree to the tip of the branch. Raises LandingError if what nobody versioned is in the way."""
        conflicts = self.working.advance()
        if conflicts:
            self.refuse_conflicts(conflicts, "its newer revisions")

    def make(self, deed, message, incoming, **words):
        """Do one deed in the tree and commit it. Raises LandingError, with the tree as it was, on conflicts.

        `words` are for that text: how a developer reproduces it.
        """
        working = self.working
        before = working.listing()
        try:
            deed()
        except working.Error:
            conflicts = working.conflicts()
            working.put_back(before)
            if not conflicts:
                raise
            self.refuse_conflicts(conflicts, incoming, **words)
        try:
            working.commit(message)
        except working.Error as error:
            working.put_back(before)
            self.refuse(NOT_COMMITTED, reason=error.stderr)

    def refuse_conflicts(self, conflicts, incoming, **words):
        """Raise LandingError with the names of the conflicted files."""
        paths = sorted({conflict["path"] for conflict in conflicts})
        count = "1 file conflicts" if len(paths) == 1 else f"{len(paths)} files conflict"
        words.update(incoming=incoming, count=count, files=", ".join(paths))
        self.refuse(self.conflict_text, facts={"conflicts": conflicts}, **words)

    def land(self, plan, *, push):
        """Make what is left of the plan on the branch's tip, check it, push it. Return the log records of the commits.

        Without `push` it stays in the tree.
        """
        base, own = self.bring_up(plan)
        for commit in plan[len(own) :]:
            try:
                commit.make()
            except LandingError:
                self.drop(base)
                raise
        made = self.since("here", base)
        try:
            self.check(made, plan)
        except LandingError:
            self.drop(base)
            raise
        if push:
            self.push(base)
            self.verify(made)
        else:
            self.steps.append("push")
        return made

    def check(self, made, plan):
        """Raise LandingError unless the content of what was made, and is not pushed yet, is what it is to be."""

    def drop(self, base):
        """Take back what was committed and not pushed."""
        if self.ask("revision_info", "here")[1] != base["revid"]:
            before = self.working.listing()
            self.working.drop(base["revid"])
            self.working.put_back(before)

    def push(self, base):
        """Push the tree's tip, which stands on `base`. What counts is what the branch says afterwards."""
        try:
            self.working.push()
        except self.working.Error as error:
            self.look_at("target")
            theirs = self.ask("revision_info", "target")[1]
            if theirs == base["revid"]:
                self.refuse(NOT_PUSHED, reason=error.stderr)
            if theirs != self.ask("revision_info", "here")[1]:
                self.drop(base)
                self.refuse(MOVED)

    def verify(self, made):
        """Raise LandingError unless the branch has what was made, on its mainline."""
        self.look_at("target")
        found = self.on("target", made[-1]["revid"])
        if found is None or (found["revid"], found["parents"]) != (made[-1]["revid"], made[-1]["parents"]):
            self.refuse(NOT_VERIFIED, made=made[-1]["revid"], found=found and found["revid"])


class Undoing:
    """A commit of a plan that takes back one mainline revision of the target."""

    def __init__(self, landing, undone, step, message):
        """`undone` is its log record; `step` and `message` say what it is called."""
        self.landing, self.undone, self.step, self.message = landing, undone, step, message

    def is_it(self, record):
        """Tell whether a revision of the tree is this one, made before."""
        return self.landing.undoes("here", record, self.undone)

    def make(self):
        """Make it."""
        working = self.landing.working
        incoming = f"the undoing of revision {self.undone['revno']}"
        recipe = working.undo_recipe(self.undone)
        self.landing.make(lambda: working.undo(self.undone, self.step), self.message, incoming, **recipe)


def answer(landing, made, *, changed, check):
    """Return what a module returns: the last of the commits that were made or found, and what all of them changed."""
    last = made[-1]
    where = "here" if check and changed else "target"
    files = [entry for record in made for entry in landing.ask("changes", where, str(record["revno"]))]
    return {
        "changed": changed,
        "revno": last["revno"],
        "revid": None if check and changed else last["revid"],
        "parents": last["parents"],
        "files": files,
        "conflicts": [],
        "steps": landing.steps if changed else [],
    }


def carry_out(module, landing, more):
    """Run a landing for its module, answer, and end. `more(changed)` is what the answer has besides.

    In check mode everything but the push is done, in a temporary copy.
    """
    for field, value in landing.working.branches.items():
        if value.startswith("-"):
            module.fail_json(msg=f"E-bad-branch  {field} is {value!r}; a path or URL was expected.")
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="rollout-pqm-") as scratch:
            made, changed = landing.run(Path(scratch) if module.check_mode else None)
            result = {**answer(landing, made, changed=changed, check=module.check_mode), **more(changed)}
    except LandingError as error:
        module.fail_json(msg=str(error), steps=landing.steps, **{"conflicts": [], **error.facts})
    except landing.working.Error as error:
        module.fail_json(msg=f"E-{landing.working.questions.__name__[-3:]}  {error}", steps=landing.steps, conflicts=[])
    if module._diff and changed:
        result["diff"] = {"prepared": "".join("{change:<10}{path}\n".format(**entry) for entry in result["files"])}
    module.exit_json(**result)
