"""What a realtime run wrote down: one line before each request, one after each reply.

An append-only file of JSON lines is the truth of the lane. A request's intent is written before
it leaves, and its reply is written and synced before its row counts as done; whoever opens the
file after a kill finds intents without replies and knows that those, and no others, may be billed
for nothing. A table with a status a row was rejected: it takes a commit a row where this takes
one sync a second, and an update in place can lose what was paid for.

A kill of the process loses no line; a power failure at most the lines of the last second.
"""

from __future__ import annotations

import base64
import json
import os
from array import array
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from planner.errors import InputError
from planner.handoff.plan import sync_folder
from planner.handoff.usage import BUCKETS, Usage
from planner.handoff.vendor import RowResult
from planner.money import ZERO, Usd, difference, plain, plus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from planner.handoff.vendor import Reply

FOLDER: Final = "realtime"
FILE: Final = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A reply as it was written down; `final`: the row is done with, one way or the other."""

    index: int
    attempt: int
    kind: str
    final: bool
    at: str
    seconds: float
    billed: Usd | None
    """None: a rate of it is not known."""
    result: RowResult | None
    raw: bytes


@dataclass(slots=True)
class Standing:
    """What the journal adds up to so far."""

    done: set[int] = field(default_factory=set)
    """Rows that are done with."""
    open: dict[tuple[int, int], Usd] = field(default_factory=dict)
    """(row, attempt) that is out, with its ceiling."""
    attempts: dict[int, int] = field(default_factory=dict)
    """Requests of rows that are not done with."""
    failures: dict[int, int] = field(default_factory=dict)
    """Of these, those that count against the row's retries."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Rows that are done with, by their outcome."""
    requests: int = 0
    ambiguous: int = 0
    """Requests of which nobody knows whether they are billed."""
    held: Usd = ZERO
    """Their ceilings."""
    billed: Usd = ZERO
    unpriced: int = 0
    """Answers with a meter whose rate is not known; their ceilings are in `held`."""
    usage: Usage | None = None
    out: Usd = ZERO
    """Ceilings of what is out."""

    def goes(self, index: int, attempt: int, ceiling: Usd) -> None:
        """A request leaves."""
        self.open[index, attempt] = ceiling
        self.out = plus(self.out, ceiling)
        self.attempts[index] = attempt
        self.requests += 1

    def returns(self, index: int, attempt: int) -> Usd:
        """It is not out any more; its ceiling."""
        ceiling = self.open.pop((index, attempt))
        self.out = difference(self.out, ceiling)
        return ceiling

    def doubt(self, ceiling: Usd) -> None:
        """Nobody knows whether it was billed."""
        self.ambiguous += 1
        self.held = plus(self.held, ceiling)

    def price(self, billed: Usd | None, ceiling: Usd) -> None:
        """It was billed; its ceiling stands in where nobody knows what."""
        if billed is None:
            self.unpriced += 1
            self.held = plus(self.held, ceiling)
        else:
            self.billed = plus(self.billed, billed)


class Journal:
    """The open file of one run; one process at a time (the job's lock sees to that)."""

    def __init__(self, folder: Path) -> None:
        """Read back what stands in `folder`/realtime and go on behind it.

        Requests that were out when the last process ended are noted as lost. InputError where
        the file holds something else.
        """
        self.path = folder / FOLDER / FILE
        self.standing = Standing()
        self.unsynced = 0
        self._torn = False
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._file = os.open(self.path, flags, 0o600)
            sync_folder(self.path.parent)
        except OSError as error:
            raise InputError.of("cannot-write", f"{self.path}: {error.strerror}") from None
        os.ftruncate(self._file, _read(self.path, self.standing))
        self.lost = tuple(self.standing.open)
        for index, attempt in self.lost:
            self._write({"lost": index, "n": attempt})
        if self.lost:
            self.sync()

    def intend(self, index: int, ceiling: Usd, at: datetime) -> int:
        """Write that a row's request is about to leave; the number of the attempt."""
        attempt = self.standing.attempts.get(index, 0) + 1
        line = {"ask": index, "n": attempt, "ceiling": plain(ceiling), "at": at.isoformat()}
        self._write(line)
        return attempt

    def record(  # noqa: PLR0913 -- a line has that many facts
        self,
        index: int,
        attempt: int,
        reply: Reply,
        *,
        final: bool,
        counts: bool,
        billed: Usd | None,
        result: RowResult | None,
        at: datetime,
        seconds: float,
    ) -> None:
        """Write what came of it; `counts`: against the row's retries."""
        line: dict[str, Any] = {"got": index, "n": attempt, "kind": reply.kind, "final": final}
        line |= {"counts": counts, "status": reply.status, "at": at.isoformat()}
        line |= {"seconds": round(seconds, 6)}
        line["billed"] = None if billed is None else plain(billed)
        if result is not None:
            line["result"] = _result_out(result)
        self._write(line | _raw_out(reply.raw))

    def sync(self) -> None:
        """Bring everything that was written down to the disk."""
        os.fsync(self._file)
        self.unsynced = 0

    def close(self) -> None:
        """Sync and let go of the file."""
        self.sync()
        os.close(self._file)

    def _write(self, line: dict[str, Any]) -> None:
        raw = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if self._torn:
            raise InputError.of(
                "cannot-write", f"{self.path}: an earlier line was not written whole"
            )
        self._torn = True
        while raw:
            raw = raw[os.write(self._file, raw) :]
        self._torn = False
        self.unsynced += 1
        _count(self.standing, line)


def standing(folder: Path) -> Standing:
    """What a job's journal adds up to, read without touching it; empty where there is none."""
    found = Standing()
    _read(folder / FOLDER / FILE, found)
    return found


def final(folder: Path) -> Iterator[Entry]:
    """The last word on every row that is done with, in the order in which they were."""
    for line in _lines(folder / FOLDER / FILE):
        if "got" in line and line["final"]:
            yield _entry(line)


def in_order(folder: Path) -> Iterator[Entry]:
    """The last word on every row that is done with, by the rows' numbers; some bytes a row."""
    path, indexes, offsets = folder / FOLDER / FILE, array("Q"), array("Q")
    at = 0
    for line, size in _sized(path):
        if line is not None:
            indexes.append(line["got"])
            offsets.append(at)
        at += size
    if not indexes:
        return
    with path.open("rb") as stream:
        for place in sorted(range(len(indexes)), key=indexes.__getitem__):
            stream.seek(offsets[place])
            yield _entry(json.loads(stream.readline()))


def _sized(path: Path) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """(a line that is the last word on a row, else None; its bytes)."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for raw in stream:
            if raw.endswith(b"\n"):
                line = json.loads(raw) if b'"final":true' in raw else {}
                yield line if line.get("final") else None, len(raw)


def replies(folder: Path) -> Iterator[Entry]:
    """Every reply, in the order in which they came."""
    return (_entry(line) for line in _lines(folder / FOLDER / FILE) if "got" in line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What one line took of limits that outlast a process: a request that left, or its bill."""

    at: datetime
    requests: int = 0
    billed: Usd = ZERO


def takes(folder: Path, since: datetime) -> Iterator[Take]:
    """What the requests of a job took from a moment on, in the order of its journal."""
    for line in _lines(folder / FOLDER / FILE):
        if "at" in line and (at := datetime.fromisoformat(line["at"])) >= since:
            if "ask" in line:
                yield Take(at=at, requests=1)
            elif line["billed"] is not None:
                yield Take(at=at, billed=Usd(Decimal(line["billed"])))


def _entry(line: dict[str, Any]) -> Entry:
    billed = line["billed"]
    return Entry(
        index=line["got"],
        attempt=line["n"],
        kind=line["kind"],
        final=line["final"],
        at=line["at"],
        seconds=line["seconds"],
        billed=None if billed is None else Usd(Decimal(billed)),
        result=_result_in(line["result"]) if "result" in line else None,
        raw=_raw_in(line),
    )


# --- reading back -----------------------------------------------------------------------


def _read(path: Path, into: Standing) -> int:
    """Count every whole line; bytes up to the end of the last one."""
    whole = 0
    if not path.exists():
        return whole
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.endswith(b"\n"):
                break  # the kill came while this line was written; what it tells had not happened
            try:
                _count(into, json.loads(raw))
            except (ValueError, KeyError, TypeError) as error:
                raise InputError.of(
                    "bad-journal",
                    f"line {number} is not one of a journal: {error}",
                    where=str(path),
                ) from None
            whole += len(raw)
    return whole


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as stream:
        for raw in stream:
            if raw.endswith(b"\n"):
                yield json.loads(raw)


def _count(into: Standing, line: dict[str, Any]) -> None:
    """One line, whether it was just written or read back: both add up the same way."""
    if "ask" in line:
        into.goes(line["ask"], line["n"], Usd(Decimal(line["ceiling"])))
    elif "lost" in line:
        into.doubt(into.returns(line["lost"], line["n"]))
    else:
        _count_reply(into, line)


def _count_reply(into: Standing, line: dict[str, Any]) -> None:
    index, usage = line["got"], line.get("result", {}).get("usage")
    ceiling = into.returns(index, line["n"])
    if line["kind"] == "ambiguous":
        into.doubt(ceiling)
    elif line["kind"] == "answered" or usage is not None:
        into.price(None if line["billed"] is None else Usd(Decimal(line["billed"])), ceiling)
    if usage is not None:
        one = Usage(**usage)
        into.usage = one if into.usage is None else into.usage + one
    if line["counts"]:
        into.failures[index] = into.failures.get(index, 0) + 1
    if line["final"]:
        into.done.add(index)
        into.outcomes[line["result"]["outcome"]] += 1
        into.attempts.pop(index, None)
        into.failures.pop(index, None)


# --- values as lines --------------------------------------------------------------------


def _result_out(result: RowResult) -> dict[str, Any]:
    """Its fields, without those that say nothing."""
    values = {each: getattr(result, each) for each in _RESULT}
    if result.usage is not None:
        values["usage"] = {each: getattr(result.usage, each) for each in _USAGE}
    return {name: each for name, each in values.items() if each not in (None, False)}


_RESULT: Final = tuple(each.name for each in fields(RowResult))
_USAGE: Final = (*BUCKETS, "tier")


def _result_in(values: dict[str, Any]) -> RowResult:
    usage = values.get("usage")
    return RowResult(**{**values, "usage": None if usage is None else Usage(**usage)})


def _raw_out(raw: bytes) -> dict[str, str]:
    """A body as text where it is text."""
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw64": base64.b64encode(raw).decode()}


def _raw_in(line: dict[str, Any]) -> bytes:
    if "raw64" in line:
        return base64.b64decode(line["raw64"])
    return str(line["raw"]).encode()
