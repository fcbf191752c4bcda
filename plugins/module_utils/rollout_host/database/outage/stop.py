"""Stops a run's outage on its host: ask, cancel, terminate, kill, in that order (R19).

The worker rolls back and opens access if it is asked to, so it is never the first to be killed, and its lock is
left alone while it lives. What became of the patches is read from the table. All durations are seconds.
"""

from __future__ import annotations

import signal
import time
from typing import Any, Sequence

from ...services import family, processes
from ..access.base import read_record, record_file
from ..connection import RolloutError, transaction_status
from ..standbys import left_paused
from . import progress
from .remains import Remains

_LOOK = 0.05
# How long each rung may take to show.
_CANCEL, _TERMINATE, _LEAVE, _KILL, _COMMIT, _GUARDIAN = 1.0, 2.0, 1.0, 2.0, 5.0, 15.0


def run_meant(asked: str, database: str, state_directory: str) -> str:
    """Return the run that is to be stopped: `asked`, or the last one that this host knows on the database.

    That is meant by nothing, and by `by hand` if it was played by hand: then no person has to know its mark.
    Raises RolloutError `E-which-run` when that is none.
    """
    if asked not in ("", processes.BY_HAND):
        return asked
    where = state_directory, database
    known = progress.last(*where) or read_record(record_file(*where)) or left_paused(*where) or {}
    run = str(known.get("run_id", ""))
    if run and run.startswith(asked):
        return run
    last = f"the last one was {run}" if run else "none is on record"
    others = "".join(f"\n  {_by_hand(mark, found)}" for mark, found in sorted(processes.marks_by_hand().items()))
    raise RolloutError(
        f"E-which-run  No outage of {database} that was played by hand is known on this host: {last}.\n"
        f'Nothing was stopped. Say which:  -e \'{{"stop_run": "MARK"}}\'{others}'
    )


def _by_hand(mark: str, found: Sequence[processes.Process]) -> str:
    return f"at work here by hand: {mark}  ({_texts(found)})"


class OutageStop:
    """One stop of the run `run_id`. `ladder` is what was done, [{rung, did, seconds}]; empty: nothing was there."""

    def __init__(self, run_id: str, database: str, state_directory: str) -> None:
        """Begin with nothing done; `state_directory` has the progress on `database`."""
        self.run_id = run_id
        self.database = database
        self.state_directory = state_directory
        self.ladder: list[dict[str, Any]] = []
        self._others: list[family.Relative] = []

    @property
    def state(self) -> dict[str, Any] | None:
        """Return what the run's worker has told of its progress; None if none has begun."""
        return progress.read(self.state_directory, self.database, self.run_id)

    @property
    def answer(self) -> str | None:
        """Return what the worker says became of its outage; None if it has not said."""
        state = self.state
        return state["answer"] if state else None

    def processes(self) -> list[processes.Process]:
        """Every process of the run that lives here, and is at work on no other database."""
        return processes.marked(self.run_id, self.database)

    def others(self, *, keep: bool) -> list[str]:
        """Return the run's processes of other users, in words: begun through sudo, only those users can end them.

        `keep` writes them down, so that they are known after the processes that began them have ended.
        """
        found = family.relatives(self.run_id, self.processes())
        self._others += [each for each in found if each not in self._others]
        self._others = [each for each in self._others if each.lives]
        if keep:
            family.write_down(self.run_id, self._others)
        return [each.text for each in self._others]

    def ask(self, seconds: float) -> None:
        """Ask the worker to stop, and wait `seconds` at most for its answer. One that is about to begin is ended."""
        begun = time.monotonic()
        asked: list[processes.Process] = []
        while self.answer is None and time.monotonic() - begun < seconds:
            worker = progress.worker(self.state)
            new = [process for process in ([worker] if worker else self.processes()) if process not in asked]
            # A module clears up after itself at Ctrl-C, but at SIGTERM only where it says so, as the worker does.
            processes.ask(new, signal.SIGTERM if worker else signal.SIGINT)
            asked += new
            if not any(processes.lives(process) for process in asked):
                break
            time.sleep(_LOOK)
        if asked:
            left = processes.wait(asked, _LEAVE if self.answer else 0)
            said = f"it answered {self.answer}" if self.answer else "no answer" if left else "ended without an answer"
            self._record("ask", begun, f"asked {_texts(asked)}: {said}")

    def let_go_on(self) -> None:
        """Wake the worker if somebody stopped it: whoever follows it waits for it to end by itself."""
        worker = progress.worker(self.state)
        processes.ask([worker] if worker else [], signal.SIGCONT)

    def committing(self, remains: Remains) -> bool:
        """Return True if the COMMIT was sent and is not over, which is the point of no return."""
        state = self.state
        sent = state["transaction"] if state and state["answer"] is None else None
        return transaction_status(remains.connection, sent, 0) == "in progress"

    def end_patching(self, remains: Remains) -> None:
        """Cancel what the run's session executes, then end the session, unless the worker has answered.

        A COMMIT is waited for instead; if it only waits for a standby, that wait is ended.
        """
        begun = time.monotonic()
        if self.committing(remains):
            waits = remains.cancel_wait_for_standby()
            while self.committing(remains) and time.monotonic() - begun < _COMMIT:
                time.sleep(_LOOK)
            did = "cancelled its wait for a standby" if waits else "waited for its COMMIT"
            self._record("commit", begun, f"{did}: {self.answer or 'no answer'}")
            return
        for rung, did, seconds in (("cancel", "cancelled", _CANCEL), ("terminate", "terminated", _TERMINATE)):
            patching = [session for session in remains.sessions() if session.patches]
            if patching and self.answer is None:
                begun = time.monotonic()
                remains.signal(f"pg_{rung}_backend", patching)
                while not (settled := self._settled(remains)) and time.monotonic() - begun < seconds:
                    time.sleep(_LOOK)
                said = self.answer or ("it is gone" if settled else "no answer")
                self._record(rung, begun, f"{did} {_texts(patching)}: {said}")

    def end_rest(self, remains: Remains) -> None:
        """End every process of the run that is still here (the guardian last), then every session."""
        begun = time.monotonic()
        # Whoever only follows the worker leaves with it.
        here = processes.wait(self.processes(), _LEAVE)
        guardians = [process for process in here if _guards(process)]
        left = [process for process in here if process not in guardians]
        if left:
            processes.ask(left, signal.SIGINT)  # a module clears up after itself at that; a worker that hangs does not
            processes.ask(processes.wait(left, _LEAVE), signal.SIGKILL)
            said = "still there" if processes.wait(left, _KILL) else "gone"
            self._record("kill", begun, f"killed {_texts(left)}: {said}")
        if guardians:  # without its worker it ends what that left, opens access and goes
            begun = time.monotonic()
            hanging = processes.wait(guardians, _GUARDIAN)
            processes.ask(hanging, signal.SIGKILL)
            said = "killed" if hanging else self.answer or "done"
            self._record("guardian", begun, f"waited for {_texts(guardians)} to open access: {said}")
        begun, sessions = time.monotonic(), remains.sessions_after(_KILL)
        if sessions:
            remains.signal("pg_terminate_backend", sessions)
            said = "still there" if remains.sessions_after(_TERMINATE) else "gone"
            self._record("terminate", begun, f"terminated {_texts(sessions)}: {said}")

    def _settled(self, remains: Remains) -> bool:
        """Return True if no session patches any more and the worker, if it lives, has answered."""
        patching = any(session.patches for session in remains.sessions())
        return not patching and (self.answer is not None or progress.worker(self.state) is None)

    def _record(self, rung: str, begun: float, did: str) -> None:
        seconds = time.monotonic() - begun
        self.ladder.append({"rung": rung, "did": f"{did} ({seconds:.1f} s)", "seconds": round(seconds, 3)})


def _guards(process: processes.Process) -> bool:
    return process.command[2:3] == ("guard",)


def _texts(items: Sequence[Any]) -> str:
    return ", ".join(item.text for item in items)
