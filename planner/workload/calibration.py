"""Somebody else's tokens for each of ours, found on pieces of the job's own text.

Vendors that do not publish a tokenizer count a text for whoever asks, and a reconstruction counts
offline. Some hundred pieces, drawn so that every character of the job is as likely as any other,
are joined into a few texts, and the counts of these against ours give one ratio for the job,
within 1-2 %. Asking about single documents was rejected: the same ten calls are then five times
less sure (the pieces' own spread does not average out), and the interval that they state is too
short.

What a call adds is measured as well, since it would count as text: the frame of a message by a
single letter, and what a joint costs by cutting the same pieces once more.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from planner.words import counted
from planner.workload import access, encodings
from planner.workload.access import IrregularError
from planner.workload.counting import SMALL
from planner.workload.draws import CELL
from planner.workload.prompt import requests
from planner.workload.sampling import COVERAGE, strata, student
from planner.workload.tokens import Grade, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planner.workload.prompt import Prompt, Request
    from planner.workload.readers import Workload
    from planner.workload.tokens import Counter

CALLS = 10
"""In all: one for the frame, one for the joints, the others for the ratio."""

TEXTS = CALLS - 2
MOST_PIECES = 4096
FIRST_STRATUM = 16
"""Characters for each piece that is drawn of a small job, before they are halved in number."""
MOST_CHARACTERS = 500 * CELL
"""So much of the job is shown to the vendor at most: 500 pieces of the full length, or more of
shorter ones."""

LETTER = "a"
JOINT = " x\n"
LEAST: Mapping[Grade, Fraction] = {
    Grade.MEASURED: Fraction(1, 200),
    Grade.RECONSTRUCTED: Fraction(1, 50),
}
"""Half the interval at least: vendors say that their counts may differ a little from the bill, and
of what others reconstructed nobody says how far it holds for the newest models."""

PLAUSIBLE = 20
"""No tokenizer makes so many times more tokens of a text than another, or fewer."""

_UNIT = 10**9


class Piece(NamedTuple):
    """Some text of the job, and for how many such pieces of it this one stands."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Somebody's tokens for each of ours, with its 95 % interval."""

    low: Fraction
    mid: Fraction
    high: Fraction
    frame: int
    """Tokens that each call adds."""
    pieces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What somebody else is asked to count, made of pieces of the job."""

    pieces: tuple[str, ...]

    @property
    def questions(self) -> tuple[str, ...]:
        """A letter for the frame, the pieces, and some of them cut once more."""
        dealt = _dealt(self.pieces)
        return (LETTER, *map(JOINT.join, dealt), JOINT.join(_cut(dealt[0])))

    @property
    def characters(self) -> int:
        """So much of the job is shown."""
        return sum(map(len, self.pieces))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What somebody counted in each question."""

    counts: tuple[int, ...]
    grade: Grade
    """`MEASURED` are whole messages, their frame included; `RECONSTRUCTED` are texts alone."""
    by: str
    """Who counted: what the sentence on the ratio says before the number of pieces."""


class UnansweredError(Exception):
    """Nobody counted, or nothing that can be believed; the counter stays as it was."""


# --- pieces ------------------------------------------------------------------------------


def pieces(
    workload: Workload,
    prompt: Prompt,
    *,
    seed: int,
    skip_bad: bool,
    most: int = MOST_CHARACTERS,
) -> tuple[str, ...]:
    """Texts of the job to be shown, each kind as often as it is in the job.

    About `most` characters of them, or the whole job where it is smaller. InputError at a row that
    cannot be read, unless those are skipped.
    """
    random = Random(f"{seed} pieces")
    drawn = None
    if access.seekable(workload) and workload.bytes > SMALL:
        with suppress(IrregularError):
            drawn = list(_by_offset(workload, prompt, random))
    if drawn is None:
        drawn = _from_start(workload, prompt, random, skip_bad=skip_bad)
    return _chosen([each for each in drawn if each.text.strip()], random, most)


def _by_offset(workload: Workload, prompt: Prompt, random: Random) -> Iterator[Piece]:
    """A piece for each of many bytes of the file; bad rows were found by the count."""
    index = access.scan(workload)
    stratum = index.bytes / MOST_PIECES
    with index.opened() as file:
        for offset in strata(index.start, index.bytes, MOST_PIECES, random):
            span = file.span(offset)
            row = None if span.blank else file.row(span)
            if row is None:
                continue
            texts = _texts(prompt.render(row))
            length = sum(map(len, texts))
            if length:
                text = _piece(texts, random.randrange(length))
                yield Piece(text, stratum * length / (len(span.raw) * len(text)))


def _from_start(
    workload: Workload, prompt: Prompt, random: Random, *, skip_bad: bool
) -> list[Piece]:
    """A piece for each of many characters of all requests."""
    kept = _Kept(random)
    passed = 0
    for _, request in requests(workload.rows(skip_bad=skip_bad), prompt):
        texts = _texts(request)
        length = sum(map(len, texts))
        while kept.next < passed + length:
            text = _piece(texts, kept.next - passed)
            kept.take(text)
        passed += length
    return [Piece(text, kept.stratum / len(text)) for text in kept.texts]


class _Kept:
    """One piece a stratum of a stream whose length is not known."""

    def __init__(self, random: Random) -> None:
        self.texts: list[str] = []
        self.stratum = FIRST_STRATUM
        self._random = random
        self.next = random.randrange(self.stratum)
        """The character of the next piece."""

    def take(self, text: str) -> None:
        """Keep the piece at `next`; where they are too many, strata become twice as long."""
        self.texts.append(text)
        if len(self.texts) == 2 * MOST_PIECES:
            pairs = zip(self.texts[::2], self.texts[1::2], strict=True)
            self.texts = [pair[self._random.randrange(2)] for pair in pairs]
            self.stratum *= 2
        begin = len(self.texts) * self.stratum
        self.next = begin + self._random.randrange(self.stratum)


def _texts(request: Request) -> list[str]:
    """Halves of surrogate pairs cannot be sent, and are what a counter replaces as well."""
    return [encodings.whole(text) for text in parts(request) if text]


def _piece(texts: Sequence[str], at: int) -> str:
    """The cell of about `CELL` characters that holds that character of all texts."""
    for text in texts:
        if at < len(text):
            start, end = encodings.cell_around(text, (0, len(text)), at, CELL)
            return text[start:end]
        at -= len(text)
    raise AssertionError


def _chosen(drawn: Sequence[Piece], random: Random, characters: int) -> tuple[str, ...]:
    """As many as may be shown, in proportion to what they stand for, in the job's order."""
    if not drawn:
        return ()
    running = list(accumulate(each.weight for each in drawn))
    mean = sum(each.weight * len(each.text) for each in drawn) / running[-1]
    # A small job is shown once and not more often.
    most = min(len(drawn), MOST_PIECES, math.ceil(running[-1]))
    count = min(most, max(1, int(characters / mean)))
    step = running[-1] / count
    start, place, found = random.random() * step, 0, []
    for number in range(count):
        while running[place] < start + number * step and place < len(drawn) - 1:
            place += 1
        found.append(drawn[place].text)
    return tuple(found)


# --- the ratio ---------------------------------------------------------------------------


def ratio(
    pieces: Sequence[str], ours: Callable[[str], int], counts: Sequence[int], least: Fraction
) -> Ratio:
    """What others count for each token of `ours`, from their counts of an inquiry's questions.

    Half the interval is the share `least` of it at least.
    """
    dealt = _dealt(pieces)
    letter, *whole, cut = counts
    frame = max(0, letter - 1)
    joint = _joint(dealt[0], whole[0], cut)
    counted = [
        Fraction(count - frame) - joint * (len(each) - 1)
        for each, count in zip(dealt, whole, strict=True)
    ]
    own = [sum(map(ours, each)) for each in dealt]
    mid = sum(counted, Fraction(0)) / max(1, sum(own))
    half = min(mid / 2, max(least * mid, _half(own, counted, mid)))
    return Ratio(low=mid - half, mid=mid, high=mid + half, frame=frame, pieces=len(pieces))


def _dealt(pieces: Sequence[str]) -> list[Sequence[str]]:
    """The pieces of each text, so that every text holds some of the whole job."""
    return [pieces[number::TEXTS] for number in range(min(TEXTS, len(pieces)))]


def _joint(pieces: Sequence[str], whole: int, cut: int) -> Fraction:
    """Tokens that joining two pieces adds: the same ones, each cut once more."""
    more = len(_cut(pieces)) - len(pieces)
    if not more:
        return Fraction(1)
    return min(Fraction(3), max(Fraction(0), Fraction(cut - whole, more)))


def _cut(pieces: Sequence[str]) -> list[str]:
    return [half for each in pieces for half in _halved(each)]


def _halved(text: str) -> tuple[str, ...]:
    """Two parts of a text that no token spans; one where it cannot be cut so."""
    cells = tuple(encodings.cells(text, max(1, len(text) // 2)))
    if len(cells) == 1 or not cells[1].startswith(" "):
        return (text,)
    return cells[0], text[len(cells[0]) :]


def _half(own: Sequence[int], counted: Sequence[Fraction], mid: Fraction) -> Fraction:
    """Half the 95 % interval, from how far the calls are from their common ratio."""
    calls = len(own)
    if calls == 1:
        return mid / 10
    squares = math.fsum(
        float(theirs - mid * ours) ** 2 for ours, theirs in zip(own, counted, strict=True)
    )
    error = math.sqrt(squares / (calls * (calls - 1))) / (sum(own) / calls)
    wide = student(0.5 + COVERAGE / 2, calls - 1) * error
    return Fraction(math.ceil(wide * _UNIT), _UNIT)


def calibrated(counter: Counter, inquiry: Inquiry, reply: Reply) -> Counter:
    """The counter with the ratio that somebody's own counts of the pieces have shown.

    UnansweredError where they make no sense.
    """
    found = ratio(inquiry.pieces, counter.text, reply.counts, LEAST[reply.grade])
    if not 1 / PLAUSIBLE < found.mid < PLAUSIBLE:
        raise UnansweredError(f"{counter.key} stays as it was: {reply.by} make no sense")
    note = f"{reply.by} of {counted(found.pieces, 'piece')} of the rows"
    if reply.grade is Grade.RECONSTRUCTED and counter.note:
        note = f"{note}; {counter.note}"  # which models the family is taken to hold
    made = counter.measured(
        low=found.low, mid=found.mid, high=found.high, grade=reply.grade, note=note
    )
    return _framed(made, found.frame) if reply.grade is Grade.MEASURED else made


def _framed(counter: Counter, frame: int) -> Counter:
    """The counter with the frame that one whole message was seen to have."""
    message = min(frame, counter.framing.per_message)
    framing = replace(counter.framing, per_message=message, per_request=frame - message)
    return replace(counter, framing=framing)
