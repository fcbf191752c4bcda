#!/usr/bin/python
"""Make a working tree that is exactly one revision of a branch (R12, R18)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bzr_tree
short_description: Have a clean Bazaar working tree at exactly one revision
description:
  - Makes sure that I(dest) is a branch with a working tree at one revision, with nothing changed in it.
  - A tree that is there is refreshed; what is not committed in it is reverted. A new one appears at I(dest) only when
    it is complete.
  - A tree that already is as it should be is left alone, and I(branch) is not even read.
options:
  dest:
    description: The tree, on the host.
    type: path
    required: true
  branch:
    description: Branch that contains the revision, a URL or path.
    type: str
    required: true
  revid:
    description: Id of the revision.
    type: str
  revno:
    description: Number of the revision on I(branch). Give this or I(revid).
    type: int
  shared_repository:
    description: Directory at or above the parent of I(dest) that is to be a shared repository, so that each tree costs
      only its new revisions. Made if it is missing.
    type: path
  clean:
    description: Remove unknown files too, and keep no backups of what is reverted. Ignored files always stay.
    type: bool
    default: false
extends_documentation_fragment: [downtime.runbook.vcs.bzr]
attributes:
  check_mode: {support: full, description: Tells whether the tree would change.}
  diff_mode: {support: full, description: The revisions and the changes that would be lost.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Bring devel 12735 beside the tree that serves
  downtime.runbook.bzr_tree:
    dest: ~/srv/launchpad/r12735
    branch: lp:~launchpad-pqm/launchpad/devel
    revno: 12735
    shared_repository: ~/srv/launchpad
    clean: true
"""

RETURN = r"""
revno:
  description: Number of the revision that the tree is at.
  type: int
  returned: success
  sample: 12735
revid:
  description: Its id.
  type: str
  returned: success
was_exact:
  description: Whether the tree was there already, exactly at the revision. The opposite of C(changed).
  type: bool
  returned: success
previous:
  description: What the tree was at, as C(revno) and C(revid); null if it is new.
  type: dict
  returned: success
reverted:
  description: Changes that were not committed, as C(change) and C(path).
  type: list
  elements: dict
  returned: success
removed:
  description: Unknown files that were in the tree, if I(clean).
  type: list
  elements: str
  returned: success
"""

import shutil
from pathlib import Path
from typing import Any, Collection, Mapping, NoReturn, TypedDict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.vcs.base import FileChange, MissingRevisionError, Numbered, VcsError
from ..module_utils.rollout_host.vcs.bzr import Bazaar

NO_SUCH_REVISION = """\
E-no-such-revision  {branch} does not contain {wanted}; its tip is {tip}.
  See what it has:  {brz} log --show-ids -l 5 {branch}"""
IN_THE_WAY = """\
E-no-tree  {dest} is there and is not a Bazaar tree. Nothing was changed.
  If it may go:  mv {dest} {dest}.old"""
NOT_EXACT = """\
E-tree-not-exact  {dest} is not exactly {wanted}: {what}
  See:  {brz} status {dest}"""


class TreeError(Exception):
    """An error: the tree cannot be brought to the revision; the text says why and what to type next."""


class FoundTree(TypedDict):
    """The tree at dest: the revision of its files, its branch's tip, and what differs from that."""

    tree: Numbered
    tip: Numbered
    reverted: list[FileChange]
    removed: list[str]


class Tree:
    """The tree that the module's arguments ask for."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Take the module's params."""
        self.dest, self.branch, self.clean = Path(params["dest"]), params["branch"], params["clean"]
        self.revid, self.revno, self.bazaar = params["revid"], params["revno"], Bazaar(params["brz_executable"])
        self.repository = params["shared_repository"] and Path(params["shared_repository"])

    def fail(self, text: str, **words: object) -> NoReturn:
        """Raise TreeError with one of the texts above filled in."""
        wanted = self.revid or f"revision {self.revno}"
        brz = self.bazaar.executable
        raise TreeError(text.format(dest=self.dest, branch=self.branch, brz=brz, wanted=wanted, **words))

    def do(self, *argv: object, ok: Collection[int] = (0,), cwd: Path | None = None) -> None:
        """Run the client, in the tree unless `cwd` is given."""
        self.bazaar.run(*argv, cwd=cwd or self.dest, ok=ok)

    def look(self) -> FoundTree | None:
        """Return the tree at dest, None if there is none."""
        if not self.dest.exists():
            return None
        if not (self.dest / ".bzr" / "checkout").is_dir():
            self.fail(IN_THE_WAY)
        return {
            "tree": self.bazaar.tree_revision(self.dest),
            "tip": self.bazaar.revision_info(str(self.dest)),
            "reverted": self.bazaar.uncommitted(self.dest),
            "removed": self.bazaar.unknown(self.dest) if self.clean else [],
        }

    def wanted(self, found: FoundTree | None) -> Numbered:
        """Return the wanted (revno, revid); for a tree that exists, without reading the branch if possible."""
        if found and self.revid == found["tip"][1]:
            return found["tip"]
        try:
            return self.bazaar.revision_info(self.branch, self.revid or self.revno)
        except MissingRevisionError:
            self.fail(NO_SUCH_REVISION, tip=self.bazaar.revision_info(self.branch)[0])

    def exact(self, found: FoundTree | None, wanted: Numbered) -> bool:
        """Return True if the tree found is exactly at the wanted revision."""
        if found is None or found["reverted"] or found["removed"]:
            return False
        return found["tree"] == found["tip"] and found["tip"][1] == wanted[1]

    def create(self, revid: str) -> None:
        """Branch to a directory beside dest and rename it, so that dest is never half a tree."""
        if self.repository and not (self.repository / ".bzr" / "repository").is_dir():
            self.repository.mkdir(parents=True, exist_ok=True)
            self.do("init-shared-repository", "-q", "--", self.repository, cwd=self.repository)
        self.dest.parent.mkdir(parents=True, exist_ok=True)
        part = self.dest.with_name(f".{self.dest.name}.part")
        if part.exists():  # a run before this one was interrupted
            shutil.rmtree(str(part))
        self.do("branch", "-q", "-r", f"revid:{revid}", "--", self.branch, part, cwd=self.dest.parent)
        part.rename(self.dest)

    def refresh(self, revid: str, found: FoundTree) -> None:
        """Bring the tree that was found to the revision, and revert whatever differs."""
        revert = ["revert", "-q"] + (["--no-backup"] if self.clean else [])
        if found["reverted"]:
            self.do(*revert)
        # Both exit 1 where unversioned files stood in the way; what conflicts is reverted.
        if found["tip"][1] != revid:
            self.do("pull", "-q", "--overwrite", "-r", f"revid:{revid}", self.branch, ok=(0, 1))
        if found["tree"] != found["tip"]:  # an interrupted pull has moved the branch and not the files
            self.do("update", "-q", ok=(0, 1))
        self.do(*revert)
        if self.clean:
            self.do("clean-tree", "-q", "--unknown", "--force")


def result(found: FoundTree | None, wanted: Numbered, *, changed: bool) -> dict[str, Any]:
    """Return the module's result."""
    previous = found and dict(zip(("revno", "revid"), found["tree"]))
    lost = {"reverted": found["reverted"] if found else [], "removed": found["removed"] if found else []}
    revision = {"revno": wanted[0], "revid": wanted[1], "previous": previous}
    return {"changed": changed, "was_exact": not changed, **revision, **lost}


def run(tree: Tree, *, check: bool) -> dict[str, Any]:
    """Bring the tree to the revision, unless `check`. Raises TreeError and VcsError."""
    found = tree.look()
    wanted = tree.wanted(found)
    if tree.exact(found, wanted):
        return result(found, wanted, changed=False)
    if check:
        return result(found, wanted, changed=True)
    if found:
        tree.refresh(wanted[1], found)
    else:
        tree.create(wanted[1])
    now = tree.look()
    if not tree.exact(now, wanted):
        tree.fail(NOT_EXACT, what=now)
    return result(found, wanted, changed=True)


def difference(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the module's diff: revisions, and what was lost of the earlier tree."""
    before = "{revno} {revid}\n".format(**answer["previous"]) if answer["previous"] else ""
    lost = [f"{entry['change']} {entry['path']}\n" for entry in answer["reverted"]]
    lost += [f"unknown {path}\n" for path in answer["removed"]]
    return {"before": before + "".join(lost), "after": "{revno} {revid}\n".format(**answer)}


def main() -> None:
    """Read the arguments, bring the tree to the revision, and answer."""
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "branch": {"type": "str", "required": True},
            "revid": {"type": "str"},
            "revno": {"type": "int"},
            "shared_repository": {"type": "path"},
            "clean": {"type": "bool", "default": False},
            "brz_executable": {"type": "str", "default": "brz"},
        },
        required_one_of=[("revid", "revno")],
        mutually_exclusive=[("revid", "revno")],
        supports_check_mode=True,
    )
    if module.params["branch"].startswith("-"):
        module.fail_json(msg=f"E-bad-branch  branch is {module.params['branch']!r}; a path or URL was expected.")
    try:
        answer = run(Tree(module.params), check=module.check_mode)
    except TreeError as error:
        module.fail_json(msg=str(error))
    except VcsError as error:
        module.fail_json(msg=f"E-bzr  {error}")
    if module._diff and answer["changed"]:
        answer["diff"] = difference(answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
