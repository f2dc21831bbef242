"""Use cases that only look things up: support, prices, the matrix of both.

Apart from `pipeline` because they need the catalog alone: a question about a price should
not wait for the libraries that read workloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.catalog import prices
from planner.catalog import support as supports
from planner.errors import InputError, UnknownFactError, did_you_mean
from planner.money import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal

    from planner.catalog import Catalog, Model
    from planner.catalog.audit import Finding
    from planner.catalog.changes import Changes
    from planner.catalog.facts import Provider
    from planner.catalog.prices import Episode, RateCard
    from planner.catalog.support import Support
    from planner.money import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneAnswer:
    """May this model run in this lane, at what price, says who."""

    on: date
    model: Model
    support: Support
    card: RateCard | None
    no_price: str | None
    base: RateCard | None
    """The ordinary lane's price on that day, for comparison."""

    @property
    def aged(self) -> tuple[str, ...]:
        """What is to be said of sources that were read long ago."""
        sources = [] if self.support.source is None else [self.support.source]
        sources += self.card.sources if self.card is not None else ()
        # A table of prices warns of nothing, and loads nothing for it.
        from planner.catalog.freshness import freshness

        found = freshness(sources, on=self.on)
        return (*found.warnings, *found.refusals)

    @property
    def discount(self) -> Mapping[str, Decimal] | None:
        """Meter -> rate over the base lane's rate; None for the base lane and without a price."""
        if self.card is None or self.base is None or self.support.lane.base:
            return None
        listed = self.base.rates
        return {
            meter: ratio(rate, listed[meter])
            for meter, rate in self.card.rates.items()
            if listed.get(meter)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLane:
    """The catalog knows no such lane of the vendor: not a no, for nobody may have read it yet."""

    on: date
    model: Model
    lane: str
    why: str
    lanes: tuple[LaneAnswer, ...]
    """What there is instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceAnswer:
    """The exact rates of one request of that shape."""

    card: RateCard
    prompt_tokens: int
    rates: Mapping[str, Rate]
    history: tuple[Episode, ...]
    """Every known price of the model in the lane, whatever the region, oldest first."""


def lane_answer(
    catalog: Catalog, model: Model, lane: str, *, on: date, region: str | None = None
) -> LaneAnswer:
    """One model in one lane; UnknownFactError for a lane that its vendor does not have."""
    found = supports.lane(catalog, model, lane, on=on)
    return _priced(catalog, model, found, None, on=on, region=region)


def _priced(
    catalog: Catalog,
    model: Model,
    found: Support,
    base: RateCard | None,
    *,
    on: date,
    region: str | None = None,
) -> LaneAnswer:
    """The answer with its price; `base` is the ordinary lane's card where it is known already."""
    lane = found.lane.id
    card, no_price = None, None
    try:
        card = prices.card(catalog, model, lane, on=on, region=region)
        if base is None and not found.lane.base:
            base = prices.card(catalog, model, model.lanes[0], on=on)
    except UnknownFactError as error:
        no_price = error.problems[0].message
    return LaneAnswer(
        on=on,
        model=model,
        support=found,
        card=card,
        no_price=no_price,
        base=base,
    )


def support_answer(
    catalog: Catalog, model: Model, lane: str | None, *, on: date
) -> LaneAnswer | NoLane:
    """One model in one lane, the one that takes batches where none is named.

    UnknownFactError for a name that is no lane of any vendor.
    """
    provider = catalog.provider(model.provider)
    wanted = lane or _batch_lane(provider)
    if wanted in provider.lanes or not any(wanted in each.lanes for each in catalog.providers):
        return lane_answer(catalog, model, wanted, on=on)
    return NoLane(
        on=on,
        model=model,
        lane=wanted,
        why=f"{provider.name} has no lane {wanted!r} in the catalog",
        lanes=_of_model(catalog, model, None, on),
    )


def _batch_lane(provider: Provider) -> str:
    """The vendor's lane that takes rows by the batch, or the usual name of one."""
    lanes = (lane.id for lane in provider.lanes.values() if lane.per_batch is not None)
    return next(lanes, BATCH)


BATCH = "batch"
"""What the lane that takes rows by the batch is called at nearly every vendor."""


def price_answer(
    catalog: Catalog,
    model: Model,
    lane: str | None,
    *,
    on: date,
    prompt_tokens: int = 0,
    region: str | None = None,
) -> PriceAnswer:
    """The rates of one request; UnknownFactError where any part of the answer is not known."""
    card = prices.card(catalog, model, lane or model.lanes[0], on=on, region=region)
    return PriceAnswer(
        card=card,
        prompt_tokens=prompt_tokens,
        rates=card.over(prompt_tokens),
        history=prices.history(catalog, model, card.lane),
    )


def changes_between(
    catalog: Catalog, *, first: date, last: date, terms: tuple[str, ...] = ()
) -> Changes:
    """What changes after `first`, up to `last`, of the models whose names hold every term."""
    from planner.catalog import changes  # no other look-up needs it

    if first >= last:
        raise InputError.of(
            "bad-period", f"{first} is not before {last}", hint="give the earlier day first"
        )
    models = tuple(model for model in catalog.models() if all(_named(t, model) for t in terms))
    if not models:
        raise no_match(catalog, terms)
    return changes.between(catalog, models, first=first, last=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What in the catalog wants attention on a day."""

    on: date
    digest: str
    findings: tuple[Finding, ...]

    @property
    def wanted(self) -> bool:
        """Whether a figure may be wrong until somebody reads its source again."""
        return any(each.action for each in self.findings)


def audited(catalog: Catalog, *, on: date, provider: str | None = None) -> Audit:
    """Stale sources, changes come and ahead, gaps; of one vendor or of all."""
    from planner.catalog import audit  # no other look-up needs it

    return Audit(
        on=on, digest=catalog.digest, findings=audit.audit(catalog, on=on, provider=provider)
    )


def no_match(catalog: Catalog, terms: tuple[str, ...]) -> UnknownFactError:
    """The error of a filter that fits nothing."""
    near = did_you_mean(terms[0], (model.id for model in catalog.models())) if terms else None
    return UnknownFactError.of(
        "no-match",
        f"no model fits {' '.join(terms) or 'these options'!r}",
        hint=near or "terms are parts of a name, or LANE:yes, LANE:no, LANE:unknown",
    )


def support_matrix(
    catalog: Catalog,
    *,
    on: date,
    terms: tuple[str, ...] = (),
    lane: str | None = None,
    provider: str | None = None,
) -> tuple[tuple[LaneAnswer, ...], ...]:
    """Every model that fits the terms, with an answer for each of its vendor's lanes.

    A term is part of a name, or LANE:STATE (`batch:yes`, `flex:unknown`). With `lane` only
    that lane is answered, for models whose vendor has it.
    """
    if provider is not None:
        catalog.provider(provider)
    found = []
    for model in catalog.models():
        if provider is not None and model.provider != provider:
            continue
        answers = _of_model(catalog, model, lane, on)
        if answers and all(_fits(term, model, answers) for term in terms):
            found.append(answers)
    return tuple(found)


def _of_model(catalog: Catalog, model: Model, lane: str | None, on: date) -> tuple[LaneAnswer, ...]:
    answers: list[LaneAnswer] = []
    base = None
    for each in model.lanes:
        if lane is None or each == lane:
            found = supports.lane(catalog, model, each, on=on)
            answers.append(_priced(catalog, model, found, base, on=on))
            base = answers[-1].card if found.lane.base else base
    return tuple(answers)


def fitting(
    found: tuple[tuple[LaneAnswer, ...], ...], terms: tuple[str, ...]
) -> tuple[tuple[LaneAnswer, ...], ...]:
    """Those of a support matrix that fit the terms."""
    return tuple(each for each in found if all(_fits(term, each[0].model, each) for term in terms))


def _fits(term: str, model: Model, answers: tuple[LaneAnswer, ...]) -> bool:
    lane, colon, state = term.lower().partition(":")
    if colon:
        states = {each.support.state for each in answers if each.support.lane.id == lane}
        if lane == BATCH and not states:
            return state == "unknown"  # what nobody has read of is no `no`
        return state in states
    return _named(term, model)


def _named(term: str, model: Model) -> bool:
    return (
        term.lower()
        in f"{model.provider}/{model.id} {model.name} {' '.join(model.aliases)}".lower()
    )
