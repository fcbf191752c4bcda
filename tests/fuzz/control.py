"""Readers on the control machine: Ansible's events and errors, gates, templates, URLs, the environment, the views."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core import plain_text
from plugins.module_utils.rollout_core.journal.entries import entries
from rollout import environment
from rollout.announcing import attempt, destination, witness, wording
from rollout.commands import options
from rollout.engine import playbooks, reasons
from rollout.gates import model as gates
from rollout.outcomes import BadInputError
from rollout.plan import model as plans
from rollout.plan.process import Gate
from rollout.views import abort_pack, incident, overview, report, text
from rollout.views.console import console
from rollout.views.screen import Screen
from tests.fuzz.documents import ROOM
from tests.fuzz.reader import ROOT, Reader, file

INVENTORY = Path("inventories/lab")
RESULTS = [
    {"msg": "non-zero return code", "stderr": "@@@\nREMOTE HOST IDENTIFICATION HAS CHANGED", "rc": 1},
    {
        "results": [
            {"failed": True, "msg": "E-x  what\n  then", "_ansible_delegated_vars": {"ansible_delegated_host": "a07"}},
            {"item": 1},
        ],
        "msg": "One or more items failed",
    },
    {"module_stderr": "sudo: a password is required", "module_stdout": "", "msg": "MODULE FAILURE"},
]
EVENTS = [
    {
        "event": "runner_on_failed",
        "event_data": {"host": "a07", "task": "x", "task_action": "command", "res": RESULTS[1]},
    },
    {
        "event": "runner_on_ok",
        "event_data": {"host": "a07", "task": "x", "res": {"progress": {"step": "a", "seconds": 1}}},
    },
    {"event": "playbook_on_stats", "event_data": {"artifact_data": {"evidence": ["x"], "pin": {"revision": 7}}}},
]
SSH = (
    "Failed to connect to the host via ssh: ",
    "Host key verification failed",
    "Permission denied (publickey).\n",
    "kex_exchange_identification: ",
    "\n",
    "debug1: ",
    "@@@@@\n",
    "user a is not allowed to execute x as b on c",
    "Timed out after 10 second(s)",
    "interpreter 'x' was not found",
    "{host}",
    "{ping}",
    "E-x  y",
)
YESTERDAY = ROOT / "tests/unit/journal/yesterday"
PLAN = json.loads((YESTERDAY / "plan.json").read_text(encoding="utf-8"))
KEPT = [
    [json.loads(each) for each in path.read_text(encoding="utf-8").splitlines()]
    for path in sorted(YESTERDAY.glob("*.jsonl"))
]
GOLDEN = plans.load(ROOT / "tests/unit/announcing/plan.yml").as_vars()
NOW = datetime(2011, 2, 1, tzinfo=UTC)
GATE = {
    "gate": "go",
    "ask": "before",
    "question": "Go with {parts} parts, {window.start}?",
    "who": ["losa"],
    "waits": "1m",
}


def _reasons(result: Any) -> None:
    if isinstance(result, dict):  # Ansible gives no other
        reasons.sentence("a07", result)
        said = reasons.message("a07", "task", result, INVENTORY, unreachable=True)
        plain_text.clean(said + reasons.message("a07", "task", result, INVENTORY))


def _ssh(said: str) -> None:
    for key in reasons.SAYS:
        _reasons({key: said, "failed": True})


def _event(event: Any) -> None:
    """Hear an event; Ansible's own have a kind and data, and a result in them that is a dictionary."""
    data = event.get("event_data", {}) if isinstance(event, dict) else None
    if not isinstance(data, dict) or not isinstance(event.get("event"), str):
        return
    if all(isinstance(data.get(key) or {}, dict) for key in ("res", "artifact_data")):
        run = playbooks.PlaybookRun(output=ROOM / "none")
        playbooks._hear(event, run, INVENTORY, playbooks.Listener())
        assert run.message


def _refused(said: str) -> None:
    (ROOM / "stdout").write_bytes(said.encode("utf-8", "surrogatepass"))
    playbooks._refused(ROOM / "stdout")


def _gate(given: Any) -> None:
    if not (
        isinstance(given, dict)
        and {"question", "each", "facts", "evidence"} <= set(given)
        and isinstance(given["facts"], dict)
    ):
        return  # a module's facts are a dictionary
    gate = Gate.model_validate({**GATE, "question": given["question"], "each": given["each"]})
    for asked in gates.questions(gate, given["facts"], given["evidence"]):
        asked.on_record("stage").as_fields()
        assert asked.prompt
        asked.answered_by(str(given["question"]))


def _screen(said: str) -> None:
    shown = console()
    shown.file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # a terminal takes UTF-8, and nothing else
    screen = Screen(shown, lambda: None)  # type: ignore[arg-type, return-value]
    screen.evidence([said])
    screen.waiting(said, NOW)
    shown.file.flush()
    text.as_json({"said": said}).encode("utf-8")


def _template(source: str) -> None:
    site = ROOM / "site"
    (site / "announcements").mkdir(parents=True, exist_ok=True)
    (site / "announcements" / "first.mail.j2").write_bytes(source.encode("utf-8", "surrogatepass"))
    wording._environment.cache_clear()
    wording.render("first", "mail", wording.about(GOLDEN, [], NOW, channels={}), site)


def _announced(said: str) -> None:
    """Fill every template with hostile words, as they come from plans, incidents and cowboys."""
    more = {"channels": {}, "number": 1, "problem": said, "resolution": said, "cowboys": []}
    for message, how in (
        ("first", "mail"),
        ("first", "status"),
        ("problem", "irc"),
        ("problem", "mail"),
        ("solved", "mail"),
    ):
        facts = wording.about({**GOLDEN, "people": {"losa": said}}, [], NOW, **more)
        wording.render(message, how, facts)


def _views(rows: Any) -> None:
    """Show a rollout whose journal has hostile words; it was read, so its entries are entries."""
    try:
        found = entries(rows)
    except ValueError:
        return
    now = found[-1].at + timedelta(minutes=1) if found else NOW
    seen = [overview.overview(PLAN, found, now), report.render_report(PLAN, found)]
    seen += [
        incident.render_incident(PLAN, found, each.event.number)
        for each in found
        if each.event.event_name == "incident_opened"
    ]  # type: ignore[attr-defined]
    if any(each.event.event_name == "abort_decided" for each in found):
        seen.append(abort_pack.render_abort_pack(PLAN, found))
    json.dumps(overview.as_json(seen[0]), default=str)  # type: ignore[arg-type]
    "".join(map(str, seen[1:])).encode("utf-8")


def _environment(theirs: Any) -> None:
    found = environment.ours({str(name): str(value) for name, value in theirs.items()}, "/checkout", "/here")
    environment.said(found.left_out)


def _said(said: str) -> None:
    attempt.one_line(said.encode("utf-8", "surrogatepass"))
    attempt.why(OSError(said))
    witness._object(said.encode("utf-8", "surrogatepass"))


JINJA = (
    "{{ ",
    " }}",
    "{% if ",
    "{% endif %}",
    "{% for x in ",
    "{% endfor %}",
    "{% include 'first.mail.j2' %}",
    "{% extends '",
    "| cut(3)",
    "| moment",
    "| lasting",
    "window",
    ".start",
    "[0]",
    "()",
    "Subject: ",
    "{#",
    "#}",
    "{{ text_of('first', 'mail') }}",
    "{% raw %}",
    "~",
    "**",
    "'x' * 9",
)
READERS = [
    Reader("ansible's failure", _reasons, [reasons.message], RESULTS, (), (), 0.6, data=True),
    Reader(
        "ssh's error",
        _ssh,
        [reasons.sentence],
        [
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22",
            "sudo: unable to resolve host a07\nsudo: a password is required",
        ],
        SSH,
        (),
        0.6,
    ),
    Reader("ansible's event", _event, [playbooks.run_playbook], EVENTS, (), (), 0.6, data=True),
    Reader(
        "ansible's output",
        _refused,
        [playbooks.run_playbook],
        ["PLAY\nE-not-whole  x\n  y\nz"],
        ("E-not-whole", "\n  "),
        (),
        0.2,
    ),
    Reader(
        "gate",
        _gate,
        [gates.questions],
        [
            {
                "question": "Go with {parts} parts, {window[start]}?",
                "each": None,
                "facts": {"parts": 3, "window": {"start": "2026-12-09T08:00:00Z"}},
                "evidence": ["x"],
            },
            {"question": "Keep {item}?", "each": "items", "facts": {"items": [["a", 1], ["b", 2]]}, "evidence": []},
        ],
        (),
        (KeyError, ValueError),
        0.5,
        data=True,
    ),
    Reader(
        "screen",
        _screen,
        [Screen.evidence, text.clean],
        ["[bold]patch[/bold] 2208-30-0 · 70.5 s"],
        ("[/]", "[red]", "[link=x]", "\\[", ":smile:", "\x1b[2J"),
        (),
        0.4,
        long=False,
    ),
    Reader(
        "template",
        _template,
        [wording.render],
        [file("rollout/announcing/templates/first.mail.j2")],
        JINJA,
        (BadInputError,),
        0.15,
        long=False,
    ),
    Reader(
        "announcement",
        _announced,
        [wording.about],
        ["CSS does not load on code"],
        ("{{ 7 * 7 }}", "{% for %}", "Subject: ", "\nBcc: x@y\n", "https://x.y/", "."),
        (BadInputError,),
        0.15,
        long=False,
    ),
    Reader(
        "views of a journal",
        _views,
        [report.render_report, overview.overview, incident.render_incident],
        KEPT,
        (),
        (),
        0.1,
        data=True,
        only_texts=True,
    ),
    Reader(
        "environment",
        _environment,
        [environment.ours],
        [{"LANG": "C", "ANSIBLE_TAGS": "x", "PATH": "/bin", "LC_ALL": "tr_TR"}],
        (),
        (),
        0.2,
        data=True,
        only_texts=True,
    ),
    Reader(
        "url of a channel",
        destination.service,
        [destination.service],
        [
            "mastodon://token@127.0.0.1:8080",
            "mailto://u:p@127.0.0.1:2525/a@b.example?from=c@d.example",
            "irc://rollout@127.0.0.1:6668/%23dev",
        ],
        ("irc://", "mailto://", "@", ":", "/", "%23", "?", "&", "format=", "=", "//"),
        (destination.BadUrlError,),
        0.2,
    ),
    Reader("a server's words", _said, [attempt.one_line, witness.Witness], ['{"error": "x"}'], ("{", "["), (), 0.2),
    Reader(
        "typed instant",
        options.instant,
        [options.instant],
        ["2026-12-09T08:00Z"],
        ("T", "Z", "+"),
        (BadInputError,),
        0.2,
    ),
]
