"""Patches are split as psql splits them, so that an error has a line."""

from __future__ import annotations

import pytest

from plugins.module_utils.rollout_core.schema import statements

CASES = {
    "one a line": ("SELECT 1;\nSELECT 2;\n", [(1, "SELECT 1;"), (2, "SELECT 2;")]),
    "two in a line": ("SELECT 1; SELECT 2;", [(1, "SELECT 1;"), (1, "SELECT 2;")]),
    "comments are skipped": ("-- a; b\n\n/* c;\n */ SELECT\n1;", [(4, "SELECT\n1;")]),
    "nested comments": ("/* a /* b; */ c; */ SELECT 1;", [(1, "SELECT 1;")]),
    "in a string": ("SELECT ';', \"a;b\";\nSELECT 2;", [(1, "SELECT ';', \"a;b\";"), (2, "SELECT 2;")]),
    "begins with a quoted name": ('-- c\n"f"();\nSELECT 2;', [(2, '"f"();'), (3, "SELECT 2;")]),
    "in a function": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $x$\nBEGIN\nRETURN 1;\nEND $x$;\nSELECT f();",
        [
            (1, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $x$\nBEGIN\nRETURN 1;\nEND $x$;"),
            (5, "SELECT f();"),
        ],
    ),
    "a rule keeps it whole": (
        "SELECT 1;\nCREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2);\n",
        [(1, "SELECT 1;\nCREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2);\n")],
    ),
    "a body of SQL keeps it whole": (
        "SELECT 1;\nCREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\n",
        [(1, "SELECT 1;\nCREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\n")],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_statements(text: str, expected: list[tuple[int, str]]) -> None:
    assert statements.split(text) == expected
