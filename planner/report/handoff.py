"""What is shown before a job is sent, while it goes on, and when it is over: text and data.

Words of vendors and of rows pass through `printable` on their way to a screen.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from planner.money import Usd, dollars, plain
from planner.report.layout import UNKNOWN, as_json, printable, wrapped
from planner.words import batches, clock, counted, duration, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from planner.canary import Canary
    from planner.handing import Ready
    from planner.handoff.followup import FollowUp
    from planner.handoff.ledger import Job
    from planner.handoff.results import Tally
    from planner.handoff.runner import Progress
    from planner.handoff.submit import News
    from planner.rehearsing import Rehearsed
    from planner.standing import Rows

Json = dict[str, Any]
_LABEL = 10


def _line(name: str, said: str) -> str:
    return wrapped(said, first=f"  {name:<{_LABEL - 1}} ", later=" " * (_LABEL + 2))


# --- before -----------------------------------------------------------------------------


def ready(it: Ready, now: datetime) -> str:
    """Everything that a yes is given to."""
    lines = [_head(it)]
    lines += [_line(name, said) for name, said in _said(it, now)]
    return "\n".join(lines) + "\n"


def _head(it: Ready) -> str:
    verb = "To send" if it.job is None else f"Job {it.job.id}, which is {it.job.state}"
    return f"{verb}: {counted(it.built.rows, 'row')} of {it.plan.workload.path} to {it.vendor}"


def _said(it: Ready, now: datetime) -> Iterator[tuple[str, str]]:
    plan, account = it.plan, it.account
    yield "leaves", f"these rows leave this machine for {it.vendor}, at {account.base_url}"
    if it.region is not None:
        yield "region", it.region
    yield "account", f"{whose(account)}; key from {account.key_from}"
    if account.settings:
        yield "settings", f"set in the environment and obeyed: {', '.join(account.settings)}"
    files = _files(it)
    yield "lane", f"{plan.request.model}, {it.lane.title}, {plan.request.endpoint}, {files}"
    yield "cost", _cost(it)
    for twin in it.twins:
        when_ = f"{twin.created:%Y-%m-%d}"
        yield "again", f"job {twin.id} of {when_} sent these very rows: they are paid for once more"
    if it.built.reused:
        yield "reused", f"{counted(it.built.reused, 'answer')} of a pilot: not sent again"
    yield "finish", finish(it, now)
    yield "retention", _retention(it)
    for each in it.announced:
        yield "rescue", each
    if plan.choice.needs:
        yield "needs", plan.choice.needs
    if plan.accepted.assumed_output:
        yield "assumed", "the answer length is assumed, as was accepted when it was planned"
    if it.parent is not None:
        yield "follows", f"job {it.parent}: only rows of it that have no answer"


def _files(it: Ready) -> str:
    count = len(it.built.shards)
    if it.lane.per_batch is None:
        return "one row after the other"
    return f"in {batches(count)}"


def whose(account: Any) -> str:
    """The account as far as its vendor tells it."""
    told = [
        f"{name} {getattr(account, name)}"
        for name in ("organization", "workspace", "project")
        if getattr(account, name)
    ]
    return ", ".join(told) or "not told by the vendor"


def _cost(it: Ready) -> str:
    cost = it.plan.cost
    cap = "no cap (--max-cost sets one)" if it.cap is None else f"cap {dollars(it.cap)}"
    said = (
        f"{dollars(Usd(cost.expected))} expected, {dollars(Usd(cost.p95))} at the 95th "
        f"percentile, {dollars(it.ceiling)} at most, if every answer runs to its limit; {cap}"
    )
    if it.cap is not None and it.cap < it.ceiling:
        said += ": what would not fit under it waits for bills, or is not sent"
    if it.left_today is not None:
        said += f"; the policy leaves {dollars(max(it.left_today, Usd(it.left_today * 0)))} today"
    return said


def finish(it: Ready, now: datetime) -> str:
    """When it is done, from now; P by the deadline with its interval."""
    outlook, plan = it.outlook, it.plan
    if outlook.why_not is not None:
        return outlook.why_not
    p50, p95 = outlook.finish.p50, outlook.finish.p95
    said = "not known"
    if p50 is not None and p95 is not None:
        said = f"typically {duration(p50)}, 95 in 100 within {duration(p95)}"
    p = outlook.p_deadline
    if plan.deadline is not None and p is not None:
        said += (
            f"; by {clock(plan.deadline, now)}: {percent(p.mean)} "
            f"({percent(p.low)} to {percent(p.high)}, 80 % sure)"
        )
    if it.lane.per_batch is not None:
        said += ". Not guaranteed: rows that a window leaves undone expire and are sent again"
    return said


def _retention(it: Ready) -> str:
    kept = it.lane.results_kept
    if kept is not None:
        return f"{it.vendor} keeps the results for {duration(kept)}; fetch them before"
    if it.lane.per_batch is not None:
        return "how long the vendor keeps results is not published"
    return "answers come back at once; how long the vendor keeps them is between you and it"


def ready_data(it: Ready) -> Json:
    """The same as data."""
    outlook, plan = it.outlook, it.plan
    return {
        "job": plan.nonce,
        "plan": plan.id,
        "rows": it.built.rows,
        "reused": it.built.reused,
        "vendor": plan.choice.provider,
        "model": plan.request.model,
        "lane": plan.choice.lane,
        "strategy": plan.choice.strategy,
        "endpoint": plan.request.endpoint,
        "region": plan.demand.region,
        "account": asdict(it.account),
        "shards": len(it.built.shards),
        "cost": {
            "expected": plain(plan.cost.expected),
            "p95": plain(plan.cost.p95),
            "ceiling": plain(it.ceiling),
            "cap": None if it.cap is None else plain(it.cap),
        },
        "finish": {"p50": outlook.finish.p50, "p95": outlook.finish.p95},
        "p_deadline": None if outlook.p_deadline is None else asdict(outlook.p_deadline),
        "why_not": outlook.why_not,
        "results_kept": it.lane.results_kept,
        "parent": it.parent,
        "sent_before": [each.id for each in it.twins],
    }


# --- while ------------------------------------------------------------------------------

_NEWS: Mapping[str, str] = {
    "uploading": "shard {shard}: storing {bytes:,} bytes at the vendor",
    "stored": "shard {shard}: stored as {file}",
    "sending": "shard {shard}: sending {rows}",
    "sent": "shard {shard}: sent, batch {batch}",
    "unknown": "shard {shard}: the reply was lost ({why}); looking for its batch first",
    "looked": "shard {shard}: not found yet",
    "held": "shard {shard}: nobody can say whether a batch of it exists",
    "adopted": "shard {shard}: found, batch {batch} ({how})",
    "rearmed": "shard {shard}: no batch of it exists, so it goes again",
    "duplicate": "batch {batch} is one too many ({status}) and is ended",
    "strange_status": "shard {shard}: the vendor says {status!r}, which nobody knows; still asking",
    "ended": "shard {shard}: over ({status})",
    "requeued": "shard {shard}: the vendor's queue was full; it goes again later",
    "failed": "shard {shard}: refused as a whole: {error}",
    "missing": "shard {shard}: the vendor does not find batch {batch}",
    "lost": "shard {shard}: {why}",
    "cancelling": "cancelling: nothing more is sent, what is done is kept",
    "cancel": "shard {shard}: asked for its end",
    "spared": (
        "shard {shard}: batch {batch} goes on to its end, since only its size says that it is "
        "yours; if you have looked and it is, planner cancel {job} --ours {batch} ends it"
    ),
    "dropped": "what was not sent is given up",
    "fetched": "shard {shard}: results are here, {rows}",
    "short": "shard {shard}: the results are not whole; fetching them again",
    "foreign": "shard {shard}: that batch was somebody else's; looking again",
    "unpriced": "shard {shard}: no rate is known for {meter}",
    "merged": "shard {shard}: merged",
    "written": "written: {file}",
    "again": "{why}; again in {wait}",
    "stopped": "stopped: {why}",
    "done": "done",
}
SILENT = frozenset({"polled"})


class _Figures(dict[str, Any]):
    """A figure that is not told is said to be unknown."""

    def __missing__(self, key: str) -> _Unknown:
        return _Unknown()


class _Unknown:
    """Stands for a figure in any format."""

    def __format__(self, _spec: str) -> str:
        return UNKNOWN

    def __repr__(self) -> str:
        return UNKNOWN


def news(it: News) -> str | None:
    """One line of what happened; None where nobody needs to hear of it."""
    if it.kind in SILENT:
        return None
    figures = _Figures(it.figures) | {"shard": it.shard}
    if "rows" in it.figures:
        figures["rows"] = counted(it.figures["rows"], "row")
    if "seconds" in it.figures:
        figures["wait"] = duration(it.figures["seconds"])
    said = _NEWS.get(it.kind, it.kind.replace("_", " ")).format_map(_Figures(figures))
    outcomes = _outcomes(it.figures) if it.kind in ("ended", "merged", "written") else ""
    return printable(f"{said}: {outcomes}" if outcomes else said)


OUTCOMES = ("succeeded", "errored", "expired", "canceled", "unknown", "missing", "refused", "lost",
            "unsent", "pending")  # fmt: skip


def _outcomes(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{figures[name]:,} {name}" for name in OUTCOMES if figures.get(name))


def going(rows: Rows, plan: Any, elapsed: float, next_poll: float | None) -> str:
    """A line of progress: rows over of all, time against the plan, when it is asked again."""
    said = [f"{rows.over:,} of {counted(rows.total, 'row')}"]
    p50, p95 = plan.finish.p50, plan.finish.p95
    spent = duration(elapsed)
    if p50 is not None and p95 is not None:
        said.append(f"{spent} (planned {duration(float(p50))}, p95 {duration(float(p95))})")
    else:
        said.append(spent)
    if next_poll is not None:
        said.append(f"next look in {duration(next_poll)}")
    return ", ".join(said)


def pace(it: Progress) -> str:
    """A line of progress of rows that go one by one."""
    said = [f"{it.done:,} of {counted(it.rows, 'row')}"]
    if it.per_second is not None:
        said.append(f"{it.per_second:.1f} rows/s")
    if it.left is not None:
        said.append(f"{duration(it.left)} left (planned {duration(it.planned)} in all)")
    cap = "" if it.cap is None else f" of {dollars(it.cap)}"
    said.append(f"{dollars(it.billed)}{cap}")
    if it.failed:
        said.append(f"{it.failed:,} without an answer")
    if it.ambiguous:
        said.append(f"{it.ambiguous:,} in doubt")
    if it.waits_for is not None:
        said.append(f"waits for {it.waits_for}")
    return printable(", ".join(said))


# --- after ------------------------------------------------------------------------------

MOST_GROUPS = 5


def ended(job: Job, found: Tally, billed: Usd, folder: str, more: FollowUp | None) -> str:
    """What became of the rows, what they cost, and what can be done about the rest."""
    succeeded = found.outcomes["succeeded"]
    state = {"done": "done", "stopped": "stopped"}.get(job.state, job.state)
    because = f": {job.stopped_because}" if job.stopped_because else ""
    lines = [
        wrapped(
            f"Job {job.id} is {state}{because}. Answered: {succeeded:,} of "
            f"{counted(found.rows, 'row')}, {dollars(billed)} at the plan's rates."
        )
    ]
    lines += list(outcomes(found))
    if found.truncated:
        lines.append(_line("", f"cut at their output limit: {counted(found.truncated, 'answer')}"))
    if more is not None:
        most = dollars(Usd(more.plan.cost.ceiling))
        said = f"{counted(more.rows, 'row')} can be sent again, up to {most}"
        lines.append(_line("follow-up", f"{said}: planner submit {more.plan_path}"))
    lines.append(_line("answers", folder))
    return "\n".join(lines) + "\n"


def outcomes(found: Tally) -> Iterator[str]:
    """Rows without an answer by what became of them, with the commonest errors."""
    groups = [each for each in found.groups if each.outcome not in ("succeeded", "pending")]
    for each in groups[:MOST_GROUPS]:
        why = f" ({each.error})" if each.error and each.error != each.outcome else ""
        again = "; would fail again as it is" if each.permanent else ""
        said = f"{counted(each.rows, 'row')}, the first is row {each.first}{why}{again}"
        yield _line(each.outcome, said)
    rest = sum(each.rows for each in groups[MOST_GROUPS:])
    if rest:
        yield _line("others", counted(rest, "row"))
    if found.outcomes["pending"]:
        yield _line("pending", f"{counted(found.outcomes['pending'], 'row')} without an answer yet")


def ended_data(job: Job, found: Tally, billed: Usd, folder: str, more: FollowUp | None) -> Json:
    """The same as data: `planner.job_end/1`."""
    return {
        "schema": "planner.job_end/1",
        "job": job.id,
        "state": job.state,
        "because": job.stopped_because,
        "rows": found.rows,
        "outcomes": dict(found.outcomes),
        "truncated": found.truncated,
        "errors": [asdict(each) for each in found.groups],
        "billed": plain(billed),
        "answers": folder,
        "follow_up": None if more is None else {"rows": more.rows, "plan": str(more.plan_path)},
    }


def first_rows(it: Canary) -> str:
    """What came of the rows that were asked in realtime before the rest."""
    said = f"{it.answered} of {counted(it.asked, 'row')} answered, {dollars(it.billed)}"
    return f"{said}; {it.truncated} ran into their output limit" if it.truncated else said


def rehearsed(it: Rehearsed) -> str:
    """What a rehearsal showed."""
    took = (it.ended - it.began).total_seconds()
    found, plan = it.tally, it.ready.plan
    lines = [
        wrapped(
            f"Rehearsed: {found.outcomes['succeeded']:,} of {counted(found.rows, 'row')} answered "
            f"in {duration(took)} of a clock that leaps, {counted(it.requests, 'call')}, "
            f"{it.paid:,} of them made a batch. Nothing was sent, nothing is kept."
        ),
        *outcomes(found),
        _line("cost", f"{dollars(it.billed)} by the rehearsed answers; planned: "
              f"{dollars(Usd(plan.cost.expected))}, at most {dollars(it.ready.ceiling)}"),
        _line("vendor", "a server on loopback that answers as long as the plan expects: it "
              "tries out the hand-off, not the vendor's speed and not the answers"),
    ]  # fmt: skip
    if it.canary is not None:
        lines.insert(1, _line("canary", f"{first_rows(it.canary)}, before the rest"))
    if it.step.over == "stopped":
        lines.insert(1, _line("stopped", it.step.because or ""))
    return "\n".join(lines) + "\n"


def rehearsed_data(it: Rehearsed) -> Json:
    """`planner.rehearsal/1`."""
    return {
        "schema": "planner.rehearsal/1",
        **ready_data(it.ready),
        "account": None,
        "over": it.step.over,
        "because": it.step.because,
        "seconds": (it.ended - it.began).total_seconds(),
        "outcomes": dict(it.tally.outcomes),
        "canary": None if it.canary is None else _first_data(it.canary),
        "billed": plain(it.billed),
        "calls": it.requests,
        "batches": it.paid,
    }


def _first_data(it: Canary) -> Json:
    return {**asdict(it), "billed": plain(it.billed)}


def when(at: datetime | None, now: datetime) -> str:
    """A moment for a screen."""
    return UNKNOWN if at is None else clock(at, now, zone=False)


READY: Mapping[str, Callable[[Ready, datetime], str]] = {
    "table": ready,
    "json": lambda it, _now: as_json({"schema": "planner.ready/1", **ready_data(it)}),
}
ENDED: Mapping[str, Callable[[Job, Tally, Usd, str, Any], str]] = {
    "table": ended,
    "json": lambda *parts: as_json(ended_data(*parts)),
}
REHEARSED: Mapping[str, Callable[[Rehearsed], str]] = {
    "table": rehearsed,
    "json": lambda it: as_json(rehearsed_data(it)),
}
