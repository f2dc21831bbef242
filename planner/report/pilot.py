"""A pilot before it runs, and what it says of all rows afterwards, as text and as data."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from planner.handoff.runner import CAPPED
from planner.money import Usd, dollars, plain
from planner.report.layout import as_json, printable, wrapped
from planner.words import compact, counted, portion
from planner.workload.sampling import FEWEST_FOR_BOOTSTRAP, MOST_FOR_BOOTSTRAP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from planner.handing import Ready
    from planner.handoff.pilots import Findings
    from planner.piloting import Piloted, Prepared

Json = dict[str, Any]

SHOWN_TEXT = 160
"""Characters of an answer."""


def before(prepared: Prepared, ready: Ready) -> str:
    """What a yes is asked for."""
    plan = prepared.plan
    cap = "no cap (--max-cost)" if ready.cap is None else f"cap {dollars(ready.cap)}"
    who = ready.account.organization or ready.account.workspace or ready.account.key_from
    what = f"{counted(prepared.rows, 'row')} of {prepared.of:,} by chance (seed {prepared.seed})"
    most = f"{dollars(Usd(plan.cost.expected))} expected, {dollars(ready.at_most)} at the most"
    lines = [
        f"Pilot: {what}, sent one by one to {plan.choice.option}",
        f"  cost     {most}; {cap}",
        f"  to       {ready.vendor}, {ready.account.base_url} ({printable(who)})",
    ]
    if plan.tokens.output_basis == "assumed":
        lines.append("  answers  their length is assumed so far: that is what the pilot is for")
    return "\n".join(lines) + "\n"


def text(of: Piloted, gate: Fraction) -> str:
    """What came, and what it says of all rows."""
    lines = [wrapped(_head(of), later="  ")]
    lines += [wrapped(said, first=f"  {name:<9} ", later=" " * 12) for name, said in _said(of)]
    if of.answers:
        lines += ["", "Answers:", *_answers(of)]
    lines += ["", *(wrapped(each) for each in _end(of, gate))]
    return "\n".join(lines) + "\n"


def _head(of: Piloted) -> str:
    closed, prepared = of.closed, of.prepared
    billed = closed.reconciliation.billed
    cost = "a cost that is not known" if billed is None else dollars(billed)
    expected = dollars(Usd(prepared.plan.cost.expected))
    when = "It had been run before; nothing was sent now. " if of.again else ""
    return (
        f"{when}{_what(of)} of {prepared.rows:,} of {counted(prepared.of, 'row')}, "
        f"{prepared.plan.choice.option}, job {closed.job.id}: {cost} ({expected} expected)"
        f"{MADE_UP if closed.job.rehearsal else ''}"
    )


MADE_UP = ". A rehearsal: every figure below is of made-up answers, and says nothing of the model."


def _what(of: Piloted) -> str:
    return "Rehearsed pilot" if of.closed.job.rehearsal else "Pilot"


def _said(of: Piloted) -> Iterator[tuple[str, str]]:
    found, lesson = of.findings, of.findings.lesson
    if found.mean is not None and found.total is not None:
        mean, (low, value, high) = found.mean, found.total
        range_ = f"{float(mean.low):,.0f} to {float(mean.high):,.0f}, 95 %, {_method(mean.n)}"
        said = (
            f"{counted(round(mean.mean), 'token')} an answer on average ({range_}); half are up to "
            f"{found.p50:,}, 95 in 100 up to {found.p95:,}, the longest {mean.largest:,}"
        )
        yield "output", said
        yield "all rows", f"{compact(value)} tokens ({compact(low)} to {compact(high)})"
    yield (
        "ceiling",
        f"{compact(found.ceiling)} tokens if every answer runs to its limit of {lesson.limit:,}",
    )
    said = (
        f"up to {portion(found.unseen)} of the rows may run to the limit: "
        f"{counted(lesson.answered, 'answer')} cannot show a rarer tail"
    )
    yield "unseen", said
    yield "how well", _how_well(found)
    if lesson.times is not None and not of.closed.job.rehearsal:
        times = lesson.times
        yield (
            "latency",
            f"{times.mean:.2f} s on average, CV {times.cv:.2f}, {counted(times.n, 'request')}",
        )
    ratio = lesson.pairs.ratio
    if ratio is not None:
        half = float(lesson.pairs.half)
        told = f"{lesson.pairs.billed:,} tokens billed, {lesson.pairs.counted:,} counted"
        yield "prompts", f"{told}: {float(ratio):.3f} x (+-{half:.3f})"
        share = Fraction(lesson.cache_read, lesson.pairs.billed)
        yield "cache", f"{portion(share)} of the prompt tokens were read from a cache"
    yield "failed", _failed(found)


def _method(n: int) -> str:
    """How the interval of so many answers is made."""
    resampled = FEWEST_FOR_BOOTSTRAP <= n <= MOST_FOR_BOOTSTRAP
    return "bootstrap-t" if resampled else "Student's t"


def _how_well(found: Findings) -> str:
    half = found.half
    known = "the mean is not known" if half is None else f"the mean is known within {portion(half)}"
    if not found.more:
        return known
    return f"{known}; about {counted(found.more, 'row')} more would bring that to 10 %"


def _failed(found: Findings) -> str:
    lesson = found.lesson
    return (
        f"{lesson.failed:,} of {counted(lesson.rows, 'row')}; {lesson.truncated:,} of "
        f"{counted(lesson.answered, 'answer')} hit max_tokens"
    )


def _answers(of: Piloted) -> Iterator[str]:
    for key, outcome, said in of.answers:
        mark = "" if outcome == "succeeded" else f"[{outcome}] "
        short = said if len(said) <= SHOWN_TEXT else f"{said[:SHOWN_TEXT]}..."
        yield f"  {printable(str(key))}: {mark}{printable(short)}"


def _end(of: Piloted, gate: Fraction) -> Iterator[str]:
    """The gate, what to do, and where it goes from here."""
    if of.step.over != "done":
        yield f"It stopped before its end: {_stopped(of)}. The same command goes on."
    yield from advice(of.findings, gate)
    if of.closed.job.rehearsal:
        yield "This was a rehearsal: nothing was billed, and nothing of it is kept."
    elif of.findings.lesson.answered:
        yield (
            "Kept: planner estimate and planner plan with this model and template now rest on it "
            "(basis: pilot)."
        )


def _stopped(of: Piloted) -> str:
    """Why, and what would let it go on."""
    if of.step.because == CAPPED:
        return "the cap has no room for another row, so give a higher --max-cost"
    return of.step.because or "nobody said why"


def advice(found: Findings, gate: Fraction) -> Iterator[str]:
    """Why the job is not ready, and what would make it so; nothing where it is."""
    if found.passes(gate):
        return
    lesson = found.lesson
    if lesson.truncated:
        longer = 1 << (2 * lesson.limit - 1).bit_length()
        yield (
            f"NOT READY: {lesson.truncated:,} of {counted(lesson.answered, 'answer')} hit "
            f"max_tokens ({lesson.limit:,}): ask for shorter ones, or give "
            f"--max-output-tokens {longer}."
        )
    if lesson.failed:
        yield (
            f"NOT READY: {lesson.failed:,} of {counted(lesson.rows, 'row')} failed: the answers "
            "above say why; mend them, or allow it with --allow-failures SHARE."
        )
    if not lesson.rows:
        yield "NOT READY: no row was answered."


def data(of: Piloted, gate: Fraction) -> str:
    """`planner.pilot/1`."""
    found, lesson, closed = of.findings, of.findings.lesson, of.closed
    billed, times = closed.reconciliation.billed, lesson.times
    return as_json(
        {
            "schema": "planner.pilot/1",
            "job": closed.job.id,
            "option": of.prepared.plan.choice.option,
            "rehearsal": closed.job.rehearsal,
            "rows": lesson.rows,
            "of": of.prepared.of,
            "seed": of.prepared.seed,
            "expected": plain(of.prepared.plan.cost.expected),
            "billed": None if billed is None else plain(billed),
            "output": _output(found),
            "latency": None
            if times is None
            else {"n": times.n, "mean": round(times.mean, 6), "cv": round(times.cv, 6)},
            "prompt": {
                "counted": lesson.pairs.counted,
                "billed": lesson.pairs.billed,
                "cache_read": lesson.cache_read,
            },
            "failed": lesson.failed,
            "truncated": lesson.truncated,
            "ready": found.passes(gate),
            "advice": list(advice(found, gate)),
            "answers": [{"key": k, "outcome": o, "text": t} for k, o, t in of.answers],
        }
    )


def _output(found: Findings) -> Json:
    mean, total = found.mean, found.total
    low, value, high = total or (None, None, None)
    return {
        "n": found.lesson.answered,
        "mean": None if mean is None else round(float(mean.mean), 6),
        "low": None if mean is None else round(float(mean.low), 6),
        "high": None if mean is None else round(float(mean.high), 6),
        "p50": found.p50,
        "p95": found.p95,
        "largest": None if mean is None else mean.largest,
        "all_rows": {"low": low, "value": value, "high": high, "ceiling": found.ceiling},
        "limit": found.lesson.limit,
        "unseen": round(found.unseen, 6),
        "known_within": None if found.half is None else round(found.half, 6),
        "more_rows": found.more,
    }


PILOT: Mapping[str, Callable[[Piloted, Fraction], str]] = {"table": text, "json": data}
