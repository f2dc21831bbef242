"""What tokens cost: buckets that do not overlap, each row at its own tier, unknown never zero."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.billing import METERS, Bill, Book, sum_of
from planner.handoff.plan import Rates
from planner.handoff.usage import BUCKETS, Usage
from planner.money import Usd, amount, total
from tests.handoff.bills import EDGE, LANES, book, plan, rates

if TYPE_CHECKING:
    from planner.handoff.billing import Line

PRICED = [name for name in BUCKETS if METERS[name] in LANES["slow"]]

usages = st.builds(
    Usage, **{name: st.one_of(st.just(0), st.integers(0, EDGE * 2)) for name in PRICED}
)


def hand(usage: Usage, lane: str) -> Decimal:
    """The amount worked out apart from the code: buckets times rates, by the row's own tier."""
    long = usage.prompt > EDGE
    found = Decimal(0)
    for name in PRICED:
        rate = Decimal(LANES[lane][METERS[name]])
        if long:
            rate *= Decimal("1.5") if METERS[name] == "output" else 2
        found += getattr(usage, name) * rate
    return found / 1_000_000


@given(usages, st.sampled_from(["slow", "quick"]))
def test_a_row_is_its_buckets_times_the_rates_of_its_own_tier(usage: Usage, lane: str) -> None:
    lines = book("slow", "quick").priced(usage, lane)
    assert sum_of(lines) == hand(usage, lane)
    assert sum(line.quantity for line in lines) == usage.total
    assert all(line.quantity > 0 and line.lane == lane for line in lines)


@given(st.lists(st.tuples(usages, st.sampled_from(["slow", "quick"])), max_size=12))
def test_a_bill_is_the_sum_of_its_rows_in_any_order(rows: list[tuple[Usage, str]]) -> None:
    bill, turned = Bill(book("slow", "quick")), Bill(book("slow", "quick"))
    each = [bill.add(usage, lane) for usage, lane in rows]
    for usage, lane in reversed(rows):
        turned.add(usage, lane)
    assert all(one is not None for one in each)
    assert bill.amount == total(one for one in each if one is not None)
    assert bill.lines == turned.lines
    assert sum(line.quantity for line in bill.lines) == sum(usage.total for usage, _ in rows)


@given(usages, usages)
def test_usages_add_up_bucket_by_bucket(one: Usage, other: Usage) -> None:
    both = one + other
    assert all(getattr(both, b) == getattr(one, b) + getattr(other, b) for b in BUCKETS)
    assert both.total == one.total + other.total == both.prompt + both.written


@pytest.mark.parametrize(
    ("prompt", "inclusive", "over"),
    [(EDGE, False, None), (EDGE + 1, False, EDGE), (EDGE, True, EDGE), (EDGE - 1, True, None)],
)
def test_the_tier_begins_where_the_plan_says(
    prompt: int, inclusive: bool, over: int | None
) -> None:
    pinned = rates("slow")
    pinned["tiers"] = ({**pinned["tiers"][0], "inclusive": inclusive},)
    rated = Book(lanes=(Rates(**pinned),))
    lines = rated.priced(Usage(input=prompt - 10, cache_read=10, output=5), "slow")
    assert {line.over for line in lines} == {over}


def test_reasoning_is_paid_as_output() -> None:
    apart = book("slow").priced(Usage(input=10, output=20, reasoning=30), "slow")
    whole = book("slow").priced(Usage(input=10, output=50), "slow")
    assert apart == whole


def test_what_has_no_rate_is_unknown_and_not_free() -> None:
    bill = Bill(book("slow"))
    assert bill.add(Usage(input=10), "slow") is not None
    assert bill.add(Usage(input=10, cache_write_12h=1), "slow") is None
    assert bill.add(Usage(input=10), "elsewhere") is None
    assert bill.amount is None
    assert {line.key for line in bill.lines if line.amount is None} == {
        ("slow", "cache_write_12h", None),
        ("elsewhere", "input", None),
    }


def test_a_write_of_unstated_life_has_a_price_where_all_writes_have_one() -> None:
    usage = Usage(input=10, cache_write=100)
    assert sum_of(book("slow").priced(usage, "slow")) is None
    pinned = rates("slow", tiers=False)
    pinned["rates"] = {**pinned["rates"], "cache_write_1h": pinned["rates"]["cache_write_5m"]}
    assert sum_of(Book(lanes=(Rates(**pinned),)).priced(usage, "slow")) == Decimal("0.0000675")


def test_nothing_used_costs_nothing() -> None:
    bill = Bill(book("slow"))
    assert bill.add(Usage(), "slow") == 0
    assert not bill.lines
    assert bill.amount == 0


def test_a_plans_book_prices_its_own_components() -> None:
    planned = plan()
    rated = Book.of(planned)
    for part in planned.cost.components:
        line: Line = rated.line((part.lane, part.meter, part.over), part.quantity)
        assert (line.rate, line.amount) == (part.rate, part.amount)
        assert replace(line, quantity=0, amount=Usd(Decimal(0))).key == line.key
        assert line.rate is not None
        assert line.amount == amount(part.quantity, line.rate)
