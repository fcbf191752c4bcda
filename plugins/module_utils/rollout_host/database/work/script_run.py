"""Runs a script of the site's own while access is closed: its lines as they come, its end however it comes (R18, R19).

The script has the run's mark, and its sessions the name of the run's: whoever stops or finds the outage finds them too.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from ....rollout_core.schema import full_update
from .. import upgrade_script as script
from ..connection import session_names
from ..outage.run import Interruption, Outage, WorkError
from ..permissions import STEP

_LOOK_SECONDS = 0.01


def run(
    outage: Outage,
    argv: Sequence[str],
    params: Mapping[str, Any],
    log: Path,
    interruptible: Any = None,
    take: Callable[[str], None] = lambda _: None,
) -> script.ScriptEnd:
    """Run a script in the schema directory; return how it ended. `take` gets each whole line of its output as it comes.

    A signal to us, or the deadline, ends it and all that it started; without `interruptible`, only the deadline does.
    Raises OSError if it cannot be started.
    """
    begun = time.monotonic()
    process = script.start(argv, params["schema_directory"], log, PGAPPNAME=session_names(params["run_id"])[0])
    outage.note(script=process.pid, log=str(log))
    output = GrowingLog(log, take)
    try:
        if interruptible is None:
            while process.poll() is None and ((left := outage.seconds_left()) is None or left > 0):
                time.sleep(_LOOK_SECONDS)
        else:
            with interruptible():
                while process.poll() is None:
                    output.take_new()
                    time.sleep(_LOOK_SECONDS)
    except Interruption:
        pass  # the caller reports it, with how the script ended
    finally:
        code = process.poll()
        if code is None:
            script.end_group(process.pid)
            process.poll()
    output.take_new()
    return script.ScriptEnd(code, time.monotonic() - begun)


class GrowingLog:
    """A file that grows, of which `take` gets each whole line once.

    An interruption may come at any point of it: what was not begun to be taken is taken the next time. (It is no
    generator, for an exception inside one ends it, and the next time there would be nothing but a StopIteration.)
    """

    def __init__(self, path: Path, take: Callable[[str], None]) -> None:
        """Nothing of the file is taken yet."""
        self.path, self.take = path, take
        self._taken = 0

    def take_new(self) -> None:
        """Take the whole lines that have been added since the last time. Raises OSError."""
        with self.path.open("rb") as file:
            file.seek(self._taken)
            *lines, _ = file.read().split(b"\n")
        for line in lines:
            self._taken += len(line) + 1
            self.take(line.decode(errors="replace"))


def run_permissions(outage: Outage, params: Mapping[str, Any]) -> None:
    """Run the site's own permission script. The patches are committed, so only the deadline ends it.

    Raises WorkError `E-permissions-failed`.
    """
    argv = params["permissions_command"]
    outage.begin(STEP)
    log = script.new_log(params["state_directory"], outage.access.database, "permissions")
    try:
        ended = run(outage, argv, params, log)
    except OSError as error:
        told = [f"{' '.join(argv)} cannot be run in {params['schema_directory']}: {error.strerror}."]
    else:
        if ended.exit_code == 0:
            return
        how = f"exited {ended.exit_code}" if ended.exit_code is not None else "was ended at the outage's deadline"
        output = full_update.read(log.read_text(encoding="utf-8", errors="replace"))
        told = [f"{Path(argv[0]).name} {how} after {ended.seconds:.1f} s.", *full_update.end_of(output, str(log))]
    told.append(
        "THE PATCHES ARE COMMITTED, and permissions may be as before: who uses what is new, might not be allowed to."
    )
    raise WorkError(
        "E-permissions-failed  " + "\n".join(told),
        f"mend what it says, and run it again by hand, in {params['schema_directory']}:  {' '.join(argv)}",
        irreversible=True,
    )
