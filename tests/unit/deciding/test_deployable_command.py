"""`./runbook.py deployable`: what it reads, and what it answers (R8). The rules themselves: tests/unit/deployable."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rollout import ROOT, qa
from rollout.outcomes import BadInputError, ExitCode
from tests.modules import bzr_branches

HERE = Path(__file__).parent
LOG = [
    {"revno": 10380, "message": "[r=jml][bug=1,\n\t2] Folded.", "date": "2026-12-01T10:00:00+00:00"},
    {"revno": 10381, "message": "[r=jml][no-qa] Nothing to see.", "date": "2026-12-02T10:00:00+00:00"},
    {"revno": 10382, "message": "[r=jml][bug=45419] A table.", "date": "2026-12-03T10:00:00+00:00"},
    {"revno": 10383, "message": "[r=jml][bug=1] More.", "date": "2026-12-04T10:00:00+00:00"},
]
TAGS = {"1": ["qa-ok"], "2": ["qa-untestable"], "45419": ["qa-needstesting"]}


def command(*arguments):
    return subprocess.run([ROOT / "runbook.py", "deployable", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps(LOG))
    (tmp_path / "tags.yml").write_text(json.dumps(TAGS))
    return ["--log", tmp_path / "log.json", "--tags", tmp_path / "tags.yml"]


def test_json(files):
    answered = command(*files, "--json")
    assert (answered.returncode, answered.stderr) == (ExitCode.DONE, "")
    assert json.loads(answered.stdout) == {
        "tip": 10383,
        "deployable": 10381,
        "blocked_by": [10382],
        "revisions": [
            {"revno": 10380, "state": "ok", "why": "bug 1 is qa-ok"},
            {"revno": 10381, "state": "no-qa", "why": "tagged [no-qa]"},
            {"revno": 10382, "state": "needstesting", "why": "bug 45419 is qa-needstesting"},
            {"revno": 10383, "state": "ok", "why": "bug 1 is qa-ok"},
        ],
    }


def test_a_person_sees_first_what_blocks(files):
    assert command(*files).stdout.splitlines() == [
        "tip 10383 · deployable as tip: 10381",
        "  10382  needstesting: bug 45419 is qa-needstesting  ← blocks the next",
        "  10383  ok: bug 1 is qa-ok",
    ]


def test_what_is_deployed_is_not_judged(files):
    found = json.loads(command(*files, "--deployed", "10382", "--json").stdout)
    assert (found["deployable"], [each["revno"] for each in found["revisions"]]) == (10383, [10383])
    assert command(*files, "--deployed", "10383").stdout == "There is no revision to judge.\n"


def test_several_branches_are_told_by_name(files, tmp_path):
    (tmp_path / "devel.json").write_text('[{"revno": 7, "message": "[no-qa] x"}]')
    answered = command(*files, "--log", tmp_path / "devel.json", "--json")
    found = json.loads(answered.stdout)
    assert {name: branch["deployable"] for name, branch in found.items()} == {"log": 10381, "devel": 7}
    assert "devel tip 7 · deployable as tip: 7" in command(*files, "--log", tmp_path / "devel.json").stdout


def test_a_long_list_is_cut(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps([{"revno": revno, "message": "x"} for revno in range(1, 30)]))
    told = qa.lines(qa.branches([tmp_path / "log.json"], [], {}, 0))
    assert told[1].endswith("← blocks the next")
    assert told[-1] == "  … and 18 more: --json has them all"


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / "bad_input.yml").read_text())],
)
def test_what_is_wrong_is_named_with_its_place(row, tmp_path):
    (name, text) = ("log.json", row["log"]) if "log" in row else ("tags.yml", row["tags"])
    (tmp_path / name).write_text(text if isinstance(text, str) else text["text"] * text["times"])
    with pytest.raises(BadInputError) as refused:
        (qa.read_log if name == "log.json" else qa.read_tags)(tmp_path / name)
    assert re.search(row["says"], str(refused.value)), str(refused.value)


def test_ten_bad_records_are_enough(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps([{}] * 20))
    with pytest.raises(BadInputError, match=r"record 5: message: is missing\n  … and 30 more$"):
        qa.read_log(tmp_path / "log.json")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing option '--tags'"),
        (["--tags", "{tags}"], "Give --log FILE or --branch URL"),
        (["--tags", "{tags}", "--log", "{log}", "--log", "{log}"], "E-same-name  Two branches are named log"),
        (["--tags", "{tags}", "--log", "{log}", "--branch", "lp:x", "--deployed", "1"], "a revision of one branch"),
        (["--tags", "{tags}", "--log", "{log}", "--html", "{log}/x.html"], "E-unwritable"),
        (["--tags", "{log}", "--log", "{log}"], "log.json:1: input should be a valid dictionary"),
        (["--tags", "{tags}", "--branch", "{tags}.d"], "E-no-branch"),
    ],
)
def test_bad_input_is_exit_code_2(arguments, says, files):
    answered = command(*(each.format(log=files[1], tags=files[3]) for each in arguments))
    assert answered.returncode == ExitCode.BAD_INPUT
    assert says in answered.stderr
    assert not answered.stdout


def test_a_real_branch_says_the_same(tmp_path):
    branch = tmp_path / "db-stable"
    bzr_branches.create(branch, {"README": "A service.\n"}, "[no-qa] Start.")
    for number, message in enumerate([LOG[0]["message"], "[r=jml][bug=45419] A table.", "[rollback=3] Out."]):
        bzr_branches.commit(branch, {"README": f"{number}\n"}, message)
    (tmp_path / "tags.yml").write_text(json.dumps(TAGS))
    answered = command("--branch", branch, "--tags", tmp_path / "tags.yml", "--json")
    assert (answered.returncode, answered.stderr) == (ExitCode.DONE, "")
    found = json.loads(answered.stdout)
    states = {each["revno"]: each["state"] for each in found["revisions"]}
    assert (found["tip"], found["deployable"], found["blocked_by"]) == (4, 4, [])
    assert states == {1: "no-qa", 2: "ok", 3: "rolled-back", 4: "no-qa"}
    assert [each["revno"] for each in qa.read_branch(str(branch), 3)] == [4]
    assert qa.read_branch(str(branch), 4) == []
    with pytest.raises(BadInputError, match=r"has no revision 5: its tip is 4"):
        qa.read_branch(str(branch), 5)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
records = st.fixed_dictionaries(
    {"revno": st.integers(1, 10**6), "message": texts}, optional={"date": st.none() | texts}
)


@given(st.lists(records, unique_by=lambda each: each["revno"]), st.sampled_from([None, 1, "\t"]))
def test_every_record_is_found_on_its_line(log, indent):
    """The place of a record that is named in an error: however the list is laid out, and whatever is in its texts."""
    text = json.dumps(log, indent=indent, ensure_ascii=False)
    begins = list(qa._lines_of_records(text))
    lines = text.split("\n")
    assert len(begins) == len(log)
    if indent is not None:
        assert all(lines[line - 1].strip() == "{" for line in begins)
