"""Tokens that a vendor billed, in buckets that do not overlap.

Vendors count differently: one's input tokens leave cached ones out, another's contain them and
its output contains reasoning. Here each token stands in exactly one bucket, so a sum is a total
and an amount is a bucket times a rate. Keeping each vendor's own fields was rejected: adding them
up counts tokens twice, which is how peers report a bill that nobody paid.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one row, or of many; `tier` is the service tier that the reply proves."""

    input: int = 0
    """Read anew: neither from a cache nor into one."""
    cache_read: int = 0
    cache_write: int = 0
    """Kept for a time that the reply does not state; the others are kept as long as they say."""
    cache_write_5m: int = 0
    cache_write_30m: int = 0
    cache_write_1h: int = 0
    cache_write_12h: int = 0
    output: int = 0
    """Written for the reader, without `reasoning`."""
    reasoning: int = 0
    tier: str | None = None

    def __post_init__(self) -> None:
        for name in BUCKETS:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0 tokens, not {getattr(self, name)}")

    @property
    def prompt(self) -> int:
        """Everything that was read, which decides a long-context tier."""
        return sum(getattr(self, name) for name in PROMPT)

    @property
    def written(self) -> int:
        """Everything billed as output."""
        return self.output + self.reasoning

    @property
    def total(self) -> int:
        """Every token, once."""
        return self.prompt + self.written

    def __add__(self, other: Usage) -> Usage:
        """The buckets of both; the tier only where both prove the same."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in BUCKETS}
        return Usage(**sums, tier=self.tier if self.tier == other.tier else None)


VENDOR_USAGE = "vendor usage"
"""The note in a job's record that keeps a vendor's own total of a batch."""

BUCKETS = tuple(each.name for each in fields(Usage) if each.name != "tier")
WRITTEN = ("output", "reasoning")
PROMPT = tuple(name for name in BUCKETS if name not in WRITTEN)
