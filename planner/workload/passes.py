"""One pass over the rows, or draws put as one: what was found, in every encoding asked for.

Memory is bounded by the number of distinct sizes, not of rows. Rows are counted a batch at a
time, since that takes a fraction of the time that one by one does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.workload.draws import AnswerTally, WeightedTally, wire_bytes
from planner.workload.prompt import Message, ReadyMade, Request, requests
from planner.workload.tokens import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.errors import Problem
    from planner.workload.draws import Drawn
    from planner.workload.prompt import Prompt
    from planner.workload.readers import Row, Rows


BATCH_ROWS = 256

BATCH_CHARACTERS = 2_000_000
"""Requests that are held to be counted together: the bound on memory, and the rows between two
calls of the progress function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one pass over the rows found; a tally for every encoding that was asked for."""

    rows: int
    bad: int
    bytes_per_row: int
    tallies: Mapping[str, Tally]
    answers: Mapping[str, Tally]
    """Tallies of the answers that the rows bring with them; empty where they bring none."""
    largest_asked: int | None
    """The highest output limit that a ready-made request asks for itself."""
    drawn: Drawn | None = None
    """The draws behind the figures where not every row was counted."""
    skipped: tuple[Problem, ...] = ()
    """The first bad rows that were left out, with their reasons."""
    digest: str | None = None
    """Of the file, where the pass took it along."""


Progress = Callable[[int, int], None]
"""Called with (rows, bytes of the file) done; raise out of it to stop the pass."""


def count(
    rows: Rows, prompt: Prompt, encodings: Iterable[str], progress: Progress | None = None
) -> Counted:
    """Read every row once, render its request and count it in each encoding.

    Memory is bounded by the number of distinct sizes, not of rows. InputError at a bad row
    unless the rows skip them.
    """
    tallies = {name: Tally(name) for name in encodings}
    answers: dict[str, Tally] = {}
    size, asked = 0, 0
    answer_of = prompt.answer if isinstance(prompt, ReadyMade) else None
    for batch in _batches(requests(rows, prompt)):
        made = [request for _, request in batch]
        for tally in tallies.values():
            tally.add_all(made)
        size += wire_bytes(*made)
        asked = max(asked, *[request.max_output_tokens or 0 for request in made])
        if answer_of is not None:
            given = [answer for row, _ in batch if (answer := answer_of(row)) is not None]
            _add_answers(answers, tallies, given)
        if progress is not None:
            progress(rows.good, rows.bytes_read)
    return Counted(
        rows=rows.good,
        bad=rows.bad,
        bytes_per_row=math.ceil(size / rows.good),
        tallies=tallies,
        answers=answers,
        largest_asked=asked or None,
        skipped=tuple(rows.problems),
    )


def _batches(made: Iterable[tuple[Row, Request]]) -> Iterator[list[tuple[Row, Request]]]:
    """Rows that are counted together, since that takes a fraction of the time."""
    batch: list[tuple[Row, Request]] = []
    room = BATCH_CHARACTERS
    for each in made:
        batch.append(each)
        for message in each[1].messages:
            room -= len(message.content)
        if room <= 0 or len(batch) == BATCH_ROWS:
            yield batch
            batch, room = [], BATCH_CHARACTERS
    if batch:
        yield batch


def sampled(drawn: Drawn) -> Counted:
    """What draws found, as a pass over every row would have put it.

    Rows and bytes are estimates of the whole; tallies hold each drawn row as often as the rows
    it stands for, in a unit of their own.
    """
    draws = [draw for draw in drawn.draws if draw.shapes]
    wire = drawn.sample.total(draw.wire for draw in drawn.draws)
    answered = any(draw.answers for draw in draws)
    return Counted(
        rows=drawn.rows,
        bad=drawn.bad + drawn.unread,
        bytes_per_row=math.ceil(wire.value / drawn.rows),
        tallies={name: WeightedTally(name, drawn) for name in drawn.encodings},
        answers={name: AnswerTally(name, drawn) for name in drawn.encodings} if answered else {},
        largest_asked=max(draw.asked for draw in draws) or None,
        drawn=drawn,
        skipped=drawn.problems,
        digest=drawn.digest,
    )


def count_answers(texts: Iterable[str], encodings: Iterable[str]) -> Mapping[str, Tally]:
    """Tallies of answers that stand in a file of their own, or in a column."""
    wanted = {name: Tally(name) for name in encodings}
    answers: dict[str, Tally] = {}
    for text in texts:
        _add_answers(answers, wanted, [text])
    return answers


def _add_answers(answers: dict[str, Tally], encodings: Iterable[str], texts: Sequence[str]) -> None:
    said = [Request(messages=(Message(role="assistant", content=text),)) for text in texts]
    for name in encodings if said else ():
        answers.setdefault(name, Tally(name)).add_all(said)
