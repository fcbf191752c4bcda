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
    """An error with a sentence for the person at the terminal, and an exit code."""

    exit_code = ExitCode.FAILED


class BadInputError(RunbookError):
    """Wrong input; nothing was touched. The message names file, line, what was expected, what to do."""

    exit_code = ExitCode.BAD_INPUT


class BrokenJournalError(BadInputError):
    """A journal cannot be read, or was edited or damaged: what happened is not known for certain."""


class UnwrittenError(RunbookError, OSError):
    """Something that was to be on disk is not."""


class NoPlanError(BadInputError):
    """An error: there is no plan to work on."""


class LockedError(RunbookError):
    """An error: another runbook holds the lock of this rollout."""

    exit_code = ExitCode.LOCKED


class ServiceLockedError(LockedError):
    """Another rollout of the service is at work on this machine."""


class ClaimRefusedError(RunbookError):
    """The service is not this rollout's, or nobody knows: nothing was said or touched."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        """Say why, and with which exit code."""
        super().__init__(message)
        self.exit_code = exit_code


class AnsweredError(RunbookError):
    """Somebody else has answered, or said no to it since: what was typed here is not what counts."""

    exit_code = ExitCode.REFUSED


class Stop(Exception):  # noqa: N818 - the end of a run, not always an error
    """The end of a run: `outcome` and `message` go into the journal, `exit_code` to the shell, `then` ends the screen.

    `stage` is the outcome of the stage that it ends. `aborts`: the window's stages are undone, and the next attempt is
    worked out (R19–R21). `proven`: nothing of the stage is at work any more, for certain.
    """

    proven = True

    def __init__(
        self, outcome: str, exit_code: ExitCode, message: str, then: str = "", *, stage: str = "", aborts: bool = False
    ) -> None:
        """Hold how the run ended."""
        super().__init__(message)
        self.outcome, self.exit_code, self.message, self.then = outcome, exit_code, message, then
        self.stage, self.aborts = stage or outcome, aborts


class Abort(Stop):
    """An abort of the rollout, for lateness (R19) or because a person wants it (`stage`: stopped)."""

    def __init__(self, message: str, *, stage: str = "late") -> None:
        """Hold why the rollout is aborted."""
        super().__init__("aborted", ExitCode.ABORTED, message, stage=stage, aborts=True)


class LeftAsIs(Stop):
    """A stop that undoes nothing and is no incident, because somebody wants that or only news is missing."""

    def __init__(self, message: str, then: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        """Hold what was left as it is."""
        super().__init__("failed", exit_code, message, then)


class CrashedError(LockedError):
    """An error: a runbook ended in the middle of this rollout, and what it left is not settled."""
