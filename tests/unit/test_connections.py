"""Passwords in connection strings: found in every form, with libpq's parser and without it, and never shown."""

import json
import sys

import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from plugins.module_utils.rollout_core import connections
from rollout import ROOT, inventory
from rollout.commands import cli
from rollout.outcomes import BadInputError, ExitCode

SECRET = "S3CRET"  # noqa: S105 - of nobody
WITH = [
    (f"host=a password={SECRET} dbname=x", "password"),
    (f"host=a password = '{SECRET}'", "password"),
    (f"PASSWORD={SECRET}", "password"),
    (f"host=a password={SECRET}=", "password"),
    (f"host=a nonsense password={SECRET}", "password"),
    (f"host=a sslpassword='{SECRET} y'", "sslpassword"),
    (f"postgresql://u:{SECRET}@h/db", "password"),
    (f"postgres://u:{SECRET}%40x@h:1,i:2/db?target_session_attrs=any", "password"),
    (f"postgresql://u@h/db?password={SECRET}", "password"),
    (f"postgresql://u@h/db?sslmode=require&%70assword={SECRET}", "password"),
    (f"postgresql:///db?sslpassword={SECRET}", "sslpassword"),
    (f"dbname='postgresql://u:{SECRET}@h/db'", "password"),
    (f"postgresql://u:@x:{SECRET}@h/db", "password"),
    (f"see postgresql://h/db and postgresql://u:{SECRET}/x@h/db", "password"),
    (f"dbname='host=h password={SECRET}'", "password"),
]
WITHOUT = [
    "host=a user=postgres dbname=x",
    "host=a passfile=/home/u/.pgpass",
    "service=lp",
    "postgresql://u@h:5432,i:5433/db?passfile=/x&sslmode=require",
    "host=a user=password dbname=mypassword",
    "host=a password=",
    "",
    "postgresql://" * 20_000,  # each may begin a URI, and all the rest be its password
    "postgresql://h/" + "a:" * 20_000 + "@",
]


@pytest.mark.parametrize("parse", [conninfo_to_dict, None], ids=["libpq", "no libpq"])
@pytest.mark.parametrize(("dsn", "keyword"), WITH)
def test_a_secret_is_found(dsn, keyword, parse):
    assert connections.secret(dsn, parse) == keyword
    assert SECRET not in connections.refusal([("database_dsn", keyword)])


@pytest.mark.parametrize("parse", [conninfo_to_dict, None], ids=["libpq", "no libpq"])
@pytest.mark.parametrize("dsn", WITHOUT)
def test_without_one_there_is_none(dsn, parse):
    assert connections.secret(dsn, parse) is None


@pytest.fixture
def site(tmp_path):
    """Make an inventory of one host with these variables; it is below the checkout, as a plan names it."""

    def make(variables, group="database"):
        (tmp_path / "group_vars").mkdir()
        hosts = {"all": {"children": {group: {"hosts": {"one": {"ansible_connection": "local"}}}}}}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
        (tmp_path / "group_vars" / f"{group}.yml").write_text(yaml.safe_dump(variables))
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("database_dsn", WITH[0][0], "database_dsn"),
        ("qastaging_dsn", WITH[6][0], "qastaging_dsn"),
        ("database_dsn", "{{ 'host=a pass' ~ 'word=S3CRET' }}", "database_dsn"),
        ("database_standbys", [{"dsn": "service=a"}, {"dsn": WITH[8][0]}], "database_standbys.1.dsn"),
        ("database_pools", [{"console": WITH[0][0], "database": "x"}], "database_pools.0.console"),
        (
            "database_standbys",
            [{"dsn": "service=a", "pools": [{"console": WITH[0][0], "database": "x"}]}],
            "database_standbys.0.pools.0.console",
        ),
    ],
)
def test_an_inventory_with_one_is_refused(name, value, where, site):
    """Ansible says what its templates come to, of every host."""
    with pytest.raises(BadInputError) as refused:
        inventory.facts(site({name: value}))
    assert str(refused.value).startswith(f"E-password-in-dsn  {where} has a password in it (`password`)")
    assert SECRET not in str(refused.value)


def test_the_program_ends_before_anything_is_touched(site, tmp_path, monkeypatch, capsys):
    directory = site({"database_dsn": WITH[0][0]})
    plan = yaml.safe_load((ROOT / "tests/unit/plan/plan.yml").read_text())
    plan["rollout"]["inventory"] = str(directory.relative_to(ROOT))
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(plan))
    monkeypatch.setattr(sys, "argv", ["runbook.py", "run", "--plan", str(tmp_path / "plan.yml")])
    monkeypatch.setattr(cli.private, "begin", lambda _: None)  # the umask is this process's
    with pytest.raises(SystemExit) as ended:
        cli.entry()
    said = capsys.readouterr()
    assert ended.value.code == ExitCode.BAD_INPUT
    assert said.err.startswith("E-password-in-dsn  database_dsn ")
    assert SECRET not in said.out + said.err
    assert not (tmp_path / "ansible").exists()
    assert not (tmp_path / "journal.jsonl").exists()


@pytest.mark.parametrize("name", ["lab", "production"])
def test_no_inventory_of_ours_has_one(name):
    assert json.dumps(sorted(inventory.facts(ROOT / "inventories" / name).groups))
