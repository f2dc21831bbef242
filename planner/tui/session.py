"""What the person may change on the screen, with every step undoable.

Frozen values and pure steps: a key press makes a new session, the screen only keeps the
newest. The ladders stand here so that a key means the same on every screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from planner.decision.requirements import Requirements
from planner.words import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from planner.job import Job

DEADLINES: tuple[float, ...] = (
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
)
"""Seconds; after the last one comes no deadline at all."""

FEWEST_ROWS, MOST_ROWS = 1, 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the keys change: `rows` None is the workload's own volume, `runs` are those a month."""

    deadline: float | None = None
    rows: int | None = None
    runs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: the job, and what the keys made of it."""

    job: Job | None = None
    inputs: Inputs = Inputs()


def rows_of(job: Job) -> Job:
    """What decides how a job is counted: all of it but the demand."""
    return replace(job, requirements=Requirements(), deadline_at=None)


def asked_of(job: Job | None) -> Asked:
    """The question as a job states it, before any key."""
    deadline = job.requirements.deadline if job is not None else None
    return Asked(job=job, inputs=Inputs(deadline=deadline))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The question now, and those before, newest last."""

    now: Asked
    earlier: tuple[Asked, ...] = ()

    @property
    def inputs(self) -> Inputs:
        """What the keys change."""
        return self.now.inputs

    @property
    def job(self) -> Job | None:
        """What is asked about; None on the welcome."""
        return self.now.job

    def asking(self, asked: Asked) -> Session:
        """The session after a change; itself where nothing changes."""
        if asked == self.now:
            return self
        before = (*self.earlier, self.now) if self.job is not None else self.earlier
        return Session(now=asked, earlier=before)

    def with_inputs(self, inputs: Inputs) -> Session:
        """The session after a key."""
        return self.asking(replace(self.now, inputs=inputs))

    def undone(self) -> Session:
        """The session before the last change; itself where there was none."""
        if not self.earlier:
            return self
        return Session(now=self.earlier[-1], earlier=self.earlier[:-1])


def sooner(inputs: Inputs) -> Inputs:
    """The next shorter deadline."""
    now = inputs.deadline
    shorter = [each for each in DEADLINES if now is None or each < now]
    return replace(inputs, deadline=shorter[-1]) if shorter else inputs


def later(inputs: Inputs) -> Inputs:
    """The next longer deadline, none after the longest."""
    now = inputs.deadline
    longer = [each for each in DEADLINES if now is not None and each > now]
    return replace(inputs, deadline=longer[0] if longer else None)


def doubled(inputs: Inputs, own: int) -> Inputs:
    """Twice the volume; `own` is the workload's."""
    return with_rows(inputs, min((inputs.rows or own) * 2, MOST_ROWS), own)


def halved(inputs: Inputs, own: int) -> Inputs:
    """Half the volume, rounded down, of at least one row."""
    return with_rows(inputs, max((inputs.rows or own) // 2, FEWEST_ROWS), own)


def with_rows(inputs: Inputs, rows: int | None, own: int) -> Inputs:
    """That volume; the workload's own is no change."""
    return replace(inputs, rows=None if rows == own else rows)
