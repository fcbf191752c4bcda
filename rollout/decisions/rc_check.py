"""`./runbook.py rc-check`: tells whether a message lands; makes the check as one file for the branch's host (R13)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic_core import SchemaValidator
from pydantic_core import core_schema as schema

from plugins.module_utils.rollout_core.merge import rc_mode
from rollout import ROOT, documents
from rollout.outcomes import BadInputError

APPROVERS = Path("group_vars/all/release_critical.yml")  # in an inventory
HOOK = ROOT / "plugins/module_utils/rollout_host/rc_mode/hook.py"
ITS_OWN = ("from __future__ ", "from ...")  # imports that one file has no use for


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
    merges = _sections(config).get(branch, {}).get("merges", rc_mode.MERGES) if config and branch else rc_mode.MERGES
    answer = rc_mode.check(
        message,
        merges=merges,
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
    """Return the check as one Python file, for PQM's host or as the `update` hook of a git repository."""
    after = [
        line for line in HOOK.read_text(encoding="utf-8").splitlines(keepends=True) if not line.startswith(ITS_OWN)
    ]
    return "#!/usr/bin/env python3\n" + inspect.getsource(rc_mode) + "\n\n" + "".join(after)


def configured(config: Path, branch: str) -> rc_mode.Branch:
    """Return the branch as PQM's configuration has it. Raises BadInputError."""
    try:
        return rc_mode.configured(documents.read_text(config), branch)
    except ValueError as error:
        raise BadInputError(f"E-rc-mode-file  {config}: {documents.short(str(error))}.") from error


def _sections(config: Path) -> dict[str, dict[str, str]]:
    return rc_mode.sections(documents.read_text(config))


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
