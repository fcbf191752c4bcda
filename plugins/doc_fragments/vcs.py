"""The version control of a branch, and its client on the host."""

from __future__ import annotations

from ..module_utils.rollout_host.vcs.kinds import ADAPTERS

CLIENTS = ", ".join(f"C({adapter.clients[0]}) for {adapter.title}" for adapter in ADAPTERS.values())


class ModuleDocFragment:
    """Any version control that the runbook knows."""

    DOCUMENTATION = f"""
options:
  vcs:
    description: The version control of the branches.
    type: str
    choices: [{", ".join(ADAPTERS)}]
    default: bzr
  executable:
    description: The client, a name or path. The default is {CLIENTS}.
    type: str
"""
