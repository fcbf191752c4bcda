"""`./runbook.py rc-check`: tells whether PQM lets a message land; makes the check as one file for PQM's host (R13)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic_core import SchemaValidator
from pydantic_core import core_schema as schema

from plugins.module_utils.rollout_core.merge import rc_mode
from rollout import documents
from rollout.outcomes import BadInputError

APPROVERS = Path("group_vars/all/release_critical.yml")  # in an inventory
# What the core may not do itself. It refuses, too, when it cannot read what it needs.
READS_FILES = """

if __name__ == "__main__":
    import sys

    if len(sys.argv) not in (3, 4):
        sys.exit("usage: rc_check.py PQM_CONFIGURATION BRANCH [MESSAGE_FILE]   (otherwise the message is on stdin)")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            mode = configured(file.read(), sys.argv[2])
        with open(sys.argv[3], "rb") if len(sys.argv) == 4 else sys.stdin.buffer as file:
            text = file.read().decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        print("E-pqm-configuration  {}: {}".format(sys.argv[1], error), file=sys.stderr)
        sys.exit(2)
    answer = check(text, in_rc_mode=mode.in_rc_mode, expression=mode.expression)
    print(answer.reason, file=sys.stderr)
    sys.exit(0 if answer.lands else 3)
"""


def judge(
    message: str,
    inventory: Path,
    mode: Literal["open", "rc"] | None,
    branch: str | None = None,
    config: Path | None = None,
    pinned: int | None = None,
) -> dict[str, Any]:
    """Return the answer as `rc-check --json` prints it. `config` needs `branch`. Raises BadInputError."""
    known = configured(config, branch) if config and branch else rc_mode.Branch(False, rc_mode.OPEN)  # noqa: FBT003
    in_rc_mode = known.in_rc_mode if mode is None else mode == "rc"
    answer = rc_mode.check(
        message,
        in_rc_mode=in_rc_mode,
        expression=known.expression,
        approvers=read_approvers(inventory / APPROVERS),
        pinned=pinned,
    )
    return {
        "branch": branch,
        "mode": "rc" if in_rc_mode else "open",
        "lands": answer.lands,
        "reason": answer.reason,
        "exempt": answer.exempt,
        "release_critical": [{"name": name, "role": role} for name, role in answer.release_critical],
    }


def line(found: Mapping[str, Any]) -> str:
    """Return the answer as a line for a person."""
    return f"{'lands' if found['lands'] else 'refused'} · {found['reason']}"


def hook() -> str:
    """Return the check as one Python file: the core's own source, and the few lines that read files."""
    return inspect.getsource(rc_mode) + READS_FILES


def configured(config: Path, branch: str) -> rc_mode.Branch:
    """Return the branch as PQM's configuration has it. Raises BadInputError."""
    try:
        return rc_mode.configured(documents.read_text(config), branch)
    except ValueError as error:
        raise BadInputError(f"E-pqm-configuration  {config}: {documents.short(str(error))}.") from error


def read_approvers(path: Path) -> dict[str, str]:
    """Return the names of the three who approve exceptions (R13), by role. Raises BadInputError."""
    names = schema.typed_dict_schema(
        {role: schema.typed_dict_field(schema.str_schema(strict=True, min_length=1)) for role in rc_mode.ROLES},
        extra_behavior="forbid",
    )
    file = schema.typed_dict_schema(
        {"release_critical_approvers": schema.typed_dict_field(names)}, extra_behavior="forbid"
    )
    found: dict[str, dict[str, str]] = documents.checked(path, SchemaValidator(file).validate_python)
    return found["release_critical_approvers"]
