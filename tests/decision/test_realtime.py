"""The closed form against worked examples, laws and an event simulation."""

import json
import math
import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision.realtime import (
    MAX_CONCURRENCY,
    QUOTED_MARGIN,
    Bucket,
    Load,
    concurrency_needed,
    makespan,
    meets,
    oversized,
    quoted,
    rows_by,
    standard,
)
from tests.decision import simulation

WORKED = json.loads(
    (Path(__file__).parents[1] / "data" / "worked_examples.json").read_text(encoding="utf-8")
)
CASES = {case["id"]: case for case in WORKED}


def load_of(inputs: dict[str, Any]) -> Load:
    return Load(
        rows=inputs["rows"],
        latency_mean=inputs["latency_mean_s"],
        latency_cv=inputs["latency_cv"],
        concurrency=inputs["concurrency"],
        buckets=tuple(
            Bucket(name=n, use=use, limit=limit, window=window, burst=burst, cv=sum(cv))
            for n, use, limit, window, burst, *cv in inputs["resources"]
        ),
    )


def near(value: float) -> object:
    return pytest.approx(value, rel=0.005)


# ---------------------------------------------------------------- worked examples


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (CASES[1]["inputs"], CASES[1]["expected"]),
        (CASES[3]["inputs"]["without_cache"], CASES[3]["expected"]["without_cache"]),
        (CASES[3]["inputs"]["with_cache"], CASES[3]["expected"]["with_cache"]),
    ],
    ids=["request rate", "tokens", "tokens, cached"],
)
def test_makespan_reproduces_the_worked_example(
    inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    got = makespan(load_of(inputs))
    assert got.binding == expected["binding"]
    assert got.rate == near(expected["steady_requests_per_s"])
    assert got.last_admission == near(expected["last_admission_s"])
    assert got.p50 == near(expected["p50_s"])
    assert got.p95_raw == near(expected["p95_s"])
    assert got.p95 == near(expected["p95_quoted_s"])


def test_cached_reads_speed_up_as_in_the_worked_example() -> None:
    slow, fast = (
        makespan(load_of(CASES[3]["inputs"][key])) for key in ("without_cache", "with_cache")
    )
    assert slow.p50 / fast.p50 == near(CASES[3]["expected"]["speedup"])


def test_realtime_of_the_decision_example() -> None:
    case = CASES[10]
    load = load_of(case["inputs"]["realtime"])
    got = makespan(load)
    assert got.p50 / 60 == near(case["expected"]["deadline_30_min"]["realtime"]["p50_min"])
    assert got.p95 / 60 == near(case["expected"]["realtime_p95_quoted_min"])
    assert meets(load, 30 * 60, 0.95)
    assert not meets(load, 15 * 60, 0.95)


# ---------------------------------------------------------------- cases with a known answer


def test_one_row_takes_one_latency() -> None:
    load = Load(rows=1, latency_mean=10, latency_cv=0.8, concurrency=4)
    variance = math.log1p(0.8**2)
    got = makespan(load)
    assert got.binding is None
    assert got.p50 == pytest.approx(10 * math.exp(-variance / 2))
    z = NormalDist().inv_cdf(0.95)
    assert got.p95_raw == pytest.approx(10 * math.exp(z * math.sqrt(variance) - variance / 2))


@pytest.mark.parametrize("rows", [2, 30, 2000])
def test_rows_that_all_start_at_once_end_with_the_slowest(rows: int) -> None:
    got = makespan(Load(rows=rows, latency_mean=3, latency_cv=1, concurrency=rows))
    variance = math.log(2)
    z = NormalDist().inv_cdf(0.5 ** (1 / rows))
    assert got.p50 == pytest.approx(3 * math.exp(z * math.sqrt(variance) - variance / 2))


def test_constant_latency_in_few_slots_counts_in_rounds() -> None:
    got = makespan(Load(rows=400, latency_mean=10, latency_cv=0, concurrency=2))
    assert got.binding == "concurrency"
    assert got.p50 == pytest.approx(2_000, rel=0.005)


def test_spending_48_dollars_at_10_per_ten_minutes_takes_38_minutes() -> None:
    spend = standard("usd_10min", use=0.0048, limit=10)
    load = Load(rows=10_000, latency_mean=2, latency_cv=0.5, concurrency=200, buckets=(spend,))
    got = makespan(load)
    assert got.binding == "usd_10min"
    assert got.last_admission == pytest.approx(38 * 60)


@pytest.mark.parametrize("name", ["rpm", "rpd", "itpm", "otpm", "tpm", "usd_10min"])
def test_each_bucket_binds_when_it_is_the_tightest(name: str) -> None:
    others = ("rpm", "rpd", "itpm", "otpm", "tpm", "usd_10min")
    buckets = tuple(
        standard(other, use=1, limit=100 if other == name else 10**9) for other in others
    )
    load = Load(rows=100_000, latency_mean=1, latency_cv=0, concurrency=200, buckets=buckets)
    assert makespan(load).binding == name


def test_concurrency_binds_when_it_is_the_tightest() -> None:
    load = Load(
        rows=1_000,
        latency_mean=60,
        latency_cv=0,
        concurrency=2,
        buckets=(standard("rpm", use=1, limit=1_000),),
    )
    assert makespan(load).binding == "concurrency"
    assert makespan(load).rate == pytest.approx(2 / 60)


def test_no_rows_take_no_time() -> None:
    got = makespan(Load(rows=0, latency_mean=10, latency_cv=1, concurrency=1))
    assert (got.binding, got.p50, got.p95) == (None, 0, 0)


def test_attempts_per_row_is_the_sum_of_a_cut_geometric_series() -> None:
    load = Load(rows=1, latency_mean=1, latency_cv=0, concurrency=1, failure_rate=0.5, retries=2)
    assert load.attempts_per_row == pytest.approx(1 + 0.5 + 0.25)


def test_rows_that_fail_take_more_of_every_bucket() -> None:
    rpm = standard("rpm", use=1, limit=600)
    load = Load(rows=100_000, latency_mean=1, latency_cv=0, concurrency=200, buckets=(rpm,))
    failing = replace(load, failure_rate=0.1, retries=1)
    ratio = makespan(failing).last_admission / makespan(load).last_admission
    assert ratio == pytest.approx(1.1, rel=1e-3)


def test_retries_lengthen_a_job_that_starts_all_at_once() -> None:
    load = Load(rows=100, latency_mean=2, latency_cv=0.4, concurrency=128)
    failing = replace(load, failure_rate=0.1, retries=2)
    runs = [simulation.makespan(failing, seed) for seed in range(200)]
    assert makespan(failing).p50 == pytest.approx(median(runs), rel=0.05)
    assert makespan(failing).p50 > 1.3 * makespan(load).p50


# ---------------------------------------------------------------- laws

shares = st.floats(0.01, 1)
cvs = st.sampled_from([0.0, 0.3, 0.6, 1.0])


@st.composite
def buckets(draw: st.DrawFn, name: str) -> Bucket:
    return Bucket(
        name=name,
        use=draw(st.floats(0.001, 10_000)),
        limit=draw(st.floats(1, 1e7)),
        window=draw(st.sampled_from([60.0, 600.0, 86_400.0])),
        burst=draw(st.sampled_from([1 / 60, 1.0])),
        cv=draw(cvs),
    )


@st.composite
def loads(draw: st.DrawFn) -> Load:
    return Load(
        rows=draw(st.integers(1, 50_000)),
        latency_mean=draw(st.floats(0.2, 60)),
        latency_cv=draw(cvs),
        concurrency=draw(st.integers(1, 200)),
        buckets=(draw(buckets("rpm")), draw(buckets("itpm")), draw(buckets("otpm"))),
        failure_rate=draw(st.sampled_from([0.0, 0.01, 0.2])),
        retries=draw(st.sampled_from([0, 2])),
    )


def no_longer(faster: Load, slower: Load, *, within: float = 1e-7) -> None:
    """Medians in order; the P95 up to the seam between two binding resources."""
    a, b = makespan(faster), makespan(slower)
    assert a.last_admission <= b.last_admission * (1 + within)
    assert a.p50 <= b.p50 * (1 + within)
    assert a.p95 <= b.p95 * (1.002 + within)


@given(loads(), st.integers(1, 10_000))
def test_more_rows_never_take_less_time(load: Load, more: int) -> None:
    no_longer(load, replace(load, rows=load.rows + more))


@given(loads(), st.integers(0, 2), st.floats(1.01, 100))
def test_a_higher_limit_never_takes_more_time(load: Load, which: int, factor: float) -> None:
    wider = list(load.buckets)
    wider[which] = replace(wider[which], limit=wider[which].limit * factor)
    no_longer(replace(load, buckets=tuple(wider)), load)


@given(loads(), st.integers(1, 100))
def test_more_slots_never_take_more_time(load: Load, more: int) -> None:
    no_longer(replace(load, concurrency=load.concurrency + more), load)


@given(loads(), st.floats(1.01, 10))
def test_slower_answers_never_take_less_time(load: Load, factor: float) -> None:
    no_longer(load, replace(load, latency_mean=load.latency_mean * factor), within=0.02)


@given(loads())
def test_failures_never_take_less_time(load: Load) -> None:
    no_longer(load, replace(load, failure_rate=load.failure_rate + 0.1))


@given(loads())
def test_figures_come_in_order(load: Load) -> None:
    got = makespan(load)
    assert got.last_admission <= got.p50 <= got.p95_raw <= got.p95
    assert got.p95 == pytest.approx(QUOTED_MARGIN * got.p95_raw)
    assert (got.binding is None) == (got.last_admission == 0)


@given(loads(), st.integers(0, 2))
def test_no_job_is_faster_than_one_of_its_limits_alone(load: Load, which: int) -> None:
    no_longer(replace(load, buckets=(load.buckets[which],), concurrency=10**9), load)
    no_longer(replace(load, buckets=()), load)


@given(loads(), st.floats(0.05, 0.94))
def test_more_confidence_never_names_an_earlier_time(load: Load, q: float) -> None:
    assert quoted(load, q) <= quoted(load, q + 0.05) * (1 + 1e-8)
    assert quoted(load, 0.95) == makespan(load).p95


@given(loads(), st.floats(0.1, 1000))
def test_the_unit_of_a_bucket_does_not_matter(load: Load, factor: float) -> None:
    first, *rest = load.buckets
    scaled = replace(first, use=first.use * factor, limit=first.limit * factor)
    other = makespan(replace(load, buckets=(scaled, *rest)))
    assert other.p95 == pytest.approx(makespan(load).p95, rel=1e-6)


@given(loads(), st.floats(0.1, 1000))
def test_the_unit_of_time_does_not_matter(load: Load, factor: float) -> None:
    load = replace(load, failure_rate=0.0)
    slower = tuple(replace(bucket, window=bucket.window * factor) for bucket in load.buckets)
    scaled = replace(load, buckets=slower, latency_mean=load.latency_mean * factor)
    assert makespan(scaled).p95 == pytest.approx(factor * makespan(load).p95, rel=1e-6)


@given(loads())
def test_the_order_of_buckets_does_not_matter(load: Load) -> None:
    turned = makespan(replace(load, buckets=load.buckets[::-1]))
    assert turned.p95 == pytest.approx(makespan(load).p95, rel=1e-6)


@given(loads())
def test_a_bucket_nothing_is_taken_from_changes_nothing(load: Load) -> None:
    free = Bucket(name="free", use=0, limit=1, window=60)
    assert makespan(replace(load, buckets=(*load.buckets, free))) == makespan(load)


@given(loads(), st.floats(1, 1e5), st.sampled_from([0.5, 0.95, 0.99]))
def test_rows_by_is_the_most_that_meets(load: Load, deadline: float, confidence: float) -> None:
    most = rows_by(load, deadline, confidence)
    assert most == 0 or meets(replace(load, rows=most), deadline, confidence)
    assert not meets(replace(load, rows=most + 1), deadline, confidence)


@pytest.mark.parametrize("deadline", [0, -5])
def test_no_rows_by_a_deadline_that_is_past(deadline: float) -> None:
    assert rows_by(Load(rows=1, latency_mean=1, latency_cv=0, concurrency=1), deadline) == 0


# ---------------------------------------------------------------- by-products


@pytest.mark.parametrize(("largest", "found"), [(2_000_000, None), (2_000_001, "itpm")])
def test_a_row_larger_than_the_whole_limit_is_found(largest: int, found: str | None) -> None:
    limits = (
        standard("rpm", use=1, limit=50),
        standard("itpm", use=900, limit=2_000_000),
    )
    bucket = oversized(limits, {"itpm": largest})
    assert (bucket.name if bucket else None) == found


@pytest.mark.parametrize(("use", "found"), [(100, None), (100.5, "otpm")])
def test_without_a_largest_row_the_mean_is_compared(use: float, found: str | None) -> None:
    bucket = oversized([standard("otpm", use=use, limit=100)])
    assert (bucket.name if bucket else None) == found


@pytest.mark.parametrize(
    ("limit", "latency", "slots"),
    [
        (60, 4, 8),  # four in flight on average, plus two standard deviations
        (1_000, 6, 120),
        (10_000, 6, MAX_CONCURRENCY),
        (1, 0.01, 1),
    ],
)
def test_concurrency_follows_little_with_a_margin(limit: int, latency: float, slots: int) -> None:
    assert concurrency_needed([standard("rpm", use=1, limit=limit)], latency) == slots


def test_without_limits_concurrency_is_the_cap() -> None:
    assert concurrency_needed([], 6) == MAX_CONCURRENCY


@given(loads())
def test_the_concurrency_needed_keeps_up_with_every_bucket(load: Load) -> None:
    needed = concurrency_needed(load.buckets, load.latency_mean, cap=10**12)
    assert needed / load.latency_mean >= min(bucket.rate for bucket in load.buckets)


# ---------------------------------------------------------------- refusals

GOOD = Load(rows=1, latency_mean=1, latency_cv=1, concurrency=1)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("rows", -1, "rows"),
        ("latency_mean", 0, "seconds"),
        ("latency_mean", math.nan, "seconds"),
        ("latency_cv", -0.1, "ratio"),
        ("concurrency", 0, "requests"),
        ("failure_rate", 1, "share"),
        ("failure_rate", -0.01, "share"),
        ("retries", -1, "retries"),
    ],
)
def test_a_load_that_cannot_be_is_refused(field: str, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(GOOD, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("use", -1, "units"),
        ("use", math.inf, "units"),
        ("limit", 0, "units"),
        ("window", 0, "seconds"),
        ("burst", -1, "share"),
        ("cv", -1, "ratio"),
    ],
)
def test_a_bucket_that_cannot_be_is_refused(field: str, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(standard("rpm", use=1, limit=1), **{field: value})


def test_a_limit_of_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="rpm, rpd"):
        standard("requests", use=1, limit=1)


@pytest.mark.parametrize("confidence", [0, 1])
def test_certainty_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        quoted(GOOD, confidence)


# ---------------------------------------------------------------- event simulation

TIERS = {
    "small": (50, 3e4, 8e3),
    "uneven": (50, 5e4, 1e4),
    "start": (1_000, 2e6, 4e5),
    "build": (5_000, 5e6, 1e6),
    "scale": (10_000, 1e7, 2e6),
}
SHAPES = ((200, 50), (1_500, 300), (12_000, 150))
LATENCIES = ((2.0, 0.4), (10.0, 0.4), (10.0, 1.0))
BURSTS = (1 / 60, 1.0)
ORDINARY = tuple(
    product((100, 1_000, 10_000), (8, 32, 128), LATENCIES, list(TIERS)[2:], SHAPES, BURSTS)
)
# Bursts smaller than a row, and (0) as many slots as Little's law asks for, not one more.
SEAMS = tuple(product((100, 1_000), (0, 8), LATENCIES, TIERS, SHAPES, BURSTS))
# A stride that meets each level of each axis; the whole grids take minutes.
WHOLE = bool(os.environ.get("PLANNER_WHOLE_GRID"))
RUNS = {100: 300, 1_000: 60, 10_000: 5} if WHOLE else {100: 60, 1_000: 25, 10_000: 3}
Played = list[tuple[Load, list[float]]]


def cell(
    rows: int,
    slots: int,
    latency: tuple[float, float],
    tier: str,
    shape: tuple[int, int],
    burst: float,
) -> Load:
    uses = (1, *shape)
    buckets = tuple(
        Bucket(name=name, use=use, limit=limit, window=60, burst=burst, cv=cv)
        for name, use, limit, cv in zip(
            ("rpm", "itpm", "otpm"), uses, TIERS[tier], (0.0, 0.0, 0.6), strict=True
        )
    )
    little = math.ceil(min(bucket.rate for bucket in buckets) * latency[0])
    return Load(
        rows=rows,
        latency_mean=latency[0],
        latency_cv=latency[1],
        concurrency=slots or little,
        buckets=buckets,
    )


def played(cells: list[Load]) -> Played:
    """Each cell with the makespans of its seeded runs."""
    return [
        (load, [simulation.makespan(load, 1_000 * i + seed) for seed in range(RUNS[load.rows])])
        for i, load in enumerate(cells)
    ]


@pytest.fixture(scope="module")
def ordinary() -> Played:
    return played([cell(*point) for point in (ORDINARY if WHOLE else ORDINARY[6::13])])


@pytest.fixture(scope="module")
def seams() -> Played:
    return played([cell(*point) for point in (SEAMS if WHOLE else SEAMS[3::7])])


@pytest.fixture(scope="module")
def failing() -> Played:
    points = ORDINARY[:324]  # up to 1,000 rows
    cells = [cell(*point) for point in (points if WHOLE else points[2::13])]
    return played([replace(load, failure_rate=0.1, retries=2) for load in cells])


def errors(runs: Played) -> list[float]:
    return sorted(abs(makespan(load).p50 / median(ends) - 1) for load, ends in runs)


def assert_covered(runs: Played) -> None:
    """No cell whose number of covered runs would surprise (1 in 100) if 94 % were covered."""
    hits = [
        (load, sum(end <= makespan(load).p95 for end in ends), len(ends)) for load, ends in runs
    ]
    assert sum(n for _, n, _ in hits) >= 0.97 * sum(total for *_, total in hits)
    surprising = [
        load for load, n, total in hits if n < 0.94 * total - 2.33 * (0.94 * 0.06 * total) ** 0.5
    ]
    assert surprising == []


@pytest.mark.parametrize(("grid", "start", "stride"), [(ORDINARY, 6, 13), (SEAMS, 3, 7)])
def test_the_stride_meets_every_level_of_every_axis(
    grid: tuple[tuple[object, ...], ...], start: int, stride: int
) -> None:
    taken = zip(*grid[start::stride], strict=True)
    for axis, levels in zip(zip(*grid, strict=True), taken, strict=True):
        assert set(axis) == set(levels)


def test_medians_agree_with_the_event_simulation(ordinary: Played) -> None:
    found = errors(ordinary)
    assert median(found) <= 0.01
    assert found[int(0.9 * len(found))] <= 0.05


def test_medians_agree_where_limits_meet(seams: Played) -> None:
    found = errors(seams)
    assert median(found) <= 0.015
    assert found[int(0.9 * len(found))] <= 0.05


def test_medians_agree_where_attempts_fail(failing: Played) -> None:
    found = errors(failing)
    assert median(found) <= 0.02
    assert found[int(0.9 * len(found))] <= 0.06


def test_the_quoted_p95_covers_the_event_simulation(ordinary: Played) -> None:
    assert_covered(ordinary)


def test_the_quoted_p95_covers_where_limits_meet(seams: Played) -> None:
    assert_covered(seams)


def test_the_quoted_p95_covers_where_attempts_fail(failing: Played) -> None:
    assert_covered(failing)
