#!/usr/bin/python
"""Tell which cowboys a revision contains, by content (R16)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cowboys_review
short_description: Tell which cowboys a revision contains, and which have to be applied by hand again
description:
  - Tries the whole list, whatever hosts each cowboy is for, on the files of one revision of a tree. Changes that were
    made in the tree by hand are not considered.
  - A cowboy has landed when the revision contains its change, even if the change moved or the code around it changed.
    When the revision has all the lines that the diff adds and none that it removes, but not in the form of the diff,
    the cowboy may have landed in another form. It stays on the list until its author was asked.
options:
  tree:
    description: A tree, of whatever kind, that has the revision.
    type: path
    required: true
  revision:
    description: Id of the revision.
    type: str
    required: true
extends_documentation_fragment:
  - downtime.runbook.cowboys
  - downtime.runbook.app_tree
  - downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: See which cowboys the merge contains
  downtime.runbook.cowboys_review:
    tree: ~/launchpad
    revision: pqm@prae-20261207080312-x1
    cowboys:
      - {id: lp-15, who: jml, why: Soyuz queue page times out, bug: 45419, diff: cowboys/lp-15.diff}
    diffs: {cowboys/lp-15.diff: "{{ lookup('ansible.builtin.file', 'cowboys/lp-15.diff', rstrip=false) }}"}
"""

RETURN = r"""
cowboys:
  description:
    - Each cowboy with its C(id), C(who), C(why), C(bug) and C(hosts) as listed (null, when it has none), the C(files)
      it changes and a C(sentence) for a person.
    - C(state) is C(landed), C(another_form), C(to_apply), or C(conflict) when it can be applied no more as it is.
  returned: success
  type: list
  elements: dict
  sample: [{id: lp-15, who: jml, why: slow, bug: 45419, hosts: [gac], state: landed, files: [lib/lp/queue.py],
    sentence: "lp-15 landed in the merge, off the list (jml)"}]
conflicts:
  description: For each conflict the cowboy, the file and the rejected hunks, as text; empty when there is none.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.site import cowboys as core
from ..module_utils.rollout_host.site import cowboys as work
from ..module_utils.rollout_host.trees import kinds


def review(cowboys: Sequence[Mapping[str, Any]], trials: Mapping[str, work.Trial]) -> Iterator[dict[str, Any]]:
    """Yield each cowboy with its state, by the trials of its files in the revision."""
    files: dict[str, dict[str, list[tuple[bool, bool, bool]]]] = {cowboy["id"]: {} for cowboy in cowboys}
    for path, trial in trials.items():
        text = None if trial.before is None else trial.before.decode("utf-8", "surrogateescape")
        for part, (contained, _, applicable) in trial.found.items():
            files[part.cowboy].setdefault(path, []).append((contained, core.looks_landed(part.patch, text), applicable))
    for cowboy in cowboys:
        found = files[cowboy["id"]]
        state = core.contained(each for parts in found.values() for each in parts)
        told = {name: cowboy.get(name) for name in ("id", "who", "why", "bug", "hosts")}
        yield {**told, "state": state.value, "sentence": core.review_sentence(cowboy, state), "files": sorted(found)}


def main() -> None:
    """Try the cowboys, and answer."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "path", "required": True},
            "revision": {"type": "str", "required": True},
            "cowboys": {"type": "list", "elements": "dict", "required": True, "options": work.options()},
            "diffs": {"type": "dict", "required": True},
            **kinds.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        cowboys = work.sound(params["cowboys"])
        parts = work.split(cowboys, params["diffs"])
        tree = work.opened(Path(params["tree"]).resolve(), params, "./runbook.py run qastaging")
        trials = work.in_revision(tree, params["revision"], parts)
    except work.CowboyError as error:
        module.fail_json(msg=str(error))
    conflicts = work.describe_conflicts(cowboys, trials)
    module.exit_json(changed=False, cowboys=list(review(cowboys, trials)), conflicts=conflicts)


if __name__ == "__main__":
    main()
