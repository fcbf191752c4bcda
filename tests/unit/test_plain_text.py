"""Text from outside: what reaches a terminal, a question, `status`, a page, a mail or Ansible is plain."""

import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from plugins.module_utils.rollout_core import plain_text
from rollout import ROOT
from rollout.announcing import attempt, phrases
from rollout.commands import cli
from rollout.engine.playbooks import Playbook, refuse_templates, run_playbook
from rollout.gates.model import Question
from rollout.gates.terminal import Terminal
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import model as plans
from rollout.views import console as terminal
from rollout.views.text import as_json

PLAN = ROOT / "tests/unit/plan/plan.yml"
PIPE = "{{ lookup('ansible.builtin.pipe', 'touch %s; echo x') }}"
TITLE = "\x1b]0;all is well\x07"
ESCAPES = ["\x1b[2J", "\x1b[31mred", TITLE, "\x1bc", "\x9b2J", "\x1bP1$q\x1b\\", "\x1b[", "\x1b"]
HIDDEN = [
    "\x07",
    "\x08",
    "\x7f",
    "\x85",
    "\u202e",
    "\u2066",
    "\u2028",
    "\u2029",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\xad",
    "\r",
]


def bad_in(text):
    return [c for c in text if c not in "\n\t" and (not c.isprintable() or c in "\u2028\u2029")]


@given(st.text())
def test_nothing_that_is_not_seen_is_left(text):
    assert bad_in(plain_text.clean(text)) == [] or all(
        c.isspace() or ord(c) >= 0xE000 for c in bad_in(plain_text.clean(text))
    )
    assert plain_text.unseen(plain_text.clean(text)) is None
    assert len(plain_text.one_line(text).splitlines()) <= 1


@pytest.mark.parametrize("attack", ESCAPES)
def test_the_commands_of_a_terminal_are_taken_out(attack):
    assert "\x1b" not in plain_text.clean(f"before{attack}\nafter")
    assert plain_text.clean(f"before{attack}\nafter").startswith("before")
    assert plain_text.clean(f"before{attack}\nafter").endswith("after")


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_is_hidden_is_seen(hidden):
    assert plain_text.clean(f"a{hidden}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert plain_text.no_line(f"a{hidden}b")


@pytest.mark.parametrize(
    "text", ["Jürgen Müller", "日本語", "a {x} b", "{", "100 %}", "naïve – “quoted” …", "\U0001f600"]
)
def test_what_people_write_stays(text):
    assert plain_text.clean(text) == text
    assert plain_text.no_line(text) is None


@pytest.mark.parametrize("attack", [*ESCAPES, *HIDDEN])
def test_a_console_shows_nothing_raw(attack, monkeypatch):
    monkeypatch.setattr("sys.stdout", out := io.StringIO())
    console = terminal.console()
    grid = Table(box=None)
    grid.add_column("a")
    grid.add_row(Text(f"cell{attack}"))
    console.print(Text(f"text{attack}."))
    console.print(f"line{attack}.", markup=False, soft_wrap=True)
    console.print(grid)
    terminal.say(f"said{attack}.")
    assert [c for c in bad_in(out.getvalue()) if c != " "] == []
    assert "text" in out.getvalue()
    assert "cell" in out.getvalue()


def test_colours_of_our_own_reach_a_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", out := io.StringIO())
    terminal.console().print(Text("red", "bold red"))
    assert "\x1b[1;31mred" in out.getvalue()


def test_an_error_shows_nothing_raw(monkeypatch, capsys):
    def fail(**_):
        raise BadInputError(f"E-x  the patch says {TITLE}\u202e.")

    monkeypatch.setattr(cli.private, "begin", lambda _: None)
    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(SystemExit):
        cli.entry()
    assert bad_in(capsys.readouterr().err) == []


def test_json_means_the_same():
    said = {"title": "a\u202eb\x9b2J", "list": ["\u2028"]}
    assert json.loads(as_json(said)) == said
    assert bad_in(as_json(said)) == []


def test_a_question_and_its_evidence_show_nothing_raw(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123 - closed with the test
    asker = Terminal()
    asker.begin(Question("go", f"Apply {TITLE}\u202ethis?", [f"{TITLE}x"], ["losa"], timedelta(minutes=1)))
    assert capsys.readouterr().out == "? Apply \N{REPLACEMENT CHARACTER}this?  [y/N/?] "


@pytest.mark.parametrize("typed", ["\x1b[2JKiko", "Ki\u202eko", PIPE % "x"])
def test_a_name_at_the_prompt_is_held_to_the_same_as_one_that_is_given(typed, monkeypatch, capfd):
    """A real terminal: what is typed there is not what is wanted, and then it is."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(ours, f"{typed}\nKiko\n".encode())
        assert Terminal().tell("name", "Who says so?") == "Kiko"
    os.close(ours)
    assert "E-bad-text  expected text without" in capfd.readouterr().out


@pytest.mark.parametrize("server", ["250 ok\r\n\x1b[2Jx", b"\x9b2J\xff", "a\u2028b"])
def test_what_a_server_says_is_one_plain_line(server):
    assert bad_in(attempt.one_line(server)) == []


def test_what_goes_into_a_subject_or_a_topic_is_one_plain_line():
    assert phrases.one_line("a\r\nBcc: b@c\u2028\x1b[1mQUIT\x00") == "a Bcc: b@c QUIT\N{REPLACEMENT CHARACTER}"


# -- templates --------------------------------------------------------------------------------------------------------


def leaves(value, where=()):
    """Each text of a document, by where it is."""
    if isinstance(value, str):
        yield where
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*where, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from leaves(each, (*where, number))


def full_plan():
    document = yaml.safe_load(PLAN.read_text())
    rollout = document["rollout"]
    rollout.setdefault("pinned", {}).update(
        revid="a@b", patches=["patch-2208-30-0.sql"], undo_files=["a=b"], revision=3
    )
    return document


@pytest.mark.parametrize("where", list(leaves(full_plan())), ids=lambda where: ".".join(map(str, where)))
@pytest.mark.parametrize("mark", ["{{ 1 }}", "{% if 1 %}", "{# x #}"])
def test_no_text_of_a_plan_is_a_template(where, mark, tmp_path):
    document = full_plan()
    inner = document
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = mark
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(BadInputError, match=r"plan\.yml:\d+: rollout\."):
        plans.load(tmp_path / "plan.yml")


@pytest.mark.parametrize("where", [("rollout", "people"), ("rollout", "pinned")])
def test_no_name_in_a_plan_is_one(where, tmp_path):
    document = full_plan()
    document[where[0]][where[1]][PIPE % "x"] = "x"
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(BadInputError, match=r"plan\.yml:\d+: rollout\."):
        plans.load(tmp_path / "plan.yml")


@pytest.mark.parametrize("tag", ["!unsafe", "!vault", "!vault-encrypted"])
def test_no_tag_of_ansibles_is_in_a_plan(tag, tmp_path):
    (tmp_path / "plan.yml").write_text(PLAN.read_text().replace("why: The", f"why: {tag} The"))
    with pytest.raises(BadInputError, match=r"E-bad-yaml  .*plan\.yml:\d+: the tag"):
        plans.load(tmp_path / "plan.yml")


@pytest.mark.parametrize("value", [PIPE % "x", {"a": ["{% x %}"]}, [("{# #}",)], {"{{ x }}": 1}])
def test_no_variable_is_a_template_wherever_it_is_from(value):
    with pytest.raises(BadInputError, match=r"E-template  pqm_resolution: expected text without \{"):
        refuse_templates({"go": "2026-12", "pqm_resolution": value})


def test_nothing_is_run_with_a_template(tmp_path):
    made = tmp_path / "made"
    playbook = Playbook("smoke", ROOT / "inventories/lab", PLAN, {"go": PIPE % made}, tmp_path / "ansible/0001")
    with pytest.raises(BadInputError, match="E-template  go"):
        run_playbook(playbook)
    assert not made.exists()


@pytest.mark.parametrize("branch", [PIPE, "-Oreally", "a b", "a\x1b[2J", "lp:x\u202ey"])
@pytest.mark.parametrize("how", [["--check"], []])
def test_a_resolution_is_a_branch(branch, how, tmp_path):
    """The real program: it ends before anything is touched, and the attack makes no file."""
    made = tmp_path / "made"
    (tmp_path / "plan.yml").write_text(PLAN.read_text())
    typed = branch % made if "%s" in branch else branch
    command = [sys.executable, ROOT / "runbook.py", "run", "merge", *how, "--plan", tmp_path / "plan.yml"]
    ended = subprocess.run([*command, f"--resolution={typed}"], capture_output=True, text=True, check=False)
    assert ended.returncode == ExitCode.BAD_INPUT
    assert ended.stderr.startswith("E-bad-text  --resolution: ")
    assert bad_in(ended.stderr) == []
    assert not made.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["abort", "--reason"],
        ["answer", "go", "yes", "--name"],
        ["answer", "go", "yes", "--reason"],
        ["plan", "move", "--window", "2026-12-09T08:00:00Z", "--reason"],
        ["next", "--source"],
        ["next", "--waive-r8"],
        ["announce", "correct", "1", "--right"],
        ["incident", "close", "1", "--resolution"],
        ["incident", "close", "1", "--resolution", "x", "--source"],
        ["incident", "close", "1", "--resolution", "x", "--mended-by"],
        ["incident", "announce", "1", "--saying"],
        ["incident", "new"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("text", ["\x1b[2J", "a\u202eb", PIPE % "x"])
def test_what_is_typed_on_the_command_line_is_plain(command, text, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path))
    (tmp_path / "2026-12").mkdir()
    (tmp_path / "2026-12/plan.yml").write_text(PLAN.read_text())
    (tmp_path / "2026-12/journal.jsonl").touch()
    monkeypatch.setattr(cli.private, "begin", lambda _: None)  # the umask is this process's
    monkeypatch.setattr(sys, "argv", ["runbook.py", *command, text])
    with pytest.raises(SystemExit) as ended:
        cli.entry()
    said = capsys.readouterr().err
    assert ended.value.code == ExitCode.BAD_INPUT, said
    assert said.startswith(("E-bad-text  --", "E-bad-summary  "))
    assert bad_in(said) == []


@pytest.mark.parametrize("attack", ESCAPES)
def test_a_live_view_shows_nothing_raw(attack, monkeypatch):
    """At a real terminal: what is shown there are rich's own commands, and not the attack's."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as out:
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setenv("TERM", "xterm")
        console = terminal.console()
        with Live(terminal.Cleaned(Text(f"task{attack}\n.")), console=console, auto_refresh=False) as live:
            live.refresh()
        monkeypatch.undo()
    shown = b""
    with suppress(OSError):  # of a terminal that has hung up, once all of it is read
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    assert b"task" in shown
    assert attack == "\x1b" or f"task{attack}".encode() not in shown


def test_what_is_nested_deeper_than_anybody_means_is_cut_off():
    made = plain_text.cleaned(json.loads('{"a":' * 400 + '"\\u001b[2J"' + "}" * 400))
    assert json.dumps(made).count('"a"') == 50
    assert json.dumps(made, ensure_ascii=False).count(plain_text.TOO_DEEP) == 1


def test_every_text_is_given_in_order_however_deep():
    deep = json.loads("[" * 900 + '"x"' + "]" * 900)
    assert list(plain_text.texts_in({"a": ["b", {"c": "d"}], "e": deep})) == ["a", "b", "c", "d", "e", "x"]
