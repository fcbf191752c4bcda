"""Where announcements go: the inventory's channels, their secret URLs, and which message goes to which (R6, R7, R23).

`group_vars/all/announcements.yml` of an inventory (docs/operations.md, Channels); the URLs come from the vault, so only
Ansible can tell them. They are asked for when there is something to announce, through a pipe, and kept in memory only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from rollout import documents, inventory
from rollout.announcing.text import Text
from rollout.outcomes import BadInputError
from rollout.plan.messages import MESSAGES

if TYPE_CHECKING:
    from rollout.documents import Finding

FILE = Path("group_vars") / "all" / "announcements.yml"
QUESTION = {
    "announcements_channels": "{{ announcements_channels | default({}) }}",
    "announcements_messages": "{{ announcements_messages | default({}) }}",
    "announcements_loopback_only": "{{ announcements_loopback_only | default(false) }}",
}


@dataclass(frozen=True)
class Channel:
    """One place that messages go to. `url` is secret; `shown` is the URL for people.

    Within `repeatable_seconds` of the first attempt, a repeat with the same key cannot make a second post (Mastodon's
    Idempotency-Key); 0 if it always could. `loopback_only` refuses an address that is not on this machine. `titled` is
    True if a message has a title of its own there.
    """

    name: str
    wording: str
    url: str = field(repr=False)
    shown: str
    repeatable_seconds: float = 0.0
    loopback_only: bool = False
    titled: bool = True

    def sent(self, text: Text) -> Text:
        """Return the text as it is handed over: where a chat's messages have no title, it is a part of the text."""
        return text if self.titled or self.wording != "chat" else Text("", text.as_chat())


@dataclass(frozen=True)
class Channels:
    """All channels by name, and for every message the names of the channels that it goes to."""

    by_name: Mapping[str, Channel]
    messages: Mapping[str, tuple[str, ...]]

    def of(self, message: str) -> list[Channel]:
        """Return the channels of one message, in the inventory's order; an empty list if the inventory has it so."""
        return [self.by_name[name] for name in self.messages[message]]

    def __getitem__(self, name: str) -> Channel:
        """Return the channel of that name. Raises BadInputError if the inventory no longer has it."""
        if name not in self.by_name:
            known = ", ".join(self.by_name) or "none"
            raise BadInputError(f"E-no-channel  There is no channel `{name}` in the inventory (there are: {known}).")
        return self.by_name[name]


class ChannelEntry(BaseModel):
    """A channel, as the inventory has it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    wording: Literal["mail", "chat", "status", "irc"]
    url: Annotated[str, StringConstraints(strip_whitespace=True)]


class ChannelVariables(BaseModel):
    """The variables of an inventory that tell where announcements go."""

    model_config = ConfigDict(strict=True)
    announcements_channels: dict[str, ChannelEntry]
    announcements_messages: dict[str, list[str]]
    announcements_loopback_only: bool


def load(directory: Path) -> Channels:
    """Return the channels of an inventory; it takes Ansible a second. Raises BadInputError, which quotes no URL."""
    if not (directory / FILE).exists():
        what = "it says where announcements go (docs/operations.md, Channels)"
        raise BadInputError(f"E-no-channels  {directory / FILE} is not there: {what}.")
    try:
        found = inventory.ask(directory, QUESTION)
    except BadInputError as error:
        raise BadInputError(_without_urls(str(error))) from None
    return checked(found, directory / FILE)


def checked(variables: Mapping[str, Any], file: Path) -> Channels:
    """Return the channels in Ansible's answers to QUESTION; `file` is named in errors. Raises BadInputError."""
    try:
        found = ChannelVariables.model_validate(variables)
    except ValidationError as error:  # it quotes what it has found
        items = error.errors(include_url=False, include_input=False)
        raise documents.refused(file, [(item["loc"], item["msg"]) for item in items]) from None
    channels, findings = _channels(found)
    findings += list(_unknown_names(found)) or _without_text(found, site=file.parents[2])
    if findings:
        raise documents.refused(file, findings)
    return Channels(channels, {message: tuple(names) for message, names in found.announcements_messages.items()})


def _unknown_names(found: ChannelVariables) -> Iterator[Finding]:
    """Yield a finding for each message or channel that does not exist, and for each message without an entry."""
    for message, names in found.announcements_messages.items():
        unknown = ", ".join(name for name in names if name not in found.announcements_channels)
        if message not in MESSAGES:
            yield ("announcements_messages", message), f"there is no such message; there are {', '.join(MESSAGES)}"
        elif unknown:
            yield ("announcements_messages", message), f"no channel is called {unknown}"
    missing = ", ".join(message for message in MESSAGES if message not in found.announcements_messages)
    if missing:
        yield ("announcements_messages",), f"expected {missing} as well: the channels that each goes to, or [] for none"


def _without_text(found: ChannelVariables, site: Path) -> list[Finding]:
    """Return a finding for each message for which a channel has no text: better said today than after an abort."""
    from rollout.announcing import wording  # jinja2

    return [
        (("announcements_messages", message), f"{name} has the wording {how}, and there is no text of {message} in it")
        for message, names in found.announcements_messages.items()
        for name in names
        if (how := found.announcements_channels[name].wording) not in wording.wordings(message, site)
    ]


def _channels(found: ChannelVariables) -> tuple[dict[str, Channel], list[Finding]]:
    """Return the channels, and a finding for each URL that Apprise does not take or that leads where it may not."""
    from rollout.announcing import destination  # 0.2 s, and not every command announces

    made: dict[str, Channel] = {}
    findings: list[Finding] = []
    for name, entry in found.announcements_channels.items():
        try:
            service = destination.service(entry.url)
            if found.announcements_loopback_only:
                destination.check_loopback(service)
            if entry.wording not in (wanted := destination.wordings(service)):
                raise destination.BadUrlError(f"what its URL leads to wants the wording {' or '.join(wanted)}")
        except destination.BadUrlError as error:
            findings.append((("announcements_channels", name, "url"), str(error)))
            continue
        made[name] = Channel(
            name,
            entry.wording,
            entry.url,
            destination.shown(service),
            destination.repeatable_seconds(service),
            found.announcements_loopback_only,
            destination.takes_title(service),
        )
    return made, findings


def _without_urls(text: str) -> str:
    """Return Ansible's error without the URLs in it: Ansible quotes the line that it could not read."""
    return re.sub(r"://[^\s'\"]*", "://****", text)
