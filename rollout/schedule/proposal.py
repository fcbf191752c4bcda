"""`schedule propose`: proposes a window for every month that lists none, by the rule, moved if it collides (R1, R4)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.rollout_core.time import proposal as core
from plugins.module_utils.rollout_core.time import schedule
from plugins.module_utils.rollout_core.time.proposal import Proposed
from plugins.module_utils.rollout_core.time.schedule import Pair
from rollout import documents, plain_yaml
from rollout import inventory as inventories
from rollout.outcomes import BadInputError
from rollout.plan import schedule as schedules
from rollout.plan.schedule import ScheduleFile
from rollout.schedule import calendars
from rollout.schedule import check as checking

WIDTH = 110  # of a comment


@dataclass(frozen=True)
class Proposal:
    """What would be `new` in the file at `path`, and the months that get nothing.

    `impossible`: no day of theirs will do; `without`: the rule has no day in them; `soon`: windows of the rule that are
    ahead, but too soon to be moved or listed.
    """

    path: Path
    read: ScheduleFile
    new: list[Proposed]
    impossible: list[Proposed]
    without: list[datetime]
    soon: list[datetime]

    @property
    def leaves_out(self) -> bool:
        """Whether a month is left without a window."""
        return bool(self.impossible or self.without)


def propose(inventory: Path, now: datetime, start: datetime | None = None, months: int | None = None) -> Proposal:
    """Propose windows for `months` months from that of `start` (now), or for the year ahead; listed windows stay.

    Raises BadInputError when schedule.yml or a calendar cannot be read: nobody knows then what collides.
    """
    facts = checking.read(inventory, now)
    if facts.broken:
        wrong = [f"  {one.where}: {one.what}" for one in facts.broken]
        first = "E-no-proposal  Calendars cannot be read, so nobody knows what collides; nothing was touched."
        raise BadInputError(
            "\n".join([first, *wrong, f"  See:  ./runbook.py schedule check -i {calendars.shown(inventory)}"])
        )
    begin = schedule.month(max(now, start.replace(tzinfo=UTC)) if start else now)
    last, after = now + schedule.YEAR, begin
    for _ in range(months or 0):
        after = schedule.next_month(after)
    if months:
        last = min(after - schedule.SECOND, last)
    earliest = now + timedelta(hours=inventories.policy(inventory).merge_hours_before)
    listed_months = {schedule.month(pair.window) for pair in facts.listed}
    by_rule = facts.read.schedule.model_copy(update={"listed": []})
    ruled = [
        Pair(window, backup)
        for window, backup in schedules.until(by_rule, begin - schedule.SECOND, last)
        if schedule.month(window) not in listed_months
    ]
    nominal = [pair for pair in ruled if pair.window >= earliest]
    found = core.propose(nominal, facts.listed, earliest, core.Facts(facts.events, facts.people, facts.rules))
    taken = listed_months | {schedule.month(pair.window) for pair in ruled}
    return Proposal(
        facts.path,
        facts.read,
        new=[one for one in found if one.pair],
        impossible=[one for one in found if one.pair is None],
        without=[month for month in _whole_months(begin, last) if month not in taken],
        soon=[pair.window for pair in ruled if now <= pair.window < earliest],
    )


def _whole_months(begin: datetime, last: datetime) -> Iterator[datetime]:
    """The months from `begin`, the first moment of one, that are over by `last`."""
    while (after := schedule.next_month(begin)) <= last + schedule.SECOND:
        yield begin
        begin = after


def lines(proposal: Proposal, *, written: bool) -> list[str]:
    """Return the new entries as YAML, with why each was moved as comments above it, and what is to be done next."""
    told = []
    if proposal.new:
        told += ["schedule:", "  listed:", *(line for one in proposal.new for line in entry(one, 4))]
    elif not proposal.leaves_out and not proposal.soon:
        told.append("# Every month that the rule has a window in lists one already.")
    told += [
        f"# {schedule.in_words(window)} is too soon to be proposed: there is no time for its merge any more."
        for window in proposal.soon
    ]
    for month in proposal.without:
        rule = proposal.read.schedule.windows
        told += _comment(f"{month:%B %Y} gets no window: the rule ({rule}) has no day in it. List one by hand.", 0)
    for one in proposal.impossible:
        when = f"{one.nominal.window:%B %Y}"
        told += _comment(f"No working day of {when} will do. {schedule.in_words(one.nominal.window)}, {_why(one)}", 0)
    if proposal.new:
        path = calendars.shown(proposal.path)
        again = f"./runbook.py schedule propose -i {calendars.shown(proposal.path.parent)} --write"
        told.append(f"# Written to {path}." if written else f"# Nothing was written. To write it:  {again}")
    return told


def entry(one: Proposed, indent: int) -> list[str]:
    """Return one window as lines of YAML, with a comment above it if it was moved."""
    if one.pair is None:
        return []
    moved = [f"{name} moved from {schedule.in_words(was)}" for name, was, now in _moves(one, one.pair) if was != now]
    comment = _comment(f"{', '.join(moved)}: {_why(one)}", indent) if moved else []
    window, backup = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (one.pair.window, one.pair.backup))
    return [*comment, f"{' ' * indent}- {{window: {window}, backup: {backup}}}"]


def _moves(one: Proposed, pair: Pair) -> Iterator[tuple[str, datetime, datetime]]:
    yield "window", one.nominal.window, pair.window
    follows = pair.window + (one.nominal.backup - one.nominal.window)
    yield "backup", follows, pair.backup


def _why(one: Proposed) -> str:
    return "; ".join(one.why)


def _comment(text: str, indent: int) -> list[str]:
    mark = " " * indent + "# "
    return textwrap.wrap(text, WIDTH, initial_indent=mark, subsequent_indent=mark + "  ", break_on_hyphens=False)


def write(proposal: Proposal) -> None:
    """Insert the new windows into the file, each in its place; comments and layout stay. Raises BadInputError."""
    text = documents.read_text(proposal.path)
    edited = edit(text, proposal.new)
    wanted = _plain(text)
    rows = [*(wanted["schedule"].get("listed") or []), *(_row(one.pair) for one in proposal.new if one.pair)]
    wanted["schedule"]["listed"] = sorted(rows, key=lambda row: str(row["window"]))
    found = _plain(edited) if edited else {}
    if found.get("schedule", {}).get("listed"):
        found["schedule"]["listed"] = sorted(found["schedule"]["listed"], key=lambda row: str(row["window"]))
    if found != wanted:
        path = calendars.shown(proposal.path)
        first = f"E-unusual-layout  {path} is laid out in a way that cannot be edited; nothing was touched."
        raise BadInputError(f"{first}\n  Put the lines in by hand:  ./runbook.py schedule propose")
    documents.write(proposal.path, edited)


def edit(text: str, new: Sequence[Proposed]) -> str:
    """Return the text with the new windows in it; an empty one if the layout is too unusual."""
    root = plain_yaml.compose(text)
    own = _value(root, "schedule")
    if not isinstance(own, yaml.MappingNode) or own.flow_style:
        return ""
    rows = text.splitlines(keepends=True)
    listed = _value(own, "listed")
    if isinstance(listed, yaml.SequenceNode) and listed.value:
        if listed.flow_style:
            return ""
        starts = [(_window(item), _above(rows, item.start_mark.line)) for item in listed.value]
        end, indent = _last_line(listed) + 1, listed.start_mark.column
    else:
        indent, starts = own.start_mark.column + 2, []
        if listed is None:
            end = _last_line(own) + 1
            new_lines = [" " * own.start_mark.column + "listed:\n"]
        else:
            end = listed.start_mark.line + 1
            new_lines = []
            rows[end - 1] = rows[end - 1].replace("[]", "", 1).replace(": \n", ":\n")
        rows[end:end] = new_lines
        end += len(new_lines)
    if rows and not rows[-1].endswith("\n"):
        rows[-1] += "\n"
    for one in sorted(new, key=_start, reverse=True):
        place = next((line for window, line in starts if window > _start(one)), end)
        rows[place:place] = [f"{line}\n" for line in entry(one, indent)]
    return "".join(rows)


def _start(one: Proposed) -> datetime:
    return one.pair.window if one.pair else one.nominal.window


def _row(pair: Pair) -> dict[str, datetime]:
    return {"window": pair.window, "backup": pair.backup}


def _plain(text: str) -> Any:
    return plain_yaml.load(text)


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _window(item: yaml.Node) -> datetime:
    value = _value(item, "window")
    return schedules.Listed.model_validate(
        {"window": value.value if value else "", "backup": value.value if value else ""}
    ).window


def _above(rows: Sequence[str], line: int) -> int:
    """Return the first line of the comment that stands directly above an entry."""
    while line and rows[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def _last_line(node: yaml.Node) -> int:
    """Return the line on which the node's text ends; the end mark of a block is past the comments behind it."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        return int(node.end_mark.line if node.end_mark.column else node.end_mark.line - 1)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)
