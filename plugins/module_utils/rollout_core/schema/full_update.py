"""Reads the output of the site's whole-outage script (full-update.py), and judges how far to trust it (R9, R12).

Its exit code lies: it is 0 also after everything was rolled back, as happens for a patch without its row or its
semicolon. `applied just now` lies too: dry runs and runs that are rolled back print it. What counts are the rows in the
table, and the last line. All durations are seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Mapping, Sequence

from .patches import PatchName

LAST_LINE = "All good. All done."
MEANINGS = {
    1: "an exception ended it",
    2: "it does not know one of its options",
    93: "replication was not paused",
    94: "there is no connection to the primary",
    95: "access to the database was not disabled",
    96: "access to the database was not enabled again",
    98: "there is no primary",
    99: "a preflight check failed",
    100: "a preflight check failed",
    101: "a preflight check failed",
}
TOLD_LINES = 6  # the last lines of the log, in a message
SAME = 0.1  # seconds: the script prints tenths
_PREFIX = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:,[0-9]{3})? (?P<level>[A-Z]+) +")
_JUST_NOW = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]) applied just now in ([0-9]{1,8}(?:\.[0-9]+)?) seconds")
_STARTS = re.compile(r"Outage starts\.(?P<closed> Shutting down pgbouncer\.)?")
_CLOSING = re.compile(r"Disabling access to (?P<database>\S+?)\.?")
_OVER = re.compile(
    r"Outage complete\. (?P<took>(?:[0-9]+ days?, )?\S+)"
    r"|(?:Primary|Master) reenabled despite earlier failures\. Outage over (?P<late>(?:[0-9]+ days?, )?[^,]+),.*"
)
_ONGOING = re.compile(r"(?:Primary|Master) is still disabled in pgbouncer\. Outage ongoing\.")
_APPLYING = re.compile(r"Applying (?:\S*/)?(?P<file>[^\s/]+\.sql)")
_STEP = re.compile(
    r"(?:Applying patches|Streaming replicas syncing|Starting upgrade|Rolling back all schema and security changes"
    r"|Outage starts|(?:Pausing|Resuming) replication to \S+?|(?:Disabling|Enabling) access to \S+?)\.?"
)
_TOOK = re.compile(
    r"(?:(?P<days>[0-9]{1,4}) days?, )?(?P<hours>[0-9]{1,4}):(?P<minutes>[0-9]{2}):(?P<seconds>[0-9]{2}(?:\.[0-9]+)?)"
)
_REPLICATION = re.compile(r"(?P<what>Pausing|Resuming) replication to (?P<standby>\S+?)\.?")


class OutageState(Enum):
    """The state of access to the database, by the output."""

    NEVER = "no outage had begun"
    OVER = "the outage is over"
    UNCLEAR = "whether the database is open, the output does not say"
    ON = "THE OUTAGE IS STILL ON"


@dataclass
class Output:
    """The output of a run of the script. `seconds` are by patch file name, and prove nothing by themselves."""

    lines: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    outage: OutageState = OutageState.NEVER
    took: str | None = None  # the outage, in the script's own words
    database: str | None = None  # its name in pgbouncer
    paused: list[str] = field(default_factory=list)  # standbys whose replication was not resumed
    complaint: str | None = None  # the first CRITICAL or ERROR

    @property
    def all_good(self) -> bool:
        """Return True if its last line is the one of a run that came to its end."""
        return bool(self.lines) and _text(self.lines[-1]) == LAST_LINE


@dataclass(frozen=True)
class Run:
    """One run of the script: the patches pending before it, those without a row after it, and how it ended.

    `missing` is None if nobody could look at the rows. `exit_code` is negative for a signal, and None for a run that
    was `stopped` after `seconds`. `closes_access`: it keeps the contract of full-update.py and closes and opens access
    itself; `known`: we look at access and open it, so its own words on access do not count. `setting` is the variable
    that names the command.
    """

    command: str
    database: str
    exit_code: int | None
    seconds: float
    output: Output
    pending: Sequence[PatchName]
    missing: Sequence[PatchName] | None
    closes_access: bool = True
    known: bool = False
    setting: str = "qastaging_upgrade"
    stopped: str = "its deadline"

    @property
    def outage(self) -> OutageState:
        """Return the state of access: 96 means closed whatever was printed, 95 makes a printed "closed" unclear."""
        if self.exit_code == 96:
            return OutageState.ON
        if self.exit_code == 95 and self.output.outage is OutageState.ON:
            return OutageState.UNCLEAR
        return self.output.outage

    @property
    def succeeded(self) -> bool:
        """Return True if rows, last line and exit code all say so (R12); another script's last line does not count."""
        at_its_end = self.output.all_good or not self.closes_access
        return self.missing is not None and not self.missing and at_its_end and self.exit_code == 0


def read(text: str) -> Output:
    """Return the output of one run, with or without the time in front of each line."""
    output = Output(lines=[line.rstrip() for line in text.splitlines() if line.strip()])
    for line in output.lines:
        _take(output, line, _text(line))
    return output


def _take(output: Output, line: str, text: str) -> None:
    """Add what one line says to the output."""
    if just_now := _JUST_NOW.fullmatch(text):
        name = PatchName(*(int(number) for number in just_now.groups()[:3]))
        output.seconds[str(name)] = float(just_now[4])
    elif starts := _STARTS.fullmatch(text):
        output.outage = OutageState.ON if starts["closed"] else OutageState.UNCLEAR
    elif closing := _CLOSING.fullmatch(text):
        output.outage, output.database = OutageState.ON, closing["database"]
    elif over := _OVER.fullmatch(text):
        output.outage, output.took = OutageState.OVER, over["took"] or over["late"]
    elif _ONGOING.fullmatch(text):
        output.outage = OutageState.ON
    elif replication := _REPLICATION.fullmatch(text):
        others = [standby for standby in output.paused if standby != replication["standby"]]
        output.paused = [*others, replication["standby"]] if replication["what"] == "Pausing" else others
    prefix = _PREFIX.match(line)
    if prefix and prefix["level"] in ("CRITICAL", "ERROR") and output.complaint is None:
        output.complaint = text


def _text(line: str) -> str:
    prefix = _PREFIX.match(line)
    return line[prefix.end() :].strip() if prefix else line.strip()


def step(line: str) -> str | None:
    """Return the step that an output line begins: a patch's step is its file; None for every other line."""
    text = _text(line)
    if applying := _APPLYING.fullmatch(text):
        return applying["file"]
    return text.rstrip(".") if _STEP.fullmatch(text) else None


def outage_seconds(output: Output) -> float | None:
    """Return the seconds of the outage in the script's own words (`0:00:00.495286`); None if it does not say."""
    took = _TOOK.fullmatch(output.took or "")
    if took is None:
        return None
    days, hours, minutes = (int(took[name] or 0) for name in ("days", "hours", "minutes"))
    return round(((days * 24 + hours) * 60 + minutes) * 60 + float(took["seconds"]), 3)


def timings(output: Output, rows: Mapping[str, float | None]) -> tuple[dict[str, float | None], list[str]]:
    """Return seconds by patch of `rows` {patch: its row's seconds}, and remarks where the script says otherwise.

    Only patches with a row count. If both tell and differ, the longer time counts; None if neither tells.
    """
    told: dict[str, float | None] = {}
    remarks = []
    for patch, of_row in rows.items():
        printed = output.seconds.get(patch)
        known = [seconds for seconds in (of_row, printed) if seconds is not None]
        told[patch] = max(known) if known else None
        if not known:
            remarks.append(f"{patch}: neither its row nor the script says how long it took")
        elif of_row is not None and printed is not None and abs(of_row - printed) > SAME:
            remarks.append(f"{patch}: its row says {of_row:.1f} s, the script {printed:.1f} s; the longer counts")
    return told, remarks


def failure(run: Run, log: str, dsn: str) -> str:
    """Return why this run failed, for the person who has to go on: code, rows, access, last lines, and what to type."""
    return f"{told(run, log, kept_of(run))}\nThen:  {remedy(run, dsn)}"


def told(run: Run, log: str, *kept: str) -> str:
    """Return why this run failed, without what to type; `kept` are lines about the rows from whoever has looked."""
    name, sentence = _verdict(run)
    by_output = run.closes_access and not run.known
    if run.outage is OutageState.ON and by_output:
        lines = [f"E-upgrade-outage-on  {_access(run)}", sentence]
    else:
        lines = [f"{name}  {sentence}"]
    lines += [f"It says: {run.output.complaint}."] if run.output.complaint else []
    lines += kept
    lines += [_access(run)] if by_output and run.outage is not OutageState.ON else []
    lines += _replication(run) if run.closes_access else []
    return "\n".join([*lines, *end_of(run.output, log)])


def end_of(output: Output, log: str) -> list[str]:
    """Return the last lines of an output, indented, and where the rest is."""
    return [f"The end of its output, {log}:", *(f"    {line}" for line in output.lines[-TOLD_LINES:] or ["(nothing)"])]


def _verdict(run: Run) -> tuple[str, str]:
    code = run.exit_code
    where = f"{run.command} on {run.database}"
    if code is None:
        name = "E-upgrade-deadline" if run.stopped == "its deadline" else "E-upgrade-stopped"
        return name, f"{where} was ended after {run.seconds:.0f} s, {run.stopped}."
    if code < 0:
        return "E-upgrade-failed", f"{where} was ended by signal {-code}."
    if code:
        meaning = MEANINGS.get(code, "a code that nobody has told us of")
        return "E-upgrade-failed", f"{where} exited {code}" + (f": {meaning}." if run.closes_access else ".")
    if run.missing:
        lie = ", which is also its code after a rollback" if run.closes_access else ""
        return "E-upgrade-rolled-back", f"{where} exited 0{lie}: patches are not in the table."
    if run.missing is None:
        return "E-upgrade-unproven", f"{where} exited 0, which proves nothing, and the rows cannot be read."
    return "E-upgrade-unfinished", f"{where} exited 0, but its last line is not {LAST_LINE!r}."


def kept_of(run: Run) -> str:
    """Return in a sentence what the rows say."""
    if run.missing is None:
        return "What was kept is not known: the rows could not be read."
    if not run.pending:
        return "Nothing was pending."
    kept = [patch for patch in run.pending if patch not in run.missing]
    if not kept:
        return "Nothing was kept: the rows are as before."
    there, gone = (", ".join(patch.number for patch in patches) for patches in (kept, run.missing))
    return f"KEPT: the rows {there} are in the table" + (f"; not there: {gone}." if gone else ", all that was pending.")


def _access(run: Run) -> str:
    sentence = run.outage.value
    if run.outage is OutageState.OVER and run.output.took:
        sentence += f" (it took {run.output.took})"
    if run.outage not in (OutageState.ON, OutageState.UNCLEAR):
        return f"{sentence[0].upper()}{sentence[1:]}."
    database = run.output.database or run.database
    psql = "psql -p 6432 -U pgbouncer pgbouncer"
    if run.outage is OutageState.UNCLEAR:
        return f"{sentence[0].upper()}{sentence[1:]}. Look, on pgbouncer's host:  {psql} -c 'SHOW DATABASES'"
    open_it = f"{psql} -c 'RESUME {database}' -c 'ENABLE {database}'"
    return f"{sentence}. Open the database first, on pgbouncer's host:  {open_it}"


def _replication(run: Run) -> list[str]:
    """Return what to do about standbys that were paused and not resumed."""
    if not run.output.paused:
        return []
    standbys = ", ".join(run.output.paused)
    return [f"Replication to {standbys} is still paused. Resume it there:  psql -c 'SELECT pg_wal_replay_resume()'"]


def remedy(run: Run, dsn: str) -> str:
    """Return what to type after a failed run."""
    again = "./runbook.py run"
    code = run.exit_code
    if code == 2 and run.closes_access:
        return f"correct {run.setting}_command in the inventory, and {again}"
    if (code in (94, 98) and run.closes_access) or run.missing is None:
        return f"psql '{dsn}', mend what that says, and {again}"
    if code in (99, 100, 101) and run.closes_access:
        return f"end by hand what it names, and {again}"
    if code == 0 and run.missing:
        return f"fix the patch or back it out (R17), and {again}"
    if code is None and run.stopped == "its deadline":
        return f"find out what it waited for, or raise {run.setting}_deadline_seconds, and {again}"
    if code is None:
        return f"find out who stopped it before another attempt: {again}"
    return f"mend what it says, and {again}"
