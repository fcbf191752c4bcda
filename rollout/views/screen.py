"""The live view at a terminal, and plain lines where there is none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from plugins.module_utils.rollout_core.journal.runs import FINAL
from rollout.gates.model import answer_command
from rollout.journal.lock_owner import LockOwner
from rollout.plan.process import Stage
from rollout.views.console import Cleaned
from rollout.views.overview import Overview, Said, StageRow, State

MARKS: dict[State, tuple[str, str]] = {
    "done": ("✓", "green"),
    "running": ("▸", "bold cyan"),
    "failed": ("✗", "bold red"),
    "late": ("✗", "bold red"),
    "refused": ("✗", "yellow"),
    "undone": ("↩", "yellow"),
    "overdue": ("!", "yellow"),
    "to come": (" ", "dim"),
}


def length(duration: timedelta) -> str:
    """Return 12 s, 4:05 min or 1:02:03 h: exact to the second, and as short as possible."""
    seconds = round(duration.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}:{seconds:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02} h"


def table(view: Overview) -> Table:
    """Return the table of all stages with their planned and actual times."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "stage", "planned (UTC)", "actual", "rules"):
        grid.add_column(heading, no_wrap=heading != "rules")  # where it is narrow, the rules give way
    for row in view.rows:
        mark, style = MARKS[row.state]
        name = f"{row.stage}" if row.state in {"done", "to come"} else f"{row.stage} · {row.state}"
        planned = f"{row.planned_start:%a %d %b %H:%M} – {row.planned_end:%H:%M}"
        grid.add_row(Text(mark, style), Text(name, style), planned, _actual(row, view.now), " ".join(row.rules))
    return grid


def headline(view: Overview) -> str:
    """Return `December 2026 · window Wed 9 Dec 08:00–09:30 UTC (backup Fri 11 Dec 08:00) · in 2 d 3 h`."""
    away = view.window_start - view.now
    when = f"in {away.days} d {away.seconds // 3600} h" if away > timedelta() else f"now {view.now:%a %d %b %H:%M:%S}"
    window = f"{view.window_start:%a %d %b %H:%M}–{view.window_end:%H:%M} UTC"
    return f"{view.plan_id} · window {window} (backup {view.backup_start:%a %d %b %H:%M}) · {when}"


def lateness_line(view: Overview) -> str:
    """Return the verdict in words, or that it does not count yet."""
    if view.closed:
        return f"closed: {view.closed[1].outcome.replace('_', ' ')}"
    return (
        f"{view.verdict.value.replace('_', ' ')} · {view.reason}"
        if view.verdict
        else "lateness counts from the window on"
    )


def standing_lines(view: Overview) -> list[str]:
    """Return lines that say which brackets are still on, and who answered what about each item."""
    each = [said for said in view.answers if said.item is not None]
    lines = [*view.announced, *(each.line for each in view.still_on), *(incident.line for incident in view.incidents)]
    for gate in dict.fromkeys(said.gate for said in each):
        said = [one for one in each if one.gate == gate]
        row = next(row for row in view.rows if row.stage == said[0].stage)
        if row.state == "done":  # nobody has to look at each any more
            people = Counter(one.by for one in said)
            lines.append(f"{gate}: {len(said)} yes, {', '.join(f'{who} {count}' for who, count in people.items())}")
        else:
            lines += [_told_of(one) for one in said]
    return lines


def _told_of(said: Said) -> str:
    mark = {"yes": "✓", "no": "✗"}.get(said.answer, " ")
    return f"{mark}  {said.gate}: {said.item}  {said.answer}, {said.by} ({said.source}, {said.at:%a %H:%M})"


def next_line(view: Overview, owner: LockOwner | None) -> str:
    """Return what to type next: to answer, to follow the runbook at work (`owner` of the lock), or to begin one."""
    if owner is not None and not owner.proven:
        return "\n".join(["! The lock is held, and not by a runbook that can be proven to be at work.", *owner.lines()])
    if view.waiting_for and owner is not None:
        _, asked = view.waiting_for[-1]
        return f"Waiting: {asked.question}   {answer_command(asked)}"
    if owner is not None:
        return f"At work: {owner}"
    if view.closed and view.closed[1].outcome == "aborted":
        return "Next: ./runbook.py next   (the next attempt after this abort)"
    if view.next_stage is None or (view.closed and view.closed[1].outcome in FINAL):
        return "Next: ./runbook.py plan new"
    row = view.next_stage
    command = "resume" if row.state == "running" else "run"
    return f"Next: ./runbook.py {command}   ({row.stage}, planned {row.planned_start:%a %d %b %H:%M} UTC)"


def show(console: Console, view: Overview, owner: LockOwner | None) -> None:
    """Print everything that `status` shows."""
    console.print(Text(headline(view)), soft_wrap=True)
    console.print(table(view))
    for line in standing_lines(view):
        console.print(Text(line, "bold yellow" if line.startswith("!") else ""), soft_wrap=True)
    console.print(Text(lateness_line(view)), soft_wrap=True)
    console.print(Text(next_line(view, owner)), soft_wrap=True)


def watch(console: Console, look: Callable[[], tuple[Overview, LockOwner | None]]) -> None:
    """Show everything that `status` shows, anew every second, until Ctrl-C."""

    def whole() -> RenderableType:
        view, owner = look()
        texts = [Text(line) for line in (*standing_lines(view), lateness_line(view), next_line(view, owner))]
        return Cleaned(Group(Text(headline(view)), table(view), *texts))

    with suppress(KeyboardInterrupt), Live(whole(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(1)
            live.update(whole(), refresh=True)


def _actual(row: StageRow, now: datetime) -> str:
    if row.started is None:
        return ""
    if row.finished is None:
        return f"{row.started:%H:%M:%S} – …  {length(now - row.started)} of about {length(row.expected)}"
    return f"{row.started:%H:%M:%S} – {row.finished:%H:%M:%S}  {length(row.finished - row.started)}"


class Screen:
    """Prints what happens as lines; at a terminal, a table of all stages stays below them while a stage runs."""

    def __init__(self, console: Console, view: Callable[[], Overview]) -> None:
        """Begin without a table; `view` gives the present overview at every refresh."""
        self.console = console
        self._view = view
        self._task = ""
        self._waiting_for = ""
        self._live: Live | None = None
        self._runs = False

    def stage_begins(self, stage: Stage) -> None:
        """Show that a stage's playbook starts, with the table below."""
        self._task = self._waiting_for = ""
        self.say(f"▸ {stage.stage} · {stage.title}   {' '.join(stage.rules)}")
        self._runs = True
        self.loud()

    def evidence(self, lines: Sequence[str]) -> None:
        """Print the evidence for a question."""
        self.quiet()
        for line in lines:
            self.say(f"    {line}")

    def stage_ends(self, stage: Stage, outcome: str) -> None:
        """Show how a stage ended, and how long it took."""
        self._runs = False
        self.quiet()
        row = next(row for row in self._view().rows if row.stage == stage.stage)
        head = f"✓ {stage.stage}" if outcome == "ok" else f"✗ {stage.stage} · {outcome}"
        took = row.finished - row.started if row.finished and row.started else timedelta()
        self.say(f"{head}   {length(took)} of about {length(row.expected)}")

    def task(self, task: str, host: str) -> None:
        """Show that a host begins a task."""
        self._task = f"{host} · {task}"

    def waiting(self, what: str, until: datetime) -> None:
        """Print what is waited for, and until when; the same line only once."""
        said = f"… {what} {until:%a %d %b %H:%M} UTC"
        if said != self._waiting_for:
            self._waiting_for = said
            self.say(said)

    def say(self, text: str) -> None:
        """Print a line; a terminal that has hung up is no reason to stop."""
        with suppress(OSError):
            self.console.print(Text(text), soft_wrap=True)

    def new_line(self) -> None:
        """Leave the line on which the terminal has shown ^C; the table has no such line, it is drawn over it."""
        if self._live is None and self.console.is_terminal:
            self.say("")

    def loud(self) -> None:
        """Show the table while a stage runs, also again after a question."""
        if self._runs and self._live is None and self.console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True)
            with suppress(OSError):
                self._live.start()

    def quiet(self) -> None:
        """Take the table away, for a question or for good."""
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()
            self._live = None

    def _render(self) -> RenderableType:
        view = self._view()
        # While a runbook is at work nothing else may end it, so what is as planned needs no command.
        still_on = [Text(each.line, "bold yellow") if each.why else Text(each.sentence) for each in view.still_on]
        return Cleaned(
            Group(Text(), table(view), *still_on, Text(self._task, "dim"), Text(lateness_line(view), "bold"))
        )
