"""The pages say what is so: which names templates may use, and which message goes out when and where."""

from __future__ import annotations

import re

import pytest
import yaml

from rollout import ROOT
from rollout.announcing import names, preview, wording
from rollout.announcing.phrases import FILTERS
from rollout.announcing.site import Words
from rollout.plan.messages import MESSAGES

from .conftest import MESSAGES as GOLDEN
from .conftest import facts_of

OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def section(page, title):
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text):
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_every_name_that_a_template_may_use_is_on_the_page():
    said = {
        cells[0].strip("`"): cells[1].rstrip(" |") for cells in rows(section(ARCHITECTURE, "Texts of announcements"))
    }
    assert said == names.NAMES


def test_every_filter_is_on_the_page():
    text = section(ARCHITECTURE, "Texts of announcements")
    listed = text.partition("Filters: ")[2].partition(".\n")[0]
    assert set(re.findall(r"`(\w+)(?:\(N\))?` \(", listed)) == set(FILTERS)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_what_is_given_is_what_the_page_says(name):
    given = facts_of(name).keys()
    assert given <= names.ALWAYS.keys() | names.WHEN_KNOWN.keys()
    assert given >= names.ALWAYS.keys()
    assert Words().names().keys() == names.OF_THE_SITE.keys()


def test_no_name_is_on_the_page_that_is_never_given():
    given = {known for name in GOLDEN for known in facts_of(name)}
    assert names.NAMES.keys() - given - names.OF_THE_SITE.keys() == set()


def test_every_message_is_in_the_table_with_its_channels():
    said = {
        cells[0].strip("`"): cells[2].split(", ") for cells in rows(section(OPERATIONS, "What is said, when and where"))
    }
    assert list(said) == list(MESSAGES)
    for inventory in ("lab", "production"):
        known = yaml.safe_load((ROOT / f"inventories/{inventory}/group_vars/all/announcements.yml").read_text())
        assert said == known["announcements_messages"], inventory


def test_when_no_stage_announces_it_the_table_and_the_preview_say_the_same():
    said = {cells[0].strip("`"): cells[1] for cells in rows(section(OPERATIONS, "What is said, when and where"))}
    for message, occasion in preview.OCCASIONS.items():
        assert said[message].startswith(occasion), message


def test_limits_are_on_the_page():
    text = section(OPERATIONS, "What is said, when and where")
    for kind, unit in (("status", "characters"), ("irc", "bytes"), ("mail", "characters"), ("chat", "characters")):
        assert f"{wording.WORDINGS[kind].most} {unit}" in " ".join(text.split())


@pytest.mark.parametrize("inventory", ["lab", "production"])
def test_every_message_of_an_inventory_has_the_wordings_of_its_channels(inventory):
    known = yaml.safe_load((ROOT / f"inventories/{inventory}/group_vars/all/announcements.yml").read_text())
    for message, channels in known["announcements_messages"].items():
        for channel in channels:
            how = known["announcements_channels"][channel]["wording"]
            assert how in wording.wordings(message, ROOT / "inventories" / inventory), (message, channel)
