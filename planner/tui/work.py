"""What the Jobs screen says: jobs as rows, and one of them against its plan.

Pure functions from standings to toned text. What a vendor or a row said passes through
`printable`; a time is compared with the plan's, never corrected by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING

from planner.handoff import states
from planner.money import Usd, dollars
from planner.report import handoff
from planner.report import jobs as words
from planner.report.layout import page, printable
from planner.tui.axis import merged
from planner.tui.columns import Column, Grid
from planner.tui.pieces import BLANK, Line, Paragraph, Piece, Tone, fitting, paragraph
from planner.words import clock, counted, duration, percent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from planner.handing import Ready
    from planner.handoff.results import Tally
    from planner.rehearsing import Rehearsed
    from planner.standing import Standing

BAR = 10
"""Cells of a progress bar."""

COLUMNS = (
    Column(title="state"),
    Column(title="workload", wants=12, gives=8),
    Column(title="model", wants=14, gives=8, tail=True),
    Column(title="lane", rank=5),
    Column(title="progress", rank=2),
    Column(title="over", right=True),
    Column(title="failed", right=True),
    Column(title="age", right=True, rank=3),
    Column(title="billed", right=True),
    Column(title="planned", right=True, rank=4),
    Column(title="job", rank=6),
)

TONES = {
    "+": Tone.GOOD,
    ">": Tone.KEY,
    "~": Tone.WARN,
    "!": Tone.BAD,
    "?": Tone.WARN,
    "x": Tone.MUTED,
    "-": Tone.MUTED,
}
"""The tone of a state, by the mark that it is printed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Every job as it stands at a moment, the newest first."""

    standings: tuple[Standing, ...]
    now: datetime

    def of(self, job_id: str | None) -> Standing | None:
        """The job of that id."""
        return next((each for each in self.standings if each.job.id == job_id), None)


EMPTY = (
    Paragraph(body=(Piece("Nothing has been handed off yet.", Tone.STRONG),)),
    BLANK,
    paragraph("A job gets here from Plan:"),
    Paragraph(body=(Piece("to Plan: a file, its models, a deadline"),), mark=Piece("1    ")),
    Paragraph(body=(Piece("submit the option under the cursor"),), mark=Piece("s    ")),
    BLANK,
    paragraph(
        "Nothing is sent before its cost is on the screen and the number of rows is typed. From "
        "a shell: planner plan FILE ... -o JOB.plan.yaml, then planner submit JOB.plan.yaml, "
        "which --rehearse tries out on this machine alone.",
        Tone.MUTED,
    ),
)


# --- the list ---------------------------------------------------------------------------


def grid(board: Board) -> Grid:
    """A line a job."""
    return Grid(
        columns=COLUMNS,
        ids=tuple(each.job.id for each in board.standings),
        rows=tuple(tuple(_cells(each, board.now)) for each in board.standings),
    )


def _cells(it: Standing, now: datetime) -> Iterator[Line]:
    job, rows = it.job, it.rows
    said = words.state(it)
    share = rows.over / rows.total if rows.total else 0.0
    yield (Piece(said, TONES[said[0]]),)
    yield (Piece(_workload(it), Tone.STRONG),)
    yield (Piece(job.model),)
    yield (Piece(job.lane),)
    yield _bar(share, failed=bool(rows.failed))
    yield (Piece(_share(rows.over, rows.total)),)
    yield (Piece(f"{rows.failed:,}" if rows.failed else "", Tone.BAD),)
    yield (Piece(duration((now - job.created).total_seconds())),)
    yield (Piece(dollars(it.spent.billed)),)
    yield (Piece("" if it.plan is None else dollars(Usd(it.plan.cost.expected))),)
    yield (Piece(job.id[:SHORT], Tone.MUTED),)


SHORT = 6
"""Characters of a job's id that a person reads."""


def _workload(it: Standing) -> str:
    if it.plan is None:
        return f"job {it.job.id[:SHORT]}"
    return printable(PurePath(it.plan.workload.path).name)


def _bar(share: float, *, failed: bool) -> Line:
    filled = int(share * BAR)
    done = Piece("━" * filled, Tone.WARN if failed else Tone.GOOD)
    return (done, Piece("─" * (BAR - filled), Tone.MUTED))


def _share(part: int, whole: int) -> str:
    """All of it is `100 %`: it has happened, it is no probability."""
    return "100 %" if part >= whole else percent(part / whole) if whole else "0 %"


def summary(board: Board) -> Line:
    """How many, in which state, and what is out."""
    names = [words.state(each) for each in board.standings]
    told = " · ".join(f"{names.count(name)} {name[2:]}" for name in dict.fromkeys(names))
    return (Piece(f"{counted(len(names), 'job')}: {told}"),)


# --- one job ----------------------------------------------------------------------------


def detail(it: Standing, now: datetime, found: Tally | None) -> tuple[Paragraph, ...]:
    """The selected job in words: how it goes, what went wrong, what to do."""
    return tuple(_detail(it, now, found))


def _detail(it: Standing, now: datetime, found: Tally | None) -> Iterator[Paragraph]:
    job, rows = it.job, it.rows
    head = (
        Piece(_workload(it), Tone.STRONG),
        Piece(f"  {counted(job.rows, 'row')}  {job.provider}/{job.model}, {job.lane}"),
        Piece(f"  job {job.id}", Tone.MUTED),
    )
    yield Paragraph(body=head)
    yield course(it, now)
    parts = {
        "answered": rows.answered,
        "failed": rows.failed,
        "at the vendor": rows.out,
        "in doubt: a paid batch may exist": rows.in_doubt,
        "not sent": rows.unsent,
    }
    counts = ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    cap = "no cap" if job.cap is None else f"cap {dollars(job.cap)}"
    out = f", {dollars(it.spent.in_flight)} in flight" if it.spent.in_flight else ""
    yield paragraph(f"{counts}; {dollars(it.spent.billed)} billed{out}, {cap}", mark="  ")
    yield from _wrong(it, found)
    if it.harvest_by is not None:
        kept = f"results not fetched yet are kept until {clock(it.harvest_by, now)}"
        yield paragraph(kept, Tone.WARN, mark="! ")
    yield next_step(it)


def course(it: Standing, now: datetime) -> Paragraph:
    """How it goes against its plan, and until when it is due."""
    word, rest, tone = _course(it, now)
    said = f"{word}{rest}"
    due = it.plan.deadline if it.plan is not None else None
    if due is None:
        return paragraph(said, tone)
    when, ended = clock(due, now), it.job.created + timedelta(seconds=elapsed(it, now))
    if _over(it):
        late = ended > due
        said += f" It was due {when}: {'late' if late else 'in time'}."
        tone = Tone.BAD if late else tone
    elif due > now:
        said += f" Due in {duration((due - now).total_seconds())} ({when})."
    else:
        said, tone = f"Late, it was due {when}: {rest}", Tone.BAD
    return paragraph(said, tone)


def _over(it: Standing) -> bool:
    return it.job.state == "done" or it.rows.over >= it.rows.total


def _course(it: Standing, now: datetime) -> tuple[str, str, Tone]:
    """How it goes, in a word; how long it takes beside its plan."""
    plan, taken = it.plan, elapsed(it, now)
    p50 = None if plan is None or plan.finish.p50 is None else float(plan.finish.p50)
    p95 = None if plan is None or plan.finish.p95 is None else float(plan.finish.p95)
    if p50 is None or p95 is None:
        return "", f"{duration(taken)} so far; its plan knows no finish.", Tone.PLAIN
    planned = f"planned: typically {duration(p50)}, 95 % by {duration(p95)}."
    if _over(it):
        tone = Tone.GOOD if taken <= p95 else Tone.WARN
        return "Over " if it.rows.failed else "Done ", f"after {duration(taken)}; {planned}", tone
    so_far = f"{duration(taken)} so far; {planned}"
    if taken <= p50:
        return "On course: ", so_far, Tone.GOOD
    if taken <= p95:
        return "Slower than usual, and not late: ", so_far, Tone.WARN
    return "Later than planned: ", so_far, Tone.BAD


def elapsed(it: Standing, now: datetime) -> float:
    """Seconds from its beginning to its end, or to now."""
    ends = [each.ended_at for each in it.attempts if each.ended_at is not None]
    until = max(ends) if ends and _over(it) else now
    return max(0.0, (until - it.job.created).total_seconds())


MOST_GROUPS = 3


def _wrong(it: Standing, found: Tally | None) -> Iterator[Paragraph]:
    """Rows that failed alike stand together; then what went wrong with whole batches."""
    groups = found.groups if found is not None else ()
    for each in groups[:MOST_GROUPS]:
        why = f": {printable(each.error)}" if each.error and each.error != each.outcome else ""
        again = "; would fail again as it is" if each.permanent else ""
        rows = counted(each.rows, "row")
        yield paragraph(f"{rows} {each.outcome}{why}{again}", Tone.BAD, mark="✗ ")
    rest = sum(each.rows for each in groups[MOST_GROUPS:])
    if rest:
        yield paragraph(f"{rest:,} more rows failed in other ways", Tone.BAD, mark="✗ ")
    because = it.job.stopped_because
    said = dict.fromkeys((because, *(each.error for each in it.attempts)))
    yield from (paragraph(each, Tone.BAD, mark="! ") for each in said if each)


def ending(it: Standing) -> tuple[Paragraph, ...]:
    """What ending a job does to its rows, and what it has cost by then."""
    rows = it.rows
    parts = {
        "the vendor is asked to cancel": rows.out,
        "stays unsent": rows.unsent,
        "done, and kept": rows.over,
        "in doubt, looked for first": rows.in_doubt,
    }
    told = (
        paragraph(f"{what}: {counted(count, 'row')}", mark="· ")
        for what, count in parts.items()
        if count
    )
    billed = f"{dollars(it.spent.billed)} is billed so far"
    more = f"; at most {dollars(it.spent.in_flight)} more is for rows that are out"
    cost = paragraph(f"{billed}{more if it.spent.in_flight else ''}.", Tone.STRONG)
    return (paragraph(f"End job {it.job.id}?"), BLANK, *told, BLANK, cost)


def next_step(it: Standing) -> Paragraph:
    """What to do now, with its key."""
    text = _next(it)
    return Paragraph(body=(Piece(text),), mark=Piece("→ ", Tone.KEY))


def _next(it: Standing) -> str:
    if it.plan is None:
        return "its files were cleared; the ledger keeps what it cost"
    if it.running:
        return "it is being followed; nothing is to be done"
    if it.rows.in_doubt:
        return "r looks at the vendor's list for the batch that may exist"
    return STEPS[(it.job.state == "stopped", it.job.state == "done", bool(it.rows.failed))]


STEPS = {
    (stopped, done, failed): text + again * failed
    for stopped, done, text, again in (
        (True, False, "r goes on, once the reason is gone; c ends it", ""),
        (False, True, "f writes the answers into its folder", "; t offers the failed rows again"),
        (False, False, "r follows it to the end; f fetches what is there; c ends it", ""),
    )
    for failed in (False, True)
}
"""(stopped, done, some rows failed) -> what to do."""


def can(it: Standing | None, action: str) -> bool:
    """Whether an action means something for this job."""
    if it is None or it.plan is None or it.running:
        return False
    if action == "cancel":
        return it.job.state != "done"
    if action == "again":
        return bool(it.rows.failed) and not _waiting(it)
    if action == "follow":
        return it.job.state != "done" or _waiting(it)
    return True


def _waiting(it: Standing) -> bool:
    waiting = states.REMOTE | states.IN_DOUBT
    return any(each.state in waiting for each in it.attempts)


# --- completion over time ---------------------------------------------------------------

LABEL = 6
"""Cells of the shares at the left."""


def completion(it: Standing, now: datetime, width: int, height: int) -> tuple[Line, ...]:
    """Share of the rows over time: as it went, beside the planned typical and 95 % courses.

    Nothing where the plan knows no finish, or where there is no room.
    """
    room, rows = width - LABEL - 1, height - 2
    ends = _ends(it, now)
    if room < BAR or rows < LEAST_ROWS or ends is None:
        return ()
    p50, p95, due, most = ends
    cells: list[list[Piece]] = [[Piece(" ")] * room for _ in range(rows)]

    def put(seconds: float, share: float, piece: Piece) -> None:
        column = min(int(seconds / most * room), room - 1)
        row = rows - 1 - min(int(share * rows), rows - 1)
        cells[row][column] = piece

    if due is not None and 0 < due <= most:
        for n in range(rows):
            put(due, n / rows, Piece("┊", Tone.WARN))
    for target in (p95, p50):
        for n in range(room * 2):
            share = n / (room * 2)
            put(share * target, share, Piece("·", Tone.MUTED))
    for seconds, share in _course_points(it, now):
        put(seconds, share, Piece("●", Tone.GOOD))
    lines = [(_label(n, rows), *merged(cells[n])) for n in range(rows)]
    axis = (Piece(" " * LABEL + "└" + "─" * (room - 1), Tone.MUTED),)
    return (*lines, axis, _times(p50, p95, due, most, room))


LEAST_ROWS = 4


def _ends(it: Standing, now: datetime) -> tuple[float, float, float | None, float] | None:
    plan = it.plan
    if plan is None or plan.finish.p50 is None or plan.finish.p95 is None:
        return None
    p50, p95 = float(plan.finish.p50), float(plan.finish.p95)
    due = None if plan.deadline is None else (plan.deadline - it.job.created).total_seconds()
    most = max(p95, elapsed(it, now), due or 0.0, 1.0)
    return p50, p95, due, most


def _course_points(it: Standing, now: datetime) -> Iterator[tuple[float, float]]:
    """(seconds since it began, share of the rows over) as batches ended, and now."""
    whole, done = max(it.rows.total, 1), 0
    ended = [(each.ended_at, each.rows) for each in it.attempts if each.ended_at is not None]
    yield 0.0, 0.0
    for at, rows in sorted(ended):
        done += rows
        yield (at - it.job.created).total_seconds(), min(done / whole, 1.0)
    if not _over(it):
        yield elapsed(it, now), it.rows.over / whole


def _label(n: int, rows: int) -> Piece:
    share = {0: "100 %", rows // 2: "50 %", rows - 1: "0 %"}.get(n, "")
    return Piece(f"{share:>{LABEL}}", Tone.MUTED)


def _times(p50: float, p95: float, due: float | None, most: float, room: int) -> Line:
    """What stands where on the axis."""
    said = [f"planned: typically {duration(p50)}, 95 % by {duration(p95)}"]
    if due is not None and due > 0:
        said.append(f"┊ due after {duration(due)}")
    left = Piece(" " * LABEL)
    whole = (left, Piece(f"{'   '.join(said)}   axis to {duration(most)}", Tone.MUTED))
    return fitting((whole, (left, Piece(said[0], Tone.MUTED))), room + LABEL)


# --- before it is sent ------------------------------------------------------------------


def ready(it: Ready, now: datetime, width: int) -> tuple[Paragraph, ...]:
    """Everything that a yes is given to: the same sentences as on the command line."""
    with page(width):
        return _lines(handoff.ready(it, now))


def rehearsed(it: Rehearsed, width: int) -> tuple[Paragraph, ...]:
    """What a rehearsal showed."""
    with page(width):
        return _lines(handoff.rehearsed(it))


def _lines(text: str) -> tuple[Paragraph, ...]:
    """Lines that are folded already, each with its indent."""
    made = []
    for line in text.splitlines():
        body = line.lstrip()
        made.append(paragraph(body, mark=" " * (len(line) - len(body))))
    return tuple(made)
