"""What every kind of service does alike: it is looked at, paused, verified, and comes back exactly as it was (R5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_host.services import switching
from plugins.module_utils.rollout_host.services.kinds.base import ServiceError
from plugins.module_utils.rollout_host.services.kinds.table import KINDS, OPTIONS, restarted, services
from plugins.module_utils.rollout_host.services.record import Records
from tests.modules.service_samples import TOKEN, Sample, sample
from tests.modules.systemd_user import Systemd, running

DEFAULTS = {name: option.get("default") for name, option in OPTIONS.items()}


@pytest.fixture(scope="module")
def systemd() -> Iterator[Systemd]:
    with running() as made:
        yield made


@pytest.fixture(params=list(KINDS))
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sample]:
    instance = request.getfixturevalue("systemd") if request.param == "systemd" else None
    with sample(request.param, tmp_path / "service", instance) as made:
        yield made


class Host:
    """What the module does on a host, called as it calls it."""

    def __init__(self, directory: Path) -> None:
        self.records = Records(str(directory / "state"))

    def pause(self, *samples: Sample, check: bool = False, seconds: float = 60) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        made = services([{**DEFAULTS, **each.entry} for each in samples], seconds)
        switching.pause_all(made, self.records, 0, done, check=check)
        return done

    def resume(self, *samples: Sample, check: bool = False) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        made = services([{**DEFAULTS, **each.entry} for each in samples], 60)
        for error in switching.resume_all(made, self.records, done, check=check):
            raise error
        return done

    def left(self) -> list[str]:
        return [each.name for each in self.records.directory.iterdir()] if self.records.directory.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_it_is_paused_and_comes_back_exactly_as_it_was(host: Host, service: Sample) -> None:
    before = service.state()
    (seen,) = host.pause(service, check=True)
    assert (seen["changed"], service.state(), host.left()) == (True, before, [])

    (paused,) = host.pause(service)
    assert (paused["changed"], paused["was"], paused["still_running"]) == (True, "running", [])
    assert not service.at_work()
    assert not host.pause(service)[0]["changed"]

    assert host.resume(service, check=True)[0]["changed"]
    assert not service.at_work()
    (back,) = host.resume(service)
    assert (back["changed"], back["was"], service.at_work()) == (True, "running", True)
    assert (service.state(), host.left()) == (before, [])
    assert not host.resume(service)[0]["changed"]


def test_what_was_paused_before_the_window_stays_so(host: Host, service: Sample) -> None:
    service.by_hand(paused=True)
    before = service.state()
    for _ in range(2):
        (paused,) = host.pause(service)
        assert (paused["changed"], paused["was"]) == (False, "paused")
    (back,) = host.resume(service)
    assert (back["changed"], back["was"], service.at_work()) == (False, "paused", False)
    assert (service.state(), host.left()) == (before, [])


def test_a_pause_that_was_killed_anywhere_is_made_up_for(host: Host, service: Sample) -> None:
    """Killed after the record, before the deed: it can be paused, or resumed at once."""
    before = service.state()
    (made,) = services([{**DEFAULTS, **service.entry}], 60)
    for then in (host.pause, host.resume):
        host.records.write(made.name, was_paused=False, was=dict(made.look().was))
        then(service)
        host.resume(service)
        assert (service.state(), host.left()) == (before, [])


def test_somebody_who_resumes_it_by_hand_meanwhile_is_no_obstacle(host: Host, service: Sample) -> None:
    before = service.state()
    host.pause(service)
    if service.entry["kind"] == "cron":
        Path(service.entry["path"] + ".before-pause").replace(service.entry["path"])  # as its text says
    else:
        service.by_hand(paused=False)
    host.resume(service)
    assert (service.state(), host.left()) == (before, [])


def test_they_are_paused_in_order_and_resumed_in_reverse(host: Host, tmp_path: Path) -> None:
    with ExitStack() as stack:
        samples = [stack.enter_context(sample(kind, tmp_path / kind)) for kind in ("banner", "http", "command")]
        assert [each["kind"] for each in host.pause(*samples)] == ["banner", "http", "command"]
        assert [each["kind"] for each in host.resume(*samples)] == ["command", "http", "banner"]


def test_one_that_cannot_be_paused_leaves_those_after_it_alone(host: Host, tmp_path: Path) -> None:
    with sample("flag", tmp_path / "a") as first, sample("cron", tmp_path / "b") as second:
        first.entry["path"] = str(tmp_path / "no" / "flag")
        with pytest.raises(ServiceError, match="E-no-directory  the flag: there is no directory"):
            host.pause(first, second)
        assert second.at_work()


def test_a_file_that_may_not_be_written_is_told(host: Host, tmp_path: Path) -> None:
    with sample("flag", tmp_path / "a") as flag:
        flag.entry["path"] = "/proc/self/no-flag"
        with pytest.raises(ServiceError, match=r"E-service-file  the flag: /proc/self/.*: "):
            host.pause(flag)


def test_one_that_does_not_come_back_keeps_no_other_from_it(host: Host, tmp_path: Path) -> None:
    with sample("cron", tmp_path / "a") as first, sample("http", tmp_path / "b") as second:
        host.pause(first, second)
        second.entry["token"] += "?"
        with pytest.raises(ServiceError, match="it answered 403"):
            host.resume(first, second)
        assert first.at_work()
        assert host.left() == ["the%20http.json"]  # the next try knows how it was
        second.entry["token"] = TOKEN
        host.resume(first, second)
        assert second.state()["percent"] == 35


def test_a_banner_with_another_time_gives_back_what_was_before_the_first(host: Host, tmp_path: Path) -> None:
    with sample("banner", tmp_path / "a") as banner:
        before = banner.state()
        host.pause(banner)
        banner.entry["text"] = "Back at 10:30"
        assert host.pause(banner)[0]["changed"]
        host.resume(banner)
        assert banner.state() == before


def test_what_a_timer_has_started_is_waited_for(host: Host, systemd: Systemd) -> None:
    """The timer is off, and its job goes on: with a limit, after which people are told what is at work."""
    go_on = systemd.units / "go-on"  # it runs as nobody
    job = f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'until test -e {go_on}; do sleep 0.1; done'\n"
    systemd.unit("nightly.service", job)
    systemd.unit("nightly.timer", "[Timer]\nOnActiveSec=1d\n")
    systemd.ask("start", "nightly.timer")
    systemd.ask("start", "--no-block", "nightly.service")
    timer = Sample()
    timer.entry = {"name": "nightly", "kind": "systemd", "unit": "nightly.timer", "systemctl": systemd.systemctl}
    with pytest.raises(ServiceError) as caught:
        host.pause(timer, seconds=0.3)
    assert str(caught.value).startswith(
        "E-jobs-still-running  nightly is paused, and still at work after 0.3 s: nightly.service is activating\n"
    )
    assert "systemctl --user status nightly.service" in str(caught.value)
    go_on.touch()
    assert host.pause(timer)[0]["was"] == "running"
    host.resume(timer)
    assert systemd.ask("show", "--property", "ActiveState", "--value", "nightly.timer") == "active"


def test_a_unit_that_is_not_there_is_named(host: Host, systemd: Systemd) -> None:
    unit = Sample()
    unit.entry = {"name": "reports", "kind": "systemd", "unit": "no-such.service", "systemctl": systemd.systemctl}
    with pytest.raises(ServiceError, match=r"E-no-unit  reports: systemd has no unit no-such.service \(not-found\)"):
        host.pause(unit)


def test_no_message_has_the_token_or_the_query_of_a_url(host: Host, tmp_path: Path) -> None:
    with sample("http", tmp_path / "a") as flag:
        for change in (
            {"token": "wrong-token"},
            {"paused": {"nothing": 1}},
            {"url": "http://me:pw@127.0.0.1:9/x?key=s3cret"},
        ):
            entry = flag.entry
            flag.entry = {**entry, **change}
            with pytest.raises(ServiceError) as caught:
                host.pause(flag)
            assert not [secret for secret in (TOKEN, "wrong-token", "pw", "s3cret") if secret in str(caught.value)]
            flag.entry = entry


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "systemd"}, "which needs unit as well"),
        ({"kind": "command", "stop": ["true"]}, "which needs start, check as well"),
        ({"kind": "http", "url": "http://127.0.0.1/"}, "which needs paused as well"),
        ({"kind": "command", "stop": ["true"], "start": ["true"], "check": ["false", "x"]}, None),
        (
            {"kind": "command", "stop": ["x"], "start": ["x"], "check": ["no-such-command"]},
            "No such file",
        ),
        ({"kind": "command", "stop": ["true"], "start": ["x"], "check": ["sh", "-c", "exit 4"]}, "exited 4: no word"),
        ({"kind": "command", "stop": ["true"], "start": ["x"], "check": ["true"]}, "still at work after 0.2 s"),
    ],
)
def test_what_an_entry_lacks_or_a_command_says_is_told(host: Host, entry: dict[str, Any], says: str | None) -> None:
    given = Sample()
    given.entry = {"name": "worker", **entry}
    if says is None:
        assert host.pause(given)[0]["was"] == "paused"
        return
    with pytest.raises(ServiceError, match=says):
        host.pause(given, seconds=0.2)


def test_it_is_restarted(systemd: Systemd, tmp_path: Path) -> None:
    with sample("systemd", tmp_path, systemd) as unit, sample("command", tmp_path / "b") as command:
        pids = [systemd.ask("show", "--property", "MainPID", "sample.service"), command.pid.read_text()]  # type: ignore[attr-defined]
        for each in restarted([unit.entry, command.entry], 60):
            each.restart()
        again = [systemd.ask("show", "--property", "MainPID", "sample.service"), command.pid.read_text()]  # type: ignore[attr-defined]
        assert not set(pids) & set(again)
    with pytest.raises(ServiceError, match="E-no-restart"):
        restarted([{"name": "a", "kind": "flag", "path": "/x"}], 1)[0].restart()
    with pytest.raises(ServiceError, match=r"E-service-command  sh -c 'exit 7' exited 7: it said nothing"):
        restarted(["sh", "-c", "exit 7"], 60)[0].restart()
    for wrong in ([{"name": "a"}], [{"name": "a", "kind": "command", "argv": ["x"]}], [["x"]]):
        with pytest.raises(ServiceError, match="E-service-options"):
            restarted(wrong, 60)
