"""Counted rows -> the TokenProfile of the whole job: what every cost and time is made of.

Here what a pass found, the band of a model's tokenizer and the error of drawing become one
profile with its interval. Joining them where the cost is worked out was rejected: then each face
would have its own interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from planner import words
from planner.workload.sampling import mean_estimate
from planner.workload.sizes import End, Range, Sizes, joined, moved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.workload.draws import Drawn
    from planner.workload.outputs import OutputProfile
    from planner.workload.passes import Counted
    from planner.workload.sampling import MeanEstimate
    from planner.workload.tokens import Band, Counter


Method = Literal["counted", "sampled", "given"]


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
    latency: tuple[float, float, str] | None = None
    """Seconds of one realtime request as they were measured (mean, CV), and where."""
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
    def how(self) -> str:
        """`counted with NAME`, or `estimated`: text that another vocabulary was counted for."""
        if self.method == "given":
            return "as given"
        known = {"exact": self.method, "assumed": self.method, "ratio": "estimated"}
        return f"{known.get(self.grade, self.grade)} with {self.counter}"

    @property
    def output_total(self) -> Range:
        """Output tokens of the job, with their interval."""
        return self.output.total(self.rows.value)

    def for_rows(self, rows: int) -> TokenProfile:
        """The same rows at another volume: what-if without reading the file again.

        Above the volume that was counted the rows are a sample of the larger job, so the
        interval of the prompts opens as it would for `counted_profile` with `of_rows`.
        """
        resized = replace(
            self,
            rows=Range.exact(rows),
            sizes=self.sizes.for_rows(rows),
            sizes_low=self.sizes_low.for_rows(rows),
            sizes_high=self.sizes_high.for_rows(rows),
        )
        if self.method != "counted" or rows <= self.counted:
            return resized
        low, high = _as_sample(self.sizes, (self.sizes_low, self.sizes_high), rows, self.seed)
        return replace(
            resized,
            method="sampled",
            sizes_low=low.for_rows(rows),
            sizes_high=high.for_rows(rows),
        )


def counted_profile(
    counted: Counted,
    *,
    model: str,
    counter: Counter,
    output: OutputProfile,
    of_rows: int | None = None,
    shared_prefix: int = 0,
    seed: int = 0,
    edges: Iterable[int] = (),
) -> TokenProfile:
    """The job of `of_rows` rows that the counted ones are a random sample of, or are.

    `edges` are prompt lengths beyond which the model has another price.
    """
    histograms = counter.sizes(counted.tallies[counter.encoding])
    sizes = Sizes.of(histograms.value).for_rows(counted.rows)
    low, high = (
        Sizes.of(each).for_rows(counted.rows) for each in (histograms.low, histograms.high)
    )
    said = [histograms.band.said, counted.tallies[counter.encoding].encoding.said or ""]
    if counted.drawn is not None:
        seen = _DrawnSizes(counted.drawn, counter, histograms.band)
        low, high = seen.ends(sizes, (low, high), edges)
        said.append(seen.said())
    if of_rows is not None and of_rows != counted.rows:
        low, high = _as_sample(sizes, (low, high), max(of_rows, counted.rows), seed)
        sizes = sizes.for_rows(of_rows)
        low, high = low.for_rows(of_rows), high.for_rows(of_rows)
        said.append(
            f"{words.counted(counted.rows, 'row')} counted stand for {of_rows:,}, as a random "
            "sample"
        )
    whole = counted.drawn is None and of_rows in (None, counted.rows)
    return TokenProfile(
        model=model,
        counter=counter.id,
        grade=str(counter.grade),
        method="counted" if whole else "sampled",
        counted=counted.rows if counted.drawn is None else counted.drawn.distinct,
        seed=seed,
        rows=Range.exact(sizes.rows),
        sizes=sizes,
        sizes_low=low,
        sizes_high=high,
        output=output,
        shared_prefix=shared_prefix,
        bytes_per_row=counted.bytes_per_row,
        said=tuple(sentence for sentence in said if sentence),
    )


def _as_sample(
    sizes: Sizes, ends: tuple[Sizes, Sizes], population: int, seed: int
) -> tuple[Sizes, Sizes]:
    """The ends where the rows of the file are a random choice of those of the job."""
    known = _mean_seen(sizes, seed)
    left = Fraction(math.sqrt(max(0.0, 1 - sizes.rows / population)))
    sampled = (
        sizes.mean - (sizes.mean - known.low * sizes.stretch) * left,
        sizes.mean + (known.high * sizes.stretch - sizes.mean) * left,
    )
    low, high = (each.mean / sizes.mean for each in ends)
    means = joined(sizes.mean, sampled, (low, high))
    below, above = (sizes.stretched(mean / sizes.mean) for mean in means)
    return below, above


@lru_cache(maxsize=64)
def _mean_seen(sizes: Sizes, seed: int) -> MeanEstimate:
    """The mean row as a sample of an unlimited job; its resamples are worth remembering."""
    histogram = dict(zip(sizes.values, sizes.counts, strict=True))
    return mean_estimate(histogram, seed=seed, n=sizes.rows)


class _DrawnSizes:
    """How well the sizes of drawn rows are known, as one model's tokenizer sees them."""

    def __init__(self, drawn: Drawn, counter: Counter, band: Band) -> None:
        self._drawn = drawn
        self._encoding = counter.encoding
        self._tokens = [
            0 if shape is None else counter.prompt_tokens(shape, band)[1]
            for shape in drawn.shapes(counter.encoding)
        ]
        self._total = drawn.sample.total(self._tokens)

    def said(self) -> str:
        """How the figures came about, as a sentence."""
        drawn = self._drawn
        ended = "; counting was stopped there" if drawn.stopped else ""
        known = drawn.total(self._encoding, lambda shape: shape.text).relative
        return (
            f"{len(drawn.draws):,} places of the file were drawn, and the rows there stand for all "
            f"{drawn.rows:,}: tokens of their text within {words.portion(known)} (95 %); rows that "
            f"were not drawn were not checked{ended}"
        )

    def ends(
        self, sizes: Sizes, band: tuple[Sizes, Sizes], edges: Iterable[int]
    ) -> tuple[Sizes, Sizes]:
        """The ends of the sizes: the error of drawing and the band of the tokenizer, joined."""
        below, above = (each.mean / sizes.mean for each in band)
        drawn = Fraction(self._total.relative).limit_denominator(10**9)
        drawn_ends = (sizes.mean * max(Fraction(0), 1 - drawn), sizes.mean * (1 + drawn))
        low, high = joined(sizes.mean, drawn_ends, (below, above))
        return (
            self._end(sizes, low / sizes.mean, -1, edges),
            self._end(sizes, high / sizes.mean, 1, edges),
        )

    def _end(self, sizes: Sizes, factor: Fraction, sign: int, edges: Iterable[int]) -> Sizes:
        """All rows stretched by the factor, and those above each edge by what is not known of it.

        Above an edge another price holds, and how much of the job is there has an interval of
        its own, wider than that of the whole. So at the upper end more tokens stand above, at
        the lower end fewer, while rows and the total stay what they are.
        """
        for edge in sorted(edges):
            above = sizes.above(edge, inclusive=False).total
            if 0 < above < sizes.total:
                sizes = moved(sizes, edge, self._share(edge, sign))
        return sizes.stretched(factor)

    def _share(self, edge: int, sign: int) -> Fraction:
        """What the tokens above an edge are to be multiplied by, so that they reach their own end.

        All rows are stretched besides: by what all tokens may be off, those above are already.
        """
        above = self._drawn.sample.total(each if each > edge else 0 for each in self._tokens)
        stretch = 1 + sign * self._total.relative
        share = max(0.0, 1 + sign * above.relative) / stretch if stretch > 0 else 1.0
        return Fraction(max(share, 1.0) if sign > 0 else min(share, 1.0)).limit_denominator(10**6)


def given_profile(
    *, model: str, rows: int, input_tokens: int, output: OutputProfile, shared_prefix: int = 0
) -> TokenProfile:
    """A job known by figures alone: nothing is counted, so nothing is uncertain but them."""
    sizes = Sizes(values=(input_tokens,), counts=(rows,))
    return TokenProfile(
        model=model,
        counter="none",
        grade="given",
        method="given",
        counted=0,
        seed=0,
        rows=Range.exact(rows),
        sizes=sizes,
        sizes_low=sizes,
        sizes_high=sizes,
        output=output,
        shared_prefix=shared_prefix,
        said=("rows and prompt tokens as given; every row is taken to be of the mean size",),
    )
