"""What changed between two days: prices, support, releases and retirements, each on its day.

Comparing the two ends alone would be shorter and would hide a price that rose and fell between
them, and the day on which each change came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from planner.catalog import prices, support
from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from planner.catalog.facts import Catalog, Model, Source
    from planner.catalog.prices import RateCard
    from planner.money import Rate

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one model is in one lane from a day on, and what it was the day before."""

    date: date
    provider: str
    model: str
    lane: str | None
    """None: the whole model, in every lane."""
    kind: str
    """price, support, released or retired."""
    before: str | None
    after: str | None
    """The state of support; None where the price changed."""
    rates_before: Mapping[str, Rate] | None
    rates_after: Mapping[str, Rate] | None
    """USD per million; None where the catalog knows no price."""
    long_prompts: bool
    """Only the price of long prompts differs."""
    announced: bool
    """Read before its day: a promise until somebody reads the source again."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Every known change after the first day, up to and including the last."""

    first: date
    last: date
    steps: tuple[Step, ...]
    unknown_before: tuple[str, ...]
    """Models that were sold on the first day, at a price that the catalog does not know."""


def between(catalog: Catalog, models: tuple[Model, ...], *, first: date, last: date) -> Changes:
    """What changes in (first, last], by day, then in the files' order."""
    steps = [step for model in models for step in _of_model(catalog, model, first, last)]
    return Changes(
        first=first,
        last=last,
        steps=tuple(sorted(steps, key=lambda step: step.date)),
        unknown_before=tuple(
            f"{model.provider}/{model.id}" for model in models if _unknown(catalog, model, first)
        ),
    )


def _unknown(catalog: Catalog, model: Model, on: date) -> bool:
    """A price is known later, but not on that day."""
    try:
        prices.card(catalog, model, model.lanes[0], on=on)
    except UnknownFactError as unknown:
        return unknown.problems[0].code == "unknown-date"
    return False


def _of_model(catalog: Catalog, model: Model, first: date, last: date) -> Iterator[Step]:
    life = {"released": model.released, "retired": model.retires}
    for kind, day in life.items():
        if day is not None and first < day <= last:
            yield _life(model, kind, day)
    for lane in model.lanes:
        for day in prices.days(catalog, model, lane):
            if first < day <= last and day not in life.values():
                yield from _of_lane(catalog, model, lane, day)


def _life(model: Model, kind: str, day: date) -> Step:
    sources = model.life_sources or (model.source,)
    return Step(
        date=day,
        provider=model.provider,
        model=model.id,
        lane=None,
        kind=kind,
        before="no" if kind == "released" else "yes",
        after="yes" if kind == "released" else "no",
        rates_before=None,
        rates_after=None,
        long_prompts=False,
        announced=all(source.read < day for source in sources),
        sources=sources,
    )


def _of_lane(catalog: Catalog, model: Model, lane: str, day: date) -> Iterator[Step]:
    before = support.lane(catalog, model, lane, on=day - DAY)
    after = support.lane(catalog, model, lane, on=day)
    old, new = (_card(catalog, model, lane, each) for each in (day - DAY, day))
    if before.state != after.state:
        yield _step(model, lane, day, (before.state, after.state), (old, new), after.source)
    elif _priced(old) != _priced(new) and not (old is None and _begins(model, day)):
        yield _step(model, lane, day, (None, None), (old, new), None)


def _begins(model: Model, day: date) -> bool:
    """Whether the catalog's knowledge of the price begins on that day."""
    return not any(period.start is None or period.start < day for period in model.prices)


def _card(catalog: Catalog, model: Model, lane: str, on: date) -> RateCard | None:
    try:
        return prices.card(catalog, model, lane, on=on)
    except UnknownFactError:
        return None


def _priced(card: RateCard | None) -> object:
    return card and (card.rates, card.tiers)


def _step(
    model: Model,
    lane: str,
    day: date,
    states: tuple[str | None, str | None],
    cards: tuple[RateCard | None, RateCard | None],
    source: Source | None,
) -> Step:
    old, new = cards
    found = [source] if source is not None else []
    found += [each for card in (new, old) if card is not None for each in card.sources][:2]
    sources = tuple(dict.fromkeys(found))
    rates = tuple(None if card is None else card.rates for card in cards)
    return Step(
        date=day,
        provider=model.provider,
        model=model.id,
        lane=lane,
        kind="price" if states[1] is None else "support",
        before=states[0],
        after=states[1],
        rates_before=rates[0],
        rates_after=rates[1],
        long_prompts=rates[0] == rates[1] and rates[0] is not None,
        announced=bool(sources) and sources[0].read < day,
        sources=sources,
    )
