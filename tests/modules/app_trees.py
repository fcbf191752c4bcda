"""What trees are made of, for tests: a site's revisions in Bazaar, in git, and packed as archives.

`sample(kind, directory)` has db-stable's four revisions of `both_branches`, and the options of module app_tree that
bring one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from plugins.module_utils.rollout_host.trees import kinds
from plugins.module_utils.rollout_host.trees.base import Source
from tests.modules import both_branches, bzr_branches, git_branches
from tests.modules.both_branches import Site
from tests.modules.warm_bazaar import COLD_BRZ

KINDS = ("bzr", "git", "archive")
INSIDE = {".bzr", ".git", ".rollout"}


@dataclass(frozen=True)
class Sample:
    """A site, and the kind of its trees."""

    kind: str
    system: ModuleType  # the version control that it is developed in
    site: Site
    builds: Path  # where archives are

    def revision(self, revno: int) -> str:
        """Return the id of a revision of db-stable."""
        return str(self.system.revision(self.site.db_stable, revno))

    def client(self) -> dict[str, str]:
        """Return the options that every module about trees has."""
        return {"kind": self.kind} | ({} if self.kind == "archive" else {"executable": self.system.client})

    @property
    def cold_client(self) -> str:
        """The client in a process that this one's child starts, with its limits."""
        return COLD_BRZ if self.kind == "bzr" else self.system.client

    def options(self, revno: int = 4) -> dict[str, Any]:
        """Return the options of app_tree for a revision of db-stable."""
        revid = self.revision(revno)
        if self.kind != "archive":
            return {**self.client(), "branch": self.system.at(self.site.db_stable), "revid": revid}
        packed = self.builds / f"app-{revno}.tar.gz"
        if not packed.exists():
            git_branches.git(self.site.db_stable, "archive", "--prefix=app/", f"--output={packed}", revid)
        summed = hashlib.sha256(packed.read_bytes()).hexdigest()
        named = {"revid": revid, "revno": revno}
        return {**self.client(), **named, "archive": str(packed), "sha256": summed, "strip": 1}

    def commit(self, files: Mapping[str, str | None]) -> int:
        """Commit to db-stable; return the number of the new revision."""
        self.system.commit(self.site.db_stable, files, "[r=stub] A further one.")
        return int(self.system.tip(self.site.db_stable)[0])

    def deliver(self, dest: Path, revno: int) -> None:
        """Bring a revision of db-stable to a new directory, with no process for the module."""
        options = self.options(revno)
        tree = kinds.ADAPTERS[options.pop("kind")](dest, options.pop("executable", None))
        tree.source = Source(**options, store=dest.parent)
        tree.create(tree.wanted(None)[1])


def sample(kind: str, directory: Path) -> Sample:
    """Make a site in a new directory."""
    system = bzr_branches if kind == "bzr" else git_branches
    (directory / "builds").mkdir(parents=True)
    return Sample(kind, system, both_branches.site(system, directory / "site"), directory / "builds")


def contents(tree: Path) -> dict[str, bytes]:
    """Return every file of a tree, by path, without what tells its revision."""
    files = (path for path in sorted(tree.rglob("*")) if path.is_file() or path.is_symlink())
    inside = ((path.relative_to(tree), path) for path in files)
    return {
        str(name): bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
        for name, path in inside
        if name.parts[0] not in INSIDE
    }
