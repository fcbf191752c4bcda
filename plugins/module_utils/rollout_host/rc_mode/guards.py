"""Who guards a branch by the file of RC mode: PQM, git's `update` hook, or the site's own commands (R13)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Mapping, Sequence

from ...rollout_core.plain_text import one_line
from .configuration import RcModeError
from .hook import STATE

SECONDS = 120  # for each command and each answer of a hook
ORDINARY = "An ordinary change, made to see whether it would land."
WHO = {f"GIT_{who}_{what}": "rollout@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
NO_HOOK = """\
E-rc-mode-hook  {repository}: {what}, so nobody guards {branch} as the file says.
  {said}
  Install it, as the user whom the repository belongs to:
    ./runbook.py rc-check --hook > update, then on the host:  install -m 755 update {hook}
  Then:  ./runbook.py run"""
COMMAND = """\
E-rc-mode-command  {words} {what}.
  Then once more:  ./runbook.py run"""


class Guard:
    """PQM, which reads the file by itself: there is nothing else to do, and nothing that could be asked."""

    def follow(self, *, in_rc_mode: bool) -> None:
        """Have the branch guarded as the file says now. Raises RcModeError."""

    def verify(self, *, in_rc_mode: bool) -> None:
        """Raise RcModeError unless the branch is guarded as the file says."""

    def is_on(self) -> bool:
        """Return True if RC mode is on although the file does not say so."""
        return False


class HookGuard(Guard):
    """Git's `update` hook of a repository, which reads the file at each push."""

    def __init__(self, repository: str, branch: str, merges: str) -> None:
        """Keep what is guarded: a branch of a repository, and `merges`, the branch that rollouts merge into it."""
        self.repository, self.branch, self.merges = repository, branch, merges

    @staticmethod
    def file(repository: str) -> str:
        """Return the file that the hook of a repository reads."""
        return str(Path(repository) / STATE)

    def verify(self, *, in_rc_mode: bool) -> None:
        """Try the hook: an ordinary commit must not land, a release-critical one and the runbook's own merge must.

        The commits are made in a directory that is gone afterwards, as git itself keeps those of a push apart until
        its hooks have let them in. An open branch is not tried: leaving RC mode must not depend on a hook.
        """
        if not in_rc_mode:
            return
        with tempfile.TemporaryDirectory(prefix="rollout-rc-mode-") as scratch:
            objects = self._git("rev-parse", "--path-format=absolute", "--git-path", "objects")
            apart = {"GIT_OBJECT_DIRECTORY": scratch, "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects}
            old = self._git("rev-parse", "--verify", f"refs/heads/{self.branch}^{{commit}}")

            def commit(text: str, *parents: str) -> str:
                words = [word for parent in (old, *parents) for word in ("-p", parent)]
                return self._git("commit-tree", f"{old}^{{tree}}", *words, "-m", text, **apart)

            ordinary = commit(ORDINARY)
            wanted = [
                (ordinary, False, "an ordinary commit would land"),
                (commit(f"[release-critical=losa] {ORDINARY}"), True, "what is release-critical would not land"),
                (commit(f"Merge {self.merges} 1.", ordinary), True, f"the merge of {self.merges} would not land"),
            ]
            for new, lands, otherwise in wanted:
                self._try(old, new, lands, otherwise, apart)

    def _try(self, old: str, new: str, lands: bool, otherwise: str, apart: Mapping[str, str]) -> None:  # noqa: FBT001
        hook = self._git("rev-parse", "--path-format=absolute", "--git-path", "hooks/update")
        words = {"repository": self.repository, "branch": self.branch, "hook": hook}
        if not os.access(hook, os.X_OK):  # git passes over a hook that may not be run
            raise RcModeError(NO_HOOK.format(what=f"{hook} is not there, or may not be run", said="", **words))
        try:
            asked = subprocess.run(
                [hook, f"refs/heads/{self.branch}", old, new], cwd=self.repository, timeout=SECONDS, check=False,
                env={**os.environ, **apart, "GIT_DIR": self._git("rev-parse", "--absolute-git-dir")},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RcModeError(
                NO_HOOK.format(what=f"{hook} cannot be run", said=one_line(str(error)), **words)
            ) from error
        if (asked.returncode == 0) != lands:
            said = one_line(asked.stdout.decode("utf-8", "replace"))[:400]
            raise RcModeError(NO_HOOK.format(what=otherwise, said=f"{hook} says: {said or 'nothing'}", **words))

    def _git(self, *words: str, **environment: str) -> str:
        argv = ["git", "-C", self.repository, *words]
        asked = subprocess.run(
            argv, env={**os.environ, **WHO, **environment}, capture_output=True, timeout=SECONDS, check=False
        )
        if asked.returncode:
            said = one_line(asked.stderr.decode("utf-8", "replace"))[:400]
            branch = f"{self.branch} of the git repository {self.repository}"
            raise RcModeError(f"E-rc-mode-hook  {branch} cannot be read: {said}\n  Then:  ./runbook.py run")
        return asked.stdout.decode("utf-8", "replace").strip()


class CommandGuard(Guard):
    """The site's own commands: one enters RC mode, one leaves it, one says by 0 that it is on, by 1 that it is not."""

    def __init__(self, enter: Sequence[str], leave: Sequence[str], state: Sequence[str]) -> None:
        """Keep the commands, a word an item."""
        self.enter, self.leave, self.state = enter, leave, state

    def follow(self, *, in_rc_mode: bool) -> None:
        """Enter or leave RC mode, unless that is so already."""
        if self.is_on() != in_rc_mode:
            command = self.enter if in_rc_mode else self.leave
            code, said = self._call(command)
            if code:
                raise self._failed(command, f"ended with {code} ({said})")

    def verify(self, *, in_rc_mode: bool) -> None:
        """Raise RcModeError unless the site's command says that the branch is guarded as the file says."""
        if self.is_on() != in_rc_mode:
            now = "is not on" if in_rc_mode else "is on"
            raise self._failed(self.state, f"says that RC mode {now}, and it was {'entered' if in_rc_mode else 'left'}")

    def is_on(self) -> bool:
        """Return True if the site's command says that RC mode is on."""
        code, said = self._call(self.state)
        if code not in (0, 1):
            raise self._failed(self.state, f"ended with {code}; 0 for RC mode or 1 was expected ({said})")
        return code == 0

    def _call(self, command: Sequence[str]) -> tuple[int, str]:
        try:
            done = subprocess.run(
                list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._failed(command, f"cannot be run: {one_line(str(error))}") from error
        return done.returncode, one_line(done.stdout.decode("utf-8", "replace"))[-400:] or "it printed nothing"

    @staticmethod
    def _failed(command: Sequence[str], what: str) -> RcModeError:
        return RcModeError(COMMAND.format(words=" ".join(command), what=what))


def of(options: Mapping[str, Any]) -> Guard:
    """Return who guards the branch that a module's options describe."""
    if options["kind"] == "hook":
        return HookGuard(options["repository"], options["branch"], options["merges"])
    if options["kind"] == "command":
        return CommandGuard(options["enter_command"], options["leave_command"], options["state_command"])
    return Guard()
