"""Figures drawn large, out of full blocks, for whoever reads them from the back of a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.report.layout import width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_BITS = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": (" # ", "## ", " # ", " # ", "###"),
    "2": ("###", "  #", "###", "#  ", "###"),
    "3": ("###", "  #", "###", "  #", "###"),
    "4": ("# #", "# #", "###", "  #", "  #"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "6": ("###", "#  ", "###", "# #", "###"),
    "7": ("###", "  #", "  #", "  #", "  #"),
    "8": ("###", "# #", "###", "# #", "###"),
    "9": ("###", "# #", "###", "  #", "###"),
    "$": (" ### ", "# #  ", " ### ", "  # #", " ### "),
    "-": ("   ", "   ", "###", "   ", "   "),
    "?": ("###", "  #", " ##", "   ", " # "),
    ",": (" ", " ", " ", "#", "#"),
    ".": (" ", " ", " ", " ", "#"),
}
ROWS = 5
TALL_FROM = 2
"""Columns wider than this are drawn twice as high, or the digits would lie on their sides."""

_WIDTHS = ((4, 4, 4), (3, 3, 3), (2, 2, 2), (2, 1, 2), (1, 2, 1), (1, 1, 1))
"""Cells of a glyph's three columns, the boldest first."""


def large(texts: Sequence[str], width: int, height: int) -> tuple[tuple[str, ...], ...]:
    """Each text in blocks, all of one size, as large as fits; as they are where none does.

    One size, because of two figures side by side the larger one looks like the larger amount.
    """
    for columns in _WIDTHS:
        tall = 2 if columns[1] > TALL_FROM else 1
        drawn = [_drawn(text, columns) for text in texts]
        widest = max(width_of(line) for lines in drawn for line in lines)
        if widest <= width and ROWS * tall <= height:
            return tuple(tuple(line for line in lines for _ in range(tall)) for lines in drawn)
    return tuple((text,) for text in texts)


def _drawn(text: str, columns: tuple[int, ...]) -> list[str]:
    return [
        " ".join(_row(_BITS[character][row], columns) for character in text) for row in range(ROWS)
    ]


def _row(bits: str, columns: tuple[int, ...]) -> str:
    """A row of a glyph; one that is not three columns wide has columns all alike."""
    wide = columns if len(bits) == len(columns) else (min(columns),) * len(bits)
    return "".join("█" * n if bit == "#" else " " * n for bit, n in zip(bits, wide, strict=True))
