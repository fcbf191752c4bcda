"""What `rc-check --hook` prints, after the source of rollout_core/merge/rc_mode.py: the check as one file (R13).

It runs on the host of the branch with nothing but Python 3.8: as PQM's check of one message, or as the `update` hook of
a git repository. Git's hook reads rc_mode.conf in the repository's directory, the same INI file as PQM's: a section
for each branch that is guarded. It lets nothing land on any branch while it cannot read that file: then it does not
know which branches are guarded, and RC mode that fails open would be noticed by nobody.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Mapping, Sequence

from ...rollout_core.merge.rc_mode import MERGES, check, configured, sections

STATE = "rc_mode.conf"  # in the repository's directory
LANDS, CANNOT_SAY, REFUSED = 0, 2, 3
NOTHING = re.compile(r"0{40}(?:0{24})?")  # as git says it: no such revision
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
SHOWN = 5
USAGE = """\
usage: rc_check.py PQM_CONFIGURATION BRANCH [MESSAGE_FILE]   (otherwise the message is on stdin)
   or, as hooks/update of a git repository:  update REF OLD NEW"""
BROKEN = """\
E-rc-mode-file  {path}: {why}
  Nothing lands on any branch of this repository until it can be read: it says which branches are guarded, and how.
  Mend it, or take hooks/update away if no branch is to be guarded."""
HISTORY = """\
E-rc-mode  {branch} is in RC mode{told}: it is neither {what} now (R13).
  Push again once it is open."""
MESSAGES = """\
E-rc-mode  {branch} {mode}; this is not let in:
{commits}"""
CRITICAL = """\
  Is it release-critical?  git rebase -i {old}, reword, [release-critical=NAME] first with who says so; push again.
  Otherwise it lands once the rollout has ended RC mode."""


def main(argv: Sequence[str]) -> int:
    """Answer git or PQM. Return the exit code."""
    if len(argv) == 4 and argv[1].startswith("refs/") and COMMIT.fullmatch(argv[2]) and COMMIT.fullmatch(argv[3]):
        return update(argv[1], argv[2], argv[3])
    if len(argv) in (3, 4):
        return message(argv[1], argv[2], argv[3] if len(argv) == 4 else None)
    return _refuse(USAGE, CANNOT_SAY)


def message(configuration: str, branch: str, file: str | None) -> int:
    """Say whether one message lands."""
    try:
        mode = configured(Path(configuration).read_text(encoding="utf-8"), branch)
        content = Path(file).read_bytes() if file else sys.stdin.buffer.read()
    except (OSError, ValueError) as error:
        return _refuse(f"E-rc-mode-file  {configuration}: {error}", CANNOT_SAY)
    text = content.decode("utf-8", "replace")
    answer = check(text, in_rc_mode=mode.in_rc_mode, expression=mode.expression)
    return _refuse(answer.reason, LANDS if answer.lands else REFUSED)


def update(ref: str, old: str, new: str) -> int:
    """Say whether a branch of the repository in which this runs may move from one commit to another."""
    branch = ref[len("refs/heads/") :] if ref.startswith("refs/heads/") else None
    if branch is None:
        return LANDS
    path = Path(os.environ.get("GIT_DIR", ".")).resolve() / STATE
    try:
        text = path.read_text(encoding="utf-8")
        guarded = sections(text)
        if not guarded:
            raise ValueError("it names no branch")
        if branch not in guarded:
            return LANDS
        mode = configured(text, branch)
    except (OSError, ValueError) as error:
        return _refuse(BROKEN.format(path=path, why=getattr(error, "strerror", None) or error), CANNOT_SAY)
    told = _told(guarded[branch])
    if NOTHING.fullmatch(old) or NOTHING.fullmatch(new) or not _is_ancestor(old, new):
        what = "taken away, made anew nor moved back"
        return _refuse(HISTORY.format(branch=branch, told=told, what=what), REFUSED) if mode.in_rc_mode else LANDS
    merges = guarded[branch].get("merges", MERGES)
    refused = []
    for commit, parents, text in _mainline(old, new):
        answer = check(text, in_rc_mode=mode.in_rc_mode, expression=mode.expression, merges=merges)
        if not answer.lands:
            refused.append(f"  {commit[:10]}  {answer.reason}")
        elif answer.exempt and len(parents) < 2:
            refused.append(f"  {commit[:10]}  it is called the merge of {merges}, and is no merge")
    if not refused:
        return LANDS
    more = [f"  and {len(refused) - SHOWN} more"] if len(refused) > SHOWN else []
    said = MESSAGES.format(
        branch=branch,
        mode=f"is in RC mode{told}: only what is release-critical lands (R13)" if mode.in_rc_mode else "is guarded",
        commits="\n".join([*refused[:SHOWN], *more]),
    )
    return _refuse(said + ("\n" + CRITICAL.format(old=old[:10]) if mode.in_rc_mode else ""), REFUSED)


def _told(section: Mapping[str, str]) -> str:
    since, reason = section.get("rc_since"), section.get("rc_for")
    return (f" since {since}" if since else "") + (f" for {reason}" if reason else "")


def _mainline(old: str, new: str) -> list[tuple[str, list[str], str]]:
    """Return id, parents and message of each commit that a push puts on the branch's own line, oldest first."""
    shape = "--format=%H%x00%P%x00%B"
    told = _git("log", "--first-parent", "--reverse", "-z", "--no-color", "--no-show-signature", shape, f"{old}..{new}")
    words = told.split("\0")
    return [(words[i], words[i + 1].split(), words[i + 2]) for i in range(0, len(words) - 2, 3)]


def _is_ancestor(old: str, new: str) -> bool:
    argv = ["git", "--no-replace-objects", "merge-base", "--is-ancestor", old, new]
    return subprocess.call(argv) == 0


def _git(*words: str) -> str:
    options = ["-c", "i18n.logOutputEncoding=UTF-8", "--no-replace-objects"]
    return subprocess.check_output(["git", *options, *words]).decode("utf-8", "replace")  # noqa: S607


def _refuse(text: str, code: int) -> int:
    sys.stderr.buffer.write((text + "\n").encode("utf-8", "replace"))
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
