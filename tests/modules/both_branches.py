"""Branches of every version control that the runbook knows, made by real commits with the same words.

`site` is what the merge of R10 needs: devel and db-stable, grown apart from a common start, and PQM's tree of devel.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from plugins.module_utils.rollout_host.vcs import kinds
from plugins.module_utils.rollout_host.vcs.base import Vcs
from tests.modules import bzr_branches, git_branches

BOTH = (bzr_branches, git_branches)  # a further one answers the same words: one more here
APP = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n"


@dataclass(frozen=True)
class Site:
    """db_stable's revisions 2, 3 and 4 are not in devel; 2 and 3 add a schema patch, 4 changes lib/lp/app.py."""

    devel: Path
    db_stable: Path
    pqm: Path


def adapter(system: ModuleType) -> Vcs:
    """Return the product's adapter, with the client of the tests."""
    return kinds.ADAPTERS[system.kind](system.client)


def patch(number: str) -> dict[str, str]:
    """Return a schema patch, as files."""
    table = "t" + number.replace("-", "_")
    return {f"database/schema/patch-{number}.sql": f"CREATE TABLE {table} (id serial);\n"}


def site(system: ModuleType, root: Path) -> Site:
    """Return a site in a new directory: devel at revision 2, db-stable at revision 4, pqm as devel."""
    shutil.copytree(_site(system).name, root, symlinks=True)
    return Site(root / "devel", root / "db-stable", root / "pqm")


@functools.cache
def _site(system: ModuleType) -> tempfile.TemporaryDirectory[str]:
    """Make it once."""
    directory = tempfile.TemporaryDirectory(prefix="rollout-site-")
    devel, db_stable = Path(directory.name) / "devel", Path(directory.name) / "db-stable"
    security = "[public.person]\ntype=group\n"
    system.create(devel, {"lib/lp/app.py": APP, "database/schema/security.cfg": security, "README": "A service.\n"})
    system.branch(devel, db_stable)
    system.commit(db_stable, patch("2208-30-0"), "[r=stub][bug=1] Add a table.")
    system.commit(db_stable, patch("2208-31-0"), "[r=stub][bug=2] Add another.")
    system.commit(db_stable, {"lib/lp/app.py": APP.replace("two", "two of db-stable")}, "[r=stub][bug=3] Use them.")
    system.commit(devel, {"docroot/style.css": "body {}\n"}, "[r=jml][bug=4] Style.")
    system.branch(devel, Path(directory.name) / "pqm")
    return directory
