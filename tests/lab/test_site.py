"""The lab's site: does it show what a visitor of the real one would see, database or not?"""

import re
import subprocess
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from lab.layout import Lab
from lab.waiting import eventually

Page = Callable[..., tuple[int, dict[str, str], str]]
Database = Callable[..., AbstractContextManager[psycopg.Connection]]
Command = Callable[..., subprocess.CompletedProcess[str]]

IDLE = "FROM pg_stat_activity WHERE application_name = 'site-soybean' AND state = 'idle'"


@pytest.mark.parametrize("host", ["gac", "soybean"])
def test_the_front_page_counts_bugs_and_names_its_revision(lab: Lab, page: Page, database: Database, host: str) -> None:
    status, headers, text = page(host)
    with database() as connection:
        (bugs,) = connection.execute("SELECT count(*) FROM Bug WHERE NOT private").fetchone()
    assert (status, headers["X-Revision"]) == (200, "9")
    assert f"<strong>{bugs:,}</strong> bugs reported" in text


def test_style_sheets_and_external_links_answer(lab: Lab, page: Page) -> None:
    _, _, text = page("gac")
    sheets, links = re.findall(r'href="(/\w+\.css)"', text), re.findall(r'href="(http:[^"]+)"', text)
    assert (len(sheets), len(links)) == (4, 9)
    for sheet in sheets:
        status, headers, css = page("gac", sheet)
        assert (status, headers["Content-type"]) == (200, "text/css")
        assert css
    for link in links:
        assert link.startswith(lab.links_url)
        with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200


def test_while_the_database_refuses_it_is_an_honest_503(lab: Lab, page: Page, database: Database) -> None:
    with database("postgres") as connection:
        connection.execute("ALTER DATABASE launchpad_prod ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'launchpad_prod'")
        try:
            status, headers, text = page("gac")
            assert (status, headers["X-Revision"]) == (503, "9")
            assert "takes no connections" in text
        finally:
            connection.execute("ALTER DATABASE launchpad_prod ALLOW_CONNECTIONS true")
    assert page("gac")[0] == 200


def test_it_keeps_connections_and_makes_new_ones_when_they_are_ended(lab: Lab, database: Database) -> None:
    with database() as connection:

        def idle() -> set[int]:
            return {pid for (pid,) in connection.execute(f"SELECT pid {IDLE}")}

        before = eventually(lambda: len(idle()) >= 3 and idle())
        connection.execute(f"SELECT pg_terminate_backend(pid) {IDLE}")
        eventually(lambda: len(idle() - before) >= 3)


def test_a_new_tree_is_served_once_restart_site_returns(fresh_lab: Lab, page: Page, on_host: Command) -> None:
    fetch = f"cd srv/launchpad && brz branch -q -r 8 {fresh_lab.bazaar_url}devel r8 && ln -sfn r8 current"
    assert on_host("gac", fetch).returncode == 0
    assert page("gac")[1]["X-Revision"] == "9"
    done = on_host("gac", "restart-site")
    assert done.returncode == 0, done.stderr
    assert [page(host)[1]["X-Revision"] for host in ("gac", "soybean")] == ["8", "9"]
    assert on_host("gac", "cd srv/launchpad && ln -sfn r9 current && restart-site").returncode == 0


def test_new_code_on_the_old_schema_fails(fresh_lab: Lab, page: Page, on_host: Command) -> None:
    """Why trees are switched after the commit: db-stable r16 reads a table that its own patch makes."""
    fetch = f"cd srv/launchpad && brz branch -q -r 18 {fresh_lab.bazaar_url}db-stable r18 && ln -sfn r18 current"
    try:
        assert on_host("gac", f"{fetch} && restart-site").returncode == 0
        status, headers, _ = page("gac")
        assert (status, headers["X-Revision"]) == (500, "18")
    finally:
        assert on_host("gac", "cd srv/launchpad && ln -sfn r9 current && restart-site").returncode == 0


def test_restart_site_fails_on_a_tree_that_does_not_load(lab: Lab, page: Page, on_host: Command) -> None:
    app = lab.home("gac") / "srv/launchpad/current/lib/lp/app.py"
    source = app.read_text()
    app.write_text("import nothing_of_that_name\n")
    try:
        done = on_host("gac", "restart-site")
        assert done.returncode == 1
        assert "No module named 'nothing_of_that_name'" in done.stderr
        assert page("gac")[0] == 500
    finally:
        app.write_text(source)
        assert on_host("gac", "restart-site").returncode == 0
    assert page("gac")[0] == 200


def banner(lab: Lab, page: Page, notice: str) -> str | None:
    file = lab.home("gac") / "srv/launchpad/+maintenancetime.txt"
    file.write_text(notice, encoding="latin-1")
    try:
        status, _, text = page("gac")
    finally:
        file.unlink()
    assert status == 200
    found = re.search(r'<p class="maintenance">(.*?)</p>', text)
    return found and found[1]


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(31, None), (29, "in 29 minutes."), (0.9, "in 1 minute."), (0.4, "very very soon."), (-5, "very very soon.")],
)
def test_the_banner_is_shown_from_half_an_hour_before(lab: Lab, page: Page, minutes: float, shown: str | None) -> None:
    shows = banner(lab, page, (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat())
    assert shows == (shown and f"Launchpad will be going offline for maintenance {shown}")


@pytest.mark.parametrize("junk", ["", "soon", "2026-13-45T00:00:00Z", "\x00\xff"])
def test_junk_in_the_banner_file_shows_nothing(lab: Lab, page: Page, junk: str) -> None:
    assert banner(lab, page, junk) is None
