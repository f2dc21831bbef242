"""What may be typed: fields with their notation, and the job that comes out of them.

The notations are those of the command line, read by the same functions, so that a deadline
is written alike everywhere. Reading is separate from the widget that holds the text: a form
is tested as a function from texts to a job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from planner import job as jobs
from planner import sample
from planner.decision.requirements import DEFAULT_CONFIDENCE
from planner.errors import InputError, PlannerError, Problem
from planner.job import Job, Output, Text
from planner.notation import whole
from planner.tui.memory import Remembered
from planner.tui.session import Asked, Inputs
from planner.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from planner.catalog import Catalog
    from planner.decision.requirements import Latency, Requirements

T = TypeVar("T")

DEADLINE, ROWS, MODELS = "deadline", "rows", "models"
ANSWERS, PROMPT_TOKENS, RUNS = "answer tokens", "prompt tokens", "runs a month"
CERTAINTY, TIER, LIMITS, ANSWER_TIME = "certainty", "usage tier", "own limits", "answer time"
PROMPT = "prompt"
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
    """The fields of a job that is being looked at; its template has an editor of its own."""
    rows = inputs.rows or own_rows
    fields = [_deadline_field(inputs)]
    if own_rows is not None:
        fields.append(Field(name=ROWS, value=f"{rows:,}", example="empty: as many as the job has"))
    fields += [_models_field(job), _answers_field(job), _runs_field(inputs)]
    return (*fields, *_circumstances(job.requirements))


def figure_fields(job: Job | None, inputs: Inputs) -> tuple[Field, ...]:
    """The fields of a job that is known by figures alone."""
    return (
        Field(name=ROWS, value="", example="such as 12,480"),
        Field(name=PROMPT_TOKENS, value="", example="such as 1,180 a row"),
        _answers_field(job or Job()),
        _deadline_field(inputs),
        _models_field(job or Job()),
        _runs_field(inputs),
    )


def _deadline_field(inputs: Inputs) -> Field:
    value = "" if inputs.deadline is None else duration(inputs.deadline)
    return Field(name=DEADLINE, value=value, example="6h, 18:00, tomorrow 18:00, or none")


def _models_field(job: Job) -> Field:
    return Field(name=MODELS, value=" ".join(job.models), example="empty: a few well-known ones")


def _answers_field(job: Job) -> Field:
    output = job.output
    value = "" if output.tokens is None else f"{output.tokens:,}"
    example = "such as 220 a row; empty: assumed"
    if job.workload is not None:
        example = "such as 220 a row, or :COLUMN of real answers; empty: assumed"
    if output.sample is not None:
        example = "as in the sample of answers; a number instead, such as 220 a row"
    return Field(name=ANSWERS, value=value, example=example)


def _runs_field(inputs: Inputs) -> Field:
    value = "" if inputs.runs is None else f"{inputs.runs:,}"
    return Field(name=RUNS, value=value, example="such as 22; empty: what a run costs is enough")


def _circumstances(demand: Requirements) -> tuple[Field, ...]:
    """How sure it must be, and what holds for this account."""
    tiers = (name if provider is None else f"{provider}={name}" for provider, name in demand.tiers)
    limits = (f"{name}={value}" for name, value in demand.limits)
    time = "" if demand.latency is None else f"{demand.latency.mean:g}:{demand.latency.cv:g}"
    return (
        Field(name=CERTAINTY, value=f"{demand.confidence * 100:g} %", example="such as 95 %"),
        Field(name=TIER, value=" ".join(tiers), example="such as VENDOR=NAME; empty: the lowest"),
        Field(name=LIMITS, value=" ".join(limits), example="such as rpm=1000 itpm=400000"),
        Field(name=ANSWER_TIME, value=time, example="seconds of one answer, such as 2.5"),
    )


# --- from texts -------------------------------------------------------------------------


def edited(
    texts: Mapping[str, str], job: Job, inputs: Inputs, catalog: Catalog, now: datetime
) -> tuple[Job, Inputs]:
    """The job and the inputs after an edit; FieldError for what cannot be read."""
    made = replace(
        job,
        models=_read(texts, MODELS, lambda text: _models(text, catalog)),
        output=_read(texts, ANSWERS, lambda text: _output(text, job.output, job.workload)),
        requirements=_demanded(texts, job.requirements),
    )
    rows = _read(texts, ROWS, lambda text: _count(text, ROWS)) if ROWS in texts else inputs.rows
    return made, _inputs(texts, inputs, now, rows)


def with_prompt(job: Job, text: str) -> Job:
    """The job with another template; with none where it is blank: the text column alone."""
    return replace(job, prompt=Text(text=text, name=PROMPT) if text.strip() else None)


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
    return made, _inputs(texts, inputs, now, None)


def _inputs(texts: Mapping[str, str], inputs: Inputs, now: datetime, rows: int | None) -> Inputs:
    runs = _read(texts, RUNS, lambda text: _count(text, RUNS))
    return Inputs(deadline=_deadline(texts, inputs, now), rows=rows, runs=runs)


def _demanded(texts: Mapping[str, str], demand: Requirements) -> Requirements:
    """The demand with what was typed; what stands as it stood is kept to the last digit."""
    made: dict[str, object] = {}
    for field in _circumstances(demand):
        if texts.get(field.name, field.value).strip() != field.value:
            name, notation = DEMANDS[field.name]
            made[name] = _read(texts, field.name, notation)
    return replace(demand, **made)  # type: ignore[arg-type]  # each notation makes its field


def _certainty(text: str) -> float:
    if not text:
        return DEFAULT_CONFIDENCE
    share = text.replace(" ", "")
    return jobs.share(share if "." in share else f"{share.removesuffix('%')}%", CERTAINTY)


def _tiers(text: str) -> tuple[tuple[str | None, str], ...]:
    return tuple(jobs.tier(each, TIER) for each in text.replace(",", " ").split())


def _limits(text: str) -> tuple[tuple[str, int], ...]:
    found = (jobs.limit(each, LIMITS) for each in text.split())
    return tuple(dict(found).items())


def _answer_time(text: str) -> Latency | None:
    return jobs.latency(text.removesuffix("s"), ANSWER_TIME) if text else None


DEMANDS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    CERTAINTY: ("confidence", _certainty),
    TIER: ("tiers", _tiers),
    LIMITS: ("limits", _limits),
    ANSWER_TIME: ("latency", _answer_time),
}
"""Field -> the part of the demand that it states, and how it is read."""


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


def _count(text: str, name: str) -> int | None:
    return whole(text, name) if text else None


def _models(text: str, catalog: Catalog) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        catalog.model(name)
    return names


def _output(text: str, before: Output, workload: Path | None = None) -> Output:
    """Tokens a row; or real answers to learn from: FILE:COLUMN, :COLUMN of the rows themselves."""
    if not text:
        return replace(before, tokens=None, cv=None)
    if text.startswith(":") and workload is not None:
        return Output(sample=workload, sample_field=text[1:].strip(), limit=before.limit)
    path, column = jobs.sample_file(text)
    if path.is_file():
        return Output(sample=path, sample_field=column, limit=before.limit)
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


def worth_remembering(asked: Asked) -> Remembered | None:
    """What of a question the next run may begin with; None without a file of the person's own."""
    job, inputs = asked.job, asked.inputs
    if job is None or job.workload is None or job.workload == sample.paths().rows:
        return None
    file, text = (Path(job.prompt.name), job.prompt.text) if job.prompt else (None, "")
    return Remembered(
        path=str(job.workload.absolute()),
        models=job.models,
        deadline=inputs.deadline,
        runs=inputs.runs,
        prompt_file=str(file.absolute()) if file is not None and file.is_file() else None,
        columns=text if _COLUMNS_ALONE.fullmatch(text) else None,
    )


_COLUMNS_ALONE = re.compile(r"(\s*\{\{[^{}]*\}\}\s*)+")


def remembered(before: Remembered) -> tuple[Job, Inputs]:
    """The question that was asked before; InputError where its template is no longer there."""
    job = Job(workload=Path(before.path), models=before.models)
    if before.prompt_file is not None:
        job = replace(job, prompt=jobs.text_file(Path(before.prompt_file), "--prompt-file"))
    elif before.columns is not None:
        job = with_prompt(job, before.columns)
    return job, Inputs(deadline=before.deadline, runs=before.runs)


def _demand(job: Job | None) -> Job:
    """The models and demands of a job, without its rows."""
    if job is None:
        return Job()
    return Job(models=job.models, requirements=job.requirements, deadline_at=job.deadline_at)
