"""A few real rows before all of them: which ones, what they say of the rest, and whether to go on.

Rows are drawn by chance and by a seed: each gets a number of its own in the order of the file and
the lowest are taken, so a larger pilot holds the smaller one whole. The beginning of the file was
rejected: files are sorted, and the first rows answer for nobody.

The interval of the mean is a bootstrap-t, since answer lengths are skewed; no interval speaks for
a tail that was not seen, so the ceiling and the share of rows that the pilot cannot exclude at it
always stand beside it.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import math
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from planner.handoff import build as builds
from planner.handoff import followup, results, rows
from planner.handoff import plan as plans
from planner.handoff.plan import sync_folder
from planner.money import plain
from planner.workload.sampling import COVERAGE, mean_estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from planner.handoff.learned import Lesson
    from planner.handoff.ledger import Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.vendor import RowResult
    from planner.workload.readers import Row
    from planner.workload.sampling import MeanEstimate

DEFAULT_ROWS: Final = 100
WANTED: Final = 0.10
"""Half the interval of the mean, as a share, that a pilot is asked to reach."""
GATE: Final = Fraction(2, 100)
"""More failed or cut answers than this share, and the job is not ready to be sent."""
UNSEEN: Final = 0.05
TAG: Final = "pilot"
"""The tag of a plan whose rows were drawn to learn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Rows of a workload, in the order of the file, and how many there are in all."""

    rows: tuple[Row, ...]
    of: int


def draw(every: Iterable[Row], n: int, seed: int) -> Drawn:
    """`n` rows by chance in one pass; all of them where there are no more.

    A larger `n` of the same seed holds the rows of the smaller one.
    """
    random = Random(seed)
    kept: list[tuple[float, int, Row]] = []
    count = 0
    for count, row in enumerate(every, start=1):
        place = (-random.random(), -count, row)
        if len(kept) < n:
            heapq.heappush(kept, place)
        elif place[:2] > kept[0][:2]:
            heapq.heapreplace(kept, place)
    return Drawn(rows=tuple(sorted((row for *_, row in kept), key=_number)), of=count)


def _number(row: Row) -> int:
    return row.number


def write(drawn: Drawn, path: Path) -> str:
    """The rows as a workload of their own, for nobody else to read; its digest."""
    hashed = hashlib.sha256()
    part = path.with_name(f"{path.name}.part")
    with results.private(part) as stream:
        for row in drawn.rows:
            text = json.dumps(_plain(row.fields), ensure_ascii=False)
            line = text.encode("utf-8", "surrogatepass") + b"\n"
            stream.write(line)
            hashed.update(line)
        results.settle(stream)
    part.replace(path)
    sync_folder(path.parent)
    return f"sha256:{hashed.hexdigest()}"


def _plain(value: Any) -> Any:
    """Numbers with the digits they were read with, as far as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(plain(value))
    return value if isinstance(value, str | int | float | bool | None) else str(value)


# --- what they say ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a pilot says of a job of `of` rows, in output tokens."""

    lesson: Lesson
    of: int
    mean: MeanEstimate | None
    """None without an answer."""
    p50: int
    p95: int

    @property
    def total(self) -> tuple[int, int, int] | None:
        """Output tokens of all rows: low, expected, high (95 %)."""
        if self.mean is None:
            return None
        low, value, high = (
            each * self.of for each in (self.mean.low, self.mean.mean, self.mean.high)
        )
        return math.floor(low), round(value), math.ceil(high)

    @property
    def ceiling(self) -> int:
        """Output tokens where every answer runs to its limit."""
        return self.of * self.lesson.limit

    @property
    def unseen(self) -> float:
        """The share of rows that may run to the limit without the pilot showing it (95 %)."""
        n = self.lesson.answered
        return 1.0 if not n else 1 - UNSEEN ** (1 / n)

    @property
    def half(self) -> float | None:
        """The longer side of the mean's interval, as a share of it."""
        if self.mean is None or not self.mean.mean:
            return None
        of = self.mean
        return float(max(of.high - of.mean, of.mean - of.low) / of.mean)

    @property
    def more(self) -> int:
        """How many rows more would bring the interval to `WANTED`; 0: none.

        The more of (z CV / 0.10)^2 in all, by the CV seen, and of what the interval that was
        reached asks for (it narrows as the root of the rows); no more than there are.
        """
        if self.mean is None:
            return max(0, min(DEFAULT_ROWS, self.of) - self.lesson.rows)
        if self.half is not None and self.half <= WANTED:
            return 0
        z = NormalDist().inv_cdf(0.5 + COVERAGE / 2)
        by_cv = (z * self.mean.cv / WANTED) ** 2
        by_interval = self.lesson.answered * ((self.half or 0.0) / WANTED) ** 2
        needed = math.ceil(max(by_cv, by_interval))
        return max(1, min(needed, self.of) - self.lesson.rows) if self.lesson.rows < self.of else 0

    @property
    def failures(self) -> Fraction:
        """The share of rows without an answer, or with one that was cut."""
        rows = self.lesson.rows
        return Fraction(self.lesson.failed + self.lesson.truncated, rows) if rows else Fraction(1)

    def passes(self, gate: Fraction = GATE) -> bool:
        """Whether so few rows failed that the job may be sent."""
        return self.failures <= gate


def findings(lesson: Lesson, of: int, *, seed: int) -> Findings:
    """What the lesson of a pilot says of a job of so many rows."""
    seen = mean_estimate(lesson.lengths, seed=seed, population=of) if lesson.answered else None
    return Findings(
        lesson=lesson,
        of=of,
        mean=seen,
        p50=_quantile(lesson.lengths, 0.5),
        p95=_quantile(lesson.lengths, 0.95),
    )


def _quantile(lengths: Mapping[int, int], share: float) -> int:
    """The length that at least that share of the answers do not exceed; 0 without any."""
    wanted = share * sum(lengths.values())
    running = 0
    for length, times in sorted(lengths.items()):
        running += times
        if running >= wanted:
            return length
    return 0


def as_pilot(lesson: Lesson, *, template: str, workload: str) -> Lesson:
    """The lesson of the drawn rows as one of the workload that they were drawn from."""
    return replace(lesson, source="pilot", template=template, workload=workload, promise=None)


# --- answers that are there already -----------------------------------------------------


class Answers:
    """What pilots were answered, by the very bytes that were asked; each serves one row."""

    def __init__(self) -> None:
        self._kept: dict[bytes, list[Mapping[str, Any]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def __call__(self, body: bytes) -> Mapping[str, Any] | None:
        """An answer to exactly this request; the next row that asks the same gets another."""
        left = self._kept.get(_asked(body))
        return left.pop(0) if left else None

    def add(self, body: bytes, job: str, result: RowResult) -> None:
        """Keep one that is whole: neither cut nor without a count of its tokens."""
        if result.outcome == "succeeded" and not result.truncated and result.usage is not None:
            values = {name: each for name, each in asdict(result).items() if each is not None}
            self._kept.setdefault(_asked(body), []).append({"job": job, "result": values})


def _asked(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def answers(ledger: Ledger, plan: Plan, parse: Callable[[bytes], RowResult], key: str) -> Answers:
    """What pilots of this vendor and model were answered; none where nothing else would be left.

    `key` is that of a request in the vendor's files. A model, prompt, parameter or limit that is
    another makes other bytes, so nothing is compared but these.
    """
    found = Answers()
    for job in ledger.jobs():
        folder = ledger.job_folder(job.id)
        if not _is_pilot(job, plan, folder):
            continue
        results_ = {row.index: row.result for row in followup.rows_of(ledger, job.id, parse)}
        for row in rows.rows_of(folder, followup.shards_of(folder), key):
            result = results_.get(row.index)
            if result is not None:
                found.add(row.body, job.id, result)
    return found if len(found) < plan.workload.rows.value else Answers()


def _is_pilot(job: Job, plan: Plan, folder: Path) -> bool:
    same = (job.provider, job.model) == (plan.choice.provider, plan.request.model)
    if not same or job.rehearsal or job.id == plan.nonce or not (folder / builds.PLAN).is_file():
        return False
    return TAG in plans.read(folder / builds.PLAN).tags
