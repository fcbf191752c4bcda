"""The services run as before the pause (R5): cron jobs on, flags and banners down, nothing of the pause left."""

from __future__ import annotations

import pytest

from plugins.module_utils.rollout_core.site import cron_switch

testinfra_hosts = ["ansible://services"]


@pytest.fixture
def home(host):
    """`home(path)`: a path on the host, with its `~` resolved there."""
    return lambda path: path.replace("~", host.check_output("echo ~"), 1)


@pytest.fixture
def of_kind(variable):
    def services(*kinds):
        found = [service for service in variable("services_paused") if service["kind"] in kinds]
        return found or pytest.skip(f"no {' or '.join(kinds)} on this host")

    return services


def test_cron_jobs_are_enabled(host, of_kind, home):
    for service in of_kind("cron"):
        text = host.file(home(service["path"])).content_string
        wanted = service.get("jobs", ["all"])
        jobs = cron_switch.jobs(text) if wanted == ["all"] else wanted
        disabled = [job for job in jobs if not cron_switch.enabled(text, job)]
        assert not disabled, f"{', '.join(disabled)} off in {service['path']}:\n{text}"


def test_nothing_of_the_pause_is_left(host, home):
    directory = home("~/.rollout/paused")
    left = host.file(directory).listdir() if host.file(directory).exists else []
    assert not left, f"the pause of these was not undone: {', '.join(left)} (in {directory})"


def test_flags_and_banners_are_down(host, of_kind, home):
    for service in of_kind("flag", "banner"):
        file = host.file(home(service["path"]))
        assert not file.exists, f"{service['path']} says {file.content_string!r}"
