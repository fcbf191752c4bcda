"""Measures aborts as people see them: how long until the verdict, and how long until users are back (R19).

On a lab of its own, with the faults of the drills. `ABORTS=20 python -m bench aborts` has 20 of them, not 100.
"""

import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from lab.drills import faults, timing
from lab.drills.base import Base
from lab.drills.command import made_base
from lab.drills.drills import DRILLS, hang_while_it_pauses
from lab.drills.scene import Scene
from rollout import ROOT
from rollout.outcomes import ExitCode

SOMEWHERE = 8.0  # seconds from the beginning of the outage's stage within which the abort is asked for
# What patches do takes a second each time, and one of them for ever: there is something to be aborted all that time.
SLOW = {"ALTER TABLE": 1.0, "CREATE INDEX": 1.0, "CREATE TABLE": faults.FOR_EVER}


def decision(runs: int = 5) -> list[float]:
    """Return the seconds from the crossing of the limit to the verdict, by the journal, while a host hangs."""
    with _base() as (base, directory):
        return [_decision(base, directory / str(run)) for run in range(runs)]


def reopened(runs: int = 5) -> list[float]:
    """Return the seconds from the verdict to the first user who gets in again, while a patch takes for ever."""
    with _base() as (base, directory):
        return [_reopened(base, directory / str(run)) for run in range(runs)]


class Aborted(NamedTuple):
    """One abort: seconds until a user got in, whether the schema is as before, what still runs, what else is wrong."""

    seconds: float
    as_before: bool
    survivors: Sequence[str]
    wrong: Sequence[str]


def aborts() -> list[float]:
    """Return the seconds from an `abort`, typed at another terminal at a random moment, until a user gets in again.

    After each the schema must be byte-identical and nothing of the rollout at work; the next one begins on that lab.
    """
    chance = random.Random(19)  # noqa: S311 - the same moments every time
    moments = [chance.uniform(0, SOMEWHERE) for _ in range(int(os.environ.get("ABORTS", "100")))]
    with _base() as (base, directory):
        rollout = base.at_the_window(directory / "slow")
        with faults.slow_patches(rollout, SLOW):
            schema = rollout.schema()
            found = [_abort(base, directory / str(number), after, schema) for number, after in enumerate(moments)]
    same, survivors = sum(each.as_before for each in found), sum(len(each.survivors) for each in found)
    print(f"{len(found)} aborts: schema byte-identical {same} times, survivors {survivors}")
    wrong = [
        f"abort {number}, {after:.2f} s into the outage: {problem}"
        for number, (after, each) in enumerate(zip(moments, found, strict=True))
        for problem in [*([] if each.as_before else ["the schema is another"]), *each.survivors, *each.wrong]
    ]
    assert not wrong, "\n".join(wrong)
    return [each.seconds for each in found]


def _decision(base: Base, records: Path) -> float:
    with Scene(base.at_the_window(records)) as scene:
        process, answers_again = hang_while_it_pauses(scene)
        scene.until_entry("verdict", verdict="abort")
        answers_again()
        scene.end(process)
        return scene.seconds()["verdict"]


def _reopened(base: Base, records: Path) -> float:
    with Scene(base.at_the_window(records)) as scene:
        DRILLS["slow-patch"].script(scene)
        return scene.seconds()["access"]


def _abort(base: Base, records: Path, after: float, schema: str) -> Aborted:
    """Abort an outage after it has run for `after` seconds; the records are kept only if something is wrong."""
    rollout = base.again(records)
    with Scene(rollout) as scene:
        process = scene.start("run", "--at=-30m")
        scene.until_entry("stage_started", stage="outage")
        time.sleep(after)
        asked = rollout.runbook("abort", "--reason", "drill")
        scene.end(process)
        found = scene.found(None)
        entries = rollout.journal
        heard = next((n for n, entry in enumerate(entries) if entry["event"] == "abort_requested"), None)
        codes = {asked.returncode, scene.exit_code}
        wrong = [] if codes == {ExitCode.ABORTED} else [f"exit codes {codes}: {asked.stdout}{asked.stderr}"]
        wrong += [] if found.users_are_in else ["users do not get in"]
        wrong += [] if heard is not None else ["nobody heard it"]
        at = timing.system_time(entries, heard or 0)
        took = max((scene.probe.in_since or at) - at, timedelta()).total_seconds()
        aborted = Aborted(took, rollout.schema() == schema, found.survivors, wrong)
    if aborted.as_before and not [*aborted.survivors, *aborted.wrong]:
        shutil.rmtree(records)
    return aborted


@contextmanager
def _base() -> Iterator[tuple[Base, Path]]:
    """Yield a lab at its window, and an empty directory for records; those that are left help to find a cause."""
    directory = ROOT / "var" / "bench"
    records = directory / "records"
    with made_base(directory, Console(stderr=True)) as base:
        shutil.rmtree(records, ignore_errors=True)
        records.mkdir()
        yield base, records
