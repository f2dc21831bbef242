"""The guardrails of a budget file on its page: the command line's verdict, at any volume."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import pytest

from planner import budget_file, budgets, outlook
from planner.decision.baseline import snapshot
from planner.decision.budget import Outcome
from planner.money import Usd
from planner.money import plain as exact
from planner.outlook import Question
from planner.report.budget_words import guardrail_line
from planner.tui import meeting
from planner.tui.meeting import Stance
from planner.tui.pieces import Tone, plain
from tests.answers import NOW
from tests.tui.frames import BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.outlook import Page

    Paged = Callable[..., Page]
    Reading = Callable[[str], budget_file.Read]

ON = NOW.date()
UNLIMITED = BUDGET[: BUDGET.index("guardrails:")]
ROWS = "{low: 10000, expected: 12480, high: 20000}"
ROWS_TWICE = "{low: 20000, expected: 24960, high: 40000}"
TWICE = UNLIMITED.replace(ROWS, ROWS_TWICE).replace("rows: 1200", "rows: 2400")
CENT = Decimal("0.01")


@pytest.fixture
def read(tmp_path: Path) -> Reading:
    def made(text: str) -> budget_file.Read:
        path = tmp_path / "budget.yaml"
        path.write_text(text, encoding="utf-8")
        return budget_file.read(path)

    return made


@pytest.fixture
def paged(read: Reading, facts: Catalog) -> Paged:
    def asked(rails: str, volume: int = 1, place: int = 0) -> Page:
        file = read(f"{UNLIMITED}guardrails: {rails}\n")
        agenda = outlook.of_file(file, facts, facts, on=ON)
        question = Question(place=place, volume=Fraction(volume))
        return outlook.page(agenda, question, now=NOW, on=ON)

    return asked


def said(page: Page, width: int = 80, height: int = 22) -> str:
    return "\n".join(plain(line) for line in meeting.lines(page, Stance(), width, height))


@pytest.mark.parametrize("rails", ["{monthly: 2000}", "{total: 20000}", "{per-1000-rows: 4}"])
@pytest.mark.parametrize(("volume", "rows"), [(1, UNLIMITED), (2, TWICE)])
def test_the_verdict_is_that_of_a_file_with_as_many_rows(
    rails: str, volume: int, rows: str, paged: Paged, read: Reading, facts: Catalog
) -> None:
    told = budgets.answer(read(f"{rows}guardrails: {rails}\n"), facts, facts, now=NOW, on=ON)
    page = paged(rails, volume)
    assert page.judged == told.judged
    assert guardrail_line(told.judged) in meeting.markdown(page, Stance())


@pytest.mark.parametrize("volume", [1, 2])
@pytest.mark.parametrize(
    ("end", "less", "outcome", "line"),
    [
        ("high", Decimal(0), Outcome.HOLDS, "✓ Guardrails: all hold (expected)."),
        ("high", CENT, Outcome.AT_HIGH, "! Guardrails hold; over at high: 20"),
        ("expected", Decimal(0), Outcome.AT_HIGH, "! Guardrails hold; over at high: 20"),
        ("expected", CENT, Outcome.OVER, "✗ Guardrails: over: 20"),
    ],
)
def test_a_cent_decides(
    end: Literal["expected", "high"],
    less: Decimal,
    outcome: Outcome,
    line: str,
    volume: int,
    paged: Paged,
) -> None:
    whole = paged("{}", volume).budget
    assert whole is not None
    limit = max(figure.at(end) for figure in whole.by_month) - less
    page = paged(f"{{monthly: {exact(Usd(limit))}}}", volume)
    assert page.judged is not None
    assert page.judged.outcome is outcome
    assert line in said(page)
    tones = {Outcome.HOLDS: Tone.GOOD, Outcome.AT_HIGH: Tone.WARN, Outcome.OVER: Tone.BAD}
    pieces = (piece for drawn in meeting.lines(page, Stance(), 80, 22) for piece in drawn)
    assert [each.tone for each in pieces if "Guardrails" in each.text] == [tones[outcome]]


BROKEN = "{monthly: 500, total: 1000, per-1000-rows: 0.5}"


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (200, "✗ Guardrails: over: 2027-01 costs $"),
        (80, "✗ Guardrails: over: 2027-01 $"),
        (60, "✗ Guardrails: over: monthly, total, per-1000-rows"),
    ],
)
def test_a_narrow_page_has_fewer_words(width: int, line: str, paged: Paged) -> None:
    (found,) = (each for each in said(paged(BROKEN), width).splitlines() if "Guardrails" in each)
    assert found.strip().startswith(line)
    assert "…" not in found


@pytest.mark.parametrize(("width", "height"), [(58, 13), (80, 16), (80, 22), (120, 38)])
def test_it_pushes_nothing_out_that_has_to_stay(width: int, height: int, paged: Paged) -> None:
    text, without = (said(paged(rails), width, height) for rails in (BROKEN, "{}"))
    assert len(text.splitlines()) <= height
    for each in ("█", "low $", "Waiting saves $", "95 % by", "grade D", "prices"):
        assert (each in text) == (each in without)
        assert each in text


def test_what_has_no_room_goes_as_a_whole(paged: Paged) -> None:
    """A reason in two lines is never half of one: the guardrails have the line that is left."""
    page = paged(BROKEN)
    side = replace(page.realtime, gaps=("sort tickets has no price, " + "for one reason " * 5,))
    page = replace(page, realtime=side)
    whole = said(page, 80, 40)
    assert "✗ sort tickets" in whole
    room = next(height for height in range(10, 40) if "Guardrails" in said(page, 80, height))
    assert "reason" not in said(page, 80, room)
    assert said(page, 80, room + 2).count("reason") == whole.count("reason")


def test_it_is_on_the_page_of_all_jobs_alone(paged: Paged) -> None:
    assert "Guardrails" in said(paged(BROKEN))
    assert "Guardrails" not in said(paged(BROKEN, place=1))
    assert "Guardrails" not in said(paged("{}"))


@pytest.mark.parametrize(
    ("share", "outcome"), [("100%", Outcome.HOLDS), ("99%", Outcome.OVER), (None, Outcome.UNKNOWN)]
)
def test_an_increase_is_held_against_the_baseline(
    share: str | None, outcome: Outcome, paged: Paged, read: Reading, facts: Catalog
) -> None:
    before = paged("{}").budget
    assert before is not None
    file = read(f"{UNLIMITED}guardrails: {{increase: {share or '5%'}}}\n")
    earlier = None if share is None else snapshot(before)
    agenda = outlook.of_file(file, facts, facts, on=ON, earlier=earlier)
    page = outlook.page(agenda, Question(volume=Fraction(2)), now=NOW, on=ON)
    assert page.judged is not None
    assert page.judged.outcome is outcome
    marks = {Outcome.HOLDS: "✓", Outcome.OVER: "✗", Outcome.UNKNOWN: "? Guardrails: not known: no"}
    assert marks[outcome] in said(page)
