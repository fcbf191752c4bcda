"""The files of the service switch on a host: the cron jobs' ini, the maintenance banner (R5)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Callable, NamedTuple

from ...rollout_core.site import cron_switch
from .. import whole_file

COMMENT = """Paused for a downtime. The original waits in {before}; to resume by hand:
mv {before} {path}"""


class SwitchError(Exception):
    """An error: the services cannot be switched; the text is the module's message."""


class SwitchStep(NamedTuple):
    """One change that is still to be made: the function to call, its diff, and the file that keeps a hand-made edit."""

    run: Callable[[], None]
    diff: dict[str, str]
    keeps: str | None = None


def read(path: Path) -> str | None:
    """Return the text of a file; None if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    """Replace the file at `path` with a new one, which every service may read."""
    whole_file.replace(path, text.encode("utf-8", "surrogateescape"), mode=0o644)


class CronIni:
    """The switch of the cron jobs. `jobs` None: every job, also those without a section."""

    def __init__(self, path: str, jobs: list[str] | None) -> None:
        """Keep path and jobs; symbolic links are followed, so that the file itself is renamed."""
        self.path = Path(path).resolve()
        self.jobs = jobs
        self.before = self.path.with_name(self.path.name + ".before-pause")

    def text(self) -> str | None:
        """Return the text that the jobs read."""
        return read(self.path)

    def known_jobs(self) -> list[str]:
        """Return the jobs to switch; all sections if every job is."""
        return cron_switch.jobs(self.text() or "") if self.jobs is None else self.jobs

    def _enabled(self, text: str | None) -> list[str]:
        names = self.known_jobs()
        if self.jobs is None:  # "" stands for a job without a section
            names = [*names, ""]
        return [name for name in names if cron_switch.enabled(text, name)]

    def _paused(self, original: str) -> str:
        return cron_switch.paused(original, self.jobs, COMMENT.format(path=self.path, before=self.before))

    def _interrupted(self) -> bool:
        """Return True if a pause was interrupted: the original has its second name, but is not replaced yet."""
        return self.before.exists() and self.path.exists() and self.before.samefile(self.path)

    def plan_pause(self) -> SwitchStep | None:
        """Return the step after which no job of the list starts, or None. Raises SwitchError if it cannot be made."""
        text = self.text()
        reason = cron_switch.problem(text) if text is not None else "there is no such file"
        if text is None or reason:
            raise SwitchError(
                f"E-cron-unreadable  {self.path} switches nothing off: {reason}.\n"
                "  Jobs that cannot read it run. Nothing was changed. Repair it, then:  ./runbook.py run"
            )
        unknown = [name for name in self.jobs or [] if name not in cron_switch.jobs(text)]
        if unknown:
            raise SwitchError(
                f"E-unknown-job  {self.path} has no section for {', '.join(unknown)}; it has:"
                f" {', '.join(cron_switch.jobs(text))}.\n"
                "  Nothing was changed. Correct the list of jobs, or add a section with `enabled = True` for it."
            )
        if not self._enabled(text):
            return None
        if self.before.exists() and not self._interrupted():
            raise SwitchError(
                f"E-cron-changed  {self.before} is there from a pause, but {self.path} does not pause"
                f" {', '.join(name or 'jobs without a section' for name in self._enabled(text))}.\n"
                f"  Somebody edited one of them. Nothing was changed. Look:  diff {self.before} {self.path}\n"
                f"  Is {self.path.name} right? Remove the other one, then:  ./runbook.py run"
            )
        paused = self._paused(text)
        return SwitchStep(lambda: self._pause(paused), self._diff(text, paused))

    def _pause(self, paused: str) -> None:
        with contextlib.suppress(FileExistsError):  # when a pause was interrupted
            os.link(self.path, self.before)
        whole_file.sync(self.path.parent)
        _replace(self.path, paused)

    def check_paused(self) -> None:
        """Read the switch back as a job would. Raises SwitchError if one of the jobs could start."""
        enabled = self._enabled(self.text())
        if enabled:
            names = ", ".join(name or "jobs without a section" for name in enabled)
            raise SwitchError(f"E-cron-enabled  {names} can start although {self.path} was switched off.")

    def plan_resume(self) -> SwitchStep | None:
        """Return the step that puts the original back; None if it was never replaced."""
        original = read(self.before)
        if original is None:
            return None
        text = self.text()
        if self._interrupted():
            return SwitchStep(self.before.unlink, self._diff(original, original))
        edited = text is not None and text != self._paused(original)
        kept = self.path.with_name(self.path.name + ".while-paused") if edited else None
        return SwitchStep(lambda: self._resume(kept), self._diff(text or "", original), str(kept) if kept else None)

    def _resume(self, kept: Path | None) -> None:
        if kept:
            self.path.replace(kept)
        self.before.replace(self.path)
        whole_file.sync(self.path.parent)

    def _diff(self, old: str, new: str) -> dict[str, str]:
        return {"before_header": str(self.path), "after_header": str(self.path), "before": old, "after": new}


class Banner:
    """The file that announces the maintenance."""

    def __init__(self, path: str) -> None:
        """Keep the path; the file need not exist."""
        self.path = Path(path)

    def shown(self) -> str | None:
        """Return the banner's text; None if there is none."""
        text = read(self.path)
        return None if text is None else text.strip()

    def plan(self, wanted: str | None) -> SwitchStep | None:
        """Return the step after which the banner says `wanted` (None: no banner), or None."""
        text = read(self.path)
        if text == wanted:
            return None
        if wanted is not None and not self.path.parent.is_dir():
            raise SwitchError(f"E-banner-directory  There is no directory {self.path.parent} for the banner.")
        headers = {"before_header": str(self.path), "after_header": str(self.path)}
        diff = {**headers, "before": text or "", "after": wanted or ""}
        return SwitchStep(self.path.unlink if wanted is None else lambda: _replace(self.path, wanted), diff)
