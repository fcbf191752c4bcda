"""A host with Debian's own Python and psycopg, and nothing of PyPI: what works on the database there."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.rollout_host.database.driver import PACKAGES
from tests.modules import preflighting
from tests.modules.database_servers import FOUR, ROWS_AFTER, Database
from tests.modules.oldest_python import HostPython, debian_python
from tests.modules.test_oldest_python import detached_outage


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> HostPython:
    return debian_python(tmp_path_factory.mktemp("debian"))


def test_a_preflight_looks_at_everything(debian: HostPython, database: Database) -> None:
    answer = preflighting.new_run(debian.module, database)()
    assert not answer["failed"], answer
    assert len(answer["findings"]) > 15


def test_qastaging_is_upgraded(debian: HostPython, database: Database) -> None:
    arguments = {"dsn": database.dsn(), "schema_directory": str(database.schema)}
    answer = debian.module("database_upgrade", arguments, env=database.environment())
    assert (answer["failed"], [patch["patch"] for patch in answer["applied"]]) == (False, FOUR), answer
    assert database.rows() == ROWS_AFTER


def test_an_outage_is_detached_and_ends(debian: HostPython, database: Database) -> None:
    answer = detached_outage(debian, database)
    assert (answer["failed"], answer["committed"]) == (False, True), answer
    assert database.rows() == ROWS_AFTER


def test_access_that_is_closed_is_shown_with_what_opens_it(debian: HostPython, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    answer = preflighting.new_run(debian.module, database)()
    assert answer["failed"]
    assert f'''ALTER DATABASE "{database.name}" CONNECTION LIMIT -1''' in answer["msg"]


def test_a_host_without_psycopg_says_what_to_install(tmp_path: Path) -> None:
    bare = debian_python(tmp_path, "-S")  # without Debian's packages, so without psycopg
    answer = bare.module("database_upgrade", {"dsn": "dbname=x", "schema_directory": "schema"})
    assert answer["failed"]
    assert answer["msg"].startswith("E-no-psycopg  ")
    assert all(command in answer["msg"] for command in PACKAGES.values())
