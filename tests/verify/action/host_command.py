"""Action `host_command`: one shell command on a host, through the connection and the become that a playbook's task has.

It needs no Python on the host, and takes one connection. The answer has `rc`, and `stdout` and `stderr` in base64:
a command's output may be anything.
"""

from __future__ import annotations

import base64
import re
import shlex
import uuid
from typing import Any

from ansible.plugins.action import ActionBase

# The command's own output stands between two lines that nobody else prints: banners, warnings of sudo, and what a
# shell's start says, are outside of them. Where a terminal is needed (su), it changes nothing of the output.
FRAME = """stty -opost 2>/dev/null
exec 3>&1
printf '%s-begins\\n' {mark}
said=$({{ /bin/sh -c {command}
}} 2>&1 >&3 3>&- </dev/null)
code=$?
printf '\\n%s-ends %s\\n%s\\n%s-over\\n' {mark} "$code" "$said" {mark}"""


class ActionModule(ActionBase):
    """Runs `command`."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the command came to, or a failure with what was said instead of it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        mark = uuid.uuid4().hex
        command = FRAME.format(mark=mark, command=shlex.quote(self._task.args["command"]))
        # With something on its standard input ssh asks for no terminal; su wants one, and so may a site's own settings.
        piped = self._is_pipelining_enabled("new", wrap_async=False)
        done = self._low_level_execute_command(command, in_data=b"\n" if piped else None)
        said = done["stdout"].encode("utf-8", "surrogateescape")
        found = re.search(_pattern(mark), said, re.DOTALL)
        if found is None:
            return {**result, "failed": True, "rc": done["rc"], "msg": self._why(mark, done)}
        stdout, code, stderr = found.groups()
        texts = {"stdout": base64.b64encode(stdout).decode(), "stderr": base64.b64encode(stderr).decode()}
        return {**result, **texts, "failed": False, "exit_code": int(code)}

    def _why(self, mark: str, done: dict[str, Any]) -> str:
        """Return why the command did not run: what was said before it could have begun."""
        if mark in done["stderr"]:  # sudo repeats it; the rest of that line is taken for Ansible's own, and dropped
            user, becomes = self._get_remote_user(), self.get_become_option("become_user")
            return f"user {user} is not allowed to execute it as {becomes} on this host"
        return f"{done['stderr']}\n{done['stdout'].partition(mark)[0]}".strip() or "the command was cut off"


def _pattern(mark: str) -> bytes:
    return f"{mark}-begins\r?\n(.*)\n{mark}-ends (\\d+)\r?\n(.*)\r?\n{mark}-over".encode()
