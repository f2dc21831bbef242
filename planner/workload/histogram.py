"""Prompt sizes as a few bins: how many rows are how long, and where the tokens are.

Bins double, because prompts spread over orders of magnitude and equal ones would put nearly
every row into the first; where all are of about one size the bins are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.workload.sizes import Sizes

WIDE = 16
"""From this ratio of largest to smallest on, bins double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of `low` to `high` prompt tokens, both included, as shares of the job."""

    low: int
    high: int
    rows: float
    tokens: float


def bins(sizes: Sizes, most: int) -> tuple[Bin, ...]:
    """At most so many neighbouring bins from the smallest row to the largest; none without rows."""
    known = [
        (round(value * sizes.stretch), count)
        for value, count in zip(sizes.values, sizes.counts, strict=True)
    ]
    if not known:
        return ()
    rows = sum(count for _, count in known)
    tokens = sum(value * count for value, count in known) or 1
    return tuple(
        Bin(
            low=low,
            high=high,
            rows=sum(count for value, count in known if low <= value <= high) / rows,
            tokens=sum(value * count for value, count in known if low <= value <= high) / tokens,
        )
        for low, high in _ranges([value for value, _ in known], most)
    )


def _ranges(values: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    smallest, largest = values[0], values[-1]
    edges = _edges(smallest, largest, most)
    for low, following in zip(edges, [*edges[1:], None], strict=True):
        yield low, largest if following is None else following - 1


def _edges(smallest: int, largest: int, most: int) -> list[int]:
    """Where each bin begins, ascending."""
    if largest >= WIDE * max(smallest, 1):
        edge, edges = 2 ** max(0, smallest.bit_length() - 1), list[int]()
        while edge <= largest:
            edges.append(edge)
            edge *= 2
        first, last = [min(smallest, edges[0])], edges[1:]
        return first + last[-(most - 1) :] if most > 1 else first
    step = max(1, -(-(largest - smallest + 1) // most))
    return list(range(smallest, largest + 1, step))
