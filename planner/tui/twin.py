"""The same question as a command line: what a screen shows, a script can ask.

Every screen names its twin, and an export shows the one that writes the same file. Every field of
a job has its flag here; one that was left out would make the script ask another question.
"""

from __future__ import annotations

import shlex
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from planner import sample
from planner.decision.requirements import Requirements
from planner.job import Job, Output
from planner.money import plain
from planner.tui.forms import PROMPT
from planner.words import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from planner.job import Text
    from planner.tui.session import Asked, Inputs

EXACT = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s"))


def estimate(asked: Asked, *more: str) -> str:
    """`planner estimate ...` of a question, with more words behind it."""
    return _command("estimate", asked, *more)


def plan(asked: Asked, option: str, path: str, *more: str) -> str:
    """`planner plan ...` that writes the plan of an option."""
    return _command("plan", asked, *more, "--choose", option, "-o", path)


def remark(asked: Asked, own_rows: int) -> str | None:
    """What the command cannot say: a file is never a sample of fewer rows than it has."""
    rows, job = asked.inputs.rows, asked.job
    if job is None or job.workload is None or rows is None or rows >= own_rows:
        return None
    return f"The command asks for all {own_rows:,} rows of the file; fewer are asked here alone."


def _command(name: str, asked: Asked, *more: str) -> str:
    return shlex.join(["planner", name, *words(asked), *more])


def words(asked: Asked) -> Iterator[str]:
    """The words that state a question."""
    job, inputs = asked.job, asked.inputs
    if job is None:
        yield sample.NAME
        return
    yield from _rows(job)
    yield from _figures(job, inputs)
    for model in job.models:
        yield from ("--model", model)
    yield from _answers(job)
    if inputs.deadline is not None:
        yield from ("--deadline", exact_duration(inputs.deadline))
    yield from _demand(job.requirements)
    yield from _counting(job)


def _rows(job: Job) -> Iterator[str]:
    ours = _is_sample(job)
    if job.workload is not None:
        yield sample.NAME if ours else str(job.workload)
    if job.prompt is not None and not (ours and job.prompt.name == str(sample.paths().prompt)):
        yield from _text("--prompt", job.prompt)
    if job.system is not None:
        yield from _text("--system", job.system)
    if job.skip_bad_rows:
        yield "--skip-bad-rows"


def _is_sample(job: Job) -> bool:
    """Whether it is the shipped sample, and what comes with that by itself is wanted."""
    told = job.output != Output(limit=job.output.limit)
    return job.workload == sample.paths().rows and job.prompt is not None and told


def _text(flag: str, text: Text) -> Iterator[str]:
    """From the file that it was read from, or word by word."""
    if text.name not in (flag, PROMPT) and Path(text.name).is_file():
        yield from (f"{flag}-file", text.name)
    else:
        yield from (flag, text.text)


def _answers(job: Job) -> Iterator[str]:
    output = job.output
    if output.tokens is not None:
        yield from ("--output-tokens", f"{output.tokens}{_cv(output.cv)}")
    elif output.ratio is not None:
        ratio, cv = output.ratio
        yield from ("--output-ratio", f"{_decimal(ratio)}{_cv(cv)}")
    elif output.sample is not None and not (_is_sample(job) and _is_shipped(output)):
        yield from ("--output-sample", _sample(output))
    if output.limit is not None:
        yield from ("--max-output-tokens", str(output.limit))


def _is_shipped(output: Output) -> bool:
    shipped = sample.paths()
    return (output.sample, output.sample_field) == (shipped.rows, shipped.output_field)


def _sample(output: Output) -> str:
    return f"{output.sample}:{output.sample_field}" if output.sample_field else f"{output.sample}"


def _figures(job: Job, inputs: Inputs) -> Iterator[str]:
    """Rows and prompt tokens where no file says them, or a larger volume than the file's."""
    if job.workload is None:
        yield from ("--rows", str(inputs.rows or job.rows), "--input-tokens", str(job.input_tokens))
    elif inputs.rows is not None or job.of_rows is not None:
        yield from ("--of-rows", str(inputs.rows or job.of_rows))


def _demand(demand: Requirements) -> Iterator[str]:
    """What is asked beyond the deadline, and under which circumstances."""
    for flag, value in _circumstances(demand):
        if value is not None:
            yield from (flag, value)
    if demand.degraded:
        yield "--degraded"


def _circumstances(demand: Requirements) -> Iterator[tuple[str, str | None]]:
    """Flags with what they say; None for what is as usual."""
    usual, latency = Requirements(), demand.latency
    failures = (demand.failure_rate, demand.retries)
    as_usual = failures == (usual.failure_rate, usual.retries)
    yield "--confidence", _unless(demand.confidence, usual.confidence)
    within = _unless(demand.respond_within, None)
    yield "--respond-within", within and f"{within}s"
    yield from (("--lane", lane) for lane in demand.lanes)
    yield "--region", demand.region
    yield "--max-cost", None if demand.max_cost is None else plain(demand.max_cost)
    for provider, name in demand.tiers:
        yield "--tier", name if provider is None else f"{provider}={name}"
    yield from (("--limit", f"{limit}={value}") for limit, value in demand.limits)
    if latency is not None:
        yield "--latency", f"{_number(latency.mean)}{_cv(latency.cv)}"
    yield "--concurrency", _unless(demand.concurrency, None)
    yield "--failure-rate", None if as_usual else f"{_number(failures[0])}:{failures[1]}"
    yield "--cache", None if demand.cache == usual.cache else demand.cache
    yield "--cache-hit-share", _unless(demand.cache_hit_share, None)


def _unless(value: float | None, usual: float | None) -> str | None:
    return None if value is None or value == usual else _number(value)


def _counting(job: Job) -> Iterator[str]:
    """How rows are counted and drawn."""
    usual = Job()
    if job.shared_prefix != usual.shared_prefix:
        yield from ("--shared-prefix", str(job.shared_prefix))
    if job.precision != usual.precision:
        yield from ("--precision", _number(job.precision))
    if job.exact:
        yield "--exact"
    if job.seed != usual.seed:
        yield from ("--seed", str(job.seed))


def _cv(cv: float | None) -> str:
    return "" if cv is None else f":{_number(cv)}"


def _number(value: float) -> str:
    """A number without an exponent, which no flag reads."""
    return format(Decimal(repr(value)), "f")


def _decimal(value: Fraction) -> str:
    return format(Decimal(value.numerator) / Decimal(value.denominator), "f")


def exact_duration(seconds: float) -> str:
    """A duration in the notation that is read: `6h`, `1h30m`, to the second."""
    left, parts = max(1, round(seconds)), []
    for unit, name in EXACT:
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts)
