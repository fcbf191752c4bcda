"""One outage, from closing access to opening it (R18, R19). An `OutageWork` does what happens in between.

Users are let in whatever happens. If the work ends in a commit that opens access, there is no moment at which the
patches are in and users are out, and a run that is killed leaves at most closed access on an old schema.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Callable, Iterator, Mapping, NamedTuple

from ..access.base import Access
from ..connection import RolloutError
from ..driver import psycopg

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM)


class Interruption(KeyboardInterrupt):
    """A signal that asks us to stop. As it is a KeyboardInterrupt, psycopg cancels the statement on the server."""


class Interruptible:
    """Lets signals stop the work where it can be stopped; elsewhere (commit, opening access) they are only noted."""

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


class WorkError(Exception):
    """An error: the work failed. It has the message (`E-name  sentence`), what to do then, and facts for the result."""

    def __init__(self, told: str, then: str, **facts: Any) -> None:
        """Keep message, what to do, and facts."""
        super().__init__(told)
        self.then, self.facts = then, facts


class OutageWork:
    """The work that is done while access is closed; it is made, or refused, before anything is touched."""

    done_word = "committed"  # what the outage answers when it succeeded
    irreversible = True  # whether nothing can be aborted any more then
    closes_access = True  # False: it closes and opens access itself; that it is open is looked at afterwards

    def __init__(self, params: Mapping[str, Any], access: Access) -> None:
        """Check everything for which the work can be refused. Raises RolloutError."""

    @property
    def wanted(self) -> bool:
        """Return True if there is anything to do. Otherwise there is no outage, and access is never touched."""
        raise NotImplementedError

    def checked(self) -> dict[str, Any]:
        """Return what the module would answer, for check mode: `changed`, `committed`, `summary`, `diff`."""
        raise NotImplementedError

    def __enter__(self) -> OutageWork:
        """Do beforehand what must not lengthen the outage, such as connecting."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release what the work held, such as connections; access is open by now."""

    def run(self, outage: Outage) -> None:
        """Do the work. Access is closed and users are out. Raises WorkError, or any other error."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Drop whatever may still be at work after a failure; access is opened next."""

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Look what a failure has left: return whether all of it is there for good, and a sentence on what was kept."""
        raise NotImplementedError

    def verified(self, connection: psycopg.Connection[Any], measured: dict[str, Any]) -> dict[str, Any]:
        """Verify that the work is there; return `committed`, `changed` and more to answer. Raises RolloutError."""
        raise NotImplementedError

    def after(
        self,
        connection: psycopg.Connection[Any],  # noqa: ARG002
        begin: Callable[[str], None],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Do what comes after the outage, with users in; return more to answer, `warnings` (texts) included."""
        return {}

    @staticmethod
    def found(
        params: Mapping[str, Any],
        connection: psycopg.Connection[Any],
        state: Mapping[str, Any] | None,
        *,
        at_work: bool,
    ) -> tuple[bool | None, str]:
        """Look, for another process, what became of the work: return whether it is there for good, and a sentence.

        The first is None if it cannot be known. `state` is what the worker told of its progress, `at_work` whether a
        session of it is still there.
        """
        raise NotImplementedError


class Result(NamedTuple):
    """The measures of an outage: durations are seconds, `closed_at` and `opened_at` seconds since the epoch."""

    outage_seconds: float
    closed_at: float
    opened_at: float
    steps: list[dict[str, Any]]  # one after the other, [{step, seconds}]; their sum is the outage
    ended_sessions: int
    warnings: list[str]  # what the reader should know although it went well


class Outage:
    """An outage about to begin: access is open, or was left closed by a killed run."""

    def __init__(
        self,
        access: Access,
        run_id: str,
        interruptible: Interruptible,
        on_step: Callable[[str], None],
        note: Callable[..., None] = lambda **_: None,
    ) -> None:
        """Take `on_step`, which gets each step's name as it begins, and `note`, for whoever finds us dead."""
        self.access = access
        self.run_id = run_id
        self.interruptible = interruptible
        self.on_step = on_step
        self.note = note
        self.ended_sessions = 0
        self.warnings: list[str] = []
        self._begun: list[tuple[str, float]] = []
        self._ends: float | None = None

    def run(self, work: OutageWork, deadline_seconds: float | None = None) -> Result:
        """Close access, end sessions, do `work`, open access; return the measures.

        Raises RolloutError once access is open again; the fact `locked_out` says when it is not. Work that takes
        longer than `deadline_seconds` is interrupted like one that gets SIGTERM: rolled back, access open.
        """
        if work.closes_access:
            self.access.save(self.run_id)
        failure: BaseException | None = None
        closed_at = time.time()
        try:
            self._work(work, deadline_seconds)
        except (Exception, Interruption) as error:
            failure = error  # reported below, once users are in
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            failed_at = self._begun[-1][0]
            locked_out = self._let_users_in(work, failure)
        seconds = round(self._begun[-1][1] - self._begun[0][1], 3)
        result = Result(seconds, closed_at, closed_at + seconds, self._steps(), self.ended_sessions, self.warnings)
        if failure is None and locked_out is None:
            return result._replace(warnings=self.warnings + _late(self.interruptible.received))
        told, then, facts = _told(failure, failed_at, self.interruptible.received)
        done, kept = self._kept(work, failure)
        if locked_out is not None:
            facts.update(locked_out=True, committed=done, irreversible=bool(done) and work.irreversible)
            before = f"{kept} Before that: {told}" if failure else kept
            raise RolloutError(f"{locked_out}\n{before}", **_facts(result, facts))
        if done and not isinstance(failure, WorkError):  # what is in the database counts, not what the connection said
            return result._replace(warnings=[*self.warnings, f"committed, although: {told}"])
        facts = {"committed": done, "irreversible": bool(done) and work.irreversible, **facts}
        seconds = facts.get("outage_seconds", seconds)  # a script that closes access itself knows better
        raise RolloutError(
            f"{told}\n{kept} Access is open again; users were out for {seconds:.1f} s.\nThen: {then}",
            **_facts(result, facts),
        )

    def begin(self, step: str) -> None:
        """Note that the next step begins, which ends the one before it."""
        self._begun.append((step, time.monotonic()))
        if step:
            self.on_step(step)

    def opened(self) -> None:
        """Note that users are in: the work's own commit has opened access."""
        self.begin("")

    def seconds_left(self) -> float | None:
        """Return how many seconds are left until the deadline; None without one."""
        return None if self._ends is None else self._ends - time.monotonic()

    def _work(self, work: OutageWork, deadline_seconds: float | None) -> None:
        if deadline_seconds is not None:
            self._ends = time.monotonic() + deadline_seconds
        signal.setitimer(signal.ITIMER_REAL, deadline_seconds or 0)  # first: from the first step on it must be running
        self.begin("close access" if work.closes_access else "begin the work")
        with self.interruptible():
            if work.closes_access:
                self.access.close()
                self.begin("end connections")
                self.ended_sessions = self.access.end_sessions()
        work.run(self)

    def _let_users_in(self, work: OutageWork, failure: BaseException | None) -> Exception | None:
        """Roll back what did not commit, and open access if it is closed. Return the error instead of raising it."""
        if failure is not None:
            self.begin("roll back")
            with suppress(Exception):  # whatever it is, users come first
                work.abandon()
            self._end_orphans()
        if self._begun[-1][0]:
            self.begin("open access")
        try:
            self.access.open()
        except RolloutError as error:
            return error
        except OSError as error:  # it is open, but its record could not be deleted
            self.warnings.append(f"access is open, yet {self.access.file} is still there: {error}")
        finally:
            if self._begun[-1][0]:
                self.begin("")
        return None

    def _end_orphans(self) -> None:
        with suppress(psycopg.Error):
            self.access.end_orphans([self.access.connection.info.backend_pid])

    def _kept(self, work: OutageWork, failure: BaseException | None) -> tuple[bool | None, str]:
        """Ask the database what was kept, over a new connection if ours broke, after our other session has ended."""
        if failure is None:
            return True, f"The work behind it is done: {work.done_word}."
        self._end_orphans()
        try:
            return work.kept(self.access.connection)
        except (psycopg.Error, RolloutError) as error:
            return None, f"WHAT WAS KEPT IS NOT KNOWN, the database does not say: {' '.join(str(error).split())}."

    def _steps(self) -> list[dict[str, Any]]:
        pairs = zip(self._begun, self._begun[1:])
        return [{"step": step, "seconds": round(end - begin, 3)} for (step, begin), (_, end) in pairs if step]


def _told(failure: BaseException | None, step: str, received: str | None) -> tuple[str, str, dict[str, Any]]:
    """Return what happened, what to do then, and facts."""
    again = "./runbook.py run preflight"
    if isinstance(failure, WorkError):
        return str(failure), failure.then, failure.facts
    if isinstance(failure, Interruption) and received == "SIGALRM":  # the lateness rule's: who gives up at it, aborts
        told = f"E-outage-deadline  the deadline came during {step!r}: rolled back."
        return told, "undo the window's stages (R19)", {"verdict": "abort"}
    if isinstance(failure, Interruption):
        told = f"E-outage-interrupted  {received} came during {step!r}: rolled back."
        return told, "find out who stopped it before another attempt", {}
    if isinstance(failure, RolloutError):
        return str(failure), again, {}
    said = " ".join(str(failure).split()) or type(failure).__name__
    return f"E-outage-failed  during {step!r}: {said}", again, {}


def _late(received: str | None) -> list[str]:
    return [f"{received} came too late to stop it: it was committing"] if received else []


def _facts(result: Result, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"outage_seconds": result.outage_seconds, "steps": result.steps, "locked_out": False, **more}
