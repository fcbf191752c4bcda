"""The record that is kept between looks at a CI, and the messages for a missing blessing (R11, R13)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...rollout_core.merge.blessing import Blessing, CheckVerdict
from .. import whole_file

LAST_LINES = 12  # of a failed step
AGAIN = "./runbook.py run blessing"
FAILED = f"""\
  If it is spurious: its pattern and bug into the inventory's spurious_failures.yml, then:  {AGAIN}
  Run again by hand on that page, and green, it is blessed as well:  {AGAIN}
  If it is the code: what lands is [testfix], and in RC mode it needs [release-critical=NAME] too (R13).
    Does it land:  ./runbook.py rc-check --mode rc < MESSAGE
    Then, once it has landed as REVNO, that revision goes out, and is blessed, instead:
      ./runbook.py run merge --fixed-in REVNO && ./runbook.py run
  A check of a later revision does not bless this one (R11)."""
NOT_STARTED = f"""\
  Have it started for exactly this revision, or correct its name in blessing_checks; then:  {AGAIN}"""
DOWN = """\
E-ci-down  {line}, for more than {minutes:g} minutes.
  Have it started: what was pushed meanwhile is built then.
  Then:  {again}"""
LATE = """\
E-blessing-late  The merge is not blessed within {hours:g} h:
  {line}
  Wait for it again:  {again}"""


class Record:
    """A record of what was run again for a revision, and since or until when the CI does not answer.

    Its file is replaced whole. A file about another revision counts as none. Without `keep` nothing is written.
    """

    def __init__(self, path: str, revid: str, *, keep: bool = True) -> None:
        """Read the record."""
        self._path, self._keep = Path(path), keep
        self._kept: dict[str, Any] = {"revid": revid, "down_since": None, "limited_until": None, "rerun": []}
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if found["revid"] == revid:
                self._kept.update(found)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass  # none yet, or not ours: the CI itself knows what it has run

    @property
    def rerun(self) -> list[dict[str, Any]]:
        """Return each {check, run, url, why, bug}; bug is None if it was no known failure of a test."""
        names = ("check", "url", "why", "bug")
        return [{"run": each["called"], **{name: each[name] for name in names}} for each in self._kept["rerun"]]

    @property
    def runs(self) -> dict[tuple[str, str], float]:
        """Return when each run was run again, by check and the run's id."""
        return {(each["check"], each["run"]): each["at"] for each in self._kept["rerun"]}

    def run_again(self, verdict: CheckVerdict, now: float) -> None:
        """Record that a check was run again."""
        told = {"check": verdict.check, "run": verdict.run, "called": verdict.called, "at": now}
        self._kept["rerun"].append({**told, "url": verdict.url, "why": verdict.why, "bug": verdict.bug})
        self._write()

    def lines(self) -> list[str]:
        """Return one line for each run that was run again."""
        return ["{check} {run} {why}: run again ({url})".format(**each) for each in self.rerun]

    def down_since(self, now: float) -> float:
        """Return since when the CI is away; that is now, if nobody has noticed before."""
        if self._kept["down_since"] is None:
            self._kept["down_since"] = now
            self._write()
        return float(self._kept["down_since"])

    @property
    def limited_until(self) -> float:
        """Return until when the CI takes no more questions."""
        return float(self._kept["limited_until"] or 0.0)

    def limited(self, until: float) -> None:
        """Record that the CI takes no more questions before `until`; it answers, so it is not away."""
        self._kept.update(down_since=None, limited_until=until)
        self._write()

    def up(self) -> None:
        """Record that the CI answers."""
        if self._kept["down_since"] is not None or self._kept["limited_until"] is not None:
            self._kept.update(down_since=None, limited_until=None)
            self._write()

    def _write(self) -> None:
        if self._keep:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole_file.replace(self._path, (json.dumps(self._kept, indent=1) + "\n").encode())


def red(blessing: Blessing, merged: str) -> str:
    """Return the error about checks that do not bless `merged` ("devel r10"): what, where, last lines, remedy."""
    bad = [verdict for verdict in blessing.verdicts if verdict.state in ("red", "never_started")]
    failed = any(verdict.state == "red" for verdict in bad)
    name, then = ("E-check-failed", FAILED) if failed else ("E-check-not-started", NOT_STARTED)
    lines = ["{}  {} did not bless {}.".format(name, " and ".join(verdict.check for verdict in bad), merged)]
    for verdict in bad:
        lines.append(f"  {verdict.check} {verdict.said}   {verdict.url}".rstrip())
        for step in verdict.failed:
            lines += ["    " + line for line in [line for line in step.lines if line.strip()][-LAST_LINES:]]
    return "\n".join([*lines, then])


def waited_too_long(line: str, hours: float) -> str:
    """Return the error about a blessing that has not come in time."""
    return LATE.format(line=line, hours=hours, again=AGAIN)


def down_too_long(line: str, minutes: float) -> str:
    """Return the error about a CI that stays away."""
    return DOWN.format(line=line, minutes=minutes, again=AGAIN)
