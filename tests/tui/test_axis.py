"""Laws of the time axis: the order in time is the order on the line, whatever the width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.tui.axis import (
    CROSSED,
    LATE,
    LATE_ON_TICK,
    SPAN,
    TICK,
    TRACK,
    TYPICAL,
    axis,
    end_label,
    scale,
    strip,
)
from planner.tui.pieces import Tone, cells, plain

TIMES = st.floats(0.5, 40 * 86400)
WIDTHS = st.integers(14, 72)


@given(TIMES, TIMES, TIMES, WIDTHS)
def test_order_in_time_is_order_on_the_line(
    one: float, other: float, deadline: float, width: int
) -> None:
    line = axis([one, other], deadline)
    first, last = sorted([one, other])
    assert 0 <= line.place(first, width) <= line.place(last, width) < width


@given(TIMES, TIMES, WIDTHS)
def test_what_ends_after_the_deadline_is_beyond_its_tick(
    time: float, deadline: float, width: int
) -> None:
    line = axis([time], deadline)
    tick = line.tick(width)
    assert tick is not None
    assert 0 < tick < width - 1
    assert (line.place(time, width) > tick) == (time > deadline)
    assert (line.place(time, width) < tick) == (time < deadline)


@given(st.lists(TIMES, max_size=3), st.none() | TIMES, WIDTHS)
def test_every_row_and_the_scale_are_as_wide_as_the_axis(
    times: list[float], deadline: float | None, width: int
) -> None:
    line = axis(times, deadline)
    ordered = sorted(times)
    typical, late = (ordered[0], ordered[-1]) if ordered else (None, None)
    assert cells(strip(line, width, typical, late, Tone.GOOD)) == width
    assert cells(scale(line, width)) == width


def drawn(typical: float | None, late: float | None, deadline: float | None) -> str:
    return plain(strip(axis([], deadline), 21, typical, late, Tone.GOOD))


def test_a_range_across_the_deadline() -> None:
    text = drawn(1800, 29206, 21600)
    assert [text.count(mark) for mark in (TYPICAL, CROSSED, LATE)] == [1, 1, 1]
    assert text.index(TYPICAL) < text.index(SPAN) < text.index(CROSSED) < text.index(LATE)


def test_a_range_that_ends_on_the_deadline() -> None:
    assert drawn(1800, 21600, 21600).count(LATE_ON_TICK) == 1


def test_a_range_before_the_deadline_leaves_the_tick_free() -> None:
    assert TICK in drawn(600, 900, 21600)
    assert TICK in drawn(20000, 21599, 21600)


def test_nothing_known_is_an_empty_track() -> None:
    assert drawn(None, None, None) == TRACK * 21


def test_the_axis_stands_still_while_a_deadline_moves() -> None:
    usual = axis([], None)
    for deadline in (900.0, 6 * 3600.0, 3 * 86400.0):
        moved = axis([], deadline)
        assert (moved.low, moved.high) == (usual.low, usual.high)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1s"), (10, "10s"), (60, "1m"), (3600, "1h"), (3 * 86400, "3d")]
)
def test_ends_are_labelled_in_their_own_unit(seconds: float, text: str) -> None:
    assert end_label(seconds) == text
