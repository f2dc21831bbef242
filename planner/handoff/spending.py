"""What a shard may cost at most, and whether the cap has room for it.

The cap bounds what is billed, plus the ceilings of all that is out, plus the next shard: money is
set aside before it can be spent, and what was not needed comes back with the bill. Holding the
expected cost against the cap was rejected: half of all jobs cost more than expected.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal

from planner.errors import UnknownFactError
from planner.money import ZERO, Rate, Usd, amount, dollars, plus, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from planner.handoff.build import Shard
    from planner.handoff.ledger import Job, Ledger
    from planner.handoff.plan import Plan, Rates

INPUT, OUTPUT, WRITES, CACHE = "input", "output", "cache_write", "cache"
REARMED: Final = "rearmed"
"""The ledger's event of a create that is sent again."""


def ceilings(plan: Plan, shards: Sequence[Shard]) -> tuple[Usd, ...]:
    """The most that each shard may cost, in US dollars at the plan's own rates.

    Every row runs to its output limit; input is at the upper end of its interval, and pays the
    dearest rate that it may pay. UnknownFactError where a rate is not published.
    """
    rates = next(each for each in plan.rates if each.lane == plan.choice.lane)
    read, written = _dearest(plan, rates)
    return tuple(
        plus(
            amount(_input_high(plan, each), read),
            amount(each.rows * plan.request.max_output_tokens, written),
        )
        for each in shards
    )


def _dearest(plan: Plan, rates: Rates) -> tuple[Rate, Rate]:
    """The highest rates at which a token of this plan may be read, and written."""
    tables = [rates.rates, *_reachable(plan, rates)]
    reads = [rate for table in tables for meter, rate in table.items() if _may_pay(plan, meter)]
    writes = [table[OUTPUT] for table in tables if OUTPUT in table]
    if not reads or not writes:
        raise UnknownFactError.of(
            "no-ceiling", f"no rate is known for {plan.choice.lane}, so nothing bounds its cost"
        )
    return Rate(max(reads)), Rate(max(writes))


def _reachable(plan: Plan, rates: Rates) -> Iterator[Mapping[str, Decimal]]:
    """The tiers that some row may reach; all of them where not every row was counted."""
    rows = plan.workload.rows
    longest = ceil(plan.tokens.largest_row * _width(plan))
    for tier in rates.tiers:
        if (
            rows.low != rows.high
            or longest > tier.over
            or (tier.inclusive and longest == tier.over)
        ):
            yield tier.rates


def _may_pay(plan: Plan, meter: str) -> bool:
    """Whether a prompt token may be billed on this meter, and not for less than as input."""
    return meter == INPUT or (meter.startswith(WRITES) and caches(plan))


def caches(plan: Plan) -> bool:
    """Whether a request may write to a cache: it says so, or brings what nobody looked at."""
    return plan.choice.cache or plan.request.prompt is None or _names_cache(plan.request.params)


def _names_cache(value: Any) -> bool:
    if isinstance(value, dict):
        return any(CACHE in key or _names_cache(each) for key, each in value.items())
    return isinstance(value, list | tuple) and any(map(_names_cache, value))


def _input_high(plan: Plan, shard: Shard) -> int:
    return ceil(shard.estimated_input_tokens * _width(plan))


def _width(plan: Plan) -> Fraction:
    """Upper end of the interval of prompt tokens over its middle, at least 1."""
    counted = plan.tokens.input
    return max(Fraction(counted.high, counted.value), Fraction(1)) if counted.value else Fraction(1)


# --- the cap ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What a job has cost, what it has set aside, and its cap, in US dollars."""

    cap: Usd | None
    billed: Usd
    in_flight: Usd
    """Ceilings of what was sent and is not billed."""
    in_doubt: Usd = ZERO
    """Ceilings of creates that were repeated though the first may have been heard."""

    @property
    def committed(self) -> Usd:
        """All that may have to be paid for what was done so far."""
        return total((self.billed, self.in_flight, self.in_doubt))

    def needed(self, ceiling: Usd) -> Usd:
        """The cap at which something with this ceiling could be sent now."""
        return plus(self.committed, ceiling)

    def verdict(self, ceiling: Usd, *, out: bool) -> Literal["go", "wait", "stop"]:
        """Whether it may be sent; `out`: something is out whose bill may leave room."""
        if self.cap is None or self.needed(ceiling) <= self.cap:
            return "go"
        return "wait" if out else "stop"

    def refusal(self, ceiling: Usd) -> str:
        """Why it stops, and what would be needed."""
        assert self.cap is not None
        return (
            f"the cap of {dollars(self.cap)} has no room: {dollars(self.committed)} is spent or "
            f"set aside, and the next shard may cost {dollars(ceiling)}; a cap of "
            f"{dollars(self.needed(ceiling))} would do"
        )


def purse(ledger: Ledger, job: Job) -> Purse:
    """Where a job stands."""
    spent = ledger.exposure(job.id)
    return Purse(
        cap=job.cap,
        billed=spent.billed,
        in_flight=spent.in_flight,
        in_doubt=repeated(ledger, job.id),
    )


def repeated(ledger: Ledger, job_id: str) -> Usd:
    """Ceilings of creates that were sent again though the first may have been heard, and be billed.

    By the ledger's events, so that every leg of a job and every follow-up of it sees the same.
    """
    times = Counter(each.shard for each in ledger.events(job_id) if each.kind == REARMED)
    shards = ledger.attempts(job_id)
    return total(each.ceiling for each in shards for _ in range(times[each.shard]))
