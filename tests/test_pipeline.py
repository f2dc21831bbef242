"""From a job to its answer: what is measured once, what is decided as often as asked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog as catalogs
from planner import pipeline
from planner.catalog import Catalog
from planner.decision.options import Verdict
from planner.decision.requirements import Requirements
from planner.errors import InputError, Problem, UnknownFactError
from planner.job import Job, Output, Text
from planner.workload.sizes import Range
from tests.decision import builders
from tests.decision.builders import HOUR, NOW, demand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.decision.options import Option
    from planner.pipeline import Estimate, Measured

ROWS = [
    {"question": "What is the capital of France, and since when?", "answer": "Paris"},
    {"question": "How many legs has a spider?", "answer": "It has eight of them"},
    {"question": "Who wrote this?", "answer": "Nobody knows"},
]


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return builders.acme(tmp_path_factory.mktemp("acme"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "rows.jsonl", ROWS)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def figures(**other: Any) -> Job:
    """A job known by its figures alone."""
    stated: dict[str, Any] = {
        "rows": 1000,
        "input_tokens": 1000,
        "output": Output(tokens=200),
        "models": ("tall",),
        "requirements": demand(),
        **other,
    }
    return Job(**stated)


def of_file(path: Path, **other: Any) -> Job:
    stated: dict[str, Any] = {
        "workload": path,
        "prompt": Text(text="Q: {{ question }}", name="--prompt"),
        "models": ("tall",),
        "requirements": demand(),
        **other,
    }
    return Job(**stated)


def answered(facts: Catalog, job: Job, **other: Any) -> Estimate:
    return pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW, **other)


def refused(act: Callable[[], object]) -> Problem:
    with pytest.raises((InputError, UnknownFactError)) as caught:
        act()
    return caught.value.problems[0]


# --- figures alone ------------------------------------------------------------------------


def test_figures_alone(facts: Catalog) -> None:
    found = answered(facts, figures())
    option = found.option("tall/plain")
    assert option.cost is not None
    assert option.cost.expected == Decimal("1.8")
    assert found.decision.choice == "tall/heap"
    assert found.measured.workload is None
    assert (found.measured.rows, found.on) == (1000, date(2026, 11, 22))


@pytest.mark.parametrize("missing", [{"rows": None}, {"input_tokens": None}])
def test_half_a_job_is_no_job(facts: Catalog, missing: dict[str, None]) -> None:
    problem = refused(lambda: pipeline.measure(facts, figures(**missing)))
    assert (problem.code, problem.message) == ("no-workload", "there is nothing to estimate")
    assert problem.hint == ("name a file, or give --rows and --input-tokens (and --output-tokens)")


def test_answers_that_nobody_described_are_assumed_and_said_first(facts: Catalog) -> None:
    found = answered(facts, figures(output=Output()))
    profile = found.measured.profiles[0]
    assert profile.output_total == Range(value=300_000, low=30_000, high=3_000_000)
    assert found.warnings[0].startswith("the answer length is assumed")
    option = found.option("tall/plain")
    assert option.cost is not None
    assert option.cost.low < option.cost.expected < option.cost.high


# --- files --------------------------------------------------------------------------------


def test_a_file_is_counted_for_every_model(facts: Catalog, file: Path) -> None:
    found = pipeline.measure(facts, of_file(file, models=("tall", "plainspoken", "silent")))
    tall, claude, unknown = found.profiles
    assert [each.model for each in found.profiles] == ["tall", "plainspoken", "silent"]
    assert (tall.grade, claude.grade, unknown.grade) == ("exact", "ratio", "ratio")
    assert tall.input.low == tall.input.high
    assert claude.input.low < claude.input.value < claude.input.high
    assert unknown.input.high / unknown.input.value > claude.input.high / claude.input.value
    assert {each.rows for each in found.profiles} == {Range.exact(3)}
    assert found.workload is not None
    assert (found.workload.rows, found.workload.bad_rows, found.workload.format) == (3, 0, "jsonl")
    assert found.workload.bytes == file.stat().st_size


def test_the_column_that_is_taken_for_the_prompt_is_said(facts: Catalog, tmp_path: Path) -> None:
    rows = [{"id": str(place), "text": "some longer text here"} for place in range(3)]
    job = of_file(written(tmp_path / "a.jsonl", rows), prompt=None)
    assert any("text" in said for said in answered(facts, job).assumptions)


def test_a_sample_of_a_larger_job(facts: Catalog, file: Path) -> None:
    part = pipeline.measure(facts, of_file(file, of_rows=3000))
    whole = pipeline.measure(facts, of_file(file))
    assert part.rows == 3000
    assert part.profiles[0].input.value == 1000 * whole.profiles[0].input.value
    assert part.profiles[0].input.low < part.profiles[0].input.value
    assert part.profiles[0].method == "sampled"


def test_a_sample_is_not_larger_than_its_job(facts: Catalog, file: Path) -> None:
    problem = refused(lambda: pipeline.measure(facts, of_file(file, of_rows=2)))
    assert (problem.code, problem.message) == (
        "of-rows",
        "--of-rows 2 is less than the 3 rows in the file",
    )


def test_bad_rows_stop_or_are_counted(facts: Catalog, file: Path) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write("{broken\n")
    problem = refused(lambda: pipeline.measure(facts, of_file(file)))
    assert (problem.code, problem.where) == ("bad-row", f"{file}:4")
    found = answered(facts, of_file(file, skip_bad_rows=True))
    assert found.measured.workload is not None
    assert found.measured.workload.bad_rows == 1
    assert any(each.startswith("left out: 1 unreadable row: ") for each in found.warnings)


# --- answers ------------------------------------------------------------------------------


def output(facts: Catalog, job: Job) -> tuple[str, Fraction, int]:
    made = pipeline.measure(facts, job).profiles[0].output
    return made.basis, made.mean, made.ceiling


def test_answers_from_a_file_of_real_ones(facts: Catalog, file: Path) -> None:
    """Their o200k tokens are 1, 5 and 2."""
    sample = Output(sample=file)
    expected = ("sample", Fraction(8, 3), 16)
    assert output(facts, of_file(file, output=sample)) == expected
    assert output(facts, figures(output=sample)) == expected
    assert output(facts, of_file(file, output=replace(sample, sample_field="answer"))) == expected


def test_what_is_given_wins_over_a_sample(facts: Catalog, file: Path) -> None:
    given = Output(tokens=7, sample=file)
    assert output(facts, of_file(file, output=given)) == ("given", Fraction(7), 32)


@pytest.mark.parametrize(
    ("rows", "column", "code"),
    [
        ([{"a": "x", "b": "y"}], None, "answer-column"),
        ([{"a": "x"}], "b", "unknown-column"),
        ([{"answer": None}], None, "no-answers"),
    ],
)
def test_a_sample_without_clear_answers(
    facts: Catalog, tmp_path: Path, rows: list[dict[str, Any]], column: str | None, code: str
) -> None:
    sample = Output(sample=written(tmp_path / "s.jsonl", rows), sample_field=column)
    assert refused(lambda: pipeline.measure(facts, figures(output=sample))).code == code


def test_the_only_column_of_a_sample_holds_the_answers(facts: Catalog, tmp_path: Path) -> None:
    sample = Output(sample=written(tmp_path / "s.jsonl", [{"said": "yes"}, {"said": None}]))
    assert output(facts, figures(output=sample))[:2] == ("sample", Fraction(1))


def test_a_limit_that_somebody_set_is_kept_and_gated(facts: Catalog) -> None:
    """The model gives 64,000 tokens: a limit of one's own above that is not lowered in silence."""
    own = answered(facts, figures(output=Output(tokens=200, limit=100_000)))
    assert own.measured.profiles[0].output.ceiling == 100_000
    assert [gate.code for gate in own.option("tall/plain").gates] == ["max-output"]
    chosen = answered(facts, figures(output=Output(tokens=20_000)))
    assert chosen.measured.profiles[0].output.ceiling == 64_000, "nobody set it"
    assert chosen.option("tall/plain").gates == ()


# --- models, tiers, lanes -----------------------------------------------------------------


def test_models_that_nobody_names_are_the_featured_ones(facts: Catalog) -> None:
    found = answered(facts, figures(models=()))
    assert [each.model for each in found.decision.models] == ["tall"]
    assert (found.decision.choice, found.decision.meets) == (None, True)


def test_a_model_named_twice_is_asked_once(facts: Catalog) -> None:
    found = pipeline.measure(facts, figures(models=("tall", "acme/tall", "dearer")))
    assert [model.id for model in found.models] == ["tall", "dearer"]


def test_a_catalog_without_a_featured_model_asks_for_one() -> None:
    empty = Catalog(digest="", providers=())
    assert refused(lambda: pipeline.measure(empty, figures(models=()))).code == "no-model"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"models": ("tal",)}, "unknown-model"),
        ({"requirements": demand(tiers=(("acmee", "low"),))}, "unknown-provider"),
        ({"requirements": demand(lanes=("heaps",))}, "unknown-lane"),
    ],
)
def test_names_must_exist(facts: Catalog, wanted: dict[str, Any], code: str) -> None:
    problem = refused(lambda: pipeline.measure(facts, figures(**wanted)))
    assert problem.code == code
    assert problem.hint is not None
    assert problem.hint.startswith("did you mean")


def test_an_unknown_tier_of_a_known_provider(facts: Catalog) -> None:
    job = figures(requirements=demand(tiers=((None, "medium"),)))
    assert refused(lambda: answered(facts, job)).code == "unknown-tier"


def test_the_cheapest_of_several_models(facts: Catalog) -> None:
    found = answered(facts, figures(models=("plainspoken", "tall", "dearer")))
    assert found.decision.choice in {"tall/heap", "dearer/heap"}
    assert "quality not judged" in found.decision.why


# --- deciding again and again -------------------------------------------------------------


def test_another_deadline_needs_no_file(facts: Catalog, file: Path) -> None:
    job = of_file(file, output=Output(tokens=200))
    measured = pipeline.measure(facts, job)
    file.unlink()
    later = job.at_deadline(HOUR, NOW)
    found = pipeline.estimate(facts, measured, later, now=NOW)
    assert found.decision.choice is not None
    assert all(each.p_deadline is not None for each in found.decision.options if each.finish.p95)


def test_another_volume_needs_no_file(facts: Catalog) -> None:
    measured = pipeline.measure(facts, figures())
    twice = pipeline.estimate(facts, measured.for_rows(2000), figures(), now=NOW)
    once = pipeline.estimate(facts, measured, figures(), now=NOW)
    assert cost(twice) == 2 * cost(once)
    assert (twice.measured.rows, measured.rows) == (2000, 1000)


def cost(found: Estimate, option: str = "tall/plain") -> Decimal:
    one = found.option(option).cost
    assert one is not None
    return one.expected


def test_an_answer_never_depends_on_earlier_questions(facts: Catalog) -> None:
    measured = pipeline.measure(facts, figures())

    def ask(measured: Measured, deadline: float | None) -> Estimate:
        job = figures().at_deadline(deadline, NOW)
        return pipeline.estimate(facts, measured, job, now=NOW)

    first = ask(measured, 4 * HOUR)
    ask(measured.for_rows(10**6), HOUR)
    ask(measured, None)
    answered(facts, figures(models=("plainspoken",)))
    assert ask(measured, 4 * HOUR) == first


def test_prices_are_those_of_the_day_asked_for(facts: Catalog) -> None:
    job = figures(models=("dearer",))
    today, then = answered(facts, job), answered(facts, job, on=date(2026, 12, 1))
    assert cost(then, "dearer/plain") == 2 * cost(today, "dearer/plain")
    assert then.on == date(2026, 12, 1)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalogs.load(cache=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("deadline", [None, 600.0, 4 * HOUR, 72 * HOUR])
@pytest.mark.parametrize(("rows", "prompt"), [(1, 100), (5000, 150_000), (300_000, 6000)])
def test_every_option_of_every_shipped_model_is_consistent(
    shipped: Catalog, deadline: float | None, rows: int, prompt: int
) -> None:
    job = figures(
        rows=rows,
        input_tokens=prompt,
        models=tuple(f"{model.provider}/{model.id}" for model in shipped.models()),
        requirements=demand(deadline),
        shared_prefix=min(prompt, 5000),
    )
    found = answered(shipped, job)
    assert len(found.decision.models) == len(shipped.models())
    for option in found.decision.options:
        assert_consistent(option, deadline)


def assert_consistent(option: Option, deadline: float | None) -> None:
    """What holds of every option, whoever sells it."""
    cost, finish, p = option.cost, option.finish, option.p_deadline
    if cost is not None:
        assert 0 <= cost.low <= cost.expected <= cost.p95 <= cost.high <= cost.ceiling, option.id
    if finish.p50 is not None and finish.p95 is not None:
        assert 0 <= finish.p50 <= finish.p95, option.id
    assert p is None or 0 <= p.low <= p.mean <= p.high <= 1, option.id
    if option.verdict is Verdict.MEETS:
        assert cost is not None, option.id
        assert not option.gates, option.id
        assert (p is None) == (deadline is None), option.id


# --- what is said -------------------------------------------------------------------------


def test_everything_that_was_not_said_is_an_assumption(facts: Catalog) -> None:
    found = answered(facts, figures(requirements=Requirements()))
    assert found.assumptions == (
        "rows and prompt tokens as given; every row is taken to be of the mean size",
        "answers of 200 tokens on average, as given",
        (
            "each answer is limited to 1,024 tokens (taken from the expected length): it goes into"
            " the request"
        ),
        (
            "a realtime answer takes 7.0 s on average (2 s + output / 40 a second, assumed, grade"
            " D): --latency"
        ),
        "1 % of realtime attempts fail, 2 retries",
        "acme: the lowest usage tier that it publishes (--tier acme=NAME)",
    )


def test_what_was_said_is_no_assumption(facts: Catalog) -> None:
    stated = demand(tiers=((None, "low"),), failure_rate=0.005, retries=0)
    found = answered(facts, figures(requirements=stated)).assumptions
    assert not any("--latency" in each or "--tier" in each for each in found)
    assert "0.5 % of realtime attempts fail, 0 retries" in found


def test_a_retirement_before_the_end_is_a_warning(facts: Catalog) -> None:
    said = "leaving retires on 2026-11-24, which may be before the job is done"
    for hours, expected in ((35, False), (36, True)):
        job = figures(models=("leaving",), requirements=demand(hours * HOUR))
        assert (said in answered(facts, job).warnings) is expected


def test_the_evidence_is_that_of_what_was_used(facts: Catalog) -> None:
    found = answered(facts, figures())
    assert found.evidence.oldest is not None
    assert found.evidence.oldest.id == "limits"
    assert (found.evidence.age_days, found.evidence.stale) == (52, False)
    old = answered(facts, figures(), on=date(2027, 6, 1))
    assert old.evidence.stale
    assert any("source limits was read" in each for each in old.warnings)


def test_an_option_by_its_id(facts: Catalog) -> None:
    found = answered(facts, figures())
    assert found.option("tall/heap").lane == "heap"
    problem = refused(lambda: found.option("tall/heep"))
    assert (problem.code, problem.hint) == (
        "unknown-option",
        "did you mean tall/heap or tall/whenever or tall/plain?",
    )


def test_a_moment_from_now(facts: Catalog) -> None:
    assert (answered(facts, figures()).later(90) - NOW).total_seconds() == 90
