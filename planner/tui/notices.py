"""What a screen says before and beside an answer: progress, problems, the age of prices.

Apart from `view` because it is on the first paint: it imports nothing of the core, whose
modules take longer to load than the screen itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.report.layout import printable
from planner.tui.keyed import keyed
from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.words import aged, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from planner.errors import Problem


def freshness(on: date, age: int | None) -> tuple[str, ...]:
    """Price date and the oldest source's age in days, the longest wording first."""
    if age is None:
        return (f"prices as of {on}",)
    return (
        f"prices as of {on} · oldest source {aged(age)}",
        f"prices {on} · source {f'{age} d' if age >= 0 else 'read later'}",
    )


def stopping() -> tuple[Paragraph, ...]:
    """The counting was ended; it says what it knows at its next report."""
    return (
        Paragraph(body=(Piece("Stopping", Tone.STRONG), Piece(", with what is known by now."))),
        paragraph("Esc once more: leave without it.", Tone.MUTED),
    )


def counting(name: str, rows: int, done: int, size: int, width: int) -> tuple[Paragraph, ...]:
    """How far the counting is, by bytes of the file."""
    share = min(1.0, done / size) if size else 0.0
    state = "read; working out the answer" if share == 1 else "so far"
    room = max(10, min(width - 8, 60))
    filled = int(share * room)
    bar = (
        Piece("━" * filled, Tone.GOOD),
        Piece("─" * (room - filled), Tone.MUTED),
        Piece(f"  {int(share * 100)} %"),
    )
    return (
        Paragraph(body=(Piece("Counting tokens  ", Tone.STRONG), Piece(printable(name)))),
        BLANK,
        Paragraph(body=bar),
        BLANK,
        paragraph(f"{counted(rows, 'row')} {state}. Nothing leaves this machine.", Tone.MUTED),
        paragraph("Esc stops here and keeps what is known by then.", Tone.MUTED),
    )


def copied(text: str) -> str:
    """That Markdown is in the clipboard, as far as anybody can know."""
    lines = counted(len(text.splitlines()), "line")
    return f"{lines} of Markdown, by the terminal (OSC 52)"


LEAST_WIDTH, LEAST_HEIGHT = 60, 16


def too_small(width: int, height: int) -> tuple[Paragraph, ...]:
    """Which size is needed."""
    return (
        paragraph(
            f"planner needs {LEAST_WIDTH} x {LEAST_HEIGHT} characters; this terminal has "
            f"{width} x {height}. Enlarge it: nothing is lost. Ctrl+Q leaves."
        ),
    )


def looking_up() -> tuple[Paragraph, ...]:
    """While the catalog is read."""
    return (paragraph("Looking up ...", Tone.MUTED),)


def next_keys(keys: Sequence[tuple[str, str]]) -> tuple[Paragraph, ...]:
    """What can be done about it: keys with what they do."""
    return tuple(
        Paragraph(
            body=(Piece(text),),
            mark=Piece(f"{key:<6}", Tone.KEY),
            action=f"app.simulate_key('{key}')",
        )
        for key, text in keys
    )


def problems(found: Sequence[Problem]) -> tuple[Paragraph, ...]:
    """Each problem: what, where, and what to do."""
    return tuple(line for problem in found for line in _problem(problem))


def _problem(problem: Problem) -> Iterator[Paragraph]:
    yield Paragraph(
        body=(
            Piece(printable(keyed(problem.message)), Tone.BAD),
            Piece(f"  [{problem.code}]", Tone.MUTED),
        ),
        mark=Piece("✗ ", Tone.BAD),
    )
    if problem.where is not None:
        yield paragraph(f"at {problem.where}", mark="  ")
    if problem.hint is not None:
        yield paragraph(keyed(problem.hint), mark="  hint: ")
    yield BLANK
