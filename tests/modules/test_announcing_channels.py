"""The channels of an inventory: asked of Ansible, vault and all, and no secret where somebody could read it (R7)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rollout import ROOT
from rollout.announcing import destination
from rollout.announcing.channels import FILE, checked, load
from rollout.outcomes import BadInputError
from rollout.plan.messages import MESSAGES
from tests.modules.announcing_servers import QUOTED, TOKEN

BAD = yaml.safe_load(Path(__file__).with_name("announcing_channels.yml").read_text())
S = "s3cret-s3cret"
SILENCE: dict[str, list[str]] = {message: [] for message in MESSAGES}
EVERY = {**{message: ["status", "list"] for message in MESSAGES}, "announcer_note": ["list"], "chase": ["list"]}


@pytest.fixture
def inventory(tmp_path):
    """`inventory(variables, vault="")`: a directory that Ansible takes."""

    def write(variables, vault: str = "") -> Path:
        directory = tmp_path / "inventory"
        (directory / FILE).parent.mkdir(parents=True)
        python = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": python}}}))
        (directory / FILE).write_text(variables if isinstance(variables, str) else yaml.safe_dump(variables))
        if vault:
            (directory / FILE).with_name("vault.yml").write_text(vault)
        return directory

    return write


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in BAD])
def test_what_cannot_be_used(tmp_path, monkeypatch, case):
    text = yaml.safe_dump(case["variables"]).replace("{S}", S)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "announcements.yml"
    file.write_text(text)
    variables = {"announcements_messages": {}, "announcements_loopback_only": False, **yaml.safe_load(text)}
    if "every" in variables["announcements_messages"]:  # else the many that are missing are said first
        variables["announcements_messages"] = {**SILENCE, **variables["announcements_messages"]}
        del variables["announcements_messages"]["every"]
    with pytest.raises(BadInputError) as refused:
        checked(variables, file)
    assert str(refused.value).startswith("E-bad-input  announcements.yml cannot be used; nothing was touched.\n")
    assert case["said"] in str(refused.value)
    assert S not in str(refused.value)


@pytest.mark.parametrize("how", ["file", "inline"])
def test_urls_come_from_the_vault_and_land_nowhere(inventory, tmp_path, monkeypatch, how):
    """A whole file in the vault, or one value; with a log and a callback that would write down what Ansible prints."""
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(tmp_path / "ansible.log"))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "ansible.builtin.tree")
    monkeypatch.setenv("ANSIBLE_CALLBACK_TREE_DIR", str(tmp_path / "tree"))
    monkeypatch.setenv("ANSIBLE_LOAD_CALLBACK_PLUGINS", "1")
    url = f"mastodon://{QUOTED}@127.0.0.1:8000"
    vault = [str(Path(sys.executable).with_name("ansible-vault"))]

    def encrypted(*arguments: str, text: str) -> str:
        return subprocess.run([*vault, *arguments], input=text, capture_output=True, text=True, check=True).stdout

    rest = yaml.safe_dump({"announcements_messages": EVERY, "announcements_loopback_only": True})
    mail = "mailto://127.0.0.1/list@lab.example?from=losa@lab.example"
    if how == "file":
        ours = f"""{rest}
announcements_channels:
  status: {{wording: status, url: "{{{{ vault_announcements_status_url | default('') }}}}"}}
  list: {{wording: mail, url: "{mail}"}}
"""
        hidden = encrypted("encrypt", "--output=-", text=yaml.safe_dump({"vault_announcements_status_url": url}))
    else:
        value = encrypted("encrypt_string", "--stdin-name=url", text=url).replace("\n", "\n    ")
        ours = f"""{rest}
announcements_channels:
  status:
    wording: status
    {value}
  list: {{wording: mail, url: "{mail}"}}
"""
        hidden = ""
    found = load(inventory(ours, hidden))
    (status, list_) = found.of("first")
    assert (status.name, status.wording, status.url) == ("status", "status", url)
    assert (status.loopback_only, status.repeatable_seconds, list_.repeatable_seconds) == (True, 3300.0, 0.0)
    assert status.shown == "mastodon://****@127.0.0.1:8000"
    for secret in (TOKEN, QUOTED):
        assert secret not in repr(found)
        for directory in (tmp_path, ROOT / "var" / "ansible", ROOT / "var" / "tmp"):
            files = [path for path in directory.rglob("*") if path.is_file()]
            assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_what_ansible_says_of_a_mistake_has_no_url(inventory):
    text = f"""
announcements_channels:
  status: {{wording: status, url: "mastodon://{QUOTED}@{{{{ no_such_variable }}}}"}}
announcements_messages: {{}}
"""
    with pytest.raises(BadInputError) as refused:
        load(inventory(text))
    assert "no_such_variable" in str(refused.value)
    assert QUOTED not in str(refused.value)


def test_production_says_what_is_missing_in_its_vault():
    with pytest.raises(BadInputError) as refused:
        load(ROOT / "inventories" / "production")
    said = str(refused.value)
    for name in ("status", "lp_announce", "developers", "announcer", "owners"):
        assert f"announcements_channels.{name}.url: its URL is empty: put it into the vault" in said


def test_an_inventory_without_channels(tmp_path):
    with pytest.raises(BadInputError, match="E-no-channels"):
        load(tmp_path)


def test_a_channel_that_is_gone(tmp_path):
    file = tmp_path / "announcements.yml"
    file.write_text("{}")
    variables = {"announcements_channels": {}, "announcements_messages": SILENCE}
    found = checked({**variables, "announcements_loopback_only": False}, file)
    assert found.of("first") == []
    with pytest.raises(BadInputError, match="E-no-channel  There is no channel `status`"):
        found["status"]


def test_status_does_not_load_apprise():
    """It takes 0.2 s, and only what announces needs it."""
    program = "import sys; import rollout.announcing.delivery; print(json.dumps(sorted(sys.modules)))"
    run = [sys.executable, "-c", f"import json; {program}"]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins' / 'module_utils'}"}
    loaded = json.loads(subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout)
    assert "rollout.announcing.channels" in loaded
    assert not {"apprise", "requests", "irc"} & set(loaded)


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:203.0.113.7", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),  # noqa: S104  it means this machine to Linux, and anything to others
        ("10.0.0.1", False),
        ("localhost", False),  # a name: whoever connects has asked for its address before
        ("", False),
    ],
)
def test_loopback(address, ours):
    assert destination.is_loopback(address) == ours
