"""Counted rows -> the TokenProfile of the whole job: what every cost and time is made of.

A profile keeps the distribution of prompt sizes, not just their sum: a vendor that
re-prices a whole request above a context edge charges by row, so a mean would price the
long rows wrongly. Sizes are a histogram of integers under one rational scale, so totals
are exact and a million rows take a few kilobytes. The alternative, one (tokens, cost)
pair per file, cannot answer "what if the volume doubles" without reading the file again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Method = Literal["counted", "sampled", "given"]
Basis = Literal["given", "sample", "pilot", "ratio", "assumed"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many rows have how many prompt tokens.

    `values` ascend without repeats, `counts` are rows beside them, and each counted row
    stands for `scale` rows of the job (1 where the file is the job).
    """

    values: tuple[int, ...]
    counts: tuple[int, ...]
    scale: Fraction = Fraction(1)

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Sizes:
        """The sizes of a histogram {prompt tokens: rows}."""
        values = tuple(sorted(histogram))
        return cls(values=values, counts=tuple(histogram[value] for value in values))

    @property
    def rows(self) -> int:
        """Rows of the job."""
        return round(sum(self.counts) * self.scale)

    @property
    def total(self) -> int:
        """Prompt tokens of the job."""
        tokens = sum(value * count for value, count in zip(self.values, self.counts, strict=True))
        return round(tokens * self.scale)

    @property
    def largest(self) -> int:
        """Prompt tokens of the largest row seen; 0 without rows."""
        return self.values[-1] if self.values else 0

    def above(self, edge: int, *, inclusive: bool) -> Sizes:
        """The rows of more than `edge` tokens (`inclusive`: of at least `edge`)."""
        find = bisect_left if inclusive else bisect_right
        start = find(self.values, edge)
        return replace(self, values=self.values[start:], counts=self.counts[start:])

    def quantile(self, share: float) -> int:
        """The size that at least `share` of the rows do not exceed; 0 without rows."""
        if not self.values:
            return 0
        running = list(accumulate(self.counts))
        wanted = Fraction(share) * running[-1]
        return self.values[min(bisect_left(running, wanted), len(self.values) - 1)]

    def for_rows(self, rows: int) -> Sizes:
        """The same distribution at another volume."""
        counted = sum(self.counts)
        return replace(self, scale=Fraction(rows, counted)) if counted else self

    def mean(self) -> Fraction:
        """Prompt tokens a row; 0 without rows."""
        counted = sum(self.counts)
        tokens = sum(value * count for value, count in zip(self.values, self.counts, strict=True))
        return Fraction(tokens, counted) if counted else Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputProfile:
    """What the answers will be, in output tokens a row, and how that is known.

    `low` and `high` bound the mean of a row with 95 %; `cv` is the spread of single rows
    (standard deviation over mean), which matters for time only; `ceiling` is the limit
    that goes into each request.
    """

    mean: Fraction
    low: Fraction
    high: Fraction
    cv: float
    ceiling: int
    basis: Basis
    said: str

    def total(self, rows: int) -> Range:
        """Output tokens of that many rows."""
        return Range(
            value=round(self.mean * rows), low=round(self.low * rows), high=round(self.high * rows)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """The whole job as one model's tokenizer sees it."""

    model: str
    counter: str
    grade: str
    method: Method
    counted: int
    """Rows that were read to make this profile."""
    seed: int
    rows: Range
    sizes: Sizes
    sizes_low: Sizes
    sizes_high: Sizes
    output: OutputProfile
    shared_prefix: int = 0
    """Leading tokens that every prompt has in common."""
    bytes_per_row: int | None = None
    """Mean size of a request on the wire; None when only figures were given."""
    said: tuple[str, ...] = ()
    """What the counting assumed, a sentence each."""

    def prompt_sizes(self, end: End) -> Sizes:
        """The prompt sizes at an end of their interval."""
        return {End.LOW: self.sizes_low, End.VALUE: self.sizes, End.HIGH: self.sizes_high}[end]

    @property
    def input(self) -> Range:
        """Prompt tokens of the job, with their interval."""
        value = self.sizes.total
        return Range(
            value=value,
            low=min(self.sizes_low.total, value),
            high=max(self.sizes_high.total, value),
        )

    @property
    def output_total(self) -> Range:
        """Output tokens of the job, with their interval."""
        return self.output.total(self.rows.value)

    def for_rows(self, rows: int) -> TokenProfile:
        """The same rows at another volume: what-if without reading the file again."""
        return replace(
            self,
            rows=Range.exact(rows),
            sizes=self.sizes.for_rows(rows),
            sizes_low=self.sizes_low.for_rows(rows),
            sizes_high=self.sizes_high.for_rows(rows),
        )
