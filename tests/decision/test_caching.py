"""Cached variants: when there is one, what it assumes, and from where on it pays."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision.caching import ASSUMED_IN_FLIGHT, break_even, cached, write_meter
from planner.decision.cost import Caching, components, job_cost
from planner.decision.requirements import Requirements
from planner.money import Rate, Usd, total
from tests.decision.builders import assessed, card, demand, job, mixed_job

if TYPE_CHECKING:
    from planner.catalog import Catalog, LaneFacts
    from planner.catalog.prices import RateCard
    from planner.decision.caching import Cached
    from planner.workload.profile import TokenProfile

PREFIX = 2000


def sharing(prefix: int = PREFIX, *, rows: int = 1000, prompt: int = 3000) -> TokenProfile:
    return replace(job(rows=rows, prompt=prompt), shared_prefix=prefix)


def lane(facts: Catalog, name: str, **changes: Any) -> LaneFacts:
    return replace(facts.provider("acme").lanes[name], **changes)


def variant(
    facts: Catalog,
    profile: TokenProfile,
    *,
    on: str = "plain",
    in_flight: float | None = 10,
    rates: dict[str, str] | None = None,
    hits: tuple[Decimal, Decimal] | None = None,
    **wanted: Any,
) -> Cached | None:
    priced = card(facts, lane=on)
    if rates is not None:
        own = {meter: Rate(Decimal(rate)) for meter, rate in rates.items()}
        priced = replace(priced, rates=own, tiers=())
    demanded = Requirements(**wanted)
    where = lane(facts, on, cache_hits=hits)
    return cached(facts.model("tall"), where, priced, profile, demanded, in_flight)


# ------------------------------------------------------------------ whether there is one


@pytest.mark.parametrize(("prefix", "there"), [(0, False), (999, False), (1000, True)])
def test_a_prefix_has_to_be_as_long_as_the_model_caches(
    facts: Catalog, prefix: int, there: bool
) -> None:
    assert (variant(facts, sharing(prefix)) is not None) is there


def test_a_model_without_a_published_minimum_has_no_variant(facts: Catalog) -> None:
    model = replace(facts.model("tall"), cache_min_prefix=None)
    where = lane(facts, "plain")
    assert cached(model, where, card(facts), sharing(), Requirements(), 10) is None


def test_caches_can_be_left_out(facts: Catalog) -> None:
    assert variant(facts, sharing(), cache="off") is None
    named = assessed(facts, sharing(), demand(cache="off"))
    assert not any(option.cache for option in named.values())


def test_one_row_shares_nothing(facts: Catalog) -> None:
    assert variant(facts, sharing(rows=1)) is None


@pytest.mark.parametrize(
    ("rates", "there"),
    [
        ({"input": "1", "output": "4", "cache_read": "0.99"}, True),
        ({"input": "1", "output": "4", "cache_read": "1"}, False),
        ({"input": "1", "output": "4"}, False),
    ],
)
def test_discounts_that_are_not_stacked_have_no_variant(
    facts: Catalog, rates: dict[str, str], there: bool
) -> None:
    assert (variant(facts, sharing(), rates=rates) is not None) is there


def test_a_lane_without_a_published_cached_rate_has_no_variant(facts: Catalog) -> None:
    found = assessed(facts, sharing())
    assert "plain+cache" in found
    assert "heap+cache" in found
    assert "quick" in found
    priced = card(facts, lane="quick")
    assert ("quick+cache" in found) is ("cache_read" in priced.rates)


# ------------------------------------------------------------------ what it assumes


@pytest.mark.parametrize(
    ("in_flight", "first"), [(10, 10), (9.2, 10), (0.0, 1), (None, ASSUMED_IN_FLIGHT)]
)
def test_the_first_in_flight_miss(facts: Catalog, in_flight: float | None, first: int) -> None:
    found = variant(facts, sharing(rows=1000), in_flight=in_flight)
    assert found is not None
    assert found.caching.hit_share == 1 - Fraction(first, 1000)
    assert found.caching.hit_low == Fraction(1, 2)
    assert f"all but the first {first:,} in flight, assumed" in found.said


def test_where_all_are_in_flight_at_once_nothing_hits(facts: Catalog) -> None:
    assert variant(facts, sharing(rows=10), in_flight=10) is None


def test_a_share_that_is_given_is_taken(facts: Catalog) -> None:
    found = variant(facts, sharing(), cache_hit_share=0.75)
    assert found is not None
    caching = found.caching
    assert caching.hit_low == caching.hit_share == caching.hit_high == Fraction(3, 4)
    assert "as given" in found.said


def test_a_lane_that_answers_later_has_the_reported_interval(facts: Catalog) -> None:
    found = variant(facts, sharing(), on="heap", hits=(Decimal("0.3"), Decimal("0.98")))
    assert found is not None
    assert (found.caching.hit_low, found.caching.hit_high) == (Fraction(3, 10), Fraction(98, 100))
    assert found.caching.hit_share == Fraction(1, 2)
    assert "as users report" in found.said
    unmeasured = variant(facts, sharing(), on="heap")
    assert unmeasured is not None
    assert (unmeasured.caching.hit_low, unmeasured.caching.hit_high) == (
        Fraction(0),
        Fraction(999, 1000),
    )
    assert "nobody has measured it" in unmeasured.said


@pytest.mark.parametrize(
    ("rates", "on", "expected"),
    [
        (("cache_write_1h", "cache_write_5m"), "plain", "cache_write_5m"),
        (("cache_write_1h", "cache_write_5m"), "heap", "cache_write_1h"),
        (("cache_write_30m", "cache_write_12h"), "heap", "cache_write_30m"),
        (("cache_write_5m",), "heap", "cache_write_5m"),
        (("cache_write",), "plain", "cache_write"),
        (("cache_storage",), "plain", None),
        ((), "heap", None),
    ],
)
def test_the_write_lives_as_long_as_it_is_needed(
    facts: Catalog, rates: tuple[str, ...], on: str, expected: str | None
) -> None:
    own = {meter: Rate(Decimal(1)) for meter in ("input", "output", "cache_read", *rates)}
    priced = replace(card(facts), rates=own)
    assert write_meter(priced, lane(facts, on)) == expected


# ------------------------------------------------------------------ as options


def test_cached_variants_are_options_of_their_own(facts: Catalog) -> None:
    found = assessed(facts, sharing(), demand(latency=None))
    plain, with_cache = found["plain"], found["plain+cache"]
    assert (plain.cache, with_cache.cache) == (False, True)
    assert plain.cost is not None
    assert with_cache.cost is not None
    assert with_cache.cost.expected < plain.cost.expected
    assert with_cache.cost.low <= with_cache.cost.expected <= with_cache.cost.high
    meters = {each.meter for each in with_cache.cost.components}
    assert meters == {"input", "cache_read", "cache_write_5m", "output"}
    assert any("2,000 prompt tokens that all rows share" in risk for risk in with_cache.risks)


def test_reads_that_draw_on_no_limit_make_it_faster(facts: Catalog) -> None:
    found = assessed(facts, sharing(rows=50_000, prompt=2500), demand(tiers=((None, "low"),)))
    assert found["plain"].finish.binding == "itpm"
    slow, fast = found["plain"].finish.p50, found["plain+cache"].finish.p50
    assert slow is not None
    assert fast is not None
    assert fast < slow


def test_the_hit_share_that_beats_waiting_is_said(facts: Catalog) -> None:
    profile = replace(job(rows=1000, prompt=3000, answer=5), shared_prefix=PREFIX)
    risks = assessed(facts, profile)["plain+cache"].risks
    said = next(risk for risk in risks if "from a hit share of" in risk)
    assert "costs less than the heap without a cache" in said
    long_answers = replace(job(rows=1000, prompt=3000, answer=4000), shared_prefix=PREFIX)
    risks = assessed(facts, long_answers)["plain+cache"].risks
    assert not any("from a hit share of" in risk for risk in risks)


# ------------------------------------------------------------------ the break-even

shares = st.fractions(0, 1, max_denominator=1000)


def caching(prefix: int, write: str | None = None) -> Caching:
    zero = Fraction(0)
    return Caching(prefix=prefix, hit_share=zero, hit_low=zero, hit_high=zero, write_meter=write)


def priced(rates: dict[str, str], facts: Catalog) -> RateCard:
    own = {meter: Rate(Decimal(rate)) for meter, rate in rates.items()}
    return replace(card(facts), rates=own, tiers=())


@pytest.mark.parametrize(("read", "expected"), [("0.1", 0.556), ("0.2", 0.625)])
def test_published_break_evens_are_met(facts: Catalog, read: str, expected: float) -> None:
    """Half price against a cached realtime with hardly any output (latency of batches, 4)."""
    rates = priced({"input": "1", "output": "4", "cache_read": read}, facts)
    profile = replace(mixed_job({1000: 1000}), shared_prefix=1000)
    output = replace(profile.output, mean=Fraction(0))
    profile = replace(profile, output=output)
    share = break_even(rates, profile, caching(1000), Usd(Decimal("0.5")))
    assert share is not None
    assert float(share) == pytest.approx(expected, abs=0.001)


def test_the_closed_form_and_the_bill_agree(facts: Catalog) -> None:
    """h* = (I + rO - m(I + rO)) / (I(1 - c)) without hits in batch: 1,500 in and 300 out."""
    rates = priced({"input": "1", "output": "4", "cache_read": "0.1"}, facts)
    profile = job(rows=1000, prompt=1500, answer=100)
    rival = Usd(job_cost(rates, profile).expected / 2)
    share = break_even(rates, profile, caching(1500), rival)
    assert share == Fraction(1500 + 400, 2) / (1500 * Fraction(9, 10))


@pytest.mark.parametrize(("answer", "expected"), [(300, 1), (301, None)])
def test_with_long_answers_no_cache_beats_half_price(
    facts: Catalog, answer: int, expected: int | None
) -> None:
    rates = priced({"input": "1", "output": "4", "cache_read": "0.1"}, facts)
    profile = job(rows=1000, prompt=1500, answer=answer)
    rival = Usd(job_cost(rates, profile).expected / 2)
    assert break_even(rates, profile, caching(1500), rival) == expected


@given(shares, st.sampled_from([None, "cache_write_5m"]))
def test_at_the_break_even_both_cost_the_same(
    facts: Catalog, hits: Fraction, write: str | None
) -> None:
    profile, rates = sharing(rows=1000), card(facts)

    def at(share: Fraction) -> Usd:
        parts = components(rates, profile.sizes, profile.output.mean, caching(PREFIX, write), share)
        return total(each.amount for each in parts)

    share = break_even(rates, profile, caching(PREFIX, write), at(hits))
    assert (share is None) == (hits == 0)
    assert share is None or abs(share - hits) <= Fraction(1, 1000 * PREFIX)


@given(shares, shares, st.integers(1, 3000))
def test_more_hits_never_cost_more(
    facts: Catalog, one: Fraction, other: Fraction, prefix: int
) -> None:
    profile, rates = sharing(rows=1000), card(facts)
    few, many = (
        job_cost(rates, profile, replace(caching(prefix, "cache_write_5m"), hit_share=share))
        for share in sorted((one, other))
    )
    assert many.expected <= few.expected
    assert many.ceiling == few.ceiling


@given(shares, st.integers(1, 3000), st.sampled_from([None, "cache_write_5m"]))
def test_every_prompt_token_is_billed_once(
    facts: Catalog, share: Fraction, prefix: int, write: str | None
) -> None:
    profile, rates = sharing(rows=1000), card(facts)
    parts = components(rates, profile.sizes, profile.output.mean, caching(prefix, write), share)
    prompt = sum(each.quantity for each in parts if each.meter != "output")
    assert prompt == profile.input.value
