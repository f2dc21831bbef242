"""Rehearsed time: it never runs backwards, and nobody waits for it in vain."""

from __future__ import annotations

import asyncio
import threading
import time as time_
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.rehearsal.clock import Jumping, Leaping, Scaled, Virtual
from tests.answers import NOW

SECONDS = st.floats(-10, 1e6)


@given(st.lists(SECONDS, max_size=20))
def test_virtual_time_passes_by_sleeping_and_never_runs_backwards(naps: list[float]) -> None:
    time = Virtual(NOW)
    seen = [time.now()]
    for nap in naps:
        time.clock.sleep(nap)
        seen.append(time.clock.now())
    assert seen == sorted(seen)
    slept = sum((timedelta(seconds=max(nap, 0)) for nap in naps), timedelta())
    assert seen[-1] - seen[0] == slept


def test_virtual_time_is_whole_between_threads() -> None:
    time = Virtual(NOW)

    def naps() -> None:
        for _ in range(1000):
            time.sleep(1)

    threads = [threading.Thread(target=naps) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert time.now() - NOW == timedelta(seconds=4000)


def test_virtual_pauses_let_others_have_a_turn() -> None:
    time = Virtual(NOW)
    seen = []

    async def pausing(name: str) -> None:
        for _ in range(2):
            await time.clock.pause(60)
            seen.append(name)

    async def both() -> None:
        await asyncio.gather(pausing("a"), pausing("b"))

    asyncio.run(both())
    assert seen == ["a", "b", "a", "b"]
    assert time.now() - NOW == timedelta(minutes=4)


def test_scaled_time_runs_forwards() -> None:
    time = Scaled(NOW, speed=10_000)
    before = time.clock.now()
    time.clock.sleep(10)
    asyncio.run(time.pause(10))
    assert time.clock.now() - before >= timedelta(seconds=20)


def test_leaping_time_runs_forwards_and_leaps_over_sleep() -> None:
    time = Leaping(NOW, speed=1_000)
    began = time_.monotonic()
    time.clock.sleep(86_400)
    asyncio.run(time.clock.pause(10))  # type: ignore[arg-type]
    passed = time.clock.now() - NOW
    assert passed >= timedelta(seconds=86_410)
    assert time_.monotonic() - began < 86_400 / 1_000


@pytest.mark.parametrize(
    "made",
    [Virtual, Jumping, lambda start: Scaled(start, 2), lambda start: Leaping(start, 2)],
    ids=["virtual", "jumping", "scaled", "leaping"],
)
def test_time_has_a_zone(made: type[Virtual]) -> None:
    with pytest.raises(AssertionError):
        made(datetime(2026, 11, 22))  # noqa: DTZ001 -- the point


# --- side by side ------------------------------------------------------------------------


def run(time: Jumping, *naps: list[float]) -> list[tuple[float, int]]:
    """When each task woke, in seconds, in the order in which they did."""
    seen = []

    async def sleeper(name: int, seconds: list[float]) -> None:
        for each in seconds:
            await time.clock.pause(each)
            seen.append(((time.now() - NOW).total_seconds(), name))

    async def together() -> None:
        await asyncio.gather(*(sleeper(name, each) for name, each in enumerate(naps)))

    with asyncio.Runner(loop_factory=time.loop) as runner:
        runner.run(together())
    return seen


WHOLE = st.lists(st.integers(0, 50).map(float), max_size=6)


@given(WHOLE, WHOLE, WHOLE)
def test_tasks_wake_at_their_own_moments(a: list[float], b: list[float], c: list[float]) -> None:
    """As if each were alone: nobody's waiting adds to anybody else's."""
    seen = run(Jumping(NOW), a, b, c)
    moments = [moment for moment, _ in seen]
    assert moments == sorted(moments)
    for name, naps in enumerate((a, b, c)):
        expected = [sum(naps[: place + 1]) for place in range(len(naps))]
        assert [moment for moment, each in seen if each == name] == expected


def test_time_does_not_jump_while_a_thread_is_at_work() -> None:
    time = Jumping(NOW)
    begun, checked = threading.Event(), threading.Event()
    seen: list[datetime] = []

    def work() -> None:
        begun.set()
        checked.wait(0.05)
        seen.append(time.now())

    async def together() -> None:
        pausing = asyncio.create_task(time.pause(3600))
        await asyncio.to_thread(work)
        assert begun.is_set()
        await pausing

    with asyncio.Runner(loop_factory=time.loop) as runner:
        runner.run(together())
    assert seen == [NOW]
    assert time.now() == NOW + timedelta(hours=1)


def test_a_pause_that_was_given_up_does_not_move_time() -> None:
    time = Jumping(NOW)

    async def main() -> None:
        given_up = asyncio.create_task(time.pause(3600))
        await asyncio.sleep(0)
        given_up.cancel()
        await time.clock.pause(7200)
        assert given_up.cancelled()

    with asyncio.Runner(loop_factory=time.loop) as runner:
        runner.run(main())
    assert time.now() == NOW + timedelta(hours=2)
    assert time.jumps == 1


def test_sleeping_wakes_those_whose_moment_passes() -> None:
    time = Jumping(NOW)

    async def main() -> None:
        early = asyncio.create_task(time.pause(5))
        await asyncio.sleep(0)
        time.clock.sleep(10)
        await early

    with asyncio.Runner(loop_factory=time.loop) as runner:
        runner.run(main())
    assert time.now() == NOW + timedelta(seconds=10)
    assert time.jumps == 0
