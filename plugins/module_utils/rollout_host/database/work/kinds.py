"""The kinds of work that an outage can do while access is closed, by the name in its option `work` (R18)."""

from __future__ import annotations

from typing import Any, Mapping

from ..outage.run import OutageWork
from .keep_closed import WORK as KEEP_CLOSED
from .keep_closed import KeepClosed
from .patches import Patching
from .schema_undo import SchemaUndo
from .script import WORK as SCRIPT
from .script import Scripted

WORKS: dict[str, type[OutageWork]] = {
    "patches": Patching,
    SCRIPT: Scripted,
    KEEP_CLOSED: KeepClosed,
    "schema_undo": SchemaUndo,
}


def work_of(params: Mapping[str, Any] | None) -> type[OutageWork]:
    """Return the class of the work that the module's parameters, or the progress file, name."""
    return WORKS[(params or {}).get("work") or "patches"]
