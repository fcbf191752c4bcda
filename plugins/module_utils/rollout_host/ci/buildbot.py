"""A Buildbot master through its REST API (version 2): reads builders and builds, forces a build again (R11).

Every answer is read anew; nothing is kept. Looking needs no password. Forcing needs what the master's `www.auth` and
`www.authz` ask for: a user and a password to log in with, or a token that a proxy before it takes.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import replace
from http.cookiejar import CookieJar
from typing import Any, Mapping, Sequence
from urllib.error import HTTPError
from urllib.parse import urlencode

from ansible.module_utils.urls import ConnectionError as AnsibleConnectionError
from ansible.module_utils.urls import Request

from ...rollout_core.merge import builders
from ...rollout_core.merge.blessing import BlessingQuestion, CheckVerdict, Failed
from ...rollout_core.merge.builds import Builder, builds_of
from .base import Ci, CiDownError, CiError

BUILDS = 50  # of each builder, the latest
REQUESTS = 20
LONGEST_LOG = 100_000  # lines; of a longer one only the end is read
OUTPUT = ("o", "e")  # the letters before what a command printed; "h" is before what the worker says of it
BAD_STEP = (2, 4)  # failure, exception
DOWN = (502, 503, 504)  # what a proxy answers for a master that is down


class Buildbot(Ci):
    """One master, at the address of its pages."""

    title = "Buildbot"

    def __init__(self, url: str, timeout: float = 10, user: str = "", password: str = "", token: str = "") -> None:
        """Prepare to ask; `timeout` in seconds is for each answer."""
        self.url = url.rstrip("/") + "/"
        self._user, self._password = user, password
        headers = {"Authorization": "Bearer " + token} if token else {}
        self._http = Request(headers=headers, timeout=timeout, cookies=CookieJar())

    def look(self, names: Sequence[str], question: BlessingQuestion) -> list[CheckVerdict]:
        """Return the verdict of each named builder; failed steps are read only for the revision's last build."""
        ids = self.builder_ids()
        unknown = [name for name in names if name not in ids]
        if unknown:
            raise CiError(f"{self.url} has no builder {', '.join(unknown)}; it has {', '.join(sorted(ids))}")
        found = []
        for builder in (self.builder(name, ids[name]) for name in names):
            last = builds_of(builder, question.merged)[-1:]
            failed = {build["number"]: self.failed_steps(build) for build in last if build["complete"]}
            found.append(builders.verdict(replace(builder, failed=failed), question))
        return found

    def builder_ids(self) -> dict[str, int]:
        """Return the id of every builder, by name."""
        return {builder["name"]: builder["builderid"] for builder in self._list("builders")}

    def builder(self, name: str, number: int) -> Builder:
        """Return the facts of one builder, without the failed steps of its builds."""
        here = f"builders/{number}/"
        wanted = [("property", name) for name in ("revision", "got_revision", "branch")]
        builds = self._list(here + "builds", [("order", "-number"), ("limit", BUILDS), *wanted])
        open_ones = [("complete", "false"), ("claimed", "false"), ("order", "-submitted_at"), ("limit", REQUESTS)]
        requests = [self._with_revision(request) for request in self._list(here + "buildrequests", open_ones)]
        workers = self._list(here + "workers") if requests else []
        return Builder(name, self.url + f"#/builders/{number}", builds, requests, workers)

    def failed_steps(self, build: Mapping[str, Any]) -> list[Failed]:
        """Return the failed steps of a build, with what their commands printed."""
        steps = self._list("builds/{}/steps".format(build["buildid"]))
        return [self._failed(build, step) for step in steps if step["results"] in BAD_STEP]

    def build_url(self, build: Mapping[str, Any]) -> str:
        """Return the address at which a browser finds a build."""
        return self.url + "#/builders/{}/builds/{}".format(build["builderid"], build["number"])

    def workers(self) -> list[dict[str, Any]]:
        """Return every worker."""
        return self._list("workers")

    def again(self, verdict: CheckVerdict) -> None:
        """Have the same builder build the same revision once more. Raises CiError if that is not allowed."""
        try:
            self.control(f"builds/{verdict.run}", "rebuild")
        except CiDownError:
            raise
        except CiError as error:
            who = self._user or "nobody"
            by = "Who may is set by blessing_user and blessing_password, or blessing_token, in the inventory."
            raise CiError(f"Buildbot does not let {who} force a build: {error}\n  {by}") from error

    def control(self, path: str, method: str, **params: Any) -> None:
        """Call a method of a build or a worker. Raises CiError if that is not allowed."""
        if self._user:
            self._ask("GET", "auth/login", url_username=self._user, url_password=self._password, force_basic_auth=True)
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._ask("POST", f"api/v2/{path}", data=json.dumps(call))

    def _with_revision(self, request: Mapping[str, Any]) -> dict[str, Any]:
        (buildset,) = self._list("buildsets/{}".format(request["buildsetid"]))
        stamp: Mapping[str, Any] = next(iter(buildset["sourcestamps"]), {})
        return dict(request, revision=stamp.get("revision"), branch=stamp.get("branch"))

    def _failed(self, build: Mapping[str, Any], step: Mapping[str, Any]) -> Failed:
        lines, whole = [], True
        for log in self._list("steps/{}/logs".format(step["stepid"])):
            first = max(0, log["num_lines"] - LONGEST_LOG)
            chunks = self._list("logs/{}/contents".format(log["logid"]), [("offset", first), ("limit", LONGEST_LOG)])
            found = "".join(chunk["content"] for chunk in chunks).splitlines()
            lines += [line[1:] for line in found if line[:1] in OUTPUT] if log["type"] == "s" else found
            whole = whole and not first
        url = "{}/steps/{}".format(self.build_url(build), step["number"])
        return Failed(step["name"], tuple(lines), url, whole)

    def _list(self, path: str, query: Sequence[tuple[str, Any]] = ()) -> list[dict[str, Any]]:
        """Return the list of objects in one answer, which has `meta` beside it."""
        answer = self._ask("GET", f"api/v2/{path}?{urlencode(query)}")
        found: list[dict[str, Any]]
        try:
            (found,) = (value for name, value in json.loads(answer).items() if name != "meta")
        except (ValueError, AttributeError, RecursionError) as error:
            told = f"{self.url}api/v2/{path} is not what Buildbot's REST API answers: {error}"
            raise CiError(told) from error
        return found

    def _ask(self, method: str, path: str, data: str | None = None, **how: Any) -> bytes:
        try:
            answer: bytes = self._http.open(
                method, self.url + path, data=data, headers={"Content-Type": "application/json"}, **how
            ).read()
        except HTTPError as error:
            if error.code in DOWN:
                raise CiDownError(f"{self.url} answers {error.code}") from error
            raise CiError(f"{self.url}{path} answers {error.code}{_said(error)}") from error
        except (OSError, http.client.HTTPException, AnsibleConnectionError) as error:  # URLError is an OSError
            reason = getattr(error, "reason", None) or error
            told = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise CiDownError(f"{self.url} does not answer: {told}") from error
        return answer


def _said(error: HTTPError) -> str:
    """Return the text of an error's answer, in brackets."""
    try:
        answer = json.loads(error.read())["error"]
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        return ""
    return " ({})".format(answer.get("message") if isinstance(answer, dict) else answer)
