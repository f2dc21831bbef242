"""The pictures of an answer as toned text: what wins where, cost against time, prompt sizes.

Drawn with characters on scales of our own: the plot libraries of terminals know no logarithmic
time axis, and a letter in a cell says more than a dot. A picture gets figures that the core
made and only places them; every amount on it is printed as the core prints it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from planner.money import dollars, plain
from planner.report.text import lane_letters, map_legend, unmet
from planner.tui.axis import ENDS, TICK, end_label, merged
from planner.tui.pieces import (
    HEAT,
    Line,
    Paragraph,
    Piece,
    Tone,
    cut,
    folded,
    paragraph,
)
from planner.tui.table import Key, Row, Table
from planner.words import compact, duration, percent
from planner.workload.histogram import bins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.decision.flips import Cell
    from planner.tui.axis import Axis
    from planner.workload.histogram import Bin
    from planner.workload.profile import TokenProfile


class Picture(Protocol):
    """What a widget of any size asks for its lines."""

    def lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Lines of at most so many cells; more of them where there is more height."""

    def height(self, width: int) -> int:
        """How many lines show everything once."""


# --- what wins where --------------------------------------------------------------------

NOTHING = "·"
MOST_LINES_A_ROW = 3
BRACKETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneMap:
    """Which lane wins at which deadline and volume, one line a volume, the largest on top."""

    model: str
    grid: tuple[tuple[Cell, ...], ...]
    rows: int
    deadline: float | None
    confidence: float

    def height(self, width: int) -> int:
        """The title, the deadlines, a line a volume, the legend."""
        return 2 + len(self.grid) + len(self._legend(width))

    def lines(self, width: int, height: int) -> tuple[Line, ...]:
        """The map; its rows grow where there is room."""
        legend = self._legend(width)
        room = height - 2 - len(legend)
        tall = min(MOST_LINES_A_ROW, max(1, room // len(self.grid)))
        columns = self._columns(width)
        body = [line for cells_ in reversed(self.grid) for line in self._row(cells_, columns, tall)]
        return (cut(self._title(), width), self._head(columns), *body, *legend)

    def _title(self) -> Line:
        wanted = f"cheapest lane done in time, {percent(self.confidence)} wanted"
        return (Piece(f" {self.model}  ", Tone.STRONG), Piece(wanted, Tone.MUTED))

    @property
    def _letters(self) -> dict[str, str]:
        return lane_letters(self.grid)

    def _text(self, cell: Cell) -> str:
        if cell.chosen is None or cell.chosen.cost is None:
            return unmet(cell, NOTHING)
        return f"{self._mark(cell)} {dollars(cell.chosen.cost.expected):>{self._money}}"

    def _mark(self, cell: Cell) -> str:
        """The letter of what wins, or why nothing does."""
        if cell.chosen is None:
            return unmet(cell, NOTHING)
        return self._letters[cell.chosen.id.rpartition("/")[2]]

    @property
    def _label(self) -> int:
        return max(len(compact(line[0].rows)) for line in self.grid) + BRACKETS

    @property
    def _money(self) -> int:
        """Cells of the longest amount: figures stand under figures."""
        chosen = (cell.chosen for line in self.grid for cell in line)
        costs = [each.cost.expected for each in chosen if each is not None and each.cost]
        return max((len(dollars(each)) for each in costs), default=4)

    @property
    def _cell(self) -> int:
        return self._money + 2 + BRACKETS

    def _columns(self, width: int) -> list[int]:
        """The columns that fit: what changes nothing against its neighbour goes first."""
        kept = list(range(len(self.grid[0])))
        most = max(1, (width - self._label) // self._cell)
        while len(kept) > most:
            inner = [each for each in kept if not self._asked(each)]
            kept.remove(max(inner, key=lambda each: self._alike(kept, each)))
        return kept

    def _asked(self, column: int) -> bool:
        return self.grid[0][column].deadline == self.deadline

    def _alike(self, kept: Sequence[int], column: int) -> tuple[int, int]:
        """In how many volumes the column says what the one before it says."""
        place = kept.index(column)
        if place == 0:
            nothing = sum(line[column].chosen is None for line in self.grid)
            return (nothing, -column)
        before = kept[place - 1]
        same = sum(self._mark(line[column]) == self._mark(line[before]) for line in self.grid)
        return (same, -column)

    def _head(self, columns: Sequence[int]) -> Line:
        pieces = [Piece("rows".rjust(self._label - 1) + " ", Tone.MUTED)]
        for column in columns:
            due = self.grid[0][column].deadline
            tone = Tone.STRONG if self._asked(column) else Tone.MUTED
            pieces.append(Piece(end_label(due).center(self._cell), tone))
        return tuple(pieces)

    def _row(self, line: Sequence[Cell], columns: Sequence[int], tall: int) -> Iterator[Line]:
        own = line[0].rows == self.rows
        for number in range(tall):
            said = number == (tall - 1) // 2
            label = compact(line[0].rows) if said else ""
            tone = Tone.STRONG if own else Tone.MUTED
            pieces = [Piece(label.rjust(self._label - 1) + " ", tone)]
            for column in columns:
                here = own and self._asked(column)
                pieces.append(self._drawn(line[column], said=said, here=here))
            yield merged(pieces)

    def _drawn(self, cell: Cell, *, said: bool, here: bool) -> Piece:
        text = self._text(cell) if said else ""
        inside = text.center(self._cell - BRACKETS)
        return Piece(f"[{inside}]" if here and said else f" {inside} ", self._shade(cell))

    def _shade(self, cell: Cell) -> Tone:
        """Blue for what wins at the shortest deadlines, yellow for what does at the longest."""
        if cell.chosen is None:
            return Tone.MUTED
        known = list(self._letters.values())
        if len(known) == 1:
            return HEAT[-1]
        return HEAT[round(known.index(self._mark(cell)) / (len(known) - 1) * (len(HEAT) - 1))]

    def _legend(self, width: int) -> tuple[Line, ...]:
        said = [f"{mark} {name}" for mark, name in map_legend(self.grid, NOTHING).items()]
        said += ["[ ] you are here"] if self.deadline else []
        return folded([paragraph("   ".join(said), Tone.MUTED)], width)


# --- cost against time ------------------------------------------------------------------

LEAST_HEIGHT = 6
USUAL_HEIGHT = 9
SPAN, LATE = "─┤"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTime:
    """Each option at its typical finish and its cost, both logarithmic, by its row's letter."""

    table: Table
    cursor: str | None
    named: bool = False
    """Whether the letters are explained below: not where the matrix stands beside."""

    @property
    def _shown(self) -> tuple[Row, ...]:
        return tuple(
            row
            for row in self.table.rows
            if row.cost is not None and row.late is not None and row.able
        )

    def height(self, width: int) -> int:
        """A plot that can be read, its axis, and what the letters mean."""
        return USUAL_HEIGHT + 3 + len(self._names(width))

    def lines(self, width: int, height: int) -> tuple[Line, ...]:
        """The plot in all the room there is."""
        names = self._names(width)
        title = (Piece(" cost of a run", Tone.STRONG), Piece(" against its typical time, ┤ 95 %"))
        if not self._shown:
            return (title, (Piece(" nothing here has a cost and a finish that are known"),))
        scale = _Scale.of([row.cost for row in self._shown if row.cost is not None])
        rows = max(LEAST_HEIGHT, height - 3 - len(names))
        label = max(len(text) for _, text in scale.ticks()) + 2
        plot = self._plot(scale, width - label - 1, rows)
        labels = {scale.place(value, rows): text for value, text in scale.ticks()}
        body = (
            merged(
                [
                    Piece(f"{labels.get(y, ''):>{label - 1}} {'┤' if y in labels else '│'}"),
                    *(plot.get((x, y), Piece(" ")) for x in range(width - label - 1)),
                ]
            )
            for y in range(rows)
        )
        rule = (Piece(" " * label + "└" + "─" * (width - label - 1)),)
        times = (Piece(" " * (label + 1)), *_times(self.table.axis, width - label - 1))
        return (cut(title, width), *body, rule, times, *names)

    def _plot(self, scale: _Scale, width: int, height: int) -> dict[tuple[int, int], Piece]:
        found: dict[tuple[int, int], Piece] = {}
        tick = self.table.axis.tick(width)
        if tick is not None:
            found |= {(tick, y): Piece(TICK, Tone.WARN) for y in range(height)}
        points = [(row, *self._point(row, scale, width, height)) for row in self._shown]
        for row, x, end, y in points:
            tone = self._tone(row)
            found |= {(place, y): Piece(SPAN, tone) for place in range(x + 1, end)}
            found[end, y] = Piece(LATE, tone)
        taken: set[tuple[int, int]] = set()
        for row, x, _, y in points:
            place = next((each for each in _around(x, y, width) if each not in taken), (x, y))
            taken.add(place)
            found[place] = Piece(
                row.letter, Tone.HERE if row.id == self.cursor else self._tone(row)
            )
        return found

    def _point(self, row: Row, scale: _Scale, width: int, height: int) -> tuple[int, int, int]:
        assert row.late is not None
        assert row.cost is not None
        typical = row.late if row.typical is None else row.typical
        of = self.table.axis
        return of.place(typical, width), of.place(row.late, width), scale.place(row.cost, height)

    @staticmethod
    def _tone(row: Row) -> Tone:
        return Tone.STRONG if row.chosen else row.tone

    def _names(self, width: int) -> tuple[Line, ...]:
        if not self.named:
            return ()
        return folded((self._model(model) for model in self._models()), width)

    def _models(self) -> list[str]:
        return list(dict.fromkeys(row.model for row in self._shown))

    def _model(self, model: str) -> Paragraph:
        said = "   ".join(
            f"{row.letter} {row.cells[Key.LANE]} {row.cells[Key.COST]}"
            for row in self._shown
            if row.model == model
        )
        return paragraph(said, Tone.MUTED, mark=f" {model}: ")


def _around(x: int, y: int, width: int) -> Iterator[tuple[int, int]]:
    """A cell and those to its right: options of one cost and time stand side by side."""
    return ((place, y) for place in range(x, width))


def _times(of: Axis, width: int) -> Line:
    """The times under the plot; the deadline's own in its tone."""
    line: list[tuple[int, str, Tone]] = []
    tick = of.tick(width)
    wanted: list[tuple[float, Tone]] = [
        (end, Tone.MUTED) for end in ENDS if of.low <= end <= of.high
    ]
    if tick is not None and of.deadline is not None:
        wanted.insert(0, (of.deadline, Tone.WARN))
    for seconds, tone in wanted:
        text = duration(seconds) if tone is Tone.WARN else end_label(seconds)
        center = tick if tone is Tone.WARN and tick is not None else of.place(seconds, width)
        start = min(max(0, center - len(text) // 2), width - len(text))
        if all(start > at + len(other) or start + len(text) < at for at, other, _ in line):
            line.append((start, text, tone))
    pieces: list[Piece] = []
    end = 0
    for start, text, tone in sorted(line):
        pieces += [Piece(" " * (start - end)), Piece(text, tone)]
        end = start + len(text)
    return tuple(pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Amounts of money on a logarithmic scale that begins and ends at a round one."""

    low: Decimal
    high: Decimal

    @classmethod
    def of(cls, amounts: Sequence[Decimal]) -> _Scale:
        """The scale that holds all of them."""
        positive = [each for each in amounts if each > 0] or [Decimal(1)]
        low = max(each for each in _round(min(positive), -1) if each <= min(positive))
        above = [each for each in _round(max(positive), 1) if each >= max(positive)]
        high = min(each for each in above if each > low)
        return cls(low=low, high=high)

    def place(self, value: Decimal, height: int) -> int:
        """The line of an amount, 0 on top; nothing at all stands at the bottom."""
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return round((1 - share) * (height - 1))

    def ticks(self) -> list[tuple[Decimal, str]]:
        """The round amounts on it with their names."""
        inside = [each for each in _round(self.low, 12) if self.low <= each <= self.high]
        few = [each for each in inside if each.as_tuple().digits == (1,)]
        chosen = inside if len(few) < FEW_TICKS else few
        return [(each, f"${int(each):,}" if each >= 1 else f"${plain(each)}") for each in chosen]


FEW_TICKS = 3
STEPS = (Decimal(1), Decimal(2), Decimal(5))


def _round(near: Decimal, more: int) -> list[Decimal]:
    """1, 2 and 5 times the powers of ten around an amount."""
    power = near.adjusted()
    first, last = sorted((power - 1, power + more + 1))
    return [step.scaleb(each) for each in range(min(first, power), last + 1) for step in STEPS]


# --- prompt sizes -----------------------------------------------------------------------

BINS = 8
BAR, EIGHTHS = "█", " ▏▎▍▌▋▊▉"
BAR_MOST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many rows are how long, and how much of the tokens they are."""

    profile: TokenProfile

    def height(self, width: int) -> int:
        """All bins with title and summary."""
        return len(self.lines(width, 0))

    def lines(self, width: int, height: int) -> tuple[Line, ...]:
        """A line a bin: a bar for its rows, and both shares in figures."""
        del height  # a bar a bin says everything
        title = (Piece(f" {self.profile.model}  ", Tone.STRONG), Piece("prompt tokens a row"))
        if self.profile.method == "given":
            said = (
                f"Every row is taken to have {self.profile.sizes.largest:,}: a file of rows shows "
                "how they spread."
            )
            return (cut(title, width), *folded([paragraph(said, Tone.MUTED, mark=" ")], width))
        found = bins(self.profile.sizes, BINS)
        names = [f"{each.low:,} to {each.high:,}" for each in found]
        label = max((len(name) for name in names), default=0) + 1
        widest = max((each.rows for each in found), default=1.0)
        room = max(4, min(BAR_MOST, width - label - 32))
        body = (
            cut(_bar(each, name.rjust(label), room, widest), width)
            for each, name in zip(found, names, strict=True)
        )
        return (cut(title, width), *body, cut(self._summary(), width))

    def _summary(self) -> Line:
        sizes = self.profile.sizes
        return (
            Piece(
                f" half below {sizes.quantile(0.5):,}, 95 % below {sizes.quantile(0.95):,}, the "
                f"largest {sizes.largest:,}; {self.profile.how}",
                Tone.MUTED,
            ),
        )


def _bar(of: Bin, name: str, room: int, widest: float) -> Line:
    eighths = round(of.rows / widest * room * 8)
    whole, part = divmod(eighths, 8)
    bar = (BAR * whole + (EIGHTHS[part] if part else "")).ljust(room)
    figures = f" {percent(of.rows):>5} of rows, {percent(of.tokens):>5} of tokens"
    return (Piece(f"{name} "), Piece(bar, Tone.KEY), Piece(figures))
