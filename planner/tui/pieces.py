"""Toned text as values: what a screen says, before any library draws it.

A line is a tuple of pieces, each with a tone; a tone is a meaning (good, warn), and only the
style sheet knows its colour. Writing markup strings instead would need escaping wherever a
file name or a row's own words come in, and could not be tested without a terminal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from planner.report.layout import printable, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Tone(StrEnum):
    """What a piece of text means; never the only sign of it."""

    PLAIN = "plain"
    MUTED = "muted"
    STRONG = "strong"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    KEY = "key"
    HERE = "here"
    HEAT0 = "heat0"
    HEAT1 = "heat1"
    HEAT2 = "heat2"
    HEAT3 = "heat3"
    HEAT4 = "heat4"


HEAT = (Tone.HEAT0, Tone.HEAT1, Tone.HEAT2, Tone.HEAT3, Tone.HEAT4)
"""Backgrounds of a map, blue to yellow: told apart whatever colours an eye sees."""


class Piece(NamedTuple):
    """Text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Piece, ...]


NO_MARK = Piece("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Text that folds at words, its later lines under the end of `mark`."""

    body: Line
    mark: Piece = NO_MARK
    action: str = ""
    """What a click on it does, as an action of the screen."""


BLANK = Paragraph(body=())

ELLIPSIS = "…"
WIDEST = 2
"""Cells of the widest character: a column narrower than this holds no text."""


def paragraph(text: str, tone: Tone = Tone.PLAIN, *, mark: str = "") -> Paragraph:
    """A paragraph of one tone behind a mark of the same; control characters are escaped."""
    return Paragraph(body=(Piece(printable(text), tone),), mark=Piece(mark, tone))


def plain(line: Iterable[Piece]) -> str:
    """The text alone."""
    return "".join(piece.text for piece in line)


def cells(line: Iterable[Piece]) -> int:
    """Terminal cells that the line takes."""
    return sum(width_of(piece.text) for piece in line)


def fitting(variants: Sequence[Line], width: int) -> Line:
    """The first variant that fits, else the last one, cut short at its end."""
    for line in variants:
        if cells(line) <= width:
            return line
    return cut(variants[-1], width)


def cut(line: Line, width: int) -> Line:
    """The line in at most `width` cells; an ellipsis says that something is missing."""
    if cells(line) <= width:
        return line
    kept: list[Piece] = []
    room = max(0, width - 1)
    for piece in line:
        text = _head(piece.text, room)
        kept.append(Piece(text, piece.tone))
        room -= width_of(text)
        if text != piece.text:
            break
    return (*kept, Piece(ELLIPSIS, Tone.MUTED)) if width > 0 else ()


def _head(text: str, room: int) -> str:
    text = text[: max(0, room)]
    while width_of(text) > room:
        text = text[:-1]
    return text


def between(left: Line, right: Line, width: int) -> Line:
    """`left` and `right` at the two ends; the left gives way."""
    room = width - cells(right)
    if right and room < 1:
        return cut(right, width)
    left = cut(left, room - 2 if right else room)
    return (*left, Piece(" " * (room - cells(left))), *right)


# --- folding ----------------------------------------------------------------------------

_WORD = re.compile(r"\S+(?: %\S*)?")
"""A share stays on one line with its sign."""


def folded(paragraphs: Iterable[Paragraph], width: int) -> tuple[Line, ...]:
    """Every paragraph folded at words to lines of at most `width` cells."""
    return tuple(line for each in paragraphs for line in _fold(each, max(1, width)))


def _fold(one: Paragraph, width: int) -> Iterator[Line]:
    mark = one.mark
    indent = width_of(mark.text)
    if indent > width - WIDEST:
        mark, indent = NO_MARK, 0
    first = True
    for start, end in _spans(plain(one.body), width - indent) or [(0, 0)]:
        lead = mark if first else Piece(" " * indent)
        yield tuple(piece for piece in (lead, *_slice(one.body, start, end)) if piece.text)
        first = False


def _spans(text: str, width: int) -> list[tuple[int, int]]:
    """Where each line of the folded text starts and ends; words longer than a line are split."""
    spans: list[tuple[int, int]] = []
    for start, end in _words(text, width):
        if spans and width_of(text[spans[-1][0] : end]) <= width:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _words(text: str, width: int) -> Iterator[tuple[int, int]]:
    for match in _WORD.finditer(text):
        start, end = match.span()
        while width_of(text[start:end]) > width:
            head = len(_head(text[start:end], width)) or 1
            yield start, start + head
            start += head
        yield start, end


def _slice(line: Line, start: int, end: int) -> Iterator[Piece]:
    place = 0
    for piece in line:
        inside = piece.text[max(0, start - place) : max(0, end - place)]
        if inside:
            yield Piece(inside, piece.tone)
        place += len(piece.text)
