"""Bazaar's client without its start: each call is a fork of a process that has loaded it already.

The client's own main() runs, in a process of its own, with the caller's arguments, environment, directory and streams.
Only the start is saved, a Python with breezy in it, which costs more than nearly every command. The loaded process ends
with the process that started it. `BRZ` is the program that tests give to modules; while nothing is loaded it is the
client itself, which is `COLD_BRZ`.
"""

from __future__ import annotations

import array
import atexit
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

COLD_BRZ = str(Path(sys.executable).with_name("brz"))
# Modules written in C only: this program has to start fast.
PROGRAM = """\
#!{python} -IS
import _socket, os, struct, sys
words = [os.getcwd(), str(len(sys.argv)), {cold!r}, *sys.argv[1:], *map("=".join, os.environ.items())]
message = b"\\0".join(map(os.fsencode, words))
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try:
    server.connect({address!r})
except OSError:
    os.execv({cold!r}, [{cold!r}, *sys.argv[1:]])
server.sendmsg([struct.pack("i", len(message))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))])
while message:
    message = message[server.send(message):]
os._exit((server.recv(1) or b"\\xff")[0])
"""
# What the commands of the runbook load beside the client itself.
LOADED = """
    annotate archive branch builtins bzr.bzrdir bzr.chk_serializer bzr.conflicts bzr.fetch bzr.groupcompress_repo
    bzr.pack_repo bzr.smart.repository bzr.testament bzr.transform bzr.workingtree_4 commit conflicts controldir
    delta diff export log merge missing msgeditor plugin push revisionspec send status transform uncommit workingtree
"""

_place = Path(tempfile.mkdtemp(prefix="rollout-brz-"))
_kept: list[int] = []  # a pipe's end, which closes with this process
BRZ = str(_place / "brz")


@atexit.register
def _remove(whose: int = os.getpid()) -> None:
    if os.getpid() == whose:
        shutil.rmtree(_place, ignore_errors=True)


def load() -> None:
    """Load the client, once a process; whoever runs BRZ from then on is served."""
    if _kept:
        return
    address = _place / "socket"
    alive, ours = os.pipe()
    _kept.append(ours)
    argv = [sys.executable, "-m", "tests.modules.warm_bazaar", str(address), str(alive)]
    env = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    root = Path(__file__).parents[2]
    subprocess.Popen(argv, cwd=root, env=env, pass_fds=[alive], stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(alive)
    Path(BRZ).write_text(PROGRAM.format(python=sys.executable, address=str(address), cold=COLD_BRZ))
    Path(BRZ).chmod(0o755)


def serve(address: str, alive: int) -> None:
    """Fork for every call until the other end of the pipe `alive` is closed."""
    main = import_module("breezy.__main__").main
    for name in LOADED.split():
        import_module("breezy." + name)
    import_module("breezy.plugin").load_plugins()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(16)
        while alive not in select.select([server, alive], [], [])[0]:
            call, _ = server.accept()
            if os.fork() == 0:
                server.close()
                os.close(alive)
                _answer(call, main)
            call.close()


def _answer(call: socket.socket, main: object) -> None:
    """Be the client that was called, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, rights, _, _ = call.recvmsg(4, socket.CMSG_SPACE(12))
    left, message = int.from_bytes(head, sys.byteorder), b""
    while len(message) < left:
        message += call.recv(left)
    cwd, count, *words = map(os.fsdecode, message.split(b"\0"))
    for stream, theirs in enumerate(array.array("i", rights[0][2])):
        os.dup2(theirs, stream)
        os.close(theirs)
    os.chdir(cwd)
    sys.argv = words[: int(count)]
    os.environ.clear()
    os.environ.update(word.partition("=")[::2] for word in words[int(count) :])
    leave = os._exit

    def tell(code: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        call.send(bytes([code & 0xFF]))
        leave(code)

    os._exit = tell  # how the client ends
    import_module("breezy")._global_state = None  # loading plugins has initialized it
    try:
        main()
    except SystemExit as end:
        tell(int(end.code or 0))
    except BaseException:
        traceback.print_exc()
        tell(70)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
