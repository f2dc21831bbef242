"""What a job costs on one lane: exact components, their interval and their ceiling.

Every row is priced by its own size: rows above a context edge are billed at that tier's
rates as a whole, so the job is cut into bands at the edges and each band is a component.
Multiplying the mean row by the row count would bill the long rows at the short rate.

Intervals join independent errors (prompt tokens, answer length, cache hits) in
quadrature; the ceiling is every row at the largest prompt count and at its output limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from planner.errors import UnknownFactError
from planner.money import Rate, Usd, amount, difference, lowered, plus, raised, scaled, total
from planner.workload.sizes import End

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from planner.catalog.prices import RateCard
    from planner.workload.profile import TokenProfile
    from planner.workload.sizes import Sizes

P95 = Fraction(95, 100)
P95_OF_HALF_WIDTH = Fraction(1645, 1960)
"""One-sided 95 % against the upper end of a two-sided 95 % interval, normal errors."""

INPUT = "input"
OUTPUT = "output"
CACHE_READ = "cache_read"

NO_HITS = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostComponent:
    """quantity x rate = amount; `over` is the context edge whose tier sets the rate."""

    lane: str
    meter: str
    quantity: int
    rate: Rate
    amount: Usd
    over: int | None = None

    def part(self, quantity: int) -> CostComponent:
        """The same rate for another quantity."""
        return replace(self, quantity=quantity, amount=amount(quantity, self.rate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """US dollars of one run: expected, its 95 % interval, P95 and ceiling."""

    expected: Usd
    low: Usd
    high: Usd
    p95: Usd
    ceiling: Usd
    components: tuple[CostComponent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """A shared prefix of `prefix` tokens that a share of the rows reads from the cache.

    `write_meter` is what a row that misses pays for the prefix; None where the vendor
    charges such a row the ordinary input rate.
    """

    prefix: int
    hit_share: Fraction
    hit_low: Fraction
    hit_high: Fraction
    write_meter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """The rows between two context edges, with the rates they pay."""

    since: int
    """Rows of this band and of all beyond it."""
    beyond: int
    tokens: int
    rates: Mapping[str, Rate]
    over: int | None

    @property
    def rows(self) -> int:
        return self.since - self.beyond

    def output(self, mean: Fraction) -> int:
        """Its part of the job's answers: over all bands they are the job's own total."""
        return round(mean * self.since) - (round(mean * self.beyond) if self.beyond else 0)


def job_cost(card: RateCard, profile: TokenProfile, caching: Caching | None = None) -> Cost:
    """The cost of the whole profile at one rate card."""
    output = profile.output
    hit = caching.hit_share if caching else NO_HITS
    hit_low, hit_high = (caching.hit_low, caching.hit_high) if caching else (hit, hit)
    bands = {end: _bands(card, profile.prompt_sizes(end)) for end in End}
    parts = _components(card, bands[End.VALUE], output.mean, caching, hit)
    expected = total(each.amount for each in parts)

    def priced(end: End, mean: Fraction, hits: Fraction) -> Usd:
        if (mean, hits) == (output.mean, hit) and bands[end] == bands[End.VALUE]:
            return expected  # nothing differs: most jobs are certain of some of the three
        units = _units(bands[end], mean, caching, hits)
        return total(amount(count, _rate(card, band, meter)) for band, meter, count in units)

    cheaper = (
        priced(End.LOW, output.mean, hit),
        priced(End.VALUE, output.low, hit),
        min(priced(End.VALUE, output.mean, hit_high), expected),
    )
    dearer = (
        priced(End.HIGH, output.mean, hit),
        priced(End.VALUE, output.high, hit),
        max(priced(End.VALUE, output.mean, hit_low), expected),
    )
    high = raised(expected, *(difference(each, expected) for each in dearer))
    # Every row at the upper prompt count, no cache hit, and at its output limit.
    ceiling = max(priced(End.HIGH, Fraction(output.ceiling), NO_HITS), expected)
    p95 = plus(expected, scaled(difference(high, expected), P95_OF_HALF_WIDTH))
    high = min(high, ceiling)
    return Cost(
        expected=expected,
        low=lowered(expected, *(difference(each, expected) for each in cheaper)),
        high=high,
        p95=min(p95, high),
        ceiling=ceiling,
        components=parts,
    )


def components(
    card: RateCard,
    sizes: Sizes,
    mean_output: Fraction,
    caching: Caching | None = None,
    hits: Fraction = NO_HITS,
) -> tuple[CostComponent, ...]:
    """Every meter of every band, in the order a bill lists them; no empty components."""
    return _components(card, _bands(card, sizes), mean_output, caching, hits)


def _components(
    card: RateCard,
    bands: Iterable[_Band],
    mean_output: Fraction,
    caching: Caching | None,
    hits: Fraction,
) -> tuple[CostComponent, ...]:
    parts: list[CostComponent] = []
    for band, meter, quantity in _units(bands, mean_output, caching, hits):
        rate = _rate(card, band, meter)
        parts.append(
            CostComponent(
                lane=card.lane,
                meter=meter,
                quantity=quantity,
                rate=rate,
                amount=amount(quantity, rate),
                over=band.over,
            )
        )
    return tuple(parts)


def _rate(card: RateCard, band: _Band, meter: str) -> Rate:
    """The band's rate; UnknownFactError where none is published, never a rate of zero."""
    rate = band.rates.get(meter)
    if rate is None:
        raise UnknownFactError.of(
            "unknown-meter", f"no rate is published for {meter} of {card.model} in {card.lane}"
        )
    return rate


def _bands(card: RateCard, sizes: Sizes) -> tuple[_Band, ...]:
    """The job cut at the context edges; sums over bands are the job's own totals."""
    above = [sizes.above(tier.edge, inclusive=tier.inclusive) for tier in card.tiers]
    sums = [(each.rows, each.total) for each in (sizes, *above)]
    tiers = [(None, card.rates), *((tier.edge, tier.rates) for tier in card.tiers)]
    return tuple(
        _Band(since=rows, beyond=fewer, tokens=tokens - less, rates=rates, over=edge)
        for (edge, rates), (rows, tokens), (fewer, less) in zip(
            tiers, sums, (*sums[1:], (0, 0)), strict=True
        )
    )


def _units(
    bands: Iterable[_Band], mean_output: Fraction, caching: Caching | None, hits: Fraction
) -> Iterator[tuple[_Band, str, int]]:
    """What every band is billed for: meter and units, none of them zero."""
    for band in bands:
        for meter, quantity in _quantities(band, mean_output, caching, hits):
            if quantity:
                yield band, meter, quantity


def _quantities(
    band: _Band, mean_output: Fraction, caching: Caching | None, hits: Fraction
) -> Iterator[tuple[str, int]]:
    """(meter, units) of one band."""
    if caching is None:
        yield INPUT, band.tokens
    else:
        prefix = min(caching.prefix * band.rows, band.tokens)
        read = round(prefix * hits)
        missed = prefix - read
        written = 0 if caching.write_meter is None else missed
        yield INPUT, band.tokens - read - written
        yield CACHE_READ, read
        if caching.write_meter is not None:
            yield caching.write_meter, written
    yield OUTPUT, band.output(mean_output)


def either(probability: float, then: Cost, otherwise: Cost) -> Cost:
    """The cost of a job that is billed one way with that probability, else the other way.

    Here a probability meets money: it weighs whole quantities (tokens), which are rounded;
    every amount is exact again, and the expected cost is the sum of its components.
    """
    parts = [each.part(_share(each.quantity, probability)) for each in then.components]
    parts += [
        each.part(each.quantity - _share(each.quantity, probability))
        for each in otherwise.components
    ]
    expected = total(each.amount for each in parts)
    return Cost(
        expected=expected,
        low=min(then.low, otherwise.low),
        high=max(then.high, otherwise.high),
        p95=max(then.p95, otherwise.p95)
        if Fraction(probability) < P95
        else max(then.p95, expected),
        ceiling=max(then.ceiling, otherwise.ceiling),
        components=tuple(each for each in parts if each.quantity),
    )


def both(one: Cost, other: Cost) -> Cost:
    """The cost of two parts of a job together; their errors are taken as shared."""
    return Cost(
        expected=plus(one.expected, other.expected),
        low=plus(one.low, other.low),
        high=plus(one.high, other.high),
        p95=plus(one.p95, other.p95),
        ceiling=plus(one.ceiling, other.ceiling),
        components=one.components + other.components,
    )


def _share(quantity: int, probability: float) -> int:
    return round(quantity * Fraction(probability))
