"""Draws from a workload -> what a counted pass would have found, at the cost of a few rows.

A draw is one byte of the file. It leads to a row, which is rendered as it will be sent, and to
a cell of about `CELL` characters of what is the row's own in it; that cell is tokenised and
speaks for the row. So a row of 20 MB costs as much as one of 2 kB, and a catalog that every row
repeats is counted once. Draws are doubled until the asked precision is reached. Tokenising the
drawn rows whole was rejected: draws prefer long rows, and 2,000 of them were twenty times the
work for the same interval.

A file without offsets (compressed, or columns) is read from its start, and the strata grow as
it turns out longer: of two neighbours that become one, one draw stays, by the toss of a coin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from planner.errors import InputError
from planner.workload import encodings, tokens
from planner.workload.content import excerpt
from planner.workload.encodings import SharedEnds, cell_around, cells
from planner.workload.prompt import ReadyMade
from planner.workload.sampling import Sample, halved, strata
from planner.workload.tokens import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.errors import Problem
    from planner.workload.access import Access, Index, Span
    from planner.workload.encodings import Encoding
    from planner.workload.prompt import Prompt, Request
    from planner.workload.readers import Row, Rows
    from planner.workload.sampling import Total
    from planner.workload.tokens import Shape

FIRST_DRAWS = 600
"""Doubled until they are enough: mixed text is known within 1 % at eight times as many, a file of
10 MB with as little to spare as one of 1 GB."""

MOST_DRAWS = 38_400
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

STREAM_POWERS = (9, 15)
"""Draws from a stream are a power of two, between these."""

STREAM_STRATUM = 4096
"""Bytes of the first strata of a file that is read from its start."""

SHOWN_PROBLEMS = 5
PROGRESS_EVERY = 64

USUAL_SPREAD = 0.25
"""Standard deviation of tokens a byte over its mean, in mixed text of many kinds (0.22 seen)."""

_NORMAL = 1.96
_WEIGHT = 10**15
"""All rows, in the unit of `counts`: a draw from a row as large as half the file stands for a
thousandth of one row in a million, which must not round by a percent."""

_PARTS = 10_000

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

    def counts(self) -> tuple[int, ...]:
        """For how many rows each draw stands, in a unit so small that rounding is nothing."""
        unit = _WEIGHT / self.sample.records
        return tuple(round(weight * unit) for weight in self.sample.weights)


class WeightedTally(Tally):
    """A tally of drawn rows: shapes count as the rows that they stand for."""

    def __init__(self, encoding: str, drawn: Drawn) -> None:
        super().__init__(encoding)
        self._prefix = drawn.prefix
        for shape, count in zip(drawn.shapes(encoding), drawn.counts(), strict=True):
            if shape is not None and count:
                self.shapes[shape] += count
        for draw in drawn.draws:
            if draw.shapes:
                self._note(draw)

    def _note(self, draw: Draw) -> None:
        """Every draw speaks for as many bytes: a text weighs its tokens a byte of the row."""
        for text, count in ((draw.cell, draw.own), *draw.shared):
            self._survey.add(text, count * _PARTS // draw.size)


class AnswerTally(Tally):
    """A tally of the answers that drawn rows bring with them."""

    def __init__(self, encoding: str, drawn: Drawn) -> None:
        super().__init__(encoding)
        place = drawn.encodings.index(encoding)
        for draw, count in zip(drawn.draws, drawn.counts(), strict=True):
            if draw.answers and count:
                self.shapes[tokens.Shape(draw.answers[place], 1, 0)] += count
                self._survey.add(draw.answer, draw.answers[place] * _PARTS // draw.size)


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
        self._prompt = prompt
        self._encodings = tuple(encodings.encoding(name) for name in names)
        self._counts = tuple(lru_cache(maxsize=16)(each.count) for each in self._encodings)
        self._edges = edges
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
            self._prompt.render(row)
        except InputError as error:
            return error.problems[0]
        raise AssertionError

    def _rendered(self, row: Row) -> _Rendered:
        request = self._prompt.render(row)
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
            answer=self._prompt.answer(row) if isinstance(self._prompt, ReadyMade) else None,
        )

    def _empty(
        self, request: Request, spans: Sequence[tuple[int, int]], count: Callable[[str], int]
    ) -> Shape:
        """The shape of the request without what is the row's own."""
        contents = [message.content for message in request.messages]
        hollow = tuple(replace(message, content="") for message in request.messages)
        shape = tokens.shape(replace(request, messages=hollow), count)
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
        return any(few * edge <= length <= many * edge for edge in self._edges)

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
        close = any(abs(guess - edge) <= WHOLE_WITHIN * edge for edge in self._edges)
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


def wire_bytes(request: Request) -> int:
    """Bytes of the request in a batch file: its texts in UTF-8, its media, a JSON envelope."""
    texts = sum(map(_utf8_size, tokens.parts(request)))
    return ENVELOPE_BYTES + texts + sum(each.bytes for each in request.media)


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


# --- draws by offset --------------------------------------------------------------------


def by_offset(
    index: Index,
    drawer: Drawer,
    *,
    precision: float = DEFAULT_PRECISION,
    seed: int = 0,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Drawn:
    """Draw until the tokens of all rows are known within `precision` (a share, 95 %).

    InputError for a drawn row that makes no request, unless those are to be skipped;
    IrregularError where offsets do not lead to rows. A StoppedError out of `progress` ends it
    early, with the estimate so far once there is one.
    """
    random = Random(seed)
    begin, size = index.start, index.bytes
    offsets = strata(begin, size, FIRST_DRAWS, random)
    made: dict[int, Draw] = {}
    drawn: Drawn | None = None
    with index.opened() as file:
        look = _Look(index, file, drawer, skip_bad=skip_bad)
        try:
            while drawn is None or not (_precise(drawn) or 2 * len(offsets) > MOST_DRAWS):
                if drawn is not None:
                    offsets = _doubled(begin, size, offsets, random)
                look.add(made, offsets, progress)
                draws = tuple(made[offset] for offset in offsets)
                drawn = _drawn(draws, drawer, index.records, size, precision)
        except StoppedError:
            if drawn is None:
                raise
            drawn = replace(drawn, stopped=True)
    return replace(drawn, digest=index.digest, problems=tuple(look.problems))


def _doubled(begin: int, size: int, offsets: list[int], random: Random) -> list[int]:
    """The offsets of twice as many strata, those that are there kept."""
    return [
        offsets[place // 2] if offset is None else offset
        for place, offset in enumerate(halved(begin, size, offsets, random))
    ]


class _Look:
    """Looks rows up at offsets and draws them; the row found last is kept."""

    def __init__(self, index: Index, file: Access, drawer: Drawer, *, skip_bad: bool) -> None:
        self.problems: list[Problem] = []
        self._index = index
        self._file = file
        self._drawer = drawer
        self._skip_bad = skip_bad
        self._last: tuple[Span, Row | None] | None = None

    def add(self, made: dict[int, Draw], offsets: list[int], progress: Progress | None) -> None:
        """Draw at the offsets where nothing was drawn yet, in their order."""
        for number, offset in enumerate(offsets):
            if offset not in made:
                made[offset] = self._draw(offset)
            if progress is not None and number % PROGRESS_EVERY == 0:
                progress(self._index.records, self._index.workload.bytes)

    def _draw(self, offset: int) -> Draw:
        span = self._file.span(offset)
        if span.blank:
            return Draw(0)
        try:
            return self._drawn(span, (offset - span.offset) / len(span.raw))
        except InputError as error:
            _refuse(error.problems[0], self.problems, skip_bad=self._skip_bad)
            return Draw(len(span.raw))

    def _drawn(self, span: Span, place: float) -> Draw:
        if self._last is None or self._last[0] is not span:
            self._last = span, self._file.row(span)
        row = self._last[1]
        if row is None:
            return Draw(len(span.raw))
        try:
            return self._drawer.draw(row, place)
        except InputError:
            # The row's number costs a look-up, so it is only asked for to name it.
            number, line = self._file.place(span)
            where = f"{self._index.workload.name}:{line}"
            problem = self._drawer.problem(replace(row, number=number, line=line))
            raise InputError(replace(problem, where=where)) from None


def _refuse(problem: Problem, problems: list[Problem], *, skip_bad: bool) -> None:
    """Stop at a row that makes no request, or note it where such rows are to be skipped."""
    if not skip_bad:
        raise InputError(problem) from None
    if len(problems) < SHOWN_PROBLEMS and problem not in problems:
        problems.append(problem)


# --- draws from a stream ----------------------------------------------------------------


def from_start(
    rows: Rows,
    drawer: Drawer,
    *,
    precision: float = DEFAULT_PRECISION,
    seed: int = 0,
    progress: Progress | None = None,
) -> Drawn:
    """Read every row and draw some, for files without offsets; InputError at a bad row.

    The number of draws follows from the precision by the spread that text usually has, since
    nothing is read twice.
    """
    kept = _Reservoir(2 * _needed(precision), Random(seed))
    size = 0
    for row in rows:
        while (offset := kept.next) < size + row.size:
            kept.take(_from_row(rows, row, drawer, (offset - size) / row.size))
        size += row.size
        if progress is not None and row.number % PROGRESS_EVERY == 0:
            progress(rows.good, rows.bytes_read)
    drawn = _drawn(tuple(kept.draws), drawer, rows.good, size, precision)
    return replace(drawn, unread=rows.bad, problems=tuple(rows.problems))


def _from_row(rows: Rows, row: Row, drawer: Drawer, place: float) -> Draw:
    try:
        return drawer.draw(row, place)
    except InputError as error:
        problem = replace(error.problems[0], where=f"{rows.workload.name}:{row.line}")
        _refuse(problem, rows.problems, skip_bad=rows.skip_bad)
        return Draw(row.size)


def _needed(precision: float) -> int:
    """Draws for that precision at the usual spread, as a power of two."""
    draws = (_NORMAL * USUAL_SPREAD / precision) ** 2
    fewest, most = STREAM_POWERS
    return 1 << min(max(math.ceil(math.log2(draws)), fewest), most)


class _Reservoir:
    """One draw a stratum of a stream whose length is not known; at most `most` are kept."""

    def __init__(self, most: int, random: Random) -> None:
        self.draws: list[Draw] = []
        self._most = most
        self._random = random
        self._stratum = STREAM_STRATUM
        self.next = random.randrange(self._stratum)
        """The offset of the next draw."""

    def take(self, draw: Draw) -> None:
        """Keep the draw at `next`; where they are too many, strata become twice as long."""
        self.draws.append(draw)
        if len(self.draws) == self._most:
            pairs = zip(self.draws[::2], self.draws[1::2], strict=True)
            self.draws = [pair[self._random.randrange(2)] for pair in pairs]
            self._stratum *= 2
        begin = len(self.draws) * self._stratum
        self.next = begin + self._random.randrange(self._stratum)


# --- what the draws say -----------------------------------------------------------------


def _drawn(
    draws: tuple[Draw, ...], drawer: Drawer, records: int, size: int, precision: float
) -> Drawn:
    sample = Sample([draw.size for draw in draws], records=records, bytes=size)
    bad = sum(
        weight
        for weight, draw in zip(sample.weights, draws, strict=True)
        if draw.size and not draw.shapes
    )
    return Drawn(
        encodings=drawer.names,
        draws=draws,
        sample=sample,
        precision=precision,
        prefix=drawer.prefix or (),
        bad=round(bad),
    )


def _precise(drawn: Drawn) -> bool:
    """Whether the text of all rows is known as well as was asked, in every encoding."""
    return all(
        drawn.total(name, lambda shape: shape.text).relative <= drawn.precision
        for name in drawn.encodings
    )
