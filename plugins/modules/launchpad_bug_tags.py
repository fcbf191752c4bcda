#!/usr/bin/python
"""Ask Launchpad for the tags of bugs (R8)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: launchpad_bug_tags
short_description: Ask Launchpad for the current tags of bugs
description:
  - Asks through launchpadlib, on the control machine, without logging in, one request for each bug (R8).
  - Launchpad shows nobody a bug that is private or does not exist. Such a bug is returned as hidden; it is no failure.
  - Changes nothing but the cache.
requirements: [launchpadlib]
options:
  root:
    description: C(production), C(staging) or C(qastaging), or the URL of the web service's root.
    type: str
    required: true
  bugs:
    description: Numbers of the bugs.
    type: list
    elements: int
    required: true
  cache:
    description: Directory in which launchpadlib keeps answers, with their ETag. It is made if it does not exist.
    type: path
    required: true
  seconds:
    description: How long the whole call may take, retries included.
    type: int
    default: 180
extends_documentation_fragment: downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Ask Launchpad for the tags
  downtime.runbook.launchpad_bug_tags:
    root: production
    bugs: [45188, 45419]
    cache: var/cache/launchpad
  delegate_to: localhost
"""

RETURN = r"""
tags:
  description: Tags by bug number, without the hidden bugs.
  type: dict
  returned: success
  sample: {"45188": [qa-ok], "45419": [qa-needstesting]}
hidden:
  description: Bugs that are private, or that do not exist.
  type: list
  elements: int
  returned: success
  sample: [772609]
evidence:
  description: The hidden bugs, in a line for a person.
  type: list
  elements: str
  returned: success
  sample: ["Launchpad shows nobody bug 772609 (private, or no such bug): not QA'd as far as anyone can tell"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.ci import launchpad


def main() -> None:
    """Read the arguments, ask Launchpad, and answer."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "bugs": {"type": "list", "elements": "int", "required": True},
            "cache": {"type": "path", "required": True},
            "seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        tags, hidden = launchpad.bug_tags(given["root"], given["bugs"], given["cache"], given["seconds"])
    except launchpad.LaunchpadError as error:
        module.fail_json(msg=str(error))
    told = [launchpad.told(hidden)] if hidden else []
    module.exit_json(changed=False, tags=tags, hidden=hidden, evidence=told)


if __name__ == "__main__":
    main()
