"""Decides which of the operator's environment variables we, and all that we start, get: few, and never what is done.

This runs in whatever Python is found first (3.8 or later), before anything else is imported.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Mapping, NamedTuple  # noqa: UP035 - Python 3.8

LOCALE = "C.UTF-8"  # what Ansible, git and psql say is read by programs
PATH = "/usr/local/bin:/usr/bin:/bin"  # where there is none
PATHS = ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_PRIVATE_KEY_FILE")  # they may be relative to where somebody stands

# Whose variables are left out, and why. What is in no family stays: a vault password file may be a script with needs.
# Where programs are found and loaded from (PATH, LD_*) stays too: a site's Python or proxy may be there by it.
FAMILIES = {
    r"ANSIBLE_\w+": "tags skip tasks, a strategy or a callback makes something else of a playbook: ansible.cfg says it",
    r"PYTHON\w+|SSLKEYLOGFILE": "other modules than ours, warnings that are errors, another encoding of what is read",
    r"PYTEST_\w+": "tests of hosts that are left out",
    r"(RUNNER|AWX)_\w+|(JOB|AD_HOC_COMMAND|PROJECT_UPDATE)_ID|MAX_EVENT_RES": "events that ansible-runner leaves out",
    r"LC_\w+|LANG|LANGUAGE|LOCPATH": "words, numbers and bytes that nobody can parse",
    r"FORCE_COLOR|CLICOLOR\w*|PY_COLORS|TTY_COMPATIBLE": "colours where a program reads",
    r"GIT_\w+|(BZR|BRZ)_\w+": "another repository, other settings",
    r"PG([A-OQ-Z]\w*|PASSWORD|PASSFILE|PORT)|PSQL\w*": "another database, where its host is this machine",
    r"SSH_ASKPASS\w*": "a window that waits where nobody looks",
    r"ROLLOUT_RUN": "the mark of a run: what carries it is ended with that run",
    r"BASH_ENV|ENV|BASH_FUNC_.+|SHELLOPTS|BASHOPTS": "commands before those of a script",
    r"POSIXLY_CORRECT|VERSION_CONTROL|PATCH_\w+|SIMPLE_BACKUP_SUFFIX|QUOTING_STYLE": "another kind of patch",
}
KEPT = (
    r"ANSIBLE_(VAULT_\w+|PRIVATE_KEY_FILE|SSH_CONTROL_PATH_DIR)|PYTHONDONTWRITEBYTECODE|GIT_(PROXY_)?SSL_CA(INFO|PATH)"
)
# What nobody needs to hear of: it decides nothing but colours, names and places, or a test or a CI machine sets it.
UNSAID = (
    r"PYTHONUNBUFFERED|PYTEST_(CURRENT_TEST|VERSION|XDIST_\w+)|RUNNER_(?!OMIT|ONLY)\w+|\w*_ID|(BZR|BRZ)_(HOME|LOG|EMAIL)"
    r"|GIT_(PAGER|EDITOR|TERMINAL_PROMPT|(AUTHOR|COMMITTER)_\w+)|FORCE_COLOR|PY_COLORS|CLICOLOR\w*|TTY_\w+|BASH_.+|SHELLOPTS|BASHOPTS"
)
_DROPPED, _KEPT, _UNSAID = (re.compile(each) for each in ("|".join(FAMILIES), KEPT, UNSAID))
_OF_THE_LOCALE = re.compile(r"LC_\w+|LANG|LANGUAGE|LOCPATH")


class Environment(NamedTuple):
    """The `variables` that we and all that we start get, and the names of those left out that matter to a person."""

    variables: dict[str, str]
    left_out: list[str]


def ours(theirs: Mapping[str, str], checkout: str, directory: str) -> Environment:
    """Return the environment for a runbook of `checkout`, made from the one in which it was started, in `directory`.

    Made a second time, it stays the same.
    """
    variables = {name: value for name, value in theirs.items() if _KEPT.fullmatch(name) or not _DROPPED.fullmatch(name)}
    for name in PATHS:
        if variables.get(name, "~")[:1] != "~":
            variables[name] = str(Path(directory) / variables[name])
    variables.setdefault("PATH", PATH)
    given = {"ANSIBLE_CONFIG": str(Path(checkout) / "ansible.cfg"), "LANG": LOCALE, "LC_ALL": LOCALE}
    variables.update(given)
    left_out = [name for name, value in theirs.items() if name not in variables or given.get(name, value) != value]
    return Environment(variables, sorted(name for name in left_out if _matters(name, theirs[name])))


def said(left_out: list[str]) -> str:
    """Return the line that names the variables left out, never their values."""
    return f"Not used here: {', '.join(left_out)} of your environment (docs/operations.md, The environment)."


def _matters(name: str, value: str) -> bool:
    if _OF_THE_LOCALE.fullmatch(name):  # everybody has one, and most are harmless
        return name != "LANGUAGE" and "utf8" not in value.lower().replace("-", "")
    return not _UNSAID.fullmatch(name)
