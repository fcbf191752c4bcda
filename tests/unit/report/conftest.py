"""The sample rollouts of this directory as plan and journal entries, read back from a journal's real text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.journal import text as journal
from rollout.plan import model as plans

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def plan() -> dict[str, Any]:
    """The samples' plan, held to the plan's model like every other."""
    return plans.load(HERE / "plan.yml").as_vars()


@pytest.fixture(scope="session")
def entries() -> Callable[..., list[dict[str, Any]]]:
    """`entries("good", {…more})`: what the journal's reader gives for the sample's lines and then these.

    A sample that is `with` another one stands between its lines, by the time.
    """

    def read(name: str | None = None, *more: dict[str, Any]) -> list[dict[str, Any]]:
        return chained([*events_of(name), *more])

    def events_of(name: str | None) -> list[dict[str, Any]]:
        events = list(yaml.safe_load((HERE / "before_the_window.yml").read_text(encoding="utf-8")))
        if name:
            sample = yaml.safe_load((HERE / f"{name}.yml").read_text(encoding="utf-8"))
            if isinstance(sample, dict):
                return sorted([*events_of(sample["with"]), *sample["events"]], key=lambda event: event["at"])
            events = [event for event in events if event["at"] < sample[0]["at"]] + sample
        return events

    return read


def chained(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the events, chain them as the journal's writer does, and read them back."""
    text, prev = "", journal.FIRST_PREV
    for number, event in enumerate(events, start=1):
        line = journal.line({"seq": number, **event}, prev)
        text, prev = text + line, journal.digest(line)
    reading = journal.read(text)
    assert reading.broken_at is None
    return reading.entries
