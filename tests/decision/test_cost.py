"""Laws of the cost of a job, its bands at context edges, and figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision.cost import Caching, Cost, both, components, either, job_cost
from planner.errors import UnknownFactError
from planner.money import Rate, multiplied, total
from tests.decision.builders import answers, card, histograms, job, jobs, mixed_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog
    from planner.catalog.prices import RateCard
    from planner.workload.profile import TokenProfile

ONE = Fraction(1)
lanes = st.sampled_from(["plain", "heap"])
prefixes = st.builds(
    Caching,
    prefix=st.integers(0, 50_000),
    hit_share=st.just(Fraction(1, 2)),
    hit_low=st.fractions(0, Fraction(1, 2), max_denominator=50),
    hit_high=st.fractions(Fraction(1, 2), 1, max_denominator=50),
    write_meter=st.sampled_from([None, "cache_write_5m"]),
)


def cost(facts: Catalog, profile: TokenProfile, lane: str = "plain", **other: Any) -> Cost:
    return job_cost(card(facts, lane=lane), profile, **other)


def bill(found: Cost) -> list[tuple[str, int, str, str, int | None]]:
    """The components as a bill has them: meter, quantity, rate, amount, edge."""
    return [
        (part.meter, part.quantity, str(part.rate), f"{part.amount:f}", part.over)
        for part in found.components
    ]


# --- by hand ------------------------------------------------------------------------------


def test_a_job_of_equal_rows(facts: Catalog) -> None:
    """12,480 x 1,180 x $1/M = 14.7264; 12,480 x 220 x $4/M = 10.9824."""
    found = cost(facts, job(rows=12_480, prompt=1180, answer=220))
    assert bill(found) == [
        ("input", 14_726_400, "1", "14.726400", None),
        ("output", 2_745_600, "4", "10.982400", None),
    ]
    assert found.expected == found.low == found.high == found.p95 == Decimal("25.7088")


def test_the_ceiling_is_every_answer_at_its_limit(facts: Catalog) -> None:
    """12,480 x 1,024 x $4/M = 51.11808 beside the input's 14.7264."""
    found = cost(facts, job(rows=12_480, prompt=1180, answer=220, limit=1024))
    assert found.ceiling == Decimal("14.7264") + Decimal("51.11808")


def test_half_the_rate_is_half_the_cost(facts: Catalog) -> None:
    assert cost(facts, job(), "heap").expected * 2 == cost(facts, job()).expected


@pytest.mark.parametrize(
    ("prompt", "rate", "over"),
    [
        (99_999, "1", None),
        (100_000, "1", None),
        (100_001, "2", 100_000),
        (199_999, "2", 100_000),
        (200_000, "4", 200_000),
    ],
)
def test_a_row_is_priced_as_a_whole_by_its_size(
    facts: Catalog, prompt: int, rate: str, over: int | None
) -> None:
    """The first edge is exclusive, the second one inclusive."""
    first = cost(facts, job(rows=1, prompt=prompt, answer=100)).components[0]
    assert (first.quantity, str(first.rate), first.over) == (prompt, rate, over)


def test_bands_of_a_mixed_job(facts: Catalog) -> None:
    """Only the long rows pay the long rate, for their answers too."""
    found = cost(facts, mixed_job({50_000: 3, 100_000: 1, 100_001: 2, 250_000: 1}, answer=100))
    assert bill(found) == [
        ("input", 250_000, "1", "0.250000", None),
        ("output", 400, "4", "0.001600", None),
        ("input", 200_002, "2", "0.400004", 100_000),
        ("output", 200, "8", "0.001600", 100_000),
        ("input", 250_000, "4", "1.000000", 200_000),
        ("output", 100, "12", "0.001200", 200_000),
    ]


def test_cached_prefixes(facts: Catalog) -> None:
    """10 rows of 1,000 + 500 tokens; 60 % read 1,000 at 0.1, 40 % write it at 1.25.

    input 10 x 500 = 5,000; read 6,000; written 4,000; output 2,000:
    0.005 + 0.0006 + 0.005 + 0.008 = 0.0186.
    """
    caching = Caching(
        prefix=1000,
        hit_share=Fraction(6, 10),
        hit_low=Fraction(3, 10),
        hit_high=Fraction(98, 100),
        write_meter="cache_write_5m",
    )
    found = cost(facts, job(rows=10, prompt=1500, answer=200), caching=caching)
    assert bill(found) == [
        ("input", 5000, "1", "0.005000", None),
        ("cache_read", 6000, "0.1", "0.0006000", None),
        ("cache_write_5m", 4000, "1.25", "0.00500000", None),
        ("output", 2000, "4", "0.008000", None),
    ]
    # With hits of 30 %: 0.005 + 0.0003 + 0.00875 + 0.008; of 98 %: 0.005 + 0.00098 + 0.00025 +
    # 0.008. No other error, so these are the interval's ends.
    assert (found.low, found.high) == (Decimal("0.01423"), Decimal("0.02205"))


def test_a_prefix_whose_misses_pay_the_ordinary_rate(facts: Catalog) -> None:
    caching = Caching(
        prefix=1000, hit_share=Fraction(1, 2), hit_low=ONE / 2, hit_high=ONE / 2, write_meter=None
    )
    found = cost(facts, job(rows=10, prompt=1500, answer=200), caching=caching)
    assert bill(found)[:2] == [
        ("input", 10_000, "1", "0.010000", None),
        ("cache_read", 5000, "0.1", "0.0005000", None),
    ]


def test_errors_join_in_quadrature(facts: Catalog) -> None:
    """Input 1.0 +- 0.3 and output 0.8 +- 0.4 make 1.8 +- 0.5."""
    profile = mixed_job(
        {1000: 1000},
        low=Fraction(7, 10),
        high=Fraction(13, 10),
        output=answers(200, 100, 300, 4096),
    )
    found = cost(facts, profile)
    assert (found.low, found.expected, found.high) == (
        Decimal("1.3"),
        Decimal("1.8"),
        Decimal("2.3"),
    )
    # One-sided 95 % lies at 1.645 of 1.960 standard errors: 1.8 + 0.5 x 0.8393.
    assert found.p95 == Decimal("2.21964286")


def test_a_lane_without_a_rate_for_a_meter_has_no_price(facts: Catalog) -> None:
    with pytest.raises(UnknownFactError) as caught:
        job_cost(card(facts, "mute"), job(model="mute"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == (
        "unknown-meter",
        "no rate is published for output of mute in plain",
    )


# --- laws ---------------------------------------------------------------------------------


@given(jobs, lanes, st.none() | prefixes)
def test_an_interval_holds_what_is_expected(
    facts: Catalog, profile: TokenProfile, lane: str, caching: Caching | None
) -> None:
    found = cost(facts, profile, lane, caching=caching)
    assert 0 <= found.low <= found.expected <= found.p95 <= found.high <= found.ceiling


@given(jobs, lanes, st.none() | prefixes)
def test_components_sum_to_what_is_expected(
    facts: Catalog, profile: TokenProfile, lane: str, caching: Caching | None
) -> None:
    found = cost(facts, profile, lane, caching=caching)
    assert total(part.amount for part in found.components) == found.expected
    for part in found.components:
        assert part.quantity > 0
        assert Fraction(part.amount) == part.quantity * Fraction(part.rate) / 10**6


@given(jobs, st.none() | prefixes)
def test_every_token_is_billed_once(
    facts: Catalog, profile: TokenProfile, caching: Caching | None
) -> None:
    parts = cost(facts, profile, caching=caching).components
    billed = {"prompt": 0, "output": 0}
    for part in parts:
        billed["output" if part.meter == "output" else "prompt"] += part.quantity
    assert billed == {"prompt": profile.input.value, "output": profile.output_total.value}


@given(histograms, histograms, st.integers(0, 5000))
def test_cost_is_additive_in_rows(
    facts: Catalog, one: dict[int, int], other: dict[int, int], answer: int
) -> None:
    """Two jobs cost together what they cost apart: no row sees its neighbours."""
    joined = {size: one.get(size, 0) + other.get(size, 0) for size in {*one, *other}}
    apart, together = (
        sum(
            Fraction(part.amount)
            for rows in jobs_
            for part in components(card(facts), mixed_job(rows).sizes, Fraction(answer))
        )
        for jobs_ in ([one, other], [joined])
    )
    assert apart == together


@given(histograms, st.integers(1, 2000))
def test_cost_is_proportional_to_the_volume(
    facts: Catalog, rows: dict[int, int], times: int
) -> None:
    one = mixed_job(rows)
    more = one.for_rows(one.rows.value * times)
    assert cost(facts, more).expected == cost(facts, one).expected * times
    assert cost(facts, more).ceiling == cost(facts, one).ceiling * times


GROWN: list[Callable[[TokenProfile], TokenProfile]] = [
    lambda one: replace(one, sizes=one.sizes.stretched(Fraction(3, 2))),
    lambda one: replace(one, output=replace(one.output, mean=one.output.mean + 1)),
    lambda one: one.for_rows(one.rows.value + 1),
]


@given(jobs, lanes, st.sampled_from(GROWN))
def test_cost_is_monotone_in_tokens_and_rows(
    facts: Catalog,
    profile: TokenProfile,
    lane: str,
    grown: Callable[[TokenProfile], TokenProfile],
) -> None:
    before, after = (cost(facts, each, lane).expected for each in (profile, grown(profile)))
    assert before <= after


@given(jobs, st.decimals(1, 3, places=2))
def test_cost_is_monotone_and_linear_in_rates(
    facts: Catalog, profile: TokenProfile, factor: Decimal
) -> None:
    found = job_cost(raised(card(facts), factor), profile)
    assert found.expected == cost(facts, profile).expected * factor
    assert found.ceiling == cost(facts, profile).ceiling * factor
    assert found.high >= cost(facts, profile).high


def raised(one: RateCard, factor: Decimal) -> RateCard:
    """The card with every rate multiplied."""

    def times(rates: Any) -> dict[str, Rate]:
        return {meter: multiplied(rate, factor) for meter, rate in rates.items()}

    tiers = tuple(replace(tier, rates=times(tier.rates)) for tier in one.tiers)
    return replace(one, rates=times(one.rates), tiers=tiers)


@given(jobs, prefixes, st.fractions(0, 1), st.fractions(0, 1))
def test_more_cache_hits_never_cost_more(
    facts: Catalog, profile: TokenProfile, caching: Caching, one: Fraction, other: Fraction
) -> None:
    """To within the rounding of a token a band."""
    fewer, more = (
        cost(facts, profile, caching=replace(caching, hit_share=share)).expected
        for share in (min(one, other), max(one, other))
    )
    assert more <= fewer


@given(jobs)
def test_an_empty_prefix_costs_what_no_cache_does(facts: Catalog, profile: TokenProfile) -> None:
    nothing = Caching(prefix=0, hit_share=ONE, hit_low=ONE, hit_high=ONE, write_meter=None)
    assert cost(facts, profile, caching=nothing) == cost(facts, profile)


@given(jobs)
def test_a_price_never_depends_on_earlier_questions(facts: Catalog, profile: TokenProfile) -> None:
    alone = cost(facts, profile)
    for other in (job(rows=1), job(rows=10**6), profile):
        cost(facts, other, "heap")
    assert cost(facts, profile) == alone


def test_no_rows_cost_nothing(facts: Catalog) -> None:
    found = cost(facts, job().for_rows(0))
    assert found.expected == found.high == found.ceiling == 0
    assert found.components == ()


def test_one_row(facts: Catalog) -> None:
    assert cost(facts, job(rows=1, prompt=1, answer=1)).expected == Decimal("0.000005")


# --- one or the other ---------------------------------------------------------------------


def test_a_rescue_by_hand(facts: Catalog) -> None:
    """$1.80 or $0.90, each by half: 0.45 + 0.90 = 1.35, between 0.90 and 1.80."""
    plain, heap = cost(facts, job()), cost(facts, job(), "heap")
    found = either(0.5, heap, plain)
    assert found.expected == Decimal("1.35")
    assert (found.low, found.high, found.p95) == (heap.low, plain.high, plain.p95)
    assert found.ceiling == plain.ceiling
    assert [(part.lane, part.quantity) for part in found.components] == [
        ("heap", 500_000),
        ("heap", 100_000),
        ("plain", 500_000),
        ("plain", 100_000),
    ]


@given(jobs, st.floats(0, 1))
def test_either_lies_between_the_two(
    facts: Catalog, profile: TokenProfile, probability: float
) -> None:
    plain, heap = cost(facts, profile), cost(facts, profile, "heap")
    found = either(probability, heap, plain)
    assert heap.expected <= found.expected <= plain.expected
    assert found.low <= found.expected <= found.p95 <= found.high <= found.ceiling
    assert total(part.amount for part in found.components) == found.expected
    quantities = [sum(part.quantity for part in each.components) for each in (plain, heap, found)]
    assert len(set(quantities)) == 1, "each token is billed once, whichever way"


@given(jobs)
def test_certainty_is_one_of_the_two(facts: Catalog, profile: TokenProfile) -> None:
    plain, heap = cost(facts, profile), cost(facts, profile, "heap")
    assert either(1.0, heap, plain).components == heap.components
    assert either(0.0, heap, plain).components == plain.components
    assert either(1.0, heap, plain).expected == heap.expected


def test_below_one_in_twenty_the_dearer_way_is_beyond_the_95th_percentile(facts: Catalog) -> None:
    plain, heap = cost(facts, job()), cost(facts, job(), "heap")
    assert either(0.9499, heap, plain).p95 == plain.p95
    assert either(0.96, heap, plain).p95 < plain.p95


@given(jobs, jobs)
def test_both_is_the_sum(facts: Catalog, one: TokenProfile, other: TokenProfile) -> None:
    first, second = cost(facts, one), cost(facts, other, "heap")
    found = both(first, second)
    assert found.expected == first.expected + second.expected
    assert found.low == first.low + second.low
    assert found.high == first.high + second.high
    assert found.ceiling == first.ceiling + second.ceiling
    assert found.components == first.components + second.components
    assert found.low <= found.expected <= found.p95 <= found.high <= found.ceiling
