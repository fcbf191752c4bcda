"""Permissions within the outage: the file in the patches' transaction, the site's own script in the outage (R18)."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, Database, both_versions, wait_for

if TYPE_CHECKING:
    from tests.modules.conftest import RunningModule

FILE = """
[cron]
type = user
public.person = SELECT
public.bugsummary = SELECT
public.jobrun = INSERT
"""


class Site:
    """A site that has a permissions file, or a script for that."""

    def __init__(self, start_module: Callable[..., RunningModule], database: Database) -> None:
        self.start_module, self.database = start_module, database
        self.file, self.script = database.directory / "security.cfg", database.directory / "security.sh"
        self.done = database.directory / "done"

    def write(self, text: str) -> dict[str, Any]:
        self.file.write_text(text)
        return {"permissions": str(self.file)}

    def own(self, *lines: str) -> dict[str, Any]:
        self.script.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
        self.script.chmod(0o755)
        return {"permissions_command": [str(self.script), "--all"], "deadline_seconds": 30}

    def start(self, **more: Any) -> RunningModule:
        return self.start_module("database_outage", self.database.outage(**more), env=self.database.environment())

    def outage(self, **more: Any) -> dict[str, Any]:
        return self.start(**more).result()

    def may(self, table: str, privilege: str, role: str = "cron") -> bool:
        return bool(self.database.ask("SELECT has_table_privilege(%s, %s, %s)", role, table, privilege)[0][0])


@pytest.fixture
def site(start_module: Callable[..., RunningModule], database: Database) -> Site:
    return Site(start_module, database)


def steps_of(answer: dict[str, Any]) -> list[str]:
    return [step["step"] for step in answer["steps"]]


@both_versions
def test_the_file_is_applied_with_the_patches(site: Site) -> None:
    assert site.may("bug", "SELECT")
    answer = site.outage(**site.write(FILE))
    assert not answer["failed"], answer["msg"]
    assert steps_of(answer)[2:] == [*FOUR, "permissions", "commit and open access"]
    assert (site.may("bugsummary", "SELECT"), site.may("jobrun", "INSERT")) == (True, True)
    assert (site.may("bug", "SELECT"), site.may("jobrun", "UPDATE")) == (False, False)
    assert site.may("bug", "SELECT", "launchpad")
    site.database.assert_users_are_in()


def test_what_the_patches_did_not_make_rolls_everything_back(site: Site) -> None:
    before = site.database.dump()
    answer = site.outage(**site.write(FILE + "public.bugsummaries = SELECT\n"))
    first, second = answer["msg"].splitlines()[:2]
    assert first == f"E-permissions-unknown  {site.file} names what is not there after the patches:"
    where = f"    {site.file}:7: role cron: there is no table, view or sequence "
    assert second.endswith(f"{where}public.bugsummaries (there is public.bugsummary)")
    assert "Nothing was kept: the rows are as before. Access is open again" in answer["msg"]
    assert (answer["committed"], answer["irreversible"]) == (False, False)
    assert site.database.dump() == before
    site.database.assert_users_are_in()


def test_a_file_that_cannot_be_read_is_refused_with_nothing_touched(site: Site) -> None:
    with site.database.user() as user:
        answer = site.outage(**site.write("[cron]\ntype = user\nperson = SELECT\n"))
        user.execute("SELECT 1")
    assert answer["msg"].startswith("E-permissions-file  ")
    assert (answer["steps"], site.database.rows()) == ([], ROWS_BEFORE)


def test_the_sites_own_script_runs_behind_the_access_after_the_commit(site: Site) -> None:
    running = site.start(
        **site.own(
            f"echo $PGAPPNAME $ROLLOUT_RUN $PWD $* > {site.done}.new",
            f"mv {site.done}.new {site.done}",
            "sleep 600 &",
            f"while [ ! -e {site.done}.go ]; do sleep 0.01; done",
            "kill $!",
        )
    )
    wait_for(site.done.exists, "the script to be at work")
    assert site.database.rows() == ROWS_AFTER
    site.database.assert_users_are_out()
    run = site.database.environment()["ROLLOUT_RUN"]
    assert site.done.read_text().split() == ["rollout", run, run, str(site.database.schema), "--all"]
    running.process.send_signal(signal.SIGTERM)  # too late: the patches are in
    Path(f"{site.done}.go").touch()
    answer = running.result()
    assert not answer["failed"], answer["msg"]
    assert steps_of(answer)[-3:] == ["commit", "permissions", "open access"]
    assert answer["committed"]
    site.database.assert_users_are_in()


@pytest.mark.parametrize(
    ("lines", "more", "says"),
    [
        (["echo one", "echo role cron does not exist >&2", "exit 3"], {}, "security.sh exited 3 after 0."),
        (
            ["echo it hangs", "sleep 600"],
            {"deadline_seconds": 3},
            "security.sh was ended at the outage's deadline after ",
        ),
        (["kill -KILL $$"], {}, "security.sh exited -9 after 0."),
    ],
)
def test_its_failure_is_told_and_users_are_in(site: Site, lines: list[str], more: dict[str, Any], says: str) -> None:
    answer = site.outage(**{**site.own(*lines), **more})
    assert answer["failed"]
    told = answer["msg"].splitlines()
    assert told[0].startswith(f"E-permissions-failed  {says}")
    assert [line for line in told if line.endswith(("not exist", "it hangs", "(nothing)"))]
    assert "THE PATCHES ARE COMMITTED" in answer["msg"]
    assert "Access is open again" in answer["msg"]
    assert told[-1].endswith(f"by hand, in {site.database.schema}:  {site.script} --all")
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (True, True, False)
    assert site.database.rows() == ROWS_AFTER
    assert site.database.progress()["answer"] == "committed"
    site.database.assert_users_are_in()


def test_a_script_that_is_not_there(site: Site) -> None:
    with site.database.user() as user:
        answer = site.outage(permissions_command=["./security.py"])
        user.execute("SELECT 1")
    assert answer["msg"].startswith("E-upgrade-command  ./security.py cannot be run in ")
    assert "correct database_permissions_command in the inventory" in answer["msg"]
    assert site.database.rows() == ROWS_BEFORE
