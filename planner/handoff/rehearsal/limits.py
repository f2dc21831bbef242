"""Rate limits of the realtime endpoints: buckets that fill continuously, and what is said of them.

A fixed window was rejected: vendors document token buckets, and a client that is paced against
windows is refused by buckets at the start of each.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from planner.handoff.rehearsal.laws import Billed, Latency

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from planner.handoff.rehearsal.laws import Answer

MINUTE = 60.0
Meter = Literal["rpm", "itpm", "otpm", "tpm"]


@dataclass(slots=True)
class Bucket:
    """So much a minute, filled continuously; it may be overdrawn by what turns out later."""

    limit: int
    level: float
    at: datetime

    @classmethod
    def full(cls, limit: int, now: datetime) -> Bucket:
        """A bucket that nobody has used for a minute."""
        return cls(limit, float(limit), now)

    def fill(self, now: datetime) -> None:
        """Let the time until now count; time that runs backwards counts nothing."""
        passed = max((now - self.at).total_seconds(), 0)
        self.level = min(self.level + self.limit * passed / MINUTE, float(self.limit))
        self.at = max(self.at, now)

    def wait(self, amount: float) -> float:
        """Seconds until the amount is there; 0: it is. More than all is asked for as all."""
        missing = min(amount, self.limit) - self.level
        return max(missing, 0) * MINUTE / self.limit

    @property
    def until_full(self) -> float:
        """Seconds."""
        return (self.limit - self.level) * MINUTE / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """A request that found no room."""

    meter: Meter
    retry_after: float


@dataclass(slots=True, kw_only=True)
class Realtime:
    """The limits of an account, the same for each of its models; a meter without one is free."""

    limits: Mapping[Meter, int] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests that reached the vendor, by the row's key (`laws.key_of` its body)."""
    answered: Counter[str] = field(default_factory=Counter)
    """Answers that were made, and are billed, whether or not they arrived."""
    billed: Billed = field(default_factory=Billed)
    _buckets: dict[tuple[str, Meter], Bucket] = field(default_factory=dict)

    def bucket(self, model: str, meter: Meter, now: datetime) -> Bucket | None:
        """The bucket of a model, filled up to now."""
        limit = self.limits.get(meter)
        if limit is None:
            return None
        kept = self._buckets.setdefault((model, meter), Bucket.full(limit, now))
        kept.fill(now)
        return kept

    def admit(self, model: str, amounts: Mapping[Meter, float], now: datetime) -> Limited | None:
        """Take the amounts, or nothing at all where one of them has no room."""
        found = [(meter, self.bucket(model, meter, now), each) for meter, each in amounts.items()]
        for meter, bucket, amount in found:
            if bucket is not None and bucket.wait(amount) > 0:
                return Limited(meter=meter, retry_after=math.ceil(bucket.wait(amount)))
        for _, bucket, amount in found:
            if bucket is not None:
                bucket.level -= amount
        return None

    def settle(self, model: str, meter: Meter, amount: float, now: datetime) -> None:
        """Take what turned out to be used; negative: give back what was reserved too much."""
        bucket = self.bucket(model, meter, now)
        if bucket is not None:
            bucket.level = min(bucket.level - amount, float(bucket.limit))

    def said(self, model: str, meter: Meter, now: datetime) -> tuple[int, int, float] | None:
        """Limit, what remains, and seconds until full, as headers say; None: no such limit."""
        bucket = self.bucket(model, meter, now)
        if bucket is None:
            return None
        return bucket.limit, int(max(bucket.level, 0)), bucket.until_full

    def answer(self, key: str, answer: Answer) -> None:
        """An answer was made: it is billed from now on."""
        self.answered[key] += 1
        self.billed.add(answer)
