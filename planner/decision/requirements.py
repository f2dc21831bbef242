"""What the person demands of the job, as one frozen value.

Everything here comes from the command line, a job file or the screen; nothing is looked
up and nothing is assumed silently: a field left out is None and the module that needs it
states its own default aloud. A bag of keyword arguments handed from function to function
would hide which question a decision answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from planner.money import Usd

DEFAULT_CONFIDENCE = 0.95
DEFAULT_FAILURE_RATE = 0.01
DEFAULT_RETRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds from one request to its answer: mean, and standard deviation over mean."""

    mean: float
    cv: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """The demand and the circumstances of one job; times in seconds from now."""

    deadline: float | None = None
    confidence: float = DEFAULT_CONFIDENCE
    respond_within: float | None = None
    lanes: tuple[str, ...] = ()
    """Lanes to consider; empty means every lane."""
    region: str | None = None
    max_cost: Usd | None = None
    tiers: tuple[tuple[str | None, str], ...] = ()
    """(provider or None for every provider, usage tier)."""
    limits: tuple[tuple[str, int], ...] = ()
    """(limit name, value) that override the catalog's."""
    latency: Latency | None = None
    concurrency: int | None = None
    failure_rate: float = DEFAULT_FAILURE_RATE
    retries: int = DEFAULT_RETRIES
    cache: Literal["auto", "off"] = "auto"
    cache_hit_share: float | None = None
    degraded: bool = False
    """A known incident: no batch is expected before its window."""

    def tier(self, provider: str) -> str | None:
        """The usage tier named for that provider, else the one named for all, else None."""
        named = dict(self.tiers)
        return named.get(provider, named.get(None))
