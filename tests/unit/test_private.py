"""What the runbook writes is for its user alone, whatever the umask; what playbooks make, and pages, are for others."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.module_utils.rollout_core import retention
from rollout import ROOT, documents, private, whole_file
from rollout.commands import cli
from rollout.journal.file import Journal
from rollout.outcomes import ExitCode
from rollout.plan import old_runs
from tests.unit.journals import event


@pytest.fixture(autouse=True)
def loose():
    """The loosest umask that there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_of_ours_are_for_us_alone_even_without_the_umask(tmp_path):
    whole_file.write_whole(tmp_path / "plan.yml", "a")
    whole_file.create_whole(tmp_path / "page.md", "a")
    whole_file.append(tmp_path / "journal.jsonl", "a")
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("plan.yml", "page.md", "journal.jsonl"), 0o600
    )


def test_a_page_that_somebody_named_is_for_others_too(tmp_path):
    documents.write(tmp_path / "report.html", "<p>")
    (tmp_path / "schedule.yml").touch(mode=0o640)
    documents.write(tmp_path / "schedule.yml", "a: 1\n")
    assert (mode(tmp_path / "report.html"), mode(tmp_path / "schedule.yml")) == (0o644, 0o640)


@pytest.mark.parametrize(("lab", "var"), [(False, 0o700), (True, 0o711)])
def test_what_was_left_open_is_closed(lab, var, tmp_path):
    for name in ("rollouts", "tmp", *(["lab-test"] if lab else [])):
        (tmp_path / name).mkdir(mode=0o777)
    (tmp_path / "link").symlink_to("/")
    tmp_path.chmod(0o755)
    private.close(tmp_path)
    assert mode(tmp_path) == var
    assert (mode(tmp_path / "rollouts"), mode(tmp_path / "tmp")) == (0o700, 0o700)
    assert not lab or mode(tmp_path / "lab-test") == 0o777, "it looks after itself"


def test_the_program_writes_for_its_user_alone(tmp_path, monkeypatch):
    """The real one: a report, and the directory that it is in."""
    (tmp_path / "2026-12").mkdir(mode=0o700)
    (tmp_path / "2026-12/plan.yml").write_text((ROOT / "tests/unit/plan/plan.yml").read_text())
    (tmp_path / "2026-12/journal.jsonl").touch()
    command = [sys.executable, ROOT / "runbook.py", "report"]
    environment = {**os.environ, "ROLLOUT_RECORDS": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert mode(tmp_path / "2026-12/report.html") == 0o600


def test_the_records_of_old_runs_are_removed_and_what_happened_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path))
    done = event("rollout_closed", outcome="done", exit_code=0, message="")
    for number in range(retention.KEPT + 3):
        rollout = tmp_path / f"{number:02}"
        (rollout / "ansible/0001").mkdir(parents=True)
        (rollout / "verify-deployed.txt").touch()
        (rollout / "plan.yml").touch()
        Journal(rollout / "journal.jsonl").write(done if number else event("note"))
        os.utime(rollout / "journal.jsonl", (number, number))
    old_runs.remove()
    without = sorted(path.name for path in tmp_path.iterdir() if not (path / "ansible").exists())
    assert without == ["01", "02"], "the oldest of all is not over"
    assert not (tmp_path / "01/verify-deployed.txt").exists()
    assert (tmp_path / "01/plan.yml").exists()
    assert Journal(tmp_path / "01/journal.jsonl").entries


def test_what_nobody_expected_is_a_message_and_a_file_for_us_alone(tmp_path, monkeypatch, capsys):
    def fail(**_):
        raise LookupError("no such thing\x1b[2J")

    monkeypatch.setattr(cli.private, "begin", lambda _: None)
    monkeypatch.setattr(cli, "main", fail)
    monkeypatch.setattr("rollout.commands.unexpected.site.var", lambda: tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.entry()
    said = capsys.readouterr().err
    (file,) = (tmp_path / "unexpected").iterdir()
    assert ended.value.code == ExitCode.FAILED
    assert said.startswith("E-unexpected  The runbook came upon what it does not know: LookupError: no such thing\n")
    assert str(Path(os.path.relpath(file))) in said
    assert "Traceback" not in said
    assert "in fail" in file.read_text()
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


def test_where_no_file_can_be_written_the_traceback_is_told(monkeypatch, capsys):
    def fail(**_):
        raise LookupError("no such thing")

    monkeypatch.setattr(cli.private, "begin", lambda _: None)
    monkeypatch.setattr(cli, "main", fail)
    monkeypatch.setattr("rollout.commands.unexpected.site.var", lambda: Path("/proc/nowhere"))
    with pytest.raises(SystemExit):
        cli.entry()
    assert "in fail" in capsys.readouterr().err


def test_a_test_that_fails_is_not_hidden(monkeypatch):
    """pytest's own are no errors of the program's."""

    def fail(**_):
        pytest.fail("it does")

    monkeypatch.setattr(cli.private, "begin", lambda _: None)
    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(pytest.fail.Exception):
        cli.entry()
