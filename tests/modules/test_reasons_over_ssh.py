"""A playbook that fails on a real sshd says on which host and why: through loops, sudo, su and ssh's chatter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.engine.playbooks import Playbook, PlaybookRun, run_playbook
from tests.modules.ssh_hosts import APP, OPS, PASSWORDS, SshHost, possible

pytestmark = pytest.mark.skipif(possible() is not None, reason=f"left out: {possible()}")
Play = Callable[..., PlaybookRun]
BECOME = {"ansible_become": True, "ansible_become_user": APP}
ANYBODY = f"{OPS} ALL=({APP}) NOPASSWD: ALL"
# As the preflight's first task is: a loop, delegated.
CLOCKS = {
    "name": "Read the clocks",
    "ansible.builtin.command": {"argv": ["date", "+%s.%N"]},
    "delegate_to": "{{ each }}",
    "loop": ["localhost", "{{ inventory_hostname }}", "localhost"],
    "loop_control": {"loop_var": "each"},
}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
KEYGEN = ["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
KEYS = 8  # more than sshd listens to


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    made = SshHost(tmp_path_factory.mktemp("ssh") / "host")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def play(host: SshHost, tmp_path: Path) -> Play:
    """`play(variables, sudoers)`: a run of a playbook with that loop, and with a module of its own."""

    def call(variables: dict[str, Any], sudoers: str = ANYBODY, ssh_config: str = "") -> PlaybookRun:
        host.sudoers(sudoers)
        known = host.variables(**variables)
        (host.directory / "ssh_config").write_text(ssh_config)
        site = {"all": {"hosts": {"wildcherry": dict(known), "localhost": HERE}}}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(site))
        (tmp_path / "plan.yml").write_text("rollout: {}\n")
        (tmp_path / "playbooks").mkdir(exist_ok=True)
        plays = [{"name": "LOOK: at it", "hosts": "wildcherry", "gather_facts": False, "tasks": [CLOCKS]}]
        (tmp_path / "playbooks" / "look.yml").write_text(yaml.safe_dump(plays))
        runs = tmp_path / "runs" / str(len(list(tmp_path.glob("runs/*"))))
        runs.parent.mkdir(exist_ok=True)
        plan = tmp_path / "plan.yml"
        return run_playbook(Playbook("look", tmp_path / "hosts.yml", plan, {}, runs, project=tmp_path, reports=()))

    return call


def test_it_gets_through_a_configuration_that_forces_a_terminal(play: Play) -> None:
    run = play(BECOME, ssh_config="Host *\n  RequestTTY force\n")
    assert run.ok, run.message


@pytest.mark.parametrize(
    ("variables", "sudoers", "first"),
    [
        (BECOME, f"Defaults:{OPS} requiretty\n{ANYBODY}", "E-sudo-tty  Sudo on wildcherry wants a terminal"),
        (BECOME, f"{OPS} ALL=({APP}) ALL", "E-become-password  Sudo or su on wildcherry asks for a password"),
        ({**BECOME, "ansible_become_password": "no"}, f"{OPS} ALL=({APP}) ALL", "E-become-password  Wildcherry"),
        ({**BECOME, "ansible_become_password": PASSWORDS[OPS]}, f"{OPS} ALL=(games) ALL", "E-become-refused  On wild"),
        ({**BECOME, "ansible_become_password": PASSWORDS[OPS]}, "", "E-become-refused  Wildcherry lets nobody"),
        ({"ansible_port": 1}, "", "E-unreachable  wildcherry does not answer: ssh: connect to host 127.0.0.1 port 1"),
        ({"ansible_python_interpreter": "/usr/bin/python9"}, "", "E-no-python  Wildcherry has no /usr/bin/python9."),
    ],
    ids=["requiretty", "no password", "wrong password", "another user", "nobody", "no sshd", "no Python"],
)  # fmt: skip
def test_the_reason_is_told_with_its_host(play: Play, variables: dict[str, Any], sudoers: str, first: str) -> None:
    run = play(variables, sudoers)
    assert not run.ok
    assert run.message.startswith(first), run.message
    assert "items" not in run.message


def test_an_agent_with_too_many_keys_is_told(host: SshHost, play: Play, tmp_path: Path, monkeypatch: Any) -> None:
    socket = tmp_path / "agent"
    with subprocess.Popen(["/usr/bin/ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
        try:
            while not socket.exists():
                assert process.poll() is None
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            for number in range(KEYS):
                key = tmp_path / f"key-{number}"
                subprocess.run([*KEYGEN, key], check=True)
                subprocess.run(["/usr/bin/ssh-add", "-q", key], check=True)
            options = host.options.replace("-o IdentitiesOnly=yes", "-o IdentitiesOnly=no -o ControlPath=none")
            run = play({"ansible_ssh_common_args": options})
        finally:
            process.terminate()
    assert run.message.startswith("E-too-many-keys  Wildcherry gave up before the right key"), run.message
