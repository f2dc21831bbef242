"""How screens look in every theme and without colour: the same characters, all of them readable.

The goldens hold a frame, a letter for each of its cells, and how that letter is drawn on a dark,
a light and the terminal's own palette, and where NO_COLOR is set.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from textual.widgets import Input

from planner.job import Job
from planner.tui.pictures import Drawing
from planner.tui.pieces import HEAT
from planner.tui.widgets import tone_class
from tests.answers import NOW
from tests.tui import looks
from tests.tui.books import ROWS, planned
from tests.tui.frames import HOUR, check, figures, seat
from tests.tui.looks import LEAST_CONTRAST

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from planner.catalog import Catalog
    from tests.tui.books import Book
    from tests.tui.frames import Seat
    from tests.tui.looks import Cell

    Frame = list[list[Cell]]

pytestmark = pytest.mark.anyio

THEMES = ("textual-dark", "textual-light", "ansi-dark")
BARE = "NO_COLOR"


class Scene(NamedTuple):
    """A screen, and the keys that lead to it."""

    place: str = "Plan"
    keys: tuple[str, ...] = ()
    job: Job | None = figures("acme-tall", "bolt-one")


SCENES = {
    "answer": Scene(),
    "nothing-meets": Scene(job=figures("acme-tall", rows=400_000, deadline=0.25 * HOUR)),
    "charts": Scene(keys=("c",)),
    "edit": Scene(keys=("e",)),
    "broken-row": Scene(job=Job(models=("acme-tall",))),
    "models": Scene("Models", ("escape", "space", "down")),
    "evidence": Scene("Models", ("up", "enter")),
    "budget": Scene("Budget", ("right",), job=None),
    "jobs": Scene("Jobs"),
}
"""One of each kind: figures, verdicts, a map, a form, a failure, marks, a sheet, jobs."""


@pytest.fixture
def jobs(book: Book) -> Book:
    """One that goes on, and one that stopped with rows that failed."""
    going = book.job(planned("tickets.jsonl"))
    stopped = book.job(planned("evals.jsonl", max_output_tokens=64))
    for each, counts in ((going, {}), (stopped, {"errored": 3})):
        for shard in (0, 1):
            book.send(each, shard)
        book.end(each, 0, 20, succeeded=ROWS // 2 - sum(counts.values()), **counts)
    book.ledger.settle(stopped, "stopped", NOW, because="credit balance is too low")
    return book


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Named as from beside it: a golden knows no folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("rows.jsonl")
    path.write_text('{"q": "one"}\n{"q": "two"\n', encoding="utf-8")
    return path


class Theatre(NamedTuple):
    """What scenes are made of."""

    facts: Catalog
    budget: Path
    broken: Path

    def opened(self, scene: Scene) -> AbstractAsyncContextManager[Seat]:
        """An app in which the scene can be played."""
        job, budget = scene.job, self.budget if scene.place == "Budget" else None
        if job is not None and job.rows is None:
            job = replace(job, workload=self.broken)
        return seat(job, lambda: self.facts, place=scene.place, budget=budget)

    async def seen(self, scene: Scene, themes: tuple[str, ...]) -> tuple[str, dict[str, Frame]]:
        """Its text, which on top is the same in all themes, and its cells in each."""
        found: dict[str, Frame] = {}
        texts: dict[str, str] = {}
        async with self.opened(scene) as here:
            await here.settle()
            await here.press(*scene.keys)
            for field in here.app.screen.query(Input):
                field.cursor_blink = False
            for theme in themes:
                here.app.theme = theme
                whole = await here.settle()
                found[theme] = looks.cells(here.app)
                top = looks.on_top(here.app, found[theme])
                texts.setdefault("".join(cell.text for cell in top), whole)
                assert not unread(top), theme
        assert len(texts) == 1, "a theme moves no character"
        return texts.popitem()[1], found


@pytest.fixture
def theatre(facts: Catalog, budget: Path, broken: Path, jobs: Book) -> Theatre:
    jobs.ledger.close()
    return Theatre(facts, budget, broken)


def unread(cells: list[Cell]) -> set[tuple[str, str]]:
    """What is too pale to be read."""
    return {(cell.text, cell.said) for cell in cells if cell.contrast < LEAST_CONTRAST}


@pytest.mark.parametrize("name", SCENES)
async def test_a_screen_in_every_theme(
    name: str, theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BARE)
    text, found = await theatre.seen(SCENES[name], THEMES)
    monkeypatch.setenv(BARE, "1")
    without, bare = await theatre.seen(SCENES[name], THEMES[:1])
    assert without == text, "every character is there without colour"
    found[BARE] = bare[THEMES[0]]
    assert all(cell.is_grey for line in found[BARE] for cell in line)
    check(f"looks-{name}", f"{text}\n\n{looks.together(found)}")


# --- to every eye -----------------------------------------------------------------------

EYES = {
    "no red cones": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "no green cones": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "no blue cones": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
    "all cones": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
"""Machado, Oliveira, Fernandes 2009, a physiologically-based model for simulation of color vision
deficiency, severity 1.0."""

LEAST_STEP = 1.4
"""Contrast between two neighbouring shades of a map."""


@pytest.mark.parametrize("eye", EYES)
async def test_the_shades_of_a_map_are_told_apart_by_every_eye(facts: Catalog, eye: str) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("c")
        drawing = here.app.screen.query(Drawing).first()
        papers = [drawing.get_visual_style(tone_class(tone)).background for tone in HEAT]
    light = []
    for paper in papers:
        assert paper is not None
        parts = looks.linear(paper)
        seen = [sum(m * p for m, p in zip(row, parts, strict=True)) for row in EYES[eye]]
        light.append(looks.luminance_of([max(each, 0.0) for each in seen]))
    assert all((after + 0.05) / (before + 0.05) >= LEAST_STEP for before, after in pairwise(light))


MEANS = ("good", "warn", "bad")


async def test_no_two_meanings_differ_in_colour_alone(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark or word that is good in one place is bad in none: without colour it says as much."""
    monkeypatch.delenv(BARE)
    said: dict[str, set[str]] = {each: set() for each in MEANS}
    for scene in SCENES.values():
        async with theatre.opened(scene) as here:
            await here.settle()
            await here.press(*scene.keys)
            for name, words in looks.words(here.app, MEANS).items():
                said[name] |= words
    assert {"✓ meets", "● yes"} <= said["good"]
    assert {"! at risk", "? unknown"} <= said["warn"]
    assert {"✗ cannot", "○ no", "! stopped"} <= said["bad"]
    for one, other in (("good", "warn"), ("good", "bad"), ("warn", "bad")):
        assert not said[one] & said[other]
