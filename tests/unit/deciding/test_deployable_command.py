"""`./runbook.py deployable`: what it reads, and what it answers (R8). The rules themselves: tests/unit/deployable."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_host.vcs import kinds
from rollout import ROOT
from rollout.decisions import branches, deployable
from rollout.outcomes import BadInputError, ExitCode
from tests.forks.runbook import runbook
from tests.launchpad import service
from tests.modules.both_branches import BOTH
from tests.modules.git_branches import git

GIT = BOTH[1]
SCENARIOS = yaml.safe_load((ROOT / "tests/unit/deployable/branches.yml").read_text())
HERE = Path(__file__).parent
LOG = [
    {"revno": 10380, "message": "[r=jml][bug=1,\n\t2] Folded.", "date": "2026-12-01T10:00:00+00:00"},
    {"revno": 10381, "message": "[r=jml][no-qa] Nothing to see.", "date": "2026-12-02T10:00:00+00:00"},
    {"revno": 10382, "message": "[r=jml][bug=45419] A table.", "date": "2026-12-03T10:00:00+00:00"},
    {"revno": 10383, "message": "[r=jml][bug=1] More.", "date": "2026-12-04T10:00:00+00:00"},
]
TAGS = {"1": ["qa-ok"], "2": ["qa-untestable"], "45419": ["qa-needstesting"]}


def command(*arguments):
    return runbook("deployable", *arguments)


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
    assert command(*files, "--deployed", "log=10383").stdout == "There is no revision to judge.\n"


def test_several_branches_are_told_by_name(files, tmp_path):
    (tmp_path / "devel.json").write_text('[{"revno": 7, "message": "[no-qa] x"}]')
    answered = command(*files, "--log", tmp_path / "devel.json", "--json")
    found = json.loads(answered.stdout)
    assert {name: branch["deployable"] for name, branch in found.items()} == {"log": 10381, "devel": 7}
    told = command(*files, "--log", tmp_path / "devel.json", "--deployed", "log=10382").stdout
    assert told.splitlines() == ["log tip 10383 · deployable as tip: 10383", "devel tip 7 · deployable as tip: 7"]


def test_a_long_list_is_cut(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps([{"revno": revno, "message": "x"} for revno in range(1, 30)]))
    told = deployable.lines(deployable.judge(deployable.revisions([tmp_path / "log.json"], []), {}))
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
        (deployable.read_log if name == "log.json" else deployable.read_tags)(tmp_path / name)
    assert re.search(row["says"], str(refused.value)), str(refused.value)


def test_ten_bad_records_are_enough(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps([{}] * 20))
    with pytest.raises(BadInputError, match=r"record 5: message: is missing\n  … and 30 more$"):
        deployable.read_log(tmp_path / "log.json")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tags", "{tags}"], "Give --log FILE or --branch URL"),
        (["--log", "{log}"], "Give either --tags FILE or --launchpad"),
        (["--log", "{log}", "--tags", "{tags}", "--launchpad"], "Give either --tags FILE or --launchpad"),
        (["--log", "{log}", "--launchpad", "http://127.0.0.1:1/"], "E-launchpad  http://127.0.0.1:1/"),
        (["--tags", "{tags}", "--log", "{log}", "--log", "{log}"], "E-same-name  Two branches are named log"),
        (
            ["--tags", "{tags}", "--log", "{log}", "--branch", "lp:x", "--deployed", "1"],
            "expected log=REVNO or x=REVNO.",
        ),
        (["--tags", "{tags}", "--log", "{log}", "--deployed", "devel=1"], "expected log=REVNO or REVNO."),
        (["--tags", "{tags}", "--log", "{log}", "--deployed", "x"], "--deployed x: expected"),
        (["--tags", "{tags}", "--log", "{log}", "--html", "{log}/x.html"], "E-unwritable"),
        (["--tags", "{log}", "--log", "{log}"], "log.json:1: input should be a valid dictionary"),
        (["--tags", "{tags}", "--branch", "{tags}.d"], "E-no-branch"),
        (["--tags", "{tags}", "--branch", "https://example.invalid/devel"], "--vcs bzr|git"),
        (["--tags", "{tags}", "--branch", "{tags}.d", "--vcs", "git"], "expected a git branch"),
        (["--tags", "{tags}", "--branch", "{tags}.d", "--vcs", "bzr"], "expected a Bazaar branch"),
    ],
)
def test_bad_input_is_exit_code_2(arguments, says, files):
    answered = command(*(each.format(log=files[1], tags=files[3]) for each in arguments))
    assert answered.returncode == ExitCode.BAD_INPUT
    assert says in answered.stderr
    assert not answered.stdout


@pytest.mark.parametrize("vcs", BOTH, ids=lambda vcs: vcs.kind)
def test_a_real_branch_says_the_same(tmp_path, vcs):
    """Messages, folds and all, come back from a branch as from a log; merged revisions are not on its mainline."""
    branch, tags = tmp_path / "db-stable", tmp_path / "tags.yml"
    vcs.create(branch, {"README": "A service.\n"}, "[no-qa] Start.")
    for number, message in enumerate([LOG[0]["message"], "[r=jml][bug=45419] A table.", "[rollback=3] Out."]):
        vcs.commit(branch, {"README": f"{number}\n"}, message)
    side = vcs.branch(branch, tmp_path / "side")
    vcs.commit(side, {"side": "1\n"}, "work, [bug=45419]")
    vcs.merge(branch, side, "[r=jml][bug=1] Land it.")
    tags.write_text(json.dumps(TAGS))
    answered = command("--branch", vcs.at(branch), "--tags", tags, "--json")
    assert (answered.returncode, answered.stderr) == (ExitCode.DONE, "")
    found = json.loads(answered.stdout)
    states = {each["revno"]: each["state"] for each in found["revisions"]}
    assert (found["tip"], found["deployable"], found["blocked_by"]) == (5, 5, [])
    assert states == {1: "no-qa", 2: "ok", 3: "rolled-back", 4: "no-qa", 5: "ok"}
    assert command("--branch", vcs.at(branch), "--vcs", vcs.kind, "--tags", tags, "--json").stdout == answered.stdout
    assert [each["revno"] for each in branches.revisions(vcs.at(branch), 4)] == [5]
    assert branches.revisions(vcs.at(branch), 5) == []
    with pytest.raises(BadInputError, match=r"has no revision 6: its tip is 5"):
        branches.revisions(vcs.at(branch), 6)


@pytest.mark.parametrize("vcs", BOTH, ids=lambda vcs: vcs.kind)
def test_the_table_by_real_commits(tmp_path, vcs):
    """Every third case of the unit tests' table that begins at revision 1, committed, read back and judged."""
    cases = [case for case in SCENARIOS if list(case["branch"]) == list(range(1, len(case["branch"]) + 1))][1::3]
    assert len(cases) > 5
    for number, case in enumerate(cases):
        branch = tmp_path / str(number) / "db-stable"
        for revno, message in case["branch"].items():
            kept = message.replace("\r", "")  # Bazaar takes no such character
            (vcs.create if revno == 1 else vcs.commit)(branch, {"app": f"{revno}\n"}, kept)
        found = deployable.judge(deployable.revisions([], [vcs.at(branch)]), case["bugs"])[0].found
        assert {each.revno: each.state for each in found.revisions} == case["states"], case["case"]
        assert (found.deployable, list(found.blocked_by)) == (case["deployable"], case.get("blocked_by", []))


def test_two_branches_of_one_git_repository_have_their_own_names(tmp_path):
    """As on a server: one bare repository with both."""
    devel = tmp_path / "devel"
    GIT.create(devel, {"README": "A service.\n"}, "[no-qa] Start.")
    git(devel, "branch", "db-stable")
    GIT.commit(devel, {"README": "More.\n"}, "[bug=45419] More.")
    git(tmp_path, "clone", "-q", "--bare", str(devel), "launchpad.git")
    (tmp_path / "tags.yml").write_text(json.dumps(TAGS))
    bare = tmp_path / "launchpad.git"
    urls = ["--branch", f"{bare}#devel", "--branch", f"file://{bare}#db-stable"]
    found = json.loads(command(*urls, "--tags", tmp_path / "tags.yml", "--json").stdout)
    assert {name: (each["tip"], each["deployable"]) for name, each in found.items()} == {
        "devel": (2, 1),
        "db-stable": (1, 1),
    }


def test_a_shallow_clone_cannot_tell_numbers(tmp_path):
    devel, shallow = tmp_path / "devel", tmp_path / "shallow"
    GIT.create(devel, {"README": "A service.\n"}, "[no-qa] Start.")
    for number in range(3):
        GIT.commit(devel, {"README": f"{number}\n"}, "[bug=45419] More.")
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{devel}", str(shallow))
    (tmp_path / "tags.yml").write_text(json.dumps(TAGS))
    for url in (shallow, f"file://{shallow}"):
        answered = command("--branch", url, "--vcs", "git", "--tags", tmp_path / "tags.yml")
        assert (answered.returncode, answered.stdout) == (ExitCode.BAD_INPUT, "")
        assert f"{url} is a shallow clone: its history is cut off" in answered.stderr
        assert "git fetch --unshallow" in answered.stderr
    git(shallow, "fetch", "-q", "--unshallow")
    answered = command("--branch", shallow, "--vcs", "git", "--tags", tmp_path / "tags.yml", "--json")
    assert json.loads(answered.stdout)["tip"] == 4


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("lp:~launchpad-pqm/launchpad/db-stable", "bzr", "db-stable"),
        ("lp:launchpad", "bzr", "launchpad"),
        ("bzr+ssh://bazaar.launchpad.net/~launchpad-pqm/launchpad/devel/", "bzr", "devel"),
        ("bzr://127.19.0.17:4155/db-stable", "bzr", "db-stable"),
        ("https://git.launchpad.net/launchpad#db-devel", "git", "db-devel"),
        ("git+ssh://git.launchpad.net/launchpad#master", "git", "master"),
        ("git@github.com:canonical/launchpad.git", "git", "launchpad"),
        ("ssh://host/srv/launchpad.git#stable", "git", "stable"),
    ],
)
def test_what_a_url_is_of(url, kind, name):
    assert (kinds.recognized(url).name, branches.name(url)) == (kind, name)


def test_launchpad_is_asked_for_the_bugs_that_the_branch_names(files, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with service.running() as launchpad:
        answered = command(*files[:2], "--launchpad", launchpad.root, "--json")
        asked = [path for path in launchpad.paths if path != service.VERSION]
        launchpad.tag(45419, "qa-ok")
        again = command(*files[:2], "--launchpad", launchpad.root, "--json")
    assert asked == [f"{service.VERSION}bugs/{bug}" for bug in (1, 2, 45419)]
    assert answered.returncode == ExitCode.DONE
    assert answered.stderr.startswith("Launchpad shows nobody bug 45419 (private, or no such bug)")
    found = json.loads(answered.stdout)
    states = {each["revno"]: (each["state"], each["why"]) for each in found["revisions"]}
    assert states[10380] == ("needstesting", "bug 2 is qa-needstesting")
    assert states[10382] == ("needstesting", "bug 45419 has no QA tag")
    assert states[10383] == ("ok", "bug 1 is qa-ok")
    assert (again.stderr, json.loads(again.stdout)["revisions"][2]["state"]) == ("", "ok")
    assert not (tmp_path / "home").exists()


texts = st.text(st.characters(codec="utf-8"), max_size=20)
records = st.fixed_dictionaries(
    {"revno": st.integers(1, 10**6), "message": texts}, optional={"date": st.none() | texts}
)


@given(st.lists(records, unique_by=lambda each: each["revno"]), st.sampled_from([None, 1, "\t"]))
def test_every_record_is_found_on_its_line(log, indent):
    """The place of a record that is named in an error: however the list is laid out, and whatever is in its texts."""
    text = json.dumps(log, indent=indent, ensure_ascii=False)
    begins = list(deployable._lines_of_records(text))
    lines = text.split("\n")
    assert len(begins) == len(log)
    if indent is not None:
        assert all(lines[line - 1].strip() == "{" for line in begins)
