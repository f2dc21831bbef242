"""How long answers will be: given, learned from real ones or a bill, scaled, or assumed.

Each way ends in one OutputProfile that says which way it was, so that nothing downstream asks
again. A length that is silently assumed where nothing is known was rejected: it moves the cost
by more than everything else that is counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from planner import words
from planner.workload.sampling import mean_estimate
from planner.workload.sizes import End, Range, Sizes, joined
from planner.workload.tokens import stretched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from planner.workload.draws import Drawn
    from planner.workload.sampling import MeanEstimate
    from planner.workload.tokens import Counter, Tally


Basis = Literal["given", "sample", "pilot", "history", "ratio", "assumed"]

ASSUMED_OUTPUT = (300, 30, 3000)
"""Output tokens a row when nothing is known: expected, low, high."""

ASSUMED_OUTPUT_CV = 0.8
"""Spread of single answers when only their mean is known (chat traces: 0.77)."""


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
    low, high = joined(
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
        low, high = joined(seen.mean, (low, high), (1 - OTHER_ROWS, 1 + OTHER_ROWS))
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
    ratio: Fraction, cv: float | None, limit: int | None, prompts: Callable[[End], Sizes]
) -> OutputProfile:
    """Answers in proportion to the prompts, as in translating or rewriting.

    `prompts` are the sizes at an end of their interval. Without a `cv` answers are as uneven as
    the prompts are.
    """
    low, value, high = (ratio * prompts(end).mean for end in (End.LOW, End.VALUE, End.HIGH))
    longest = math.ceil(ratio * prompts(End.HIGH).largest)
    return OutputProfile(
        mean=value,
        low=min(low, value),
        high=max(high, value),
        cv=_spread(prompts(End.VALUE)) if cv is None else cv,
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
