"""Which part of a job a prompt cache would serve on a lane, how surely, and when it pays.

A cache holds the beginning that all prompts share. On a lane that answers at once the first
requests in flight miss it and later ones find it; on a lane that answers later nobody
controls which requests run close together, so only the interval that people report is known.
Taking every row for a hit was rejected: batch jobs planned so came out at twice their price.

Discounts that a vendor does not stack need no rule here: the lane's own rate card says what
a cached token costs there, and where that is no less than an uncached one there is no variant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from planner.decision.cost import CACHE_READ, INPUT, Caching, components
from planner.money import difference, total
from planner.words import portion

if TYPE_CHECKING:
    from planner.catalog import LaneFacts, Model
    from planner.catalog.prices import RateCard
    from planner.decision.requirements import Requirements
    from planner.money import Usd
    from planner.workload.profile import TokenProfile

HOUR = 3600
LIVES = {"m": 60, "h": HOUR}
WRITE = "cache_write"

BEST_EFFORT = Fraction(1, 2)
"""Expected hit share where a lane answers later: the middle of what people report."""

ASSUMED_LOW = Fraction(1, 2)
"""Lower end of an assumed hit share: caches are evicted, and requests routed elsewhere."""

ASSUMED_IN_FLIGHT = 32
"""First requests that miss where nothing says how many are in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """What a cache does for a job on one lane, and the sentence that says what was assumed."""

    caching: Caching
    said: str
    assumed: bool
    """Whether the hit share is neither given nor reported by anybody."""


def cached(
    model: Model,
    lane: LaneFacts,
    card: RateCard,
    profile: TokenProfile,
    demand: Requirements,
    in_flight: float | None,
) -> Cached | None:
    """The cached variant of a lane; None where there is none.

    There is one where all rows share a prefix at least as long as the model caches, and the
    lane publishes a rate for reading it that is below its input rate. `in_flight` are the
    requests that run at once, None where that is not known.
    """
    prefix, least = profile.shared_prefix, model.cache_min_prefix
    wanted = demand.cache != "off" and profile.rows.value > 1
    if not wanted or least is None or prefix < max(1, least) or not _cheaper(card, profile):
        return None
    share, low, high, said = _hits(lane, profile.rows.value, demand, in_flight)
    if not share:
        return None
    return Cached(
        caching=Caching(
            prefix=prefix,
            hit_share=share,
            hit_low=low,
            hit_high=high,
            write_meter=write_meter(card, lane),
        ),
        assumed=not lane.cache_hits if lane.delivery != "sync" else demand.cache_hit_share is None,
        said=f"{prefix:,} prompt tokens that all rows share, read from the cache by {said}",
    )


def _cheaper(card: RateCard, profile: TokenProfile) -> bool:
    """Whether reading from the cache is published, and cheaper, for every length of the job."""
    lengths = (0, *(tier.edge + 1 for tier in card.tiers if tier.edge < profile.sizes.largest))
    for length in lengths:
        rates = card.over(length)
        read, fresh = rates.get(CACHE_READ), rates.get(INPUT)
        if read is None or fresh is None or read >= fresh:
            return False
    return True


def _hits(
    lane: LaneFacts, rows: int, demand: Requirements, in_flight: float | None
) -> tuple[Fraction, Fraction, Fraction, str]:
    """Hit share: expected, low, high, and how it is known."""
    most = Fraction(rows - 1, rows)
    if lane.delivery != "sync":
        low, high = map(Fraction, lane.cache_hits or (0, 1))
        share = min(max(BEST_EFFORT, low), high, most)
        seen = f"{portion(low)} to {portion(high)}" if lane.cache_hits else "some"
        known = "as users report" if lane.cache_hits else "nobody has measured it"
        said = f"{seen} of them ({known}; {portion(share)} is taken, grade D)"
        return share, min(low, share), max(share, min(high, most)), said
    if demand.cache_hit_share is not None:
        share = min(Fraction(demand.cache_hit_share), most)
        return share, share, share, f"{portion(share)} of them, as given"
    first = math.ceil(ASSUMED_IN_FLIGHT if in_flight is None else in_flight)
    share = max(Fraction(0), 1 - Fraction(max(1, first), rows))
    said = (
        f"{portion(share)} of them: all but the first {max(1, first):,} in flight, assumed "
        "(grade D): --cache-hit-share"
    )
    return share, min(ASSUMED_LOW, share), share, said


def write_meter(card: RateCard, lane: LaneFacts) -> str | None:
    """What a row that misses pays for the prefix; None: the ordinary input rate.

    On a lane that answers at once every read prolongs the cache's life, so the shortest will
    do; elsewhere it has to live as long as a batch typically takes, or an hour.
    """
    lives = {meter: life for meter in card.rates if (life := _life(meter)) is not None}
    least = 0
    if lane.delivery != "sync":
        least = lane.turnaround.p50 if lane.turnaround else HOUR
    enough = {meter: life for meter, life in lives.items() if life >= least}
    if enough:
        return min(enough, key=lambda meter: enough[meter])
    return max(lives, key=lambda meter: lives[meter], default=None)


def _life(meter: str) -> int | None:
    """Seconds that what this meter writes is kept (0: not stated); None for other meters."""
    stem, _, life = meter.rpartition("_")
    if meter == WRITE:
        return 0
    return int(life[:-1]) * LIVES[life[-1]] if stem == WRITE else None


def break_even(
    card: RateCard, profile: TokenProfile, caching: Caching, rival: Usd
) -> Fraction | None:
    """The hit share at which the job with that caching costs what `rival` does.

    The cost is linear in the hit share (up to the rounding of single tokens), so the share is
    exact; at h = 1 it is the h* = (I + rO - m(...)) / (I(1 - c)) of the usual formula. None
    where no share does: it is dearer even with every row a hit, or cheaper with none.
    """

    def at(hits: Fraction) -> Usd:
        parts = components(card, profile.sizes, profile.output.mean, caching, hits)
        return total(each.amount for each in parts)

    none, every = at(Fraction(0)), at(Fraction(1))
    saved, needed = difference(none, every), difference(none, rival)
    if saved <= 0 or not 0 < needed <= saved:
        return None
    return Fraction(needed) / Fraction(saved)
