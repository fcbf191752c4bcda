"""One rollout of a service at a time on the control machine, whatever plan and whatever checkout: a lock in the home.

`~/.rollout/lock-SERVICE-…` is shared by all checkouts of a user, and private to them. Other users, and other machines,
meet the claim on the database host.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rollout import ROOT
from rollout.journal import lock_owner
from rollout.journal.clock import Clock
from rollout.outcomes import RunbookError, ServiceLockedError

DIRECTORY = ".rollout"
NAME_LENGTH = 40


@contextmanager
def held(service: str, rollout: Path) -> Iterator[None]:
    """Hold the service's lock for the rollout in that directory.

    Raises ServiceLockedError, saying who has it, where, since when and with which plan; RunbookError when there can be
    none.
    """
    path = place(service)
    with _locked(path, service) as file:
        file.truncate(0)
        file.write(json.dumps(_mine(service, rollout)))
        file.flush()
        try:
            yield
        finally:  # nothing is left in the home
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()


def _locked(path: Path, service: str) -> IO[str]:
    """Return the file, locked: the one that has this name, not one that was just deleted."""
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = lock_owner.open_lock(path)
        except FileNotFoundError:
            continue  # the directory was deleted meanwhile
        except OSError as error:
            said = f"E-no-lock  {path} cannot be opened: {error.strerror}."
            see = f"  It keeps two rollouts apart.  See:  ls -ld {path.parent}; df {path.parent}"
            raise RunbookError(f"{said}\n{see}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with file:
                told = _told(file.read())
            raise ServiceLockedError(f"E-locked  {service} is being rolled out already{told}") from error
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.lstat()):
                return file
        file.close()


def place(service: str) -> Path:
    """Return where the lock of a service is: a name that people recognise, and that no other service has."""
    known = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")[-NAME_LENGTH:]
    return Path.home() / DIRECTORY / f"lock-{known}-{hashlib.sha256(service.encode()).hexdigest()[:8]}"


def _mine(service: str, rollout: Path) -> dict[str, Any]:
    return {
        "service": service,
        "rollout": rollout.name,
        "plan": str(rollout / "plan.yml"),
        "by": getpass.getuser(),
        "host": os.uname().nodename,
        "checkout": str(ROOT),
        "pid": os.getpid(),
        "since": Clock().now().isoformat(timespec="seconds"),
    }


def _told(content: str) -> str:
    """Return who holds it, as far as that can be read: it is not believed more than it must be."""
    try:
        owner: Mapping[str, Any] = json.loads(content)
        since = str(owner["since"])[:16].replace("T", " ")
        who = f"{owner['rollout']} by {owner['by']} on {owner['host']}, in {owner['checkout']}, since {since} UTC"
        plan = str(owner["plan"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ", by somebody on this machine.\n  Nothing was said or touched.  See:  ./runbook.py status"
    lines = [
        f": {who} (pid {owner.get('pid')}).",
        f"  Its plan is {plan}. Nothing was said or touched.",
        "  When it has ended:  ./runbook.py run",
    ]
    return "\n".join("".join(letter if letter.isprintable() else "?" for letter in line) for line in lines)
