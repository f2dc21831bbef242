"""Calibration as a table, a chart and data: what was claimed, what came, how many jobs say so."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from planner.money import dollars, plain
from planner.report.layout import UNKNOWN, Column, as_json, table, wrapped
from planner.words import counted, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from planner.handoff.calibration import Calibration, Line
    from planner.handoff.learned import Lesson, Promise

Json = dict[str, Any]

COLUMNS = (
    Column(title="claim"),
    Column(title="stated", right=True),
    Column(title="seen", right=True),
    Column(title="jobs", right=True),
    Column(title="95 % sure of"),
    Column(title=""),
)

JOBS = (
    Column(title="job"),
    Column(title="ended"),
    Column(title="planned $", right=True),
    Column(title="billed $", right=True),
    Column(title="low [ expected | high ], billed *"),
    Column(title="by the deadline"),
)
MOST_JOBS = 30
WIDTH = 31
"""Cells of a chart line; the middle one is the expected cost."""
HALF = 5
"""Cells from the expected cost to an end of its interval."""
_EMPTY = "".join({10: "[", 15: "|", 20: "]"}.get(cell, " ") for cell in range(WIDTH))


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{round(share * 100)} %"


def _cells(of: Line) -> tuple[str, ...]:
    seen = of.seen
    sure = f"{round(seen.low * 100)} to {round(seen.high * 100)} %"
    hits = f"{seen.hits:,} of {seen.n:,}"
    return of.claim, _percent(of.stated), _percent(seen.value), hits, sure, of.judgement


def text(of: Calibration) -> str:
    """The claims, then a line a job."""
    if not of.lessons:
        return "No finished job has been held against its plan yet: planner reconcile ID does it.\n"
    lines = [wrapped(_head(of)), ""]
    lines += [f"  {line}" for line in table(COLUMNS, map(_cells, (*of.cost, *of.deadline)))]
    if of.bias is not None:
        lines += ["", wrapped(_bias(of), first="  ")]
    shown = of.lessons[-MOST_JOBS:]
    lines += ["", *(f"  {line}" for line in table(JOBS, map(_job, shown)))]
    lines += ["", *_legend(of, len(shown))]
    return "\n".join(lines) + "\n"


def _head(of: Calibration) -> str:
    few = any(each.judgement == "too few" for each in (*of.cost, *of.deadline))
    said = f"{counted(len(of.lessons), 'finished job')} held against {_their(of)} plan"
    said += "s" if len(of.lessons) > 1 else ""
    return f"{said}. So few jobs prove little yet: read the intervals." if few else f"{said}."


def _their(of: Calibration) -> str:
    return "their" if len(of.lessons) > 1 else "its"


def _bias(of: Calibration) -> str:
    assert of.bias is not None
    said = f"Half of the bills were below {of.bias:.2f} x the expected cost"
    if of.brier is None:
        return f"{said}."
    return f"{said}; mean squared error of P(by the deadline): {of.brier:.3f} (a coin: 0.25)."


def _legend(of: Calibration, shown: int) -> Iterator[str]:
    more = len(of.lessons) - shown
    if more:
        yield f"  and {more:,} older"
    if of.left_out:
        said = (
            f"{counted(of.left_out, 'job')} ended early or with a rate that is not known, and "
            "say nothing of the cost."
        )
        yield wrapped(said, first="  ")
    yield wrapped(
        "holds: what was seen goes with the claim, and so many jobs would have shown if it were "
        "ten points off; too few: they would not.",
        first="  ",
    )


def _job(lesson: Lesson) -> tuple[str, ...]:
    promise = lesson.promise
    assert promise is not None
    return (
        lesson.job[:8],
        f"{lesson.at:%Y-%m-%d}",
        dollars(promise.expected),
        UNKNOWN if promise.billed is None else dollars(promise.billed),
        bar(promise),
        _deadline(promise),
    )


def _deadline(promise: Promise) -> str:
    if promise.in_time is None:
        return "none"
    said = "in time" if promise.in_time else "LATE"
    return f"{_percent(promise.p_mean)}: {said}"


def bar(promise: Promise) -> str:
    """The bill on the scale of its own interval: `[` low, `|` expected, `]` high, `*` the bill.

    `<` and `>`: the bill is more than three half-widths away.
    """
    if promise.billed is None:
        return ""
    cells = list(_EMPTY)
    off, middle = _halves(promise), WIDTH // 2
    if abs(off) > WIDTH / 2 / HALF:
        cells[0 if off < 0 else -1] = "<" if off < 0 else ">"
    else:
        cells[middle + round(off * HALF)] = "*"
    return "".join(cells).rstrip()


def _halves(promise: Promise) -> Fraction:
    """How far the bill is from the expected cost, in halves of the interval on that side."""
    assert promise.billed is not None
    off = Fraction(promise.billed) - Fraction(promise.expected)
    end = promise.high if off > 0 else promise.low
    half = abs(Fraction(end) - Fraction(promise.expected))
    if not half:
        return Fraction(0) if not off else Fraction(WIDTH) * (1 if off > 0 else -1)
    return off / half


def data(of: Calibration) -> str:
    """`planner.calibration/1`."""
    return as_json(
        {
            "schema": "planner.calibration/1",
            "jobs": len(of.lessons),
            "left_out": of.left_out,
            "cost": [_line(each) for each in of.cost],
            "deadline": [_line(each) for each in of.deadline],
            "billed_over_expected": None if of.bias is None else round(of.bias, 6),
            "brier": None if of.brier is None else round(of.brier, 6),
            "by_job": [_promise(each) for each in of.lessons],
        }
    )


def _line(of: Line) -> Json:
    seen = of.seen
    return {
        "claim": of.claim,
        "stated": round(of.stated, 6),
        "hits": seen.hits,
        "n": seen.n,
        "low": round(seen.low, 6),
        "high": round(seen.high, 6),
        "judgement": of.judgement,
    }


def _promise(lesson: Lesson) -> Json:
    promise = lesson.promise
    assert promise is not None
    money = ("expected", "low", "high", "p95", "ceiling")
    return {
        "job": lesson.job,
        "model": lesson.model,
        "lane": lesson.lane,
        **{name: plain(getattr(promise, name)) for name in money},
        "billed": None if promise.billed is None else plain(promise.billed),
        "deadline": iso(promise.deadline),
        "p_deadline": promise.p_mean,
        "finished": iso(promise.finished),
        "in_time": promise.in_time,
        "complete": promise.complete,
    }


CALIBRATION: Mapping[str, Callable[[Calibration], str]] = {"table": text, "json": data}
