"""The kinds of trees that the runbook knows, by the name that a site chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from .archive import UnpackedArchive
from .base import AppTree, TreeError
from .bazaar import BazaarCheckout
from .git import GitCheckout
from .own import OwnDelivery

ADAPTERS: dict[str, type[AppTree]] = {
    adapter.kind: adapter for adapter in (UnpackedArchive, BazaarCheckout, GitCheckout, OwnDelivery)
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "choices": ["bzr", "git", "archive", "command"], "default": BazaarCheckout.kind},
    "executable": {"type": "str"},
}


def named(path: Path, params: Mapping[str, Any]) -> AppTree:
    """Return the tree at a path, of the kind that a module's params name."""
    return ADAPTERS[params["kind"]](path, params["executable"] or None)


def found(path: Path, params: Mapping[str, Any]) -> AppTree:
    """Return the tree that is at a path, of whatever kind: what served before may be of another one.

    Raises TreeError if there is none.
    """
    for kind, adapter in ADAPTERS.items():
        if adapter.is_at(path):
            return adapter(path, params["executable"] or None if kind == params["kind"] else None)
    raise TreeError(f"There is no tree at {path}.")
