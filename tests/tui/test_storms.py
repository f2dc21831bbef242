"""Fast hands and a window that is dragged: nothing that is typed is lost, and nothing breaks."""

from __future__ import annotations

from functools import reduce
from random import Random
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.geometry import Size
from textual.keys import _character_to_key
from textual.widgets import Input, TextArea

from planner.job import Job, Output
from planner.tui import session
from planner.tui.asking import State
from planner.tui.session import Inputs
from tests.tui.frames import HOUR, SIZES, figures, seat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from planner.catalog import Catalog
    from tests.tui.frames import Seat

pytestmark = pytest.mark.anyio

DRAGGED = (*SIZES, (59, 24), (80, 15), (20, 6), (1, 1), (60, 16), (300, 90))
"""Sizes on the way, those among them that have no room for a screen."""

TEXT = "q quits, 1 2 3 4 go, ? helps, + - [ ] s x y z: here they are letters"


def storm(here: Seat, keys: Iterable[str], random: Random) -> None:
    """Keys in one go, none waited for, and the window moved between any two."""
    driver = here.app._driver
    assert driver is not None
    for key in keys:
        if random.random() < 0.3:
            size = Size(*random.choice(DRAGGED))
            setattr(driver, "_size", size)  # noqa: B010 -- what resize_terminal does, without a wait
            here.app.post_message(events.Resize(size, size))
        name = key if len(key) > 1 or key.isalnum() else _character_to_key(key)
        pressed = events.Key(name, key if len(key) == 1 else None)
        pressed.set_sender(here.app)
        driver.send_message(pressed)


async def calm(here: Seat) -> str:
    """The frame after it, at the least size that is designed for."""
    await here.settle()
    await here.pilot.resize_terminal(80, 24)
    return await here.settle()


FIELDS = {
    "a path": ("Plan", None, ()),
    "a filter": ("Models", None, ()),
    "a form": ("Plan", figures("acme-tall"), ("e", "tab", "tab", "ctrl+u")),
    "an export": ("Plan", figures("acme-tall"), ("x", "ctrl+u")),
}


@pytest.mark.parametrize("name", FIELDS)
async def test_what_is_typed_while_the_window_is_dragged_is_all_there(
    facts: Catalog, name: str
) -> None:
    place, job, keys = FIELDS[name]
    async with seat(job, lambda: facts, place=place) as here:
        await here.settle()
        await here.press(*keys)
        storm(here, TEXT, Random(name))
        await calm(here)
        field = here.app.focused
        assert isinstance(field, Input)
        assert field.value == TEXT


@pytest.mark.parametrize("place", ["Plan", "Jobs", "Budget"])
async def test_what_is_typed_on_the_way_to_the_filter_is_all_there(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """`2` and the words in one go: keys of the place that is left, and of the one that comes."""
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "data"))
    async with seat(figures("acme-tall"), lambda: facts, place=place) as here:
        await here.settle()
        storm(here, f"2{TEXT}", Random(place))
        await calm(here)
        field = here.app.focused
        assert isinstance(field, Input)
        assert field.value == TEXT
        assert "2 Models" in await here.settle()


async def test_a_template_that_is_typed_while_the_window_is_dragged_is_all_there(
    facts: Catalog, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text\none two\n", encoding="utf-8")
    job = Job(workload=rows, models=("acme-tall",), output=Output(tokens=5))
    async with seat(job, lambda: facts) as here:
        await here.settle()
        await here.press("p")
        storm(here, TEXT, Random(0))
        await calm(here)
        area = here.app.focused
        assert isinstance(area, TextArea)
        assert area.text == TEXT


STEPS = {
    "+": lambda inputs: session.doubled(inputs, 12480),
    "-": lambda inputs: session.halved(inputs, 12480),
    "[": session.sooner,
    "]": session.later,
}


@pytest.mark.parametrize("seed", range(3))
async def test_every_key_counts_however_fast_and_whatever_the_window_does(
    facts: Catalog, seed: int
) -> None:
    random = Random(seed)
    keys = random.choices(list(STEPS), k=60)
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        storm(here, keys, random)
        await calm(here)
        wanted = reduce(lambda inputs, key: STEPS[key](inputs), keys, Inputs(deadline=6 * HOUR))
        shown = here.plan.shown
        assert here.plan.session.inputs == wanted
        assert shown is not None
        assert shown.inputs == wanted


KEYS = (
    *("enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end"),
    *("pageup", "pagedown", "space", "backspace", "ctrl+u", "f1", "ctrl+p", "ctrl+s"),
    *"1234[]-+=0ceyupotabmr/?jkxsf.",
)
"""Everything but leaving, and what waits for a vendor."""


@pytest.mark.parametrize("seed", range(4))
async def test_no_row_of_keys_breaks_it(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A monkey at the keys: whatever it does is a state, and the next key is answered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "data"))
    random = Random(seed)
    async with seat(figures("acme-tall", "bolt-one"), lambda: facts) as here:
        await here.settle()
        storm(here, random.choices(KEYS, k=60), random)
        await calm(here)
        while len(here.app.screen_stack) > 1:
            await here.press("escape")
        await here.press("escape", "escape", "1")
        assert here.app.is_running
        assert here.state() in set(State)
        assert "1 Plan" in await here.settle()


OPENS = {
    "explanation": ("enter", "escape"),
    "help": ("question_mark", "escape"),
    "form": ("e", "escape"),
    "charts": ("c", "escape"),
    "export": ("x", "escape"),
    "palette": ("ctrl+p", "escape"),
    "taken": ("e", "enter"),
}


@pytest.mark.parametrize("name", OPENS)
async def test_what_is_open_may_be_closed_more_than_once(facts: Catalog, name: str) -> None:
    """A key that repeats is on its way before the first has closed anything."""
    key, close = OPENS[name]
    async with seat(figures("acme-tall"), lambda: facts) as here:
        before = await here.settle()
        await here.press(key)
        assert len(here.app.screen_stack) > 1
        storm(here, [close] * 4, Still())
        assert await here.settle() == before
        assert here.app.is_running


class Still(Random):
    """No window is moved."""

    def random(self) -> float:
        return 1.0
