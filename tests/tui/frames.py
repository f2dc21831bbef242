"""Text frames of a running app: how they are taken, and the files they are compared with.

A frame is taken when nothing is left to happen (no worker runs, three frames in a row are
equal); a pause of a fixed length would be wrong on a slow machine and slow on a fast one.
`WRITE_GOLDEN=1` in the environment of a test run writes the files anew.
"""

from __future__ import annotations

import difflib
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual.widgets import Input

from planner import catalog, pipeline
from planner.job import Job, Output
from planner.tui.app import PlannerApp
from planner.tui.desk import Closer, Desk
from planner.tui.matrix import Matrix
from planner.tui.memory import FORGETFUL
from planner.tui.plan import PlanScreen
from planner.tui.widgets import PLACES
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import date

    from textual.pilot import Pilot

    from planner.catalog import Catalog
    from planner.pipeline import Measured
    from planner.tui.asking import State
    from planner.tui.desk import Answer
    from planner.tui.memory import Memory
    from planner.workload.passes import Progress

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
WRITE = "WRITE_GOLDEN"
SIZES = ((80, 24), (120, 40), (200, 60))

EQUAL_FRAMES = 3
PATIENCE = 120.0
"""Seconds until a screen that never comes is a failure; nothing is measured by it."""

HOUR = 3600.0

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
guardrails: {monthly: 2000}
"""


def figures(*models: str, rows: int = 12480, deadline: float | None = 6 * HOUR) -> Job:
    """A job of figures alone: no file, no tokenizer."""
    job = Job(rows=rows, input_tokens=1180, output=Output(tokens=220), models=models)
    return job.at_deadline(deadline, NOW) if deadline else job


def invented(cache: Path, folder: str = "pricing") -> Catalog:
    """Invented vendors: a change of a real price moves no frame."""
    return catalog.load(HERE / folder, cache=cache)


class Seat(NamedTuple):
    """A running app and the hand on its keys."""

    app: PlannerApp
    pilot: Pilot[None]

    @property
    def plan(self) -> PlanScreen:
        """The Plan screen, whatever stands over it."""
        screen = self.app.screen_stack[0]
        assert isinstance(screen, PlanScreen)
        return screen

    @property
    def matrix(self) -> Matrix:
        """The matrix of the answer."""
        return self.plan.query_one(Matrix)

    def state(self) -> State:
        """What the Plan screen is about."""
        return self.plan.state

    async def settle(self, *, workers: bool = True) -> str:
        """The frame when nothing is left to happen; `workers=False` where one is held."""
        last, equal, end = "", 0, time.monotonic() + PATIENCE
        while equal < EQUAL_FRAMES:
            now = await self._frame(end, "never still")
            if not workers or all(each.is_finished for each in self.app.workers):
                equal = equal + 1 if now == last else 1
                last = now
        return last

    async def sees(self, said: str) -> str:
        """The frame in which something is said, whatever runs meanwhile."""
        end = time.monotonic() + PATIENCE
        while said not in (now := await self._frame(end, f"never said {said!r}")):
            assert self.app.is_running, f"never said {said!r}: the program has ended"
        return now

    async def _frame(self, end: float, complaint: str) -> str:
        """The next frame; whatever never comes is told with the threads that still run."""
        await self.pilot.pause()
        now = frame(self.app)
        going = [f"{each.group}: {each.state.name}" for each in self.app.workers]
        assert time.monotonic() < end, f"{complaint}; workers {going}:\n{now}"
        return now

    async def press(self, *keys: str) -> str:
        """Press keys one after the other; the frame they lead to."""
        await self.pilot.press(*keys)
        return await self.settle()

    async def type(self, text: str) -> None:
        """Put text into the field that has the focus, as a paste does."""
        focused = self.app.screen.focused
        assert isinstance(focused, Input)
        focused.insert_text_at_cursor(text)
        await self.settle()

    async def sizes(self, *, workers: bool = True) -> str:
        """The frames of every size, one under the other."""
        parts = []
        for width, height in SIZES:
            await self.pilot.resize_terminal(width, height)
            parts.append(f"{width}x{height}\n{await self.settle(workers=workers)}")
        return "\n\n".join(parts)


def frame(app: PlannerApp) -> str:
    """What stands on the screen, a line a row, without colours."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text.rstrip() for strip in strips)


class Hasty(Desk):
    """Looks at no model more closely: what would change a choice takes most of a test's time."""

    def closer(
        self,
        answer: Answer,
        model: str,
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> Closer | None:
        """Nothing."""
        return None


@asynccontextmanager
async def seat(
    job: Job | None,
    loader: Callable[[], Catalog],
    *,
    size: tuple[int, int] = SIZES[0],
    measure: Callable[[Catalog, Job, Progress | None], Measured] = pipeline.measure,
    closely: bool = False,
    memory: Memory = FORGETFUL,
    on: date | None = None,
    notifications: bool = False,
    place: str = PLACES[0],
    budget: Path | None = None,
) -> AsyncIterator[Seat]:
    """An app on that job, at noon of one day, without animations."""
    make = Desk if closely else Hasty
    desk = make(
        catalog_loader=loader,
        clock=lambda: NOW,
        on=on or NOW.date(),
        measure=measure,
        memory=memory,
    )
    app = PlannerApp(desk, job, place=place, budget=budget)
    async with running(app, size=size, notifications=notifications) as here:
        yield here


@asynccontextmanager
async def running(
    app: PlannerApp, *, size: tuple[int, int] = SIZES[0], notifications: bool = False
) -> AsyncIterator[Seat]:
    """That app, without animations."""
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=notifications) as pilot:
        yield Seat(app, pilot)


def check(name: str, text: str) -> None:
    """Compare with the file of that name, to the byte, or write it."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get(WRITE):
        path.write_text(f"{text}\n", encoding="utf-8")
    wanted = path.read_text(encoding="utf-8")
    moved = difflib.unified_diff(wanted.splitlines(), text.splitlines(), name, "now", n=0)
    assert wanted == f"{text}\n", "\n".join(moved)


def changed(before: str, after: str) -> set[int]:
    """The lines (from 0) in which two frames differ."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return {number for number, (one, other) in enumerate(pairs) if one != other}


def line_with(text: str, *parts: str) -> str:
    """The one line that holds all the parts."""
    found = [line for line in text.splitlines() if all(part in line for part in parts)]
    assert len(found) == 1, found
    return found[0]
