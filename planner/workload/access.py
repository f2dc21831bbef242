"""Any row of a plain file by a byte offset: how many records there are, and where each starts.

One scan of the file (over 1 GB/s) counts its records and notes, every `BLOCK` bytes, how many
have passed and whether a quote is open there; from then on the record around any byte is a few
kilobytes of reading away. A list of every record's place was rejected: it costs parsing the
whole file, and eight bytes a row for the 2,000 rows that will be asked for.

The scan also tells torn lines at sight: where each row is a JSON object, a line that does not go
from { to } is none, whatever else it is (an upload that ended early, a line that was half
written). Parsing every line would find the other bad rows as well, at thirty times the cost.

In separated values a newline inside quotes ends nothing, so quotes are counted: a newline is
the end of a record where their number is even. A file in which a stray quote stands in the
middle of a field breaks that rule; the reader then finds something else than one record in the
bytes of one, `IrregularError` says so, and the file has to be read from its start.
"""

from __future__ import annotations

import hashlib
import io
import re
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from planner.errors import InputError
from planner.workload import readers, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from planner.workload.readers import Row, Workload

BLOCK = 64 * 1024
"""Bytes between two notes of the scan: what a look-up reads at most to find its way."""

SCAN_EVERY = 256
"""Blocks between two calls of the progress function."""

_AT_START = 2
_END = 64
_IRREGULAR = re.compile(rb"\n(?:(?<!}\n)(?<!}\r\n)|(?=[^{]))")
"""A newline that does not stand between } and {; one that ends the data may."""
_BLANK_LINE = re.compile(rb"\n[ \t\r\f\v]*(?=\n)")


class IrregularError(Exception):
    """The quotes do not tell where records start: the file must be read from its start."""


class Span(NamedTuple):
    """One record's place and its bytes, newline included."""

    offset: int
    raw: bytes

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + len(self.raw)

    @property
    def blank(self) -> bool:
        """Whether it is an empty line, which is no row."""
        return self.raw.isspace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What one scan found: the bytes that hold rows, and how many records they hold."""

    workload: Workload
    header: bytes
    """What stands before the rows: a byte order mark, the line of column names."""
    start: int
    """The first byte of the rows; they end with the file."""
    records: int
    """Records that are not blank."""
    torn: int
    """Lines among them that cannot be rows, since a brace is missing at an end."""
    torn_at: tuple[int, ...]
    """A byte of each of the first few."""
    digest: str
    blocks: _Blocks

    @property
    def bytes(self) -> int:
        """Bytes that hold rows."""
        return self.workload.bytes - self.start

    @contextmanager
    def opened(self) -> Iterator[Access]:
        """Look-ups in the file while it is open."""
        with io.FileIO(self.workload.path) as file:
            yield Access(self, file)


class _Blocks:
    """Notes of the scan at the beginning of each block: lines and records that have ended.

    A state is 1 where a quote is open, plus 2 where the record that goes on is blank so far.
    """

    def __init__(self) -> None:
        self.lines = array("Q")
        self.records = array("Q")
        self.states = bytearray()

    def note(self, lines: int, records: int, state: int) -> None:
        self.lines.append(lines)
        self.records.append(records)
        self.states.append(state)


def seekable(workload: Workload) -> bool:
    """Whether rows can be found from the middle of the file: plain text, not compressed."""
    return readers.format_of(workload).whole is None and not sources.is_packed(workload.path)


def scan(workload: Workload, progress: Callable[[int, int], None] | None = None) -> Index:
    """Count the records of a plain file and note where they are; InputError where none are.

    `progress` is called with (records, bytes of the file) done.
    """
    form = readers.format_of(workload)
    header = _header(workload.path, named=form.quoted)
    tally = _Tally(quoted=form.quoted)
    braces = _Braces() if form.braced else None
    hashed = hashlib.sha256(header)
    with workload.path.open("rb", buffering=0) as file:
        file.seek(len(header))
        tally.lines = header.count(b"\n")
        done = len(header)
        while block := file.read(BLOCK):
            hashed.update(block)
            regular = braces is not None and braces.add(block, done)
            tally.add(block, regular=regular)
            done += len(block)
            if progress is not None and len(tally.blocks.states) % SCAN_EVERY == 0:
                progress(tally.records, done)
    if tally.total == 0:
        raise InputError.of("no-rows", "the file has no rows", where=workload.name)
    if braces is not None:
        braces.end()
    return Index(
        workload=replace(workload, bytes=done),
        header=header,
        start=len(header),
        records=tally.total,
        torn=0 if braces is None else braces.torn,
        torn_at=() if braces is None else tuple(braces.torn_at),
        digest=f"sha256:{hashed.hexdigest()}",
        blocks=tally.blocks,
    )


class _Tally:
    """Records and lines counted block by block."""

    def __init__(
        self, *, quoted: bool, lines: int = 0, records: int = 0, state: int = _AT_START
    ) -> None:
        self.blocks = _Blocks()
        self.lines = lines
        self.records = records
        self._quoted = quoted
        self._open = state & 1
        self._blank = bool(state & 2)

    @property
    def total(self) -> int:
        """Records so far, the one that no newline has ended included."""
        return self.records + (not self._blank)

    def add(self, block: bytes, *, regular: bool = False) -> None:
        """Count a block; `regular` says that it holds no blank line."""
        self.blocks.note(self.lines, self.records, self._open | self._blank << 1)
        lines = block.count(b"\n")
        self.lines += lines
        text = self._outside(block) if self._quoted else block
        ended = text.count(b"\n") if self._quoted else lines
        if regular and ended:
            self.records += ended
            self._blank = block.endswith(b"\n")
            return
        if not ended:
            self._blank = self._blank and not text.strip()
            return
        first, last = text.find(b"\n"), text.rfind(b"\n")
        blank = len(_BLANK_LINE.findall(text)) + (self._blank and not text[:first].strip())
        self.records += ended - blank
        self._blank = not text[last + 1 :].strip()

    def _outside(self, block: bytes) -> bytes:
        """The block with each quoted part replaced by a quote, which is visible."""
        parts = block.split(b'"')
        text = b'"'.join(parts[self._open :: 2])
        if self._open:
            text = b'"' + text
        self._open ^= (len(parts) - 1) % 2
        return text


class _Braces:
    """Which lines do not go from { to }, told from the blocks of a file in their order."""

    def __init__(self) -> None:
        self.torn = 0
        self.torn_at: list[int] = []
        self._line = 0
        self._opened: bool | None = None
        """Whether the line begins with {; None while nothing of it is visible."""
        self._closed = False

    def add(self, block: bytes, at: int) -> bool:
        """Look at the block from byte `at` on; whether all is as it should be within it."""
        first, last = block.find(b"\n"), block.rfind(b"\n")
        begins = self._opened is not None or block.startswith(b"{")
        regular = begins and _IRREGULAR.search(block) is None
        if first < 0:
            self._part(block)
        elif regular:
            self._part(block[:first])
            self.end()
            self._begin(block[last + 1 :], at + last + 1)
        else:
            self._each(block, at)
        return regular

    def _each(self, block: bytes, at: int) -> None:
        head, *others = block.split(b"\n")
        self._part(head)
        at += len(head) + 1
        for line in others:
            self.end()
            self._begin(line, at)
            at += len(line) + 1

    def end(self) -> None:
        """The line ends here."""
        if self._opened is None or (self._opened and self._closed):
            return
        self.torn += 1
        if len(self.torn_at) < readers.SHOWN_PROBLEMS:
            self.torn_at.append(self._line)

    def _begin(self, part: bytes, at: int) -> None:
        self._line, self._opened = at, None
        self._part(part)

    def _part(self, part: bytes) -> None:
        """Some more of the line."""
        first, last = _visible_ends(part)
        if first:
            if self._opened is None:
                self._opened = first == b"{"
            self._closed = last == b"}"


def _visible_ends(text: bytes) -> tuple[bytes, bytes]:
    """The first and last byte that is no white space; empty where all is.

    Without a copy of the text, which may be of many megabytes, unless its ends are blank.
    """
    first = text[:_END].lstrip() or text.lstrip()
    last = text[-_END:].rstrip() or text.rstrip()
    return first[:1], last[-1:]


def _header(path: Path, *, named: bool) -> bytes:
    """A byte order mark, or with `named` the record of column names and blank ones before it."""
    taken, quotes = [], 0
    with path.open("rb") as file:
        if not named:
            mark = file.read(len(readers.UTF8_BOM))
            return mark if mark == readers.UTF8_BOM else b""
        while line := file.readline(readers.MAX_RECORD):
            taken.append(line)
            quotes += line.count(b'"')
            if quotes % 2 == 0 and line.strip():
                break
    return b"".join(taken)


class Access:
    """Look-ups in an open file; the last record found is kept, since draws come in order."""

    def __init__(self, index: Index, file: io.FileIO) -> None:
        self._index = index
        self._file = file
        form = readers.format_of(index.workload)
        self._quoted, self._braced = form.quoted, form.braced
        self._last = Span(0, b"")

    def span(self, offset: int) -> Span:
        """The record that holds that byte of the file; a newline belongs to what it ends."""
        if not self._last.offset <= offset < self._last.end:
            start = self._start(offset)
            self._last = Span(start, self._record(start))
        return self._last

    def row(self, span: Span) -> Row | None:
        """The record as a row, its number 0; None for a blank line.

        `InputError` where it cannot be read; `IrregularError` where that may be because its
        place was guessed wrong.
        """
        try:
            row = self._parsed(span)
        except InputError:
            if self._quoted:
                raise IrregularError from None
            number, line = self.place(span)
            return self._parsed(span, number=number, line=line)
        return None if row is None else row._replace(offset=span.offset)

    def _parsed(self, span: Span, *, number: int = 0, line: int = 0) -> Row | None:
        index = self._index
        return readers.one_row(
            index.workload, span.raw, header=index.header, number=number, line=line
        )

    def torn(self, span: Span) -> bool:
        """Whether it is one of the lines that the scan found to be no rows."""
        if not self._braced or len(span.raw) > readers.MAX_RECORD:
            return False
        first, last = _visible_ends(span.raw)
        return bool(first) and not (first == b"{" and last == b"}")

    def place(self, span: Span) -> tuple[int, int]:
        """(number of the row, number of its first line), both from 1."""
        index, notes = self._index, self._index.blocks
        block = (span.offset - index.start) // BLOCK
        at = index.start + block * BLOCK
        tally = _Tally(
            quoted=self._quoted,
            lines=notes.lines[block],
            records=notes.records[block],
            state=notes.states[block],
        )
        tally.add(self._read(at, span.offset - at))
        return tally.records + 1, tally.lines + 1

    def _start(self, offset: int) -> int:
        """The first byte of the record that holds that byte."""
        begin = self._index.start
        end = offset
        block = (offset - begin) // BLOCK
        while block >= 0:
            at = begin + block * BLOCK
            place = self._last_end(self._read(at, end - at), self._index.blocks.states[block] & 1)
            if place >= 0:
                return at + place + 1
            end, block = at, block - 1
        return begin

    def _last_end(self, data: bytes, open_quote: int) -> int:
        """The last newline in the data that ends a record; -1 without one."""
        if not self._quoted:
            return data.rfind(b"\n")
        quotes = open_quote + data.count(b'"')
        end = len(data)
        while (place := data.rfind(b"\n", 0, end)) >= 0:
            quotes -= data.count(b'"', place, end)
            if quotes % 2 == 0:
                return place
            end = place
        return -1

    def _record(self, start: int) -> bytes:
        """The record that starts there, newline included; cut past what a reader takes."""
        parts: list[bytes] = []
        quotes = size = 0
        self._file.seek(start)
        while size <= readers.MAX_RECORD and (data := self._file.read(BLOCK)):
            place, quotes = self._first_end(data, quotes)
            parts.append(data if place < 0 else data[: place + 1])
            size += len(parts[-1])
            if place >= 0:
                break
        return b"".join(parts)

    def _first_end(self, data: bytes, quotes: int) -> tuple[int, int]:
        """The first newline that ends a record (or -1), and the quotes seen up to there."""
        if not self._quoted:
            return data.find(b"\n"), 0
        start = 0
        while (place := data.find(b"\n", start)) >= 0:
            quotes += data.count(b'"', start, place)
            if quotes % 2 == 0:
                return place, quotes
            start = place + 1
        return -1, quotes + data.count(b'"', start)

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)
