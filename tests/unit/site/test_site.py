"""The folder of a site: found, its own process and playbooks before ours, and commands that can be pasted."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rollout import ROOT, site
from rollout.commands import cli
from rollout.outcomes import BadInputError
from rollout.plan import kinds
from rollout.plan.kinds import PlanWanted
from rollout.views.pasted import Pasted

TAKING = frozenset({"run", "plan new"})


@pytest.fixture(autouse=True)
def _no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(site.VARIABLE, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site's folder, outside of the checkout's inventories."""
    for name in site.MARKS:
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "playbooks").mkdir()
    return tmp_path


def test_it_is_named_or_in_the_environment_or_where_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.begin(None, ROOT)
    assert (site.directory(), site.var()) == (None, ROOT / "var")
    site.begin(None, folder)
    assert site.directory() == folder
    site.begin(None, ROOT)
    assert site.directory() == folder, "it is in the environment of all that is started"
    monkeypatch.setenv(site.VARIABLE, "/nowhere")
    site.begin(folder.name, folder.parent)
    assert site.directory() == folder, "what was typed comes first"


def test_a_rehearsal_is_for_no_site(folder: Path) -> None:
    site.begin(str(folder), ROOT)
    done = CliRunner().invoke(cli.main, ["lab", "status"])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert site.directory() is None


def test_what_it_writes_is_in_its_own_var(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ROOT", folder / "checkout")
    site.begin(str(folder), ROOT)
    assert site.var() == folder / "var"
    assert site.name_of(folder) == str(folder)
    monkeypatch.setattr(site, "ROOT", folder.parent)
    assert site.var() == folder.parent / "var", "the checkout's own inventories write where they always did"
    assert site.name_of(folder) == folder.name


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").touch()
    with pytest.raises(BadInputError, match=rf"E-no-site  {tmp_path} is not a site: schedule.yml is not there\."):
        site.begin(str(tmp_path), ROOT)


def names(folder: Path) -> list[str]:
    return [stage.stage for stage in kinds.stages(PlanWanted(), folder)]


def test_its_process_is_ours_with_changes(folder: Path) -> None:
    (folder / "playbooks" / "our_pause.yml").write_text("[]\n")
    (folder / "process.yml").write_text("""
from: monthly
leave_out: [chase]
change:
  - {stage: pause, playbook: our_pause}
add:
  - {after: deliver, stage: load, title: Try it under load, rules: [], due: -4h, playbook: our_pause,
     expects: {minutes: 5, from: guess}}
""")
    ours = [stage.stage for stage in kinds.stages(PlanWanted("monthly"), folder)]
    place = ours.index("deliver") + 1
    assert names(folder) == [name for name in (*ours[:place], "load", *ours[place:]) if name != "chase"]
    stages = {stage.stage: stage for stage in kinds.stages(PlanWanted(), folder)}
    assert stages["pause"].playbook == "our_pause"
    assert stages["pause"].undo is not None, "what is not changed stays"
    assert site.playbook("our_pause", folder).parent == folder / "playbooks"
    assert site.playbook("smoke", folder) == ROOT / "playbooks" / "smoke.yml"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from: nightly", "process.yml:1: from: expected one of monthly, partial_downtime, schema_undo"),
        (
            "from: monthly\nleave_out: [nap]",
            "process.yml:2: leave_out.0: monthly has no stage nap here; there are confirm,",
        ),
        ("from: monthly\nchange:\n- {stage: smoke, due: soon}", "process.yml:3: change.0.due: "),
        ("from: monthly\nadd:\n- {after: tell, stage: load}", "process.yml:3: add.0.title: "),
        ("from: monthly\nadd:\n- {after: nap, stage: load}", "process.yml:3: add.0.after: monthly has no stage nap"),
        (
            "from: monthly\nchange:\n- {stage: smoke, playbook: sing}",
            "process.yml names the playbook sing: it is neither",
        ),
        ("from: monthly\nadds: []", "process.yml:2: adds: "),
        ("[]", "process.yml:1: "),
    ],
)
def test_what_cannot_be_is_named_with_file_and_line(folder: Path, text: str, says: str) -> None:
    (folder / "process.yml").write_text(text)
    with pytest.raises(BadInputError) as refused:
        names(folder)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        (Pasted(), "Next: ./runbook.py run   (select)"),
        (Pasted("/opt/x/runbook.py"), "Next: /opt/x/runbook.py run   (select)"),
        (Pasted(site="sites/a"), "Next: ./runbook.py --site sites/a run   (select)"),
        (Pasted(inventory="inventories/x", taking=TAKING), "Next: ./runbook.py run -i inventories/x   (select)"),
    ],
)
def test_a_command_is_shown_as_this_person_types_it(started: Pasted, shown: str) -> None:
    assert started.text("Next: ./runbook.py run   (select)") == shown


def test_every_command_of_a_line_is_shown_so() -> None:
    started = Pasted("/x/runbook.py", site="s")
    assert started.text("./runbook.py run && ./runbook.py") == "/x/runbook.py --site s run && /x/runbook.py --site s"


def test_an_inventory_goes_where_it_is_taken_and_once() -> None:
    started = Pasted(inventory="x", taking=TAKING)
    assert (
        started.text("./runbook.py plan new && ./runbook.py lab up")
        == "./runbook.py plan new -i x && ./runbook.py lab up"
    )
    assert started.text("Then:  ./runbook.py run -i y") == "Then:  ./runbook.py run -i y"
    assert started.text("./runbook.py plan drop 2026-12") == "./runbook.py plan drop 2026-12"
