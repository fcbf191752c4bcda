"""The permissions file applied to a real database: only what differs, in the caller's transaction (R18)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible.module_utils
import psycopg
import pytest

from tests.modules.conftest import PROJECT
from tests.modules.database_servers import Database, both_versions

ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
from plugins.module_utils.rollout_host.database import permissions  # noqa: E402  as a module finds it on a host
from plugins.module_utils.rollout_host.database.connection import RolloutError  # noqa: E402
from plugins.module_utils.rollout_host.database.outage.run import WorkError  # noqa: E402

OBJECTS = """
    CREATE TABLE Job (id serial PRIMARY KEY, name text);
    CREATE VIEW Busy AS SELECT name FROM Job;
    CREATE FUNCTION tidy(integer, text) RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."User" (id integer GENERATED ALWAYS AS IDENTITY);"""
FILE = """
[{script}]
type = group
public.job = SELECT

[{worker}]
type = user
groups = {script}
public.job = SELECT, INSERT
public.busy = SELECT
public.tidy(integer, text) = EXECUTE
"Odd"."User" = INSERT
"Odd"."User_id_seq" = USAGE
"""


class Site:
    """A database with roles of its own, for roles belong to all databases of a server."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worker, self.script = f"{database.name}-worker", f"{database.name}_script"
        self.file = database.directory / "security.cfg"
        self.write(FILE)

    def write(self, text: str) -> None:
        self.file.write_text(text.format(worker=self.worker, script=self.script))

    def transaction(self) -> psycopg.Connection[Any]:
        """The one of the patches: `with` commits it, or rolls it back."""
        return psycopg.connect(self.database.servers.dsn(self.database.name), prepare_threshold=None)

    def apply(self) -> list[str]:
        with self.transaction() as connection:
            return list(permissions.apply(connection, permissions.read(str(self.file))))

    def may(self, what: str, role: str | None = None) -> bool:
        """Whether PostgreSQL says so: `what` is `table_privilege('job', 'INSERT')` or the like."""
        function, _, arguments = what.partition("(")
        (row,) = self.database.ask(f"SELECT has_{function}(%s, {arguments}", role or self.worker)
        return bool(row[0])


@pytest.fixture
def site(database: Database) -> Iterator[Site]:
    site = Site(database)
    with database.admin() as admin:
        admin.execute(OBJECTS)
        admin.execute(f'CREATE ROLE "{site.worker}" LOGIN; CREATE ROLE "{site.script}" NOLOGIN')
    yield site
    with database.admin() as admin:
        for role in (site.worker, site.script):
            admin.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"')


@both_versions
def test_the_first_time_and_the_second(site: Site) -> None:
    typed = site.apply()
    assert f'GRANT {site.script} TO "{site.worker}"' in typed
    assert site.may("table_privilege('job', 'INSERT')")
    assert site.may("sequence_privilege('job_id_seq', 'USAGE')")  # with INSERT
    assert site.may("table_privilege('busy', 'SELECT')")
    assert site.may("""table_privilege('"Odd"."User"', 'INSERT')""")
    assert site.may("""sequence_privilege('"Odd"."User_id_seq"', 'USAGE')""")
    assert site.may(f"table_privilege('job', 'SELECT') AND pg_has_role('{site.worker}', '{site.script}', 'MEMBER')")
    assert not site.may("table_privilege('job', 'INSERT')", site.script)
    assert site.apply() == []


@both_versions
def test_what_the_file_does_not_say_is_taken_away_and_others_keep_theirs(site: Site) -> None:
    site.apply()
    with site.database.admin() as admin:
        admin.execute(f'GRANT DELETE, UPDATE ON Job, Person TO "{site.worker}"; GRANT UPDATE ON Job TO cron')
        admin.execute(f'GRANT SELECT ON Branch TO "{site.worker}" WITH GRANT OPTION')
    assert sorted(site.apply()) == [
        f'REVOKE SELECT ON TABLE public.branch FROM "{site.worker}"',  # noqa: S608 (what it types)
        f'REVOKE UPDATE, DELETE ON TABLE public.job, public.person FROM "{site.worker}"',
    ]
    assert not site.may("table_privilege('job', 'DELETE')")
    assert site.may("table_privilege('job', 'UPDATE')", "cron")
    assert site.apply() == []


# What happens to an object between the look before the outage and the permissions in it, and what is typed then.
SINCE = {
    "nothing": ("SELECT", []),
    "a right is taken": ('REVOKE SELECT ON Busy FROM "{worker}"', ['GRANT SELECT ON TABLE public.busy TO "{worker}"']),
    "a table is made again": (
        "DROP VIEW Busy; DROP TABLE Job; CREATE TABLE Job (id serial, name text); CREATE VIEW Busy AS SELECT FROM Job",
        [
            'GRANT SELECT ON TABLE public.busy TO "{worker}"',
            "GRANT SELECT ON TABLE public.job TO {script}",
            'GRANT SELECT, INSERT ON TABLE public.job TO "{worker}"',
            'GRANT USAGE ON SEQUENCE public.job_id_seq TO "{worker}"',
        ],
    ),
    "a table has the name of another": (
        "ALTER TABLE Job RENAME TO Old; ALTER TABLE Branch RENAME TO Job",
        [
            'REVOKE SELECT, INSERT ON TABLE public.old FROM "{worker}"',
            "REVOKE SELECT ON TABLE public.old FROM {script}",
        ],
    ),
    "a sequence is another table's": (
        "ALTER SEQUENCE Job_id_seq OWNED BY Person.id",
        ['REVOKE USAGE ON SEQUENCE public.job_id_seq FROM "{worker}"'],
    ),
    "a member leaves": ('REVOKE {script} FROM "{worker}"', ['GRANT {script} TO "{worker}"']),
}


@both_versions
@pytest.mark.parametrize("since", SINCE)
def test_what_was_as_wanted_is_read_again_only_if_it_changed(site: Site, since: str) -> None:
    site.apply()
    names = {"worker": site.worker, "script": site.script}
    statement, typed = SINCE[since]
    with site.transaction() as connection:
        wanted = permissions.read(str(site.file))
        remembered = permissions.remember(connection, wanted)
        connection.execute(statement.format(**names).encode())
        found = permissions.difference(connection, wanted, remembered)
        assert found == permissions.difference(connection, wanted)
        expected = {each.format(**names) for each in typed}
        assert expected <= set(found.statements)
        assert bool(found.statements) == bool(expected)
        connection.rollback()


def test_a_group_without_a_section_and_a_schema_for_everybody(site: Site) -> None:
    """The group is one that a patch makes."""
    site.write("[DEFAULT]\npublic_schemas = Odd, ts2\n" + FILE.replace("groups = {script}", "groups = {script}, read"))
    with site.transaction() as connection:
        connection.execute(
            "CREATE SCHEMA ts2; CREATE SCHEMA Odd; GRANT USAGE ON SCHEMA Odd TO PUBLIC; CREATE ROLE read"
        )
        typed = permissions.apply(connection, permissions.read(str(site.file)))
        assert typed[0] == "GRANT USAGE ON SCHEMA ts2 TO PUBLIC"
        assert f'GRANT read TO "{site.worker}"' in typed
        assert permissions.apply(connection, permissions.read(str(site.file))) == []
        connection.rollback()


def test_a_role_with_the_name_of_another_is_another(site: Site) -> None:
    site.apply()
    with site.transaction() as connection:
        wanted = permissions.read(str(site.file))
        remembered = permissions.remember(connection, wanted)
        assert permissions.difference(connection, wanted, remembered) == ([], [])
        connection.execute(f'ALTER ROLE "{site.worker}" RENAME TO somebody; CREATE ROLE "{site.worker}" LOGIN')
        found = permissions.difference(connection, wanted, remembered)
        assert found == permissions.difference(connection, wanted)
        assert len(found.statements) > 3
        connection.rollback()


def test_columns_are_left_alone(site: Site) -> None:
    with site.database.admin() as admin:
        admin.execute(f'GRANT UPDATE (name) ON Job TO "{site.worker}"')
    site.apply()
    assert site.may("column_privilege('job', 'name', 'UPDATE')")


def test_it_is_part_of_the_transaction(site: Site) -> None:
    connection = site.transaction()
    connection.execute("CREATE TABLE FromAPatch (id integer)")
    site.write(FILE + "public.FromAPatch = SELECT\n")
    typed = permissions.apply(connection, permissions.read(str(site.file)))
    assert any("public.frompatch" in statement or "public.fromapatch" in statement for statement in typed)
    connection.rollback()
    assert not site.may("table_privilege('job', 'INSERT')")
    connection.close()


def test_a_patch_that_leaves_another_search_path(site: Site) -> None:
    with site.transaction() as connection:
        connection.execute("CREATE DOMAIN email AS text; CREATE FUNCTION mail(email) RETURNS email RETURN $1")
        connection.execute("SELECT set_config('search_path', '', false)")
        site.write(FILE + "public.mail(email) = EXECUTE\n")
        permissions.apply(connection, permissions.read(str(site.file)))
    assert site.may("function_privilege('mail(email)', 'EXECUTE')")


def test_what_is_not_there_after_the_patches_is_named_with_its_line(site: Site) -> None:
    site.write(FILE + "public.bugs = SELECT\npublic.tidy(int) = EXECUTE\n[nobody]\ntype = user\n")
    with pytest.raises(WorkError) as raised:
        site.apply()
    told = str(raised.value).splitlines()
    nearest, near = " (there is public.bug)", " (there is public.tidy(integer, text))"
    assert told[0] == f"E-permissions-unknown  {site.file} names what is not there after the patches:"
    assert told[1:4] == [
        f"    {site.file}:16: role nobody is not there",
        f"    {site.file}:14: role {site.worker}: there is no table, view or sequence public.bugs{nearest}",
        f"    {site.file}:15: role {site.worker}: there is no function public.tidy(int){near}",
    ]
    assert raised.value.then.startswith("correct the file on its branch")
    assert not site.may("table_privilege('job', 'INSERT')")


def test_what_somebody_else_granted_is_told_and_nothing_is_kept(site: Site) -> None:
    with site.database.admin() as admin:
        admin.execute("GRANT DELETE ON Job TO cron WITH GRANT OPTION; GRANT USAGE ON SCHEMA public TO cron")
        admin.execute(f'SET ROLE cron; GRANT DELETE ON Job TO "{site.worker}"')
    with pytest.raises(WorkError, match=r"E-permissions-refused .*without effect: REVOKE DELETE ON TABLE public.job"):
        site.apply()
    assert not site.may("table_privilege('job', 'INSERT')")
    with site.database.admin() as admin:
        admin.execute("REVOKE DELETE ON Job FROM cron CASCADE")
    site.apply()


def test_the_difference_is_only_looked_at(site: Site) -> None:
    with site.transaction() as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        found = permissions.difference(connection, permissions.read(str(site.file)))
    assert (len(found.statements) > 3, found.problems) == (True, [])
    assert not site.may("table_privilege('job', 'INSERT')")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "security.cfg: No such file or directory"),
        (b"\xff[cron]", "security.cfg: it is not UTF-8"),
        (b"[cron]\ntype = user\nperson = SELECT\n", "security.cfg:3: expected type, groups, SCHEMA.NAME"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "security.cfg"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RolloutError) as raised:
        permissions.read(str(file))
    told = str(raised.value).splitlines()
    assert told[0] == "E-permissions-file  the permissions file cannot be read:"
    assert says in told[1]
    assert told[-1].startswith("Then: ")


@pytest.mark.parametrize(("tables", "roles"), [(331, 12)])
def test_as_many_as_the_real_service_has(
    site: Site, tables: int, roles: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints how long it takes; the real script takes 0.36 s each time (bench/ judges, this does not)."""
    names = [f"{site.script}_{number}" for number in range(roles)]
    privileges = ["SELECT", "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE", "SELECT, UPDATE"]
    sections = [
        f"[{name}]\ntype = group\n"
        + "".join(f"public.t{table} = {privileges[(table * 7 + at * at) % 4]}\n" for table in range(tables))
        for at, name in enumerate(names)
    ]
    site.write("".join(sections))
    with site.database.admin() as admin:
        admin.execute(";".join(f"CREATE ROLE {name}" for name in names))
        admin.execute(";".join(f"CREATE TABLE t{table} (id serial)" for table in range(tables)))
    took, wanted = [], permissions.read(str(site.file))
    with site.transaction() as connection:
        for _ in range(2):
            begun = time.monotonic()
            typed = permissions.apply(connection, wanted)
            took.append(time.monotonic() - begun)
    assert typed == []
    (granted,) = site.database.ask(
        "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = ANY (%s)", names
    )
    words = sum(len(privileges[(table * 7 + at * at) % 4].split(",")) for table in range(tables) for at in range(roles))
    assert granted == (words,)
    with capsys.disabled():
        print(f"\n{tables} tables × {roles} roles: everything {took[0] * 1000:.0f} ms, nothing {took[1] * 1000:.0f} ms")
    with site.database.admin() as admin:
        admin.execute(";".join(f"DROP OWNED BY {name}; DROP ROLE {name}" for name in names))
