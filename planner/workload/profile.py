"""Counted rows -> the TokenProfile of the whole job: what every cost and time is made of.

A profile keeps the distribution of prompt sizes, not just their sum: a vendor that
re-prices a whole request above a context edge charges by row, so a mean would price the
long rows wrongly. Sizes are a histogram of integers under one rational scale, so totals
are exact and a million rows take a few kilobytes. The alternative, one (tokens, cost)
pair per file, cannot answer "what if the volume doubles" without reading the file again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Literal, NamedTuple

from planner import words
from planner.workload.draws import AnswerTally, WeightedTally, wire_bytes
from planner.workload.prompt import Message, ReadyMade, Request, requests
from planner.workload.sampling import mean_estimate, tilted
from planner.workload.tokens import Tally, stretched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.errors import Problem
    from planner.workload.draws import Drawn
    from planner.workload.prompt import Prompt
    from planner.workload.readers import Row, Rows
    from planner.workload.sampling import MeanEstimate
    from planner.workload.tokens import Band, Counter

Method = Literal["counted", "sampled", "given"]
Basis = Literal["given", "sample", "pilot", "history", "ratio", "assumed"]

ASSUMED_OUTPUT = (300, 30, 3000)
"""Output tokens a row when nothing is known: expected, low, high."""

ASSUMED_OUTPUT_CV = 0.8
"""Spread of single answers when only their mean is known (chat traces: 0.77)."""

BATCH_ROWS = 256
BATCH_CHARACTERS = 2_000_000
"""Requests that are held to be counted together: the bound on memory, and the rows between two
calls of the progress function."""


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


# --- the pass over the rows -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one pass over the rows found; a tally for every encoding that was asked for."""

    rows: int
    bad: int
    bytes_per_row: int
    tallies: Mapping[str, Tally]
    answers: Mapping[str, Tally]
    """Tallies of the answers that the rows bring with them; empty where they bring none."""
    largest_asked: int | None
    """The highest output limit that a ready-made request asks for itself."""
    drawn: Drawn | None = None
    """The draws behind the figures where not every row was counted."""
    skipped: tuple[Problem, ...] = ()
    """The first bad rows that were left out, with their reasons."""
    digest: str | None = None
    """Of the file, where the pass took it along."""


Progress = Callable[[int, int], None]
"""Called with (rows, bytes of the file) done; raise out of it to stop the pass."""


def count(
    rows: Rows, prompt: Prompt, encodings: Iterable[str], progress: Progress | None = None
) -> Counted:
    """Read every row once, render its request and count it in each encoding.

    Memory is bounded by the number of distinct sizes, not of rows. InputError at a bad row
    unless the rows skip them.
    """
    tallies = {name: Tally(name) for name in encodings}
    answers: dict[str, Tally] = {}
    size, asked = 0, 0
    answer_of = prompt.answer if isinstance(prompt, ReadyMade) else None
    for batch in _batches(requests(rows, prompt)):
        made = [request for _, request in batch]
        for tally in tallies.values():
            tally.add_all(made)
        size += wire_bytes(*made)
        asked = max(asked, *[request.max_output_tokens or 0 for request in made])
        if answer_of is not None:
            given = [answer for row, _ in batch if (answer := answer_of(row)) is not None]
            _add_answers(answers, tallies, given)
        if progress is not None:
            progress(rows.good, rows.bytes_read)
    return Counted(
        rows=rows.good,
        bad=rows.bad,
        bytes_per_row=math.ceil(size / rows.good),
        tallies=tallies,
        answers=answers,
        largest_asked=asked or None,
        skipped=tuple(rows.problems),
    )


def _batches(made: Iterable[tuple[Row, Request]]) -> Iterator[list[tuple[Row, Request]]]:
    """Rows that are counted together, since that takes a fraction of the time."""
    batch: list[tuple[Row, Request]] = []
    room = BATCH_CHARACTERS
    for each in made:
        batch.append(each)
        for message in each[1].messages:
            room -= len(message.content)
        if room <= 0 or len(batch) == BATCH_ROWS:
            yield batch
            batch, room = [], BATCH_CHARACTERS
    if batch:
        yield batch


def sampled(drawn: Drawn) -> Counted:
    """What draws found, as a pass over every row would have put it.

    Rows and bytes are estimates of the whole; tallies hold each drawn row as often as the rows
    it stands for, in a unit of their own.
    """
    draws = [draw for draw in drawn.draws if draw.shapes]
    wire = drawn.sample.total(draw.wire for draw in drawn.draws)
    answered = any(draw.answers for draw in draws)
    return Counted(
        rows=drawn.rows,
        bad=drawn.bad + drawn.unread,
        bytes_per_row=math.ceil(wire.value / drawn.rows),
        tallies={name: WeightedTally(name, drawn) for name in drawn.encodings},
        answers={name: AnswerTally(name, drawn) for name in drawn.encodings} if answered else {},
        largest_asked=max(draw.asked for draw in draws) or None,
        drawn=drawn,
        skipped=drawn.problems,
        digest=drawn.digest,
    )


def count_answers(texts: Iterable[str], encodings: Iterable[str]) -> Mapping[str, Tally]:
    """Tallies of answers that stand in a file of their own, or in a column."""
    wanted = {name: Tally(name) for name in encodings}
    answers: dict[str, Tally] = {}
    for text in texts:
        _add_answers(answers, wanted, [text])
    return answers


def _add_answers(answers: dict[str, Tally], encodings: Iterable[str], texts: Sequence[str]) -> None:
    said = [Request(messages=(Message(role="assistant", content=text),)) for text in texts]
    for name in encodings if said else ():
        answers.setdefault(name, Tally(name)).add_all(said)


# --- answers ----------------------------------------------------------------------------


def given_output(tokens: int, cv: float | None, limit: int | None) -> OutputProfile:
    """The answer length as the person states it; the mean is taken as exact.

    A limit below it wins: longer answers are cut there, and nothing is paid beyond.
    """
    mean = Fraction(min(tokens, limit or tokens))
    cut = "" if mean == tokens else f", cut at the limit of {limit:,}"
    return OutputProfile(
        mean=mean,
        low=mean,
        high=mean,
        cv=ASSUMED_OUTPUT_CV if cv is None else cv,
        ceiling=limit or _ceiling(tokens),
        basis="given",
        said=f"answers of {words.counted(tokens, 'token')} on average, as given{cut}",
    )


def assumed_output(limit: int | None) -> OutputProfile:
    """Nothing is known of the answers: a wide range, and it says so."""
    mean, low, high = (min(each, limit or each) for each in ASSUMED_OUTPUT)
    return OutputProfile(
        mean=Fraction(mean),
        low=Fraction(low),
        high=Fraction(high),
        cv=ASSUMED_OUTPUT_CV,
        ceiling=limit or _ceiling(mean, high),
        basis="assumed",
        said=f"answers of {mean} tokens are assumed ({low} to {high:,}): give --output-tokens "
        "or --output-sample",
    )


def sampled_output(
    answers: Tally,
    counter: Counter,
    limit: int | None,
    *,
    seed: int,
    drawn: Drawn | None = None,
) -> OutputProfile:
    """Answer lengths from real answers, the tokenizer's own band joined in quadrature.

    `drawn` are the draws that the answers stem from, where they were drawn.

    The ceiling covers the longest answer seen; a sample of n cannot exclude that a share
    1 - 0.05^(1/n) of the rows runs to it, and `said` states that share.
    """
    band = counter.band_of(answers)
    lengths: dict[int, int] = {}
    for shape, times in answers.shapes.items():
        length = stretched(shape.text, band.mid)
        lengths[length] = lengths.get(length, 0) + times
    seen = (
        mean_estimate(lengths, seed=seed) if drawn is None else _drawn_mean(lengths, drawn, counter)
    )
    low, high = _joined(
        seen.mean, (seen.low, seen.high), (band.low / band.mid, band.high / band.mid)
    )
    ceiling = limit or _ceiling(math.ceil(seen.mean), seen.largest)
    return OutputProfile(
        mean=min(seen.mean, Fraction(ceiling)),
        low=min(low, Fraction(ceiling)),
        high=min(high, Fraction(ceiling)),
        cv=seen.cv,
        ceiling=ceiling,
        basis="sample",
        said=f"answers of {_mean(seen)} on average, from {words.counted(seen.n, 'real one')} "
        f"(longest {seen.largest:,}); {_beyond(seen, ceiling)}",
    )


OTHER_ROWS = Fraction(1, 10)
"""Answers to other rows of the same template may be so much longer or shorter (assumed)."""


def billed_output(
    lengths: Mapping[int, int],
    limit: int | None,
    *,
    basis: Literal["pilot", "history"],
    source: str,
    same_rows: bool,
    cut_at: int | None,
    seed: int,
) -> OutputProfile:
    """Answer lengths as a vendor billed them, so that no tokenizer stands between.

    `cut_at` is the limit at which some of these answers were cut, if any was. The ceiling and
    the share of rows that these answers cannot exclude at it are always stated.
    """
    seen = mean_estimate(lengths, seed=seed)
    ceiling = limit or _ceiling(math.ceil(seen.mean), seen.largest)
    most = Fraction(ceiling)
    low, high = seen.low, seen.high
    if not same_rows:
        low, high = _joined(seen.mean, (low, high), (1 - OTHER_ROWS, 1 + OTHER_ROWS))
    cut = ""
    if cut_at is not None and ceiling > cut_at:
        cut = f"; some were cut at {cut_at:,}, so with this limit they are longer"
    return OutputProfile(
        mean=min(seen.mean, most),
        low=min(low, most),
        high=min(high, most),
        cv=seen.cv,
        ceiling=ceiling,
        basis=basis,
        said=f"answers of {_mean(seen)} on average, from {source} "
        f"(longest {seen.largest:,}){cut}; {_beyond(seen, ceiling)}",
    )


def _mean(seen: MeanEstimate) -> str:
    return words.counted(round(seen.mean), "token")


def _beyond(seen: MeanEstimate, ceiling: int) -> str:
    """The share of rows that so many answers cannot exclude at the limit, 95 % sure."""
    unseen = 1 - 0.05 ** (1 / seen.n)
    return f"up to {words.portion(unseen)} of the rows may still run to the limit of {ceiling:,}"


def _drawn_mean(lengths: Mapping[int, int], drawn: Drawn, counter: Counter) -> MeanEstimate:
    """The mean of answers that were drawn with their rows, the interval that of the draws."""
    place = drawn.encodings.index(counter.encoding)
    given = [draw.answers[place] if draw.answers else 0 for draw in drawn.draws]
    distinct = len({draw.offset for draw in drawn.draws if draw.answers})
    known = mean_estimate(lengths, seed=0, n=distinct)
    share = Fraction(drawn.sample.total(given).relative).limit_denominator(10**9)
    return replace(
        known,
        low=known.mean * max(Fraction(0), 1 - share),
        high=known.mean * (1 + share),
    )


def scaled_output(
    ratio: Fraction, cv: float | None, limit: int | None, profile: TokenProfile
) -> OutputProfile:
    """Answers in proportion to the prompts, as in translating or rewriting.

    Without a `cv` answers are as uneven as the prompts are.
    """
    low, value, high = (
        ratio * profile.prompt_sizes(end).mean for end in (End.LOW, End.VALUE, End.HIGH)
    )
    longest = math.ceil(ratio * profile.sizes_high.largest)
    return OutputProfile(
        mean=value,
        low=min(low, value),
        high=max(high, value),
        cv=_spread(profile.sizes) if cv is None else cv,
        ceiling=limit or _ceiling(math.ceil(value), longest),
        basis="ratio",
        said=f"answers of {float(ratio):g} x the prompt's tokens, as given: "
        f"{float(value):,.0f} on average",
    )


def _spread(sizes: Sizes) -> float:
    """Standard deviation of the sizes over their mean."""
    histogram = dict(zip(sizes.values, sizes.counts, strict=True))
    return mean_estimate(histogram, seed=0, n=max(1, sizes.rows)).cv


def within(output: OutputProfile, most: int | None) -> OutputProfile:
    """The same answers where the model gives at most `most` tokens: the limit gives way.

    A limit that the person set is theirs to keep; it becomes a gate further on.
    """
    if most is None or output.ceiling <= most or output.mean > most:
        return output
    return replace(output, ceiling=most, high=min(output.high, Fraction(most)))


def _ceiling(expected: int, longest: int = 0) -> int:
    """The output limit when none is given: four times the expected, a power of two.

    Where the longest answer seen or assumed is above that, it decides: a limit below it
    would cut answers that are known to come.
    """
    return 1 << (max(4 * expected, longest, 1) - 1).bit_length()


# --- the profile ------------------------------------------------------------------------


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
    means = _joined(sizes.mean, sampled, (low, high))
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
        low, high = _joined(sizes.mean, drawn_ends, (below, above))
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


def _joined(
    mean: Fraction, sampled: tuple[Fraction, Fraction], band: tuple[Fraction, Fraction]
) -> tuple[Fraction, Fraction]:
    """Two independent relative errors in quadrature: the interval's ends as means of a row."""
    below = math.hypot(float(1 - sampled[0] / mean), float(1 - band[0])) if mean else 0.0
    above = math.hypot(float(sampled[1] / mean - 1), float(band[1] - 1)) if mean else 0.0
    return (
        mean * max(Fraction(0), 1 - Fraction(below).limit_denominator(10**9)),
        mean * (1 + Fraction(above).limit_denominator(10**9)),
    )
