"""The branches that `deployable` is given: their version control, their names, the revisions on their mainline (R8)."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_host.vcs import kinds
from plugins.module_utils.rollout_host.vcs.base import Vcs, VcsError
from rollout.outcomes import BadInputError


def name(url: str) -> str:
    """Return the last part of a branch's path; for git, what stands behind its `#`."""
    last = re.split("[/#:]", url.rstrip("/"))[-1]
    return last.removesuffix(".git") or last


def client_of(url: str, vcs: str | None) -> Vcs:
    """Return the client for a branch's version control, `vcs` or as its URL tells. Raises BadInputError."""
    adapter = kinds.ADAPTERS[vcs] if vcs else kinds.recognized(url)
    if adapter is None:
        known = kinds.ADAPTERS.values()
        raise BadInputError(
            f"E-no-branch  {url} does not look like a branch of {' or '.join(each.title for each in known)}.\n"
            f"  Which is it:  --vcs {'|'.join(each.name for each in known)}"
        )
    # The client of this Python's virtual environment, or that of the machine.
    beside = [str(Path(sys.executable).with_name(name)) for name in adapter.clients]
    return adapter(next(filter(None, map(shutil.which, [*beside, *adapter.clients])), None))


def revisions(url: str, deployed: int, vcs: str | None = None) -> Sequence[Mapping[str, Any]]:
    """Return a branch's mainline revisions above number `deployed`. Raises BadInputError with the client's words."""
    client = client_of(url, vcs)
    try:
        tip = client.revision_info(url)[0] or 0 if deployed else 0
        if deployed > tip:
            raise BadInputError(f"E-no-revision  {url} has no revision {deployed}: its tip is {tip}.")
        if deployed and deployed == tip:
            return []
        return client.log(url, deployed + 1 if deployed else None)
    except VcsError as error:
        raise BadInputError(
            f"E-no-branch  {url} cannot be read; expected a {client.title} branch.\n  {error}"
        ) from error
