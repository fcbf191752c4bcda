"""One rollout of a service at a time on this machine: a lock in the home, whatever the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout import ROOT
from rollout.journal import service_lock
from rollout.outcomes import ExitCode, RunbookError, ServiceLockedError

HOLD = """
import sys
from pathlib import Path
from rollout.journal import service_lock
with service_lock.held("launchpad", Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def another_at_work(home: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", HOLD, "/clone/var/rollouts/2026-12"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, cwd=ROOT, **pipes) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate("")


def held_by_us() -> None:
    with service_lock.held("launchpad", Path("/ours/2026-12.2")):
        pass


def test_the_second_hears_who_where_since_when_and_with_which_plan(another_at_work: subprocess.Popen[str]) -> None:
    with pytest.raises(ServiceLockedError) as refused:
        held_by_us()
    said = str(refused.value)
    assert refused.value.exit_code is ExitCode.LOCKED
    assert said.startswith("E-locked  launchpad is being rolled out already: 2026-12 by ")
    for told in (os.uname().nodename, str(ROOT), " since ", "/clone/var/rollouts/2026-12/plan.yml"):
        assert told in said


def test_another_service_is_free(another_at_work: subprocess.Popen[str]) -> None:
    with service_lock.held("bugs", Path("/ours/2026-12")):
        pass


def test_it_is_free_once_the_other_is_gone_whatever_the_file_says(another_at_work: subprocess.Popen[str]) -> None:
    another_at_work.kill()
    another_at_work.wait()
    assert "2026-12" in service_lock.place("launchpad").read_text()
    held_by_us()


def test_what_somebody_else_wrote_is_not_believed(another_at_work: subprocess.Popen[str]) -> None:
    service_lock.place("launchpad").write_text("no JSON")
    with pytest.raises(ServiceLockedError, match="by somebody on this machine"):
        held_by_us()


def test_it_is_private(home: Path) -> None:
    place = service_lock.place("launchpad")
    with service_lock.held("launchpad", home / "2026-12"):
        assert [oct(path.stat().st_mode & 0o777) for path in (place, place.parent)] == ["0o600", "0o700"]
    assert not place.parent.exists(), "nothing is left in the home"


def test_a_home_that_cannot_be_written_is_named(home: Path) -> None:
    (home / ".rollout").write_text("a file")
    with pytest.raises(RunbookError, match=r"^E-no-lock  .*lock-launchpad-\w{8} cannot be opened"):
        held_by_us()


def test_two_services_never_share_a_lock() -> None:
    assert service_lock.place("a b") != service_lock.place("a-b")
