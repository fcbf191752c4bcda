"""The next attempt (R8, R20, R21): a table that a coordinator could check, and what must hold for every abort."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.time.next_attempt import Candidate, Fix, Rules, consider

TABLE = yaml.safe_load((Path(__file__).parent / "considered.yml").read_text())
ABORT = datetime(2026, 12, 9, 8, 42, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = Rules(notice=24 * HOUR, merge_before=48 * HOUR, merge_lead=20 * HOUR)


def instant(text, now):
    """`10 Dec 16:00`, with seconds if need be; `now`; None for `unknown`."""
    if text in {"now", "unknown"}:
        return now if text == "now" else None
    form = "%d %b %H:%M:%S %Y" if text.count(":") == 2 else "%d %b %H:%M %Y"
    return datetime.strptime(f"{text} 2026", form).replace(tzinfo=UTC)


def candidate(text):
    day, month, clock, kind = text.split(" ", 3)
    return Candidate(instant(f"{day} {month} {clock}", None), kind)


@pytest.mark.parametrize("row", [pytest.param(row, id=row["case"]) for row in TABLE])
def test_what_is_said_of_each_candidate(row):
    now = instant(row["now"], None) if "now" in row else ABORT
    hours = {name: float(row.get(name, "24 h").removesuffix(" h")) for name in ("replica", "notice")}
    found = consider(
        [candidate(text) for text in row["candidates"]],
        now,
        ABORT + hours["replica"] * HOUR,
        Fix(instant(row["mended"], now), row["pin"] == "new", row.get("waived_by")),
        Rules(hours["notice"] * HOUR, RULES.merge_before, RULES.merge_lead),
    )
    assert [seen.why for seen in found] == row["says"]
    assert [(seen.start, seen.kind) for seen in found] == [
        (wanted.start, wanted.kind) for wanted in map(candidate, row["candidates"][: len(found)])
    ]
    assert [seen.accepted for seen in found] == [says.startswith("yes: ") for says in row["says"]]


# Whole quarters of an hour, so that limits are met exactly often enough.
spans = st.integers(0, 4 * 24 * 30).map(lambda quarters: quarters * HOUR / 4)
candidates = st.lists(
    st.builds(
        Candidate, (spans | spans.map(lambda span: -span / 10)).map(lambda span: ABORT + span), st.just("window")
    ),
    max_size=12,
).map(lambda them: sorted(them, key=lambda one: one.start))
rules = st.builds(Rules, spans, spans, spans)
fixes = st.builds(
    Fix, st.none() | spans.map(lambda span: ABORT - 24 * HOUR + span), st.booleans(), st.none() | st.just("Kiko")
)
replicas = spans.map(lambda span: ABORT + span)


def keeps_every_rule(start, replica_back, fix, rules):
    """R21, R20 and R8 as the process says them, independently of how the code goes about it."""
    if start <= ABORT or start - ABORT < rules.notice or start < replica_back:
        return False
    if fix.mended_at is None or fix.mended_at > start:
        return False
    since_fix = min(start - fix.mended_at, start - ABORT)
    needed = [rules.merge_lead] if fix.waived_by else [rules.merge_lead, rules.merge_before]
    return not fix.new_pin or all(since_fix >= length for length in needed)


@given(candidates, replicas, fixes, rules)
def test_the_first_that_keeps_every_rule_is_accepted_and_no_other(offered, replica_back, fix, rules):
    found = consider(offered, ABORT, replica_back, fix, rules)
    assert [seen.accepted for seen in found] == [
        keeps_every_rule(seen.start, replica_back, fix, rules) for seen in found
    ]
    assert all(not seen.accepted for seen in found[:-1])
    kept = [one for one in offered if keeps_every_rule(one.start, replica_back, fix, rules)]
    assert [seen.start for seen in found if seen.accepted] == [one.start for one in kept[:1]]


@given(candidates, replicas, fixes, rules, spans)
def test_more_notice_never_brings_the_attempt_forward(offered, replica_back, fix, rules, more):
    later = Rules(rules.notice + more, rules.merge_before, rules.merge_lead)
    starts = [accepted(offered, replica_back, fix, wanted) for wanted in (rules, later)]
    assert starts[1] is None or (starts[0] is not None and starts[0] <= starts[1])


@given(candidates, replicas, fixes, rules)
def test_a_waiver_or_an_unchanged_pin_never_puts_it_off(offered, replica_back, fix, rules):
    strict = Fix(fix.mended_at, new_pin=True)
    for easier in (Fix(fix.mended_at, new_pin=True, waived_by="Kiko"), Fix(fix.mended_at, new_pin=False)):
        starts = [accepted(offered, replica_back, one, rules) for one in (strict, easier)]
        assert starts[0] is None or (starts[1] is not None and starts[1] <= starts[0])


@given(candidates, replicas, fixes, rules)
def test_a_refusal_never_says_that_what_is_wanted_is_there(offered, replica_back, fix, rules):
    """`24 h of notice, R21 asks for 24 h` would explain nothing."""
    for seen in consider(offered, ABORT, replica_back, fix, rules):
        have, _, wanted = seen.why.removeprefix("no: ").partition(" of notice, R21 asks for ")
        assert not wanted or have != wanted


def accepted(offered, replica_back, fix, rules):
    return next((one.start for one in consider(offered, ABORT, replica_back, fix, rules) if one.accepted), None)
