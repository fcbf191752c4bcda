"""Notices when nothing was heard of a playbook for long, and says which hosts it waits for, and in which task."""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_SECONDS = 60.0  # longer than any wait of ssh's (ansible.cfg)
AGAIN_SECONDS = 600.0


@dataclass
class Silence:
    """What was heard last of a playbook. Times are seconds of a monotonic clock."""

    heard_at: float
    at_work: dict[str, str] = field(default_factory=dict)  # host -> task
    _told: int = 0

    def hear(self, now: float, kind: str, host: str, task: str) -> None:
        """Note an event of ansible-runner."""
        self.heard_at, self._told = now, 0
        if kind == "runner_on_start":
            self.at_work[host] = task
        elif kind != "runner_retry":
            self.at_work.pop(host, None)

    def line(self, now: float) -> str | None:
        """Return the line about a silence when it has become long, and again now and then; else None."""
        quiet = now - self.heard_at
        if quiet < FIRST_SECONDS + self._told * AGAIN_SECONDS:
            return None
        self._told += 1
        tasks: dict[str, list[str]] = {}
        for host, task in list(self.at_work.items()):  # the run goes on meanwhile
            tasks.setdefault(task, []).append(host)
        waits = "; ".join(f"{', '.join(hosts)} to end: {task}" for task, hosts in tasks.items())
        return f"… nothing heard for {quiet:.0f} s; it waits for {waits or 'Ansible to begin'}"
