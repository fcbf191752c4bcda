"""Whether the tests that failed in the last run may be tried once more: they are few, and nothing else went wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

LAST_FAILED = Path(__file__).parents[1] / "var" / "cache" / "pytest" / "v" / "cache" / "lastfailed"
AT_MOST = 3


def why_not(last_failed: Path = LAST_FAILED) -> str | None:
    """Return why the failed tests are not tried once more, None if they are."""
    try:
        failed = list(json.loads(last_failed.read_text()))
    except (OSError, ValueError):
        failed = []
    if not failed:
        return "no test is on record as failed: what went wrong is above"
    if whole := [name for name in failed if "::" not in name]:
        return f"could not be read: {', '.join(whole)}"
    if faults := [name for name in failed if name.startswith("tests/faults/")]:
        return f"an outage that was killed at some moment is never chance: {', '.join(faults)}"
    if len(failed) > AT_MOST:
        return f"{len(failed)} tests failed, more than {AT_MOST}"
    return None


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(f"E-tests-failed  {reason}")
