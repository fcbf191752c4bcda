"""What an outage's estimate is made with."""

from __future__ import annotations


class ModuleDocFragment:
    """From seconds on staging to minutes of the window (R2, R9)."""

    DOCUMENTATION = r"""
options:
  factor:
    description: How many times as long a patch takes on production (R9).
    type: float
    required: true
  plus_minutes:
    description: The minutes that are added to the time of the patches (R9).
    type: float
    required: true
  window_minutes:
    description: Length of the window (R2).
    type: float
    required: true
"""
