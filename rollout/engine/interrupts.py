"""Handles Ctrl-C, and a terminal that hangs up: neither kills anything half-way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Interrupt:
    """The state of Ctrl-C. `came`: it was typed and is not dealt with; `leave`: the run stops at the stage's end."""

    came: bool = False
    leave: bool = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note SIGINT instead of raising it, and ignore SIGHUP while the block runs: terminals are only views."""

        def note(*_: Any) -> None:
            self.came = True

        def outlive(*_: Any) -> None:
            """Do nothing on SIGHUP. (With SIG_IGN, ansible-playbook would inherit that it ignores the signal.)"""

        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, note),
            signal.SIGHUP: signal.signal(signal.SIGHUP, outlive),
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
