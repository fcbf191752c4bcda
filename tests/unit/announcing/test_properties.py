"""Whatever a plan, a site and people say: every text comes out, within its limits, on the lines that it may have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from plugins.module_utils.rollout_core.time import timeline
from rollout.announcing import site as sites
from rollout.announcing import wording
from rollout.announcing.phrases import cut, one_line, span
from rollout.plan import model as plans
from tests.unit.journals import typed

from .conftest import JOURNALS, MESSAGES, PLAN, message_of

INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants it bare
LINE = TypeAdapter(plans.Line)


def is_line(text):
    try:
        LINE.validate_python(text)
    except ValueError:
        return False
    return True


SEEN = st.characters(exclude_categories=("C", "Zl", "Zp"))  # nobody types what is not seen: it is refused
LINES = st.text(SEEN, min_size=1, max_size=400).filter(is_line)
WORDS = st.builds(
    sites.Words,
    service=LINES.map(lambda text: text[:20]).filter(is_line),
    effect=st.sampled_from(["offline", "read-only"]),
    in_full=st.none() | LINES.map(lambda text: text[:60]).filter(is_line),
    paused_first=st.lists(LINES.map(lambda text: text[:20]).filter(is_line), max_size=3).map(tuple),
)
COWBOYS = st.fixed_dictionaries(
    {
        "id": st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,63}\Z"),
        "why": LINES,
        "bug": st.none() | st.integers(1, 10**8),
        "files": st.just(["lib/app.py"]),
        "hosts": st.none() | st.just(["gac"]),
        "state": st.sampled_from(["to_apply", "another_form", "conflict"]),
    }
)


@st.composite
def plans_(draw):
    changed = {
        **PLAN,
        "kind": draw(st.none() | st.just("partial_downtime")),
        "window": {"start": draw(INSTANTS).isoformat(), "minutes": draw(st.integers(1, 1440))},
        "people": {"losa": draw(LINES)},
        "policy": {**PLAN["policy"], "pause_minutes_before": draw(st.floats(0, 10_000))},
    }
    return plans.Plan.model_validate(changed).as_vars()


@settings(max_examples=60, deadline=None)
@given(
    plan=plans_(),
    words=WORDS,
    said=st.text(max_size=600),
    number=st.integers(1, 999),
    cowboys=st.lists(COWBOYS, min_size=1, max_size=4),
    name=st.sampled_from(sorted(MESSAGES)),
)
def test_every_text_keeps_its_limits(plan, words, said, number, cowboys, name):
    given_ = {
        key: value for key, value in MESSAGES[name].items() if key in ("moved_from", "chase", "channels", "right")
    }
    if "chase" in given_:
        given_["chase"] = {**given_["chase"], "cowboys": cowboys, "owner": said}
    if "after" in MESSAGES[name]:
        given_["after"] = (PLAN, typed(JOURNALS[MESSAGES[name]["after"]]))
    told = {"source": said, "problem": said, "resolution": said, "right": said, "wrong": said, "number": number}
    message, now = message_of(name), timeline.window(plan)[0] - timedelta(hours=1)
    facts = {**wording.about(plan, [], now, **given_), **one_line(told)}
    facts |= {"tried": now, "begun": True, "all_back": True, "wrong_at": now, **words.names()}
    for how in wording.wordings(message):
        text = wording.render(message, how, facts)
        kind = wording.WORDINGS[how]
        assert kind.size(text) <= kind.most
        assert text.title == "" or len(text.title.splitlines()) == 1
        assert text.body.strip()
        if how == "irc":
            assert len(text.body.splitlines()) == 1
            assert len(text.body.encode()) <= 400
        if how == "mail":
            assert all(len(line) <= 78 or " " not in line.strip() for line in text.body.splitlines())


@given(text=st.text(), most=st.integers(10, 300))
def test_cut_keeps_within_bytes_and_loses_nothing_that_fits(text, most):
    kept = cut(text, most)
    assert len(kept.encode()) <= most
    assert kept == text or (kept.endswith("…") and text.startswith(kept[:-1]))
    assert (kept == text) == (len(text.encode()) <= most) or text.endswith("…")


@given(start=INSTANTS, minutes=st.integers(1, 1440))
def test_a_span_names_the_day_of_both_ends(start, minutes):
    end = start + timedelta(minutes=minutes)
    said = span(start, end)
    assert said.endswith(str(end.year))
    assert (" to " in said) == (start.date() != end.date())
    assert said.count(" of ") == (1 if start.date() == end.date() else 2)
    assert (str(start.year) in said) or start.year == end.year
