"""Finds the reason why a task failed on a host in the output of Ansible, ssh, sudo and su: host, why, and what to do.

Ansible puts a loop's reasons inside the loop ("One or more items failed"), sudo's into the output of a module that
never ran, and ssh's before the last line that it says ("Disconnected").
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

LOOKED_AT = 3000  # characters at each end of what was said
SAYS = ("msg", "module_stderr", "stderr")  # where a failed task's reason stands
# What Ansible puts before it.
_AROUND = re.compile(
    r"^(?:Task failed: |(?:Module|Action) failed: |Failed to connect to the host via ssh: |"
    r"Data could not be sent to remote host \"[^\"]*\"\. Make sure this host can be reached over ssh: )+"
)
_NO_REASON = re.compile(r"^(?:Module result deserialization failed|non-zero return code|MODULE FAILURE)")
_CHATTER = re.compile(  # of ssh and sudo: it tells nothing
    r"^(?:Warning: Permanently added|Pseudo-terminal|Disconnected|Received disconnect(?!.*Too many)|"
    r"(?:Shared c|C)onnection to \S+ closed|Connection closed by (?:UNKNOWN|\S+) port|mux_client|debug\d|\*\* |@+$|"
    r"sudo: unable to resolve host)"
)


class Known(NamedTuple):
    """A reason that people often meet: how it is recognised, and what is said of it.

    `{ping}` in a remedy is the command that asks the host, on the inventory of the run.
    """

    pattern: str
    name: str
    sentence: str
    remedy: str


_INVENTORY = "in the inventory, in a vaulted file"
KNOWN = [
    Known(
        r"must have a tty to run sudo",
        "E-sudo-tty",
        "sudo on {host} wants a terminal (requiretty).",
        "In its sudoers:  Defaults:USER !requiretty   or in the inventory, for this host:  ansible_pipelining: false",
    ),
    Known(
        r"Missing (?P<how>\w+) password|sudo: a password is required",
        "E-become-password",
        "sudo or su on {host} asks for a password, and there is none for it.",
        f"Set ansible_become_password {_INVENTORY}; or allow it without one: NOPASSWD in the sudoers there.",
    ),
    Known(
        r"Incorrect \w+ password|su: Authentication failure|incorrect password attempt",
        "E-become-password",
        "{host} refuses the password for sudo or su.",
        f"Mend ansible_become_password {_INVENTORY}.",
    ),
    Known(
        r"(?s)user (?P<who>\S+) is not allowed to execute .*\bas (?P<whom>\S+) on \S+",
        "E-become-refused",
        "{host} does not let {who} become {whom}.",
        "Look at its sudoers, and at ansible_become_user in the inventory.",
    ),
    Known(
        r"(?P<said>\S+ is not in the sudoers file.*|\S+ may not run sudo.*|su: Permission denied.*)",
        "E-become-refused",
        "{host} lets nobody become somebody else: {said}",
        "Look at its sudoers, and at ansible_become_user and ansible_become_method in the inventory.",
    ),
    Known(
        r"waiting for privilege escalation prompt",
        "E-become-silent",
        "sudo or su on {host} neither asks for a password nor goes on.",
        "Try it there by hand. It may ask in another language, ask a second question, or wait for a directory service.",
    ),
    Known(
        r"Failed to set permissions on the temporary files",
        "E-become-files",
        "{host} cannot hand files from one user to another, as su and ansible_pipelining: false need it.",
        "Install setfacl there (Debian: apt-get install acl).",
    ),
    Known(
        r"ControlPath too long|too long for Unix domain socket",
        "E-socket-path",
        "ssh has no short enough path for its socket, for {host}.",
        "Name a short directory that is yours alone:  export ANSIBLE_SSH_CONTROL_PATH_DIR=~/.cp",
    ),
    Known(
        r"Too many authentication failures",
        "E-too-many-keys",
        "{host} gave up before the right key: your agent offers too many.",
        "In the inventory: ansible_ssh_private_key_file, and  -o IdentitiesOnly=yes  in ansible_ssh_common_args.",
    ),
    Known(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "E-host-key",
        "{host} has another host key than the known one.",
        "Ask who looks after it whether that is right, before anything else.",
    ),
    Known(
        r"Host key verification failed",
        "E-host-key",
        "the host key of {host} is not known here.",
        "Compare it with what its owners say, then add it to known_hosts.",
    ),
    Known(
        r"no vault secrets found|vault password must be specified|Decryption failed",
        "E-vault-password",
        "a vaulted variable of {host} cannot be read: the vault's password is not there, or another one.",
        "export ANSIBLE_VAULT_PASSWORD_FILE=FILE",
    ),
    Known(
        r"interpreter '(?P<said>[^']*)' was not found",
        "E-no-python",
        "{host} has no {said}.",
        "Set ansible_python_interpreter in the inventory to a Python from 3.8 on that is there.",
    ),
    Known(
        r"'argument_spec': object of type 'dict' has no attribute '(?P<said>\w+)'",
        "E-not-settled",
        "the plan has no {said} yet: an earlier stage settles it.",
        "See which comes first:  ./runbook.py status   If none settles it, look for it in the inventory.",
    ),
    Known(
        r"Timed out after [\d.]+ second\(s\)",
        "E-silent",
        "{host} took the command and has not answered in time.",
        "Try it:  {ping}",
    ),
]


# sudo's refusal names the command; Ansible takes that for its own sign that it became the user, and drops the line.
_SILENT = (
    "the module did not even begin, and nothing was said. Most often sudo does not let us become that user.",
    "E-become-refused",
    "Look at the sudoers there (sudo -l), and at ansible_become_user in the inventory.",
)


class Reason(NamedTuple):
    """The reason of a failure. `name` is a known one's (`E-…`) or empty; `remedy` may be empty too."""

    host: str
    text: str
    name: str = ""
    remedy: str = ""
    unreachable: bool = False


def reasons(host: str, result: Mapping[str, Any], *, unreachable: bool = False) -> list[Reason]:
    """Return why a task failed on a host; for a loop, each different reason of its items once."""
    found = [
        _reason(where, each, unreachable=unreachable or bool(each.get("unreachable")))
        for where, each in _failed(host, result)
    ]
    return list(dict.fromkeys(found))


def sentence(host: str, result: Mapping[str, Any], *, unreachable: bool = False) -> str:
    """Return in one line why a task failed on a host."""
    found = reasons(host, result, unreachable=unreachable)
    return "; ".join(map(_line, found))


def message(host: str, task: str, result: Mapping[str, Any], inventory: Path, *, unreachable: bool = False) -> str:
    """Return the message about a failed task: `E-name  what`, and what to type; our modules' own stay as they are."""
    found = reasons(host, result, unreachable=unreachable)
    return "\n".join(_message(reason, task, inventory) for reason in found)


def _message(reason: Reason, task: str, inventory: Path) -> str:
    ping = shlex.join(["ansible", "-i", str(inventory), reason.host, "-m", "ping"])
    if reason.name:
        remedy = reason.remedy.format(host=reason.host, ping=ping)
        return f"{reason.name}  {reason.text[0].upper()}{reason.text[1:]}\n  {remedy}"
    if reason.unreachable:
        return f"E-unreachable  {_line(reason)}\n  Look at:  {ping}"
    if reason.text.startswith("E-"):
        return reason.text
    return f"E-task-failed  {reason.host}: {task}\n  {reason.text}"


def _line(reason: Reason) -> str:
    if reason.name:
        return reason.text
    how = "does not answer" if reason.unreachable else "cannot be asked"
    return f"{reason.host} {how}: {' '.join(reason.text.split())}"


def _failed(host: str, result: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield host and result of what failed: of the task itself, or of each failed item of its loop.

    A module may answer with `results` of its own, which can be anything.
    """
    items = result.get("results")
    results = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    for each in [item for item in results if item.get("failed") or item.get("unreachable")] or [result]:
        delegated = each.get("_ansible_delegated_vars")
        where = delegated.get("ansible_delegated_host") if isinstance(delegated, Mapping) else None
        yield str(where or host), each


def _reason(host: str, result: Mapping[str, Any], *, unreachable: bool) -> Reason:
    said = [_AROUND.sub("", str(result[key]).strip()) for key in SAYS if result.get(key)]
    text = "\n  ".join(said) or "no message"
    if text.startswith(
        "E-"
    ):  # our own modules have said it already, but for the name that the inventory has for theirs
        return Reason(host, text if host == "localhost" else text.replace("this host", host))
    if known := _known(host, "\n".join([*said, str(result.get("module_stdout") or "")])):
        return known
    if unreachable:
        return Reason(host, next(reversed(_telling(text)), "ssh said nothing"), unreachable=True)
    telling = [line for part in said if not _NO_REASON.match(part) for line in _telling(part)]
    if not telling and "module_stderr" in result:
        return Reason(host, f"on {host} {_SILENT[0]}", *_SILENT[1:])
    return Reason(host, "\n  ".join(telling) or text)


def _known(host: str, said: str) -> Reason | None:
    """Return the known reason in what was said; of a very long text its two ends count: patterns take their time."""
    if len(said) > 2 * LOOKED_AT:
        said = f"{said[:LOOKED_AT]}\n{said[-LOOKED_AT:]}"
    for known in KNOWN:
        if match := re.search(known.pattern, said):
            more = {name: (value or "").strip() for name, value in match.groupdict().items()}
            return Reason(host, known.sentence.format(host=host, **more), known.name, known.remedy)
    return None


def _telling(text: str) -> list[str]:
    """Return the lines that carry information."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not _CHATTER.match(line.strip())]
