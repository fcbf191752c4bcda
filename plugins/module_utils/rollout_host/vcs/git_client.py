"""Runs the git client so that its answers depend on the repository alone.

The configuration of user and system is not read, no hook of the repository runs, nothing asks for a password or an
editor, and nothing is signed.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Collection

from .base import VcsError

HEAD = "HEAD"
URL = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\\:]+:(?!//)")  # ssh://host/path, or host:path
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
SSH = "ssh -T -o BatchMode=yes -o StrictHostKeyChecking=yes"  # no terminal: git would say other things through it


def environment(committer: str | None = None) -> dict[str, str]:
    """Return the environment of a command. `committer`, "Name <address>", is both committer and author."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") and name != "SSH_ASKPASS"}
    env.update(LANG="C.UTF-8", LC_ALL="C.UTF-8", LANGUAGE="C", GIT_SSH_COMMAND=SSH, GIT_TERMINAL_PROMPT="0")
    env.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_SYSTEM=os.devnull, GIT_CONFIG_GLOBAL=os.devnull)
    env.update(GIT_ATTR_NOSYSTEM="1", GIT_NO_REPLACE_OBJECTS="1", GIT_EDITOR="false", GIT_OPTIONAL_LOCKS="0")
    if committer:
        name, _, address = committer.partition("<")
        for role in ("AUTHOR", "COMMITTER"):
            env.update({f"GIT_{role}_NAME": name.strip(), f"GIT_{role}_EMAIL": address.rstrip("> ")})
    return env


def run(
    executable: str, argv: Collection[object], cwd: str | Path | None, committer: str | None, ok: Collection[int]
) -> bytes:
    """Run the client and return what it printed; it looks for no repository above `cwd`.

    Raises VcsError on an exit code not in `ok`.
    """
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = [executable, *settings, *map(str, argv)]
    shown = [executable, *argv]
    env = environment(committer)
    if cwd:
        env["GIT_CEILING_DIRECTORIES"] = str(Path(cwd).resolve().parent)
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        missing = executable if error.filename == executable else error.filename
        raise VcsError(shown, 127, f"{missing} cannot be run: {error.strerror}") from error
    if done.returncode not in ok:
        raise VcsError(shown, done.returncode, (done.stderr or done.stdout).decode("utf-8", "replace"))
    return done.stdout


def split(branch: str) -> tuple[str, str]:
    """Return (LOCATION, reference) of a branch: "refs/heads/devel" for …#devel, "HEAD" without a "#"."""
    location, mark, name = branch.rpartition("#")
    if not mark or (not is_url(branch) and Path(branch).is_dir()):
        return branch, HEAD
    return location, name if name.startswith("refs/") else "refs/heads/" + name


def is_url(location: str) -> bool:
    """Return True if a location is fetched from rather than read where it is."""
    return URL.match(location) is not None and not Path(location).is_dir()


def transfer(verb: str, location: str, *options: str) -> list[str]:
    """Return the words `fetch LOCATION`, `push LOCATION` or `ls-remote LOCATION` for a command line.

    They let git read a repository on this host that belongs to somebody else, which it would refuse.
    """
    server = "receive-pack" if verb == "push" else "upload-pack"
    local = not is_url(location) or location.startswith("file://")
    trusted = [f"--{server}=git -c safe.directory=* {server}"] if local else []
    return [verb, "-q", *options, *trusted, "--", location]
