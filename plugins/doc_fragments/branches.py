"""The two branches of a merge."""

from __future__ import annotations


class ModuleDocFragment:
    """The branch that is merged and the branch that it is merged into."""

    DOCUMENTATION = r"""
options:
  db_stable:
    description: The branch to merge from. A URL or path; in git, C(LOCATION#BRANCH).
    type: str
    required: true
  devel:
    description: The branch to merge into, as everybody reads it. A URL or path; in git, C(LOCATION#BRANCH).
    type: str
    required: true
"""
