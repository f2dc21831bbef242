"""Token buckets of the rehearsed vendors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.rehearsal.limits import Bucket, Realtime
from planner.handoff.rehearsal.openai_protocol import duration
from tests.answers import NOW

LIMIT = st.integers(1, 100_000)


@given(LIMIT, st.lists(st.tuples(st.floats(0, 90), st.integers(1, 2_000)), max_size=40))
def test_no_window_gives_more_than_a_full_bucket_and_what_fills_it(
    limit: int, asked: list[tuple[float, int]]
) -> None:
    """From any moment on: what is admitted within t seconds is at most limit x (1 + t / 60)."""
    realtime, now = Realtime(limits={"rpm": limit}), NOW
    admitted = []
    for gap, amount in asked:
        now += timedelta(seconds=gap)
        wanted = min(amount, limit)
        if realtime.admit("m", {"rpm": wanted}, now) is None:
            admitted.append((now, wanted))
    for place, (start, _) in enumerate(admitted):
        taken = 0
        for moment, amount in admitted[place:]:
            taken += amount
            seconds = (moment - start).total_seconds()
            assert taken <= limit * (1 + seconds / 60) * (1 + 1e-9) + 1e-6


@given(LIMIT, st.integers(1, 200_000))
def test_who_waits_as_told_is_admitted(limit: int, amount: int) -> None:
    realtime = Realtime(limits={"itpm": limit})
    realtime.admit("m", {"itpm": limit}, NOW)
    refused = realtime.admit("m", {"itpm": amount}, NOW)
    assert refused is not None
    assert refused.meter == "itpm"
    later = NOW + timedelta(seconds=refused.retry_after)
    assert realtime.admit("m", {"itpm": amount}, later) is None


def test_a_refused_request_takes_nothing() -> None:
    realtime = Realtime(limits={"rpm": 10, "otpm": 5})
    assert realtime.admit("m", {"rpm": 1, "otpm": 5}, NOW) is None
    refused = realtime.admit("m", {"rpm": 1, "otpm": 5}, NOW)
    assert refused is not None
    assert realtime.said("m", "rpm", NOW) == (10, 9, 6.0)


def test_what_turns_out_later_may_overdraw() -> None:
    realtime = Realtime(limits={"otpm": 60})
    realtime.admit("m", {"otpm": 1}, NOW)
    realtime.settle("m", "otpm", 99, NOW)
    assert realtime.said("m", "otpm", NOW) == (60, 0, 100.0)
    refused = realtime.admit("m", {"otpm": 1}, NOW)
    assert refused is not None
    assert refused.retry_after == 41


def test_models_do_not_share() -> None:
    realtime = Realtime(limits={"rpm": 1})
    assert realtime.admit("a", {"rpm": 1}, NOW) is None
    assert realtime.admit("b", {"rpm": 1}, NOW) is None
    assert realtime.admit("a", {"rpm": 1}, NOW) is not None


def test_a_meter_without_a_limit_is_free() -> None:
    realtime = Realtime()
    assert all(realtime.admit("m", {"rpm": 10**9}, NOW) is None for _ in range(3))
    assert realtime.said("m", "rpm", NOW) is None


def test_a_clock_that_runs_backwards_fills_nothing() -> None:
    bucket = Bucket.full(60, NOW)
    bucket.level = 0
    bucket.fill(NOW - timedelta(hours=1))
    assert bucket.level == 0
    bucket.fill(NOW + timedelta(seconds=1))
    assert bucket.level == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0ms"), (0.0204, "20ms"), (1, "1s"), (59.9994, "59.999s"), (60, "1m0s"), (360, "6m0s")],
)
def test_durations_are_written_as_go_does(seconds: float, said: str) -> None:
    assert duration(seconds) == said
