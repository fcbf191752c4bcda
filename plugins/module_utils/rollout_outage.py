"""One outage, from closing the gate to opening it (R18, R19): one transaction, and users are let in whatever happens.

The commit opens the gate: the old connection limit is put back in the transaction of the patches. So there is no moment
at which the patches are in and users are out, and a run that is killed leaves at most a closed gate on an old schema.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator, NamedTuple, Sequence

from .rollout_database import (
    Patch,
    PatchError,
    Provenance,
    RolloutError,
    apply_patches,
    revision_rows,
    what_was_kept,
)
from .rollout_gate import Gate

with suppress(ImportError):  # rollout_database.PSYCOPG_IMPORT_ERROR says so
    import psycopg

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM)


class Interruption(KeyboardInterrupt):
    """A signal asked us to stop. For a KeyboardInterrupt, psycopg cancels the running statement on the server."""


class Interruptible:
    """Signals stop the work where it can be stopped; elsewhere (commit, opening the gate) they are merely noted."""

    def __init__(self) -> None:
        """Take over SIGTERM, SIGHUP, SIGINT and SIGALRM (the deadline) of this process."""
        self.received: str | None = None
        self._inside = False
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Raise Interruption inside this block, once, when a signal comes or came."""
        try:
            self._inside = True  # first: a signal before the next line must not be lost
            if self.received:
                raise Interruption
            yield
        finally:
            self._inside = False

    def _handle(self, number: int, _frame: object) -> None:
        self.received = self.received or signal.Signals(number).name
        if self._inside:
            self._inside = False
            raise Interruption


class Result(NamedTuple):
    """What an outage measured: durations are seconds, `closed_at` and `opened_at` seconds since the epoch."""

    outage_seconds: float
    closed_at: float
    opened_at: float
    steps: list[dict[str, Any]]  # one after the other, [{step, seconds}]; their sum is the outage
    ended_sessions: int
    remark: str | None  # what the reader should know although it went well


class Outage:
    """An outage about to begin: the gate is open, or was left closed by a killed run."""

    def __init__(
        self,
        gate: Gate,
        patching: psycopg.Connection[Any],
        run_id: str,
        provenance: Provenance,
        on_step: Callable[[str], None],
    ) -> None:
        """`patching` is a second connection, made before the gate closes: connecting must not lengthen the outage.

        `on_step` gets each step's name as it begins.
        """
        self.gate = gate
        self.patching = patching
        self.run_id = run_id
        self.provenance = provenance
        self.on_step = on_step
        self.ended_sessions = 0
        self._begun: list[tuple[str, float]] = []

    def run(self, pending: Sequence[Patch], deadline_seconds: float | None = None) -> Result:
        """Close the gate, end sessions, apply `pending` in one transaction, commit and open the gate.

        Raises RolloutError once the gate is open again; the fact `locked_out` says when it is not. A run that takes
        longer than `deadline_seconds` is interrupted like one that gets SIGTERM: rolled back, gate open.
        """
        interruptible = Interruptible()
        before = revision_rows(self.gate.connection)
        limit = self.gate.save(self.run_id)
        failure: BaseException | None = None
        locked_out: RolloutError | None = None
        closed_at = time.time()
        self._begin("close the gate")
        try:
            signal.setitimer(signal.ITIMER_REAL, deadline_seconds or 0)
            self._patch(pending, limit, interruptible)
            self._begin("")  # users are in: the commit opened the gate
        except (Exception, Interruption) as error:
            failure = error  # told below: users come first
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            failed_at = self._begun[-1][0]
            locked_out = self._open(limit)
        seconds = round(self._begun[-1][1] - self._begun[0][1], 3)
        result = Result(seconds, closed_at, closed_at + seconds, self._steps(), self.ended_sessions, None)
        if locked_out is not None:
            committed = failure is None
            before_that = "The patches are committed." if committed else f"Before that, at {failed_at!r}: {failure}"
            facts = _facts(result, locked_out=True, committed=committed, irreversible=committed)
            raise RolloutError(f"{locked_out}\n{before_that}", **facts)
        if failure is None:
            return result._replace(remark=_late(interruptible.received))
        told, advice = _told(failure, failed_at, interruptible.received)
        rows = {row[:3] for row in revision_rows(self.gate.connection)}
        if {patch.name.row for patch in pending} <= rows:  # success is rows in the table, whatever the connection said
            return result._replace(remark=f"committed, although: {told}")
        raise RolloutError(
            f"{told}\n{what_was_kept(self.gate.connection, before)} The gate is open again; "
            f"users were out for {seconds:.1f} s.\nThen: {advice}",
            **_facts(result, **_verdict(failure, interruptible.received)),
        )

    def _patch(self, pending: Sequence[Patch], limit: int, interruptible: Interruptible) -> None:
        with interruptible():
            self.gate.close()
            self._begin("end connections")
            self.ended_sessions = self.gate.end_sessions()
        with self.patching.transaction(), interruptible():
            apply_patches(self.patching, pending, self.provenance, lambda patch: self._begin(str(patch.name)))
            self._begin("commit and open the gate")
            self.gate.open_with(self.patching, limit)

    def _open(self, limit: int) -> RolloutError | None:
        """Roll back what did not commit, and open the gate if it is closed. Returns the error instead of raising it."""
        if self._begun[-1][0]:
            self._begin("roll back")
            self.patching.close()  # if it is still at work: the server stops it
            with suppress(psycopg.Error):
                self.gate.end_orphans([self.gate.connection.info.backend_pid])
            self._begin("open the gate")
        try:
            self.gate.open(limit)
        except RolloutError as error:
            return error
        finally:
            if self._begun[-1][0]:
                self._begin("")
        return None

    def _begin(self, step: str) -> None:
        self._begun.append((step, time.monotonic()))
        if step:
            self.on_step(step)

    def _steps(self) -> list[dict[str, Any]]:
        pairs = zip(self._begun, self._begun[1:])
        return [{"step": step, "seconds": round(end - begin, 3)} for (step, begin), (_, end) in pairs if step]


def _told(failure: BaseException, step: str, received: str | None) -> tuple[str, str]:
    """Return what happened, and what to do then."""
    if isinstance(failure, PatchError):
        back_out = f"fix {failure.patch.name} or back it out (R17), and ./runbook.py run select"
        return f"E-patch-failed  the database did not take {failure}.", back_out
    if isinstance(failure, Interruption):
        if received == "SIGALRM":
            return (
                f"E-outage-deadline  the deadline came during {step!r}: rolled back.",
                "undo the window's stages (R19)",
            )
        said = f"E-outage-interrupted  {received} came during {step!r}: rolled back."
        return said, "find out who stopped it before another attempt"
    if isinstance(failure, RolloutError):
        return str(failure), "./runbook.py run preflight"
    said = " ".join(str(failure).split()) or type(failure).__name__
    return f"E-outage-failed  during {step!r}: {said}", "./runbook.py run preflight"


def _verdict(failure: BaseException, received: str | None) -> dict[str, str]:
    """The deadline is the lateness rule's (R19): who gives up at it, aborts."""
    return {"verdict": "abort"} if isinstance(failure, Interruption) and received == "SIGALRM" else {}


def _late(received: str | None) -> str | None:
    return f"{received} came too late to stop it: it was committing" if received else None


def _facts(result: Result, **more: Any) -> dict[str, Any]:
    return {"outage_seconds": result.outage_seconds, "steps": result.steps, "locked_out": False, **more}
