"""What in the catalog wants a person's attention on a day: old readings, changes come and ahead.

Two kinds: an `action` is a figure that may be wrong by now (a source older than plans may rest on,
or a dated change that nobody has checked since it came); a notice is something to know (a source
growing old, a retirement ahead, a gap). Gaps stay notices: most of them are the vendors' silence,
and an audit that is never green would be read by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from planner.catalog import prices, support
from planner.catalog.freshness import REFUSE_AFTER_DAYS, WARN_AFTER_DAYS
from planner.errors import UnknownFactError
from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from planner.catalog.facts import Catalog, Model, Period, Provider, Source

AHEAD = timedelta(days=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at."""

    code: str
    """stale, begun, aging, ahead, retires, no-price or support-unknown."""
    action: bool
    """A figure may be wrong: somebody must read the source again."""
    provider: str
    models: tuple[str, ...] = ()
    lane: str | None = None
    source: Source | None = None
    date: date | None = None
    message: str


def audit(catalog: Catalog, *, on: date, provider: str | None = None) -> tuple[Finding, ...]:
    """Every finding as of a day, the actions first; `UnknownFactError` for an unknown vendor."""
    vendors = catalog.providers if provider is None else (catalog.provider(provider),)
    found = [finding for vendor in vendors for finding in _of_vendor(catalog, vendor, on)]
    return tuple(sorted(found, key=lambda each: not each.action))


def _of_vendor(catalog: Catalog, vendor: Provider, on: date) -> Iterator[Finding]:
    yield from _ages(vendor, on)
    yield from _begun(vendor, on)
    yield from _ahead(vendor, on)
    yield from _gaps(catalog, vendor, on)


def _ages(vendor: Provider, on: date) -> Iterator[Finding]:
    for source in sorted(vendor.sources.values(), key=lambda source: source.read):
        days = (on - source.read).days
        if days > WARN_AFTER_DAYS:
            stale = days > REFUSE_AFTER_DAYS
            yield Finding(
                code="stale" if stale else "aging",
                action=stale,
                provider=vendor.id,
                source=source,
                date=source.read,
                message=f"{source.id} was read {source.read_as}, {counted(days, 'day')} before",
            )


def _begun(vendor: Provider, on: date) -> Iterator[Finding]:
    """Dated changes whose day has come since their source was read."""
    for day, source, name, what in _dated(vendor):
        if source.read < day <= on:
            yield Finding(
                code="begun",
                action=True,
                provider=vendor.id,
                models=(name,),
                source=source,
                date=day,
                message=f"{name}: {what} on {day}, and {source.id} was read {source.read_as}",
            )


def _ahead(vendor: Provider, on: date) -> Iterator[Finding]:
    """Dated changes of the next sixty days."""
    for day, source, name, what in _dated(vendor):
        if on < day <= on + AHEAD:
            left = (day - on).days
            yield Finding(
                code="retires" if what == RETIRES else "ahead",
                action=False,
                provider=vendor.id,
                models=(name,),
                source=source,
                date=day,
                message=f"{name}: {what} on {day}, in {counted(left, 'day')}",
            )


Dated = tuple["date", "Source", str, str]
"""The day, who says so, the model or lane, and what happens."""

RETIRES = "retires"


def _dated(vendor: Provider) -> Iterator[Dated]:
    for model in vendor.models.values():
        if model.retires is not None and model.life_sources:
            yield model.retires, model.life_sources[0], model.id, RETIRES
        yield from _periods(model.prices, model.id, "another price begins")
        for lane, offer in model.offers.items():
            where = f"{model.id} in {lane}"
            yield from _periods(offer.prices, where, "another price begins")
            if offer.start is not None:
                yield offer.start, offer.source, where, "it begins to be offered"
            if offer.until is not None:
                yield offer.until, offer.source, where, "it ends"
    for policy in vendor.lanes.values():
        yield from _periods(policy.prices, policy.id, "another price begins")


def _periods(periods: Sequence[Period], name: str, what: str) -> Iterator[Dated]:
    for period in periods:
        if period.start is not None and period.state != "cancelled":
            yield period.start, period.source, name, what


def _gaps(catalog: Catalog, vendor: Provider, on: date) -> Iterator[Finding]:
    sold = [model for model in vendor.models.values() if _sold(model, on)]
    for lane in vendor.lanes:
        states = {model.id: support.lane(catalog, model, lane, on=on).state for model in sold}
        unknown = tuple(name for name, state in states.items() if state == "unknown")
        yield from _gap(vendor, lane, unknown, "support-unknown", "nobody says of")
        bare = tuple(
            model.id
            for model in sold
            if states[model.id] == "yes" and not _priced(catalog, model, lane, on)
        )
        yield from _gap(vendor, lane, bare, "no-price", "offered without a known price:")


def _gap(
    vendor: Provider, lane: str, models: tuple[str, ...], code: str, words: str
) -> Iterator[Finding]:
    if models:
        yield Finding(
            code=code,
            action=False,
            provider=vendor.id,
            models=models,
            lane=lane,
            message=f"{lane}: {words} {', '.join(models)}",
        )


def _sold(model: Model, on: date) -> bool:
    return (model.released is None or model.released <= on) and (
        model.retires is None or on < model.retires
    )


def _priced(catalog: Catalog, model: Model, lane: str, on: date) -> bool:
    try:
        prices.card(catalog, model, lane, on=on)
    except UnknownFactError:
        return False
    return True
