"""Checks that a playbook is played whole: tags and limits, typed by hand, silently leave out parts of a stage."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

LOCKSTEP = ("linear", "ansible.builtin.linear")  # a task begins on no host before the one before it ended on all


class PlayAsked(NamedTuple):
    """One play of the playbook: `hosts` is whom it is for, `on` where it would run under the limit.

    `left_out`: the inventory has no such host, and the play says that it `may_have_no_host`.
    """

    name: str
    hosts: str
    on: Sequence[str]
    strategy: str
    left_out: bool = False


def refusal(asked: Mapping[str, Any], plays: Sequence[PlayAsked]) -> str | None:
    """Return why a playbook may not be played in this way, and what to do; None if all of it is played.

    `asked` is ansible-playbook's command line as Ansible has read it, the environment and ansible.cfg included.
    """
    found = [*_leaves_tasks_out(asked), *_leaves_hosts_out(asked, plays)]
    if not found:
        return None
    return "\n  ".join(
        [
            "E-not-whole  This playbook is played whole or not at all; nothing was touched.",
            *found,
            "A stage that is half done counts as done, and what comes after it builds on that.",
        ]
    )


def _leaves_tasks_out(asked: Mapping[str, Any]) -> list[str]:
    found = []
    if list(asked.get("tags") or ["all"]) != ["all"]:
        found.append(_say("--tags", asked["tags"], "ANSIBLE_RUN_TAGS"))
    if asked.get("skip_tags"):
        found.append(_say("--skip-tags", asked["skip_tags"], "ANSIBLE_SKIP_TAGS"))
    if asked.get("start_at_task"):
        found.append("leave out:  --start-at-task")
    if asked.get("step"):
        found.append("leave out:  --step")
    return found


def _leaves_hosts_out(asked: Mapping[str, Any], plays: Sequence[PlayAsked]) -> list[str]:
    found = []
    for play in (play for play in plays if not play.left_out):
        if not play.on and asked.get("subset"):
            found.append(f'"{play.name}" is for {play.hosts}, and --limit leaves it no host: leave it out, or name one')
        elif not play.on:
            found.append(f'"{play.name}" is for {play.hosts}, and the inventory has no such host: name another with -i')
        if play.strategy not in LOCKSTEP:
            found.append(f"unset:  ANSIBLE_STRATEGY={play.strategy}, which lets hosts run ahead of others")
    return list(dict.fromkeys(found))


def _say(option: str, tags: Sequence[str], variable: str) -> str:
    return f"leave out:  {option} {','.join(tags)}   or, if you gave none:  unset {variable}"
