"""Makes the commands in a text such that the person at this terminal can paste them: program, site, inventory."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from rollout import ROOT

WRITTEN = "./runbook.py"
_COMMAND = re.compile(r"\./runbook\.py(?P<words>(?: [a-z][a-z_-]*)*)(?=(?P<rest>[^\n]*))")


@dataclass(frozen=True)
class Pasted:
    """How a person started the runbook. `taking`: the commands that take -i, such as `plan new`."""

    program: str = WRITTEN
    site: str | None = None
    inventory: str | None = None
    taking: frozenset[str] = frozenset()

    def text(self, text: str) -> str:
        """Return the text with its commands as this person has to type them."""
        if self == Pasted(taking=self.taking):
            return text
        return _COMMAND.sub(self._command, text)

    def _command(self, found: re.Match[str]) -> str:
        words, rest = found["words"], found["rest"]
        start = " ".join([self.program, *(["--site", self.site] if self.site else [])])
        typed = words.split()
        name = next((" ".join(typed[:many]) for many in (2, 1) if " ".join(typed[:many]) in self.taking), "")
        if not self.inventory or not name or " -i " in f"{words}{rest} ":
            return f"{start}{words}"
        return f"{start} {name} -i {self.inventory}{words.removeprefix(f' {name}')}"


_now = Pasted()


def begin(stands_in: Path, site: str | None, taking: frozenset[str]) -> None:
    """Say how the runbook was started: from which directory, and with which --site."""
    global _now
    program = WRITTEN if stands_in == ROOT else shlex.quote(str(ROOT / "runbook.py"))
    _now = Pasted(program, shlex.quote(site) if site else None, None, taking)


def with_inventory(inventory: Path) -> None:
    """Say that -i was typed."""
    global _now
    _now = replace(_now, inventory=shlex.quote(str(inventory)))


def text(text: str) -> str:
    """Return the text with its commands as the person at this terminal has to type them."""
    return _now.text(text)
