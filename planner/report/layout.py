"""Columns of plain text, aligned; the only place that knows how wide a cell is.

A table library was rejected: every one of them draws boxes, wraps or clips, and a clipped
amount of money is a wrong one.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WIDTH = 100
"""Characters a line where no terminal says otherwise."""

NARROWEST, WIDEST = 60, 120
MARGIN = 4
"""Characters that a table may be set in from the left."""
UNKNOWN = "-"
GAP = "  "
GLUE = "\u00a0"
"""Stands for a space that must not end a line: a share keeps its sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading and the side its cells keep to."""

    title: str
    right: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> list[str]:
    """The rows under their headings; columns without a single entry are left out."""
    cells = [[printable(cell) for cell in row] for row in rows]
    kept = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    lines = [[columns[index].title for index in kept]]
    lines += [[row[index] for index in kept] for row in cells]
    widths = [max(width_of(line[place]) for line in lines) for place in range(len(kept))]
    if _narrow.get() and sum(widths) + len(GAP) * (len(kept) - 1) > _page.get() - MARGIN:
        return ["", *(line for row in lines[1:] for line in _stacked(lines[0], row))]
    rights = [columns[index].right for index in kept]
    return [_line(line, widths, rights) for line in lines]


def _stacked(titles: Sequence[str], cells: Sequence[str]) -> list[str]:
    """A row as a paragraph, for a terminal that would break its line anywhere."""
    mark = cells[0].strip() if not titles[0] else ""
    named = list(zip(titles, cells, strict=True))[not titles[0] :]
    said = [f"{title} {cell}".strip() for title, cell in named if cell.strip(f" {UNKNOWN}")]
    told = f"{mark} {'; '.join(said)}".strip()
    return wrapped(told, later=GAP, width=_page.get() - MARGIN).split("\n")


def _line(cells: Sequence[str], widths: Sequence[int], rights: Sequence[bool]) -> str:
    padded = (
        (" " * (width - width_of(cell)) + cell) if right else cell + " " * (width - width_of(cell))
        for cell, width, right in zip(cells, widths, rights, strict=True)
    )
    return GAP.join(padded).rstrip()


def width_of(text: str) -> int:
    """Terminal cells that the text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    import unicodedata

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def printable(text: str) -> str:
    """The text with control characters escaped: a row's text must not drive a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


_page: ContextVar[int] = ContextVar("page", default=WIDTH)
_narrow: ContextVar[bool] = ContextVar("narrow", default=False)
"""Whether a table has to keep to the page: on a terminal, which cannot be scrolled sideways."""


@contextmanager
def page(width: int, *, tables: bool = False) -> Iterator[None]:
    """Fold paragraphs at the width of a terminal, within what can be read, until it closes.

    With `tables` one that is wider than the terminal is told row by row.
    """
    before = _page.set(min(max(width, NARROWEST), WIDEST))
    narrow = _narrow.set(tables and width < WIDEST)
    try:
        yield
    finally:
        _page.reset(before)
        _narrow.reset(narrow)


def wrapped(
    text: str, *, first: str = "", later: str | None = None, width: int | None = None
) -> str:
    """A paragraph folded at words, its first line behind `first`, the others behind `later`."""
    import textwrap

    indent = " " * len(first) if later is None else later
    folded = textwrap.fill(
        printable(text).replace(" %", f"{GLUE}%"),
        width=width or _page.get(),
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return folded.replace(GLUE, " ")


def markdown(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> list[str]:
    """The same table for a document."""
    head = "| " + " | ".join(column.title or " " for column in columns) + " |"
    rule = "|" + "|".join("---:" if column.right else "---" for column in columns) + "|"
    return [head, rule, *("| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows)]


def _escaped(cell: str) -> str:
    return printable(cell).replace("|", "\\|")


def as_csv(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    """The same table for a spreadsheet."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.title for column in columns])
    writer.writerows(rows)
    return out.getvalue()


def as_json(value: Any) -> str:
    """A value of plain data as indented JSON."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
