"""A channel's topic that says what holds for a while, and says it no more afterwards (R15).

A topic is a str; bytes that are no UTF-8 stand in it as surrogates, so that it can be put back as it was.
"""

from __future__ import annotations

SEPARATOR = " | "


def says(topic: str, phrase: str) -> bool:
    """Whether the topic says so, wherever and in whichever case: somebody may have put it there by hand."""
    return phrase.casefold() in topic.casefold()


def saying(topic: str, phrase: str) -> str:
    """The topic that says so: as it is if it does, otherwise with the phrase before it."""
    if says(topic, phrase):
        return topic
    return f"{phrase}{SEPARATOR}{topic}" if topic else phrase


def without(topic: str, phrase: str) -> str:
    """The topic without the phrase and the separator that goes with it; everything else stays.

    What somebody wrote around the phrase is not taken apart: then it still says so.
    """
    if topic == phrase:
        return ""
    if topic.startswith(phrase + SEPARATOR):
        return topic[len(phrase) + len(SEPARATOR) :]
    if topic.endswith(SEPARATOR + phrase):
        return topic[: -len(phrase) - len(SEPARATOR)]
    return topic.replace(f"{SEPARATOR}{phrase}{SEPARATOR}", SEPARATOR, 1)
