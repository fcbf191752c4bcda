"""The outage's guardian: a process beside the worker that opens access if the worker cannot (R18, R19).

It hears of the worker's progress through a pipe. It wakes, asks and kills a worker that is past its deadline. It ends a
COMMIT's wait for a synchronous standby, which nobody else could. If the worker is gone without an answer, it ends what
that has left, reads in the database what became of it, opens access and answers. All durations are seconds.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping

from ..access.base import LEFT_CLOSED
from ..connection import RolloutError, take_lock
from ..conninfo import database_name
from ..driver import psycopg
from ..standbys import resume_replay, standbys_of
from ..upgrade_script import end_group_of_run
from .answer import what_became
from .detached import clean_up, result, write_result
from .progress import close
from .remains import Remains, lost, silent
from .worker_file import command

LOOK = 0.5
ASKED_AFTER = 2.0  # past the deadline, without a step since
PATIENCE = 10.0  # past the deadline and the last step's begin
OPENING = 45.0  # the same while it opens access: it tries for 30 itself
STANDBY = 5.0  # so long may a COMMIT wait for a standby
ASKING = 60.0  # a server that restarts
SETTLES = 10.0


def start_worker(pyz: Path, spec_file: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start the worker in a session of its own; return it, and the pipe from which its progress is read."""
    told, tell = os.pipe()
    argv = command(pyz, "outage", spec_file, str(tell))
    worker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=[tell], start_new_session=True)
    os.close(tell)
    return worker, told


class Guardian:
    """The guardian of one worker. `state` and `result` are the last that the worker told."""

    def __init__(self, spec: Mapping[str, Any], worker: subprocess.Popen[bytes], told: int) -> None:
        """Take the outage's parameters `spec` and the pipe `told`; signals to us go to the worker from now on."""
        self.spec = spec
        self.worker = worker
        self.told = told
        self.state: dict[str, Any] | None = None
        self.result: dict[str, Any] | None = None
        self._heard = b""
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: self.worker.send_signal(signal.SIGTERM))

    def watch(self) -> int:
        """Stay until the outage is answered; return the exit code, 0 for an answer of the worker's own."""
        while self._listens():
            self._belts()
        self.worker.wait()
        answer = result(self.spec["answer_file"]) or self.result
        own = answer is not None and "crashed" not in answer
        if not own:
            answer = self._rescued((answer or {}).get("crashed", ""))
            self._told_of_progress(answer)
        if answer != result(self.spec["answer_file"]):
            with suppress(OSError):  # nobody can be told: whoever follows us asks the database
                write_result(self.spec["answer_file"], answer or {})
        clean_up(self.spec["answer_file"])
        return 0 if own else 1

    def _listens(self) -> bool:
        """Wait a moment for a message of the worker; return False once the worker is gone."""
        if not select.select([self.told], [], [], LOOK)[0]:
            return True
        said = os.read(self.told, 65536)
        *lines, self._heard = (self._heard + said).split(b"\n")
        for line in lines:
            with suppress(ValueError):  # a line that was cut off because we did not listen
                for key, value in json.loads(line).items():
                    setattr(self, key, value)
        return bool(said)

    def _belts(self) -> None:
        """Enforce what the worker should: its deadline, and that users do not wait for a standby."""
        state, deadline, now = self.state, self.spec["deadline_seconds"], time.monotonic()
        if not state or not state["steps"]:
            return
        begun, last = state["steps"][0]["since"], state["steps"][-1]
        if state["answer"]:
            if now > last["since"] + PATIENCE:  # whoever follows it waits for a worker that somebody stopped
                self.worker.send_signal(signal.SIGCONT)
            return
        if state["transaction"] and now > last["since"] + STANDBY:
            with suppress(RolloutError, psycopg.Error):
                Remains(self.spec, self.spec["run_id"]).cancel_wait_for_standby()
        if deadline is None:
            return
        quiet = now - max(begun + deadline, last["since"])
        if quiet > ASKED_AFTER and not self._asked:
            self._asked = True
            for number in (signal.SIGALRM, signal.SIGCONT):  # a stopped worker gets the first once the second wakes it
                self.worker.send_signal(number)
        if quiet > (OPENING if last["step"] == "open access" else PATIENCE):
            self.worker.kill()

    def _told_of_progress(self, answer: dict[str, Any]) -> None:
        """Write the answer into the progress file, as the worker would have, if the worker wrote one at all."""
        if self.state and not self.state["finished"]:
            became = None if answer["committed"] is None else what_became(answer)
            where = self.spec["state_directory"], database_name(self.spec["dsn"])
            close(*where, self.state, became)

    def _rescued(self, said: str) -> dict[str, Any]:
        """Open access after a worker that left no answer, and return the answer."""
        last = f"\nIts last words:  {said.strip().splitlines()[-1]}" if said.strip() else ""
        until = time.monotonic() + ASKING
        while True:
            try:
                return let_users_in(self.spec, self.spec["run_id"], self.state, last)
            except Exception as error:  # whatever it is, nobody else is left to try
                if time.monotonic() > until:
                    return silent(self.spec, database_name(self.spec["dsn"]), self.state, error)
            time.sleep(LOOK)


def let_users_in(
    spec: Mapping[str, Any], run_id: str, state: Mapping[str, Any] | None, said: str = ""
) -> dict[str, Any]:
    """End the sessions of a run whose worker is gone, open access, and return the result of that outage.

    Raises RolloutError `E-another-rollout` if another one has begun, and any error of the database.
    """
    if state and state.get("script"):  # the site's own: it must not go on once access is open
        end_group_of_run(state["script"], run_id)
    remains = Remains(spec, run_id)
    sessions = remains.sessions()
    remains.signal("pg_terminate_backend", sessions)
    left = remains.sessions_after(SETTLES)
    take_lock(remains.connection)
    try:
        if remains.access.saved() is not None:
            remains.access.open()
    except RolloutError as error:
        said = f"\n{error}{said}"
    standbys: list[dict[str, Any]] = []
    if remains.access.state()[0] != LEFT_CLOSED:  # otherwise they would learn of closed access
        with suppress(Exception):  # it stays on record; preflight and the next run tell
            where = spec["state_directory"], remains.access.database
            standbys = resume_replay(standbys_of(spec), remains.connection, *where)
    return {**lost(remains, state, left, said), "standbys": standbys}
