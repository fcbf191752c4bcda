#!/usr/bin/python
"""Have a tree that is exactly one revision, from Bazaar, git or an archive (R12, R18)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_tree
short_description: Have a clean tree at exactly one revision
description:
  - Makes sure that O(dest) has the files of one revision, with nothing changed in them.
  - A tree that is there is refreshed; what was changed in it is reverted. A new one appears at O(dest) only when it is
    complete.
  - A tree that already is as it should be is left alone, and nothing is read over the network for it.
options:
  dest:
    description: The tree, on the host.
    type: path
    required: true
  branch:
    description: Branch that contains the revision, a URL or path; in git LOCATION#BRANCH. Not for an archive.
    type: str
  revid:
    description: Id of the revision; in git the full hash. Of an archive, what the site has packed it from.
    type: str
  revno:
    description: Number of the revision on O(branch), its place on the line of first parents. O(revid) counts if both
      are given; of an archive the number is noted beside it.
    type: int
  store:
    description:
      - Directory at or above the parent of O(dest) in which trees share what they have in common, so that each costs
        only its new revisions. Made if it is missing.
      - For Bazaar it becomes a shared repository. For git it gets a bare repository C(.store.git), from which every
        checkout borrows; the default is the parent of O(dest). An archive needs none.
    type: path
  archive:
    description: For O(kind=archive), the tar (plain, gz, bz2 or xz) or zip, a path of the host or a URL (https, http,
      file). C(~/.netrc) of the host may have a name and password for it.
    type: str
  sha256:
    description: SHA-256 of that archive, as 64 hexadecimal digits.
    type: str
  strip:
    description: How many leading directories of the archive's paths are left out.
    type: int
    default: 0
  deliver_command:
    description: For O(kind=command), an argv that fills a directory which is there and empty. In its words
      C({directory}), C({revid}) and C({revno}) are filled in; it runs in that directory, without a shell.
    type: list
    elements: str
    default: []
  version_command:
    description: For O(kind=command), an argv, likewise, that prints which revision was delivered, as number or id (7
      characters will do).
    type: list
    elements: str
    default: []
  clean:
    description: Remove unknown files too, and keep no copies of what is reverted. Ignored files always stay; of an
      archive, those are what Python compiles.
    type: bool
    default: false
extends_documentation_fragment: [downtime.runbook.app_tree]
attributes:
  check_mode: {support: full, description: Tells whether the tree would change.}
  diff_mode: {support: full, description: The revisions and the changes that would be lost.}
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Bring devel 12735 beside the tree that serves
  downtime.runbook.app_tree:
    dest: ~/srv/launchpad/r12735
    branch: lp:~launchpad-pqm/launchpad/devel
    revno: 12735
    store: ~/srv/launchpad
    clean: true

- name: Bring a revision of git's main
  downtime.runbook.app_tree:
    kind: git
    dest: /srv/app/c3fd3a4bd8b5
    branch: ssh://git@git.example.com/app#main
    revid: c3fd3a4bd8b5b0e1b7a1b7a5d3f2fd0d53e9a3f1
    store: /srv/app
    clean: true

- name: Bring what the build has packed
  downtime.runbook.app_tree:
    kind: archive
    dest: /srv/app/r812
    archive: https://builds.example.com/app-812.tar.xz
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    revid: c3fd3a4bd8b5b0e1b7a1b7a5d3f2fd0d53e9a3f1
    revno: 812
    clean: true

- name: Bring a Debian package's files
  downtime.runbook.app_tree:
    kind: command
    dest: /srv/app/r812
    deliver_command: [dpkg-deb, -x, "/srv/packages/app_{revno}_all.deb", "{directory}"]
    version_command: [cat, usr/share/app/REVISION]
    revid: c3fd3a4bd8b5b0e1b7a1b7a5d3f2fd0d53e9a3f1
    revno: 812
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
  description: What the tree was at, as C(revno) and C(revid); null if it is new, or was not whole.
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

import os
import re
import tempfile
from pathlib import Path
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_host.trees import archive, kinds, own
from ..module_utils.rollout_host.trees.base import AppTree, FoundTree, Source, TreeError
from ..module_utils.rollout_host.vcs.base import Numbered, VcsError

PASSWORD = re.compile(r"[A-Za-z+]+://[^/@]*:[^/]*@")
IN_THE_WAY = """\
E-no-tree  {dest} is there and is not a tree of {title}. Nothing was changed.
  If it may go:  mv {dest} {dest}.old"""
NOT_EXACT = """\
E-tree-not-exact  {dest} is not exactly {wanted}: {what}
  See what differs:  ls -la {dest}"""
UNWRITABLE = """\
E-tree-unwritable  {dest} cannot be brought: {why}. What serves is as it was.
  See:  df -h {parent}"""


def source(params: Mapping[str, Any]) -> Source:
    """Return where the revision comes from. Raises TreeError for options that cannot be meant."""
    branch, revid = params["branch"] or "", params["revid"]
    if params["kind"] == "archive":
        problem = archive.problem(params["archive"] or "", params["sha256"] or "")
        if problem or not revid:
            raise TreeError(f"E-bad-archive  {problem or 'revid is missing; what it was packed from was expected'}.")
    elif params["kind"] == "command":
        problem = own.problem(params["deliver_command"], params["version_command"])
        if problem or not revid:
            raise TreeError(f"E-bad-command  {problem or 'revid is missing; the one that comes was expected'}.")
    elif not branch or branch.startswith("-"):
        raise TreeError(f"E-bad-branch  branch is {branch!r}; a path or URL was expected.")
    elif PASSWORD.match(branch):
        raise TreeError("E-bad-branch  branch has a password in it; use ssh with a key, or a path.")
    elif not revid and params["revno"] is None:
        raise TreeError("E-bad-revision  revid or revno was expected.")
    store = params["store"] and Path(params["store"])
    packed = {"archive": params["archive"] or "", "sha256": params["sha256"] or "", "strip": params["strip"]}
    commands = {"deliver": params["deliver_command"], "version": params["version_command"]}
    return Source(revid=revid, revno=params["revno"], branch=branch, store=store, **packed, **commands)


def look(tree: AppTree, *, clean: bool) -> FoundTree | None:
    """Return the tree that is there, None if there is none. Raises TreeError for anything else."""
    if not os.path.lexists(str(tree.path)):
        return None
    if not tree.is_at(tree.path):
        raise TreeError(IN_THE_WAY.format(dest=tree.path, title=tree.title))
    return tree.look(clean=clean)


def exact(tree: AppTree, found: FoundTree | None, wanted: Numbered) -> bool:
    """Return True if the tree found is exactly at the wanted revision."""
    return found is not None and not (found["reverted"] or found["removed"]) and tree.is_whole(found, wanted)


def result(found: FoundTree | None, wanted: Numbered, *, changed: bool) -> dict[str, Any]:
    """Return the module's result."""
    previous = dict(zip(("revno", "revid"), found["tree"])) if found and found["tree"][1] else None
    lost = {"reverted": found["reverted"] if found else [], "removed": found["removed"] if found else []}
    revision = {"revno": wanted[0], "revid": wanted[1], "previous": previous}
    return {"changed": changed, "was_exact": not changed, **revision, **lost}


def run(tree: AppTree, *, clean: bool, check: bool) -> dict[str, Any]:
    """Bring the tree to the revision, unless `check`. Raises TreeError, VcsError and OSError."""
    found = look(tree, clean=clean)
    with tempfile.TemporaryDirectory(prefix="rollout-tree-") as scratch:
        wanted = tree.wanted(Path(scratch) if check else None)
    if exact(tree, found, wanted):
        return result(found, wanted, changed=False)
    if check:
        return result(found, wanted, changed=True)
    if found:
        tree.refresh(wanted[1], found, clean=clean)
    else:
        tree.create(wanted[1])
    now = look(tree, clean=clean)
    if not exact(tree, now, wanted):
        raise TreeError(NOT_EXACT.format(dest=tree.path, wanted=tree.source.named, what=now))
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
            "branch": {"type": "str"},
            "revid": {"type": "str"},
            "revno": {"type": "int"},
            "store": {"type": "path"},
            "archive": {"type": "str"},
            "sha256": {"type": "str"},
            "strip": {"type": "int", "default": 0},
            "deliver_command": {"type": "list", "elements": "str", "default": []},
            "version_command": {"type": "list", "elements": "str", "default": []},
            "clean": {"type": "bool", "default": False},
            **kinds.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params = module.params
    tree = kinds.named(Path(params["dest"]), params)
    try:
        tree.source = source(params)
        answer = run(tree, clean=params["clean"], check=module.check_mode)
    except TreeError as error:
        module.fail_json(msg=str(error))
    except VcsError as error:
        module.fail_json(msg=f"E-{params['kind']}  {error}")
    except OSError as error:
        module.fail_json(msg=UNWRITABLE.format(dest=tree.path, parent=tree.path.parent, why=error))
    if module._diff and answer["changed"]:
        answer["diff"] = difference(answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
