"""The version controls that the runbook knows: a site's choice is one name out of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from .base import Vcs
from .bzr import Bazaar
from .git import Git

ADAPTERS: dict[str, type[Vcs]] = {adapter.name: adapter for adapter in (Bazaar, Git)}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "vcs": {"type": "str", "choices": list(ADAPTERS), "default": Bazaar.name},
    "executable": {"type": "str"},
}


def named(params: Mapping[str, Any]) -> Vcs:
    """Return the version control that a module's params name."""
    return ADAPTERS[params["vcs"]](params["executable"])


def recognized(url: str) -> type[Vcs] | None:
    """Return which one a branch is of: by what is there, for a path; by its form, for a URL. None: neither tells."""
    path = Path(url[len("file://") :] if url.startswith("file://") else url)
    for place in (path, Path(str(path).rpartition("#")[0] or path)):
        for adapter in ADAPTERS.values():
            if adapter.is_at(place):
                return adapter
    return next((adapter for adapter in ADAPTERS.values() if adapter.urls.match(url)), None)
