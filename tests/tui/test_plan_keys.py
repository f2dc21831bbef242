"""What the Plan screen opens, writes, remembers and takes back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from threading import Event
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.widgets import Input

from planner import pipeline
from planner.handoff import plan as plans
from planner.job import Job, Output, Text
from planner.tui.asking import State
from planner.tui.memory import Kept, Remembered
from planner.tui.welcome import completed
from planner.workload.draws import StoppedError
from tests.answers import NOW
from tests.tui.frames import HOUR, PATIENCE, check, figures, line_with, seat

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.pipeline import Measured
    from planner.workload.passes import Progress

pytestmark = pytest.mark.anyio


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "one two three\nfour five\n" * 40, encoding="utf-8")
    return path


def answering(rows: Path, *models: str) -> Job:
    """A job of a file whose answers are known."""
    job = Job(workload=rows, models=models or ("acme-tall",), output=Output(tokens=5))
    return job.at_deadline(6 * HOUR, NOW)


# --- charts -----------------------------------------------------------------------------


async def test_charts(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        await here.settle()
        await here.press("c")
        check("charts", await here.sizes())


async def test_charts_answer_the_keys_of_the_screen_below(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        await here.settle()
        before = await here.press("c")
        assert "[R  $61.15]" in before
        assert re.search(r"\[P +\$113\.82\]", await here.press(*"[[[["))
        assert before == await here.press(*"uuuu")
        assert line_with(await here.press("tab"), "bolt-one", "wanted")
        await here.press("escape")
        assert "on bolt-one" in await here.settle()
        assert here.plan.pictured is False


async def test_another_model_is_offered_where_there_is_one(facts: Catalog) -> None:
    for models, offered in ((("acme-tall",), False), (("acme-tall", "bolt-one"), True)):
        async with seat(figures(*models), lambda: facts) as here:
            await here.settle()
            before = await here.press("c")
            assert ("Tab Model" in before) is offered
            assert (before != await here.press("tab")) is offered


async def test_charts_scroll_to_their_ends(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        top = await here.press("c")
        last = await here.press("end")
        assert "prompt tokens a row" in last
        assert "wanted" not in last
        assert last == await here.press("down"), "there is no more"
        assert top == await here.press("home")


async def test_charts_hand_out_the_command_of_what_they_show(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts, notifications=True) as here:
        await here.settle()
        await here.press("c", "]")
        assert "Copied" in await here.press("y")
        assert here.app.clipboard == f"{here.plan.CLI_TWIN} --map"
        assert "--deadline 12h" in here.app.clipboard
        text = await here.press("question_mark")
        assert "Help" in text
        assert "--map" in text
        assert len(here.app.screen_stack) == 3


# --- out of the screen ------------------------------------------------------------------


async def test_copy_is_the_command_line_s_markdown(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts, notifications=True) as here:
        await here.settle()
        text = await here.press("y")
        assert "Copied" in text
        assert here.app.clipboard.startswith("**acme-tall**: acme-tall/heap>plain at $61.15")
        assert "| heap>plain | $61.15 |" in here.app.clipboard


async def test_export_sheet(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("x")
        check("export", await here.sizes())


async def test_export_writes_what_the_ending_says(
    facts: Catalog, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rows.parent)
    async with seat(answering(rows), lambda: facts, notifications=True) as here:
        await here.settle()
        text = await here.press("x")
        assert "▶ .md" in text
        assert "$ planner estimate" in text
        assert "Written" in await here.press("enter")
        assert (rows.parent / "rows.md").read_text(encoding="utf-8").startswith("**acme-tall**")
        assert "rows-2.md" in await here.press("x")
        await here.pilot.press("ctrl+u")
        await here.type("rows.md")
        assert "is there already" in await here.press("enter")
        await here.pilot.press("ctrl+u")
        await here.type("rows.plan.yaml")
        assert "planner plan" in await here.settle()
        await here.press("enter")
        option = here.plan.option_id
        assert plans.read(rows.parent / "rows.plan.yaml").choice.option == option


async def test_the_mark_of_a_kind_moves_and_the_name_goes_with_it(
    facts: Catalog, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rows.parent)
    async with seat(answering(rows), lambda: facts) as here:

        async def marked(*keys: str) -> tuple[str, str]:
            text = await here.press(*keys)
            kind = line_with(text, "▶ .").split("▶ ")[1].split()[0]
            return kind, here.app.screen.query_one(Input).value

        await here.settle()
        (rows.parent / "rows.md").touch()
        assert await marked("x") == (".md", "rows-2.md")
        assert await marked("down") == (".csv", "rows-2.csv")
        assert await marked("tab", "tab") == (".txt", "rows-2.txt")
        assert await marked("shift+tab", "up") == (".csv", "rows-2.csv")
        assert await marked("up", "up") == (".plan.yaml", "rows-2.plan.yaml")
        assert await marked("down", "home", "a") == (".md", "arows-2.md")
        assert await marked("down", "b") == (".csv", "abrows-2.csv"), "typed where it was"
        assert await marked("end", "ctrl+u", *"n.pdf", "up") == (".plan.yaml", "n.pdf.plan.yaml")
        lines = (await here.settle()).splitlines()
        at = next(n for n, line in enumerate(lines) if ".json" in line)
        await here.pilot.click(offset=(lines[at].index("everything"), at))
        assert await marked() == (".json", "n.pdf.json")
        await here.press("enter")
        assert (rows.parent / "n.pdf.json").read_text(encoding="utf-8").startswith("{")


async def test_a_key_right_after_the_one_that_opens_the_sheet_moves_the_mark(
    facts: Catalog,
) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        assert "▶ .json" in await here.press("x", "down", "tab")


async def test_a_picture_is_of_the_screen_not_of_the_sheet(facts: Catalog, tmp_path: Path) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("x")
        await here.pilot.press("ctrl+u")
        await here.type(str(tmp_path / "screen.svg"))
        await here.press("enter")
        text = (tmp_path / "screen.svg").read_text(encoding="utf-8")
        assert "<svg" in text
        assert "acme-tall" in text
        assert "Esc&#160;writes" not in text


# --- undo -------------------------------------------------------------------------------


async def test_ticks_and_edits_are_taken_back_without_the_file(facts: Catalog, rows: Path) -> None:
    measured = 0

    def counted(*arguments: object) -> Measured:
        nonlocal measured
        measured += 1
        return pipeline.measure(*arguments)  # type: ignore[arg-type]

    async with seat(answering(rows), lambda: facts, measure=counted) as here:
        first = await here.settle()
        here.plan.take_models(("acme-small", "bolt-one"))
        ticked = await here.settle()
        assert " bolt-one" in ticked
        await here.press("e", "tab", "tab", "tab", "tab")
        await here.type("22")
        assert "a month" in await here.press("enter")
        assert measured == 2
        assert [line for line in (await here.press("u")).splitlines() if "Undo" not in line] == [
            line for line in ticked.splitlines() if "Undo" not in line
        ]
        assert await here.press("u") == first
        assert measured == 2, "what was counted is kept"


# --- a count that is stopped ------------------------------------------------------------


async def test_esc_keeps_what_was_counted(facts: Catalog, rows: Path) -> None:
    def partly(known: Catalog, job: Job, progress: Progress | None) -> Measured:
        assert progress is not None
        try:
            while not Event().wait(0.02):
                progress(420, 420)
        except StoppedError:
            pass
        return pipeline.measure(known, job)

    async with seat(answering(rows), lambda: facts, measure=partly) as here:
        await here.sees("420 rows so far")
        assert here.state() is State.COUNTING
        await here.pilot.press("escape")
        text = await here.settle()
        assert here.state() is State.ANSWERED
        assert "rows.csv" in text


async def test_quitting_ends_the_count(facts: Catalog, rows: Path) -> None:
    ended = Event()

    def endless(_: Catalog, __: Job, progress: Progress | None) -> Measured:
        assert progress is not None
        try:
            while not Event().wait(0.02):
                progress(420, 420)
        finally:
            ended.set()
        raise AssertionError

    async with seat(answering(rows), lambda: facts, measure=endless) as here:
        await here.sees("420 rows so far")
        await here.pilot.press("q")
    assert ended.wait(PATIENCE)


# --- from one run to the next -----------------------------------------------------------


async def test_the_next_run_goes_on_with_the_last_question(facts: Catalog, rows: Path) -> None:
    memory = Kept(rows.parent / "state" / "session.json")
    job = replace(answering(rows, "acme-small"), prompt=Text(text="{{ text }}", name="prompt"))
    async with seat(job, lambda: facts, memory=memory) as here:
        await here.settle()
        await here.press("]")
    kept = memory.recent()
    assert [each.path for each in kept] == [str(rows)]
    assert kept[0].deadline == 12 * HOUR
    async with seat(None, lambda: facts, memory=memory) as here:
        assert "go on with the newest of these" in await here.settle()
        text = await here.press("enter")
        assert "due in 12h" in text
        assert "on acme-small" in text


async def test_the_arrows_walk_over_the_last_files(facts: Catalog, tmp_path: Path) -> None:
    memory = Kept(tmp_path / "session.json")
    for name in ("/old.csv", "/new.csv"):
        memory.remember(Remembered(path=name))
    async with seat(None, lambda: facts, memory=memory) as here:
        check("welcome-recent", await here.sizes())
        field = here.plan.query_one("#path")
        seen = []
        for key in ("down", "down", "down", "up"):
            await here.press(key)
            seen.append(getattr(field, "value"))  # noqa: B009 -- whatever kind of field it is
        assert seen == ["/new.csv", "/old.csv", "", "/old.csv"]


async def test_tab_completes_a_path(facts: Catalog, rows: Path) -> None:
    async with seat(None, lambda: facts) as here:
        await here.settle()
        await here.type(str(rows)[:-3])
        await here.press("tab")
        assert "rows.csv  80 rows" in await here.press("enter")


def test_a_path_is_completed_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.csv").touch()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert completed("fo") == "folder/"
    assert completed("f") == "file.csv"
    assert completed(f"{tmp_path}/fi") == f"{tmp_path}/file.csv"
    assert completed("~/fi") == "~/file.csv"
    assert completed("nothing") is None
    assert completed(f"{tmp_path}/") is None
    assert completed("") is None
    assert completed("missing/x") is None


# --- states -----------------------------------------------------------------------------


async def test_a_day_before_there_was_a_price(facts: Catalog) -> None:
    wanted = figures("acme-tall", deadline=None)
    async with seat(wanted, lambda: facts, on=date(2025, 12, 1)) as here:
        text = await here.sizes()
        check("no-price", text)
        assert "NO LANE CAN RUN THIS" in text


async def test_what_nobody_says_stays_unknown(facts: Catalog) -> None:
    """No limit is published, and no price of one lane: neither is a nought."""
    async with seat(figures("cast-wide"), lambda: facts) as here:
        text = await here.sizes()
        check("unknown", text)
        assert "$0" not in text


async def test_a_stale_catalog_is_said(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts, on=date(2027, 8, 1)) as here:
        text = await here.sizes()
        check("stale", text)
        assert "! source " in text


async def test_a_light_theme_draws_the_same_characters(facts: Catalog) -> None:
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        await here.settle()
        await here.press("c")
        dark = await here.sizes()
        here.app.theme = "textual-light"
        assert await here.sizes() == dark


@pytest.mark.parametrize("no_color", ["1", None])
async def test_nothing_is_said_by_colour_alone(
    facts: Catalog, monkeypatch: pytest.MonkeyPatch, no_color: str | None
) -> None:
    if no_color is None:
        monkeypatch.delenv("NO_COLOR", raising=False)
    else:
        monkeypatch.setenv("NO_COLOR", no_color)
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        await here.settle()
        await here.press("c")
        check("charts", await here.sizes())


async def test_template_editor(facts: Catalog, rows: Path) -> None:
    async with seat(answering(rows), lambda: facts) as here:
        await here.settle()
        await here.press("p")
        check("template", await here.sizes())


async def test_what_is_typed_while_a_form_opens_goes_into_its_fields(facts: Catalog) -> None:
    """All at once, as from somebody who knows the form by heart."""
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        for key, letter in (("e", "e"), ("tab", None), ("9", "9"), ("5", "5"), ("tab", None)):
            here.app.post_message(events.Key(key, letter))
        text = await here.settle()
        assert line_with(text, "rows   ").split("│")[1].split() == ["rows", "95"]
        focused = here.app.screen.focused
        assert isinstance(focused, Input)
        assert focused.value == "acme-tall"
        await here.press("enter")
        assert "95 rows instead of 12,480" in await here.settle()


async def test_models_that_are_ticked_before_there_is_a_job_wait_for_it(
    facts: Catalog, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text\none two three\nfour\n", encoding="utf-8")
    async with seat(None, lambda: facts, place="Models") as here:
        await here.settle()
        await here.type("bolt")
        await here.press("escape", "space", "p")
        text = await here.settle()
        assert "It is asked of the ticked models: bolt/bolt-one." in text
        await here.type(str(rows))
        text = await here.press("enter")
        assert " bolt-one  " in text
        assert "acme" not in text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("]",) * 6, "there is no deadline: [ sets one"),
        (("[",) * 6, "no key goes below this deadline"),
        (("-",) * 16, "there are no fewer rows"),
    ],
)
async def test_a_key_at_the_end_of_its_ladder_says_so(
    facts: Catalog, keys: tuple[str, ...], said: str
) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        for key in keys:
            await here.press(key)
        assert [each.message for each in here.app._notifications] == [f"{said}; e types another"]


async def test_a_click_on_a_line_that_names_a_key_is_that_key(
    facts: Catalog, tmp_path: Path
) -> None:
    """Also where the key itself would go into the field."""
    rows = tmp_path / "rows.csv"
    rows.write_text("text\none two three\n", encoding="utf-8")
    memory = Kept(tmp_path / "session.json")
    memory.remember(Remembered(path=str(rows), models=("acme-tall",)))
    async with seat(None, lambda: facts, memory=memory) as here:
        for said, seen in (
            ("no file: type rows", "Figures instead"),
            (str(rows)[:9], "rows.csv  1 row"),
        ):
            lines = (await here.settle()).splitlines()
            at = next(n for n, line in enumerate(lines) if said in line)
            await here.pilot.click(offset=(lines[at].index(said), at))
            assert seen in await here.settle()
            await here.press("escape")
