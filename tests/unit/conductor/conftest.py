"""A site to try the conductor on."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.unit.conductor.scripted_runner import scripted
from tests.unit.conductor.site import Site


@pytest.fixture(autouse=True)
def runner(request: pytest.FixtureRequest) -> Iterator[None]:
    """Playbooks are told of by the scripted runner; a test marked `real_playbooks` is about what only Ansible shows."""
    with nullcontext() if request.node.get_closest_marker("real_playbooks") else scripted():
        yield


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
