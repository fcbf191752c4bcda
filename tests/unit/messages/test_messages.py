"""Commit messages (R8, R13): real forms, and what must hold for every one."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import messages
from plugins.module_utils.rollout_core.merge.messages import CommitMessage

CASES = yaml.safe_load((Path(__file__).parent / "messages.yml").read_text())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_message(case: dict[str, Any]) -> None:
    says = {key: tuple(value) if isinstance(value, list) else value for key, value in case["says"].items()}
    assert messages.parse(case["message"]) == CommitMessage(**says)


names = st.text("abcdefghij-", min_size=1, max_size=8)
numbers = st.integers(1, 10**9)
tags = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["r", "rs", "ui", "release-critical"]), names),
    st.builds("{}={}".format, st.sampled_from(["bug", "rollback"]), numbers),
    st.builds("bug={},{}".format, numbers, numbers),
    st.sampled_from(["testfix", "no-qa", "incr"]),
)
FOLDS = ["", " ", "\n\t", "\r\n  "]


def written(listed: list[str], text: str) -> str:
    return "".join(f"[{tag}]" for tag in listed) + f" {text}"


@given(st.text())
def test_never_raises(message: str) -> None:
    assert isinstance(messages.parse(message), CommitMessage)


@given(st.text("[]=, \n\tbugrolackqtesfixn-0123456789#", max_size=60))
def test_never_raises_on_what_is_almost_a_tag(message: str) -> None:
    assert isinstance(messages.parse(message), CommitMessage)


@given(st.lists(tags), st.randoms(use_true_random=False))
def test_order_of_tags_does_not_matter(listed: list[str], random: Any) -> None:
    shuffled = random.sample(listed, len(listed))
    assert messages.parse(written(shuffled, "Text.")) == messages.parse(written(listed, "Text."))


@given(st.lists(tags), st.data())
def test_folding_does_not_matter(listed: list[str], data: st.DataObject) -> None:
    message = written(listed, "Some text.")
    fold = st.sampled_from(FOLDS)
    folded = "".join(character + data.draw(fold) if character in "[],= " else character for character in message)
    assert messages.parse(folded) == messages.parse(message)


@given(st.lists(tags), st.sampled_from(["bug=7", "testfix", "no-qa", "rollback=7"]), st.booleans())
def test_every_tag_counts(listed: list[str], tag: str, at_end: bool) -> None:
    without = messages.parse(written(listed, "Text."))
    message = messages.parse(written(listed, f"Text. [{tag}]") if at_end else written([*listed, tag], "Text."))
    said = {
        "bug=7": ("bugs", 7),
        "rollback=7": ("rollbacks", 7),
        "testfix": ("testfix", None),
        "no-qa": ("no_qa", None),
    }
    field, number = said[tag]
    if number is None:
        assert getattr(message, field) is True
    else:
        assert set(getattr(message, field)) == {*getattr(without, field), number}
    assert dataclasses.replace(message, **{field: getattr(without, field)}) == without
