"""What lands on a guarded branch: what is reviewed, and in RC mode only what is release-critical (R13).

This module stands alone, without the rest of the core: ``./runbook.py rc-check --hook`` writes it, with
rollout_host/rc_mode/hook.py after it, as one file for the host of the branch: PQM's, or that of a git repository.

What guards reads an INI file with a section for each branch: ``commit_re`` is what a message must match. While the
branch is in RC mode the expression of the open branch is kept as ``commit_re_open`` beside it.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from typing import Mapping, NamedTuple

# Recorded from the real PQM's devel, as it is. The expression itself allows a fold anywhere inside a value.
OPEN = r"(?is)^\s*(:?\[testfix\])?\[(?:release-critical=[^\]]+|rs?=[^\]]+)\]"
# What PQM asks for in RC mode: [release-critical=NAME] among the tags at the beginning, as `check` does.
RC = (
    r"(?is)^\s*(?:\[[^\[\]]*\]\s*)*"
    r"\[\s*release\s*-\s*critical\s*=[^\[\]]*[^\s,\[\]][^\[\]]*\]"
)
MERGES = "db-stable"  # the branch that rollouts merge, where nobody says another
ROLES = {"lead": "project lead", "architect": "technical architect", "strategist": "product strategist"}
CLAIM = "who claims that it would prevent the deployment from succeeding, is a fix of it, or reverts a qa-bad"
_LEADING_TAG = re.compile(r" ?\[([^\[\]]*)\]")
_MERGE = re.compile(r"Merge (\S+) ([0-9]{1,9})\.")
_RELEASE_CRITICAL = re.compile(r"(?i) ?release ?- ?critical ?")
_SHOWN = 60


class Branch(NamedTuple):
    """A branch in PQM's configuration: whether it is in RC mode, and the expression of the open branch."""

    in_rc_mode: bool
    expression: str


@dataclass(frozen=True)
class LandingVerdict:
    """Whether a message may land, and why, in a sentence.

    ``release_critical`` has each name in the message's tag, with its key of ROLES, or with None for somebody without a
    role. Both may land, and are on record. ``exempt``: it is the pinned merge.
    """

    lands: bool
    reason: str
    release_critical: tuple[tuple[str, str | None], ...] = ()
    exempt: bool = False


def check(
    message: str,
    *,
    in_rc_mode: bool,
    expression: str = OPEN,
    approvers: Mapping[str, str] | None = None,
    pinned: int | None = None,
    merges: str = MERGES,
) -> LandingVerdict:
    """Return the verdict on a commit message (R13).

    ``approvers`` gives the name of each of ROLES, ``merges`` is the branch that rollouts merge, and ``pinned`` its
    revision in this one: without that, any "Merge db-stable REV." is taken for the merge. Raises re.error for an
    expression that is none.
    """
    text = " ".join(message.split())
    asked = re.compile(expression)
    merge = _MERGE.fullmatch(text)
    if merge and merge[1] == merges:
        return _merge(merges, int(merge[2]), pinned)
    roles = {name.casefold(): role for role, name in (approvers or {}).items()}
    named = tuple((name, roles.get(name.casefold())) for name in _release_critical(text))
    shown = repr(text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")) if text else "nothing"
    if in_rc_mode:
        if named:
            return LandingVerdict(
                lands=True,
                reason=f"release-critical by {' and '.join(_who(*each) for each in named)}",
                release_critical=named,
            )
        expected = "[release-critical=NAME] among the tags at its beginning"
        return LandingVerdict(
            lands=False, reason=f"the branch is in RC mode: a message needs {expected} (R13); found {shown}"
        )
    if asked.match(message):
        return LandingVerdict(
            lands=True, reason="the branch is open, and the message begins as it must", release_critical=named
        )
    expected = "[r=NAME], [rs=NAME] or [release-critical=NAME], after [testfix] if it is one"
    if expression != OPEN:
        expected = f"what matches {expression}"
    return LandingVerdict(
        lands=False, reason=f"a message begins with {expected}; found {shown}", release_critical=named
    )


def configured(configuration: str, branch: str) -> Branch:
    """Return a branch from the configuration's text. Raises ValueError that says what is wrong, and where."""
    known = sections(configuration)
    if branch not in known:
        raise ValueError(f"no section [{branch}]; there are: {', '.join(known) or 'none'}")
    section = known[branch]
    in_rc_mode = "commit_re_open" in section
    key = "commit_re_open" if in_rc_mode else "commit_re"
    expression = section.get(key)
    if not expression:
        raise ValueError(f"section [{branch}] has no {key}, the expression that a commit message must match")
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"section [{branch}]: {key} is no regular expression: {error}") from error
    return Branch(in_rc_mode, expression)


def sections(configuration: str) -> dict[str, dict[str, str]]:
    """Return the options of every branch by name. Raises ValueError that says what is wrong, and where."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(configuration, source="the file of RC mode")
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from error
    return {name: dict(parser[name]) for name in parser.sections()}


def _merge(merges: str, revision: int, pinned: int | None) -> LandingVerdict:
    if pinned is not None and revision != pinned:
        return LandingVerdict(
            lands=False, reason=f"{merges} {revision} is not the pinned revision, which is {pinned} (R8)"
        )
    known = "the one pinned for this rollout" if pinned is not None else "which one is pinned was not said"
    return LandingVerdict(lands=True, reason=f"the merge of {merges} {revision}: {known}", exempt=True)


def _release_critical(text: str) -> list[str]:
    """Return the names in the [release-critical=…] tags at the beginning of an unfolded message, each once."""
    names: list[str] = []
    start = 0
    while tag := _LEADING_TAG.match(text, start):
        start = tag.end()
        key, _, value = tag[1].partition("=")
        if _RELEASE_CRITICAL.fullmatch(key):
            names += [name.strip() for name in value.split(",")]
    return [name for name in dict.fromkeys(names) if name]


def _who(name: str, role: str | None) -> str:
    return f"{name}, the {ROLES[role]}" if role else f"{name}, {CLAIM}"
