"""A command of the site's own as the CI: it is asked about each check, and its exit code is the answer (R11)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from dataclasses import replace
from typing import IO, Sequence

from ...rollout_core.merge.blessing import BlessingQuestion, CheckVerdict, Failed, Merged
from ...rollout_core.merge.checks import CheckFacts, CheckRun, verdict
from ...rollout_core.plain_text import clean
from .base import Ci, CiDownError, CiError

WORDS = {0: "success", 1: "failure", 2: "running"}  # by exit code
LARGEST_OUTPUT = 1024 * 1024  # bytes; of a longer one only the end is read
_URL = re.compile(r"https?://[^\s<>\"']+")


class Command(Ci):
    """The site's own command. In its words, {check}, {revid}, {revno} and {branch} stand for what it is asked about.

    It finds the token in the environment, as BLESSING_TOKEN, and never in its words.
    """

    title = "the site's command"

    def __init__(self, command: Sequence[str], again: Sequence[str], token: str, timeout: float) -> None:
        """Keep the command, the one that runs a check again, and how many seconds each may take."""
        self.command, self._again, self._token, self._timeout = list(command), list(again), token, timeout
        self._merged = Merged(0, "")

    def look(self, names: Sequence[str], question: BlessingQuestion) -> list[CheckVerdict]:
        """Return the verdict of each named check on the merged revision."""
        self._merged = question.merged
        found = []
        for name in names:
            code, lines, whole = self._call(self.command, name)
            if code not in WORDS:
                said = lines[-1] if lines else "it printed nothing"
                raise CiError(f"{self.command[0]} ended with {code} for {name}; 0, 1 or 2 was expected ({said})")
            url = next(iter(_URL.findall(" ".join(lines))[::-1]), "")
            run = CheckRun(name, WORDS[code], run=url, url=url, can_rerun=bool(self._again))
            facts = CheckFacts([run], {("", url): [Failed("command", lines, url, whole)]})
            found.append(self._said(verdict(name, facts, question), lines))
        return found

    def again(self, verdict: CheckVerdict) -> None:
        """Have the site's other command run the check once more."""
        code, lines, _whole = self._call(self._again, verdict.check)
        if code:
            said = lines[-1] if lines else "it printed nothing"
            raise CiError(f"{self._again[0]} could not run {verdict.check} again: it ended with {code} ({said})")

    @staticmethod
    def _said(found: CheckVerdict, lines: Sequence[str]) -> CheckVerdict:
        """Return the verdict of a check that runs, with the last line that the command printed."""
        if found.state != "running" or not lines:
            return found
        return replace(found, said=lines[-1][:100], steady="running")

    def _call(self, command: Sequence[str], check: str) -> tuple[int, tuple[str, ...], bool]:
        """Return exit code and lines of a command about one check, and whether the lines are all of them."""
        merged = self._merged
        known = {"{check}": check, "{revid}": merged.revid, "{revno}": str(merged.revno), "{branch}": merged.branch}
        words = [re.sub(r"\{(?:check|revid|revno|branch)\}", lambda found: known[found[0]], word) for word in command]
        environment = {**os.environ, "BLESSING_TOKEN": self._token}
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    env=environment, start_new_session=True,
                )  # fmt: skip
            except (OSError, ValueError) as error:
                raise CiError(f"{words[0]} cannot be run: {getattr(error, 'strerror', None) or error}") from error
            try:
                code = process.wait(self._timeout)
            except subprocess.TimeoutExpired as error:
                raise CiDownError(f"{words[0]} has not ended within {self._timeout:g} s, for {check}") from error
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            return (code, *_lines(output))


def _lines(output: IO[bytes]) -> tuple[tuple[str, ...], bool]:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - LARGEST_OUTPUT))
    text = clean(output.read().decode("utf-8", "replace"))
    return tuple(line.rstrip() for line in text.splitlines() if line.strip()), size <= LARGEST_OUTPUT
