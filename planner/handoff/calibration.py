"""Whether the figures keep what they say: planned against actual over all finished jobs.

A 95 % interval is right when 95 of 100 bills lie in it, a P(by the deadline) of 80 % when 80 of
100 such jobs are in time. Few jobs say little, so every share comes with its own exact interval
(Clopper-Pearson) and is judged by that alone. A single score was rejected: it moves with the mix
of jobs and says nothing of what to correct.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Literal

from planner.decision import beta
from planner.words import portion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from planner.handoff.learned import Lesson, Promise

CONFIDENCE = 0.95
"""Of the intervals of the shares."""

BINS = ((0.0, 0.5), (0.5, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.0))
"""Stated probabilities that are judged together; the upper end belongs to each."""

Judgement = Literal["holds", "too sure", "too careful", "too few"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something was so, with the exact 95 % interval of how often it will be."""

    hits: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, n: int) -> Share:
        """Clopper-Pearson: quantiles of Beta(k, n-k+1) and Beta(k+1, n-k)."""
        tail = (1 - CONFIDENCE) / 2
        low = beta.quantile(tail, hits, n - hits + 1) if hits else 0.0
        high = beta.quantile(1 - tail, hits + 1, n - hits) if hits < n else 1.0
        return cls(hits=hits, n=n, low=low, high=high)

    @property
    def value(self) -> float | None:
        """The share seen; None without any."""
        return self.hits / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One claim that the figures make: what they state, and what was seen."""

    claim: str
    stated: float
    seen: Share

    @property
    def judgement(self) -> Judgement:
        """Whether what was seen goes together with what is stated."""
        if self.seen.low > self.stated:
            return "too careful"
        if self.seen.high < self.stated:
            return "too sure"
        return "holds" if self.decisive else "too few"

    @property
    def decisive(self) -> bool:
        """Whether so many jobs could have shown that the claim is wrong by ten points."""
        return self.seen.n > 0 and self.seen.high - self.seen.low <= DECISIVE


DECISIVE = 0.20
"""Width of an interval up to which "holds" is said: wider ones hold nearly everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All finished jobs together; `lessons` are those that were judged, the oldest first."""

    lessons: tuple[Lesson, ...]
    cost: tuple[Line, ...]
    deadline: tuple[Line, ...]
    bias: float | None
    """The median of billed over expected; None without a priced job."""
    brier: float | None
    """Mean squared error of P(by the deadline): 0 is a prophet, 0.25 a coin."""
    left_out: int
    """Finished jobs whose bill is not known, or that were stopped before the end."""


def calibrate(lessons: Iterable[Lesson]) -> Calibration:
    """The claims of every plan that was carried out, against what came."""
    told = [each for each in lessons if each.promise is not None]
    promises = [each.promise for each in told if each.promise is not None]
    priced = [each for each in promises if each.billed is not None and each.complete]
    dated = [each for each in promises if each.in_time is not None]
    return Calibration(
        lessons=tuple(sorted(told, key=lambda each: (each.at, each.job))),
        cost=tuple(_costs(priced)) if priced else (),
        deadline=tuple(_deadlines(dated)),
        bias=_bias(priced),
        brier=_brier(dated),
        left_out=len(promises) - len(priced),
    )


def _costs(priced: Sequence[Promise]) -> Iterable[Line]:
    claims: tuple[tuple[str, float, Callable[[Promise, Fraction], bool]], ...] = (
        ("bill inside low to high", 0.95, lambda p, cost: p.low <= cost <= p.high),
        ("bill at most P95", 0.95, lambda p, cost: cost <= p.p95),
        ("bill at most the ceiling", 1.0, lambda p, cost: cost <= p.ceiling),
    )
    for claim, stated, holds in claims:
        hits = sum(holds(each, Fraction(each.billed or 0)) for each in priced)
        yield Line(claim=claim, stated=stated, seen=Share.of(hits, len(priced)))


def _deadlines(dated: Sequence[Promise]) -> Iterable[Line]:
    """The jobs of each bin, against the mean of what was said of them."""
    for low, high in BINS:
        inside = [each for each in dated if low < (each.p_mean or 0.0) <= high]
        inside += [each for each in dated if each.p_mean == low == 0]
        if inside:
            stated = sum(each.p_mean or 0.0 for each in inside) / len(inside)
            hits = sum(bool(each.in_time) for each in inside)
            claim = f"P from {portion(low)} to {portion(high)}"
            yield Line(claim=claim, stated=stated, seen=Share.of(hits, len(inside)))


def _bias(priced: Sequence[Promise]) -> float | None:
    ratios = [
        Fraction(each.billed or 0) / Fraction(each.expected) for each in priced if each.expected
    ]
    return float(median(ratios)) if ratios else None


def _brier(dated: Sequence[Promise]) -> float | None:
    errors = [((each.p_mean or 0.0) - bool(each.in_time)) ** 2 for each in dated]
    return sum(errors) / len(errors) if errors else None
