"""A site to try the conductor on."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from rollout.journal.file import Journal
from rollout.outcomes import ExitCode
from tests.unit.conductor.scripted_runner import scripted
from tests.unit.conductor.site import Site
from tests.unit.journals import last

QUICK = {"expects": {"minutes": 0.02, "from": "guess"}}


@pytest.fixture(autouse=True)
def runner(request: pytest.FixtureRequest) -> Iterator[None]:
    """Playbooks are told of by the scripted runner; a test marked `real_playbooks` is about what only Ansible shows."""
    with nullcontext() if request.node.get_closest_marker("real_playbooks") else scripted():
        yield


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A site with stages that take a second, and everything before the window done: every test begins with it."""
    site = Site(tmp_path_factory.mktemp("prepared"))
    site.plan(close=QUICK, change=QUICK, open=QUICK)
    site.playbooks(prepare={**site.reports["prepare"], "estimates": {}})
    with scripted():
        assert site.run("prepare") == ExitCode.DONE
    return site


@pytest.fixture
def quick(site, prepared):
    """The same, of its own."""
    site.playbooks(prepare={**site.reports["prepare"], "estimates": {}})
    for kept in ("plan.yml", "journal.jsonl", "notes"):
        shutil.copy(prepared.directory / kept, site.directory / kept)
    return site


@pytest.fixture
def meanwhile(site):
    """`meanwhile(event, deed, **fields)`: does the deed once the journal has that event."""
    threads = []

    def watch(event, deed, **fields):
        def wait():
            for _ in range(1200):
                if last(Journal(site.directory / "journal.jsonl"), event, **fields):
                    return deed()
                time.sleep(0.05)
            return pytest.fail(f"{event} never came")

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield watch
    for thread in threads:
        thread.join()
