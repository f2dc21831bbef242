"""The choice: laws of the rule, its thresholds, what is said, and what a decision refuses."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision.matrix import (
    Decision,
    ModelChoice,
    candidates,
    choose,
    decide,
    mark_dominated,
)
from planner.decision.options import Gate, Option, Verdict
from planner.decision.requirements import Requirements
from planner.decision.timing import Finish, Probability
from planner.money import Usd
from tests.decision.builders import HOUR, option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

ANY_TIME = Requirements()
IN_TIME = Requirements(deadline=4 * HOUR)
GATE = Gate(code="context", message="too long")

COMPLEXITIES: dict[int, dict[str, Any]] = {
    0: {"delivery": "sync"},
    1: {"delivery": "async"},
    2: {"delivery": "async", "strategy": "rescue"},
    3: {"delivery": "async", "strategy": "split"},
}


@st.composite
def options_(draw: st.DrawFn, *, deadline: bool = True) -> Option:
    """An option as the assessment makes one: what meets is likely enough, gates exclude."""
    cents = draw(st.integers(1, 400))
    low, mean = sorted(draw(st.tuples(shares, shares)))
    verdicts = [Verdict.CANNOT, Verdict.AT_RISK, Verdict.LIKELY, Verdict.UNKNOWN]
    if low >= 0.95 or not deadline:
        verdicts.append(Verdict.MEETS)
    gates = draw(st.sampled_from([(), (), (), (GATE,)]))
    verdict = Verdict.CANNOT if gates else draw(st.sampled_from(verdicts))
    known = deadline and verdict is not Verdict.UNKNOWN
    return option(
        "",
        Decimal(cents) / 100 if draw(st.integers(0, 9)) else None,
        (mean, low) if known else None,
        verdict=verdict,
        gates=gates,
        finish=Finish(p50=1.0, p95=draw(st.none() | st.floats(1, 9))),
        **COMPLEXITIES[draw(st.integers(0, 3))],
    )


shares = st.sampled_from([0.0, 0.03, 0.5, 0.9, 0.95, 0.97, 1.0])


def named(found: list[Option]) -> tuple[Option, ...]:
    return tuple(replace(each, id=f"tall/{place}") for place, each in enumerate(found))


in_time = st.lists(options_(), max_size=8).map(named)
any_time = st.lists(options_(deadline=False), max_size=8).map(named)


def expected(each: Option) -> Decimal:
    assert each.cost is not None
    return each.cost.expected


def names(options: Sequence[Option]) -> set[str]:
    return {each.id for each in options}


# --- laws ---------------------------------------------------------------------------------


def meeting(options: Sequence[Option]) -> list[Option]:
    """The options that meet the demand, by the design's words."""
    return [
        each
        for each in options
        if not each.gates and each.cost is not None and each.verdict is Verdict.MEETS
    ]


@given(in_time)
def test_the_choice_is_eligible_and_cheapest_under_the_rule(options: tuple[Option, ...]) -> None:
    found = choose("tall", options, IN_TIME)
    able = meeting(options)
    assert (found.choice is None) == (not able)
    if found.chosen is None:
        return
    cheapest = min(map(expected, able))
    assert found.choice in names(able)
    assert expected(found.chosen) <= cheapest * Decimal("1.05")
    near = [each for each in able if expected(each) <= cheapest * Decimal("1.05")]
    assert rank(found.chosen) == min(map(rank, near))
    alike = [each for each in near if rank(each) == rank(found.chosen)]
    assert expected(found.chosen) == min(map(expected, alike))


def rank(each: Option) -> tuple[bool, int]:
    """What decides among options of about the same cost: a known finish, then fewer parts."""
    return each.finish.p95 is None, each.complexity


@given(any_time)
def test_without_a_deadline_the_cheapest_that_can_run_is_chosen(
    options: tuple[Option, ...],
) -> None:
    found = choose("tall", options, ANY_TIME)
    able = [
        each
        for each in options
        if not each.gates
        and each.cost is not None
        and each.verdict in (Verdict.MEETS, Verdict.UNKNOWN)
    ]
    assert (found.choice is None) == (not able)
    if found.chosen is not None:
        assert found.choice in names(able)
        assert expected(found.chosen) <= min(map(expected, able)) * Decimal("1.05")


@given(in_time, st.randoms(use_true_random=False))
def test_the_order_of_options_plays_no_part(options: tuple[Option, ...], random: Random) -> None:
    shuffled = list(options)
    random.shuffle(shuffled)
    one, other = (choose("tall", each, IN_TIME) for each in (options, shuffled))
    assert (one.choice, one.runner_up) == (other.choice, other.runner_up)
    if one.choice is not None:
        assert one.why == other.why


@st.composite
def with_a_worse_one(draw: st.DrawFn) -> tuple[list[Option], Option]:
    """Options, and one more that is in nothing better than one of them and in something worse."""
    rival = option(
        "tall/rival",
        draw(st.integers(1, 4)),
        draw(st.sampled_from([(1.0, 0.95), (0.99, 0.97), (0.9, 0.5)])),
        **COMPLEXITIES[draw(st.integers(0, 2))],
    )
    assert rival.p_deadline is not None
    dearer, lower = draw(st.sampled_from([(0, 0.1), (1, 0.0), (1, 0.02), (9, 0.4)]))
    p = (rival.p_deadline.mean, rival.p_deadline.low - lower)
    worse = option(
        "tall/worse",
        expected(rival) + dearer,
        p,
        verdict=Verdict.MEETS if p[1] >= 0.95 else Verdict.AT_RISK,
        finish=Finish(p50=1.0, p95=draw(st.floats(1, 200))),
        **COMPLEXITIES[rival.complexity + draw(st.integers(0, 1))],
    )
    if rival.p_deadline.low < 0.95:
        rival = replace(rival, verdict=Verdict.AT_RISK)
    return draw(st.permutations([*draw(in_time), rival])), worse


@given(with_a_worse_one(), st.integers(0, 9))
def test_adding_a_dominated_option_changes_nothing(
    drawn: tuple[list[Option], Option], place: int
) -> None:
    options, worse = drawn
    before, after = (
        choose("tall", each, IN_TIME)
        for each in (options, [*options[:place], worse, *options[place:]])
    )
    assert next(each for each in after.options if each.id == worse.id).dominated
    assert (before.choice, before.runner_up) == (after.choice, after.runner_up)
    assert before.why == after.why
    assert [each for each in after.options if each.id != worse.id] == list(before.options)


@given(in_time)
def test_what_dominates_is_itself_not_dominated(options: tuple[Option, ...]) -> None:
    marked = mark_dominated(options)
    for each in marked:
        if each.dominated:
            assert each.p_deadline is not None
            rivals = [other for other in marked if not other.dominated and beats(other, each)]
            assert rivals, "the frontier beats whatever is marked"


def beats(one: Option, other: Option) -> bool:
    """The design's words: as cheap, as likely, as simple, and better in one of the first two."""
    if one.gates or one.cost is None or one.p_deadline is None or other.p_deadline is None:
        return False
    figures = [
        float(expected(other) - expected(one)),
        one.p_deadline.mean - other.p_deadline.mean,
        one.p_deadline.low - other.p_deadline.low,
    ]
    as_good = all(figure >= 0 for figure in figures) and one.complexity <= other.complexity
    return as_good and any(figure > 0 for figure in figures)


@given(in_time)
def test_the_runner_up_is_the_next_candidate(options: tuple[Option, ...]) -> None:
    found = choose("tall", options, IN_TIME)
    others = [each for each in candidates(found.options, deadline=True) if each.id != found.choice]
    assert (found.runner_up is None) == (found.choice is None or not others)
    if found.runner_up is not None:
        cost = next(expected(each) for each in others if each.id == found.runner_up)
        assert cost == min(map(expected, others))


@given(in_time)
def test_a_decision_says_why(options: tuple[Option, ...]) -> None:
    found = choose("tall", options, IN_TIME)
    assert found.why
    if found.choice is not None:
        assert found.why.startswith(found.choice)


# --- thresholds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("simple", "choice"),
    [("1.0499", "simple"), ("1.05", "simple"), ("1.0501", "complex")],
)
def test_five_percent_for_fewer_parts(simple: str, choice: str) -> None:
    found = choose(
        "tall",
        [
            option("complex", "1", (0.99, 0.98), delivery="async"),
            option("simple", simple, (1.0, 0.95)),
        ],
        IN_TIME,
    )
    assert found.choice == choice


def test_simplicity_is_weighed_against_the_cheapest_only() -> None:
    """Not in a chain: 1.10 is within 5 % of 1.05, but not of 1.00."""
    found = choose(
        "tall",
        [
            option("split", "1.00", (0.99, 0.98), **kind(3)),
            option("batch", "1.05", (0.99, 0.99), **kind(1)),
            option("realtime", "1.10", (1.0, 0.95), **kind(0)),
        ],
        IN_TIME,
    )
    assert found.choice == "batch"


def kind(complexity: int) -> dict[str, Any]:
    return COMPLEXITIES[complexity]


def test_a_known_finish_is_worth_more_than_fewer_parts() -> None:
    unknown = option("simple", 1, verdict=Verdict.UNKNOWN, finish=Finish())
    known = option("batch", "1.05", **kind(1))
    assert choose("tall", [unknown, known], ANY_TIME).choice == "batch"
    dearer = option("batch", "1.06", **kind(1))
    assert choose("tall", [unknown, dearer], ANY_TIME).choice == "simple"


def test_ties_go_to_the_earlier_and_then_to_the_name() -> None:
    late = option("a", 1, finish=Finish(p95=9.0))
    early = option("b", 1, finish=Finish(p95=8.0))
    unknown = option("0", 1, verdict=Verdict.UNKNOWN, finish=Finish())
    assert choose("tall", [unknown, late, early], ANY_TIME).choice == "b"
    assert choose("tall", [late, replace(late, id="c")], ANY_TIME).choice == "a"


def test_a_figure_of_zero_is_a_price() -> None:
    free = option("free", 0)
    assert choose("tall", [option("cheap", "0.01"), free], ANY_TIME).choice == "free"


# --- dominated ----------------------------------------------------------------------------


def marks(*options: Option) -> list[bool]:
    return [each.dominated for each in mark_dominated(options)]


def test_dearer_and_less_likely_is_dominated() -> None:
    good = option("a", 1, (0.99, 0.96))
    for worse in (
        option("b", 2, (0.99, 0.96)),
        option("b", 1, (0.98, 0.96)),
        option("b", 1, (0.99, 0.95)),
    ):
        assert marks(good, worse) == marks(worse, good)[::-1] == [False, True]


def test_what_is_better_in_anything_is_not_dominated() -> None:
    good = option("a", 1, (0.99, 0.96), delivery="async")
    for other in (
        option("b", "0.99", (0.5, 0.2), delivery="async"),
        option("b", 2, (0.991, 0.5), delivery="async"),
        option("b", 2, (0.5, 0.961 - 0.5), delivery="sync"),
        option("b", 1, (0.99, 0.96), delivery="async"),
    ):
        assert marks(good, other) == [False, False]


def test_nothing_is_dominated_without_a_deadline_or_a_price() -> None:
    assert marks(option("a", 1), option("b", 2)) == [False, False]
    assert marks(option("a", 1, (1.0, 1.0)), option("b", None, (0.5, 0.5))) == [False, False]
    assert marks(option("a", 1, (1.0, 1.0), gates=(GATE,)), option("b", 2, (0.5, 0.5))) == [
        False,
        False,
    ]


def test_weak_evidence_dominates_no_option_that_meets() -> None:
    """A cheaper batch of a size nobody has seen is only likely; what meets stays to be chosen."""
    weak = option("weak", 1, (0.99, 0.98), verdict=Verdict.LIKELY, grade="D", delivery="async")
    sound = option("sound", 2, (0.97, 0.96), delivery="async")
    found = choose("tall", [weak, sound], IN_TIME)
    assert found.choice == "sound"


# --- several models -----------------------------------------------------------------------


def test_the_headline_across_named_models() -> None:
    found = decide(
        {"tall": [option("tall/a", 2)], "small": [option("small/a", 1)]}, ANY_TIME, named=True
    )
    assert (found.choice, found.meets) == ("small/a", True)
    assert found.why == "$1.00: cheapest of those you named; quality not judged"


def test_models_that_nobody_named_are_not_ranked() -> None:
    found = decide(
        {"tall": [option("tall/a", 2)], "small": [option("small/a", 1)]}, ANY_TIME, named=False
    )
    assert (found.choice, found.meets) == (None, True)
    assert found.why == "no model was named: one answer for each"
    assert [each.choice for each in found.models] == ["tall/a", "small/a"]


def test_one_model_is_answered_with_its_own_reason() -> None:
    found = decide({"tall": [option("tall/a", 2)]}, ANY_TIME, named=True)
    assert (found.choice, found.why) == ("tall/a", found.models[0].why)


def test_one_model_that_cannot_does_not_stop_the_other() -> None:
    late = option("tall/a", 1, (0.0, 0.0), verdict=Verdict.CANNOT)
    good = option("small/a", 9, (1.0, 0.95))
    found = decide({"tall": [late], "small": [good]}, IN_TIME, named=True)
    assert (found.choice, found.meets) == ("small/a", True)


def test_no_model_that_can() -> None:
    late = option("tall/a", 1, (0.5, 0.2), verdict=Verdict.AT_RISK, delivery="async")
    found = decide({"tall": [late], "small": [replace(late, id="s/a")]}, IN_TIME, named=True)
    assert (found.choice, found.meets) == (None, False)
    assert found.why.startswith("no model has an option that meets the demand: tall: nothing meets")


@given(in_time, in_time)
def test_across_models_the_choice_is_the_cheapest_of_theirs(
    one: tuple[Option, ...], other: tuple[Option, ...]
) -> None:
    renamed = tuple(replace(each, id=each.id.replace("tall", "small")) for each in other)
    found = decide({"tall": one, "small": renamed}, IN_TIME, named=True)
    chosen = [each.chosen for each in found.models if each.chosen is not None]
    assert found.meets == bool(chosen)
    if chosen:
        assert found.choice in names(chosen)
        best = next(each for each in chosen if each.id == found.choice)
        assert expected(best) == min(map(expected, chosen))


# --- what a decision refuses --------------------------------------------------------------


def model_choice(choice: str | None, *options: Option) -> ModelChoice:
    return ModelChoice(model="tall", options=options, choice=choice, runner_up=None, why="because")


@pytest.mark.parametrize(
    "impossible",
    [
        option("a", 1, gates=(GATE,)),
        option("a", None),
        option("a", 1, (0.5, 0.1), verdict=Verdict.AT_RISK),
        option("a", 1, (1.0, 0.9), verdict=Verdict.LIKELY),
        option("a", 1, verdict=Verdict.CANNOT),
        option("a", 1, (1.0, 1.0), dominated=True),
        option("b", 1),
    ],
)
def test_an_impossible_choice_is_a_defect(impossible: Option) -> None:
    with pytest.raises(ValueError, match="a cannot be chosen"):
        model_choice("a", impossible)


def test_a_choice_that_is_no_model_s_is_a_defect() -> None:
    model = model_choice("a", option("a", 1))
    assert Decision(models=(model,), choice="a", why="").meets
    assert Decision(models=(model,), choice=None, why="").options == model.options
    with pytest.raises(ValueError, match="b is no model's choice"):
        Decision(models=(model,), choice="b", why="")


# --- words --------------------------------------------------------------------------------

BATCH = option(
    "tall/heap",
    60,
    (0.9, 0.7114),
    verdict=Verdict.AT_RISK,
    delivery="async",
    finish=Finish(p50=1800.0, p95=29206.4),
    grade="C",
)
REALTIME = option("tall/plain", 120, (1.0, 0.95), finish=Finish(p50=1214.0, p95=1344.7))
RESCUE = option(
    "tall/heap>plain",
    "66.88",
    (0.99427, 0.98406),
    finish=Finish(p50=1800.0, p95=14400.0),
    **kind(2),
)


def test_the_reason_names_the_next_and_what_falls_short() -> None:
    found = choose("tall", [REALTIME, BATCH, RESCUE], IN_TIME)
    assert found.why == (
        "tall/heap>plain at $66.88, done in 4h: >99 % (at least 98 %); "
        "next: tall/plain for $53.12 more; "
        "tall/heap would save $6.88 but is 90 % (at least 71 %) by 4h; you asked for 95 %"
    )


def test_the_reason_never_names_what_is_dominated() -> None:
    worse = replace(
        BATCH,
        id="tall/worse",
        p_deadline=Probability(mean=0.9, low=0.7, high=1.0),
        finish=Finish(p50=60.0, p95=120.0),
    )
    before, after = (choose("tall", [RESCUE, BATCH, *more], IN_TIME) for more in ([], [worse]))
    assert after.why == before.why
    assert "tall/heap would save $6.88" in after.why


def test_the_reason_for_a_simpler_option() -> None:
    dear = replace(REALTIME, cost=option("x", "66.90").cost)
    found = choose("tall", [dear, RESCUE], IN_TIME)
    assert found.why == (
        "tall/plain at $66.90, 95 % by 23m; "
        "tall/heap>plain would save $0.020, too little for more to operate"
    )


def test_the_reason_without_a_deadline() -> None:
    found = choose("tall", [replace(REALTIME, p_deadline=None)], ANY_TIME)
    assert found.why == "tall/plain at $120.00, 95 % by 23m"
    unknown = option("tall/plain", 120, verdict=Verdict.UNKNOWN, finish=Finish())
    assert choose("tall", [unknown], ANY_TIME).why == "tall/plain at $120.00, finish not known"


def test_the_shortfall_names_the_best_and_what_it_lacks() -> None:
    late = replace(
        REALTIME,
        p_deadline=Probability(mean=0.0, low=0.0, high=0.0),
        verdict=Verdict.CANNOT,
    )
    found = choose("tall", [late, BATCH], replace(IN_TIME, deadline=900.0))
    assert (found.choice, found.runner_up) == (None, None)
    assert found.why == (
        "nothing meets the deadline; best is tall/heap, which is 90 % (at least 71 %) by 15m; "
        "you asked for 95 %"
    )
    assert choose("tall", [late], IN_TIME).why == (
        "nothing meets the deadline; best is tall/plain, which needs 23m"
    )


def test_the_shortfall_of_weak_evidence() -> None:
    weak = replace(
        BATCH,
        p_deadline=Probability(mean=0.98, low=0.96, high=1.0),
        verdict=Verdict.LIKELY,
        grade="D",
    )
    assert choose("tall", [weak], IN_TIME).why == (
        "nothing meets the deadline; best is tall/heap, which rests on grade D evidence (no batch "
        "of this size is known): likely, not more, before its documented window"
    )


def test_the_shortfall_of_what_is_not_known() -> None:
    unknown = option(
        "tall/plain",
        1,
        verdict=Verdict.UNKNOWN,
        finish=Finish(),
        risks=("no limit: --limit rpm=N",),
    )
    assert choose("tall", [unknown], IN_TIME).why == (
        "when it would be done is not known for tall/plain: no limit: --limit rpm=N"
    )


def test_the_shortfall_of_gates() -> None:
    closed = option("tall/plain", 1, gates=(GATE,), verdict=Verdict.CANNOT)
    assert choose("tall", [closed], IN_TIME).why == ("no lane can run this job: too long")


def test_no_options_at_all() -> None:
    found = choose("tall", [], ANY_TIME)
    assert (found.choice, found.options) == (None, ())
    assert decide({}, ANY_TIME, named=True).meets is False


def test_an_assumed_cache_is_relied_on_at_its_dear_end_and_said_to_be_worth_measuring() -> None:
    plain = option("tall/plain", 10)
    cheap = option("tall/plain+cache", 4)
    assert cheap.cost is not None
    dear = replace(cheap.cost, high=Usd(Decimal(11)), ceiling=Usd(Decimal(20)))
    assumed = replace(cheap, cost=dear, cache=True, hits_assumed=True)
    found = choose("tall", [plain, assumed], IN_TIME)
    assert found.choice == "tall/plain"
    assert found.why.endswith(
        "tall/plain+cache would save $6.00 if its cache is hit as assumed: "
        "measure it, and give --cache-hit-share"
    )
    given = replace(assumed, hits_assumed=False)
    assert choose("tall", [plain, given], IN_TIME).choice == "tall/plain+cache"
