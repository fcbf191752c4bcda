"""A site to try the conductor on."""

import pytest

from tests.unit.conductor.site import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)
