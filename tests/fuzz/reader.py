"""A reader of the product as the fuzz plays it: what it reads, how it is called, and which errors it may raise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Reader:
    """One reader. `read` gets a text, or `data` as JSON has it; `raises` are the errors that its docstring names.

    `of` are the functions that are proven here; their modules count as covered. `share`: how many of the inputs it
    gets, 1 being a cheap reader's part. `long`: texts of one thing many times over are read too. `only_texts`: a
    program of the same make writes the data, so that only the texts in it are others.
    """

    name: str
    read: Callable[[Any], object]
    of: Sequence[Callable[..., Any]]
    examples: Sequence[Any]
    tokens: Sequence[str] = ()
    raises: tuple[type[BaseException], ...] = ()
    share: float = 1.0
    long: bool = True
    data: bool = False
    only_texts: bool = False

    @property
    def modules(self) -> set[str]:
        """Return the files of the functions that are read here, as the repository names them."""
        return {str(Path(inspect.getsourcefile(inspect.unwrap(each)) or "").relative_to(ROOT)) for each in self.of}


def file(path: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def files(pattern: str) -> list[str]:
    """Return the texts of the files of the repository that match, in the order of their names."""
    found = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    assert found, f"there is no {pattern}"
    return found
