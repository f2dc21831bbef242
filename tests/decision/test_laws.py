"""Laws of whole options, pairs of lanes and cached variants among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.decision.assessment import Assessment
from tests.decision.builders import case, demand, jobs

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.decision.options import Case
    from planner.workload.profile import TokenProfile

TIERS = ((None, "high"),)
DAY = 86_400.0

profiles = st.builds(
    lambda profile, rows, share: replace(
        profile.for_rows(rows), shared_prefix=int(share * profile.sizes.quantile(0.01))
    ),
    jobs,
    st.integers(2, 300_000),
    st.floats(0, 1),
)


def of(facts: Catalog, profile: TokenProfile, deadline: float | None = None) -> Case:
    return case(facts, profile, demand(deadline, tiers=TIERS, limits=(("usd_month", 10**9),)))


@settings(max_examples=60)
@given(profiles, st.none() | st.floats(60, 3 * DAY))
def test_every_interval_holds_its_expected_cost(
    facts: Catalog, profile: TokenProfile, deadline: float | None
) -> None:
    for option in Assessment(of(facts, profile)).options(deadline):
        cost = option.cost
        if cost is not None:
            assert 0 <= cost.low <= cost.expected <= cost.p95 <= cost.high <= cost.ceiling
            parts = sum(part.amount for part in cost.components)
            assert parts == cost.expected, option.id


@settings(max_examples=40)
@given(profiles, st.floats(60, 3 * DAY), st.floats(1, DAY))
def test_every_chance_rises_with_the_deadline(
    facts: Catalog, profile: TokenProfile, deadline: float, more: float
) -> None:
    """Of a split only while its parts are the same: a longer deadline gives realtime more rows."""
    assessed = Assessment(of(facts, profile))
    later = {each.id: each for each in assessed.options(deadline + more)}
    for option in assessed.options(deadline):
        if option.p_deadline is None or option.strategy == "split":
            continue
        after = later[option.id].p_deadline
        assert after is not None
        assert option.p_deadline.mean <= after.mean + 1e-9, option.id
        assert option.p_deadline.low <= after.low + 1e-9, option.id


@settings(max_examples=40)
@given(profiles, st.floats(60, 3 * DAY), st.integers(2, 5))
def test_every_chance_falls_with_the_rows(
    facts: Catalog, profile: TokenProfile, deadline: float, times: int
) -> None:
    larger = profile.for_rows(profile.rows.value * times)
    many = {each.id: each for each in Assessment(of(facts, larger)).options(deadline)}
    for option in Assessment(of(facts, profile)).options(deadline):
        if option.id not in many or option.strategy == "split" or option.cache:
            continue
        before, after = option.p_deadline, many[option.id].p_deadline
        if before is not None and after is not None:
            assert after.mean <= before.mean + 0.01, f"{option.id}: to within what is played"
