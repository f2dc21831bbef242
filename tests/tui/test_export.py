"""Files of each place, and the command line that makes the same."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from planner import catalog, outlook, sample
from planner.errors import InputError
from planner.handoff import plan as plans
from planner.job import Job, Output, Text
from planner.outlook import Question
from planner.tui import export, meeting, support, twin
from planner.tui.agenda import Source
from planner.tui.desk import Desk
from planner.tui.meeting import Stance
from planner.tui.session import Asked, Inputs
from tests.answers import NOW, Ask
from tests.tui.frames import HOUR, figures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.tui.desk import Answer
    from planner.tui.export import Offer

SIX_HOURS = Inputs(deadline=6 * HOUR)


def desk(facts: Catalog) -> Desk:
    return Desk(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())


def answered(facts: Catalog, job: Job) -> Answer:
    here = desk(facts)
    return here.answer(here.measure(job, lambda rows, done: None), SIX_HOURS)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("text\none two three\nfour\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.md", "**acme-tall**"), ("a.csv", "id,"), ("a.json", "{"), ("a.txt", "12,480 rows")],
)
def test_the_ending_says_what_is_written(
    facts: Catalog, tmp_path: Path, name: str, begins: str
) -> None:
    offer = export.of_answer(desk(facts), answered(facts, figures("acme-tall")), "acme-tall/heap")
    path = tmp_path / name
    text = offer.text(path)
    assert text is not None
    assert text.startswith(begins)
    export.write(path, text)
    with pytest.raises(InputError, match="there already"):
        offer.text(path)
    with pytest.raises(InputError):
        export.write(path, "another")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["answer", "answer.pdf", ".md", ".plan.yaml"])
def test_an_ending_that_means_nothing_is_refused(facts: Catalog, tmp_path: Path, name: str) -> None:
    offer = export.of_answer(desk(facts), answered(facts, figures("acme-tall")), "acme-tall/heap")
    with pytest.raises(InputError, match="nothing is written"):
        offer.text(tmp_path / name)


@pytest.mark.parametrize("terms", ["", "haiku", "batch:yes 4"])
def test_models_are_written_as_the_command_line_prints_them(
    ask: Ask, tmp_path: Path, terms: str
) -> None:
    shelf = support.shelf(catalog.load(), on=NOW.date())
    found = support.filtered(shelf, terms)
    offer = export.of_models(support.answers(shelf, found), models_command(*found.terms))
    assert {ending for ending, kind in offer.kinds.items() if kind.text is None} == {".svg"}
    same_as_commands(offer, ask, tmp_path)


def models_command(*terms: str) -> Callable[..., str]:
    return lambda *more: shlex.join(["planner", "models", *terms, *more])


def test_a_budget_is_written_as_the_command_line_prints_it(ask: Ask, tmp_path: Path) -> None:
    here = desk(catalog.load())
    source = Source(file=sample.paths().budget)
    page = outlook.page(source.agenda(here), Question(), now=NOW, on=NOW.date())
    offer = export.of_page(here, source, page, Stance())
    assert list(offer.kinds) == [".md", ".html", ".csv", ".json", ".svg"]
    assert offer.text(tmp_path / "page.md") == meeting.markdown(page, Stance())
    same_as_commands(offer, ask, tmp_path)


def test_of_a_planned_job_there_is_no_budget_file_to_write(facts: Catalog, tmp_path: Path) -> None:
    here = desk(facts)
    source = Source(job=figures("acme-tall"))
    page = outlook.page(source.agenda(here), Question(), now=NOW, on=NOW.date())
    offer = export.of_page(here, source, page, Stance())
    assert list(offer.kinds) == [".md", ".svg"]
    with pytest.raises(InputError, match="nothing is written"):
        offer.text(tmp_path / "a.csv")


def same_as_commands(offer: Offer, ask: Ask, folder: Path) -> None:
    """What the command of each kind writes is what the screen would."""
    for number, (ending, kind) in enumerate(offer.kinds.items()):
        path = folder / f"{number}{ending}"
        if not (command := kind.command(str(path))):
            continue
        here = offer.text(path)
        ask(*shlex.split(command)[1:])
        assert path.read_text(encoding="utf-8") == here, command


def test_a_plan_is_of_the_option_that_is_named(facts: Catalog, rows: Path) -> None:
    job = Job(workload=rows, models=("acme-tall",), output=Output(tokens=5))
    path = rows.parent / "rows.plan.yaml"
    answer = answered(facts, job)
    export.write(path, export.plan_text(desk(facts), answer, "acme-tall/heap", path.parent))
    plan = plans.read(path)
    assert plan.choice.option == "acme-tall/heap"
    assert plan.workload.path == "rows.csv"


def test_no_plan_is_made_of_an_assumed_length(facts: Catalog, rows: Path) -> None:
    answer = answered(facts, Job(workload=rows, models=("acme-tall",)))
    with pytest.raises(InputError, match="assumed answer length"):
        export.plan_text(desk(facts), answer, "acme-tall/heap", rows.parent)


@pytest.mark.parametrize("deadline", [90.0, 5400.0, 6 * HOUR, 100_000.0])
def test_a_duration_is_read_as_it_was_meant(deadline: float) -> None:
    from planner import job as jobs

    assert jobs.seconds(twin.exact_duration(deadline), "--deadline") == deadline


def test_the_command_line_answers_the_same(ask: Ask, tmp_path: Path) -> None:
    job = figures("claude-sonnet-5-5", "grok-4.3", rows=2000)
    command = twin.estimate(Asked(job=job, inputs=SIX_HOURS), "--format", "json")
    name, *words = shlex.split(command)
    assert name == "planner"
    said = json.loads(ask(*words).out)
    assert said["demand"]["deadline"] == 6 * HOUR
    assert said["workload"]["rows"]["value"] == 2000
    assert list(said["decision"]["by_model"]) == ["claude-sonnet-5-5", "grok-4.3"]


def test_a_file_with_its_template_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "my rows.csv"
    job = Job(
        workload=path,
        prompt=Text(text="It's {{ a }}", name="prompt"),
        models=("m",),
        output=Output(tokens=7, cv=0.5),
        skip_bad_rows=True,
    )
    words = shlex.split(twin.estimate(Asked(job=job, inputs=replace(SIX_HOURS, rows=9))))
    assert words[2] == str(path)
    assert words[words.index("--prompt") + 1] == "It's {{ a }}"
    assert words[words.index("--output-tokens") + 1] == "7:0.5"
    assert words[words.index("--of-rows") + 1] == "9"
    assert "--skip-bad-rows" in words
