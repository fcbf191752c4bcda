"""Readers of files that people write: plans, processes, schedules, calendars, answers, lists of cowboys, pages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.rollout_core.journal.incidents import IncidentEnd
from plugins.module_utils.rollout_core.journal.text import FIRST_PREV, digest, line
from plugins.module_utils.rollout_core.time.timeline import parse_instant
from plugins.modules import production_status
from rollout import documents, inventory
from rollout.announcing import channels, site
from rollout.commands import late
from rollout.decisions import budget, deployable, rc_check
from rollout.engine import verification
from rollout.gates import answers_file, mailbox
from rollout.journal import file as journal_file
from rollout.journal import lock_owner, service_lock
from rollout.outcomes import BadInputError
from rollout.plan import creation, kinds, model, past, process, schedule
from rollout.schedule import calendars, ics, proposal
from rollout.views import resolution
from tests.fuzz.reader import ROOT, Reader, file, files

(ROOT / "var").mkdir(exist_ok=True)
_DIRECTORY = tempfile.TemporaryDirectory(prefix="fuzz-", dir=ROOT / "var")  # goes when the process ends
ROOM = Path(_DIRECTORY.name)
NOW = datetime(2026, 12, 9, 8, tzinfo=UTC)
SPAN = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC))
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{f'*{a}, ' * 9}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = (
    *(
        ": ",
        "- ",
        "\n",
        "\n  ",
        "? ",
        "&x ",
        "*x",
        "!!int ",
        "!!binary x",
        "!!set {a}",
        "!x ",
        "<<: ",
        "|\n",
        ">-\n",
        "---\n",
        "...\n",
        "#",
        "%YAML 1.1\n",
        "%TAG ! x\n",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "2026-12-09T08:00:00Z",
        "2026-12-09",
        "12:30:45",
        "0o17",
        ".inf",
        "yes",
        "no",
        "~",
        "-48h",
        "30m",
        "until_commit",
        "[[[[" * 20,
    ),
    *("rollout:", "process:", "window:", "stage:", "expects:", "minutes: ", "people:", "from: ", "id: "),
)
ICS = (
    *(
        "BEGIN:VEVENT\n",
        "END:VEVENT\n",
        "BEGIN:VTIMEZONE\n",
        "END:VTIMEZONE\n",
        "BEGIN:VCALENDAR\n",
        "END:VCALENDAR\n",
        "UID:1\n",
        "UID:\n",
        "SUMMARY:x\n",
    ),
    *(
        "DTSTART:20261209T080000Z\n",
        "DTSTART;VALUE=DATE:20261209\n",
        "DTEND:20261209T090000Z\n",
        "DURATION:PT1H\n",
        "DURATION:-P9999999D\n",
        "DTSTART;TZID=Nowhere:20261209T080000\n",
    ),
    *(
        "RRULE:FREQ=WEEKLY;INTERVAL=0\n",
        "RRULE:FREQ=DAILY;COUNT=3\n",
        "RRULE:FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2\n",
        "RRULE:FREQ=SECONDLY\n",
        "RRULE:FREQ=YEARLY;UNTIL=20261208T230000Z\n",
    ),
    *(
        "EXDATE:20261209T080000Z\n",
        "RDATE;VALUE=PERIOD:20261209T080000Z/PT1H\n",
        "RECURRENCE-ID:20261209T080000Z\n",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20261209T080000Z\n",
    ),
    *(
        "STATUS:CANCELLED\n",
        "TRANSP:TRANSPARENT\n",
        "X-WR-TIMEZONE:Europe/Berlin\n",
        "TZOFFSETFROM:+0100\n",
        "FREQ=",
        "INTERVAL=",
        "BYDAY=",
        ";",
        "=",
        ",",
        "BYSETPOS=-1",
        "T",
        "Z",
        "99991231",
        "00010101T000000",
    ),
)
PLAN = file("tests/unit/announcing/plan.yml")
PROCESS = file("process.yml")
SCHEDULE = file("inventories/lab/schedule.yml")
JOURNALS = files("tests/unit/journal/yesterday/*.jsonl")
PAGE = """| Incident | 1 |
| --- | --- |
| State | open |

## Resolution

Open.

- Source of the problem: a patch
- Mended by:
- Users were affected: 2026-12-09T08:04Z until 2026-12-09T09:04Z
"""
ENDED = IncidentEnd(at=NOW, by="Mia", resolution="Mended", source="x", mended_by="Mia", affected="2026-12-09T08:04Z")


def at(name: str, read: Callable[[Path], object]) -> Callable[[str], object]:
    """Return a reader of texts for one of files: the text is written as a file's bytes, whatever is in it."""

    def read_text(text: str) -> object:
        path = ROOM / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return read(path)

    return read_text


def _plan(path: Path) -> None:
    past.fields(path, ("id", "inventory"))
    model.load(path)


def _schedule(path: Path) -> None:
    found = schedule.load(path.parent)
    begin = NOW
    for window, _ in zip(schedule.until(found.schedule, begin, SPAN[1]), range(20), strict=False):
        assert window
    [list(schedule.days_away(one)) for one in found.cover]


def _late(text: str) -> None:
    (ROOM / "by_hand.jsonl").write_bytes(text.encode("utf-8", "surrogatepass"))
    late.late(ROOT / "tests/unit/lateness/by_hand.yml", ROOM / "by_hand.jsonl", parse_instant("2026-12-09T08:30:00Z"))


def _journal(text: str) -> None:
    """Read a journal as it is, and with the chain of hashes mended, so that its lines are looked at."""
    read = at("journal.jsonl", journal_file.read)
    try:
        read(text)
    except BadInputError:
        prev, chained = FIRST_PREV, []
        for each in text.split("\n"):
            try:
                fields = json.loads(each)
                chained.append(line(fields if isinstance(fields, dict) else {"x": fields}, prev))
                prev = digest(chained[-1])
            except (ValueError, RecursionError):
                continue
        read("".join(chained))


def _page(text: str) -> None:
    for each in resolution.said(text).values():
        resolution.instants(each.text)
    resolution.closed(text, ENDED)


def _status(text: str) -> None:
    status = production_status.load(Path("status.yml"), text)
    production_status.update(text, status, {"revision": 1, "revid": "x", "at": NOW, "rollout": "r"}, ["lp-12"])


def _channels(text: str) -> None:
    channels.checked(yaml.safe_load(text), ROOT / "inventories/lab/group_vars/all/announcements.yml")


BAD = (BadInputError,)


def document(
    name: str, read: Callable[[Path], object], examples: list[str], of: Callable[..., Any], **more: Any
) -> Reader:
    """Return the reader of a YAML file that people write."""
    return Reader(
        more.pop("called", name), at(name, read), [of], [*examples, BOMB], YAML, BAD, **{"share": 0.5, **more}
    )


READERS = [
    document("plan.yml", _plan, [PLAN], model.load, share=0.4),
    document(
        "process.yml",
        lambda path: documents.load(path, process.ProcessFile),
        [PROCESS, *files("processes/*.yml")],
        documents.load,
        share=0.2,
    ),
    document("schedule.yml", _schedule, [SCHEDULE], schedule.load),
    Reader(
        "proposal",
        lambda text: proposal.edit(text, []),
        [proposal.edit],
        [SCHEDULE, BOMB],
        YAML,
        (yaml.YAMLError, ValueError),
        0.5,
    ),
    document(
        "policy.yml",
        lambda path: documents.load(path, inventory.PolicyFile),
        [file("inventories/lab/group_vars/all/policy.yml")],
        inventory.policy,
    ),
    document(
        "answers.yml",
        lambda path: answers_file.load(path, model.load(ROOT / "tests/unit/plan/plan.yml")),
        [file("inventories/lab/answers.yml")],
        answers_file.load,
        share=0.1,
        long=False,
    ),
    document(
        "words.yml",
        lambda path: site.words(path.parent.parent),
        files("inventories/*/announcements/words.yml"),
        site.words,
    ),
    document(
        "production_status.yml",
        lambda path: documents.load(path, creation.ProductionStatus),
        files("inventories/production/production_status.yml"),
        creation.new_plan,
    ),
    document("bug_tags.yml", deployable.read_tags, [file("inventories/lab/bug_tags.yml")], deployable.read_tags),
    document(
        "approvers.yml",
        rc_check.read_approvers,
        [file("inventories/lab/group_vars/all/release_critical.yml")],
        rc_check.read_approvers,
    ),
    document(
        "playbook.yml",
        lambda path: list(inventory.plays(path)),
        files("playbooks/outage.yml") + files("inventories/lab/playbooks/*.yml"),
        inventory.plays,
    ),
    document(
        "site.yml",
        lambda path: list(kinds._findings(path, inventory.InventoryFacts({}, path, False))),
        files("inventories/lab/playbooks/*.yml"),
        kinds.playbook,
        called="site's playbook",
    ),
    document(
        "by_hand.yml",
        late.read_plan,
        [file("tests/unit/lateness/by_hand.yml"), PLAN],
        late.read_plan,
        called="plan by hand",
    ),
    Reader(
        "status of production",
        _status,
        [production_status.load],
        [file("lab/data/production_status.yml"), BOMB],
        YAML,
        (production_status.StatusError,),
        0.3,
    ),
    Reader(
        "journal by hand",
        _late,
        [late.read_journal],
        [file("tests/unit/lateness/by_hand.jsonl"), *JOURNALS[:1]],
        ('{"at":', '"event":', '"stage_started"', "}\n", '"stage":', "[", '"facts":'),
        BAD,
    ),
    Reader(
        "journal",
        _journal,
        [journal_file.read],
        [*JOURNALS],
        ('{"at":', '"event":', '"prev":', "}\n", '"seq":', '"facts":', "[{"),
        BAD,
        0.5,
    ),
    Reader(
        "calendar",
        at("teams.ics", lambda path: calendars.read(path, "teams", SPAN, "Europe/London")),
        [calendars.read],
        files("inventories/*/calendars/*.ics"),
        ICS,
        BAD,
        1.0,
    ),
    Reader(
        "earlier calendar",
        at("ours.ics", ics._told),
        [ics.calendar],
        files("inventories/lab/calendars/lab*.ics"),
        ICS,
        BAD,
        0.3,
    ),
    Reader(
        "branch's log",
        at("devel.json", deployable.read_log),
        [deployable.read_log],
        ['[{"revno": 7, "message": "[r=a][bug=1] x", "date": null},\n {"revno": 8, "message": "y"}]'],
        ('{"revno":', '"message":', "]", "},", "1e5", "-"),
        BAD,
    ),
    Reader(
        "mailbox",
        at("1-2.json", mailbox.read),
        [mailbox.read],
        ['{"kind":"answer","by":"Mia","text":"yes","gate":"go","asked":7,"told":{"name":"Mia"}}'],
        ('"kind":', '"seen":', '"details":', "{", "["),
        (OSError, ValueError),
        0.5,
    ),
    Reader(
        "lock",
        at("lock", lambda path: (lock_owner.owner(path), service_lock.place("x"))),
        [lock_owner.owner],
        ['{"pid": 1, "started": 4.5, "host": "x", "terminal": "/dev/pts/1"}'],
        ('"pid":', '"host":', "[", "{"),
        (OSError,),
        0.3,
    ),
    Reader(
        "service's lock",
        service_lock._told,
        [service_lock.held],
        ['{"rollout": "2026-12", "checkout": "/a", "by": "Mia", "since": "x", "host": "h", "pid": 1}'],
        ('"rollout":', "[", "{"),
        (),
        0.3,
    ),
    Reader(
        "incident's page",
        _page,
        [resolution.said, resolution.closed],
        [PAGE],
        ("| State |", "## Resolution\n", "Open.\n", "- Mended by:", "2026-12-09T08:04Z", "\r\n"),
        (),
    ),
    Reader(
        "junit",
        at("junit.xml", verification.read),
        [verification.read],
        [file("tests/unit/aftermath/junit.xml")],
        ("<testcase", "<failure", "/>", "&x;", "<!DOCTYPE", "name="),
        (SyntaxError,),
        0.3,
    ),
    Reader(
        "log of timings",
        at("x.log", budget._text),
        [budget.judge],
        ["2208-30-0 applied just now in 70.5 seconds\n"],
        (),
        BAD,
        0.2,
    ),
]
