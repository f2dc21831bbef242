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
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from textual import events
from textual._compositor import CompositorUpdate

from benchmarks import results, workload_files
from planner import catalog
from planner.job import Job, Output, Text
from planner.tui import lasting
from planner.tui.app import PlannerApp
from planner.tui.asking import State
from planner.tui.desk import Desk
from planner.tui.plan import PlanScreen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from textual.pilot import Pilot

    from planner.tui.desk import Answer

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = 3600.0
SIZE = (120, 40)
BEAT = 0.002
UP, DOWN = ("double", "sooner", "double", "later"), ("halve", "sooner", "halve", "later")
WALK = (*UP, *UP, *DOWN, *DOWN)
"""From a volume that is typed to sixteen times as much, and back."""

PAUSES = (0.02, 0.3, 0.35, 0.45)
"""Seconds between two keys: typed fast, and after a look at the answer."""

SETTLED = 0.12
"""Seconds after which all frames of a key are there, and nothing else has begun."""

STOPS = (0.05, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5)
"""Seconds after which counting is ended."""
MODELS = 10
FIRST_ROWS = 10_007
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
from planner.tui import lasting
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
        self.desk = Desk(catalog_loader=lasting(catalog.load), clock=lambda: NOW, on=NOW.date())
        self.app = PlannerApp(self.desk, job)
        self.app.animation_level = "none"
        self.painted = Moment.now()
        setattr(self.app, "_display", self._seen(self.app._display))  # noqa: B010, SLF001

    def _seen(self, display: Callable[..., None]) -> Callable[..., None]:
        """What puts a frame on the screen, as a terminal's driver would; it says when it has."""

        def shown(screen: object, frame: object) -> None:
            if isinstance(frame, CompositorUpdate):
                frame.render_segments(self.app.console)
                self.painted = Moment.now()
            display(screen, frame)

        return shown

    @property
    def plan(self) -> PlanScreen:
        """The screen that is timed."""
        screen = self.app.screen_stack[0]
        assert isinstance(screen, PlanScreen)
        return screen

    def press(self, run: int) -> None:
        """The next key of the walk, or before its first one another volume."""
        walk, place = divmod(run, len(WALK) + 1)
        if place:
            getattr(self.plan, f"action_{WALK[place - 1]}")()
        else:
            session = self.plan.session
            inputs = replace(session.inputs, rows=FIRST_ROWS + walk)
            self.plan.ask(replace(session.now, inputs=inputs))

    def shows_another(self, before: Answer | None) -> bool:
        """Whether what is shown is no longer that."""
        return self.plan.shown is not before

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


@dataclass(frozen=True, slots=True)
class Moment:
    """By the clock, and by the CPU that the process has spent, in seconds."""

    clock: float
    cpu: float

    @classmethod
    def now(cls) -> Moment:
        """This one."""
        return cls(time.perf_counter(), time.process_time())


async def keys(job: Job, runs: int, pauses: Sequence[float]) -> tuple[list[float], list[float]]:
    """Seconds from each key to the last frame that it causes, by the clock and of CPU.

    Each comes after one of the pauses: after a long one, into the closer look that goes on then.
    """
    seat, times, cpu = Seat(job), list[float](), list[float]()

    async def press(_: Pilot[None]) -> None:
        await seat.until(lambda: seat.plan.state is State.ANSWERED)
        await asyncio.sleep(1)
        for run, pause in zip(range(runs), cycle(pauses), strict=False):
            await asyncio.sleep(pause)
            before, start = seat.plan.shown, Moment.now()
            seat.press(run)
            await seat.until(partial(seat.shows_another, before))
            await asyncio.sleep(SETTLED)
            times.append(seat.painted.clock - start.clock)
            cpu.append(seat.painted.cpu - start.cpu)

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

    async def stop(_: Pilot[None]) -> None:
        await asyncio.sleep(after)
        started = time.perf_counter()
        seat.app.post_message(events.Key("escape", None))
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
    parser.add_argument("--keys", type=int, default=120)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    asked = parser.parse_args()
    facts = catalog.load()
    names = tuple(f"{each.provider}/{each.id}" for each in facts.featured())[:MODELS]
    figures = Job(rows=12_480, input_tokens=1_180, output=Output(tokens=220), models=names)
    empty, ours = first_paint(asked.runs)
    typed = asyncio.run(keys(figures.at_deadline(6 * HOUR, NOW), asked.keys, PAUSES))
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
        stopped = [asyncio.run(stopping(job, after)) for after in STOPS]
    key = f"a what-if key of {len(names)} models to its last frame"
    large = f"{asked.megabytes} MB"
    rows = [
        ["CPU to the first paint of an empty app", f"{1000 * empty:.0f}", ""],
        ["CPU to the first paint of the welcome", f"{1000 * ours:.0f}", ""],
        ["their ratio", f"{ours / empty:.2f}", "1.50"],
        *percentiles(key, typed[0], "50"),
        *percentiles("CPU of it", typed[1], ""),
        [f"{large}: the first answer", f"{1000 * told['first']:.0f}", ""],
        [f"{large}: within the asked precision", f"{1000 * told['last']:.0f}", ""],
        ["the loop away meanwhile, at the longest, CPU", f"{1000 * told['cpu']:.0f}", "100"],
        ["the same by the clock", f"{1000 * told['away']:.0f}", "100"],
        [f"Esc while counting, the slowest of {len(STOPS)}", f"{1000 * max(stopped):.0f}", "100"],
    ]
    body = (
        f"Milliseconds, {SIZE[0]} x {SIZE[1]} characters, on {os.cpu_count()} cores with "
        f"{os.getloadavg()[0]:.0f} processes waiting for them: clocks say more than the program "
        "spends, CPU does not. A quarter of the keys is typed fast, the others come when a closer "
        "look at the answer has begun.\n\n" + results.table(["what", "ms", "asked: at most"], rows)
    )
    print(body)
    if asked.write:
        results.write("The screens", "python benchmarks/screen_speed.py --write", body)


def percentiles(name: str, seconds: Sequence[float], most: str) -> list[list[str]]:
    """The median and what 95 % of them are below, in milliseconds."""
    ordered = sorted(seconds)
    late = ordered[int(0.95 * len(ordered))]
    return [
        [f"{name}, median", f"{1000 * median(seconds):.0f}", most],
        [f"{name}, 95 %", f"{1000 * late:.0f}", most],
    ]


if __name__ == "__main__":
    main()
