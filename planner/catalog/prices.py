"""From model, lane, region and date to exact rates, with how each came about.

A rate is list x tier x lane x region, in that order; rates that the vendor publishes for a lane
win over the product. Whatever the catalog does not know is an `UnknownFactError`: falling back to
the ordinary lane's price, to an earlier date's or to a similar model's would be a number, and a
wrong one. Nothing is remembered between questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.catalog.facts import (
    EVERY,
    Edge,
    LaneFacts,
    Model,
    Offer,
    Period,
    Provider,
    RegionRule,
    Source,
)
from planner.errors import UnknownFactError, did_you_mean
from planner.money import Rate, multiplied, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from planner.catalog.facts import Catalog, Factors

ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Rates of a whole request whose prompt passes `edge` (or reaches it, if `inclusive`)."""

    edge: int
    inclusive: bool
    rates: Mapping[str, Rate]

    def reached(self, prompt_tokens: int) -> bool:
        """Whether a prompt of that many tokens is priced by this tier."""
        return prompt_tokens >= self.edge if self.inclusive else prompt_tokens > self.edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The next day on which the same question has another answer."""

    date: date
    rates: Mapping[str, Rate] | None
    """The base rates from then on; None where there will be none."""
    what: str
    state: str | None
    """`announced` where the vendor has said so for a day that was still ahead when it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """What one model costs in one lane on one day: US dollars per million of each meter."""

    provider: str
    model: str
    lane: str
    region: str | None
    on: date
    rates: Mapping[str, Rate]
    tiers: tuple[Tier, ...]
    """Ascending; the last one reached prices the whole request."""
    unpublished: tuple[str, ...]
    """Meters of the list for which the vendor publishes no rate in this lane."""
    published_to: Edge | None
    """The prompt length beyond which this lane's price is not published (None: no such end)."""
    sources: tuple[Source, ...]
    inferred: tuple[str, ...]
    """What of it was concluded rather than read."""
    begun_since_read: tuple[str, ...]
    """Announced changes that have begun since anybody read the source."""
    parts: _Parts = field(repr=False, compare=False)

    def over(self, prompt_tokens: int) -> Mapping[str, Rate]:
        """The rates of one request with that many prompt tokens, cached ones included.

        `UnknownFactError` beyond `published_to`.
        """
        if self.published_to is not None and self.published_to.reached(prompt_tokens):
            raise UnknownFactError.of(
                "unknown-tier",
                f"no price is published for {self.model} in {self.lane} with a prompt of"
                f" {prompt_tokens:,} tokens",
                hint=f"prices of this lane end at {self.published_to.at:,} prompt tokens",
            )
        rates = self.rates
        for tier in self.tiers:
            if tier.reached(prompt_tokens):
                rates = tier.rates
        return rates

    def rate(self, meter: str, prompt_tokens: int = 0) -> Rate:
        """One meter's rate; `UnknownFactError` for a meter without a published rate."""
        rates = self.over(prompt_tokens)
        if meter not in rates:
            known = ", ".join(rates)
            raise UnknownFactError.of(
                "unknown-meter",
                f"no published rate for {meter!r} of {self.model} in {self.lane}",
                hint=did_you_mean(meter, rates) or f"meters with a rate: {known}",
            )
        return rates[meter]

    @property
    def since(self) -> date | None:
        """The last day, up to the one asked about, on which anything known changed."""
        return max((day for day in _days(self) if day <= self.on), default=None)

    @property
    def until(self) -> date | None:
        """The next day on which anything known changes, if only another source's word."""
        return min((day for day in _days(self) if day > self.on), default=None)

    @property
    def steps(self) -> tuple[str, ...]:
        """How each rate came about, one line each: `rate x multiplier = rate`."""
        return tuple(_steps(self))

    @property
    def next_change(self) -> Change | None:
        """The next known day with other rates, a retirement or the lane's end; None: none known."""
        return _next_change(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a card was made of."""

    catalog: Catalog
    provider: Provider
    model: Model
    listed: Period
    own: Period | None
    region: RegionRule | None


def card(
    catalog: Catalog, model: Model | str, lane: str, *, on: date, region: str | None = None
) -> RateCard:
    """The rates of a model in a lane on a day.

    `UnknownFactError` for a model, lane or region that the catalog does not know, a day outside
    what it knows, a lane that is not offered, and a price that nobody published.
    """
    which = catalog.model(model) if isinstance(model, str) else model
    parts = _gather(catalog, which, lane, region, on)
    return _composed(parts, lane, region, on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stretch of days with one price; `since` None: as far back as the catalog knows."""

    since: date | None
    until: date | None
    rates: Mapping[str, Rate]
    tiers: tuple[Tier, ...]
    state: str | None
    """announced, cancelled (it never applies), or None."""
    sources: tuple[Source, ...]
    notes: tuple[str, ...]


def history(catalog: Catalog, model: Model | str, lane: str) -> tuple[Episode, ...]:
    """Every known price of a model in a lane, oldest first, then the cancelled changes.

    Empty where there is none. Days on which the lane is not offered belong to no episode.
    """
    which = catalog.model(model) if isinstance(model, str) else model
    provider = catalog.provider(which.provider)
    days = set(_boundaries(provider, which, lane, None))
    days |= {which.released or provider.known_from}
    known: list[RateCard] = []
    for day in sorted(days):
        try:
            found = card(catalog, which, lane, on=day)
        except UnknownFactError:
            continue
        if not known or not _same(known[-1], found):
            known.append(found)
    return (*(_episode(each) for each in known), *_cancelled(which, provider, lane))


def days(catalog: Catalog, model: Model, lane: str) -> tuple[date, ...]:
    """Every day on which something known about the model in the lane begins or ends."""
    provider = catalog.provider(model.provider)
    return tuple(sorted(set(_boundaries(provider, model, lane, None))))


def _same(before: RateCard, after: RateCard) -> bool:
    """Whether two cards are one episode: nothing changed, and no day lies between them."""
    unchanged = (before.rates, before.tiers) == (after.rates, after.tiers)
    return unchanged and before.until == after.since


def _episode(found: RateCard) -> Episode:
    used = _used(found.parts)
    states = [period.state for period in used if period.state is not None]
    return Episode(
        since=found.since,
        until=found.until,
        rates=found.rates,
        tiers=found.tiers,
        state=states[0] if states else None,
        sources=found.sources,
        notes=tuple(
            each for period in used for each in (period.note, period.inferred) if each is not None
        ),
    )


def _cancelled(model: Model, provider: Provider, lane: str) -> Iterator[Episode]:
    """Announced list prices that were called off; they never applied to the base lane."""
    for period in model.prices if provider.lane(lane).base else ():
        if period.state == "cancelled":
            yield Episode(
                since=period.start,
                until=period.until,
                rates=_known(period.rates),
                tiers=(),
                state=period.state,
                sources=(period.source,),
                notes=tuple(each for each in (period.note, period.inferred) if each is not None),
            )


def _gather(catalog: Catalog, model: Model, lane: str, region: str | None, on: date) -> _Parts:
    provider = catalog.provider(model.provider)
    policy = provider.lane(lane)
    _alive(model, on)
    listed = _listed(provider, model, on)
    own = None if policy.base else _own(provider, model, lane, on)
    return _Parts(
        catalog=catalog,
        provider=provider,
        model=model,
        listed=listed,
        own=own,
        region=None if region is None else _region(provider, model, lane, region, on),
    )


def _alive(model: Model, on: date) -> None:
    if model.released is not None and on < model.released:
        raise UnknownFactError.of(
            "not-released", f"{model.id} has no price on {on}: it was released {model.released}"
        )
    if model.retires is not None and on >= model.retires:
        raise UnknownFactError.of(
            "retired", f"{model.id} has no price on {on}: it retires {model.retires}"
        )


def _listed(provider: Provider, model: Model, on: date) -> Period:
    found = [period for period in model.prices if period.holds(on)]
    begins = model.released or provider.known_from
    if found and (found[0].start is not None or on >= begins):
        return found[0]
    if not model.prices:
        raise UnknownFactError.of("no-price", f"the catalog has no price for {model.id}")
    first = min(period.start or begins for period in model.prices)
    raise UnknownFactError.of(
        "unknown-date",
        f"the catalog does not know what {model.id} cost on {on}",
        hint=f"its prices are known from {first}",
    )


def _own(provider: Provider, model: Model, lane: str, on: date) -> Period:
    """The lane's price for the model: the model's own, or the policy's where it is offered."""
    policy, offer = provider.lane(lane), model.offers.get(lane)
    state = policy.stated(offer)
    if offer is not None and state == "yes":
        _in_force(model, lane, offer.start, offer.until, on)
    if state == "no":
        reason = "" if offer is None or offer.note is None else f": {offer.note}"
        raise UnknownFactError.of("unsupported", f"{model.id} is not offered in {lane}{reason}")
    for period in _lane_periods(policy, offer, state):
        if period.holds(on):
            return period
    hint = "support is not documented either" if state == "unknown" else None
    raise UnknownFactError.of(
        "no-price", f"the catalog knows no price of {model.id} in {lane} on {on}", hint=hint
    )


def _lane_periods(policy: LaneFacts, offer: Offer | None, state: str) -> tuple[Period, ...]:
    """The model's own periods, then the policy's where the catalog gives the model none."""
    own = () if offer is None else offer.prices
    if state != "yes" or any(period.layer == 0 for period in own):
        return own
    return (*own, *policy.prices)


def _in_force(model: Model, lane: str, start: date | None, until: date | None, on: date) -> None:
    if start is not None and on < start:
        raise UnknownFactError.of("unsupported", f"{model.id} is in {lane} from {start} on")
    if until is not None and on >= until:
        raise UnknownFactError.of("unsupported", f"{model.id} was in {lane} until {until}")


def _region(provider: Provider, model: Model, lane: str, region: str, on: date) -> RegionRule:
    if region not in provider.regions:
        known = ", ".join(provider.regions) or "none"
        hint = did_you_mean(region, provider.regions) or f"its regions: {known}"
        raise UnknownFactError.of(
            "unknown-region", f"{provider.name} has no region {region!r} in the catalog", hint=hint
        )
    rules = [rule for rule in provider.regions[region] if rule.covers(model.id, lane, on)]
    if not rules or rules[0].state == "unknown":
        raise UnknownFactError.of(
            "no-price", f"the catalog knows no price of {model.id} in {lane} in region {region}"
        )
    if rules[0].state == "no":
        reason = f": {rules[0].note}" if rules[0].note else ""
        raise UnknownFactError.of(
            "unsupported", f"{model.id} in {lane} is not offered in region {region}{reason}"
        )
    return rules[0]


def _composed(parts: _Parts, lane: str, region: str | None, on: date) -> RateCard:
    factor = ONE if parts.region is None else parts.region.multiply
    base = _times(_lane_rates(parts), factor)
    used = _used(parts)
    return RateCard(
        provider=parts.provider.id,
        model=parts.model.id,
        lane=lane,
        region=region,
        on=on,
        rates=_known(base),
        tiers=tuple(
            Tier(edge=edge.at, inclusive=edge.inclusive, rates=_known(_times(rates, factor)))
            for edge, rates in _tiers(parts)
        ),
        unpublished=tuple(meter for meter, rate in base.items() if rate is None),
        published_to=_published_to(parts),
        sources=_sources(parts),
        inferred=tuple(each.inferred for each in used if each.inferred is not None),
        begun_since_read=tuple(_begun(parts.model, each) for each in used if _unread(each, on)),
        parts=parts,
    )


def _apply(rates: Factors, factors: Factors, literal: Factors) -> Factors:
    """Rates after a multiplier or literal rates; None stays, or becomes, unpublished."""
    result: Factors = {}
    for meter, rate in rates.items():
        factor = factors.get(meter, factors.get(EVERY))
        product = None if rate is None or factor is None else multiplied(Rate(rate), factor)
        result[meter] = literal.get(meter, product)
    return result | {meter: rate for meter, rate in literal.items() if meter not in rates}


def _lane_rates(parts: _Parts) -> Factors:
    if parts.own is None:
        return dict(parts.listed.rates)
    return _apply(parts.listed.rates, parts.own.multiply, parts.own.rates)


def _tiers(parts: _Parts) -> Iterator[tuple[Edge, Factors]]:
    """Each edge with its rates before the region: the lane's own, or the list's x the lane."""
    own = parts.own
    if own is not None and own.over is not None:
        base = _lane_rates(parts)
        for edge in own.over:
            yield edge, _apply(base, edge.multiply, edge.rates)
        return
    for edge in parts.listed.over or ():
        rates = _apply(parts.listed.rates, edge.multiply, edge.rates)
        yield edge, rates if own is None else _apply(rates, own.multiply, {})


def _published_to(parts: _Parts) -> Edge | None:
    """Where the list has tiers and the lane publishes none, its price ends at the first edge."""
    own, listed = parts.own, parts.listed.over
    return listed[0] if own is not None and own.over == () and listed else None


def _times(rates: Factors, factor: Decimal) -> Factors:
    if factor == ONE:
        return rates
    return {
        meter: None if rate is None else multiplied(Rate(rate), factor)
        for meter, rate in rates.items()
    }


def _known(rates: Factors) -> dict[str, Rate]:
    return {meter: Rate(rate) for meter, rate in rates.items() if rate is not None}


def _used(parts: _Parts) -> tuple[Period, ...]:
    return (parts.listed,) if parts.own is None else (parts.listed, parts.own)


def _sources(parts: _Parts) -> tuple[Source, ...]:
    found = [period.source for period in _used(parts)]
    if parts.region is not None:
        found.append(parts.region.source)
    return tuple(dict.fromkeys(found))


def _unread(period: Period, on: date) -> bool:
    """Whether the period was a promise when its source was read, and has begun since."""
    return period.start is not None and period.source.read < period.start <= on


def _begun(model: Model, period: Period) -> str:
    return (
        f"a price of {model.id} announced for {period.start} has begun since its source was"
        f" read ({period.source.read_as})"
    )


def _boundaries(
    provider: Provider, model: Model, lane: str, region: RegionRule | None
) -> Iterator[date]:
    """Every day on which a fact about the model in the lane begins or ends."""
    policy, offer = provider.lane(lane), model.offers.get(lane)
    periods = list(model.prices)
    if not policy.base:
        periods += _lane_periods(policy, offer, policy.stated(offer))
    days: list[date | None] = [model.released, model.retires]
    for period in periods:
        if period.state != "cancelled":
            days += [period.start, period.until]
    for dated in (offer, region):
        if dated is not None:
            days += [dated.start, dated.until]
    yield from (day for day in days if day is not None)


def _days(known: RateCard) -> Iterator[date]:
    parts = known.parts
    return _boundaries(parts.provider, parts.model, known.lane, parts.region)


def _next_change(known: RateCard) -> Change | None:
    parts = known.parts
    for day in sorted({each for each in _days(known) if each > known.on}):
        try:
            then = card(parts.catalog, parts.model, known.lane, on=day, region=known.region)
        except UnknownFactError as gone:
            return Change(date=day, rates=None, what=gone.problems[0].message, state=None)
        if (then.rates, then.tiers) != (known.rates, known.tiers):
            states = [period.state for period in _used(then.parts) if period.start == day]
            return Change(
                date=day,
                rates=then.rates,
                what=_difference(known, then),
                state="announced" if "announced" in states else None,
            )
    return None


def _difference(before: RateCard, after: RateCard) -> str:
    meters = [
        f"{meter} {_shown(before.rates.get(meter))} -> {_shown(after.rates.get(meter))}"
        for meter in dict.fromkeys((*before.rates, *after.rates))
        if before.rates.get(meter) != after.rates.get(meter)
    ]
    return ", ".join(meters) or "long prompts are priced otherwise"


def _shown(rate: Rate | None) -> str:
    return "unpublished" if rate is None else plain(rate)


def _steps(known: RateCard) -> Iterator[str]:
    parts = known.parts
    for meter in (*known.rates, *known.unpublished):
        yield _step(known, meter, None, known.rates.get(meter))
    for index, (edge, _) in enumerate(_tiers(parts)):
        for meter, rate in known.tiers[index].rates.items():
            yield _step(known, meter, edge, rate)
    if known.published_to is not None:
        edge = known.published_to
        yield f"{_beyond(edge)}: no price published for {known.lane}"


def _beyond(edge: Edge) -> str:
    return f"prompt {'>=' if edge.inclusive else '>'} {edge.at:,}"


def _step(known: RateCard, meter: str, edge: Edge | None, rate: Rate | None) -> str:
    parts = known.parts
    factors = " x ".join(_factors(parts, known.lane, meter, edge))
    if known.region is not None and parts.region is not None:
        factors += f" x {plain(parts.region.multiply)} ({known.region})"
    head = meter if edge is None else f"{meter}, {_beyond(edge)}"
    result = "not published" if rate is None else f"{plain(rate)} USD/M"
    origin = "; ".join(_origin(each) for each in known.sources)
    inferred = "".join(f" [inferred: {each}]" for each in known.inferred)
    return f"{head}: {factors} = {result} [{origin}]{inferred}"


def _origin(source: Source) -> str:
    yours = f", from {source.overlay}" if source.overlay else ""
    return f"source {source.id}, read {source.read_as}{yours}"


def _factors(parts: _Parts, lane: str, meter: str, edge: Edge | None) -> Iterator[str]:
    """The factors of one rate, from the list or from the last literal rate that wins."""
    own = parts.own
    if edge is not None and meter in edge.rates and edge in (own.over or () if own else ()):
        yield f"{_shown_factor(edge.rates[meter])} ({lane}, {_beyond(edge)}, published)"
        return
    if own is not None and meter in own.rates:
        yield f"{_shown_factor(own.rates[meter])} ({lane}, published)"
    elif edge is not None and meter in edge.rates:
        yield f"{_shown_factor(edge.rates[meter])} (list, {_beyond(edge)})"
    else:
        since = "" if parts.listed.start is None else f", from {parts.listed.start}"
        yield f"{_shown_factor(parts.listed.rates.get(meter))} (list{since})"
    if edge is not None and meter not in edge.rates:
        yield f"{_shown_factor(_of(edge.multiply, meter))} ({_beyond(edge)})"
    if own is not None and meter not in own.rates:
        yield f"{_shown_factor(_of(own.multiply, meter))} ({_lane_since(own, lane)})"


def _lane_since(own: Period, lane: str) -> str:
    return lane if own.start is None else f"{lane}, from {own.start}"


def _of(factors: Factors, meter: str) -> Decimal | None:
    return factors.get(meter, factors.get(EVERY))


def _shown_factor(factor: Decimal | None) -> str:
    return "unpublished" if factor is None else plain(factor)
