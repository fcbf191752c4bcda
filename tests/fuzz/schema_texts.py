"""Readers of texts about a schema: patches, undo files, permissions, logs of upgrades, squawk's report."""

from __future__ import annotations

import json

from plugins.module_utils.rollout_core.preflight import database, extensions
from plugins.module_utils.rollout_core.schema import (
    budget,
    full_update,
    hazards,
    patch_title,
    patches,
    permissions_file,
    statements,
    undo_files,
)
from tests.fuzz.reader import Reader, file, files

PATCH = patches.PatchName(2208, 30, 0)
SQL = (
    *(
        "BEGIN;",
        "COMMIT;",
        "END;",
        "BEGIN ATOMIC",
        "$$",
        "$a$",
        "'",
        "E'",
        '"',
        "--",
        "/*",
        "*/",
        ";",
        "(",
        ")",
        "U&'",
        "\\",
        "\\copy x from y\n",
    ),
    *(
        "COPY x FROM STDIN;\n1\tb\n\\.\n",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql ",
        "CREATE EXTENSION x;",
        "VACUUM;",
        "REINDEX TABLE a;",
    ),
    *(
        "INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 30, 0);",
        "ALTER SYSTEM",
        "CREATE INDEX CONCURRENTLY",
        "SET client_min_messages=ERROR;",
    ),
)
LOG = (
    "2026-12-08 03:00:01 INFO    Running upgrade.py\n"
    "2026-12-08 03:00:02 INFO    Applying patches.\n"
    "2026-12-08 03:02:11 INFO    2208-30-0 applied just now in 70.5 seconds\n"
    "2026-12-08 03:02:11 INFO    2208-56-0 applied just now in 3.1 seconds\n"
    "2026-12-08 03:02:12 INFO    2208-00-0 applied 2026-11-08 in 1.0 seconds\n"
    "2026-12-08 03:02:12 CRITICAL The end\n"
)
LOG_TOKENS = (
    " applied just now in ",
    " seconds\n",
    "2208-",
    "2208-30-0",
    "Running upgrade.py\n",
    "CRITICAL ",
    "2026-02-30 03:00:01 INFO ",
    "2208-30-",
    "1e9",
    "Outage starts.\n",
    "Outage complete. 0:00:01.5\n",
    "Disabling access to x\n",
)


def _patch(text: str) -> None:
    patches.check(str(PATCH), text)
    patch_title.patch_title(text)
    statements.split(text)
    extensions.extensions(extensions.needed([(str(PATCH), text)]), {"here": [("pgcrypto", "1.3")]})


def _undo(text: str) -> None:
    undo_files.check(PATCH, text)
    undo_files.losses(PATCH, text)


def _names(text: str) -> None:
    found = patches.pending(text.splitlines(), [(2208, 30, 0)])
    [str(each) for each in found.patches]
    patches.PatchName.parse(text)


def _script(text: str) -> None:
    output = full_update.read(text)
    full_update.outage_seconds(output)
    full_update.timings(output, {str(PATCH): 1.0})
    full_update.end_of(output, "/var/log/upgrade.log")
    for line in output.lines:
        full_update.step(line)


READERS = [
    Reader(
        "schema patch",
        _patch,
        [patches.check, patch_title.patch_title, statements.split, extensions.needed],
        files("lab/data/schema/patch-*-?.sql"),
        SQL,
        share=1.5,
    ),
    Reader("undo file", _undo, [undo_files.check], files("lab/data/schema/*.undo.sql"), SQL),
    Reader(
        "patch name",
        _names,
        [patches.pending],
        ["patch-2208-30-0.sql", "patch-2208-56-0.undo.sql\npatch-1-2-3.sql"],
        ("patch-", ".sql", "\n", "-0", "２２０８"),
        (ValueError,),
        0.5,
    ),
    Reader(
        "permissions file",
        lambda text: permissions_file.parse("security.cfg", text),
        [permissions_file.parse],
        [file("lab/data/tree/database/schema/security.cfg")],
        ("[", "]\n", "type=user\n", "groups=", "public.x = SELECT, INSERT\n", "[DEFAULT]\n", "=", ", "),
        (permissions_file.UnreadableError,),
    ),
    Reader(
        "staging log",
        budget.last_restore,
        [budget.last_restore],
        [LOG, *files("tests/unit/budget/*.log")],
        LOG_TOKENS,
        (budget.NoTimings,),
        1.5,
    ),
    Reader(
        "upgrade script's log", _script, [full_update.read], [*files("tests/unit/budget/full*.log"), LOG], LOG_TOKENS
    ),
    Reader(
        "squawk's report",
        lambda text: hazards.read(_json(text), []).line(),
        [hazards.read],
        ['[{"file": "a/patch-2208-30-0.sql", "line": 3, "rule_name": "ban-char-field", "message": "no"}]'],
        ('"line":', '"file":', "[", "{"),
        (ValueError,),
        0.5,
    ),
    Reader(
        "query",
        database.folded,
        [database.folded],
        ["SELECT *\nFROM person -- all\nWHERE name = 'x''y' /* here */"],
        SQL,
        (),
        0.5,
    ),
]


def _json(text: str) -> object:
    """Return the data in a text of JSON; what is none, the caller reports by itself."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError from error
