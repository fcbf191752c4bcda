"""Every channel of the lab's inventory leads to a real server of the lab, and a snapshot has what was said there."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from lab import lab as embedded
from lab import parts
from lab.layout import HTTP_PORT, PROJECT, Lab
from rollout.announcing import channels
from rollout.announcing.attempt import Outcome
from rollout.announcing.delivery import deliver
from rollout.announcing.text import Text
from rollout.plan.messages import MESSAGES

INVENTORY = PROJECT / "inventories" / "lab"
SAID = "Launchpad is back – 90 minutes early"


def said(lab: Lab) -> dict[str, list[str]]:
    """What arrived, by where: posts, who got a mail, lines in the channel."""
    posts = json.loads((lab.status_account / "statuses.json").read_text())
    mails = [mail.read_text().splitlines() for mail in sorted((lab.mail / "mails").glob("*.eml"))]
    lines = lab.irc_log.read_text().splitlines() if lab.irc_log.exists() else []
    return {
        "posts": [post["text"] for post in posts],
        "mails": [line.removeprefix("Delivered-To: ") for mail in mails for line in mail if line[:9] == "Delivered"],
        "lines": [line.partition(" ")[2] for line in lines],
    }


def test_every_channel_delivers_and_a_snapshot_has_it(fresh_lab: Lab, tmp_path: Path) -> None:
    found = channels.load(INVENTORY)
    assert all(found.of(message) for message in MESSAGES)
    for name, channel in found.by_name.items():
        text = Text("Launchpad is back" if channel.wording == "mail" else "", SAID)
        to = "jml@lab.example" if name == "owners" else None
        done = deliver(channel, text, f"2026-12/1/{name}", to=to)
        assert done.outcome is Outcome.SENT, done
    after = {
        "posts": [SAID],
        "mails": ["announcer@lab.example", "lp-announce@lists.lab.example", "jml@lab.example"],
        "lines": [f"#launchpad-dev <rollout> {SAID}"],
    }
    assert said(fresh_lab) == after
    with urllib.request.urlopen(f"http://{fresh_lab.status_account_address}:{HTTP_PORT}/", timeout=20) as page:
        assert f"<p>{SAID}</p>" in page.read().decode()

    embedded.snapshot(fresh_lab.directory, tmp_path / "snapshot")
    status = found["status"]
    assert deliver(status, Text("", "to be forgotten"), "2026-12/2/status").outcome is Outcome.SENT
    embedded.restore(fresh_lab.directory, tmp_path / "snapshot")
    assert said(fresh_lab) == after
    again = deliver(status, Text("", SAID), "2026-12/1/status")
    assert (again.outcome, said(fresh_lab)) == (Outcome.SENT, after)  # the key is remembered, too


@pytest.mark.parametrize("secret", ["smtp/password", "status_account/token"])
def test_a_secret_is_this_labs_alone(lab: Lab, secret: str) -> None:
    """Only its owner reads it, and no process of the lab has it as an argument or in its environment."""
    file = lab.directory / secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().strip()) >= 16
    told = [*(part.argv for part in parts.parts(lab)), *(part.environment.values() for part in parts.parts(lab))]
    assert file.read_text().strip() not in str([list(words) for words in told])
