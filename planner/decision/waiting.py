"""What an hour is worth at the point where waiting for the cheaper lane stops paying.

A lane that answers later saves money and takes time; the quotient is the one figure that a
person can hold against the job's own worth. The time it takes is expected, not typical, and
capped at the documented bound: the mean of so heavy a tail hardly exists, and the typical
time would make a lane look free that is late one time in ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from planner.money import scaled

if TYPE_CHECKING:
    from planner.money import Usd

HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """`later` saves `saved` against `sooner` and is done `longer` seconds later on average.

    `per_hour` is their quotient: where an hour is worth more than that, waiting loses.
    """

    sooner: str
    later: str
    saved: Usd
    longer: float
    per_hour: Usd


def waiting(
    sooner: str, later: str, *, saved: Usd, done_sooner: float | None, done_later: float | None
) -> Waiting | None:
    """The value of an hour, V* = saved / (E[min(T, bound)] - P50 of the sooner one).

    `done_sooner` is a median and `done_later` a capped mean, both in seconds. None where one
    is unknown, nothing is saved, or the cheaper lane is not even expected later.
    """
    if done_sooner is None or done_later is None or saved <= 0:
        return None
    seconds = round(done_later - done_sooner)
    if seconds <= 0:
        return None
    return Waiting(
        sooner=sooner,
        later=later,
        saved=saved,
        longer=done_later - done_sooner,
        per_hour=scaled(saved, Fraction(HOUR, seconds)),
    )
