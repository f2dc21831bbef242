"""Laws of the ladders and of undo."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from planner.job import Job
from planner.tui.session import (
    DEADLINES,
    FEWEST_ROWS,
    MOST_ROWS,
    Asked,
    Inputs,
    Session,
    doubled,
    halved,
    later,
    sooner,
    with_rows,
)

DEADLINE = st.none() | st.floats(1, 10**6)
INPUTS = st.builds(Inputs, deadline=DEADLINE, rows=st.none() | st.integers(1, 10**8))


@given(INPUTS)
def test_sooner_is_sooner_and_later_is_later(inputs: Inputs) -> None:
    far = float("inf")
    now = inputs.deadline or far
    assert (sooner(inputs).deadline or far) <= now
    assert (later(inputs).deadline or far) >= now
    assert sooner(inputs).rows == later(inputs).rows == inputs.rows


def test_the_ladder_is_walked_in_both_directions() -> None:
    down = [Inputs()]
    for _ in DEADLINES:
        down.append(sooner(down[-1]))
    assert [each.deadline for each in down] == [None, *reversed(DEADLINES)]
    assert sooner(down[-1]) == down[-1], "the shortest stays"
    up = reduce(lambda seen, _: [*seen, later(seen[-1])], DEADLINES, [down[-1]])
    assert [each.deadline for each in up] == [*DEADLINES, None]
    assert later(Inputs()) == Inputs()


@given(st.integers(2, MOST_ROWS // 2).filter(lambda rows: rows % 2 == 0))
def test_twice_and_half_are_opposites(own: int) -> None:
    assert halved(doubled(Inputs(), own), own) == Inputs()
    assert doubled(halved(Inputs(), own), own) == Inputs()


@given(st.integers(1, MOST_ROWS))
def test_volume_has_bounds(own: int) -> None:
    fewer = more = Inputs()
    for _ in range(40):
        fewer, more = halved(fewer, own), doubled(more, own)
    assert (fewer.rows or own) == FEWEST_ROWS
    assert (more.rows or own) == MOST_ROWS


def test_the_own_volume_is_no_change() -> None:
    assert with_rows(Inputs(rows=7), 70, own=70) == Inputs()


JOBS = st.builds(Job, models=st.sampled_from([("one",), ("one", "two"), ()]))


@given(st.lists(st.builds(Asked, job=JOBS, inputs=INPUTS), max_size=8))
def test_undo_goes_back_the_whole_way(changes: list[Asked]) -> None:
    sessions = [Session(now=Asked(job=Job()))]
    for each in changes:
        changed = sessions[-1].asking(each)
        if changed is not sessions[-1]:
            sessions.append(changed)
    now = sessions[-1]
    for before in reversed(sessions[:-1]):
        now = now.undone()
        assert now == before
    assert now.undone() is now


def test_nothing_asked_is_nothing_to_go_back_to() -> None:
    first = Session(now=Asked()).asking(Asked(job=Job()))
    assert first.earlier == ()
    assert first.with_inputs(Inputs(rows=7)).undone() == first
