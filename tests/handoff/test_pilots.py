"""Which rows a pilot sends, what it says of the rest, and where it says no."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff import pilots
from planner.workload import readers
from planner.workload.readers import Row
from planner.workload.sampling import mean_estimate
from tests.handoff.test_learned import lesson

if TYPE_CHECKING:
    from pathlib import Path


def rows(count: int) -> list[Row]:
    return [Row(number=n, line=n, fields={"n": n}) for n in range(1, count + 1)]


def numbers(drawn: pilots.Drawn) -> list[int]:
    return [row.number for row in drawn.rows]


# --- which rows -------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_a_larger_pilot_holds_the_smaller_one(of: int, n: int, more: int, seed: int) -> None:
    small, large = pilots.draw(rows(of), n, seed), pilots.draw(rows(of), n + more, seed)
    assert set(numbers(small)) <= set(numbers(large))
    assert small.of == large.of == of
    assert len(small.rows) == min(n, of)
    assert numbers(small) == sorted(set(numbers(small)))


def test_every_row_is_as_likely() -> None:
    """20 rows, 5 drawn, 2,000 seeds: each is expected 500 times, within five deviations."""
    times = [0] * 21
    for seed in range(2000):
        for number in numbers(pilots.draw(rows(20), 5, seed)):
            times[number] += 1
    spread = 5 * math.sqrt(2000 * 0.25 * 0.75)
    assert all(abs(each - 500) < spread for each in times[1:])


def test_another_seed_draws_other_rows() -> None:
    drawn = {tuple(numbers(pilots.draw(rows(1000), 10, seed))) for seed in range(5)}
    assert len(drawn) == 5


def test_drawn_rows_are_read_back_as_they_were(tmp_path: Path) -> None:
    fields = [
        {"text": "a\nb ä \u2028", "n": 3, "x": 0.1, "deep": [{"k": None}, True]},
        {"text": "", "n": -1, "x": Decimal("2.50"), "deep": []},
    ]
    path = tmp_path / "rows.jsonl"
    drawn = pilots.Drawn(
        rows=tuple(Row(number=n, line=n, fields=each) for n, each in enumerate(fields, start=1)),
        of=2,
    )
    digest = pilots.write(drawn, path)
    assert path.stat().st_mode & 0o777 == 0o600
    back = list(readers.open_workload(path).rows())
    assert [dict(row.fields) for row in back] == [fields[0], {**fields[1], "x": 2.5}]
    assert readers.open_workload(path).digest() == digest
    assert pilots.write(drawn, path) == digest
    assert json.loads(path.read_text(encoding="utf-8").split("\n")[1])["x"] == 2.5


# --- what they say ----------------------------------------------------------------------


def found(lengths: dict[int, int], of: int = 5000, **parts: object) -> pilots.Findings:
    told = lesson(lengths=lengths, rows=sum(lengths.values()), **parts)
    return pilots.findings(told, of, seed=0)


def test_what_a_pilot_says_of_all_rows() -> None:
    seen = found({10: 50, 30: 50}, of=1000)
    assert seen.mean is not None
    assert seen.total is not None
    low, value, high = seen.total
    assert value == 20_000
    assert low < value < high <= seen.ceiling == 128_000
    assert (seen.p50, seen.p95) == (10, 30)
    assert seen.unseen == pytest.approx(1 - 0.05**0.01)


def test_a_pilot_that_is_the_whole_job_has_no_interval() -> None:
    seen = found({10: 50, 30: 50}, of=100)
    assert seen.total == (2000, 2000, 2000)
    assert seen.more == 0


def test_how_many_rows_more() -> None:
    """CV 0.51: (1.96 x 0.51 / 0.10)^2 = 100 rows, and the interval may ask for more."""
    few = found({10: 10, 30: 10})
    assert few.half is not None
    assert few.half > pilots.WANTED
    assert few.more >= math.ceil((1.96 * 0.51 / 0.10) ** 2) - 20
    assert found({10: 100, 30: 100}).more == 0
    assert found({10: 10, 30: 10}, of=25).more == 5
    assert found({20: 20}).more == 0


def test_twenty_rows_already_help() -> None:
    random = Random(5)
    lengths: dict[int, int] = {}
    for _ in range(20):
        length = round(random.lognormvariate(5, 0.5))
        lengths[length] = lengths.get(length, 0) + 1
    half = found(lengths).half
    assert half is not None
    assert half < 0.45, "what is assumed without one is off by a factor of ten"


def test_nothing_answered_is_nothing_known() -> None:
    none = found({}, failed=0)
    assert none.mean is None
    assert none.total is None
    assert none.half is None
    assert none.unseen == 1
    assert not none.passes()
    assert none.more == 100


@pytest.mark.parametrize(
    ("failed", "truncated", "passes"), [(0, 0, True), (1, 1, True), (2, 1, False), (0, 7, False)]
)
def test_the_gate_is_two_of_a_hundred(failed: int, truncated: int, passes: bool) -> None:
    told = lesson(failed=failed, truncated=truncated)
    seen = pilots.findings(told, 5000, seed=0)
    assert seen.passes() is passes
    assert seen.passes(Fraction(1, 2))


def test_a_pilots_lesson_is_of_the_file_it_was_drawn_from() -> None:
    told = replace(lesson(), source="job", template="drawn", workload="drawn")
    kept = pilots.as_pilot(told, template="whole", workload="whole")
    assert (kept.source, kept.template, kept.workload) == ("pilot", "whole", "whole")


# --- coverage, in small (benchmarks/pilot_study.py is the study) --------------------------


def law(name: str) -> list[int]:
    random = Random(11)
    if name == "even":
        return [max(1, round(random.gauss(200, 60))) for _ in range(2000)]
    sigma = 1.0 if name == "skewed" else 0.5
    lengths = [max(1, round(random.lognormvariate(5, sigma))) for _ in range(2000)]
    if name == "rare":
        lengths = [each * 50 if n % 50 == 0 else each for n, each in enumerate(lengths)]
    return lengths


def covered(lengths: list[int], k: int, pilots_: int = 60) -> tuple[float, float]:
    """(share of intervals that hold the total, share of pilots whose unseen line is wrong)."""
    held = wrong = 0
    truth, longest = sum(lengths), sorted(lengths)[-len(lengths) // 50 - 1]
    share = sum(each > longest for each in lengths) / len(lengths)
    for seed in range(pilots_):
        drawn = Random(seed).sample(lengths, k)
        seen: dict[int, int] = {}
        for length in drawn:
            seen[length] = seen.get(length, 0) + 1
        kept = mean_estimate(seen, seed=seed, population=len(lengths))
        held += kept.low * len(lengths) <= truth <= kept.high * len(lengths)
        none = all(length <= longest for length in drawn)
        wrong += none and share > 1 - pilots.UNSEEN ** (1 / k)
    return held / pilots_, wrong / pilots_


@pytest.mark.parametrize(("name", "at_least"), [("even", 0.89), ("skewed", 0.82)])
def test_intervals_hold_on_skewed_lengths(name: str, at_least: float) -> None:
    """95 % stated; chance takes some of it in 60 pilots, and a skewed law costs some more."""
    held, wrong = covered(law(name), 40)
    assert held >= at_least
    assert wrong <= 0.05


def test_a_tail_that_was_not_seen_is_what_the_line_beside_the_interval_is_for() -> None:
    """2 % of rows 50 x longer: 20 rows miss it and their interval with it; 200 allow 1.5 %."""
    lengths = law("rare")
    held, _ = covered(lengths, 20)
    assert held < 0.8
    held, wrong = covered(lengths, 200, 30)
    assert held >= 0.8
    assert wrong <= 0.1
