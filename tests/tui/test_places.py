"""Models and Budget as a person sees them: text frames, and keys by what they change."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from planner import sample
from planner.errors import InputError
from planner.tui.widgets import PLACES
from tests.tui.frames import BUDGET, HOUR, check, figures, line_with, seat

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog
    from tests.answers import Ask

pytestmark = pytest.mark.anyio

# --- going from place to place ----------------------------------------------------------


async def test_digits_go_to_the_places_and_each_is_as_it_was_left(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
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
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.pilot.click(offset=(12, 0))
        assert "5 of 5 models" in await here.settle()


async def test_the_palette_knows_the_places(facts: Catalog) -> None:
    async with seat(None, lambda: facts, place="Models") as here:
        await here.settle()
        known = {each.title for each in here.app.get_system_commands(here.app.screen)}
        assert {f"Go to {name}" for name in PLACES} <= known


# --- models -----------------------------------------------------------------------------


async def test_models_filter_and_evidence(facts: Catalog) -> None:
    async with seat(None, lambda: facts, place="Models") as here:
        check("models", await here.sizes())
        await here.pilot.resize_terminal(80, 24)
        await here.type("heap:unk")
        text = await here.press("down", "up")
        assert "1 of 5 models: 0 batch, 0 do not, 1 unknown" in text
        assert "2026-01-15 stale" in line_with(text, "cast-wide")
        await here.press("enter")
        check("evidence", await here.sizes())
        await here.pilot.resize_terminal(80, 24)
        await here.press("escape")
        assert "cast-wide" in await here.settle()
        await here.press("escape", "escape")
        assert "5 of 5 models" in await here.settle()


async def test_models_without_a_match_say_what_to_do(facts: Catalog) -> None:
    async with seat(None, lambda: facts, place="Models") as here:
        await here.settle()
        await here.type("acme-tell")
        check("no-match", await here.sizes())
        assert "Sheet" not in {type(each).__name__ for each in here.app.screen_stack}
        await here.press("enter")
        assert len(here.app.screen_stack) == 1, "there is no evidence of nothing"


@pytest.mark.parametrize("place", ["Models", "Budget"])
async def test_a_broken_pricing_file_is_said_at_every_place(
    facts: Catalog, budget: Path, place: str
) -> None:
    broken = True

    def loader() -> Catalog:
        if broken:
            raise InputError.of("bad-price", "the price is not a number", where="acme.yaml:7")
        return facts

    async with seat(None, loader, place=place, budget=budget) as here:
        text = await here.sizes()
        check(f"{place.lower()}-broken", text)
        assert "the price is not a number" in text
        assert "acme.yaml:7" in text
        broken = False
        text = await here.press("r")
        assert "the price" not in text
        assert "prices as of 2026-11-22" in text


async def test_ticked_models_are_what_plan_is_asked_of(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
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
    async with seat(None, lambda: facts, place="Models") as here:
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
    async with seat(None, lambda: facts, place="Budget", budget=budget) as here:
        check("budget", await here.sizes())
        await here.press("right")
        check("budget-job", await here.sizes())


async def test_every_saving_stands_beside_its_wait(facts: Catalog, budget: Path) -> None:
    async with seat(None, lambda: facts, place="Budget", budget=budget) as here:
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


async def test_the_page_is_copied_with_everything_beside_its_saving(
    facts: Catalog, budget: Path
) -> None:
    async with seat(None, lambda: facts, place="Budget", budget=budget) as here:
        await here.settle()
        await here.press("y")
        assert "| cost | $2,532 | $1,2" in here.app.clipboard
        await here.press("right", "y")
        lines = here.app.clipboard.splitlines()
        assert lines[0].startswith("**acme-tall, sort tickets**: 12,480 rows a run")
        assert "| range |" in here.app.clipboard
        saving = next(n for n, line in enumerate(lines) if "Waiting saves" in line)
        assert re.search(r"95 % by \S+, within 6h: \d+ % .*grade [A-D]", lines[saving + 1])
        assert "prices as of 2026-11-22" in lines[-1]


async def test_the_models_that_are_left_go_to_a_file(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with seat(None, lambda: facts, place="Models", notifications=True) as here:
        await here.settle()
        await here.type("bolt")
        text = await here.press("escape", "x")
        assert "models.md" in text
        assert "$ planner models bolt --format md -o models.md" in text
        assert "Written" in await here.press("enter")
        rows = (tmp_path / "models.md").read_text(encoding="utf-8").splitlines()[2:]
        assert [row.split(" | ")[0] for row in rows] == ["| bolt-one", "| bolt-chat"]


async def test_the_page_goes_to_a_file_as_it_is_copied_or_seen(
    facts: Catalog, budget: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(budget.parent)
    async with seat(None, lambda: facts, place="Budget", budget=budget, notifications=True) as here:
        await here.settle()
        await here.press("right", "up", "y")
        assert "Written" in await here.press("x", "enter")
        assert (budget.parent / "budget.md").read_text(encoding="utf-8") == here.app.clipboard
        await here.press("x", "ctrl+u")
        await here.type("budget.csv")
        assert "$ planner budget" in await here.settle()
        assert "Written" in await here.press("enter")
        await here.press("x", "ctrl+u")
        await here.type("seen.svg")
        await here.press("enter")
        assert "Waiting&#160;saves" in (budget.parent / "seen.svg").read_text(encoding="utf-8")


async def test_nothing_that_is_not_shown_is_exported(facts: Catalog) -> None:
    async with seat(None, lambda: facts, place="Models") as here:
        await here.settle()
        await here.type("nosuchmodel")
        await here.press("escape", "x")
        assert len(here.app.screen_stack) == 1
        await here.press("4", "x")
        assert len(here.app.screen_stack) == 1


async def test_keys_of_the_meeting(facts: Catalog, budget: Path) -> None:
    async with seat(None, lambda: facts, place="Budget", budget=budget) as here:
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
        whole = await here.press("m", "s")
        assert "REALTIME, 12 months, high " in whole
        assert "AS BUDGETED, 12 months, high\n" in whole


@pytest.fixture
def credited(budget: Path) -> Path:
    with budget.open("a", encoding="utf-8") as file:
        file.write("credits:\n  - {name: starter credit, amount: 250}\n")
    return budget


async def test_what_is_left_to_pay_is_said_of_the_expected_only(
    facts: Catalog, credited: Path
) -> None:
    async with seat(None, lambda: facts, place="Budget", budget=credited) as here:
        await here.settle()
        assert "credits pay $250.00 of it as budgeted; $" in await here.press("m")
        high = await here.press("s")
        assert "credits pay $250.00 of it as budgeted\n" in high


async def test_budget_of_the_job_that_is_planned(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        await here.settle()
        assert "12,480 rows a run, 1 run a month" in await here.press("4")
        assert "12,480 rows a run, 4 runs a month" in await here.press("r")
        await here.press("1", "+")
        text = await here.press("4")
        assert "24,960 rows a run, 1 run a month" in text
        assert "bolt-one" in await here.press("right")


async def test_budget_opens_on_a_job_that_was_not_counted_yet(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts, place="Budget") as here:
        assert "acme-tall  figures given" in await here.settle()


async def test_budget_without_anything_offers_the_sample() -> None:
    from planner import catalog

    async with seat(None, catalog.load, place="Budget") as here:
        check("budget-empty", await here.sizes())
        assert "Support desk, the year ahead" in await here.press("b")


async def test_a_broken_budget_is_said_with_its_line(facts: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "budget.yaml"
    path.write_text(BUDGET.replace("acme-tall", "acme-tell"), encoding="utf-8")
    async with seat(None, lambda: facts, place="Budget", budget=path) as here:
        text = await here.settle()
        assert "did you mean acme-tall" in text
        assert ".yaml:10:" in text


# --- themes and help --------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark"])
async def test_another_theme_says_the_same(facts: Catalog, budget: Path, theme: str) -> None:
    async with seat(None, lambda: facts, place="Models", budget=budget) as here:
        await here.settle()
        before = [await here.press("escape"), await here.press("4")]
        here.app.theme = theme
        assert before == [await here.press("2"), await here.press("4")]


async def test_help_names_the_keys_and_the_command(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts, place="Budget") as here:
        await here.settle()
        text = await here.press("question_mark")
        assert "Runs a month: 1, 4, 22, 30" in text
        command = "planner estimate --rows 12480 --input-tokens 1180 --model acme-tall"
        assert "$ planner estimate --rows 12480" in text
        await here.press("y")
        assert here.app.clipboard == f"{command} --output-tokens 220 --deadline 6h"


async def test_every_place_has_a_command_that_is_read(
    facts: Catalog, budget: Path, ask: Ask
) -> None:
    async with seat(None, lambda: facts, place="Models", budget=budget) as here:
        for number in "1234":
            await here.press("escape", number)
            await here.press("f1", "y")
            program, *words = shlex.split(here.app.clipboard)
            assert program == "planner"
            assert ask(*words, "--help").exit_code == 0, words
            await here.press("escape")


async def test_a_click_on_a_key_is_that_key(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        text = await here.settle()
        for shown, deadline in (("]", 12), ("[", 6), ("Deadline", 12)):
            at = text.splitlines()[-1].index(shown)
            await here.pilot.click(offset=(at, 23))
            text = await here.settle()
            assert here.plan.session.inputs.deadline == deadline * HOUR
        await here.pilot.click(offset=(text.splitlines()[-1].index("? Help"), 23))
        text = await here.settle()
        row = next(n for n, line in enumerate(text.splitlines()) if "Esc closes" in line)
        await here.pilot.click(offset=(text.splitlines()[row].index("Esc"), row))
        assert "Esc closes" not in await here.settle()


async def test_a_key_that_is_typed_into_a_field_is_not_shown(facts: Catalog) -> None:
    """q would be a letter: there another one leaves, and says so."""
    async with seat(None, lambda: facts, place="Models") as here:
        assert "^q Quit" in await here.settle()
        assert " q Quit" in await here.press("escape")


def test_the_shipped_budget_is_there() -> None:
    assert sample.paths().budget.is_file()
