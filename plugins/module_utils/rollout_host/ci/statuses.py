"""Check runs and commit statuses in the APIs of GitHub, GitLab and Forgejo: read, made alike, run again (R11).

Names, words, descriptions and addresses are whatever somebody reported: each is one plain line of limited length.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Iterator, Mapping, Sequence
from urllib.parse import quote, urlsplit

from ...rollout_core.merge.blessing import BlessingQuestion, CheckVerdict, Failed
from ...rollout_core.merge.checks import CheckFacts, CheckRun, is_red, newest, verdict
from ...rollout_core.plain_text import one_line
from .base import Ci, CiError
from .rest import LONGEST_WORD, Rest, UnknownError

RUNS, STATUSES, ACTIONS = "check run", "status", "github-actions"


class Statuses(Ci):
    """The checks of a commit in one repository. An adapter says where they are, and how one of them reads."""

    def __init__(self, url: str, repository: str, token: str, timeout: float, ca_file: str = "") -> None:
        """Prepare to ask."""
        self.rest = Rest(self.title, url, self.secret(token.strip()), timeout, ca_file)
        self.repository = repository

    def secret(self, token: str) -> dict[str, str]:
        """Return the header that says who asks; none without a token."""
        return {"Authorization": f"Bearer {token}" if token else ""}

    def runs(self, commit: str) -> Iterator[CheckRun]:
        """Yield every run of the commit. Raises CiError."""
        raise NotImplementedError

    def output(self, run: CheckRun) -> Failed:
        """Return what a run printed, or its description where nothing else can be read. Raises CiError."""
        return Failed(run.word, tuple(filter(None, [run.said])), run.url)

    def look(self, names: Sequence[str], question: BlessingQuestion) -> list[CheckVerdict]:
        """Return the verdict of each named check on the merged revision."""
        runs = self._runs(question.merged.revid)
        failed = {}
        for run in (run for name in names for run in newest(name, runs) if is_red(run, question.accepts)):
            failed[run.source, run.run] = [self._output(run)]
        return [verdict(name, CheckFacts(runs, failed), question) for name in names]

    def _output(self, run: CheckRun) -> Failed:
        """Return what a run printed. A log that is not there any more proves nothing, and hides no red."""
        try:
            return self.output(run)
        except UnknownError as error:
            return Failed(
                run.word, tuple(filter(None, [run.said, f"its log cannot be read: {error}"])), run.url, whole=False
            )

    def _runs(self, commit: str) -> list[CheckRun]:
        """Return every run of the commit; none if the CI does not know the commit yet."""
        try:
            return list(self.runs(commit))
        except UnknownError as error:
            if "commit" not in error.said.lower():
                raise CiError(f"{error}. There is no {self.repository}, or the token may not see it") from error
            return []
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            told = f"what {self.rest.url} answers is not the API of {self.title}: {type(error).__name__} {error}"
            raise CiError(one_line(told)[:LONGEST_WORD]) from error

    def _of(self, commit: str, found: Any) -> None:
        """Raise CiError unless an answer is about exactly the commit that was asked for."""
        if found != commit:
            said = one_line(str(found))[:LONGEST_WORD]
            raise CiError(f"{self.title} was asked about {commit}, and answers about {said}")


class GitHub(Statuses):
    """GitHub: check runs, and commit statuses beside them. A job of GitHub Actions can be run again."""

    title = "GitHub"

    def runs(self, commit: str) -> Iterator[CheckRun]:
        """Yield every run of the commit."""
        here = f"repos/{quote(self.repository)}/commits/{quote(commit, safe='')}"
        for page in self.rest.pages(f"{here}/check-runs", per_page=100, filter="latest"):
            for each in page["check_runs"]:
                self._of(commit, each["head_sha"])
                yield self._check_run(each)
        for page in self.rest.pages(f"{here}/status", per_page=100):
            self._of(commit, page["sha"])
            for each in page["statuses"]:
                yield _run(
                    STATUSES, each, name=each["context"], word=each["state"], began="created_at", url="target_url"
                )

    def output(self, run: CheckRun) -> Failed:
        """Return the log of a job of GitHub Actions."""
        if not run.can_rerun:
            return super().output(run)
        lines, whole = self.rest.lines(f"repos/{quote(self.repository)}/actions/jobs/{quote(run.run)}/logs")
        return Failed("job", lines, run.url, whole)

    def again(self, verdict: CheckVerdict) -> None:
        """Run a job of GitHub Actions again."""
        self.rest.post(f"repos/{quote(self.repository)}/actions/jobs/{quote(verdict.run)}/rerun")

    @staticmethod
    def _check_run(each: Mapping[str, Any]) -> CheckRun:
        done = each["status"] == "completed"
        word = (each["conclusion"] or "completed") if done else each["status"]
        run = _run(RUNS, each, name=each["name"], word=word, began="started_at", ended="completed_at", url="html_url")
        output = each.get("output") or {}
        mine = bool((each.get("app") or {}).get("slug") == ACTIONS)
        return replace(run, said=_text(output.get("title")), can_rerun=mine)


class GitLab(Statuses):
    """GitLab: the latest jobs and external statuses of a commit. A job can be run again."""

    title = "GitLab"

    def secret(self, token: str) -> dict[str, str]:
        """Return the header that says who asks."""
        return {"PRIVATE-TOKEN": token}

    def runs(self, commit: str) -> Iterator[CheckRun]:
        """Yield every run of the commit."""
        here = f"projects/{self._project}/repository/commits/{quote(commit, safe='')}/statuses"
        for page in self.rest.pages(here, per_page=100):
            for each in page:
                self._of(commit, each["sha"])
                names = {"name": each["name"], "word": each["status"], "url": "target_url"}
                run = _run(STATUSES, each, began="started_at", ended="finished_at", **names)
                yield replace(
                    run, can_rerun=urlsplit(run.url).path.endswith((f"/jobs/{run.run}", f"/builds/{run.run}"))
                )

    def output(self, run: CheckRun) -> Failed:
        """Return the log of a job."""
        if not run.can_rerun:
            return super().output(run)
        lines, whole = self.rest.lines(f"projects/{self._project}/jobs/{quote(run.run)}/trace")
        return Failed("job", lines, run.url, whole)

    def again(self, verdict: CheckVerdict) -> None:
        """Run a job again."""
        self.rest.post(f"projects/{self._project}/jobs/{quote(verdict.run)}/retry")

    @property
    def _project(self) -> str:
        return quote(self.repository, safe="")


class Forgejo(Statuses):
    """Forgejo, and Gitea, whose API is the same: commit statuses. They have no way to run anything again."""

    title = "Forgejo"

    def secret(self, token: str) -> dict[str, str]:
        """Return the header that says who asks."""
        return {"Authorization": f"token {token}" if token else ""}

    def runs(self, commit: str) -> Iterator[CheckRun]:
        """Yield every run of the commit."""
        here = f"repos/{quote(self.repository)}/commits/{quote(commit, safe='')}/statuses"
        for page in self.rest.pages(here, limit=50):
            for each in page:
                self._of(commit, urlsplit(each["url"]).path.rpartition("/")[2])
                yield _run(
                    STATUSES, each, name=each["context"], word=each["status"], began="created_at", url="target_url"
                )

    def again(self, verdict: CheckVerdict) -> None:
        """Refuse: there is no such call."""
        raise CiError(f"{self.title} cannot run {verdict.check} again: do so on its page, {verdict.url}")


def _run(
    source: str, each: Mapping[str, Any], *, name: Any, word: Any, began: str, ended: str = "", url: str = ""
) -> CheckRun:
    """Return one object of an API as a run. Raises TypeError and ValueError for what is none."""
    number = int(each["id"])
    return CheckRun(
        _text(name, needed=True),
        _text(word, needed=True),
        run=str(number),
        order=(float(number),),
        source=source,
        url=_address(each.get(url)),
        said=_text(each.get("description")),
        began=_seconds(each.get(began)),
        ended=_seconds(each.get(ended)),
    )


def _text(value: Any, *, needed: bool = False) -> str:
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"text was expected, and is {type(value).__name__}")
    return one_line(value)[:LONGEST_WORD]


def _address(value: Any) -> str:
    """Return an address for a browser, and "" for anything else that somebody may have reported as one."""
    text = _text(value)
    return text if text.startswith(("https://", "http://")) and " " not in text else ""


def _seconds(value: Any) -> float | None:
    """Return an instant in seconds since the epoch."""
    return datetime.fromisoformat(_text(value).replace("Z", "+00:00")).timestamp() if value else None
