#!/usr/bin/python
"""Put a phrase into a channel's topic while something holds, and take it out afterwards (R15)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: irc_topic
short_description: Put a phrase before the topic of an IRC channel, or take it away
description:
  - Puts the phrase in front, so that the topic is C(PHRASE | OLD TOPIC). Taking the phrase away restores the old topic
    byte for byte. If somebody else has changed the topic, only the phrase is taken away. A topic that already contains
    the phrase anywhere is left as it is.
  - Reads back what it has set. The whole call takes no longer than O(timeout_seconds).
  - Runs on the control machine.
options:
  server:
    description: Name or address of the IRC server.
    type: str
    required: true
  port:
    description: Port of the server.
    type: int
    default: 6697
  tls:
    description: Speak TLS, and verify the server's certificate.
    type: bool
    default: true
  channel:
    description: The channel.
    type: str
    required: true
  state:
    description: Whether the topic is to contain the phrase. Use check mode to ask only.
    type: str
    choices: [present, absent]
    required: true
  phrase:
    description: The phrase.
    type: str
    default: PQM in RC mode
  nick:
    description: Our nickname on the server. If it is taken, C(_) is added.
    type: str
    default: rollout
  server_password:
    description: The server's password, if it has one. It belongs into the vault.
    type: str
  account:
    description: Account to log in with (SASL PLAIN), for a channel whose topic only operators change.
    type: str
  password:
    description: The account's password. It belongs into the vault.
    type: str
  timeout_seconds:
    description: How long the whole call may take.
    type: float
    default: 60
attributes:
  check_mode:
    description: Joins the channel, returns the topic and what it would become, and changes nothing.
    support: full
  diff_mode:
    description: Shows the change of the topic.
    support: full
requirements: [irc]
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Say that PQM is in RC mode
  downtime.runbook.irc_topic:
    server: irc.example.com
    channel: "#launchpad-dev"
    state: present
"""

RETURN = r"""
topic:
  description:
    - The topic at the end; in check mode, as it was found. Bytes that are no UTF-8 are shown as U+FFFD.
  type: str
  returned: success
  sample: PQM in RC mode | Week 3
before:
  description: The topic before.
  type: str
  returned: success
  sample: Week 3
nick:
  description: The nickname that we had.
  type: str
  returned: success
"""

import re
from typing import TYPE_CHECKING, Any, Mapping

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.rollout_core.merge import channel_topic

if TYPE_CHECKING:
    from ..module_utils.rollout_host.chat.irc import IrcChannel

try:
    from ..module_utils.rollout_host.chat import irc
except ImportError as error:
    if (error.name or "").partition(".")[0] not in ("irc", "jaraco"):
        raise
    HAS_IRC = False
else:
    HAS_IRC = True

CHANNEL = re.compile(r"[#&+!][^\s,:\a]{1,49}")
NICK = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]*")
BY_HAND = "By hand, in {channel}:  /topic {channel} {wanted}"


class TopicError(Exception):
    """An error: a topic is not as it should be; the text is the module's message."""


def argument_spec() -> dict[str, Any]:
    """Return the options, as documented above."""
    return {
        "server": {"type": "str", "required": True},
        "port": {"type": "int", "default": 6697},
        "tls": {"type": "bool", "default": True},
        "channel": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "required": True},
        "phrase": {"type": "str", "default": "PQM in RC mode"},
        "nick": {"type": "str", "default": "rollout"},
        "server_password": {"type": "str", "no_log": True},
        "account": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "timeout_seconds": {"type": "float", "default": 60},
    }


def shown(topic: str) -> str:
    """Return the topic as text that every terminal takes."""
    return topic.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def by_hand(options: Mapping[str, Any], wanted: str | None = None) -> str:
    """Return what a person types instead."""
    if wanted is None:
        phrase = f"{options['phrase']} | …"
        if options["state"] == "absent":
            phrase = f"what it is without {options['phrase']!r}"
        return BY_HAND.format(channel=options["channel"], wanted=phrase)
    return BY_HAND.format(channel=options["channel"], wanted=shown(wanted) or "(with nothing after it)")


def change(options: Mapping[str, Any], channel: IrcChannel, before: str, wanted: str) -> None:
    """Set the topic and read it back. Raises IrcError and TopicError."""
    name, phrase = options["channel"], options["phrase"]
    if options["state"] == "absent" and channel_topic.says(wanted, phrase):
        raise TopicError(
            f"E-topic-wording  The topic of {name} says {phrase!r} in words of somebody's own: {shown(before)!r}.\n"
            f"  It is left as it is. {by_hand(options)}\n  Then:  ./runbook.py run"
        )
    size, longest = len(wanted.encode("utf-8", "surrogateescape")), channel.longest
    if longest is not None and size > longest:
        raise TopicError(too_long(options, f"{size} bytes, and {channel.server} takes {longest}", size - longest))
    channel.set_topic(wanted)
    found = channel.topic()
    if found == wanted:
        return
    if found and wanted.startswith(found):
        channel.set_topic(before)
        kept = len(found.encode("utf-8", "surrogateescape"))
        raise TopicError(too_long(options, f"{size} bytes, and {channel.server} keeps {kept}", size - kept))
    raise TopicError(
        f"E-topic-changed  The topic of {name} was set to {shown(wanted)!r}, and is {shown(found)!r}:"
        " somebody else set it just now.\n  Once more:  ./runbook.py run"
    )


def too_long(options: Mapping[str, Any], how: str, excess: int) -> str:
    """Return the message about a topic that the server would cut: it could never be put back."""
    name = options["channel"]
    return (
        f"E-topic-too-long  With {options['phrase']!r} the topic of {name} has {how}. It is left as it was.\n"
        f"  Shorten it by {excess} bytes:  /topic {name} …\n  Then:  ./runbook.py run"
    )


def run(options: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Connect, change the topic unless it is right, and return the answer. Raises IrcError and TopicError."""
    wanted = None
    try:
        with irc.IrcChannel(options) as channel:
            before = channel.topic()
            edit = channel_topic.saying if options["state"] == "present" else channel_topic.without
            wanted = edit(before, options["phrase"])
            changed = wanted != before or (
                options["state"] == "absent" and channel_topic.says(before, options["phrase"])
            )
            if changed and options["state"] == "present" and not before and channel.alone:
                raise TopicError(
                    f"E-irc-channel  Nobody is in {options['channel']} on {channel.server}, and it has no topic.\n"
                    "  Is it called that? Name the developers' channel:  rc_mode_channel in the inventory"
                )
            if changed and not check_mode:
                change(options, channel, before, wanted)
            nick = channel.connection.get_nickname()
    except irc.NotOperator as error:
        ask = (
            f"Make it one (/mode {options['channel']} +o NICK, or an account with that right), or an operator types it."
        )
        raise TopicError(f"{error}\n  {ask}\n  {by_hand(options, wanted)}\n  Then:  ./runbook.py run") from error
    except irc.IrcError as error:
        raise TopicError(f"{error}\n  {by_hand(options, wanted)}\n  Then:  ./runbook.py run") from error
    now = before if check_mode else wanted
    diff = {"before": shown(before) + "\n", "after": shown(wanted) + "\n"}
    return {"changed": changed, "before": shown(before), "topic": shown(now), "nick": nick, "diff": diff}


def main() -> None:
    """Read the arguments, set the topic, and answer."""
    module = AnsibleModule(
        argument_spec=argument_spec(), supports_check_mode=True, required_together=[["account", "password"]]
    )
    options = module.params
    if not HAS_IRC:
        module.fail_json(msg=missing_required_lib("irc"))
    for name, pattern in (("channel", CHANNEL), ("nick", NICK)):
        if not pattern.fullmatch(options[name]):
            module.fail_json(msg=f"E-bad-{name}  {options[name]!r} is not the name of a {name} on IRC.")
    try:
        module.exit_json(**run(options, check_mode=module.check_mode))
    except TopicError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
