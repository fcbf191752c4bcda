"""Readers of what programs and hosts say: files on hosts, REST answers, IRC, pgbouncer, version controls, Ansible."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

from plugins.module_utils.rollout_core.journal import claims as core_claims
from plugins.module_utils.rollout_core.merge import blessing, builds, deployable
from plugins.module_utils.rollout_core.merge.blessing import Merged
from plugins.module_utils.rollout_core.playbook import work
from plugins.module_utils.rollout_core.site import cowboys
from plugins.module_utils.rollout_host.chat import irc
from plugins.module_utils.rollout_host.ci import buildbot, rest, statuses
from plugins.module_utils.rollout_host.ci.base import CiError
from plugins.module_utils.rollout_host.database import standbys, upgrade_script
from plugins.module_utils.rollout_host.database.access import base, console
from plugins.module_utils.rollout_host.database.connection import RolloutError
from plugins.module_utils.rollout_host.database.outage import detached, progress
from plugins.module_utils.rollout_host.database.work import keep_closed
from plugins.module_utils.rollout_host.services import family, job_locks
from plugins.module_utils.rollout_host.site import claims
from plugins.module_utils.rollout_host.site import cowboys as host_cowboys
from plugins.module_utils.rollout_host.vcs import backlog, bzr, git
from plugins.modules import select_revision
from tests.fuzz.documents import ROOM
from tests.fuzz.reader import Reader

BUILDBOT = {
    "builders": [{"name": "lucid_lp", "builderid": 1}],
    "builders/1/builds": [
        {
            "buildid": 8,
            "builderid": 1,
            "number": 8,
            "complete": True,
            "results": 2,
            "started_at": 1100,
            "complete_at": 1160,
            "state_string": "x",
            "properties": {"got_revision": ["pqm@x", "Git"], "revision": ["10", "s"], "branch": ["devel", "s"]},
        },
        {
            "buildid": 7,
            "builderid": 1,
            "number": 7,
            "complete": False,
            "results": None,
            "started_at": 1000,
            "complete_at": None,
            "properties": {"revision": ["9", "s"]},
        },
    ],
    "builders/1/buildrequests": [
        {"buildrequestid": 3, "buildsetid": 4, "submitted_at": 1000, "complete": False, "claimed": False}
    ],
    "buildsets/4": [{"bsid": 4, "sourcestamps": [{"revision": "10", "branch": "devel"}]}],
    "builders/1/workers": [{"name": "w", "connected_to": [], "paused": False}],
    "builds/8/steps": [{"stepid": 5, "name": "test", "number": 2, "results": 2}],
    "steps/5/logs": [{"logid": 6, "num_lines": 2, "type": "s"}],
    "logs/6/contents": [{"content": "oFAIL: a\noError in test b\n"}],
}
SHA = "0d4c4f1ad6a0b7a2a9f31a2b7c6a2d2f4d3e5c61"
RUN = {
    "id": 7,
    "name": "test",
    "head_sha": SHA,
    "status": "completed",
    "conclusion": "failure",
    "html_url": "https://x/",
    "started_at": "2026-12-07T08:00:00Z",
    "completed_at": "2026-12-07T08:02:05Z",
    "output": {"title": "3 failed"},
    "app": {"slug": "another"},
}
STATUS = {
    "id": 8,
    "context": "lint",
    "name": "lint",
    "state": "success",
    "status": "success",
    "sha": SHA,
    "target_url": "https://x/",
    "url": f"https://x/statuses/{SHA}",
    "created_at": "2026-12-07T08:00:00.000Z",
}
GITHUB = {"sha": SHA, "total_count": 1, "check_runs": [RUN], "statuses": [STATUS]}
STATUSES = [STATUS, {**STATUS, "id": 9, "name": "test", "context": "test", "status": "running"}]
CLIENT = {"user": "a", "application_name": "x", "database": "launchpad"}
STATE = {
    "run_id": "r",
    "pid": 1,
    "work": "keep_closed",
    "started": 4711,
    "steps": [{"step": "close", "since": 1.5}, {"step": "open", "since": 2.5}],
    "transaction": None,
    "answer": None,
    "finished": False,
}
CLAIM = {
    "rollout": "2026-12",
    "service": "lp",
    "database": "dbname=lp",
    "by": "Mia",
    "machine": "m",
    "checkout": "/a",
    "journal": "/a/j",
    "since": "2026-12-09T08:00:00Z",
    "state": "open",
    "heard": "2026-12-09T08:00:00Z",
    "run": "r",
    "first": "a",
    "lines": 1,
    "head": "a",
}
CLAIMANT = core_claims.Claimant("2026-12", "lp", "dbname=lp", "Mia", "m", "/a", "/a/j", ["a", "b"], "r")
COMMIT = {
    "revid": "0" * 40,
    "parents": ["1" * 40],
    "committer": "PQM <pqm@x>",
    "seconds": 1790000000,
    "message": "[r=a] Say when",
}
COWBOYS = [{"id": "lp-12", "who": "Mia", "why": "slow", "diff": "x.diff", "bug": 7, "tree": ".", "hosts": ["a07"]}]
JOINED = ("332 rollout #dev :topic", "353 rollout = #dev :@Mia rollout", "366 rollout #dev :End", "PONG joined", "")
JSON = ('"pid":', '"steps":', '"claims":', "[", "{", "}", "null", "1e999", "NaN", '"a":' * 9)


class _Answers:
    """Buildbot's pages as given: what it sends is ours to invent, the client that reads it is real."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers if isinstance(answers, dict) else {}

    def open(self, _method: str, url: str, **_how: Any) -> _Answers:
        self._page = url.partition("/api/v2/")[2].partition("?")[0]
        return self

    def read(self) -> bytes:
        return json.dumps({"x": self._answers.get(self._page, []), "meta": {"total": 1}}).encode()


def _buildbot(answers: Any) -> None:
    master = buildbot.Buildbot("http://127.0.0.1:1/")
    master._http = _Answers(answers)
    merged = Merged(10, "pqm@x", "devel")
    for number in master.builder_ids().values():
        builder = master.builder("lucid_lp", number)
        builds.expected_seconds(builder)
        for build in builder.builds:
            builds.is_merged(*builds._built(build), merged)
            builds.number_of(build, merged)
            builds.result_of(build)
            [blessing.reports(step.lines) for step in master.failed_steps(build)]


def _forges(text: str) -> None:
    """Each forge answers every question with the text."""
    for adapter in (statuses.GitHub, statuses.GitLab, statuses.Forgejo):
        forge = adapter("http://127.0.0.1:1/", "a/b", "", 1)
        forge.rest._answer = lambda _method, url, *_: (url, {}, text.encode("utf-8", "surrogatepass"), True)
        limits = blessing.Limits(reruns=2, start_seconds=600)
        question = blessing.BlessingQuestion(Merged(10, SHA), [], limits, now=1200, begun=1000)
        with suppress(CiError):
            judged = blessing.judge(forge.look(["test", "lint"], question))
            assert "\n" not in judged.line


class _Console(console.Console):
    """The console of a pgbouncer with one client, who is called as he likes."""

    client: Any = CLIENT

    def ask(self, command: str, _seconds: float = 3.0) -> list[dict[str, str]]:
        named = {name: str(value) for name, value in self.client.items()}
        return {
            "SHOW DATABASES": [{"name": named["database"], "paused": "0", "disabled": "1"}],
            "SHOW CLIENTS": [{**named, "addr": "10.0.0.1", "port": "5"}],
            "SHOW SERVERS": [{"database": named["database"], "remote_pid": "4711"}],
            "SHOW CONFIG": [{"key": "admin_users", "value": f"pgbouncer, {named['user']}"}],
        }[command]


def _pools(client: Any) -> None:
    asked = _Console("host=127.0.0.1 dbname=pgbouncer")
    asked.client = client
    pool = console.Pool(asked, client["database"])
    pool.look()
    pool.connected()
    pool.opening_command()


def _irc(text: str) -> None:
    """Join a channel at a server that sends this, and hangs up."""
    ours, theirs = socket.socketpair()
    try:
        channel = irc.IrcChannel(
            {
                "server": "127.0.0.1",
                "port": 1,
                "tls": False,
                "channel": "#dev",
                "nick": "rollout",
                "account": "",
                "password": "",
                "server_password": "",
                "timeout_seconds": 5,
            }
        )
        theirs.settimeout(1)
        theirs.sendall(text.encode("utf-8", "surrogatepass")[:60_000])
        theirs.shutdown(socket.SHUT_WR)
        channel.connection.connect("127.0.0.1", 1, "rollout", connect_factory=lambda _address: ours)
        channel._join()
        channel.topic()
    finally:
        ours.close()
        theirs.close()


def _kept(text: str) -> None:
    """Read each of the small JSON files that our own programs leave on a host, damaged as it may be."""
    content = text.encode("utf-8", "surrogatepass")
    for name in ("progress-lp.json", "access-lp.json", "standbys-lp.json", "upgraded-lp.json", claims.NAME):
        (ROOM / name).write_bytes(content)
    where = (str(ROOM), "lp")
    state = progress.last(*where)
    assert state is None or isinstance(state, dict)
    keep_closed.Keeper.last(*where)
    upgrade_script.last_success(*where)
    detached.result(str(ROOM / "progress-lp.json"))


def _records(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    for name in ("access-lp.json", standbys._file(str(ROOM), "lp").name):
        (ROOM / name).write_bytes(content)
    record = base.read_record(ROOM / "access-lp.json")
    assert record is None or isinstance(record, dict)
    standbys.left_paused(str(ROOM), "lp")


def _claims(text: str) -> None:
    (ROOM / claims.NAME).write_bytes(text.encode("utf-8", "surrogatepass"))
    found = core_claims.seen(claims.read(ROOM), CLAIMANT)
    core_claims.checked(found, "2026-12-09T09:00:00Z")


def _family(record: Any) -> None:
    if isinstance(record, dict):
        family.relative(record)


def _lock(text: str) -> None:
    path = ROOM / "launchpad-job.lock"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    [each.text for each in job_locks.look(str(ROOM), None)]


def _git(data: Any) -> None:
    """Read the log of a repository in which somebody has made these commits."""
    git_client = git.Git()
    fields = [
        str(data.get(name, "")) if name != "parents" else " ".join(map(str, data.get(name) or ())) for name in COMMIT
    ]
    clean = [each.replace("\0", "").encode("utf-8", "replace").decode() for each in fields]
    clean[3] = (
        clean[3] if clean[3].lstrip("-").isascii() and clean[3].lstrip("-").isdigit() and len(clean[3]) < 19 else "0"
    )
    git_client.run = lambda *_a, **_k: "\0".join([*clean, ""])  # type: ignore[method-assign]
    git_client._entries("/", 1)


def _bzr(data: Any) -> None:
    """Read what brz prints of a revision that somebody has made."""
    committer, message = (str(data.get(name, "")) for name in ("committer", "message"))
    head = ["revno: 3 [merge]", "revision-id: x", "parent: y", f"committer: {' '.join(committer.splitlines())}"]
    told = ["  " + each for each in message.split("\n")]
    bzr._entry("\n".join([*head, "timestamp: Sun 2026-11-22 18:02:26 +0000", "message:", *told, ""]))
    bzr.delta(message)


def _assess(revisions: Any) -> None:
    deployable.assess(revisions["revisions"], revisions["tags"])


def _work(events: Any) -> None:
    plays: list[work.PlayWork] = []
    for each in events:
        work.hear(plays, str(each["event"]), each["data"])
    work.idle(plays)


def _cowboys(listed: Any) -> None:
    """Judge a list of cowboys as the module does, before anything else is done with it."""
    cowboys.problems(listed)
    if isinstance(listed, list) and all(isinstance(each, dict) for each in listed):
        host_cowboys.sound(listed)


def texts(value: Any) -> str:
    """Return the value as the JSON text that a program writes."""
    return json.dumps(value)


READERS = [
    Reader(
        "buildbot",
        _buildbot,
        [buildbot.Buildbot.builder, blessing.reports],
        [BUILDBOT],
        (),
        (CiError,),
        0.5,
        data=True,
        only_texts=True,
    ),
    Reader("forges", _forges, [statuses.GitHub.runs, rest.Rest.pages], [texts(GITHUB), texts(STATUSES)], JSON),
    Reader("pgbouncer", _pools, [console.Pool.look], [CLIENT], (), (RolloutError,), 0.5, data=True, only_texts=True),
    Reader(
        "irc",
        _irc,
        [irc.IrcChannel],
        [
            "\r\n".join(f":127.0.0.1 {said}" for said in JOINED),
        ],
        (
            "\r\n",
            ":",
            " ",
            "PONG joined\r\n",
            "366 rollout #dev :End\r\n",
            "480 ",
            "NOTICE * :x\r\n",
            "KICK #dev rollout :x\r\n",
            "ERROR :x\r\n",
            "@time=x ",
            "PING :x\r\n",
            "005 rollout TOPICLEN=x :are\r\n",
            "433 ",
            "MODE ",
            "\x01DCC\x01",
        ),
        (irc.IrcError,),
        0.3,
        long=False,
    ),
    Reader(
        "state on a host",
        _kept,
        [progress.last, keep_closed.Keeper.last, upgrade_script.last_success, detached.result],
        [texts(STATE)],
        JSON,
        (),
        0.5,
    ),
    Reader(
        "records on a host",
        _records,
        [base.read_record, standbys.left_paused],
        [texts({"run_id": "r", "pools": [{"console": "c", "database": "d"}]})],
        JSON,
        (RolloutError,),
        0.3,
    ),
    Reader(
        "claims",
        _claims,
        [claims.read, core_claims.seen],
        [texts({"claims": [CLAIM, {**CLAIM, "rollout": "x"}]})],
        JSON,
        (claims.ClaimsError, core_claims.Refused),
        0.5,
    ),
    Reader(
        "relative",
        _family,
        [family.relative],
        [{"pid": 1, "started": 2, "command": ["sleep", "1"], "user": "root"}],
        (),
        (KeyError, ValueError, TypeError, OverflowError),
        0.2,
        data=True,
    ),
    Reader("job's lock", _lock, [job_locks.look], ["4711\n"], ("1", "-"), (), 0.2),
    Reader("git's log", _git, [git.Git], [COMMIT], (), (), 0.3, data=True, only_texts=True),
    Reader("bzr's log", _bzr, [bzr.delta], [COMMIT], (), (), 0.3, data=True, only_texts=True),
    Reader(
        "branch",
        _assess,
        [deployable.assess],
        [
            {
                "revisions": [{"revno": 7, "message": "[bug=1] x"}, {"revno": 8, "message": "[rollback=7] y"}],
                "tags": {"1": ["qa-ok", "bad-commit-7"]},
            }
        ],
        (),
        (ValueError,),
        0.5,
        data=True,
        only_texts=True,
    ),
    Reader(
        "tags as an option",
        lambda tags: isinstance(tags, dict) and backlog.bug_tags(tags),
        [backlog.bug_tags],
        [{"1": ["qa-ok"], "2": []}],
        (),
        (ValueError,),
        0.3,
        data=True,
    ),
    Reader(
        "rows as an option",
        lambda rows: (
            select_revision.rows([row for row in rows or () if isinstance(row, list)])
            if isinstance(rows, list)
            else None
        ),
        [select_revision.rows],
        [[[2208, 30, 0], [2208, 56, 0]]],
        (),
        (ValueError,),
        0.2,
        data=True,
    ),
    Reader(
        "work of a playbook",
        _work,
        [work.hear],
        [
            [
                {"event": "playbook_on_play_start", "data": {"name": "a"}},
                {"event": "runner_on_ok", "data": {"task_action": "command", "host": "a"}},
            ]
        ],
        (),
        (),
        0.2,
        data=True,
        only_texts=True,
    ),
    Reader(
        "list of cowboys",
        _cowboys,
        [cowboys.problems, host_cowboys.sound],
        [COWBOYS],
        (),
        (host_cowboys.CowboyError,),
        0.3,
        data=True,
    ),
]
