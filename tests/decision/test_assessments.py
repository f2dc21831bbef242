"""Asked again: what did not change is kept, and no answer hangs on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.decision.assessment import Assessments, every_option
from planner.decision.options import offers
from planner.decision.turnaround import FinishedJob
from tests.decision.builders import HOUR, NOW, case, demand, job

if TYPE_CHECKING:
    from planner.catalog import Catalog

OWN = FinishedJob(
    provider="acme",
    model="tall",
    lane="heap",
    rows=1000,
    created=NOW - timedelta(minutes=9),
    ended=NOW,
    state="ended",
)


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(60, 5 * 86_400),
            st.sampled_from([1000, 40_000]),
            st.sampled_from([0.8, 0.95]),
            st.sampled_from(["tall", "reserved"]),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_what_is_kept_changes_no_answer(
    facts: Catalog, questions: list[tuple[float | None, int, float, str]]
) -> None:
    kept = Assessments()
    for deadline, rows, confidence, model in questions:
        asked = case(facts, job(rows, model=model), demand(deadline, confidence=confidence))
        assert kept.of(asked).options(deadline) == every_option(asked)


def test_another_deadline_is_assessed_with_what_is_kept(facts: Catalog) -> None:
    kept = Assessments()
    first = case(facts, job(), demand(HOUR))
    again = case(facts, first.profile, demand(2 * HOUR))
    assert kept.of(first) is kept.of(again)
    for other in (
        replace(first, profile=job(rows=1001)),
        replace(first, requirements=demand(HOUR, confidence=0.9)),
        replace(first, now=NOW + timedelta(seconds=1)),
        replace(first, history=(*first.history, OWN)),
    ):
        one = kept.of(first)
        assert kept.of(other) is not one


def test_a_volume_is_found_again_until_too_many_others_were_asked(facts: Catalog) -> None:
    kept, asked = Assessments(), demand(HOUR)
    cases = [case(facts, job(rows), asked) for rows in range(1000, 1001 + Assessments.MOST_KEPT)]
    first = kept.of(cases[0])
    for other in cases[1:-1]:
        kept.of(other)
    assert kept.of(cases[0]) is first
    for other in cases[1:]:
        kept.of(other)
    assert kept.of(cases[0]) is not first


def test_offers_are_looked_up_anew_where_they_may_be_others(facts: Catalog) -> None:
    kept, model, day = Assessments(), facts.model("tall"), NOW.date()
    asked = demand(HOUR)
    first = kept.offers(facts, model, asked, day)
    assert kept.offers(facts, model, demand(2 * HOUR), day) is first
    limited = replace(asked, limits=(("rpm", 7),))
    assert kept.offers(facts, model, limited, day) == offers(facts, model, limited, day) != first
    later = day + timedelta(days=1)
    assert kept.offers(facts, model, asked, later) == offers(facts, model, asked, later) != first
