"""How the rehearsed vendor behaves: how long it takes, what it answers, which rows it refuses.

Everything follows from a seed and a name, never from the order of the calls, so that a test (or
a second rehearsal) can say beforehand what will be answered. Drawing from one shared generator
was rejected: one repeated request would change every answer after it.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NORMAL = NormalDist()
_WORDS = (
    "amber birch cedar delta ember fjord grove haven inlet jetty knoll lagoon meadow nectar "
    "orchard pebble quarry ridge summit thicket upland valley willow yonder zephyr"
).split()
_STEP = 7
_SAID = tuple(
    tuple(_WORDS[(start + _STEP * each) % len(_WORDS)] for each in range(len(_WORDS)))
    for start in range(len(_WORDS))
)
"""All words, beginning with each of them."""
CHARACTERS_A_TOKEN = 4


def share(seed: int, *names: object) -> float:
    """A number in (0, 1), always the same for the same names."""
    raw = hashlib.blake2b(repr((seed, *names)).encode(), digest_size=8).digest()
    return (int.from_bytes(raw, "big") + 0.5) / 2**64


def lognormal(mean: float, cv: float, at: float) -> float:
    """The quantile `at` of a lognormal law by its mean and coefficient of variation."""
    if cv <= 0 or mean <= 0:
        return mean
    variance = math.log1p(cv * cv)
    return math.exp(math.log(mean) - variance / 2 + math.sqrt(variance) * _NORMAL.inv_cdf(at))


# --- time -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a batch goes on, in seconds: checked, waiting, rows done one by one, wrapped up."""

    validating: float = 30
    waiting: float = 30
    running: float = 600
    finalizing: float = 20
    cancelling: float = 60
    """From the wish to cancel to the end."""
    stall_at: int | None = None
    """Not more rows than this are ever done; the window then ends it."""

    def done(self, rows: int, seconds: float) -> int:
        """How many of `rows` are done so long after validation."""
        running = seconds - self.waiting
        if running < 0:
            return 0
        through = 1.0 if running >= self.running else running / self.running
        most = rows if self.stall_at is None else min(rows, self.stall_at)
        return min(math.floor(rows * through), most)

    def all_done(self, rows: int) -> float | None:
        """Seconds after validation at which the last row is done; None: never."""
        stalls = self.stall_at is not None and self.stall_at < rows
        return None if stalls else self.waiting + self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a law of time may look at: a number in (0, 1) for each name, and the batch's size."""

    rows: int
    share: Callable[[str], float]


def steady(pace: Pace | None = None) -> Callable[[Draw], Pace]:
    """Every batch takes the same time."""
    always = pace or Pace()
    return lambda _: always


def spread(mean: float, cv: float) -> Callable[[Draw], Pace]:
    """Lognormal seconds from the first row to the last, different for each batch."""
    return lambda draw: Pace(running=lognormal(mean, cv, draw.share("turnaround")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one realtime answer takes, in seconds; `slow` of them take `factor` times that."""

    base: float = 0.8
    per_token: float = 0.008
    cv: float = 0.3
    slow: float = 0
    factor: float = 20

    def seconds(self, seed: int, key: str, attempt: int, tokens: int) -> float:
        """Of one attempt at one row."""
        at = share(seed, "latency", key, attempt)
        usual = lognormal(self.base + self.per_token * tokens, self.cv, at)
        tail = share(seed, "slow", key, attempt) < self.slow
        return usual * self.factor if tail else usual


# --- answers ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A row that is answered with an error."""

    status: int = 400
    kind: str = "invalid_request_error"
    code: str | None = None
    message: str = "messages: this row was refused by the rehearsal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer in no vendor's words; tokens in buckets that do not overlap."""

    text: str
    truncated: bool
    input: int
    cache_read: int
    cache_write: int
    output: int
    """Without reasoning."""
    reasoning: int


@dataclass(slots=True, kw_only=True)
class Billed:
    """Tokens the vendor has billed, in buckets that do not overlap."""

    rows: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    def add(self, answer: Answer) -> None:
        """One more answer."""
        self.rows += 1
        self.input += answer.input
        self.cache_read += answer.cache_read
        self.cache_write += answer.cache_write
        self.output += answer.output
        self.reasoning += answer.reasoning

    def join(self, other: Billed) -> None:
        """All of another bill."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The law of answers: lengths in tokens, shares of tokens and rows between 0 and 1."""

    mean: float = 60
    cv: float = 0.5
    reasoning: float = 0
    """Reasoning tokens, as a multiple of the visible ones."""
    cached: float = 0
    """Share of the input that comes from a cache."""
    cache_written: float = 0
    """Share of the input that is written to a cache."""
    refused: float = 0
    """Share of the rows that end in an error."""
    error: RowError = RowError()
    shown: int = 24
    """At most so many words are written out, whatever was billed: nobody reads a rehearsal."""
    trouble: Callable[[str], RowError | None] | None = None
    """Which rows are refused, by custom_id, beside the share above."""

    def wrong(self, seed: int, key: str) -> RowError | None:
        """The error that the row of this name gets; None: it is answered."""
        if self.trouble is not None and (found := self.trouble(key)) is not None:
            return found
        return self.error if share(seed, "refused", key) < self.refused else None

    def answer(self, seed: int, key: str, *, characters: int, limit: int | None) -> Answer:
        """What the row of this name is answered: `limit` is its most output tokens."""
        visible = max(round(lognormal(self.mean, self.cv, share(seed, "length", key))), 1)
        thought = round(visible * self.reasoning)
        truncated = limit is not None and visible + thought > limit
        if truncated:
            assert limit is not None
            thought = min(thought, limit)
            visible = limit - thought
        total = max(-(-characters // CHARACTERS_A_TOKEN), 1)
        read, written = int(total * self.cached), int(total * self.cache_written)
        return Answer(
            text=text(seed, key, min(visible, self.shown)),
            truncated=truncated,
            input=total - read - written,
            cache_read=read,
            cache_write=written,
            output=visible,
            reasoning=thought,
        )


def key_of(body: bytes) -> str:
    """The name of a row that is asked in realtime, where nothing but its body is sent."""
    return "rt-" + hashlib.blake2b(body, digest_size=9).hexdigest()


def text(seed: int, key: str, words: int) -> str:
    """The row's own name and some words, so that an answer under a wrong row is seen at once."""
    said = _SAID[int(share(seed, "words", key) * len(_WORDS))]
    repeated = said * (words // len(said) + 1)
    return f"{key}: {' '.join(repeated[:words])}"
