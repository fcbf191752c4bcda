"""The lab's processes, started detached and marked: all of them can be stopped, and never a process of anybody else.

Every process of a lab, down to the last command run on one of its hosts, has in its environment which part of which
lab it belongs to. A pidfile says which process is the part itself; a pid that the system has reused lacks the mark.
Processes without a pidfile, after a crash for example, are found by the mark.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab.layout import PROJECT, LabError
from rollout.engine.processes import marked as with_mark
from rollout.engine.processes import stop

MARK = "ROLLOUT_LAB_PART"
AFRESH = "  Start afresh:  ./runbook.py lab down && ./runbook.py lab up"
READY = 20.0  # seconds a part may take to listen


@dataclass(frozen=True)
class Part:
    """A program that runs as long as the lab does.

    `listens` is None for a program that serves nobody (cron). A `stateful` one must stop while its files are replaced.
    """

    name: str
    argv: list[str]
    environment: Mapping[str, str]
    listens: tuple[str, int] | None
    stateful: bool = True


def running(run: Path, name: str) -> psutil.Process | None:
    """Return the living process of part `name`, if its pidfile in `run` still belongs to one; else None."""
    try:
        process = psutil.Process(int((run / f"{name}.pid").read_text()))
        return process if process.environ().get(MARK) == _mark(run.parent, name) else None
    except (FileNotFoundError, ValueError, psutil.Error):  # not started, starter crashed, gone or a zombie
        return None


def start(directory: Path, part: Part) -> None:
    """Start `part` unless it runs, and return when it listens. Raises LabError if it ends or takes too long."""
    run = directory / "run"
    if running(run, part.name):
        return
    if part.listens and not can_bind(part.listens):
        address = "{}:{}".format(*part.listens)
        raise LabError(f"E-lab-address  {part.name} cannot listen on {address}: another program does.\n{AFRESH}")
    with (run / f"{part.name}.log").open("ab") as log:
        process = subprocess.Popen(
            part.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=PROJECT,
            env={**part.environment, MARK: _mark(directory, part.name)},
            start_new_session=True,
        )
    (run / f"{part.name}.pid").write_text(f"{process.pid}\n")
    deadline = time.monotonic() + READY
    while part.listens and not _answers(part.listens):
        if process.poll() is not None or time.monotonic() > deadline:
            raise _not_ready(run, part, process.poll())
        time.sleep(0.02)


def stop_all(directory: Path, but: Iterable[psutil.Process | None] = ()) -> None:
    """Stop every process of the lab in `directory` except `but`, and again any that was started meanwhile."""
    staying = list(but)
    for _ in range(3):
        left = [process for process in marked(directory) if process not in staying]
        if not left:
            break
        stop(left)


def marked(directory: Path) -> list[psutil.Process]:
    """Return every process of the lab in `directory`, except this one."""
    return with_mark(MARK, _mark(directory, ""))


def ssh_clients(addresses: set[str], port: int) -> list[psutil.Process]:
    """Return the ssh processes connected to one of `addresses`: ControlMaster keeps some alive between commands."""
    pids = {
        c.pid for c in psutil.net_connections("tcp4") if c.raddr and c.raddr.port == port and c.raddr.ip in addresses
    }
    found = []
    for pid in pids - {None}:
        try:
            if psutil.Process(pid).name() == "ssh":
                found.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    return found


def can_bind(address: tuple[str, int]) -> bool:
    """Return True if a server could listen on `address` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


def _mark(directory: Path, name: str) -> str:
    return f"{directory}:{name}"


def _answers(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def _not_ready(run: Path, part: Part, exit_code: int | None) -> LabError:
    log = run / f"{part.name}.log"
    ending = "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-8:])
    what = (
        f"ended at once with exit code {exit_code}" if exit_code is not None else f"does not listen after {READY:.0f} s"
    )
    address = ":".join(map(str, part.listens or ()))
    return LabError(f"E-lab-part  {part.name} ({address}) {what}. The end of {log}:\n{ending}\n{AFRESH}")
