"""Where a tree's revision comes from, and the client for that on the host."""

from __future__ import annotations


class ModuleDocFragment:
    """Any kind of tree that the runbook knows."""

    DOCUMENTATION = r"""
options:
  kind:
    description:
      - What trees are made of, Bazaar (C(bzr)), git, an archive, or what a command of the site's own delivers.
      - A tree that is there already is taken for what it is, so the one before may be of another kind.
    type: str
    choices: [bzr, git, archive, command]
    default: bzr
  executable:
    description: The client, a name or path. The default is C(brz) or else C(bzr) for Bazaar, C(git) for git.
    type: str
"""
