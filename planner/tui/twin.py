"""The same question as a command line: what a screen shows, a script can ask.

Every screen names its twin, and an export shows the one that writes the same file.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from planner import sample
from planner.money import plain
from planner.words import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.job import Job, Output
    from planner.tui.session import Asked, Inputs

EXACT = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s"))


def estimate(asked: Asked, *more: str) -> str:
    """`planner estimate ...` of a question, with more words behind it."""
    return _command("estimate", asked, *more)


def plan(asked: Asked, option: str, path: str) -> str:
    """`planner plan ...` that writes the plan of an option."""
    return _command("plan", asked, "--choose", option, "-o", path)


def _command(name: str, asked: Asked, *more: str) -> str:
    return shlex.join(["planner", name, *_words(asked), *more])


def _words(asked: Asked) -> Iterator[str]:
    job, inputs = asked.job, asked.inputs
    if job is None:
        yield "FILE"
        return
    yield from _rows(job)
    yield from _figures(job, inputs)
    for model in job.models:
        yield from ("--model", model)
    yield from _answers(job.output)
    if inputs.deadline is not None:
        yield from ("--deadline", exact_duration(inputs.deadline))
    if job.requirements.max_cost is not None:
        yield from ("--max-cost", plain(job.requirements.max_cost))


def _rows(job: Job) -> Iterator[str]:
    if job.workload is None:
        return
    if job.workload == sample.paths().rows:
        yield sample.NAME
        return
    yield str(job.workload)
    if job.prompt is not None:
        yield from ("--prompt", job.prompt.text)
    if job.system is not None:
        yield from ("--system", job.system.text)
    if job.skip_bad_rows:
        yield "--skip-bad-rows"


def _answers(output: Output) -> Iterator[str]:
    if output.tokens is not None:
        cv = "" if output.cv is None else f":{output.cv:g}"
        yield from ("--output-tokens", f"{output.tokens}{cv}")
    elif output.sample is not None and output.sample != sample.paths().rows:
        field = f":{output.sample_field}" if output.sample_field else ""
        yield from ("--output-sample", f"{output.sample}{field}")


def _figures(job: Job, inputs: Inputs) -> Iterator[str]:
    """Rows and prompt tokens where no file says them, or another volume than the file's."""
    if job.workload is None:
        yield from ("--rows", str(inputs.rows or job.rows), "--input-tokens", str(job.input_tokens))
    elif inputs.rows is not None or job.of_rows is not None:
        yield from ("--of-rows", str(inputs.rows or job.of_rows))


def exact_duration(seconds: float) -> str:
    """A duration in the notation that is read: `6h`, `1h30m`, to the second."""
    left, parts = max(1, round(seconds)), []
    for unit, name in EXACT:
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts)
