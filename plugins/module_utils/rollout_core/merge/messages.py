"""Reads PQM commit messages: their tags say who reviewed, which bugs it is for, whether it needs QA (R8, R13).

Mail folds messages, so a newline and a tab may be anywhere inside a tag, and tags may be doubled. Tags are at the
beginning or at the end of a message; what looks like a tag amid the sentences is prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable

_TAG = re.compile(r" ?\[([^\[\]]*)\]")
_TAG_AT_END = re.compile(r" ?\[([^\[\]]*)\] ?$")
_NUMBER = re.compile(r"#?([0-9]{1,15})")
_POLLER = re.compile(r"automatic merge from \S+?\.? Revisions?: (?P<revisions>[0-9, ]+)included", re.IGNORECASE)
KEYS = frozenset({"r", "rs", "ui", "bug", "testfix", "release-critical", "no-qa", "incr", "rollback"})


@dataclass(frozen=True)
class CommitMessage:
    """The content of a commit message. Names and numbers are sorted, each once.

    ``bugs`` and ``rollbacks`` are numbers as written; only the branch can tell whether a rollback names a revision.
    ``unreadable`` are tags with known names and values that cannot be read, such as ``bug=none``.
    """

    text: str
    reviewers: tuple[str, ...] = ()
    rubber_stamps: tuple[str, ...] = ()
    ui_reviewers: tuple[str, ...] = ()
    release_critical: tuple[str, ...] = ()
    bugs: tuple[int, ...] = ()
    rollbacks: tuple[int, ...] = ()
    testfix: bool = False
    no_qa: bool = False
    incremental: bool = False
    poller: bool = False
    polled: tuple[int, ...] = ()
    unreadable: tuple[str, ...] = ()


def parse(message: str) -> CommitMessage:
    """Return the content of a commit message. It never raises; what is not understood stays in ``text``."""
    tags, text = _split(" ".join(message.split()))
    values: dict[str, list[str]] = {key: [] for key in KEYS}
    for key, value in tags:
        values.setdefault(key, []).append(value)
    bugs, unreadable_bugs = _numbers("bug", values["bug"])
    rollbacks, unreadable_rollbacks = _numbers("rollback", values["rollback"])
    rubber_stamps = _names(values["rs"])
    poller = _POLLER.match(text) if "buildbot-poller" in rubber_stamps else None
    return CommitMessage(
        text=text,
        reviewers=_names(values["r"]),
        rubber_stamps=rubber_stamps,
        ui_reviewers=_names(values["ui"]),
        release_critical=_names(values["release-critical"]),
        bugs=bugs,
        rollbacks=rollbacks,
        testfix=bool(values["testfix"]),
        no_qa=bool(values["no-qa"]),
        incremental=bool(values["incr"]),
        poller=poller is not None,
        polled=_numbers("", [poller["revisions"]])[0] if poller else (),
        unreadable=tuple(sorted({*unreadable_bugs, *unreadable_rollbacks})),
    )


def _split(message: str) -> tuple[list[tuple[str, str]], str]:
    """Return the tags at the beginning and end of an unfolded message, and the sentences between them."""
    tags = []
    start, end = 0, len(message)
    while (tag := _TAG.match(message, start)) is not None:
        tags.append(_tag(tag[1]))
        start = tag.end()
    while (tag := _TAG_AT_END.search(message, start, end)) is not None and _tag(tag[1])[0] in KEYS:
        tags.append(_tag(tag[1]))
        end = tag.start()
    return tags, message[start:end].strip()


def _tag(inside: str) -> tuple[str, str]:
    """Return ``bug = 1, 2`` as ("bug", "1, 2"). A fold may be inside the name too."""
    key, _, value = inside.partition("=")
    key = key.replace(" ", "").lower()
    return {"bugs": "bug", "incremental": "incr"}.get(key, key), value.strip()


def _names(values: Iterable[str]) -> tuple[str, ...]:
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(sorted({name for name in names if name}))


def _numbers(key: str, values: Iterable[str]) -> tuple[tuple[int, ...], list[str]]:
    """Return the numbers in all values of one tag, and the values that hold something else."""
    numbers: set[int] = set()
    unreadable = []
    for value in values:
        words = value.replace(",", " ").split()
        matches = [_NUMBER.fullmatch(word) for word in words]
        numbers.update(int(match[1]) for match in matches if match)
        if not words or not all(matches):
            unreadable.append(f"{key}={value}")
    return tuple(sorted(numbers)), unreadable
