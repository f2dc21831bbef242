"""The Plan screen as a person sees it: its states as text frames, its keys by what they change."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest

from planner import catalog, job, pipeline
from planner.errors import InputError
from planner.job import Job, Output, Text
from planner.tui.asking import State
from planner.tui.desk import Desk
from planner.tui.pictures import Drawing
from planner.tui.pieces import HEAT, Tone
from planner.tui.table import CURSOR
from planner.tui.widgets import Drawn, tone_class
from planner.workload.draws import StoppedError
from tests.answers import NOW
from tests.tui.frames import HOUR, changed, check, figures, line_with, seat
from tests.tui.looks import LEAST_CONTRAST, contrast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planner.catalog import Catalog
    from planner.pipeline import Measured
    from planner.workload.passes import Progress

pytestmark = pytest.mark.anyio

TOP, HEADING, BAND_TITLE, TITLES = 0, 1, 2, 5
BAND_FIGURES = {3, 4}
"""Lines of a frame of 80 x 24."""


# --- states -----------------------------------------------------------------------------


async def test_welcome(facts: Catalog) -> None:
    async with seat(None, lambda: facts) as here:
        check("welcome", await here.sizes())
        assert here.state() is State.WELCOME


async def test_answer(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts, closely=True) as here:
        check("answer", await here.sizes())


async def test_answer_without_deadline_or_named_models(facts: Catalog) -> None:
    async with seat(figures(deadline=None), lambda: facts) as here:
        check("no-deadline", await here.sizes())


async def test_nothing_meets(facts: Catalog) -> None:
    wanted = figures("acme-tall", "acme-small", rows=400_000, deadline=0.25 * HOUR)
    async with seat(wanted, lambda: facts) as here:
        text = await here.sizes()
        check("nothing-meets", text)
        assert "NOTHING MEETS 15m at 95 %" in text
        assert "would do: due in" in text


async def test_what_is_not_known_is_not_said_to_miss(facts: Catalog) -> None:
    async with seat(figures("bolt-one"), lambda: facts) as here:
        assert "NOTHING IS KNOWN TO MEET 6h at 95 %" in await here.settle()


async def test_broken_row(facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(
        '{"q": "one"}\n{"q": "two"\n{"q": "three"}\n', encoding="utf-8"
    )
    async with seat(Job(workload=Path("rows.jsonl"), models=("acme-tall",)), lambda: facts) as here:
        text = await here.sizes()
        assert here.state() is State.FAILED
        check("broken-row", text)
        await here.pilot.resize_terminal(80, 24)
        text = await here.press("b")
        assert here.state() is State.ANSWERED
        assert "2 rows, 1 unreadable left out" in text


async def test_counting_shows_progress_and_stops(facts: Catalog, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("x" * 1000, encoding="utf-8")
    stopped = Event()

    def slow(_: Catalog, __: Job, progress: Progress | None) -> Measured:
        assert progress is not None
        try:
            while not stopped.wait(0.02):
                progress(420, 420)
        finally:
            stopped.set()
        raise AssertionError

    async with seat(Job(workload=rows), lambda: facts, measure=slow) as here:
        await here.sees("420 rows")
        check("counting", await here.sizes(workers=False))
        await here.press("escape")
        assert stopped.is_set()
        assert here.state() is State.WELCOME


async def test_a_closer_count_behind_the_answer(
    facts: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first estimate stands, and says that it may still move; Esc keeps it."""

    def held(
        desk: Desk, job: Job, progress: Progress, stop: Callable[[], bool]
    ) -> Iterator[tuple[Measured, bool]]:
        yield desk.measure(job, progress), False
        while not stop():
            Event().wait(0.02)
        raise StoppedError

    monkeypatch.setattr(Desk, "counts", held)
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.sees("counting more closely")
        text = await here.sizes(workers=False)
        check("tightening", text)
        assert "Esc stops" in text.splitlines()[2]
        text = await here.press("escape")
        assert here.state() is State.ANSWERED
        assert "counting more closely" not in text
        assert "Esc Stop" not in text


async def test_explanation_and_help(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("enter")
        check("explanation", await here.sizes())
        await here.press("escape")
        await here.press("question_mark")
        check("help", await here.sizes())
        await here.press("escape")
        assert len(here.app.screen_stack) == 1


async def test_edit_form(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("e")
        check("edit", await here.sizes())
        await here.press("ctrl+u", *"soon", "enter")
        check("edit-refused", await here.sizes())


async def test_figures_form(facts: Catalog) -> None:
    async with seat(None, lambda: facts) as here:
        await here.settle()
        await here.press("escape", "t")
        check("figures", await here.sizes())


async def test_command_palette(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("ctrl+p")
        check("palette", await here.sizes())
        await here.press(*"twice")
        await here.press("enter")
        assert "24,960 rows instead of 12,480" in await here.press("enter")


async def test_too_small(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        frames = []
        for width, height in ((59, 24), (80, 15), (20, 6)):
            await here.pilot.resize_terminal(width, height)
            frames.append(f"{width}x{height}\n{await here.settle()}")
        check("too-small", "\n\n".join(frames))
        await here.pilot.resize_terminal(59, 16)
        assert "planner needs 60 x 16" in await here.settle()
        await here.pilot.resize_terminal(60, 15)
        assert "this terminal has 60 x 15" in " ".join((await here.settle()).split())
        await here.pilot.resize_terminal(60, 16)
        text = await here.settle()
        assert "planner needs" not in text
        assert "95 % by" in text


async def test_sample_on_the_shipped_catalog(tmp_path: Path) -> None:
    """The real facts, without a golden: a price may change on any day, an answer may not go."""
    sample = job.shipped_sample(Job()).at_deadline(6 * HOUR, NOW)
    async with seat(sample, lambda: catalog.load(cache=tmp_path)) as here:
        text = await here.sizes()
        assert here.state() is State.ANSWERED
        assert "tickets.csv  70 rows" in text
        assert "due in 6h (18:00 UTC)" in text
        assert "oldest source" in text


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
async def test_every_tone_can_be_read_in_both_kinds_of_theme(facts: Catalog, theme: str) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        here.app.theme = theme
        await here.settle()
        await here.press("c")
        drawings = here.app.screen.query(Drawn)
        for drawn in (*here.plan.query(Drawn), *drawings):
            for tone in Tone:
                if tone in HEAT and not isinstance(drawn, Drawing):
                    continue
                style = drawn.get_visual_style(tone_class(tone))
                assert style.background is not None
                shown = contrast(style.background + style.foreground, style.background)
                assert shown >= LEAST_CONTRAST, (theme, drawn, tone)


# --- keys -------------------------------------------------------------------------------


async def test_deadline_keys_move_the_deadline_and_what_hangs_on_it(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        before = await here.settle()
        assert "due in 6h (18:00 UTC)" in before
        assert "P≤6h" in before
        after = await here.press("[")
        assert "due in 4h (16:00 UTC)" in after
        assert "P≤4h" in after
        assert {HEADING, *BAND_FIGURES, TITLES} <= changed(before, after)
        assert not {TOP, BAND_TITLE} & changed(before, after)
        heap = line_with(before, " heap ", "! at risk")
        assert line_with(after, " heap ", "! at risk") != heap, "another probability, another strip"
        assert line_with(after, "quick")[:30] == line_with(before, "quick")[:30], "cost stands"
        assert "due in 6h (18:00 UTC)" in await here.press("]")


async def test_deadline_goes_to_none_and_back(facts: Catalog) -> None:
    async with seat(figures("acme-tall", deadline=3 * 24 * HOUR), lambda: facts) as here:
        await here.settle()
        text = await here.press("]")
        assert "no deadline" in text
        assert "P≤" not in text
        assert text == await here.press("]")
        assert "due in 3d" in await here.press("[")


async def test_volume_keys_scale_cost_without_the_file(facts: Catalog) -> None:
    measured = 0

    def counted(*arguments: object) -> Measured:
        nonlocal measured
        measured += 1
        return pipeline.measure(*arguments)  # type: ignore[arg-type]

    async with seat(figures("acme-tall"), lambda: facts, measure=counted) as here:
        before = await here.settle()
        assert "$113.82" in line_with(before, " plain ")
        after = await here.press("+")
        assert "24,960 rows instead of 12,480" in after
        assert "$227.64" in line_with(after, " plain ")
        assert "6,240 rows instead of 12,480" in await here.press("-", "-")
        assert "instead of" not in await here.press("0")
        assert await here.press("-", "+") == (await here.press("u", "u"))
        assert measured == 1


async def test_undo_goes_back_step_by_step(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        first = await here.settle()
        second = await here.press("[")
        await here.press("+")
        assert [line for line in (await here.press("u")).splitlines() if "Undo" not in line] == [
            line for line in second.splitlines() if "Undo" not in line
        ]
        assert await here.press("u") == first
        assert await here.press("u") == first


async def test_fast_keys_lose_nothing(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.pilot.press(*"++++[[[")
        text = await here.settle()
        assert "199,680 rows instead of 12,480" in text
        assert "due in 60m" in text
        assert "P≤60m" in text


async def test_the_band_follows_the_cursor_from_model_to_model(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        before = await here.settle()
        assert "on bolt-one" in await here.press("tab") or "on bolt-one" in before
        both = {before, await here.press("tab")}
        assert any("on acme-tall" in text for text in both)


async def test_the_cursor_walks_over_every_option(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "acme-small"), lambda: facts) as here:
        await here.settle()
        matrix = here.matrix
        assert matrix.table is not None
        ids = [row.id for row in matrix.table.rows]
        await here.press("home")
        walked = [matrix.cursor]
        for _ in ids[1:]:
            await here.press("down")
            walked.append(matrix.cursor)
        assert walked == ids
        await here.press("down")
        assert matrix.cursor == ids[-1]


async def test_the_cursor_stays_in_sight(facts: Catalog) -> None:
    async with seat(figures(), lambda: facts, size=(60, 16)) as here:
        await here.settle()
        for key in ("end", "home", "end"):
            text = await here.press(key)
            assert sum(line.startswith(CURSOR) for line in text.splitlines()) == 1
        await here.pilot.resize_terminal(100, 20)
        text = await here.settle()
        assert sum(line.startswith(CURSOR) for line in text.splitlines()) == 1


async def test_a_click_moves_the_cursor_and_a_second_one_explains(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "acme-small"), lambda: facts) as here:
        text = await here.settle()
        line = next(n for n, each in enumerate(text.splitlines()) if " quick " in each)
        await here.pilot.click(offset=(8, line))
        assert CURSOR in (await here.settle()).splitlines()[line][:1]
        assert here.matrix.cursor == "acme-tall/quick"
        await here.pilot.click(offset=(8, line))
        assert "acme-tall/quick ─" in await here.settle()


async def test_a_click_on_a_model_goes_to_its_choice(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        text = await here.settle()
        line = next(n for n, each in enumerate(text.splitlines()) if each.startswith(" bolt-one"))
        await here.pilot.click(offset=(3, line))
        assert "on bolt-one" in await here.settle()


async def test_a_gate_is_said_of_the_row_under_the_cursor(facts: Catalog) -> None:
    async with seat(figures("bolt-chat"), lambda: facts) as here:
        await here.settle()
        text = await here.press("end")
        assert "✗ cannot" in line_with(text, CURSOR)
        assert "bolt-chat/heap: bolt-chat is not offered" in text


# --- typing -----------------------------------------------------------------------------


async def test_edit_takes_deadline_rows_and_models(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("e")
        await here.pilot.press("ctrl+u", *"tomorrow 18:00", "tab", "ctrl+u", *"1_000")
        text = await here.press("enter")
        assert "1,000 rows instead of 12,480" in text
        assert "due in 30h" in text
        await here.press("e", "tab", "tab")
        await here.pilot.press("ctrl+u", *"acme-small")
        text = await here.press("enter")
        assert "on acme-small" in text
        assert "1,000 rows instead of 12,480" in text


async def test_edit_refuses_what_cannot_be_read_and_keeps_the_text(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("e")
        await here.pilot.press("ctrl+u", *"soon")
        text = await here.press("enter")
        assert "cannot be read" in text
        assert "soon" in text
        await here.press("tab", "tab")
        await here.pilot.press("ctrl+u", *"acme-taller", "shift+tab", "shift+tab", "ctrl+u")
        text = await here.press("enter")
        assert "did you mean acme-tall" in text
        assert "due in 6h" in await here.press("escape")


async def test_welcome_opens_a_file(facts: Catalog, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text\none two three\nfour\n", encoding="utf-8")
    async with seat(None, lambda: facts) as here:
        await here.settle()
        await here.type(str(rows))
        text = await here.press("enter")
        assert "rows.csv  2 rows" in text
        await here.press("o")
        await here.pilot.press("ctrl+u")
        await here.type(str(tmp_path / "row.csv"))
        text = await here.press("enter")
        assert "there is no such file" in text
        assert "did you mean rows.csv" in text
        assert here.state() is State.FAILED


async def test_welcome_opens_the_sample_on_one_key(facts: Catalog) -> None:
    async with seat(None, lambda: facts) as here:
        await here.settle()
        assert "tickets.csv  70 rows" in await here.press("enter")


async def test_welcome_takes_figures(facts: Catalog) -> None:
    async with seat(None, lambda: facts) as here:
        await here.settle()
        await here.press("escape", "t")
        await here.type("12,480")
        await here.pilot.press("tab", *"1180", "tab", *"220", "tab", *"6h", "tab", *"acme-tall")
        text = await here.press("enter")
        assert "figures given  12,480 rows" in text
        assert "$113.82" in text


async def test_letters_go_into_the_field_and_quit_nothing(facts: Catalog) -> None:
    async with seat(None, lambda: facts) as here:
        await here.settle()
        text = await here.press(*"quest?")
        assert "quest?" in text
        assert here.app.is_running
        assert "  q Quit" not in text
        assert "  q Quit" in await here.press("escape")


async def test_a_prompt_that_is_missing_can_be_typed(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(
        "a,b\nsome words here,some other words\n" * 3, encoding="utf-8"
    )
    async with seat(Job(workload=Path("rows.csv"), models=("acme-tall",)), lambda: facts) as here:
        text = await here.sizes()
        assert here.state() is State.FAILED
        check("columns", text)
        await here.pilot.resize_terminal(80, 24)
        text = await here.press("p")
        assert "columns: {{ a }}  {{ b }}" in text
        await here.pilot.press(*"Say ", "tab")
        assert "Say some words here" in await here.settle()
        await here.press("ctrl+s")
        assert here.state() is State.ANSWERED
        assert here.plan.job is not None
        assert here.plan.job.prompt == Text(text="Say {{ a }}", name="prompt")


# --- what goes wrong --------------------------------------------------------------------


async def test_a_broken_pricing_file_is_said(facts: Catalog) -> None:
    def broken() -> Catalog:
        raise InputError.of("bad-price", "the price is not a number", where="acme.yaml:7")

    for job_ in (figures(), None):
        async with seat(job_, broken) as here:
            text = await here.sizes()
            assert here.state() is State.FAILED
            assert "the price is not a number" in text
            assert "acme.yaml:7" in text
            if job_ is not None:
                check("broken-prices", text)


async def test_a_form_on_a_broken_pricing_file_says_so(facts: Catalog) -> None:
    """The catalog is asked when the form is taken: that is no crash, and nothing is lost."""
    broken = True

    def loader() -> Catalog:
        if broken:
            raise InputError.of("bad-price", "the price is not a number", where="acme.yaml:7")
        return facts

    async with seat(figures(), loader) as here:
        await here.settle()
        await here.press("e")
        await here.press("ctrl+u", *"12h", "enter")
        assert "the price is not a number" in await here.settle()
        broken = False
        assert "due in 12h" in await here.press("enter")
    broken = True
    async with seat(None, loader) as here:
        await here.settle()
        await here.press("escape", "escape", "t")
        await here.press(*"100", "tab", *"50", "tab", *"10", "enter")
        assert "the price is not a number" in await here.settle()


async def test_words_of_a_file_are_no_markup(facts: Catalog, tmp_path: Path) -> None:
    rows = tmp_path / "[red]rows[b].jsonl"
    rows.write_text('{"q": "one"}\n', encoding="utf-8")
    wanted = Job(workload=rows, models=("acme-tall",), output=Output(tokens=5))
    async with seat(wanted, lambda: facts) as here:
        assert "[red]rows[b].jsonl" in await here.settle()
