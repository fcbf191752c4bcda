"""Ends ansible-playbook before its first play if parts of it would be left out (rollout_core.playbook.request).

It stands beside the playbooks, because from there Ansible loads it for each of them, whatever ansible.cfg or the
environment says; and it is a callback, because tags, `always` and --start-at-task leave out any task.
"""

from __future__ import annotations

import sys
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible_collections.downtime.runbook.plugins.module_utils.rollout_core.playbook import request

DOCUMENTATION = r"""
name: whole_playbook
type: aggregate
short_description: Ends ansible-playbook before its first play if parts of the playbook would be left out
description:
  - Refuses tags, a task to start at, steps, another strategy than C(linear), and a play that has no host to run on.
author: The downtime runbook (@downtime-runbook)
"""


class CallbackModule(CallbackBase):
    """Looks once, at the start of the playbook."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "whole_playbook"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Exit with what is wrong. An exception would only be a warning."""
        why = request.refusal(context.CLIARGS, [_asked(play) for play in playbook.get_plays()])
        if why is not None:
            self._display.display(why, color="red", stderr=True)
            sys.exit(2)


def _asked(play: Any) -> request.PlayAsked:
    inventory = play.get_variable_manager()._inventory
    hosts = play.hosts if isinstance(play.hosts, list) else [play.hosts]
    on = [host.get_name() for host in inventory.get_hosts(hosts)]
    left_out = bool(play.vars.get("may_have_no_host")) and not inventory.get_hosts(hosts, ignore_limits=True)
    return request.PlayAsked(play.get_name(), ",".join(map(str, hosts)), on, play.strategy, left_out)
