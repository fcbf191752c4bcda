"""The version control of a branch, and its client on the host."""

from __future__ import annotations


class ModuleDocFragment:
    """Bazaar or git with one client; `.clients` has an option for each client, `.bzr` is for Bazaar only."""

    DOCUMENTATION = r"""
options:
  vcs:
    description: The version control of the branches.
    type: str
    choices: [bzr, git]
    default: bzr
  executable:
    description: The client. The default is C(brz) for Bazaar and C(git) for git.
    type: str
"""

    CLIENTS = r"""
options:
  vcs:
    description: The version control of the branches.
    type: str
    choices: [bzr, git]
    default: bzr
  brz_executable:
    description: The Bazaar client, C(brz) or C(bzr).
    type: str
    default: brz
  git_executable:
    description: The git client.
    type: str
    default: git
"""

    BZR = r"""
options:
  brz_executable:
    description: The Bazaar client, C(brz) or C(bzr).
    type: str
    default: brz
"""
