"""The main program of the worker file: `python3 ~/.rollout/outage-DIGEST.pyz COMMAND` (R18, R19).

    guard SPEC       the guardian: starts the worker, and lets users in if that ends without an answer
    outage SPEC FD   the worker: has the outage; tells its progress into the file descriptor FD
    open DATABASE    by hand: ends an outage of ours, however it is, and opens access
    status           by hand: what this host knows of outages

SPEC is a JSON file: the parameters of the Ansible module, and `answer_file`, where the result goes.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Sequence

from .worker_file import command

USAGE = 2


def main(argv: Sequence[str]) -> int:
    """Run the command; return the exit code, 0 if users are in."""
    pyz = Path(argv[0]).resolve()
    name, given = (argv[1] if len(argv) > 1 else ""), list(argv[2:])
    if name == "guard" and len(given) == 1:
        return _guard(pyz, given[0])
    if name == "outage" and len(given) == 2:
        return _outage(given[0], int(given[1]))
    if name == "open" and len(given) == 1:
        from .by_hand import end_outage

        return end_outage(pyz.parent, given[0])
    if name == "status" and not given:
        from .by_hand import status

        return status(pyz.parent)
    sys.stderr.write(f"usage: {' '.join(command(pyz))} open DATABASE | status\n")
    return USAGE


def _guard(pyz: Path, spec_file: str) -> int:
    from .guardian import Guardian, start_worker

    worker, told = start_worker(pyz, spec_file)  # first: what the guardian needs is loaded while the worker begins
    spec: dict[str, Any] = json.loads(Path(spec_file).read_text())
    return Guardian(spec, worker, told).watch()


def _outage(spec_file: str, tell: int) -> int:
    from .detached import crashed, write_result
    from .worker import run

    os.set_inheritable(tell, False)  # noqa: FBT003
    os.set_blocking(tell, False)
    spec: dict[str, Any] = json.loads(Path(spec_file).read_text())

    def send(key: str, value: dict[str, Any]) -> None:
        os.write(tell, json.dumps({key: value}).encode() + b"\n")

    try:
        result = run(spec, lambda state: send("state", state))
    except Exception as error:
        result = crashed(error)
    with suppress(OSError):
        send("result", result)
    with suppress(OSError):  # a full disk: the guardian has it
        write_result(spec["answer_file"], result)
    return 1 if result["failed"] else 0
