"""Settings for ssh to hosts that ansible.cfg does not have: where sockets are, and separate ones if a host hangs."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rollout import ROOT, site
from rollout.outcomes import BadInputError

LONGEST = 76  # of 108 characters that a socket's path may have; we, Ansible and ssh add 31
# Over connections of its own, given up early, because those of another run may hang.
ALOOF = {"ANSIBLE_SSH_ARGS": "-T -o ControlMaster=no -o ControlPath=none", "ANSIBLE_TIMEOUT": "3"}


def environment(apart: str = "") -> dict[str, str]:
    """Return Ansible's variables for ssh. `apart`, a letter, asks for connections of its own, as others may hang.

    Raises BadInputError if there is no place for sockets.
    """
    return {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(socket_directory() / apart)}


def socket_directory() -> Path:
    """Make and return the directory for this checkout's sockets; only we may enter it, and its path is short.

    Raises BadInputError if there is no such place.
    """
    places = list(_places())
    for place in places:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = place.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                place.chmod(0o700)
                return place
        except OSError:
            continue
    tried = "\n".join(f"  {place}" for place in places)
    raise BadInputError(
        f"E-socket-path  There is no short directory of yours alone for ssh's sockets. Tried:\n{tried}\n"
        "  Make one of them:  mkdir -m 700 DIRECTORY"
    )


def _places() -> Iterator[Path]:
    """Yield the possible directories for sockets, the best first; each path is short enough for a socket."""
    mine = f"rollout-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    wanted = [site.var() / "cp", *([Path(runtime) / mine] if runtime else []), Path.home() / ".rollout" / mine]
    for place in [*wanted, Path(tempfile.gettempdir()) / f"{mine}-{os.geteuid()}", Path(f"/tmp/{mine}-{os.geteuid()}")]:  # noqa: S108
        if len(os.fsencode(place)) <= LONGEST:
            yield place
