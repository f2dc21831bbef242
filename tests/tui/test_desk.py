"""The core as the screens ask it: the same answers as the command line's, at the keys' pace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from planner import pipeline
from planner.decision.flips import Flip
from planner.decision.matrix import cheaper_short
from planner.errors import InputError, PlannerError
from planner.job import Job, Output
from planner.tui.desk import Closer, Desk, Preview
from planner.tui.forms import with_prompt
from planner.tui.pieces import plain
from planner.tui.session import DEADLINES, Inputs
from planner.tui.table import table
from planner.tui.view import band, condition, explanation, why
from planner.workload.draws import StoppedError
from tests.answers import NOW
from tests.tui.frames import HOUR, figures

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.pipeline import Measured
    from planner.tui.desk import Answer

    Patch = pytest.MonkeyPatch


def desk(facts: Catalog) -> Desk:
    return Desk(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())


def measured(facts: Catalog, job: Job) -> Measured:
    return desk(facts).measure(job, lambda rows, done: None)


def answered(facts: Catalog, job: Job) -> Answer:
    inputs = Inputs(deadline=job.requirements.deadline)
    return desk(facts).answer(measured(facts, job), inputs)


@pytest.mark.parametrize("deadline", [None, 0.5 * HOUR, 6 * HOUR])
@pytest.mark.parametrize("rows", [1, 5000, 70_000])
def test_a_what_if_is_the_estimate_of_that_job(
    facts: Catalog, deadline: float | None, rows: int
) -> None:
    """Keys lead to the figures that a fresh run with those flags gives."""
    start = figures("acme-tall", "bolt-one")
    answer = desk(facts).answer(measured(facts, start), Inputs(deadline=deadline, rows=rows))
    asked = figures("acme-tall", "bolt-one", rows=rows, deadline=deadline)
    fresh = pipeline.estimate(facts, pipeline.measure(facts, asked), asked, now=NOW)
    assert answer.estimate.decision == fresh.decision
    assert answer.own_rows == start.rows


def test_the_deadline_of_the_command_line_keeps_its_moment(facts: Catalog) -> None:
    job = replace(figures("acme-tall"), deadline_at=NOW)
    assert answered(facts, job).estimate.job.deadline_at == NOW


def test_the_catalog_is_loaded_once(facts: Catalog) -> None:
    loads = []

    def load() -> Catalog:
        loads.append(1)
        return facts

    here = Desk(catalog_loader=load, clock=lambda: NOW)
    assert here.catalog() is here.catalog()
    assert loads == [1]
    assert here.on == NOW.date()


def test_the_start_stands_still_from_one_counting_to_the_next(facts: Catalog) -> None:
    minutes = iter(NOW + timedelta(minutes=number) for number in range(100))
    here = Desk(catalog_loader=lambda: facts, clock=lambda: next(minutes))
    counted = here.measure(figures("acme-tall"), lambda rows, done: None)
    start = here.now
    first = here.answer(counted, Inputs(deadline=HOUR))
    second = here.answer(counted, Inputs(deadline=HOUR, rows=7))
    assert first.estimate.now == second.estimate.now == start
    assert first.estimate.job.deadline_at == start + timedelta(hours=1)
    here.measure(figures("acme-tall"), lambda rows, done: None)
    assert here.now > start


# --- what would do ----------------------------------------------------------------------


def test_the_shortest_longer_deadline_that_has_an_answer(facts: Catalog) -> None:
    job = figures("bolt-one", "acme-tall", deadline=2 * HOUR)
    counted = measured(facts, job)
    here = desk(facts)
    answer = here.answer(counted, Inputs(deadline=2 * HOUR))
    without = {each.model for each in answer.estimate.decision.models if each.choice is None}
    assert without == {"bolt-one"}
    found = here.loosened(counted, answer)
    assert set(found) == without
    wanted = found["bolt-one"].deadline
    for deadline in DEADLINES:
        choices = {
            each.model: each.choice
            for each in here.answer(counted, Inputs(deadline=deadline)).estimate.decision.models
        }
        if deadline > 2 * HOUR and wanted is not None:
            assert (choices["bolt-one"] is None) == (deadline < wanted)


def test_looking_for_what_would_do_can_be_stopped(facts: Catalog) -> None:
    counted = measured(facts, figures("bolt-one", deadline=HOUR))
    here = desk(facts)
    answer = here.answer(counted, Inputs(deadline=HOUR))
    assert here.loosened(counted, answer, stop=lambda: True) == {}


# --- what is said of it -----------------------------------------------------------------


@pytest.mark.parametrize("deadline", [HOUR, 4 * HOUR, 6 * HOUR, 24 * HOUR])
@pytest.mark.parametrize("rows", [100, 12480])
def test_the_band_s_counterfactual_is_the_core_s(
    facts: Catalog, rows: int, deadline: float
) -> None:
    """The band names the option that the core's own sentence names, or neither names one."""
    answer = answered(facts, figures("acme-tall", "acme-small", rows=rows, deadline=deadline))
    for choice in answer.estimate.decision.models:
        if choice.chosen is None:
            continue
        cheaper = cheaper_short(choice.chosen, choice.options)
        if cheaper is not None:
            assert f"{cheaper.id} would save" in choice.why
        else:
            assert " but " not in choice.why


@pytest.mark.parametrize("deadline", [None, 60.0, HOUR, 6 * HOUR])
@pytest.mark.parametrize("rows", [1, 12480, 10**9])
def test_every_option_can_be_said_at_every_width(
    facts: Catalog, rows: int, deadline: float | None
) -> None:
    answer = answered(facts, figures(rows=rows, deadline=deadline))
    for row in table(answer.estimate).rows:
        assert why(answer, row.id)
        assert explanation(answer, row.id)
        option = answer.estimate.option(row.id)
        for width in (60, 80, 120):
            lines = band(answer, option.model, {}, width).lines
            assert all(sum(len(piece.text) for piece in line) <= width for line in lines)


# --- a process of its own ---------------------------------------------------------------


class Large(Desk):
    """Takes every file for a large one."""

    LARGE = 0


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("text\none two three\nfour five\n", encoding="utf-8")
    return path


def never() -> bool:
    return False


def test_a_count_in_a_process_is_the_count_in_this_one(facts: Catalog, rows: Path) -> None:
    job = Job(workload=rows, models=("acme-tall",), output=Output(tokens=5))
    here = Large(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    found = list(here.counts(job, lambda rows, done: None, never))
    assert [last for _, last in found] == [False, True]
    assert found[-1][0] == measured(facts, job)
    assert found[0][0].job == job


def test_a_count_that_is_not_wanted_ends(facts: Catalog, rows: Path) -> None:
    rows.write_text("text\n" + "one two three\n" * 5000, encoding="utf-8")
    here = Large(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    job = Job(workload=rows, models=("acme-tall",))
    with pytest.raises(StoppedError):
        list(here.counts(job, lambda rows, done: None, lambda: True))


def test_what_is_wrong_with_a_file_comes_back(facts: Catalog, rows: Path) -> None:
    rows.write_text("text\none,two\n", encoding="utf-8")
    here = Large(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    with pytest.raises(PlannerError) as caught:
        list(here.counts(Job(workload=rows, models=("acme-tall",)), lambda rows, done: None, never))
    assert str(rows) in str(caught.value.problems[0].where)


def test_a_process_that_dies_is_said(facts: Catalog, rows: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr("planner.tui.counter.PROGRAM", "raise SystemExit(1)")
    here = Large(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    with pytest.raises(InputError, match="has ended"):
        list(here.counts(Job(workload=rows, models=("acme-tall",)), lambda rows, done: None, never))


# --- a template -------------------------------------------------------------------------


def test_a_template_is_shown_with_the_first_row(facts: Catalog, rows: Path) -> None:
    rows.write_text("text,other name\none two,3\n", encoding="utf-8")
    here, job = desk(facts), Job(workload=rows)
    shown = here.preview(with_prompt(job, "Say {{ text }}!"))
    assert shown.messages == (("user", "Say one two!"),)
    assert shown.insertions == ("{{ text }}", '{{ row["other name"] }}')
    for insertion in shown.insertions:
        assert not here.preview(with_prompt(job, insertion)).problems
    broken = here.preview(with_prompt(job, "{{ txt }}"))
    assert broken.insertions == shown.insertions
    assert "txt" in broken.problems[0].message


def test_figures_have_no_template(facts: Catalog) -> None:
    assert desk(facts).preview(figures("acme-tall")) == Preview()


# --- a closer look ----------------------------------------------------------------------


def test_a_closer_look_is_that_of_the_command_line_and_is_remembered(facts: Catalog) -> None:
    here, job = desk(facts), figures("acme-tall", "bolt-one")
    answer = here.answer(measured(facts, job), Inputs(deadline=6 * HOUR))
    found = here.closer(answer, "acme-tall")
    assert found is not None
    assert found.flips == pipeline.with_flips(answer.estimate).flips["acme-tall"]
    assert here.closer(answer, "acme-tall") is found
    assert here.closer(answer, "bolt-one", stop=lambda: True) is None
    assert here.lane_map(answer, "bolt-one", stop=lambda: True) is None
    assert here.lane_map(answer, "bolt-one") is here.lane_map(answer, "bolt-one") is not None


def test_why_says_what_the_next_cheaper_lane_would_need(facts: Catalog) -> None:
    here, job = desk(facts), figures("acme-tall")
    answer = here.answer(measured(facts, job), Inputs(deadline=6 * HOUR))
    choice = answer.estimate.decision.models[0]
    assert choice.chosen is not None
    cheaper = cheaper_short(choice.chosen, choice.options)
    assert cheaper is not None
    closer = here.closer(answer, "acme-tall")
    assert closer is not None
    flip = next(each for each in closer.flips if each.choice == cheaper.id)
    lines = [plain((each.mark, *each.body)) for each in why(answer, choice.chosen.id, closer)]
    told = next(line for line in lines if line.startswith(f"→ for {cheaper.id.split('/')[1]}: "))
    assert condition(flip) in told
    later = here.answer(measured(facts, job), Inputs(deadline=flip.at + 1))
    assert later.estimate.decision.choice == cheaper.id


@pytest.mark.parametrize("over", [False, True])
def test_runs_over_what_the_tier_may_spend_in_a_month_are_told(
    facts: Catalog, *, over: bool
) -> None:
    """In the band, beside the option and in full: $5,000 a month is what the lowest tier may."""
    id_ = "acme-tall/heap"
    counted = measured(facts, figures("acme-tall"))
    once = desk(facts).answer(counted, Inputs()).estimate.option(id_)
    assert once.cost is not None
    assert once.usd_month is not None
    runs = int(once.usd_month / once.cost.expected) + over
    answer = desk(facts).answer(counted, Inputs(runs=runs))
    said = f"{runs} runs a month come to "
    for shown in (why(answer, id_), explanation(answer, id_)):
        assert any(said in plain(each.body) for each in shown) is over
    lines = band(answer, "acme-tall", {}, 160).lines
    assert ("over the tier's $5,000" in plain(lines[1])) is over


def test_without_a_deadline_nothing_is_there_to_be_met(facts: Catalog) -> None:
    flip = Flip(input="volume", at=70_000, rising=True, choice=None)
    for deadline, said in ((None, "no lane can run it"), (HOUR, "nothing meets it")):
        answer = answered(facts, figures("acme-tall", deadline=deadline))
        closer = Closer(flips=(flip,), waiting=None)
        shown = [plain(each.body) for each in why(answer, "acme-tall/heap", closer)]
        assert f"{said}: from 70,000 rows" in shown
