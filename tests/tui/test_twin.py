"""The command beside a screen asks what the screen asks, to the last field of the job."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import job as jobs
from planner import sample
from planner.catalog.facts import LIMIT_FIGURES
from planner.cli import estimate
from planner.cli.flags import Parser
from planner.decision.requirements import Latency, Requirements
from planner.job import Job, Output, Text
from planner.money import Usd
from planner.tui import twin
from planner.tui.session import Asked, Inputs, asked_of
from tests.answers import NOW

names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1).filter(
    lambda text: text.strip() == text and text[0] != "-"
)
shares = st.floats(0.001, 0.999).map(lambda value: round(value, 6))
amounts = st.floats(0.01, 9999.0).map(lambda value: round(value, 3))
counts = st.integers(1, 10**9)
cvs = st.none() | amounts
outputs = st.one_of(
    st.builds(Output, tokens=counts, cv=cvs, limit=st.none() | counts),
    st.builds(
        Output,
        ratio=st.tuples(st.decimals("0.01", "99", places=3).map(Fraction), cvs),
        limit=st.none() | counts,
    ),
    st.builds(Output, limit=st.none() | counts),
)
demands = st.builds(
    Requirements,
    confidence=shares,
    respond_within=st.none() | amounts,
    lanes=st.lists(st.sampled_from(["batch", "fast"]), unique=True).map(tuple),
    region=st.none() | st.just("eu"),
    max_cost=st.none() | st.decimals("0.01", "99999", places=4).map(Usd),
    tiers=st.sampled_from([(), ((None, "tier-3"),), (("acme", "scale"), ("bolt", "tier 1"))]),
    limits=st.dictionaries(st.sampled_from(sorted(LIMIT_FIGURES)), counts).map(
        lambda found: tuple(found.items())
    ),
    latency=st.none() | st.builds(Latency, mean=amounts, cv=amounts),
    concurrency=st.none() | counts,
    failure_rate=shares,
    retries=st.integers(0, 9),
    cache=st.sampled_from(["auto", "off"]),
    cache_hit_share=st.none() | shares,
    degraded=st.booleans(),
)
how = {
    "models": st.lists(names).map(tuple),
    "output": outputs,
    "requirements": demands,
    "shared_prefix": counts,
    "precision": shares,
    "exact": st.booleans(),
    "seed": st.integers(0, 10**6),
}
of_figures = st.builds(Job, rows=counts, input_tokens=counts, **how)
of_a_file = st.builds(
    Job,
    workload=names.map(lambda name: Path(f"{name}.jsonl")),
    prompt=st.none() | names.map(lambda text: Text(text=text, name="--prompt")),
    system=st.none() | names.map(lambda text: Text(text=text, name="--system")),
    of_rows=st.none() | counts,
    skip_bad_rows=st.booleans(),
    **how,
)


def read(command: str) -> Job:
    """The job that a shell makes of the command."""
    words = shlex.split(command)
    assert words[:2] == ["planner", "estimate"]
    parser = Parser(argument_default=argparse.SUPPRESS)
    estimate.job_flags(parser)
    return estimate.job_of(vars(parser.parse_args(words[2:])), NOW)


@settings(max_examples=40)
@given(of_figures | of_a_file, st.none() | st.integers(1, 10**6))
def test_the_command_asks_for_the_very_job(job: Job, deadline: int | None) -> None:
    wanted = job.at_deadline(deadline, NOW)
    assert read(twin.estimate(asked_of(wanted))) == wanted


@pytest.mark.parametrize(
    "job",
    [
        jobs.shipped_sample(Job()),
        jobs.shipped_sample(Job(output=Output(tokens=20))),
        replace(jobs.shipped_sample(Job()), prompt=None),
        replace(jobs.shipped_sample(Job()), output=Output()),
        replace(jobs.shipped_sample(Job()), prompt=Text(text="Say {{ text }}", name="prompt")),
    ],
)
def test_the_sample_with_what_was_changed_of_it(job: Job) -> None:
    found = read(twin.estimate(asked_of(job)))
    name = "--prompt" if job.prompt and job.prompt.name == "prompt" else None
    wanted = replace(job, prompt=replace(job.prompt, name=name)) if job.prompt and name else job
    assert found == wanted


def test_a_template_of_a_file_is_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a prompt.txt"
    path.write_text("Say {{ text }}\nnow\n", encoding="utf-8")
    text = jobs.text_file(path, "--prompt-file")
    job = Job(workload=Path("rows.csv"), prompt=text, system=text)
    command = twin.estimate(asked_of(job))
    assert "now" not in command
    assert read(command) == job


@pytest.mark.parametrize(("rows", "said"), [(None, False), (100, False), (101, False), (99, True)])
def test_fewer_rows_than_a_file_has_are_no_command(rows: int | None, said: bool) -> None:
    inputs = Inputs(rows=rows)
    assert bool(twin.remark(Asked(job=Job(workload=Path("a")), inputs=inputs), 100)) == said
    assert twin.remark(Asked(job=Job(rows=100, input_tokens=1), inputs=inputs), 100) is None


def test_money_and_shares_keep_every_digit() -> None:
    job = Job(rows=1, input_tokens=1, requirements=Requirements(max_cost=Usd(Decimal("0.00001"))))
    assert "--max-cost 0.00001" in twin.estimate(asked_of(job))
    assert sample.NAME in twin.estimate(Asked())
