"""The terminal that commands write to: all that is shown is cleaned once more, and its commands can be pasted."""

from __future__ import annotations

import sys

import click
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from plugins.module_utils.rollout_core import plain_text
from rollout.views import pasted

WIDTH = 130  # where there is no terminal


class Cleaned:
    """What is to be shown, without what a terminal would do; rich's own commands, such as colours, are no text.

    A live view is not printed, so it says so itself.
    """

    def __init__(self, shown: ConsoleRenderable) -> None:
        """Take what is to be shown."""
        self.shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give what is shown, cleaned."""
        for segment in console.render(self.shown, options):
            if segment.control:
                yield segment
            else:
                yield Segment(plain_text.clean(pasted.text(segment.text)), segment.style)


class _Cleaning(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [Cleaned(each) for each in renderables]


def console() -> Console:
    """Return a console for this terminal; nothing in what it is given is highlighted or reaches the terminal raw."""
    made = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    made.push_render_hook(_Cleaning())
    return made


def say(text: object, *, err: bool = False) -> None:
    """Write a line, or lines, without a console's folding; `err`: to the terminal's other stream."""
    click.echo(plain_text.clean(pasted.text(str(text))), err=err)
