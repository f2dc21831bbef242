"""Figures in words: durations, shares and counts as people read them.

One place, so that a table, a sentence and a screen never print the same figure twice in two
ways. Money has its own words in `money`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from fractions import Fraction

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MOST_HOURS = 48
"""Where hours stop being easier to read than days."""

HIGHEST_SHOWN, LOWEST_SHOWN = 0.99, 0.01

WHOLE_COUNTS = 10_000
"""Counts below this are shown to the last digit."""

_ROUNDING = 1e-9
"""0.29 x 100 is 28.999999999999996 in binary; that is still 29 %."""


def duration(seconds: float) -> str:
    """Seconds as `8s`, `22m`, `4h10`, `3d04h`: two units at the most, rounded up.

    Rounded up because a time that is promised too short is the harmful error.
    """
    whole = -int(-seconds // 1)
    if whole < 2 * MINUTE:
        return f"{whole}s"
    minutes = -(-whole // MINUTE)
    if minutes < 2 * MINUTE:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < MOST_HOURS:
        return f"{hours}h{minutes:02d}" if minutes else f"{hours}h"
    days, hours = divmod(hours + bool(minutes), 24)
    return f"{days}d{hours:02d}h" if hours else f"{days}d"


def percent(share: float) -> str:
    """A probability with two digits at the most, rounded down; never a certainty."""
    if share > HIGHEST_SHOWN:
        return ">99 %"
    if 0 < share < LOWEST_SHOWN:
        return "<1 %"
    return f"{int(share * 100 + _ROUNDING)} %"


def least(share: float) -> str:
    """The lower end of a probability, rounded down: `at least 89 %`, and 99 % at the most."""
    return f"at least {int(min(share, HIGHEST_SHOWN) * 100 + _ROUNDING)} %"


def portion(share: float | Fraction | Decimal, *, signed: bool = False) -> str:
    """A share that was counted or given, and no probability: `50 %`, `4.2 %`, `+0.5 %`."""
    tenths = round(share * 1000)
    sign = "-" if tenths < 0 else "+" if signed and tenths else ""
    whole, rest = divmod(abs(tenths), 10)
    return f"{sign}{whole:,}{f'.{rest}' if rest else ''} %"


def compact(count: int) -> str:
    """A count as `8,400`, `12.5k`, `3.40M`, `1.20B`: three digits from ten thousand on."""
    if count < WHOLE_COUNTS:
        return f"{count:,}"
    scale = len(str(count)) - 3
    rounded = (count + 10**scale // 2) // 10**scale * 10**scale
    limit, unit = next(each for each in _UNITS if rounded >= each[0])
    decimals = max(0, 3 - len(str(rounded // limit)))
    return f"{rounded / limit:.{decimals}f}{unit}"


_UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "k"))


def counted(count: int, what: str) -> str:
    """`1 row`, `7,473 rows`, `2 batches`, `0 retries`: a regular noun goes in, in the singular."""
    return f"{count:,} {what if count == 1 else plural(what)}"


def batches(count: int) -> str:
    """`1 batch`, `3 batches`: the one noun that is a lane's id as well has its place here."""
    return counted(count, "batch")


def plural(noun: str) -> str:
    """The plural of a regular noun, which may have words before it."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def aged(days: int) -> str:
    """`68 days old`; as of a day before it was read: `read 3 days later`."""
    return f"read {counted(-days, 'day')} later" if days < 0 else f"{counted(days, 'day')} old"


def iso(at: datetime | None) -> str | None:
    """A moment as data carries it, or None."""
    return None if at is None else at.isoformat(timespec="seconds")


def clock(at: datetime, now: datetime, *, zone: bool = True) -> str:
    """A moment as `18:00` today, `tomorrow 18:00`, or with its date; and its zone."""
    local = at.astimezone(now.tzinfo)
    days = (local.date() - now.date()).days
    day = {0: "", 1: "tomorrow "}.get(days, f"{local:%Y-%m-%d} ")
    return f"{day}{local:%H:%M}" + (f" {local:%Z}" if zone else "")
