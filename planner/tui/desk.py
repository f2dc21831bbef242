"""The core as the screens ask it: one catalog, one clock, and the two stages.

Holds what the command line handed over and composes pipeline calls; knows nothing of
widgets, so that what a screen shows can be computed and tested without one. The core is
imported when it is first asked, in the thread that asks, not before the first paint. Safe to call
from a worker thread: nothing here is shared but the catalog, which is loaded once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from planner.tui.session import DEADLINES, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from planner.catalog import Catalog
    from planner.decision.assessment import Assessments
    from planner.decision.matrix import ModelChoice
    from planner.decision.turnaround import FinishedJob
    from planner.job import Job
    from planner.pipeline import Estimate, Measured
    from planner.workload.profile import Progress

PROGRESS_SECONDS = 0.1
"""No more than ten reports a second: one a row made counting ten times slower."""


class CancelledError(Exception):
    """The person stopped the counting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An estimate with the inputs it answers."""

    inputs: Inputs
    estimate: Estimate
    own_rows: int
    """Rows of the workload itself, whatever the inputs ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosened:
    """The shortest deadline of the ladder at which a model has an answer after all."""

    deadline: float | None
    choice: ModelChoice


class Desk:
    """The catalog, the clock and the day on which prices are asked."""

    def __init__(
        self,
        *,
        catalog_loader: Callable[[], Catalog],
        clock: Callable[[], datetime],
        on: date | None = None,
        history: tuple[FinishedJob, ...] = (),
        measure: Callable[[Catalog, Job, Progress | None], Measured] | None = None,
    ) -> None:
        self._clock = clock
        self._start: datetime | None = None
        self._kept: Assessments | None = None
        self._on = on
        self._history = history
        self._load = catalog_loader
        self._measure = measure
        self._loading = Lock()
        self._catalog: Catalog | None = None

    @property
    def on(self) -> date:
        """The day prices are asked as of."""
        return self._on or self.now.date()

    @property
    def now(self) -> datetime:
        """When the job would start: the moment it was counted, the clock before that.

        It stands still while keys are pressed: two volumes asked minutes apart must not
        differ by those minutes, and a deadline of 6h must stay the same moment.
        """
        return self._start or self._clock()

    def catalog(self) -> Catalog:
        """The catalog, loaded when it is first asked for; InputError for a broken file."""
        with self._loading:
            if self._catalog is None:
                self._catalog = self._load()
            return self._catalog

    def measure(self, job: Job, progress: Progress) -> Measured:
        """Count the job; `progress` is called at most ten times a second."""
        from planner import pipeline

        self._start = self._clock()
        measure = self._measure or pipeline.measure
        return measure(self.catalog(), job, _slowed(progress))

    def answer(self, measured: Measured, inputs: Inputs) -> Answer:
        """The estimate for these inputs; the file is not touched."""
        from planner import pipeline
        from planner.decision.assessment import Assessments

        self._kept = self._kept or Assessments()
        now = self.now
        wanted = measured if inputs.rows is None else measured.for_rows(inputs.rows)
        job = measured.job
        if inputs.deadline != job.requirements.deadline:
            job = job.at_deadline(inputs.deadline, now)
        estimate = pipeline.estimate(
            self.catalog(),
            wanted,
            job,
            now=now,
            on=self._on,
            history=self._history,
            kept=self._kept,
        )
        return Answer(inputs=inputs, estimate=estimate, own_rows=measured.rows)

    def loosened(
        self, measured: Measured, answer: Answer, *, stop: Callable[[], bool] = lambda: False
    ) -> dict[str, Loosened]:
        """For models without an answer: the shortest longer deadline that has one."""
        left = {each.model for each in answer.estimate.decision.models if each.choice is None}
        found: dict[str, Loosened] = {}
        if answer.inputs.deadline is None:
            return found
        longer = [each for each in DEADLINES if each > answer.inputs.deadline]
        for deadline in (*longer, None):
            if not left or stop():
                break
            inputs = replace(answer.inputs, deadline=deadline)
            tried = self.answer(_of(measured, left), inputs)
            for choice in tried.estimate.decision.models:
                if choice.choice is not None:
                    found[choice.model] = Loosened(deadline=deadline, choice=choice)
            left -= set(found)
        return found


def _of(measured: Measured, models: set[str]) -> Measured:
    """The same measurement for some of its models."""
    return replace(
        measured,
        models=tuple(each for each in measured.models if each.id in models),
        profiles=tuple(each for each in measured.profiles if each.model in models),
    )


def _slowed(progress: Progress) -> Progress:
    last = time.monotonic()

    def report(rows: int, done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            progress(rows, done)

    return report
