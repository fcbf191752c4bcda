"""Our reading of SQL against the server's own grammar: where statements end, what ends a transaction (R18)."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pglast import ast, parse_sql, parser, split
from pglast.enums import TransactionStmtKind

from plugins.module_utils.rollout_core.schema import sql, statements, transaction

STATEMENTS = [
    "SELECT 1",
    "SELECT 'a;b''c', E'd\\';' \n 'e\\'', U&'\\0041;', X'1f', B'01', N'n'';'",
    'SELECT "a;b""c" AS "END", U&"d;" FROM "T;"',
    "SELECT $$;$$, $a$ $b$; $$ $a$, $ä$;$ä$, a$b$c FROM t",
    "PREPARE q AS SELECT $1, $2",
    "SELECT 1 AS end, 2 AS begin, t.end, t.case FROM t",
    "SELECT CASE WHEN true THEN 1 ELSE 2 END end",
    "SELECT a */* ; */ b, c -- ;\n FROM t",
    "CREATE RULE r AS ON DELETE TO t DO ALSO (SELECT 1; SELECT 2; NOTIFY t)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END",
    "CREATE OR REPLACE PROCEDURE p(begin int, atomic int) BEGIN ATOMIC END",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS begin; SELECT 2 end; END",
    "CREATE FUNCTION f() RETURNS int RETURN 1",
    "CREATE FUNCTION f(a text DEFAULT ';') RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2;'",
    "DO $do$ BEGIN RAISE NOTICE $$ COMMIT; $$; END $do$",
    "ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok'",
    "UPDATE t SET a[1:2] = b::int[], c = d.e->>'f;' WHERE g @> h AND i = 1.5e3",
    "INSERT INTO é VALUES (1), (2)",
    "BEGIN",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "COMMIT AND NO CHAIN",
    "END WORK",
    "ABORT",
    "ROLLBACK",
    "ROLLBACK TO SAVEPOINT s",
    "SAVEPOINT s",
    "RELEASE s",
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
]
blank = st.sampled_from(["", " ", "\n", "\t", "\r\n", "-- ' ; \n", "--\r", "/* ; ' */", "/* /* ; */ $$ */", "\f"])
pieces = st.tuples(blank, st.sampled_from(STATEMENTS), blank, st.sampled_from([";", ";;", "; -- ;\n;"])).map("".join)
scripts = st.lists(pieces, max_size=6).map("\n".join)


def words(text: str) -> list[str]:
    return [text[token.start : token.end + 1] for token in parser.scan(text) if "COMMENT" not in token.name]


@given(scripts)
def test_statements_end_where_the_server_ends_them(text: str) -> None:
    ours = [each.text.rstrip(";") for each in statements.read(text).statements]
    assert [words(each) for each in ours] == [words(each) for each in split(text)]


@given(st.text("aeEuUbBxX&$'\"\\/*-;() \n\r1_é", max_size=30))
def test_what_never_ends_is_what_the_server_says_never_ends(text: str) -> None:
    try:
        parser.scan(text)
        says = ""
    except parser.ParseError as error:
        says = str(error)
    script = statements.read(text)
    assume(not says or "unterminated" in says)  # else the server stops at something else
    assume(not any(each.code.startswith("\\") for each in script.statements))  # psql takes these, and no server
    assert (script.unfinished is not None) == ("unterminated" in says), says


@given(st.text("aeEuUbBxX&$'\"/*-; \n\r1_é", max_size=30))
def test_strings_and_names_end_where_the_server_ends_them(text: str) -> None:
    try:
        theirs = [token for token in parser.scan(text) if token.name in ("SCONST", "USCONST", "BCONST", "XCONST")]
        ours = [token for token in sql.tokens(text) if token.kind in (sql.Kind.STRING, sql.Kind.BODY)]
    except (parser.ParseError, sql.Unfinished):
        return
    assert {token.start for token in theirs} <= {token.start for token in ours}


@pytest.mark.parametrize("text", STATEMENTS)
def test_what_ends_the_transaction_is_what_the_grammar_calls_so(text: str) -> None:
    (raw,) = parse_sql(text)
    of_its_own = isinstance(raw.stmt, ast.TransactionStmt) and raw.stmt.kind != TransactionStmtKind.TRANS_STMT_SAVEPOINT
    assert bool(transaction.problems(statements.read(text))) == of_its_own


def test_the_work_grows_with_the_text_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token is looked at once; reading each piece anew at its semicolons would look at 2,500 times as many."""
    looked = []
    token = sql.token
    monkeypatch.setattr(sql, "token", lambda text, position: looked.append(position) or token(text, position))
    rows = ",\n".join(f"({number}, 'Foo &amp; bar')" for number in range(2_500))
    found = statements.read.__wrapped__(f"INSERT INTO t VALUES\n{rows};\nSELECT 1;\n" * 2)
    assert [each.line for each in found.statements] == [1, 2_502, 2_503, 5_004]
    assert len(looked) == len(set(looked))
