"""`./runbook.py deployable`: reads a branch's log and the tags of its bugs, and judges their QA state (R8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from plugins.module_utils.rollout_core.merge import deployable, messages
from rollout import documents, plain_yaml, site
from rollout.decisions import branches
from rollout.documents import Finding
from rollout.outcomes import BadInputError
from rollout.views.judged_branch import JudgedBranch

Revision = Mapping[str, Any]
EXPECTED_LOG = "a JSON list of {revno, message, date}"
TOLD_AT_MOST = 10  # bad records, and revisions beyond the deployable one


def revisions(
    logs: Sequence[Path], urls: Sequence[str], deployed: Sequence[str] = (), vcs: str | None = None
) -> dict[str, Sequence[Revision]]:
    """Return the revisions above what is deployed, by the name of their log file or branch.

    The name is the last part of its path. `deployed` is `REVNO` of the only branch, or `NAME=REVNO` of some of them.
    Raises BadInputError.
    """
    names = [*(path.stem for path in logs), *map(branches.name, urls)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInputError(f"E-same-name  Two branches are named {twice[0]}; expected paths that end differently.")
    above = dict(_deployed(each, names) for each in deployed)
    read = {path.stem: [each for each in read_log(path) if each["revno"] > above.get(path.stem, 0)] for path in logs}
    named = {branches.name(url): url for url in urls}
    return {**read, **{name: branches.revisions(url, above.get(name, 0), vcs) for name, url in named.items()}}


def _deployed(given: str, names: Sequence[str]) -> tuple[str, int]:
    name, _, number = given.rpartition("=")
    name = name if name or len(names) > 1 else names[0]
    if name not in names or not (number.isascii() and number.isdigit()):
        expected = f"{' or '.join(f'{each}=REVNO' for each in names)}" + (" or REVNO" if len(names) == 1 else "")
        raise BadInputError(f"E-bad-deployed  --deployed {given}: expected {expected}.")
    return name, int(number)


def ask_launchpad(
    root: str, read: Mapping[str, Sequence[Revision]], say: Callable[[str], None]
) -> dict[int, list[str]]:
    """Return the present tags of the bugs that these revisions name; `say` tells of bugs that are hidden from us.

    Raises BadInputError when Launchpad cannot be asked.
    """
    client = import_module("plugins.module_utils.rollout_host.ci.launchpad")  # the modules' own: no types
    bugs = {bug for found in read.values() for each in found for bug in messages.parse(str(each["message"])).bugs}
    try:
        tags, hidden = client.bug_tags(root, bugs, site.var() / "cache" / "launchpad")
    except client.LaunchpadError as error:
        raise BadInputError(str(error)) from error
    if hidden:
        say(client.told(hidden))
    asked: dict[int, list[str]] = tags
    return asked


def judge(read: Mapping[str, Sequence[Revision]], tags: Mapping[int, Sequence[str]]) -> list[JudgedBranch]:
    """Return each branch with the QA state of its revisions."""
    return [JudgedBranch(name, deployable.assess(found, tags), found) for name, found in read.items()]


def as_json(judged: Sequence[JudgedBranch]) -> dict[str, Any]:
    """Return the answer as `deployable --json` prints it: of one branch, or by name if there are several."""
    found = {branch.name: branch.found.as_dict() for branch in judged}
    return found if len(judged) > 1 else judged[0].found.as_dict()


def write_page(path: Path, judged: Sequence[JudgedBranch]) -> None:
    """Write the deployment report. Raises BadInputError when it cannot be written there."""
    from rollout.views import qa_report

    documents.write(path, qa_report.render(judged))


def lines(judged: Sequence[JudgedBranch]) -> list[str]:
    """Return the answer as lines for a person: what can be deployed, what blocks the next, what is behind it."""
    return [line for branch in judged for line in _lines(branch.name if len(judged) > 1 else "", branch.found)]


def _lines(name: str, found: deployable.Assessment) -> list[str]:
    if found.tip is None:
        return [f"{name} There is no revision to judge.".lstrip()]
    by_revno = {each.revno: each for each in found.revisions}
    told = [f"{name} tip {found.tip} · deployable as tip: {found.deployable or 'none'}".lstrip()]
    told += [f"  {_told(by_revno[revno])}  ← blocks the next" for revno in found.blocked_by]
    behind = [each for each in found.revisions if each.revno > (found.deployable or 0)]
    behind = [each for each in behind if each.revno not in found.blocked_by]
    told += [f"  {_told(each)}" for each in behind[:TOLD_AT_MOST]]
    left = len(behind) - TOLD_AT_MOST
    return [*told, f"  … and {left} more: --json has them all"] if left > 0 else told


def _told(verdict: deployable.RevisionVerdict) -> str:
    return f"{verdict.revno}  {verdict.state}: {verdict.why}"


# -- a log file -------------------------------------------------------------------------------------------------------


def read_log(path: Path) -> list[Revision]:
    """Return the revisions in a log file. Raises BadInputError with line, record and what was expected there."""
    text = documents.read_text(path)
    read = documents.read_json(path, text, EXPECTED_LOG)
    try:
        log: list[Revision] = _log().validate_python(read)
    except ValidationError as error:
        raise _refused(path, text, documents.findings(error)) from error
    if twice := list(_doubled(log)):
        raise _refused(path, text, twice)
    return log


def _log() -> SchemaValidator:
    revision = schema.typed_dict_schema(
        {
            "revno": schema.typed_dict_field(schema.int_schema(strict=True, gt=0)),
            "message": schema.typed_dict_field(schema.str_schema(strict=True)),
            "date": schema.typed_dict_field(schema.nullable_schema(schema.str_schema(strict=True)), required=False),
        },
        extra_behavior="ignore",
    )
    return SchemaValidator(schema.list_schema(revision, strict=True))


def _doubled(log: Sequence[Revision]) -> Iterator[Finding]:
    first: dict[int, int] = {}
    for number, each in enumerate(log):
        earlier = first.setdefault(each["revno"], number)
        if earlier != number:
            what = f"{each['revno']} is in record {earlier + 1} already: expected the mainline of one branch"
            yield (number, "revno"), what


def _refused(path: Path, text: str, found: Sequence[Finding]) -> BadInputError:
    """Return the error that names line, record (counted from 1) and field of each finding in a log file."""
    begins = list(_lines_of_records(text))
    told = []
    for (record, *field), what in [each if each[0] else ((0,), each[1]) for each in found[:TOLD_AT_MOST]]:
        line = begins[int(record)] if int(record) < len(begins) else 1
        where = ": ".join([f"record {int(record) + 1}", *map(str, field)]) if begins else EXPECTED_LOG
        told.append(f"  {path}:{line}: {where}: {what}")
    left = len(found) - TOLD_AT_MOST
    told += [f"  … and {left} more"] if left > 0 else []
    return BadInputError("\n".join([f"E-bad-input  {path} cannot be used; nothing was touched.", *told]))


def _lines_of_records(text: str) -> Iterator[int]:
    """Yield the line, from 1, on which each item of a JSON list begins; nothing if the text is no list."""
    decoder = json.JSONDecoder()
    counted, line = 0, 1
    at = _next(text, 0) + 1 if text.lstrip().startswith("[") else len(text)
    while (at := _next(text, at)) < len(text) and text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        yield line
        at = _next(text, decoder.raw_decode(text, at)[1]) + 1


def _next(text: str, at: int) -> int:
    """Return the position of the next character at or after `at` that is no white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


# -- tags of bugs -----------------------------------------------------------------------------------------------------


def read_tags(path: Path) -> dict[int, list[str]]:
    """Return the tags by bug number. Raises BadInputError with line and what was expected, also for a bug twice."""
    tags: dict[int, list[str]] = documents.checked(path, _tags().validate_python)
    node = documents.compose(path)
    keys = node.value if isinstance(node, yaml.MappingNode) else []
    if len(keys) > len(tags):  # the same key twice is no YAML of ours; two ways to write one number are
        bugs = [_bug(plain_yaml.load(key.value)) for key, _ in keys]
        lines = [
            f"  {path}:{key.start_mark.line + 1}: bug {bug} is there already: all its tags in one list"
            for number, (bug, (key, _)) in enumerate(zip(bugs, keys, strict=True))
            if bug in bugs[:number]
        ]
        raise BadInputError("\n".join([f"E-bad-input  {path} cannot be used; nothing was touched.", *lines]))
    return tags


def _tags() -> SchemaValidator:
    bug, listed = schema.no_info_plain_validator_function(_bug), schema.no_info_plain_validator_function(_list)
    return SchemaValidator(schema.dict_schema(bug, listed, strict=True))


def _bug(value: Any) -> int:
    """Return a bug's number: YAML gives a bare number as an int, JSON a key as a string. Raises ValueError."""
    if isinstance(value, bool) or not (str(value).isascii() and str(value).isdigit()):
        raise ValueError("expected {bug: [tag, …]}, a bug's number")
    return int(value)


def _list(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValueError("expected a list of tags, such as [qa-ok]")
    return value
