"""The outage's playbooks by hand, as at 03:00: whatever is lost on the way to the database host, users come back."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lab import processes
from lab.drills.rollout import Rollout
from lab.layout import PROJECT, SSH_PORT
from lab.waiting import eventually

PLAYBOOK = PROJECT / ".venv/bin/ansible-playbook"
BY_HAND = {"ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}


class ByHand:
    """An outage by hand that waits in a patch until the test lets go of a lock."""

    def __init__(self, rollout: Rollout, directory: Path) -> None:
        self.rollout = rollout
        self.output = directory / "output.txt"
        self.blocker = psycopg.connect(rollout.dsn, autocommit=True)
        self.process: subprocess.Popen[str] | None = None

    def argv(self, playbook: str, *arguments: str) -> list[str]:
        given = [
            "-e",
            f"@{self.rollout.directory}/plan.yml",
            "-e",
            f"rollout_journal={self.rollout.directory}/journal.jsonl",
        ]
        return [str(PLAYBOOK), "-vvv", "-i", "inventories/lab", f"playbooks/{playbook}.yml", *given, *arguments]

    def play(self, playbook: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end, with `more` in its environment."""
        environment = {**os.environ, **BY_HAND, **more}
        return subprocess.run(
            self.argv(playbook, *arguments), cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
        )

    def begin(self) -> None:
        """Start the outage, in a session of its own, and wait until a patch waits and has been seen to."""
        self.blocker.execute("BEGIN; LOCK TABLE Branch IN ACCESS SHARE MODE")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                self.argv("outage", "-e", "go=" + self.rollout.directory.name),
                cwd=PROJECT,
                env={**os.environ, **BY_HAND},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: '"running_seconds": ' in self.output.read_text(), "a look at the running outage")

    def break_the_connection(self) -> None:
        """Kill ssh, the one that was kept open for the next task, too."""
        clients = processes.ssh_clients({self.rollout.lab.address("wildcherry")}, SSH_PORT)
        assert clients
        for client in clients:
            client.kill()

    def let_go(self) -> None:
        self.blocker.execute("COMMIT")

    @property
    def progress(self) -> dict[str, Any]:
        """What the outage has told of itself on its host."""
        told: dict[str, Any] = json.loads(
            (self.rollout.lab.home("wildcherry") / ".rollout/progress-launchpad_prod.json").read_text()
        )
        return told

    def limit(self) -> str:
        return self.rollout.sql("SELECT datconnlimit FROM pg_database WHERE datname = 'launchpad_prod'").strip()


def stats_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a playbook told the conductor."""
    stats: dict[str, Any] = json.loads(done.stdout.partition("CUSTOM STATS: ")[2].partition("RUN: ")[2])
    return stats


@pytest.fixture
def by_hand(at_the_window: Rollout, tmp_path: Path) -> Iterator[ByHand]:
    by_hand = ByHand(at_the_window, tmp_path)
    yield by_hand
    by_hand.blocker.close()
    if by_hand.process and by_hand.process.poll() is None:
        os.killpg(by_hand.process.pid, signal.SIGKILL)
        by_hand.process.wait()


def test_a_broken_connection_is_made_anew(by_hand: ByHand) -> None:
    by_hand.begin()
    assert by_hand.limit() == "0", "users are not out"
    third = by_hand.rollout.pinned["patches"][2]
    assert f'"step": "{third}"' in by_hand.output.read_text()
    by_hand.break_the_connection()
    by_hand.let_go()
    assert by_hand.process is not None
    assert by_hand.process.wait(60) == 0, by_hand.output.read_text()
    assert "rows verified: " in by_hand.output.read_text()
    assert by_hand.limit() == "-1"


@pytest.mark.drill
def test_control_machine_is_lost(by_hand: ByHand) -> None:
    by_hand.begin()
    assert by_hand.process is not None
    os.killpg(by_hand.process.pid, signal.SIGKILL)
    by_hand.break_the_connection()
    by_hand.process.wait()
    assert by_hand.limit() == "0", "the outage has ended with it"
    by_hand.let_go()
    eventually(lambda: by_hand.progress["finished"], "the end of the outage")
    assert by_hand.progress["answer"] == "committed"
    assert by_hand.limit() == "-1"
    again = by_hand.play("outage", "-e", "go=" + by_hand.rollout.directory.name)
    assert again.returncode == 0, again.stdout
    assert "no outage: nothing was pending" in again.stdout


def test_stop_then_undo(by_hand: ByHand) -> None:
    before = by_hand.rollout.schema()
    by_hand.begin()
    stopped = by_hand.play("outage_stop")  # the mark of what was played is on the host
    assert stopped.returncode == 0, stopped.stdout
    stats = stats_of(stopped)
    assert (stats["answer"], stats["survivors"]) == ("rolled_back", [])
    assert stats["evidence"][0] == "nothing was kept: the rows are as before; access is open"
    assert by_hand.process is not None
    assert by_hand.process.wait(60) == 2
    assert "E-outage-interrupted  SIGTERM came during 'patch-" in by_hand.output.read_text()
    undone = by_hand.play("outage_undo")
    assert undone.returncode == 0, undone.stdout
    by_hand.let_go()
    assert by_hand.rollout.schema() == before
    assert by_hand.limit() == "-1"


def test_a_run_is_stopped_on_the_hosts_that_answer(by_hand: ByHand) -> None:
    """One host hangs: it is reported as unreachable, and the other is served all the same."""
    run = f"2026-12/{os.getpid()}-switch-1"
    left = subprocess.Popen(["/bin/sleep", "600"], env={**os.environ, "ROLLOUT_RUN": run})
    sshd = processes.running(by_hand.rollout.lab.run, "ssh-gac")
    assert sshd is not None
    sshd.suspend()
    aloof = {"ANSIBLE_TIMEOUT": "2", "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    try:
        stopped = by_hand.play("stop", "--limit", "app", "-e", f"stop_run={run}", **aloof)
    finally:
        sshd.resume()
        left.kill()
    assert left.wait() == -signal.SIGINT, "it was not asked"
    assert stopped.returncode == 4, stopped.stdout
    stats = stats_of(stopped)
    assert (stats["answer"], stats["survivors"]) == ("stopped", [])
    assert stats["evidence"] == [f"soybean: ended pid {left.pid}: /bin/sleep 600", "looked on soybean"]
