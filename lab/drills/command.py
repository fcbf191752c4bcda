"""`./runbook.py drill NAME…|all`: rehearses the named drills one after the other, on a lab of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab import lab as embedded
from lab.drills.base import Base
from lab.drills.drills import DRILLS, Drill, rehearse
from lab.drills.judge import Check
from rollout import ROOT
from rollout.outcomes import BadInputError, ExitCode, LockedError

DIRECTORY = ROOT / "var" / "drills"
ALL = "all"


def run(names: Sequence[str], console: Console) -> ExitCode:
    """Rehearse the drills; return FAILED if one did not go as it should. Raises BadInputError, LockedError or LabError.

    The lab is down again afterwards; each drill's records stay in `var/drills/NAME`.
    """
    if unknown := [name for name in names if name not in (*DRILLS, ALL)]:
        raise BadInputError(f"E-no-such-drill  {', '.join(unknown)}. There are: {', '.join([*DRILLS, ALL])}.")
    chosen = list(DRILLS) if ALL in names else list(dict.fromkeys(names))
    for ending in (signal.SIGTERM, signal.SIGHUP):  # what Ctrl-C clears up, they do too
        signal.signal(ending, signal.default_int_handler)
    failed = []
    with made_base(DIRECTORY, console) as base:
        for name in chosen:
            if not _rehearse(DRILLS[name], base, console):
                failed.append(name)
    if failed:
        console.print(f"{len(failed)} of {len(chosen)} drills did not go as they should: {', '.join(failed)}")
    return ExitCode.FAILED if failed else ExitCode.DONE


def _rehearse(drill: Drill, base: Base, console: Console) -> bool:
    console.print(Text(f"▸ {drill.name} · {drill.story}"), soft_wrap=True)
    records = DIRECTORY / drill.name
    if records.exists():
        shutil.rmtree(records)
    rollout = base.at_the_window(records)
    console.print(Text(f"  look on:  tail -F {os.path.relpath(rollout.screen_file)}"), soft_wrap=True)
    checks = rehearse(drill, rollout)
    right = all(check.right for check in checks)
    console.print(table(checks))
    mark, word = ("✓", "as it should be") if right else ("✗", "NOT as it should be")
    console.print(Text(f"{mark} {drill.name}: {word}"))
    return right


def table(checks: Sequence[Check]) -> Table:
    """Return the table of what should have happened, what did, and in how many seconds."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "what", "should be", "was"):
        grid.add_column(heading)
    grid.add_column("s", justify="right")
    for check in checks:
        mark = Text("✓", "green") if check.right else Text("✗", "bold red")
        seconds = "" if check.seconds is None else f"{check.seconds:.1f}"
        grid.add_row(mark, Text(check.what), Text(check.should), Text(check.did), seconds)
    return grid


@contextmanager
def made_base(directory: Path, console: Console) -> Iterator[Base]:
    """Yield a lab in `directory` with everything before the window done; afterwards it is down and deleted.

    Raises LockedError when somebody else has it, LabError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError("E-locked  Somebody drills in this checkout already.  Wait for the end.") from error
        lab, snapshot = directory / "lab", directory / "base"
        try:
            _clear(lab, snapshot)  # of a drill that was killed
            console.print("▸ lab up, and all that comes before the window")
            yield Base.make(embedded.up(lab, say=_nothing), snapshot)
        finally:
            _clear(lab, snapshot)


def _clear(lab: Path, snapshot: Path) -> None:
    embedded.down(lab, say=_nothing)
    shutil.rmtree(snapshot, ignore_errors=True)


def _nothing(_: str) -> None:
    pass
