"""Git branches through the command line client, for modules on the hosts: the same questions as bzr answers.

A branch is named LOCATION or LOCATION#BRANCH; without a branch it is the one that HEAD names there. LOCATION is the
path of a repository on this host (with a working tree or bare), which is read where it is, or a URL (ssh://, file://,
git://, https://, or HOST:PATH). A URL is fetched into a bare copy in a temporary directory, which the process keeps and
brings up to date at each question. After "#" may also stand the full name of a reference, "refs/…".

A revision number is a position on the line of first parents, from 1 (the root) up; a revision id is the full hash. A
revision is named by number, by "-1" (the tip), or by hash with or without "revid:".

Nothing but the repository decides what is answered: the configuration of user and system is not read, no hook of the
repository runs, nothing asks for a password or an editor, and nothing is signed.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path

MISSING_REVISION = "has no revision"
NOT_A_BRANCH = "There is no branch at"
URL = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\\:]+:(?!//)")  # ssh://host/path, or host:path
NOTHING_THERE = re.compile(r"does not appear to be a git repository|couldn't find remote ref|not found|does not exist")
HASH = re.compile(r"(?:revid:)?([0-9a-f]{40}|[0-9a-f]{64})")
HEAD = "HEAD"
FORMAT = "%H%x00%P%x00%cn <%ce>%x00%ct%x00%B"
CHANGES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "kind changed"}
SETTINGS = {
    "advice.detachedHead": "false",
    "commit.gpgSign": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "fetch.prune": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "merge.verifySignatures": "false",
    "protocol.file.allow": "always",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.recurseSubmodules": "no",
    "rerere.enabled": "false",
    "safe.directory": "*",
    "submodule.recurse": "false",
}
SSH = "ssh -o BatchMode=yes"

_copies = {}  # LOCATION -> bare repository in a temporary directory


class GitError(Exception):
    """A git command that failed.

    `command` is its argv, `exit_code` its code (127: no such program), `stderr` what it said.
    """

    def __init__(self, command, exit_code, stderr):
        """Keep the facts; the text is one line with all three."""
        self.command, self.exit_code, self.stderr = [str(word) for word in command], exit_code, stderr.strip()
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
    """Return the environment of a git command. `committer`, "Name <address>", is who commits and who wrote it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") and name != "SSH_ASKPASS"}
    env.update(LANG="C.UTF-8", LC_ALL="C.UTF-8", LANGUAGE="C", GIT_SSH_COMMAND=SSH, GIT_TERMINAL_PROMPT="0")
    env.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_SYSTEM=os.devnull, GIT_CONFIG_GLOBAL=os.devnull)
    env.update(GIT_ATTR_NOSYSTEM="1", GIT_NO_REPLACE_OBJECTS="1", GIT_EDITOR="false", GIT_OPTIONAL_LOCKS="0")
    if committer:
        name, _, address = committer.partition("<")
        for role in ("AUTHOR", "COMMITTER"):
            env.update({f"GIT_{role}_NAME": name.strip(), f"GIT_{role}_EMAIL": address.rstrip("> ")})
    return env


def run_bytes(argv, cwd=None, executable="git", committer=None, ok=(0,)):
    """Run `executable` with argv and return what it printed, as bytes.

    A repository above `cwd` is not looked for. Raises GitError on an exit code
    not in `ok`.
    """
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = [executable, *settings, *[str(word) for word in argv]]
    shown = [executable, *argv]
    env = environment(committer)
    if cwd:
        env["GIT_CEILING_DIRECTORIES"] = str(Path(cwd).resolve().parent)
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        missing = executable if error.filename == executable else error.filename
        raise GitError(shown, 127, f"{missing} cannot be run: {error.strerror}") from error
    if done.returncode not in ok:
        raise GitError(shown, done.returncode, (done.stderr or done.stdout).decode("utf-8", "replace"))
    return done.stdout


def run(argv, cwd=None, executable="git", committer=None, ok=(0,)):
    """Run `executable` with argv and return what it printed, as text. As run_bytes otherwise."""
    printed = run_bytes(argv, cwd, executable, committer, ok)
    return printed.decode("utf-8", "replace")


def split(branch):
    """Return (LOCATION, reference) of a branch: "refs/heads/devel" for …#devel, "HEAD" without a "#"."""
    location, mark, name = str(branch).rpartition("#")
    if not mark or (not is_url(branch) and Path(branch).is_dir()):
        return str(branch), HEAD
    return location, name if name.startswith("refs/") else "refs/heads/" + name


def is_url(location):
    """Tell whether a location is fetched from rather than read where it is."""
    return URL.match(location) is not None and not Path(location).is_dir()


def transfer(verb, location):
    """Return the words `fetch LOCATION` or `push LOCATION` for a command line.

    A repository on this host that belongs to somebody else is read too, which git would refuse.
    """
    server = {"fetch": "upload-pack", "push": "receive-pack"}[verb]
    local = not is_url(location) or location.startswith("file://")
    trusted = [f"--{server}=git -c safe.directory=* {server}"] if local else []
    return [verb, "-q", *trusted, "--", location]


def at(branch, executable="git"):
    """Return (repository on this host, hash of the tip) of a branch, or raise GitError, with `not_a_branch` if none."""
    location, reference = split(branch)
    if is_url(location):
        repository, reference = _fetched(location, reference, executable), "FETCH_HEAD"
    elif (Path(location) / ".git").exists() or (Path(location) / "objects").is_dir():
        repository = location
    else:
        raise GitError(["open", branch], 128, f"{NOT_A_BRANCH} {branch}")
    found = run(["rev-parse", "-q", "--verify", reference + "^{commit}"], repository, executable, ok=(0, 1, 128))
    if not found:
        raise GitError(["open", branch], 128, f"{NOT_A_BRANCH} {branch}")
    return repository, found.strip()


def _fetched(location, reference, executable):
    """Return the bare copy of a URL, with FETCH_HEAD at the tip of the branch as it is now."""
    if location not in _copies:
        copy = tempfile.mkdtemp(prefix="rollout-git-")
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        run(["init", "-q", "--bare", "."], copy, executable)
        _copies[location] = copy
    keep = f"+{reference}:refs/copied/{reference}"
    try:
        run([*transfer("fetch", location), keep], _copies[location], executable)
    except GitError as error:
        if NOTHING_THERE.search(error.stderr):
            raise GitError(error.command, 128, f"{NOT_A_BRANCH} {location}: {error.stderr}") from error
        raise
    return _copies[location]


def _count(repository, tip, executable):
    return int(run(["rev-list", "--first-parent", "--count", tip], repository, executable))


def _hash(branch, repository, tip, revision, executable):
    """Return the hash that a revision names on the branch. Raises GitError with `missing_revision`."""
    revision = str(tip if revision in (None, "-1", -1) else revision)
    named = HASH.fullmatch(revision)
    if named:
        argv = ["merge-base", "--is-ancestor", named.group(1), tip]
        try:
            run(argv, repository, executable)
        except GitError as error:
            if error.exit_code not in (1, 128):  # 128: not even in the repository
                raise
        else:
            return named.group(1)
    elif revision.isascii() and revision.isdigit() and int(revision):
        count = _count(repository, tip, executable)
        if int(revision) <= count:
            skip = f"--skip={count - int(revision)}"
            return run(["rev-list", "--first-parent", "-1", skip, tip], repository, executable).strip()
    raise GitError([executable, "rev-parse", revision], 128, f"{branch} {MISSING_REVISION} {revision}")


def revision_info(location, revision=None, executable="git"):
    """Return (revno, revid) of a revision of the branch, its tip by default; revno is None for a merged one.

    Raises GitError, with `missing_revision` if the branch does not contain it.
    """
    repository, tip = at(location, executable)
    found = _hash(location, repository, tip, revision, executable)
    return _number(repository, tip, found, executable), found


def _number(repository, tip, revid, executable):
    """Return the number of a revision that the tip contains, None if it is not on the line of first parents."""
    if revid == tip:
        return _count(repository, tip, executable)
    number = _count(repository, revid, executable)
    above = run(["rev-list", "--first-parent", tip, "^" + revid], repository, executable).split()
    # The line goes through it if the revision below the last one above it is it.
    below = run(["rev-parse", "-q", "--verify", above[-1] + "^1"], repository, executable, ok=(0, 1)).strip()
    return number if below == revid else None


def first_containing(location, revid, executable="git"):
    """Return (revno, revid) of the mainline revision of the branch that first contains `revid`, or None (R10).

    A mainline revision is the first to contain itself.
    """
    repository, tip = at(location, executable)
    try:
        return _first_containing(location, repository, tip, revid, executable)
    except GitError as error:
        if error.missing_revision:
            return None
        raise


def _first_containing(location, repository, tip, revid, executable):
    wanted = _hash(location, repository, tip, revid, executable)
    line = run(["rev-list", "--first-parent", "--reverse", tip], repository, executable).split()
    if wanted in line:
        return line.index(wanted) + 1, wanted
    low, high = 0, len(line) - 1  # what one contains, all above it contain
    while low < high:
        middle = (low + high) // 2
        contained = answers_yes(["merge-base", "--is-ancestor", wanted, line[middle]], repository, executable)
        low, high = (low, middle) if contained else (middle + 1, high)
    return low + 1, line[low]


def answers_yes(argv, cwd, executable="git"):
    """Tell whether a command that answers by its exit code (0 or 1) says yes. Raises GitError on any other."""
    try:
        run(argv, cwd, executable)
    except GitError as error:
        if error.exit_code == 1:
            return False
        raise
    return True


def _ends(location, repository, tip, span, executable):
    """Return (revid of the first, revid of the last) of a span; the first is None for "from the root on"."""
    first, dots, last = str(span if span is not None else "..").partition("..")
    if first.startswith("mainline:"):
        revid = _first_containing(location, repository, tip, first.partition(":")[2], executable)[1]
        return revid, revid
    start = _hash(location, repository, tip, first, executable) if first else None
    return start, _hash(location, repository, tip, (last or None) if dots else first, executable)


def log(location, span=None, executable="git", directory=None):
    """Return the mainline revisions of a span ("-1", "10377..10381", "..10381"), oldest first; without one, all.

    Each is {revno, revid, parents, committer, date, message}; parents are hashes, the mainline one first; date is ISO
    8601 in UTC, when it was committed; a message may span lines. "mainline:REVID" is the one that first contains REVID.
    With `directory`, only those that changed something in it against their mainline parent. Raises GitError, with
    `missing_revision` if the span leaves the branch.
    """
    repository, tip = at(location, executable)
    start, end = _ends(location, repository, tip, span, executable)
    above = [f"^{parent}" for parent in _parents(repository, start, executable)[:1]] if start else []
    argv = ["log", "-z", "--first-parent", "--encoding=UTF-8", "--format=" + FORMAT, end, *above, "--"]
    printed = run([*argv, *([directory] if directory else [])], repository, executable)
    fields = printed.split("\0")
    top = _number(repository, tip, end, executable)
    if top is None:  # it was merged: no line of first parents leads to it
        raise GitError([executable, "log", end], 128, f"{location} {MISSING_REVISION} {end} of its own")
    line = _line(repository, end, above, executable) if directory else fields[0:-1:5]
    numbers = {revid: top - below for below, revid in enumerate(line)}
    return [_record(numbers, *fields[place : place + 5]) for place in range(len(fields) - 6, -1, -5)]


def _line(repository, end, above, executable):
    return run(["rev-list", "--first-parent", end, *above], repository, executable).split()


def _parents(repository, revid, executable):
    return run(["rev-list", "-1", "--parents", revid], repository, executable).split()[1:]


def _record(numbers, revid, parents, committer, seconds, message):
    """Return one record of `log` as a dict."""
    return {
        "revno": numbers[revid],
        "revid": revid,
        "parents": parents.split(),
        "committer": committer,
        "date": datetime.fromtimestamp(int(seconds), timezone.utc).isoformat(),
        "message": message.strip(),
    }


def changes(location, revision, executable="git"):
    """Return what one mainline revision changed against its mainline parent: [{change, path}], sorted by path.

    `change` is one of added, modified, removed, renamed (path is then "old => new") and kind changed, as bzr
    says it; directories are not named. For a merge this is what the merge brought.
    """
    repository, tip = at(location, executable)
    revid = _hash(location, repository, tip, revision, executable)
    parent = _parents(repository, revid, executable)[:1]
    return delta(repository, [*parent, revid] if parent else ["--root", "--no-commit-id", revid], executable)


def delta(repository, ends, executable="git"):
    """Return the changes between the two trees of `ends`, in the words of `changes`."""
    printed = run(["diff-tree", "-r", "-z", "-M", "--name-status", *ends], repository, executable)
    words, found = iter(printed.split("\0")[:-1]), []
    for status in words:
        path = next(words)
        if status[0] == "R":
            path = f"{path} => {next(words)}"
        found.append({"change": CHANGES[status[0]], "path": path})
    return sorted(found, key=lambda entry: entry["path"])


def export(location, directory, revision, target, executable="git"):
    """Write what a directory of the branch ("" for all of it) holds at a revision into `target`, a new directory.

    Bytes as they were committed, whatever attributes say; modes and symbolic links too. A directory that is not there
    at that revision leaves `target` empty. Raises GitError, with `missing_revision` if the branch lacks the revision.
    """
    repository, tip = at(location, executable)
    revid = _hash(location, repository, tip, revision, executable)
    inside = Path(directory.strip("/"))
    Path(target).mkdir(parents=True)
    for name, entry in _entries(repository, revid, executable):
        mode, kind, blob = entry.split()
        if kind == "blob" and inside in (Path(), *Path(name).parents):
            path = Path(target) / Path(name).relative_to(inside)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, mode, run_bytes(["cat-file", "blob", blob], repository, executable))


def _write(path, mode, content):
    if mode == "120000":
        path.symlink_to(os.fsdecode(content))
    else:
        path.write_bytes(content)
        path.chmod(0o755 if mode == "100755" else 0o644)


def _entries(repository, revid, executable):
    """Yield (path, "MODE KIND HASH") of everything in a revision."""
    printed = run_bytes(["ls-tree", "-r", "-z", "--full-tree", revid], repository, executable)
    for line in printed.split(b"\0")[:-1]:
        entry, _, name = line.partition(b"\t")
        yield os.fsdecode(name), entry.decode()


def manifest(location, revid, executable="git"):
    """Return {path: mode, kind and hash} of all files of a revision. It need not be on the line of first parents."""
    return dict(_entries(at(location, executable)[0], revid, executable))


def cat(location, revid, path, executable="git"):
    """Return the content of one file of a revision, as bytes. Raises GitError if it is not there."""
    return run_bytes(["cat-file", "blob", f"{revid}:{path}"], at(location, executable)[0], executable)
