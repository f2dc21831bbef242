"""Draws from a workload -> what a counted pass would have found, at the cost of a few rows.

A draw is one byte of the file. It leads to a row, which is rendered as it will be sent, and to
a cell of about `CELL` characters of what is the row's own in it; that cell is tokenised and
speaks for the row. So a row of 20 MB costs as much as one of 2 kB, and a catalog that every row
repeats is counted once. Tokenising the drawn rows whole was rejected: draws prefer long rows, and
2,000 of them were twenty times the work for the same interval.

Where draws fall is decided elsewhere (`designs`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from planner.errors import InputError
from planner.workload import encodings, tokens
from planner.workload.content import excerpt
from planner.workload.encodings import SharedEnds, cell_around, cells
from planner.workload.prompt import ReadyMade
from planner.workload.tokens import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.errors import Problem
    from planner.workload.encodings import Encoding
    from planner.workload.prompt import Prompt, Request
    from planner.workload.readers import Row
    from planner.workload.sampling import Sample, Total
    from planner.workload.tokens import Shape

DEFAULT_PRECISION = 0.01

CELL = 1024
"""Characters of a row that speak for it."""

NEAR_AN_EDGE = (0.5, 8)
"""Rows of that many characters a token of an edge, or fewer, are counted more closely."""

CLOSE_CELLS = 32
"""Cells that speak for a row near an edge."""

WHOLE_WITHIN = 0.1
"""Rows estimated that close to an edge are tokenised whole..."""

WHOLE_AT_MOST = 8_000_000
"""...up to that many characters in all."""

ENVELOPE_BYTES = 250
"""JSON around the texts of one request in a batch file: ids, model, roles, parameters."""

_WEIGHT = 10**15
"""All rows, in the unit of `counts`: a draw from a row as large as half the file stands for a
thousandth of one row in a million, which must not round by a percent."""

Progress = Callable[[int, int], None]
"""Called with (rows, bytes of the file) done; raise StoppedError out of it to end the work."""


class StoppedError(Exception):
    """Raised out of a progress function: keep what is known so far."""


class Draw(NamedTuple):
    """One byte of the file and what it led to; shapes and answers are one an encoding."""

    size: int
    """Bytes of the record; 0 for a blank line."""
    offset: int = 0
    """Where the record stands."""
    shapes: tuple[Shape, ...] = ()
    """Empty where the record makes no request."""
    cell: str = ""
    own: int = 0
    """Tokens of the row's own text, in the first encoding."""
    shared: tuple[tuple[str, int], ...] = ()
    """Texts beside it, with their tokens in the first encoding."""
    wire: int = 0
    asked: int = 0
    answers: tuple[int, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A workload as draws know it."""

    encodings: tuple[str, ...]
    draws: tuple[Draw, ...]
    sample: Sample
    precision: float
    """What was asked for; what was reached stands with each figure."""
    prefix: tuple[str, ...]
    bad: int
    """Rows that can be read and make no request, as estimated."""
    unread: int = 0
    """Rows that cannot be read, where all were looked at."""
    digest: str | None = None
    problems: tuple[Problem, ...] = ()
    stopped: bool = False

    @property
    def rows(self) -> int:
        """Rows of the workload that make requests."""
        return self.sample.records - self.bad

    @property
    def distinct(self) -> int:
        """Different rows that were drawn."""
        return len({draw.offset for draw in self.draws if draw.shapes})

    def shapes(self, encoding: str) -> tuple[Shape | None, ...]:
        """The shape of each drawn row; None where there is none."""
        place = self.encodings.index(encoding)
        return tuple(draw.shapes[place] if draw.shapes else None for draw in self.draws)

    def total(self, encoding: str, of: Callable[[Shape], float]) -> Total:
        """The sum of a figure of a row's shape over all rows."""
        return self.sample.total(0 if each is None else of(each) for each in self.shapes(encoding))

    def above(self, encoding: str, edge: int) -> Total:
        """The tokens of the text of all rows that have more than `edge` of them."""
        return self.total(encoding, lambda shape: shape.text if shape.text > edge else 0)

    def counts(self) -> tuple[int, ...]:
        """For how many rows each draw stands, in a unit so small that rounding is nothing."""
        unit = _WEIGHT / self.sample.records
        return tuple(round(weight * unit) for weight in self.sample.weights)


class WeightedTally(Tally):
    """A tally of drawn rows: shapes count as the rows that they stand for."""

    def __init__(self, encoding: str, drawn: Drawn) -> None:
        super().__init__(encoding)
        self._prefix = drawn.prefix
        counted = zip(drawn.draws, drawn.shapes(encoding), drawn.counts(), strict=True)
        for draw, shape, count in counted:
            if shape is not None and count:
                self.shapes[shape] += count
                for text, known in ((draw.cell, draw.own), *draw.shared):
                    self._survey.add(text, known * count)


class AnswerTally(Tally):
    """A tally of the answers that drawn rows bring with them."""

    def __init__(self, encoding: str, drawn: Drawn) -> None:
        super().__init__(encoding)
        place = drawn.encodings.index(encoding)
        for draw, count in zip(drawn.draws, drawn.counts(), strict=True):
            if draw.answers and count:
                self.shapes[tokens.Shape(draw.answers[place], 1, 0)] += count
                self._survey.add(draw.answer, draw.answers[place] * count)


# --- one row ----------------------------------------------------------------------------


class _Rendered(NamedTuple):
    """A row that was drawn: its request, and what of each message is its own."""

    request: Request
    spans: tuple[tuple[int, int], ...]
    length: int
    """Characters of all spans."""
    shapes: tuple[Shape, ...]
    """As if the spans were empty."""
    shared: tuple[tuple[str, int], ...]
    wire: int
    answer: str | None

    def found(self, place: float) -> tuple[int, int]:
        """(message, character) at that share of the characters of all spans."""
        at = min(int(place * self.length), self.length - 1)
        for message, (start, end) in enumerate(self.spans):
            if at < end - start:
                return message, start + at
            at -= end - start
        raise AssertionError


class Drawer:
    """Turns rows into draws; keeps the last row, since draws from a long one are neighbours."""

    def __init__(self, prompt: Prompt, names: Sequence[str], *, edges: Sequence[int] = ()) -> None:
        """`edges` are prompt lengths in tokens beyond which a request has another price."""
        self.names = tuple(names)
        self.prefix: tuple[str, ...] | None = None
        self.prompt = prompt
        self._encodings = tuple(encodings.encoding(name) for name in names)
        self._counts = tuple(lru_cache(maxsize=16)(each.count) for each in self._encodings)
        self.edges = tuple(edges)
        self._ends: list[SharedEnds] = []
        self._whole_left = WHOLE_AT_MOST
        self._last: tuple[Row, _Rendered] | None = None
        self._close: tuple[Row, tuple[int, ...]] | None = None

    def draw(self, row: Row, place: float) -> Draw:
        """The draw of that row by the byte at `place` of it (0 to below 1).

        InputError where the row makes no request.
        """
        if self._last is None or self._last[0] is not row:
            self._last = row, self._rendered(row)
        made = self._last[1]
        own, cell = self._own(row, made, place)
        answers = self._answers(made.answer)
        return Draw(
            size=row.size,
            offset=row.offset,
            shapes=tuple(
                shape._replace(text=shape.text + count)
                for shape, count in zip(made.shapes, own, strict=True)
            ),
            cell=excerpt(cell),
            own=own[0],
            shared=made.shared,
            wire=made.wire,
            asked=made.request.max_output_tokens or 0,
            answers=answers,
            answer=excerpt(made.answer or ""),
        )

    def problem(self, row: Row) -> Problem:
        """Why that row makes no request; only asked of one that makes none."""
        try:
            self.prompt.render(row)
        except InputError as error:
            return error.problems[0]
        raise AssertionError

    def _rendered(self, row: Row) -> _Rendered:
        request = self.prompt.render(row)
        contents = [message.content for message in request.messages]
        while len(self._ends) < len(contents):
            self._ends.append(SharedEnds())
        spans = tuple(ends.span(text) for ends, text in zip(self._ends, contents, strict=False))
        parts = tokens.parts(request)
        self.prefix = parts if self.prefix is None else tokens.common_prefix(self.prefix, parts)
        beside = [text for text in (request.tools, request.schema) if text]
        beside += _outside(contents, spans)
        return _Rendered(
            request=request,
            spans=spans,
            length=sum(end - start for start, end in spans),
            shapes=tuple(self._empty(request, spans, count) for count in self._counts),
            shared=tuple((excerpt(text), self._counts[0](text)) for text in beside),
            wire=wire_bytes(request),
            answer=self.prompt.answer(row) if isinstance(self.prompt, ReadyMade) else None,
        )

    def _empty(
        self, request: Request, spans: Sequence[tuple[int, int]], count: Callable[[str], int]
    ) -> Shape:
        """The shape of the request without what is the row's own."""
        contents = [message.content for message in request.messages]
        hollow = tuple(message._replace(content="") for message in request.messages)
        shape = tokens.shape(request._replace(messages=hollow), count)
        return shape._replace(text=sum(map(count, _outside(contents, spans))))

    def _own(self, row: Row, made: _Rendered, place: float) -> tuple[tuple[int, ...], str]:
        """Tokens of the row's own text, in each encoding, and the cell that speaks for it."""
        texts = [message.content for message in made.request.messages]
        if made.length <= CELL:
            parts = [text[slice(*span)] for text, span in zip(texts, made.spans, strict=True)]
            return tuple(sum(map(each.count, parts)) for each in self._encodings), "".join(parts)
        message, at = made.found(place)
        start, end = cell_around(texts[message], made.spans[message], at, CELL)
        cell = texts[message][start:end]
        if self._near_an_edge(made.length):
            return self._closely(row, made), cell
        share = made.length / len(cell)
        return tuple(round(each.count(cell) * share) for each in self._encodings), cell

    # Above an edge a whole request has another price, so on which side a row stands must not
    # hang on one cell.

    def _near_an_edge(self, length: int) -> bool:
        few, many = NEAR_AN_EDGE
        return any(few * edge <= length <= many * edge for edge in self.edges)

    def _closely(self, row: Row, made: _Rendered) -> tuple[int, ...]:
        if self._close is None or self._close[0] is not row:
            self._close = row, tuple(self._closer(made, each) for each in self._encodings)
        return self._close[1]

    def _closer(self, made: _Rendered, encoding: Encoding) -> int:
        texts = [message.content for message in made.request.messages]
        seen = characters = 0
        for number in range(CLOSE_CELLS):
            message, at = made.found((number + 0.5) / CLOSE_CELLS)
            start, end = cell_around(texts[message], made.spans[message], at, CELL)
            seen += encoding.count(texts[message][start:end])
            characters += end - start
        guess = round(seen * made.length / characters)
        close = any(abs(guess - edge) <= WHOLE_WITHIN * edge for edge in self.edges)
        if not close or made.length > self._whole_left:
            return guess
        self._whole_left -= made.length
        return sum(
            encoding.count(text[slice(*span)]) for text, span in zip(texts, made.spans, strict=True)
        )

    def _answers(self, answer: str | None) -> tuple[int, ...]:
        if answer is None:
            return ()
        return tuple(_bounded(count, answer) for count in self._counts)


def _bounded(count: Callable[[str], int], text: str) -> int:
    """Tokens of a text; of a long one by its beginning, middle and end."""
    if len(text) <= CLOSE_CELLS * CELL:
        return count(text)
    pieces = list(cells(text, CELL))
    chosen = pieces[:: math.ceil(len(pieces) / CLOSE_CELLS)]
    return round(sum(map(count, chosen)) * len(text) / sum(map(len, chosen)))


def _outside(contents: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[str]:
    """The texts around the spans."""
    around = [
        part
        for text, (start, end) in zip(contents, spans, strict=True)
        for part in (text[:start], text[end:])
    ]
    return [part for part in around if part]


def wire_bytes(*requests: Request) -> int:
    """Bytes of requests in a batch file: texts in UTF-8, media, a JSON envelope each."""
    texts = "".join(chain.from_iterable(map(tokens.parts, requests)))
    size = len(texts) if texts.isascii() else len(texts.encode(errors="surrogatepass"))
    media = [
        each.bytes for request in requests for message in request.messages for each in message.media
    ]
    return ENVELOPE_BYTES * len(requests) + size + sum(media)
