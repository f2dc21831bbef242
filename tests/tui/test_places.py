"""Models and Budget as a person sees them: text frames, and keys by what they change."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from planner import sample
from planner.errors import InputError
from planner.tui.app import PlannerApp
from planner.tui.desk import Desk
from planner.tui.widgets import PLACES
from tests.answers import NOW
from tests.tui.frames import Seat, check, figures, line_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.job import Job

pytestmark = pytest.mark.anyio

BUDGET = """\
budget: 1
title: The year ahead
from: 2026-12
months: 12
jobs:
  - name: sort tickets
    rows: {low: 10000, expected: 12480, high: 20000}
    input-tokens: 1180
    output-tokens: {low: 200, expected: 220, high: 300}
    model: acme-tall
    lane: heap
    compare: {models: [bolt-one]}
    runs-per-month: 22
    deadline: 6h
  - name: weekly digest
    rows: 1200
    input-tokens: 9000
    output-tokens: 700
    model: acme-small
    lane: plain
    runs-per-month: 4
    from: 2027-01
"""


@pytest.fixture
def budget(tmp_path: Path) -> Path:
    path = tmp_path / "budget.yaml"
    path.write_text(BUDGET, encoding="utf-8")
    return path


@asynccontextmanager
async def at(
    place: str,
    facts: Catalog | Callable[[], Catalog],
    *,
    job: Job | None = None,
    budget: Path | None = None,
) -> AsyncIterator[Seat]:
    """An app that opens at a place, at noon of one day, without animations."""
    loader = facts if callable(facts) else lambda: facts
    desk = Desk(catalog_loader=loader, clock=lambda: NOW, on=NOW.date())
    app = PlannerApp(desk, job, place=place, budget=budget)
    app.animation_level = "none"
    async with app.run_test(size=(80, 24)) as pilot:
        yield Seat(app, pilot)


# --- going from place to place ----------------------------------------------------------


async def test_digits_go_to_the_places_and_each_is_as_it_was_left(facts: Catalog) -> None:
    async with at("Plan", facts, job=figures("acme-tall")) as here:
        plan = await here.settle()
        await here.press("2")
        await here.type("bolt")
        models = await here.settle()
        assert "2 of 5 models" in models
        assert "bolt12" in await here.press("1", "2"), "digits go into a field that is typed in"
        await here.press("backspace", "backspace", "escape")
        assert plan == await here.press("1")
        assert "2 of 5 models" in await here.press("2")
        assert "acme-tall  figures given" in await here.press("4")


async def test_a_click_on_a_place_goes_there(facts: Catalog) -> None:
    async with at("Plan", facts, job=figures("acme-tall")) as here:
        await here.settle()
        await here.pilot.click(offset=(12, 0))
        assert "5 of 5 models" in await here.settle()


async def test_the_palette_knows_the_places(facts: Catalog) -> None:
    async with at("Models", facts) as here:
        await here.settle()
        known = {each.title for each in here.app.get_system_commands(here.app.screen)}
        assert {f"Go to {name}" for name in PLACES} <= known


# --- models -----------------------------------------------------------------------------


async def test_models_filter_and_evidence(facts: Catalog) -> None:
    async with at("Models", facts) as here:
        check("models", await here.sizes())
        await here.pilot.resize_terminal(80, 24)
        await here.type("heap:unk")
        text = await here.press("down", "up")
        assert "1 of 5 models: 0 batch, 0 do not, 1 unknown" in text
        assert "2026-01-15 stale" in line_with(text, "cast-wide")
        check("evidence", await here.press("enter"))
        await here.press("escape")
        assert "cast-wide" in await here.settle()
        await here.press("escape", "escape")
        assert "5 of 5 models" in await here.settle()


async def test_models_without_a_match_say_what_to_do(facts: Catalog) -> None:
    async with at("Models", facts) as here:
        await here.settle()
        await here.type("acme-tell")
        check("no-match", await here.settle())
        assert "Sheet" not in {type(each).__name__ for each in here.app.screen_stack}
        await here.press("enter")
        assert len(here.app.screen_stack) == 1, "there is no evidence of nothing"


async def test_a_broken_pricing_file_is_said_at_every_place(budget: Path) -> None:
    def broken() -> Catalog:
        raise InputError.of("bad-price", "the price is not a number", where="acme.yaml:7")

    for place in ("Models", "Budget"):
        async with at(place, broken, budget=budget) as here:
            text = await here.settle()
            assert "the price is not a number" in text
            assert "acme.yaml:7" in text


async def test_ticked_models_are_what_plan_is_asked_of(facts: Catalog) -> None:
    async with at("Plan", facts, job=figures("acme-tall")) as here:
        assert "on acme-tall" in await here.settle()
        await here.press("2")
        await here.type("bolt")
        text = await here.press("escape", "space")
        assert "›✓● yes      bolt-one" in text  # noqa: RUF001 -- the cursor's mark
        await here.press("slash", "ctrl+u")
        await here.type("small")
        await here.press("escape", "space")
        text = await here.press("p")
        assert " bolt-one  1,180 in" in text
        assert " acme-small  1,180 in" in text
        assert "acme-tall" not in text
        assert "✓● yes      bolt-one" in await here.press("2", "escape")


async def test_one_key_steps_through_the_states(facts: Catalog) -> None:
    async with at("Models", facts) as here:
        await here.settle()
        seen = [(await here.press(key)).splitlines()[2].strip() for key in ["escape", *"bbbb"]]
        assert [each.partition(":")[0] for each in seen] == [
            "5 of 5 models",
            "3 of 5 models",
            "1 of 5 models",
            "1 of 5 models",
            "5 of 5 models",
        ]


# --- budget -----------------------------------------------------------------------------


async def test_budget_of_a_file(facts: Catalog, budget: Path) -> None:
    async with at("Budget", facts, budget=budget) as here:
        check("budget", await here.sizes())
        await here.press("right")
        check("budget-job", await here.sizes())


async def test_every_saving_stands_beside_its_wait(facts: Catalog, budget: Path) -> None:
    async with at("Budget", facts, budget=budget) as here:
        for width, height in ((60, 16), (80, 24), (120, 40)):
            await here.pilot.resize_terminal(width, height)
            await here.settle()
            for _ in range(4):
                text = await here.press("right")
                if "Waiting saves $" in text:
                    after = text.split("Waiting saves $")[1]
                    assert "95 % by" in after
                    assert "grade" in after
                assert "prices" in text.splitlines()[0]
                assert "prices" in text.rsplit("2026-11-22", maxsplit=1)[0][-40:]


async def test_keys_of_the_meeting(facts: Catalog, budget: Path) -> None:
    async with at("Budget", facts, budget=budget) as here:
        await here.settle()
        first = await here.press("right")
        assert "12,480 rows a run, 22 runs a month" in first
        assert "Waiting saves $1,252 a month (50 %)" in first
        twice = await here.press("up")
        assert "24,960 rows a run" in twice
        assert "x2 the rows" in twice
        assert "Waiting saves $2,504 a month" in twice
        assert first.splitlines()[:-1] == (await here.press("down")).splitlines()[:-1]
        assert "24,960 rows a run" in await here.press("u")
        assert first == await here.press("u")
        assert "Waiting saves $15,024 over 12 months" in await here.press("m")
        assert "if the high comes" in await here.press("m", "s")
        assert "if the low comes" in await here.press("s")
        assert first == await here.press("s")
        assert "bolt-one  sort tickets" in await here.press("right")
        assert "The year ahead" in await here.press("left", "left")


async def test_budget_of_the_job_that_is_planned(facts: Catalog) -> None:
    async with at("Plan", facts, job=figures("acme-tall", "bolt-one")) as here:
        await here.settle()
        assert "12,480 rows a run, 1 run a month" in await here.press("4")
        assert "12,480 rows a run, 4 runs a month" in await here.press("r")
        await here.press("1", "+")
        text = await here.press("4")
        assert "24,960 rows a run, 1 run a month" in text
        assert "bolt-one" in await here.press("right")


async def test_budget_opens_on_a_job_that_was_not_counted_yet(facts: Catalog) -> None:
    async with at("Budget", facts, job=figures("acme-tall")) as here:
        assert "acme-tall  figures given" in await here.settle()


async def test_budget_without_anything_offers_the_sample() -> None:
    from planner import catalog

    async with at("Budget", catalog.load) as here:
        check("budget-empty", await here.settle())
        assert "Support desk, the year ahead" in await here.press("b")


async def test_a_broken_budget_is_said_with_its_line(facts: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "budget.yaml"
    path.write_text(BUDGET.replace("acme-tall", "acme-tell"), encoding="utf-8")
    async with at("Budget", facts, budget=path) as here:
        text = await here.settle()
        assert "did you mean acme-tall" in text
        assert ".yaml:10:" in text


# --- themes and help --------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark"])
async def test_another_theme_says_the_same(facts: Catalog, budget: Path, theme: str) -> None:
    async with at("Models", facts, budget=budget) as here:
        await here.settle()
        before = [await here.press("escape"), await here.press("4")]
        here.app.theme = theme
        assert before == [await here.press("2"), await here.press("4")]


async def test_help_names_the_keys_and_the_command(facts: Catalog) -> None:
    async with at("Budget", facts, job=figures("acme-tall")) as here:
        await here.settle()
        text = await here.press("question_mark")
        assert "Runs a month: 1, 4, 22, 30" in text
        await here.press("end")
        assert "planner budget BUDGET.yaml" in await here.settle()


def test_the_shipped_budget_is_there() -> None:
    assert sample.paths().budget.is_file()
