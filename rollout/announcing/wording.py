"""The texts of all messages: one template for each message and wording, filled in strictly, within limits.

Ours are templates/MESSAGE.WORDING.j2; a file of that name in inventories/X/announcements/ is taken instead. Nothing is
escaped: the texts are plain, and words from a plan are never read as a template.
"""

from __future__ import annotations

import re
import textwrap
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import jinja2

from rollout.announcing import site as sites
from rollout.announcing.names import about
from rollout.announcing.phrases import FILTERS, moment
from rollout.announcing.text import Text
from rollout.outcomes import BadInputError
from rollout.plan.messages import MESSAGES
from rollout.views.text import clean

__all__ = ["MESSAGES", "WORDINGS", "about", "render", "wordings"]

TEMPLATES = Path(__file__).parent / "templates"
COLUMNS, MOST_COLUMNS = 76, 78  # of a mail's lines: there is room to quote them once
SUBJECT = "Subject: "
INDENTED = re.compile(r"\A\s+(?=\S)(?:[-*] )?")
GAP = re.compile(r"\n{3,}")
URL = re.compile(
    r"https?://(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?(?:/[^\s<>\"]*)?", re.IGNORECASE
)  # what Mastodon takes for one
URL_COUNTS = 23


def _mail(written: str, path: Path) -> Text:
    """Return a filled-in mail template as a text: its first line is the subject. Raises BadInputError without one."""
    text = _titled(written, path)
    return Text(text.title, "\n".join(map(_wrapped, text.body.splitlines())) + "\n")


def _chat(written: str, path: Path) -> Text:
    """Return a filled-in template as a chat's message: a mail, with one line a paragraph, and Markdown's lists.

    An indented line would be code there.
    """
    text = _titled(written, path)
    lines = [INDENTED.sub("- ", line).rstrip() for line in text.body.splitlines()]
    return Text(text.title, "\n".join(lines))


def _titled(written: str, path: Path) -> Text:
    """Return a template's subject and body, each as it is written. Raises BadInputError without a subject."""
    first, _, body = written.lstrip("\n").partition("\n")
    if not first.startswith(SUBJECT):
        raise BadInputError(
            f"E-bad-template  {_shown(path)}:1: a mail begins with a line `{SUBJECT}…`, found {first!r}."
        )
    return Text(first.removeprefix(SUBJECT).strip(), GAP.sub("\n\n", body.strip("\n")))


def _wrapped(line: str) -> str:
    """Return a line of a mail, wrapped to several if it is long; indented lines stay indented."""
    if len(line) <= MOST_COLUMNS:
        return line.rstrip()
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, tabsize=2
    )


def _post(written: str, path: Path) -> Text:  # noqa: ARG001 - like the others
    """Return a filled-in template as a post of a status account: its lines, without empty ones."""
    return Text("", "\n".join(filter(None, (line.strip() for line in written.splitlines()))))


def _irc_line(written: str, path: Path) -> Text:  # noqa: ARG001 - like the others
    """Return a filled-in template as one line for IRC."""
    return Text("", " ".join(written.split()))


@dataclass(frozen=True)
class Wording:
    """A kind of channel's layout for texts, and the longest that it takes: `most`, as `size` counts."""

    layout: Callable[[str, Path], Text]
    most: int
    size: Callable[[Text], int]
    unit: str


def _post_size(text: Text) -> int:
    """Return the number of characters as Mastodon counts them: each URL is 23, however long."""
    return len(URL.sub("x" * URL_COUNTS, text.body))


WORDINGS = {
    "mail": Wording(_mail, 78, lambda text: len(text.title), "characters of the subject"),
    "status": Wording(_post, 500, _post_size, "characters, as Mastodon counts them"),
    "chat": Wording(_chat, 1000, lambda text: len(text.as_chat()), "characters"),
    "irc": Wording(_irc_line, 400, lambda text: len(text.body.encode()), "bytes"),
}


def wordings(message: str, site: Path | None = None) -> tuple[str, ...]:
    """Return the wordings that have a template for the message: ours, and those of the inventory at `site`."""
    return tuple(wording for wording in WORDINGS if _file(message, wording, site))


def render(message: str, wording: str, facts: Mapping[str, Any], site: Path | None = None) -> Text:
    """Return the text of a message in that wording, filled in from `facts`; `site` is an inventory's directory.

    Raises BadInputError, naming template file and line where there is one: there is no template, it names what is not
    known, or the text is too long for the wording.
    """
    path = _file(message, wording, site)
    if path is None:
        have = ", ".join(wordings(message, site)) if message in MESSAGES else f"messages: {', '.join(MESSAGES)}"
        said = f"E-no-wording  There is no text of {message} for {wording}; there are: {have or 'none'}."
        place = site / sites.DIRECTORY if site else TEMPLATES
        raise BadInputError(f"{said}\n  Write it:  {_shown(place)}/{message}.{wording}.j2")
    named = {**sites.words(site).names(), **facts}

    def text_of(message: str, wording: str) -> Text:
        return render(message, wording, facts, site)

    try:
        written = _environment(site).get_template(path.name).render(**named, text_of=text_of)
    except Exception as error:  # whatever a person's template does
        _refuse(error, path)
    kind = WORDINGS[wording]
    text = kind.layout(written, path)
    if (over := kind.size(text) - kind.most) > 0:
        said = f"E-text-too-long  {_shown(path)}: {message} for {wording} has {over} more than {kind.most} {kind.unit}"
        raise BadInputError(
            f"{said}:\n  {text.title or text.body}\n  Shorten the template, or cut what is long: {{{{ … | cut(80) }}}}"
        )
    return text


def _file(message: str, wording: str, site: Path | None) -> Path | None:
    name = f"{message}.{wording}.j2"
    places = ([site / sites.DIRECTORY] if site else []) + [TEMPLATES]
    known = message in MESSAGES and wording in WORDINGS
    return next((place / name for place in places if known and (place / name).is_file()), None)


@cache
def _environment(site: Path | None) -> jinja2.Environment:
    """Return Jinja's environment; `ours/…` is always our template, so that a site's may include the one it replaces."""
    ours = jinja2.FileSystemLoader(TEMPLATES)
    loaders: list[jinja2.BaseLoader] = [ours, jinja2.PrefixLoader({"ours": ours})]
    if site:
        loaders.insert(0, jinja2.FileSystemLoader(site / sites.DIRECTORY))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  plain text
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment


def _finalize(value: Any) -> Any:
    """Return what `{{ … }}` becomes: an instant in the words of announcements, a text without control characters."""
    if value is None:
        raise jinja2.UndefinedError("something is named that has no value")
    return clean(value) if isinstance(value, str) else moment(value) if hasattr(value, "tzinfo") else value


def _refuse(error: Exception, path: Path) -> NoReturn:
    """Raise BadInputError that says where in the templates the error is."""
    if isinstance(error, BadInputError):  # of a text within this one
        raise error
    where, line = _shown(path), None
    if isinstance(error, jinja2.TemplateSyntaxError):
        where, line = _shown(Path(error.filename or path)), error.lineno
    else:
        inside = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
        if inside:
            where, line = _shown(Path(inside[-1].filename)), inside[-1].lineno
    place = f"{where}:{line}" if line else where
    what = str(error) or type(error).__name__
    names = "  What a template may name:  docs/architecture.md, Announcements"
    raise BadInputError(f"E-bad-template  {place}: {what}.\n{names}") from error


def _shown(path: Path) -> str:
    """Return a path as a person types it: relative to the working directory if it is inside."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
