"""Numbers and times without end in what other programs wrote: a diff, a log, a script's output."""

import pytest

from plugins.module_utils.rollout_core.schema import budget, full_update
from plugins.module_utils.rollout_core.site import cowboys
from plugins.module_utils.rollout_core.time import timeline

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "hunk", [f"-{DIGITS},1 +1,1", f"-1,{DIGITS} +1,1", f"-1 +{DIGITS}", f"-1,1 +1,{DIGITS}", "-1,9999999999 +1"]
)
def test_a_hunk_of_so_many_digits(hunk):
    with pytest.raises(cowboys.DiffError, match=r"line 4: a hunk with a number of more than 9 digits"):
        cowboys.parse_diff(f"# why\n--- a/x\n+++ b/x\n@@ {hunk} @@\n-a\n+b\n")


@pytest.mark.parametrize("seconds", ["9" * 400, "9" * 5000, "99999999", "9" * 400 + ".5"])
def test_a_time_that_no_patch_takes(seconds):
    log = f"Applying patches.\n2208-30-0 applied just now in {seconds} seconds\n"
    with pytest.raises(budget.NoTimings, match=r"line 2 tells of more than \d+ seconds"):
        budget.last_restore(log)


def test_a_time_of_many_places_is_one():
    assert budget.last_restore(f"2208-30-0 applied just now in 0.{DIGITS} seconds\n").seconds == {
        "patch-2208-30-0.sql": 1.0
    }


@pytest.mark.parametrize("took", [f"{DIGITS}:00:00", f"0:00:{DIGITS}", f"{DIGITS} days, 0:00:01", "0:00:1.2.3"])
def test_an_outage_of_a_time_that_is_none(took):
    assert full_update.outage_seconds(full_update.read(f"Outage complete. {took}\n")) is None


def test_a_patch_of_a_time_that_is_none_has_none():
    assert full_update.read(f"2208-30-0 applied just now in {DIGITS} seconds\n").seconds == {}


@pytest.mark.parametrize("text", [f"{DIGITS}h", f"-{DIGITS}m", "²h", "9999999999999s"])
def test_a_duration_of_so_many_digits(text):
    with pytest.raises(ValueError, match="is not a duration such as -48h"):
        timeline.parse_duration(text)


@pytest.mark.parametrize(
    "text", [DIGITS, f"{DIGITS}-12-09T08:00:00Z", "2026-12-09T08:00:00+99:99", "0001-01-01T00:00:00+14:00"]
)
def test_an_instant_that_there_is_not(text):
    with pytest.raises(ValueError, match="is not an instant"):
        timeline.parse_instant(text)
