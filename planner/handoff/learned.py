"""What a finished job or a pilot teaches the next estimate: lengths, ratios, times, failures.

A lesson is numbers alone, so it outlives the job's texts: how long the answers were, what the
vendor counted against what planner had, how many rows failed, how long a request took, and what
the plan had promised. It is found again by vendor, model and template, since it is these that
make an answer long. Keeping only means was rejected: without the lengths nobody can say how well
a mean is known, and an interval from a fitted law is wrong where tails are.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast

from planner.money import Usd, plain
from planner.words import counted
from planner.workload.sampling import COVERAGE, student

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from planner.handoff.ledger import Ledger
    from planner.handoff.plan import Plan

KIND = "learned"
"""The note in the ledger's record that holds a job's lesson; the last one counts."""

Source = Literal["job", "pilot"]

KEEPS = timedelta(days=180)
"""Older lessons are of other models under the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Rows as planner counted them beside what the vendor billed: sums of whole tokens."""

    rows: int = 0
    counted: int = 0
    billed: int = 0
    counted_squares: int = 0
    billed_squares: int = 0
    products: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Pairs:
        """(counted, billed) prompt tokens of each row."""
        n = c = b = cc = bb = cb = 0
        for ours, theirs in pairs:
            n, c, b = n + 1, c + ours, b + theirs
            cc, bb = cc + ours * ours, bb + theirs * theirs
            cb += ours * theirs
        return cls(rows=n, counted=c, billed=b, counted_squares=cc, billed_squares=bb, products=cb)

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in _PAIRS})

    @property
    def ratio(self) -> Fraction | None:
        """Billed tokens for each one counted; None without any."""
        return Fraction(self.billed, self.counted) if self.counted and self.billed else None

    @property
    def half(self) -> Fraction:
        """Half the 95 % interval of the ratio: the ratio estimator's, Student's t."""
        ratio = self.ratio
        if ratio is None or self.rows < 2:  # noqa: PLR2004 -- one row has no spread
            return Fraction(1)
        left = self.billed_squares - 2 * ratio * self.products + ratio**2 * self.counted_squares
        spread = math.sqrt(max(0.0, float(left)) / (self.rows - 1))
        error = spread * math.sqrt(self.rows) / self.counted
        reach = student(0.5 + COVERAGE / 2, self.rows - 1) * error
        return Fraction(reach).limit_denominator(10**6)


_PAIRS = fields(Pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of single requests: how many, their mean, standard deviation over mean."""

    n: int
    mean: float
    cv: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What the plan said and what came, for calibration; money in US dollars."""

    expected: Usd
    low: Usd
    high: Usd
    p95: Usd
    ceiling: Usd
    billed: Usd | None
    """None: a rate is not known."""
    deadline: datetime | None = None
    p_mean: float | None = None
    p_low: float | None = None
    finished: datetime | None = None
    """When the last row was done; None while some are not."""
    complete: bool = True
    """Every row was run: a job that was stopped says nothing of the cost of all of it."""

    @property
    def in_time(self) -> bool | None:
        """Whether every row was done by the deadline; None without one or without a P."""
        if self.deadline is None or self.p_mean is None:
            return None
        return self.complete and self.finished is not None and self.finished <= self.deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One job or pilot in numbers."""

    job: str
    source: Source
    at: datetime
    provider: str
    model: str
    lane: str
    template: str
    workload: str
    """Digest of the file."""
    counter: str
    """What the rows were counted with."""
    limit: int
    """Output tokens at which an answer was cut."""
    rows: int
    """That were sent."""
    failed: int = 0
    truncated: int = 0
    lengths: Mapping[int, int] = field(default_factory=dict)
    """{output tokens, reasoning with them: answers}."""
    pairs: Pairs = Pairs()
    cache_read: int = 0
    """Of the billed prompt tokens."""
    times: Times | None = None
    promise: Promise | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Whom it was charged to; outlives the plan."""

    @property
    def answered(self) -> int:
        """Rows with an answer whose length is known."""
        return sum(self.lengths.values())


def template(prompt: str | None, system: str | None, extra: Mapping[str, Any], digest: str) -> str:
    """What makes answers long, as a digest: the templates and what else goes into each request.

    Rows that are requests already have no template: then it is the file itself (`digest`).
    """
    parts = [prompt if prompt is not None else digest, system, _plain(extra)]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def template_of(plan: Plan) -> str:
    """That of a plan's requests."""
    request = plan.request
    return template(
        request.prompt.text if request.prompt else None,
        request.system.text if request.system else None,
        extras(request.params, request.json_schema),
        plan.workload.digest,
    )


def extras(params: Mapping[str, Any], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes into each request beside its texts."""
    return {"params": dict(params), "schema": None if schema is None else dict(schema)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return {"number": plain(value)} if isinstance(value, Decimal) else value


# --- what is known for the next estimate ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Lessons of one vendor, model and template, put together."""

    basis: Literal["pilot", "history"]
    jobs: int
    newest: datetime
    lengths: Mapping[int, int]
    limit: int
    """The lowest limit under which an answer of these was cut; else the lowest of all."""
    truncated: int
    failed: int
    rows: int
    pairs: Pairs
    times: Times | None
    same_rows: bool
    """All of them ran rows of the very file that is asked about."""

    @property
    def answered(self) -> int:
        """Answers whose length is known."""
        return sum(self.lengths.values())

    @property
    def said(self) -> str:
        """Where it comes from: `a pilot of 100 rows on 2026-11-22`."""
        kind = "pilot" if self.basis == "pilot" else "job"
        several = f"a {kind}" if self.jobs == 1 else counted(self.jobs, kind)
        if self.basis == "history" and self.jobs > 1:
            several = f"{self.jobs} jobs and pilots"
        there = "" if self.same_rows else " with other rows and the same template"
        when = f"on {self.newest:%Y-%m-%d}" if self.jobs == 1 else f"up to {self.newest:%Y-%m-%d}"
        return f"{several} of {counted(self.answered, 'answer')}{there} {when}"


def evidence(
    lessons: Iterable[Lesson],
    *,
    provider: str,
    model: str,
    template: str,
    workload: str,
    counter: str,
    now: datetime,
) -> Evidence | None:
    """What lessons say of that model and template; None where none does."""
    found = [
        each
        for each in lessons
        if (each.provider, each.model, each.template) == (provider, model, template)
        and each.answered
        and now - each.at <= KEEPS
    ]
    if not found:
        return None
    lengths: Counter[int] = Counter()
    for each in found:
        lengths.update(each.lengths)
    cut = [each.limit for each in found if each.truncated]
    return Evidence(
        basis="history" if any(each.source == "job" for each in found) else "pilot",
        jobs=len(found),
        newest=max(each.at for each in found),
        lengths=dict(sorted(lengths.items())),
        limit=min(cut or [each.limit for each in found]),
        truncated=sum(each.truncated for each in found),
        failed=sum(each.failed for each in found),
        rows=sum(each.rows for each in found),
        pairs=_sum(each.pairs for each in found if each.counter == counter),
        times=_newest_times(found),
        same_rows=all(each.workload == workload for each in found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All lessons, and what goes into each request beside its texts: what an estimate asks."""

    lessons: tuple[Lesson, ...]
    extras: Mapping[str, Any]
    now: datetime

    def of(
        self,
        *,
        provider: str,
        model: str,
        prompt: str | None,
        system: str | None,
        workload: str,
        counter: str,
    ) -> Evidence | None:
        """What is known of these requests to that model."""
        return evidence(
            self.lessons,
            provider=provider,
            model=model,
            template=template(prompt, system, self.extras, workload),
            workload=workload,
            counter=counter,
            now=self.now,
        )


def _sum(pairs: Iterable[Pairs]) -> Pairs:
    whole = Pairs()
    for each in pairs:
        whole += each
    return whole


def _newest_times(lessons: Iterable[Lesson]) -> Times | None:
    """Times of the newest run alone: how busy a vendor is does not add up over weeks."""
    timed = [each for each in lessons if each.times is not None]
    return max(timed, key=lambda each: each.at).times if timed else None


def times_of(seconds: Iterable[float]) -> Times | None:
    """Mean and spread of single requests; None without any."""
    seen = list(seconds)
    if not seen:
        return None
    mean = math.fsum(seen) / len(seen)
    squares = math.fsum((each - mean) ** 2 for each in seen)
    spread = math.sqrt(squares / (len(seen) - 1)) if len(seen) > 1 else mean
    return Times(n=len(seen), mean=mean, cv=spread / mean if mean else 0.0)


# --- in the ledger ----------------------------------------------------------------------


def keep(ledger: Ledger, lesson: Lesson, now: datetime) -> None:
    """Write a lesson into the record of its job, unless it says what the last one said."""
    if lesson_of(ledger, lesson.job) != lesson:
        ledger.note(lesson.job, KIND, now, **as_facts(lesson))


def lesson_of(ledger: Ledger, job: str) -> Lesson | None:
    """What a job has taught so far; None where nothing is written."""
    told = [each.facts for each in ledger.events(job) if each.kind == KIND]
    return from_facts(told[-1]) if told else None


def lessons(ledger: Ledger) -> tuple[Lesson, ...]:
    """What every job has taught, the oldest job first; rehearsals teach nothing."""
    found = (lesson_of(ledger, job.id) for job in ledger.jobs() if not job.rehearsal)
    return tuple(each for each in found if each is not None)


def as_facts(lesson: Lesson) -> dict[str, Any]:
    """A lesson as plain data: money as text, moments as ISO text."""
    facts: dict[str, Any] = {each.name: getattr(lesson, each.name) for each in fields(Lesson)}
    facts["at"] = lesson.at.isoformat()
    facts["tags"] = dict(lesson.tags)
    facts["lengths"] = {str(length): times for length, times in sorted(lesson.lengths.items())}
    for name in ("pairs", "times", "promise"):
        part = facts[name]
        facts[name] = None if part is None else _facts(part)
    return facts


def _facts(part: Any) -> dict[str, Any]:
    return {each.name: _fact(getattr(part, each.name)) for each in fields(part)}


def _fact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return value.isoformat() if isinstance(value, datetime) else value


_MOMENTS = ("deadline", "finished")
_MONEY = ("expected", "low", "high", "p95", "ceiling", "billed")


def from_facts(facts: Mapping[str, Any]) -> Lesson:
    """The lesson of such data."""
    values = dict(facts)
    promise, times = values.pop("promise", None), values.pop("times", None)
    return Lesson(
        **{
            **values,
            "source": cast("Source", values["source"]),
            "at": datetime.fromisoformat(values["at"]),
            "lengths": {int(length): n for length, n in values["lengths"].items()},
            "pairs": Pairs(**values["pairs"]),
        },
        times=None if times is None else Times(**times),
        promise=None if promise is None else _promise(promise),
    )


def _promise(facts: Mapping[str, Any]) -> Promise:
    values = dict(facts)
    for name in _MONEY:
        values[name] = None if values[name] is None else Usd(Decimal(values[name]))
    for name in _MOMENTS:
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    return Promise(**values)


def promise_of(
    plan: Plan, *, billed: Usd | None, finished: datetime | None, complete: bool
) -> Promise:
    """What a plan said beside what came."""
    cost, p = plan.cost, plan.finish.p_deadline
    made = Promise(
        expected=Usd(cost.expected),
        low=Usd(cost.low),
        high=Usd(cost.high),
        p95=Usd(cost.p95),
        ceiling=Usd(cost.ceiling),
        billed=billed,
        deadline=plan.deadline,
        finished=finished,
        complete=complete,
    )
    return made if p is None else replace(made, p_mean=float(p.mean), p_low=float(p.low))
