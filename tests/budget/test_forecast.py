"""One job over months: days, prices, drivers and their ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.decision.forecast import (
    EXPECTED,
    Driver,
    Figure,
    Line,
    Point,
    Spread,
    _parts,
    after,
    attempts,
    calendar,
    forecast,
    months,
    project,
    stretches,
    summed,
)
from planner.money import Usd
from planner.workload.outputs import given_output
from planner.workload.profile import given_profile
from planner.workload.sizes import End
from tests.budget.conftest import DECEMBER, FEBRUARY, NOVEMBER, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog

# --- months and days --------------------------------------------------------------------


def test_months_go_over_the_end_of_a_year() -> None:
    assert months(NOVEMBER, 3) == (NOVEMBER, DECEMBER, date(2027, 1, 1))
    assert after(DECEMBER) == date(2027, 1, 1)


def test_a_month_is_cut_on_the_day_a_price_changes(acme: Catalog) -> None:
    found = stretches(acme, acme.model("small"), "plain", DECEMBER)
    assert [(each.start.day, each.days) for each in found] == [(1, 10), (11, 21)]
    assert [each.card and each.card.rates["input"] for each in found] == [1, 2]


def test_a_month_without_a_change_is_whole(acme: Catalog) -> None:
    assert [each.days for each in stretches(acme, acme.model("small"), "plain", NOVEMBER)] == [30]


def test_days_after_a_retirement_have_no_price(acme: Catalog) -> None:
    before, gone = stretches(acme, acme.model("old"), "plain", FEBRUARY)
    assert (before.days, gone.days, gone.card) == (9, 19, None)
    assert "retires" in (gone.why or "")


@given(rows=st.integers(0, 10**9), days=st.sampled_from([NOVEMBER, DECEMBER, FEBRUARY]))
def test_cutting_a_month_loses_no_row(acme: Catalog, rows: int, days: date) -> None:
    model = acme.model("small")
    output = given_output(10, None, None)
    profile = given_profile(model="small", rows=1, input_tokens=100, output=output)
    one = Spread.exact(1)
    line_ = _line(model, profile, one)
    found = stretches(acme, model, "plain", days)
    assert sum(part.rows for part in _parts(line_, found, rows, EXPECTED)) == rows


def _line(model: object, profile: object, one: Spread) -> Line:
    said = cast("dict[str, Any]", {"model": model, "profile": profile})
    return Line(name="job", lane="plain", rows=one, runs=one, **said)


# --- what a month costs -----------------------------------------------------------------


def test_a_change_inside_a_month_falls_on_its_days(
    acme: Catalog, line: Callable[..., Line]
) -> None:
    """31 days, the price doubles on the 11th: 10/31 of 31,000 rows at the old, 21/31 at the new.

    10,000 rows x 100 = 1,000,000 in x $1/M = $1.00, x 10 = 100,000 out x $4/M = $0.40
    21,000 rows x 100 = 2,100,000 in x $2/M = $4.20, x 10 = 210,000 out x $8/M = $1.68
    """
    made = forecast(acme, line(rows=Spread.exact(31_000)), (DECEMBER,))
    assert [part.rows for part in made.months[0].parts] == [10_000, 21_000]
    assert made.total.expected == Decimal("7.28")


def test_the_change_is_told_with_what_it_does(acme: Catalog, line: Callable[..., Line]) -> None:
    (change,) = forecast(acme, line(lane="slow"), months(NOVEMBER, 3)).changes
    assert (change.date, change.state) == (date(2026, 12, 11), "announced")
    assert change.factor == Fraction(2)
    assert "input 0.5 -> 1" in change.what


def test_a_retirement_leaves_a_gap_and_no_zero(acme: Catalog, line: Callable[..., Line]) -> None:
    made = forecast(acme, line(model="old"), months(FEBRUARY, 2))
    assert [len(month.gaps) for month in made.months] == [1, 1]
    (change,) = made.changes
    assert change.factor is None
    assert made.per_row is None  # neither month has a price for every row


def test_growth_is_compound_from_the_first_month(acme: Catalog, line: Callable[..., Line]) -> None:
    grown = line(growth=Spread.exact(Fraction(1, 10)))
    assert [each.rows for each in forecast(acme, grown, months(date(2027, 1, 1), 4)).months] == [
        1000,
        1100,
        1210,
        1331,
    ]


def test_a_job_costs_only_in_its_months(acme: Catalog, line: Callable[..., Line]) -> None:
    once = line(first=DECEMBER, last=DECEMBER)
    made = forecast(acme, once, months(NOVEMBER, 3))
    assert [each.rows for each in made.months] == [0, 1000, 0]
    assert [bool(each.cost) for each in made.months] == [False, True, False]


@pytest.mark.parametrize(("retries", "paid"), [(0, "1"), (1, "1.1"), (2, "1.11")])
def test_a_rejected_answer_is_paid_and_asked_again(retries: int, paid: str) -> None:
    assert attempts(Fraction(1, 10), retries) == Fraction(paid)


def test_an_accepted_row_pays_for_the_rejected_ones(
    acme: Catalog, line: Callable[..., Line]
) -> None:
    """A share f of the answers is rejected: what is left costs 1 / (1 - f), however many retries.

    1,000 rows x ($0.0001 + $0.00004) = $0.14; with f = 20 % and one retry 1,200 answers are paid
    and 960 rows accepted: $0.168 / 960 = $0.000175 = $0.00014 / 0.8.
    """
    made = forecast(acme, line(rejected=Spread.exact(Fraction(1, 5)), retries=1), (NOVEMBER,))
    (month,) = made.months
    assert (month.rows, month.billed, month.accepted) == (1000, 1200, 960)
    assert made.total.expected == Decimal("0.168")
    assert made.per_accepted is not None
    assert made.per_accepted.expected == Decimal("0.000175")


def test_units_are_over_the_months_that_have_a_price(
    acme: Catalog, line: Callable[..., Line]
) -> None:
    made = forecast(acme, line(model="old"), months(date(2027, 1, 1), 3))
    assert made.per_thousand is not None
    assert made.per_thousand.expected == Decimal("1.4")
    assert made.per_run is not None
    assert made.per_run.expected == Decimal("1.4")


# --- the ends ---------------------------------------------------------------------------


def test_one_driver_alone_spans_exactly_its_ends(acme: Catalog, line: Callable[..., Line]) -> None:
    made = forecast(acme, line(rows=spread(500, 1000, 3000)), (NOVEMBER,))
    assert made.total == Figure(
        expected=_usd("0.14"), low=_usd("0.07"), high=_usd("0.42"), best=_usd("0.07"),
        worst=_usd("0.42"),
    )  # fmt: skip


def test_two_drivers_are_joined_in_quadrature(acme: Catalog, line: Callable[..., Line]) -> None:
    """Rows alone add $0.03, runs alone $0.04: together $0.05, and at once 1.03 x ... = worst."""
    made = forecast(
        acme,
        line(tokens=60, output=10, rows=spread(1000, 1000, 1300), runs=spread(1, 1, "1.4")),
        (NOVEMBER,),
    )
    assert made.total.expected == _usd("0.1")
    assert made.total.high == _usd("0.15")
    assert made.total.low == _usd("0.1")
    assert made.total.worst == _usd("0.182")


def test_jobs_move_together(acme: Catalog, line: Callable[..., Line]) -> None:
    one = forecast(acme, line(rows=spread(500, 1000, 1500)), (NOVEMBER,)).total
    both = summed([one, one])
    assert (both.low, both.high) == (2 * one.low, 2 * one.high)


ENDS = st.tuples(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 5000))


@settings(max_examples=40)
@given(rows=ENDS, runs=ENDS, growth=ENDS)
def test_the_expected_lies_between_its_ends(
    acme: Catalog,
    rows: tuple[int, int, int],
    runs: tuple[int, int, int],
    growth: tuple[int, int, int],
) -> None:
    def ends(of: tuple[int, int, int], over: int) -> Spread:
        low, more, most = of
        return spread(Fraction(low, over), Fraction(low + more, over),
                      Fraction(low + more + most, over))  # fmt: skip

    model = acme.model("small")
    profile = given_profile(
        model="small", rows=1, input_tokens=100, output=given_output(10, None, None)
    )
    base = _line(model, profile, Spread.exact(1))
    made = forecast(
        acme,
        replace(base, rows=ends(rows, 1), runs=ends(runs, 100), growth=ends(growth, 10_000)),
        months(NOVEMBER, 3),
    )
    for figure in (made.total, made.month(2)):
        assert figure.best <= figure.low <= figure.expected <= figure.high <= figure.worst


@given(st.integers(1, 10**6), st.integers(2, 5))
def test_cost_is_additive_in_rows(acme: Catalog, rows: int, times: int) -> None:
    """Rows of one size: so many times the rows cost exactly so many times as much."""
    model = acme.model("small")
    profile = given_profile(
        model="small", rows=1, input_tokens=100, output=given_output(10, None, None)
    )
    base = _line(model, profile, Spread.exact(rows))
    known = calendar(acme, base, (NOVEMBER,))
    single = replace(base, runs=Spread.exact(1))
    once = project(single, known, EXPECTED).cost
    assert project(single, known, Point(volume=Fraction(times))).cost == times * once


def test_ends_are_those_of_drivers_with_a_range(acme: Catalog, line: Callable[..., Line]) -> None:
    made = forecast(acme, line(runs=spread(1, 2, 3)), (NOVEMBER,))
    assert set(made.ends) == {(Driver.RUNS, End.LOW), (Driver.RUNS, End.HIGH)}


def test_an_account_adds_up_to_the_whole(acme: Catalog, line: Callable[..., Line]) -> None:
    made = forecast(acme, line(runs=Spread.exact(7)), months(NOVEMBER, 4))
    accounts = made.accounts
    assert [(each.start, each.end) for each in accounts] == [
        (NOVEMBER, date(2026, 12, 11)),
        (date(2026, 12, 11), date(2027, 3, 1)),
    ]
    parts = [part for each in accounts for part in each.components]
    assert sum(part.amount for part in parts) == made.total.expected


def _usd(text: str) -> Usd:
    return Usd(Decimal(text))
