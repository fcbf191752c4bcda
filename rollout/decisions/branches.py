"""Branches for `deployable`, Bazaar's or git's: which it is, how it is called, and what is on its mainline (R8)."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from rollout.outcomes import BadInputError

Vcs = Literal["bzr", "git"]
BAZAAR = re.compile(r"(lp|lp-[\w-]+|bzr(\+\w+)?):")
GIT = re.compile(r"git(\+\w+)?:|[\w.+-]+@[\w.-]+:|https?://[\w.-]*\bgit\b|[^#]*\.git/?(#|$)")


def name(url: str) -> str:
    """The last part of a branch's path; in git, what stands behind its `#`."""
    last = re.split("[/#:]", url.rstrip("/"))[-1]
    return last.removesuffix(".git") or last


def kind(url: str) -> Vcs:
    """Bazaar or git: by what is there, for a path; by its form, for a URL. Raises BadInputError when neither tells."""
    path = Path(url.removeprefix("file://"))
    for each in (path, Path(str(path).rpartition("#")[0] or path)):
        if (each / ".bzr").is_dir():
            return "bzr"
        if (each / ".git").exists() or ((each / "objects").is_dir() and (each / "HEAD").is_file()):
            return "git"
    if BAZAAR.match(url):
        return "bzr"
    if GIT.match(url):
        return "git"
    raise BadInputError(
        f"E-no-branch  {url} looks neither like a Bazaar nor a git branch.\n  Which is it:  --vcs bzr|git"
    )


def revisions(url: str, deployed: int, vcs: str | None = None) -> Sequence[Mapping[str, Any]]:
    """The mainline revisions of a branch above number `deployed`. Raises BadInputError with what the client said."""
    found = vcs or kind(url)
    client = import_module(f"plugins.module_utils.rollout_host.vcs.{found}")  # written for the hosts: no types
    failed: type[Exception] = client.GitError if found == "git" else client.BzrError
    executable = "git" if found == "git" else _bazaar()
    try:
        tip = client.revision_info(url, "-1", executable=executable)[0] if deployed else 0
        if deployed > tip:
            raise BadInputError(f"E-no-revision  {url} has no revision {deployed}: its tip is {tip}.")
        if deployed and deployed == tip:
            return []
        read: list[Mapping[str, Any]] = client.log(
            url, f"{deployed + 1}.." if deployed else None, executable=executable
        )
    except failed as error:
        name = "git" if found == "git" else "Bazaar"
        raise BadInputError(f"E-no-branch  {url} cannot be read; expected a {name} branch.\n  {error}") from error
    return read


def _bazaar() -> str:
    """The client of this Python's virtual environment, or that of the machine, by either of its names."""
    beside = Path(sys.executable).with_name("brz")
    return str(beside) if beside.exists() else shutil.which("brz") or "bzr"
