"""What jobs teach: kept as numbers, found by model and template, never silently used."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import catalog as catalogs
from planner import counted_by, pipeline
from planner.handoff import learned
from planner.handoff.learned import Evidence, Known, Lesson, Pairs, Promise
from planner.handoff.ledger import Ledger
from planner.job import Job, Output, Text
from planner.money import Usd
from planner.workload.tokens import Grade
from tests.handoff import bills, jobs

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MODEL = "claude-haiku-5-5"
PROMPT = "Answer: {{ text }}"


def lesson(**parts: object) -> Lesson:
    """A pilot of 100 answers of 40 to 59 tokens, billed 1.1 x what was counted."""
    usual = Lesson(
        job="a",
        source="pilot",
        at=NOW - timedelta(days=1),
        provider="anthropic",
        model=MODEL,
        lane="standard",
        template=learned.template(PROMPT, None, learned.extras({}, None), ""),
        workload="sha256:other",
        counter="claude-v4.7",
        limit=128,
        rows=100,
        lengths={40 + n: 5 for n in range(20)},
        pairs=Pairs.of([(100 + n, 110 + n + n % 3) for n in range(100)]),
        times=learned.Times(n=100, mean=2.5, cv=0.5),
    )
    return replace(usual, **parts)  # type: ignore[arg-type]  # whatever a test says


# --- as data ----------------------------------------------------------------------------

moments = st.datetimes(timezones=st.just(UTC))
promises = st.builds(
    Promise,
    **{
        name: st.decimals("0", "1000", places=6).map(Usd)
        for name in ("expected", "low", "high", "p95", "ceiling")
    },
    billed=st.none() | st.decimals("0", "1000", places=6).map(Usd),
    deadline=st.none() | moments,
    p_mean=st.none() | st.floats(0, 1),
    p_low=st.none(),
    finished=st.none() | moments,
    complete=st.booleans(),
)


@given(
    st.dictionaries(st.integers(0, 10**6), st.integers(1, 10**6)),
    st.none() | promises,
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=5),
)
def test_a_lesson_survives_as_json(
    lengths: dict[int, int], promise: Promise | None, pairs: list[tuple[int, int]]
) -> None:
    told = lesson(lengths=lengths, promise=promise, pairs=Pairs.of(pairs))
    assert learned.from_facts(json.loads(json.dumps(learned.as_facts(told)))) == told


def test_the_ledger_keeps_the_last_lesson_of_each_job_and_no_rehearsal(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        job = jobs.admitted(ledger)
        first = lesson(job=job.id)
        learned.keep(ledger, first, NOW)
        learned.keep(ledger, first, NOW)
        assert [e.kind for e in ledger.events(job.id)].count(learned.KIND) == 1
        second = replace(first, failed=3)
        learned.keep(ledger, second, NOW)
        assert learned.lessons(ledger) == (second,)
        assert learned.lesson_of(ledger, job.id) == second


# --- pairs ------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)), min_size=2, max_size=40))
def test_pairs_add_up_in_any_grouping(pairs: list[tuple[int, int]]) -> None:
    half = len(pairs) // 2
    assert Pairs.of(pairs) == Pairs.of(pairs[:half]) + Pairs.of(pairs[half:])
    assert Pairs.of(pairs).ratio == Fraction(sum(b for _, b in pairs), sum(c for c, _ in pairs))
    assert Pairs.of(pairs).half >= 0


def test_an_exact_tokenizer_leaves_no_interval() -> None:
    assert Pairs.of([(n, n) for n in range(10, 60)]).half == 0
    assert Pairs.of([(10, 11)]).half == 1
    assert Pairs().ratio is None


def test_the_interval_of_a_ratio_covers() -> None:
    """Rows whose own ratio scatters by 10 % around 1.2: 95 of 100 intervals hold it."""
    random, held = Random(7), 0
    for _ in range(200):
        sizes = [random.randint(50, 500) for _ in range(60)]
        pairs = Pairs.of([(n, round(n * random.gauss(1.2, 0.12))) for n in sizes])
        assert pairs.ratio is not None
        held += abs(pairs.ratio - Fraction(6, 5)) <= pairs.half
    assert 180 <= held <= 199


# --- what is found ----------------------------------------------------------------------


def found(*lessons: Lesson, **asked: str) -> Evidence | None:
    usual = {"provider": "anthropic", "model": MODEL, "template": lesson().template}
    return learned.evidence(
        lessons,
        **{"workload": "sha256:this", "counter": "claude-v4.7", **usual, **asked},
        now=NOW,
    )


def test_lessons_are_found_by_vendor_model_and_template_alone() -> None:
    assert found(lesson()) is not None
    assert found(lesson(), model="claude-opus-5-5") is None
    assert found(lesson(), provider="openai") is None
    assert found(lesson(), template="another") is None
    assert found(lesson(lengths={})) is None
    assert found(lesson(at=NOW - learned.KEEPS)) is not None
    assert found(lesson(at=NOW - learned.KEEPS - timedelta(seconds=1))) is None


def test_lessons_are_put_together() -> None:
    pilot = lesson(truncated=2)
    job = lesson(job="b", source="job", at=NOW, workload="sha256:this", limit=64, failed=1)
    both = found(pilot, job)
    assert both is not None
    assert (both.basis, both.jobs, both.newest) == ("history", 2, NOW)
    assert (both.answered, both.limit, both.truncated, both.failed) == (200, 128, 2, 1)
    assert not both.same_rows
    assert both.pairs == pilot.pairs + job.pairs
    one = found(job)
    assert one is not None
    assert one.same_rows
    assert one.said == "a job of 100 answers on 2026-11-22"
    other = found(pilot)
    assert other is not None
    assert other.said == (
        "a pilot of 100 answers with other rows and the same template on 2026-11-21"
    )


def test_pairs_of_another_counter_say_nothing_of_this_one() -> None:
    evidence = found(lesson(), lesson(job="b", counter="o200k_base"))
    assert evidence is not None
    assert evidence.pairs == lesson().pairs


@pytest.mark.parametrize(
    ("extra", "same"),
    [
        ({"params": {}, "schema": None}, True),
        ({"params": {"effort": "high"}, "schema": None}, False),
        ({"params": {}, "schema": {"type": "object"}}, False),
    ],
)
def test_what_goes_into_a_request_is_part_of_its_template(
    extra: dict[str, object], same: bool
) -> None:
    usual = learned.template(PROMPT, None, learned.extras({}, None), "x")
    assert (learned.template(PROMPT, None, extra, "x") == usual) is same
    assert learned.template(PROMPT, None, learned.extras({}, None), "y") == usual
    assert learned.template(PROMPT, "", learned.extras({}, None), "x") != usual


def test_a_plan_has_the_template_of_its_requests() -> None:
    job = bills.plan()
    assert learned.template_of(job) == learned.template(
        "{{ text }}", None, learned.extras({}, None), ""
    )


def test_rows_that_are_requests_are_known_by_their_file() -> None:
    one, other = (learned.template(None, None, {}, digest) for digest in ("a", "b"))
    assert one != other


# --- the next estimate ------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    text = "Where is my order, please? It is late and I need it for the weekend. "
    path.write_text(
        "".join(json.dumps({"text": text * (1 + n % 5)}) + "\n" for n in range(40)), "utf-8"
    )
    return path


def estimated(rows: Path, *lessons: Lesson, output: Output | None = None) -> pipeline.Estimate:
    facts = catalogs.load()
    job = Job(
        workload=rows,
        prompt=Text(text=PROMPT, name="--prompt"),
        models=(MODEL,),
        output=output or Output(),
    )
    known = Known(lessons=lessons, extras=learned.extras({}, None), now=NOW)
    measured = pipeline.measure(facts, job, known=known)
    return pipeline.estimate(facts, measured, job, now=NOW)


def test_a_pilot_sets_the_answer_length_the_ratio_and_the_latency_and_says_so(rows: Path) -> None:
    before, after = estimated(rows), estimated(rows, lesson())
    (guess,), (known,) = before.measured.profiles, after.measured.profiles
    assert (guess.output.basis, known.output.basis) == ("assumed", "pilot")
    assert float(known.output.mean) == pytest.approx(49.5)
    assert known.grade == Grade.MEASURED
    assert known.input.value == pytest.approx(
        guess.input.value * float(lesson().pairs.ratio or 0), rel=0.02
    )
    assert known.latency is not None
    assert known.latency[:2] == (2.5, 0.5)
    told = "\n".join(after.assumptions)
    assert "a pilot of 100 answers with other rows and the same template on 2026-11-21" in told
    assert "up to 3 % of the rows may still run to the limit" in told
    assert "a realtime answer takes 2.5 s on average" in told
    assert not any("assumed" in each for each in after.warnings)


def test_more_is_known_of_the_rows_themselves_than_of_others(rows: Path) -> None:
    (other,) = estimated(rows, lesson()).measured.profiles
    digest = estimated(rows).measured.workload
    assert digest is not None
    (same,) = estimated(rows, lesson(workload=digest.digest)).measured.profiles
    assert other.output.high - other.output.low > same.output.high - same.output.low
    assert other.input.high - other.input.low > same.input.high - same.input.low
    assert other.input.value == same.input.value


def test_what_is_given_wins_over_what_was_learned(rows: Path) -> None:
    (profile,) = estimated(rows, lesson(), output=Output(tokens=7)).measured.profiles
    assert profile.output.basis == "given"
    assert profile.output.mean == Fraction(7)


def test_too_few_rows_do_not_move_the_tokenizer(rows: Path) -> None:
    few = counted_by.FEWEST_ROWS
    pairs = [(100 + n, 110 + n) for n in range(few)]
    (less,) = estimated(rows, lesson(pairs=Pairs.of(pairs[:-1]))).measured.profiles
    (enough,) = estimated(rows, lesson(pairs=Pairs.of(pairs))).measured.profiles
    assert (less.grade, enough.grade) == ("ratio", "measured")


def test_answers_that_were_cut_are_not_taken_for_whole(rows: Path) -> None:
    cut = lesson(truncated=9, limit=59)
    told = estimated(rows, cut, output=Output(limit=256)).assumptions
    assert any("some were cut at 59, so with this limit they are longer" in each for each in told)
    kept = estimated(rows, cut, output=Output(limit=59)).assumptions
    assert not any("so with this limit they are longer" in each for each in kept)


def test_promises_come_from_the_plan() -> None:
    job = bills.plan()
    kept = learned.promise_of(job, billed=Usd(Decimal("0.1")), finished=NOW, complete=True)
    assert (kept.expected, kept.billed, kept.in_time) == (job.cost.expected, Decimal("0.1"), None)
