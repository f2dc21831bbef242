"""The worked examples through the whole pipeline, with the shipped catalog's facts.

The shapes alone are held in test_realtime and test_turnaround; here the limits, prices and
the prior come from pricing/ and the choice is the decision's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog, pipeline
from planner.decision.requirements import Latency, Requirements
from planner.decision.turnaround import FinishedJob
from planner.job import Job, Output

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.decision.options import Option
    from planner.pipeline import Estimate

EXAMPLES: dict[int, dict[str, Any]] = {
    each["id"]: each
    for each in json.loads(
        (Path(__file__).parents[1] / "data" / "worked_examples.json").read_text(encoding="utf-8")
    )
}
MODEL = "claude-sonnet-5"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog.load(cache=tmp_path_factory.mktemp("cache"))


def near(value: float) -> object:
    """Within the half per cent that the examples state."""
    return pytest.approx(value, rel=0.005)


def asked(example: dict[str, Any], answer: int, cv: float, **demand: Any) -> Job:
    """The job of an example in figures; `answer` and `cv` are tokens of one answer."""
    stated: dict[str, Any] = {
        "latency": Latency(mean=example["latency_mean_s"], cv=example["latency_cv"]),
        "concurrency": example["concurrency"],
        "failure_rate": 0.0,
        "tiers": ((None, "start"),),
        **demand,
    }
    inputs = {name: use for name, use, *_ in example["resources"]}
    return Job(
        rows=example["rows"],
        input_tokens=inputs["itpm"],
        output=Output(tokens=answer, cv=cv),
        models=(MODEL,),
        requirements=Requirements(**stated),
    )


def answered(
    facts: Catalog, job: Job, history: tuple[FinishedJob, ...] = (), size: int | None = None
) -> Estimate:
    """The estimate; `size` is the bytes of a row, which figures alone don't say."""
    measured = pipeline.measure(facts, job)
    profiles = tuple(replace(each, bytes_per_row=size) for each in measured.profiles)
    measured = replace(measured, profiles=profiles)
    return pipeline.estimate(facts, measured, job, now=NOW, on=date(2026, 11, 22), history=history)


def options(found: Estimate) -> dict[str, Option]:
    return {each.id.removeprefix(f"{MODEL}/"): each for each in found.decision.options}


# --- 1 and 3: realtime --------------------------------------------------------------------


def test_a_job_bound_by_its_requests(shipped: Catalog) -> None:
    example = EXAMPLES[1]
    found = options(answered(shipped, asked(example["inputs"], 200, 0.6)))["standard"].finish
    expected = example["expected"]
    assert found.binding == expected["binding"]
    assert found.rate == near(expected["steady_requests_per_s"])
    assert found.last_admission == near(expected["last_admission_s"])
    assert found.p50 == near(expected["p50_s"])
    assert found.p95_raw == near(expected["p95_s"])
    assert found.p95 == near(expected["p95_quoted_s"])


@pytest.mark.parametrize("kind", ["without_cache", "with_cache"])
def test_a_job_bound_by_its_input(shipped: Catalog, kind: str) -> None:
    """Reads of a cached prefix leave 2,400 of 12,000 tokens a row to draw on the limit."""
    inputs, expected = (EXAMPLES[3][part][kind] for part in ("inputs", "expected"))
    own = (("rpm", 10_000), ("usd_month", 10_000))
    found = options(answered(shipped, asked(inputs, 150, 0.5, limits=own)))["standard"].finish
    assert found.binding == "itpm"
    assert found.rate == near(expected["steady_requests_per_s"])
    assert found.last_admission == near(expected["last_admission_s"])
    assert found.p50 == near(expected["p50_s"])
    assert found.p95 == near(expected["p95_quoted_s"])


# --- 6: the split of a batch --------------------------------------------------------------


def test_a_job_over_the_limits_of_a_batch(shipped: Catalog) -> None:
    inputs, expected = EXAMPLES[6]["inputs"], EXAMPLES[6]["expected"]
    rows = inputs["rows"]
    job = Job(
        rows=rows,
        input_tokens=inputs["input_tokens"] // rows,
        output=Output(tokens=10),
        models=(MODEL,),
        requirements=Requirements(tiers=((None, "start"),)),
    )
    size = int(inputs["bytes_total"]) // rows
    found = options(answered(shipped, job, size=size))["batch"].finish
    assert (found.batches, found.rows_per_batch, found.concurrent, found.waves) == (
        expected["batches"],
        expected["rows_per_batch"],
        expected["concurrent"],
        expected["waves"],
    )
    assert found.bound == expected["bound_h"] * HOUR


# --- 8: turnaround ------------------------------------------------------------------------


def test_a_batch_by_the_public_prior(shipped: Catalog) -> None:
    inputs, expected = EXAMPLES[8]["inputs"], EXAMPLES[8]["expected"]
    job = Job(
        rows=1000,
        input_tokens=100,
        output=Output(tokens=10),
        models=(MODEL,),
        requirements=Requirements(deadline=inputs["deadline_min"] * MINUTE),
    )
    found = options(answered(shipped, job))["batch"]
    assert found.p_deadline is not None
    assert found.p_deadline.mean == near(expected["p_by_deadline"])
    assert found.p_deadline.low == near(expected["ci80"]["low"])
    assert found.p_deadline.high == near(expected["ci80"]["high"])
    assert found.finish.p50 == near(expected["p50_min"] * MINUTE)
    assert found.finish.p95 == near(expected["p95_min"] * MINUTE)
    assert found.finish.bound == inputs["window_min"] * MINUTE
    assert (found.grade, found.verdict) == ("C", "at_risk")


# --- 10: the decision ---------------------------------------------------------------------

FAST = tuple(
    FinishedJob(
        provider="anthropic",
        model=MODEL,
        lane="batch",
        rows=20_000,
        created=NOW - timedelta(minutes=minutes),
        ended=NOW,
        state="ended",
    )
    for minutes in range(5, 45)
)
"""Forty own batches of 5 to 44 minutes that have just ended."""

NAMES = {"batch": "batch", "realtime": "standard", "batch_then_realtime": "batch>standard"}


@pytest.mark.parametrize(
    ("key", "minutes", "history"),
    [
        ("deadline_15_min", 15, ()),
        ("deadline_30_min", 30, ()),
        ("deadline_4_h_no_history", 240, ()),
        ("deadline_23_h_no_history", 23 * 60, ()),
        ("deadline_4_h_with_40_fast_batches", 240, FAST),
    ],
)
def test_the_decision(
    shipped: Catalog, key: str, minutes: float, history: tuple[FinishedJob, ...]
) -> None:
    expected = EXAMPLES[10]["expected"]
    job = asked(EXAMPLES[10]["inputs"]["realtime"], 300, 0.6, deadline=minutes * MINUTE)
    answer = answered(shipped, job, history)
    found = options(answer)
    for name, lane in NAMES.items():
        if expected[key][name]["cost"] is None:
            assert lane not in found, "there is no time for it"
        else:
            check(found[lane], expected[key][name])
    choice = expected[key]["choice"]
    assert answer.decision.choice == (None if choice == "none" else f"{MODEL}/{NAMES[choice]}")
    assert answer.decision.meets is (choice != "none")
    quoted = found["standard"].finish.p95
    assert quoted == near(expected["realtime_p95_quoted_min"] * MINUTE)


def check(found: Option, expected: dict[str, Any]) -> None:
    """Every figure that the example states of the option."""
    assert found.cost is not None
    assert found.p_deadline is not None
    assert float(found.cost.expected) == near(expected["cost"])
    assert found.p_deadline.mean == near(expected["p"])
    assert found.p_deadline.low == near(expected["p_lower"])
    assert (found.verdict == "meets") is expected["meets"]
    for name, value in (("p50_min", found.finish.p50), ("p95_min", found.finish.p95)):
        if name in expected:
            assert value == near(expected[name] * MINUTE)
    if "verdict" in expected:
        assert found.verdict == expected["verdict"]
    if "rescue_at_min" in expected:
        assert found.rescue is not None
        assert found.rescue.at == near(expected["rescue_at_min"] * MINUTE)
        assert found.rescue.p_no_rescue == near(expected["p_no_rescue"])
        assert (found.cost.low, found.cost.high) == (expected["cost_min"], expected["cost_max"])


def test_both_lanes_cost_what_the_example_says(shipped: Catalog) -> None:
    """20,000 x (1,500 x $2 + 300 x $10) / 1M = $120; half of it in batch."""
    found = options(answered(shipped, asked(EXAMPLES[10]["inputs"]["realtime"], 300, 0.6)))
    costs = [found[name].cost for name in ("standard", "batch")]
    assert [each and each.expected for each in costs] == [Decimal(120), Decimal(60)]


def test_without_a_deadline_the_half_price_wins(shipped: Catalog) -> None:
    answer = answered(shipped, asked(EXAMPLES[10]["inputs"]["realtime"], 300, 0.6))
    assert answer.decision.choice == f"{MODEL}/batch"
    assert {each.p_deadline for each in answer.decision.options} == {None}


def test_from_the_documented_window_on_the_batch_meets(shipped: Catalog) -> None:
    """20,000 rows without own history are grade D: likely, until the window has passed."""
    chosen = [
        answered(
            shipped,
            asked(EXAMPLES[10]["inputs"]["realtime"], 300, 0.6, deadline=hours * HOUR),
        ).decision.choice
        for hours in (23.99, 24)
    ]
    assert chosen == [f"{MODEL}/batch>standard", f"{MODEL}/batch"]
