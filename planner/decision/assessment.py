"""Every option of one model: each lane alone, with a cache where it pays, and lanes joined.

Two joins are worth their moving parts: a batch with realtime for what it leaves at the last
safe moment (rescue), and both side by side where neither alone is in time (split). Joining
any two lanes would be more general; nobody could say what the others are good for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from planner.decision import options, realtime, timing
from planner.decision.cost import both, either
from planner.decision.options import Case, Option, Rescue, Verdict
from planner.decision.single import Single, cached_variants, expected, expected_by, verdict
from planner.decision.timing import Finish, Probability
from planner.decision.waiting import waiting
from planner.money import difference, dollars
from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from planner.catalog import Catalog, Model
    from planner.decision.options import Offer
    from planner.decision.requirements import Requirements
    from planner.decision.waiting import Waiting

ASSUMED_CANCEL = 600.0
"""Seconds from a cancel to its end where the lane states none (the longest one stated)."""


class Assessment:
    """One model's lanes, costed and scheduled once; then options for any deadline.

    Cost and schedule know no deadline, so a what-if on it (a key on the screen, a column of
    the map, the search for a flip) asks only what follows from it.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._singles = tuple(Single(case, offer) for offer in case.offers)
        self._cached = tuple(cached_variants(self._singles))

    def options(self, deadline: float | None) -> tuple[Option, ...]:
        """Each lane alone, then every pair worth joining; `deadline` in seconds from now.

        A lane alone may have a second variant, in which a cache serves what all rows share.
        """
        every = (*self._singles, *self._cached)
        alone = tuple(single.option(deadline) for single in every)
        if deadline is None:
            return alone
        return (
            *alone,
            *_rescues(self._singles, deadline),
            *_splits(self.case, self._singles, alone, deadline),
        )

    def waiting(self) -> Waiting | None:
        """What an hour is worth where the cheapest lane that answers later stops paying.

        Of the lanes whose finish is known and that can run; None where no two can be compared.
        """
        base = next((each for each in self._singles if each.offer.lane.base), None)
        later = min(filter(expected_by, self._singles), key=expected, default=None)
        if base is None or not base.usable or later is None:
            return None
        assert base.schedule is not None
        return waiting(
            base.id,
            later.id,
            saved=difference(expected(base), expected(later)),
            done_sooner=base.schedule.finish.p50,
            done_later=expected_by(later),
        )


class Assessments:
    """What was worked out before, for whoever asks again with another deadline or volume.

    It belongs to the asker (a screen's session). An assessment is only used where the case is
    the same in everything but its deadline, offers where nothing that they hang on is another:
    with or without it the answer is the same.
    """

    MOST_KEPT: ClassVar[int] = 8
    """Assessments of a model: a person goes back and forth between a few volumes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Assessment, ...]] = {}
        self._offers: dict[str, tuple[tuple[object, ...], tuple[Offer, ...]]] = {}

    def of(self, case: Case) -> Assessment:
        """The assessment of the case, made anew where it is none of those that are kept."""
        timeless = replace(case, requirements=_timeless(case.requirements))
        kept = self._kept.get(case.profile.model, ())
        found = next((each for each in kept if each.case == timeless), None) or Assessment(timeless)
        others = tuple(each for each in kept if each is not found)
        self._kept[case.profile.model] = (found, *others[: self.MOST_KEPT - 1])
        return found

    def offers(
        self, catalog: Catalog, model: Model, requirements: Requirements, on: date
    ) -> tuple[Offer, ...]:
        """The model's offers, looked up anew where more than the deadline has changed."""
        asked = (catalog, model, _timeless(requirements), on)
        kept = self._offers.get(f"{model.provider}/{model.id}")
        if kept is None or kept[0] != asked:
            kept = (asked, options.offers(catalog, model, requirements, on))
            self._offers[f"{model.provider}/{model.id}"] = kept
        return kept[1]


def _timeless(demand: Requirements) -> Requirements:
    return replace(demand, deadline=None)


def every_option(case: Case) -> tuple[Option, ...]:
    """All options of one model for the deadline that is demanded."""
    return Assessment(case).options(case.requirements.deadline)


# --- a batch, and realtime for what it leaves -------------------------------------------


def _pairs(singles: tuple[Single, ...]) -> Iterator[tuple[Single, Single]]:
    """Every lane that can be cancelled with the base lane that could take over."""
    base = next((each for each in singles if each.offer.lane.base), None)
    if base is None or not base.usable or not isinstance(base.schedule, timing.Paced):
        return
    for each in singles:
        delivered = isinstance(each.schedule, timing.Delivered)
        if delivered and each.usable and each.offer.lane.per_batch is not None:
            yield each, base


def _rescues(singles: tuple[Single, ...], deadline: float) -> Iterator[Option]:
    """Batch first; at the last safe moment cancel, and run what is unfinished in realtime."""
    for batch, base in _pairs(singles):
        assert isinstance(base.schedule, timing.Paced)
        assert isinstance(batch.schedule, timing.Delivered)
        cancel = float(batch.offer.lane.cancel or ASSUMED_CANCEL)
        at = deadline - base.schedule.quoted - cancel
        done = batch.schedule.by(at)
        if at > 0 and done is not None:
            yield _rescue(batch, base, Rescue(at=at, p_no_rescue=done.mean), done, deadline)


def _rescue(
    batch: Single, base: Single, rescue: Rescue, done: Probability, deadline: float
) -> Option:
    assert isinstance(batch.schedule, timing.Delivered)
    assert batch.cost is not None
    assert base.cost is not None
    sure = batch.demand.confidence
    return Option(
        id=f"{batch.id}>{base.offer.lane.id}",
        provider=batch.offer.model.provider,
        model=batch.case.profile.model,
        lane=batch.offer.lane.id,
        delivery=batch.offer.lane.delivery,
        strategy="rescue",
        cost=either(batch.schedule.done_share(rescue.at), batch.cost, base.cost),
        finish=_rescued(batch.schedule.finish, done, deadline),
        rescue=rescue,
        p_deadline=Probability(
            mean=done.mean + (1 - done.mean) * sure,
            low=done.low + (1 - done.low) * sure,
            high=1.0,
        ),
        grade=batch.schedule.grade,
        verdict=Verdict.MEETS,
        risks=tuple(_rescue_risks(batch, base)),
        usd_month=_least_month(batch, base),
    )


def _rescue_risks(batch: Single, base: Single) -> Iterator[str]:
    yield from base.upper_ends()
    yield "holds only while a runner lives that switches at that moment"
    yield "an outage of the vendor takes both lanes"
    outcomes = batch.offer.lane.billed
    billed = outcomes.get("canceled", outcomes.get("cancelled", "unknown"))
    if billed != "no" and batch.cost is not None:
        said = "are billed" if billed == "yes" else "may be billed: the vendor does not say"
        yield f"cancelled rows {said}; at the most {dollars(batch.cost.expected)} is paid twice"


def _rescued(batch: Finish, done: Probability, deadline: float) -> Finish:
    """The batch's own quantiles where it is done in time, the deadline where it is not."""

    def quantile(share: float, own: float | None) -> float:
        return own if own is not None and done.mean >= share else deadline

    return replace(
        batch,
        p50=quantile(0.5, batch.p50),
        p95=quantile(0.95, batch.p95),
        p95_raw=None,
        bound=deadline,
    )


def _splits(
    case: Case, singles: tuple[Single, ...], alone: tuple[Option, ...], deadline: float
) -> Iterator[Option]:
    """Realtime and batch side by side, where neither alone meets the deadline."""
    if any(each.verdict is Verdict.MEETS for each in alone):
        return
    for batch, base in _pairs(singles):
        assert isinstance(base.schedule, timing.Paced)
        load = base.schedule.load
        first = realtime.rows_by(load, deadline, case.requirements.confidence)
        if 0 < first < case.profile.rows.value:
            yield _split(case, batch, base, first, deadline)


def _split(case: Case, batch: Single, base: Single, first: int, deadline: float) -> Option:
    """`first` rows in realtime, as many as fit the deadline; the others in batch meanwhile."""
    rest = case.profile.rows.value - first
    now = Single(replace(case, profile=case.profile.for_rows(first)), base.offer)
    later = Single(replace(case, profile=case.profile.for_rows(rest)), batch.offer)
    assert now.schedule is not None
    assert later.schedule is not None
    assert later.cost is not None
    assert now.cost is not None
    done = later.schedule.by(deadline)
    sure = case.requirements.confidence
    p = None if done is None else replace(done, low=done.low * sure)
    return Option(
        id=f"{batch.id}|{base.offer.lane.id}",
        provider=batch.offer.model.provider,
        model=case.profile.model,
        lane=batch.offer.lane.id,
        delivery=batch.offer.lane.delivery,
        strategy="split",
        cost=both(now.cost, later.cost),
        finish=_later_of(now.schedule.finish, later.schedule.finish),
        p_deadline=p,
        grade=later.schedule.grade,
        verdict=verdict(later.schedule, p, deadline, sure),
        risks=(
            f"{counted(first, 'row')} in realtime, {rest:,} in batch, from two pools of limits",
        ),
        usd_month=_least_month(batch, base),
    )


def _least_month(*lanes: Single) -> int | None:
    """What may be spent in a month where several lanes are used: the least that is known."""
    limits = (each.offer.limits.usd_month for each in lanes)
    return min((each for each in limits if each is not None), default=None)


def _later_of(paced: Finish, batch: Finish) -> Finish:
    """Both parts have to be there: the batch's finish, not before the realtime part's."""

    def last(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else max(one, other)

    return replace(
        batch,
        p50=last(paced.p50, batch.p50),
        p95=last(paced.p95, batch.p95),
        p95_raw=last(paced.p95_raw, batch.p95_raw),
    )
