"""Judges whether statements can be in the one transaction of all patches, which closes behind users (R18).

A patch that PostgreSQL takes inside a transaction is sound here, except where the outage itself would break: what ends
the transaction, or moves the limit that keeps users out, is refused wherever it can be seen.
"""

from __future__ import annotations

import re

from .statements import COPY_DATA, Script, Statement, read

HOT_PATCH = "make it a hot patch, applied by itself on another day, and drop it from this merge"
# The errors of what is found no earlier: active_sql_transaction, unsafe_new_enum_value_usage.
HOT_PATCH_STATES = ("25001", "55P04")
_BEGINS = "cannot run inside the one transaction of all patches: take it out"
_ENDS = "would end the one transaction that all patches share: take it out"
_ACCESS = "moves the limit that keeps users out in the outage: take it out, and set it on another day"
_PSQL = "is for psql, which is not what applies patches: write it as SQL"
# What PostgreSQL refuses inside a transaction (PreventInTransactionBlock in its source; the commands' pages say so).
# Not here is what only the database can tell: whether a table or index is partitioned, or a subscription has a slot.
# Nor ALTER TYPE … ADD VALUE, which it takes, though the new value cannot be used before the commit.
_FALSE = r"\ (?:=\ )?(?:false|off|0|'')"
_HOT = re.compile(
    rf"""
      (?:create|drop)\ (?:unique\ )?index\ concurrently\b
    | reindex\ (?:\(\ [^()]*\ \)\ )?(?: (?:table|index)\ concurrently\b | (?:schema|database|system)\b)
    | reindex\ \(\ (?:[^()]*\ ,\ )?concurrently\b(?!{_FALSE})
    | alter\ table\ .*\ detach\ partition\ .*\ concurrently$
    | vacuum(?:$|\ ) | cluster(?:\ verbose|\ \(\ [^()]*\ \))?$ | discard\ all$
    | alter\ system\ | (?:create|drop)\ (?:database|tablespace)\ | alter\ database\ \S+\ set\ tablespace\b
    | create\ subscription\ (?!.*\b(?:connect|create_slot){_FALSE})
    | alter\ subscription\ .*\ refresh\ (?:publication|sequences)\b
    | alter\ subscription\ \S+\ set\ \(.*\b(?:failover|two_phase)\b
    | alter\ subscription\ \S+\ (?:set|add|drop)\ publication\ (?!.*\brefresh{_FALSE})
    """,
    re.VERBOSE,
)
_BEGINNING = re.compile(r"(?:begin|start transaction|prepare transaction)\b")
_ENDING = re.compile(r"(?:commit|rollback|abort|end)\b(?!(?: work| transaction)? to\b)")
_SAVEPOINT = re.compile(
    r"(?P<does>savepoint|release(?: savepoint)?|rollback(?: work| transaction)? to(?: savepoint)?) (?P<name>\S+)$"
)
_LIMIT = re.compile(
    r"alter database (?:\S+|% \S+) .*?(?:connection limit|allow_connections)\b"
    r"|update (?:only )?(?:pg_catalog \. )?pg_database\b.*\b(?:datconnlimit|datallowconn)\b"
)
_COPY_OUT = re.compile(r"copy (?:\( .* \)|[^(]*(?:\( [^()]* \))?) ?to stdout\b")
# In PL/pgSQL: after what a statement begins, and how COMMIT is told from a name there.
_OPENING = re.compile(r"(?:^|(?<= ))(?:begin|then|else|loop|> >) ")
_PL_ENDING = re.compile(r"(?:commit|rollback)(?: and (?:no )?chain)?$")
_NAME = re.compile(r"(?:vacuum|cluster)\b(?!$| \(| (?:full|freeze|verbose|analyze)\b)")  # it may well be one there
_EXECUTE = re.compile(r"execute (?:format )?(?:\( )*(?:''|\$\$)")
_LITERAL = re.compile(r"''|\$\$")
_CATCHES = re.compile(r"\bexception when\b")
_PROCEDURE = re.compile(r"create (?:or replace )?procedure (?P<name>[^(]*?) \(")
_CALL = re.compile(r"call (?P<name>[^(]*?) \(")
_SHOWN = 60  # characters of a statement


def problems(script: Script) -> list[tuple[int, str]]:
    """Return why statements cannot run in the one transaction of all patches: [(line, a sentence)]."""
    found = []
    savepoints: list[str] = []
    committing: set[str] = set()  # procedures that the text itself makes
    for statement in script.statements:
        made, called = _PROCEDURE.match(statement.code), _CALL.match(statement.code)
        if made and any(_PL_ENDING.match(inner.code) for body in statement.literals for inner in _in_plpgsql(body)):
            committing.add(made["name"])
        said = _savepoint(statement.code, savepoints) or _problem(statement.code) or _in_do(statement)
        if called and called["name"] in committing:
            said = f"commits or rolls back: it {_ENDS}"
        if said:
            found.append((statement.line, f"{_shown(statement.text)} {said}"))
    return found


def _problem(code: str) -> str | None:
    """Return what is wrong with one statement of SQL; None if nothing is."""
    if code.startswith("\\") or _COPY_OUT.match(code):
        return _PSQL
    if _BEGINNING.match(code):
        return _BEGINS
    if _ENDING.match(code):
        return _ENDS
    return _anywhere(code)


def _anywhere(code: str) -> str | None:
    """Return what is wrong with a statement of SQL, or of PL/pgSQL."""
    if COPY_DATA.match(code):
        return "is COPY … FROM STDIN, which is for psql, and psql is not what applies patches: write it as INSERT"
    if _LIMIT.match(code):
        return _ACCESS
    return f"cannot run inside the one transaction of all patches: {HOT_PATCH}" if _HOT.match(code) else None


def _savepoint(code: str, savepoints: list[str]) -> str | None:
    """Keep the text's own savepoints, innermost last; return what is wrong with one that is not its own."""
    found = _SAVEPOINT.match(code)
    if found is None:
        return None
    if found["does"] == "savepoint":
        savepoints.append(found["name"])
        return None
    if found["name"] not in savepoints:
        return "is about a savepoint that this patch has not set: take it out"
    while savepoints[-1] != found["name"]:
        savepoints.pop()
    if found["does"].startswith("release"):
        savepoints.pop()
    return None


def _in_do(statement: Statement) -> str | None:
    """Return what is wrong inside a DO block, as far as can be told: what it runs by itself, or by EXECUTE."""
    if not re.match(r"do\b", statement.code):
        return None
    language = re.search(r" language (\S+)", statement.code)
    bodies = statement.literals[1 if statement.code.startswith("do language ''") else 0 :]
    if not bodies or (language and language[1] not in ("plpgsql", "''")):
        return None
    for inner in _in_plpgsql(bodies[0]):
        run = read(_executed(inner)).statements[:1] if _EXECUTE.match(inner.code) else []
        own = _ENDS if _PL_ENDING.match(inner.code) else _anywhere(inner.code)
        if said := _problem(run[0].code) if run else own:
            return f"has {_shown((run or [inner])[0].text)} in it, which {said}"
    return None


def _executed(statement: Statement) -> str:
    """Return what an EXECUTE runs, with an x for what is not a literal."""
    between = ("" if each == " | | " else " x " for each in _LITERAL.split(statement.code)[1:])
    return "".join(literal + after for literal, after in zip(statement.literals, between))


def _in_plpgsql(body: str) -> list[Statement]:
    """Return the statements of a PL/pgSQL body; none if it catches errors, as what they do then is not known."""
    script = read(body)
    if script.unfinished or any(_CATCHES.search(each.code) for each in script.statements):
        return []
    found = []
    for each in script.statements:
        literals = iter(each.literals)
        *others, last = _OPENING.split(each.code)
        for code in (*(f"{piece}…" for piece in others), last):
            own = [next(literals) for _ in _LITERAL.findall(code)]
            if not _NAME.match(code):
                found.append(Statement(each.line, code, code, own))
    return found


def _shown(text: str) -> str:
    squeezed = " ".join(text.rstrip("; \n").split())
    return repr(squeezed if len(squeezed) <= _SHOWN else squeezed[: _SHOWN - 1] + "…")
