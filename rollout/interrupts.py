"""Ctrl-C while a playbook runs: nothing is killed half-way, the run stops at the end of the stage."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Interrupt:
    """Whether Ctrl-C came."""

    came: bool = False

    def raise_if_it_came(self) -> None:
        """Raise the KeyboardInterrupt that was held back."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt

    @contextmanager
    def held_back(self, told: Callable[[], None]) -> Iterator[None]:
        """Note SIGINT instead of raising it; `told` is called when it comes."""

        def note(*_: Any) -> None:
            self.came = True
            told()

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
