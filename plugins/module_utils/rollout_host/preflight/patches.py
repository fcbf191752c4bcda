"""The preflight's checks of the pending patches: are they the pinned ones, sound, with all they need (R8, R18)?"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Iterator, Sequence

from ...rollout_core.preflight import extensions, findings
from ...rollout_core.preflight import permissions as judge
from ...rollout_core.preflight import roles as judge_roles
from ...rollout_core.preflight.findings import Finding, finding
from ...rollout_core.schema import patches as texts
from ..database import permissions as catalogs
from ..database.connection import Patch, RolloutError, pending_patches, refuse_other_patches, revision_rows
from ..database.driver import psycopg
from ..database.standbys import all_standbys_of
from .base import Inspection, asking, host_of, not_made, rows

_AVAILABLE = "SELECT name, version FROM pg_available_extension_versions"
_ROLES = "SELECT rolname::text FROM pg_roles"
_USED_ELSEWHERE = """
    SELECT DISTINCT pg_get_userbyid(refobjid)::text AS role, datname::text AS database
    FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid
    WHERE refclassid = 'pg_authid'::regclass AND datname <> current_database() ORDER BY 1, 2"""


def pending(inspection: Inspection) -> list[Patch]:
    """Return the patches of the tree on this host that have no row yet; none where `patches` tells why not."""
    directory = _directory(inspection)
    with suppress(RolloutError, psycopg.Error):
        return pending_patches(directory, revision_rows(inspection.connection)) if directory else []
    return []


def patches(inspection: Inspection) -> Iterator[Finding]:
    """Check that the pinned patches are pending, that each is sound, and that every server has their extensions."""
    directory, pinned = inspection.params["schema_directory"], inspection.params["patches"]
    there = bool(_directory(inspection))
    if not directory or not (there or inspection.params["delivered"]):
        yield findings.patches_to_come(pinned)
        return
    if not there:
        found = f"{directory} is no directory: the merged tree was not delivered to this host"
        yield finding("patches", found, f"the {len(pinned)} pinned ones", "./runbook.py run deliver", ok=False)
        return
    applied = revision_rows(inspection.connection)
    found_here = pending_patches(directory, applied)
    try:
        refuse_other_patches(pinned, inspection.params["digests"], found_here, applied)
    except RolloutError as error:
        yield not_made("patches", error)
    else:
        yield finding("patches", f"{len(found_here)} pending", f"the {len(pinned)} pinned ones", "", ok=True)
    for patch in found_here:
        wrong = "; ".join(texts.check(str(patch.name), patch.text))
        yield finding(str(patch.name), wrong or "sound", "sound", "fix it or back it out (R17)", ok=not wrong)
    yield _extensions(inspection, found_here)


def _extensions(inspection: Inspection, patches: Sequence[Patch]) -> Finding:
    needed = extensions.needed((str(patch.name), patch.text) for patch in patches)
    available = {}
    for dsn in (
        [inspection.params["dsn"], *(standby.dsn for standby in all_standbys_of(inspection.params))] if needed else []
    ):
        with asking(dsn) as connection:
            available[host_of(dsn)] = [(row["name"], row["version"]) for row in rows(connection, _AVAILABLE)]
    return extensions.extensions(needed, available)


def permissions(inspection: Inspection) -> list[Finding]:
    """Check that everything that the permissions file names exists, or will be made by a patch, and dropped by none."""
    path = inspection.params["permissions"]
    if not path or not _directory(inspection):  # it is applied with the patches
        return []
    wanted = catalogs.read(path)
    named = [judge.Named(is_role=True, name=name, line=role.line) for name, role in wanted.roles.items()]
    named += [
        judge.Named(is_role=False, name=key[1] if key[0] == "public" else f"{key[0]}.{key[1]}", line=right.line)
        for role in wanted.roles.values()
        for key, right in role.rights.items()
    ]
    problems = catalogs.difference(inspection.connection, wanted).problems
    return [judge.permissions(path, problems, named, [patch.text for patch in pending(inspection)])]


def roles(inspection: Inspection) -> list[Finding]:
    """Check that the roles that pending patches make are not there, and those that they drop are."""
    patches = [(str(patch.name), patch.text) for patch in pending(inspection)]
    if not patches:
        return []
    there = {row["rolname"] for row in inspection.rows(_ROLES)}
    used_in: dict[str, list[str]] = {}
    for row in inspection.rows(_USED_ELSEWHERE):
        used_in.setdefault(row["role"], []).append(row["database"])
    return [judge_roles.roles(patches, there, used_in)]


def scripts(inspection: Inspection) -> list[Finding]:
    """Check that the site's own scripts are on the host."""
    params, directory = inspection.params, _directory(inspection)
    given = [argv[0] for argv in (params["permissions_command"], params["upgrade_command"]) if argv]
    if not given or not directory:
        return []
    missing = [name for name in given if shutil.which(str(Path(directory, name)) if "/" in name else name) is None]
    return [findings.scripts(params, missing)]


def _directory(inspection: Inspection) -> str:
    """Return the schema directory; empty as long as there is none on this host."""
    directory = str(inspection.params["schema_directory"] or "")
    return directory if directory and Path(directory).is_dir() else ""
