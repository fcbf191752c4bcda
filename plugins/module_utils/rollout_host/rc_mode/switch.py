"""The switch of RC mode in its file, and what is so afterwards, from a module's options (R13)."""

from __future__ import annotations

from typing import Any, Mapping

from ...rollout_core.merge import rc_mode, rc_mode_file
from . import guards
from .branch import GuardedBranch
from .configuration import Configuration, RcModeError, now

NOBODY = "nobody"


def opened(options: Mapping[str, Any]) -> Configuration:
    """Return the file of RC mode. Raises RcModeError if it cannot be read, or an option of its kind is missing."""
    needed = {
        "pqm": ["path"],
        "hook": ["repository"],
        "command": ["path", "enter_command", "leave_command", "state_command"],
    }
    if missing := [name for name in needed[options["kind"]] if not options[name]]:
        names = " and ".join("rc_mode_config" if name == "path" else f"rc_mode_{name}" for name in missing)
        raise RcModeError(f"E-rc-mode-kind  The kind {options['kind']} needs {names} in the inventory.")
    if options["kind"] == "pqm":
        return Configuration(options["path"])
    path = guards.HookGuard.file(options["repository"]) if options["kind"] == "hook" else options["path"]
    return Configuration(path, new=f"[{options['branch']}]\ncommit_re = (?s).*\nmerges = {options['merges']}\n")


def wanted(options: Mapping[str, Any], text: str, tip: tuple[int, str] | None) -> str:
    """Return the text that the file should have."""
    if tip is None:  # the branch is to be open
        return rc_mode_file.leave(text, options["branch"])
    since = now(options["clock_offset"])
    return rc_mode_file.enter(text, options["branch"], since=since, reason=options["reason"], tip=tip[1])


def switch(
    options: Mapping[str, Any], file: Configuration, guarded: GuardedBranch, tip: tuple[int, str] | None
) -> None:
    """Switch the mode in the file. A revision that lands while we switch belongs to the branch as it was before."""
    before = file.text
    file.replace(wanted(options, before, tip))
    if tip and not rc_mode_file.read(before, options["branch"]).in_rc_mode:
        landed = guarded.tip()
        if landed != tip:
            file.replace(wanted(options, before, landed))


def facts(options: Mapping[str, Any], text: str, guarded: GuardedBranch) -> dict[str, Any]:
    """Return the present facts. An open branch is not read, so that RC mode can be left while its server is down."""
    mode = rc_mode_file.read(text, options["branch"])
    tip = guarded.tip() if mode.in_rc_mode else None
    release = guarded.release(mode.tip, tip) if tip else None
    return {
        "in_rc_mode": mode.in_rc_mode,
        "since": mode.since if mode.in_rc_mode else None,
        "reason": mode.reason if mode.in_rc_mode else None,
        "ours": mode.in_rc_mode and (mode.reason or NOBODY) in (options["reason"], *options["take_over"]),
        "commit_re": mode.commit_re,
        "tip": {"revno": tip[0], "revid": tip[1]} if tip else None,
        "as_before": bool(release and release.released),
        "why": release.why if release else f"{options['branch']} is not in RC mode",
    }


def dropped(before: str, branch: str, state: str) -> str | None:
    """Return RC mode's expression if somebody has edited it and this switch drops it; else None."""
    mode = rc_mode_file.read(before, branch)
    edited = mode.in_rc_mode and mode.commit_re not in (None, rc_mode.RC, mode.commit_re_open)
    return mode.commit_re if edited and (state == "open" or not rc_mode_file.holds_back(mode.commit_re)) else None
