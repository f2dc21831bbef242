"""The law of one batch: what own history teaches, grades, and what nobody knows."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision import beta
from planner.decision.turnaround import HALF_LIFE, LARGEST_SEEN, FinishedJob, Law, State, matching
from tests.decision.batches import PRIOR, job, law_of, laws, single, times

# ---------------------------------------------------------------- the law of one batch


def test_the_prior_has_its_own_quantiles() -> None:
    assert PRIOR.cdf(PRIOR.p50) == pytest.approx(0.5)
    assert PRIOR.cdf(PRIOR.p90) == pytest.approx(0.9)
    assert PRIOR.shape == pytest.approx(1.057, abs=5e-4)
    assert (PRIOR.cdf(0), PRIOR.quantile(0)) == (0, 0)
    assert PRIOR.cdf(1e-300) == pytest.approx(0)
    assert PRIOR.quantile(1) == math.inf


@given(st.floats(0.001, 0.999))
def test_quantile_undoes_the_prior(p: float) -> None:
    assert PRIOR.cdf(PRIOR.quantile(p)) == pytest.approx(p)


@given(st.floats(1, 1e6))
def test_the_capped_mean_is_the_area_over_the_law(cap: float) -> None:
    steps = 20_000
    area = sum(1 - PRIOR.cdf((i + 0.5) * cap / steps) for i in range(steps)) * cap / steps
    assert PRIOR.mean_capped(cap) == pytest.approx(area, rel=2e-4)


def test_no_time_has_no_mean() -> None:
    assert PRIOR.mean_capped(0) == 0


def test_posterior_is_the_beta_of_counted_batches() -> None:
    law = law_of(job(600), job(1_200), job(9_000), job(None, state="running"))
    share = (4 * PRIOR.cdf(1_800) + 2) / 8
    assert law.cdf(1_800) == pytest.approx(share)
    low, high = law.interval(1_800)
    assert beta.cdf(low, 8 * share, 8 * (1 - share)) == pytest.approx(0.1)
    assert beta.cdf(high, 8 * share, 8 * (1 - share)) == pytest.approx(0.9)


@pytest.mark.parametrize(("seconds", "counted"), [(599.9, 0), (600, 1), (600.1, 1)])
def test_a_batch_counts_from_the_second_it_ended(seconds: float, counted: int) -> None:
    law = law_of(job(600))
    assert law.cdf(seconds) == pytest.approx((4 * PRIOR.cdf(seconds) + counted) / 5)


@pytest.mark.parametrize("half_lives", [0, 1, 2.5])
def test_a_batch_loses_half_its_weight_in_a_half_life(half_lives: float) -> None:
    law = law_of(job(600, age=half_lives * HALF_LIFE))
    assert law.own == pytest.approx(0.5**half_lives)


def test_a_clock_ahead_of_ours_does_not_add_weight() -> None:
    assert law_of(job(600, age=timedelta(hours=-3))).own == 1


@pytest.mark.parametrize("state", ["expired", "running", "canceled"])
def test_a_batch_without_results_counts_as_later_than_anything(state: State) -> None:
    law = law_of(job(60, state=state))
    assert law.own == 1
    assert law.cdf(1e12) == pytest.approx(4 / 5, abs=1e-4)
    assert law.quantile(0.9) == math.inf


def test_a_refused_batch_says_nothing_of_time() -> None:
    assert law_of(job(5, state="failed")) == law_of()


def test_only_jobs_of_the_same_lane_match() -> None:
    same = job(1)
    others = (job(2, provider="other"), job(3, model="n"), job(4, lane="flex"))
    assert matching((same, *others), provider="acme", model="m", lane="batch") == (same,)


@given(st.permutations([job(t) for t in (60, 600, 600, 4_000, 90_000)]))
def test_the_order_of_history_does_not_matter(jobs: list[FinishedJob]) -> None:
    assert law_of(*jobs) == law_of(job(60), job(600), job(600), job(4_000), job(90_000))


@given(laws, times, st.floats(1, 50))
def test_chances_rise_with_time(law: Law, time: float, factor: float) -> None:
    assert law.cdf(time) <= law.cdf(time * factor)
    for before, after in zip(law.interval(time), law.interval(time * factor), strict=True):
        assert before <= after + 1e-9


@given(laws, times)
def test_the_interval_holds_the_mean(law: Law, time: float) -> None:
    low, high = law.interval(time)
    assert 0 <= low <= law.cdf(time) <= high <= 1


@given(laws, st.floats(0.01, 0.99))
def test_quantile_is_the_first_time_that_reaches_p(law: Law, p: float) -> None:
    time = law.quantile(p)
    if math.isfinite(time):
        assert law.cdf(time * (1 + 1e-9)) >= p - 1e-9
        assert law.cdf(time * (1 - 1e-9)) <= p + 1e-9
    else:
        assert law.cdf(1e300) < p


@given(laws, times, st.floats(1, 100))
def test_a_fast_batch_more_never_lowers_the_chance(law: Law, time: float, share: float) -> None:
    faster = replace(
        law, times=(0.0, *law.times), weights=(1.0, *(weight + 1 for weight in law.weights))
    )
    slower = replace(law, later=law.later + share)
    assert slower.cdf(time) <= law.cdf(time) <= faster.cdf(time)


@given(laws, st.floats(10, 200_000))
def test_the_capped_mean_is_within_its_cap_and_rises(law: Law, cap: float) -> None:
    assert 0 < law.mean_capped(cap) <= cap
    assert law.mean_capped(cap) <= law.mean_capped(2 * cap)


# ---------------------------------------------------------------- grades and sizes


@pytest.mark.parametrize(
    ("batches", "grade"), [(0, "C"), (4, "C"), (5, "B"), (19, "B"), (20, "A"), (40, "A")]
)
def test_grades_by_own_batches(batches: int, grade: str) -> None:
    assert law_of(*(job() for _ in range(batches))).grade == grade


def test_old_batches_make_a_weaker_grade() -> None:
    assert law_of(*(job(age=HALF_LIFE) for _ in range(20))).grade == "B"


@pytest.mark.parametrize(("rows", "grade"), [(LARGEST_SEEN, "C"), (LARGEST_SEEN + 1, "D")])
def test_no_public_evidence_above_the_largest_batch_seen(rows: int, grade: str) -> None:
    assert law_of(rows=rows).grade == grade


@pytest.mark.parametrize(("own_rows", "own"), [(9_999, 0), (10_000, 5), (200_000, 5)])
def test_large_batches_learn_from_batches_half_their_size(own_rows: int, own: int) -> None:
    law = law_of(*(job(rows=own_rows) for _ in range(5)), rows=20_000)
    assert law.own == own
    assert law.grade == ("B" if own else "D")


def test_small_batches_learn_from_any_size() -> None:
    assert law_of(job(rows=1), job(rows=100_000), rows=LARGEST_SEEN).own == 2


def test_the_prior_brings_its_own_grade() -> None:
    assert law_of(prior=replace(PRIOR, grade="D")).grade == "D"


# ---------------------------------------------------------------- promises without evidence


def test_what_nobody_knows_has_no_law() -> None:
    law = law_of(prior=None)
    assert not law.known
    for ask in (law.cdf, law.quantile, law.interval, law.mean_capped):
        with pytest.raises(ValueError, match="nothing is known"):
            ask(0.5)


def test_own_batches_alone_stand_against_one_that_never_came() -> None:
    law = law_of(*(job(600) for _ in range(9)), prior=None)
    assert law.cdf(600) == pytest.approx(0.9)
    assert law.quantile(0.5) == 600
    assert law.quantile(0.95) == math.inf
    assert law.mean_capped(1_000) == pytest.approx(0.9 * 600 + 0.1 * 1_000)
    assert law.grade == "B"
    assert single(law, at_window="keeps_running").p95 is None


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"created": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"ended": datetime(2026, 11, 22)}, "time zone"),  # noqa: DTZ001
        ({"ended": None}, "end time"),
        ({"ended": datetime(2020, 1, 1, tzinfo=UTC)}, "before"),
        ({"rows": -1}, "rows"),
        ({"state": "done"}, "ended, expired"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(job(), **changes)


@pytest.mark.parametrize(
    "changes",
    [{"p50": 0}, {"p90": 1_800}, {"p90": math.inf}, {"worth": 0}, {"p50": math.nan}],
)
def test_a_prior_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"seconds|batches"):
        replace(PRIOR, **changes)  # type: ignore[arg-type]
