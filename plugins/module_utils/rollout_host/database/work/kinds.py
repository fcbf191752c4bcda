"""The kinds of work that an outage can have behind its gate, by the name that the option `work` gives them (R18)."""

from __future__ import annotations

from typing import Any, Mapping

from ..outage.run import Work
from .keep_closed import WORK as HOLD
from .keep_closed import Hold
from .patches import Patching
from .schema_undo import BackOut
from .script import WORK as SCRIPT
from .script import Scripted

WORKS: dict[str, type[Work]] = {"patches": Patching, SCRIPT: Scripted, HOLD: Hold, "back_out": BackOut}


def work_of(params: Mapping[str, Any] | None) -> type[Work]:
    """Return the class of the work that the module's parameters, or the progress file, name."""
    return WORKS[(params or {}).get("work") or "patches"]
