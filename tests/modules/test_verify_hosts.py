"""`verify` gets to hosts in the way of the playbooks: a real sshd, sudo and su, as companies set them up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.engine.verification import HostsLookedAt, verify
from tests.modules.ssh_hosts import APP, NAME, OPS, PASSWORDS, SshHost, possible

pytestmark = pytest.mark.skipif(possible() is not None, reason=f"left out: {possible()}")
Look = Callable[..., HostsLookedAt]
BECOME = {"ansible_become": True, "ansible_become_user": APP}
WITH_PASSWORD = {**BECOME, "ansible_become_password": "{{ vault_become_password }}"}
ANYBODY = f"{OPS} ALL=({APP}) NOPASSWD: ALL"
CRON = "[DEFAULT]\n[job]\nenabled = true\n# \u00e9\u00df\n"
BANNER = {"name": "banner", "kind": "banner"}
VAULT_PASSWORD = "of the vault"  # noqa: S105


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    made = SshHost(tmp_path_factory.mktemp("ssh") / "host", "Banner /etc/banner\n")
    made.start()
    made.path("/etc/banner").write_text("Unauthorised use is forbidden\n")
    cron = made.path(f"/home/{APP}/cron.ini")
    cron.write_text(CRON)
    cron.chmod(0o600)
    account = next(line for line in made.path("/etc/passwd").read_text().splitlines() if line.startswith(APP + ":"))
    os.chown(cron, int(account.split(":")[2]), -1)
    yield made
    made.stop()


@pytest.fixture
def look(host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """`look(variables, sudoers, expect=…, vaulted={…})`: what `verify` finds on a host of the group `services`."""
    (tmp_path / "site" / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "plan.yml").write_text(yaml.safe_dump({"rollout": {"id": "2026-12", "pinned": {}, "inventory": "x"}}))
    password = tmp_path / "vault-password"
    password.write_text(VAULT_PASSWORD)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))

    def call(
        variables: dict[str, Any],
        sudoers: str,
        expect: Any = "as_before",
        vaulted: dict[str, str] | None = None,
        group: str = "services",
    ) -> HostsLookedAt:
        host.sudoers(sudoers)
        (host.directory / "ssh_config").write_text("")
        if vaulted:
            vault = tmp_path / "site/group_vars/all/vault.yml"
            vault.write_text(yaml.safe_dump(vaulted))
            argv = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt", str(vault)]
            subprocess.run(argv, check=True, capture_output=True)
        paused = [{"name": "cron", "kind": "cron", "path": "~/cron.ini"}, {**BANNER, "path": "~/banner"}]
        services = {"services_paused": paused}
        known = {**host.variables(), **services, "ansible_python_interpreter": sys.executable, **variables}
        site = {"all": {"children": {group: {"hosts": {"gac": known}}}}}
        (tmp_path / "site/hosts.yml").write_text(yaml.safe_dump(site))
        return verify(tmp_path, tmp_path / "site", expect)

    return call


def well(found: HostsLookedAt) -> bool:
    assert found.ok, found
    return found.hosts["gac"].passed == 3 and not found.hosts["gac"].failed


def test_sudo_with_a_password_from_an_encrypted_vault(look: Look) -> None:
    assert well(look(WITH_PASSWORD, f"{OPS} ALL=({APP}) ALL", vaulted={"vault_become_password": PASSWORDS[OPS]}))


def test_su_with_a_password(look: Look) -> None:
    by_su = {**BECOME, "ansible_become_method": "su", "ansible_become_password": PASSWORDS[APP]}
    assert well(look(by_su, ""))


def test_templates_in_what_leads_to_the_host(host: SshHost, look: Look) -> None:
    templated = {
        **BECOME,
        "ansible_host": "{{ 'local' ~ 'host' if inventory_hostname == 'gac' }}",
        "bastion_args": host.options,
        "ansible_ssh_common_args": "{{ bastion_args }} -o ConnectTimeout=5",
    }
    assert well(look(templated, ANYBODY))


def test_a_jump_in_the_extra_arguments(host: SshHost, look: Look) -> None:
    way = f"ssh {host.options} -i {host.directory}/id -p {host.port} -W %h:%p {OPS}@127.0.0.1"
    assert well(look({**BECOME, "ansible_host": NAME, "ansible_ssh_extra_args": f"-o ProxyCommand='{way}'"}, ANYBODY))


def test_a_terminal_for_sudo_that_wants_one(look: Look) -> None:
    assert well(look({**BECOME, "ansible_pipelining": False}, f"Defaults:{OPS} requiretty\n{ANYBODY}"))


def test_no_terminal_whatever_the_ssh_configuration_forces(host: SshHost, look: Look) -> None:
    forced = host.directory / "forced"
    forced.write_text("Host *\n  RequestTTY force\n")
    args = host.options.replace(str(host.directory / "ssh_config"), str(forced))
    assert well(look({**BECOME, "ansible_ssh_common_args": args}, ANYBODY))


@pytest.mark.parametrize(
    ("variables", "sudoers", "why"),
    [
        (BECOME, f"{OPS} ALL=({APP}) ALL", "sudo or su on gac asks for a password, and there is none for it."),
        (BECOME, f"Defaults:{OPS} requiretty\n{ANYBODY}", "sudo on gac wants a terminal (requiretty)."),
        ({**BECOME, "ansible_become_password": "x"}, f"{OPS} ALL=({APP}) ALL", "gac refuses the password"),
        ({"ansible_port": 1}, "", "gac does not answer: ssh: connect to host 127.0.0.1 port 1: Connection refused"),
        (
            {**BECOME, "ansible_become_password": PASSWORDS[OPS]},
            f"{OPS} ALL=(games) ALL",
            "gac does not let ops become launchpad.",
        ),
    ],
    ids=["no password", "requiretty", "wrong password", "nobody there", "not allowed"],
)  # fmt: skip
@pytest.mark.parametrize("expect", ["answers", "as_before"])
def test_what_cannot_be_looked_at_is_told_with_its_reason(
    look: Look, variables: dict[str, Any], sudoers: str, why: str, expect: str
) -> None:
    found = look(variables, sudoers, expect)
    assert not found.ok
    (reason,) = found.hosts["gac"].failed
    assert why in reason


def test_a_vault_without_its_password_is_said(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look(WITH_PASSWORD, "", vaulted={"vault_become_password": "x"})
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    found = look(WITH_PASSWORD, "")
    assert not found.ok
    assert "a vaulted variable of gac cannot be read" in found.hosts["gac"].failed[0]


def test_the_light_look_needs_nothing_but_that_the_host_can_be_looked_at(look: Look) -> None:
    found = look({**BECOME, "services_paused": [{**BANNER, "path": "/nowhere"}]}, ANYBODY, "answers")
    assert (found.ok, found.summary) == (True, "1 tests passed on gac")


def test_the_light_look_names_a_program_that_is_missing(look: Look) -> None:
    found = look({**BECOME, "app_tree_executable": "no-such-brz"}, ANYBODY, "answers", group="app")
    assert found.hosts["gac"].failed == [f"test_it_has_what_is_asked_there: gac has no no-such-brz for {APP}"]
