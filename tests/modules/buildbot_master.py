"""A real Buildbot master, as in the lab, with a Bazaar branch `devel` of its own that tests push to."""

from __future__ import annotations

import fcntl
import itertools
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ansible.module_utils
from breezy.branch import Branch

from lab import buildbot, parts, processes
from lab.layout import BUILDBOT_PORT, BUILDERS, DATA, PROJECT, Lab
from tests.modules import bzr_branches

ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
from plugins.module_utils.rollout_host.ci.buildbot import Buildbot  # noqa: E402  as a module finds it on a host

SECONDS = 60  # a master that has not got so far by then is broken; the tests take what it really takes
GOOD = {
    "bin/test": (DATA / "tree/bin/test").read_text(encoding="utf-8"),
    "docroot/index.html": "<p>Launchpad</p>\n",
    "lib/lp/app.py": "HOME = 'launchpad'\n",
}
ROW = "INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 30, 0);\n"
PATCH = "database/schema/patch-2208-30-0.sql"


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + SECONDS
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {SECONDS} s for: {what}"
        time.sleep(0.25)  # each look costs the master more than it costs us
    return answer


class Master:
    """The master, its branch, and what can be done to both."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory, self._network(directory))
        self.lab.run.mkdir(parents=True)
        self.tree = directory / "developer"
        bzr_branches.create(self.tree, {**GOOD, PATCH: ROW})
        self.lab.bazaar.mkdir()
        bzr_branches.branch(self.tree, self.lab.bazaar / "devel")
        buildbot.make(self.lab)
        self._numbers = itertools.count(1)
        self.password = (self.lab.buildbot / "password").read_text().strip()
        self.rest = Buildbot(self.lab.buildbot_url, user="losa", password=self.password)

    @staticmethod
    def _network(directory: Path) -> str:
        for number in range(150, 200):
            lab = Lab(directory, f"127.{number}.0")
            if all(processes.can_bind(listener) for listener in lab.listeners):
                return lab.network
        raise RuntimeError("no free subnet among 127.150.0 … 127.199.0")

    # -- the parts ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start what does not run, and wait until the master has its workers."""
        for part in parts.parts(self.lab):
            if part.name in ("bazaar", "buildbot"):
                processes.start(self.lab.directory, part)
        wait_for(lambda: len([w for w in self.rest.workers() if w["connected_to"]]) == 2, "both workers")

    def stop(self) -> None:
        """Stop the master, and leave the branch served."""
        processes.stop([processes.running(self.lab.run, "buildbot")])

    def remove(self) -> None:
        """Stop everything."""
        processes.stop_all(self.lab.directory)

    # -- the developer ------------------------------------------------------------------------------------------------

    def push(self, **files: str) -> dict[str, Any]:
        """Commit and push what is all right but for `files` (by the name of a path's first part); returns the merge."""
        paths = {"code": "lib/lp/app.py", "schema": PATCH}
        contents = {**GOOD, PATCH: ROW, **{paths[name]: text for name, text in files.items()}}
        contents["README"] = f"Revision {next(self._numbers)}\n"
        bzr_branches.commit(self.tree, contents, "[r=jml][bug=1] Work.")
        Branch.open(str(self.tree)).push(Branch.open(self.lab.bazaar_url + "devel"))
        revno, revid = bzr_branches.tip(self.tree)
        return {"revno": revno, "revid": revid}

    # -- the build machines -------------------------------------------------------------------------------------------

    def leave_stale_pid(self, builder: str) -> None:
        """The next build of that builder fails with a message that is known."""
        (self.lab.build_machine(builder) / "librarian.pid").touch()

    @contextmanager
    def busy(self, builder: str) -> Iterator[None]:
        """A build of that builder goes on as long as this does."""
        with (self.lab.build_machine(builder) / "suite.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def paused(self, builder: str) -> Iterator[None]:
        """The worker takes no builds."""
        (number,) = (w["workerid"] for w in self.rest.workers() if w["name"] == builder.replace("_", "-"))
        self.rest.control(f"workers/{number}", "pause", reason="a test")
        wait_for(lambda: self._worker(number)["paused"], "the worker to be paused")
        try:
            yield
        finally:
            self.rest.control(f"workers/{number}", "unpause", reason="a test")

    def _worker(self, number: int) -> dict[str, Any]:
        return next(worker for worker in self.rest.workers() if worker["workerid"] == number)

    # -- what it has built --------------------------------------------------------------------------------------------

    def builds(self, builder: str, merge: dict[str, Any]) -> list[dict[str, Any]]:
        """The builds of a revision that was asked for by its number, oldest first, as Buildbot's REST API has them."""
        query = "order=buildid&property=revision&property=got_revision&property=buildername"
        url = f"http://{self.lab.buildbot_address}:{BUILDBOT_PORT}/api/v2/builds?{query}"
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            builds = json.load(answer)["builds"]
        wanted = {"revision": str(merge["revno"]), "buildername": builder}
        return [b for b in builds if wanted.items() <= {name: p[0] for name, p in b["properties"].items()}.items()]

    def wait_for_builds(self, merge: dict[str, Any], number: int = 1, builders: tuple[str, ...] = BUILDERS) -> None:
        """Wait until so many builds of the revision are complete on each builder."""
        for builder in builders:
            wait_for(
                lambda builder=builder: [b["complete"] for b in self.builds(builder, merge)] == [True] * number,
                f"{number} complete builds of r{merge['revno']} on {builder}",
            )
