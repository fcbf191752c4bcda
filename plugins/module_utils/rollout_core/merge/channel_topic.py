"""A phrase in a channel's topic that is put in while something holds, and taken out afterwards (R15).

A topic is a str; bytes that are no UTF-8 are surrogates in it, so that it can be put back as it was.
"""

from __future__ import annotations

SEPARATOR = " | "


def says(topic: str, phrase: str) -> bool:
    """Return True if the topic has the phrase, anywhere and in any case: somebody may have put it there by hand."""
    return phrase.casefold() in topic.casefold()


def saying(topic: str, phrase: str) -> str:
    """Return the topic with the phrase at its beginning, or unchanged if it has it already."""
    if says(topic, phrase):
        return topic
    return f"{phrase}{SEPARATOR}{topic}" if topic else phrase


def without(topic: str, phrase: str) -> str:
    """Return the topic without the phrase and the separator that belongs to it.

    A phrase inside somebody's own words is left there.
    """
    if topic == phrase:
        return ""
    if topic.startswith(phrase + SEPARATOR):
        return topic[len(phrase) + len(SEPARATOR) :]
    if topic.endswith(SEPARATOR + phrase):
        return topic[: -len(phrase) - len(SEPARATOR)]
    return topic.replace(f"{SEPARATOR}{phrase}{SEPARATOR}", SEPARATOR, 1)
