"""Finds out from ansible-runner's events what a playbook did: one that ended well may have done nothing.

Tags, a `when`, a loop over nothing or a group without hosts leave tasks out, and Ansible calls that a success.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

# They say what is to be done, or put it in other words: a host that did nothing else did no work.
NO_WORK = {
    *("include_role", "include_tasks", "include_vars", "import_role", "import_tasks", "import_playbook"),
    *("meta", "set_fact", "debug"),
    *("rollout_claim", "abort_if_late"),  # they tell whether there may be work
}


class PlayWork(NamedTuple):
    """The work of one play: hosts on which a task ran, and hosts on which one was left out or could not be tried."""

    name: str
    worked: set[str]
    left_out: set[str]


class Idle(NamedTuple):
    """A host on which a play did no work; `host` is empty if it did none on any host."""

    play: str
    host: str

    @property
    def said(self) -> str:
        """Return this as a sentence."""
        return f'"{self.play}" ran no task on {self.host}' if self.host else f'"{self.play}" ran no task on any host'


def hear(plays: list[PlayWork], event: str, data: Mapping[str, Any]) -> None:
    """Add one event of ansible-runner to `plays`, which are in the order in which they began."""
    if event == "playbook_on_play_start":
        plays.append(PlayWork(data.get("name") or data.get("pattern") or "a play", set(), set()))
    elif plays and event in ("runner_on_ok", "runner_on_failed", "runner_on_skipped", "runner_on_unreachable"):
        action = str(data.get("task_action")).rpartition(".")[2]
        if event in ("runner_on_skipped", "runner_on_unreachable"):
            plays[-1].left_out.add(data["host"])
        elif action not in NO_WORK:
            plays[-1].worked.add(data["host"])


def idle(plays: Sequence[PlayWork]) -> list[Idle]:
    """Return the hosts, by play, on which a playbook that ended well did no work.

    If nothing ran on a host and nothing was left out there, another host did its part (`run_once`).
    """
    found = [] if plays else [Idle("the playbook", "")]
    for play in plays:
        if not play.worked:
            found.append(Idle(play.name, ""))
        else:
            found += [Idle(play.name, host) for host in sorted(play.left_out - play.worked)]
    return found


def unreported(stats: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    """Return the wanted facts that were not reported; evidence must be a list with something in it."""
    return [fact for fact in wanted if stats.get(fact) is None or (fact == "evidence" and not _lines(stats[fact]))]


def _lines(evidence: Any) -> bool:
    return bool(evidence) and isinstance(evidence, (list, tuple))
