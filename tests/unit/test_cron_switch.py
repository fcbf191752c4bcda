"""The switch of the cron jobs: what is on, and how it goes off (R5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.site import cron_switch


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        (None, True),
        ("", True),
        ("junk", True),
        ("[job\nenabled = False", True),
        ("[job]\nenabled = False", False),
        ("[job]\nENABLED: off", False),
        ("[job]\nenabled = 0", False),
        ("[job]\nenabled = perhaps", True),
        ("[job]\nenabled =", True),
        ("[job]\nenabled = no ; for now", True),  # this is not a boolean any more
        ("[job]\n", True),
        ("[another]\nenabled = False", True),
        ("[DEFAULT]\nenabled = False", False),
        ("[DEFAULT]\nenabled = False\n[job]\n", False),
        ("[DEFAULT]\nenabled = False\n[job]\nenabled = True", True),
        ("[job]\nenabled = False\n[job]\nenabled = True", True),
        ("[job]\nenabled = %(x)s", True),
    ],
)
def test_any_failure_to_read_it_means_enabled(text: str | None, enabled: bool) -> None:
    assert cron_switch.enabled(text, "job") is enabled


NAMES = st.lists(st.sampled_from(["a", "b", "soyuz-publisher", "x.y"]), unique=True)


@given(NAMES, st.data())
def test_pausing_turns_off_what_is_named_and_nothing_else(sections: list[str], data: st.DataObject) -> None:
    text = "[DEFAULT]\nnice = %(x)s\n" + "".join(f"[{name}]\nenabled = true\nnice = 3\n" for name in sections)
    names = data.draw(st.lists(st.sampled_from(sections), unique=True)) if sections else []
    paused = cron_switch.paused(text, names, "why\nhow to undo")
    assert paused.startswith("# why\n# how to undo\n")
    assert [name for name in sections if not cron_switch.enabled(paused, name)] == [n for n in sections if n in names]
    assert cron_switch.enabled(paused, "job without a section")
    everything = cron_switch.paused(text, None, "why")
    assert not any(cron_switch.enabled(everything, name) for name in [*sections, "job without a section"])
    assert cron_switch.jobs(everything) == sections


def test_a_job_without_a_section_cannot_be_paused_by_name() -> None:
    with pytest.raises(KeyError, match="typo"):
        cron_switch.paused("[job]\n", ["typo"], "why")
