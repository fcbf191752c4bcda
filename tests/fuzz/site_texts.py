"""Readers of texts about a site: diffs, pages, cron files, PQM's configuration, messages, what a terminal is shown."""

from __future__ import annotations

import psycopg

from plugins.module_utils.rollout_core import connections, plain_text
from plugins.module_utils.rollout_core.merge import channel_topic, messages, rc_mode, rc_mode_file
from plugins.module_utils.rollout_core.site import cowboys, cron_switch, diffs, pages, process_identity
from plugins.module_utils.rollout_core.time import timeline
from plugins.module_utils.rollout_host.database import conninfo
from plugins.module_utils.rollout_host.services.kinds.base import ServiceError
from plugins.modules import irc_topic, services_switch, smoke_check
from tests.fuzz.reader import Reader, file, files

DIFF_TOKENS = (
    *(
        "--- a/x\n",
        "+++ b/x\n",
        "@@ -1,2 +1,3 @@\n",
        "@@ -0,0 +1 @@\n",
        "@@ -1 +0,0 @@\n",
        "diff --git a/x b/x\n",
        "/dev/null",
    ),
    *(
        "new file mode 100755\n",
        "Index: x\n",
        "=== modified file 'x'\n",
        "=== added directory 'x'\n",
        "Only in a: b\n",
        "\t1970-01-01 ",
    ),
    *(
        "\\ No newline at end of file\n",
        "Binary files a and b differ\n",
        "rename from x\n",
        "-- \n",
        "a/../b",
        ".bzr/",
        "-a\n",
        "+b\n",
        " c\n",
    ),
)
PQM = file("lab/data/pqm.conf")
BRANCH = PQM[PQM.index("[") + 1 : PQM.index("]")]
PQM_TOKENS = (
    f"[{BRANCH}]\n",
    "commit_re = ",
    "commit_re_open = ",
    "rc_since = x\n",
    "[DEFAULT]\n",
    "    more\n",
    "[",
    "]\n",
    "(",
    "(?P<",
)
MESSAGES = (
    "[r=mars][bug=617] Say when a mirror was last probed.",
    "[testfix][rs=flacoste][ui=none][release-critical=kfogel] Mend\n\tthe test [bug=1,2]",
    "[rs=buildbot-poller] automatic merge from stable. Revisions: 12, 13, 14 included.",
    "Merge db-stable 10381.",
    "[rollback=10379][no-qa] Roll back [incr] this.",
)
MESSAGE_TOKENS = (
    "[r=",
    "[bug=",
    "[rollback=",
    "[release-critical=",
    "]",
    ",",
    "#",
    "Merge db-stable ",
    "Revisions: ",
    "included",
    "[no-qa]",
)
DSNS = (
    "host=10.0.0.1 port=6432 dbname=launchpad user='a b' application_name=x",
    "postgresql://user@localhost:5432/launchpad?sslmode=verify-full&connect_timeout=3",
    "service=launchpad",
    "dbname='postgresql://u:p@h/d'",
    "host=a password=geheim",
)
DSN_TOKENS = (
    "password=",
    "host=",
    "dbname=",
    "'",
    "\\'",
    "postgresql://",
    "@",
    "%",
    "%00",
    "?",
    "&",
    "sslpassword =",
    "://u:p@h",
    "service=none",
)


def _pqm(text: str) -> None:
    """Read, edit and read again, as the module `rc_mode` does."""
    mode = rc_mode_file.read(text, BRANCH)
    rc_mode_file.holds_back(text)
    if mode.in_rc_mode:
        rc_mode_file.leave(text, BRANCH)
    else:
        rc_mode_file.enter(text, BRANCH, since="2026-12-06T08:00:00Z", reason="a freeze", tip="pqm@1")


def _message(text: str) -> None:
    messages.parse(text)
    rc_mode.check(text, in_rc_mode=False)
    rc_mode.check(text, in_rc_mode=True, approvers={"release_manager": text}, pinned=7)


def _diff(text: str) -> None:
    for patch in diffs.parse_diff(text):
        cowboys.looks_landed(patch, text)
        cowboys.looks_landed(patch, None)


def _page(text: str) -> None:
    found = pages.references("http://127.0.0.1:8080/a/", text)
    for address in (*found.stylesheets, *found.external_links):
        smoke_check.text_of(
            smoke_check.Response(200, "text/html", text.encode("utf-8", "replace"), address, None, None)
        )


def _address(text: str) -> None:
    pages.as_asked(text)
    pages.leads_elsewhere("http://127.0.0.1/", text)


def _cron(text: str) -> None:
    if cron_switch.problem(text) is None:
        for job in cron_switch.jobs(text):
            cron_switch.enabled(text, job)
        cron_switch.paused(text, None, "a comment")


def _plain(text: str) -> None:
    for made in (plain_text.clean(text), plain_text.one_line(text)):
        assert plain_text.unseen(made) in (None, "U+FFFD")
        made.encode("utf-8")
    plain_text.no_line(text)


def _dsn(text: str) -> None:
    connections.secret(text)
    text = text.encode("utf-8", "replace").decode()  # libpq takes UTF-8
    conninfo.refusal(text)
    conninfo.host_name(text)


def _processes(text: str) -> None:
    process_identity.stat(text)
    process_identity.holders(text, (8, 1), 4711)


def _topic(text: str) -> None:
    text = text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")  # as it comes from a server
    channel_topic.saying(text, "release-critical mode")
    channel_topic.without(text, "release-critical mode")
    irc_topic.shown(text)


READERS = [
    Reader(
        "diff",
        _diff,
        [diffs.parse_diff, cowboys.looks_landed],
        [*files("lab/data/cowboys/*.diff"), *files("lab/data/history/devel/0[2-5]*.diff")],
        DIFF_TOKENS,
        (diffs.DiffError,),
        share=2,
    ),
    Reader(
        "page",
        _page,
        [pages.references, smoke_check.text_of],
        files("lab/data/tree/docroot/*.html"),
        (
            "<a href=",
            "<link rel=stylesheet href=",
            "<base href=",
            "<!DOCTYPE",
            "<script>",
            "//[",
            "http://[::1",
            "&amp",
            "</a>",
            "<p ",
        ),
    ),
    Reader(
        "address",
        _address,
        [pages.as_asked, pages.leads_elsewhere],
        ["http://127.0.0.1:8080/é a?b=ü#c", "https://bücher.example/%C3"],
        ("http://", "[", "]", ":99999", "@", "xn--", "%", "é" * 70),
        (ValueError,),
    ),
    Reader(
        "cron",
        _cron,
        [cron_switch.problem, cron_switch.jobs],
        files("lab/data/cron.ini"),
        ("[", "]\n", "[DEFAULT]\n", "enabled: False\n", "%(", " \n", "="),
        (),
    ),
    Reader("file of RC mode", _pqm, [rc_mode_file.read], [PQM], PQM_TOKENS, (ValueError,)),
    Reader(
        "rc branch",
        lambda text: rc_mode.configured(text, BRANCH),
        [rc_mode.configured],
        [PQM],
        PQM_TOKENS,
        (ValueError,),
    ),
    Reader("commit message", _message, [messages.parse, rc_mode.check], MESSAGES, MESSAGE_TOKENS),
    Reader(
        "terminal text",
        _plain,
        [plain_text.clean],
        ["\x1b[31mred\x1b[0m text \x1b]0;title\x07 and\r\nmore"],
        ("\x1b[", "\x1b]", "\x9b", "\x07", "\x1b\\", "\x1bP"),
    ),
    Reader("connection string", _dsn, [connections.secret, conninfo.refusal], DSNS, DSN_TOKENS, (psycopg.Error,)),
    Reader(
        "irc topic",
        _topic,
        [channel_topic.saying, irc_topic.shown],
        ["Launchpad | release-critical mode | ask in #dev"],
        ("|", " | ", "release-critical mode"),
    ),
    Reader(
        "duration",
        timeline.parse_duration,
        [timeline.parse_duration],
        ["-48h", "30m", "0m", "12s"],
        ("h", "d", "-"),
        (ValueError,),
        0.3,
    ),
    Reader(
        "instant",
        timeline.parse_instant,
        [timeline.parse_instant],
        ["2026-12-09T08:00:00Z", "2026-12-09T08:00+01:00"],
        ("Z", "+23:59", "T", "W"),
        (ValueError,),
        0.3,
    ),
    Reader(
        "proc",
        _processes,
        [process_identity.stat, process_identity.holders],
        [
            "1 (a) b) S 1 1 1 0 -1 4 1 1 1 1 1 1 1 1 20 0 1 0 4711 1",
            "1: FLOCK  ADVISORY  WRITE 812 08:01:4711 0 EOF\n2: -> POSIX ADVISORY WRITE 9 00:2f:1 0 EOF",
        ],
        (") ", ":", "->", "08:01:4711"),
    ),
    Reader(
        "banner",
        services_switch.banner_text,
        [services_switch.banner_text],
        ["2026-12-09T08:00:00Z"],
        ("Z",),
        (ServiceError,),
        0.3,
    ),
]
