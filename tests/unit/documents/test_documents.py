"""Every command that takes a document × every document that is none: exit code 2, the file named, no traceback."""

import os
import shutil
import signal
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from rollout import ROOT, documents, plain_yaml
from rollout.commands import cli
from rollout.inventory import PolicyFile
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan.creation import ProductionStatus
from rollout.plan.process import ProcessFile

HERE = Path(__file__).parent
BY_HAND = HERE.parent / "lateness"
TOO_LONG = 60  # seconds: a hang, on any machine
WINDOW = "rollout:\n  window: {start: %s, minutes: 90}\n"
NESTED = 100_000
# What each holds: text, bytes, or what makes it.
DOCUMENTS = {
    "a day that there is not": WINDOW % "2026-11-31T08:00:00Z",
    "a time that is none": WINDOW % "!!timestamp x",
    "binary": WINDOW % "!!binary aGVsbG8=",
    "binary that is none": WINDOW % "!!binary \xe4",
    "Python": "rollout: !!python/object/apply:os.system ['true']\n",
    "a tag of Ansible's": "rollout: !unsafe '{{ x }}'\n",
    "3,000 brackets": "[" * 3000,
    "100,000 brackets": "[" * NESTED,
    "100,000 closed brackets": "[" * NESTED + "]" * NESTED,
    "100,000 braces": '{"a":' * NESTED,
    "100,000 dashes": "- " * NESTED,
    "a number of 5,000 digits": "9" * 5000 + "\n",
    "a hexadecimal one": "rollout: 0x" + "f" * 5000 + "\n",
    "a field of 5,000 digits": '{"rollout": ' + "9" * 5000 + "}",
    "aliases of aliases": "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "an alias of itself": "a: &a [*a]\n",
    "a key twice": '{"rollout": 1, "rollout": 2}',
    "a NUL byte": "rollout:\n  a\0b\n",
    "half of a character": 'rollout: "\\ud800"\n',
    "a bell": "rollout: \x07\n",
    "UTF-16": (WINDOW % "x").encode("utf-16"),
    "UTF-16 without a mark": (WINDOW % "x").encode("utf-16-le"),
    "Latin-1": "rollout: ä\n".encode("latin-1"),
    "nothing": "",
    "a word": "rollout\n",
    "a list": "[1, 2]\n",
    "a directory": Path.mkdir,
    "a pipe": os.mkfifo,
    "a gigabyte": lambda path: (path.touch(), os.truncate(path, 2**30)),
}


def make(path, content):
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def an_inventory(tmp_path):
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventories/lab", inventory, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    yield inventory


def late(tmp_path, plan, journal):
    return ["late", "--plan", plan, "--journal", journal, "--now", "2026-12-09T08:00:00Z"]


def calendar_of(tmp_path, document):
    with an_inventory(tmp_path) as inventory:
        (inventory / "calendars/other-teams.ics").unlink()
        shutil.move(document, inventory / "calendars/other-teams.ics")
        return ["schedule", "check", "-i", inventory]


def schedule_of(tmp_path, document):
    with an_inventory(tmp_path) as inventory:
        (inventory / "schedule.yml").unlink()
        shutil.move(document, inventory / "schedule.yml")
        return ["schedule", "check", "-i", inventory]


def good(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return tmp_path / name


COMMANDS = {
    "plan check": lambda _, document: ["plan", "check", document],
    "late --plan": lambda tmp, document: late(tmp, document, BY_HAND / "by_hand.jsonl"),
    "late --journal": lambda tmp, document: late(tmp, BY_HAND / "by_hand.yml", document),
    "deployable --log": lambda tmp, document: ["deployable", "--log", document, "--tags", good(tmp, "t.yml", "{}")],
    "deployable --tags": lambda tmp, document: ["deployable", "--log", good(tmp, "l.json", "[]"), "--tags", document],
    "budget": lambda _, document: ["budget", document],
    "budget --applied": lambda tmp, document: [
        *["budget", good(tmp, "log", ""), "--schema", ROOT / "lab/data/schema", "--applied", document],
    ],
    "rc-check --config": lambda _, document: ["rc-check", "--branch", "devel", "--config", document],
    "schedule check": schedule_of,
    "schedule check, a calendar": calendar_of,
    "run --answers": lambda tmp, document: [
        *["run", "--plan", good(tmp, "plan.yml", (HERE.parent / "plan/plan.yml").read_text()), "--answers", document],
    ],
}
# Nothing has happened yet.
NOTHING_WRONG = {("late --journal", "nothing")}


@contextmanager
def no_hang():
    def hangs(*_):
        pytest.fail("it hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(TOO_LONG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_document_that_is_none(command, document, tmp_path, monkeypatch, capfd):
    path = make(tmp_path / "document", DOCUMENTS[document])
    argv = COMMANDS[command](tmp_path, path)
    monkeypatch.setattr(cli.private, "begin", lambda _: None)  # the umask is this process's
    monkeypatch.setattr(sys, "argv", ["runbook.py", *map(str, argv)])
    monkeypatch.setattr("sys.stdin", (tmp_path / "stdin").open("w+"))
    with no_hang(), pytest.raises(SystemExit) as ended:
        cli.entry()
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    wanted = {ExitCode.BAD_INPUT} if (command, document) not in NOTHING_WRONG else {ExitCode.DONE, None}
    assert ended.value.code in wanted, said.err
    if ended.value.code == ExitCode.BAD_INPUT:
        told = said.out + said.err
        assert any(name in told for name in ("document", "schedule.yml", "other-teams.ics")), told
        assert len(told) < 6000


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("model", [PolicyFile, ProcessFile, ProductionStatus])
def test_a_file_of_ours_that_is_none(model, document, tmp_path):
    path = make(tmp_path / "document", DOCUMENTS[document])
    with no_hang(), pytest.raises(BadInputError, match="document"):
        documents.load(path, model)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2026-11-31T08:00:00Z\n", 2, "expected an instant that there is, such as 2026-12-09T08:00:00Z"),
        ("a: 1\nb: !!timestamp x\n", 2, "'x' cannot be read; expected an instant"),
        ("a: 1\nb: " + "9" * 5000 + "\n", 2, "cannot be read; expected a whole number below"),
        ("a: 1\nb: 0x" + "f" * 5000 + "\n", 2, "cannot be read; expected a whole number below"),
        ("a: 1\nb:\n  c: !!binary aa==\n", 3, "is not known here; expected plain YAML"),
        ("a: 1\n\nb: 2\na: 3\n", 4, "the key 'a' is there already; expected it once"),
        ("a: 1\nb: " + "[" * 60 + "]" * 60, 2, "nested deeper than 50 levels"),
        ("a: &x [1]\nb: &y [*x, *y]\n", 2, "stands inside of what it stands for"),
        ("a: 1\nb: \x07\n", 2, "a character that YAML does not allow"),
        ("a: 1\nb: [\n", 3, "did not find expected node content"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, line, says, tmp_path):
    path = make(tmp_path / "a.yml", text)
    with pytest.raises(BadInputError) as refused:
        documents.checked(path, lambda found: found)
    assert f"a.yml:{line}: " in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("a: !!str 12\n", {"a": "12"}),
        ("a: 2026-12-09\n", {"a": date(2026, 12, 9)}),
        ("base: &x {k: 1}\nb: *x\n", {"base": {"k": 1}, "b": {"k": 1}}),
        ("{a: [{b: {c: 1}}], ? d : e}", {"a": [{"b": {"c": 1}}], "d": "e"}),
        ("\ufeffa: 1\n", {"a": 1}),
    ],
)
def test_what_is_plain_is_read(text, means, tmp_path):
    assert documents.checked(make(tmp_path / "a.yml", text), lambda found: found) == means
    assert plain_yaml.compose("a: 1") is not None


def test_of_very_many_problems_some_are_told(tmp_path):
    path = tmp_path / "process.yml"
    path.write_text("- stage: x\n" * 3000)
    with pytest.raises(BadInputError) as refused:
        documents.load(path, ProcessFile)
    _, *told, last = str(refused.value).splitlines()
    assert (len(told), last.startswith("  … and ")) == (documents.TOLD_AT_MOST, True)
    assert [told[0].split(":")[1], told[-1].split(":")[1] != "1"] == ["1", True]
