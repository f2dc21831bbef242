"""Jobs at a glance and one by one, and the health of what they stand on: text and data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from planner.handoff import states
from planner.money import dollars, plain
from planner.report.handoff import when, whose
from planner.report.layout import UNKNOWN, Column, as_json, printable, table, wrapped
from planner.words import batches, clock, counted, duration, iso, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from planner.doctor import Finding
    from planner.handoff.ledger import Attempt, Note
    from planner.standing import Imported, Standing

Json = dict[str, Any]

COLUMNS = (
    Column(title="job"),
    Column(title="model"),
    Column(title="lane"),
    Column(title="rows", right=True),
    Column(title="over", right=True),
    Column(title="failed", right=True),
    Column(title="billed", right=True),
    Column(title="in flight", right=True),
    Column(title="state"),
    Column(title="next"),
)


def listing(all_: Sequence[Standing], now: datetime) -> str:
    """Every job, a line each, the newest last."""
    if not all_:
        return "no jobs yet: planner submit PLAN sends one\n"
    lines = table(COLUMNS, (_cells(each, now) for each in all_))
    lines += [line for each in all_ for line in _urgent(each, now)]
    return "\n".join(lines) + "\n"


def _cells(it: Standing, now: datetime) -> tuple[str, ...]:
    rows = it.rows
    share = percent(rows.over / rows.total) if 0 < rows.over < rows.total else ""
    return (
        it.job.id,
        it.job.model,
        it.job.lane,
        f"{rows.total:,}",
        f"{rows.over:,}" + (f" {share}" if share else ""),
        f"{rows.failed:,}" if rows.failed else "",
        dollars(it.spent.billed),
        dollars(it.spent.in_flight) if it.spent.in_flight else "",
        state(it),
        next_step(it, now),
    )


def state(it: Standing) -> str:
    """One word, with a mark that needs no colour."""
    if it.rows.in_doubt and not it.running:
        return "? in doubt"
    if it.job.state == "done":
        done = "x cancelled" if it.job.stopped_because == "cancelled" else "+ done"
        return "- purged" if it.plan is None else done
    if it.job.state == "stopped":
        return "! stopped"
    return "> running" if it.running else "~ waiting"


def next_step(it: Standing, now: datetime) -> str:
    """What to do, or what happens by itself."""
    if it.plan is None:
        return ""
    if it.job.state == "done":
        return f"planner fetch {it.job.id[:6]}"
    if it.running:
        seen = [each.last_poll for each in it.attempts if each.last_poll is not None]
        last = max(seen, default=None)
        return "" if last is None else f"looked {duration((now - last).total_seconds())} ago"
    return f"planner resume {it.job.id[:6]}"


def _urgent(it: Standing, now: datetime) -> Iterator[str]:
    """What cannot wait: results that will be gone, and why a job stopped."""
    if it.job.state == "stopped" and it.job.stopped_because:
        yield wrapped(f"{it.job.id[:6]} stopped: {it.job.stopped_because}")
    if it.harvest_by is not None:
        until = clock(it.harvest_by, now)
        yield wrapped(f"{it.job.id[:6]}: results not fetched yet are kept until {until}")


# --- one job ----------------------------------------------------------------------------

SHARD_COLUMNS = (
    Column(title="shard", right=True),
    Column(title="try", right=True),
    Column(title="state"),
    Column(title="rows", right=True),
    Column(title="answered", right=True),
    Column(title="batch id"),
    Column(title="vendor says"),
    Column(title="sent"),
    Column(title="over"),
    Column(title="kept until"),
)
MOST_SHARDS = 30


def one(it: Standing, notes: Sequence[Note], now: datetime) -> str:
    """A job whole: rows, money, dates, shards, the last events."""
    job = it.job
    lines = [f"Job {job.id}: {state(it)}"]
    for name, said in _said(it, now):
        lines.append(wrapped(said, first=f"  {name:<9} ", later=" " * 12))
    if it.attempts:
        lines += ["", *table(SHARD_COLUMNS, _shards(it, now))]
    if notes:
        lines += ["", "Last events:"]
        lines += [f"  {printable(_note(each, now))}" for each in notes]
    return "\n".join(lines) + "\n"


def _said(it: Standing, now: datetime) -> Iterator[tuple[str, str]]:
    job, rows = it.job, it.rows
    yield (
        "what",
        f"{counted(job.rows, 'row')}, {job.provider}/{job.model}, {job.lane} ({job.strategy})",
    )
    yield "account", f"{whose(job.account)}, at {job.base_url}"
    parts = {
        "answered": rows.answered,
        "failed": rows.failed,
        "at the vendor": rows.out,
        "in doubt": rows.in_doubt,
        "not sent": rows.unsent,
    }
    yield "rows", ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    cap = UNKNOWN if job.cap is None else dollars(job.cap)
    spent = it.spent
    yield (
        "money",
        f"{dollars(spent.billed)} billed, {dollars(spent.in_flight)} in flight, cap {cap}",
    )
    yield from _times(it, now)
    if job.stopped_because:
        yield "because", job.stopped_because
    for error in _errors(it):
        yield "error", error
    if it.plan is not None and (step := next_step(it, now)):
        yield "next", step
    if job.parent is not None:
        yield "follows", f"job {job.parent}"


def _times(it: Standing, now: datetime) -> Iterator[tuple[str, str]]:
    since = duration((now - it.job.created).total_seconds())
    said = f"{clock(it.job.created, now)}, {since} ago"
    plan = it.plan
    if plan is not None and plan.finish.p50 is not None and plan.finish.p95 is not None:
        p50, p95 = duration(float(plan.finish.p50)), duration(float(plan.finish.p95))
        said += f"; planned: typically {p50}, 95 in 100 within {p95}"
    if plan is not None and plan.deadline is not None:
        said += f"; due {clock(plan.deadline, now)}"
    yield "begun", said
    if it.harvest_by is not None:
        yield "kept", f"results not fetched yet are kept until {clock(it.harvest_by, now)}"


def _errors(it: Standing) -> Iterator[str]:
    """What went wrong with shards, each said once."""
    yield from dict.fromkeys(each.error for each in it.attempts if each.error is not None)


def _shards(it: Standing, now: datetime) -> Iterator[tuple[str, ...]]:
    for each in it.attempts[:MOST_SHARDS]:
        answered = UNKNOWN if each.counts is None else f"{each.counts.succeeded:,}"
        yield (
            str(each.shard),
            str(each.n),
            each.state + (" (probably)" if each.adopted == "probable" else ""),
            f"{each.rows:,}",
            answered,
            each.batch_id or "",
            each.status or "",
            when(each.created_at, now) if each.created_at else "",
            when(each.ended_at, now) if each.ended_at else "",
            when(each.harvest_by, now) if each.harvest_by and each.state in states.REMOTE else "",
        )
    more = len(it.attempts) - MOST_SHARDS
    if more > 0:
        yield (f"and {more:,} more", *("" for _ in SHARD_COLUMNS[1:]))


def _note(it: Note, now: datetime) -> str:
    shard = "" if it.shard is None else f" shard {it.shard}"
    facts = ", ".join(
        f"{name} {value}" for name, value in it.facts.items() if name in SHOWN and value
    )
    return f"{when(it.at, now)} {it.kind}{shard}" + (f": {facts}" if facts else "")


SHOWN = frozenset("batch_id batch status error because why file_id".split())


# --- data -------------------------------------------------------------------------------


def as_data(it: Standing) -> Json:
    """One job."""
    job, rows = it.job, it.rows
    return {
        "job": job.id,
        "plan": job.plan_id,
        "provider": job.provider,
        "model": job.model,
        "lane": job.lane,
        "strategy": job.strategy,
        "account": asdict(job.account),
        "created": iso(job.created),
        "state": job.state,
        "because": job.stopped_because,
        "running": it.running,
        "purged": it.plan is None,
        "rows": {**asdict(rows), "unsent": rows.unsent},
        "billed": plain(it.spent.billed),
        "in_flight": plain(it.spent.in_flight),
        "cap": None if job.cap is None else plain(job.cap),
        "harvest_by": iso(it.harvest_by),
        "parent": job.parent,
        "in_doubt": sum(each.state in states.IN_DOUBT for each in it.attempts),
    }


def listing_data(all_: Sequence[Standing], _now: datetime) -> str:
    """`planner.jobs/1`."""
    return as_json({"schema": "planner.jobs/1", "jobs": [as_data(each) for each in all_]})


def one_data(it: Standing, notes: Sequence[Note], _now: datetime) -> str:
    """`planner.job/1`."""
    return as_json(
        {
            "schema": "planner.job/1",
            **as_data(it),
            "shards": [_attempt_data(each) for each in it.attempts],
            "events": [
                {
                    "at": iso(each.at),
                    "kind": each.kind,
                    "shard": each.shard,
                    "n": each.n,
                    **each.facts,
                }
                for each in notes
            ],
        }
    )


def _attempt_data(it: Attempt) -> Json:
    times = ("intent_at", "created_at", "ended_at", "expires_at", "harvest_by", "last_poll")
    return {
        **asdict(it),
        **{name: iso(getattr(it, name)) for name in times},
        "ceiling": plain(it.ceiling),
    }


# --- clearing, importing, health --------------------------------------------------------


def imported(it: Imported, provider: str) -> str:
    """What a vendor's list gave."""
    said = f"new in the history: {batches(it.new)} of {provider}; {it.known:,} known before"
    if it.unnamed:
        said += f"; left out: {it.unnamed:,}, since nothing says of which model (--model says it)"
    return wrapped(f"{said}.") + "\n"


MARKS = {"ok": "+", "note": "~", "wrong": "x"}


def health(found: Sequence[Finding]) -> str:
    """Every finding, a line each, what is wrong marked."""
    lines = [
        wrapped(each.said, first=f"{MARKS[each.grade]} {each.about:<10} ", later=" " * 13)
        for each in found
    ]
    wrong = sum(each.grade == "wrong" for each in found)
    lines.append("")
    notes = sum(each.grade == "note" for each in found)
    said = f"{wrong} wrong" if wrong else "nothing is wrong"
    lines.append(f"{said}, {counted(notes, 'thing')} to know (~)" if notes else said)
    return "\n".join(lines) + "\n"


def health_data(found: Sequence[Finding]) -> str:
    """`planner.doctor/1`."""
    return as_json({"schema": "planner.doctor/1", "findings": [asdict(each) for each in found]})


LISTING: Mapping[str, Callable[[Sequence[Standing], datetime], str]] = {
    "table": listing,
    "json": listing_data,
}
ONE: Mapping[str, Callable[[Standing, Sequence[Note], datetime], str]] = {
    "table": one,
    "json": one_data,
}
HEALTH: Mapping[str, Callable[[Sequence[Finding]], str]] = {"table": health, "json": health_data}
