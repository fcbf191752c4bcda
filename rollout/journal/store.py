"""Where rollouts are kept: one directory each, with plan.yml, journal.jsonl, Ansible's artifacts and the report."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from plugins.module_utils.rollout_core.journal import text as text_format
from rollout import ROOT
from rollout.outcomes import BadInputError, LockedError, NoPlanError

if TYPE_CHECKING:
    from rollout.plan.model import Plan

FINAL = {"done", "aborted", "backed_out"}


def directory() -> Path:
    """`var/rollouts` of the checkout, or $ROLLOUT_RECORDS."""
    return Path(os.environ.get("ROLLOUT_RECORDS", ROOT / "var" / "rollouts")).resolve()


def current(inventory: Path | None, plan_file: Path | None = None) -> tuple[Path, Plan]:
    """The directory and plan to work on: the given file's, else the newest of this inventory that is not closed.

    Raises NoPlanError when there is none, BadInputError when the plan is for another inventory.
    """
    from rollout.plan import model as plans  # here: its models take 0.1 s, and not every command has a plan

    if plan_file is not None:
        plan = plans.load(plan_file)
        if inventory is not None and (ROOT / plan.inventory).resolve() != inventory:
            raise BadInputError(f"E-other-inventory  {plan_file} is a plan for {plan.inventory}, not for {inventory}.")
        return plan_file.resolve().parent, plan
    candidates = sorted(directory().glob("*/plan.yml"), key=lambda path: path.stat().st_ctime, reverse=True)
    for path in candidates:
        if is_closed(path.parent):
            continue
        plan = plans.load(path)
        if inventory is None or (ROOT / plan.inventory).resolve() == inventory:
            return path.parent, plan
    raise NoPlanError("E-no-plan  There is no open plan.  Make one:  ./runbook.py plan new")


def open_plans(inventory: Path) -> list[str]:
    """The ids of the plans of an inventory whose rollouts are not over."""
    from rollout.plan import model as plans

    found = [path.parent for path in sorted(directory().glob("*/plan.yml")) if not is_closed(path.parent)]
    return [each.name for each in found if (ROOT / plans.load(each / "plan.yml").inventory).resolve() == inventory]


def latest(plan_file: Path | None = None) -> tuple[Path, Plan]:
    """The given plan's rollout, else the one whose journal was written last, closed or not. Raises NoPlanError."""
    from rollout.plan import model as plans

    if plan_file is None:
        journals = sorted(directory().glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
        if not journals:
            raise NoPlanError("E-no-rollout  Nothing has been rolled out yet.  Begin:  ./runbook.py plan new")
        plan_file = journals[-1].with_name("plan.yml")
    return plan_file.resolve().parent, plans.load(plan_file)


def is_closed(rollout: Path) -> bool:
    """Whether the rollout is over for good: done, aborted, or backed out."""
    return outcome(rollout) in FINAL


def outcome(rollout: Path) -> str | None:
    """How the latest run ended; None while it goes on, or when nothing more was due. Later events change nothing."""
    runs = [entry for entry in entries(rollout) if entry["event"] in ("rollout_opened", "rollout_closed")]
    return runs[-1].get("outcome") if runs else None


def entries(rollout: Path) -> list[dict[str, Any]]:
    """What its journal holds; nothing before there is one."""
    path = rollout / "journal.jsonl"
    return text_format.read(path.read_text(encoding="utf-8")).entries if path.exists() else []


@contextmanager
def lock(rollout: Path) -> Iterator[None]:
    """Hold the rollout's lock. Raises LockedError, naming the owner, when another runbook holds it."""
    path = rollout / "lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            _take(file)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read().strip() or "somebody"
            raise LockedError(f"E-locked  {rollout.name} is being rolled out already, by {owner}.") from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "terminal": _terminal()}))
        file.flush()
        yield


def _take(file: IO[str]) -> None:
    """Take the lock. Somebody who asks for its owner holds it for a moment, so not at once: raises BlockingIOError."""
    for attempt in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == 4:
                raise
            time.sleep(0.05)
        else:
            return


def owner(rollout: Path) -> dict[str, Any] | None:
    """Who holds the rollout's lock, {pid, host, terminal}; None when nobody does."""
    path = rollout / "lock"
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            held: dict[str, Any] = json.loads(file.read() or "{}")
            return held
    return None


def _terminal() -> str:
    try:
        return os.ttyname(0)
    except OSError:
        return "none"
