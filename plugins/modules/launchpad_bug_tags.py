#!/usr/bin/python
"""Ask Launchpad for the tags of bugs (R8)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: launchpad_bug_tags
short_description: Ask Launchpad for the tags of bugs, as they are now
description:
  - Asks through launchpadlib without logging in, on the control machine, one request a bug (R8).
  - A bug that is private, or that does not exist, is shown to nobody; it is named, and is no failure.
  - Changes nothing but the cache.
requirements: [launchpadlib]
options:
  root:
    description: C(production), C(staging) or C(qastaging), or the web service's root, a URL.
    type: str
    required: true
  bugs:
    description: Numbers of the bugs.
    type: list
    elements: int
    required: true
  cache:
    description: Directory in which launchpadlib keeps answers, with their ETag. It is made if it is not there.
    type: path
    required: true
  seconds:
    description: How long all of it may take, retries included.
    type: int
    default: 180
attributes:
  check_mode: {support: full, description: Asks as always, since it changes nothing.}
  diff_mode: {support: none, description: There is nothing to differ.}
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
  description: The same in a few words for a person.
  type: list
  elements: str
  returned: success
  sample: ["Launchpad shows nobody bug 772609 (private, or no such bug): not QA'd as far as anyone can tell"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.ci import launchpad


def main() -> None:
    """Read the arguments, ask, tell."""
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
