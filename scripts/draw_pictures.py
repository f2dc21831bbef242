"""Draw docs/pictures/*.svg: the screens as they are, from the program itself.

    python -m scripts.draw_pictures

On the shipped facts, sample and budget, at noon of one day: the same facts draw the same bytes.
A picture taken by hand would show last month's screen and nobody would notice.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from planner import catalog, job, sample
from planner.job import Job
from planner.tui.app import PlannerApp
from planner.tui.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.pilot import Pilot

TARGET = Path(__file__).parents[1] / "docs" / "pictures"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIZE = (100, 28)
STILL = 3
"""Equal frames in a row after which nothing is left to happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A place, and the keys that lead to what is shown there."""

    name: str
    place: str
    keys: tuple[str, ...] = ()
    job: Job | None = None
    budget: Path | None = None


def wanted() -> tuple[Picture, ...]:
    """What the README shows."""
    asked = job.shipped_sample(Job(models=("claude-opus-5-5", "gpt-6.2-sol"), of_rows=20_000))
    asked = asked.at_deadline(12 * 3600.0, NOON)
    return (
        Picture(name="plan", place="Plan", job=replace(asked, seed=0)),
        Picture(name="models", place="Models", keys=("g", "p", "t", "minus", "6")),
        Picture(name="budget", place="Budget", keys=("right",), budget=sample.paths().budget),
    )


def drawn() -> dict[str, str]:
    """Every picture as SVG, by its file's name."""
    with _plain_environment():
        return {f"{each.name}.svg": asyncio.run(_draw(each)) for each in wanted()}


@contextmanager
def _plain_environment() -> Iterator[None]:
    """Colours, and nobody's settings."""
    before = dict(os.environ)
    for name in before:
        if name == "NO_COLOR" or name.startswith(("PLANNER_", "TEXTUAL")):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _draw(picture: Picture) -> str:
    facts = catalog.load()
    desk = Desk(catalog_loader=lambda: facts, clock=lambda: NOON, on=NOON.date())
    app = PlannerApp(desk, picture.job, place=picture.place, budget=picture.budget)
    app.animation_level = "none"
    app.ansi_color = False
    async with app.run_test(size=SIZE) as pilot:
        await _settle(app, pilot)
        await pilot.press(*picture.keys)
        await _settle(app, pilot)
        return _small(app.export_screenshot(title="planner", simplify=True))


async def _settle(app: PlannerApp, pilot: Pilot[None]) -> None:
    last, equal = "", 0
    while equal < STILL:
        await pilot.pause()
        if any(not each.is_finished for each in app.workers):
            continue
        now = app.export_screenshot(simplify=True)
        equal = equal + 1 if now == last else 1
        last = now


def _small(svg: str) -> str:
    """Without the web font, which a page of ours need not fetch from anybody."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "monospace")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main() -> None:
    """Write them all."""
    TARGET.mkdir(exist_ok=True)
    for name, svg in drawn().items():
        (TARGET / name).write_text(svg, encoding="utf-8")
        print(f"{TARGET.name}/{name}: {len(svg):,} bytes")


if __name__ == "__main__":
    main()
