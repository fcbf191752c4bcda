"""Pauses services in their order and resumes them in reverse, and looks at each afterwards (R5).

A pause writes down how a service was before it touches it, so it may be killed at any point and done again. What was
paused already stays so after the resume.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Iterator, Sequence

from .kinds.base import Service, ServiceError, Work
from .record import Records

_STILL = """E-jobs-still-running  {name} is paused, and still at work after {seconds:g} s: {work}
  It stays paused, so nothing new begins. Look:  {look}
  Wait for it, or end it if its owner agrees. Then:  ./runbook.py run"""


def pause_all(
    services: Sequence[Service], records: Records, settle: float, done: list[dict[str, Any]], *, check: bool
) -> None:
    """Pause each service, wait for its work and look at it, before the next one. `done` gets what became of each.

    `check`: nothing is changed and nothing waited for. Raises ServiceError at the first that cannot be paused.
    """
    for service in services:
        with _told_of(service):
            service.look()  # whatever cannot be looked at is told before the first is touched
    for service in services:
        with _told_of(service):
            _pause(service, records, settle, done, check=check)


def _pause(service: Service, records: Records, settle: float, done: list[dict[str, Any]], *, check: bool) -> None:
    look, record = service.look(), records.read(service.name)
    ours = look.left or bool(record and not record["was_paused"])
    told = _told(service, changed=not look.paused, text=look.text)
    told["was"] = "paused" if look.paused and not ours else "running"
    told["stale"] = service.stale()
    if not look.paused:
        told["diff"] = service.diff(pausing=True)
    done.append(told)
    if check:
        apart = look.paused or service.settles  # else it is the service itself that is at work
        told["still_running"] = [work.text for work in service.busy()] if apart else []
        return
    if not look.paused:
        # As we left it, with a pause that says something else now: how it was before that is what counts.
        was = record["was"] if record and look.was and look.was == record["then"] else dict(look.was)
        records.write(service.name, was_paused=False, was=was)
        service.pause()
        records.write(service.name, was_paused=False, was=was, then=dict(service.look().was))
    elif record is None and not look.left:
        records.write(service.name, was_paused=True, was={})
    left, told["waited_seconds"] = _wait(service, settle if service.settles else 0)
    told["still_running"] = [work.text for work in left]
    if left:
        raise ServiceError(_still(service, left))
    _verify(service, told, paused=True)


def resume_all(
    services: Sequence[Service], records: Records, done: list[dict[str, Any]], *, check: bool
) -> list[ServiceError]:
    """Bring each service back as it was, the last first; return the errors of those that could not be."""
    errors = []
    for service in reversed(services):
        try:
            with _told_of(service):
                done.append(_resume(service, records, check=check))
        except ServiceError as error:  # the others come back all the same
            errors.append(error)
    return errors


def _resume(service: Service, records: Records, *, check: bool) -> dict[str, Any]:
    record, look = records.read(service.name), service.look()
    was_paused = record["was_paused"] if record else look.paused and not look.left
    comes_back = look.left or bool(record and not was_paused)
    told = _told(service, changed=comes_back, text=look.text)
    told["was"] = "paused" if was_paused else "running"
    if comes_back:
        told["diff"] = service.diff(pausing=False)
    if check:
        return told
    if comes_back:
        told["kept"] = service.resume(record["was"] if record else {})
        _verify(service, told, paused=False)
    records.drop(service.name)
    return told


@contextmanager
def _told_of(service: Service) -> Iterator[None]:
    """Make an error of the host's files one of the service."""
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"E-service-file  {service.name}: {error.filename or 'a file'}: {error.strerror}.\n"
            "  Mend that, or who may write there. Then:  ./runbook.py run"
        ) from None


def _told(service: Service, *, changed: bool, text: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"still_running": [], "waited_seconds": 0.0, "stale": [], "kept": None}
    return {"name": service.name, "kind": service.given["kind"], "changed": changed, "text": text, **empty}


def _verify(service: Service, told: dict[str, Any], *, paused: bool) -> None:
    look = service.look()
    told["text"] = look.text
    if look.paused != paused:
        meant = "paused" if paused else "running"
        raise ServiceError(
            f"E-service-not-{meant}  {service.name} was just switched and is not {meant}: {look.text}.\n"
            "  Somebody else may switch it too. Look at it there. Then:  ./runbook.py run"
        )


def _wait(service: Service, settle: float) -> tuple[list[Work], float]:
    """Wait until nothing has been at work for `settle` seconds; return (what is left at the limit, seconds)."""
    began = free_since = time.monotonic()
    while True:
        left, now = service.busy(), time.monotonic()
        free_since = now if left else free_since
        if not left and now - free_since >= settle:
            return [], now - began
        if left and now - began >= service.seconds:
            return left, now - began
        time.sleep(0.1)


def _still(service: Service, left: Sequence[Work]) -> str:
    work, look = "; ".join(each.text for each in left), ";  ".join(each.command for each in left)
    message = _STILL.format(name=service.name, seconds=service.seconds, work=work, look=look)
    return message + "".join(f"\n  {text}" for text in service.stale())
