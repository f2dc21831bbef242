"""What changes between two days, on which day, and what of it is a promise."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from planner.catalog import changes, prices

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog
    from planner.catalog.changes import Changes, Step


def between(found: Catalog, first: str, last: str) -> Changes:
    return changes.between(
        found, found.models(), first=date.fromisoformat(first), last=date.fromisoformat(last)
    )


def told(step: Step) -> tuple[str, str, str | None, str]:
    return step.date.isoformat(), step.model, step.lane, step.kind


def test_each_change_stands_on_its_day(acme: Callable[..., Catalog]) -> None:
    """Small doubles in July, leaves quick in August; big retires in December."""
    steps = between(acme(), "2026-02-01", "2026-12-31").steps
    assert [told(step) for step in steps] == [
        ("2026-07-01", "small", "plain", "price"),
        ("2026-07-01", "small", "slow", "price"),
        ("2026-07-01", "small", "quick", "price"),
        ("2026-08-01", "small", "quick", "support"),
        ("2026-12-01", "big", None, "retired"),
    ]


def test_the_first_day_is_before_and_the_last_day_counts(acme: Callable[..., Catalog]) -> None:
    found = acme()
    assert between(found, "2026-06-01", "2026-06-30").steps == ()
    assert len(between(found, "2026-06-01", "2026-07-01").steps) == 3
    assert len(between(found, "2026-06-30", "2026-07-01").steps) == 3
    assert between(found, "2026-07-01", "2026-07-31").steps == ()


def test_a_price_step_says_both_prices(acme: Callable[..., Catalog]) -> None:
    step = between(acme(), "2026-06-01", "2026-07-01").steps[1]
    assert step.rates_before is not None
    assert step.rates_after is not None
    assert [str(step.rates_before["input"].normalize()), str(step.rates_after["input"])] == [
        "0.5",
        "1.0",
    ]
    assert step.announced, "the source was read before the day"


def test_a_release_is_one_step_of_the_whole_model(acme: Callable[..., Catalog]) -> None:
    (step,) = between(acme(), "2026-01-31", "2026-02-01").steps
    assert told(step) == ("2026-02-01", "big", None, "released")
    assert (step.before, step.after) == ("no", "yes")


def test_a_cancelled_change_is_no_change(acme: Callable[..., Catalog]) -> None:
    steps = between(acme(), "2026-07-31", "2026-08-01").steps
    assert [step.kind for step in steps] == ["support"]


def test_models_whose_price_was_not_known_are_named(acme: Callable[..., Catalog]) -> None:
    found = acme(("known_from: 2026-01-01", "known_from: 2026-03-01"))
    assert between(found, "2026-01-15", "2026-02-01").unknown_before == ("acme/small",)
    assert between(found, "2026-03-01", "2026-03-02").unknown_before == ()


def test_steps_are_the_differences_of_the_price_cards(shipped: Catalog) -> None:
    """Whoever walks the steps from one day arrives at the price of the other."""
    first, last = date(2026, 11, 12), date(2027, 3, 2)
    steps = changes.between(shipped, shipped.models(), first=first, last=last).steps
    assert len({step.date for step in steps}) > 3
    for step in steps:
        if step.kind == "price" and step.lane is not None and step.rates_after:
            found = prices.card(shipped, f"{step.provider}/{step.model}", step.lane, on=step.date)
            assert found.rates == step.rates_after
