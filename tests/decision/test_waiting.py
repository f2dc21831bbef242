"""What an hour is worth where waiting for the cheaper lane stops paying."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision.assessment import Assessment
from planner.decision.waiting import waiting
from planner.money import Usd
from tests.decision.builders import HOUR, case, demand, job

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.decision.waiting import Waiting

amounts = st.decimals(min_value="0.01", max_value="1000000", places=2).map(Usd)
seconds = st.floats(2, 10**6)


def found(
    saved: Decimal | int, done_sooner: float | None, done_later: float | None
) -> Waiting | None:
    return waiting(
        "m/plain",
        "m/heap",
        saved=Usd(Decimal(saved)),
        done_sooner=done_sooner,
        done_later=done_later,
    )


def test_dollars_saved_over_hours_waited() -> None:
    """The worked case: $60 saved, 20.2 minutes against 107.2 on average, is $41 an hour."""
    got = found(60, 20.236 * 60, 107.16 * 60)
    assert got is not None
    assert got.longer == pytest.approx(86.924 * 60)
    assert float(got.per_hour) == pytest.approx(60 / (86.924 / 60), rel=1e-3)
    assert (got.sooner, got.later, got.saved) == ("m/plain", "m/heap", Decimal(60))


@given(amounts, seconds, seconds)
def test_at_that_worth_of_an_hour_both_lanes_cost_the_same(
    saved: Usd, sooner: float, longer: float
) -> None:
    got = found(saved, sooner, sooner + longer)
    assert got is not None
    hours = round(got.longer) / HOUR
    assert float(got.per_hour) * hours == pytest.approx(float(saved), rel=1e-6, abs=1e-4)


@given(amounts, seconds, seconds, st.floats(1, 10**5))
def test_longer_waits_need_cheaper_hours(
    saved: Usd, sooner: float, longer: float, more: float
) -> None:
    short, long = (found(saved, sooner, sooner + each) for each in (longer, longer + more))
    assert short is not None
    assert long is not None
    assert long.per_hour <= short.per_hour


@pytest.mark.parametrize(
    ("saved", "sooner", "later"),
    [
        (0, 60, 600),  # nothing is saved
        (-1, 60, 600),
        (1, 600, 600.4),  # less than a second longer
        (1, 600, 60),  # cheaper and sooner
        (1, None, 600),
        (1, 60, None),
    ],
)
def test_what_cannot_be_weighed_has_no_figure(
    saved: int, sooner: float | None, later: float | None
) -> None:
    assert found(saved, sooner, later) is None


# --- of a model -------------------------------------------------------------------------


def test_a_model_s_lanes_are_weighed(facts: Catalog) -> None:
    """1,000 rows: $1.80 or $0.90; the prior takes 107 minutes on average, capped at its day."""
    of = Assessment(case(facts, job()))
    options = {each.id: each for each in of.options(None)}
    got = of.waiting()
    assert got is not None
    assert (got.sooner, got.later) == ("tall/plain", "tall/heap")
    assert got.saved == Decimal("0.9")
    median = options["tall/plain"].finish.p50
    assert median is not None
    assert got.longer == pytest.approx(107.16 * 60 - median, rel=1e-3)


def test_a_lane_of_unknown_finish_is_not_weighed_but_the_others_are(facts: Catalog) -> None:
    """`whenever` is the cheapest and nobody knows when it is done."""
    got = Assessment(case(facts, job(model="plainspoken"))).waiting()
    assert got is not None
    assert got.later == "plainspoken/heap"


@pytest.mark.parametrize(
    ("model", "lanes"),
    [
        ("silent", ()),  # no limits, so no realtime finish
        ("tall", ("plain",)),
        ("tall", ("heap",)),
        ("priceless", ()),
    ],
)
def test_without_two_lanes_there_is_nothing_to_weigh(
    facts: Catalog, model: str, lanes: tuple[str, ...]
) -> None:
    assert Assessment(case(facts, job(model=model), demand(lanes=lanes))).waiting() is None


def test_an_incident_makes_waiting_cost_its_whole_window(facts: Catalog) -> None:
    calm, slow = (
        Assessment(case(facts, job(), demand(degraded=degraded))).waiting()
        for degraded in (False, True)
    )
    assert calm is not None
    assert slow is not None
    assert slow.longer > 22 * HOUR
    assert slow.per_hour < calm.per_hour
