"""Bazaar branches through the command line client, `brz` (or the older `bzr`), for modules on the hosts.

The client is asked by argv and read in its machine-friendly forms. Its Python library is not imported: the host's
interpreter may not have it. Branches are named by path or URL; revisions by any revision spec (`10381`, `-1`,
`revid:…`). Nothing is read from a commit message that the branch itself can tell (R10).
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

MISSING_REVISION = "does not exist in branch"
NOT_A_BRANCH = "Not a branch"
URL = re.compile(r"[a-z+]+:")  # bzr://host/devel, lp:devel
LOG_RECORD = re.compile(r"(?m)^-{60}\n")
# "revno: 3 [merge]", "parent: REVID", … until "message:", whose lines are indented by two spaces.
LOG_FIELD = re.compile(r"^(revno|revision-id|parent|committer|timestamp): (.*)$")
# "  file a\\ b/c FILE-ID SHA-1 REVISION-ID no", of a strict testament; of a link, its target stands for the SHA-1.
TESTAMENT_FILE = re.compile(
    r"(?m)^  (?P<kind>file|symlink) (?P<path>(?:\\.|[^\\ \n])+) \S+ (?P<content>.*) \S+ (?P<executable>yes|no)$"
)
ESCAPED = re.compile(r"\\(.)")


class BzrError(Exception):
    """A bzr command that failed.

    `command` is its argv, `exit_code` its code (127: no such program), `stderr` what it said.
    """

    def __init__(self, command, exit_code, stderr):
        """Keep the facts; the text is one line with all three."""
        self.command, self.exit_code, self.stderr = list(command), exit_code, stderr.strip()
        super().__init__(f"{' '.join(self.command)} exited {exit_code}: {self.stderr or 'no message'}")

    @property
    def missing_revision(self):
        """True if the branch was read and does not contain the revision."""
        return MISSING_REVISION in self.stderr

    @property
    def not_a_branch(self):
        """True if there is no branch at the location."""
        return NOT_A_BRANCH in self.stderr


def environment(committer=None):
    """Return the environment of a bzr command: plain English, no log file, no progress bar, no editor."""
    env = dict(os.environ, LANG="C.UTF-8", LC_ALL="C.UTF-8", LANGUAGE="C")
    for name in ("BRZ", "BZR"):
        env.update({name + "_LOG": os.devnull, name + "_PROGRESS_BAR": "none", name + "_EDITOR": "false"})
        if committer:
            env[name + "_EMAIL"] = committer
    return env


def run(argv, cwd=None, executable="brz", committer=None, ok=(0,)):
    """Run `executable` with argv and return what it printed, as text. As run_bytes otherwise."""
    return run_bytes(argv, cwd, executable, committer, ok).decode("utf-8", "replace")


def run_bytes(argv, cwd=None, executable="brz", committer=None, ok=(0,)):
    """Run `executable` with argv (the user's aliases are not looked at) and return what it printed, as bytes.

    A lock left by a process of this host that is dead is taken over. Raises BzrError on an exit code not in `ok`.
    """
    command = [executable, "--no-aliases", "-Olocks.steal_dead=True", *[str(word) for word in argv]]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment(committer), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise BzrError(command, 127, f"{executable} cannot be run: {error.strerror}") from error
    if done.returncode not in ok:
        raise BzrError(command, done.returncode, done.stderr.decode("utf-8", "replace"))
    return done.stdout


def at(branch):
    """Return the location of a branch as it is, or raise BzrError with `not_a_branch`.

    Of a local path that is no branch the client would go up, and take one further up for it.
    """
    if not URL.match(branch) and not (Path(branch) / ".bzr").is_dir():
        raise BzrError(["open", branch], 3, f"{NOT_A_BRANCH}: {branch}")
    return branch


def revision_info(branch, revision="-1", executable="brz"):
    """Return (revno, revid) of a revision of the branch; revno is None for a merged one (1.2.3), (0, "null:") if empty.

    Raises BzrError, with `missing_revision` if the branch does not contain it.
    """
    argv = ["revision-info", "-d", at(branch), "-r", revision]
    number, revid = run(argv, executable=executable).split()
    if number == "???":  # a revid: of the repository that is not an ancestor of the branch's tip
        raise BzrError([executable, *argv], 3, f"Requested revision: {revision!r} {MISSING_REVISION}: {branch}")
    return (int(number) if number.isdigit() else None), revid


def first_containing(branch, revid, executable="brz"):
    """Return (revno, revid) of the mainline revision of the branch that first contains `revid`, or None (R10).

    A mainline revision is the first to contain itself.
    """
    try:
        return revision_info(branch, "mainline:revid:" + revid, executable=executable)
    except BzrError as error:
        if error.missing_revision:
            return None
        raise


def _utc(timestamp):
    """Return "Sun 2026-11-22 18:02:26 +0000" as "2026-11-22T18:02:26+00:00"."""
    day, time, offset = timestamp[4:].split()  # strptime takes seconds for a long branch
    moment = datetime.fromisoformat(f"{day}T{time}{offset[:3]}:{offset[3:]}")
    return moment.astimezone(timezone.utc).isoformat()


def _record(printed):
    """Return one record of `log --long --show-ids` as a dict."""
    head, _message, body = printed.partition("\nmessage:\n")
    fields = [match.groups() for match in map(LOG_FIELD.match, head.split("\n")) if match]
    found = dict(fields)
    return {
        "revno": int(found["revno"].split()[0]),
        "revid": found["revision-id"],
        "parents": [value for name, value in fields if name == "parent"],
        "committer": found["committer"],
        "date": _utc(found["timestamp"]),
        "message": "\n".join(line[2:] for line in body.split("\n")).strip(),
    }


def log(branch, revisions=None, executable="brz"):
    """Return the mainline revisions of a range ("-1", "10377..10381", "..10381"), oldest first; without one, all.

    Each is {revno, revid, parents, committer, date, message}; parents are revids, the mainline one first; date is
    ISO 8601 in UTC; a message may span lines. Raises BzrError, with `missing_revision` if the range leaves the branch.
    """
    span = ["-r", revisions] if revisions else []  # all of a long branch as a range takes the client thrice as long
    argv = ["log", "--long", "--show-ids", "-n1", "--forward", "--timezone=utc", *span, "--", at(branch)]
    printed = run(argv, executable=executable)
    # A message is indented, so a line of dashes in it is no separator.
    return [_record(record) for record in LOG_RECORD.split(printed)[1:]]


def changes(branch, revision, executable="brz"):
    """Return what one mainline revision changed against its mainline parent: [{change, path}], sorted by path.

    `change` is brz's word: added, modified, removed, renamed (path is then "old => new"), kind changed, … Directories
    end in "/". For a merge this is what the merge brought.
    """
    printed = run(["log", "--long", "-v", "-n1", "-r", revision, "--", at(branch)], executable=executable)
    return delta(printed.partition("\nmessage:\n")[2])


def export(branch, directory, revision, target, executable="brz"):
    """Write what a directory of the branch ("" for all of it) holds at a revision into `target`, a new directory.

    A directory that is not there at that revision leaves `target` empty. Raises BzrError, with `missing_revision` if
    the branch lacks the revision.
    """
    inside = directory.strip("/")
    location = "/".join([at(branch).rstrip("/"), *([inside] if inside else [])])
    span = "-1" if revision is None else revision
    run(["export", "--format=dir", "-r", span, "--", target, location], executable=executable)


def manifest(branch, revid, executable="brz"):
    """Return {path: kind, digest or target of the link, executable or not} of all files of a revision.

    It need not be on the mainline. Directories are left out, as git has none.
    """
    printed = run(["testament", "--long", "--strict", "-r", "revid:" + revid, "--", at(branch)], executable=executable)
    found = {}
    for entry in TESTAMENT_FILE.finditer(printed.partition("\ninventory:\n")[2].partition("\nproperties:\n")[0]):
        found[ESCAPED.sub(r"\1", entry["path"])] = f"{entry['kind']} {entry['content']} {entry['executable']}"
    return found


def cat(branch, revid, path, executable="brz"):
    """Return the content of one file of a revision, as bytes. Raises BzrError if it is not there."""
    location = at(branch).rstrip("/") + "/" + (quote(path) if URL.match(branch) else path)
    return run_bytes(["cat", "--name-from-revision", "-r", "revid:" + revid, "--", location], executable=executable)


def delta(printed):
    """Return the changes in the words of `log -v` and `status`: "added:" and the like, each followed by indented paths.

    Lines before the first such heading (a message, say) are indented too and skipped. [{change, path}], sorted by path.
    """
    found, change = [], None
    for line in printed.split("\n"):
        if not line.startswith("  "):
            change = line.rstrip(":")
        elif change:
            found.append({"change": change, "path": line[2:]})
    return sorted(found, key=lambda entry: entry["path"])
