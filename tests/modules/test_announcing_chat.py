"""Announcements by chat: Apprise's real clients against an HTTP server on loopback, and what arrives there (R6, R7)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout import ROOT
from rollout.announcing import destination
from rollout.announcing.attempt import Delivered
from rollout.announcing.channels import Channel, checked
from rollout.announcing.delivery import deliver
from rollout.announcing.text import Text
from rollout.outcomes import BadInputError
from rollout.plan.messages import MESSAGES
from tests.modules import announcing_servers as servers

KEY = "a key"
SECRET = "3ccdd113474722377935511fc85d3dd4"  # noqa: S105
TEXT = Text("Launchpad is back", "The update is done.\n\n- one\n- two\n\nIf you <see> *anything* & more, tell us.")
# Slack has one address, and its client no option for another: that alone is changed.
SLACK = """
import json, sys
from apprise.plugins.slack import NotifySlack
from rollout.announcing import destination, post
from rollout.announcing.attempt import Job, Sending
NotifySlack.webhook_url = sys.argv[1]
destination.stay_on_loopback()
done = post.posted(Job(**json.load(sys.stdin)), Sending(lambda: None))
print(json.dumps([done.outcome, done.said]))
"""


class Hook:
    """A web hook that takes, or refuses, whatever is posted, and keeps it."""

    def __init__(self, status: str, body: bytes) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.status, self.body = status, body

    def serve(self, connection: Any) -> None:
        head, _, body = servers.request_of(connection).partition(b"\r\n\r\n")
        self.posted.append((head.split()[1].decode(), json.loads(body)))
        connection.sendall(servers.answer(self.status, self.body))


@pytest.fixture
def sent() -> Callable[..., tuple[Delivered, Hook, Channel]]:
    """`sent("mmost://127.0.0.1:{port}/…", status)`: the outcome, what the server got, and the channel."""

    def send(url: str, status: str = "200 OK", body: bytes = b"ok") -> tuple[Delivered, Hook, Channel]:
        hook = Hook(status, body)
        with servers.serving(hook.serve) as port:
            channel = servers.channel("chat", url.format(port=port))
            return deliver(channel, TEXT, KEY, timeout_seconds=30), hook, channel

    return send


def test_mattermost_has_no_title_so_it_stands_in_bold(sent: Callable[..., tuple[Delivered, Hook, Channel]]) -> None:
    done, hook, channel = sent("mmost://127.0.0.1:{port}/" + SECRET)
    assert done.outcome == "sent", done
    ((path, said),) = hook.posted
    assert (path, said["text"]) == (f"/hooks/{SECRET}", f"**{TEXT.title}**\n\n{TEXT.body}")
    assert SECRET not in channel.shown


def test_a_plain_webhook_gets_title_and_text_as_they_are(sent: Callable[..., tuple[Delivered, Hook, Channel]]) -> None:
    done, hook, channel = sent("json://127.0.0.1:{port}/" + SECRET)
    assert done.outcome == "sent", done
    ((_, said),) = hook.posted
    assert (said["title"], said["message"]) == (TEXT.title, TEXT.body)
    assert SECRET not in channel.shown


def test_slack(tmp_path: Path) -> None:
    """Its webhook's format, which others take as well. It is markup: what would be that is written otherwise."""
    hook = Hook("200 OK", b"ok")
    job = {"url": f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET[:24]}", "loopback_only": False, "title": TEXT.title}
    job |= {"body": TEXT.body, "key": KEY, "to": None, "timeout_seconds": 30}
    with servers.serving(hook.serve) as port:
        argv = [sys.executable, "-c", SLACK, f"http://127.0.0.1:{port}/services"]
        done = subprocess.run(argv, input=json.dumps(job), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout)[0] == "sent", done.stdout
    ((path, said),) = hook.posted
    assert path == f"/services/T1JJ3T3L2/A1BRTD4JD/{SECRET[:24]}"
    whole = json.dumps(said)
    assert TEXT.title in whole
    assert "The update is done." in whole
    assert "&lt;see&gt;" in whole


@pytest.mark.parametrize("url", ["mmost://127.0.0.1:{port}/" + SECRET, "json://127.0.0.1:{port}/" + SECRET])
def test_a_refusal_is_told_without_what_is_secret(
    sent: Callable[..., tuple[Delivered, Hook, Channel]], url: str
) -> None:
    body = json.dumps({"error": f"no such hook {SECRET}"}).encode()
    done, _, _ = sent(url, "404 Not Found", body)
    assert done.outcome == "not_sent"
    assert "404" in done.said
    assert SECRET not in done.said


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23chan",
        "mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4",
        "matrix://rollout:pa55-w0rd@chat.example.com/%23announce",
        "workflows://example.com:443/643a8e62f5ad4a4b/k5mW7pQ2vT9sLx/",
        "jsons://hooks.example.com/3ccdd113474722377935511fc85d3dd4",
    ],
)
def test_each_is_taken_as_a_chat_and_shown_without_its_secrets(tmp_path: Path, url: str) -> None:
    variables = {
        "announcements_channels": {"team": {"wording": "chat", "url": url}},
        "announcements_messages": {m: [] if m in ("announcer_note", "chase") else ["team"] for m in MESSAGES},
        "announcements_loopback_only": False,
    }
    file = tmp_path / "inventories/x/group_vars/all/announcements.yml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(variables))
    (channel,) = checked(variables, file).of("first")
    assert not any(
        part in channel.shown for part in url.split("//")[1].replace("@", "/").replace(":", "/").split("/") if part
    )
    variables["announcements_channels"]["team"]["url"] = "mailto://127.0.0.1/list@lab.example?from=losa@lab.example"
    with pytest.raises(BadInputError, match="what its URL leads to wants the wording mail"):
        checked(variables, file)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23chan", None),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", None),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", None),
        ("mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4", ("chat.example.com", 443)),
    ],
)
def test_a_token_in_the_place_of_a_host_is_looked_up_nowhere(url: str, address: tuple[str, int] | None) -> None:
    assert destination.address(destination.service(url)) == address
