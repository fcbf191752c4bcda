"""RC mode on the lab's PQM, IRC server and branches: the three playbooks, and what happens in between (R13, R15)."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import irc, parts, processes
from lab.layout import DATA, IRC_PORT, PROJECT, Lab
from lab.waiting import eventually
from plugins.module_utils.rollout_core.merge import rc_mode
from rollout.engine.processes import marked as with_mark

OPEN = (DATA / "pqm.conf").read_bytes()
SAID = f"PQM in RC mode | {irc.TOPIC}"
Command = Callable[..., subprocess.CompletedProcess[str]]


def argv(playbook: str, rollout: str = "2026-12", *more: str) -> list[str]:
    variables = json.dumps({"rollout": {"id": rollout}})
    return ["ansible-playbook", f"playbooks/rc_mode_{playbook}.yml", "-e", variables, *more]


@pytest.fixture
def play(ansible: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`play(playbook, rollout) -> its stats`; one that fails gives {"failed": Ansible's output}."""
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "true")
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "json")

    def run(playbook: str, rollout: str = "2026-12", *more: str) -> dict[str, Any]:
        command, *arguments = argv(playbook, rollout, *more)
        done = ansible(command, *arguments)
        if done.returncode:
            return {"failed": done.stdout}
        found: dict[str, Any] = json.loads(done.stdout.partition("RUN: ")[2])
        return found

    return run


@pytest.fixture
def pqm(lab: Lab, irc_server: Callable[[int], None]) -> Iterator[Path]:
    """PQM's configuration, open; it is so again after the test, and the topic as well."""
    path = lab.home("prae") / "pqm.conf"
    assert (path.read_bytes(), lab.topic.read_text()) == (OPEN, irc.TOPIC)
    yield path
    path.write_bytes(OPEN)
    if lab.topic.read_text() != irc.TOPIC:
        irc_server(signal.SIGKILL)
        lab.topic.write_text(irc.TOPIC)
        irc_server(signal.SIGCONT)


@pytest.fixture
def irc_server(lab: Lab) -> Iterator[Callable[[int], None]]:
    """`irc_server(signal)`: what happens to the IRC server; SIGCONT: it runs, whatever happened, as after the test."""
    (part,) = (part for part in parts.parts(lab) if part.name == "irc")

    def happen(what: int) -> None:
        process = processes.running(lab.run, "irc")
        if process:
            process.send_signal(what)
        if process and what == signal.SIGKILL:
            process.wait(20)
        if what == signal.SIGCONT:
            processes.start(lab.directory, part)

    yield happen
    happen(signal.SIGCONT)


def evidence(found: dict[str, Any]) -> str:
    assert "failed" not in found, found["failed"]
    return "\n".join(found["evidence"])


def test_in_and_out(
    lab: Lab, pqm: Path, play: Callable[..., dict[str, Any]], irc_server: Callable[[int], None]
) -> None:
    assert "devel would go in RC mode" in evidence(play("enter", "2026-12", "--check"))
    assert (pqm.read_bytes(), lab.topic.read_text()) == (OPEN, irc.TOPIC)

    first = play("enter")
    assert "on prae: devel is in RC mode since 2" in evidence(first)
    assert f"topic of {irc.CHANNEL}: {SAID}" in evidence(first)
    assert lab.topic.read_text() == SAID
    assert rc_mode.configured(pqm.read_text(), "devel") == (True, rc_mode.OPEN)
    assert rc_mode.configured(pqm.read_text(), "db-devel") == (False, rc_mode.OPEN)
    entered = pqm.read_bytes()
    irc_server(signal.SIGKILL)
    irc_server(signal.SIGCONT)  # it knows the topic still

    taken = play("leave", "2027-01")["failed"]
    assert "E-rc-mode-taken  devel is in RC mode already, for 2026-12 since 2" in taken
    other = play("end_early", "2027-01")
    assert (other["released"], other["why"]) == (True, "devel is in RC mode for 2026-12, not for 2027-01")
    assert (pqm.read_bytes(), lab.topic.read_text()) == (entered, SAID)

    assert "on prae: devel is open again" in evidence(play("leave"))
    assert (pqm.read_bytes(), lab.topic.read_text()) == (OPEN, irc.TOPIC)
    assert play("end_early")["released"] is True  # never entered, or left already
    assert (pqm.read_bytes(), lab.topic.read_text()) == (OPEN, irc.TOPIC)


def test_released_when_devel_is_as_before_and_only_then(
    fresh_lab: Lab, play: Callable[..., dict[str, Any]], on_host: Command
) -> None:
    play("enter")
    pqm = fresh_lab.home("prae") / "pqm.conf"
    entered = pqm.read_bytes()
    tree = "cd archives/rocketfuel/launchpad/devel && "
    merge = (
        f"brz merge -q -r18 {fresh_lab.bazaar_url}db-stable && brz commit -q -m 'Merge db-stable 18.' && brz push -q"
    )
    assert on_host("prae", tree + merge).returncode == 0
    found = play("end_early")
    assert (found["released"], found["why"]) == (False, "devel 10 stands: Merge db-stable 18.")
    assert (pqm.read_bytes(), fresh_lab.topic.read_text()) == (entered, SAID)

    back_out = "brz merge -q -r10..9 . && brz commit -q -m '[rollback=10] Back it out.' && brz push -q"
    assert on_host("prae", tree + back_out).returncode == 0
    found = play("end_early")
    assert (found["released"], found["why"]) == (True, "devel 11 has the content of 9: what landed was taken back")
    assert (pqm.read_bytes(), fresh_lab.topic.read_text()) == (OPEN, irc.TOPIC)


def test_a_topic_that_cannot_be_set_fails_and_says_that_rc_mode_is_on(
    lab: Lab, pqm: Path, play: Callable[..., dict[str, Any]], irc_server: Callable[[int], None]
) -> None:
    irc_server(signal.SIGKILL)
    failed = play("enter")["failed"]
    assert f"E-irc-connection  {lab.irc_address}:{IRC_PORT} cannot be reached" in failed
    assert f"By hand, in {irc.CHANNEL}:  /topic" in failed
    assert "devel itself is in RC mode: only what is release-critical lands." in failed
    assert rc_mode.configured(pqm.read_text(), "devel").in_rc_mode
    failed = play("leave")["failed"]
    assert "devel itself is open, as before." in failed
    assert pqm.read_bytes() == OPEN


def test_killed_between_pqm_and_the_topic_and_then_once_more(
    lab: Lab, pqm: Path, play: Callable[..., dict[str, Any]], irc_server: Callable[[int], None]
) -> None:
    """The server takes the connection and says nothing meanwhile."""
    irc_server(signal.SIGSTOP)
    command, *arguments = argv("enter")
    running = subprocess.Popen(
        [PROJECT / ".venv" / "bin" / command, "-i", "inventories/lab", *arguments],
        cwd=PROJECT,
        env={**os.environ, processes.MARK: f"{lab.directory}:test"},  # its workers have sessions of their own
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("TASK") and "Set the topic or put it back" in line:
            break
    entered = pqm.read_bytes()
    running.kill()
    running.wait(20)
    left = with_mark(processes.MARK, f"{lab.directory}:test")
    processes.stop(left)
    running.stdout.close()
    irc_server(signal.SIGCONT)
    assert rc_mode.configured(entered.decode(), "devel").in_rc_mode
    assert lab.topic.read_text() == irc.TOPIC

    assert f"topic of {irc.CHANNEL}: {SAID}" in evidence(play("enter"))
    assert (pqm.read_bytes(), eventually(lambda: lab.topic.read_text())) == (entered, SAID)
    evidence(play("leave"))
    assert (pqm.read_bytes(), lab.topic.read_text()) == (OPEN, irc.TOPIC)
