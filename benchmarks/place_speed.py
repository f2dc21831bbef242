"""How fast the places are: a key in the filter over 300 models, going from place to place.

In one process without a terminal: Textual's own test driver, the shipped catalog, its models
doubled and more until there are 300. A key is measured from the change of the field to the frame
that shows it, the drawing included.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import results
from planner import catalog, lookups, sample
from planner.job import Job, Output
from planner.tui import lasting, support
from planner.tui.app import PlannerApp
from planner.tui.desk import Desk
from planner.tui.models import ModelsScreen

if TYPE_CHECKING:
    from textual.pilot import Pilot

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SIZE = (120, 40)
MODELS = 300
TYPED = ("gpt-6", "batch:unknown", "claude haiku", "zebra")
ROUNDS = 5
PAINTED = 0.2
"""Seconds after which a change is on the screen for certain; what counts is the CPU until then."""


def crowded(of: support.Shelf) -> support.Shelf:
    """A shelf of so many models: the same ones, and copies each under a name of its own."""
    answers = []
    for n in range(MODELS):
        own = of.answers[n % len(of.answers)]
        name = own[0].model.id if n < len(of.answers) else f"{own[0].model.id}-{n}"
        answers.append(tuple(replace(each, model=replace(each.model, id=name)) for each in own))
    with patch.object(lookups, "support_matrix", lambda *_, **__: tuple(answers)):
        return support.shelf(of.catalog, on=of.on)


def app(place: str = "Plan") -> PlannerApp:
    """On a job of figures, so that every place has something to show."""
    desk = Desk(catalog_loader=lasting(catalog.load), clock=lambda: NOW, on=NOW.date())
    job = Job(rows=12480, input_tokens=1180, output=Output(tokens=220), models=("gpt-6.2-sol",))
    made = PlannerApp(desk, job, place=place, budget=sample.paths().budget)
    made.animation_level = "none"
    return made


async def still(of: PlannerApp, pilot: Pilot[None]) -> None:
    """Until no worker runs."""
    await pilot.pause()
    while any(not each.is_finished for each in of.workers):
        await pilot.pause(0.01)
    await pilot.pause()


async def filtering() -> tuple[list[float], list[float]]:
    """Milliseconds a key: choosing alone, and to the frame."""
    made = app("Models")
    alone, whole = [], []
    async with made.run_test(size=SIZE) as pilot:
        await still(made, pilot)
        screen = made.screen
        assert isinstance(screen, ModelsScreen)
        assert screen.shelf is not None
        screen.shelf = crowded(screen.shelf)
        for text in TYPED * ROUNDS:
            for end in range(len(text) + 1):
                start = time.process_time()
                support.filtered(screen.shelf, text[:end])
                alone.append((time.process_time() - start) * 1000)
                start = time.process_time()
                screen.field.value = text[:end]
                await pilot.pause(PAINTED)
                whole.append((time.process_time() - start) * 1000)
    return alone, whole


async def going() -> dict[str, list[float]]:
    """Milliseconds from the key of a place to its frame: the first time, and again."""
    seen: dict[str, list[float]] = {"for the first time": [], "again": []}
    for _ in range(ROUNDS):
        made = app()
        async with made.run_test(size=SIZE) as pilot:
            await still(made, pilot)
            for name, keys in (("for the first time", "234"), ("again", "1234")):
                for key in keys:
                    start = time.process_time()
                    await made.action_place(("Plan", "Models", "Jobs", "Budget")[int(key) - 1])
                    await pilot.pause(PAINTED)
                    seen[name].append((time.process_time() - start) * 1000)
                    await still(made, pilot)
    return seen


def row(name: str, times: list[float], most: str = "") -> list[str]:
    """Median, what 95 % are below, and what was asked of both."""
    ordered = sorted(times)
    return [name, f"{median(times):.1f}", f"{ordered[int(len(ordered) * 0.95)]:.1f}", most]


def main() -> None:
    """Print the table, and keep it with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    arguments = parser.parse_args()
    alone, whole = asyncio.run(filtering())
    places = asyncio.run(going())
    rows = [
        row(f"a key in the filter over {MODELS} models: choosing", alone),
        row("the same, to the frame", whole, "30"),
        *(row(f"to another place {name}", times) for name, times in places.items()),
    ]
    body = "Milliseconds of CPU, 120 x 40, median and 95 % of the keys.\n\n"
    body += results.table(["what", "median", "95 %", "asked: at most"], rows)
    print(body)
    if arguments.write:
        results.write("Places of the screen", "python benchmarks/place_speed.py --write", body)


if __name__ == "__main__":
    main()
