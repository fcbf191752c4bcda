"""The table of the kinds of services, and their options: what a module takes, and an inventory has."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .base import Service, ServiceError
from .commands import Command
from .cron import Cron
from .files import Banner, Flag
from .http import HttpFlag
from .systemd import Systemd

KINDS: dict[str, type[Service]] = {
    "systemd": Systemd,
    "command": Command,
    "cron": Cron,
    "flag": Flag,
    "banner": Banner,
    "http": HttpFlag,
}
_ARGV = {"type": "list", "elements": "str", "default": []}
OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": list(KINDS), "required": True},
    "unit": {"type": "str"},
    "systemctl": {"type": "list", "elements": "str", "default": ["systemctl"]},
    "stop": _ARGV,
    "start": _ARGV,
    "check": _ARGV,
    "restart": _ARGV,
    "path": {"type": "path"},
    "jobs": {"type": "list", "elements": "str", "default": ["all"]},
    "lock_directory": {"type": "path"},
    "text": {"type": "str"},
    "url": {"type": "str"},
    "token": {"type": "str", "no_log": True, "default": ""},
    "token_header": {"type": "str", "default": "Authorization", "no_log": False},
    "token_prefix": {"type": "str", "default": "Bearer ", "no_log": False},
    "method": {"type": "str", "choices": ["PUT", "POST", "PATCH"], "default": "PUT"},
    "paused": {"type": "dict"},
    "timeout_seconds": {"type": "float"},
}
PAUSED: dict[str, tuple[str, ...]] = {  # what a kind needs to be paused
    "systemd": ("unit",),
    "command": ("stop", "start", "check"),
    "cron": ("path",),
    "flag": ("path",),
    "banner": ("path", "text"),
    "http": ("url", "paused"),
}


def services(entries: Iterable[Mapping[str, Any]], seconds: float, *, restart: bool = False) -> list[Service]:
    """Return the services of these entries, which have OPTIONS; `seconds` is for those that say no time of their own.

    `restart`: they are restarted, not paused. Raises ServiceError for an entry that lacks what its kind needs, and for
    two of one name.
    """
    made: list[Service] = []
    for entry in entries:
        needs = PAUSED[entry["kind"]]
        if restart and entry["kind"] == "command":
            needs = () if entry["restart"] else ("stop", "start")
        missing = ", ".join(name for name in needs if not entry[name])
        if missing:
            raise ServiceError(
                f"E-service-options  {entry['name']} is of the kind {entry['kind']}, which needs {missing} as well.\n"
                "  Add it in the inventory. Nothing was touched."
            )
        if any(each.name == entry["name"] for each in made):
            raise ServiceError(f"E-service-twice  Two services of this host are called {entry['name']}. Rename one.")
        made.append(KINDS[entry["kind"]](entry, entry["timeout_seconds"] or seconds))
    return made


def restarted(given: list[Any], seconds: float) -> list[Service]:
    """Return what a `restart` option names: services, or one command as argv. Raises ServiceError."""
    if given and all(isinstance(each, str) for each in given):
        given = [{"name": " ".join(given), "kind": "command", "restart": given}]
    unknown = [each for each in given if not isinstance(each, dict) or not {"name", "kind"} <= set(each)]
    wrong = [key for each in given if isinstance(each, dict) for key in each if key not in OPTIONS]
    if unknown or wrong or any(each["kind"] not in KINDS for each in given):
        raise ServiceError(
            "E-service-options  restart is one command as a list of words, or a list of services, each with name, kind"
            f" ({', '.join(KINDS)}) and what that kind needs{': unknown is ' + ', '.join(wrong) if wrong else ''}."
        )
    entries = [{**{name: option.get("default") for name, option in OPTIONS.items()}, **each} for each in given]
    return services(entries, seconds, restart=True)
