"""Plans and bills stated by what matters to a test alone."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.handoff import plan as plans
from planner.handoff.billing import Book
from planner.money import Rate, amount

if TYPE_CHECKING:
    from planner.handoff.plan import Plan

LANES: dict[str, dict[str, str]] = {
    "slow": {
        "input": "0.5",
        "cache_read": "0.05",
        "cache_write_5m": "0.625",
        "cache_write_1h": "1",
        "output": "2.5",
    },
    "quick": {
        "input": "1",
        "cache_read": "0.1",
        "cache_write_5m": "1.25",
        "cache_write_1h": "2",
        "output": "5",
    },
}
EDGE = 1000
"""Prompts beyond it cost twice as much, answers half as much again."""


def rates(lane: str, *, times: str = "1", tiers: bool = True) -> dict[str, Any]:
    """A lane of an invented vendor as a plan pins it."""
    listed = {meter: Decimal(rate) * Decimal(times) for meter, rate in LANES[lane].items()}
    above = {
        meter: rate * (Decimal("1.5") if meter == "output" else 2) for meter, rate in listed.items()
    }
    return {
        "lane": lane,
        "region": None,
        "rates": listed,
        "tiers": ({"over": EDGE, "inclusive": False, "rates": above},) if tiers else (),
        "sources": ({"url": "https://vendor.test/prices", "read": "2026-11-01"},),
    }


def book(*lanes: str, times: str = "1") -> Book:
    """Rates of the invented vendor, apart from any plan."""
    return Book(lanes=tuple(plans.Rates(**rates(lane, times=times)) for lane in lanes))


def component(lane: str, meter: str, quantity: int, over: int | None = None) -> dict[str, Any]:
    """A component at the invented vendor's rates."""
    line = book(lane).line((lane, meter, over), quantity)
    assert line.rate is not None
    return {
        "lane": lane,
        "meter": meter,
        "over": over,
        "quantity": quantity,
        "rate": line.rate,
        "amount": amount(quantity, Rate(line.rate)),
    }


USUAL = (component("slow", "input", 100_000), component("slow", "output", 20_000))


def plan(
    components: tuple[dict[str, Any], ...] = USUAL,
    *,
    rows: int = 1000,
    lanes: tuple[str, ...] = ("slow",),
    **parts: Any,
) -> Plan:
    """A plan of so many rows with these components; other parts of it by their names."""
    expected = sum((each["amount"] for each in components), Decimal(0))
    read = sum(each["quantity"] for each in components if each["meter"] != "output")
    written = sum(each["quantity"] for each in components if each["meter"] == "output")
    values: dict[str, Any] = {
        "created": "2026-11-22T12:00:00+00:00",
        "workload": {
            "path": "rows.jsonl",
            "format": "jsonl",
            "bytes": 4096,
            "digest": plans.digest("rows"),
            "rows": _exact(rows),
            "skip_bad_rows": False,
            "key": None,
        },
        "request": {
            "model": "tall",
            "endpoint": "/v1/answers",
            "max_output_tokens": 64,
            "prompt": {
                "name": "--prompt",
                "digest": plans.digest("{{ text }}"),
                "text": "{{ text }}",
            },
            "system": None,
            "json_schema": None,
            "params": {},
        },
        "choice": {
            "option": f"tall/{lanes[0]}",
            "provider": "acme",
            "model": "tall",
            "lane": lanes[0],
            "delivery": "later",
            "strategy": "single",
            "cache": False,
            "verdict": "meets",
            "grade": "C",
            "recommended": f"tall/{lanes[0]}",
            "why": "the cheapest",
            "gives_up": (),
            "needs": None,
            "risks": (),
        },
        "demand": {
            "deadline": None,
            "confidence": Decimal("0.95"),
            "respond_within": None,
            "max_cost": None,
            "region": None,
            "tier": None,
            "limits": {},
            "latency": None,
            "concurrency": None,
            "failure_rate": Decimal("0.01"),
            "retries": 2,
            "degraded": False,
            "seed": 0,
        },
        "cost": {
            "expected": expected,
            "low": expected * Decimal("0.9"),
            "high": expected * Decimal("1.1"),
            "p95": expected * Decimal("1.08"),
            "ceiling": expected * 2,
            "components": components,
        },
        "finish": dict.fromkeys(
            ("p50", "p95", "bound", "batches", "waves", "rescue_at", "p_deadline")
        ),
        "tokens": {
            "counter": "o200k_base",
            "grade": "exact",
            "method": "counted",
            "input": _exact(read),
            "largest_row": 200,
            "output": _exact(written),
            "output_basis": "given",
            "shared_prefix": 0,
            "bytes_per_row": 400,
        },
        "rates": tuple(rates(lane) for lane in lanes),
        "catalog": {"digest": "sha256:0", "as_of": "2026-11-22", "oldest_source": None},
        "accepted": {"assumed_output": False, "stale": ()},
        "stale": {"after": "2026-11-29T12:00:00+00:00", "price_changes": None, "retires": None},
        "assumptions": (),
        "warnings": (),
    }
    return plans.sealed({**values, **parts})


def _exact(value: int) -> dict[str, int]:
    return {"value": value, "low": value, "high": value}
