"""budget.yaml: every mistake at its line, with what to write instead."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from planner import budget_file, sample
from planner.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.answers import Ask

GOOD = """\
budget: 1
from: 2026-11
jobs:
  - name: job
    rows: 1000
    input-tokens: 100
    output-tokens: 10
    model: gpt-6.2-sol
    lane: batch
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "budget.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, *lines: str, at_end: str = "") -> budget_file.BudgetFile:
    more = "".join(f"    {line}\n" for line in lines)
    return budget_file.read(written(folder, GOOD + more + at_end)).file


def test_the_shipped_budget_is_in_order() -> None:
    file = budget_file.read(sample.paths().budget).file
    assert [job.name for job in file.jobs] == ["sort tickets", "weekly digest"]


@pytest.mark.parametrize(
    ("text", "low", "expected", "high"),
    [
        ("3", 3, 3, 3),
        ("2.5%", "1/40", "1/40", "1/40"),
        ("{expected: 4}", 4, 4, 4),
        ("{low: 1, expected: 4}", 1, 4, 4),
        ("{expected: 4, high: 4.5}", 4, 4, "9/2"),
        ("{low: 0%, expected: 2%, high: 0.05}", 0, "1/50", "1/20"),
    ],
)
def test_a_driver_is_read_exactly(
    tmp_path: Path, text: str, low: str, expected: str, high: str
) -> None:
    driver = read(tmp_path, f"runs-per-month: {text}").jobs[0].runs_per_month
    assert (driver.low, driver.expected, driver.high) == tuple(
        Fraction(each) for each in (low, expected, high)
    )


@pytest.mark.parametrize(
    ("line", "where", "said"),
    [
        ("growht: 2%", "10:5", "did you mean growth"),
        ("growth: fast", "10:5", "give a number, a share such as 3%"),
        ("growth: -101%", "10:5", "at least -100 %"),
        ("rejected: 100%", "10:5", "from 0 to below 100 %"),
        ("runs-per-month: -1", "10:5", "0 or more"),
        ("runs-per-month: {low: 3, expected: 2}", "10:5", "low <= expected <= high"),
        ("runs-per-month: {most: 3}", "10:5", "give expected, and low, high or both"),
        ("from: 2026-13", "10:5", "give YYYY-MM"),
        ("from: November", "10:5", "give YYYY-MM"),
        ("retries: 11", "10:5", "less than or equal to 10"),
        ("compare: {model: x}", "10:15", "did you mean models?"),
        ("workload: rows.csv", "4:5", "the workload is counted"),
        ("output-sample: rows.csv", "4:5", "give one"),
        ("name: twice", "10:5", "a second time"),
    ],
)
def test_a_mistake_in_a_job_is_told_at_its_line(
    tmp_path: Path, line: str, where: str, said: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, line)
    assert f"budget.yaml:{where}" in error.value.render()
    assert said in error.value.render()


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("months: 61\n", "less than or equal to 60"),
        ("guardrails: {monthly: -5}\n", "above zero"),
        ("guardrails: {monthly: lots}\n", "above zero"),
        ("guardrails: {monthyl: 5}\n", "did you mean monthly?"),
        ("guardrails: {on: low}\n", "'expected' or 'high'"),
        ("credits: [{name: x}]\n", "'amount' is missing"),
        ("actuals: [{month: 2026-11, amount: 5, through: 2026-12-01}]\n", "not a day of that"),
        ("scenario: 1\n", "unknown key 'scenario'"),
    ],
)  # fmt: skip
def test_a_mistake_elsewhere_is_told(tmp_path: Path, end: str, said: str) -> None:
    with pytest.raises(InputError, match=r".") as error:
        read(tmp_path, at_end=end)
    assert said in error.value.render()


def test_every_mistake_comes_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, "growth: fast", "rejected: 2", at_end="months: 0\n")
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    ("old", "new", "code", "where", "said"),
    [
        ("gpt-6.2-sol", "gpt-6.2-soll", 3, "8:5", "did you mean"),
        ("lane: batch", "lane: bacth", 3, "9:5", "did you mean batch?"),
        ("lane: batch", "lane: batch\n    compare: {lanes: [bacth]}", 3, "10:23", "batch?"),
        ("lane: batch", "lane: batch\n    compare: {models: [nobodys]}", 3, "10:24", "nobodys"),
        ("lane: batch", "lane: batch\n    deadline: soon", 2, "4:5", "give a duration"),
        ("lane: batch", "lane: batch\n    limits: {rpmm: 5}", 2, "4:5", "did you mean"),
    ],
)
def test_a_name_that_does_not_exist_is_told_at_its_line(
    tmp_path: Path, ask: Ask, old: str, new: str, code: int, where: str, said: str
) -> None:
    answer = ask("budget", str(written(tmp_path, GOOD.replace(old, new))))
    assert answer.exit_code == code
    assert f"budget.yaml:{where}" in answer.err
    assert said in answer.err


def test_two_jobs_of_one_name_are_an_error(tmp_path: Path) -> None:
    job = GOOD.partition("jobs:\n")[2]
    with pytest.raises(InputError) as error:
        budget_file.read(written(tmp_path, GOOD + job))
    assert "budget.yaml:10:5" in error.value.render()


def test_a_budget_without_a_job_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        budget_file.read(written(tmp_path, "budget: 1\njobs: []\n"))
    assert "there is no job in it" in error.value.render()


def test_a_job_needs_rows_from_somewhere(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        budget_file.read(written(tmp_path, GOOD.replace("    rows: 1000\n", "")))
    assert "give a workload, or rows and input-tokens" in error.value.render()


def test_a_file_larger_than_its_job_is_told_at_the_job(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "rows.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    few = GOOD.replace("rows: 1000", "rows: 2\n    workload: rows.txt")
    answer = ask("budget", str(written(tmp_path, few.replace("    input-tokens: 100\n", ""))))
    assert answer.exit_code == 2
    assert "budget.yaml:4:5" in answer.err


def test_a_file_that_is_not_there(tmp_path: Path, ask: Ask) -> None:
    answer = ask("budget", str(tmp_path / "none.yaml"))
    assert answer.exit_code == 2
    assert "No such file" in answer.err


def test_the_first_month_is_this_one(tmp_path: Path, ask: Ask) -> None:
    answer = ask("budget", str(written(tmp_path, GOOD.replace("from: 2026-11\n", ""))))
    assert answer.out.startswith("Budget: 2026-11 to 2027-10, 12 months")
