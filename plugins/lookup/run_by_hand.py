"""The mark of what a person plays by hand: one run of `ansible-playbook`, and no other (R19)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_by_hand
short_description: Return the mark of this run of ansible-playbook
description:
  - Whatever a play starts on a host carries a mark, C(ROLLOUT_RUN), by which it is found when it must be stopped. The
    runbook gives each run of a playbook an id. What is played by hand has none, and must not share one with what
    somebody else plays by hand on the same host.
  - The mark is the same in every play and every task of one run, and another in the next. It says who played what.
  - To be used as C(environment) in a play. See the example.
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: "REINDEX: a table"
  hosts: database
  environment: {ROLLOUT_RUN: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
"""

RETURN = r"""
_raw:
  description: One mark.
  type: list
  elements: str
  sample: ["by hand 4711k3j2h1x_ tom 2026-12"]
"""

import getpass
from pathlib import Path
from typing import Any, Mapping

from ansible import constants
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """The lookup; Ansible knows it by this name."""

    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:  # noqa: ARG002
        """Return the mark. What makes it one is Ansible's directory for temporary files, which each run has for itself.

        It is made before Ansible's workers are, so all of them have the same.
        """
        one = Path(vars(constants)["DEFAULT_LOCAL_TMP"]).name.replace("ansible-local-", "", 1)
        plan = (variables or {}).get("rollout")
        named = [str(plan["id"])] if isinstance(plan, Mapping) and "id" in plan else []
        return [" ".join(["by hand", one, getpass.getuser(), *named])]
