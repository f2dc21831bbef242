"""What exists at the rehearsed vendor: files and batches of an account, and where each stands.

A batch is its rows and its pace; where it stands is *computed* from the time, whenever somebody
asks. Tasks that move batches along were rejected: on a clock that jumps a day they would have to
catch up in the right order, and a rehearsal would depend on when it was looked at.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from array import array
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from planner.handoff.rehearsal.laws import Draw, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from planner.handoff.rehearsal.laws import Answers, Pace
    from planner.handoff.rehearsal.limits import Realtime
    from planner.handoff.rehearsal.spool import Blob, Rows, Spool

Phase = Literal[
    "validating",
    "failed",
    "running",
    "finalizing",
    "cancelling",
    "completed",
    "expired",
    "cancelled",
]
OVER: frozenset[Phase] = frozenset({"completed", "expired", "cancelled"})
"""Ended with results, if any row was done."""

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a vendor promises, and what it does without promising."""

    batch_rows: int = 100_000
    batch_bytes: int = 256_000_000
    queued_rows: int | None = None
    """Rows of all batches that have not ended."""
    queued_tokens: int | None = None
    """Prompt tokens of all batches of a model that have not ended."""
    creates_per_hour: int | None = None
    list_lag: float = 0
    """Seconds until a new batch is seen in the list."""
    poll_after: float | None = None
    """`retry-after` of a poll while the batch is running."""
    keeps_results: timedelta = timedelta(days=29)
    cancelled_rows_listed: bool = True
    """Rows that a cancel left undone have a line in the results."""
    window: timedelta = DAY
    checks_later: bool = False
    """Rows are validated, and results wrapped up, while the batch exists already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a file is refused after it was taken."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(slots=True, kw_only=True)
class File:
    """An uploaded or a made file."""

    id: str
    name: str
    purpose: str
    created: datetime
    blob: Blob
    sha256: str = ""
    expires: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Sheet:
    """What one reading of the rows found: names and errors by place, and the sum of tokens."""

    rows: Rows
    wrong: array[int] = field(default_factory=lambda: array("B"))
    tokens: int = 0
    model: str = ""
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Batch:
    """One paid batch."""

    id: str
    created: datetime
    sheet: Sheet
    sha256: str
    pace: Pace
    window: timedelta
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What the client said when it made it."""
    cancel_at: datetime | None = None
    made: dict[str, Any] = field(default_factory=dict)
    """Results, once somebody has asked for them."""
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    deleted: bool = False

    @property
    def size(self) -> int:
        """Rows in all."""
        return len(self.sheet.rows)

    def order(self, seed: int) -> array[int]:
        """The rows in the order in which they get done, which is not the one they came in."""
        places = array("L", range(self.size))
        random.Random(f"{seed} {self.sha256}").shuffle(places)
        return places


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a batch stands at a moment; a time that has not come yet is None."""

    phase: Phase
    done: int
    """Rows that have an answer or an error of their own."""
    running_at: datetime | None = None
    finalizing_at: datetime | None = None
    cancelling_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Results can be read."""
        return self.phase in OVER


def stand(batch: Batch, now: datetime) -> Stand:
    """Where a batch stands."""
    checked = batch.created + timedelta(seconds=batch.pace.validating)
    asked = batch.cancel_at if batch.cancel_at is not None and batch.cancel_at <= now else None
    if batch.sheet.problems and now >= checked:
        return Stand(phase="failed", done=0, ended_at=checked)
    reason, stop = _stop(batch, checked)
    wrapped = stop + timedelta(seconds=batch.pace.finalizing)
    done = batch.pace.done(batch.size, (min(now, stop) - checked).total_seconds())
    if reason == "completed" and now >= stop:
        done = batch.size  # a moment is rounded to its microsecond, and the last row with it
    running = checked if now >= checked else None
    if now >= wrapped:
        return Stand(
            phase=reason,
            done=done,
            running_at=running,
            finalizing_at=stop,
            cancelling_at=asked,
            ended_at=wrapped,
        )
    if asked is not None:
        return Stand(phase="cancelling", done=done, running_at=running, cancelling_at=asked)
    if now >= stop:
        return Stand(phase="finalizing", done=done, running_at=running, finalizing_at=stop)
    phase: Phase = "validating" if now < checked else "running"
    return Stand(phase=phase, done=done, running_at=running)


def _stop(batch: Batch, checked: datetime) -> tuple[Phase, datetime]:
    """How and when the last row changes: done, out of time, or cancelled, whichever is first."""
    ways: list[tuple[datetime, Phase]] = [(batch.created + batch.window, "expired")]
    all_done = batch.pace.all_done(batch.size)
    if all_done is not None:
        ways.insert(0, (checked + timedelta(seconds=all_done), "completed"))
    if batch.cancel_at is not None:
        ways.append((batch.cancel_at + timedelta(seconds=batch.pace.cancelling), "cancelled"))
    when, reason = min(ways, key=lambda way: way[0])
    return reason, when


@dataclass(slots=True, kw_only=True)
class World:
    """One account at one vendor."""

    provider: str
    tenant: str
    seed: int
    spool: Spool
    habits: Habits
    answers: Answers
    turnaround: Callable[[Draw], Pace]
    realtime: Realtime
    files: dict[str, File] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    models: dict[str, None] = field(default_factory=dict)
    """Names that have been asked for, in their order."""

    def name(self, prefix: str, *more: object) -> str:
        """An id that is the same in every run with this seed."""
        return prefix + token(self.seed, self.provider, self.tenant, prefix, *more)

    def add(self, id: str, sheet: Sheet, sha256: str, now: datetime, **asked: Any) -> Batch:
        """Make a batch."""
        again = sum(each.sha256 == sha256 for each in self.batches.values())
        drawn = Draw(rows=len(sheet.rows), share=lambda what: share(self.seed, what, sha256, again))
        pace = self.turnaround(drawn)
        if not self.habits.checks_later:
            pace = replace(pace, validating=0, finalizing=0)
        made = Batch(
            id=id,
            created=now,
            sheet=sheet,
            sha256=sha256,
            pace=pace,
            window=self.habits.window,
            asked=asked,
        )
        self.batches[id] = made
        return made

    def newest(self, now: datetime) -> Iterator[Batch]:
        """Batches as the list shows them, newest first."""
        lag = timedelta(seconds=self.habits.list_lag)
        for batch in reversed(self.batches.values()):
            if not batch.deleted and batch.created + lag <= now:
                yield batch

    def queued(self, now: datetime, model: str | None = None) -> tuple[int, int]:
        """Rows and prompt tokens of batches that have not ended."""
        rows = tokens = 0
        for batch in self.batches.values():
            if model is not None and batch.sheet.model != model:
                continue
            where = stand(batch, now)
            if where.ended_at is None:
                rows += batch.size - where.done
                tokens += batch.sheet.tokens
        return rows, tokens

    def created_since(self, moment: datetime) -> list[datetime]:
        """When batches were made after a moment."""
        return [each.created for each in self.batches.values() if each.created > moment]


def token(seed: int, *names: object) -> str:
    """22 letters and digits, as vendors' ids have them."""
    raw = hashlib.blake2b(repr((seed, *names)).encode(), digest_size=17).digest()
    return base64.b64encode(raw, b"xX")[:22].decode()


def hexadecimal(seed: int, *names: object) -> str:
    """32 hexadecimal digits."""
    return hashlib.blake2b(repr((seed, *names)).encode(), digest_size=16).hexdigest()


def characters(value: Any) -> int:
    """Characters of all text in a request, whatever its shape."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(characters, value.values()))
    if isinstance(value, list):
        return sum(map(characters, value))
    return 0
