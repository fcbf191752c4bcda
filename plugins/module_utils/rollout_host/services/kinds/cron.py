"""The cron jobs of a host that one INI file switches: it has a section for each job, with a key ``enabled`` (R5)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Mapping

from ....rollout_core.site import cron_switch
from ... import whole_file
from .. import job_locks
from .base import Look, Service, ServiceError, Work

COMMENT = """Paused for a downtime. The original waits in {before}; to resume by hand:
mv {before} {path}"""


def read(path: Path) -> str | None:
    """Return the text of a file; None if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


class Cron(Service):
    """The switch of the cron jobs.

    The original waits beside it, under another name, and comes back by a rename, byte for byte. A job that cannot read
    the switch runs: so it is read back as a job would.
    """

    settles = True

    def __init__(self, given: Mapping[str, Any], seconds: float) -> None:
        """Keep path and jobs; symbolic links are followed, so that the file itself is renamed."""
        super().__init__(given, seconds)
        self.path = Path(given["path"]).resolve()
        every = given["jobs"] == ["all"]
        self.jobs: list[str] | None = None if every else given["jobs"]  # None: every job, also one without a section
        self.before = self.path.with_name(self.path.name + ".before-pause")

    def look(self) -> Look:
        """Return which jobs are on and off. Raises ServiceError if a pause would switch nothing off."""
        text, left = read(self.path), self.before.exists()
        try:
            enabled = self._enabled(self._readable(text))
        except ServiceError as error:
            if left:  # the original comes back, whatever became of the paused one
                return Look(paused=False, text=str(error).split("\n")[0], left=True)
            raise
        off = [job for job in self._known(text or "") if job not in enabled]
        said = [f"{', '.join(name or 'jobs without a section' for name in enabled)} on"] if enabled else []
        said += [f"{', '.join(off)} off"] if off else []
        return Look(not enabled, "; ".join(said), left=left)

    def _readable(self, text: str | None) -> str:
        """Return the text. Raises ServiceError if a job could not read it, or a job of ours is not in it."""
        reason = cron_switch.problem(text) if text is not None else "there is no such file"
        if text is None or reason:
            raise ServiceError(
                f"E-cron-unreadable  {self.path} switches nothing off: {reason}.\n"
                "  Jobs that cannot read it run. Nothing was changed. Repair it, then:  ./runbook.py run"
            )
        unknown = [name for name in self.jobs or [] if name not in cron_switch.jobs(text)]
        if unknown:
            raise ServiceError(
                f"E-unknown-job  {self.path} has no section for {', '.join(unknown)}; it has:"
                f" {', '.join(cron_switch.jobs(text))}.\n"
                "  Nothing was changed. Correct the list of jobs, or add a section with `enabled = True` for it."
            )
        return text

    def pause(self) -> None:
        """Put a switch in place that has the jobs off. Raises ServiceError where somebody else edits it."""
        text = self._readable(read(self.path))
        if self.before.exists() and not self._interrupted():
            enabled = ", ".join(name or "jobs without a section" for name in self._enabled(text))
            raise ServiceError(
                f"E-cron-changed  {self.before} is there from a pause, but {self.path} does not pause {enabled}.\n"
                f"  Somebody edited one of them. Nothing was changed. Look:  diff {self.before} {self.path}\n"
                f"  Is {self.path.name} right? Remove the other one, then:  ./runbook.py run"
            )
        with contextlib.suppress(FileExistsError):  # when a pause was interrupted
            os.link(self.path, self.before)
        whole_file.sync(self.path.parent)
        paused = self._paused(text).encode("utf-8", "surrogateescape")
        whole_file.replace(self.path, paused, mode=0o644)

    def resume(self, was: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - the original waits beside it
        """Put the original back, if it was replaced. Return where an edit is kept that somebody made meanwhile."""
        original = read(self.before)
        if original is None:
            return None
        if self._interrupted():
            self.before.unlink()
            return None
        text = read(self.path)
        kept = None
        if text is not None and text != self._paused(original):
            kept = self.path.with_name(self.path.name + ".while-paused")
            self.path.replace(kept)
        self.before.replace(self.path)
        whole_file.sync(self.path.parent)
        return f"what was edited during the pause is in {kept}" if kept else None

    def busy(self) -> list[Work]:
        """Return the jobs that hold their lock."""
        found = job_locks.held(self.given["lock_directory"], self.jobs) if self.given["lock_directory"] else []
        return [Work(each.text, f"ps -fp {each.pid}" if each.pid else f"cat {each.lock}") for each in found]

    def stale(self) -> list[str]:
        """Return the locks that jobs which are gone have left."""
        directory = self.given["lock_directory"]
        return [each.text for each in job_locks.look(directory, self.jobs) if each.stale] if directory else []

    def diff(self, *, pausing: bool) -> dict[str, str]:
        """Return the change of the switch."""
        text = read(self.path) or ""
        after = self._paused(text) if pausing else read(self.before) or text
        return {"before_header": str(self.path), "after_header": str(self.path), "before": text, "after": after}

    def _known(self, text: str) -> list[str]:
        return cron_switch.jobs(text) if self.jobs is None else self.jobs

    def _enabled(self, text: str) -> list[str]:
        names = self._known(text)
        if self.jobs is None:  # "" stands for a job without a section
            names = [*names, ""]
        return [name for name in names if cron_switch.enabled(text, name)]

    def _paused(self, original: str) -> str:
        return cron_switch.paused(original, self.jobs, COMMENT.format(path=self.path, before=self.before))

    def _interrupted(self) -> bool:
        """Return True if a pause was interrupted: the original has its second name, but is not replaced yet."""
        return self.before.exists() and self.path.exists() and self.before.samefile(self.path)
