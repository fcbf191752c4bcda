"""The core is pure, the clock is read in one place, Python knows no stage, no file names a place outside."""

from __future__ import annotations

import pytest

from .code import (
    FORBIDDEN_TEXTS,
    clock_is_read_in_one_place,
    core_is_pure,
    docstring_says_it_once,
    project_files,
    python_knows_no_stage,
    text_stays_at_home,
)
from .process import Project
from .source import ROOT, stands

CORE = sorted((ROOT / "plugins/module_utils/rollout_core").rglob("*.py"))
CONDUCTOR = sorted((ROOT / "rollout").rglob("*.py"))
STAGES = {stage["stage"] for stage in Project.read().stages}


def name(path):
    return str(path.relative_to(ROOT))


def found_in(paths, check, *more):
    """What a check finds in any of the files."""
    return (finding for path in paths for finding in check(name(path), path.read_text(encoding="utf-8"), *more))


def test_core_is_pure():
    stands(found_in(CORE, core_is_pure))


def test_clock_is_read_in_one_place():
    stands(found_in([path for path in CONDUCTOR if path.name != "clock.py"], clock_is_read_in_one_place))


def test_python_knows_no_stage():
    # "done" is an outcome of the rollout too, in the journal's contract
    stands(found_in(CONDUCTOR, python_knows_no_stage, STAGES - {"done"}))


def test_docstring_says_it_once():
    said = "A message is a file in the directory, whole or not there"
    twice = f'"""First.\n\n{said}.\n\n{said} at all.\n"""'
    assert list(docstring_says_it_once("a.py", twice))
    stands(found_in([path for path in project_files() if path.suffix == ".py"], docstring_says_it_once))


def test_text_stays_at_home():
    files = project_files()
    assert files
    stands(found_in(files, text_stays_at_home))


def test_there_is_something_to_check():
    assert CORE
    assert CONDUCTOR


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "import time",
        "from pathlib import Path",
        "import urllib.request",
        "from urllib import request",
        "import io",
        "from io import open",
        "import yaml",
        "from ansible.module_utils import basic",
        "from rollout_core import lateness",
        "from datetime import datetime\nnow = datetime.now()",
        "import datetime as d\nstart = d.datetime.utcnow()",
        "text = open('journal.jsonl').read()",
        "def verdict(time):\n    return time.time()",
    ],
)
def test_core_check_catches(text):
    (finding,) = core_is_pure("core.py", text)
    assert finding.line == len(text.splitlines())


def test_core_check_lets_a_pure_function_pass():
    stands(
        core_is_pure(
            "core.py",
            "from __future__ import annotations\nfrom datetime import timedelta\nfrom . import timeline\n"
            "from io import StringIO\nfrom urllib.parse import urlsplit\nimport collections.abc\n"
            "def late(now):\n    return timeline.end(now) + timedelta(minutes=30)\n",
        )
    )


@pytest.mark.parametrize("call", ["datetime.now(UTC)", "datetime.datetime.utcnow()", "time.time()", "date.today()"])
def test_clock_check_catches(call):
    (finding,) = clock_is_read_in_one_place("rollout/engine/conductor.py", f"\nat = {call}\n")
    assert finding.line == 2


def test_clock_check_lets_the_clock_and_durations_pass():
    stands(clock_is_read_in_one_place("rollout/engine/conductor.py", "at = clock.now()\nbegan = time.monotonic()\n"))


@pytest.mark.parametrize(
    "text",
    [
        'if stage.name == "outage": pass',
        'stages["outage"]',
        'match name:\n    case "outage": pass',
        'x = n in ("outage", "m")',
    ],
)
def test_stage_check_catches(text):
    assert [finding.problem for finding in python_knows_no_stage("x.py", text, {"outage"})] == [
        "knows the stage 'outage'"
    ]


def test_stage_check_lets_words_pass():
    stands(python_knows_no_stage("x.py", 'print("outage")\nif stage.window: pass\n', {"outage"}))


@pytest.mark.parametrize("forbidden", FORBIDDEN_TEXTS)
def test_text_check_catches(forbidden):
    (finding,) = text_stays_at_home("README.md", f"One line.\nSee {forbidden}x.\n")
    assert finding.line == 2


def test_text_check_lets_relative_paths_pass():
    stands(text_stays_at_home("README.md", "See docs/process.md, and /home/pqm/work/tree, and a shared repository."))
