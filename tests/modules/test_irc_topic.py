"""The irc_topic module on real servers: the lab's, and Debian's ngircd (R15)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.modules import irc_servers
from tests.modules.irc_servers import CHANNEL, Person

TOPIC = "Week 3 | https://dev.launchpad.net/ : build green"
RIGHT, WRONG = "let-me-in", "wrong-s3cret"
SAID = f"PQM in RC mode | {TOPIC}"


def ok(result):
    assert not result["failed"], result["msg"]
    return result


@pytest.fixture(params=["lab", "ngircd"])
def port(request, tmp_path) -> Iterator[int]:
    """A server with the channel, its topic and one person in it."""
    make = irc_servers.lab_server if request.param == "lab" else irc_servers.ngircd
    with make(tmp_path, topic=TOPIC) as port:
        yield port


@pytest.fixture
def ngircd(tmp_path):
    """`ngircd(**how) -> port`: a real one, as it is asked for."""
    with contextlib.ExitStack() as stack:
        yield lambda **how: stack.enter_context(irc_servers.ngircd(tmp_path, **how))


@pytest.fixture
def person(port):
    person = Person(port)
    yield person
    person.close()


@pytest.fixture
def set_topic(run_module):
    """`set_topic(port, state, check=False, **options)`."""

    def run(port, state, check=False, env=None, **options):
        args = {"server": "127.0.0.1", "port": port, "tls": False, "channel": CHANNEL, "state": state}
        return run_module("irc_topic", {**args, "timeout_seconds": 30, **options}, check, diff=True, env=env)

    return run


def test_said_and_put_back(set_topic, port, person):
    asked = ok(set_topic(port, "present", check=True))
    assert (asked["changed"], asked["topic"], asked["diff"]["after"]) == (True, TOPIC, SAID + "\n")
    assert person.topic() == TOPIC.encode()
    result = ok(set_topic(port, "present"))
    assert (result["changed"], result["before"], result["topic"], result["nick"]) == (True, TOPIC, SAID, "rollout")
    person.hear(rb":rollout\S* TOPIC #launchpad-dev :?PQM in RC mode")
    assert person.topic() == SAID.encode()
    again = ok(set_topic(port, "present"))
    assert (again["changed"], again["topic"]) == (False, SAID)
    assert ok(set_topic(port, "absent"))["topic"] == TOPIC
    assert person.topic() == TOPIC.encode()
    assert not ok(set_topic(port, "absent"))["changed"]


def test_what_somebody_else_changed_meanwhile_stays(set_topic, port, person):
    ok(set_topic(port, "present"))
    person.set_topic("PQM in RC mode | Week 4")
    ok(set_topic(port, "absent"))
    assert person.topic() == b"Week 4"
    ok(set_topic(port, "present"))
    person.set_topic("Party!")
    assert not ok(set_topic(port, "absent"))["changed"]
    assert person.topic() == b"Party!"


def test_words_of_somebodys_own_are_left_to_a_person(set_topic, port, person):
    person.set_topic("pqm in RC mode until Tuesday")
    assert not ok(set_topic(port, "present"))["changed"]
    result = set_topic(port, "absent")
    assert result["msg"].startswith(f"E-topic-wording  The topic of {CHANNEL} says 'PQM in RC mode' in words of")
    assert f"/topic {CHANNEL} what it is without" in result["msg"]
    assert person.topic() == b"pqm in RC mode until Tuesday"


def test_a_name_that_somebody_has(set_topic, port):
    other = [Person(port, nick, channel=None) for nick in ("rollout", "rollout_")]
    assert ok(set_topic(port, "present"))["nick"] == "rollout__"
    other.append(Person(port, "rollout__", channel=None))
    result = set_topic(port, "absent")
    assert result["msg"].startswith(f"E-irc-nick  127.0.0.1:{port} does not let us be called rollout: ")
    for one in other:
        one.close()


def test_a_topic_that_gets_too_long_is_left_as_it_was(set_topic, port, person):
    """Cut by the server it could never be put back."""
    long = "x" * 380
    person.set_topic(long)
    limit = int(person_limit(port))
    result = set_topic(port, "present")
    if limit >= 397:
        assert ok(result)["topic"] == f"PQM in RC mode | {long}"
        return
    first, then, *_ = result["msg"].splitlines()
    assert first.startswith(f"E-topic-too-long  With 'PQM in RC mode' the topic of {CHANNEL} has 397 bytes, and ")
    assert f"Shorten it by {397 - limit} bytes" in then
    assert person.topic() == long.encode()


def person_limit(port) -> bytes:
    """What the server says of TOPICLEN."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"NICK asker\r\nUSER asker 0 * :a\r\n")
        for line in connection.makefile("rb"):
            if b"TOPICLEN=" in line:
                return line.partition(b"TOPICLEN=")[2].split()[0]
    raise AssertionError("no TOPICLEN")


def test_a_line_of_irc_has_512_bytes(set_topic, port, person):
    before = person.topic()
    result = set_topic(port, "present", phrase="x" * 500)
    assert result["msg"].startswith("E-topic-too-long  ")
    assert person.topic() == before


def test_bytes_that_are_no_utf8_come_back_as_they_were(set_topic, ngircd):
    port = ngircd()
    person = Person(port)
    person.set_topic(b"Caf\xe9 \xff | Week 3")
    result = ok(set_topic(port, "present"))
    assert result["before"] == "Caf\ufffd \ufffd | Week 3"
    assert person.topic() == b"PQM in RC mode | Caf\xe9 \xff | Week 3"
    ok(set_topic(port, "absent"))
    assert person.topic() == b"Caf\xe9 \xff | Week 3"
    person.close()


def test_no_topic_at_all(set_topic, ngircd):
    port = ngircd()
    person = Person(port)
    ok(set_topic(port, "present"))
    assert person.topic() == b"PQM in RC mode"
    ok(set_topic(port, "absent"))
    assert person.topic() in (b"", b"No topic is set")
    person.close()


def test_a_channel_that_takes_its_topic_from_operators(set_topic, ngircd):
    port = ngircd(modes="ntP", topic=TOPIC)
    result = set_topic(port, "present")
    first, *rest = result["msg"].splitlines()
    assert first == f"E-irc-operator  {CHANNEL} takes its topic from operators only (+t), and rollout is none."
    assert f"  By hand, in {CHANNEL}:  /topic {CHANNEL} {SAID}" in rest
    assert rest[-1] == "  Then:  ./runbook.py run"
    person = Person(port)
    assert person.topic() == TOPIC.encode()
    person.close()


@pytest.mark.parametrize(("mode", "reason"), [("+k secret", "+k"), ("+i", "+i")])
def test_a_channel_that_lets_nobody_in(set_topic, ngircd, mode, reason):
    port = ngircd(options="[Operator]\nName = root\nPassword = root\n[Global]")
    person = Person(port, channel="#private")
    person.send(f"MODE #private {mode}")
    person.hear(rb" MODE #private ")
    result = set_topic(port, "present", channel="#private")
    assert result["msg"].startswith(f"E-irc-channel  127.0.0.1:{port} does not let us into #private: ")
    assert reason in result["msg"]
    person.close()


def test_a_channel_where_nobody_is_has_another_name(set_topic, ngircd):
    result = set_topic(ngircd(), "present", channel="#lanchpad-dev")
    assert result["msg"].startswith("E-irc-channel  Nobody is in #lanchpad-dev on 127.0.0.1:")


def test_the_servers_password(set_topic, ngircd):
    port = ngircd(topic=TOPIC, options=f"Password = {RIGHT}")
    assert set_topic(port, "present")["msg"].startswith("E-irc-")
    wrong = set_topic(port, "present", server_password=WRONG)
    assert wrong["failed"]
    right = ok(set_topic(port, "present", server_password=RIGHT))
    assert right["topic"] == SAID
    assert WRONG not in str(wrong)
    assert RIGHT not in str(right)


def test_a_server_without_accounts(set_topic, ngircd):
    result = set_topic(ngircd(topic=TOPIC), "present", account="rollout", password=WRONG)
    assert result["msg"].startswith("E-irc-password  127.0.0.1:")
    assert WRONG not in str(result)


def test_an_account_that_services_make_an_operator(set_topic, tmp_path):
    with irc_servers.server_with_accounts(tmp_path, TOPIC, RIGHT) as port:
        nobody = set_topic(port, "present")
        assert nobody["msg"].startswith(
            f"E-irc-operator  {CHANNEL} takes its topic from operators only (+t), and rollout"
        )
        wrong = set_topic(port, "present", account="rollout", password=WRONG)
        assert wrong["msg"].startswith(
            f"E-irc-password  127.0.0.1:{port} does not let us in: SASL authentication failed."
        )
        assert (tmp_path / "topic").read_text() == TOPIC
        right = ok(set_topic(port, "present", account="rollout", password=RIGHT))
        assert (tmp_path / "topic").read_text() == right["topic"] == SAID
        assert WRONG not in str(wrong)
        assert RIGHT not in str(right)


def test_tls_is_verified(set_topic, ngircd, certificate):
    port = irc_servers.free_port()
    keys = f"[SSL]\nCertFile = {certificate}/cert.pem\nKeyFile = {certificate}/key.pem\nPorts = {port}"
    ngircd(topic=TOPIC, options=keys)
    trusted = {"SSL_CERT_FILE": f"{certificate}/cert.pem"}
    assert ok(set_topic(port, "present", server="localhost", tls=True, env=trusted))["topic"] == SAID
    for server, env in (("localhost", {}), ("127.0.0.1", trusted)):
        result = set_topic(port, "absent", server=server, tls=True, env=env)
        assert result["msg"].startswith(f"E-irc-connection  {server}:{port} cannot be reached: ")
        assert "certificate verify failed" in result["msg"]


def test_a_server_that_is_not_there(set_topic):
    result = set_topic(irc_servers.free_port(), "present")
    assert result["msg"].startswith("E-irc-connection  127.0.0.1:")
    assert "Connection refused" in result["msg"]
    assert f"By hand, in {CHANNEL}:  /topic {CHANNEL} PQM in RC mode | …" in result["msg"]


@pytest.fixture
def puppet():
    """`puppet(answers) -> port`: a server that answers these commands (`None`: by hanging up), and no other."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(answers):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    answer = answers.get(line.split()[0].decode(), "")
                    connection.sendall((answer or "").encode())
                    if answer is None or answer.startswith("ERROR"):
                        connection.shutdown(socket.SHUT_WR)
                        lines.read()

    def start(answers):
        threading.Thread(target=serve, args=(answers,), daemon=True).start()
        return listening.getsockname()[1]

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


WELCOME = {"USER": ":irc 001 rollout :Welcome\r\n:irc 376 rollout :End\r\n"}
NAMES = f":irc 353 rollout = {CHANNEL} :jml rollout\r\n:irc 366 rollout {CHANNEL} :End\r\n"
JOINED = {**WELCOME, "JOIN": NAMES, "PING": ":irc PONG irc\r\n"}
TOLD = {**JOINED, "TOPIC": f":irc 332 rollout {CHANNEL} :{TOPIC}\r\n"}


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({}, "E-irc-silent  127.0.0.1:{port} did not say its welcome within 1 s."),
        (WELCOME, "E-irc-silent  127.0.0.1:{port} did not say who is in the channel within 1 s."),
        (JOINED, "E-irc-silent  127.0.0.1:{port} did not say what the topic is within 1 s."),
        (TOLD, "E-irc-silent  127.0.0.1:{port} did not say the new topic within 1 s."),
        (
            {**JOINED, "TOPIC": f":irc 485 rollout {CHANNEL} :No topics here\r\n"},
            f"E-irc-channel  127.0.0.1:{{port}} does not tell the topic of {CHANNEL}: {CHANNEL} No topics here.",
        ),
        ({"NICK": None}, "E-irc-refused  127.0.0.1:{port} hung up: "),
        ({**JOINED, "TOPIC": None}, "E-irc-refused  127.0.0.1:{port} hung up: "),
        ({"NICK": "ERROR :Closing link: banned\r\n"}, "E-irc-refused  127.0.0.1:{port} hung up: Closing link: banned."),
        (
            {"NICK": ":irc 465 rollout :You are banned\r\n"},
            "E-irc-refused  127.0.0.1:{port} does not let us in: You are",
        ),
        (
            {"NICK": ":irc 432 rollout :Bad nick\r\n"},
            "E-irc-nick  127.0.0.1:{port} does not let us be called rollout: ",
        ),
    ],
)
def test_a_server_that_takes_the_connection_and_no_more(set_topic, puppet, answers, says):
    port = puppet(answers)
    result = set_topic(port, "present", timeout_seconds=1)
    assert result["msg"].startswith(says.format(port=port)), result["msg"]
    assert (
        f"By hand, in {CHANNEL}:  /topic {CHANNEL} PQM in RC mode | {TOPIC if answers is TOLD else '…'}"
        in result["msg"]
    )
    assert result["msg"].endswith("Then:  ./runbook.py run")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("480 rollout {0} :Cannot join channel (+j) - throttle exceeded", "{0} Cannot join channel (+j) - throttle"),
        ("489 rollout {0} :Cannot join channel (SSL is required)", "{0} Cannot join channel (SSL is required)"),
        ("495 rollout {0} :You must wait 30 seconds before rejoining", "{0} You must wait 30 seconds"),
        ("470 rollout {0} ##overflow :Forwarding to another channel", "{0} ##overflow Forwarding"),
        ("437 rollout {0} :Nick/channel is temporarily unavailable", "{0} Nick/channel is temporarily"),
        ("520 rollout :Cannot join channel (IRCops only)", "Cannot join channel (IRCops only)"),
        ("926 rollout {0} :Channel {0} is forbidden: spam", "{0} Channel {0} is forbidden: spam"),
        ("263 rollout JOIN :This command could not be completed: the server is busy", "JOIN This command could"),
        ("FAIL JOIN NEED_REGISTRATION {0} :You must be registered", "NEED_REGISTRATION {0} You must be registered"),
        ("NOTICE rollout :*** You are joining too fast", "*** You are joining too fast"),
    ],
)
def test_a_server_that_keeps_us_out_says_why_at_once(set_topic, puppet, answer, reason):
    """Every server has refusals of its own."""
    said = f":irc {answer.format(CHANNEL)}\r\n"
    port = puppet({**WELCOME, "JOIN": said, "PING": ":irc PONG irc :joined\r\n", "QUIT": None})
    result = set_topic(port, "present")
    wanted = f"E-irc-channel  127.0.0.1:{port} does not let us into {CHANNEL}: {reason.format(CHANNEL)}"
    assert result["msg"].startswith(wanted), result["msg"]


def test_a_welcome_that_goes_on_after_the_join_is_no_refusal(set_topic, puppet):
    late = ":irc 396 rollout host :is now your host\r\n:irc 900 rollout r r :Logged in\r\n:irc 422 rollout :No MOTD\r\n"
    notice = ":NickServ!s@services NOTICE rollout :This nickname is registered.\r\n"
    port = puppet({**TOLD, "JOIN": late + notice + JOINED["JOIN"], "PING": ":irc PONG irc :joined\r\n"})
    result = set_topic(port, "present", timeout_seconds=1)
    assert result["msg"].startswith(f"E-irc-silent  127.0.0.1:{port} did not say the new topic"), result["msg"]


@pytest.mark.parametrize(("option", "value"), [("channel", "#a b"), ("channel", "launchpad"), ("nick", "a\r\nQUIT")])
def test_what_is_no_name_is_refused(set_topic, option, value):
    result = set_topic(1, "present", **{option: value})
    assert result["msg"].startswith(f"E-bad-{option}  {value!r} is not the name of a {option} on IRC.")
