"""The bill against the plan: reasons that add up exactly, whatever happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.billing import Bill
from planner.handoff.reconcile import (
    Actual,
    Reconciliation,
    Rows,
    VendorTotal,
    apportioned,
    reconcile,
)
from planner.handoff.usage import Usage
from planner.money import Usd, total
from tests.handoff.bills import EDGE, book, component, plan

if TYPE_CHECKING:
    from planner.handoff.plan import Plan

BOTH = ("slow", "quick")


def actual(rows: list[tuple[Usage, str]], **more: Any) -> Actual:
    """What these replies prove; `fates` are fields of Rows for rows without one."""
    bill = Bill(book(*BOTH))
    used, replies = Usage(), Counter[str]()
    for usage, lane in rows:
        bill.add(usage, lane)
        used += usage
        replies[lane] += 1
    fates = more.pop("fates", {})
    known = Rows(billed=len(rows) - fates.get("repeated", 0), **{"built": len(rows), **fates})
    return Actual(
        rows=known,
        quantities={line.key: line.quantity for line in bill.lines},
        usage=used,
        replies=replies,
        **more,
    )


def adds_up(found: Reconciliation) -> None:
    assert found.variance is not None
    assert total(each.amount or Usd(Decimal(0)) for each in found.reasons) == found.variance
    parts = [each.variance for each in found.components]
    assert all(part is not None for part in parts)
    if found.actual.vendor is None:
        assert total(part for part in parts if part is not None) == found.variance


def reasons(found: Reconciliation) -> dict[str, Decimal | None]:
    return {each.code: each.amount for each in found.reasons}


# --- the law ----------------------------------------------------------------------------

usages = st.builds(
    Usage,
    input=st.integers(0, 3 * EDGE),
    cache_read=st.integers(0, 500),
    cache_write_5m=st.integers(0, 500),
    cache_write_1h=st.integers(0, 50),
    output=st.integers(0, 500),
    reasoning=st.integers(0, 500),
)
components = st.lists(
    st.builds(
        component,
        st.sampled_from(BOTH),
        st.sampled_from(["input", "cache_read", "cache_write_5m", "output"]),
        st.integers(1, 10**6),
        st.sampled_from([None, EDGE]),
    ),
    min_size=1,
    max_size=5,
)
fates = st.fixed_dictionaries(
    {name: st.integers(0, 5) for name in ("errored", "expired", "canceled")}
)


@given(
    components,
    st.integers(1, 50),
    st.lists(st.tuples(usages, st.sampled_from(BOTH)), max_size=8),
    fates,
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 10**5)),
    st.one_of(st.none(), st.sampled_from(["0.5", "1", "1.37"])),
    st.one_of(st.none(), st.decimals("0", "9", places=4)),
)
def test_the_reasons_add_up_to_the_variance_whatever_happened(
    parts: list[dict[str, Any]],
    planned: int,
    replies: list[tuple[Usage, str]],
    fate: dict[str, int],
    not_run: int,
    counted: int | None,
    times: str | None,
    vendor: Decimal | None,
) -> None:
    job = plan(tuple(parts), rows=planned, lanes=BOTH)
    built = len(replies) + sum(fate.values()) + not_run
    seen = actual(
        replies,
        fates={**fate, "built": built},
        counted=counted,
        vendor=None if vendor is None else Usd(vendor),
    )
    charged = None if times is None else book(*BOTH, times=times)
    found = reconcile(job, seen, in_force=charged)
    adds_up(found)
    assert found.planned == sum(part["amount"] for part in parts)
    assert all(each.amount or each.before != each.after for each in found.reasons)


@given(st.integers(0, 10**6), st.dictionaries(st.integers(), st.integers(0, 1000), max_size=6))
def test_a_whole_is_shared_out_without_a_rest(whole: int, weights: dict[int, int]) -> None:
    parts = apportioned(whole, weights)
    if not any(weights.values()):
        assert parts == {}
        return
    assert sum(parts.values()) == whole
    of = sum(weights.values())
    assert all(abs(parts[key] - Fraction(whole * w, of)) < 1 for key, w in weights.items())


# --- one driver at a time ---------------------------------------------------------------

USUAL = [(Usage(input=100, output=20), "slow")] * 1000


def test_a_bill_as_planned_needs_no_reason() -> None:
    found = reconcile(plan(), actual(USUAL, counted=100_000))
    assert found.variance == found.share == 0
    assert not found.reasons
    assert found.inside


CASES: list[tuple[str, list[tuple[Usage, str]], dict[str, Any], str]] = [
    ("output-length", [(Usage(input=100, output=30), "slow")] * 1000, {}, "0.025"),
    ("output-length", [(Usage(input=100, output=20, reasoning=10), "slow")] * 1000, {}, "0.025"),
    ("tokenizer", [(Usage(input=110, output=20), "slow")] * 1000, {"counted": 100_000}, "0.005"),
    (
        "prompt-length",
        [(Usage(input=110, output=20), "slow")] * 1000,
        {"counted": 110_000},
        "0.005",
    ),
    ("prompt-length", [(Usage(input=110, output=20), "slow")] * 1000, {}, "0.005"),
    ("cache", [(Usage(input=60, cache_read=40, output=20), "slow")] * 1000, {}, "-0.018"),
    ("lane", [(Usage(input=100, output=20), "quick")] * 1000, {}, "0.1"),
    ("not-run", USUAL[:990], {"fates": {"built": 1000}}, "-0.001"),
    ("errored", USUAL[:990], {"fates": {"built": 1000, "errored": 10}}, "-0.001"),
    ("expired", USUAL[:990], {"fates": {"built": 1000, "expired": 10}}, "-0.001"),
    ("canceled", USUAL[:990], {"fates": {"built": 1000, "canceled": 10}}, "-0.001"),
    ("rows", [*USUAL, *USUAL[:10]], {}, "0.001"),
    ("repeated", [*USUAL, *USUAL[:10]], {"fates": {"built": 1000, "repeated": 10}}, "0.001"),
    ("vendor", USUAL, {"vendor": Usd(Decimal("0.13"))}, "0.03"),
]


@pytest.mark.parametrize(("code", "replies", "more", "amount"), CASES)
def test_a_driver_that_moves_alone_is_the_only_reason(
    code: str, replies: list[tuple[Usage, str]], more: dict[str, Any], amount: str
) -> None:
    found = reconcile(plan(lanes=BOTH), actual(replies, **dict(more)))
    adds_up(found)
    assert reasons(found) == {code: Decimal(amount)}


def test_prompts_that_fall_into_a_dearer_tier() -> None:
    job = plan((component("slow", "input", 1_200_000), component("slow", "output", 20_000)))
    long = [(Usage(input=1200, output=20), "slow")] * 1000
    found = reconcile(job, actual(long))
    adds_up(found)
    assert reasons(found) == {"long-prompts": Decimal("0.6"), "output-length": Decimal("0.025")}


def test_a_price_that_moved_since() -> None:
    found = reconcile(plan(), actual(USUAL), in_force=book("slow", times="1.5"))
    assert reasons(found) == {"price": Decimal("0.05")}
    assert found.billed == Decimal("0.15")


def test_a_rescue_is_a_matter_of_lanes() -> None:
    """Planned as 89 % batch, came out as half of it in realtime."""
    parts = tuple(
        component(lane, meter, n)
        for lane, share in (("slow", 89), ("quick", 11))
        for meter, n in (("input", 1000 * share), ("output", 200 * share))
    )
    seen = actual([*USUAL[:500], *[(Usage(input=100, output=20), "quick")] * 500])
    found = reconcile(plan(parts, lanes=BOTH), seen)
    assert reasons(found) == {"lane": Decimal("0.039")}
    (lane,) = found.reasons
    assert (lane.before, lane.after) == (Fraction(11, 100), Fraction(1, 2))


def test_what_has_no_rate_leaves_the_variance_unknown() -> None:
    found = reconcile(plan(), actual([(Usage(input=100, output=20), "quick")] * 1000))
    assert (found.billed, found.variance, found.share, found.inside) == (None,) * 4
    assert not found.over(Fraction(0))
    assert found.components[0].variance is None


def test_an_unpriced_link_joins_the_next() -> None:
    """Planned with a cache whose rate is only known at another TTL in the lane of the replies."""
    job = plan(lanes=BOTH)
    lacking = replace(book("slow", "quick"), lanes=book("quick").lanes)
    found = reconcile(job, actual([(Usage(input=100, output=20), "quick")] * 1000), book=lacking)
    assert found.variance == Decimal("0.1")
    adds_up(found)


@pytest.mark.parametrize(("output", "over"), [(24, False), (25, True), (16, False), (15, True)])
def test_the_threshold_is_a_share_of_the_plan_either_way(output: int, over: bool) -> None:
    replies = [(Usage(input=100, output=output), "slow")] * 1000
    found = reconcile(plan(), actual(replies))
    assert found.over(Fraction(1, 10)) is over


def test_a_plan_without_cost_has_no_share() -> None:
    free = plan((component("slow", "input", 0),))
    found = reconcile(free, actual(USUAL))
    assert found.share is None
    assert found.over(Fraction(1, 10))
    adds_up(found)


def test_more_rows_than_were_built_is_a_defect() -> None:
    with pytest.raises(ValueError, match="more rows"):
        Rows(built=9, billed=10)


def test_a_vendors_total_is_held_against_the_rows() -> None:
    ours = Usage(input=60, cache_read=40, output=20, reasoning=5)
    same = VendorTotal(
        name="b1", theirs=Usage(input=60, cache_read=40, output=20, reasoning=5), ours=ours
    )
    assert same.differs == ()
    other = replace(same, theirs=replace(ours, input=70))
    assert other.differs == (("prompt", 110, 100),)


def test_the_plan_is_the_one_that_was_given() -> None:
    job: Plan = plan()
    assert reconcile(job, actual(USUAL)).plan is job
