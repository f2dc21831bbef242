"""Event simulation of a paced realtime client: the referee of the closed form.

One client sends its attempts in order; each leaves as soon as a slot is free and every
bucket holds what it takes (or is full, for an attempt larger than the bucket's burst, which
then runs a debt). Latencies and uses are lognormal. A failed attempt queues again behind
the rest after an exponential back-off. Nothing here shares code with the closed form.
"""

from __future__ import annotations

import heapq
import math
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.decision.realtime import Bucket, Load


def makespan(load: Load, seed: int) -> float:
    """Seconds from the first request to the last answer in one seeded run."""
    random = Random(seed)
    latency = _lognormal(random, load.latency_mean, load.latency_cv)
    buckets = [_Level(random, bucket) for bucket in load.buckets if bucket.use]
    slots = [0.0] * load.concurrency
    again: list[tuple[float, int]] = []
    now = end = 0.0
    fresh = load.rows
    while fresh or again:
        tries = 0
        if again and (not fresh or again[0][0] <= now):
            ready, tries = heapq.heappop(again)
            now = max(now, ready)
        else:
            fresh -= 1
        now = max(now, slots[0])
        for bucket in buckets:
            now = max(now, bucket.ready())
        for bucket in buckets:
            bucket.take(now)
        done = now + latency()
        heapq.heapreplace(slots, done)
        end = max(end, done)
        if tries < load.retries and load.failure_rate and random.random() < load.failure_rate:
            heapq.heappush(again, (done + 0.5 * 2**tries, tries + 1))
    return end


def _lognormal(random: Random, mean: float, cv: float) -> Callable[[], float]:
    if cv == 0:
        return lambda: mean
    variance = math.log1p(cv * cv)
    mu, sigma = math.log(mean) - variance / 2, math.sqrt(variance)
    return lambda: math.exp(random.gauss(mu, sigma))


class _Level:
    """A bucket that refills evenly up to its burst."""

    def __init__(self, random: Random, bucket: Bucket) -> None:
        self._draw = _lognormal(random, bucket.use, bucket.cv)
        self._rate = bucket.limit / bucket.window
        self._burst = self._level = bucket.burst * bucket.limit
        self._at = 0.0
        self._next = self._draw()

    def ready(self) -> float:
        missing = min(self._next, self._burst) - self._level
        return self._at + max(0.0, missing) / self._rate

    def take(self, now: float) -> None:
        level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._level, self._at = level - self._next, now
        self._next = self._draw()
