"""YAML files checked against a model, with errors that name file and line."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic_core import ErrorDetails, ValidationError

from rollout.outcomes import BadInputError
from rollout.whole_file import write_whole

if TYPE_CHECKING:  # 0.1 s, and `late` has no model
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")
Valid = TypeVar("Valid")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # five times as fast where libyaml is
# Yesterday's words, and what is written instead; a model that knows a field does not look here.
RENAMED = {
    "holds": "is called `bracket` now: `bracket: {what: …, ends_with: STAGE, end_early: PLAYBOOK}` "
    "in place of `holds: {what: …, until: STAGE, release: PLAYBOOK}`",
}
SHOWN = 200  # characters of what was found instead
Location = Sequence[int | str]
Finding = tuple[Location, str]  # where, and what was expected


def load(path: Path, model: type[Model]) -> Model:
    """Return the content of `path` as `model`. Raises BadInputError, a line a problem: file, line, field, expected."""
    return checked(path, model.model_validate)


def checked(path: Path, validate: Callable[[Any], Valid]) -> Valid:
    """What `validate` makes of what stands in `path`. Raises BadInputError like `load`."""
    text = read_text(path)
    try:
        return validate(yaml.load(text, Loader=LOADER))  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInputError(f"E-bad-yaml  {where}: {getattr(error, 'problem', error)}.") from error
    except ValidationError as error:
        raise refused(path, findings(error)) from error


def findings(error: ValidationError) -> list[Finding]:
    """Return a finding for each error: the field, and what was expected there."""
    return [(item["loc"], _expected(item)) for item in error.errors(include_url=False)]


def refused(path: Path, findings: Sequence[Finding]) -> BadInputError:
    """Return one error for all findings in `path`: a line `file:line: field: what was expected` each."""
    path = Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
    lines = [
        f"  {path}:{line_of(path, where)}: {': '.join(filter(None, ('.'.join(map(str, where)), what)))}"
        for where, what in findings
    ]
    return BadInputError("\n".join([f"E-bad-input  {path} cannot be used; nothing was touched.", *lines]))


def read_text(path: Path) -> str:
    """The file's text. Raises BadInputError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BadInputError(f"E-unreadable  {path}: {reason}.") from error


def write(path: Path, content: str | bytes) -> None:
    """Put the content in the file's place, whole. Raises BadInputError when it cannot be written there."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise BadInputError(f"E-unwritable  {path}: {error.strerror}.") from error


def line_of(path: Path, location: Location) -> int:
    """The line (from 1) on which the innermost part of `location` that exists in the YAML file stands."""
    node = yaml.compose(read_text(path), Loader=LOADER)
    line = 1
    for key in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _expected(item: ErrorDetails) -> str:
    """Pydantic's sentence, and what stood there."""
    if item["type"] == "extra_forbidden" and str(item["loc"][-1]) in RENAMED:
        return RENAMED[str(item["loc"][-1])]
    message = item["msg"].removeprefix("Value error, ").rstrip(".")
    if item["type"] in {"missing", "extra_forbidden"}:
        return {"missing": "is missing", "extra_forbidden": "is not a field that is known here"}[item["type"]]
    found = repr(item["input"])
    return f"{message[0].lower()}{message[1:]} (found {found if len(found) <= SHOWN else found[:SHOWN] + '…'})"
