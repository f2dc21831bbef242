"""From a vendor's result files to one answer a row: downloaded whole, proved, kept, merged once.

A download lands in a `.part` file and takes its name when it is on the disk. What it holds is
held against the vendor's own counts, since a reply that ends too early may look like one that
ends. The raw bytes stay as they came; the merged file is made from them and can be made again.

A row is found by the number in its custom_id, so neither the order of the lines nor a line that
comes twice matters, and memory is some bytes a row of one shard. A table of rows in the ledger
was rejected: it would hold what the raw files already say, and could disagree with them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from array import array
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

from planner.handoff import build as builds
from planner.handoff import journal as journals
from planner.handoff import plan as plans
from planner.handoff import reasons
from planner.handoff.usage import BUCKETS, Usage
from planner.handoff.vendor import RowResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.ledger import Attempt, Ledger
    from planner.handoff.states import State
    from planner.handoff.vendor import Batch, BatchVendor, Counts

    Parse = Callable[[bytes], RowResult]
    Checkpoint = Callable[[str], None]

RESULTS = "results"
OUT = "out"

Format = Literal["jsonl", "csv"]
FORMATS: Final[tuple[Format, ...]] = ("jsonl", "csv")
Outcome = Literal[
    "succeeded",
    "errored",
    "expired",
    "canceled",
    "unknown",
    "missing",
    "refused",
    "lost",
    "unsent",
    "pending",
]
"""What became of a row. After the vendor's own words: `unknown` a kind of result that nobody has
documented, `missing` no line of it though its batch is over, `refused` its whole batch was,
`lost` its results can no longer be had, `unsent` it was given up before, `pending` not over."""

_WITHOUT_RESULT: Final[Mapping[State, Outcome]] = {
    "rejected": "refused",
    "invalid": "refused",
    "lost": "lost",
    "dropped": "unsent",
    "merged": "missing",
}
"""What a row is whose attempt brought no line of it; `pending` where the attempt goes on."""

_BETTER: Final[Mapping[str, int]] = {
    "succeeded": 0,
    "unknown": 1,
    "errored": 2,
    "expired": 3,
    "canceled": 4,
}
"""Which of two lines of one row counts: an answer before anything else."""
_NONE: Final = 9

SHORT: Final = reasons.SHORT
"""What an attempt says whose rows without a line may have been answered, and billed, all the same:
a person has settled them, so nothing sends them again by itself."""

_ABSENT = b""


def no_checkpoint(_step: str) -> None:
    """Nothing is killed outside tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a job and what became of it."""

    index: int
    outcome: Outcome
    result: RowResult | None = None
    error: str | None = None
    permanent: bool = False
    """Sent again as it is, it would fail again."""
    settled: bool = False
    """It has no answer, may have been paid for, and a person has taken that as it is."""
    row: int = 0
    """Its number in the workload; 0 where the names are not read yet."""
    key: Any = None
    """The user's own name of it."""


# --- files ------------------------------------------------------------------------------


def fetch(
    vendor: BatchVendor,
    batch: Batch,
    attempt: Attempt,
    folder: Path,
    checkpoint: Checkpoint = no_checkpoint,
) -> tuple[Path, ...]:
    """Everything a batch can be asked for, each file whole or not there at all.

    AmbiguousError, NotSentError, RefusedError as the vendor raises them; no file is lost then.
    """
    into = folder / RESULTS
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = []
    for name in batch.results:
        path = into / f"{_stem(attempt)}.{_safe(name)}.jsonl"
        part = path.with_name(f"{path.name}.part")
        with private(part) as stream:
            vendor.download(batch, name, stream)
            settle(stream)
        checkpoint("before results")
        part.replace(path)
        plans.sync_folder(into)
        checkpoint("after results")
        files.append(path)
    return tuple(files)


def files_of(folder: Path, attempt: Attempt) -> tuple[Path, ...]:
    """The raw results of an attempt, as far as they were downloaded."""
    return tuple(sorted((folder / RESULTS).glob(f"{_stem(attempt)}.*.jsonl")))


def discard(folder: Path, attempt: Attempt) -> None:
    """Delete what was downloaded for an attempt and is somebody else's."""
    for path in files_of(folder, attempt):
        path.unlink()


def _stem(attempt: Attempt) -> str:
    return f"{attempt.shard:05d}.a{attempt.n}"


def _safe(name: str) -> str:
    """A vendor's name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:100] or "results"


def private(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return open(descriptor, "wb", buffering=1024 * 1024)  # noqa: PTH123 -- pathlib opens no descriptor


def settle(stream: BinaryIO) -> None:
    """What was written is on the disk."""
    stream.flush()
    os.fsync(stream.fileno())


# --- one shard --------------------------------------------------------------------------


@dataclass(slots=True)
class Lines:
    """Where the line that counts of each row of a stretch stands; some bytes a row."""

    nonce: str
    first: int
    rows: int
    files: tuple[Path, ...]
    file: array[int] = field(init=False)
    offset: array[int] = field(init=False)
    size: array[int] = field(init=False)
    rank: array[int] = field(init=False)
    foreign: int = 0
    """Lines of rows that are not of this stretch."""
    unreadable: int = 0

    def __post_init__(self) -> None:
        self.file = array("H", bytes(2 * self.rows))
        self.offset = array("Q", bytes(8 * self.rows))
        self.size = array("L", bytes(array("L").itemsize * self.rows))
        self.rank = array("B", bytes([_NONE]) * self.rows)

    @property
    def seen(self) -> int:
        """Rows of which there is a line."""
        return self.rows - self.rank.count(_NONE)

    def with_rank(self, *outcomes: str) -> int:
        """Rows whose line says one of these."""
        return sum(self.rank.count(_BETTER[each]) for each in outcomes)

    def read(self, parse: Parse) -> Lines:
        """Take in every line of every file."""
        with ExitStack() as stack:
            streams = [stack.enter_context(path.open("rb")) for path in self.files]
            again = [stack.enter_context(path.open("rb")) for path in self.files]
            for number, stream in enumerate(streams):
                at = 0
                for line in stream:
                    if line.strip():
                        self._take(number, at, line, parse, again)
                    at += len(line)
        return self

    def _take(
        self, file: int, at: int, line: bytes, parse: Parse, again: Sequence[BinaryIO]
    ) -> None:
        try:
            result = parse(line)
        except ValueError:
            self.unreadable += 1
            return
        place = self._place(result.custom_id)
        if place is None:
            self.foreign += 1
            return
        rank = _BETTER[result.outcome]
        if rank < self.rank[place] or (
            rank == self.rank[place] and line < self._line(place, again)
        ):
            self.file[place], self.offset[place] = file, at
            self.size[place], self.rank[place] = len(line), rank

    def _place(self, custom_id: str) -> int | None:
        index = index_of(custom_id, self.nonce)
        inside = index is not None and self.first <= index < self.first + self.rows
        return index - self.first if index is not None and inside else None

    def _line(self, place: int, streams: Sequence[BinaryIO]) -> bytes:
        if self.rank[place] == _NONE:
            return _ABSENT
        stream = streams[self.file[place]]
        stream.seek(self.offset[place])
        return stream.read(self.size[place])

    def each(self, parse: Parse) -> Iterator[tuple[int, RowResult | None]]:
        """(index, its result) of every row in order; None: there is no line of it."""
        with ExitStack() as stack:
            streams = [stack.enter_context(path.open("rb")) for path in self.files]
            for place in range(self.rows):
                line = self._line(place, streams)
                yield self.first + place, parse(line) if line else None


def index_of(custom_id: str, nonce: str) -> int | None:
    """The row that an id names; None where it is not one of ours."""
    head, _, digits = custom_id.rpartition("-")
    ours = head == nonce and digits.isascii() and digits.isdigit()
    return int(digits) if ours else None


def lines_of(shard: Shard, nonce: str, files: Iterable[Path], parse: Parse) -> Lines:
    """Where the rows of a shard stand in its raw results."""
    made = Lines(nonce=nonce, first=shard.first, rows=shard.rows, files=tuple(files))
    return made.read(parse)


Proof = Literal["whole", "short", "unproved", "foreign"]


def prove(lines: Lines, counts: Counts | None) -> Proof:
    """Whether a download is all there is, by the vendor's own counts.

    Only rows that succeeded or failed must have their lines: of rows that never ran some
    vendors give none. Without counts only a line for every row is a proof.
    """
    if lines.foreign and not lines.seen:
        return "foreign"
    if lines.seen == lines.rows:
        return "whole"
    if counts is None:
        return "unproved"
    answered = lines.with_rank("succeeded", "unknown")
    short = answered < counts.succeeded or lines.seen < counts.succeeded + counts.errored
    return "short" if short else "whole"


# --- what a shard came to ---------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """Rows by what became of them, and their commonest errors."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    truncated: int = 0
    errors: dict[tuple[Outcome, str, bool], Group] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Count one row."""
        self.outcomes[row.outcome] += 1
        if row.result is not None:
            self.truncated += row.result.truncated
        if row.outcome not in ("succeeded", "pending"):
            self._group(row)

    def _group(self, row: Row) -> None:
        said = _alike(row.error or "")
        key = (row.outcome, said, row.permanent)
        if key not in self.errors and len(self.errors) >= _MOST_GROUPS:
            key = (row.outcome, _OTHER, row.permanent)
        group = self.errors.setdefault(
            key, Group(outcome=row.outcome, error=key[1], permanent=row.permanent, first=row.row)
        )
        group.rows += 1

    @property
    def groups(self) -> tuple[Group, ...]:
        """Kinds of failure, the commonest first."""
        return tuple(sorted(self.errors.values(), key=lambda g: (-g.rows, g.outcome, g.error)))

    @property
    def rows(self) -> int:
        """All rows counted."""
        return self.outcomes.total()

    @property
    def unfinished(self) -> int:
        """Rows without an answer whose batch is over."""
        return self.rows - self.outcomes["succeeded"] - self.outcomes["pending"]


@dataclass(slots=True, kw_only=True)
class Group:
    """Rows that failed alike."""

    outcome: Outcome
    error: str
    """Numbers in it are written `#`, so that rows that failed alike stand together."""
    permanent: bool
    first: int
    """The number of the first such row."""
    rows: int = 0


_MOST_GROUPS = 100
_OTHER = "other errors"
_SHOWN_ERROR = 200


def _alike(error: str) -> str:
    return re.sub(r"\d[\d,.]*", "#", error)[:_SHOWN_ERROR]


# --- the rows of a job ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLeg:
    """What batches made of a job's rows: its folder, its shards, and all their attempts."""

    folder: Path
    nonce: str
    shards: tuple[Shard, ...]
    attempts: tuple[Attempt, ...]
    parse: Parse

    def __iter__(self) -> Iterator[Row]:
        for shard in self.shards:
            yield from self.shard(shard)

    def shard(self, shard: Shard) -> Iterator[Row]:
        """The rows of one shard, in order, each once."""
        tries = [each for each in self.attempts if each.shard == shard.shard]
        newest = max(tries, key=lambda each: each.n)
        told = [each for each in tries if each.state in ("fetched", "merged")]
        files = [path for each in told for path in files_of(self.folder, each)]
        lines = lines_of(shard, self.nonce, files, self.parse)
        for index, result in lines.each(self.parse):
            yield _without(index, newest) if result is None else answered(index, result)


def batch_leg(
    ledger: Ledger, job_id: str, folder: Path, shards: tuple[Shard, ...], parse: Parse
) -> BatchLeg:
    """The leg of a job's batches as the ledger knows them."""
    attempts = ledger.attempts(job_id, all=True)
    return BatchLeg(folder=folder, nonce=job_id, shards=shards, attempts=attempts, parse=parse)


def direct_leg(folder: Path) -> Iterator[Row]:
    """What single requests made of a job's rows, those that are done with; none were, none are."""
    for entry in journals.in_order(folder):
        assert entry.result is not None, "the last word on a row is a result"
        yield answered(entry.index, entry.result)


NOT_SENT: Final = -1
"""The index of a row that is in no shard."""


def reused(folder: Path) -> Iterator[Row]:
    """Rows whose answers were there before the job, in the order of the workload."""
    path = folder / builds.REUSED
    if not path.is_file():
        return
    with path.open("rb") as stream:
        for line in stream:
            known = json.loads(line)
            values = known["result"]
            usage = Usage(**values.pop("usage"))
            row = answered(NOT_SENT, RowResult(**values, usage=usage))
            yield replace(row, row=known["row"], key=known["key"])


def answered(index: int, result: RowResult) -> Row:
    """A row with its result."""
    return Row(
        index=index,
        outcome=result.outcome,
        result=result,
        error=result.error,
        permanent=result.permanent,
    )


def moved(row: Row, index: int) -> Row:
    """The same row as another job numbers it."""
    return replace(row, index=index)


def _without(index: int, attempt: Attempt) -> Row:
    taken = attempt.state == "merged" and attempt.error == SHORT
    outcome = "lost" if taken else _WITHOUT_RESULT.get(attempt.state, "pending")
    refused = outcome == "refused"
    return Row(
        index=index,
        outcome=outcome,
        error=attempt.error if refused or outcome == "lost" else None,
        permanent=refused,
        settled=taken,
    )


def merged(folder: Path, legs: Sequence[Iterable[Row]]) -> Iterator[Row]:
    """Every row of a job once, in the input's order, with the user's key.

    Each leg gives rows in the order of their index. The first answer counts; where no leg has
    one, what is still pending, and else what the last leg says, which sent the row last.
    """
    streams = [_Ahead(iter(leg)) for leg in legs]
    with (folder / builds.ROWS).open("rb") as names:
        for line in names:
            known = json.loads(line)
            index = known["index"]
            found = [row for each in streams if (row := each.at(index)) is not None]
            best = _best(found) or Row(index=index, outcome="pending")
            yield replace(best, row=known["row"], key=known["key"])


def _best(found: Sequence[Row]) -> Row | None:
    for wanted in ("succeeded", "pending"):
        for row in found:
            if row.outcome == wanted:
                return row
    return found[-1] if found else None


class _Ahead:
    """A stream of rows that is asked for one index after the other."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def at(self, index: int) -> Row | None:
        """The row of this index, if the stream has it."""
        while self._next is not None and self._next.index < index:
            self._next = next(self._rows, None)
        return self._next if self._next is not None and self._next.index == index else None


# --- the merged file --------------------------------------------------------------------

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_COLUMNS = ("key", "row", "outcome", "text", "stop", "truncated", "error")


def write(
    rows: Iterable[Row],
    path: Path,
    total: Tally,
    *,
    form: Format = "jsonl",
    checkpoint: Checkpoint = no_checkpoint,
) -> Tally:
    """The rows as one file, which appears whole; `total` counts them on the way."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    line = _csv if form == "csv" else _jsonl
    with private(part) as stream:
        if form == "csv":
            stream.write(_cells([*_COLUMNS, *BUCKETS]))
        for row in rows:
            total.add(row)
            stream.write(line(row))
        settle(stream)
    checkpoint("before output")
    part.replace(path)
    plans.sync_folder(path.parent)
    checkpoint("after output")
    return total


def _values(row: Row) -> dict[str, Any]:
    result = row.result
    return {
        "key": row.key,
        "row": row.row,
        "outcome": row.outcome,
        "text": None if result is None else result.text,
        "stop": None if result is None else result.stop,
        "truncated": result is not None and result.truncated,
        "error": row.error,
    }


def _used(row: Row) -> dict[str, int] | None:
    usage = None if row.result is None else row.result.usage
    return None if usage is None else {name: getattr(usage, name) for name in BUCKETS}


def _jsonl(row: Row) -> bytes:
    usage = _used(row)
    spent = None if usage is None else {name: count for name, count in usage.items() if count}
    made = _ENCODER.encode({**_values(row), "usage": spent})
    return made.encode("utf-8", "surrogatepass") + b"\n"


def _csv(row: Row) -> bytes:
    usage = _used(row) or {}
    values = _values(row)
    values["truncated"] = str(values["truncated"]).lower()
    cells = [values[name] for name in _COLUMNS] + [usage.get(name) for name in BUCKETS]
    return _cells(["" if each is None else each for each in cells])


def _cells(values: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode("utf-8", "surrogatepass")
