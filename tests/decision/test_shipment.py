"""Shipments of batches against worked examples, laws and a plain simulation of the queue."""

import heapq
import itertools
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision.shipment import Chance, Shipment, SplitLimits, finish, oversized, split
from planner.decision.turnaround import Law, Prior
from tests.decision.batches import (
    CASES,
    DAY,
    HOUR,
    in_waves,
    job,
    law_of,
    laws,
    low_of,
    mean_of,
    near,
    single,
)

# ---------------------------------------------------------------- worked examples


def test_split_reproduces_the_worked_example() -> None:
    given_, expected = CASES[6]["inputs"], CASES[6]["expected"]
    limits = given_["limits"]
    got = split(
        given_["rows"],
        int(given_["bytes_total"]),
        given_["input_tokens"],
        SplitLimits(
            requests=limits["max_requests"],
            bytes=int(limits["max_bytes"]),
            queued_requests=limits["queue_requests"],
        ),
    )
    assert got == Shipment(
        batches=expected["batches"],
        rows_per_batch=expected["rows_per_batch"],
        concurrent=expected["concurrent"],
        waves=expected["waves"],
        binding="requests",
        held_by="queued_requests",
    )
    window = limits["window_h"] * HOUR
    assert got.bound(window) == expected["bound_h"] * HOUR
    assert got.bound(window, resubmissions=1) == expected["bound_one_resubmit_h"] * HOUR


def test_the_public_prior_reproduces_the_worked_example() -> None:
    given_, expected = CASES[8]["inputs"], CASES[8]["expected"]
    prior = Prior(
        p50=given_["prior"]["p50_min"] * 60,
        p90=given_["prior"]["p90_min"] * 60,
        worth=given_["prior"]["worth_batches"],
        grade="C",
    )
    law = law_of(prior=prior)
    window = given_["window_min"] * 60
    got = single(law, window=window)
    chance = got.by(given_["deadline_min"] * 60)
    assert chance.mean == near(expected["p_by_deadline"])
    assert chance.low == near(expected["lower_90"])
    assert chance.low == near(expected["ci80"]["low"])
    assert chance.high == near(expected["ci80"]["high"])
    assert law.quantile(0.5) / 60 == near(expected["p50_min"])
    assert law.quantile(0.9) / 60 == near(expected["p90_min"])
    assert law.quantile(0.95) / 60 == near(expected["p95_min"])
    assert 1 - law.cdf(window) == near(expected["p_beyond_window"])
    assert law.mean_capped(window) / 60 == near(expected["mean_capped_at_window_min"])
    assert (got.mean_capped(window) or 0) / 60 == near(expected["mean_capped_at_window_min"])


@pytest.mark.parametrize(
    ("key", "hours", "own"),
    [
        ("deadline_15_min", 0.25, 0),
        ("deadline_30_min", 0.5, 0),
        ("deadline_4_h_no_history", 4, 0),
        ("deadline_23_h_no_history", 23, 0),
        ("deadline_4_h_with_40_fast_batches", 4, 40),
    ],
)
def test_batch_of_the_decision_example(key: str, hours: float, own: int) -> None:
    expected = CASES[10]["expected"][key]
    rows = CASES[10]["inputs"]["rows"]
    law = law_of(*(job(60.0 * m, rows=rows) for m in range(5, 5 + own)), rows=rows)
    got = single(law)
    chance = got.by(hours * HOUR)
    assert chance.mean == near(expected["batch"]["p"])
    assert chance.low == near(expected["batch"]["p_lower"])
    assert (got.p50 or 0) / 60 == near(expected["batch"]["p50_min"])
    assert (got.p95 or 0) / 60 == near(expected["batch"]["p95_min"])
    assert got.grade == ("A" if own else "D")
    rescue = expected["batch_then_realtime"]
    if "p_no_rescue" in rescue:
        assert got.by(60 * rescue["rescue_at_min"]).mean == near(rescue["p_no_rescue"])


# Published table: 4,000 plain draws, so its own noise is about 0.005 and half an hour at P95.
@pytest.mark.parametrize(
    ("batches", "at_once", "p50", "p95", "by_a_day"),
    [
        (1, 1, 0.5, 8.4, 0.983),
        (3, 3, 1.8, 23.0, 0.952),
        (3, 1, 2.7, 24.7, 0.943),
        (10, 10, 6.1, 25.1, 0.845),
        (10, 2, 8.2, 28.7, 0.830),
    ],
)
def test_several_batches_reproduce_the_table(
    batches: int, at_once: int, p50: float, p95: float, by_a_day: float
) -> None:
    got = finish(law_of(), in_waves(batches, at_once), window=DAY)
    assert (got.p50 or 0) / HOUR == pytest.approx(p50, abs=0.25)
    assert (got.p95 or 0) / HOUR == pytest.approx(p95, abs=0.6)
    assert got.by(DAY).mean == pytest.approx(by_a_day, abs=0.012)


# ---------------------------------------------------------------- splitting

UNLIMITED = SplitLimits()
sizes = st.integers(1, 10**7)
caps = st.none() | st.integers(1, 10**6)
limits_ = st.builds(
    SplitLimits,
    requests=caps,
    bytes=st.none() | st.integers(10**5, 10**9),
    queued_requests=caps,
    queued_tokens=st.none() | st.integers(10**5, 10**9),
    active=st.none() | st.integers(1, 100),
)


def test_without_limits_there_is_one_batch() -> None:
    assert split(10**6, 10**9, 10**9, UNLIMITED) == Shipment(rows_per_batch=10**6)


@pytest.mark.parametrize(
    ("limits", "inside", "beyond", "name"),
    [
        (SplitLimits(requests=100), (100, 1, 1), (101, 1, 1), "requests"),
        (SplitLimits(bytes=500), (10, 500, 1), (10, 501, 1), "bytes"),
        (SplitLimits(queued_tokens=70), (10, 1, 70), (10, 1, 71), "queued_tokens"),
        (SplitLimits(queued_requests=30), (30, 1, 1), (31, 1, 1), "queued_requests"),
    ],
)
def test_one_more_than_a_limit_makes_two_batches(
    limits: SplitLimits,
    inside: tuple[int, int, int],
    beyond: tuple[int, int, int],
    name: str,
) -> None:
    one, two = split(*inside, limits), split(*beyond, limits)
    assert (one.batches, one.binding) == (1, None)
    assert (two.batches, two.binding) == (2, name)


@pytest.mark.parametrize(
    ("limits", "concurrent", "held_by"),
    [
        (SplitLimits(requests=10), 10, None),
        (SplitLimits(requests=10, active=3), 3, "active"),
        (SplitLimits(requests=10, queued_requests=49), 4, "queued_requests"),
        (SplitLimits(requests=10, queued_tokens=250), 2, "queued_tokens"),
    ],
)
def test_queues_limit_what_waits_at_once(
    limits: SplitLimits, concurrent: int, held_by: str | None
) -> None:
    got = split(100, None, 1_000, limits)
    assert (got.batches, got.concurrent, got.held_by) == (10, concurrent, held_by)
    assert got.waves == -(-10 // concurrent)


@given(sizes, sizes, sizes, limits_)
def test_a_split_holds_every_row_and_every_limit(
    rows: int, size: int, tokens: int, limits: SplitLimits
) -> None:
    got = split(rows, size, tokens, limits)
    assert 1 <= got.concurrent <= got.batches <= rows
    assert got.rows_per_batch * got.batches >= rows
    assert (got.waves - 1) * got.concurrent < got.batches <= got.waves * got.concurrent
    assert limits.requests is None or got.rows_per_batch <= limits.requests
    if limits.queued_requests is not None and got.concurrent > 1:
        assert got.concurrent * got.rows_per_batch <= limits.queued_requests
    if limits.queued_tokens is not None and got.concurrent > 1:
        assert got.concurrent * tokens <= limits.queued_tokens * got.batches


@given(sizes, sizes, sizes, sizes, limits_)
def test_more_rows_never_make_fewer_batches(
    rows: int, more: int, size: int, tokens: int, limits: SplitLimits
) -> None:
    few, many = split(rows, size, tokens, limits), split(rows + more, size, tokens, limits)
    assert few.batches <= many.batches


def test_unknown_sizes_are_not_held_against_a_job() -> None:
    assert split(10, None, None, SplitLimits(bytes=1, queued_tokens=1)).batches == 1


@pytest.mark.parametrize(
    ("size", "tokens", "name"),
    [(100, 50, None), (101, 50, "bytes"), (100, 51, "queued_tokens"), (None, None, None)],
)
def test_a_row_too_large_for_any_batch_is_named(
    size: int | None, tokens: int | None, name: str | None
) -> None:
    limits = SplitLimits(bytes=100, queued_tokens=50)
    assert oversized(limits, largest_bytes=size, largest_tokens=tokens) == name


# ---------------------------------------------------------------- the whole shipment

plans = st.sampled_from([(1, 1), (2, 2), (7, 7), (4, 1), (9, 3)])


@given(laws, plans, st.floats(60, 6 * DAY), st.floats(1, 5))
def test_the_chance_rises_with_the_deadline(
    law: Law, plan: tuple[int, int], deadline: float, factor: float
) -> None:
    got = finish(law, in_waves(*plan), window=DAY)
    early, late = got.by(deadline), got.by(deadline * factor)
    assert mean_of(early) <= mean_of(late) + 1e-9
    assert low_of(early) <= low_of(late) + 1e-9
    assert 0 <= low_of(early) <= mean_of(early) <= (early.high or 0) <= 1


@given(laws, st.integers(1, 12), st.floats(60, 3 * DAY))
def test_the_chance_falls_with_the_batches(law: Law, batches: int, deadline: float) -> None:
    few = finish(law, in_waves(batches, batches), window=DAY).by(deadline)
    many = finish(law, in_waves(batches + 1, batches + 1), window=DAY).by(deadline)
    assert mean_of(many) <= mean_of(few) + 1e-12
    assert low_of(many) <= low_of(few) + 1e-12


@pytest.mark.parametrize("deadline", [2 * HOUR, 8 * HOUR, DAY, 2 * DAY])
def test_the_chance_falls_with_the_waves(deadline: float) -> None:
    chances = [
        mean_of(finish(law_of(), in_waves(12, places), window=DAY).by(deadline))
        for places in (12, 6, 3, 1)
    ]
    for fewer, more in itertools.pairwise(chances):
        assert more <= fewer + 0.005  # only one wave is exact


@given(laws, st.integers(2, 12), st.floats(60, DAY - 1))
def test_one_wave_lies_between_union_bound_and_shared_fate(
    law: Law, batches: int, deadline: float
) -> None:
    ends = finish(law, in_waves(batches, batches), window=DAY).ends(deadline)
    assert ends is not None
    independent, shared = ends
    assert 1 - batches * (1 - law.cdf(deadline)) <= independent + 1e-12
    assert independent <= shared + 1e-12
    assert shared == pytest.approx(law.cdf(deadline))


@given(laws, plans)
def test_quantiles_agree_with_chances(law: Law, plan: tuple[int, int]) -> None:
    got = finish(law, in_waves(*plan), window=DAY)
    for p, time in ((0.5, got.p50), (0.95, got.p95)):
        if time is not None:
            assert mean_of(got.by(time * (1 + 1e-9))) >= p - 1e-6
            assert mean_of(got.by(time * (1 - 1e-9))) <= p + 1e-6


def expected_by_plain_draws(law: Law, plan: tuple[int, int], deadline: float) -> float:
    """The queue, batch by batch, with a law sampled afresh and expired batches sent again."""
    random, draws, met = Random(7), 6_000, 0
    for _ in range(draws):
        free = [0.0] * plan[1]
        end = 0.0
        for _ in range(plan[0]):
            took = 0.0
            while (once := law.quantile(random.random())) > DAY:
                took += DAY
            done = free[0] + took + once
            heapq.heapreplace(free, done)
            end = max(end, done)
        met += end <= deadline
    return met / draws


@pytest.mark.parametrize("plan", [(1, 1), (3, 3), (3, 1), (10, 2)])
@pytest.mark.parametrize("deadline", [3 * HOUR, 12 * HOUR, 30 * HOUR])
def test_chances_agree_with_plain_draws(plan: tuple[int, int], deadline: float) -> None:
    law = law_of(job(1_200), job(30_000), job(None, state="expired"))
    got = finish(law, in_waves(*plan), window=DAY).by(deadline)
    assert got.mean == pytest.approx(expected_by_plain_draws(law, plan, deadline), abs=0.02)


def test_the_same_seed_gives_the_same_answer() -> None:
    first, same, other = (
        finish(law_of(), in_waves(6, 2), window=DAY, seed=seed) for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_lower_limits_assume_that_every_batch_is_at_its_lower_limit() -> None:
    law, deadline = law_of(), 8 * HOUR
    low, high = law.interval(deadline)
    got = finish(law, in_waves(3, 3), window=DAY).by(deadline)
    assert got.low == pytest.approx(low**3)
    assert got.high == pytest.approx(high)


def test_lower_limits_of_a_queue_are_those_of_a_queue_at_the_lower_limit() -> None:
    """A law whose chance is everywhere the lower limit, played by plain draws."""
    law, deadline = law_of(), 16 * HOUR
    low = [law.interval(HOUR / 4 * i)[0] for i in range(97)]
    random, met = Random(3), 0
    for _ in range(4_000):
        total = 0.0
        for _ in range(2):
            u = random.random()
            total += next((HOUR / 4 * i for i, share in enumerate(low) if share >= u), 3 * DAY)
        met += total <= deadline
    got = finish(law, in_waves(2, 1), window=DAY).by(deadline)
    assert got.low == pytest.approx(met / 4_000, abs=0.03)


@given(laws, st.floats(0, 3 * DAY))
def test_done_shares_are_those_of_single_batches(law: Law, time: float) -> None:
    alone = single(law).by(time).mean
    assert finish(law, in_waves(5, 5), window=DAY).done_share(time) == pytest.approx(alone)


def test_done_shares_rise_through_the_waves() -> None:
    got = finish(law_of(), in_waves(10, 2), window=DAY)
    shares = [got.done_share(HOUR * i) or 0.0 for i in range(0, 40, 4)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert mean_of(got.by(8 * HOUR)) < shares[2] < 1


def test_very_many_batches_are_played_in_part() -> None:
    law = law_of(*(job(600) for _ in range(400)))
    got = finish(law, in_waves(4_000, 10), window=DAY)
    alone = law.mean_capped(DAY)
    assert (got.p50 or 0) == pytest.approx(4_000 / 10 * alone, rel=0.15)


def test_the_capped_mean_of_a_queue_lies_between_median_and_cap() -> None:
    got = finish(law_of(), in_waves(4, 1), window=DAY)
    mean = got.mean_capped(4 * DAY)
    assert mean is not None
    assert mean > (got.p50 or 0)
    assert got.mean_capped(HOUR) == pytest.approx(HOUR, rel=0.05)


# ---------------------------------------------------------------- what happens at the window


def test_an_expired_batch_is_sent_again_whole() -> None:
    law = law_of()
    missed = 1 - law.cdf(DAY)
    got = single(law)
    assert mean_of(got.by(DAY)) == pytest.approx(law.cdf(DAY))
    assert mean_of(got.by(DAY + HOUR)) == pytest.approx(law.cdf(DAY) + missed * law.cdf(HOUR))
    assert mean_of(got.by(2 * DAY)) == pytest.approx(1 - missed**2)


def test_in_the_same_incident_sending_again_does_not_help() -> None:
    law = law_of()
    independent, shared = single(law).ends(3 * DAY) or (0.0, 0.0)
    assert independent == pytest.approx(1, abs=1e-4)
    assert shared == pytest.approx(law.cdf(DAY))
    assert low_of(single(law).by(3 * DAY)) == pytest.approx(law.interval(DAY)[0])


@pytest.mark.parametrize("at_window", ["keeps_running", "best_effort"])
def test_a_batch_that_never_expires_runs_on(at_window: Any) -> None:
    law = law_of()
    got = single(law, at_window=at_window)
    assert got.by(3 * DAY).mean == pytest.approx(law.cdf(3 * DAY))
    assert got.by(3 * DAY).low == pytest.approx(law.interval(3 * DAY)[0])
    assert got.bound == DAY


def test_without_a_window_there_is_no_bound() -> None:
    got = single(law_of(), window=None)
    assert (got.bound, got.bound_resubmitted) == (None, None)
    assert got.by(3 * DAY).mean == pytest.approx(law_of().cdf(3 * DAY))


def test_a_lane_that_always_expires_never_ends() -> None:
    got = single(law_of(*(job(None, state="expired") for _ in range(9)), prior=None))
    assert (got.p50, got.p95) == (None, None)
    assert got.by(30 * DAY) == Chance(mean=0.0, low=0.0, high=0.0)


# ---------------------------------------------------------------- known incidents


@pytest.mark.parametrize("plan", [(1, 1), (4, 2)])
def test_an_incident_forces_the_bound(plan: tuple[int, int]) -> None:
    shipment = in_waves(*plan)
    calm = finish(law_of(), shipment, window=DAY)
    got = finish(law_of(), shipment, window=DAY, degraded=True)
    bound = shipment.waves * DAY
    assert (got.p50, got.p95, got.bound) == (bound, bound, bound)
    before, after = got.by(bound - 1), got.by(bound)
    assert (before.mean, before.low) == (0, 0)
    assert (before.high or 0) == pytest.approx(calm.by(bound - 1).high)
    assert 0 < low_of(after) <= mean_of(after) <= mean_of(calm.by(bound))
    assert got.done_share(bound - 1) == 0
    assert got.mean_capped(10 * DAY) == bound
    assert got.mean_capped(HOUR) == HOUR


def test_an_incident_without_a_window_has_no_time_at_all() -> None:
    got = single(law_of(), window=None, degraded=True)
    assert (got.p50, got.p95, got.by(30 * DAY).mean) == (None, None, 0)
    assert got.mean_capped(HOUR) == HOUR


# ---------------------------------------------------------------- without evidence, refusals


def test_a_promise_alone_says_nothing_but_its_bound() -> None:
    got = finish(law_of(prior=None), in_waves(6, 2), window=2 * HOUR)
    assert (got.p50, got.p95, got.grade) == (None, None, "D")
    assert (got.bound, got.bound_resubmitted) == (6 * HOUR, 8 * HOUR)
    assert got.by(100 * HOUR) == Chance(mean=None, low=None, high=None)
    assert (got.ends(1), got.done_share(1), got.mean_capped(HOUR)) == (None, None, None)


def test_a_limit_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="active"):
        SplitLimits(active=0)


def test_a_job_without_rows_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="rows"):
        split(0, 0, 0, UNLIMITED)
