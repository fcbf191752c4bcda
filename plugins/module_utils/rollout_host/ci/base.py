"""What every kind of CI is asked, and the errors that it may answer with (R11)."""

from __future__ import annotations

from typing import Sequence

from ...rollout_core.merge.blessing import BlessingQuestion, CheckVerdict


class CiError(Exception):
    """An error: the CI answers, but did not do something or does not know it."""


class CiDownError(CiError):
    """An error: the CI does not answer."""


class CiLimitedError(CiError):
    """An error: the CI answers no more questions before `until`, in seconds since the epoch."""

    def __init__(self, text: str, until: float) -> None:
        """Keep both."""
        super().__init__(text)
        self.until = until


class Ci:
    """One CI. `title` is what people call it. Its questions raise CiError."""

    title = ""

    def look(self, names: Sequence[str], question: BlessingQuestion) -> list[CheckVerdict]:
        """Return the verdict of each named check on the merged revision."""
        raise NotImplementedError

    def again(self, verdict: CheckVerdict) -> None:
        """Have the check run once more on the same revision. Raises CiError if that is not allowed."""
        raise NotImplementedError
