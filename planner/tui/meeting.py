"""What the Budget screen says: two figures that a room can read, and what the saving costs.

Pure functions from a page of the outlook to lines of a given size. Never a saving without the
wait, its probability and its grade; the error band and the date of the prices stay whatever else
has to go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from planner import outlook, standing
from planner.decision.budget import Outcome
from planner.money import Usd, dollars, total
from planner.report import budget_words as words
from planner.tui.digits import ROWS, large
from planner.tui.pieces import Line, Piece, Tone, cells, cut, fitting, folded, paragraph, plain
from planner.words import aged, counted, duration, least, percent, portion
from planner.workload.sizes import End

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.budgets import Wait
    from planner.decision.forecast import Figure, Spread
    from planner.outlook import Page, Side

CASES = {
    End.VALUE: ("", ""),
    End.HIGH: (", if the high comes", ", high"),
    End.LOW: (", if the low comes", ", low"),
}
"""The scenarios in the order that a key goes through them: in words, and where room is short."""

RUNS = (1, 4, 22, 30)
"""Runs a month that a key steps through: monthly, weekly, working days, daily."""

WHOLE_DOLLARS = 100
"""From here on a figure for the room has no cents."""

MOST_VOLUME = Fraction(2**20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """How a page is looked at."""

    yearly: bool = False
    case: End = End.VALUE

    def other_period(self) -> Stance:
        """Month for year, year for month."""
        return replace(self, yearly=not self.yearly)

    def next_case(self) -> Stance:
        """Expected, high, low."""
        steps = list(CASES)
        return replace(self, case=steps[(steps.index(self.case) + 1) % len(steps)])

    def figure(self, side: Side) -> Figure:
        """The figure of a side that is looked at."""
        return side.period if self.yearly else side.month


def more_runs(runs: int | None) -> int:
    """The next number of runs a month."""
    return next((each for each in RUNS if each > (runs or RUNS[0])), RUNS[0])


def scaled(volume: Fraction, by: Fraction) -> Fraction:
    """Another volume, within a millionfold of the job's own."""
    wanted = volume * by
    return wanted if 1 / MOST_VOLUME <= wanted <= MOST_VOLUME else volume


def lines(page: Page, stance: Stance, width: int, height: int) -> tuple[Line, ...]:
    """The page in at most `height` lines of at most `width` cells."""
    room = width - 2 * MARGIN
    half = (room - GUTTER) // 2
    head = [_title(page, room), _volume(page, room)]
    saving, rest = _saving(page, stance, room), _rest(page, stance, room)
    under = _under(page, stance, half)
    taken = len(head) + LABEL + len(under) + len(saving)
    kept = _kept(rest, height - taken - ROWS)
    figures = _figures(page, stance, half, height - taken - len(kept))
    if taken - LABEL + len(figures) + len(kept) < height:
        figures.insert(LABEL, ())
    parts = [head, figures, under, saving, kept]
    return tuple(_centred(each, width) for each in _spaced(parts, height))


def markdown(page: Page, stance: Stance) -> str:
    """The page for a document: the same words, with room for all of them."""
    sides = [page.realtime, *([page.other] if page.other is not None else [])]
    single = page.model is not None
    table = {
        "": [plain(each) for each in _labels(page, stance, ENOUGH)],
        "cost": [_amount(each, stance) for each in sides],
        "range": [_band(each, stance) for each in sides],
        "time": [plain(_took(each, ENOUGH)[0]) for each in sides if single],
        "in time": [plain(_took(each, ENOUGH)[1]) for each in sides if single],
    }
    rows = [f"| {' | '.join((name, *told))} |" for name, told in table.items() if told]
    rows.insert(1, f"|{' --- |' * (len(sides) + 1)}")
    name = page.title if page.model is None else f"{page.model}, {page.title}"
    notes = (*_saving(page, stance, ENOUGH), *_kept(_rest(page, stance, ENOUGH), ENOUGH))
    head = f"**{name}**: {plain(_volume(page, ENOUGH)).strip()}"
    return "\n".join((head, "", *rows, "", *(f"- {plain(line).strip()}" for line in notes), ""))


ENOUGH = 1000
"""Cells in which every line has room."""

MARGIN, GUTTER, LABEL = 1, 2, 1
"""Cells at the edges, cells between the figures, lines that say what each is."""


def _spaced(parts: Sequence[Sequence[Line]], height: int) -> Iterator[Line]:
    """The parts with air between them, as far as there is any; in the middle of a high screen."""
    free = max(0, height - sum(map(len, parts)))
    gaps = len(parts) - 1
    gap = min(free // gaps, 2)
    above = (free - gap * gaps) // 2 if gap else 0
    air: Line = ()
    yield from [air] * above
    for place, part in enumerate(parts):
        yield from part
        spaces = gap or int(place < free)
        yield from [air] * (spaces if place < gaps else 0)


def _centred(line: Line, width: int) -> Line:
    line = cut(line, width)
    return (Piece(" " * ((width - cells(line)) // 2)), *line)


# --- above the figures ------------------------------------------------------------------


def _title(page: Page, room: int) -> Line:
    place = Piece(f"  ‹ {page.place + 1} of {page.places} ›", Tone.MUTED)  # noqa: RUF001 -- arrows
    name: Line = (Piece(page.title, Tone.STRONG),)
    if page.model is not None:
        name = (Piece(page.model, Tone.STRONG), Piece(f"  {page.title}"))
    return fitting(((*name, place), name), room)


def _volume(page: Page, room: int) -> Line:
    times = f"{words.times(page.volume)} the rows" if page.volume != 1 else ""
    if page.rows is None or page.runs is None:
        count = counted(len(page.realtime.waits), "job")
        return (Piece(count), Piece(f"  {times}", Tone.WARN))
    said = f"{counted(round(page.rows.expected), 'row')} a run, {_runs(page.runs)} a month"
    return fitting(((Piece(said), Piece(f"  {times}", Tone.WARN)), (Piece(said),)), room)


def _runs(of: Spread) -> str:
    count = of.expected
    exact = f"{count}" if count.denominator == 1 else f"{float(count):.2f}".rstrip("0")
    return f"{exact} run" if count == 1 else f"{exact} runs"


# --- the figures ------------------------------------------------------------------------


def _figures(page: Page, stance: Stance, half: int, height: int) -> list[Line]:
    sides = [page.realtime, *([page.other] if page.other is not None else [])]
    room = half if page.other is not None else half * 2
    drawn = large([_amount(each, stance) for each in sides], room, max(height, 0))
    tones = (Tone.STRONG, Tone.GOOD)
    names = _labels(page, stance, room)
    blocks = [
        [(Piece(line, tone),) for line in _block(lines)]
        for lines, tone in zip(drawn, tones, strict=False)
    ]
    return [_beside(names, room), *(_beside(row, room) for row in zip(*blocks, strict=True))]


def _block(lines: Sequence[str]) -> list[str]:
    """Lines of one width, so that centring moves them together."""
    widest = max(map(len, lines))
    return [line.ljust(widest) for line in lines]


def _labels(page: Page, stance: Stance, room: int) -> Sequence[Line]:
    """What each figure is of; where one has no room for the words, all have the short ones."""
    names = [Piece("REALTIME", Tone.STRONG)]
    if page.other is not None:
        name = "AS BUDGETED" if page.model is None else page.other.lanes[0].upper()
        names.append(Piece(name, Tone.GOOD))
    period = counted(len(page.period), "month") if stance.yearly else "a month"
    full, short = (
        [(each, Piece(f", {period}{case}")) for each in names] for case in CASES[stance.case]
    )
    return full if all(cells(each) <= room for each in full) else short


def _amount(side: Side, stance: Stance) -> str:
    if side.gaps:
        return "?"
    return rounded(outlook.at(stance.figure(side), stance.case))


def rounded(value: Usd) -> str:
    """An amount for a room: whole dollars where cents are noise."""
    return f"${round(value):,}" if value >= WHOLE_DOLLARS else dollars(value)


def _beside(columns: Sequence[Line], room: int) -> Line:
    made: list[Piece] = []
    for place, line in enumerate(columns):
        left = max(room - cells(line), 0) // 2
        right = max(room - cells(line) - left, 0)
        gap = Piece(" " * (GUTTER if place else 0))
        made += [gap, Piece(" " * left), *line, Piece(" " * right)]
    return tuple(made)


def _under(page: Page, stance: Stance, half: int) -> list[Line]:
    """Beneath each figure how long it takes, how sure that is, and the error band."""
    sides = [page.realtime, *([page.other] if page.other is not None else [])]
    room = half if page.other is not None else half * 2
    single = page.model is not None
    columns = [
        [*(_took(each, room) if single else ()), (Piece(_band(each, stance), Tone.MUTED),)]
        for each in sides
    ]
    return [_beside([cut(line, room) for line in row], room) for row in zip(*columns, strict=True)]


def _band(side: Side, stance: Stance) -> str:
    if side.gaps:
        return "no price for all of it"
    figure = stance.figure(side)
    if figure.low == figure.high:
        return "no low or high is stated"
    return f"low {rounded(figure.low)}, high {rounded(figure.high)}"


def _took(side: Side, half: int) -> tuple[Line, Line]:
    wait = side.waits[0][1]
    if wait is None or wait.option.finish.p95 is None:
        return (Piece("its finish is not known", Tone.WARN),), (Piece(_grade(wait), Tone.MUTED),)
    finish, p = wait.option.finish, wait.option.p_deadline
    usual = "" if finish.p50 is None else f"typically {duration(finish.p50)}, "
    by = (Piece(f"{usual}95 % by {duration(finish.p95 or 0)}"),)
    if p is None or wait.deadline is None:
        return by, (Piece(_grade(wait), Tone.MUTED),)
    in_time = f"in {duration(wait.deadline)}: {percent(p.mean)}"
    sure = f"{in_time} ({least(p.low)}), {_grade(wait)}"
    return by, fitting(((Piece(sure),), (Piece(f"{in_time}, {_grade(wait)}"),)), half)


def _grade(wait: Wait | None) -> str:
    return "" if wait is None else f"grade {wait.option.grade}"


# --- below the figures ------------------------------------------------------------------


def _rest(page: Page, stance: Stance, room: int) -> list[tuple[int, Sequence[Line]]]:
    """Statements with ranks: what has the lowest stays where there is little room, 0 always."""
    made: list[tuple[int, Sequence[Line]]] = [(1, said) for said in _missing(page, room)]
    made += [(2, [line]) for line in _guardrails(page, room)]
    made += [(3, [line]) for line in _spent(page, room)]
    made += [(4, [line]) for line in _changes(page, room)]
    made += [(5, [line]) for line in _credits(page, stance, room)]
    if len(PROMISE) <= room:
        made.append((6, [(Piece(PROMISE, Tone.MUTED),)]))
    made.append((0, [_basis(page, stance, room)]))
    return made


def _kept(rest: Sequence[tuple[int, Sequence[Line]]], height: int) -> list[Line]:
    """Those with room, the lowest rank first: whole or not at all, in the order they came in."""
    kept = set()
    for place, (rank, said) in sorted(enumerate(rest), key=lambda each: each[1][0]):
        if not rank or len(said) <= height:
            height -= len(said)
            kept.add(place)
    return [line for place, (_, said) in enumerate(rest) if place in kept for line in said]


PROMISE = "A finish before a batch's window is likely, never promised by a vendor."


def _saving(page: Page, stance: Stance, room: int) -> list[Line]:
    """What waiting saves, and how long that is, how sure, and how well it is known."""
    found = outlook.saved(page, stance.figure, stance.case)
    if found is None:
        why = page.why or "what waiting saves is not known: a price is missing"
        return list(_fold(why, room, Tone.WARN))
    amount, share = found
    if amount <= 0:
        return [(Piece("Waiting saves nothing here.", Tone.STRONG),)]
    period = f"over {counted(len(page.period), 'month')}" if stance.yearly else "a month"
    said = (
        Piece("Waiting saves "),
        Piece(rounded(amount), Tone.GOOD),
        Piece(f" {period} ({portion(share)})"),
    )
    return [fitting(((*said, _ends(page, stance)), said), room), *_waits(page, room)]


def _ends(page: Page, stance: Stance) -> Piece:
    """The saving at both ends of what is not certain."""
    low, high = (outlook.saved(page, stance.figure, end) for end in (End.LOW, End.HIGH))
    if low is None or high is None or low == high:
        return Piece("")
    return Piece(f", {rounded(low[0])} to {rounded(high[0])}", Tone.MUTED)


def _waits(page: Page, room: int) -> Iterator[Line]:
    """The wait of every job that waits."""
    waits = () if page.other is None else page.other.waits
    for name, wait in waits:
        if page.model is None and wait is not None and wait.option.delivery == "sync":
            continue
        of = f"{name}: " if page.model is None else "for a wait: "
        said = [f"{of}{words.wait_words(wait)}", *(f"{of}{each}" for each in _shorter(wait))]
        yield fitting([(Piece(each),) for each in said], room)


def _shorter(wait: Wait | None) -> Iterator[str]:
    """The wait in fewer words: when, how likely, how well known."""
    if wait is None or wait.option.finish.p95 is None:
        return
    by, p = f"95 % by {duration(wait.option.finish.p95)}", wait.option.p_deadline
    if p is not None and wait.deadline is not None:
        in_time = f"{by}, within {duration(wait.deadline)}: {percent(p.mean)}"
        yield f"{in_time} ({least(p.low)}), {_grade(wait)}"
        yield f"{in_time}, {_grade(wait)}"
    yield f"{by}, {_grade(wait)}"


def _missing(page: Page, room: int) -> Iterator[tuple[Line, ...]]:
    """Why it may not be possible at all."""
    sides = [page.realtime, *([page.other] if page.other is not None else [])]
    waits = [wait for side in sides for _, wait in side.waits if wait is not None]
    gates = (gate.message for wait in waits for gate in wait.option.gates)
    gaps = (gap for side in sides for gap in side.gaps)
    over = (said for side in sides for said in side.over_limits)
    for text in list(dict.fromkeys((*gaps, *gates, *over)))[:MOST_GAPS]:
        yield _fold(f"✗ {text}", room, Tone.BAD)


MOST_GAPS = 2


def _guardrails(page: Page, room: int) -> Iterator[Line]:
    """Whether the file's guardrails hold at the volume that is shown."""
    if page.judged is not None and page.judged.rails.some:
        mark, tone = OUTCOMES[page.judged.outcome]
        said = words.guardrail_lines(page.judged)
        yield fitting([(Piece(f"{mark} {each}", tone),) for each in said], room)


OUTCOMES = {
    Outcome.HOLDS: ("✓", Tone.GOOD),
    Outcome.AT_HIGH: ("!", Tone.WARN),
    Outcome.OVER: ("✗", Tone.BAD),
    Outcome.UNKNOWN: ("?", Tone.WARN),
}


def _changes(page: Page, room: int) -> Iterator[Line]:
    """The next change of a price in the period, and what it does to these rows."""
    for change in page.changes[:1]:
        effect = (
            "there is no price"
            if change.factor is None
            else f"the same rows cost {words.times(change.factor)}"
        )
        said = (Piece(f"from {change.date} {effect}", Tone.WARN),)
        yield fitting(((*said, Piece(f" ({change.job}: {change.what})", Tone.MUTED)), said), room)


def _spent(page: Page, room: int) -> Iterator[Line]:
    """What was spent in the newest month that is known of, beside its budget for the same days."""
    if page.budget is None or page.volume != 1:
        return
    for each in page.budget.actuals[-1:]:
        until = f"by {each.spent.through}" if each.spent.through else words.month(each.spent.month)
        said = f"spent {dollars(each.spent.amount)} {until}"
        beside = f", budgeted for these days {dollars(each.budgeted)}"
        tone = Tone.WARN if each.more > 0 else Tone.PLAIN
        more = Piece(f" ({words.signed(each.more)})", tone)
        source = Piece(f", {page.spent_said[0].lower()}{page.spent_said[1:]}", Tone.MUTED)
        full = (Piece(said), Piece(beside), more)
        yield fitting(((*full, source), full, (Piece(said), more)), room)
    if not page.budget.actuals and page.spent_said == standing.NOTHING_SPENT[0]:
        yield (Piece(page.spent_said, Tone.WARN),)


def _credits(page: Page, stance: Stance, room: int) -> Iterator[Line]:
    """What credits pay of it."""
    if page.budget is None:
        return
    paid = page.budget.credited[page.period.index(page.month)]
    said = f"credits pay {dollars(paid)} of the month as budgeted"
    if stance.yearly:
        paid = total(page.budget.credited)
        said = f"credits pay {dollars(paid)} of it as budgeted"
        if stance.case is End.VALUE:
            said += f"; {dollars(page.budget.to_pay)} is left to pay"
    if paid:
        yield fitting(((Piece(said),),), room)


def _fold(text: str, room: int, tone: Tone) -> tuple[Line, ...]:
    return folded((paragraph(text, tone),), room)


def _basis(page: Page, stance: Stance, room: int) -> Line:
    """What the figures are of, and the date of the prices."""
    first, last = words.month(page.period[0]), words.month(page.period[-1])
    of = f"{first} to {last}" if stance.yearly else words.month(page.month)
    days = page.evidence.age_days
    age = "" if days is None else f", oldest source {aged(days)}"
    text = f"{of} · prices as of {page.on}{age}"
    tone = Tone.WARN if page.evidence.stale else Tone.MUTED
    stale = (Piece(f"{text}: stale", tone),) if page.evidence.stale else (Piece(text, tone),)
    return fitting((stale, (Piece(f"{of} · prices {page.on}", tone),)), room)
