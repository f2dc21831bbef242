"""The matrix as lines of cells: options grouped by model, and which columns a width takes.

A list sorted by cost alone would crown the cheapest model, and nothing here knows quality:
models stand in the order asked, lanes inside them by cost. Money is never clipped: a column
that does not fit is left out whole, in a fixed order, the deciding ones never.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, repeat
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

from planner.decision.options import Verdict
from planner.money import dollars, times
from planner.tui.axis import Axis, axis, scale, strip
from planner.tui.pieces import Line, Piece, Tone, cells, cut
from planner.words import duration, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from planner.decision.cost import Cost
    from planner.decision.matrix import ModelChoice
    from planner.decision.options import Option
    from planner.pipeline import Estimate
    from planner.workload.profile import TokenProfile

MARKS = {
    Verdict.MEETS: ("✓", "meets", Tone.GOOD),
    Verdict.LIKELY: ("~", "likely", Tone.WARN),
    Verdict.AT_RISK: ("!", "at risk", Tone.WARN),
    Verdict.CANNOT: ("✗", "cannot", Tone.BAD),
    Verdict.UNKNOWN: ("?", "unknown", Tone.MUTED),
}
CAN_RUN = "can run"
CHOSEN = "▶"
CURSOR = "›"  # noqa: RUF001 -- an arrow, unlike the verdicts' marks
UNKNOWN = "-"
LETTERS = ascii_lowercase + ascii_uppercase
EDGE = 4
"""Cells before the first column: the cursor's mark, the choice's, the row's letter, a gap."""
GAP = 2


class Key(StrEnum):
    """The columns, in the order they stand."""

    LANE = "lane"
    COST = "cost"
    MONTH = "a month"
    RANGE = "95 % interval"
    TYPICAL = "typical"
    BY = "95 % by"
    P = "P"
    LEAST = "at least"
    AXIS = "axis"
    GRADE = "grade"
    VERDICT = "verdict"


LEFT_OUT_FIRST = (Key.LEAST, Key.RANGE, Key.GRADE, Key.MONTH, Key.TYPICAL, Key.AXIS)
"""What a narrow screen loses, in this order; the others are what the answer consists of."""

SECONDARY = frozenset({Key.LEAST, Key.RANGE, Key.GRADE, Key.MONTH})
RIGHT = frozenset({Key.COST, Key.MONTH, Key.RANGE, Key.TYPICAL, Key.BY, Key.P, Key.LEAST})
AXIS_LEAST, AXIS_GOOD, AXIS_MOST = 14, 23, 72
"""Cells of the axis: still readable, worth more than a further column, enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A model's heading: its name, and the size of a row as its tokenizer sees it."""

    model: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One option."""

    id: str
    model: str
    letter: str
    """What it is called on a chart; blank where there are more options than letters."""
    chosen: bool
    able: bool
    mark: str
    tone: Tone
    cells: Mapping[Key, str]
    cost: Decimal | None
    typical: float | None
    late: float | None
    remark: str
    """Said in place of a range that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All lines, what stands over them, and the axis they share."""

    lines: tuple[Group | Row, ...]
    titles: Mapping[Key, str]
    axis: Axis

    @property
    def rows(self) -> tuple[Row, ...]:
        """The options alone."""
        return tuple(line for line in self.lines if isinstance(line, Row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns that a width takes, each with its own width."""

    columns: tuple[tuple[Key, int], ...]
    words: bool
    """Whether verdicts have their word; the mark alone is the last resort."""

    def start(self, wanted: Key) -> int | None:
        """The cell where a column begins."""
        place = EDGE
        for key, width in self.columns:
            if key is wanted:
                return place
            place += width + GAP
        return None


# --- from an estimate -------------------------------------------------------------------


def table(estimate: Estimate, *, runs: int | None = None) -> Table:
    """Every option of every model; with `runs` a month, what a month costs as well."""
    deadline = estimate.job.requirements.deadline
    lines: list[Group | Row] = []
    letters = chain(LETTERS, repeat(" "))
    for model in estimate.decision.models:
        lines.append(_group(estimate, model))
        ordered = sorted(model.options, key=_by_cost)
        lines += [_row(each, next(letters), model, deadline, runs) for each in ordered]
    times = (
        time
        for line in lines
        if isinstance(line, Row)
        for time in (line.typical, line.late)
        if time is not None
    )
    return Table(lines=tuple(lines), titles=_titles(deadline), axis=axis(times, deadline))


def profile_of(estimate: Estimate, model: str) -> TokenProfile:
    """The model's token profile."""
    return next(each for each in estimate.measured.profiles if each.model == model)


def _group(estimate: Estimate, model: ModelChoice) -> Group:
    profile = profile_of(estimate, model.model)
    size = f"{round(profile.sizes.mean):,} in + {round(profile.output.mean):,} out tokens a row"
    return Group(model=model.model, size=size)


def _by_cost(option: Option) -> tuple[bool, bool, object, str]:
    """What can run first, cheapest first; by name where nothing else tells them apart."""
    cost = option.cost
    return (cost is None, bool(option.gates), cost.expected if cost else 0, option.id)


def _titles(deadline: float | None) -> dict[Key, str]:
    titles = {key: key.value for key in Key}
    titles[Key.P] = "" if deadline is None else f"P≤{duration(deadline)}"
    titles[Key.LEAST] = "" if deadline is None else titles[Key.LEAST]
    return titles


def lane_of(option: Option) -> str:
    """The option's name within its model."""
    return option.id.removeprefix(f"{option.model}/")


def sign(option: Option, *, asked: bool) -> tuple[str, str, Tone]:
    """Mark, word and tone of a verdict; without a deadline there is nothing to meet."""
    mark, word, tone = MARKS[option.verdict]
    return (mark, word if asked or option.verdict is not Verdict.MEETS else CAN_RUN, tone)


def _row(
    option: Option, letter: str, model: ModelChoice, deadline: float | None, runs: int | None
) -> Row:
    mark, word, tone = sign(option, asked=deadline is not None)
    cost, finish, p = option.cost, option.finish, option.p_deadline
    asked = deadline is not None
    return Row(
        id=option.id,
        model=option.model,
        letter=letter,
        chosen=option.id == model.choice,
        able=not option.gates,
        mark=mark,
        tone=Tone.MUTED if option.gates and option.verdict is not Verdict.CANNOT else tone,
        cells={
            Key.LANE: lane_of(option),
            Key.COST: dollars(cost.expected) if cost else UNKNOWN,
            Key.MONTH: ""
            if runs is None
            else dollars(times(cost.expected, runs))
            if cost
            else UNKNOWN,
            Key.RANGE: interval(cost) if cost else UNKNOWN,
            Key.TYPICAL: UNKNOWN if finish.p50 is None else duration(finish.p50),
            Key.BY: UNKNOWN if finish.p95 is None else duration(finish.p95),
            Key.P: "" if not asked else UNKNOWN if p is None else percent(p.mean),
            Key.LEAST: "" if not asked else UNKNOWN if p is None else percent(p.low),
            Key.GRADE: "" if option.gates else option.grade,
            Key.VERDICT: word,
        },
        cost=None if cost is None else cost.expected,
        typical=finish.p50,
        late=finish.p95,
        remark=_remark(option),
    )


def interval(cost: Cost) -> str:
    """The 95 % interval of a cost; one amount where nothing is uncertain."""
    if cost.low == cost.high:
        return dollars(cost.low)
    return f"{dollars(cost.low)} to {dollars(cost.high)}"


def _remark(option: Option) -> str:
    if option.gates:
        return option.gates[0].code.replace("-", " ")
    return "" if option.finish.p95 is not None else "finish not known"


# --- into a width -----------------------------------------------------------------------


def layout(of: Table, width: int) -> Layout:
    """The columns that fit; what decides is kept whatever the width."""
    keys = [key for key in Key if key is Key.AXIS or _widest(of, key)]
    widths = {key: _widest(of, key) for key in keys}
    words = True
    for lost in (*LEFT_OUT_FIRST, None):
        wanted = AXIS_GOOD - AXIS_LEAST if lost in SECONDARY else 0
        if _total(widths) + wanted <= width:
            break
        if lost is None:
            words, widths[Key.VERDICT] = False, 1
        else:
            widths.pop(lost, None)
    if Key.AXIS in widths:
        widths[Key.AXIS] = min(AXIS_LEAST + width - _total(widths), AXIS_MOST)
    else:
        widths[Key.LANE] -= max(0, _total(widths) - width)
    return Layout(columns=tuple(widths.items()), words=words)


def _widest(of: Table, key: Key) -> int:
    if key is Key.AXIS:
        return AXIS_LEAST
    found = [row.cells[key] for row in of.rows]
    if not any(found):
        return 0
    mark = 2 if key is Key.VERDICT else 0
    return max(len(of.titles[key]), *(len(text) + mark for text in found))


def _total(widths: Mapping[Key, int]) -> int:
    return EDGE + sum(widths.values()) + GAP * (len(widths) - 1)


def head_line(of: Table, to: Layout) -> Line:
    """The titles of the columns, and the axis' scale."""
    line: list[Piece] = [Piece(" " * EDGE)]
    for key, width in to.columns:
        if key is Key.AXIS:
            line += scale(of.axis, width)
        else:
            title = "" if key is Key.VERDICT and not to.words else of.titles[key]
            line.append(Piece(_padded(title, width, right=key in RIGHT), Tone.MUTED))
        line.append(Piece(" " * GAP))
    return tuple(line[:-1])


def group_line(of: Table, to: Layout, group: Group, width: int) -> Line:
    """A model's name and size; the deadline's tick runs through it where it is free."""
    text = cut(
        (Piece(" "), Piece(group.model, Tone.STRONG), Piece(f"  {group.size}", Tone.MUTED)), width
    )
    start = to.start(Key.AXIS)
    tick = of.axis.tick(dict(to.columns)[Key.AXIS]) if start is not None else None
    if start is None or tick is None or cells(text) >= start + tick:
        return text
    return (*text, Piece(" " * (start + tick - cells(text))), Piece("┊", Tone.WARN))


def row_line(of: Table, to: Layout, row: Row, *, cursor: bool) -> Line:
    """One option."""
    plain = Tone.PLAIN if row.able else Tone.MUTED
    line = [
        Piece(CURSOR if cursor else " ", Tone.STRONG),
        Piece(CHOSEN if row.chosen else " ", Tone.GOOD),
        Piece(f"{row.letter} ", Tone.MUTED),
    ]
    for key, width in to.columns:
        line += _cell(of, to, row, key, width, Tone.STRONG if row.chosen else plain)
        line.append(Piece(" " * GAP))
    return tuple(line[:-1])


def _cell(of: Table, to: Layout, row: Row, key: Key, width: int, tone: Tone) -> Iterable[Piece]:
    if key is Key.AXIS:
        return _drawn(of, row, width)
    if key is Key.VERDICT:
        return (Piece(f"{row.mark} {row.cells[key]}" if to.words else row.mark, row.tone),)
    text = row.cells[key]
    if key is Key.LANE:
        text = "".join(piece.text for piece in cut((Piece(text),), width))
    own = row.tone if key in (Key.P, Key.LEAST) and row.able else tone
    return (Piece(_padded(text, width, right=key in RIGHT), own),)


def _drawn(of: Table, row: Row, width: int) -> Line:
    """The range, or why there is none; the tick goes through either."""
    if row.late is not None and (row.able or row.cells[Key.COST] != UNKNOWN):
        tone = row.tone if row.able else Tone.MUTED
        return strip(of.axis, width, row.typical, row.late, tone)
    text = "".join(piece.text for piece in cut((Piece(row.remark),), width))
    track = strip(of.axis, width, None, None, Tone.MUTED)
    return (Piece(text, Tone.MUTED), *_after(track, len(text)))


def _after(line: Line, start: int) -> Iterable[Piece]:
    """The end of a line from a cell on, blank where it was track."""
    text = "".join(piece.text for piece in line)
    tones = [piece.tone for piece in line for _ in piece.text]
    for character, tone in list(zip(text, tones, strict=True))[start:]:
        yield Piece(character if tone is Tone.WARN else " ", tone)


def _padded(text: str, width: int, *, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
