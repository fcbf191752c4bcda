"""What ansible-runner would tell of a site's playbook, without Ansible: the tasks of site.py, and no others.

It stands where `ansible_runner.run` does, so that everything of ours is as in a rollout. test_playbooks.py proves that
both tell the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.engine import playbooks

NOTE = re.compile(r"'echo (\S+) >> (\S+)'")
Event = Mapping[str, Any]


@contextmanager
def scripted() -> Iterator[None]:
    """All playbooks that are run in this block are only told of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playbooks.ansible_runner, "run", run)
        yield


@dataclass(frozen=True)
class Ended:
    """As much of ansible_runner.Runner as is asked for."""

    rc: int


class Failed(Exception):  # noqa: N818  it carries an answer
    """A task's answer, which ends the play."""


def run(
    *,
    project_dir: str,
    playbook: str,
    envvars: Mapping[str, str],
    event_handler: Callable[[Event], bool],
    cancel_callback: Callable[[], bool],
    **_others: Any,
) -> Ended:
    """Do what the playbook's tasks stand for, and tell it as it happens."""
    play = Play(envvars, event_handler, cancel_callback)
    (described,) = yaml.safe_load((Path(project_dir) / playbook).read_text())
    return Ended(play.run(described))


@dataclass
class Play:
    """A play on one host, this machine. `stats` is what it has handed over with set_stats."""

    environment: Mapping[str, str]
    tell: Callable[[Event], bool]
    cancelled: Callable[[], bool]
    stats: dict[str, Any] = field(default_factory=dict)

    def run(self, play: Mapping[str, Any]) -> int:
        """Return the exit code of ansible-playbook, or that of ansible-runner where it was cancelled."""
        code = 0
        self.tell({"event": "playbook_on_play_start", "event_data": {"name": play["name"], "pattern": play["hosts"]}})
        for task in play["tasks"]:
            (action,) = set(task) - {"name"}
            about = {"task": task["name"], "task_action": action, "host": play["hosts"]}
            self.tell({"event": "runner_on_start", "event_data": about})
            try:
                answer = self.do(task)
            except Failed as failed:
                self.tell({"event": "runner_on_failed", "event_data": {**about, "res": failed.args[0]}})
                code = 2
                break
            if self.cancelled():
                return 254
            self.tell({"event": "runner_on_ok", "event_data": {**about, "res": answer}})
        self.tell({"event": "playbook_on_stats", "event_data": {"artifact_data": self.stats}})
        return code

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return a task's answer. Raises Failed."""
        ((module, options),) = ((key, value) for key, value in task.items() if key != "name")
        method = {"assert": self.note, "command": self.hang, "set_stats": self.report, "fail": self.fail}
        return method[module.removeprefix("ansible.builtin.")](options)

    def note(self, options: Mapping[str, Any]) -> dict[str, Any]:
        found = NOTE.search(options["that"])
        assert found, options
        with open(found[2], "a") as notes:  # noqa: PTH123
            notes.write(f"{found[1]}\n")
        return {"changed": False}

    def hang(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """As any task of a rollout it is a process with the rollout's mark, in a session of its own."""
        environment = {**os.environ, **self.environment}
        with subprocess.Popen(options["argv"], env=environment, start_new_session=True) as process:
            while process.poll() is None:
                if self.cancelled():
                    process.kill()
                time.sleep(0.02)
        if process.returncode and not self.cancelled():
            raise Failed({"msg": "non-zero return code", "rc": process.returncode})
        return {"rc": process.returncode}

    def report(self, options: Mapping[str, Any]) -> dict[str, Any]:
        self.stats.update(options["data"])
        return {"changed": False}

    def fail(self, options: Mapping[str, Any]) -> dict[str, Any]:
        raise Failed({"msg": options["msg"], "changed": False})
