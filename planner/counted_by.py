"""Who says how a model's text is counted: the catalog, whoever counts better, or a bill.

The catalog names a counter for every model. Where that is a ratio, or only assumed, somebody may
count pieces of the job's own rows, and a bill may have shown the ratio already. The surest word
holds; what was asked for and not given is said. A default that quietly falls back from one to the
other was rejected: the same command would rest on another authority from day to day.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Protocol, cast

from planner.handoff.providers import vendors
from planner.workload import calibration, media, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from planner.catalog import Model
    from planner.handoff.learned import Evidence
    from planner.job import Job
    from planner.workload import prompt as prompts
    from planner.workload import readers
    from planner.workload.calibration import Inquiry, Reply
    from planner.workload.media import Media
    from planner.workload.passes import Counted

UNKNOWN_COUNTER = "unknown"

FEWEST_ROWS = 20
"""Fewer billed rows do not settle how a tokenizer counts."""


# --- the catalog ------------------------------------------------------------------------


def catalog(model: Model) -> tokens.Counter:
    """The model's token counter; a banded guess where the catalog names none."""
    claim = cast("Literal['exact', 'assumed'] | None", model.counter_grade_claim)
    return tokens.counter(
        model.counter or UNKNOWN_COUNTER,
        claim=claim,
        framing=_framing(model),
        media=media.rules(model.media.figures, model.media.as_of) if model.media else None,
        vendor_counts=model.provider in vendors.COUNTS,
    )


def _framing(model: Model) -> Mapping[str, object]:
    """What is known of the model's own framing; hidden prompts where nothing was measured."""
    hidden = {each.when: each.tokens for each in model.hidden_input if each.when is not None}
    if model.framing is None:
        return hidden
    return {**hidden, **model.framing.figures, "as_of": model.framing.as_of}


def uncountable(
    models: Sequence[Model], counters: Sequence[tokens.Counter]
) -> Callable[[Media], str | None]:
    """Why a picture or document cannot be counted for one of the models, or None where it can."""

    def reason(of: Media) -> str | None:
        for model, counter in zip(models, counters, strict=True):
            said = counter.uncountable(of)
            if said is not None:
                return f"{model.id}: {said}"
        return None

    return reason


# --- whoever counts better ---------------------------------------------------------------


class Reference(Protocol):
    """Somebody who counts better than our ratio does, if only pieces of the rows."""

    @property
    def most(self) -> int:
        """Characters of the job that are shown at most."""

    def betters(self, counter: tokens.Counter) -> bool:
        """Whether its counts would say more than the counter does."""

    def counts(self, model: Model, counter: tokens.Counter, inquiry: Inquiry) -> Reply:
        """What it counts; calibration.UnansweredError where it does not, and says why."""


def references(
    asked: Sequence[Reference],
    job: Job,
    of: Iterable[tuple[Model, tokens.Counter]],
    workload: readers.Workload,
    prompt: prompts.Prompt,
) -> tuple[tuple[tokens.Counter | None, ...], tuple[str, ...]]:
    """Each model's counter as the best reference has shown it (None: as it was); what was not."""
    named = tuple(of)
    made: list[tokens.Counter | None] = [None] * len(named)
    unanswered: list[str] = []
    for reference in asked:
        pieces = calibration.pieces(
            workload, prompt, seed=job.seed, skip_bad=job.skip_bad_rows, most=reference.most
        )
        inquiry = calibration.Inquiry(pieces=pieces)
        for place, (model, counter) in enumerate(named):
            if made[place] is not None or not pieces or not reference.betters(counter):
                continue
            try:
                reply = reference.counts(model, counter, inquiry)
                made[place] = calibration.calibrated(counter, inquiry, reply)
            except calibration.UnansweredError as error:
                unanswered.append(str(error))
    return tuple(made), tuple(dict.fromkeys(unanswered))


# --- a bill ------------------------------------------------------------------------------

LEAST_BAND = Fraction(1, 200)
OTHER_TEXT = Fraction(1, 50)
"""Least half-widths of what a bill taught of a tokenizer: for its own rows, and for others."""


def surest(shown: tokens.Counter | None, billed: tokens.Counter) -> tokens.Counter:
    """What was counted of these rows, unless a bill says more than who counted them."""
    if shown is None or (
        shown.grade is tokens.Grade.RECONSTRUCTED and billed.grade is tokens.Grade.MEASURED
    ):
        return billed
    return shown


def bill(counter: tokens.Counter, counted: Counted, learned: Evidence | None) -> tokens.Counter:
    """The counter with the ratio that the vendor billed, where enough rows have shown it.

    What was billed is prompts as a whole, and a counter's ratio is that of their text alone: it
    becomes the one at which the whole of these rows is what the bill says.
    """
    pairs = None if learned is None else learned.pairs
    if learned is None or pairs is None or pairs.ratio is None or pairs.rows < FEWEST_ROWS:
        return counter
    tally = counted.tallies[counter.encoding]
    ratio, mid = pairs.ratio, counter.band_of(tally).mid
    said = f"billed {float(ratio):.3f} x the count, {pairs.rows:,} rows, {learned.said}"

    def told(low: Fraction, mid: Fraction, high: Fraction) -> tokens.Counter:
        return counter.measured(low=low, mid=mid, high=high, grade=tokens.Grade.MEASURED, note=said)

    once, twice = (_whole(told(each, each, each), tally) for each in (mid, 2 * mid))
    text = twice - once
    wanted = ratio * once - (once - text)
    if text <= 0 or wanted <= 0:
        return counter
    mid *= wanted / text
    least = LEAST_BAND if learned.same_rows else OTHER_TEXT
    half = max(pairs.half / ratio, least) * ratio * once / wanted
    half = min(half, Fraction(1, 2))
    return told(mid * (1 - half), mid, mid * (1 + half))


def _whole(counter: tokens.Counter, tally: tokens.Tally) -> Fraction:
    """Prompt tokens of all rows of a tally."""
    histogram = counter.sizes(tally).value
    return Fraction(sum(size * rows for size, rows in histogram.items()))
