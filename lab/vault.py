"""The lab's vault: a random password in its `keys/`, and what is encrypted with it in its inventory.

Ansible finds the password by itself: vault_password_file of ansible.cfg is lab/vault_password, a program.
"""

from __future__ import annotations

import secrets

from ansible.parsing.vault import VaultLib, VaultSecret

from lab.layout import Lab

LABEL = "lab"


def make(lab: Lab) -> None:
    """Make the password of a new lab."""
    password = lab.vault_password
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")


def encrypted(lab: Lab) -> dict[str, dict[str, str]]:
    """Return the lab's secrets as its inventory has them: {variable: vaulted text}."""
    known = {
        "vault_buildbot_password": lab.buildbot / "password",
        "vault_mail_password": lab.mail / "password",
        "vault_status_token": lab.status_account / "token",
    }
    secret = VaultSecret(lab.vault_password.read_bytes().strip())
    vault = VaultLib([(LABEL, secret)])
    return {
        name: {"__ansible_vault": vault.encrypt(path.read_text(encoding="utf-8").strip(), secret, LABEL).decode()}
        for name, path in known.items()
    }
