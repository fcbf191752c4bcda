"""Files that people or other programs wrote, read with limits and checked; errors name file, line, what is expected."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic_core import ErrorDetails, ValidationError

from rollout import plain_yaml
from rollout.outcomes import BadInputError
from rollout.private import FOR_OTHERS
from rollout.whole_file import write_whole

if TYPE_CHECKING:  # 0.1 s, and `late` has no model
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")
Valid = TypeVar("Valid")
LARGEST = 64 * 2**20  # bytes of any document: logs of restores are appended to for years
LARGEST_YAML = 4 * 2**20  # bytes: a plan has 20 thousand
# Yesterday's words, and what is written instead; a model that knows a field does not look here.
RENAMED = {
    "holds": "is called `bracket` now: `bracket: {what: …, ends_with: STAGE, end_early: PLAYBOOK}` "
    "in place of `holds: {what: …, until: STAGE, release: PLAYBOOK}`",
}
SHOWN = 200  # characters of what was found instead
TOLD_AT_MOST = 100  # problems of a file
Location = Sequence[int | str]
Finding = tuple[Location, str]  # where, and what was expected


def load(path: Path, model: type[Model]) -> Model:
    """Return the content of `path` as `model`. Raises BadInputError, a line a problem: file, line, field, expected."""
    return checked(path, model.model_validate)


def checked(path: Path, validate: Callable[[Any], Valid]) -> Valid:
    """Return what `validate` makes of the content of `path`. Raises BadInputError like `load`."""
    text = read_text(path, LARGEST_YAML)
    try:
        return validate(_plain(path, text, plain_yaml.load))
    except ValidationError as error:
        raise refused(path, findings(error)) from error
    except (RecursionError, ArithmeticError) as error:  # a number or a time that nothing can be added to
        raise BadInputError(f"E-bad-input  {path} cannot be used; nothing was touched.\n  {error}") from error


def compose(path: Path) -> yaml.Node | None:
    """The YAML file's nodes, which know their lines. Raises BadInputError."""
    return _plain(path, read_text(path, LARGEST_YAML), plain_yaml.compose)


def _plain(path: Path, text: str, read: Callable[[str], Valid]) -> Valid:
    try:
        return read(text)
    except yaml.YAMLError as error:
        line, problem = _told(error, text)
        where = f"{path}:{line}" if line else str(path)
        raise BadInputError(f"E-bad-yaml  {where}: {problem}.") from error


def _told(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    """The line and what is wrong there."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else None), (error.problem or error.context or "it is no YAML").rstrip(".")
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode("utf-8")[: error.position]
        return before.count(b"\n") + 1, f"a character that YAML does not allow ({error.reason})"
    return None, " ".join(str(error).split())


def read_json(path: Path, text: str, expected: str) -> Any:
    """What the JSON text of `path` stands for. Raises BadInputError, which says what was expected."""
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        what = f"{error.msg}; expected {expected}"
        raise BadInputError(f"E-bad-json  {path}:{error.lineno}:{error.colno}: {what}.") from error
    except RecursionError as error:
        raise BadInputError(f"E-bad-json  {path}: it is nested too deep; expected {expected}.") from error
    except ValueError as error:  # a number without end, a key that is there twice
        raise BadInputError(f"E-bad-json  {path}: {str(error).partition(';')[0]}; expected {expected}.") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has {twice[:SHOWN]!r} twice")
    return made


def findings(error: ValidationError) -> list[Finding]:
    """Return a finding for each error: the field, and what was expected there."""
    return [(item["loc"], _expected(item)) for item in error.errors(include_url=False)]


def refused(path: Path, findings: Sequence[Finding]) -> BadInputError:
    """Return one error for all findings in `path`: a line `file:line: field: what was expected` each."""
    path = Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
    node = compose(path)
    lines = [
        f"  {path}:{_line(node, where)}: {': '.join(filter(None, ('.'.join(map(str, where)), what)))}"
        for where, what in findings[:TOLD_AT_MOST]
    ]
    lines += [f"  … and {len(findings) - TOLD_AT_MOST} more"] if len(findings) > TOLD_AT_MOST else []
    return BadInputError("\n".join([f"E-bad-input  {path} cannot be used; nothing was touched.", *lines]))


def read_text(path: Path, largest: int = LARGEST, *, errors: str = "strict") -> str:
    """The file's text, without a byte order mark. `errors`: what is done about bytes that are not UTF-8.

    Raises BadInputError when it cannot be read, is no file (a pipe has no end, and is read once) or is too large.
    """
    content = _content(path, largest)
    try:
        text = content.decode("utf-8", errors).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInputError(f"E-unreadable  {path}:{line}: not UTF-8 text.") from error
    if errors == "strict" and "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise BadInputError(f"E-unreadable  {path}:{line}: a NUL byte; expected UTF-8 text. Is it UTF-16, or binary?")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _content(path: Path, largest: int) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadInputError(f"E-unreadable  {path}: no plain file; expected one, not a pipe or a device.")
            content = file.read(largest + 1)
    except OSError as error:
        raise BadInputError(f"E-unreadable  {path}: {error.strerror}.") from error
    if len(content) > largest:
        raise BadInputError(f"E-unreadable  {path}: too large; expected at most {largest // 2**20} MiB.")
    return content


def _without_waiting(path: str, flags: int) -> int:
    """Open the file; a pipe that nobody writes into is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def write(path: Path, content: str | bytes) -> None:
    """Put the content in the place of a file that a person named, whole; others may read it.

    Raises BadInputError when it cannot be written there.
    """
    try:
        write_whole(path, content, FOR_OTHERS)
    except OSError as error:
        raise BadInputError(f"E-unwritable  {path}: {error.strerror}.") from error


def line_of(path: Path, location: Location) -> int:
    """Return the line (from 1) of the innermost part of `location` that exists in the YAML file."""
    return _line(compose(path), location)


def _line(node: yaml.Node | None, location: Location) -> int:
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
    """Return pydantic's sentence, and what the file has instead."""
    if item["type"] == "extra_forbidden" and str(item["loc"][-1]) in RENAMED:
        return RENAMED[str(item["loc"][-1])]
    message = item["msg"].removeprefix("Value error, ").rstrip(".")
    if item["type"] in {"missing", "extra_forbidden"}:
        return {"missing": "is missing", "extra_forbidden": "is not a field that is known here"}[item["type"]]
    return f"{short(message[0].lower() + message[1:])} (found {short(_shown(item['input']))})"


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # Python writes no number of more than 4,300 digits
        return "what is too long to be shown"


def short(text: str) -> str:
    """Return as much of the text as a message shows of it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
