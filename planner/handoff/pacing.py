"""How fast requests may go out: the plan's limits as token buckets, held against the vendor's word.

The plan's makespan is that of a client which sends each row as soon as every bucket and a free
slot allow it (`decision.realtime`); this is that client's conscience, over the same buckets. A
row is charged with its estimate when it leaves and corrected by what it used when it returns.
What a vendor's headers say is taken as a witness, not as an order: what is left only ever slows
us down, and a limit is believed when it is repeated or borne out by a refusal. Firing and retrying
on 429 would need none of this, and loses rows at one and a half times the limit.

Pure: times are seconds on any one clock, handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from planner.decision.realtime import Bucket, Load
    from planner.handoff.usage import Usage
    from planner.handoff.vendor import Allowance, Reply

AT_ONCE: Final = 1e-5
"""Seconds below which waiting is not worth a turn of the loop; the debt is carried on."""

LOWERED_AFTER: Final = 3
RAISED_AFTER: Final = 10
"""Replies in a row that must name the same limit before it is believed against the plan."""

DECREASE: Final = 0.7
GROWTH: Final = 0.05
"""Of the planned concurrency, what a round trip without a refusal gives back."""
RAMP_GROWTH: Final = 0.25
"""Of that growth, what is left after the vendor has said that we grow too fast."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
LASTING: Final = 60.0
"""Seconds; a limit of a longer window outlasts a process, so what was taken before counts."""

LONGEST_RETRY_AFTER: Final = 600.0
"""Seconds; a vendor that asks for more is asked again after this: the figure may be a mistake."""

SPENDING: Final = "usd_10min"
"""The limit that counts dollars; those that outlast a process otherwise count requests."""

CROWDED: Final = frozenset({429, 503, 529, None})
"""Statuses that speak of the vendor's state and not of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a run keeps to: the load that the plan's makespan was computed from.

    `fresh` is what of the mean row's prompt tokens the limits count, `mean_tokens` all of
    them, so that a longer row is charged more.
    """

    load: Load
    fresh: float = 0.0
    mean_tokens: float | None = None
    counts_cache_read: bool = True
    counts_max_output: bool = True
    firm: frozenset[str] = frozenset()
    """Limits that a person has set: no vendor's word raises them."""

    def charge(self, tokens: int) -> dict[str, float]:
        """What a row of so many prompt tokens takes of each limit, before its answer is known."""
        share = tokens / self.mean_tokens if self.mean_tokens else 1.0
        return {bucket.name: self._use(bucket, share) for bucket in self.load.buckets}

    def _use(self, bucket: Bucket, share: float) -> float:
        if bucket.name == "itpm":
            return bucket.use * share
        if bucket.name == "tpm":
            return max(0.0, bucket.use + self.fresh * (share - 1))
        return bucket.use

    def used(self, name: str, charged: float, usage: Usage, billed: float) -> float:
        """What it did take of one limit, once its usage is known."""
        fresh = usage.prompt - (0 if self.counts_cache_read else usage.cache_read)
        if name == "itpm":
            return float(fresh)
        if name == "otpm" and not self.counts_max_output:
            return float(usage.written)
        if name == "tpm":
            used = float(fresh + usage.written)
            return max(charged, used) if self.counts_max_output else used
        return billed if name == SPENDING else charged

    def unanswered(self, name: str, charged: float) -> float:
        """What a request without an answer took: it was counted and read, nothing was written."""
        return 0.0 if name in ("otpm", SPENDING) else charged


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """How the rows of a plan, or what a batch leaves of them, are sent one by one."""

    lane: str
    """The ordinary lane, whose rates they pay."""
    pace: Pace
    """That of all rows."""
    cancel: float
    """Seconds from a cancel of the plan's own lane to its end."""
    envelope: str
    """The key under which the vendor's files hold a request."""


class TokenBucket:
    """One limit, refilled evenly up to its burst; a row larger than that leaves a debt."""

    def __init__(self, spec: Bucket, now: float, *, firm: bool = False) -> None:
        self.name = spec.name
        self.firm = firm
        self.planned = self.limit = spec.limit
        self.window = spec.window
        self.share = spec.burst
        self.level = self.burst
        self.at = now
        self._said: int | None = None
        self._times = 0
        self._refused = False

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.limit / self.window

    @property
    def burst(self) -> float:
        """The most that may be taken at once."""
        return self.share * self.limit

    def wait(self, use: float, now: float) -> float:
        """Seconds until `use` units may be taken; 0: now."""
        self._refill(now)
        missing = (min(use, self.burst) - self.level) / self.rate
        return missing if missing > AT_ONCE else 0.0

    def take(self, use: float, now: float) -> None:
        """Charge a request that goes out now."""
        self._refill(now)
        self.level -= use

    def remember(self, taken: Iterable[tuple[float, float]]) -> None:
        """Count what was taken before now (0), as (seconds, below 0; units), oldest first.

        It is as full as if it had been there all along, and full before the first of these.
        """
        self.level, self.at = self.burst, -math.inf
        for at, units in taken:
            self.take(units, at)
        self._refill(0.0)

    def correct(self, units: float, now: float) -> None:
        """Give back what was charged too much; negative: charge what was not."""
        self._refill(now)
        self.level = min(self.burst, self.level + units)

    def hear_remaining(self, remaining: int, now: float) -> None:
        """Lower the level to what the vendor says is left; it is never raised, nor below zero."""
        self._refill(now)
        if self.level > 0:
            self.level = min(self.level, max(0.0, float(remaining)))

    def hear_limit(self, limit: int) -> bool:
        """Note the limit that a reply names; whether it is believed from now on.

        It is believed once a few replies agree, and until one does not: a higher one than the
        plan's after more of them, a lower one only if the vendor acts on it and refuses.
        """
        if limit <= 0 or (self.firm and limit > self.planned):
            return False
        self._times = self._times + 1 if limit == self._said else 1
        self._said = limit
        if limit == self.limit:
            return False
        believed = self._times >= RAISED_AFTER
        if limit < self.planned:
            believed = self._refused and self._times >= LOWERED_AFTER
        self.limit = float(limit) if believed else self.planned
        self.level = min(self.level, self.burst)
        return believed

    def refused(self) -> None:
        """The vendor has turned a request away: what it says of its limits counts anew."""
        self._refused = True
        self._times = 0

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self.at)
        self.level = min(self.burst, self.level + passed * self.rate)
        self.at = max(self.at, now)


@dataclass(slots=True, kw_only=True)
class Ticket:
    """A request that is out: when it left in the order of all, and what it was charged."""

    number: int
    charged: Mapping[str, float] = field(default_factory=dict)


class Pacer:
    """Buckets, slots and the cool-down of one run."""

    def __init__(self, pace: Pace, now: float) -> None:
        self.pace = pace
        self.buckets = [
            TokenBucket(each, now, firm=each.name in pace.firm)
            for each in pace.load.buckets
            if each.use > 0
        ]
        self.most = float(pace.load.concurrency)
        self.room = self.most
        self.out = 0
        self.quiet_until = -math.inf
        self.notes: list[str] = []
        """What a person should hear; whoever narrates takes them away."""
        self._growth = max(1.0, GROWTH * self.most)
        self._number = 0
        self._cut_at = 0
        self._refusals = 0
        self._synced_at: dict[str, int] = {}

    @property
    def lasting(self) -> float:
        """Seconds for which what is taken now counts at the most; 0: not beyond this process."""
        return max((each.window for each in self.buckets if each.window > LASTING), default=0.0)

    def remember(self, taken: Sequence[tuple[float, float, float]]) -> None:
        """(seconds below 0, requests, US dollars) that went before, oldest first.

        Only of limits that outlast a process: of the others nothing is left of it by now.
        """
        for bucket in self.buckets:
            if bucket.window > LASTING:
                money = bucket.name == SPENDING
                bucket.remember((at, usd if money else count) for at, count, usd in taken)

    @property
    def slots(self) -> int:
        """Requests that may be out at once, now."""
        return max(1, int(self.room))

    @property
    def full(self) -> bool:
        """Whether every slot is taken."""
        return self.out >= self.slots

    def wait(self, charge: Mapping[str, float], now: float) -> tuple[float, str]:
        """Seconds until a row so charged may go out, and what it waits for (besides a slot)."""
        pause = self.quiet_until - now
        longest = (pause if pause > AT_ONCE else 0.0), "the vendor's pause"
        for bucket in self.buckets:
            waits = bucket.wait(charge.get(bucket.name, 0.0), now)
            if waits > longest[0]:
                longest = waits, bucket.name
        return longest

    def admit(self, charge: Mapping[str, float], now: float) -> Ticket:
        """A row goes out now."""
        for bucket in self.buckets:
            bucket.take(charge.get(bucket.name, 0.0), now)
        self.out += 1
        self._number += 1
        return Ticket(number=self._number, charged=charge)

    def settle(
        self, ticket: Ticket, reply: Reply, now: float, *, usage: Usage | None, billed: float
    ) -> None:
        """Its reply is here: correct the charge, hear the headers, grow or shrink."""
        self.out -= 1
        self._correct(ticket, now, usage, billed)
        self._hear(ticket, reply.allowances, now)
        if reply.kind in ("limited", "overloaded") and reply.status in CROWDED:
            self._shrink(ticket, reply, now)
        elif reply.kind == "answered":
            self._refusals = 0
            self.room = min(self.most, self.room + self._growth / self.room)

    def abandon(self) -> None:
        """A request ended without any reply to learn from."""
        self.out -= 1

    def _correct(self, ticket: Ticket, now: float, usage: Usage | None, billed: float) -> None:
        for bucket in self.buckets:
            charged = ticket.charged.get(bucket.name, 0.0)
            used = (
                self.pace.unanswered(bucket.name, charged)
                if usage is None
                else self.pace.used(bucket.name, charged, usage, billed)
            )
            bucket.correct(charged - used, now)

    def _hear(self, ticket: Ticket, allowances: Mapping[str, Allowance], now: float) -> None:
        for bucket in self.buckets:
            said = allowances.get(bucket.name)
            if said is None:
                continue
            if said.limit is not None and bucket.hear_limit(said.limit):
                planned, unit = f"{bucket.planned:,.0f}", bucket.name
                self.notes.append(f"the vendor's {unit} is {said.limit:,}, the plan's {planned}")
            # A request that left before the last time we listened tells of the same moment again.
            if said.remaining is not None and ticket.number > self._synced_at.get(bucket.name, 0):
                bucket.hear_remaining(said.remaining, now)
                self._synced_at[bucket.name] = self._number

    def _shrink(self, ticket: Ticket, reply: Reply, now: float) -> None:
        """Once a round trip: those that left before the last cut were sent at the old pace."""
        if reply.retry_after is not None:
            wished = min(max(0.0, reply.retry_after), LONGEST_RETRY_AFTER)
            self.quiet_until = max(self.quiet_until, now + wished)
        if ticket.number <= self._cut_at:
            return
        self._cut_at = self._number
        self.room = max(1.0, self.room * DECREASE)
        for bucket in self.buckets:
            bucket.refused()
        if reply.ramp:
            self._growth = max(GROWTH, self._growth * RAMP_GROWTH)
        if reply.retry_after is None:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._refusals, 16))
            self.quiet_until = max(self.quiet_until, now + pause)
        self._refusals += 1
