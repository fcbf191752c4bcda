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


class BrokenJournalError(BadInputError):
    """A journal cannot be read, or was edited or damaged: what happened is not known for certain."""


class UnwrittenError(RunbookError, OSError):
    """Something that was to be on disk is not."""


class NoPlanError(BadInputError):
    """There is no plan to work on."""


class LockedError(RunbookError):
    """Another runbook holds the lock of this rollout."""

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
    """The run ends here: `outcome` and `message` go into the journal, `exit_code` to the shell, `then` ends the screen.

    `stage` is the outcome of the stage that it ends. `aborts`: what the window did is taken back, and the next attempt
    is worked out (R19-R21). `proven`: nothing of the stage is at work any more, for certain.
    """

    proven = True

    def __init__(
        self, outcome: str, exit_code: ExitCode, message: str, then: str = "", *, stage: str = "", aborts: bool = False
    ) -> None:
        """Say how it ended."""
        super().__init__(message)
        self.outcome, self.exit_code, self.message, self.then = outcome, exit_code, message, then
        self.stage, self.aborts = stage or outcome, aborts


class Abort(Stop):
    """The rollout is aborted: late (R19), or a person wants it (`stage`: stopped)."""

    def __init__(self, message: str, *, stage: str = "late") -> None:
        """Say why."""
        super().__init__("aborted", ExitCode.ABORTED, message, stage=stage, aborts=True)


class LeftAsIs(Stop):
    """It is left as it is, because somebody wants that or only news is missing: nothing is taken back, no incident."""

    def __init__(self, message: str, then: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        """Say what was left."""
        super().__init__("failed", exit_code, message, then)


class CrashedError(LockedError):
    """A runbook ended in the middle of this rollout, and what it left is not settled."""
