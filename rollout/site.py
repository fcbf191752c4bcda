"""The folder of a site: an inventory, and everything else that is the service's own.

In it are hosts.yml, group_vars/ and schedule.yml, and, where the site has its own: process.yml, processes/, playbooks/,
roles/, announcements/, and what these name. It lies anywhere; the checkout's are in inventories/. What rollouts of a
site outside the checkout write is in the site's var/, so that nothing in the checkout changes.
"""

from __future__ import annotations

import os
from pathlib import Path

from rollout import ROOT
from rollout.outcomes import BadInputError

VARIABLE = "RUNBOOK_SITE"
MARKS = ("hosts.yml", "schedule.yml")  # a folder that has both is a site


def begin(named: str | None, stands_in: Path) -> None:
    """Settle which site this process, and all that it starts, is for: named, in the environment, or where one stands.

    Raises BadInputError for what is no site.
    """
    given = named or os.environ.get(VARIABLE)
    if given:
        found = (stands_in / given).resolve()
        if missing := [mark for mark in MARKS if not (found / mark).is_file()]:
            said = f"E-no-site  {found} is not a site: {' and '.join(missing)} {_are(missing)} not there."
            raise BadInputError(f"{said}\n  Make one:  docs/operations.md, A site's folder")
    elif all((stands_in / mark).is_file() for mark in MARKS):
        found = stands_in.resolve()
    else:
        return
    os.environ[VARIABLE] = str(found)


def none() -> None:
    """Settle that this process is for no site, whatever the environment says: what is rehearsed is the lab's."""
    os.environ.pop(VARIABLE, None)


def directory() -> Path | None:
    """Return the site that this process is for; None if none was named: then plans name their inventories."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else None


def refuse_outside(inventory: Path) -> None:
    """Raise BadInputError for an inventory outside of the checkout that was not named as the site."""
    if not inventory.is_relative_to(ROOT) and inventory != directory():
        said = f"E-no-site  {inventory} is outside of this checkout, so its rollouts belong into its own folder."
        raise BadInputError(f"{said}\n  Name it as the site:  ./runbook.py --site {inventory} plan new")


def var() -> Path:
    """Return the directory for all that is written: the site's, or the checkout's for the inventories in it."""
    site = directory()
    return ROOT / "var" if site is None or site.is_relative_to(ROOT) else site / "var"


def name_of(inventory: Path) -> str:
    """Return what a plan calls an inventory: its path from the top of the checkout; for one outside, the whole path."""
    return str(inventory.relative_to(ROOT) if inventory.is_relative_to(ROOT) else inventory)


def playbook(name: str, inventory: Path, checkout: Path = ROOT) -> Path:
    """Return the path of a stage's playbook: the site's own of that name, else the checkout's, which may not exist."""
    own = inventory / "playbooks" / f"{name}.yml"
    return own if own.is_file() else checkout / "playbooks" / f"{name}.yml"


def _are(names: list[str]) -> str:
    return "are" if len(names) > 1 else "is"
