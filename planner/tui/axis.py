"""One logarithmic time axis for all rows, and each option's range drawn on it.

Probability bars cannot tell 93 % from 99 %; where the typical and the late finish lie
against one deadline can be seen across a room. The picture keeps the order true even where
the cells are coarse: what ends after the deadline is drawn beyond its tick, always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.tui.pieces import Line, Piece, Tone
from planner.words import DAY, HOUR, MINUTE, duration

if TYPE_CHECKING:
    from collections.abc import Iterable

ENDS = (1, 10, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY, 365 * DAY)
"""Where an axis may begin or end, seconds."""

USUAL = (MINUTE, 3 * DAY)
"""The axis reaches at least over this, so that it stands still while a deadline moves."""

TRACK, TICK, TYPICAL, SPAN, LATE, LATE_ON_TICK, CROSSED = "·┊●━┤┥┿"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From `low` to `high` seconds, logarithmic, with the deadline where there is one."""

    low: float
    high: float
    deadline: float | None = None

    def place(self, seconds: float, width: int) -> int:
        """The cell of a time, on the right side of the deadline's cell."""
        cell = self._cell(seconds, width)
        tick = self.tick(width)
        if tick is None or self.deadline is None:
            return cell
        if seconds == self.deadline:
            return tick
        if seconds > self.deadline:
            return min(max(cell, tick + 1), width - 1)
        return max(min(cell, tick - 1), 0)

    def tick(self, width: int) -> int | None:
        """The cell of the deadline; never the first or last, so that both sides exist."""
        if self.deadline is None:
            return None
        return min(max(self._cell(self.deadline, width), 1), width - 2)

    def _cell(self, seconds: float, width: int) -> int:
        share = math.log(max(seconds, self.low) / self.low) / math.log(self.high / self.low)
        return min(round(share * (width - 1)), width - 1)


def axis(times: Iterable[float], deadline: float | None) -> Axis:
    """The axis that holds all times and the deadline."""
    inside = [*(time for time in times if time > 0), *USUAL]
    if deadline:
        inside.append(deadline)
    return Axis(
        low=max((end for end in ENDS if end <= min(inside)), default=ENDS[0]),
        high=min((end for end in ENDS if end >= max(inside)), default=max(inside)),
        deadline=deadline,
    )


def scale(of: Axis, width: int) -> Line:
    """The heading of the axis: its two ends, and the deadline over its tick."""
    cells = [" "] * width
    low, high = end_label(of.low), end_label(of.high)
    _write(cells, 0, low)
    _write(cells, width - len(high), high)
    tick = of.tick(width)
    if tick is None or of.deadline is None:
        return (Piece("".join(cells), Tone.MUTED),)
    label = duration(of.deadline)
    start = min(max(0, tick - len(label) // 2), width - len(label))
    before, after = "".join(cells[:start]), "".join(cells[start + len(label) :])
    before = before if before.endswith(" ") else " " * len(before)
    after = after if after.startswith(" ") else " " * len(after)
    return (Piece(before, Tone.MUTED), Piece(label, Tone.WARN), Piece(after, Tone.MUTED))


def end_label(seconds: float) -> str:
    """An end of the axis in its own unit: `1m`, `3d`."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f}{name}"
    return duration(seconds)


def _write(cells: list[str], start: int, text: str) -> None:
    cells[start : start + len(text)] = text


def strip(of: Axis, width: int, typical: float | None, late: float | None, tone: Tone) -> Line:
    """The range from the typical finish to the late one, over the track and the tick."""
    cells = {cell: Piece(TRACK, Tone.MUTED) for cell in range(width)}
    tick = of.tick(width)
    if tick is not None:
        cells[tick] = Piece(TICK, Tone.WARN)
    known = [of.place(time, width) for time in (typical, late) if time is not None]
    if known:
        first, last = known[0], known[-1]
        for cell in range(first + 1, last):
            cells[cell] = Piece(CROSSED if cell == tick else SPAN, tone)
        cells[last] = Piece(LATE_ON_TICK if last == tick else LATE, tone)
        if typical is not None:
            cells[first] = Piece(TYPICAL, tone)
    return merged(cells[cell] for cell in range(width))


def merged(pieces: Iterable[Piece]) -> Line:
    """Neighbours of one tone as one piece."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].tone == piece.tone:
            found[-1] = Piece(found[-1].text + piece.text, piece.tone)
        else:
            found.append(piece)
    return tuple(found)
