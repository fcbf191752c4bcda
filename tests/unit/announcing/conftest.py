"""Texts from the plan and the journals of this directory."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.rollout_core.time import timeline
from rollout.announcing import wording
from rollout.announcing.text import Text
from rollout.plan import model as plans
from tests.unit.journals import typed

HERE = Path(__file__).parent
PLAN = plans.load(HERE / "plan.yml").as_vars()
JOURNALS = yaml.safe_load((HERE / "journals.yml").read_text(encoding="utf-8"))
MESSAGES = yaml.safe_load((HERE / "messages.yml").read_text(encoding="utf-8"))
WINDOWS = yaml.safe_load((HERE / "windows.yml").read_text(encoding="utf-8"))


def planned(start: Any = None, minutes: int = 90, **policy: Any) -> dict[str, Any]:
    """The plan, with another window; held to the plan's model, which turns its start into UTC."""
    start = PLAN["window"]["start"] if start is None else start
    changed = {**PLAN, "window": {"start": start, "minutes": minutes}, "policy": {**PLAN["policy"], **policy}}
    return plans.Plan.model_validate(changed).as_vars()


def facts_of(name: str, plan: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """What the golden text of that name is about; of another plan, or with more given."""
    given = {**MESSAGES[name], **more}
    now: datetime = timeline.parse_instant(given.pop("now"))
    entries = JOURNALS[given.pop("journal", "none")]
    window = given.pop("window", None)
    given.pop("message", None)
    if "after" in given:
        given["after"] = (PLAN, typed(JOURNALS[given["after"]]))
    return wording.about(plan or (planned(window) if window else PLAN), typed(entries), now, **given)


def message_of(name: str) -> str:
    """The message of a golden text."""
    return str(MESSAGES[name].get("message", name))


def text_of(name: str, how: str, plan: dict[str, Any] | None = None, site: Path | None = None, **more: Any) -> Text:
    """A message as it goes out."""
    return wording.render(message_of(name), how, facts_of(name, plan, **more), site)


def whole(text: Text) -> str:
    """All that readers see, as one line."""
    return " ".join(f"{text.title} {text.body}".split())
