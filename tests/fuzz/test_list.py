"""The list of readers is whole: code that parses a document or a format is played, or it stands here why it is not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.reader import ROOT
from tests.fuzz.test_readers import READERS

# What takes a text apart: the last names of what is called, or of a class that is built upon.
PARSERS = {
    *("json.loads", "json.load", "from_json", "validate_json", "model_validate_json", "raw_decode", "read_object"),
    *("yaml.load", "yaml.safe_load", "yaml.compose", "plain_yaml.load", "plain_yaml.compose", "documents.load"),
    *("documents.checked", "documents.read_json", "documents.read_text", "ConfigParser", "RawConfigParser"),
    *(
        "Calendar.from_ical",
        "Event.from_ical",
        "ElementTree.parse",
        "HTMLParser",
        "rrulestr",
        "url_to_dict",
        "conninfo_to_dict",
    ),
}
NOT_PLAYED = {
    "plugins/module_utils/rollout_host/ci/record.py": "its own record, whatever else is in it is passed over",
    "plugins/module_utils/rollout_host/database/outage/by_hand.py": "reads a file of the outage that runs on the host",
    "plugins/module_utils/rollout_host/database/outage/guardian.py": "reads what its own worker tells, through a pipe",
    "plugins/module_utils/rollout_host/database/outage/main.py": "reads what the module has just written for it",
    "plugins/module_utils/rollout_host/services/record.py": "its own record",
    "plugins/module_utils/rollout_host/trees/archive.py": "reads what it has written itself, beside its tree",
    "plugins/module_utils/rollout_host/whole_file.py": "played with claims, records and states",
    "plugins/modules/next_merge.py": "its rule is that of schedule.yml, checked there",
    "plugins/modules/squawk.py": "JSON of a program of ours; what it holds is played as squawk's report",
    "rollout/announcing/delivery.py": "reads what its own poster tells, through a socket",
    "rollout/announcing/post.py": "reads what the conductor tells, through a socket",
    "rollout/commands/incident.py": "text that is kept as it is",
    "rollout/incidents/record.py": "text that is kept as it is; pages are played by themselves",
    "rollout/plain_yaml.py": "played with every document of people",
    "rollout/plan/past.py": "played with plan.yml",
    "rollout/plan/recurrence.py": "played with calendars and schedule.yml",
}


def parsing(path: Path) -> Iterator[str]:
    """Give the parsers that a file calls, or builds upon."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        named = [node.func] if isinstance(node, ast.Call) else node.bases if isinstance(node, ast.ClassDef) else []
        for each in named:
            words = ast.unparse(each).split(".")
            yield from {".".join(words[-2:]), words[-1]} & PARSERS


def test_whoever_parses_is_played() -> None:
    played = {module for reader in READERS for module in reader.modules}
    found = {
        str(path.relative_to(ROOT)): sorted(set(names))
        for top in ("plugins", "rollout")
        for path in sorted((ROOT / top).rglob("*.py"))
        if (names := list(parsing(path)))
    }
    missing = {path: names for path, names in found.items() if path not in played and path not in NOT_PLAYED}
    assert not missing, "no reader of tests/fuzz has it; add one, or say in NOT_PLAYED why not"
    assert not set(NOT_PLAYED) & played
    assert set(NOT_PLAYED) <= set(found)


def test_names_are_told_apart() -> None:
    names = [reader.name for reader in READERS]
    assert sorted(set(names)) == sorted(names)
