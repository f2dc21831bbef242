"""When a batch job is done: a distribution learned from finished batches, never a bare ETA.

No vendor promises less than its window, so the answer is P(done by t) with an interval and
the strength of its evidence. Prior knowledge is a log-logistic law worth a few batches; the
person's own batches update it by a Dirichlet process (expired, running and cancelled ones
count as later than any time asked for). A fitted lognormal was rejected: with bimodal
turnarounds it stays wrong however many batches are seen.

This is the law of one batch; `shipment` joins those of a whole job. Times are seconds as
float, ages come from `now`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal

from planner.decision import beta

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

State = Literal["ended", "expired", "failed", "canceled", "running"]
Grade = Literal["A", "B", "C", "D"]
Side = Literal["low", "mean", "high"]

LARGEST_SEEN: Final = 5_000
"""Rows in the largest batch public evidence covers; the prior is grade D above it."""

SIMILAR_SIZE: Final = 0.5
"""Above `LARGEST_SEEN`, own batches count from this share of the rows upwards."""

HALF_LIFE: Final = timedelta(days=30)
WELL_KNOWN, KNOWN = 20, 5
"""Own weighted batches that make grade A and grade B."""

LOWER, UPPER = 0.10, 0.90
"""The credible interval: 80 % between, 90 % sure of the lower limit."""

_INTEGRATION_STEPS: Final = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """One batch of the person's own: what was sent and how it went.

    Times carry a time zone; `ended` may be None unless the state is "ended". ValueError
    otherwise.
    """

    provider: str
    model: str
    lane: str
    rows: int
    created: datetime
    ended: datetime | None
    state: State

    def __post_init__(self) -> None:
        if any(at is not None and at.tzinfo is None for at in (self.created, self.ended)):
            raise ValueError("created and ended must carry a time zone")
        if self.state == "ended" and self.ended is None:
            raise ValueError("a batch in state 'ended' must have an end time")
        if self.ended is not None and self.ended < self.created:
            raise ValueError("a batch must not end before it is created")
        if self.rows < 0:
            raise ValueError(f"rows must be >= 0, not {self.rows}")
        if self.state not in _COUNTS_AS:
            raise ValueError(f"state must be one of {', '.join(_COUNTS_AS)}, not {self.state!r}")

    @property
    def turnaround(self) -> float | None:
        """Seconds from creation to the end of a batch that ended, None for all others."""
        if self.state != "ended" or self.ended is None:
            return None
        return (self.ended - self.created).total_seconds()


# A cancelled batch is late evidence: a rescue cancels exactly the slow ones, so leaving
# them out would make the lane look fast. A failed one was refused and never waited.
_COUNTS_AS: Final[dict[State, Literal["time", "later", "nothing"]]] = {
    "ended": "time",
    "expired": "later",
    "running": "later",
    "canceled": "later",
    "failed": "nothing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Log-logistic turnaround before any own batch: quantiles in seconds, worth in batches."""

    p50: float
    p90: float
    worth: float
    grade: Grade

    def __post_init__(self) -> None:
        if not 0 < self.p50 < self.p90 < math.inf:
            raise ValueError(f"seconds 0 < p50 < p90 wanted, not {self.p50} and {self.p90}")
        if not 0 < self.worth < math.inf:
            raise ValueError(f"worth must be > 0 batches, not {self.worth}")

    @property
    def shape(self) -> float:
        """The exponent beta: ln 9 / ln(P90 / P50)."""
        return math.log(9) / math.log(self.p90 / self.p50)

    def cdf(self, time: float) -> float:
        """F(t) = 1 / (1 + (t / P50)^-beta)."""
        if time <= 0:
            return 0.0
        odds = self.shape * (math.log(time) - math.log(self.p50))
        return 1 / (1 + math.exp(min(-odds, 700.0)))

    def quantile(self, p: float) -> float:
        """Q(p) = P50 (p / (1-p))^(1/beta), infinite from p = 1."""
        if p <= 0:
            return 0.0
        return self.p50 * (p / (1 - p)) ** (1 / self.shape) if p < 1 else math.inf

    def mean_capped(self, cap: float) -> float:
        """E[min(T, cap)] in seconds: Simpson's rule over ln t (the mean itself may not exist)."""
        if cap <= 0:
            return 0.0
        low = min(math.log(self.p50), math.log(cap)) - 40
        step = (math.log(cap) - low) / _INTEGRATION_STEPS

        def left(index: int) -> float:
            time = math.exp(low + index * step)
            return (1 - self.cdf(time)) * time

        inner = sum(left(i) * (4 if i % 2 else 2) for i in range(1, _INTEGRATION_STEPS))
        return (left(0) + inner + left(_INTEGRATION_STEPS)) * step / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """Posterior of one batch's turnaround.

    `times` are own turnarounds in ascending order, `weights` their running total, `later`
    the weight of batches known only not to have finished. Without a prior the own batches
    stand against one batch that never came; with neither, nothing is known.
    """

    prior: Prior | None
    rows: int
    times: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    later: float = 0.0

    @property
    def own(self) -> float:
        """Own batches of that size, weighted by age."""
        return (self.weights[-1] if self.weights else 0.0) + self.later

    @property
    def known(self) -> bool:
        """Whether there is anything to say beyond the documented bound."""
        return self.prior is not None or self.own > 0

    @property
    def grade(self) -> Grade:
        """A and B by own batches; C a public prior; D a statement, or a size nobody published."""
        if self.own >= WELL_KNOWN:
            return "A"
        if self.own >= KNOWN:
            return "B"
        if self.prior is None or self.rows > LARGEST_SEEN:
            return "D"
        return self.prior.grade

    @property
    def worth(self) -> float:
        """Batches behind the estimate: the prior's and the own ones."""
        return self._prior_worth + self.own

    @property
    def _prior_worth(self) -> float:
        return self.prior.worth if self.prior else 1.0

    def cdf(self, time: float) -> float:
        """P(one batch has finished by `time`): (n0 F0 + sum of weights up to it) / (n0 + n).

        ValueError when nothing is known.
        """
        self._require_known()
        before = bisect_right(self.times, time)
        seen = self.weights[before - 1] if before else 0.0
        expected = self.prior.cdf(time) * self._prior_worth if self.prior else 0.0
        return (expected + seen) / self.worth

    def interval(self, time: float) -> tuple[float, float]:
        """80 % credible limits of `cdf(time)`: quantiles of Beta(n F, n (1 - F)).

        Never inside the mean, which a Beta squeezed against 0 or 1 would allow.
        """
        share = self.cdf(time)
        return limit(share, self.worth, "low"), limit(share, self.worth, "high")

    def quantile(self, p: float) -> float:
        """Smallest time with cdf >= p; infinite when more than 1 - p of the batches never came."""
        self._require_known()
        if p <= 0:
            return 0.0
        following = bisect_left(self.times, p, key=self.cdf)
        seen = self.weights[following - 1] if following else 0.0
        share = (p * self.worth - seen) / self._prior_worth
        smooth = self.prior.quantile(share) if self.prior else math.inf
        step = self.times[following] if following < len(self.times) else math.inf
        reached = self.times[following - 1] if following else 0.0
        return min(max(smooth, reached), step)

    def mean_capped(self, cap: float) -> float:
        """E[min(T, cap)] in seconds; batches that never came count as the cap."""
        self._require_known()
        expected = self.prior.mean_capped(cap) if self.prior else cap
        shares = [b - a for a, b in zip((0.0, *self.weights), self.weights, strict=False)]
        seen = sum(w * min(time, cap) for w, time in zip(shares, self.times, strict=True))
        return (self._prior_worth * expected + seen + self.later * cap) / self.worth

    def _require_known(self) -> None:
        if not self.known:
            raise ValueError("nothing is known of this turnaround: no prior and no own batch")


@lru_cache(maxsize=4096)
def limit(share: float, worth: float, side: Side) -> float:
    """A credible limit of a probability estimated as `share` by `worth` batches."""
    if side == "mean" or not 0 < share < 1:
        return share
    level, bound = (LOWER, min) if side == "low" else (UPPER, max)
    return bound(share, beta.quantile(level, worth * share, worth * (1 - share)))


def matching(
    jobs: Iterable[FinishedJob], *, provider: str, model: str, lane: str
) -> tuple[FinishedJob, ...]:
    """The jobs of that provider, model and lane, in their order."""
    wanted = (provider, model, lane)
    return tuple(job for job in jobs if (job.provider, job.model, job.lane) == wanted)


def posterior(
    prior: Prior | None,
    jobs: Iterable[FinishedJob],
    *,
    now: datetime,
    rows: int,
    half_life: timedelta = HALF_LIFE,
) -> Law:
    """The law of one batch of `rows` rows, from the prior and the own batches in `jobs`.

    A batch weighs 2^(-age / half-life), its age counted from its end, or from its creation
    when there is none. Up to `LARGEST_SEEN` rows every size counts (queueing, not size,
    explains turnaround there); above it only batches of at least half the rows.
    """
    counted = [job for job in jobs if _COUNTS_AS[job.state] != "nothing" and _similar(job, rows)]
    weighted = [(job.turnaround, _weight(job, now, half_life)) for job in counted]
    finished = sorted((time, weight) for time, weight in weighted if time is not None)
    return Law(
        prior=prior,
        rows=rows,
        times=tuple(time for time, _ in finished),
        weights=tuple(accumulate(weight for _, weight in finished)),
        later=sum(weight for time, weight in weighted if time is None),
    )


def _similar(job: FinishedJob, rows: int) -> bool:
    return rows <= LARGEST_SEEN or job.rows >= SIMILAR_SIZE * rows


def _weight(job: FinishedJob, now: datetime, half_life: timedelta) -> float:
    age = max(now - (job.ended or job.created), timedelta(0))
    return float(2 ** -(age / half_life))
