"""How a command can end: the exit codes that people and scripts rely on, and the errors that carry them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of runbook.py (docs/operations.md)."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    REFUSED = 3
    ABORTED = 4
    LOCKED = 5
    NOT_UNDONE = 6
    LOCKED_OUT = 7


class RunbookError(Exception):
    """A sentence for the person at the terminal, and the exit code that goes with it."""

    exit_code = ExitCode.FAILED


class BadInputError(RunbookError):
    """Something given to the runbook is wrong; nothing was touched. Names file, line, what was expected, what to do."""

    exit_code = ExitCode.BAD_INPUT


class NoPlanError(BadInputError):
    """There is no plan to work on."""


class LockedError(RunbookError):
    """Another runbook holds the lock of this rollout."""

    exit_code = ExitCode.LOCKED
