"""Running database_preflight, and reading what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.modules.database_servers import Database

Run = Callable[..., dict[str, Any]]
NewRun = Callable[..., dict[str, Any]]
THEIRS = {"run_id", "deadline_seconds"}  # arguments of the outage that the preflight does not have


def new_run(run_module: NewRun, database: Database) -> Run:
    """The preflight of a test's database: `run(check=False, **arguments)`."""

    def call(check: bool = False, **more: Any) -> dict[str, Any]:
        patient = {"max_sync_seconds": 60.0, **more}  # a standby that was just made, on a busy machine
        arguments = {key: value for key, value in database.outage(**patient).items() if key not in THEIRS}
        return run_module("database_preflight", arguments, check, env=database.environment())

    return call


def failed(answer: dict[str, Any]) -> set[str]:
    """The checks that failed; some must have."""
    assert answer["failed"], answer
    return {finding["check"] for finding in answer["findings"] if not finding["ok"]}


def found(answer: dict[str, Any], check: str) -> str:
    """What one check found."""
    return next(finding["found"] for finding in answer["findings"] if finding["check"] == check)
