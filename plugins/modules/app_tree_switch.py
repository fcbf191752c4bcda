#!/usr/bin/python
"""Put another tree into service by one rename, and take it out of service again (R18)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_tree_switch
short_description: Put another tree into service by one atomic rename
description:
  - Trees stand side by side in O(root). The symbolic link C(current) leads to the tree that serves, C(previous) to the
    tree that served before. A switch renames a new link over C(current), so there is always one.
  - A process that was started in the old tree goes on there until it is restarted.
options:
  root:
    description: Directory of the trees and the links, on the host.
    type: path
    required: true
  to:
    description: Name of a tree in O(root), such as C(r12735).
    type: str
    required: true
  revid:
    description: Id of the revision that the tree O(to) must be at. Without it, any revision is accepted.
    type: str
  back:
    description: Undo the switch to O(to), so that C(current) leads where C(previous) does. If O(to) does not serve,
      nothing changes. So a host that the switch did not reach keeps its tree.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Returns what would be switched.}
  diff_mode: {support: full, description: Shows both links before and after.}
extends_documentation_fragment: downtime.runbook.app_tree
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Put devel 12735 into service
  downtime.runbook.app_tree_switch:
    root: ~/srv/launchpad
    to: r12735

- name: Put back what served before
  downtime.runbook.app_tree_switch:
    root: ~/srv/launchpad
    to: r12735
    back: true
"""

RETURN = r"""
before:
  description: Names of the trees that C(current) and C(previous) led to before; null without such a link.
  type: dict
  returned: success
  sample: {current: r12692, previous: r12650}
current:
  description: Name of the tree that serves.
  type: str
  returned: success
  sample: r12735
previous:
  description: Name of the tree that served before; null if there is none.
  type: str
  returned: success
  sample: r12692
revno:
  description: Number of the revision that C(current) is at; null if that is not one of our trees.
  type: int
  returned: success
revid:
  description: Its id, or null.
  type: str
  returned: success
"""

import os
import re
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.trees import kinds
from ..module_utils.rollout_host.trees.base import TreeError
from ..module_utils.rollout_host.vcs.base import VcsError

TREE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
BAD_NAME = "E-bad-tree  to is {to!r}; the name of a tree in {root} was expected, such as r12735."
MISSING = """\
E-tree-missing  {root}/{to} is not there, or is no tree of ours. {current} serves, as before.
  Bring it:  ./runbook.py run deliver"""
WRONG_REVISION = """\
E-tree-wrong-revision  {root}/{to} is at {found}, not at {revid}. {current} serves, as before.
  Bring the right one:  ./runbook.py run deliver"""
NOT_A_LINK = """\
E-not-a-link  {root}/{link} is not a symbolic link to a tree beside it. Nothing was switched.
  See:  ls -l {root}"""
NOTHING_BEFORE = """\
E-nothing-before  {root}/{to} serves, and no other tree is known to have served before it. Nothing was switched.
  See:  ls -l {root}"""


class TreeSwitchError(Exception):
    """An error: the switch cannot be made; the text says why and what to type next."""


Links = Tuple[Optional[str], Optional[str]]  # the trees that current and previous lead to


class Trees:
    """The trees of one host and the links to them."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Take the module's params."""
        self.root, self.params = Path(params["root"]), params

    def link(self, name: str) -> str | None:
        """Return the name of the tree that a link leads to; None if nothing is there. Raises TreeSwitchError."""
        path = self.root / name
        if not os.path.lexists(str(path)):
            return None
        target = Path(os.readlink(str(path))) if path.is_symlink() else Path()
        if (self.root / target).parent != self.root:
            raise TreeSwitchError(NOT_A_LINK.format(root=self.root, link=name))
        return target.name

    def set_link(self, name: str, tree: str) -> None:
        """Make a link lead to a tree, by one rename."""
        new = self.root / f".{name}.new"
        if os.path.lexists(str(new)):  # a run before this one was interrupted
            new.unlink()
        new.symlink_to(tree)
        new.replace(self.root / name)

    def revision(self, tree: str) -> tuple[int | None, str]:
        """Return (revno, revid) of a tree of any kind. Raises TreeError if it is none."""
        return kinds.found(self.root / tree, self.params).revision()

    def told(self, tree: str | None) -> tuple[int | None, str | None]:
        """Return (revno, revid) of a tree; None twice if it was put there by other means than ours."""
        try:
            return self.revision(tree) if tree else (None, None)
        except TreeError:
            return None, None

    def check(self, params: Mapping[str, Any], current: str | None) -> None:
        """Raise TreeSwitchError unless the tree to switch to is there and at the right revision."""
        words = {"root": self.root, "to": params["to"], "revid": params["revid"], "current": current or "nothing"}
        try:
            revno, revid = self.revision(params["to"])
        except TreeError as error:
            raise TreeSwitchError(MISSING.format(**words)) from error
        if params["revid"] not in (None, revid):
            raise TreeSwitchError(WRONG_REVISION.format(found=f"{revno} {revid}", **words))


def plan(trees: Trees, params: Mapping[str, Any]) -> tuple[Links, Links]:
    """Return the links (current, previous) before and after. Raises TreeSwitchError."""
    before = trees.link("current"), trees.link("previous")
    current, previous = before
    if params["back"]:
        if current != params["to"]:
            return before, before
        words = {"root": trees.root, "to": current}
        if previous is None or previous == current or not (trees.root / previous).is_dir():
            raise TreeSwitchError(NOTHING_BEFORE.format(**words))
        return before, (previous, previous)
    trees.check(params, current)
    if current == params["to"]:
        return before, before
    return before, (params["to"], current)


def switch(trees: Trees, before: Links, after: Links) -> None:
    """Set the links that differ; `previous` first, so that an interrupted switch is only repeated."""
    for name, old, new in (("previous", before[1], after[1]), ("current", before[0], after[0])):
        if new != old and new is not None:
            trees.set_link(name, new)


def in_words(links: Links) -> str:
    """Return both links as the diff shows them."""
    return "current -> {}\nprevious -> {}\n".format(*[tree or "nothing" for tree in links])


def main() -> None:
    """Read the arguments, switch, and answer."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "to": {"type": "str", "required": True},
            "revid": {"type": "str"},
            "back": {"type": "bool", "default": False},
            **kinds.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params = module.params
    if not TREE_NAME.match(params["to"]) or params["to"] in ("current", "previous"):
        module.fail_json(msg=BAD_NAME.format(**params))
    trees = Trees(params)
    try:
        before, after = plan(trees, params)
        revno, revid = trees.told(after[0])
        if not module.check_mode:
            switch(trees, before, after)
    except TreeSwitchError as error:
        module.fail_json(msg=str(error))
    except VcsError as error:
        module.fail_json(msg=f"E-tree-unreadable  {error}")
    names = ("current", "previous")
    answer: dict[str, Any] = {"changed": before != after, "before": dict(zip(names, before)), **dict(zip(names, after))}
    answer.update(revno=revno, revid=revid)
    if module._diff:
        answer["diff"] = {"before": in_words(before), "after": in_words(after)}
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
