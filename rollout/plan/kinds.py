"""Plans of another kind than the monthly deployment: their process, and what that process must be told.

A partial downtime is for a playbook of the site's own (R18), a schema undo is for a rollout that has committed (R17).
The key `needs` of a stage says what its process must be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal.stages import actual
from rollout import ROOT, documents, site
from rollout import inventory as inventories
from rollout.documents import Finding
from rollout.journal import store
from rollout.outcomes import BadInputError
from rollout.plan import extension
from rollout.plan import model as plans
from rollout.plan.extension import Extension
from rollout.plan.model import Pinned, Plan
from rollout.plan.process import ProcessFile, Stage

MONTHLY = "monthly"  # the name of the checkout's process.yml
BY_HAND = "lookup('downtime.runbook.run_by_hand')"
MARK = "ROLLOUT_RUN"  # in the environment of every play that is not on localhost (docs/architecture.md, Marks)
MEANS = {
    "playbook": "--playbook FILE  the site's own playbook, for which access is closed",
    "of": "--of ID  the rollout whose schema is backed out",
}


@dataclass(frozen=True)
class PlanWanted:
    """The request for a plan. Without `kind`, the monthly deployment; `playbook` and `of` as its process needs them."""

    kind: str | None = None
    playbook: Path | None = None
    of: str | None = None

    @classmethod
    def as_in(cls, plan: Plan) -> PlanWanted:
        """Return the request that led to a plan; its next attempt is for the same."""
        return cls(plan.kind, ROOT / plan.playbook if plan.playbook else None, plan.of)


def stages(wanted: PlanWanted, inventory: Path) -> list[Stage]:
    """Return the stages of the process: the site's of that name, else the checkout's.

    Raises BadInputError if it does not exist, or needs something else.
    """
    ours = _processes(ROOT, "process.yml")
    known = {**ours, **_processes(inventory, "")}
    own = inventory / "process.yml"
    path = known.get(wanted.kind or MONTHLY)
    if wanted.kind is None and own.is_file():
        path = own
    if path is None:
        raise BadInputError(f"E-no-such-process  There is no {wanted.kind}. There are: {', '.join(known)}.")
    found = _read(path, ours)
    missing = {name for stage in found for name in stage.playbooks if not site.playbook(name, inventory).is_file()}
    wrong = [
        f"  {path.name} names the playbook {name}: it is neither in the site nor in ours" for name in sorted(missing)
    ]
    needed = {stage.needs for stage in found if stage.needs}
    given = {name for name in MEANS if getattr(wanted, name) is not None}
    wrong += [f"  {path.name} needs  {MEANS[name]}" for name in sorted(needed - given)]
    wrong += [f"  {path.name} has no use for  {MEANS[name]}" for name in sorted(given - needed)]
    if wrong:
        raise BadInputError("\n".join(["E-bad-plan  This cannot be a plan; nothing was written.", *wrong]))
    return found


def _processes(place: Path, monthly: str) -> dict[str, Path]:
    """Return the process files of a place by name."""
    found = {path.stem: path for path in sorted((place / "processes").glob("*.yml"))}
    return {MONTHLY: place / monthly, **found} if monthly else found


def _of_either_form(document: Any) -> ProcessFile | Extension:
    return Extension.model_validate(document) if isinstance(document, dict) else ProcessFile.model_validate(document)


def _read(path: Path, ours: Mapping[str, Path]) -> list[Stage]:
    """Return the stages of a process file; of one that extends another of ours, with its changes."""
    read = documents.checked(path, _of_either_form)
    if isinstance(read, ProcessFile):
        return read.root
    if read.base not in ours:
        raise documents.refused(path, [(("from",), f"expected one of {', '.join(ours)}, found {read.base}")])
    return extension.extended(path, read, documents.load(ours[read.base], ProcessFile).root)


def in_this_service(stages: Sequence[Stage], known: inventories.InventoryFacts) -> list[Stage]:
    """Return the stages without those that are optional and for a group that the inventory does not have."""
    return [stage for stage in stages if not (stage.optional and not known.groups.get(stage.optional.group))]


def left_out(plan: Plan) -> list[str]:
    """Return a line for each group that the process has optional stages for, and the plan has not: what that means."""
    there = {stage.stage for stage in plan.process}
    missing = [
        stage
        for stage in stages(PlanWanted.as_in(plan), ROOT / plan.inventory)
        if stage.optional and stage.stage not in there
    ]
    groups = list(dict.fromkeys(stage.optional.group for stage in missing if stage.optional))
    return [
        _left_out(group, [stage for stage in missing if stage.optional and stage.optional.group == group])
        for group in groups
    ]


def _left_out(group: str, missing: Sequence[Stage]) -> str:
    means = " ".join(stage.optional.without for stage in missing if stage.optional and stage.optional.without)
    return (
        f"Left out, for nobody is in the group {group}: {', '.join(stage.stage for stage in missing)}. {means}".rstrip()
    )


def playbook(wanted: PlanWanted, inventory: Path, known: inventories.InventoryFacts) -> str | None:
    """Return the path of the site's playbook as the plan names it, from the top of the checkout; None without one.

    Raises BadInputError unless it is below playbooks/ or the inventory's directory, and its plays can be found again
    and stopped on hosts that there are.
    """
    if wanted.playbook is None:
        return None
    path = wanted.playbook.resolve()
    if not any(path.is_relative_to(place) for place in ((ROOT / "playbooks"), inventory)):
        places = f"playbooks/ and {site.name_of(inventory)}/"
        raise BadInputError(f"E-bad-playbook  {wanted.playbook} is in neither of {places}; nothing was written.")
    found = list(_findings(path, known))
    if found:
        raise documents.refused(path, found)
    return os.path.relpath(path, ROOT)


def pinned(wanted: PlanWanted, inventory: Path) -> Pinned:
    """Return what the rollout whose schema is undone had pinned; nothing for a plan of another kind.

    Raises BadInputError if that rollout does not exist, has committed nothing, or was undone before.
    """
    if wanted.of is None:
        return Pinned()
    kept = {path.parent.name: path for path in store.directory().glob("*/plan.yml")}
    if wanted.of not in kept:
        raise BadInputError(
            f"E-no-such-rollout  There is no {wanted.of}. There are: {', '.join(sorted(kept)) or 'none'}."
        )
    path = kept[wanted.of]
    plan = plans.load(path)
    if (ROOT / plan.inventory).resolve() != inventory.resolve():
        raise BadInputError(f"E-other-inventory  {plan.id} was rolled out on {plan.inventory}.")
    done = actual(store.entries(path.parent)).values()
    if not plan.pinned.patches or not any(record.irreversible for record in done):
        said = f"E-nothing-committed  {plan.id} has not committed any patches: there is nothing to back out."
        raise BadInputError(f"{said}\n  An open one is taken back with:  ./runbook.py abort --plan {path} --reason …")
    for other in kept.values():
        if _of(other) == plan.id and store.outcome(other.parent) == "done":
            raise BadInputError(f"E-backed-out  {plan.id} was backed out before, by {other.parent.name}.")
    return plan.pinned


def _of(plan_file: Path) -> Any:
    """Return the field `of` of a plan file; nothing else is read, for old plans lack fields that today's must have."""
    try:
        return documents.checked(plan_file, lambda document: document["rollout"].get("of"))
    except (BadInputError, KeyError, TypeError, AttributeError):
        return None


def _findings(path: Path, known: inventories.InventoryFacts) -> Iterator[Finding]:
    """Yield what is wrong with the plays of the site's playbook: its runs must be found again and stopped."""
    for file, number, play in inventories.plays(path):
        where = (number,) if file == path else ()
        what = "" if file == path else f"{os.path.relpath(file)}: "
        hosts = play.get("hosts")
        if not isinstance(hosts, str):
            yield where, f"{what}a play with `hosts: NAME` was expected"
            continue
        if hosts != "localhost" and not known.groups.get(hosts):
            yield (*where, "hosts"), f"{what}the inventory has no group `{hosts}` with a host"
        if hosts != "localhost" and MARK not in (play.get("environment") or {}):
            said = f'environment: {{{MARK}: "{{{{ rollout_run | default({BY_HAND}) }}}}"}}'
            yield where, f"{what}what this play starts could not be found and stopped: it needs `{said}`"
