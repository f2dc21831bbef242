"""Catalog limits and demands turned into a finish, and what is said of lanes that answer later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.support import Limits
from planner.decision.cost import Caching, job_cost
from planner.decision.options import offers
from planner.decision.realtime import MAX_CONCURRENCY
from planner.decision.requirements import Latency
from planner.decision.timing import (
    CERTAINLY_NOT,
    Delivered,
    Past,
    Probability,
    delivered,
    delivery_risks,
    latency,
    limit_buckets,
    paced,
    shipment_of,
    too_large,
)
from planner.decision.turnaround import FinishedJob
from tests.decision.builders import (
    HOUR,
    MEASURED,
    NOW,
    TODAY,
    answers,
    card,
    demand,
    flat,
    job,
    mixed_job,
)

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.decision.options import Offer
    from planner.workload.profile import TokenProfile

GENERATED = {"counts_cache_read": False, "counts_max_output": False}


def limits(**figures: Any) -> Limits:
    return Limits(tier="low", **{**GENERATED, **figures})


def uses(profile: TokenProfile, known: Limits, caching: Caching | None = None) -> dict[str, float]:
    return {each.name: each.use for each in limit_buckets(profile, known, flat(18), caching)}


# --- what an attempt takes ----------------------------------------------------------------

EVERY = {"rpm": 60, "rpd": 1000, "itpm": 10**6, "otpm": 10**6, "tpm": 10**6, "usd_10min": 10}


def test_an_attempt_takes_its_mean_of_every_limit() -> None:
    assert uses(job(rows=1000), limits(**EVERY)) == {
        "rpm": 1.0,
        "rpd": 1.0,
        "itpm": 1000.0,
        "otpm": 200.0,
        "tpm": 1200.0,
        "usd_10min": 0.018,
    }


def test_only_published_limits_are_buckets() -> None:
    assert uses(job(), limits(rpm=60)) == {"rpm": 1.0}
    assert uses(job(), limits()) == {}
    assert limit_buckets(job(), limits(usd_10min=10), None, None) == (), "without a price"


def test_the_demanded_maximum_draws_on_the_limits_where_the_vendor_reserves_it() -> None:
    known = limits(otpm=10**6, tpm=10**6, counts_max_output=True)
    assert uses(job(limit=5000), known) == {"otpm": 5000.0, "tpm": 5000.0}
    assert uses(job(prompt=6000, limit=5000), known) == {"otpm": 5000.0, "tpm": 6200.0}
    assert uses(job(limit=300), known) == {"otpm": 300.0, "tpm": 1200.0}


def test_answers_spread_unless_their_maximum_is_reserved() -> None:
    def spread(known: Limits) -> float:
        (bucket,) = limit_buckets(job(), known, None, None)
        return bucket.cv

    assert spread(limits(otpm=10)) == 0.8
    assert spread(limits(otpm=10, counts_max_output=True)) == 0
    assert spread(limits(itpm=10)) == 0


@pytest.mark.parametrize(("counts", "use"), [(False, 2400.0), (True, 12_000.0)])
def test_cached_reads_draw_on_the_input_limit_only_where_the_vendor_counts_them(
    counts: bool, use: float
) -> None:
    """12,000 tokens a row, of which 12,000 are shared and read by 80 % of the rows."""
    caching = Caching(
        prefix=12_000,
        hit_share=Fraction(8, 10),
        hit_low=Fraction(8, 10),
        hit_high=Fraction(8, 10),
        write_meter=None,
    )
    known = limits(itpm=10**6, counts_cache_read=counts)
    assert uses(job(prompt=12_000), known, caching)["itpm"] == pytest.approx(use)


@pytest.mark.parametrize(
    ("figures", "over"),
    [
        ({"itpm": 5000}, None),
        ({"itpm": 4999}, ("itpm", 5000)),
        ({"tpm": 5200}, None),
        ({"tpm": 5199}, ("tpm", 5200)),
        ({"otpm": 200}, None),
        ({"otpm": 199}, ("otpm", 200)),
        ({"otpm": 511, "counts_max_output": True}, ("otpm", 512)),
        ({"tpm": 8191, "counts_max_output": True}, ("tpm", 8192)),
        ({"rpm": 1, "rpd": 1}, None),
    ],
)
def test_a_row_over_a_limit(figures: dict[str, int], over: tuple[str, int] | None) -> None:
    """The largest row has 5,000 prompt tokens; what it reserves is compared as well."""
    limit = 8192 if figures.get("tpm") == 8191 else 512
    profile = mixed_job({10: 99, 5000: 1}, output=answers(200, 200, 200, limit))
    assert too_large(profile, limits(**figures), None) == over


# --- realtime -----------------------------------------------------------------------------


def test_without_a_limit_of_the_vendor_nothing_is_promised() -> None:
    for known in (limits(), limits(rpd=10**6), limits(usd_month=100)):
        assert paced(job(), known, demand(concurrency=8), None) is None


def test_latency_is_taken_as_given_or_assumed_from_the_answers() -> None:
    assert latency(job(answer=200), demand(latency=Latency(mean=3.0, cv=0.1))) == (3.0, 0.1)
    assert latency(job(answer=200), demand(latency=None)) == (2.0 + 200 / 40, 0.8)


def test_concurrency_is_as_given_or_as_needed() -> None:
    """600 a minute for 5 s: 50 in flight, with two deviations in reserve 65."""
    free = paced(job(), limits(rpm=600), demand(), None)
    held = paced(job(), limits(rpm=600), demand(concurrency=7), None)
    wide = paced(job(), limits(rpm=10**6), demand(), None)
    assert free is not None
    assert held is not None
    assert wide is not None
    assert (free.load.concurrency, held.load.concurrency) == (65, 7)
    assert wide.load.concurrency == MAX_CONCURRENCY
    assert held.finish.binding == "concurrency"


def test_a_paced_job_is_done_or_not_done_at_its_quoted_time() -> None:
    found = paced(job(), limits(rpm=600), demand(confidence=0.9), None)
    assert found is not None
    assert found.by(found.quoted) == Probability(mean=1.0, low=0.9, high=1.0)
    assert found.by(found.quoted - 0.01) == CERTAINLY_NOT
    assert found.finish.p95 is not None
    assert found.quoted < found.finish.p95, "90 % asked for, 95 % shown"


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.integers(1, 10**5))
def test_a_higher_limit_is_never_later(rows: int, one: int, other: int) -> None:
    slow, fast = (
        paced(job(rows=rows), limits(rpm=rpm), demand(concurrency=100), None)
        for rpm in sorted((one, other))
    )
    assert slow is not None
    assert fast is not None
    assert fast.quoted <= slow.quoted * 1.02, "to within the closed form's own error"


# --- lanes that answer later --------------------------------------------------------------


def offer(facts: Catalog, lane: str = "heap", model: str = "plainspoken", **wanted: Any) -> Offer:
    found = offers(facts, facts.model(model), demand(**wanted), TODAY)
    return next(each for each in found if each.lane.id == lane)


def scheduled(
    facts: Catalog,
    rows: int = 1000,
    *,
    lane: str = "heap",
    jobs: tuple[FinishedJob, ...] = (),
    **wanted: Any,
) -> Delivered:
    which = offer(facts, lane, **wanted)
    return delivered(
        job(rows=rows, model="plainspoken"),
        which,
        demand(**wanted),
        Past(jobs=jobs, now=NOW),
        seed=0,
    )


def own(count: int, rows: int, minutes: float = 10, **other: Any) -> tuple[FinishedJob, ...]:
    """That many own batches, each of so many minutes, that have just ended."""
    stated: dict[str, Any] = {
        "provider": "acme",
        "model": "plainspoken",
        "lane": "heap",
        "rows": rows,
        "created": NOW - timedelta(minutes=minutes),
        "ended": NOW,
        "state": "ended",
        **other,
    }
    return tuple(FinishedJob(**stated) for _ in range(count))


@pytest.mark.parametrize(
    ("rows", "batches", "concurrent", "waves"),
    [
        (50_000, 1, 1, 1),
        (50_001, 2, 1, 2),
        (100_000, 2, 1, 2),
        (100_001, 3, 1, 3),
    ],
)
def test_a_job_is_split_by_the_lane_s_limits(
    facts: Catalog, rows: int, batches: int, concurrent: int, waves: int
) -> None:
    """50,000 requests a batch; the queue takes 50 million tokens, so 50,000 rows of 1,000."""
    found = scheduled(facts, rows).finish
    assert (found.batches, found.concurrent, found.waves) == (batches, concurrent, waves)
    assert found.bound == waves * 24 * HOUR


def test_bytes_split_a_job_where_they_are_known(facts: Catalog) -> None:
    which = offer(facts)
    small = job(rows=1000, prompt=10)
    heavy = replace(small, bytes_per_row=250_000)
    assert shipment_of(small, which.lane, which.limits).batches == 1
    assert shipment_of(heavy, which.lane, which.limits).batches == 3, "250 MB, 100 MB a batch"


def test_evidence_is_that_of_the_size_of_one_batch(facts: Catalog) -> None:
    grades = [
        scheduled(facts, rows, jobs=jobs).grade
        for rows, jobs in (
            (5000, ()),
            (5001, ()),
            (20_000, own(4, 20_000)),
            (20_000, own(5, 20_000)),
            (20_000, own(20, 20_000)),
            (20_000, own(20, 100)),
        )
    ]
    assert grades == ["C", "D", "D", "B", "A", "D"]


def test_batches_of_another_model_or_lane_teach_nothing(facts: Catalog) -> None:
    for elsewhere in (
        own(20, 1000, model="tall"),
        own(20, 1000, lane="whenever"),
        own(20, 1000, provider="other"),
    ):
        assert scheduled(facts, jobs=elsewhere).grade == "C"


def test_weak_evidence_vouches_for_the_documented_bound_only(facts: Catalog) -> None:
    weak, sound = scheduled(facts, 20_000), scheduled(facts, 1000)
    assert [weak.vouches_for(hours * HOUR) for hours in (1, 23.9, 24)] == [False, False, True]
    assert sound.vouches_for(HOUR)
    assert not scheduled(facts, lane="whenever").vouches_for(10**9), "no bound is documented"


def test_a_lane_of_unknown_turnaround_has_no_finish(facts: Catalog) -> None:
    found = scheduled(facts, lane="whenever")
    assert (found.finish.p50, found.finish.p95, found.finish.bound) == (None, None, None)
    assert (found.by(HOUR), found.done_share(HOUR), found.grade) == (None, 0.0, "D")


def test_a_known_incident_expects_nothing_before_the_window(facts: Catalog) -> None:
    found = scheduled(facts, degraded=True)
    before, after = found.by(23.9 * HOUR), found.by(24 * HOUR)
    assert before is not None
    assert after is not None
    assert (before.mean, before.low) == (0.0, 0.0)
    assert after.mean > 0.9
    assert found.finish.p95 == 24 * HOUR
    assert found.done_share(12 * HOUR) == 0


@given(st.floats(60, 10**6), st.floats(60, 10**6), st.sampled_from([500, 60_000]))
def test_chances_rise_with_time(facts: Catalog, one: float, other: float, rows: int) -> None:
    found = scheduled(facts, rows)
    early, late = (found.by(time) for time in sorted((one, other)))
    assert early is not None
    assert late is not None
    assert early.low <= late.low + 1e-9
    assert early.mean <= late.mean + 1e-9
    assert found.done_share(min(one, other)) <= found.done_share(max(one, other)) + 1e-9


# --- what is said of them -----------------------------------------------------------------


def said(facts: Catalog, rows: int = 1000, lane: str = "heap", **wanted: Any) -> tuple[str, ...]:
    return delivery_risks(offer(facts, lane).lane, scheduled(facts, rows, lane=lane, **wanted))


EXPIRY = "completion inside the window is not guaranteed: at its end unfinished rows expire"


def test_completion_is_never_guaranteed(facts: Catalog) -> None:
    assert said(facts) == (EXPIRY,)


@pytest.mark.parametrize(
    ("at_window", "sentence"),
    [
        (
            "expires_without_results",
            "completion inside the window is not guaranteed: at its end all its results expire",
        ),
        ("keeps_running", "completion inside the window is not guaranteed"),
        (None, "completion inside the window is not guaranteed"),
    ],
)
def test_what_happens_at_the_window_is_said(
    facts: Catalog, at_window: str | None, sentence: str
) -> None:
    lane = replace(offer(facts).lane, at_window=at_window)
    assert delivery_risks(lane, scheduled(facts)) == (sentence,)


def test_a_size_that_nobody_has_seen_is_said(facts: Catalog) -> None:
    assert said(facts, 20_000) == (
        EXPIRY,
        "no public batch of 20,000 rows was found: the curve of smaller ones is shown",
    )


def test_an_incident_is_said(facts: Catalog) -> None:
    assert said(facts, degraded=True) == (
        EXPIRY,
        "a known incident: nothing is expected before the documented window",
    )


def test_waves_are_said(facts: Catalog) -> None:
    assert said(facts, 60_000)[-1] == ("2 batches, 1 at once (queued_tokens limit): 2 waves")


def test_an_unknown_turnaround_is_said(facts: Catalog) -> None:
    assert said(facts, lane="whenever") == (
        "when it is done was never measured in public, and no window is documented",
    )
    lane = replace(offer(facts, "whenever").lane, window=86_400)
    found = delivered(
        job(model="plainspoken"),
        replace(
            offer(facts, "whenever"), support=replace(offer(facts, "whenever").support, lane=lane)
        ),
        demand(),
        Past(jobs=(), now=NOW),
        seed=0,
    )
    assert "only the vendor's window is known" in delivery_risks(lane, found)[-1]


def test_costs_of_money_limits_are_means(facts: Catalog) -> None:
    """$10 in ten minutes at $0.0018 a row: 5,555 rows at once, then 9.26 a second."""
    cost = job_cost(card(facts), job())
    (bucket,) = limit_buckets(job(), limits(usd_10min=10), cost, None)
    assert cost.expected == Decimal("1.8")
    assert bucket.head_start == pytest.approx(5555.6, rel=1e-3)
    assert bucket.rate == pytest.approx(9.26, rel=1e-3)
    assert latency(job(), demand()) == (MEASURED.mean, MEASURED.cv)
