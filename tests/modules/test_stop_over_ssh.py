"""Stopping what was begun through sudo, on a real sshd: it is ended, or named with its host and its user (R19)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from lab.waiting import eventually
from rollout import ROOT
from rollout.engine.playbooks import Playbook, PlaybookRun, run_playbook
from tests.modules.ssh_hosts import APP, OPS, SshHost, possible

pytestmark = pytest.mark.skipif(possible() is not None, reason=f"left out: {possible()}")
Stop = Callable[..., PlaybookRun]
RUN = f"2026-12/{os.getpid()}-resume-1"
RESTART = "#!/bin/sh\nsleep 277 &\necho $! >/run/restarting\nwait\n"
BECOME = {"ansible_become": True, "ansible_become_user": APP}
SEEN, HIDDEN = "", "hidepid=invisible"  # how /proc is mounted
ONLY_IT = f"{OPS} ALL=({APP}) NOPASSWD: ALL\n{APP} ALL=(root) NOPASSWD: /srv/restart"
ROOT_TOO = f"{OPS} ALL=(ALL) NOPASSWD: ALL\n{APP} ALL=(root) NOPASSWD: /srv/restart"


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SshHost]:
    made = SshHost(tmp_path / "host", proc=request.param)
    made.start()
    made.program("restart", RESTART)
    yield made
    made.stop()


@pytest.fixture
def site(host: SshHost, tmp_path: Path) -> Path:
    hosts = {"all": {"children": {"services": {"hosts": {"gac": dict(host.variables(**BECOME))}}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (tmp_path / "plan.yml").write_text("rollout: {}\n")
    return tmp_path / "hosts.yml"


@pytest.fixture
def restarting(host: SshHost, site: Path) -> Iterator[Callable[[str], psutil.Process]]:
    """`restarting(sudoers)`: root's process that a task of the run has begun through sudo, and waits for."""
    started: list[subprocess.Popen[bytes]] = []
    sleeping: list[psutil.Process] = []

    def begin(sudoers: str) -> psutil.Process:
        host.sudoers(sudoers)
        work = f"ROLLOUT_RUN='{RUN}' sh -c 'sudo /srv/restart; :'"
        argv = [str(ROOT / ".venv/bin/ansible"), "gac", "-i", str(site), "-m", "shell", "-a", work]
        started.append(subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        pid = host.path("/run/restarting")
        eventually(lambda: pid.exists() and pid.read_text().strip(), "the restart")
        sleeping.append(psutil.Process(int(pid.read_text())))
        return sleeping[0]

    yield begin
    for process in sleeping:
        if process.is_running():
            process.kill()
    for each in started:
        each.wait()


@pytest.fixture
def stop(site: Path, tmp_path: Path) -> Stop:
    """`stop(check=False)`: a run of playbooks/stop.yml."""
    count = iter(range(9))

    def call(check: bool = False) -> PlaybookRun:
        asked = {"stop_run": RUN, "stop_grace_seconds": 1}
        runs = tmp_path / "runs"
        runs.mkdir(exist_ok=True)
        plan = tmp_path / "plan.yml"
        return run_playbook(Playbook("stop", site, plan, asked, runs / str(next(count)), check=check, aloof=True))

    return call


def told(run: PlaybookRun) -> str:
    survivors: list[Any] = run.stats["survivors"]
    return "\n".join(survivors)


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("host", [SEEN], indirect=True)
def test_what_root_may_end_is_ended(restarting: Callable[[str], psutil.Process], stop: Stop) -> None:
    process = restarting(ROOT_TOO)
    run = stop()
    assert (run.ok, told(run)) == (True, ""), run.message
    assert not lives(process)
    assert "gac: ended pid" in "\n".join(run.stats["evidence"])
    again = stop()
    assert (again.ok, told(again)) == (True, "")


@pytest.mark.parametrize(
    ("host", "whose"),
    [(SEEN, "root"), (HIDDEN, "a user whom this host hides")],
    indirect=["host"],
    ids=["seen", "hidden"],
)
def test_what_nobody_may_end_is_named_and_stays_named(
    restarting: Callable[[str], psutil.Process], stop: Stop, whose: str
) -> None:
    process = restarting(ONLY_IT)
    for found in (stop(check=True), stop(), stop(check=True), stop()):
        assert lives(process)
        assert told(found).startswith("gac: pid ")
        assert f"(of {whose})" in told(found), "also when what began it is gone"
    process.kill()
    eventually(lambda: told(stop()) == "", "nothing is left, and nothing is named")
