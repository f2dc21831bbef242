"""The months ahead for a meeting: what `planner budget` says, at any volume and on any model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import budget_file, budgets, catalog, outlook, pipeline
from planner.decision.forecast import Spread
from planner.decision.requirements import Requirements
from planner.job import Job, Output
from planner.money import Usd, difference, dollars
from planner.outlook import Agenda, Page, Question
from planner.tui import meeting
from planner.workload.sizes import End
from tests.answers import NOW

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.decision.forecast import Figure
    from planner.outlook import Side

PRICING = Path(__file__).parent / "tui" / "pricing"
ON = NOW.date()
BUDGET = """\
budget: 1
from: 2026-12
months: 6
jobs:
  - name: sort
    rows: {low: 900, expected: 1000, high: 1500}
    input-tokens: 1180
    output-tokens: {low: 200, expected: 220, high: 300}
    model: acme-tall
    lane: heap
    compare: {models: [bolt-one, bolt-chat]}
    runs-per-month: 22
    growth: 3%
  - name: digest
    rows: 1200
    input-tokens: 9000
    output-tokens: 700
    model: acme-small
    lane: plain
    runs-per-month: {low: 4, expected: 4.25, high: 5}
    from: 2027-02
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog.load(PRICING, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> budget_file.Read:
    path = tmp_path_factory.mktemp("budget") / "budget.yaml"
    path.write_text(BUDGET, encoding="utf-8")
    return budget_file.read(path)


@pytest.fixture(scope="module")
def agenda(read: budget_file.Read, facts: Catalog) -> Agenda:
    return outlook.of_file(read, facts, facts, on=ON)


def page(of: Agenda, place: int = 0, volume: Fraction = Fraction(1), **more: int) -> Page:
    asked = Question(place=place, volume=volume, **more)
    return outlook.page(of, asked, now=NOW, on=ON)


def of_period(side: Side) -> Figure:
    return side.period


def test_a_page_of_everything_and_one_for_each_job_on_each_model(agenda: Agenda) -> None:
    assert outlook.places(agenda) == 5
    shown = [page(agenda, n) for n in range(5)]
    assert [each.model for each in shown] == [
        None,
        "acme-tall",
        "bolt-one",
        "bolt-chat",
        "acme-small",
    ]
    assert [each.title for each in shown] == ["Budget", "sort", "sort", "sort", "digest"]


def test_it_says_what_the_budget_says(
    agenda: Agenda, read: budget_file.Read, facts: Catalog
) -> None:
    whole = budgets.answer(read, facts, facts, now=NOW, on=ON)
    shown = page(agenda)
    assert shown.other is not None
    assert shown.other.period == whole.budget.total
    assert shown.other.month == whole.budget.by_month[2], "the first month in which both run"
    first, second = whole.jobs
    assert shown.realtime.period.expected == (
        first.realtime.total.expected + second.realtime.total.expected
    )
    assert page(agenda, 1).other.period == first.forecast.total  # type: ignore[union-attr]
    assert page(agenda, 4).realtime.period == second.forecast.total
    wait = dict(shown.other.waits)["sort"]
    assert wait is not None
    assert first.wait is not None
    assert (wait.deadline, wait.option.finish, wait.option.p_deadline, wait.option.grade) == (
        first.wait.deadline,
        first.wait.option.finish,
        first.wait.option.p_deadline,
        first.wait.option.grade,
    )


def test_the_months_of_the_jobs_add_up_to_the_month_of_all(agenda: Agenda) -> None:
    whole, *jobs = (page(agenda, n) for n in (0, 1, 4))
    assert {each.month for each in jobs} == {whole.month}
    assert whole.other is not None
    waiting, digest = jobs
    assert waiting.other is not None
    assert whole.other.month.expected == (
        waiting.other.month.expected + digest.realtime.month.expected
    )


def test_a_job_that_runs_beside_no_other_has_a_month_of_its_own(
    read: budget_file.Read, facts: Catalog
) -> None:
    sort = read.file.jobs[0].model_copy(update={"until": date(2027, 1, 1)})
    apart = replace(read, file=read.file.model_copy(update={"jobs": (sort, *read.file.jobs[1:])}))
    shown = page(outlook.of_file(apart, facts, facts, on=ON), 1)
    assert shown.month == date(2026, 12, 1)


@settings(max_examples=8)
@given(volume=st.integers(10, 100_000).map(lambda n: Fraction(n, 1000)))
def test_the_cost_goes_with_the_volume(agenda: Agenda, volume: Fraction) -> None:
    still = replace(
        agenda,
        file=None,
        subjects=tuple(
            replace(each, line=replace(each.line, growth=Spread.exact(0)))
            for each in agenda.subjects
        ),
    )
    one, more = page(still, 0), page(still, 0, volume)
    assert more.rows is not None
    assert one.rows is not None
    assert more.rows.expected == one.rows.expected * volume
    assert (
        Fraction(more.realtime.period.expected) == Fraction(one.realtime.period.expected) * volume
    )


def test_what_waiting_saves_is_the_difference_at_every_end(agenda: Agenda) -> None:
    shown = page(agenda, 1)
    assert shown.other is not None
    for end in End:
        found = outlook.saved(shown, of_period, end)
        assert found is not None
        now, later = (outlook.at(side.period, end) for side in (shown.realtime, shown.other))
        assert found[0] == difference(now, later)
        assert abs(found[1] - Fraction(1, 2)) < Fraction(1, 10**6), "ends are rounded"


def test_a_model_that_may_not_wait_says_so(agenda: Agenda) -> None:
    shown = page(agenda, 3)
    wait = shown.other.waits[0][1] if shown.other is not None else None
    assert wait is not None
    assert [gate.code for gate in wait.option.gates] == ["unsupported"]


def test_twice_the_rows_wait_as_the_limits_have_it(agenda: Agenda) -> None:
    one, more = (
        page(agenda, 1, volume).realtime.waits[0][1] for volume in (Fraction(1), Fraction(8))
    )
    assert one is not None
    assert more is not None
    assert one.option.finish.p95 is not None
    assert more.option.finish.p95 is not None
    assert more.option.finish.p95 > one.option.finish.p95


@pytest.mark.parametrize("over", [False, True])
def test_a_month_over_what_the_tier_may_spend_is_told(facts: Catalog, *, over: bool) -> None:
    """One run is within either limit."""
    job = Job(rows=12480, input_tokens=1180, output=Output(tokens=220), models=("acme-tall",))
    measured = pipeline.measure(facts, job)
    cost = pipeline.estimate(facts, measured, job, now=NOW, on=ON).option("acme-tall/plain").cost
    assert cost is not None
    month = cost.expected * 22
    limit = int(month) if over else int(month) + 1
    job = replace(job, requirements=Requirements(limits=(("usd_month", limit),)))
    found = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW, on=ON)
    shown = page(outlook.of_estimate(found, name="figures", runs=22))
    said = (
        f"acme (plain): 2026-12 comes to {dollars(Usd(month))}, over the tier's monthly spend "
        f"limit of ${limit:,} (and 11 more months)"
    )
    assert shown.realtime.over_limits == ((said,) if over else ())
    assert shown.other is not None
    assert shown.other.over_limits == (), "batch is half of it"
    text = meeting.markdown(shown, meeting.Stance())
    assert (said in text) is over


def test_a_planned_job_costs_a_month_what_its_runs_cost(facts: Catalog) -> None:
    job = Job(rows=12480, input_tokens=1180, output=Output(tokens=220), models=("acme-tall",))
    measured = pipeline.measure(facts, job)
    found = pipeline.estimate(facts, measured, job, now=NOW, on=ON)
    agenda = outlook.of_estimate(found, name="figures", runs=22)
    shown = page(agenda)
    one = found.option("acme-tall/plain").cost
    assert one is not None
    assert shown.realtime.month.expected == one.expected * 22
    assert page(agenda, runs=4).realtime.month.expected == one.expected * 4
    assert [f"{day:%Y-%m}" for day in (shown.month, shown.period[-1])] == ["2026-12", "2027-11"]
