"""The core as the screens ask it: one catalog, one clock, and the two stages.

Holds what the command line handed over and composes pipeline calls; knows nothing of
widgets, so that what a screen shows can be computed and tested without one. The core is
imported when it is first asked, in the thread that asks, not before the first paint. Safe to call
from a worker thread: nothing here is shared but the catalog, which is loaded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, ClassVar, TypeVar

from planner.errors import PlannerError
from planner.tui.memory import FORGETFUL
from planner.tui.session import DEADLINES, Asked, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from datetime import date, datetime
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.decision.assessment import Assessments
    from planner.decision.flips import Cell, Flip
    from planner.decision.matrix import ModelChoice
    from planner.decision.turnaround import FinishedJob
    from planner.decision.waiting import Waiting
    from planner.errors import Problem
    from planner.handoff.learned import Known
    from planner.handoff.plan import Plan
    from planner.job import Job
    from planner.pipeline import Estimate, Measured
    from planner.tui.memory import Memory
    from planner.workload.passes import Progress

    Grid = tuple[tuple[Cell, ...], ...]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An estimate with the inputs it answers."""

    inputs: Inputs
    estimate: Estimate
    own_rows: int
    """Rows of the workload itself, whatever the inputs ask."""

    measured: Measured = field(repr=False)
    """What was counted, at the workload's own volume."""

    @property
    def asked(self) -> Asked:
        """The question: the job as it was counted, and the inputs."""
        return Asked(job=self.measured.job, inputs=self.inputs)

    @property
    def key(self) -> Hashable:
        """What an answer is told by, a closer count of the same question apart."""
        return (self.asked, self.measured.profiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closer:
    """What a look at one model brings beyond its answer."""

    flips: tuple[Flip, ...] = ()
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a template makes of the first row, and what it may name."""

    insertions: tuple[str, ...] = ()
    """Each column as it is written in a template."""
    messages: tuple[tuple[str, str], ...] = ()
    """Role and text of each message of the first row's request."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosened:
    """The shortest deadline of the ladder at which a model has an answer after all."""

    deadline: float | None
    choice: ModelChoice


class Desk:
    """The catalog, the clock and the day on which prices are asked."""

    LARGE: ClassVar[int] = 16_000_000
    """Bytes beyond which a file is counted beside the program, and first roughly."""

    def __init__(
        self,
        *,
        catalog_loader: Callable[[], Catalog],
        clock: Callable[[], datetime],
        on: date | None = None,
        taught: Callable[[], tuple[tuple[FinishedJob, ...], Known | None]] = lambda: ((), None),
        measure: Callable[[Catalog, Job, Progress | None], Measured] | None = None,
        memory: Memory = FORGETFUL,
        same: tuple[str, ...] = (),
        pricing: tuple[Path, ...] = (),
    ) -> None:
        """`taught`: batches that ended and what is known of answers, asked with each count.

        `pricing`: folders of own prices that the catalog has on top, besides the user's own.
        """
        self.memory = memory
        self.same = same
        self.pricing = pricing
        self._clock = clock
        self._start: datetime | None = None
        self._kept: Assessments | None = None
        self._on = on
        self._taught = taught
        self._history: tuple[FinishedJob, ...] = ()
        self._load = catalog_loader
        self._measure = measure
        self._loading = Lock()
        self._catalog: Catalog | None = None
        self._seen: dict[tuple[Hashable, str], Closer] = {}
        self._maps: dict[tuple[Hashable, str], Grid] = {}

    @property
    def on(self) -> date:
        """The day prices are asked as of."""
        return self._on or self.now.date()

    def clock(self) -> datetime:
        """The moment it really is, for what goes on by itself: jobs, not estimates."""
        return self._clock()

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
        """Count the job; StoppedError out of `progress` keeps what there is, if there is any."""
        from planner import pipeline

        known = self._begin()
        measure = self._measure or partial(pipeline.measure, known=known)
        return measure(self.catalog(), job, progress)

    def _begin(self) -> Known | None:
        """A job would start now, and knows what others before it have taught."""
        self._start = self._clock()
        self._history, known = self._taught()
        return known

    def counts(
        self, job: Job, progress: Progress, stop: Callable[[], bool]
    ) -> Iterator[tuple[Measured, bool]]:
        """The job's counts, each with whether it is the last; a large file is first told roughly.

        `stop` ends it with what is known by then; StoppedError where that is nothing.
        """
        from planner.tui import counter
        from planner.workload.draws import StoppedError

        if counter.POSSIBLE and self._is_large(job.workload):
            known = self._begin()
            yield from counter.counts(self.catalog(), job, known, progress, stop)
            return

        def report(rows: int, done: int) -> None:
            if stop():
                raise StoppedError
            progress(rows, done)

        yield self.measure(job, report), True

    def _is_large(self, path: Path | None) -> bool:
        return path is not None and path.is_file() and path.stat().st_size > self.LARGE

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
        return Answer(inputs=inputs, estimate=estimate, own_rows=measured.rows, measured=measured)

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

    def closer(
        self, answer: Answer, model: str, *, stop: Callable[[], bool] = lambda: False
    ) -> Closer | None:
        """What would change the model's choice; a fifth of a second, remembered.

        None where `stop` ended it.
        """
        from planner import pipeline

        def search() -> Closer:
            found = pipeline.with_flips(answer.estimate, model, look=_look(stop))
            return Closer(flips=found.flips[model], waiting=found.waiting[model])

        return _remembered(self._seen, (answer.key, model), search)

    def lane_map(
        self, answer: Answer, model: str, *, stop: Callable[[], bool] = lambda: False
    ) -> Grid | None:
        """Which option of the model wins at which deadline and volume; remembered.

        None where `stop` ended it.
        """
        from planner import pipeline

        def draw() -> Grid:
            return pipeline.maps(answer.estimate, model, look=_look(stop))[model]

        return _remembered(self._maps, (answer.key, model), draw)

    def plan(
        self, answer: Answer, option_id: str, folder: Path, *, accept_assumed: bool = False
    ) -> Plan:
        """The plan of an option, for a file in `folder`; PlannerError where there can be none."""
        from planner import drafting

        wishes = drafting.Wishes(choose=option_id, accept_assumed=accept_assumed)
        measured = replace(answer.estimate.measured, named=True)
        return drafting.make(replace(answer.estimate, measured=measured), wishes, folder)

    def preview(self, job: Job) -> Preview:
        """What the job's template makes of its first row; its problems where it makes nothing."""
        from planner.workload import prompt, readers

        if job.workload is None:
            return Preview()
        names: tuple[str, ...] = ()
        try:
            workload = readers.open_workload(job.workload, format=job.input_format)
            rows = workload.head(skip_bad=job.skip_bad_rows)
            names = tuple(map(prompt.insertion, workload.columns(rows)))
            chosen = prompt.choose(
                workload,
                prompt=job.prompt.text if job.prompt else None,
                system=job.system.text if job.system else None,
                prompt_name="prompt",
                skip_bad=job.skip_bad_rows,
            )
            made = chosen.prompt.render(rows[0])
        except PlannerError as error:
            return Preview(insertions=names, problems=error.problems)
        return Preview(
            insertions=names, messages=tuple((each.role, each.content) for each in made.messages)
        )


MOST_KEPT = 64


def _look(stop: Callable[[], bool]) -> Callable[[], None]:
    """What ends a search once nobody wants it: a key that comes meanwhile has to wait for it."""
    from planner.workload.draws import StoppedError

    def look() -> None:
        if stop():
            raise StoppedError

    return look


def _remembered(
    kept: dict[tuple[Hashable, str], T], key: tuple[Hashable, str], find: Callable[[], T]
) -> T | None:
    """What was found before, or is now; None where the search was ended.

    The oldest goes where there is more than anybody returns to.
    """
    from planner.workload.draws import StoppedError

    if key not in kept:
        try:
            kept[key] = find()
        except StoppedError:
            return None
        while len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]
    return kept[key]


def _of(measured: Measured, models: set[str]) -> Measured:
    """The same measurement for some of its models."""
    return replace(
        measured,
        models=tuple(each for each in measured.models if each.id in models),
        profiles=tuple(each for each in measured.profiles if each.model in models),
    )
