"""The list of cowboys, patches that were made by hand in production."""

from __future__ import annotations


class ModuleDocFragment:
    """The list, and the diffs that it names."""

    DOCUMENTATION = r"""
options:
  cowboys:
    description: The list of cowboys, in its order. Their diffs are unified diffs.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Name of the cowboy.
        type: str
        required: true
      who:
        description: The person who is chased until a permanent fix has landed.
        type: str
        required: true
      why:
        description: What the cowboy is for, in one line.
        type: str
        required: true
      bug:
        description: Number of its bug.
        type: int
      diff:
        description: A key of O(diffs), usually the path of the diff beside the production status.
        type: str
        required: true
      tree:
        description: Directory inside the tree that the paths of the diff start from.
        type: str
        default: .
      hosts:
        description: Inventory names of the hosts that the cowboy belongs on. The default is every host.
        type: list
        elements: str
  diffs:
    description: Texts of the diffs, by the name that a cowboy has for its diff.
    type: dict
    required: true
"""
