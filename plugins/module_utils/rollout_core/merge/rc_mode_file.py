"""Edits PQM's configuration as text: a branch is put into RC mode or out of it, everything else stays (R13).

The option ``commit_re`` of the branch's section is renamed to ``commit_re_open`` where it stands, and four lines are
put before it: ``commit_re``, ``rc_since``, ``rc_for``, ``rc_tip``. So taking them away and renaming it back gives what
was there, byte for byte, with whatever others edited in between. The edited text is parsed before it is returned:
nothing but these options of that section may differ.

Texts keep their own line ends (LF, CR LF or CR). Everything here raises ValueError, with a sentence, for a
configuration that is not as it must be.
"""

from __future__ import annotations

import configparser
import re
from typing import Mapping, NamedTuple

from . import rc_mode

KEY, OPEN_KEY = "commit_re", "commit_re_open"
OPEN_SUFFIX = OPEN_KEY[len(KEY) :]
NOTES = ("rc_since", "rc_for", "rc_tip")
ORDINARY = ("[r=NAME][bug=1] Text", "[rs=NAME] Text", "[testfix][r=NAME] Text")
RELEASE_CRITICAL = ("[release-critical=NAME] Text", "[testfix][release-critical=NAME] Text")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_NEWLINE = re.compile(r"\r\n|\r|\n")


class Mode(NamedTuple):
    """The options of a branch's section; one that it lacks is None.

    ``since`` is when RC mode was set (ISO 8601), ``reason`` for which rollout, ``tip`` the branch's tip then.
    """

    in_rc_mode: bool
    commit_re: str | None
    commit_re_open: str | None
    since: str | None
    reason: str | None
    tip: str | None


class _Option(NamedTuple):
    """The place of an option: its name as spelt, and the numbers of its lines, first that of the name."""

    name: str
    lines: list[int]


def read(text: str, branch: str) -> Mode:
    """Return the mode of a branch, as ``rc-check`` reads it."""
    found = rc_mode.configured(_universal(text), branch)
    own = _options(_lines(text), branch)
    if (OPEN_KEY if found.in_rc_mode else KEY) not in own:
        raise ValueError(f"section [{branch}] takes its expression from [DEFAULT]; give it a commit_re of its own")
    values = _parsed(text)[branch]
    given = {key: values[key] for key in (KEY, OPEN_KEY, *NOTES) if key in own}
    return Mode(found.in_rc_mode, given.get(KEY), given.get(OPEN_KEY), *(given.get(note) or None for note in NOTES))


def enter(text: str, branch: str, *, since: str, reason: str, tip: str) -> str:
    """Return the text with the branch in RC mode. If it is already, its notes of since when and at which tip stay.

    In that case, missing options are added, and an expression that lets ordinary messages land is replaced.
    """
    mode = read(text, branch)
    kept = mode if mode.in_rc_mode else Mode(False, None, None, None, None, None)  # noqa: FBT003
    expression = kept.commit_re if holds_back(kept.commit_re) else rc_mode.RC
    wanted = Mode(True, expression, mode.commit_re_open, kept.since or since, reason, kept.tip or tip)  # noqa: FBT003
    if wanted == mode:
        return text
    plain = leave(text, branch)
    lines = _lines(plain)
    option = _options(lines, branch)[KEY]
    first = lines[option.lines[0]]
    indent = first[: len(first) - len(first.lstrip())]
    end = _end(lines, option.lines[0])
    values = [value or "" for value in (wanted.commit_re, wanted.since, wanted.reason, wanted.tip)]
    added = [f"{indent}{key} = {_folded(value, indent, end)}{end}" for key, value in zip((KEY, *NOTES), values)]
    after_name = len(indent) + len(option.name)
    lines[option.lines[0]] = first[:after_name] + OPEN_SUFFIX + first[after_name:]
    lines[option.lines[0] : option.lines[0]] = added
    edited = "".join(lines)
    expected = _parsed(plain)
    expected[branch][OPEN_KEY] = expected[branch][KEY]
    expected[branch].update(zip((KEY, *NOTES), values))
    return _checked(edited, expected)


def leave(text: str, branch: str) -> str:
    """Return the text with the branch out of RC mode, also without notes that an edit by hand has left."""
    mode = read(text, branch)
    lines = _lines(text)
    options = _options(lines, branch)
    gone = [options[key] for key in ((KEY, *NOTES) if mode.in_rc_mode else NOTES) if key in options]
    if mode.in_rc_mode:
        kept = options[OPEN_KEY]
        line = lines[kept.lines[0]]
        at = line.index(kept.name) + len(kept.name)
        lines[kept.lines[0]] = line[: at - len(OPEN_SUFFIX)] + line[at:]
    taken = {number for option in gone for number in option.lines}
    edited = "".join(line for number, line in enumerate(lines) if number not in taken)
    expected = _parsed(text)
    for key in NOTES:
        if key in options:
            del expected[branch][key]
    if mode.in_rc_mode:
        expected[branch][KEY] = expected[branch].pop(OPEN_KEY)
    for key, value in _parsed(text).get(configparser.DEFAULTSECT, {}).items():
        expected[branch].setdefault(key, value)
    return _checked(edited, expected)


def holds_back(expression: str | None) -> bool:
    """Return True if an expression lets release-critical messages land, and no ordinary ones."""
    try:
        asked = re.compile(expression or "")
    except re.error:
        return False
    return all(map(asked.match, RELEASE_CRITICAL)) and not any(map(asked.match, ORDINARY))


def _universal(text: str) -> str:
    """Return the text with newlines as Python reads a text file."""
    return _NEWLINE.sub("\n", text)


def _lines(text: str) -> list[str]:
    return _LINE.findall(text)


def _end(lines: list[str], number: int) -> str:
    """Return the line end of a line; of another one if it is the file's last and has none."""
    for line in (lines[number], *lines):
        found = _NEWLINE.search(line)
        if found:
            return found[0]
    return "\n"


def _folded(value: str, indent: str, end: str) -> str:
    return f"{end}{indent}    ".join(value.split("\n"))


def _parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(_universal(text))
    return {name: dict(section) for name, section in parser.items()}


def _checked(edited: str, expected: Mapping[str, Mapping[str, str]]) -> str:
    try:
        right = _parsed(edited) == expected
    except configparser.Error:
        right = False
    if not right:
        raise ValueError("the section has a layout that cannot be edited safely; edit it by hand")
    return edited


def _options(lines: list[str], branch: str) -> dict[str, _Option]:
    """Return the section's own options by key, found as configparser finds them."""
    found: dict[str, _Option] = {}
    section: str | None = None
    current: _Option | None = None
    level = 0
    for number, line in enumerate(lines):
        value = line.strip()
        if not value or value[0] in "#;":
            continue
        indent = len(line) - len(line.lstrip())
        if current is not None and indent > level:
            current.lines.append(number)
            continue
        level = indent
        section, current = _next(value, section, number)
        if current is not None and section == branch:
            found[current.name.lower()] = current
    return found


def _next(value: str, section: str | None, number: int) -> tuple[str | None, _Option | None]:
    """Return what a line begins: a section, or an option of the section that it is in."""
    header = configparser.ConfigParser.SECTCRE.match(value)
    if header:
        return header["header"], None
    option = configparser.ConfigParser.OPTCRE.match(value)
    return section, _Option(option["option"].rstrip(), [number]) if option else None
