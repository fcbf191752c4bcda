"""Filling a year from a rule, moving what collides (R1, R4): a table, and what holds for every calendar."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.time import cover, schedule
from plugins.module_utils.rollout_core.time.proposal import Facts, propose
from plugins.module_utils.rollout_core.time.schedule import CalendarEvent, Pair
from tests.unit.schedule.test_schedule import RULES, at, event, person, table

DAY = timedelta(days=1)


@pytest.mark.parametrize("row", table("proposals.yml"))
def test_what_is_proposed(row):
    days = [at(f"{day}T08:00") for day in row.get("nominal", ["2026-12-09"])]
    listed = [Pair(at(f"{window}T08:00"), at(f"{backup}T08:00")) for window, backup in row.get("listed", ())]
    people = tuple(person(name, one) for name, one in row.get("cover", {}).items())
    facts = Facts(tuple(event("teams", *one) for one in row.get("events", ())), people, RULES)
    found = propose([Pair(day, day + 2 * DAY) for day in days], listed, at(row.get("earliest", "2026-11-23")), facts)
    where = [f"{one.pair.window:%F}, {one.pair.backup:%F}" if one.pair else "none" for one in found]
    assert ["; ".join([place, *one.why]) for place, one in zip(where, found, strict=True)] == row["gets"]
    assert all(one.moved == bool(one.why) for one in found)


moments = st.integers(0, 24 * 130).map(lambda hours: at("2026-12-01") + timedelta(hours=hours))
lengths = st.integers(0, 24 * 20).map(lambda hours: timedelta(hours=hours))
events = st.lists(
    st.builds(lambda begin, length: CalendarEvent("teams", "e", begin, begin + length, "x:1"), moments, lengths),
    max_size=8,
)
absences = events.map(tuple)


@given(events, absences, absences)
def test_what_is_proposed_is_sound_and_what_needs_no_move_stays(met, dba_away, losa_away):
    zone = at("2026-12-01").tzinfo
    people = (
        cover.Person("stub", ("dba",), "UTC", zone, "s:1", dba_away),
        cover.Person("mthaddon", ("losa",), "UTC", zone, "s:2", losa_away),
    )
    days = [at(f"{day}T08:00") for day in ("2026-12-09", "2027-01-13", "2027-02-10", "2027-03-10")]
    nominal = [Pair(day, day + 2 * DAY) for day in days]
    found = propose(nominal, [], at("2026-12-01"), Facts(tuple(met), people, RULES))
    pairs = [one.pair for one in found if one.pair]

    def against(some):
        yield from schedule.distances(some, RULES)
        yield from schedule.collisions(some, met, RULES)
        yield from cover.cover(some, people, RULES)

    assert [one.what for one in against(pairs)] == []
    assert [schedule.month(one.window) for one in pairs] == [
        schedule.month(one.nominal.window) for one in found if one.pair
    ]
    if not list(against(nominal)):
        assert not any(one.moved for one in found)
    assert all(one.why for one in found if one.moved)
