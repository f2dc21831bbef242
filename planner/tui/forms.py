"""What may be typed: fields with their notation, and the job that comes out of them.

The notations are those of the command line, read by the same functions, so that a deadline
is written alike everywhere. Reading is separate from the widget that holds the text: a form
is tested as a function from texts to a job.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from planner import job as jobs
from planner.errors import InputError, PlannerError, Problem
from planner.job import Job, Output, Text
from planner.notation import whole
from planner.tui.session import Inputs
from planner.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from planner.catalog import Catalog

T = TypeVar("T")

DEADLINE, ROWS, MODELS = "deadline", "rows", "models"
ANSWERS, PROMPT, PROMPT_TOKENS = "answer tokens", "prompt", "prompt tokens"
NO_DEADLINE = ("", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One line to type in: its name, what stands in it, and an example."""

    name: str
    value: str
    example: str


class FieldError(Exception):
    """What is wrong with the text of one field."""

    def __init__(self, field: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(field)
        self.field = field
        self.problems = problems


def edit_fields(job: Job, inputs: Inputs, own_rows: int | None) -> tuple[Field, ...]:
    """The fields of a job that is being looked at; the prompt only where there is a file."""
    rows = inputs.rows or own_rows
    fields = [_deadline_field(inputs)]
    if own_rows is not None:
        fields.append(Field(name=ROWS, value=f"{rows:,}", example="empty: as many as the job has"))
    fields += [_models_field(job), _answers_field(job)]
    if job.workload is not None:
        prompt = job.prompt.text if job.prompt else ""
        one_line = "" if "\n" in prompt else prompt
        example = "kept as it is, of several lines" if prompt != one_line else "{{ column }}"
        fields.append(Field(name=PROMPT, value=one_line, example=example))
    return tuple(fields)


def figure_fields(job: Job | None, inputs: Inputs) -> tuple[Field, ...]:
    """The fields of a job that is known by figures alone."""
    return (
        Field(name=ROWS, value="", example="such as 12,480"),
        Field(name=PROMPT_TOKENS, value="", example="such as 1,180 a row"),
        _answers_field(job or Job()),
        _deadline_field(inputs),
        _models_field(job or Job()),
    )


def _deadline_field(inputs: Inputs) -> Field:
    value = "" if inputs.deadline is None else duration(inputs.deadline)
    return Field(name=DEADLINE, value=value, example="6h, 18:00, tomorrow 18:00, or none")


def _models_field(job: Job) -> Field:
    return Field(name=MODELS, value=" ".join(job.models), example="empty: a few well-known ones")


def _answers_field(job: Job) -> Field:
    output = job.output
    value = "" if output.tokens is None else f"{output.tokens:,}"
    example = (
        "as in the sample of answers" if output.sample else "such as 220 a row; empty: assumed"
    )
    return Field(name=ANSWERS, value=value, example=example)


# --- from texts -------------------------------------------------------------------------


def edited(
    texts: Mapping[str, str], job: Job, inputs: Inputs, catalog: Catalog, now: datetime
) -> tuple[Job, Inputs]:
    """The job and the inputs after an edit; FieldError for what cannot be read."""
    made = replace(
        job,
        models=_read(texts, MODELS, lambda text: _models(text, catalog)),
        output=_read(texts, ANSWERS, lambda text: _output(text, job.output)),
    )
    if texts.get(PROMPT):
        made = replace(made, prompt=Text(text=texts[PROMPT], name=PROMPT))
    rows = _read(texts, ROWS, _rows) if ROWS in texts else inputs.rows
    return made, replace(inputs, deadline=_deadline(texts, inputs, now), rows=rows)


def from_figures(
    texts: Mapping[str, str], job: Job | None, inputs: Inputs, catalog: Catalog, now: datetime
) -> tuple[Job, Inputs]:
    """A job of figures alone; FieldError for what cannot be read."""
    made = replace(
        _demand(job),
        rows=_read(texts, ROWS, lambda text: whole(text, ROWS)),
        input_tokens=_read(texts, PROMPT_TOKENS, lambda text: whole(text, PROMPT_TOKENS)),
        output=_read(texts, ANSWERS, lambda text: _output(text, Output())),
        models=_read(texts, MODELS, lambda text: _models(text, catalog)),
    )
    return made, Inputs(deadline=_deadline(texts, inputs, now))


def _read(texts: Mapping[str, str], name: str, notation: Callable[[str], T]) -> T:
    try:
        return notation(texts[name].strip())
    except PlannerError as error:
        raise FieldError(name, error.problems) from None


def _deadline(texts: Mapping[str, str], inputs: Inputs, now: datetime) -> float | None:
    """Seconds from now; an untouched field keeps its seconds to the last one."""
    if texts[DEADLINE].strip() == _deadline_field(inputs).value:
        return inputs.deadline
    return _read(texts, DEADLINE, lambda text: _seconds(text, now))


def _seconds(text: str, now: datetime) -> float | None:
    if text.lower() in NO_DEADLINE:
        return None
    return (jobs.deadline(text, now, DEADLINE) - now).total_seconds()


def _rows(text: str) -> int | None:
    return whole(text, ROWS) if text else None


def _models(text: str, catalog: Catalog) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        catalog.model(name)
    return names


def _output(text: str, before: Output) -> Output:
    if not text:
        return replace(before, tokens=None, cv=None)
    tokens, cv = jobs.output_tokens(text, ANSWERS)
    if tokens == before.tokens and cv is None:
        return before
    return Output(tokens=tokens, cv=cv, limit=before.limit)


def opened(path: str, job: Job | None) -> Job:
    """The job of another file: what was said of models and demands stays, of rows not."""
    fresh = _demand(job)
    if not path.strip():
        return jobs.shipped_sample(fresh)
    wanted = Path(path.strip()).expanduser()
    if wanted.suffix in (".yaml", ".yml"):
        raise InputError.of(
            "job-file",
            "a job file is opened from the command line",
            where=path,
            hint=f"planner {path}",
        )
    return replace(fresh, workload=wanted)


def _demand(job: Job | None) -> Job:
    """The models and demands of a job, without its rows."""
    if job is None:
        return Job()
    return Job(models=job.models, requirements=job.requirements, deadline_at=job.deadline_at)
