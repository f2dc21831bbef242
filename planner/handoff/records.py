"""What the ledger keeps, as values: jobs, attempts, events, charges; and their form in its columns.

Money is text of an exact decimal and a moment is text that sorts as time does, since SQLite has
neither. A mapper between classes and tables was rejected: it would be longer than these lines.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol

from planner.decision.turnaround import FinishedJob
from planner.handoff.vendor import Account, Counts
from planner.money import Rate, Usd, amount, difference, plain

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.decision.turnaround import State as Ending
    from planner.handoff.build import Shard
    from planner.handoff.plan import Plan
    from planner.handoff.states import State

JobState = Literal["open", "cancelling", "stopped", "done"]
Leg = Literal["batch", "realtime", "pilot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan that was handed off, and the account it is bound to."""

    id: str
    """`plan.nonce`: the same plan is the same job."""
    plan_id: str
    provider: str
    model: str
    lane: str
    strategy: str
    account: Account
    fingerprint: str
    versions: Mapping[str, str]
    rows: int
    cap: Usd | None
    created: datetime
    state: JobState = "open"
    stopped_because: str | None = None
    parent: str | None = None
    """The job whose unfinished rows these are."""
    rehearsal: bool = False

    @property
    def base_url(self) -> str:
        """Where it was sent."""
        return self.account.base_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at having one shard run; the newest of a shard is the one that counts."""

    job: str
    shard: int
    n: int
    state: State
    sha256: str
    rows: int
    bytes: int
    tokens: int
    ceiling: Usd
    file_id: str | None = None
    batch_id: str | None = None
    adopted: Literal["exact", "probable"] | None = None
    """Found by listing: for certain, or by its size and time alone."""
    high_water: str | None = None
    """The account's newest batch just before the call that makes one."""
    intent_at: datetime | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    harvest_by: datetime | None = None
    status: str | None = None
    counts: Counts | None = None
    last_poll: datetime | None = None
    error: str | None = None


FACTS = frozenset(each.name for each in fields(Attempt)) - frozenset(
    "job shard n state sha256 rows bytes tokens ceiling".split()
)
"""What may be learned of an attempt after it was made."""

_TIMES = frozenset(each.name for each in fields(Attempt) if "datetime" in str(each.type))


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line of the append-only record."""

    seq: int
    at: datetime
    kind: str
    shard: int | None
    n: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Line(Protocol):
    """One line of a bill: a `decision.cost.CostComponent` is one."""

    @property
    def lane(self) -> str:
        """The lane that it ran in."""

    @property
    def meter(self) -> str:
        """What is billed."""

    @property
    def over(self) -> int | None:
        """The context edge whose tier set the rate."""

    @property
    def quantity(self) -> int:
        """Units of the meter."""

    @property
    def rate(self) -> Rate:
        """US dollars per million."""

    @property
    def amount(self) -> Usd:
        """The product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """quantity x rate = amount, of one leg of a job: all its shards together."""

    leg: Leg
    lane: str
    meter: str
    over: int | None
    quantity: int
    rate: Rate
    amount: Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one job has cost, and what it may still cost for what is out."""

    job: str
    billed: Usd
    in_flight: Usd
    """Ceilings of what was sent and is not billed yet, also of what was lost track of."""


# --- values -----------------------------------------------------------------------------


def text(at: datetime) -> str:
    """A moment so that text sorts as time does."""
    assert at.tzinfo is not None, "a moment needs its zone"
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str | None) -> datetime | None:
    """A moment from its text."""
    return None if text is None else datetime.fromisoformat(text)


def money(value: Decimal | None) -> str | None:
    """An exact decimal as text."""
    return None if value is None else plain(value)


def usd(text: str) -> Usd:
    """An amount from its text."""
    return Usd(Decimal(text))


def columns(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as the columns of an attempt."""
    assert facts.keys() <= FACTS, f"no such facts: {sorted(facts.keys() - FACTS)}"
    return {name: _column(value) for name, value in facts.items()}


def _column(value: Any) -> Any:
    if isinstance(value, datetime):
        return text(value)
    return json.dumps(asdict(value)) if isinstance(value, Counts) else value


def told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as the record tells them."""
    return {name: value for name, value in facts.items() if value is not None}


def shown(value: object) -> Any:
    """What JSON has no form for, in the record."""
    if isinstance(value, datetime):
        return text(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Counts):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} does not belong into the record")


def of_plan(
    plan: Plan,
    shards: Sequence[Shard],
    account: Account,
    versions: Mapping[str, str],
    now: datetime,
) -> dict[str, Any]:
    """The columns of a plan's job, as it is admitted."""
    return {
        "id": plan.nonce,
        "plan_id": plan.id,
        "provider": plan.choice.provider,
        "model": plan.request.model,
        "lane": plan.choice.lane,
        "strategy": plan.choice.strategy,
        "account": json.dumps(asdict(account)),
        "fingerprint": account.fingerprint,
        "versions": json.dumps(dict(versions)),
        "rows": sum(each.rows for each in shards) or plan.workload.rows.value,
        "created": text(now),
        "state": "open",
    }


def first(job_id: str, shard: Shard, ceiling: Usd) -> dict[str, Any]:
    """The columns of a shard's first attempt."""
    return {
        "job": job_id,
        "shard": shard.shard,
        "n": 1,
        "state": "built",
        "sha256": shard.sha256,
        "rows": shard.rows,
        "bytes": shard.bytes,
        "tokens": shard.estimated_input_tokens,
        "ceiling": money(ceiling),
    }


def job_of(row: sqlite3.Row) -> Job:
    """A job from its row."""
    values = dict(row)
    return Job(
        **{
            **values,
            "account": _account(json.loads(values["account"])),
            "versions": json.loads(values["versions"]),
            "cap": None if values["cap"] is None else usd(values["cap"]),
            "created": moment(values["created"]),
            "rehearsal": bool(values["rehearsal"]),
        }
    )


def _account(values: dict[str, Any]) -> Account:
    return Account(**{**values, "settings": tuple(values.get("settings", ()))})


def attempt_of(row: sqlite3.Row) -> Attempt:
    """An attempt from its row."""
    values = {each.name: row[each.name] for each in fields(Attempt)}
    values |= {name: moment(values[name]) for name in _TIMES}
    counts = values["counts"]
    return Attempt(
        **{
            **values,
            "ceiling": usd(values["ceiling"]),
            "counts": None if counts is None else Counts(**json.loads(counts)),
        }
    )


def booked(
    before: Sequence[sqlite3.Row], lines: Iterable[Line], now: datetime
) -> Iterator[dict[str, Any]]:
    """A bill's lines as columns of charges, each part at the time when it was charged first.

    `before` are the charges that stood for the same, the oldest first; they keep their time as
    far as the lines still reach, and what is more is of `now`.
    """
    stood: dict[tuple[str, str, int | None], list[sqlite3.Row]] = {}
    for row in before:
        stood.setdefault((row["lane"], row["meter"], row["over"]), []).append(row)
    for line in lines:
        what = {"lane": line.lane, "meter": line.meter, "over": line.over}
        left, unpaid = line.quantity, line.amount
        parts = []
        for row in stood.pop((line.lane, line.meter, line.over), []):
            kept = min(row["quantity"], left)
            if kept:
                parts.append((row["at"], kept, amount(kept, line.rate)))
                left, unpaid = left - kept, difference(unpaid, parts[-1][2])
        if left or not parts:
            parts.append((text(now), left, unpaid))
        for at, quantity, paid in parts:
            sums = {"quantity": quantity, "rate": money(line.rate), "amount": money(paid)}
            yield {**what, **sums, "at": at}


def by_key(item: tuple[tuple[Any, ...], object]) -> tuple[Any, ...]:
    """The order of a bill's lines."""
    leg, lane, meter, over, rate = item[0]
    return (leg, lane, meter, -1 if over is None else over, Decimal(rate))


def ending(attempt: Attempt) -> Ending:
    """What an attempt tells of how long the lane takes."""
    if attempt.state in ("invalid", "rejected"):
        return "failed"
    if attempt.ended_at is None:
        return "running"
    counts = attempt.counts
    if counts is not None and counts.canceled:
        return "canceled"
    return "expired" if counts is not None and counts.expired else "ended"


def finished_of(
    row: sqlite3.Row, created: datetime | None, ended: datetime | None, state: Ending
) -> FinishedJob:
    """A row as history."""
    assert created is not None
    return FinishedJob(
        provider=row["provider"],
        model=row["model"],
        lane=row["lane"],
        rows=row["rows"],
        created=created,
        ended=ended,
        state=state,
    )
