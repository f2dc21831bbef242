"""When a shipment is done: a job as batches, in waves, with their fates together or apart.

A job larger than the vendor's limits becomes several batches, in waves when the queue is
limited; each follows the law of one batch (`turnaround`). Their fates are shown as two ends,
independent and shared: incidents last days, so neither end alone would be honest. A union
bound over the waves was rejected: with five waves it says 0.16 where playing the queue says
0.83. Times are seconds as float; what is played is played from a seed.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from operator import add
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from planner.decision.turnaround import limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from planner.decision.turnaround import Grade, Law, Side

AtWindow = Literal["expires", "keeps_running", "best_effort"]

DRAWS: Final = 4_000
_WORK: Final = 80_000
_STRATA: Final = 500
_MOST_PLAYED: Final = 400
_MEAN_STEPS: Final = 800
_GRID: Final = 97


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLimits:
    """What one batch may hold and what may wait at once; None is no published limit."""

    requests: int | None = None
    bytes: int | None = None
    queued_requests: int | None = None
    queued_tokens: int | None = None
    active: int | None = None

    def __post_init__(self) -> None:
        for name in ("requests", "bytes", "queued_requests", "queued_tokens", "active"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"limit {name} must be >= 1, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A job as batches: how many, how large, how many at once, in how many waves.

    `binding` is the limit that forces more than one batch, `held_by` the one that keeps
    them from all waiting at once; None where no limit does.
    """

    batches: int = 1
    rows_per_batch: int = 1
    concurrent: int = 1
    waves: int = 1
    binding: str | None = None
    held_by: str | None = None

    def bound(self, window: float, *, resubmissions: int = 0) -> float:
        """Documented bound in seconds: (waves + resubmissions) x window."""
        return (self.waves + resubmissions) * window


def split(rows: int, byte_count: int | None, tokens: int | None, limits: SplitLimits) -> Shipment:
    """The fewest batches the limits allow; an unknown size (None) is not held against it.

    Splitting further would only make the last batch later. ValueError below one row.
    """
    if rows < 1:
        raise ValueError(f"rows must be >= 1, not {rows}")
    sizes = (
        ("requests", rows, limits.requests),
        ("bytes", byte_count, limits.bytes),
        ("queued_tokens", tokens, limits.queued_tokens),
        ("queued_requests", rows, limits.queued_requests),
    )
    forced = {
        name: -(-size // most)
        for name, size, most in sizes
        if size is not None and most is not None
    }
    batches = min(rows, max([1, *forced.values()]))
    per_batch = -(-rows // batches)
    at_once = _at_once(batches, per_batch, tokens, limits)
    concurrent = max(1, min([batches, *at_once.values()]))
    return Shipment(
        batches=batches,
        rows_per_batch=per_batch,
        concurrent=concurrent,
        waves=-(-batches // concurrent),
        binding=max(forced, key=forced.__getitem__) if batches > 1 else None,
        held_by=min(at_once, key=at_once.__getitem__) if concurrent < batches else None,
    )


def _at_once(
    batches: int, per_batch: int, tokens: int | None, limits: SplitLimits
) -> dict[str, int]:
    allowed: dict[str, int] = {}
    if limits.queued_tokens is not None and tokens:
        allowed["queued_tokens"] = limits.queued_tokens * batches // tokens
    if limits.queued_requests is not None:
        allowed["queued_requests"] = limits.queued_requests // per_batch
    if limits.active is not None:
        allowed["active"] = limits.active
    return allowed


def oversized(
    limits: SplitLimits, *, largest_bytes: int | None = None, largest_tokens: int | None = None
) -> str | None:
    """The limit a single row exceeds, so that no split helps; None when every row fits."""
    sizes = (
        ("bytes", largest_bytes, limits.bytes),
        ("queued_tokens", largest_tokens, limits.queued_tokens),
    )
    for name, size, most in sizes:
        if size is not None and most is not None and size > most:
            return name
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """P(all done by a deadline) with its 80 % interval; all None when nothing is known."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One batch until its rows are there, from one side of the credible interval.

    `window` is set where a batch ends unfinished at its window: it is then sent again
    whole, or, without `resubmit`, counts as never done (an incident outlasts it).
    """

    law: Law
    side: Side
    window: float | None
    resubmit: bool

    def within(self, time: float) -> float:
        return limit(self.law.cdf(time), self.law.worth, self.side)

    def at(self, time: float) -> float:
        if time < 0:
            return 0.0
        if self.window is None:
            return self.within(time)
        if not self.resubmit:
            return self.within(min(time, self.window))
        sent_again = int(time // self.window)
        unfinished = (1 - self.within(self.window)) ** sent_again
        return 1 - unfinished * (1 - self.within(time - sent_again * self.window))

    def quantile(self, p: float) -> float:
        if self.window is None:
            return self._within_quantile(p)
        expiry = 1 - self.within(self.window)
        if p <= 1 - expiry:
            return min(self._within_quantile(p), self.window)
        if not self.resubmit or expiry >= 1 or p >= 1:
            return math.inf
        sent_again = int(math.log1p(-p) / math.log(expiry)) if expiry > 0 else 0
        rest = 1 - (1 - p) / expiry**sent_again
        return sent_again * self.window + min(self._within_quantile(rest), self.window)

    def _within_quantile(self, p: float) -> float:
        if self.side == "mean":
            return self.law.quantile(p)
        return self.law.quantile(_limit_inverse(p, self.law.worth, self.side))


def _limit_inverse(p: float, worth: float, side: Side) -> float:
    """The share whose credible limit is p, read off a table with straight lines between."""
    shares, limits = _limit_table(worth, side)
    after = min(max(bisect_left(limits, p), 1), len(limits) - 1)
    below, above = limits[after - 1], limits[after]
    part = (p - below) / (above - below) if above > below else 1.0
    return shares[after - 1] + part * (shares[after] - shares[after - 1])


@lru_cache(maxsize=256)
def _limit_table(worth: float, side: Side) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shares, denser towards 0 and 1, and their credible limits."""
    inner = (1 / (1 + math.exp(-12 + 24 * i / (_GRID - 1))) for i in range(_GRID))
    shares = (0.0, *sorted(inner), 1.0)
    return shares, tuple(accumulate((limit(s, worth, side) for s in shares), max))


@dataclass(frozen=True, slots=True, kw_only=True)
class _SharedFate:
    """All batches take the same time: the waves follow each other like one batch."""

    service: _Service
    waves: int

    def at(self, time: float) -> float:
        return self.service.at(time / self.waves)

    def quantile(self, p: float) -> float:
        return self.waves * self.service.quantile(p)

    def done_share(self, time: float) -> float:
        return self.service.at(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OneWave:
    """Batches side by side with independent fates: the last of them decides."""

    service: _Service
    batches: int

    def at(self, time: float) -> float:
        return self.service.at(time) ** self.batches

    def quantile(self, p: float) -> float:
        return self.service.quantile(p ** (1 / self.batches))

    def done_share(self, time: float) -> float:
        return self.service.at(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Played:
    """A rolling queue played many times: sorted ends of the job, and of single batches."""

    ends: tuple[float, ...]
    single: tuple[float, ...]

    def at(self, time: float) -> float:
        return bisect_right(self.ends, time) / len(self.ends)

    def quantile(self, p: float) -> float:
        return self.ends[min(len(self.ends) - 1, int(p * len(self.ends)))]

    def done_share(self, time: float) -> float:
        return bisect_right(self.single, time) / len(self.single)


_End = _SharedFate | _OneWave | _Played


def _play(service: _Service, batches: int, concurrent: int, seed: int) -> _Played:
    """The queue from `seed`: each batch takes the next free place.

    Latin hypercube: every batch sees the same evenly spaced quantiles in another order, so
    few draws suffice. Very many batches are played in part and the time scaled up.
    """
    played = min(batches, _MOST_PLAYED)
    times = _spaced(service, max(1, min(DRAWS, _WORK // played) // _STRATA))
    random = Random(seed)
    random.shuffle(times)
    rounds = _turns(times, played, random)
    alone = concurrent == 1
    ends = _one_at_a_time(rounds) if alone else _side_by_side(rounds, concurrent)
    scale = batches / played
    last = sorted(scale * max(column) for column in zip(*ends, strict=True))
    single = sorted(scale * end for batch in ends for end in batch[:: max(1, played // 10)])
    return _Played(ends=tuple(last), single=tuple(single))


def _spaced(service: _Service, repeats: int) -> list[float]:
    """Evenly spaced quantiles; below the slowest tenth, `repeats` draws share one.

    The slowest tenth is where expiry and deadlines are decided.
    """
    draws, body = repeats * _STRATA, _STRATA * 9 // 10
    shared = [service.quantile((i + 0.5) / _STRATA) for i in range(body)]
    own = [service.quantile((i + 0.5) / draws) for i in range(repeats * body, draws)]
    return shared * repeats + own


def _turns(times: list[float], count: int, random: Random) -> list[list[float]]:
    """`count` rotations of a shuffled list: as good as shuffles here, and much cheaper."""
    offsets = [random.randrange(len(times)) for _ in range(count)]
    return [times[offset:] + times[:offset] for offset in offsets]


def _one_at_a_time(rounds: list[list[float]]) -> list[list[float]]:
    return list(accumulate(rounds, lambda so_far, following: list(map(add, so_far, following))))


def _side_by_side(rounds: list[list[float]], places: int) -> list[list[float]]:
    ends = []
    for draw in zip(*rounds, strict=True):
        free, done = [0.0] * places, []
        for time in draw:
            done.append(free[0] + time)
            heapq.heapreplace(free, done[-1])
        ends.append(done)
    return [list(batch) for batch in zip(*ends, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """When the whole shipment is done, in seconds from sending it.

    `p50` and `p95` assume independent fates and whole resubmission of what expires; None is
    unknown or never reached. `bound` is documented, not guaranteed; `bound_resubmitted` is
    what it becomes when one wave expires. `degraded` forces the bound.
    """

    p50: float | None
    p95: float | None
    bound: float | None
    bound_resubmitted: float | None
    grade: Grade
    degraded: bool
    independent: tuple[_End, _End, _End] | None
    shared: tuple[_End, _End, _End] | None

    def by(self, deadline: float) -> Chance:
        """P(all done by `deadline` seconds): the mean of independent fates, the interval of both.

        The lower limit is the worse end at the lower credible limit of each batch's chance,
        the upper the better end at its upper one. In a known incident nothing is expected
        before the bound, and nothing better than shared fates after it.
        """
        if self.independent is None or self.shared is None:
            return Chance(mean=None, low=None, high=None)
        ends = [(one.at(deadline), two.at(deadline)) for one, two in self._sides()]
        low, mean, high = min(ends[0]), ends[1][0], max(ends[2])
        if self.degraded:
            waiting = self.bound is None or deadline < self.bound
            low, mean = (0.0, 0.0) if waiting else (low, min(ends[1]))
        return Chance(mean=mean, low=min(low, mean), high=max(high, mean))

    def ends(self, deadline: float) -> tuple[float, float] | None:
        """P(all done by `deadline`) with independent and with shared fates; None if unknown."""
        if self.independent is None or self.shared is None:
            return None
        return self.independent[1].at(deadline), self.shared[1].at(deadline)

    def done_share(self, time: float) -> float | None:
        """Expected share of the batches finished by `time`; None when nothing is known."""
        if self.independent is None:
            return None
        if self.degraded and (self.bound is None or time < self.bound):
            return 0.0
        return self.independent[1].done_share(time)

    def mean_capped(self, cap: float) -> float | None:
        """E[min(finish, cap)] in seconds, None when nothing is known.

        Capped because the mean of a heavy-tailed law hardly exists.
        """
        if self.independent is None:
            return None
        if self.degraded:
            return cap if self.bound is None else min(cap, self.bound)
        end = self.independent[1]
        if isinstance(end, _OneWave) and end.batches == 1 and cap <= (end.service.window or cap):
            return end.service.law.mean_capped(cap)
        steps = _MEAN_STEPS
        return sum(min(cap, end.quantile((i + 0.5) / steps)) for i in range(steps)) / steps

    def _sides(self) -> Iterable[tuple[_End, _End]]:
        return zip(self.independent or (), self.shared or (), strict=True)


def finish(
    law: Law,
    shipment: Shipment,
    *,
    window: float | None,
    at_window: AtWindow = "expires",
    degraded: bool = False,
    seed: int = 0,
) -> Finish:
    """When a shipment is done whose every batch follows `law`.

    `window` is the vendor's bound for one batch in seconds; "expires" sends an unfinished
    batch again whole (none of its rows counted as done), the other two let it run on. One
    wave is exact, F(t)^K and F(t); several waves are played from `seed`.
    """
    bound = None if window is None else shipment.bound(window)
    again = None if window is None else shipment.bound(window, resubmissions=1)
    ends_at = window if at_window == "expires" else None
    independent = shared = None
    p50 = p95 = bound if degraded else None
    if law.known:
        queue = (shipment.batches, shipment.concurrent, shipment.waves)
        independent, shared = _both_fates(replace(law, rows=0), *queue, ends_at, seed)
        if not degraded:
            p50, p95 = (_finite(independent[1].quantile(p)) for p in (0.5, 0.95))
    return Finish(
        p50=p50,
        p95=p95,
        bound=bound,
        bound_resubmitted=again,
        grade=law.grade,
        degraded=degraded,
        independent=independent,
        shared=shared,
    )


# Remembered by what decides the answer alone, so that models with one law share it.
@lru_cache(maxsize=256)
def _both_fates(
    law: Law, batches: int, concurrent: int, waves: int, ends_at: float | None, seed: int
) -> tuple[tuple[_End, _End, _End], tuple[_End, _End, _End]]:
    """Independent and shared fates, each at the lower limit, the mean and the upper limit."""

    def independent(side: Side) -> _End:
        service = _Service(law=law, side=side, window=ends_at, resubmit=True)
        if waves == 1:
            return _OneWave(service=service, batches=batches)
        return _play(service, batches, concurrent, seed)

    def shared(side: Side) -> _End:
        service = _Service(law=law, side=side, window=ends_at, resubmit=False)
        return _SharedFate(service=service, waves=waves)

    def three(end: Callable[[Side], _End]) -> tuple[_End, _End, _End]:
        return end("low"), end("mean"), end("high")

    return three(independent), three(shared)


def _finite(time: float) -> float | None:
    return time if math.isfinite(time) else None
