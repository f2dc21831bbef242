"""The planner on a terminal: screens that draw core values and hold no arithmetic.

Importing this package imports no screen library: the command line names it and starts it
only where there is a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.decision.turnaround import FinishedJob
    from planner.handoff.learned import Known
    from planner.job import Job


def run(
    job: Job | None,
    *,
    clock: Callable[[], datetime],
    on: date | None = None,
    taught: Callable[[], tuple[tuple[FinishedJob, ...], Known | None]] = lambda: ((), None),
    same: tuple[str, ...] = (),
    pricing: tuple[Path, ...] = (),
    place: str = "plan",
    budget: Path | None = None,
) -> int:
    """Open the screens on a job (None: ask what to run); the exit code, 70 after a defect.

    The catalog is loaded once, after the first paint, in a thread; its PlannerError is shown on
    the screen. `taught` is asked with each count: the batches that ended, and what is
    known of answers. `on` is the day prices are asked as of (None: the clock's),
    `same` the flags that hold for every command that is shown, `pricing` the folders of own prices
    that were named. `place` is plan, models, jobs or
    budget; `budget` a budget file to talk about.
    """
    from planner import catalog
    from planner.tui import memory
    from planner.tui.app import PlannerApp
    from planner.tui.desk import Desk

    desk = Desk(
        catalog_loader=lasting(lambda: catalog.load(overlays=catalog.own_overlays(*pricing))),
        clock=clock,
        on=on,
        taught=taught,
        same=same,
        pricing=pricing,
        memory=memory.of_this_machine(),
    )
    app = PlannerApp(desk, job, place=place.capitalize(), budget=budget)
    app.run()
    return app.return_code or 0


def lasting(load: Callable[[], Catalog]) -> Callable[[], Catalog]:
    """The same loader; what is in memory by its end is there to stay, for a program of its own.

    A collection of garbage looks at all of it otherwise, a frame or two in the midst of a key.
    """
    import gc

    def loaded() -> Catalog:
        catalog = load()
        gc.freeze()
        return catalog

    return loaded
