"""Every option of a job: its gates with code and sentence, its risks, its pairs of lanes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog import prices
from planner.decision.assessment import Assessment, every_option
from planner.decision.options import Gate, Option, Verdict, offers
from planner.decision.requirements import Latency
from planner.decision.single import HOPELESS, verdict
from planner.decision.timing import Finish, Probability
from planner.errors import UnknownFactError
from planner.money import Usd
from tests.decision import builders
from tests.decision.builders import (
    HOUR,
    NOW,
    TODAY,
    answers,
    assessed,
    case,
    demand,
    job,
    mixed_job,
)

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.workload.profile import TokenProfile


def gates(option: Option) -> list[tuple[str, str]]:
    return [(gate.code, gate.message) for gate in option.gates]


def codes(option: Option) -> list[str]:
    return [gate.code for gate in option.gates]


# --- what can run -------------------------------------------------------------------------


def test_without_a_deadline_each_lane_stands_alone(facts: Catalog) -> None:
    found = assessed(facts, job())
    assert list(found) == ["plain", "heap", "whenever", "quick"]
    assert {each.p_deadline for each in found.values()} == {None}
    assert (found["plain"].verdict, found["heap"].verdict) == (Verdict.MEETS, Verdict.MEETS)
    assert found["plain"].cost is not None
    assert found["plain"].cost.expected == Decimal("1.8")
    assert found["plain"].finish.binding == "rpm"
    assert found["plain"].finish.last_admission == pytest.approx((1000 - 10) / 10, rel=0.01)
    assert (found["heap"].finish.batches, found["heap"].finish.bound) == (1, 86_400)


def test_with_a_deadline_the_pairs_come_after_the_lanes(facts: Catalog) -> None:
    found = assessed(facts, job(), demand(2 * HOUR))
    assert list(found) == ["plain", "heap", "whenever", "quick", "heap>plain"]
    assert [each.complexity for each in found.values()] == [0, 1, 1, 0, 2]


@given(st.integers(1, 10**6), st.none() | st.floats(60, 10 * 86_400))
def test_adding_an_option_changes_no_other(
    facts: Catalog, rows: int, deadline: float | None
) -> None:
    """Each option is assessed alone: with fewer offers the others are the same."""
    whole = case(facts, job(rows=rows), demand(deadline))
    singles = [each for each in every_option(whole) if each.strategy == "single"]
    for offer, option in zip(whole.offers, singles, strict=True):
        assert every_option(replace(whole, offers=(offer,))) == (option,)


@given(st.lists(st.none() | st.floats(60, 10 * 86_400), min_size=1, max_size=4))
def test_an_assessment_answers_any_deadline_like_a_new_one(
    facts: Catalog, deadlines: list[float | None]
) -> None:
    kept = Assessment(case(facts, job()))
    for deadline in deadlines:
        assert kept.options(deadline) == every_option(case(facts, job(), demand(deadline)))


@pytest.mark.parametrize("rows", [1, 2])
def test_the_smallest_jobs(facts: Catalog, rows: int) -> None:
    found = assessed(facts, job(rows=rows), demand(HOUR))
    assert found["plain"].verdict is Verdict.MEETS
    assert found["heap>plain"].verdict is Verdict.MEETS


def test_no_rows_are_no_defect(facts: Catalog) -> None:
    found = assessed(facts, job().for_rows(0), demand(HOUR))
    assert found["plain"].cost is not None
    assert found["plain"].cost.expected == 0
    assert found["plain"].finish.p95 == 0


# --- gates: support and price -------------------------------------------------------------


def test_a_lane_that_is_not_offered(facts: Catalog) -> None:
    found = assessed(facts, job(model="plainspoken"))["quick"]
    assert gates(found) == [("unsupported", "plainspoken is not offered in quick")]
    assert found.verdict is Verdict.CANNOT
    assert (found.cost, found.finish.p95, found.risks) == (None, None, ())


def test_a_lane_of_which_nobody_says_anything(facts: Catalog) -> None:
    found = assessed(facts, job(), demand(HOUR))["whenever"]
    assert gates(found) == [
        (
            "support-unknown",
            "Acme names the models of whenever one by one, and no source says anything of tall",
        )
    ]
    assert found.gates[0].missing_fact
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("model", "lane", "said"),
    [
        ("priceless", "plain", "the catalog has no price for priceless"),
        ("mute", "plain", "no rate is published for output of mute in plain"),
        ("mute", "heap", "no rate is published for output of mute in heap"),
    ],
)
def test_an_unknown_price_is_no_price(facts: Catalog, model: str, lane: str, said: str) -> None:
    found = assessed(facts, job(model=model), demand(HOUR))[lane]
    assert gates(found) == [("price-unknown", said)]
    assert (found.cost, found.verdict) == (None, Verdict.UNKNOWN)


@pytest.mark.parametrize(("largest", "known"), [(100_000, True), (100_001, False)])
def test_a_lane_is_priced_only_as_far_as_its_price_is_published(
    facts: Catalog, largest: int, known: bool
) -> None:
    profile = mixed_job({1000: 99, largest: 1})
    found = assessed(facts, replace(profile, model="tall"))["quick"]
    assert (found.cost is not None) is known
    assert codes(found) == ([] if known else ["price-unknown"])
    if not known:
        assert "with a prompt of 100,001 tokens" in found.gates[0].message


def test_unpriced_lanes_make_no_pairs(facts: Catalog) -> None:
    assert list(assessed(facts, job(model="priceless"), demand(2 * HOUR))) == [
        "plain",
        "heap",
        "whenever",
        "quick",
    ]


def test_an_unknown_tier_is_an_error(facts: Catalog) -> None:
    with pytest.raises(UnknownFactError):
        offers(facts, facts.model("tall"), demand(tiers=((None, "medium"),)), TODAY)


# --- gates: what is asked -----------------------------------------------------------------


def test_lanes_not_asked_for(facts: Catalog) -> None:
    found = assessed(facts, job(), demand(2 * HOUR, lanes=("heap",)))
    assert gates(found["plain"]) == [("lane-excluded", "plain is not among the lanes asked for")]
    assert codes(found["heap"]) == []
    assert "heap>plain" not in found, "a rescue needs the lane that was excluded"


def test_somebody_waits_for_each_answer(facts: Catalog) -> None:
    found = assessed(facts, job(), demand(2 * HOUR, respond_within=5.0))
    assert gates(found["heap"]) == [
        (
            "respond-within",
            (
                "somebody waits 5 s for each answer; the heap answers when it is done, not while "
                "one waits"
            ),
        )
    ]
    assert codes(found["plain"]) == [], "5 s are just enough for answers of 5 s"
    assert not {"heap>plain", "heap|plain"} & set(found)


def test_answers_measured_to_come_too_late(facts: Catalog) -> None:
    found = assessed(facts, job(), demand(respond_within=4.9))["plain"]
    assert gates(found) == [
        (
            "respond-within",
            "an answer takes 5 s on average, more than the 4.9 s that somebody waits",
        )
    ]
    assert found.verdict is Verdict.CANNOT


def test_answers_assumed_to_come_too_late_are_a_risk_only(facts: Catalog) -> None:
    """2 s + 200 / 40 a second is an assumption: it closes no lane, and says so."""
    found = assessed(facts, job(), demand(respond_within=2.0, latency=None))["plain"]
    assert codes(found) == []
    assert "an answer is assumed to take 7.0 s on average: measure it (--latency)" in found.risks


# --- gates: what fits ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "limit", "said"),
    [
        (300_000, 64_000, None),
        (300_001, 64_000, "the largest row has 300,001 prompt tokens, tall takes 300,000"),
    ],
)
def test_prompts_longer_than_the_model_takes(
    facts: Catalog, prompt: int, limit: int, said: str | None
) -> None:
    found = assessed(facts, job(rows=1, prompt=prompt, limit=limit))["plain"]
    assert gates(found) == ([] if said is None else [("context", said)])


@pytest.mark.parametrize(("prompt", "code"), [(3904, []), (3905, ["context"])])
def test_a_prompt_and_its_answer_share_the_context(
    facts: Catalog, prompt: int, code: list[str]
) -> None:
    found = assessed(facts, job(prompt=prompt, model="plainspoken", limit=4096))["plain"]
    assert codes(found) == code
    if code:
        assert found.gates[0].message == (
            "the largest row's 3,905 prompt tokens and 4,096 for its answer are over the context "
            "of 8,000"
        )


@pytest.mark.parametrize(("limit", "code"), [(64_000, []), (64_001, ["max-output"])])
def test_answers_longer_than_the_model_gives(facts: Catalog, limit: int, code: list[str]) -> None:
    found = assessed(facts, job(limit=limit))["plain"]
    assert codes(found) == code
    if code:
        assert found.gates[0].message == (
            "answers of up to 64,001 tokens are asked for, tall in plain gives 64,000"
        )


@pytest.mark.parametrize(("limit", "code"), [(10_000, []), (10_001, ["rate-limit"])])
def test_a_row_that_would_never_be_let_through(facts: Catalog, limit: int, code: list[str]) -> None:
    """Where the demanded maximum is reserved, it alone may be more than a minute's tokens."""
    found = assessed(facts, job(model="reserved", limit=limit))["plain"]
    assert codes(found) == code
    if code:
        assert found.gates[0].message == (
            "one row takes 10,001 of the limit tpm = 10,000: it would never be let through"
        )


@pytest.mark.parametrize(
    ("limit", "value", "units"), [("itpm", 999, 1000), ("otpm", 199, 200), ("tpm", 1199, 1200)]
)
def test_a_row_over_a_limit_of_one_s_own(
    facts: Catalog, limit: str, value: int, units: int
) -> None:
    over = assessed(facts, job(), demand(limits=((limit, value),)))["plain"]
    just = assessed(facts, job(), demand(limits=((limit, units),)))["plain"]
    assert gates(over) == [
        (
            "rate-limit",
            (
                f"one row takes {units:,} of the limit {limit} = {value:,}: it would never be let "
                "through"
            ),
        )
    ]
    assert codes(just) == []


@pytest.mark.parametrize(("queue", "code"), [(1000, []), (999, ["queue-limit"])])
def test_a_row_larger_than_the_queue(facts: Catalog, queue: int, code: list[str]) -> None:
    own = (("queued_input_tokens", queue),)
    found = assessed(facts, job(rows=1), demand(limits=own))["heap"]
    assert codes(found) == code
    if code:
        assert found.gates[0].message == (
            "the largest row has 1,000 prompt tokens, the queue takes 999"
        )


# --- gates: what it costs -----------------------------------------------------------------


@pytest.mark.parametrize(("cap", "code"), [("1.80", []), ("1.79", ["over-budget"])])
def test_a_cap_on_the_cost(facts: Catalog, cap: str, code: list[str]) -> None:
    found = assessed(facts, job(), demand(max_cost=Usd(Decimal(cap))))
    assert codes(found["plain"]) == code
    assert codes(found["heap"]) == []
    if code:
        assert found["plain"].gates[0].message == "$1.80 expected is over the cap of $1.79"


@pytest.mark.parametrize(("rows", "code"), [(55_555, []), (55_556, ["monthly-limit"])])
def test_the_spend_limit_of_a_tier(facts: Catalog, rows: int, code: list[str]) -> None:
    """55,555 x $0.0018 = $99.999; the tier allows $100 a month."""
    found = assessed(facts, job(rows=rows))["plain"]
    assert codes(found) == code
    if code:
        assert found.gates[0].message == (
            "$100.00 expected is over the tier's monthly spend limit of $100"
        )


def test_a_cap_within_the_interval_is_a_risk(facts: Catalog) -> None:
    """$1.80 expected, $2.30 at the upper end: the cap of $2 may be passed."""
    profile = mixed_job({1000: 1000}, high=Fraction(13, 10), output=answers(200, 200, 300, 4096))
    found = assessed(facts, profile, demand(max_cost=Usd(Decimal(2))))
    said = "it may cost up to $2.30 (95 %), over the cap of $2.00"
    assert codes(found["plain"]) == []
    assert said in found["plain"].risks
    assert said not in found["heap"].risks
    wide = assessed(facts, profile, demand(max_cost=Usd(Decimal("2.30"))))
    assert wide["plain"].risks == ()


def test_a_row_that_may_be_too_long_is_a_risk(facts: Catalog) -> None:
    profile = mixed_job({1000: 99, 250_000: 1}, high=Fraction(121, 100))
    found = assessed(facts, profile)["plain"]
    assert codes(found) == []
    assert found.risks == (
        "the largest row may have 302,500 prompt tokens (95 %), tall takes 300,000",
    )


profiles = st.builds(
    lambda rows, prompt, answer, limit: job(rows, prompt, answer, limit=limit),
    st.integers(1, 200_000),
    st.integers(1, 310_000),
    st.integers(1, 1000),
    st.integers(1000, 70_000),
)


@given(profiles, st.integers(1, 10**6), st.none() | st.integers(1, 1000), st.booleans())
def test_a_maximum_gate_never_disappears_by_adding_volume(
    facts: Catalog, profile: TokenProfile, more: int, cap: int | None, high: bool
) -> None:
    wanted = demand(
        max_cost=None if cap is None else Usd(Decimal(cap)),
        tiers=((None, "high" if high else "low"),),
    )
    small = assessed(facts, profile, wanted)
    large = assessed(facts, profile.for_rows(profile.rows.value + more), wanted)
    for name, option in small.items():
        assert set(codes(option)) <= set(codes(large[name])), name


# --- unknown limits -----------------------------------------------------------------------


def test_unknown_limits_are_an_unknown_finish(facts: Catalog) -> None:
    found = assessed(facts, job(model="silent"), demand(HOUR))["plain"]
    assert (found.verdict, found.finish, found.p_deadline) == (Verdict.UNKNOWN, Finish(), None)
    assert found.cost is not None
    assert any("--limit rpm=N" in risk for risk in found.risks)


def test_a_limit_of_one_s_own_settles_it(facts: Catalog) -> None:
    found = assessed(facts, job(model="silent"), demand(HOUR, limits=(("rpm", 600),)))
    assert found["plain"].verdict is Verdict.MEETS
    assert found["plain"].finish.p95 is not None
    assert found["quick"].finish.p95 is None, "whether another lane shares it nobody has said"


def test_a_limit_that_is_published_gives_way_to_one_s_own(facts: Catalog) -> None:
    slow = assessed(facts, job(), demand(limits=(("rpm", 6),)))["plain"].finish
    assert slow.binding == "rpm"
    assert slow.last_admission == pytest.approx((1000 - 0.1) / 0.1, rel=1e-3)


def test_concurrency_alone_promises_nothing(facts: Catalog) -> None:
    found = assessed(facts, job(model="silent"), demand(HOUR, concurrency=8))["plain"]
    assert found.finish.p95 is None


def test_what_may_be_sent_alone_is_asked_of_queues_too(facts: Catalog) -> None:
    """200 rows at a time of 1,000: five batches, one after the other."""
    own = (("queued_requests", 200),)
    found = assessed(facts, job(model="silent"), demand(limits=own))["heap"].finish
    assert (found.batches, found.concurrent, found.waves) == (5, 1, 5)
    assert found.bound == 5 * 86_400


# --- changes inside the window ------------------------------------------------------------


def test_a_price_change_inside_the_window_is_said_with_both_figures(facts: Catalog) -> None:
    found = assessed(facts, job(model="dearer"))
    assert (
        "input 0.5 -> 1, output 2 -> 4 on 2026-11-23, which may be before the job is done: "
        "$0.90 today, $1.80 from then on"
    ) in found["heap"].risks
    assert found["plain"].risks == (), "two minutes of realtime are done before midnight"


@pytest.mark.parametrize(("deadline", "said"), [(11.99 * HOUR, False), (12 * HOUR, True)])
def test_a_change_is_said_from_the_day_it_comes(
    facts: Catalog, deadline: float, said: bool
) -> None:
    """It is noon: twelve hours from now is the day of the change."""
    assert NOW.hour == 12
    found = assessed(facts, job(model="dearer"), demand(deadline))["plain"]
    assert any("2026-11-23" in risk for risk in found.risks) is said


def test_changes_are_those_after_the_day_prices_are_asked_for(facts: Catalog) -> None:
    found = assessed(facts, job(model="dearer"), on=date(2026, 6, 1))["heap"]
    assert not any("2026-11-23" in risk for risk in found.risks)


def test_a_retirement_inside_the_window_is_said(facts: Catalog) -> None:
    late, early = (
        assessed(facts, job(model="leaving"), demand(hours * HOUR))["plain"] for hours in (36, 35)
    )
    said = (
        "leaving has no price on 2026-11-24: it retires 2026-11-24, which may be before the job "
        "is done"
    )
    assert said in late.risks
    assert said not in early.risks


def test_a_retired_model_cannot_run(facts: Catalog) -> None:
    found = assessed(facts, job(model="leaving"), on=date(2026, 11, 24))
    assert gates(found["plain"]) == [("unsupported", "leaving is retired since 2026-11-24")]


def test_a_price_is_that_of_its_day(facts: Catalog) -> None:
    today, tomorrow = (
        assessed(facts, job(model="dearer"), on=day)["plain"].cost
        for day in (TODAY, date(2026, 11, 23))
    )
    assert today is not None
    assert tomorrow is not None
    assert tomorrow.expected == 2 * today.expected


# --- verdicts -----------------------------------------------------------------------------


class Believed:
    """A schedule that vouches or not."""

    grade = "C"

    def __init__(self, *, vouches: bool, finish: Finish | None = None) -> None:
        self.vouches = vouches
        self.finish = finish or Finish()

    def by(self, deadline: float) -> None:
        return None

    def vouches_for(self, deadline: float) -> bool:
        return self.vouches


@pytest.mark.parametrize(
    ("mean", "low", "vouches", "expected"),
    [
        (0.97, 0.95, True, Verdict.MEETS),
        (0.97, 0.95, False, Verdict.LIKELY),
        (0.97, 0.9499, True, Verdict.LIKELY),
        (0.95, 0.1, True, Verdict.LIKELY),
        (0.9499, 0.1, True, Verdict.AT_RISK),
        (HOPELESS, 0.0, True, Verdict.AT_RISK),
        (0.0499, 0.0, True, Verdict.CANNOT),
        (0.0, 0.0, True, Verdict.CANNOT),
    ],
)
def test_verdicts(mean: float, low: float, vouches: bool, expected: Verdict) -> None:
    p = Probability(mean=mean, low=low, high=1.0)
    assert verdict(Believed(vouches=vouches), p, HOUR, 0.95) is expected


def test_what_is_unknown_is_neither_yes_nor_no() -> None:
    known = Believed(vouches=True)
    assert verdict(None, None, None, 0.95) is Verdict.UNKNOWN
    assert verdict(known, None, HOUR, 0.95) is Verdict.UNKNOWN
    assert verdict(known, None, None, 0.95) is Verdict.UNKNOWN, "its finish is not known"
    timed = Believed(vouches=True, finish=Finish(p95=60.0))
    assert verdict(timed, None, None, 0.95) is Verdict.MEETS, "nothing is demanded"


# --- pairs of lanes -----------------------------------------------------------------------


def test_a_rescue_switches_at_the_last_safe_moment(facts: Catalog) -> None:
    """Deadline less the quoted realtime makespan less ten minutes to cancel."""
    found = assessed(facts, job(), demand(2 * HOUR))
    plain, rescue = found["plain"], found["heap>plain"]
    assert rescue.rescue is not None
    assert plain.finish.p95 is not None
    assert rescue.rescue.at == pytest.approx(2 * HOUR - 600 - plain.finish.p95)
    kept = rescue.rescue.p_no_rescue
    assert rescue.p_deadline is not None
    assert rescue.p_deadline.mean == pytest.approx(kept + (1 - kept) * 0.95)
    assert rescue.p_deadline.low >= 0.95
    assert rescue.cost is not None
    assert float(rescue.cost.expected) == pytest.approx(kept * 0.9 + (1 - kept) * 1.8, rel=1e-5)
    assert rescue.finish.bound == 2 * HOUR


def test_a_rescue_needs_time_to_cancel(facts: Catalog) -> None:
    quoted = assessed(facts, job())["plain"].finish.p95
    assert quoted is not None
    for moment, expected in ((0.5, True), (-0.5, False)):
        found = assessed(facts, job(), demand(quoted + 600 + moment))
        assert ("heap>plain" in found) is expected


def test_what_is_never_known_to_finish_is_not_rescued(facts: Catalog) -> None:
    found = assessed(facts, job(model="plainspoken"), demand(2 * HOUR))
    assert codes(found["whenever"]) == []
    assert found["whenever"].verdict is Verdict.UNKNOWN
    assert "whenever>plain" not in found


def test_a_split_is_offered_where_neither_lane_alone_meets(facts: Catalog) -> None:
    """10,000 reserved rows of 1,200 tokens at 10,000 a minute take 20 hours."""
    found = assessed(facts, job(rows=10_000, model="reserved"), demand(4 * HOUR))
    split = found["heap|plain"]
    assert "heap>plain" not in found
    assert split.complexity == 3
    assert split.cost is not None
    apart = [found[name].cost for name in ("heap", "plain")]
    assert apart[0] is not None
    assert apart[1] is not None
    assert apart[0].expected < split.cost.expected < apart[1].expected
    assert split.p_deadline is not None
    assert found["heap"].p_deadline is not None
    assert split.p_deadline.low < found["heap"].p_deadline.low, "two lanes have to be in time"
    assert split.finish.p50 is not None
    assert split.finish.p50 > 3 * HOUR, "the realtime part fills the time there is"
    assert re.match(r"[\d,]+ rows in realtime, [\d,]+ in batch, ", split.risks[0])


def test_no_split_where_one_lane_is_enough(facts: Catalog) -> None:
    assert "heap|plain" not in assessed(facts, job(), demand(2 * HOUR))


def test_a_split_whose_slow_part_is_unknown_is_unknown(facts: Catalog) -> None:
    slow = job(rows=100_000, model="plainspoken")
    own = (("rpm", 10), ("usd_month", 10_000))
    found = assessed(facts, slow, demand(2 * HOUR, limits=own))["whenever|plain"]
    assert (found.p_deadline, found.verdict) == (None, Verdict.UNKNOWN)


# --- a month of runs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (4, None),
        (
            5,
            "5 runs a month come to $125.00, over the tier's monthly spend limit of $100",
        ),
    ],
)
def test_so_many_runs_are_held_against_what_the_tier_may_spend(runs: int, said: str | None) -> None:
    assert builders.option("plain", 25, usd_month=100).over_month(runs) == said


def test_no_limit_no_cost_and_a_gate_say_nothing_of_a_month() -> None:
    gate = Gate(code="monthly-limit", message="$200.00 expected is over the limit")
    assert builders.option("plain", 25).over_month(1000) is None
    assert builders.option("plain", None, usd_month=100).over_month(1000) is None
    assert builders.option("plain", 200, usd_month=100, gates=(gate,)).over_month(1) is None
    unknown = replace(gate, missing_fact=True)
    assert builders.option("plain", 200, usd_month=100, gates=(unknown,)).over_month(1) is not None


def test_every_option_knows_what_its_tier_may_spend(facts: Catalog) -> None:
    wanted = demand(4 * HOUR, tiers=((None, "high"),), limits=(("usd_month", 10**9),))
    found = assessed(facts, job(rows=50_000), wanted)
    said = {name: each.usd_month for name, each in found.items()}
    assert [said[name] for name in ("plain", "heap", "heap>plain")] == [10**9] * 3
    assert said["quick"] == 100_000, "own limits are not those of another realtime lane"


@given(st.integers(1, 300_000), st.floats(600, 5 * 86_400), st.sampled_from(["tall", "reserved"]))
def test_figures_of_every_option_are_consistent(
    facts: Catalog, rows: int, deadline: float, model: str
) -> None:
    wanted = demand(deadline, tiers=((None, "high"),), limits=(("usd_month", 10**9),))
    if model == "reserved":
        wanted = demand(deadline, limits=(("usd_month", 10**9),))
    for option in assessed(facts, job(rows=rows, model=model), wanted).values():
        check(option, wanted.confidence)


def check(option: Option, confidence: float) -> None:
    p, finish = option.p_deadline, option.finish
    if p is not None:
        assert 0 <= p.low <= p.mean <= p.high <= 1
    if finish.p50 is not None and finish.p95 is not None:
        assert 0 <= finish.p50 <= finish.p95
    if option.verdict is Verdict.MEETS:
        assert not option.gates
        assert option.cost is not None
        assert p is None or p.low >= confidence
    if option.gates:
        assert option.verdict in (Verdict.CANNOT, Verdict.UNKNOWN)


@given(st.floats(60, 86_400), st.floats(1, 86_400), st.integers(1, 50_000))
def test_chances_rise_with_the_deadline_and_fall_with_size(
    facts: Catalog, deadline: float, later: float, rows: int
) -> None:
    early, late, large = (
        assessed(facts, job(rows=size), demand(when))
        for size, when in ((rows, deadline), (rows, deadline + later), (2 * rows, deadline))
    )
    for name in ("plain", "heap"):
        one, two, three = (each[name].p_deadline for each in (early, late, large))
        assert one is not None
        assert two is not None
        assert three is not None
        assert one.mean <= two.mean + 1e-9
        assert three.mean <= one.mean + 1e-9


def test_the_latency_that_is_measured_grades_the_finish(facts: Catalog) -> None:
    grades: dict[str, Any] = {
        name: assessed(facts, job(), demand(latency=latency))["plain"].grade
        for name, latency in {"measured": Latency(mean=1, cv=0.1), "assumed": None}.items()
    }
    assert grades == {"measured": "C", "assumed": "D"}


def test_the_catalog_is_asked_once_a_lane(facts: Catalog) -> None:
    found = offers(facts, facts.model("tall"), demand(), TODAY)
    assert [each.lane.id for each in found] == ["plain", "heap", "whenever", "quick"]
    assert found[0].card == prices.card(facts, "tall", "plain", on=TODAY)
    assert found[2].card is None
    assert found[2].no_price is not None
