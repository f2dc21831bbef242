"""What would change the choice: at each flip another option really wins, and just before it not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import catalog, pipeline
from planner.decision import flips as walks
from planner.decision import matrix
from planner.decision.assessment import every_option
from planner.decision.flips import Flip, deadline_volume_map, flips
from planner.decision.options import at_tier, tiers
from planner.decision.requirements import Latency, Requirements
from planner.decision.turnaround import FinishedJob
from planner.job import Job, Output
from planner.money import Usd
from tests.decision.builders import HOUR, NOW, TODAY, case, demand, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog
    from planner.decision.flips import Look
    from planner.decision.options import Case

MINUTE = 60.0


def choice(of: Case) -> str | None:
    """The rule, asked directly."""
    return matrix.choose(of.profile.model, every_option(of), of.requirements).choice


def demanding(of: Case, **changes: Any) -> Case:
    return replace(of, requirements=replace(of.requirements, **changes))


def at(of: Case, flip: Flip, share: float = 1.0) -> Case:
    """The case with the flip's input at `share` of the way from the present value to the flip."""
    profile = of.profile

    def value(now: float) -> float:
        return now + share * (flip.at - now)

    if flip.input == "deadline":
        assert of.requirements.deadline is not None
        return demanding(of, deadline=value(of.requirements.deadline))
    if flip.input == "confidence":
        return demanding(of, confidence=value(of.requirements.confidence))
    if flip.input == "volume":
        return replace(of, profile=profile.for_rows(round(value(profile.rows.value))))
    assert flip.input == "output"
    factor = Fraction(value(float(profile.output.mean))) / profile.output.mean
    longer = walks._longer(profile.output, factor)
    return replace(of, profile=replace(profile, output=longer))


def of_input(found: tuple[Flip, ...], name: str) -> list[Flip]:
    return [each for each in found if each.input == name]


# --- flips flip -------------------------------------------------------------------------


cases_ = st.tuples(
    st.sampled_from(["tall", "plainspoken", "reserved"]),
    st.integers(1, 200_000),
    st.floats(5 * MINUTE, 100 * HOUR),
    st.sampled_from([0.8, 0.95, 0.99]),
)


@settings(max_examples=15)
@given(cases_)
def test_at_a_flip_another_option_wins(
    facts: Catalog, drawn: tuple[str, int, float, float]
) -> None:
    model, rows, deadline, confidence = drawn
    of = case(facts, job(rows, 1000, 200, model=model), demand(deadline, confidence=confidence))
    for flip in flips(of):
        if flip.input in ("volume", "output", "confidence", "deadline"):
            assert choice(at(of, flip)) == flip.choice
        if flip.input in ("volume", "output", "confidence"):
            assert flip.choice != choice(of), "the nearest flip changes the present choice"


@settings(max_examples=15)
@given(cases_)
def test_just_before_a_flip_the_choice_is_another(
    facts: Catalog, drawn: tuple[str, int, float, float]
) -> None:
    model, rows, deadline, confidence = drawn
    of = case(facts, job(rows, 1000, 200, model=model), demand(deadline, confidence=confidence))
    for flip in of_input(flips(of), "deadline"):
        nearer = flip.at * (0.9999 if flip.rising else 1.0001)
        assert choice(demanding(of, deadline=nearer)) != flip.choice


def test_a_flip_of_volume_is_exact_to_the_row(facts: Catalog) -> None:
    """The tier's $100 a month end realtime at 55,556 rows of $0.0018."""
    of = case(facts, job(40_000), demand(lanes=("plain",)))
    (flip,) = of_input(flips(of), "volume")
    assert (flip.choice, flip.rising) == (None, True)
    assert flip.at == pytest.approx(55_556, abs=1)
    assert choice(at(of, flip)) is None
    assert choice(replace(of, profile=of.profile.for_rows(round(flip.at) - 2))) == "tall/plain"


def test_longer_answers_cost_more_than_a_cap_allows(facts: Catalog) -> None:
    """$1.00 of prompts and $4 a thousand answer tokens: 300 of them reach $2.20."""
    capped = demand(lanes=("plain",), max_cost=Usd(Decimal("2.2")))
    (flip,) = of_input(flips(case(facts, job(), capped)), "output")
    assert (flip.choice, flip.rising) == (None, True)
    assert flip.at == pytest.approx(300, rel=0.01)


def test_without_a_deadline_neither_it_nor_confidence_nor_history_is_walked(
    facts: Catalog,
) -> None:
    names = {flip.input for flip in flips(case(facts, job()))}
    assert not names & {"deadline", "confidence", "history"}


# --- the worked case --------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog.load(cache=tmp_path_factory.mktemp("cache"))


def worked(shipped: Catalog, deadline: float) -> Case:
    """20,000 rows: $120 in 22 minutes of realtime, or $60 in a batch."""
    demanded = Requirements(
        deadline=deadline,
        latency=Latency(mean=6, cv=0.5),
        concurrency=200,
        failure_rate=0.0,
        tiers=((None, "start"),),
    )
    wanted = Job(
        rows=20_000,
        input_tokens=1500,
        output=Output(tokens=300, cv=0.6),
        models=("claude-sonnet-5",),
        requirements=demanded,
    )
    measured = pipeline.measure(shipped, wanted)
    return pipeline.estimate(shipped, measured, wanted, now=NOW, on=TODAY).cases[0]


def test_the_worked_case_by_its_deadline(shipped: Catalog) -> None:
    """Realtime from 22.4 min; rescue ten minutes to cancel later, and 3.6 more until it is
    likely enough to be unneeded to save 5 %; batch at its documented bound.
    """
    found = of_input(flips(worked(shipped, 4 * HOUR)), "deadline")
    seen = [(flip.choice and flip.choice.partition("/")[2], flip.rising) for flip in found]
    assert seen == [(None, False), ("standard", False), ("batch", True)]
    quoted = 22.412 * MINUTE
    assert found[0].at == pytest.approx(quoted, rel=0.005)
    assert found[1].at == pytest.approx(quoted + (10 + 3.57) * MINUTE, rel=0.005)
    assert found[2].at == 24 * HOUR, "the window itself, not the second after it"


def test_the_worked_case_by_its_history(shipped: Catalog) -> None:
    """So many batches of typical time, and not one fewer, bring plain batch to 95 % at 4 h."""
    of = worked(shipped, 4 * HOUR)
    (flip,) = of_input(flips(of), "history")
    assert flip.choice == "claude-sonnet-5/batch"

    def with_batches(count: float) -> Case:
        done = FinishedJob(
            provider="anthropic",
            model="claude-sonnet-5",
            lane="batch",
            rows=20_000,
            created=NOW - timedelta(minutes=30),
            ended=NOW,
            state="ended",
        )
        return replace(of, history=(done,) * int(count))

    assert choice(with_batches(flip.at)) == flip.choice
    assert choice(with_batches(flip.at - 1)) == "claude-sonnet-5/batch>standard"


# --- usage tiers ------------------------------------------------------------------------


def test_tiers_are_those_of_the_vendor_from_the_lowest(facts: Catalog) -> None:
    assert tiers(case(facts, job())) == ("low", "high")


def test_another_tier_changes_limits_and_nothing_else(facts: Catalog) -> None:
    low = case(facts, job(), demand(HOUR, limits=(("itpm", 77),)))
    high = at_tier(low, "high")
    asked = case(facts, job(), demand(HOUR, limits=(("itpm", 77),), tiers=(("acme", "high"),)))
    assert high == asked
    assert high.offers[0].limits.rpm == 6000
    assert high.offers[0].limits.itpm == 77, "the person's own limit stays"
    assert [each.card for each in high.offers] == [each.card for each in low.offers]


def test_a_higher_tier_makes_realtime_fast_enough(facts: Catalog) -> None:
    """6,000 rows at 600 a minute take ten minutes, at 6,000 a minute one."""
    of = case(facts, job(6000), demand(8 * MINUTE))
    assert choice(of) is None
    (flip,) = of_input(flips(of), "tier")
    assert flip == Flip(input="tier", at=1, choice="tall/plain", rising=True, name="high")
    (back,) = of_input(flips(at_tier(of, "high")), "tier")
    assert back == Flip(input="tier", at=0, choice=None, rising=False, name="low")


def test_a_tier_whose_limits_are_not_published_is_no_advice(facts: Catalog) -> None:
    """`high` says nothing of the heap's queue, and does not lift it by that."""
    of = case(facts, job(rows=150_000), demand(40 * HOUR, lanes=("heap",)))
    assert (choice(of), choice(at_tier(of, "high"))) == (None, "tall/heap")
    assert of_input(flips(of), "tier") == []


def test_a_model_whose_choice_is_the_same_in_every_tier_has_no_flip(facts: Catalog) -> None:
    assert of_input(flips(case(facts, job(10), demand(HOUR))), "tier") == []


# --- hit share --------------------------------------------------------------------------


def shared(facts: Catalog, share: float | None, prompt: int = 10_000, prefix: int = 9_900) -> Case:
    profile = replace(job(prompt=prompt, answer=10), shared_prefix=prefix)
    return case(facts, profile, demand(cache_hit_share=share))


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_the_hit_share_at_which_the_cache_beats_the_discount(facts: Catalog, share: float) -> None:
    of = shared(facts, share)
    (flip,) = of_input(flips(of), "hit_share")
    assert flip.rising is (share < flip.at)
    beyond, before = (
        choice(demanding(of, cache_hit_share=flip.at + step)) for step in (0.001, -0.001)
    )
    assert beyond != before
    assert flip.choice == (beyond if flip.rising else before)


def test_without_a_shared_prefix_no_hit_share_is_walked(facts: Catalog) -> None:
    assert of_input(flips(case(facts, job(prompt=10_000))), "hit_share") == []


# --- the map ----------------------------------------------------------------------------


def test_each_cell_of_the_map_is_the_choice_there(facts: Catalog) -> None:
    of = case(facts, job(), demand(HOUR))
    deadlines, volumes = [MINUTE, HOUR, 30 * HOUR], [100, 1000, 40_000]
    lines = deadline_volume_map(of, deadlines, volumes)
    seen = [(cell.rows, cell.deadline) for line in lines for cell in line]
    assert seen == [(rows, deadline) for rows in volumes for deadline in deadlines]
    chosen = {cell.chosen and cell.chosen.id for line in lines for cell in line}
    assert len(chosen) > 2
    for line in lines:
        for cell in line:
            there = demanding(of, deadline=cell.deadline)
            there = replace(there, profile=of.profile.for_rows(cell.rows))
            assert (cell.chosen and cell.chosen.id) == choice(there)
            open_ = any(not each.gates and each.p_deadline is None for each in every_option(there))
            assert cell.unsettled is (cell.chosen is None and open_)


@given(st.integers(1, 100_000), st.floats(MINUTE, 100 * HOUR))
def test_a_longer_deadline_never_costs_more_in_the_map(
    facts: Catalog, rows: int, deadline: float
) -> None:
    of = case(facts, job(), demand(HOUR, limits=(("usd_month", 10**9),)))
    ((early, late),) = deadline_volume_map(of, [deadline, 4 * deadline], [rows])
    if early.chosen is None:
        return
    assert late.chosen is not None
    assert early.chosen.cost is not None
    assert late.chosen.cost is not None
    most = early.chosen.cost.expected * (1 + matrix.MATERIAL)
    assert late.chosen.cost.expected <= most, "no dearer but for fewer parts to operate"


# --- an end to it -----------------------------------------------------------------------


class EnoughError(Exception):
    """Nobody wants to know any more."""


def map_of_four(of: Case, look: Look) -> object:
    return deadline_volume_map(of, [MINUTE, HOUR], [3, 4], look)


@pytest.mark.parametrize("search", [flips, map_of_four])
def test_a_search_ends_at_the_look_that_has_enough(
    facts: Catalog, search: Callable[[Case, Look], object]
) -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        search(case(facts, job(), demand(HOUR)), look)
    assert looks == 3
