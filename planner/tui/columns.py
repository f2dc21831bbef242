"""Rows of toned cells under titles, in as many columns as fit.

A column that does not fit is left out whole, in the order its table states; the one that may
give way is shortened with a sign. The matrix has rules of its own (an axis, headings), which a
general table would have to know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from planner.tui.axis import merged
from planner.tui.pieces import ELLIPSIS, Line, Piece, Tone, cells, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGE = 2
"""Cells before the first column: the cursor's mark, and that of a ticked row."""
GAP = 2
CURSOR = "›"  # noqa: RUF001 -- an arrow, unlike the marks of states
TICK = "✓"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A title, the side its cells keep to, and when it is left out: the highest rank first."""

    title: str
    right: bool = False
    rank: int = 0
    """0: never left out."""
    wants: int = 0
    """The width it may be cut to before another column is left out; 0: it is never cut."""
    gives: int = 0
    """The least width it may be cut to when nothing is left that could go."""
    tail: bool = False
    """Cut at the front: the end tells its cells apart."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Rows of cells; `ids` names them."""

    columns: tuple[Column, ...]
    ids: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    wides: tuple[int, ...] = ()
    """Widths of the columns where there is room for them: they stay while rows come and go."""
    least: tuple[int, ...] = ()
    """Widths that these rows alone need, where there is no room for the others."""
    ticked: frozenset[str] = frozenset()
    _laid: dict[int, tuple[int, ...]] = field(default_factory=dict, repr=False, compare=False)

    def head(self, width: int) -> Line:
        """The titles."""
        titles = tuple((Piece(each.title, Tone.MUTED),) for each in self.columns)
        return (Piece(" " * EDGE), *self._joined(titles, width))

    def line(self, place: int, width: int, *, cursor: bool) -> Line:
        """One row."""
        tick = TICK if self.ids[place] in self.ticked else " "
        mark = f"{CURSOR if cursor else ' '}{tick}"
        return (Piece(mark, Tone.STRONG), *self._joined(self.rows[place], width))

    def _joined(self, row: Sequence[Line], width: int) -> Line:
        made: list[Piece] = []
        for column, cell, room in zip(self.columns, row, self.layout(width), strict=True):
            if room:
                made += [*_padded(cell, room, column), Piece(" " * GAP)]
        return merged(made[:-1])

    def layout(self, width: int) -> tuple[int, ...]:
        """The width of every column; 0 where it is left out."""
        if width not in self._laid:
            self._laid[width] = self._fitted(width)
        return self._laid[width]

    def _fitted(self, width: int) -> tuple[int, ...]:
        widths = list(self.wides or widths_of(self.columns, self.rows))
        if self.least and _taken(widths) > width:
            widths = list(self.least)
        for place in sorted(range(len(widths)), key=lambda n: -self.columns[n].rank):
            over = _taken(widths) - width
            if over <= self._slack(widths) or not self.columns[place].rank:
                break
            widths[place] = 0
        for least in ([each.wants for each in self.columns], [each.gives for each in self.columns]):
            for place, floor in enumerate(least):
                over = _taken(widths) - width
                if over > 0 and floor and widths[place] > floor:
                    widths[place] = max(floor, widths[place] - over)
        return tuple(widths)

    def _slack(self, widths: Sequence[int]) -> int:
        pairs = zip(self.columns, widths, strict=True)
        return sum(max(0, wide - each.wants) for each, wide in pairs if each.wants)


def widths_of(columns: Sequence[Column], rows: Sequence[Sequence[Line]]) -> tuple[int, ...]:
    """The widest cell of each column, its title included; 0 where every cell is empty."""
    return widest(columns, [tuple(map(cells, row)) for row in rows])


def widest(columns: Sequence[Column], rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The same, of rows whose cells are measured already."""
    found = map(max, zip(*rows, strict=True)) if rows else (0 for _ in columns)
    return tuple(
        max(wide, len(each.title)) if wide else 0 for each, wide in zip(columns, found, strict=True)
    )


def _taken(widths: Sequence[int]) -> int:
    return EDGE + sum(wide + GAP for wide in widths if wide) - GAP


def _padded(cell: Line, room: int, column: Column) -> Line:
    if cells(cell) > room:
        cell = _tail(cell, room) if column.tail else cut(cell, room)
    blank = Piece(" " * (room - cells(cell)))
    return (blank, *cell) if column.right else (*cell, blank)


def _tail(cell: Line, room: int) -> Line:
    text = "".join(piece.text for piece in cell)
    return (Piece(ELLIPSIS, Tone.MUTED), Piece(text[len(text) - room + 1 :], cell[0].tone))
