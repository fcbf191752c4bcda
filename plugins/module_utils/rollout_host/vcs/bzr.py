"""Bazaar branches through the command line client, `brz` (or the older `bzr`).

The client is asked by argv and read in its machine-friendly forms. Its Python library is not imported: the host's
interpreter may not have it.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Collection, Mapping
from urllib.parse import quote

from .base import (
    TIP,
    FileChange,
    LogEntry,
    Manifest,
    MissingRevisionError,
    Named,
    NotABranchError,
    Numbered,
    Vcs,
    VcsError,
)
from .bzr_tree import BazaarTree

SAID = {"does not exist in branch": MissingRevisionError, "Not a branch": NotABranchError}
URL = re.compile(r"[a-z+]+:")  # bzr://host/devel, lp:devel
LOG_RECORD = re.compile(r"(?m)^-{60}\n")
# "revno: 3 [merge]", "parent: REVID", … until "message:", whose lines are indented by two spaces.
LOG_FIELD = re.compile(r"^(revno|revision-id|parent|committer|timestamp): (.*)$")
# "  file a\\ b/c FILE-ID SHA-1 REVISION-ID no", of a strict testament; of a link, its target stands for the SHA-1.
TESTAMENT_FILE = re.compile(
    r"(?m)^  (?P<kind>file|symlink) (?P<path>(?:\\.|[^\\ \n])+) \S+ (?P<content>.*) \S+ (?P<executable>yes|no)$"
)
ESCAPED = re.compile(r"\\(.)")


class Bazaar(Vcs):
    """Reads Bazaar branches, and trees of them."""

    name, title, clients = "bzr", "Bazaar", ("brz", "bzr")
    urls = re.compile(r"(lp|lp-[\w-]+|bzr(\+\w+)?):")

    def run(self, *argv: object, **how: Any) -> str:
        """Run the client and return what it printed, as text; otherwise as run_bytes."""
        return self.run_bytes(*argv, **how).decode("utf-8", "replace")

    def run_bytes(
        self,
        *argv: object,
        cwd: str | Path | None = None,
        committer: str | None = None,
        ok: Collection[int] = (0,),
    ) -> bytes:
        """Run the client with argv (without the user's aliases) and return what it printed, as bytes.

        A lock left by a dead process of this host is broken. Raises VcsError on an exit code not in `ok`.
        """
        command = [self.executable, "--no-aliases", "-Olocks.steal_dead=True", *map(str, argv)]
        env = environment(committer)
        try:
            done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise VcsError(command, 127, f"{self.executable} cannot be run: {error.strerror}") from error
        if done.returncode not in ok:
            said = done.stderr.decode("utf-8", "replace")
            what = next((each for text, each in SAID.items() if text in said), VcsError)
            raise what(command, done.returncode, said)
        return done.stdout

    @staticmethod
    def is_at(path: Path) -> bool:
        return (path / ".bzr").is_dir()

    def at(self, branch: str) -> str:
        """Return the location of a branch; raise NotABranchError if there is none.

        For a local path that is no branch, the client would go up and take one further up instead.
        """
        if not URL.match(branch) and not self.is_at(Path(branch)):
            raise NotABranchError(["open", branch], 3, f"Not a branch: {branch}")
        return branch

    def revision_info(self, branch: str, revision: Named = TIP) -> Numbered:
        argv = ["revision-info", "-d", self.at(branch), "-r", _spec(revision)]
        number, revid = self.run(*argv).split(maxsplit=1)
        if number == "???":  # an id of the repository that is not an ancestor of the branch's tip
            raise MissingRevisionError([self.executable, *argv], 3, f"{branch} does not contain {revision}")
        return _number(number), revid.strip()

    def bringing(self, branch: str, revid: str) -> LogEntry | None:
        try:
            return self._log(branch, "-r", "mainline:revid:" + revid)[0]
        except MissingRevisionError:
            return None

    def log(self, branch: str, first: Named | None = None, last: Named | None = None) -> list[LogEntry]:
        if first is None and last is None:
            return self._log(branch)  # all of a long branch as a range takes the client thrice as long
        ends = ["" if each is None else _spec(each) for each in (first, last)]
        return self._log(branch, "-r", ends[0] if first == last else "..".join(ends))

    def _log(self, branch: str, *span: str) -> list[LogEntry]:
        argv = ["log", "--long", "--show-ids", "-n1", "--forward", "--timezone=utc", *span, "--", self.at(branch)]
        # A message is indented, so a line of dashes in it is no separator.
        return [_entry(printed) for printed in LOG_RECORD.split(self.run(*argv))[1:]]

    def changes(self, branch: str, revision: int) -> list[FileChange]:
        """Return what a revision changed, in the client's words; directories end in "/"."""
        printed = self.run("log", "--long", "-v", "-n1", "-r", revision, "--", self.at(branch))
        return delta(printed.partition("\nmessage:\n")[2])

    def changed_in(self, branch: str, first: int, last: int, directory: str) -> list[int]:
        location = f"{self.at(branch)}/{directory}"
        # Not --forward: with it the client stops at the first revision that makes something in the directory.
        try:
            printed = self.run("log", "--line", "-n1", "-r", f"{first}..{last}", "--", location)
        except VcsError as error:
            if "Path unknown at end or start of revision range" in str(error):
                return []  # there is no such directory at either end
            raise
        return sorted(int(line.split(":")[0]) for line in printed.splitlines())

    def export(self, branch: str, directory: str, revision: Named, target: Path) -> None:
        location = "/".join([self.at(branch).rstrip("/"), *filter(None, [directory.strip("/")])])
        self.run("export", "--format=dir", "-r", _spec(revision), "--", target, location)

    def manifest(self, branch: str, revid: str) -> Manifest:
        """Return {path: kind, digest or target of the link, executable or not}."""
        printed = self.run("testament", "--long", "--strict", "-r", "revid:" + revid, "--", self.at(branch))
        files = printed.partition("\ninventory:\n")[2].partition("\nproperties:\n")[0]
        return {
            ESCAPED.sub(r"\1", entry["path"]): f"{entry['kind']} {entry['content']} {entry['executable']}"
            for entry in TESTAMENT_FILE.finditer(files)
        }

    def cat(self, branch: str, revid: str, path: str) -> bytes:
        location = self.at(branch).rstrip("/") + "/" + (quote(path) if URL.match(branch) else path)
        return self.run_bytes("cat", "--name-from-revision", "-r", "revid:" + revid, "--", location)

    def working_tree(self, params: Mapping[str, Any]) -> BazaarTree:
        return BazaarTree(self, params)

    # -- a tree

    def tree_revision(self, tree: str | Path) -> Numbered:
        """Return number and id of the revision that the files of a tree are at; its branch may be ahead of that."""
        number, revid = self.run("revision-info", "--tree", "-d", tree).split()
        return _number(number), revid

    def uncommitted(self, tree: str | Path) -> list[FileChange]:
        """Return what differs from the tree's revision, conflicts and pending merges included."""
        return delta(self.run("status", "--versioned", "--", tree))

    def unknown(self, tree: str | Path) -> list[str]:
        """Return the paths of the files that are neither versioned nor ignored."""
        return sorted(self.run("ls", "--unknown", "--recursive", cwd=tree).splitlines())


def environment(committer: str | None = None) -> dict[str, str]:
    """Return the environment of a command: plain English, no log file, no progress bar, no editor."""
    env = dict(os.environ, LANG="C.UTF-8", LC_ALL="C.UTF-8", LANGUAGE="C")
    for name in ("BRZ", "BZR"):
        env.update({name + "_LOG": os.devnull, name + "_PROGRESS_BAR": "none", name + "_EDITOR": "false"})
        if committer:
            env[name + "_EMAIL"] = committer
    return env


def delta(printed: str) -> list[FileChange]:
    """Return the changes in the output of `log -v` or `status`: "added:" and the like, each followed by indented paths.

    Lines before the first such heading (a message, say) are indented too and skipped. Sorted by path.
    """
    found: list[FileChange] = []
    change = ""
    for line in printed.split("\n"):
        if not line.startswith("  "):
            change = line.rstrip(":")
        elif change:
            found.append({"change": change, "path": line[2:]})
    return sorted(found, key=lambda entry: entry["path"])


def _spec(revision: Named) -> str:
    return str(revision) if isinstance(revision, int) else "revid:" + revision


def _number(printed: str) -> int | None:
    return int(printed) if printed.isascii() and printed.isdigit() else None  # 1.2.3 was merged


def _entry(printed: str) -> LogEntry:
    """Return the entry for one record of `log --long --show-ids`."""
    head, _message, body = printed.partition("\nmessage:\n")
    fields = [(match.group(1), match.group(2)) for match in map(LOG_FIELD.match, head.split("\n")) if match]
    found: dict[str, str] = dict(fields)
    return {
        "revno": int(found["revno"].split()[0]),
        "revid": found["revision-id"],
        "parents": [value for name, value in fields if name == "parent"],
        "committer": found["committer"],
        "date": _utc(found["timestamp"]),
        "message": "\n".join(line[2:] for line in body.split("\n")).strip(),
    }


def _utc(timestamp: str) -> str:
    """Return "Sun 2026-11-22 18:02:26 +0000" as "2026-11-22T18:02:26+00:00"."""
    day, time, offset = timestamp[4:].split()  # strptime takes seconds for a long branch
    moment = datetime.fromisoformat(f"{day}T{time}{offset[:3]}:{offset[3:]}")
    return moment.astimezone(timezone.utc).isoformat()
