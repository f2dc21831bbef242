"""How a source is told: where it was read, when, how, and whose figure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from planner.catalog import Source

Json = dict[str, Any]

VIA = {
    "vendor": "the vendor's own page or package",
    "mirror": "a copy of the vendor's page",
    "dataset": "somebody's compilation, not the vendor",
}


SUPPORT = "support"
"""What a quote must be about to stand beside a verdict on support."""


def told(source: Source) -> Iterator[tuple[str, str]]:
    """Where support was read, when and how, and the words that say so where they are kept."""
    if source.quote and source.about == SUPPORT:
        yield "says", f'"{source.quote}"'
    yield "read", _how(source)
    yield "source", source.url


def line(source: Source) -> str:
    """The same in one line."""
    return f"  read {_how(source)}: {source.url}"


def _how(source: Source) -> str:
    how = f"{source.read_as}, {VIA[source.via]}"
    if source.confirmed is not None:
        how = f"{source.read_as}, checked again as {source.confirmed} says"
    return how if source.overlay is None else f"{source.read_as}, your own {source.overlay}"


def data(source: Source | None) -> Json | None:
    """The same as data."""
    if source is None:
        return None
    return {
        "id": source.id,
        "url": source.url,
        "read": source.read_as,
        "via": source.via,
        "quote": source.quote,
        "quote_about": source.about,
        "overlay": source.overlay,
        "confirmed": source.confirmed,
    }


def decimals(figures: Mapping[str, Decimal] | None) -> Json | None:
    """Exact figures as data carries them."""
    return None if figures is None else {key: plain(value) for key, value in figures.items()}


def listed(rates: Mapping[str, Decimal], sign: str = "") -> str:
    """Rates in a sentence."""
    return ", ".join(f"{meter} {sign}{plain(rate)}" for meter, rate in rates.items())
