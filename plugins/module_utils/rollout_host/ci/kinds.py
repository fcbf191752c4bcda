"""The kinds of CI by name: what each is made from (R11). Another kind is a line here."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from .base import Ci, CiError
from .buildbot import Buildbot
from .command import Command
from .statuses import Forgejo, GitHub, GitLab


def _buildbot(options: Mapping[str, Any]) -> Ci:
    given = {name: options[name] for name in ("url", "user", "password", "token")}
    return Buildbot(timeout=options["timeout_seconds"], **given)


def _command(options: Mapping[str, Any]) -> Ci:
    return Command(options["command"], options["again_command"], options["token"], options["timeout_seconds"])


def _statuses(adapter: Callable[..., Ci]) -> Callable[[Mapping[str, Any]], Ci]:
    def make(options: Mapping[str, Any]) -> Ci:
        given = [options[name] for name in ("url", "repository", "token", "timeout_seconds")]
        return adapter(*given, options["ca_file"] or "")

    return make


KINDS: dict[str, Callable[[Mapping[str, Any]], Ci]] = {
    "buildbot": _buildbot,
    "github": _statuses(GitHub),
    "gitlab": _statuses(GitLab),
    "forgejo": _statuses(Forgejo),
    "command": _command,
}
# What each must be told, beside what all must be told.
NEEDS = {
    "buildbot": ("url",),
    "github": ("url", "repository"),
    "gitlab": ("url", "repository"),
    "forgejo": ("url", "repository"),
    "command": ("command",),
}


def named(options: Mapping[str, Any]) -> Ci:
    """Return the CI that a module's options describe. Raises CiError."""
    kind = options["kind"]
    if missing := [name for name in NEEDS[kind] if not options[name]]:
        raise CiError(f"the kind {kind} needs {' and '.join(f'blessing_{name}' for name in missing)} in the inventory")
    return KINDS[kind](options)
