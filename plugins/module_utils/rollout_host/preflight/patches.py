"""The preflight's checks of the pending patches: are they the pinned ones, sound, with all they need (R8, R18)?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Iterator, Sequence

from ...rollout_core.preflight import extensions, findings
from ...rollout_core.preflight.findings import Finding, finding, remark
from ...rollout_core.schema import patches as texts
from ..database import permissions as catalogs
from ..database.connection import Patch, RolloutError, pending_patches, refuse_other_patches, revision_rows
from ..database.standbys import standbys_of
from .base import Inspection, asking, host_of, not_made, rows

_AVAILABLE = "SELECT name, version FROM pg_available_extension_versions"


def patches(inspection: Inspection) -> Iterator[Finding]:
    """Check that the pinned patches are pending, that each is sound, and that every server has their extensions."""
    directory, pinned = inspection.params["schema_directory"], inspection.params["patches"]
    if not directory:
        yield remark(
            "patches", "NOT CHECKED, no revision is pinned", "the pinned ones", "there are none to be looked at"
        )
        return
    applied = revision_rows(inspection.connection)
    pending = pending_patches(directory, applied)
    try:
        refuse_other_patches(pinned, pending, applied)
    except RolloutError as error:
        yield not_made("patches", error)
    else:
        yield finding("patches", f"{len(pending)} pending", f"the {len(pinned)} pinned ones", "", ok=True)
    for patch in pending:
        wrong = "; ".join(texts.check(str(patch.name), patch.text))
        yield finding(str(patch.name), wrong or "sound", "sound", "fix it or back it out (R17)", ok=not wrong)
    yield _extensions(inspection, pending)


def _extensions(inspection: Inspection, pending: Sequence[Patch]) -> Finding:
    needed = extensions.needed((str(patch.name), patch.text) for patch in pending)
    available = {}
    for dsn in (
        [inspection.params["dsn"], *(standby.dsn for standby in standbys_of(inspection.params))] if needed else []
    ):
        with asking(dsn) as connection:
            available[host_of(dsn)] = [(row["name"], row["version"]) for row in rows(connection, _AVAILABLE)]
    return extensions.extensions(needed, available)


def permissions(inspection: Inspection) -> list[Finding]:
    """Check that everything that the permissions file names exists, or will be made by a patch."""
    path, directory = inspection.params["permissions"], inspection.params["schema_directory"]
    if not path or not directory:  # it is applied with the patches
        return []
    found = catalogs.difference(inspection.connection, catalogs.read(path))
    pending = pending_patches(directory, revision_rows(inspection.connection))
    return [findings.permissions(path, found.problems, [patch.text for patch in pending])]


def scripts(inspection: Inspection) -> list[Finding]:
    """Check that the site's own scripts are on the host."""
    params, directory = inspection.params, inspection.params["schema_directory"]
    given = [argv[0] for argv in (params["permissions_command"], params["upgrade_command"]) if argv]
    if not given or not directory:
        return []
    missing = [name for name in given if shutil.which(str(Path(directory, name)) if "/" in name else name) is None]
    return [findings.scripts(params, missing)]
