#!/usr/bin/python
"""Record a deployment in the production status and take the cowboys that landed with it off the list (R16)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: production_status
short_description: Record what is deployed, and drop the cowboys that landed with it
description:
  - The production status is a YAML file with two keys. C(deployed) is C({revision, revid, at, rollout}). C(cowboys) is
    the list of patches that were made by hand and have not landed, each C({id, who, why, bug, diff, tree, hosts})
    (roles/production_status/README.md). Every rollout applies them again until they land (R16, R25).
  - Keeps comments and layout wherever they are. Replaces the file by one rename.
options:
  path:
    description: The file, on the machine where the module runs. It must exist; an empty list of cowboys is C([]).
    type: path
    required: true
  revision:
    description: Number of the deployed revision on devel.
    type: int
    required: true
  revid:
    description: Id of the deployed revision.
    type: str
    required: true
  rollout:
    description: Id of the rollout's plan.
    type: str
    required: true
  landed:
    description: Ids of cowboys that are part of the deployed revision. An id that is not in the list is ignored.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Returns what it would write.
    support: full
  diff_mode:
    description: Shows the change of the file.
    support: full
requirements: [PyYAML]
extends_documentation_fragment: downtime.runbook.rollout.clock
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Record the deployment
  downtime.runbook.production_status:
    path: inventories/production/production_status.yml
    revision: 12735
    revid: pqm@prae-20261207080412-x1y2z3
    rollout: 2026-12
    landed: [lp-12]
"""

RETURN = r"""
deployed:
  description: What the file says is deployed.
  returned: always
  type: dict
  sample: {revision: 12735, revid: pqm@prae-20261207080412-x1y2z3, at: "2026-12-09T08:31:07Z", rollout: 2026-12}
dropped:
  description: Ids of the cowboys that this call took off the list.
  returned: always
  type: list
  elements: str
left:
  description: The cowboys that have not landed, each C({id, who}), for the person who chases them.
  returned: always
  type: list
  elements: dict
"""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Collection, List, Mapping, Tuple, cast

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.rollout_core.site import cowboys as core
from ..module_utils.rollout_host import whole_file

try:
    import yaml

    class Dumper(yaml.SafeDumper):
        """A YAML dumper that writes times as the rest of the runbook does."""

    Dumper.add_representer(
        datetime,
        lambda dumper, at: dumper.represent_scalar(
            "tag:yaml.org,2002:timestamp", at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
    )

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

Edits = List[Tuple[int, int, str]]  # from, to, and what stands there then
FIELDS = ("revision", "revid", "at", "rollout")


class StatusError(Exception):
    """An error: a production status cannot be used; the text is the module's message."""


def load(path: Path, text: str) -> dict[str, Any]:
    """Return the data of the file. Raises StatusError that names what is wrong with it."""
    try:
        status = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:  # also a date that there is not
        raise StatusError(f"E-production-status  {path} cannot be read: {error or 'nested too deep'}") from error
    if not isinstance(status, dict) or not {"cowboys"} <= set(status) <= {"deployed", "cowboys"}:
        raise StatusError(f"E-production-status  {path} must have the keys deployed and cowboys, and no others.")
    problems = core.problems(status["cowboys"])
    if problems:
        raise StatusError(f"E-production-status  {path} is not sound:\n  " + "\n  ".join(problems))
    return status


def update(text: str, status: Mapping[str, Any], deployed: Mapping[str, Any], landed: Collection[str]) -> str:
    """Return the new text. Changes are made in place; only an unusual layout is written anew."""
    wanted = {"deployed": deployed, "cowboys": [one for one in status["cowboys"] if one["id"] not in landed]}
    root = cast("yaml.MappingNode", yaml.compose(text, Loader=yaml.SafeLoader))  # `load` has seen that it is one
    nodes = {key.value: (key, value) for key, value in root.value}
    edits = cowboy_edits(text, *nodes["cowboys"], landed=landed)
    if "deployed" in nodes:
        edits += deployed_edits(nodes["deployed"][1], status["deployed"] or {}, deployed)
    else:
        edits.append((root.start_mark.index, root.start_mark.index, dump({"deployed": deployed}) + "\n"))
    edited = text
    for start, end, replacement in sorted(edits, reverse=True):
        edited = edited[:start] + replacement + edited[end:]
    try:
        if yaml.safe_load(edited) == wanted:
            return edited
    except yaml.YAMLError:
        pass
    header = text[: root.start_mark.index].rstrip("\n")
    return (header + "\n" if header else "") + dump(wanted)


def dump(data: Mapping[str, Any]) -> str:
    """Return the data as YAML in their order."""
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10**6)


def deployed_edits(mapping: yaml.MappingNode, before: Mapping[str, Any], deployed: Mapping[str, Any]) -> Edits:
    """Return an edit for each value of `deployed` that changed, at its place."""
    values = {key.value: value for key, value in mapping.value} if before else {}
    return [
        (values[field].start_mark.index, values[field].end_mark.index, dump(deployed[field]).partition("\n")[0])
        for field in FIELDS
        if field in values and before[field] != deployed[field]
    ]


def cowboy_edits(text: str, key: yaml.ScalarNode, sequence: yaml.SequenceNode, landed: Collection[str]) -> Edits:
    """Return the edits that remove the lines of the landed cowboys; `[]` remains if no other is left."""
    edits = []
    for item in sequence.value:
        if {name.value: value.value for name, value in item.value}["id"] in landed:
            first = text.rfind("\n", 0, item.start_mark.index) + 1
            edits.append((first, text.find("\n", last_index(item)) + 1 or len(text), ""))
    if sequence.value and len(edits) == len(sequence.value):
        past_the_colon = key.end_mark.index + 1
        edits.append((past_the_colon, past_the_colon, " []"))
    return edits


def last_index(node: yaml.Node) -> int:
    """Return where the node's last line ends; the end mark of a block is past the comments behind it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return node.end_mark.index - (node.end_mark.column == 0)
    last = node.value[-1]
    return last_index(last[1] if isinstance(last, tuple) else last)


def main() -> None:
    """Read the arguments, record the deployment, and answer."""
    spec = {
        "path": {"type": "path", "required": True},
        "revision": {"type": "int", "required": True},
        "revid": {"type": "str", "required": True},
        "rollout": {"type": "str", "required": True},
        "landed": {"type": "list", "elements": "str", "default": []},
        "clock_offset": {"type": "float", "default": 0},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    if not HAS_YAML:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    path, landed = Path(module.params["path"]).resolve(), module.params["landed"]
    now = datetime.now(timezone.utc) + timedelta(seconds=module.params["clock_offset"])
    deployed = {field: now.replace(microsecond=0) if field == "at" else module.params[field] for field in FIELDS}
    try:
        old = path.read_text(encoding="utf-8")
        status = load(path, old)
    except FileNotFoundError:
        module.fail_json(msg=f"E-production-status  There is no {path}; roles/production_status/README.md shows one.")
    except (OSError, UnicodeDecodeError) as error:
        module.fail_json(msg=f"E-production-status  {path} cannot be read: {error}")
    except StatusError as error:
        module.fail_json(msg=str(error))
    before = status.get("deployed") or {}
    if all(before.get(field) == deployed[field] for field in FIELDS if field != "at") and before.get("at"):
        deployed["at"] = before["at"]
    new = update(old, status, deployed, landed)
    if new != old and not module.check_mode:
        whole_file.replace(path, new.encode("utf-8"))
    at = deployed["at"]
    module.exit_json(
        changed=new != old,
        deployed=dict(deployed, at=at.isoformat().replace("+00:00", "Z") if isinstance(at, datetime) else at),
        dropped=[one["id"] for one in status["cowboys"] if one["id"] in landed],
        left=[{"id": one["id"], "who": one["who"]} for one in status["cowboys"] if one["id"] not in landed],
        diff={"before_header": str(path), "after_header": str(path), "before": old, "after": new},
    )


if __name__ == "__main__":
    main()
