"""What would change the choice: the value of one input at which another option wins.

Found by search over the pure decision, never by a formula: a formula would be a second copy
of the rule, and wrong the day the rule changes. Each input is walked over a grid around its
own value, and where the choice differs between two neighbours the step is halved until it
is narrow. Only inputs that somebody may know better or decide otherwise are walked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeVar

from planner.decision import assessment, matrix, options
from planner.decision.cost import CACHE_READ
from planner.decision.turnaround import FinishedJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.decision.matrix import ModelChoice
    from planner.decision.options import Case, Option
    from planner.workload.outputs import OutputProfile

Input = Literal["deadline", "volume", "output", "confidence", "hit_share", "tier", "history"]

MINUTE = 60.0
LONGEST = 7 * 24 * 60 * MINUTE
"""Deadlines are walked from a minute to a week."""

STEPS_AN_OCTAVE = 2
HALVINGS = 17
VOLUMES = tuple(Fraction(2) ** power for power in range(-6, 7))
LENGTHS = tuple(Fraction(2) ** power for power in range(-3, 4))
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995)
HIT_SHARES = tuple(share / 10 for share in range(11))
MOST_BATCHES = 64
"""More finished batches than that are no advice."""


Look = Callable[[], None]
"""Called before each look at the decision, a few milliseconds apart; raise out of it to end."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """From `at` on (walking away from the present value), `choice` wins; None: nothing does.

    `at` is in seconds, rows, tokens a row, a share, finished batches, or the place of a usage
    tier, counted from the vendor's lowest, which then is named.
    """

    input: Input
    at: float
    choice: str | None
    rising: bool
    name: str | None = None


def flips(case: Case, look: Look = lambda: None) -> tuple[Flip, ...]:
    """The nearest flips of one model's choice, each input walked alone."""
    return tuple(flip for walk in WALKS for flip in walk(case, look))


def _remembered(look: Look) -> Callable[[Callable[[T], str | None]], Callable[[T], str | None]]:
    """A choice that is made once for each value, with a look before it is."""

    def made(choose: Callable[[T], str | None]) -> Callable[[T], str | None]:
        @cache
        def choice(value: T) -> str | None:
            look()
            return choose(value)

        return choice

    return made


# --- the walks --------------------------------------------------------------------------


def _deadline(case: Case, look: Look) -> Iterator[Flip]:
    """Every flip on the way from a minute to a week: this is the picture people ask for."""
    now = case.requirements.deadline
    if now is None:
        return
    assessed = assessment.Assessment(case)

    @_remembered(look)
    def choice(seconds: float) -> str | None:
        return _choose(case, assessed.options(seconds), seconds).choice

    octaves = range(int(STEPS_AN_OCTAVE * 13.4))
    steps = {MINUTE * 2 ** (step / STEPS_AN_OCTAVE) for step in octaves}
    # A chance leaps where a window ends: halving would name the second after it.
    ends = {each.finish.bound for each in assessed.options(now) if each.strategy == "single"}
    windows = {end for end in ends if end is not None and MINUTE < end < LONGEST}
    grid = sorted(steps | windows | {now, LONGEST})
    for low, high in pairwise(grid):
        yield from _between("deadline", choice, low, high, rising=low >= now)


def _volume(case: Case, look: Look) -> Iterator[Flip]:
    rows = case.profile.rows.value

    @_remembered(look)
    def choice(count: float) -> str | None:
        return _choice(replace(case, profile=case.profile.for_rows(max(1, round(count)))))

    grid = [float(rows * factor) for factor in VOLUMES]
    for flip in _nearest("volume", choice, grid, rows):
        yield replace(flip, at=float(max(1, round(flip.at))))


def _output(case: Case, look: Look) -> Iterator[Flip]:
    mean = case.profile.output.mean

    @_remembered(look)
    def choice(tokens: float) -> str | None:
        output = _longer(case.profile.output, Fraction(tokens) / mean)
        return _choice(replace(case, profile=replace(case.profile, output=output)))

    if mean:
        grid = [float(mean * factor) for factor in LENGTHS]
        yield from _nearest("output", choice, grid, float(mean))


def _longer(output: OutputProfile, factor: Fraction) -> OutputProfile:
    """Answers of another length; their limit grows along where it would cut them."""
    return replace(
        output,
        mean=output.mean * factor,
        low=output.low * factor,
        high=output.high * factor,
        ceiling=max(output.ceiling, round(output.mean * factor)),
    )


def _confidence(case: Case, look: Look) -> Iterator[Flip]:
    if case.requirements.deadline is None:
        return
    now = case.requirements.confidence

    @_remembered(look)
    def choice(share: float) -> str | None:
        return _choice(replace(case, requirements=replace(case.requirements, confidence=share)))

    yield from _nearest("confidence", choice, sorted({*CONFIDENCES, now}), now)


def _hit_share(case: Case, look: Look) -> Iterator[Flip]:
    """The share of rows that find the prefix cached; walked where a cache is sold in realtime."""
    now = _assumed_hits(case)
    if now is None:
        return

    @_remembered(look)
    def choice(share: float) -> str | None:
        demand = replace(case.requirements, cache_hit_share=share)
        return _choice(replace(case, requirements=demand))

    yield from _nearest("hit_share", choice, sorted({*HIT_SHARES, now}), now)


def _assumed_hits(case: Case) -> float | None:
    """The hit share behind the cached realtime options; None where there are none."""
    rows, prefix = case.profile.rows.value, case.profile.shared_prefix
    for option in assessment.Assessment(case).options(None):
        if option.cache and option.delivery == "sync" and option.cost is not None:
            read = sum(part.quantity for part in option.cost.components if part.meter == CACHE_READ)
            return read / (rows * prefix)
    return None


def _tier(case: Case, look: Look) -> Iterator[Flip]:
    """The nearest usage tier below and above at which another option wins."""
    published = options.tiers(case)
    if case.offers[0].limits.tier not in published:
        return
    now, before = published.index(case.offers[0].limits.tier), _choice(case)
    for rising, places in ((False, range(now - 1, -1, -1)), (True, range(now + 1, len(published)))):
        for place in places:
            look()
            other = options.at_tier(case, published[place])
            chosen = _chosen(other).chosen
            choice = None if chosen is None else chosen.id
            if choice != before and _comparable(case, other, chosen):
                yield Flip(
                    input="tier", at=place, choice=choice, rising=rising, name=published[place]
                )
                break


def _comparable(case: Case, other: Case, chosen: Option | None) -> bool:
    """Whether the other tier says as much of the lanes that are used: silence is no limit lifted.

    Where nothing is chosen every lane counts.
    """
    told, told_there = (
        {offer.lane.id for offer in each.offers if offer.limits.published} for each in (case, other)
    )
    if chosen is not None:
        base = {offer.lane.id for offer in case.offers if offer.lane.base}
        told &= {chosen.lane} if chosen.strategy == "single" else {chosen.lane} | base
    return told <= told_there


def _history(case: Case, look: Look) -> Iterator[Flip]:
    """How many more finished batches, as fast as is typical, would change the choice."""
    deadline = case.requirements.deadline
    if deadline is None:
        return
    assessed = assessment.Assessment(case).options(deadline)
    before = _choose(case, assessed, deadline).choice
    for option in assessed:
        typical, rows = option.finish.p50, option.finish.rows_per_batch
        alone = option.strategy == "single" and not option.cache
        if alone and typical is not None and rows is not None:
            yield from _with_batches(case, option, before, look)


def _with_batches(case: Case, option: Option, before: str | None, look: Look) -> Iterator[Flip]:
    assert option.finish.p50 is not None
    done = FinishedJob(
        provider=option.provider,
        model=option.model,
        lane=option.lane,
        rows=option.finish.rows_per_batch or case.profile.rows.value,
        created=case.now - timedelta(seconds=option.finish.p50),
        ended=case.now,
        state="ended",
    )

    @_remembered(look)
    def choice(count: int) -> str | None:
        return _choice(replace(case, history=case.history + (done,) * count))

    if choice(MOST_BATCHES) == before:
        return
    few, many = 0, MOST_BATCHES
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if choice(middle) == before else (few, middle)
    yield Flip(input="history", at=many, choice=choice(many), rising=True)


WALKS = (_deadline, _volume, _output, _confidence, _hit_share, _tier, _history)


# --- the search -------------------------------------------------------------------------


def _choice(case: Case) -> str | None:
    return _chosen(case).choice


def _chosen(case: Case) -> ModelChoice:
    deadline = case.requirements.deadline
    return _choose(case, assessment.Assessment(case).options(deadline), deadline)


def _choose(case: Case, found: Sequence[Option], deadline: float | None) -> ModelChoice:
    demand = replace(case.requirements, deadline=deadline)
    return matrix.choose(case.profile.model, found, demand)


def _nearest(
    name: Input, choice: Callable[[float], str | None], grid: Sequence[float], now: float
) -> Iterator[Flip]:
    """The nearest flip below the present value and the nearest above it."""
    below = [value for value in grid if value <= now]
    above = [value for value in grid if value >= now]
    for low, high in pairwise(reversed(below)):
        found = next(_between(name, choice, high, low, rising=False), None)
        if found is not None:
            yield found
            break
    for low, high in pairwise(above):
        found = next(_between(name, choice, low, high, rising=True), None)
        if found is not None:
            yield found
            break


def _between(
    name: Input, choice: Callable[[float], str | None], low: float, high: float, *, rising: bool
) -> Iterator[Flip]:
    """The flip between two values, if their choices differ; `rising`: the present is below."""
    at_low, at_high = choice(low), choice(high)
    if at_low == at_high:
        return
    near, far = (low, high) if rising else (high, low)
    before, after = (at_low, at_high) if rising else (at_high, at_low)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        if choice(middle) == before:
            near = middle
        else:
            far, after = middle, choice(middle)
    yield Flip(input=name, at=far, choice=after, rising=rising)


# --- the map ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What wins at one deadline and one volume."""

    rows: int
    deadline: float
    chosen: Option | None
    unsettled: bool = False
    """Nothing is chosen, and of some option nobody knows whether it meets the demand."""


def deadline_volume_map(
    case: Case, deadlines: Sequence[float], volumes: Sequence[int], look: Look = lambda: None
) -> tuple[tuple[Cell, ...], ...]:
    """Which lane wins where: a line a volume, a cell a deadline (seconds)."""
    return tuple(tuple(_map_line(case, deadlines, rows, look)) for rows in volumes)


def _map_line(case: Case, deadlines: Sequence[float], rows: int, look: Look) -> Iterator[Cell]:
    resized = replace(case, profile=case.profile.for_rows(rows))
    assessed = assessment.Assessment(resized)
    for deadline in deadlines:
        look()
        found = _choose(resized, assessed.options(deadline), deadline)
        open_ = found.chosen is None and matrix.unsettled(found.options)
        yield Cell(rows=rows, deadline=deadline, chosen=found.chosen, unsettled=open_)
