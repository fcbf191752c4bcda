"""When RC mode ends by itself (R13), and what the topic says meanwhile (R15): tables."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import channel_topic, rc_mode_end

HERE = Path(__file__).parent
RELEASES = yaml.safe_load((HERE / "releases.yml").read_text())
TOPICS = yaml.safe_load((HERE / "topics.yml").read_text())
# YAML cannot hold it.
TOPICS.append({"case": "bytes that are no UTF-8", "before": "Caf\udce9", "said": "PQM in RC mode | Caf\udce9"})
PHRASE = "PQM in RC mode"


def cases(table):
    return [pytest.param(case, id=case["case"]) for case in table]


@pytest.mark.parametrize("case", cases(RELEASES))
def test_release(case):
    noted, tip = case["noted"], case["tip"]
    first = (noted or 0) + 1
    landed = [rc_mode_end.Revision(first + place, text) for place, text in enumerate(case.get("landed", []))]
    found = rc_mode_end.decide(
        "devel",
        noted=None if noted is None else (noted, f"revid-{noted}"),
        tip=(tip, f"revid-{tip}"),
        same_content=case.get("same_content", False),
        landed=landed,
    )
    assert found == (case["released"], case["why"])


def test_the_same_number_is_not_the_same_revision():
    landed = [rc_mode_end.Revision(7, "Another.")]
    found = rc_mode_end.decide("devel", noted=(7, "a"), tip=(7, "b"), same_content=False, landed=landed)
    assert not found.released


@pytest.mark.parametrize("case", cases(TOPICS))
def test_topic(case):
    said = channel_topic.saying(case["before"], PHRASE)
    assert said == case["said"]
    assert channel_topic.saying(said, PHRASE) == said
    after = channel_topic.without(case.get("meanwhile", said), PHRASE)
    assert after == case.get("after", case["before"])
    assert channel_topic.says(after, PHRASE) is case.get("still", False)


@given(st.text(st.characters(exclude_characters="\r\n\0"), max_size=80))
def test_a_topic_that_does_not_say_it_is_put_back_exactly(topic):
    said = channel_topic.saying(topic, PHRASE)
    assert channel_topic.says(said, PHRASE)
    assert channel_topic.says(topic, PHRASE) or channel_topic.without(said, PHRASE) == topic
