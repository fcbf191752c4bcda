"""The hosts of an inventory for testinfra, by Ansible's own connection, become and variables: as a playbook has them.

testinfra's own backend makes an ssh command of some of Ansible's variables, and knows neither templates nor vaults,
passwords, or other ways to become somebody than sudo. Here each command is a task of Ansible.
"""

from __future__ import annotations

import base64
import functools
import os
from pathlib import Path
from typing import Any

import testinfra.backend
from ansible.cli.adhoc import AdHocCLI
from ansible.errors import AnsibleError
from ansible.executor.task_executor import TaskExecutor
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.plugins import loader as plugins
from ansible.template import Templar, trust_as_template
from testinfra.backend.base import BaseBackend, CommandResult

from rollout.engine import reasons

WAIT_SECONDS = 60  # for one command: what waits for longer waits for something that does not come


class CannotLookError(RuntimeError):
    """A host does not answer, or does not let us in; the text says which and why."""


class Site:
    """An inventory, read as ansible-playbook reads it: vaults, templates and all."""

    def __init__(self, inventory: str, plan: str) -> None:
        """Read it; the plan's variables count as in a playbook. Raises RuntimeError when no host is in it."""
        plugins.init_plugin_loader()
        plugins.action_loader.add_directory(str(Path(__file__).with_name("action")))
        command = AdHocCLI(["ansible", "all", "--inventory", inventory, "--extra-vars", f"@{plan}"])
        command.parse()
        self.loader, self.inventory, self.manager = command._play_prereqs()
        if not self.inventory.hosts:
            raise RuntimeError(f"No inventory was parsed: {inventory} names no host")

    def hosts(self, pattern: str) -> list[str]:
        """Return the names of a pattern's hosts."""
        return [host.name for host in self.inventory.get_hosts(pattern)]

    def variable(self, name: str, wanted: str) -> Any:
        """Return a variable of a host, resolved as in a playbook; None when it is not defined."""
        templar = Templar(self.loader, variables=self._variables(name))
        return templar.template(trust_as_template(f"{{{{ {wanted} | default(none) }}}}"))

    def run(self, name: str, command: str) -> dict[str, Any]:
        """Return what the action host_command answers. Raises CannotLookError if the command was not run."""
        play = self._play(name, command)
        (task,) = (task for block in play.compile() for task in block.block if task.action == "host_command")
        host, context = self.inventory.get_host(name), PlayContext(play=play, passwords={})
        variables = dict(self._variables(name))
        result: dict[str, Any] = TaskExecutor(
            host, task, variables, context, self.loader, plugins, _Nobody(), self.manager
        ).run()
        if result.get("failed") or result.get("unreachable"):
            raise CannotLookError(reasons.sentence(name, result, unreachable=bool(result.get("unreachable"))))
        return result

    def _play(self, name: str, command: str) -> Play:
        task = {"name": "Look", "host_command": {"command": command}, "timeout": WAIT_SECONDS}
        data = {"name": "Verify", "hosts": name, "gather_facts": False, "tasks": [task]}
        return Play.load(data, variable_manager=self.manager, loader=self.loader)

    @functools.cache  # noqa: B019 - there is one of these
    def _variables(self, name: str) -> dict[str, Any]:
        host, play = self.inventory.get_host(name), self._play(name, "true")
        try:
            variables: dict[str, Any] = self.manager.get_vars(host=host, play=play)
        except AnsibleError as error:  # a vault without its password
            raise CannotLookError(reasons.sentence(name, {"msg": str(error)})) from error
        return variables


class _Nobody:
    """Takes what an executor tells while it works, and does nothing with it."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_more: None


def site() -> Site:
    """Return the inventory that is looked at. Raises RuntimeError when no host is in it."""
    found = _site()
    if isinstance(found, RuntimeError):
        raise found
    return found


@functools.cache
def _site() -> Site | RuntimeError:
    try:
        return Site(os.environ["ROLLOUT_INVENTORY"], os.environ["ROLLOUT_PLAN"])
    except RuntimeError as error:
        return error


class PlaybookBackend(BaseBackend):
    """One of its hosts."""

    NAME = "ansible"

    @classmethod
    def get_hosts(cls, host: str, **_kwargs: Any) -> list[str]:
        """Return the hosts of a group."""
        return site().hosts(host)

    def get_encoding(self) -> str:
        """Return what texts on hosts are encoded in."""
        return "utf-8"

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run a command. Raises CannotLookError."""
        command = self.get_command(command, *args)
        found = site().run(self.hostname, command)
        stdout, stderr = (base64.b64decode(found[name]) for name in ("stdout", "stderr"))
        return self.result(found["exit_code"], command.encode(), stdout, stderr)


testinfra.backend.BACKENDS["ansible"] = f"{__name__}.{PlaybookBackend.__name__}"
