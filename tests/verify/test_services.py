"""The services run as they did before the pause (R5): cron jobs on, banner down, nothing of the pause left."""

from __future__ import annotations

import pytest

from plugins.module_utils.rollout_core.site import cron_switch

testinfra_hosts = ["ansible://services"]


def test_cron_jobs_are_enabled(host, path, variable):
    if not path("services_cron_ini"):
        pytest.skip("no cron jobs on this host")
    text = host.file(path("services_cron_ini")).content_string
    wanted = variable("services_jobs")
    jobs = cron_switch.jobs(text) if wanted == ["all"] else wanted
    disabled = [job for job in jobs if not cron_switch.enabled(text, job)]
    assert not disabled, f"{', '.join(disabled)} off in {path('services_cron_ini')}:\n{text}"


def test_nothing_of_the_pause_is_left(host, path):
    leftover = path("services_cron_ini") + ".before-pause"
    assert not host.file(leftover).exists, f"{leftover} is there: the pause was not undone"


def test_maintenance_banner_is_down(host, path):
    banner = path("services_banner")
    assert not (banner and host.file(banner).exists), f"{banner} says {host.file(banner).content_string!r}"
