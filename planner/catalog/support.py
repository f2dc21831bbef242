"""Whether a model may run in a lane, under which conditions and limits, and who says so.

Three states, because "nobody says" is neither yes nor no: a price in somebody's dataset is no
evidence of support, and silence about a model in a lane whose models are listed one by one means
unknown. Reading support off the price list would be shorter and is wrong for dozens of models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from planner.errors import UnknownFactError, did_you_mean

if TYPE_CHECKING:
    from datetime import date

    from planner.catalog.facts import (
        Catalog,
        LaneFacts,
        LimitRow,
        Model,
        Offer,
        Provider,
        Source,
        SupportState,
        UsageTier,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The answer about one model in one lane on one day, with its evidence."""

    state: SupportState
    source: Source | None
    """None where nobody says anything."""
    note: str | None
    why: str
    lane: LaneFacts
    inferred: str | None = None
    begun_since_read: tuple[str, ...] = ()
    """Endings announced by the source that have come since it was read."""
    ends: date | None = None
    """The day from which the model is no longer offered in this lane, if one is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a usage tier may send to a model in a lane; None is "not published"."""

    tier: str | None
    rpm: int | None = None
    rpd: int | None = None
    itpm: int | None = None
    otpm: int | None = None
    tpm: int | None = None
    usd_10min: int | None = None
    usd_month: int | None = None
    queued_requests: int | None = None
    queued_input_tokens: int | None = None
    max_active: int | None = None
    counts_cache_read: bool = True
    """Whether cached prompt tokens draw on the token limits; held to where nobody says."""
    counts_max_output: bool = True
    """Whether the demanded maximum, not the generated tokens, draws on them; likewise."""
    pool: str | None = None
    """Who shares the limits; None: the model has them for itself."""
    source: Source | None = None
    sources: tuple[Source, ...] = ()
    published: bool = False
    inferred: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def lane(catalog: Catalog, model: Model | str, lane_id: str, *, on: date) -> Support:
    """Whether the model is offered in the lane on that day; `UnknownFactError` for either name."""
    which = catalog.model(model) if isinstance(model, str) else model
    provider = catalog.provider(which.provider)
    policy = provider.lane(lane_id)
    offer = which.offers.get(lane_id)
    facts = policy if offer is None else _adapted(policy, offer)
    gone = _not_sold(which, on)
    if gone is not None:
        return Support(
            state="no",
            source=which.life_sources[0] if which.life_sources else which.source,
            note=which.note,
            why=gone,
            lane=facts,
        )
    if offer is None or offer.state is None:
        found = _by_policy(provider, which, facts)
    else:
        found = _by_offer(which, facts, offer, on)
    return replace(found, ends=_first(found.ends, which.retires))


def _first(*days: date | None) -> date | None:
    return min((day for day in days if day is not None), default=None)


def _not_sold(model: Model, on: date) -> str | None:
    if model.released is not None and on < model.released:
        return f"{model.id} is not released before {model.released}"
    if model.retires is not None and on >= model.retires:
        return f"{model.id} is retired since {model.retires}"
    return None


def _adapted(policy: LaneFacts, offer: Offer) -> LaneFacts:
    """The lane's facts as they are for a model that differs."""
    return replace(
        policy,
        needs=offer.needs or policy.needs,
        max_output=offer.max_output or policy.max_output,
        window=offer.window or policy.window,
        refuses=(*policy.refuses, *offer.refuses),
        note=offer.note or policy.note,
    )


def _by_policy(provider: Provider, model: Model, facts: LaneFacts) -> Support:
    if facts.listed:
        return Support(
            state="unknown",
            source=None,
            note=facts.note,
            why=f"{provider.name} names the models of {facts.title} one by one, and no source"
            f" says anything of {model.id}",
            lane=facts,
        )
    return Support(
        state="yes",
        source=facts.source,
        note=facts.note,
        why=f"{provider.name} offers {facts.title} for all its models",
        lane=facts,
    )


def _by_offer(model: Model, facts: LaneFacts, offer: Offer, on: date) -> Support:
    state, why = _stated(model, facts, offer, on)
    return Support(
        state=state,
        source=offer.source,
        note=offer.note,
        why=why,
        lane=facts,
        inferred=offer.inferred,
        begun_since_read=_passed(model, facts, offer, on),
        ends=offer.until if state == "yes" else None,
    )


def _stated(model: Model, facts: LaneFacts, offer: Offer, on: date) -> tuple[SupportState, str]:
    if offer.state == "unknown":
        return "unknown", f"no source settles whether {model.id} is offered in {facts.title}"
    if offer.state == "no":
        return "no", f"{model.id} is not offered in {facts.title}"
    if offer.start is not None and on < offer.start:
        return "no", f"{model.id} is offered in {facts.title} from {offer.start} on"
    if offer.until is not None and on >= offer.until:
        return "no", f"{model.id} is no longer offered in {facts.title} since {offer.until}"
    return "yes", f"{model.id} is named for {facts.title}"


def _passed(model: Model, facts: LaneFacts, offer: Offer, on: date) -> tuple[str, ...]:
    days = [day for day in (offer.start, offer.until) if day is not None]
    return tuple(
        f"{model.id} in {facts.title} changed on {day}, after its source was read"
        f" ({offer.source.read_as})"
        for day in days
        if offer.source.read < day <= on
    )


def limits(
    catalog: Catalog, model: Model | str, lane_id: str, *, tier: str | None = None, on: date
) -> Limits:
    """The limits of a usage tier, None being the lowest one published for the model.

    `UnknownFactError` for a model, lane or tier that the catalog does not know. `on` is the day
    the answer is for; limits have no dated changes yet.
    """
    del on
    which = catalog.model(model) if isinstance(model, str) else model
    provider = catalog.provider(which.provider)
    provider.lane(lane_id)
    chosen = _lowest(provider, which) if tier is None else _tier(provider, tier)
    if chosen is None:
        return Limits(tier=None)
    rows = [
        row
        for row in provider.limits
        if row.tier == chosen.id and _covers(provider, row, which, lane_id)
    ]
    return _merged(chosen, rows)


def tiers(catalog: Catalog, provider: str) -> tuple[UsageTier, ...]:
    """A vendor's usage tiers, from the lowest to the highest."""
    return catalog.provider(provider).tiers


def _tier(provider: Provider, name: str) -> UsageTier:
    wanted = name.casefold()
    for each in provider.tiers:
        if wanted in (each.id.casefold(), each.title.casefold()):
            return each
    known = [each.id for each in provider.tiers]
    hint = did_you_mean(name, known) or f"its tiers: {', '.join(known) or 'none published'}"
    raise UnknownFactError.of(
        "unknown-tier", f"{provider.name} has no usage tier {name!r} in the catalog", hint=hint
    )


def _lowest(provider: Provider, model: Model) -> UsageTier | None:
    """The lowest tier with a row for the model in any lane; else the vendor's lowest."""
    named = {row.tier for row in provider.limits if row.models is None or model.id in row.models}
    ordered = [each for each in provider.tiers if each.id in named] or list(provider.tiers)
    return ordered[0] if ordered else None


def _covers(provider: Provider, row: LimitRow, model: Model, lane_id: str) -> bool:
    lanes = row.lanes or frozenset({provider.base_lane})
    return lane_id in lanes and (row.models is None or model.id in row.models)


def _merged(tier: UsageTier, rows: list[LimitRow]) -> Limits:
    """All rows that apply, the earlier one winning where two state the same figure."""
    figures: dict[str, int] = {}
    counts: dict[str, bool] = {}
    for row in rows:
        figures = {**row.figures, **figures}
        counts = {**row.counts, **counts}
    if tier.usd_month is not None:
        figures.setdefault("usd_month", tier.usd_month)
    sources = tuple(dict.fromkeys(row.source for row in rows))
    return Limits(
        tier=tier.id,
        counts_cache_read=counts.get("cache_read", True),
        counts_max_output=counts.get("max_output", True),
        pool=next((row.pool for row in rows if row.pool is not None), None),
        source=sources[0] if sources else None,
        sources=sources,
        published=bool(rows),
        inferred=tuple(row.inferred for row in rows if row.inferred is not None),
        notes=tuple(row.note for row in rows if row.note is not None),
        **figures,
    )
