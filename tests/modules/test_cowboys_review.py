"""Which cowboys a merge contains, and whom to chase: the module and its playbook on a real Bazaar tree (R16)."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rollout.announcing import wording
from rollout.plan import model as plans
from tests.modules import bzr_branches
from tests.modules.playing import Played, play

APP = "".join(f"line {number}\n" for number in range(1, 41))
QUEUE = "def queue():\n    return slow()\n"
OTHER_FORM = "import fast\n\n\ndef queue(size):\n    log(size)\n    return fast.queue()\n"
PEOPLE = {"lp-15": "jml", "lp-16": "sinzui", "lp-17": "jml", "lp-18": "Jonathan Lange"}


def change(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def unified(path: str, old: str, new: str) -> str:
    return "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"old/{path}", f"new/{path}"))


DIFFS = {
    "lp-15": unified("lib/app.py", APP, change(APP, "line 10\n", "line ten\n")),
    "lp-16": unified("lib/app.py", APP, change(APP, "line 30\n", "line thirty\n")),
    "lp-17": unified("lib/queue.py", QUEUE, "import fast\n\n\ndef queue():\n    return fast.queue()\n"),
    "lp-18": unified("lib/app.py", APP, change(APP, "line 20\n", "line twenty\n")),
}


class Review:
    """qastaging's tree, and the cowboys of production."""

    def __init__(self, directory: Path, run_module: Callable[..., Any]) -> None:
        self.directory, self.run_module = directory, run_module
        self.tree = directory / "launchpad"
        self.revid = bzr_branches.create(self.tree, {"lib/app.py": APP, "lib/queue.py": QUEUE})

    def land(self, **files: str) -> None:
        self.revid = bzr_branches.commit(self.tree, {f"lib/{name}.py": text for name, text in files.items()}, "A fix.")

    def cowboys(self, *names: str) -> list[dict[str, Any]]:
        listed = {"lp-16": {"bug": 45419, "hosts": ["gac", "soybean"]}, "lp-15": {"hosts": ["soybean"]}}
        return [
            {"id": name, "who": PEOPLE[name], "why": f"why | {name}", "diff": f"{name}.diff", **listed.get(name, {})}
            for name in names
        ]

    def module(self, *names: str, **more: Any) -> dict[str, Any]:
        arguments = {
            "tree": str(self.tree),
            "revision": self.revid,
            "cowboys": self.cowboys(*names),
            "diffs": {f"{name}.diff": DIFFS[name] for name in names},
            "executable": bzr_branches.BRZ,
            **more,
        }
        answer: dict[str, Any] = self.run_module("cowboys_review", arguments)
        return answer

    def states(self, *names: str) -> dict[str, str]:
        answer = self.module(*names)
        assert not answer["failed"], answer["msg"]
        return {cowboy["id"]: cowboy["state"] for cowboy in answer["cowboys"]}

    def play(self, *names: str, check: bool = False, **more: Any) -> Played:
        """As the conductor does, with the diffs beside the production status and a rollout's directory."""
        status = self.directory / "production"
        status.mkdir(exist_ok=True)
        deployed = "deployed: {revision: 9, revid: r9, at: 2026-11-11T08:41:07Z, rollout: 2026-11}\n"
        (status / "production_status.yml").write_text(deployed)
        for name in DIFFS:
            (status / f"{name}.diff").write_text(DIFFS[name])
        self.rollout.mkdir(exist_ok=True)
        rule = "FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0"
        listed = "listed: [{window: 2027-01-20T08:00:00Z, backup: 2027-01-22T08:00:00Z}]"
        (self.directory / "schedule.yml").write_text(f"schedule: {{windows: {rule}, backup_after: 48h, {listed}}}\n")
        plan = {
            "id": "2026-12",
            "window": {"start": "2026-12-09T08:00:00Z", "minutes": 90},
            "policy": {"merge_hours_before": 48},
            "people": {"losa": "spm"},
            "pinned": {"merged_revid": self.revid, "merged_revno": 12735},
            "cowboys": self.cowboys(*names),
        }
        variables = {
            "rollout": plan,
            "rollout_journal": str(status / ".." / self.rollout.name / "journal.jsonl"),  # by hand, it is like that
            "production_status_file": str(status / "production_status.yml"),
            "qastaging_tree": str(self.tree),
            "cowboys_root": "/nowhere",
            "cowboys_executable": bzr_branches.BRZ,
            "cowboys_addresses": {"sinzui": "sinzui@example.com", "jml": "jml@example.com"},
            **more,
        }
        return play("cowboys_review", self.directory, ["qastaging"], variables, *(["--check"] if check else []))

    @property
    def rollout(self) -> Path:
        return self.directory / "2026-12"

    def written(self) -> dict[str, str]:
        return {str(path.relative_to(self.rollout)): path.read_text() for path in self.rollout.rglob("*.*")}


@pytest.fixture
def review(tmp_path: Path, run_module: Callable[..., Any]) -> Review:
    return Review(tmp_path, run_module)


def test_what_the_merge_contains_is_told_by_content(review: Review) -> None:
    assert review.states("lp-15", "lp-16") == {"lp-15": "to_apply", "lp-16": "to_apply"}
    review.land(app="two\nlines more\n" + change(APP, "line 10\n", "line ten\n"))
    answer = review.module("lp-15", "lp-16")
    assert [(cowboy["state"], cowboy["files"]) for cowboy in answer["cowboys"]] == [
        ("landed", ["lib/app.py"]),
        ("to_apply", ["lib/app.py"]),
    ]
    assert answer["cowboys"][0]["sentence"] == "lp-15 landed in the merge, off the list (jml)"
    assert (answer["cowboys"][1]["who"], answer["cowboys"][1]["bug"]) == ("sinzui", 45419)
    assert answer["cowboys"][1]["hosts"] == ["gac", "soybean"]
    assert answer["changed"] is False


def test_landed_in_another_form_is_asked_about_and_stays_on_the_list(review: Review) -> None:
    review.land(queue=OTHER_FORM)
    answer = review.module("lp-17")
    assert answer["cowboys"][0]["state"] == "another_form"
    assert answer["cowboys"][0]["sentence"] == (
        "lp-17 looks landed, in another form: ask jml (until then it is re-applied)"
    )


def test_a_conflict_is_told_with_its_hunks(review: Review) -> None:
    review.land(app=change(APP, "line 21\n", "line twenty-one\n"))
    answer = review.module("lp-15", "lp-18")
    assert [cowboy["state"] for cowboy in answer["cowboys"]] == ["to_apply", "conflict"]
    assert "lp-18 (Jonathan Lange, lp-18.diff) on lib/app.py:" in answer["conflicts"]
    assert "+line twenty\n" in answer["conflicts"]


def test_the_revision_counts_and_not_what_a_hand_did_to_the_tree(review: Review) -> None:
    revid = review.revid
    review.land(app=change(APP, "line 10\n", "line ten\n"))
    assert review.states("lp-15") == {"lp-15": "landed"}
    review.revid = revid
    assert review.states("lp-15") == {"lp-15": "to_apply"}
    (review.tree / "lib" / "app.py").write_text(change(APP, "line 30\n", "line thirty\n"))
    assert review.states("lp-16") == {"lp-16": "to_apply"}


def test_what_cannot_be_looked_at_is_said(review: Review) -> None:
    assert review.module("lp-15", revision="nobody-1")["msg"].startswith(
        f"E-cowboy-tree  {review.tree} cannot say what is in revision nobody-1: "
    )
    nowhere = review.module("lp-15", tree=str(review.directory / "nowhere"))
    assert nowhere["msg"].endswith("It comes with:  ./runbook.py run qastaging")
    assert "the hunk ends early" in review.module("lp-15", diffs={"lp-15.diff": DIFFS["lp-15"][:-20]})["msg"]
    assert review.module("lp-15", "lp-15")["msg"].startswith("E-cowboy-list  ")


def test_requirements_are_written_and_the_conductor_is_told_whom_to_chase(review: Review) -> None:
    review.land(app=change(APP, "line 21\n", "line twenty-one\n"), queue=OTHER_FORM)
    checked = review.play(*DIFFS, check=True)
    assert checked.code == 0, checked.output
    assert review.written() == {}
    assert "would be written" in "\n".join(checked.told["evidence"])

    first = review.play(*DIFFS)
    assert first.code == 0, first.output
    states = {cowboy["id"]: cowboy["state"] for cowboy in first.told["cowboys_review"]}
    assert states == {"lp-15": "to_apply", "lp-16": "to_apply", "lp-17": "another_form", "lp-18": "conflict"}
    assert first.told["evidence"] == [
        "lp-15 is not in the merge, re-applied by hand: why | lp-15 (jml)",
        "lp-16 is not in the merge, re-applied by hand: why | lp-16 (sinzui)",
        "lp-17 looks landed, in another form: ask jml (until then it is re-applied)",
        "lp-18 is not in the merge and CANNOT BE APPLIED to it: Jonathan Lange makes its diff again (why | lp-18)",
        f"unusual rollout requirements written: {review.rollout}/unusual-requirements.md",
        "to be chased: jml (lp-15, lp-17)",
        "TO BE CHASED BY HAND, no address in cowboys_addresses: Jonathan Lange (lp-18)",
        "to be chased: sinzui (lp-16)",
    ]
    written = review.written()
    assert list(written) == ["unusual-requirements.md"]
    assert_requirements(written["unusual-requirements.md"], review.revid)
    jml, sinzui = first.told["chase"]
    assert (jml["owner"], [cowboy["state"] for cowboy in jml["cowboys"]]) == ("jml", ["to_apply", "another_form"])
    assert (sinzui["address"], chase_mail(sinzui)) == ("sinzui@example.com", SINZUI)

    again = review.play(*DIFFS)
    assert (again.code, review.written()) == (0, written)
    assert "changed=0" in again.output

    review.land(app=change(change(APP, "line 10\n", "line ten\n"), "line 30\n", "line thirty\n"))
    landed = review.play(*DIFFS)
    assert landed.code == 0, landed.output
    assert [(owner["owner"], [c["id"] for c in owner["cowboys"]]) for owner in landed.told["chase"]] == [
        ("jml", ["lp-17"])
    ]


def assert_requirements(text: str, revid: str) -> None:
    """It says what to re-apply and why, in tables whose cells hold."""
    lines = text.splitlines()
    assert lines[:3] == [
        "# Unusual rollout requirements",
        "",
        f"Rollout 2026-12, Wed 9 Dec 2026 08:00 UTC, devel 12735 ({revid}).",
    ]
    assert r"| lp-16 | sinzui | why \| lp-16 | 45419 | gac, soybean | lib/app.py |" in lines
    assert r"| lp-17 | jml | why \| lp-17 |  | every application host | lib/queue.py |" in lines
    sections = [line for line in lines if line.startswith("## ")]
    assert sections == [
        "## To be re-applied by hand after the switch",
        "## Look landed, in another form",
        "## CANNOT BE APPLIED to the merge",
    ]
    assert "+line twenty" in text


SINZUI = """\
Subject: lp-16: a permanent fix, please

Hello sinzui,

devel 12735 goes out at 08.00 UTC 9th of December 2026. It does not contain
this patch of yours, which is applied by hand on what is in production since
2026-11-11 (devel 9, rollout 2026-11), so we will have to apply it by hand
again:

  lp-16: why | lp-16
    bug 45419, lib/app.py, on gac, soybean

A permanent fix that is on devel before Mon 18 Jan 2027 08:00 UTC goes out
with the next window (Wed 20 Jan 2027 08:00 UTC), and then it is off the
list for good.

Thank you!
Mia
"""


def chase_mail(owner: dict[str, Any]) -> str:
    """What the conductor writes to somebody, from what the playbook has told it."""
    plan = plans.load(Path(__file__).parents[1] / "unit/report/plan.yml").as_vars()
    facts = wording.about(plan, [], datetime(2026, 12, 7, tzinfo=UTC), chase=owner)
    return wording.render("chase", "mail", facts).as_mail()


def test_no_cowboys(review: Review) -> None:
    done = review.play()
    assert done.code == 0, done.output
    assert (done.told["cowboys_review"], done.told["chase"]) == ([], [])
    assert done.told["evidence"][0] == "no cowboys"
    assert list(review.written()) == ["unusual-requirements.md"]
    assert "\nNone.\n" in review.written()["unusual-requirements.md"]


@pytest.mark.parametrize(
    ("window", "rule", "merge"),
    [
        ("2026-12-09T08:00:00Z", "FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0", "Mon 11 Jan 2027 08:00 UTC"),
        ("2026-12-11T08:00:00Z", "FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0", "Mon 11 Jan 2027 08:00 UTC"),
        ("2026-12-09T08:00:00Z", "FREQ=MONTHLY;UNTIL=20261231T000000Z;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0", None),
    ],
    ids=["a window of the schedule", "its backup window", "the last one of all"],
)
def test_the_next_merge(run_module: Callable[..., Any], window: str, rule: str, merge: str | None) -> None:
    answer = run_module("next_merge", {"windows": rule, "window": window, "merge_hours_before": 48})
    assert (answer["failed"], answer["next_merge"]) == (False, merge)
    assert (answer["next_window"] is None) is (merge is None)


def test_a_listed_window_goes_before_the_rule(run_module: Callable[..., Any]) -> None:
    arguments = {
        "windows": "FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
        "listed": [{"window": "2027-01-20T08:00:00+00:00", "backup": "2027-01-22T08:00:00+00:00"}],
        "window": "2026-12-09T08:00:00Z",
        "merge_hours_before": 48,
    }
    assert run_module("next_merge", arguments)["next_merge"] == "Mon 18 Jan 2027 08:00 UTC"


def test_a_schedule_that_cannot_be_read(run_module: Callable[..., Any]) -> None:
    arguments = {"windows": "monthly", "window": "2026-12-09T08:00:00Z", "merge_hours_before": 48}
    assert run_module("next_merge", arguments)["msg"].startswith("E-bad-schedule  ")
