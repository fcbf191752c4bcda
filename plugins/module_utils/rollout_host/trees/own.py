"""Trees that a command of the site's own delivers, `dpkg-deb -x` say: the last choice, with the same checks around it.

The command fills a new directory; another one says which revision is in it. What was delivered is packed and kept, as
if it had come as an archive, so that the tree can tell later whether anything was changed in it.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Sequence

from .archive import ARCHIVE, OURS, UnpackedArchive, sum_of
from .base import TreeError

SHORT = 7  # characters of an id that will do
FAILED = """\
E-deliver-failed  {typed} {why}. {path} is as it was.
{said}"""
WRONG_VERSION = """\
E-tree-version  {deliver} brought {found!r}, says {version}; {wanted} was expected. {path} is as it was."""


class OwnDelivery(UnpackedArchive):
    """A directory that the site's own command has filled."""

    kind, title = "command", "the site's own delivery"

    def _fill(self, tree: Path, revid: str) -> str:
        """Have the command deliver, pack that and unpack it into an empty directory; return its SHA-256."""
        number = "" if self.source.revno is None else str(self.source.revno)
        delivered = tree.with_name(tree.name + ".delivered")
        words = {"{directory}": str(delivered), "{revid}": revid, "{revno}": number}
        deliver = [_filled(word, words) for word in self.source.deliver]
        version = [_filled(word, words) for word in self.source.version]
        shutil.rmtree(str(delivered), ignore_errors=True)  # of a run that was interrupted
        delivered.mkdir()
        try:
            self._run(deliver, delivered)
            found = self._run(version, delivered).strip()
            if found not in (revid, number) and not (len(found) >= SHORT and revid.startswith(found)):
                told = {"deliver": " ".join(deliver), "version": " ".join(version), "wanted": revid}
                raise TreeError(WRONG_VERSION.format(found=found, path=self.path, **told))
            (tree / OURS).mkdir()
            with tarfile.open(str(tree / OURS / ARCHIVE), "w") as archive:
                for place in sorted(delivered.iterdir()):
                    archive.add(str(place), place.name)
        finally:
            shutil.rmtree(str(delivered), ignore_errors=True)
        self._unpack(tree / OURS / ARCHIVE, tree, " ".join(deliver))  # with modes and owner as of any archive
        return sum_of(tree / OURS / ARCHIVE)

    def _run(self, argv: Sequence[str], tree: Path) -> str:
        """Run a command in the new directory; return what it printed. Raises TreeError if it fails."""
        told = {"typed": " ".join(argv), "path": self.path}
        try:
            done = subprocess.run(argv, cwd=str(tree), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise TreeError(FAILED.format(why=f"cannot be run: {error.strerror}", said="", **told).strip()) from error
        if done.returncode:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-8:]
            lines = "\n".join("  " + line for line in said)
            raise TreeError(FAILED.format(why=f"exited {done.returncode}", said=lines, **told).strip())
        return done.stdout.decode("utf-8", "replace")


def problem(deliver: Sequence[str], version: Sequence[str]) -> str | None:
    """Return what is wrong with the two options, for a message; None if nothing is."""
    if not deliver:
        return "deliver_command is missing; an argv was expected"
    if not version:
        return "version_command is missing; an argv was expected that prints the revision"
    return None


def _filled(word: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        word = word.replace(name, value)
    return word
