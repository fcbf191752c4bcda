"""The findings of an outage's preflight, in words: one for each check, each with what to do about it (R18).

A check is a pure function of facts and thresholds; those of this file are about the host, the files beside it have the
others. All durations are seconds, all sizes bytes.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Sequence

_MEGABYTE, _GIGABYTE = 1e6, 1e9
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_AN_SQL_STATEMENT = re.compile(r"\b(?:ALTER (?:SYSTEM|ROLE|DATABASE|SUBSCRIPTION)|SELECT pg_\w+|ROLLBACK PREPARED) ?\b")
LISTED_AT_MOST = 5
UNDO = "a killed run left it so:  playbooks/outage_undo.yml"


class Finding(NamedTuple):
    """The result of one check. `todo` is what to do if it is not ok; one that is ok and has a `todo` is a remark."""

    check: str
    ok: bool
    found: str
    expected: str
    todo: str = ""


def finding(check: str, found: str, expected: str, todo: str, *, ok: bool) -> Finding:
    """Return a finding; `todo` is left out if it is ok."""
    return Finding(check, ok, found, expected, "" if ok else todo)


def remark(check: str, found: str, expected: str, todo: str) -> Finding:
    """Return a finding that is no failure; with a `todo` people are told of it."""
    return Finding(check, ok=True, found=found, expected=expected, todo=todo)


def summary(findings: Sequence[Finding], lag: float | None, limit: float) -> str:
    """Return the findings in one line; `lag` is that of the slowest standby, None if nobody knows it."""
    good = sum(each.ok for each in findings)
    parts = [f"{good} of {len(findings)} " + ("✓" if good == len(findings) else "✗")]
    if lag is not None:
        parts.append(f"lag {lag:.1f} s")
    if any(each.check == "transactions" and each.ok for each in findings):
        parts.append(f"no transaction over {limit:.0f} s")
    return " · ".join(parts)


def remarks(findings: Sequence[Finding]) -> list[str]:
    """Return the remarks, a line each: what is no failure but should be known."""
    return [f"{each.check}: {each.found}; {each.todo}" for each in findings if each.ok and each.todo]


def complaint(database: str, dsn: str, findings: Sequence[Finding]) -> str:
    """Return the module's failure message: every failed check and what to do about it."""
    failed = [each for each in findings if not each.ok]
    lines = [f"E-preflight  {len(failed)} of {len(findings)} checks of {database} failed, nobody was locked out:"]
    for each in failed:
        lines.append(f"  {each.check}: {each.found} (expected: {each.expected})")
        lines += [f"      {line.strip()}" for line in each.todo.splitlines()]
    if any(_AN_SQL_STATEMENT.search(each.todo) for each in failed):
        lines.append(f"  SQL is typed on that host in:  psql '{dsn}'")
    return "\n".join([*lines, "  Then: ./runbook.py run preflight"])


def listed(items: Sequence[str]) -> str:
    """Return the first few items as one text, with how many more there are."""
    more = len(items) - LISTED_AT_MOST
    return "; ".join(items[:LISTED_AT_MOST]) + (f"; and {more} more" if more > 0 else "")


def duration(seconds: float) -> str:
    """Return a duration as people say it: 83 s, 12 min, 5 h, 3 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def name(identifier: str) -> str:
    """Return an identifier as SQL writes it, quoted if it must be."""
    return identifier if _PLAIN_NAME.fullmatch(identifier) else '"{}"'.format(identifier.replace('"', '""'))


def volumes(needs: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge the space on each volume for all that is written to it: every table rewritten once, and all of that as WAL.

    A need is {what, path, bytes, device, free}: what the outage writes below `path`, how many bytes, and how many are
    `free` on the volume `device` that holds it.
    """
    by_device: dict[Any, list[Mapping[str, Any]]] = {}
    for need in needs:
        by_device.setdefault(need["device"], []).append(need)
    return [_volume(of_one) for of_one in by_device.values()]


def _volume(needs: Sequence[Mapping[str, Any]]) -> Finding:
    free, needed = needs[0]["free"], sum(need["bytes"] for need in needs)
    parts = " + ".join(f"{_size(need['bytes'])} {need['what']}" for need in needs)
    return finding(
        "disk",
        f"{_size(free)} free at {needs[0]['path']}",
        f"at least {_size(needed)}: {parts}",
        f"make room on that volume:  df -h {needs[0]['path']}",
        ok=free >= needed,
    )


def _size(size: float) -> str:
    return f"{size / _GIGABYTE:,.0f} GB" if size >= 10 * _GIGABYTE else f"{size / _MEGABYTE:,.0f} MB"


def state_directory(path: str, problem: str) -> Finding:
    """Judge whether the outage can keep its state below `path`; `problem` says why it cannot, empty if it can."""
    todo = f"mend it, or set database_state_directory:  ls -ld {path}"
    return finding("state directory", problem or "writable", "writable", todo, ok=not problem)


def scripts(given: Mapping[str, Any], missing: Sequence[str]) -> Finding:
    """Judge whether the outage would refuse the site's own scripts (R12), such as those `missing` on the host.

    `given` are the options permissions, permissions_command, upgrade_command, upgrade_command_closes_access and pools.
    """
    upgrade, others = given["upgrade_command"], [given["permissions"], given["permissions_command"]]
    wrong = [(f"cannot be run: {listed(missing)}", "have it installed, executable")] if missing else []
    if upgrade and any(others):
        wrong.append(("the upgrade script sets permissions itself", "leave out all other database_permissions…"))
    if upgrade and given["upgrade_command_closes_access"] and not given["pools"]:
        said = "nobody here could open what the upgrade script leaves closed"
        wrong.append((said, "set database_pools, or database_upgrade_command_closes_access: false"))
    there = listed([argv[0] for argv in (given["permissions_command"], upgrade) if argv])
    todo = "\n".join(do for _, do in wrong)
    found = "; ".join(problem for problem, _ in wrong) or there
    return finding("scripts", found, "on this host, executable, and they go together", todo, ok=not wrong)


def worker(path: str) -> Finding:
    """Report where the worker's program was copied to."""
    return remark("worker", f"brought as {path}", "brought to the host", "")


def clock(asked: float | None, host: float | None, answered: float | None, limit: float) -> Finding:
    """Judge the host's clock against the control machine's, which says when it asked and when it was answered.

    How long the answer took leaves the difference uncertain; the smallest difference that is possible is judged.
    """
    expected = f"at most {limit:.0f} s"
    if asked is None or host is None or answered is None:
        return remark("clock", "NOT COMPARED", expected, "the play gives the control machine's time")
    half = abs(answered - asked) / 2
    ahead = host - (asked + answered) / 2
    known_to = f" (known to {half:.1f} s)" if half >= 0.05 else ""
    found = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the control machine{known_to}"
    todo = "one of the two is wrong, and so is what is put on record: see `timedatectl` on both, have it set"
    return finding("clock", found, expected, todo, ok=abs(ahead) - half <= limit)


def patches_to_come(pinned: Sequence[str]) -> Finding:
    """Report that there is no merged tree to look for patches in: nothing is pinned, or it is yet to be delivered."""
    if not pinned:
        todo = "there are none to be looked at"
        return remark("patches", "NOT CHECKED, no revision is pinned", "the pinned ones", todo)
    found = f"NOT CHECKED, the tree with the {len(pinned)} pinned ones is not on this host yet"
    todo = "it comes with its stage, or now:  ./runbook.py run deliver"
    return remark("patches", found, "the pinned ones", todo)


def backups(
    marker: str, marker_seconds: float | None, archiver: Mapping[str, Any] | None, limit_hours: float
) -> list[Finding]:
    """Judge the age of the last good backup: of the file `marker` (None: it is not there), and of the WAL archive.

    `archiver` is None where no WAL is archived, else {seconds, failed}: the age of what was archived last (None:
    nothing yet), and the name of the segment that could not be archived since then, empty if there is none.
    """
    expected, found = f"at most {limit_hours:.0f} h old", []
    if marker:
        missing = marker_seconds is None
        said = f"there is no {marker}" if missing else f"{duration(marker_seconds or 0)} old ({marker})"
        ok = not missing and (marker_seconds or 0) <= limit_hours * 3600
        found.append(
            finding("backup", said, expected, "take one before anything is changed that cannot be undone", ok=ok)
        )
    if archiver is not None:
        age = archiver["seconds"]
        said = "nothing was ever archived" if age is None else f"archived {duration(age)} ago"
        said += f", {archiver['failed']} fails" if archiver["failed"] else ""
        ok = age is not None and age <= limit_hours * 3600 and not archiver["failed"]
        todo = "see the server's log for archive_command; WAL that is not archived fills pg_wal's volume"
        found.append(finding("WAL archive", said, expected, todo, ok=ok))
    if not found:
        todo = "set database_backup_marker to a file that every good backup touches"
        found.append(remark("backup", "NOT CHECKED, none is configured", expected, todo))
    return found
