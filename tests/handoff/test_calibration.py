"""Whether plans kept their promises: exact intervals, judged by what so few jobs can show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.calibration import Line, Share, calibrate
from planner.handoff.learned import Lesson, Promise
from planner.money import Usd
from planner.report.calibration import CALIBRATION, WIDTH, bar

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def promise(billed: str | None = "1", **parts: Any) -> Promise:
    """One dollar expected, 0.90 to 1.10, P95 1.08, at most 2."""
    money = {"expected": "1", "low": "0.90", "high": "1.10", "p95": "1.08", "ceiling": "2"}
    values: dict[str, Any] = {name: Usd(Decimal(each)) for name, each in money.items()}
    values["billed"] = None if billed is None else Usd(Decimal(billed))
    return Promise(**{**values, **parts})


def lesson(number: int, kept: Promise | None) -> Lesson:
    return Lesson(
        job=f"{number:012x}",
        source="job",
        at=NOW + timedelta(days=number),
        provider="acme",
        model="tall",
        lane="slow",
        template="t",
        workload="w",
        counter="c",
        limit=64,
        rows=100,
        promise=kept,
    )


def due(hours: float, p: float) -> dict[str, Any]:
    """A deadline at noon, and the last row so many hours after it."""
    return {"deadline": NOW, "p_mean": p, "p_low": p, "finished": NOW + timedelta(hours=hours)}


# --- shares -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Clopper-Pearson as R's binom.test gives it.
    [(0, 1, 0.0, 0.975), (1, 1, 0.025, 1.0), (9, 10, 0.5549839, 0.9974714), (0, 0, 0.0, 1.0)],
)
def test_the_interval_of_a_share_is_the_exact_one(
    hits: int, n: int, low: float, high: float
) -> None:
    share = Share.of(hits, n)
    assert share.low == pytest.approx(low, abs=1e-7)
    assert share.high == pytest.approx(high, abs=1e-7)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_share_that_was_seen_lies_in_its_interval(hits: int, misses: int) -> None:
    share = Share.of(hits, hits + misses)
    assert 0 <= share.low <= share.high <= 1
    if share.value is not None:
        assert share.low <= share.value <= share.high


@pytest.mark.parametrize(
    ("hits", "n", "judged"),
    [(5, 5, "too few"), (95, 100, "holds"), (80, 100, "too sure"), (300, 300, "too careful")],
)
def test_a_claim_is_judged_by_what_so_many_jobs_can_show(hits: int, n: int, judged: str) -> None:
    assert Line(claim="x", stated=0.95, seen=Share.of(hits, n)).judgement == judged


# --- all jobs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("billed", "inside", "p95", "ceiling"),
    [
        ("0.90", 1, 1, 1),
        ("0.8999", 0, 1, 1),
        ("1.08", 1, 1, 1),
        ("1.0801", 1, 0, 1),
        ("1.1001", 0, 0, 1),
        ("2.0001", 0, 0, 0),
    ],
)
def test_a_bill_is_held_against_every_promise(
    billed: str, inside: int, p95: int, ceiling: int
) -> None:
    found = calibrate([lesson(1, promise(billed))])
    assert [each.seen.hits for each in found.cost] == [inside, p95, ceiling]


def test_jobs_that_say_nothing_of_the_cost_are_left_out_and_counted() -> None:
    found = calibrate(
        [lesson(1, promise()), lesson(2, promise(None)), lesson(3, promise(complete=False))]
    )
    assert (found.left_out, found.cost[0].seen.n, len(found.lessons)) == (2, 1, 3)
    assert calibrate([lesson(1, None)]).lessons == ()


@pytest.mark.parametrize(
    ("hours", "complete", "hit"), [(0, True, True), (0.01, True, False), (-5, False, False)]
)
def test_in_time_is_every_row_by_the_deadline(hours: float, complete: bool, hit: bool) -> None:
    kept = promise(**due(hours, 0.9), complete=complete)
    assert kept.in_time is hit
    assert promise().in_time is None


def test_probabilities_are_judged_bin_by_bin() -> None:
    jobs = [lesson(n, promise(**due(1 if n == 0 else -1, 0.96))) for n in range(4)]
    jobs += [lesson(9, promise(**due(1, 0.5))), lesson(10, promise(**due(1, 0.0)))]
    found = calibrate(jobs)
    assert [(e.seen.hits, e.seen.n, round(e.stated, 2)) for e in found.deadline] == [
        (0, 2, 0.25),
        (3, 4, 0.96),
    ]
    assert found.brier == pytest.approx((3 * 0.04**2 + 0.96**2 + 0.25 + 0) / 6)


def test_a_perfect_forecaster_is_found_to_be_one() -> None:
    random = Random(3)
    jobs = [lesson(n, promise(str(round(random.gauss(1, 0.051), 4)))) for n in range(400)]
    inside = calibrate(jobs).cost[0]
    assert inside.judgement == "holds"
    sure = [lesson(n, promise(str(round(random.gauss(1, 0.2), 4)))) for n in range(400)]
    assert calibrate(sure).cost[0].judgement == "too sure"


# --- what people see --------------------------------------------------------------------


def eight() -> list[Lesson]:
    bills = ("0.97", "1.02", "1.0", "1.35", "0.88", "1.06", None, "2.4")
    return [
        lesson(n, promise(billed, **(due(n - 6, 0.9) if n % 2 else {})))
        for n, billed in enumerate(bills)
    ]


@pytest.mark.parametrize("form", ["table", "json"])
def test_golden(form: str) -> None:
    out = CALIBRATION[form](calibrate(eight()))
    golden = GOLDEN / f"calibration.{ {'table': 'txt'}.get(form, form) }"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(out, encoding="utf-8")
        pytest.fail(f"{golden.name} is written anew: read it and run again")
    assert out == golden.read_text(encoding="utf-8")


def test_no_job_is_no_table() -> None:
    assert CALIBRATION["table"](calibrate([])).startswith("No finished job")
    assert json.loads(CALIBRATION["json"](calibrate([])))["cost"] == []


@pytest.mark.parametrize(
    ("billed", "drawn"),
    [
        ("1", "          [    *    ]"),
        ("0.9", "          *    |    ]"),
        ("1.1", "          [    |    *"),
        ("1.2", "          [    |    ]    *"),
        ("0.7", "*         [    |    ]"),
        ("0.5", "<         [    |    ]"),
        ("9", "          [    |    ]         >"),
    ],
)
def test_the_chart_is_on_the_scale_of_the_interval(billed: str, drawn: str) -> None:
    assert bar(promise(billed)) == drawn


def test_a_cost_that_was_certain_has_no_scale() -> None:
    sure = {"low": Usd(Decimal(1)), "high": Usd(Decimal(1))}
    assert bar(promise("1", **sure))[15] == "*"
    assert bar(promise("1.01", **sure)).endswith(">")
    assert bar(promise(None)) == ""


@given(st.decimals("0", "50", places=3))
def test_the_chart_has_one_bill(billed: Decimal) -> None:
    drawn = bar(promise(str(billed)))
    assert len(drawn) <= WIDTH
    assert sum(drawn.count(mark) for mark in "*<>") == 1
