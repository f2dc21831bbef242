"""Lanes with opening hours: what is open ahead, and a job that rests while its lane is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.facts import OpenHours
from planner.catalog.support import Limits
from planner.decision.assessment import Assessment
from planner.decision.timing import (
    CERTAINLY_NOT,
    HORIZON_DAYS,
    Paced,
    Windowed,
    open_spans,
    paced,
)
from tests.decision.builders import HOUR, case, demand, job

if TYPE_CHECKING:
    from planner.catalog import Catalog, LaneFacts

DAY = 24 * HOUR
ALL_DAYS = frozenset(range(7))
WORKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})
SATURDAY = datetime(2026, 11, 21, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
NIGHT = (OpenHours(days=ALL_DAYS, minutes=((0, 60), (1200, 1440))),)
"""From 20:00 to 01:00, as two stretches of a UTC day."""


@pytest.fixture(scope="module")
def plain(facts: Catalog) -> LaneFacts:
    return case(facts, job()).offers[0].lane


def spans(lane: LaneFacts, hours: tuple[OpenHours, ...], now: datetime) -> list[list[float]]:
    """Open stretches in hours from now."""
    found = open_spans(replace(lane, open=hours), now)
    return [[start / HOUR, end / HOUR] for start, end in found]


# --- what is open -----------------------------------------------------------------------


def test_stretches_that_touch_at_midnight_are_one(plain: LaneFacts) -> None:
    found = spans(plain, NIGHT, MONDAY + timedelta(hours=12))
    assert found[:2] == [[8, 13], [32, 37]]


@pytest.mark.parametrize(
    ("at", "first"),
    [
        (timedelta(hours=20) - timedelta(seconds=1), [1 / 3600, 5 + 1 / 3600]),
        (timedelta(hours=20), [0, 5]),
        (timedelta(hours=20, seconds=1), [0, 5 - 1 / 3600]),
        (timedelta(hours=25) - timedelta(seconds=1), [0, 1 / 3600]),
        (timedelta(hours=25), [19, 24]),  # closed from the minute it closes
    ],
)
def test_the_edges_of_opening_hours(plain: LaneFacts, at: timedelta, first: list[float]) -> None:
    assert spans(plain, NIGHT, MONDAY + at)[0] == pytest.approx(first)


def test_days_are_those_of_utc(plain: LaneFacts) -> None:
    weekend = (OpenHours(days=WEEKEND, minutes=((0, 1440),)),)
    assert spans(plain, weekend, SATURDAY)[:2] == [[0, 48], [7 * 24, 9 * 24]]
    assert spans(plain, weekend, MONDAY)[0] == [5 * 24, 7 * 24]
    still_sunday = timezone(timedelta(hours=-8))
    assert spans(plain, weekend, MONDAY.astimezone(still_sunday))[0] == [5 * 24, 7 * 24]


def test_days_with_their_own_hours_join(plain: LaneFacts) -> None:
    """Nights in the week, all day at the weekend: Friday 20:00 to Monday 01:00 is one."""
    hours = (
        OpenHours(days=WORKDAYS, minutes=((0, 60), (1200, 1440))),
        OpenHours(days=WEEKEND, minutes=((0, 1440),)),
    )
    assert spans(plain, hours, SATURDAY - timedelta(hours=12))[0] == [8, 61]


@given(
    st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda after: MONDAY + after),
    st.sets(st.integers(0, 6), min_size=1),
    st.lists(st.integers(0, 1440), min_size=2, max_size=6, unique=True).map(sorted),
)
def test_a_moment_is_open_exactly_when_its_day_and_minute_are(
    plain: LaneFacts, now: datetime, days: set[int], ends: list[int]
) -> None:
    minutes = tuple((one, other) for one, other in zip(ends[::2], ends[1::2], strict=False))
    hours = (OpenHours(days=frozenset(days), minutes=minutes),)
    found = open_spans(replace(plain, open=hours), now)
    assert all(start < end for start, end in found)
    assert all(one[1] < other[0] for one, other in pairwise(found)), "apart and in order"
    for ahead in range(0, 9 * 1440, 97):
        moment = now + timedelta(minutes=ahead)
        minute = moment.hour * 60 + moment.minute
        stated = moment.weekday() in days and any(a <= minute < b for a, b in minutes)
        assert any(a <= ahead * 60 < b for a, b in found) is stated


# --- a job in it ------------------------------------------------------------------------


def inner(rows: int) -> Paced:
    """600 requests a minute: 10 rows a second."""
    found = paced(job(rows), Limits(tier=None, rpm=600), demand(), None)
    assert found is not None
    return found


def rested(rows: int, lane: LaneFacts, now: datetime = MONDAY) -> Windowed:
    return Windowed(inner=inner(rows), spans=open_spans(replace(lane, open=NIGHT), now))


def test_a_short_job_is_done_in_the_stretch_that_is_open(plain: LaneFacts) -> None:
    alone, found = inner(6000), rested(6000, plain)
    assert alone.quoted < HOUR
    assert found.finish == alone.finish
    assert found.by(alone.quoted) == alone.by(alone.quoted)
    assert found.by(alone.quoted - 1) == CERTAINLY_NOT


def test_a_job_rests_while_its_lane_is_closed(plain: LaneFacts) -> None:
    """Two hours of work at midnight: one hour now, the other from 20:00 on."""
    alone, found = inner(72_000), rested(72_000, plain)
    assert alone.finish.p50 is not None
    assert HOUR < alone.finish.p50 < 3 * HOUR
    assert found.finish.p50 == pytest.approx(alone.finish.p50 + 19 * HOUR)
    needed = alone.quoted + 19 * HOUR
    assert found.by(needed + 1) == alone.by(alone.quoted)
    assert found.by(needed - 1) == CERTAINLY_NOT
    assert found.by(20 * HOUR) == found.by(1.5 * HOUR), "nothing is done while it is closed"


def test_what_starts_in_a_closed_hour_waits_for_the_opening(plain: LaneFacts) -> None:
    alone, found = inner(600), rested(600, plain, MONDAY + timedelta(hours=12))
    assert alone.finish.p95 is not None
    assert found.finish.p95 == pytest.approx(alone.finish.p95 + 8 * HOUR)
    assert found.finish.last_admission is not None
    assert found.finish.last_admission > 8 * HOUR


def test_beyond_the_horizon_nothing_is_promised(plain: LaneFacts) -> None:
    """Five hours a day for sixty days are 10.8 M rows."""
    found = rested(11_000_000, plain)
    assert (found.finish.p50, found.finish.p95) == (None, None)
    assert found.by(2 * HORIZON_DAYS * DAY) == CERTAINLY_NOT


@given(st.integers(1, 400_000), st.floats(1, 10 * DAY), st.floats(0, 5 * DAY))
def test_the_chance_rises_with_the_deadline_and_falls_with_the_rows(
    plain: LaneFacts, rows: int, deadline: float, more: float
) -> None:
    found = rested(rows, plain)
    assert found.by(deadline).low <= found.by(deadline + more).low
    assert rested(2 * rows, plain).by(deadline).low <= found.by(deadline).low
    assert found.by(deadline).low <= inner(rows).by(deadline).low, "never sooner than unrested"


@given(st.integers(1, 400_000))
def test_the_finish_is_when_the_chance_comes(plain: LaneFacts, rows: int) -> None:
    """Asked for 95 %, the quoted P95 is the first deadline that is met."""
    found = rested(rows, plain)
    p95 = found.finish.p95
    assert p95 is not None
    assert found.by(p95 + 0.01).low == 0.95
    assert found.by(p95 - 0.01) == CERTAINLY_NOT


def test_an_option_of_a_lane_with_opening_hours(facts: Catalog) -> None:
    """It is noon: the night lane opens at 20:00, the ordinary one is done at once."""
    of = case(facts, job(), demand(10 * HOUR))
    base, *others = of.offers
    quick = next(each for each in others if each.lane.id == "quick")
    lane = replace(quick.lane, open=NIGHT)
    quick = replace(quick, support=replace(quick.support, lane=lane), limits=base.limits)
    found = {
        each.lane: each for each in Assessment(replace(of, offers=(base, quick))).options(HOUR)
    }
    assert found["plain"].verdict == "meets"
    assert found["quick"].verdict == "cannot"
    later = Assessment(replace(of, offers=(base, quick))).options(9 * HOUR)
    assert {each.verdict for each in later} == {"meets"}
