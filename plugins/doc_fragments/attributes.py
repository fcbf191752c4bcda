"""What modules say of check mode and diff mode, where several say the same."""

from __future__ import annotations


class ModuleDocFragment:
    """Extend `.changes_nothing` where a module only looks, `.no_diff` where it shows no differences."""

    CHANGES_NOTHING = r"""
attributes:
  check_mode:
    description: Does the same as always, because it changes nothing.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
"""

    NO_DIFF = r"""
attributes:
  diff_mode:
    description: There is no difference to show.
    support: none
"""
