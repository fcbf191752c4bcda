"""The control machine's half of rollout_claim: who conducts the rollout, and how far its journal is."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils.rollout_core.journal import text


class ActionModule(ActionBase):
    """Asks the module on the database host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's answer; `claim_unknown` when the host does not answer, which only lets `free` pass."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        journal = Path(str(arguments.get("journal", "")))
        try:
            heads = text.heads(journal.read_text(encoding="utf-8")) if journal.exists() else []
        except (OSError, ValueError) as error:
            said = f"E-journal-broken  {journal}: {error}.\n  Mend it from a backup, then again."
            return {**result, "failed": True, "journal_lost": True, "msg": said}
        control = {"by": getpass.getuser(), "machine": os.uname().nodename, "heads": heads}
        try:
            answer = self._execute_module(
                module_name="downtime.runbook.rollout_claim",
                module_args={**arguments, "journal": str(journal.resolve()), "control": control},
                task_vars=task_vars,
            )
        except AnsibleConnectionFailure as error:
            return {**result, **self._not_known(str(error), lets_pass=arguments.get("state") == "free")}
        answer.pop("invocation", None)  # every line of the journal has a hash in it
        return {**result, **answer}

    def _not_known(self, error: str, *, lets_pass: bool) -> dict[str, Any]:
        """Return what is so when the database host cannot be asked: what takes something back goes on."""
        host = self._task.delegate_to or "the database host"
        said = f"E-claim-unknown  {host} does not answer, so nobody knows whether another rollout is open: {error}"
        if lets_pass:
            return {"changed": False, "claim_unknown": True, "warnings": [said]}
        look = f"  Nothing was said or touched by this.  Look at:  ansible {host} -m ping"
        return {"failed": True, "claim_unknown": True, "msg": f"{said}\n{look}"}
