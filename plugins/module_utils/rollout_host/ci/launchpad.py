"""Reads the tags of bugs from Launchpad, through launchpadlib's anonymous access (R8). For the control machine only.

What launchpadlib keeps on disk (the description of the web service, and answers by their ETag) is in the directory that
the caller names, never in a home. Nobody logs in, so a private bug looks like one that does not exist.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Iterable, Sequence

APPLICATION = "downtime-runbook"
VERSION = "devel"  # of the web service; "1.0" has the same bugs
REQUEST_SECONDS = 20
TOTAL_SECONDS = 180
HIDDEN = (401, 403, 404, 410)  # private to whoever is not logged in, or no such bug
PLACES = "production, staging, qastaging, or the service's root as http(s)://HOST/"


class LaunchpadError(Exception):
    """An error: Launchpad could not be asked; the text is for people, its first line begins with E-launchpad."""


def bug_tags(
    root: str, bugs: Iterable[int | str], cache: str | Path, total_seconds: float = TOTAL_SECONDS
) -> tuple[dict[int, list[str]], list[int]]:
    """Return ({bug: [tag]}, [bug]): the tags of these bugs now, and the bugs that are hidden from us; both sorted.

    `root` is a name that launchpadlib knows or a URL, `cache` a directory, made if it is not there. Every bug is one
    request; all of them together take `total_seconds` at most, retries and slow answers included. Raises
    LaunchpadError.
    """
    wanted = sorted({int(bug) for bug in bugs})
    if not wanted:
        return {}, []
    found = _Found()
    asking = threading.Thread(target=_ask, args=(root, wanted, str(cache), total_seconds, found), daemon=True)
    asking.start()
    asking.join(total_seconds)
    if asking.is_alive():  # it sleeps between retries, or the answer drips: nothing in it can be waited for any more
        known = len(found.tags) + len(found.hidden)
        raise _error(root, f"no whole answer after {total_seconds:g} s: {known} of {len(wanted)} bugs")
    if found.error is not None:
        raise found.error
    return found.tags, found.hidden


def told(hidden: Sequence[int]) -> str:
    """Return a line for a person about the bugs that are hidden from us."""
    bugs = f"bug{'' if len(hidden) == 1 else 's'} {', '.join(map(str, hidden))}"
    return f"Launchpad shows nobody {bugs} (private, or no such bug): not QA'd as far as anyone can tell"


class _Found:
    """The answers so far, which the asking thread fills in."""

    def __init__(self) -> None:
        self.tags: dict[int, list[str]] = {}
        self.hidden: list[int] = []
        self.error: LaunchpadError | None = None


def _ask(root: str, wanted: Sequence[int], cache: str, total_seconds: float, found: _Found) -> None:
    """Ask for one bug after the other, and fill in `found`."""
    try:
        from launchpadlib.launchpad import Launchpad  # takes a third of a second, and the hosts do not have it
        from lazr.restfulclient.errors import HTTPError
    except ImportError as error:
        found.error = _error(root, f"launchpadlib cannot be imported: {error}")
        return
    asked_for = "the description of its web service"
    try:
        timeout = min(REQUEST_SECONDS, total_seconds)
        launchpad = Launchpad.login_anonymously(APPLICATION, root, cache, timeout=timeout, version=VERSION)
        for bug in wanted:
            asked_for = f"bug {bug}"
            try:
                found.tags[bug] = [str(tag) for tag in launchpad.bugs(bug).tags]
            except HTTPError as error:
                if error.response.status not in HIDDEN:
                    raise
                found.hidden.append(bug)
    except HTTPError as error:
        found.error = _error(root, f"asked for {asked_for} it answered {error.response.status} {_reason(error)}")
    except Exception as error:  # the client raises its parsers' and its sockets' errors as they are
        found.error = _error(root, f"asked for {asked_for}: {type(error).__name__}: {_first_line(error)}")


def _reason(error: Any) -> str:
    """Return the reason phrase of an HTTP answer."""
    return str(getattr(error.response, "reason", "")).strip()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0][:200]


def _error(root: str, what: str) -> LaunchpadError:
    return LaunchpadError(
        f"E-launchpad  {root} could not be asked for the tags of bugs: {what}.\n"
        f"  Expected: {PLACES}\n"
        "  Then:     once it answers, the same command again; or take the tags from a file"
    )
