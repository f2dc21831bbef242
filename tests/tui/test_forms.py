"""What may be typed into a form, and the job that comes out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner.decision.requirements import Latency, Requirements
from planner.errors import InputError
from planner.job import Job, Output, Text
from planner.tui.forms import (
    ANSWER_TIME,
    ANSWERS,
    CERTAINTY,
    DEADLINE,
    LIMITS,
    MODELS,
    PROMPT,
    PROMPT_TOKENS,
    ROWS,
    RUNS,
    TIER,
    Field,
    FieldError,
    edit_fields,
    edited,
    figure_fields,
    from_figures,
    opened,
    remembered,
    with_prompt,
    worth_remembering,
)
from planner.tui.session import Asked, Inputs
from tests.answers import NOW
from tests.tui.frames import HOUR, figures

if TYPE_CHECKING:
    from planner.catalog import Catalog

INPUTS = Inputs(deadline=6 * HOUR, rows=500)


def texts_of(fields: tuple[Field, ...]) -> dict[str, str]:
    return {field.name: field.value for field in fields}


@pytest.mark.parametrize(
    "job",
    [
        figures("acme-tall"),
        Job(),
        Job(workload=Path("rows.csv"), prompt=Text(text="Say {{ a }}", name="--prompt")),
        Job(workload=Path("rows.csv"), prompt=Text(text="two\nlines {{ a }}", name="p.txt")),
        Job(output=Output(sample=Path("rows.csv"), sample_field="answer")),
        Job(output=Output(tokens=150, cv=0.5, limit=300)),
        Job(
            requirements=Requirements(
                confidence=0.9512345678,
                tiers=(("acme", "scale"), (None, "base")),
                limits=(("rpm", 10),),
                latency=Latency(mean=1.23456789, cv=0.3),
            )
        ),
    ],
)
def test_a_form_that_is_taken_as_it_stands_changes_nothing(facts: Catalog, job: Job) -> None:
    for inputs in (INPUTS, Inputs(), Inputs(deadline=12345.678)):
        made, after = edited(texts_of(edit_fields(job, inputs, 500)), job, inputs, facts, NOW)
        assert replace(made, prompt=None) == replace(job, prompt=None)
        assert (made.prompt.text if made.prompt else None) == (
            job.prompt.text if job.prompt else None
        )
        assert after == replace(inputs, rows=500)


def test_each_field_is_read_in_the_notation_of_its_flag(facts: Catalog) -> None:
    texts = {
        DEADLINE: "1d12h",
        ROWS: "12_480",
        MODELS: "acme-tall, bolt-one",
        ANSWERS: "150:0.5",
        RUNS: "22",
        CERTAINTY: "99 %",
        TIER: "acme=scale, base",
        LIMITS: "rpm=1000 itpm=400000",
        ANSWER_TIME: "2.5s",
    }
    made, inputs = edited(texts, Job(workload=Path("rows.csv")), INPUTS, facts, NOW)
    assert inputs == Inputs(deadline=36 * HOUR, rows=12480, runs=22)
    assert made.models == ("acme-tall", "bolt-one")
    assert made.output == Output(tokens=150, cv=0.5)
    assert made.requirements == Requirements(
        confidence=0.99,
        tiers=(("acme", "scale"), (None, "base")),
        limits=(("rpm", 1000), ("itpm", 400_000)),
        latency=Latency(mean=2.5, cv=0.8),
    )


def test_answers_are_a_number_a_column_or_a_file(facts: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text("{}", encoding="utf-8")
    job = Job(workload=Path("rows.csv"), output=Output(limit=90))
    for typed, output in (
        ("220", Output(tokens=220, limit=90)),
        (":answer", Output(sample=Path("rows.csv"), sample_field="answer", limit=90)),
        (f"{path}:said", Output(sample=path, sample_field="said", limit=90)),
        (str(path), Output(sample=path, limit=90)),
    ):
        texts = {**texts_of(edit_fields(job, INPUTS, 500)), ANSWERS: typed}
        assert edited(texts, job, INPUTS, facts, NOW)[0].output == output


@pytest.mark.parametrize(("typed", "share"), [("", 0.95), ("99", 0.99), ("0.9", 0.9)])
def test_certainty_is_a_share_or_a_percentage(facts: Catalog, typed: str, share: float) -> None:
    texts = {**texts_of(edit_fields(figures(), INPUTS, 500)), CERTAINTY: typed}
    assert edited(texts, figures(), INPUTS, facts, NOW)[0].requirements.confidence == share


def test_a_template_is_taken_as_it_is_and_a_blank_one_is_none() -> None:
    job = Job(workload=Path("rows.csv"), prompt=Text(text="old", name="p.txt"))
    assert with_prompt(job, "two\n{{ a }}").prompt == Text(text="two\n{{ a }}", name=PROMPT)
    assert with_prompt(job, " \n").prompt is None


@pytest.mark.parametrize("word", ["", "none", "None"])
def test_no_deadline_can_be_typed(facts: Catalog, word: str) -> None:
    texts = {**texts_of(edit_fields(figures(), INPUTS, 500)), DEADLINE: word}
    assert edited(texts, figures(), INPUTS, facts, NOW)[1].deadline is None


def test_empty_rows_are_the_job_s_own(facts: Catalog) -> None:
    texts = {**texts_of(edit_fields(figures(), INPUTS, 500)), ROWS: ""}
    assert edited(texts, figures(), INPUTS, facts, NOW)[1].rows is None


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        (DEADLINE, "soon", "bad-option"),
        (DEADLINE, "2020-01-01", "deadline-passed"),
        (ROWS, "0", "bad-option"),
        (ROWS, "1.5", "bad-option"),
        (MODELS, "acme-taller", "unknown-model"),
        (ANSWERS, "many", "bad-option"),
        (RUNS, "often", "bad-option"),
        (CERTAINTY, "200 %", "bad-option"),
        (TIER, "acme=", "bad-option"),
        (LIMITS, "rpn=5", "bad-option"),
        (ANSWER_TIME, "slow", "bad-option"),
    ],
)
def test_what_cannot_be_read_names_its_field(
    facts: Catalog, field: str, text: str, code: str
) -> None:
    texts = {**texts_of(edit_fields(figures(), INPUTS, 500)), field: text}
    with pytest.raises(FieldError) as caught:
        edited(texts, figures(), INPUTS, facts, NOW)
    assert caught.value.field == field
    assert [problem.code for problem in caught.value.problems] == [code]


def test_figures_make_a_job(facts: Catalog) -> None:
    texts = texts_of(figure_fields(Job(), Inputs()))
    texts |= {ROWS: "12,480", PROMPT_TOKENS: "1180", ANSWERS: "220", DEADLINE: "6h"}
    made, inputs = from_figures(texts, Job(), Inputs(), facts, NOW)
    assert (made.rows, made.input_tokens, made.output.tokens) == (12480, 1180, 220)
    assert inputs == Inputs(deadline=6 * HOUR)
    for missing in (ROWS, PROMPT_TOKENS):
        with pytest.raises(FieldError) as caught:
            from_figures({**texts, missing: ""}, Job(), Inputs(), facts, NOW)
        assert caught.value.field == missing


def test_another_file_keeps_the_demand_and_drops_what_was_said_of_the_rows() -> None:
    before = replace(
        figures("acme-tall"), prompt=Text(text="{{ a }}", name="--prompt"), skip_bad_rows=True
    )
    made = opened("  other.csv ", before)
    assert made == replace(
        Job(workload=Path("other.csv"), models=("acme-tall",)),
        requirements=before.requirements,
        deadline_at=before.deadline_at,
    )


def test_an_empty_path_is_the_sample_and_a_job_file_belongs_to_the_shell() -> None:
    sample = opened(" ", Job())
    assert sample.workload is not None
    assert sample.workload.name == "tickets.csv"
    assert sample.prompt is not None
    with pytest.raises(InputError, match="command line"):
        opened("job.yaml", Job())


def test_what_is_remembered_is_asked_again_without_a_row_s_text(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Say {{ a }}", encoding="utf-8")
    job = Job(
        workload=tmp_path / "rows.csv",
        models=("acme-tall",),
        prompt=Text(text="Say {{ a }}", name=str(prompt)),
    )
    inputs = Inputs(deadline=6 * HOUR, runs=22, rows=7)
    kept = worth_remembering(Asked(job=job, inputs=inputs))
    assert kept is not None
    assert "Say" not in repr(kept)
    assert remembered(kept) == (job, replace(inputs, rows=None))


def test_a_typed_template_and_the_sample_are_not_remembered(tmp_path: Path) -> None:
    typed = Job(workload=tmp_path / "rows.csv", prompt=Text(text="secret", name=PROMPT))
    kept = worth_remembering(Asked(job=typed))
    assert kept is not None
    assert (kept.prompt_file, kept.columns) == (None, None)
    for job in (None, figures("acme-tall"), opened("", Job())):
        assert worth_remembering(Asked(job=job)) is None


def test_a_template_of_columns_alone_is_remembered(tmp_path: Path) -> None:
    columns = "{{ title }}\n{{ row['full text'] }}"
    job = Job(workload=tmp_path / "rows.csv", prompt=Text(text=columns, name=PROMPT))
    kept = worth_remembering(Asked(job=job))
    assert kept is not None
    assert remembered(kept)[0] == job
