"""The services_switch module on real files, with real processes that hold the locks (R5)."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_core.site import cron_switch
from tests.modules.service_samples import TOKEN, sample

ORIGINAL = """; who may run when, see the cron guide\r
[DEFAULT]
enabled = True

[soyuz-publisher]
Enabled: yes
nice = %(level)s
[translations-export]
enabled = True
[expire-questions]
"""
START = "2026-12-09T08:00:00+00:00"
NOT_WAITING = {"timeout_seconds": 0, "settle_seconds": 0}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory with the switch of the cron jobs, its lock directory and room for a banner."""
    (tmp_path / "cron.ini").write_bytes(ORIGINAL.encode())
    (tmp_path / "cron.ini").chmod(0o640)
    (tmp_path / "locks").mkdir()
    return tmp_path


def cron(host: Path, jobs: list[str]) -> dict[str, Any]:
    """The cron jobs of the host, as an inventory has them."""
    files = {"path": str(host / "cron.ini"), "lock_directory": str(host / "locks")}
    return {"name": "cron", "kind": "cron", **files, "jobs": jobs}


def told(result: dict[str, Any]) -> dict[str, Any]:
    """The answer, with each service by its name as well."""
    return {**result, **{service["name"]: service for service in result.get("services", [])}}


@pytest.fixture
def switch(run_module, host):
    def run(state: str, check: bool = False, **options):
        services = [{"name": "banner", "kind": "banner", "path": str(host / "+maintenancetime.txt")}]
        services = services if options.pop("banner", True) else []
        jobs = options.pop("jobs", ["soyuz-publisher", "translations-export"])
        services += [cron(host, jobs)] if options.pop("cron", True) else []
        args = {"state": state, "services": services, "window_start": START, **NOT_WAITING, **options}
        args["state_directory"] = str(host / "state")
        return told(run_module("services_switch", {k: v for k, v in args.items() if v is not None}, check, diff=True))

    return run


@pytest.fixture
def holder(host):
    """`holder(job)`: a process that holds the job's lock until it is told to end, as a running job does."""
    code = (
        "import os, pathlib, sys\n"
        "lock = pathlib.Path(sys.argv[1])\n"
        "lock.write_text(f'{os.getpid()}\\n'); print('held', flush=True); sys.stdin.read(); lock.unlink()\n"
    )
    started = []

    def hold(job: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", code, str(host / "locks" / f"launchpad-{job}.lock"), job]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.communicate()


def ok(result):
    assert not result["failed"], result["msg"]
    return result


def files(host: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(host.iterdir()) if path.is_file()}


def test_pause_and_resume_give_back_the_original_byte_for_byte(switch, host):
    ini = host / "cron.ini"
    original = (ini.stat().st_ino, ini.stat().st_mtime_ns)
    result = ok(switch("paused"))
    assert result["changed"]
    assert result["cron"]["text"] == "soyuz-publisher, translations-export off"
    assert result["banner"]["text"] == f"+maintenancetime.txt is there: {START}"
    assert result["diff"][0]["after"] == START + "\n"
    assert result["diff"][1]["before"].startswith("; who may run when")
    text = ini.read_text()
    assert f"mv {ini}.before-pause {ini}" in text
    assert [job for job in cron_switch.jobs(text) if cron_switch.enabled(text, job)] == ["expire-questions"]
    assert ini.stat().st_mode & 0o777 == 0o640
    paused = files(host)
    assert paused["cron.ini.before-pause"] == ORIGINAL.encode()
    assert not ok(switch("paused"))["changed"]
    assert files(host) == paused
    result = ok(switch("running"))
    assert (result["changed"], result["cron"]["text"]) == (True, "soyuz-publisher, translations-export on")
    assert result["cron"]["kept"] is None
    assert files(host) == {"cron.ini": ORIGINAL.encode()}
    assert (ini.stat().st_ino, ini.stat().st_mtime_ns) == original
    assert not ok(switch("running"))["changed"]


def test_all_pauses_jobs_without_a_section_too(switch, host):
    result = ok(switch("paused", jobs=["all"]))
    assert result["cron"]["text"] == "soyuz-publisher, translations-export, expire-questions off"
    text = (host / "cron.ini").read_text()
    assert not cron_switch.enabled(text, "a-job-that-nobody-listed")
    assert not ok(switch("paused", jobs=["all"]))["changed"]
    ok(switch("running", jobs=["all"]))
    assert (host / "cron.ini").read_bytes() == ORIGINAL.encode()


def test_check_mode_shows_the_change_and_who_runs_now(switch, host, holder):
    process = holder("soyuz-publisher")
    result = ok(switch("paused", check=True))
    assert result["changed"]
    assert result["cron"]["text"] == "soyuz-publisher, translations-export on"
    assert [step["before_header"] for step in result["diff"]] == [
        str(host / "+maintenancetime.txt"),
        str(host / "cron.ini"),
    ]
    (running,) = result["cron"]["still_running"]
    assert running.startswith(f"soyuz-publisher: it runs, pid {process.pid}: ")
    assert files(host) == {"cron.ini": ORIGINAL.encode()}
    ok(switch("paused", jobs=["translations-export"]))
    paused = files(host)
    assert ok(switch("running", check=True))["changed"]
    assert files(host) == paused


def test_an_interruption_at_any_point_is_made_up_for(switch, host):
    os.link(host / "cron.ini", host / "cron.ini.before-pause")  # linked, but not switched yet
    ok(switch("paused"))
    assert files(host)["cron.ini.before-pause"] == ORIGINAL.encode()
    ok(switch("running"))
    assert files(host) == {"cron.ini": ORIGINAL.encode()}
    os.link(host / "cron.ini", host / "cron.ini.before-pause")
    assert ok(switch("running"))["changed"]
    assert files(host) == {"cron.ini": ORIGINAL.encode()}
    ok(switch("paused"))
    (host / "cron.ini").unlink()  # resumed half: the edited one was moved away, the original not back yet
    ok(switch("running"))
    assert files(host) == {"cron.ini": ORIGINAL.encode()}


def test_what_somebody_edited_while_paused_is_kept(switch, host):
    ok(switch("paused"))
    edited = (host / "cron.ini").read_text() + "[new-job]\nenabled = False\n"
    (host / "cron.ini").write_text(edited)
    result = ok(switch("running"))
    assert result["cron"]["kept"] == f"what was edited during the pause is in {host}/cron.ini.while-paused"
    assert files(host) == {"cron.ini": ORIGINAL.encode(), "cron.ini.while-paused": edited.encode()}


def test_a_pause_on_top_of_somebody_elses_edit_is_refused(switch, host):
    ok(switch("paused", banner=False))
    (host / "cron.ini").write_text(ORIGINAL)
    before = files(host)
    result = switch("paused", banner=False)
    assert result["failed"]
    assert result["msg"].splitlines()[0] == (
        f"E-cron-changed  {host}/cron.ini.before-pause is there from a pause, but {host}/cron.ini does not pause "
        "soyuz-publisher, translations-export."
    )
    assert files(host) == before


def test_jobs_that_were_off_before_stay_off(switch, host):
    off = ORIGINAL.replace("Enabled: yes", "Enabled: no")
    (host / "cron.ini").write_bytes(off.encode())
    ok(switch("paused"))
    assert ok(switch("running"))["cron"]["text"] == "translations-export on; soyuz-publisher off"
    assert (host / "cron.ini").read_bytes() == off.encode()


def test_a_running_job_is_waited_for(start_module, host, holder):
    process = holder("soyuz-publisher")
    other = holder("expire-questions")  # not asked for
    args = {"state": "paused", "services": [cron(host, ["soyuz-publisher"])], "settle_seconds": 0}
    args["state_directory"] = str(host / "state")
    running = start_module("services_switch", {**args, "timeout_seconds": 60})
    while not (host / "cron.ini.before-pause").exists():
        assert running.process.poll() is None
    assert running.process.poll() is None  # switched off, and waiting
    process.communicate()
    result = told(ok(running.result()))
    assert (result["cron"]["still_running"], result["cron"]["text"]) == ([], "soyuz-publisher off")
    assert other.poll() is None


def test_a_job_that_does_not_end_is_named(switch, host, holder):
    process = holder("soyuz-publisher")
    (host / "locks" / "launchpad-translations-export.lock").write_text("")
    result = switch("paused")
    assert result["failed"]
    lines = result["msg"].splitlines()
    assert lines[0].startswith(
        "E-jobs-still-running  cron is paused, and still at work after 0 s:"
        f" soyuz-publisher: it runs, pid {process.pid}: {sys.executable} -c "
    )
    assert lines[1].endswith(f"Look:  ps -fp {process.pid};  cat {host}/locks/launchpad-translations-export.lock")
    text = (host / "cron.ini").read_text()  # the switch itself stays off
    assert not any(cron_switch.enabled(text, job) for job in ("soyuz-publisher", "translations-export"))


def test_a_lock_of_a_dead_process_is_not_held(switch, host, holder):
    process = holder("soyuz-publisher")
    process.kill()
    process.communicate()
    assert (host / "locks" / "launchpad-soyuz-publisher.lock").exists()
    result = ok(switch("paused"))
    assert result["cron"]["still_running"] == []
    (stale,) = result["cron"]["stale"]
    assert f"there is no process {process.pid}" in stale


def lock_of(host: Path, job: str, pid: object) -> Path:
    lock = host / "locks" / f"launchpad-{job}.lock"
    lock.write_text(f"{pid}\n")
    return lock


def test_a_pid_that_somebody_else_has_got_since_holds_no_lock(switch, host, holder):
    """The lock is older than the process: the job is gone, and its number was given again."""
    lock = lock_of(host, "soyuz-publisher", os.getpid())
    os.utime(lock, (0, 0))
    running = holder("translations-export")
    for check in (True, False):
        result = switch("paused", check=check, timeout_seconds=0)
        (stale,) = result["cron"]["stale"]
        assert stale.startswith(f"soyuz-publisher: its lock is stale, and not waited for: process {os.getpid()} ")
        assert "after the lock was written (1970-01-01 00:00:00 UTC): it is another one" in stale
        (still,) = result["cron"]["still_running"]
        assert f"pid {running.pid}: " in still
    assert result["msg"].splitlines()[-1].strip() == stale
    assert f"ps -fp {running.pid}\n" in result["msg"]
    assert lock.exists()


def test_who_has_locked_the_file_holds_it_whatever_the_clock_says(switch, host):
    """A clock that was set on makes a running job look as if it had begun after it wrote its lock."""
    lock = lock_of(host, "soyuz-publisher", os.getpid())
    os.utime(lock, (0, 0))
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = switch("paused", check=True)
    (still,) = result["cron"]["still_running"]
    assert (f"pid {os.getpid()}: " in still, result["cron"]["stale"]) == (True, [])


def test_a_job_that_has_ended_and_that_nobody_took_note_of_holds_no_lock(switch, host, holder):
    process = holder("soyuz-publisher")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ok(switch("paused"))["cron"]["still_running"] == []


@pytest.mark.parametrize("content", ["", "soon", "-1", "12 13", "9" * 5000, "²"])
def test_a_lock_that_names_no_process_is_held(switch, host, content):
    lock_of(host, "soyuz-publisher", content)
    result = switch("paused", check=True)
    (still,) = result["cron"]["still_running"]
    assert still.startswith("soyuz-publisher: it runs, pid unknown: ")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_no_file_is_held_and_not_waited_for_to_be_read(switch, host, make):
    make(host / "locks" / "launchpad-soyuz-publisher.lock")
    result = switch("paused", check=True)
    (still,) = result["cron"]["still_running"]
    assert still.startswith("soyuz-publisher: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no such file"), ("enabled = True\n", "File contains no section headers."), ("[a\n", "")],
)
def test_a_switch_that_cannot_be_read_switches_nothing_off(switch, host, content, reason):
    (host / "cron.ini").unlink()
    if content is not None:
        (host / "cron.ini").write_text(content)
    before = files(host)
    result = switch("paused")
    assert result["failed"]
    assert result["msg"].startswith(f"E-cron-unreadable  {host}/cron.ini switches nothing off: {reason}")
    assert files(host) == before


def test_a_job_without_a_section_is_refused(switch, host):
    result = switch("paused", jobs=["soyuz-publisher", "soyuz-publsher"])
    assert result["failed"]
    assert result["msg"].splitlines()[0] == (
        f"E-unknown-job  {host}/cron.ini has no section for soyuz-publsher; it has: soyuz-publisher, "
        "translations-export, expire-questions."
    )
    assert files(host) == {"cron.ini": ORIGINAL.encode()}
    for name in ("../../etc/passwd", "all"):
        assert switch("paused", jobs=["soyuz-publisher", name])["msg"].startswith(f"E-unknown-job  {name!r} is not")


@pytest.mark.parametrize("written", ["2026-12-09T08:00:00Z", "2026-12-09 08:00:00+00:00", "2026-12-09T09:00:00+01:00"])
def test_the_banner_is_always_in_utc_and_needs_no_cron(switch, host, written):
    result = ok(switch("paused", cron=False, window_start=written))
    assert (result["changed"], [each["name"] for each in result["services"]]) == (True, ["banner"])
    assert (host / "+maintenancetime.txt").read_text() == START + "\n"
    assert (host / "+maintenancetime.txt").stat().st_mode & 0o777 == 0o644
    assert not ok(switch("paused", cron=False))["changed"]


@pytest.mark.parametrize("written", ["soon", "2026-12-09T08:00:00", "", None])
def test_a_banner_that_the_site_could_not_read_is_refused(switch, host, written):
    result = switch("paused", window_start=written)
    assert result["failed"]
    assert result["msg"].startswith(f"E-banner-time  {written!r} is not a time")
    assert files(host) == {"cron.ini": ORIGINAL.encode()}


def test_a_linked_switch_stays_a_link(switch, host, tmp_path):
    real = host / "etc"
    real.mkdir()
    (host / "cron.ini").rename(real / "real.ini")
    (host / "cron.ini").symlink_to(real / "real.ini")
    ok(switch("paused"))
    assert (host / "cron.ini").is_symlink()
    assert (real / "real.ini.before-pause").read_bytes() == ORIGINAL.encode()
    ok(switch("running"))
    assert sorted(path.name for path in real.iterdir()) == ["real.ini"]


def test_no_answer_has_the_token_of_a_flag(run_module, tmp_path):
    with sample("http", tmp_path / "flag") as flag:
        args = {"services": [flag.entry], "state_directory": str(tmp_path / "state")}
        for state in ("paused", "running"):
            result = ok(run_module("services_switch", {**args, "state": state}, diff=True))
            assert result["changed"]
            assert TOKEN not in str(result)
        assert TOKEN not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
