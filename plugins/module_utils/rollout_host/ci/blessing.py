"""The record that is kept between looks at Buildbot, and the messages for a missing blessing (R11, R13)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...rollout_core.merge.blessing import Blessing, BuilderVerdict
from .. import whole_file

LAST_LINES = 12  # of a failed step
AGAIN = "./runbook.py run blessing"
FAILED = f"""\
  If it is spurious: its pattern and bug into the inventory's spurious_failures.yml, then:  {AGAIN}
  Rebuilt by hand on that page, and green, it is blessed as well:  {AGAIN}
  If it is the code: what lands is [testfix], and in RC mode it needs [release-critical=NAME] too (R13).
    Does PQM take it:  ./runbook.py rc-check --mode rc < MESSAGE
    Then, once it has landed as REVNO, that revision goes out, and is blessed, instead:
      ./runbook.py run merge --fixed-in REVNO && ./runbook.py run
  A build of a later revision does not bless this one (R11)."""
NOT_STARTED = f"""\
  Have its worker back, or force a build of exactly this revision on that page; then:  {AGAIN}"""
DOWN = """\
E-buildbot-down  {line}, for more than {minutes:g} minutes.
  Have the master started: what was pushed meanwhile is built then.
  Then:  {again}"""
LATE = """\
E-blessing-late  Buildbot has not blessed the merge within {hours:g} h:
  {line}
  Wait for it again:  {again}"""
FORCED = ("builder", "build", "url", "why", "bug")


class Record:
    """A record of what was forced again for a revision, and since when the master is away; its file is replaced whole.

    A file about another revision counts as none. Without `keep` nothing is written.
    """

    def __init__(self, path: str, revid: str, *, keep: bool = True) -> None:
        """Read the record."""
        self._path, self._keep = Path(path), keep
        self._kept: dict[str, Any] = {"revid": revid, "down_since": None, "forced": []}
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if found["revid"] == revid:
                self._kept.update(found)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass  # none yet, or not ours: Buildbot itself knows what it has built

    @property
    def forced(self) -> list[dict[str, Any]]:
        """Return each {builder, build, url, why, bug}; bug is None if it was no known failure of a test."""
        return [
            {name: each[name] for name in ("builder", "build", "url", "why", "bug")} for each in self._kept["forced"]
        ]

    @property
    def builds(self) -> set[int]:
        """Return the ids of the builds that were forced again."""
        return {each["buildid"] for each in self._kept["forced"]}

    def forced_again(self, verdict: BuilderVerdict) -> None:
        """Record that a build was forced again."""
        build = verdict.build
        told = {"builder": verdict.builder, "build": build.get("number"), "buildid": build.get("buildid")}
        self._kept["forced"].append({**told, "url": verdict.url, "why": verdict.why, "bug": verdict.bug})
        self._write()

    def lines(self) -> list[str]:
        """Return one line for each build that was forced again."""
        return ["{builder} build {build} {why}: forced again ({url})".format(**each) for each in self.forced]

    def down_since(self, now: float) -> float:
        """Return since when the master is away; that is now, if nobody has noticed before."""
        if self._kept["down_since"] is None:
            self._kept["down_since"] = now
            self._write()
        return float(self._kept["down_since"])

    def up(self) -> None:
        """Record that the master answers."""
        if self._kept["down_since"] is not None:
            self._kept["down_since"] = None
            self._write()

    def _write(self) -> None:
        if self._keep:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole_file.replace(self._path, (json.dumps(self._kept, indent=1) + "\n").encode())


def red(blessing: Blessing, merged: str) -> str:
    """Return the error about builders that do not bless `merged` ("devel r10"): what, where, last lines, remedy."""
    bad = [verdict for verdict in blessing.verdicts if verdict.state in ("red", "never_started")]
    failed = any(verdict.state == "red" for verdict in bad)
    name, then = ("E-build-failed", FAILED) if failed else ("E-build-not-started", NOT_STARTED)
    lines = ["{}  {} did not bless {}.".format(name, " and ".join(verdict.builder for verdict in bad), merged)]
    for verdict in bad:
        lines.append(f"  {verdict.builder} {verdict.said}   {verdict.url}")
        for step in verdict.failed:
            lines += ["    " + line for line in [line for line in step.lines if line.strip()][-LAST_LINES:]]
    return "\n".join([*lines, then])


def waited_too_long(line: str, hours: float) -> str:
    """Return the error about a blessing that has not come in time."""
    return LATE.format(line=line, hours=hours, again=AGAIN)


def down_too_long(line: str, minutes: float) -> str:
    """Return the error about a master that stays away."""
    return DOWN.format(line=line, minutes=minutes, again=AGAIN)
