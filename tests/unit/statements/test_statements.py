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
    "in the actions of a rule": (
        "SELECT 1;\nCREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2);\nSELECT 2",
        [(1, "SELECT 1;"), (2, "CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2);"), (3, "SELECT 2")],
    ),
    "in a body of SQL": (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;\nEND;",
        [
            (1, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;"),
            (2, "END;"),
        ],
    ),
    "what never ends is left out": ("SELECT 1;\nSELECT 'a", [(1, "SELECT 1;")]),
    "empty ones": (";;\n ; -- nothing\n", []),
    "data for psql": ("COPY t FROM stdin;\n';\n\\.\nSELECT 1;", [(1, "COPY t FROM stdin;"), (4, "SELECT 1;")]),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_statements(text: str, expected: list[tuple[int, str]]) -> None:
    assert statements.split(text) == expected
