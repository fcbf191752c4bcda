"""Announcements by Apprise's real clients to real servers: what arrives, and what is known when it goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import yaml

from lab.waiting import eventually
from rollout import ROOT
from rollout.announcing import delivery
from rollout.announcing.attempt import Job, Outcome
from rollout.announcing.delivery import deliver
from rollout.announcing.text import Text
from tests.modules import announcing_servers as servers
from tests.modules import irc_servers
from tests.modules.announcing_servers import HTTP_FAULTS, PASSWORD, QUOTED, TOKEN, channel
from tests.modules.irc_servers import CHANNEL, Person, free_port

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd, of the lab's mail server: on loopback
FAULTS = yaml.safe_load(Path(__file__).with_name("announcing_faults.yml").read_text())
KEY = "2026-12/3/status"
# What Apprise could make something else of: Markdown, HTML, emoji, escapes, mentions, templates.
TEXT = r"Launchpad is read-only – naïve *now* _x_ <b>&amp;</b> :tada: @jml #lp \n {{ x }} 23.00 UTC ☃ https://help.lab.example/a_b_c"
LINES = f"{TEXT}\n\nStarts: 23.00 UTC 10th of February 2011\n.\n  indented\nFrom here on: {'x' * 78}\nlast"


def cases(part: str):
    return [pytest.param(case, id=case["case"]) for case in FAULTS[part]]


def status_url(port: int) -> str:
    return f"mastodon://{QUOTED}@127.0.0.1:{port}?format=markdown&emojis=yes&overflow=split&retry=3"


def mail_url(port: int, to: str = "list@lab.example", more: str = "") -> str:
    return f"mailto://127.0.0.1:{port}/{to}?from=losa@lab.example&name=LOSAs&format=html&retry=3{more}"


def irc_url(port: int) -> str:
    return f"irc://127.0.0.1:{port}/%23{CHANNEL[1:]}"


@pytest.fixture
def account(tmp_path):
    with servers.status_account(tmp_path) as account:
        yield account


@pytest.fixture(scope="module")
def trusting(certificate):
    """A process that posts, and trusts the certificate: OpenSSL and requests read it from their own variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, str(certificate / "cert.pem"))
        poster = delivery.Poster()
        poster._start()
    return poster


def check(delivered, case):
    assert delivered.outcome == case["outcome"], delivered
    assert case.get("said", "") in delivered.said
    assert delivered.said.isprintable()
    assert not any(secret in delivered.said for secret in (TOKEN, QUOTED, PASSWORD))


@pytest.mark.parametrize("text", [LINES, "x" * 500, "☃" * 500], ids=["lines", "500", "500 of three bytes"])
def test_a_status_arrives_as_it_is(account, text):
    done = deliver(channel("status", status_url(account.port)), Text("", text), KEY)
    assert (done.outcome, done.repeatable) == (Outcome.SENT, False), done
    assert account.texts == [text]
    assert "/@launchpadstatus/" in done.said


def test_a_mail_arrives_as_it_is(tmp_path):
    with servers.mail_server(tmp_path) as server:
        url = mail_url(server.port).replace("mailto://", f"mailto://rollout:{PASSWORD}@")
        list_ = channel("mail", url)
        assert PASSWORD not in list_.shown
        for _ in range(2):
            done = deliver(list_, Text("Launchpad offline – *now* :tada:", LINES), KEY)
            assert done.outcome is Outcome.SENT, done
            assert "queued as 000" in done.said
        other = deliver(list_, Text("Other", "other"), "2026-12/4/list", to="jml@lab.example")
        assert other.outcome is Outcome.SENT, other
        first, second, third = server.mails
    assert first.get_content_type() == "text/plain"
    assert first.get_content_charset() == "utf-8"
    assert first["Content-Transfer-Encoding"] == "quoted-printable"
    assert first.get_payload(decode=True) == LINES.replace("\n", "\r\n").encode() + b"\r\n"
    assert str(first["Subject"]) == "Launchpad offline – *now* :tada:"
    assert (first["From"], first["To"]) == ("LOSAs <losa@lab.example>", "list@lab.example")
    assert first["Message-ID"] == second["Message-ID"] != third["Message-ID"]
    assert first["Message-ID"].endswith("@lab.example>")
    assert third.get_all("Delivered-To") == ["jml@lab.example"]


@pytest.mark.parametrize("make", [irc_servers.lab_server, irc_servers.ngircd], ids=["lab", "ngircd"])
def test_a_line_arrives_as_it_is(tmp_path, make):
    with make(tmp_path, topic="x") as port:
        person = Person(port, nick="rollout")  # our own name is taken
        done = deliver(channel("irc", irc_url(port)), Text("", TEXT), KEY)
        assert done.outcome is Outcome.SENT, done
        assert person.hear(b" PRIVMSG ").partition(f" PRIVMSG {CHANNEL} :".encode())[2] == TEXT.encode()
        person.close()


@pytest.mark.parametrize("case", cases("status"))
def test_a_status_account_with_a_fault(account, case):
    """Each again with the same key, when all is well: one post is there, not two (R7)."""
    with contextlib.ExitStack() as stack:
        if case["case"] == "nobody listens":
            port = free_port()
        else:
            fault = HTTP_FAULTS[case["case"]]
            port = stack.enter_context(servers.serving(lambda connection: fault(connection, account.port)))
        done = deliver(
            channel("status", status_url(port)), Text("", TEXT), KEY, timeout_seconds=case.get("timeout", 20)
        )
    check(done, case)
    assert "203.0.113.7" not in done.said  # where one of them sends us: we do not even try
    assert done.repeatable == (done.outcome is Outcome.UNKNOWN)
    assert len(account.texts) == case["posts"]
    again = deliver(channel("status", status_url(account.port)), Text("", TEXT), KEY)
    assert again.outcome is Outcome.SENT, again
    assert account.texts == [TEXT] * case["again"]


def test_another_key_is_another_post(account):
    for key in (KEY, f"{KEY}-again"):
        assert deliver(channel("status", status_url(account.port)), Text("", TEXT), key).outcome is Outcome.SENT
    assert account.texts == [TEXT, TEXT]


def test_a_token_that_is_wrong_is_not_told(account):
    wrong = channel("status", f"mastodon://{QUOTED}-wrong@127.0.0.1:{account.port}")
    done = deliver(wrong, Text("", TEXT), KEY)
    check(done, {"outcome": "not_sent", "said": "401 Unauthorized (The access token is invalid)"})
    assert account.texts == []


def test_tls_that_fails_is_before_anything_was_sent(account):
    done = deliver(channel("status", status_url(account.port).replace("mastodon:", "mastodons:")), Text("", TEXT), KEY)
    check(done, {"outcome": "not_sent"})
    assert account.texts == []


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
@pytest.mark.parametrize("wording", ["status", "mail", "irc"])
def test_certificates_are_checked(account, certificate, tmp_path, monkeypatch, trusting, wording, trusted):
    """TLS that fails is before anything was sent; what is trusted gets it."""
    if trusted:
        monkeypatch.setattr(delivery, "POSTER", trusting)
    with contextlib.ExitStack() as stack:
        if wording == "status":

            def serve(connection: socket.socket) -> None:
                connection.sendall(servers.forwarded(account.port, servers.request_of(connection)))

            port = stack.enter_context(servers.serving(serve, certificate))
            url = f"mastodons://{QUOTED}@localhost:{port}"
        elif wording == "mail":
            mail, port = stack.enter_context(servers.faulty_mail(certificate=certificate))
            url = f"mailtos://localhost:{port}/list@lab.example?from=losa@lab.example"
        else:
            port = free_port()
            keys = f"[SSL]\nCertFile = {certificate}/cert.pem\nKeyFile = {certificate}/key.pem\nPorts = {port}"
            stack.enter_context(irc_servers.ngircd(tmp_path, options=keys))
            url = f"ircs://localhost:{port}/%23{CHANNEL[1:]}"
        done = deliver(channel(wording, url), Text("", TEXT), KEY)
        arrived = [*account.texts, *(mail.taken if wording == "mail" else [])]
    assert done.outcome == ("sent" if trusted else "not_sent"), done
    assert trusted or "certificate" in done.said
    assert wording == "irc" or len(arrived) == trusted


@pytest.mark.parametrize("case", cases("webhook"))
def test_any_other_service(case):
    """What Apprise reaches by HTTP is watched like a status account; only a status account is told a key."""
    heard = []

    def serve(connection: socket.socket) -> None:
        if case["case"] == "takes it":
            heard.append(servers.request_of(connection))
            connection.sendall(servers.answer("200 OK"))
        else:
            HTTP_FAULTS[case["case"]](connection, 0)

    with contextlib.ExitStack() as stack:
        port = free_port() if case["case"] == "nobody listens" else stack.enter_context(servers.serving(serve))
        hook = channel("mail", f"json://127.0.0.1:{port}/{PASSWORD}")
        assert PASSWORD not in hook.shown
        done = deliver(hook, Text("Subject", TEXT), KEY, timeout_seconds=case.get("timeout", 20))
    check(done, case)
    assert not done.repeatable
    for request in heard:
        head, _, body = request.partition(b"\r\n\r\n")
        assert json.loads(body)["message"] == TEXT
        assert b"idempotency" not in head.lower()


@pytest.mark.parametrize("case", cases("mail"))
def test_a_mail_server_with_a_fault(case):
    first_words = {"hangs up at once": b"", "is busy": b"421 Too busy\r\n"}
    name, more = case["case"], "&cc=cc@lab.example"
    with contextlib.ExitStack() as stack:
        handler = None
        if name == "nobody listens":
            port = free_port()
        elif name == "says nothing":
            port = stack.enter_context(servers.serving(servers.wait_for_the_end))
        elif name == "hangs up before the text":
            port = stack.enter_context(servers.serving(servers.hang_up_at_data))
        elif name in first_words:
            port = stack.enter_context(servers.serving(lambda connection: connection.sendall(first_words[name])))
        else:
            handler, port = stack.enter_context(servers.faulty_mail(name))
        list_ = channel("mail", mail_url(port, more=more))
        done = deliver(list_, Text("Subject", "text"), KEY, timeout_seconds=case.get("timeout", 20))
        check(done, case)
        assert not done.repeatable
        assert sorted(handler.taken if handler else []) == sorted(case.get("taken", []))


@pytest.mark.parametrize(
    "where",
    [
        "/list@lab.example/gone@lab.example",
        "/gone@lab.example/list@lab.example",
        "/list@lab.example,gone@lab.example",
        "&cc",
    ],
)
def test_a_mail_that_some_got_is_not_called_sent(where):
    url = "/list@lab.example?cc=gone@lab.example&" if where == "&cc" else f"{where}?"
    with servers.faulty_mail("refuses one recipient") as (handler, port):
        some = channel("mail", f"mailto://127.0.0.1:{port}{url}from=losa@lab.example")
        done = deliver(some, Text("Subject", "text"), KEY)
    assert handler.taken == ["list@lab.example"]
    assert (done.outcome, done.repeatable) == (Outcome.UNKNOWN, False)
    expected = "gone@lab.example: 550 5.1.1 No such user — but taken by: list@lab.example: 250 2.0.0 Ok: queued"
    assert done.said == expected


def test_a_mail_that_is_refused_and_another_that_is_cut_short_are_certainly_not_out():
    """What is known of the first one's text says nothing about the second one's."""
    with servers.serving(lambda connection: servers.hang_up_at_data(connection, b"554 Spam\r\n")) as port:
        done = deliver(channel("mail", mail_url(port, "list@lab.example/cc@lab.example")), Text("Subject", "x"), KEY)
    assert done.outcome is Outcome.NOT_SENT, done
    assert done.said == "list@lab.example: 554 Spam; cc@lab.example: the server hung up"


@pytest.mark.parametrize("case", cases("irc"))
def test_an_irc_server_with_a_fault(tmp_path, case):
    with contextlib.ExitStack() as stack:
        port = free_port()
        if case["case"] == "says nothing":
            port = stack.enter_context(servers.serving(servers.wait_for_the_end))
        elif case["case"] != "nobody listens":
            (tmp_path / "topic").write_text("")
            argv = [sys.executable, "-m", "tests.modules.irc_faults", str(port), str(tmp_path / "topic"), case["case"]]
            stack.enter_context(irc_servers.running(argv, port, tmp_path / "irc.log"))
        done = deliver(channel("irc", irc_url(port)), Text("", TEXT), KEY, timeout_seconds=case.get("timeout", 20))
        check(done, case)
        log = tmp_path / "log"
        assert (log.read_text().count(f"<rollout> {TEXT}\n") if log.exists() else 0) == case.get("posts", 0)


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("MODE {} +m", "Cannot send to channel"),
        ("MODE {} +b rollout!*@*", "Cannot join channel (+b)"),
        ("MODE {} +k sesame", "Cannot join channel (+k)"),
    ],
)
def test_a_channel_of_ngircd_that_refuses(tmp_path, commands, said):
    with irc_servers.ngircd(tmp_path) as port:
        person = Person(port, channel="#ours")  # who makes a channel is its operator
        person.send(commands.format("#ours"))
        person.hear(b" MODE ")
        url = f"irc://127.0.0.1:{port}/%23ours"
        done = deliver(channel("irc", url), Text("", TEXT), KEY)
        assert done.outcome is Outcome.NOT_SENT, done
        assert said in done.said
        if "+k" in commands:
            assert deliver(channel("irc", f"{url}%3Asesame"), Text("", TEXT), KEY).outcome is Outcome.SENT
            assert TEXT.encode() in person.hear(b" PRIVMSG ")
        person.close()


def test_a_netsplit_leaves_nobody_who_hears_it(tmp_path):
    """Two real servers, the developers on the other one. Nobody can see it from this side but by who is there."""
    link = "MyPassword = link\nPeerPassword = link\n"
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    passive = f"[Server]\nName = irc.example.com\n{link}"
    with contextlib.ExitStack() as far:
        there = far.enter_context(irc_servers.ngircd(tmp_path / "there", name="far.example.com", options=passive))
        active = f"[Server]\nName = far.example.com\nHost = 127.0.0.1\nPort = {there}\n{link}"
        with irc_servers.ngircd(tmp_path / "here", options=active) as here:
            developer, witness = Person(there, nick="jml"), Person(here, nick="witness", channel=None)

            def members() -> bytes:
                witness.send(f"NAMES {CHANNEL}")
                return witness.hear(rb" (353|366) ")

            eventually(lambda: b"jml" in members(), "the link")
            near = channel("irc", irc_url(here))
            done = deliver(near, Text("", TEXT), KEY)
            assert (done.outcome, done.said) == (Outcome.SENT, f"said in {CHANNEL}")
            assert TEXT.encode() in developer.hear(b" PRIVMSG ")
            far.close()
            eventually(lambda: b"jml" not in members(), "the split")
            done = deliver(near, Text("", TEXT), KEY)
            assert (done.outcome, done.said) == (Outcome.SENT, f"said in {CHANNEL} (nobody else is there)")
            developer.close()
            witness.close()


def test_irc_with_an_account_and_with_the_servers_password(tmp_path):
    with irc_servers.server_with_accounts(tmp_path, topic="", password=PASSWORD) as port:
        url = f"irc://rollout:{PASSWORD}@127.0.0.1:{port}/%23{CHANNEL[1:]}?mode=nickserv"
        assert deliver(channel("irc", url), Text("", TEXT), KEY).outcome is Outcome.SENT
        refused = deliver(channel("irc", url.replace(PASSWORD, f"{PASSWORD}x")), Text("", TEXT), KEY)
        check(refused, {"outcome": "not_sent", "said": "SASL authentication failed"})
        assert (tmp_path / "log").read_text().count(TEXT) == 1
    with irc_servers.ngircd(tmp_path, options=f"Password = {PASSWORD}") as port:
        url = f"irc://rollout:{PASSWORD}@127.0.0.1:{port}/%23{CHANNEL[1:]}"
        assert deliver(channel("irc", url), Text("", TEXT), KEY).outcome is Outcome.SENT
        refused = deliver(channel("irc", url.replace(PASSWORD, f"{PASSWORD}x")), Text("", TEXT), KEY)
        check(refused, {"outcome": "not_sent"})


def test_a_mail_server_with_another_password(tmp_path):
    with servers.mail_server(tmp_path) as server:
        url = mail_url(server.port).replace("mailto://", f"mailto://rollout:{PASSWORD}x@")
        check(deliver(channel("mail", url), Text("x", "x"), KEY), {"outcome": "not_sent", "said": "535 "})
        check(
            deliver(channel("mail", mail_url(server.port)), Text("x", "x"), KEY),
            {"outcome": "not_sent", "said": "530 "},
        )
        assert server.mails == []


@pytest.mark.parametrize(
    ("wording", "text", "said"),
    [
        ("status", Text("", "x" * 501), "the text has 501 characters, the channel takes 500"),
        ("status", Text("A title", "x"), "takes no title"),
        ("status", Text("", " \n"), "empty"),
        ("mail", Text("x" * 251, "x"), "the title has 251 characters, the channel takes 250"),
        ("mail", Text("x\nBcc: all@example.com", "x"), "a title is one line"),
        ("mail", Text("x", "x" * 32769), "the text has 32769 characters"),
        ("irc", Text("", "one\r\nQUIT :two"), "one line"),
    ],
)
def test_what_could_not_arrive_as_it_is_is_refused(wording, text, said):
    """Before anything is connected: nobody listens there."""
    urls = {"status": status_url, "mail": mail_url, "irc": irc_url}
    done = deliver(channel(wording, urls[wording](free_port())), text, KEY)
    assert done.outcome is Outcome.NOT_SENT
    assert done.said.startswith("refused, nothing was sent: ")
    assert said in done.said


def test_irc_takes_four_hundred_bytes_and_refuses_what_would_be_cut(tmp_path):
    with irc_servers.lab_server(tmp_path, topic="") as port:
        there = channel("irc", irc_url(port))
        assert deliver(there, Text("", "é" * 200), KEY).outcome is Outcome.SENT
        done = deliver(there, Text("", "é" * 210), KEY)
        assert (tmp_path / "log").read_text().count("PRIVMSG") == 0
        assert (tmp_path / "log").read_text().count("é") == 200
    assert done.outcome is Outcome.NOT_SENT
    assert "this text has 420" in done.said


def test_a_recipient_that_is_none():
    done = deliver(channel("mail", mail_url(free_port())), Text("x", "x"), KEY, to="jml")
    assert done.outcome is Outcome.NOT_SENT
    assert "no mail address" in done.said


@pytest.mark.parametrize(
    "url",
    [
        "mastodon://token@203.0.113.7",
        "mailto://203.0.113.7/a@lab.example?from=b@lab.example",
        "mailto://user:password@127.0.0.1/a@lab.example?smtp=203.0.113.7&from=b@lab.example",
        "irc://203.0.113.7/%23channel",
        "json://203.0.113.7/",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "mastodon://token@nothing.invalid",
    ],
)
def test_only_loopback_where_only_loopback_is_allowed(url):
    wording = "irc" if url.startswith("irc") else "mail"
    done = deliver(channel(wording, url), Text("", "x"), KEY)
    assert done.outcome is Outcome.NOT_SENT
    assert "only loopback addresses are allowed here" in done.said


def test_a_name_that_leads_elsewhere_later_is_refused_at_the_connection():
    """The name's address is asked for twice: when the channel is checked, and by the client."""
    program = """
import socket, requests
from rollout.announcing.attempt import Sending
from rollout.announcing.destination import stay_on_loopback
from rollout.announcing.witness import Witness
asked = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **how: asked("203.0.113.7", *more, **how)
said = []
witness = Witness(Sending(lambda: said.append("sending")))
stay_on_loopback()
witness.watch()
try:
    requests.post("http://localhost:1/", timeout=5)
except requests.ConnectionError:
    print(witness.verdict(ok=False).outcome, witness.verdict(ok=False).said, said)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "not_sent localhost:1: not a loopback address (announcements_loopback_only) []\n"


HANGING = """
import sys
from rollout.announcing.channels import Channel
from rollout.announcing.delivery import deliver
from rollout.announcing.text import Text
channel = Channel("test", "status", sys.stdin.read(), "shown", 0.0, True)
print(deliver(channel, Text("", "x"), "key", timeout_seconds=4), flush=True)
"""


@pytest.mark.parametrize(
    ("where", "how"),
    [
        ("before anything", signal.SIGKILL),
        ("after the request", signal.SIGKILL),
        ("after the request", signal.SIGINT),
    ],
    ids=str,
)
def test_whoever_waits_for_it_is_gone(where, how, tmp_path):
    """Nothing is left; and while it hangs, the token is in no argument and in no environment."""
    arrived = []

    def serve(connection: socket.socket) -> None:
        arrived.append(servers.request_of(connection) if where == "after the request" else connection)
        servers.drip(connection)

    with servers.serving(serve) as port, (tmp_path / "printed").open("w") as printed:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins/module_utils")])}
        parent = subprocess.Popen(
            [sys.executable, "-c", HANGING],
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            env=environment,
            text=True,
        )
        assert parent.stdin is not None
        parent.stdin.write(status_url(port))
        parent.stdin.close()
        eventually(lambda: arrived, "the connection", seconds=60)
        all_ = psutil.Process(parent.pid)
        posting = all_.children(recursive=True)
        assert len(posting) == len(["the process that posts", "its fork"])
        told = json.dumps([[each.cmdline(), each.environ()] for each in (all_, *posting)])
        assert TOKEN not in told
        assert QUOTED not in told
        parent.send_signal(how)
        parent.wait(20)
        eventually(lambda: not any(map(running, posting)), "the end of who posts")
    assert TOKEN not in (tmp_path / "printed").read_text()
    assert QUOTED not in (tmp_path / "printed").read_text()


def running(process: psutil.Process) -> bool:
    """Return False for one that has ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_if_nobody_would_record_it_nothing_is_sent(account):
    """Who waits is killed before the first byte: then its outbox says that it was being sent, and nothing is out."""
    job = Job(status_url(account.port), True, "", "x", KEY, None, 20)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(json.dumps(asdict(job)).encode() + b"\n")
        ours.shutdown(socket.SHUT_RD)
        delivery.POSTER.hand(theirs)
    eventually(lambda: peer_is_gone(ours), "the end of the fork", seconds=60)
    assert account.texts == []


def peer_is_gone(connection: socket.socket) -> bool:
    """Return True when nobody has the other end of a connection any more."""
    try:
        connection.sendall(b"\n")
    except BrokenPipeError:
        return True
    return False


def test_the_process_that_posts_is_started_again(account):
    """It may be killed at any time: what hangs in it meanwhile is not lost, and the next text finds another one."""
    there = channel("status", status_url(account.port))
    assert deliver(there, Text("", "one"), KEY).outcome is Outcome.SENT
    first = delivery.POSTER._process
    first.kill()
    first.wait(20)
    assert deliver(there, Text("", "two"), f"{KEY}-2").outcome is Outcome.SENT
    assert account.texts == ["one", "two"]
    assert delivery.POSTER._process.pid != first.pid


def test_neither_a_netrc_nor_a_proxy_is_asked(account, tmp_path, monkeypatch):
    """Requests would log in with the first, in place of the token; the second may lead elsewhere."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password other\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(delivery, "POSTER", delivery.Poster())  # it is started with this environment
    assert deliver(channel("status", status_url(account.port)), Text("", TEXT), KEY).outcome is Outcome.SENT
    assert account.texts == [TEXT]
