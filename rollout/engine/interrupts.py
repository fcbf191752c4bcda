"""Ctrl-C and a terminal that hangs up: neither kills anything half-way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Interrupt:
    """`came`: Ctrl-C was typed and nobody has dealt with it; `leave`: the run is to stop at the end of the stage."""

    came: bool = False
    leave: bool = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note SIGINT instead of raising it, and outlive SIGHUP: terminals are only views."""

        def note(*_: Any) -> None:
            self.came = True

        def outlive(*_: Any) -> None:
            """Not SIG_IGN, which ansible-playbook would inherit."""

        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, note),
            signal.SIGHUP: signal.signal(signal.SIGHUP, outlive),
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
