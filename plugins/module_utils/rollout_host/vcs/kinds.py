"""The version controls that the runbook knows, by the name that a site chooses."""

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
    """Return the version control of a branch, by what is at a path, or by a URL's form; None if that does not tell."""
    path = Path(url[len("file://") :] if url.startswith("file://") else url)
    for place in (path, Path(str(path).rpartition("#")[0] or path)):
        for adapter in ADAPTERS.values():
            if adapter.is_at(place):
                return adapter
    return next((adapter for adapter in ADAPTERS.values() if adapter.urls.match(url)), None)
