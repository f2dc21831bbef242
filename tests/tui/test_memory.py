"""What is kept from one run to the next, and what a broken file does: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.tui import memory
from planner.tui.memory import FORGETFUL, MOST_RECENT, Kept, Remembered
from tests.tui.frames import seat

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.tui.memory import Memory

ONE = Remembered(path="/rows.csv", models=("a", "b"), deadline=3600.0, runs=22, prompt_file="/p")


def test_the_newest_is_first_and_each_file_is_there_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "deep" / "session.json")
    assert kept.recent() == ()
    for number in range(MOST_RECENT + 3):
        kept.remember(Remembered(path=f"/{number}.csv"))
    kept.remember(ONE)
    kept.remember(Remembered(path="/9.csv", models=("c",)))
    found = kept.recent()
    assert len(found) == MOST_RECENT
    assert found[:2] == (Remembered(path="/9.csv", models=("c",)), ONE)
    assert len({each.path for each in found}) == MOST_RECENT
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["session.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recent": 3}', '{"recent": [{"path": "/a"}]}'])
def test_a_file_that_is_not_ours_is_no_memory(tmp_path: Path, text: str) -> None:
    path = tmp_path / "session.json"
    path.write_text(text, encoding="utf-8")
    assert Kept(path).recent() == ()
    Kept(path).remember(ONE)
    assert Kept(path).recent() == (ONE,)


def test_a_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = Kept(tmp_path / "file" / "session.json")
    kept.remember(ONE)
    assert kept.recent() == ()
    kept.keep_theme("nord")
    assert kept.theme() is None


def test_a_theme_and_the_files_leave_each_other_alone(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    kept = Kept(path)
    assert kept.theme() is None
    kept.keep_theme("nord")
    kept.remember(ONE)
    kept.keep_theme("gruvbox")
    assert (kept.theme(), kept.recent()) == ("gruvbox", (ONE,))
    path.write_text('{"theme": 3}', encoding="utf-8")
    assert kept.theme() is None


async def chosen(facts: Catalog, kept: Memory, theme: str = "") -> tuple[str, set[str]]:
    """The theme of a run and the colours behind its text, after one is taken from the palette."""
    async with seat(None, lambda: facts, memory=kept) as here:
        await here.settle()
        if theme:
            here.app.search_themes()
            await here.settle()
            await here.type(theme)
            await here.press("down", "enter")
        strips = here.app.screen._compositor.render_strips(here.app.size)
        behind = {
            style.bgcolor.name
            for strip in strips
            for _, style, _ in strip
            if style is not None and style.bgcolor is not None
        }
        return here.app.theme, behind


async def test_a_theme_of_the_palette_is_the_next_run_s(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    kept = Kept(tmp_path / "session.json")
    first, dark = await chosen(facts, kept)
    assert kept.theme() is None, "the theme that it begins with was not chosen"
    name, light = await chosen(facts, kept, "textual-light")
    assert name == kept.theme() == "textual-light" != first
    assert await chosen(facts, kept) == (name, light)
    assert light != dark
    monkeypatch.setenv("NO_COLOR", "1")
    assert (await chosen(facts, kept))[0] == first
    assert (await chosen(facts, kept, "nord"))[0] == "nord"
    assert kept.theme() == name
    monkeypatch.delenv("NO_COLOR")
    kept.keep_theme("of another release")
    assert await chosen(facts, kept) == (first, dark)
    assert (await chosen(facts, FORGETFUL, "nord"))[0] == "nord"
    assert await chosen(facts, FORGETFUL) == (first, dark)


def test_a_setting_turns_it_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    memory.of_this_machine().remember(ONE)
    assert memory.of_this_machine().recent() == (ONE,)
    assert (tmp_path / "planner" / "session.json").is_file()
    monkeypatch.setenv("PLANNER_REMEMBER", "off")
    memory.of_this_machine().remember(Remembered(path="/other.csv"))
    assert memory.of_this_machine().recent() == ()
    monkeypatch.delenv("PLANNER_REMEMBER")
    assert memory.of_this_machine().recent() == (ONE,)
