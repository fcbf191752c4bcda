"""Undo files on a host: they are read, refused if not sound, and run in a transaction (R17)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterable, Sequence

from ....rollout_core.schema import patches, undo_files
from ..applying import Prepared, State, apply_all
from ..connection import Patch, RevisionRow, RolloutError

RESTORE = "restore from the backup, or write a patch that mends it (R17): the schema stays as it is"
CHECK = "./runbook.py run check"


def read_undos(
    directory: str, names: Sequence[str], rows: Iterable[RevisionRow], tried: Sequence[str] | None = None
) -> list[Patch]:
    """Return the undo files of those patches that have a row, in the order in which they run.

    `names` are the patches to undo, `tried` is FILE=SHA256 of each file that was tried on a copy; None: none was
    yet. Raises RolloutError E-bad-patch-name, E-no-undo-file, E-unsound-undo, E-applied-since, or E-not-tried.
    """
    try:
        wanted = undo_files.in_order(names)
    except ValueError as error:
        raise RolloutError(f"E-bad-patch-name  {error}") from error
    there = {row[:3]: row.start_time.timestamp() for row in rows}
    undos = [name for name in wanted if name.row in there]
    _refuse_missing(Path(directory), undos)
    paths = [Path(directory) / str(name) for name in undos]
    found = [Patch(name, patches.decoded(path.read_bytes()), path) for name, path in zip(undos, paths)]
    problems = [problem for undo in found for problem in undo_files.check(undo.name, undo.text)]
    if problems:
        listed = ";\n                ".join(problems)
        raise RolloutError(f"E-unsound-undo  {listed}.\nNothing was touched.\nThen: mend them, and {CHECK}")
    if since := undo_files.unexpected(there, undos):
        raise RolloutError(
            f"E-applied-since  {', '.join(since)} went in after these patches and may rest on them.\n"
            f"Nothing was touched.\nThen: back that rollout out first, or {RESTORE}"
        )
    changed = sorted(set(fingerprints(found)) - set(tried)) if tried is not None else []
    if changed:
        files = ", ".join(item.partition("=")[0] for item in changed)
        raise RolloutError(
            f"E-not-tried  {files} in {directory}: not what was tried on a copy, and what the DBA said yes to.\n"
            f"Nothing was touched.\nThen: {CHECK}"
        )
    return found


def fingerprints(undos: Iterable[Patch]) -> list[str]:
    """Return FILE=SHA256 of each file."""
    return [patches.digest(undo.name, undo.text) for undo in undos]


def apply_undos(
    connection: Any,
    undos: Sequence[Prepared],
    on_step: Callable[[Patch], None] = lambda _: None,
    attempts: Callable[[Patch, Callable[[str], State]], State] = lambda _, apply: apply(""),
) -> None:
    """Run undo files as `apply_all` does; each must delete exactly its patch's row."""
    apply_all(connection, undos, on_step, _wrong_rows, attempts)


def _wrong_rows(undo: Patch, before: frozenset[patches.Row], after: frozenset[patches.Row]) -> str | None:
    if undo.name.row in after:
        return "it did not delete its patch's row of LaunchpadDatabaseRevision"
    others = sorted((before - {undo.name.row}) ^ after)
    if not others:
        return None
    listed = ", ".join(patches.PatchName(*row).number for row in others)
    return f"it inserted or deleted rows of LaunchpadDatabaseRevision of other patches ({listed})"


def _refuse_missing(directory: Path, undos: Sequence[undo_files.UndoName]) -> None:
    if not directory.is_dir():
        raise RolloutError(
            f"E-no-schema-directory  {directory} is not a directory: was the tree delivered to this host?"
        )
    missing = [str(name) for name in undos if not (directory / str(name)).is_file()]
    if missing:
        raise RolloutError(
            f"E-no-undo-file  {directory} has no {', '.join(missing)}: so nothing can be undone.\n"
            f"Nothing was touched.\n"
            f"Then: whoever wrote the patch writes it, beside the patch, and {CHECK}; or {RESTORE}"
        )
