"""The kinds of work that an outage can have behind its gate, by the name that the option `work` gives them (R18)."""

from __future__ import annotations

from typing import Any, Mapping

from .rollout_hold import WORK as HOLD
from .rollout_hold import Hold
from .rollout_outage import Work
from .rollout_patching import Patching
from .rollout_schema_undo import BackOut
from .rollout_script_work import WORK as SCRIPT
from .rollout_script_work import Scripted

WORKS: dict[str, type[Work]] = {"patches": Patching, SCRIPT: Scripted, HOLD: Hold, "back_out": BackOut}


def work_of(params: Mapping[str, Any] | None) -> type[Work]:
    """Return the class of the work that the module's parameters, or the progress file, name."""
    return WORKS[(params or {}).get("work") or "patches"]
