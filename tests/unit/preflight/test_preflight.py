"""What the preflight makes of facts: each check by its table, and what people read of all of them (R18)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.preflight import (
    access,
    database,
    extensions,
    findings,
    lock_holders,
    permissions,
    roles,
    settings,
    standbys,
    trial,
)

HERE = Path(__file__).parent
SESSION = ("user", "application", "pid", "seconds", "query", "backend")
AVAILABLE = {
    "primary": [["pgcrypto", "1.3"], ["pgcrypto", "1.4"], ["uuid-ossp", "1.1"]],
    "standby": [["pgcrypto", "1.3"], ["uuid-ossp", "1.1"]],
}
Finding = findings.Finding


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in yaml.safe_load((HERE / f"{name}.yml").read_text())]


def judged(case: dict[str, Any], module: Any) -> None:
    facts = dict(case["facts"])
    if case["facts"].get("sessions") and isinstance(facts["sessions"][0], list):
        facts["sessions"] = [dict(zip(SESSION, session, strict=True)) for session in facts["sessions"]]
    if "named" in facts:
        facts["named"] = [permissions.Named(*each) for each in facts["named"]]
    answer = getattr(module, case["decide"])(**facts)
    found = [answer] if isinstance(answer, Finding) else answer
    assert len(found) == len(case["findings"]), found
    for finding, expected in zip(found, case["findings"], strict=True):
        assert {key: getattr(finding, key) for key in expected if key != "todo"} == {
            key: value for key, value in expected.items() if key != "todo"
        }
        assert finding.expected
        assert expected["todo"] in finding.todo if "todo" in expected else finding.todo == ""


BY_FILE = {"host": findings} | {
    module.__name__.rpartition(".")[2]: module
    for module in (access, database, lock_holders, permissions, roles, settings, standbys, trial)
}


@pytest.mark.parametrize(
    ("module", "case"),
    [pytest.param(module, *each.values, id=str(each.id)) for name, module in BY_FILE.items() for each in cases(name)],
)
def test_check(module: Any, case: dict[str, Any]) -> None:
    judged(case, module)


@pytest.mark.parametrize("case", cases("queries"))
def test_query(case: dict[str, str]) -> None:
    assert database.folded(case["query"]) == case["folded"]
    assert len(case["folded"]) <= 60


@pytest.mark.parametrize("case", cases("extensions"))
def test_extensions(case: dict[str, Any]) -> None:
    needs = extensions.needed([("patch-2208-30-0.sql", case["patch"])])
    assert [[need.line, need.extension, need.version] for need in needs] == case["needs"]
    finding = extensions.extensions(needs, AVAILABLE)
    missing = case.get("missing")
    assert finding.ok == (missing is None)
    assert finding.found == (f"not available: {missing}" if missing else case["found"])


GOOD = findings.finding("transactions", "none", "none over 60 s", "end them", ok=True)
BAD = findings.finding("locks", "9 relations", "at most 8", "ALTER SYSTEM SET x = 1\nthen restart", ok=False)
TOLD = findings.remark("backup", "NOT CHECKED", "at most 26 h old", "set it")


def test_a_good_finding_leaves_nothing_to_do() -> None:
    assert GOOD.todo == ""


def test_summary() -> None:
    assert findings.summary([GOOD, TOLD], 0.21, 60) == "2 of 2 ✓ · lag 0.2 s · no transaction over 60 s"
    assert findings.summary([GOOD, BAD], None, 60) == "1 of 2 ✗ · no transaction over 60 s"
    assert findings.summary([BAD], 0.0, 60) == "0 of 1 ✗ · lag 0.0 s"


def test_what_is_no_failure_and_told_all_the_same() -> None:
    assert findings.remarks([GOOD, BAD, TOLD]) == ["backup: NOT CHECKED; set it"]


def test_failures_with_what_to_do() -> None:
    assert findings.complaint("lp", "host=h user=postgres dbname=lp", [GOOD, BAD, TOLD]) == (
        "E-preflight  1 of 3 checks of lp failed, nobody was locked out:\n"
        "  locks: 9 relations (expected: at most 8)\n"
        "      ALTER SYSTEM SET x = 1\n"
        "      then restart\n"
        "  SQL is typed on that host in:  psql 'host=h user=postgres dbname=lp'\n"
        "  Then: ./runbook.py run preflight"
    )


def test_no_word_of_sql_where_nothing_is_typed() -> None:
    failed = findings.finding("fragile users", "fiera", "none", "stop by hand what connects as fiera", ok=False)
    assert "psql" not in findings.complaint("lp", "dbname=lp", [failed])
