"""Where draws fall: over the bytes of a plain file, of a stream, of the row groups of a table.

Each design draws a row in proportion to its size, one draw a stratum, so that the same sample
estimates come of all three (`sampling`). They differ in what can be asked of the file: a plain
one leads from any byte to its row, and draws are doubled until the asked precision is reached;
a packed one is read from its start, and the strata grow as it turns out longer: of two
neighbours that become one, one draw stays, by the toss of a coin.

Of a table's many row groups some are drawn first, and rows within those: reading a group costs
as much as hundreds of draws. How much the groups differ is then part of the error, and as many
are read as that takes; where those were half of them, all are read as a stream.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from planner.errors import InputError
from planner.workload import tables
from planner.workload.draws import DEFAULT_PRECISION, Draw, Drawn, StoppedError
from planner.workload.readers import Row
from planner.workload.sampling import Sample, halved, strata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.errors import Problem
    from planner.workload.access import Access, Index, Span
    from planner.workload.draws import Drawer, Progress
    from planner.workload.readers import Rows, Workload
    from planner.workload.tables import Batch, Group, Table

FIRST_DRAWS = 600
"""Doubled until they are enough: mixed text is known within 1 % at eight times as many, a file of
10 MB with as little to spare as one of 1 GB."""

MOST_DRAWS = 38_400

USUAL_SPREAD = 0.25
"""Standard deviation of tokens a byte over its mean, in mixed text of many kinds (0.22 seen)."""

STREAM_POWERS = (9, 15)
"""Draws from a stream are a power of two, between these."""

STREAM_STRATUM = 4096
"""Bytes of the first strata of a file that is read from its start."""

FIRST_GROUPS = 16
"""Row groups that are drawn first, then doubled; of a file of twice as many, all are read."""

READ_ANYWAY = 64 * 1024 * 1024
"""Bytes of the needed columns up to which all groups are read: that is a tenth of a second."""

FEWEST_A_GROUP = 8
"""Draws in a row group at least: reading one costs more."""

SHOWN_PROBLEMS = 5
PROGRESS_EVERY = 64

_NORMAL = 1.96


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

    InputError for a torn line, and for a drawn row that makes no request, unless bad rows are to
    be skipped; IrregularError where offsets do not lead to rows. A StoppedError out of `progress`
    ends it early, with the estimate so far once there is one.
    """
    random = Random(seed)
    begin, size = index.start, index.bytes
    offsets = strata(begin, size, FIRST_DRAWS, random)
    made: dict[int, Draw] = {}
    drawn: Drawn | None = None
    with index.opened() as file:
        look = _Look(index, file, drawer, skip_bad=skip_bad)
        look.at_torn()
        try:
            while True:
                look.add(made, offsets, progress)
                draws = tuple(made[offset] for offset in offsets)
                drawn = _drawn(draws, drawer, index.records - index.torn, size, precision)
                off = _off(drawn, drawer.edges)
                if off <= 1 or 2 * len(offsets) > MOST_DRAWS:
                    break
                for _ in range(_doublings(off, MOST_DRAWS // len(offsets))):
                    offsets = _doubled(begin, size, offsets, random)
        except StoppedError:
            if drawn is None:
                raise
            drawn = replace(drawn, stopped=True)
    return replace(drawn, unread=index.torn, digest=index.digest, problems=tuple(look.problems))


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
        self._refused: Span | None = None
        """The row found last that makes no request: a huge one is met by most draws."""

    def at_torn(self) -> None:
        """Stop at the first torn line, or note the first few where bad rows are skipped."""
        for offset in self._index.torn_at:
            try:
                self._file.row(self._file.span(offset))
            except InputError as error:
                _refuse(error.problems[0], self.problems, skip_bad=self._skip_bad)

    def add(self, made: dict[int, Draw], offsets: list[int], progress: Progress | None) -> None:
        """Draw at the offsets where nothing was drawn yet, in their order."""
        for number, offset in enumerate(offsets):
            if offset not in made:
                made[offset] = self._draw(offset)
            if progress is not None and number % PROGRESS_EVERY == 0:
                progress(self._index.records, self._index.workload.bytes)

    def _draw(self, offset: int) -> Draw:
        span = self._file.span(offset)
        if span.blank or self._file.torn(span):
            return Draw(0)
        if span is not self._refused:
            try:
                return self._drawn(span, (offset - span.offset) / len(span.raw))
            except InputError as error:
                _refuse(error.problems[0], self.problems, skip_bad=self._skip_bad)
                self._refused = span
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
            problem = self._drawer.problem(row._replace(number=number, line=line))
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
        draw: Draw | None = None
        while (offset := kept.next) < size + row.size:
            if draw is None or draw.shapes:
                draw = _from_row(rows, row, drawer, (offset - size) / row.size)
            kept.take(draw)
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

    def __init__(self, most: int, random: Random, *, stratum: int = STREAM_STRATUM) -> None:
        self.draws: list[Draw] = []
        self._most = most
        self._random = random
        self._stratum = stratum
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


# --- draws from a table -----------------------------------------------------------------


def by_group(
    workload: Workload,
    drawer: Drawer,
    *,
    precision: float = DEFAULT_PRECISION,
    seed: int = 0,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Drawn:
    """Draw rows of a Parquet file out of row groups that are drawn themselves.

    Twice as many groups are drawn until the tokens of all rows are known within `precision`; of
    a file of few groups, or where half of them would be needed, all are read. InputError for a
    drawn row that makes no request, unless those are to be skipped, and for a group that cannot
    be read. A StoppedError out of `progress` ends it early, once there is an estimate.
    """
    with tables.opened(workload.path) as table:
        columns = drawer.prompt.reads(table.names)
        groups = table.groups(columns)
        if not groups:
            raise InputError.of("no-rows", "the table has no rows", where=workload.name)
        look = _Cells(workload, table, columns, drawer, skip_bad=skip_bad, progress=progress)
        random = Random(seed)
        drawn: Drawn | None = None
        try:
            if len(groups) > 2 * FIRST_GROUPS and sum(g.bytes for g in groups) > READ_ANYWAY:
                for each in _of_some(groups, look, precision, random):
                    drawn = each
            if drawn is None or _off(drawn, drawer.edges) > 1:
                drawn = _of_all(groups, look, precision, random)
        except StoppedError:
            if drawn is None:
                raise
            drawn = replace(drawn, stopped=True)
    return replace(drawn, problems=tuple(look.problems))


def _of_some(
    groups: Sequence[Group], look: _Cells, precision: float, random: Random
) -> Iterator[Drawn]:
    """Estimates from ever more groups, until they will do or would be half of all.

    One group a stratum of the bytes that the footer tells of, and in it one row a stratum of
    its text: both in proportion to size. A row of s bytes in a group of z by the footer and b in
    its text is then met like one of s z/b among as many as the footer has in all.
    """
    ends = list(accumulate(group.bytes for group in groups))
    each = max(FEWEST_A_GROUP, _needed(precision) // FIRST_GROUPS)
    made: dict[int, _Cluster] = {}
    places = strata(0, ends[-1], FIRST_GROUPS, random)
    while 2 * len(places) <= len(groups):
        chosen = {place: groups[bisect_right(ends, place)] for place in places}
        new = [place for place in places if place not in made]
        for place in new:
            made[place] = _cluster(chosen[place], look, each, random)
        clusters = [made[place] for place in places]
        sample = Sample(
            [draw.size * cluster.stretch for cluster in clusters for draw in cluster.draws],
            records=look.rows,
            bytes=ends[-1],
            clusters=[len(cluster.draws) for cluster in clusters],
        )
        draws = tuple(draw for cluster in clusters for draw in cluster.draws)
        drawn = _told(draws, sample, look.drawer, precision)
        yield drawn
        off = _off(drawn, look.drawer.edges)
        if off <= 1:
            return
        for _ in range(_doublings(off, len(groups))):
            places = _doubled(0, ends[-1], places, random)
            each = max(FEWEST_A_GROUP, each // 2)


class _Cluster(NamedTuple):
    """The draws in one group."""

    draws: tuple[Draw, ...]
    stretch: float
    """Bytes of the group in the footer for each byte of its text."""


def _cluster(group: Group, look: _Cells, count: int, random: Random) -> _Cluster:
    kept = _reservoir([group], count, random)
    size = look.through([group], kept)
    return _Cluster(tuple(kept.draws), group.bytes / size)


def _of_all(groups: Sequence[Group], look: _Cells, precision: float, random: Random) -> Drawn:
    """Draws from all groups as from a stream; four times as many where those were too few."""
    count = _needed(precision)
    while True:
        kept = _reservoir(groups, count, random)
        size = look.through(groups, kept)
        drawn = _drawn(tuple(kept.draws), look.drawer, look.rows, size, precision)
        if 4 * count > MOST_DRAWS or _off(drawn, look.drawer.edges) <= 1:
            return drawn
        count *= 4


def _reservoir(groups: Iterable[Group], count: int, random: Random) -> _Reservoir:
    """Strata for half as many draws again, if the text is as long as the footer has it."""
    size = sum(group.bytes for group in groups)
    return _Reservoir(2 * count, random, stratum=max(1, 2 * size // (3 * count)))


class _Cells:
    """Draws rows of a table as its groups are read; the row drawn last is kept."""

    def __init__(
        self,
        workload: Workload,
        table: Table,
        columns: Sequence[str],
        drawer: Drawer,
        *,
        skip_bad: bool,
        progress: Progress | None,
    ) -> None:
        self.rows = table.rows
        self.drawer = drawer
        self.problems: list[Problem] = []
        self._workload = workload
        self._table = table
        self._columns = columns
        self._skip_bad = skip_bad
        self._progress = progress
        self._last: Row | None = None

    def through(self, groups: Iterable[Group], kept: _Reservoir) -> int:
        """Draw from the text of groups, one after the other; its bytes."""
        passed = 0
        for group in groups:
            for batch in self._table.batches(group, self._columns):
                end = passed + batch.bytes
                while kept.next < end:
                    kept.take(self._draw(batch, kept.next - passed))
                passed = end
                self._tell(batch.first + len(batch))
        return passed

    def _tell(self, rows: int) -> None:
        if self._progress is not None:
            self._progress(rows, self._workload.bytes * rows // self.rows)

    def _draw(self, batch: Batch, at: int) -> Draw:
        place, start, size = batch.at(at)
        try:
            return self.drawer.draw(self._row(batch, place, size), (at - start) / size)
        except InputError as error:
            problem = replace(error.problems[0], where=self._workload.name)
            _refuse(problem, self.problems, skip_bad=self._skip_bad)
            return Draw(size)

    def _row(self, batch: Batch, place: int, size: int) -> Row:
        number = batch.first + place + 1
        if self._last is None or self._last.number != number:
            self._last = Row(
                number=number, line=number, fields=batch.row(place), offset=number, size=size
            )
        return self._last


# --- what the draws say -----------------------------------------------------------------


def _drawn(
    draws: tuple[Draw, ...], drawer: Drawer, records: int, size: int, precision: float
) -> Drawn:
    sample = Sample([draw.size for draw in draws], records=records, bytes=size)
    return _told(draws, sample, drawer, precision)


def _told(draws: tuple[Draw, ...], sample: Sample, drawer: Drawer, precision: float) -> Drawn:
    if not any(draw.shapes for draw in draws):
        raise InputError.of("no-rows", "none of the rows that were drawn makes a request")
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


def _off(drawn: Drawn, edges: Sequence[int]) -> float:
    """How many times as wide as was asked the interval is, of the text of all rows.

    The widest over the encodings; and of what it costs where the price doubles above an edge:
    which rows stand there is known less well than all tokens are.
    """
    widest = 0.0
    for name in drawn.encodings:
        text = drawn.total(name, lambda shape: shape.text)
        above = [drawn.above(name, edge) for edge in edges]
        ways = [text.relative]
        ways += [(text.half + a.half) / (text.value + a.value) for a in above if a.value]
        widest = max(widest, *ways)
    return widest / drawn.precision


def _doublings(off: float, most: int) -> int:
    """How often to double what was drawn, so that it is not more than will be needed.

    By up to `most` times in all; the width shrinks with the root of the number.
    """
    return max(1, math.floor(math.log2(min(off**2, most))))
