"""What an audit asks a person to do, and what it only says; thresholds in pairs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from planner.catalog import audit
from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog
    from planner.catalog.audit import Finding

OTHER_READ = date(2026, 5, 1)


def findings(found: Catalog, on: date, code: str) -> list[Finding]:
    return [each for each in audit.audit(found, on=on) if each.code == code]


@pytest.mark.parametrize(
    ("days", "aging", "stale"), [(90, 0, 0), (91, 1, 0), (180, 1, 0), (181, 0, 1)]
)
def test_the_age_of_a_source(
    acme: Callable[..., Catalog], days: int, aging: int, stale: int
) -> None:
    on = OTHER_READ + timedelta(days=days)
    found = acme()
    assert (
        len([e for e in findings(found, on, "aging") if e.source and e.source.id == "other"])
        == aging
    )
    assert (
        len([e for e in findings(found, on, "stale") if e.source and e.source.id == "other"])
        == stale
    )


def test_a_change_is_ahead_until_its_day_and_wants_a_reader_from_then_on(
    acme: Callable[..., Catalog],
) -> None:
    found = acme()
    day = date(2026, 7, 1)
    before, on = day - timedelta(days=1), day
    assert next(each.message for each in findings(found, before, "ahead")) == (
        "small: another price begins on 2026-07-01, in 1 day"
    )
    assert findings(found, before, "begun") == []
    assert [each.message for each in findings(found, on, "begun")] == [
        "small: another price begins on 2026-07-01, and list was read 2026-06-01"
    ]
    assert all(each.action for each in findings(found, on, "begun"))


@pytest.mark.parametrize(("left", "seen"), [(61, 0), (60, 1), (1, 1), (0, 0)])
def test_a_retirement_ahead(acme: Callable[..., Catalog], left: int, seen: int) -> None:
    on = date(2026, 12, 1) - timedelta(days=left)
    ahead = findings(acme(), on, "retires")
    assert [each.models for each in ahead] == [("big",)] * seen
    assert not any(each.action for each in ahead)


def test_gaps(acme: Callable[..., Catalog]) -> None:
    on = date(2026, 6, 15)
    found = acme()
    assert [(e.lane, e.models) for e in findings(found, on, "support-unknown")] == [
        ("slow", ("big",))
    ]
    assert findings(found, on, "no-price") == []
    listed = "{source: list, rates: {input: 10, output: 40}, over: [{prompt_gt: 100, multiply: 2}]}"
    bare = acme(
        (f"    prices:\n      - {listed}\n", ""),
        ("        price: {rates: {input: 15, output: 70}, over: [], source: list}\n", ""),
    )
    assert [(e.lane, e.models) for e in findings(bare, on, "no-price")] == [
        ("plain", ("big",)),
        ("quick", ("big",)),
    ]


def test_a_retired_model_is_no_gap(acme: Callable[..., Catalog]) -> None:
    assert findings(acme(), date(2026, 12, 1), "support-unknown") == []


def test_actions_come_first(shipped: Catalog) -> None:
    found = audit.audit(shipped, on=date(2027, 6, 1))
    order = [each.action for each in found]
    assert order == sorted(order, reverse=True)
    assert True in order
    assert False in order


def test_one_vendor_alone(shipped: Catalog) -> None:
    vendor = shipped.providers[0].id
    found = audit.audit(shipped, on=date(2027, 6, 1), provider=vendor)
    assert {each.provider for each in found} == {vendor}
    with pytest.raises(UnknownFactError, match="no provider"):
        audit.audit(shipped, on=date(2027, 6, 1), provider="nobody")
