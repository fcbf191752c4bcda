"""A playbook that is not heard of: for whom it waits, and at what, said once and then now and then."""

from __future__ import annotations

from rollout.engine.silence import AGAIN_SECONDS, FIRST_SECONDS, Silence

LONG = FIRST_SECONDS + 1


def test_it_names_hosts_and_their_task_once():
    silence = Silence(0.0)
    silence.hear(1.0, "runner_on_start", "gac", "Pause")
    silence.hear(1.0, "runner_on_start", "soybean", "Pause")
    silence.hear(2.0, "runner_on_ok", "soybean", "Pause")
    assert silence.line(2.0 + FIRST_SECONDS - 1) is None
    assert silence.line(2.0 + LONG) == f"… nothing heard for {LONG:.0f} s; it waits for gac to end: Pause"
    assert silence.line(3.0 + LONG) is None
    assert silence.line(2.0 + LONG + AGAIN_SECONDS)


def test_what_is_heard_begins_it_anew():
    silence = Silence(0.0)
    silence.hear(1.0, "runner_on_start", "gac", "Pause")
    assert silence.line(LONG + 1)
    silence.hear(LONG + 2, "runner_retry", "gac", "Pause")
    assert silence.line(LONG + 3) is None
    assert "gac to end: Pause" in (silence.line(LONG + 2 + LONG) or "")


def test_before_anything_was_heard_it_waits_for_ansible():
    assert Silence(0.0).line(LONG) == f"… nothing heard for {LONG:.0f} s; it waits for Ansible to begin"
