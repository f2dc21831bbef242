"""How fast the screens are: first paint, a key, a stop, and whether counting stalls the loop.

First paint is the CPU from the start of a process to its first frame, against a Textual app that
shows nothing, taking turns. The rest happens in one process without a terminal: Textual's
own test driver, real workers, the shipped catalog.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import results, workload_files
from planner import catalog
from planner.job import Job, Output, Text
from planner.tui.app import PlannerApp
from planner.tui.asking import State
from planner.tui.desk import Desk
from planner.tui.plan import PlanScreen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from textual.pilot import Pilot

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = 3600.0
SIZE = (120, 40)
BEAT = 0.002
KEYS = ("sooner", "later", "double", "halve")
MODELS = 10
TEN = 10_000_000

FIRST_PAINT = """
import asyncio, time
{make}
async def main():
    async with app.run_test(size=(120, 40)):
        print(time.process_time(), flush=True)
        app.exit()
asyncio.run(main())
"""
EMPTY = "from textual.app import App\napp = App()"
OURS = """
from datetime import datetime, UTC
from planner.tui.app import PlannerApp
from planner.tui.desk import Desk
from planner import catalog
app = PlannerApp(Desk(catalog_loader=catalog.load, clock=lambda: datetime.now(UTC)), None)
"""


def first_paint(runs: int) -> tuple[float, float]:
    """Seconds of CPU from the start of a process to its first frame: an empty app's, and ours."""
    least: dict[str, list[float]] = {"empty": [], "ours": []}
    for _ in range(runs + 1):
        for name, make in (("empty", EMPTY), ("ours", OURS)):
            code = FIRST_PAINT.format(make=make)
            done = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True
            )
            least[name].append(float(done.stdout))
    return min(least["empty"][1:]), min(least["ours"][1:])


class Seat:
    """An app on a job, and what is timed of it."""

    def __init__(self, job: Job) -> None:
        self.desk = Desk(catalog_loader=catalog.load, clock=lambda: NOW, on=NOW.date())
        self.app = PlannerApp(self.desk, job)
        self.app.animation_level = "none"

    @property
    def plan(self) -> PlanScreen:
        """The screen that is timed."""
        screen = self.app.screen_stack[0]
        assert isinstance(screen, PlanScreen)
        return screen

    async def until(self, done: Callable[[], bool]) -> float:
        """Seconds until it is so, looked at every other millisecond."""
        before = time.perf_counter()
        while not done():  # noqa: ASYNC110 -- looked at from outside, where there is no event
            await asyncio.sleep(BEAT)
        return time.perf_counter() - before

    async def run(self, what: Callable[[Pilot[None]], Awaitable[None]]) -> None:
        """Do that in the running app."""
        async with self.app.run_test(size=SIZE) as pilot:
            await what(pilot)


async def keys(job: Job, runs: int) -> tuple[list[float], list[float]]:
    """Seconds from each key to the frame with its answer, by the clock and of CPU."""
    seat, times, cpu = Seat(job), list[float](), list[float]()

    async def press(pilot: Pilot[None]) -> None:
        await seat.until(lambda: seat.plan.state is State.ANSWERED)
        for run in range(runs):
            await asyncio.sleep(0.02)
            before = seat.plan.shown
            started, spent = time.perf_counter(), time.process_time()
            getattr(seat.plan, f"action_{KEYS[run % len(KEYS)]}")()
            await seat.until(lambda before=before: seat.plan.shown is not before)
            await pilot.pause()
            times.append(time.perf_counter() - started)
            cpu.append(time.process_time() - spent)

    await seat.run(press)
    return times, cpu


async def counting(job: Job) -> dict[str, float]:
    """Seconds to the first answer and to the last, and the longest time the loop was away.

    Away by the clock, and by the CPU that the program itself spent meanwhile: on a machine that
    has other things to do only the second is the program's own.
    """
    seat = Seat(job)
    found = {"away": 0.0, "cpu": 0.0}

    async def beat() -> None:
        last, spent = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(BEAT)
            now, cpu = time.perf_counter(), time.process_time()
            found["away"] = max(found["away"], now - last)
            found["cpu"] = max(found["cpu"], min(now - last, cpu - spent))
            last, spent = now, cpu

    async def wait(_: Pilot[None]) -> None:
        heart = asyncio.create_task(beat())
        started = time.perf_counter()
        await seat.until(lambda: seat.plan.state is State.ANSWERED)
        found["first"] = time.perf_counter() - started
        await seat.until(lambda: not seat.plan.tightening)
        found["last"] = time.perf_counter() - started
        heart.cancel()

    await seat.run(wait)
    return found


async def stopping(job: Job, after: float) -> float:
    """Seconds from Esc to the answer with what was known, or to the welcome."""
    seat, found = Seat(job), list[float]()

    async def stop(pilot: Pilot[None]) -> None:
        await asyncio.sleep(after)
        started = time.perf_counter()
        await pilot.press("escape")
        await seat.until(lambda: seat.plan.state is not State.COUNTING)
        found.append(time.perf_counter() - started)

    await seat.run(stop)
    return found[0]


def texts(megabytes: int) -> Iterator[str]:
    """Ten megabytes of texts of every kind, as often as it takes."""
    once = list(workload_files.texts(TEN))
    for _ in range(max(1, megabytes * 1_000_000 // TEN)):
        yield from once


def main() -> None:
    """Measure, print and, where asked, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    asked = parser.parse_args()
    facts = catalog.load()
    names = tuple(f"{each.provider}/{each.id}" for each in facts.featured())[:MODELS]
    figures = Job(rows=12_480, input_tokens=1_180, output=Output(tokens=220), models=names)
    empty, ours = first_paint(asked.runs)
    pressed, spent = asyncio.run(keys(figures.at_deadline(6 * HOUR, NOW), 40))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("wb") as file:
            file.writelines(map(workload_files.line, texts(asked.megabytes)))
        job = Job(
            workload=path,
            prompt=Text(text="{{ text }}", name="prompt"),
            output=Output(tokens=220),
            models=names,
        ).at_deadline(6 * HOUR, NOW)
        told = asyncio.run(counting(job))
        stopped = [asyncio.run(stopping(job, after)) for after in (0.3, 0.8, 1.2)]
    rows = [
        ["CPU to the first paint of an empty app", f"{1000 * empty:.0f}"],
        ["CPU to the first paint of the welcome", f"{1000 * ours:.0f}"],
        ["their ratio", f"{ours / empty:.2f}"],
        [
            f"a what-if key of {len(names)} models to its frame, median",
            f"{1000 * median(pressed):.0f}",
        ],
        ["CPU of it, median", f"{1000 * median(spent):.0f}"],
        ["the slowest of 40 keys", f"{1000 * max(pressed):.0f}"],
        [f"{asked.megabytes} MB: the first answer", f"{1000 * told['first']:.0f}"],
        [f"{asked.megabytes} MB: within the asked precision", f"{1000 * told['last']:.0f}"],
        ["the loop away meanwhile, at the longest, CPU", f"{1000 * told['cpu']:.0f}"],
        ["the same by the clock", f"{1000 * told['away']:.0f}"],
        ["Esc while counting, the slowest of three", f"{1000 * max(stopped):.0f}"],
    ]
    body = (
        f"Milliseconds, {SIZE[0]} x {SIZE[1]} characters, on {os.cpu_count()} cores with "
        f"{os.getloadavg()[0]:.0f} processes waiting for them: clocks say more than the program "
        "spends, CPU does not.\n\n" + results.table(["what", "ms"], rows)
    )
    print(body)
    if asked.write:
        results.write("The screens", "python benchmarks/screen_speed.py --write", body)


if __name__ == "__main__":
    main()
