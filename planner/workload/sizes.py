"""How many rows have how many prompt tokens: whole numbers under one rational scale.

A vendor that re-prices a whole request above a context edge charges by row, so a mean would
price the long rows wrongly. A histogram keeps totals exact, and a million rows take a few
kilobytes. The alternative, one (tokens, cost) pair per file, cannot answer "what if the volume
doubles" without reading the file again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from planner.workload.sampling import tilted

if TYPE_CHECKING:
    from collections.abc import Mapping


class End(StrEnum):
    """Which end of an interval a figure is taken at."""

    LOW = "low"
    VALUE = "value"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An integer with its 95 % interval."""

    value: int
    low: int
    high: int

    def __post_init__(self) -> None:
        """An interval that does not hold its own value is a defect of ours."""
        if not self.low <= self.value <= self.high:
            raise ValueError(f"not an interval: {self.low} <= {self.value} <= {self.high}")

    @classmethod
    def exact(cls, value: int) -> Range:
        """A figure that is known, so that both ends are the value."""
        return cls(value=value, low=value, high=value)

    def at(self, end: End) -> int:
        """The figure at that end."""
        return int(getattr(self, end.value))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many rows have how many prompt tokens.

    `values` ascend without repeats, `counts` are rows beside them. Each counted row stands
    for `scale` rows of the job (1 where the file is the job), and each counted token for
    `stretch` tokens (1 at the value itself, another at the ends of a sampled interval).
    What they sum to is kept, for other volumes as well: a decision asks for it hundreds of times.
    """

    values: tuple[int, ...]
    counts: tuple[int, ...]
    scale: Fraction = Fraction(1)
    stretch: Fraction = Fraction(1)

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Sizes:
        """The sizes of a histogram {prompt tokens: rows}."""
        values = tuple(sorted(histogram))
        return cls(values=values, counts=tuple(histogram[value] for value in values))

    @property
    def rows(self) -> int:
        """Rows of the job."""
        return round(self._counted.rows * self.scale)

    @property
    def total(self) -> int:
        """Prompt tokens of the job."""
        return round(self._counted.tokens * self.stretch * self.scale)

    @property
    def largest(self) -> int:
        """Prompt tokens of the largest row seen; 0 without rows."""
        return round(self.values[-1] * self.stretch) if self.values else 0

    @property
    def mean(self) -> Fraction:
        """Prompt tokens a row; 0 without rows."""
        rows, tokens = self._counted
        return tokens * self.stretch / rows if rows else Fraction(0)

    @cached_property
    def _counted(self) -> _Sum:
        return self._running[-1]

    @cached_property
    def _running(self) -> tuple[_Sum, ...]:
        """Counted rows and tokens below each size, and at last of all."""
        rows = accumulate(self.counts, initial=0)
        tokens = accumulate(map(mul, self.values, self.counts), initial=0)
        return tuple(map(_Sum, rows, tokens))

    def above(self, edge: int, *, inclusive: bool) -> Sizes:
        """The rows of more than `edge` tokens (`inclusive`: of at least `edge`)."""
        if not self.stretch:
            # The lower end of a sample that may as well hold nothing: no row passes any edge.
            return replace(self, values=(), counts=())
        find = bisect_left if inclusive else bisect_right
        start = find(self.values, edge / self.stretch)
        below, every = self._running[start], self._counted
        return _knowing(
            replace(self, values=self.values[start:], counts=self.counts[start:]),
            _counted=_Sum(every.rows - below.rows, every.tokens - below.tokens),
        )

    def quantile(self, share: float) -> int:
        """The size that at least `share` of the rows do not exceed; 0 without rows."""
        if not self.values:
            return 0
        running = [each.rows for each in self._running[1:]]
        wanted = Fraction(share) * running[-1]
        place = min(bisect_left(running, wanted), len(self.values) - 1)
        return round(self.values[place] * self.stretch)

    def for_rows(self, rows: int) -> Sizes:
        """The same distribution at another volume."""
        counted = self._counted.rows
        return self._summed(replace(self, scale=Fraction(rows, counted))) if counted else self

    def stretched(self, factor: Fraction) -> Sizes:
        """The same rows, each with `factor` times its tokens."""
        return self._summed(replace(self, stretch=self.stretch * factor))

    def _summed(self, made: Sizes) -> Sizes:
        return _knowing(made, _counted=self._counted, _running=self._running)


def _knowing(made: Sizes, **sums: object) -> Sizes:
    """The same value; what it sums to need not be asked of its rows."""
    vars(made).update(sums)
    return made


class _Sum(NamedTuple):
    """Counted rows and the tokens of their prompts."""

    rows: int
    tokens: int


NO_ROWS = Sizes(values=(), counts=())


def moved(sizes: Sizes, edge: int, factor: Fraction) -> Sizes:
    """The same rows and tokens in all, with `factor` times the tokens above an edge.

    Rows above count `factor` times. Those below count less or more, the long ones among them
    more so than the short, as keeps both the rows and the tokens (exponential tilting).
    """
    beyond = sizes.above(edge, inclusive=False)
    most = min(Fraction(sizes.total, beyond.total), Fraction(sizes.rows, beyond.rows))
    factor = min(factor, most)
    first = len(sizes.values) - len(beyond.values)
    kept = [round(count * factor) for count in beyond.counts]
    moving = sum(value * count for value, count in zip(beyond.values, kept, strict=True))
    rows = max(0, sum(sizes.counts) - sum(kept))
    tokens = sum(v * n for v, n in zip(sizes.values, sizes.counts, strict=True)) - moving
    below = tilted(sizes.values[:first], sizes.counts[:first], tokens / rows if rows else 0)
    counts = [*(round(rows * each / first) for each in below), *kept]
    known = [(value, count) for value, count in zip(sizes.values, counts, strict=True) if count]
    made = replace(sizes, values=tuple(v for v, _ in known), counts=tuple(c for _, c in known))
    made = made.for_rows(sizes.rows)
    return made.stretched(Fraction(sizes.total, made.total))


def joined(
    mean: Fraction, sampled: tuple[Fraction, Fraction], band: tuple[Fraction, Fraction]
) -> tuple[Fraction, Fraction]:
    """Two independent relative errors in quadrature: the interval's ends as means of a row."""
    below = math.hypot(float(1 - sampled[0] / mean), float(1 - band[0])) if mean else 0.0
    above = math.hypot(float(sampled[1] / mean - 1), float(band[1] - 1)) if mean else 0.0
    return (
        mean * max(Fraction(0), 1 - Fraction(below).limit_denominator(10**9)),
        mean * (1 + Fraction(above).limit_denominator(10**9)),
    )
