"""How old the evidence behind an answer is, and whether a plan may rest on it.

Only the sources that an answer used count: judging the whole catalog by its oldest entry would
warn about everything, always, and so about nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from planner.catalog.facts import Source

WARN_AFTER_DAYS = 90
REFUSE_AFTER_DAYS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The age of the evidence on a day."""

    oldest: Source | None
    age_days: int | None
    warnings: tuple[str, ...]
    """Sources older than `WARN_AFTER_DAYS`."""
    refusals: tuple[str, ...]
    """Why a plan needs `--allow-stale`: older still, or a dated change since it was read."""

    @property
    def stale(self) -> bool:
        """Whether a plan needs an explicit yes to be made from it."""
        return bool(self.refusals)


def freshness(
    sources: Iterable[Source], *, on: date, begun_since_read: Iterable[str] = ()
) -> Freshness:
    """Judge the sources behind an answer as of a day; `begun_since_read` comes with the answer."""
    ordered = sorted(dict.fromkeys(sources), key=lambda source: source.read)
    ages = [(source, (on - source.read).days) for source in ordered]
    return Freshness(
        oldest=ordered[0] if ordered else None,
        age_days=ages[0][1] if ages else None,
        warnings=tuple(
            _aged(source, days)
            for source, days in ages
            if WARN_AFTER_DAYS < days <= REFUSE_AFTER_DAYS
        ),
        refusals=(
            *(_aged(source, days) for source, days in ages if days > REFUSE_AFTER_DAYS),
            *dict.fromkeys(begun_since_read),
        ),
    )


def _aged(source: Source, days: int) -> str:
    before = counted(days, "day")
    return f"source {source.id} was read {source.read_as}, {before} before ({source.url})"
