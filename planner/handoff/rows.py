"""What is sent one by one: the rows of a build, byte for byte, and what each costs at the most.

A build's files are those of batches, since a rescue sends the same rows both ways; a row's body is
cut out of its line as it was checked, not written anew from what was parsed, which could differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from planner.handoff.billing import Book, sum_of
from planner.handoff.build import ROWS
from planner.handoff.usage import PROMPT, Usage

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.plan import Plan
    from planner.money import Usd

DENSEST: Final = 2
"""A row may hold so many times the tokens that it was counted at."""
WRITES: Final = tuple(name for name in PROMPT if name.startswith("cache_write"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request, exactly as it was checked, and the prompt tokens it was counted at."""

    index: int
    custom_id: str
    body: bytes
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a row costs, and what it costs at the most, at the rates of one lane of the plan."""

    book: Book
    lane: str
    max_output: int
    caches: bool = False
    """A row may write to a cache, which costs more than reading anew."""

    @classmethod
    def of(cls, plan: Plan, lane: str) -> Prices:
        """Those of a plan, in one of the lanes that it pins."""
        limit = plan.request.max_output_tokens
        return cls(book=Book.of(plan), lane=lane, max_output=limit, caches=plan.choice.cache)

    def billed(self, usage: Usage) -> Usd | None:
        """What this usage costs; None where a rate is not known."""
        return sum_of(self.book.priced(usage, self.lane))

    def ceiling(self, row: Row) -> Usd:
        """The most that one request of the row may cost: a long prompt and the longest answer.

        The count of a row may be off by a factor, but no token of a text is shorter than a byte;
        a picture's address is, so it is never below the count.
        ValueError where the lane has no rate for it, which no plan has.
        """
        prompt = max(row.tokens, min(len(row.body), DENSEST * row.tokens))
        meters = ("input", *WRITES) if self.caches else ("input",)
        prompts: list[dict[str, Any]] = [{each: prompt} for each in meters]
        costs = [self.billed(Usage(output=self.max_output, **each)) for each in prompts]
        known = [cost for cost in costs if cost is not None]
        if not known:
            raise ValueError(f"no rate is known for input and output in {self.lane}")
        return max(known)


# --- from the shards --------------------------------------------------------------------


def rows_of(
    folder: Path, shards: Iterable[Shard], envelope: str, *, done: Container[int] = ()
) -> Iterator[Row]:
    """The rows of a build in their order, one in memory at a time, without those done with.

    `envelope` is the key under which the vendor's files hold a request (`Adapter.envelope`).
    """
    marker = b',"' + envelope.encode() + b'":'
    with (folder / ROWS).open("rb") as counted:
        for shard in shards:
            with (folder / shard.file).open("rb") as lines:
                for line in lines:
                    if line.startswith(_OPENS):
                        known = json.loads(next(counted))
                        if known["index"] not in done:
                            yield _row(line, marker, known)


_OPENS = b'{"custom_id":'
_CLOSES = b",\n"


def _row(line: bytes, marker: bytes, known: Mapping[str, int]) -> Row:
    """A line of a shard: exactly the bytes of the body, as they were checked."""
    line = line.rstrip(_CLOSES)
    head, _, rest = line.partition(marker)
    custom_id = str(json.loads(head.partition(b",")[0] + b"}")["custom_id"])
    assert custom_id.endswith(f"-{known['index']}"), (custom_id, known)
    return Row(index=known["index"], custom_id=custom_id, body=rest[:-1], tokens=known["tokens"])
