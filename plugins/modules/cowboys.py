#!/usr/bin/python
"""Review, apply or remove the cowboys of one tree, all in one call (R16, R25)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cowboys
short_description: Review, apply or remove patches that were made by hand in production
description:
  - Handles the whole list for one tree in one call. The files tell whether a cowboy is in place, and the revision of
    the tree tells whether it has landed. No record of earlier runs is used.
  - Tries everything on copies of the touched files first, each cowboy on top of those before it in the list. Unless all
    of them apply, nothing is changed. A hunk may have moved, but its context must be exactly as in the diff.
  - Applying twice changes nothing. A cowboy of which only some files are in place is completed.
  - Runs O(restart) after files changed. If that is interrupted or fails, the next call makes up for it.
options:
  tree:
    description: The deployed tree, of whatever kind. A symbolic link is followed once, at the beginning.
    type: path
    required: true
  serving_tree:
    description: For a review, the tree that serves now. Changes in it that are on no list are reported.
    type: path
  host:
    description: Inventory name of this host. Cowboys of other hosts are left out.
    type: str
    required: true
  state:
    description:
      - C(reviewed) changes nothing, and a conflict is a finding, not a failure.
      - C(applied) puts in every cowboy that is not in place. A conflict is a failure.
      - C(removed) takes out every cowboy that is in place and has not landed.
    type: str
    choices: [reviewed, applied, removed]
    required: true
  restart:
    description: What is restarted after files changed, so that the change is served. One command as a list of words, or
      services as in O(downtime.runbook.services_switch#module:restart).
    type: list
    elements: raw
    default: []
attributes:
  check_mode:
    description: Returns what it would do. A tree that is not there yet is no failure.
    support: full
  diff_mode:
    description: Shows the changes of the files.
    support: full
extends_documentation_fragment:
  - downtime.runbook.cowboys
  - downtime.runbook.app_tree
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Apply the cowboys
  downtime.runbook.cowboys:
    tree: ~/srv/launchpad/r12735
    host: "{{ inventory_hostname }}"
    cowboys:
      - {id: lp-15, who: jml, why: Soyuz queue page times out, bug: 45419, diff: cowboys/lp-15.diff}
    diffs: {cowboys/lp-15.diff: "{{ lookup('ansible.builtin.file', 'cowboys/lp-15.diff', rstrip=false) }}"}
    state: applied
    restart: [restart-site]
"""

RETURN = r"""
cowboys:
  description: Each cowboy of this host and its state at the end; in check mode and for a review, as it was found.
  returned: always
  type: list
  elements: dict
  sample:
    - {id: lp-15, host: gac, state: applied, sentence: "lp-15 is in place: slow (jml)", files: [lib/lp/queue.py]}
conflicts:
  description: For each conflict the cowboy, the file and the rejected hunks, as text; empty when there is none.
  returned: always
  type: str
unlisted:
  description: Files of the tree that serves with a change that no cowboy of the list explains (R16).
  returned: always
  type: list
  elements: str
unlisted_known:
  description: False if the tree that serves is none of ours, so that nobody can tell.
  returned: always
  type: bool
files:
  description: Files that were changed; in check mode, files that would be.
  returned: always
  type: list
  elements: str
restarted:
  description: Whether the restart ran, or would run in check mode.
  returned: always
  type: bool
"""

from pathlib import Path
from typing import Any, Mapping, NoReturn, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.site import cowboys as core
from ..module_utils.rollout_host.services.kinds.base import ServiceError
from ..module_utils.rollout_host.services.kinds.table import restarted
from ..module_utils.rollout_host.site import cowboys as work
from ..module_utils.rollout_host.trees import kinds

RESTART_SECONDS = 600  # the longest that a command of a restart may take

CONFLICT = """E-cowboy-conflict  {names} cannot be applied in {tree}. Nothing was changed there.
{conflicts}
  Landed in another form? Take it off the list. Otherwise make its diff again on the merged revision.
  Then:  ./runbook.py run"""


def argument_spec() -> dict[str, Any]:
    """Return the options, as documented above."""
    return {
        "tree": {"type": "path", "required": True},
        "serving_tree": {"type": "path"},
        "host": {"type": "str", "required": True},
        "cowboys": {"type": "list", "elements": "dict", "required": True, "options": work.options()},
        "diffs": {"type": "dict", "required": True},
        "state": {"type": "str", "choices": ["reviewed", "applied", "removed"], "required": True},
        "restart": {"type": "list", "elements": "raw", "default": []},
        **kinds.ARGUMENTS,
    }


def review(cowboys: Sequence[Mapping[str, Any]], trials: Mapping[str, work.Trial]) -> dict[str, core.CowboyState]:
    """Return each cowboy's state, by the trials of its files."""
    facts: dict[str, list[tuple[bool, bool, bool]]] = {cowboy["id"]: [] for cowboy in cowboys}
    for trial in trials.values():
        for part, found in trial.found.items():
            facts[part.cowboy].append(found)
    return {name: core.state(facts[name]) for name in facts}


def describe(
    cowboy: Mapping[str, Any], host: str, state: core.CowboyState, trials: Mapping[str, work.Trial]
) -> dict[str, Any]:
    """Return one cowboy's entry in the result."""
    files = [path for path, trial in trials.items() if any(part.cowboy == cowboy["id"] for part in trial.found)]
    changed = any(part.cowboy == cowboy["id"] for trial in trials.values() for part in trial.surroundings_changed)
    sentence = core.sentence(cowboy, state, surroundings_changed=changed)
    return {"id": cowboy["id"], "host": host, "state": state.value, "sentence": sentence, "files": sorted(files)}


def left(state: core.CowboyState, wanted: str) -> core.CowboyState:
    """Return the state of a cowboy after `wanted` (applied, removed) has been done."""
    if state is core.CowboyState.LANDED:
        return state
    return core.CowboyState.APPLIED if wanted == "applied" else core.CowboyState.TO_APPLY


def carry_out(module: AnsibleModule, tree: Path, changed: Mapping[str, bytes | None], marker: Path) -> None:
    """Write all files, then restart. The marker says that a restart is due until one has worked."""
    services = restarted(module.params["restart"], RESTART_SECONDS)
    if services:
        marker.touch()
    for path, content in changed.items():
        work.install(module, tree / path, content)
    if not services:
        return
    try:
        for service in services:
            service.restart()
    except ServiceError as error:
        module.fail_json(
            msg=f"E-cowboy-restart  {service.name} was not restarted after the cowboys were changed.\n"
            f"  {error}\n"
            f"  The files in {tree} are as they should be, but the old ones may still be served.\n"
            f"  The next run restarts again. After a restart by hand:  rm {marker}"
        )
    marker.unlink()


def exit_without_tree(module: AnsibleModule, tree: Path, cowboys: Sequence[Mapping[str, Any]]) -> NoReturn:
    """Answer that nothing is to be done, because there is no tree (in check mode: not yet)."""
    sentence = "{id} is nowhere, there is no " + tree.name + " ({who})"
    nowhere = [describe(one, module.params["host"], core.CowboyState.TO_APPLY, {}) for one in cowboys]
    found = [dict(entry, sentence=sentence.format(**one)) for entry, one in zip(nowhere, cowboys)]
    module.exit_json(
        changed=False, cowboys=found, conflicts="", unlisted=[], unlisted_known=True, files=[], restarted=False
    )


def main() -> None:
    """Try all cowboys; unless one conflicts, write all files, then restart."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    wanted, tree = module.params["state"], Path(module.params["tree"]).resolve()
    try:
        cowboys = core.on_host(work.sound(module.params["cowboys"]), module.params["host"])
    except work.CowboyError as error:
        module.fail_json(msg=str(error))
    if not tree.is_dir() and (module.check_mode or wanted == "removed"):
        exit_without_tree(module, tree, cowboys)
    serving = module.params["serving_tree"] and Path(module.params["serving_tree"]).resolve()
    try:
        parts = work.split(cowboys, module.params["diffs"])
        trials = work.try_all(work.opened(tree, module.params), parts)
        unlisted = work.unlisted(serving, module.params, parts) if serving else []
    except work.CowboyError as error:
        module.fail_json(msg=str(error))
    states = review(cowboys, trials)
    conflicts = work.describe_conflicts(cowboys, trials)
    if wanted == "applied" and conflicts:
        names = ", ".join(name for name, state in states.items() if state is core.CowboyState.CONFLICT)
        module.fail_json(msg=CONFLICT.format(names=names, tree=tree, conflicts=conflicts), conflicts=conflicts)

    acts = wanted != "reviewed"
    contents = {path: getattr(trial, wanted) for path, trial in trials.items()} if acts else {}
    changed = {path: content for path, content in contents.items() if content != trials[path].before}
    marker = tree.with_name(f".{tree.name}.restart-owed")
    restarts = bool(acts and module.params["restart"] and (changed or marker.exists()))
    if not module.check_mode:
        if changed or restarts:
            carry_out(module, tree, changed, marker)
        if acts:
            states = {name: left(state, wanted) for name, state in states.items()}
    module.exit_json(
        changed=bool(changed or restarts),
        cowboys=[describe(one, module.params["host"], states[one["id"]], trials) for one in cowboys],
        conflicts=conflicts,
        unlisted=unlisted or [],
        unlisted_known=unlisted is not None,
        files=sorted(changed),
        restarted=restarts,
        diff=[work.diff(path, trials[path].before, content) for path, content in sorted(changed.items())],
    )


if __name__ == "__main__":
    main()
