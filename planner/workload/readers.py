"""Rows out of a file: which format it is, and a stream of rows from it in bounded memory.

One table (`FORMATS`) holds every format: its name, how it is recognised, how its records
are told apart. Numbering, skipping and reporting are the same for all and stand here once.
Pandas or `csv.DictReader` over a text file would be shorter, and were rejected: they repair
silently (a short row is padded, a stray quote swallows its neighbours, a wrong byte is
replaced), and a row repaired here is a row priced that nobody will send.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter, deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from planner.errors import InputError, Problem, did_you_mean
from planner.words import counted
from planner.workload import sources, tables
from planner.workload.sources import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

MAX_RECORD = 32 * 1024 * 1024
"""Longest record that is read, in bytes: over eight million tokens, more than any model
takes, and the bound on memory when a quote is never closed."""
MAX_LINES = 200_000
"""Of one record: it is more likely that a quote was never closed than that a cell holds so many."""

SHOWN_PROBLEMS = 5
"""How many of the skipped rows are kept with their reasons; the rest is only counted."""

_HEAD = 64 * 1024
_BUFFER = 1024 * 1024
_HEAD_ROWS = 8 * 1024 * 1024
_SKIP_HINT = "--skip-bad-rows leaves such rows out and counts them"
UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


# A tuple, since one is made for every row, and a frozen dataclass takes three times as long.
class Row(NamedTuple):
    """One record: its number (from 1, unreadable ones included), its first line, its fields.

    `offset` and `size` are the record's place in the file in bytes (for a compressed file:
    in what it unpacks to).
    """

    number: int
    line: int
    fields: Mapping[str, object]
    offset: int = 0
    size: int = 0


class _Fault(NamedTuple):
    """Why a record cannot be read."""

    reason: str
    hint: str = _SKIP_HINT
    code: str = "bad-row"


class _Line(NamedTuple):
    """One physical line with its place."""

    text: str
    number: int
    offset: int
    size: int
    fault: _Fault | None


class _Record(NamedTuple):
    """What a format makes of some lines: fields, a fault, or neither when they are blank."""

    lines: Sequence[_Line]
    fields: Mapping[str, object] | None
    fault: _Fault | None


class _TooLongError(Exception):
    """A record goes on past MAX_RECORD or MAX_LINES."""


class _Lines:
    """The lines of a byte stream, decoded one by one, with those of the current record kept.

    Lines end at a newline byte and nowhere else: the other characters that Python counts as
    line ends (form feed, U+2028, a bare carriage return) may stand inside a value.
    """

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._read = _lines(stream)
        self._again: deque[_Line] = deque()
        self._taken: list[_Line] = []
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._read)
        self._taken.append(line)
        self._size += line.size
        lines = len(self._taken)
        if lines > MAX_LINES or (self._size > MAX_RECORD and lines > 1):
            raise _TooLongError
        return line.text

    def singly(self) -> Iterator[_Line]:
        """The lines where each is a record of its own."""
        return self._read

    def take(self) -> Sequence[_Line]:
        """The lines read since the last call: those of one record."""
        taken, self._taken, self._size = self._taken, [], 0
        return taken

    def take_first(self) -> Sequence[_Line]:
        """The record's first line alone; the others will be read again as new records."""
        taken = self.take()
        self._again.extendleft(reversed(taken[1:]))
        return taken[:1]

    def peek(self) -> str:
        """The next line, which stays to be read; empty at the end."""
        text = next(self, "")
        self._again.extendleft(reversed(self.take()))
        return text


def _lines(stream: io.BufferedIOBase) -> Iterator[_Line]:
    number = offset = 0
    while raw := stream.readline(MAX_RECORD + 1):
        number += 1
        size = len(raw)
        if size <= MAX_RECORD:
            text, fault = _decoded(raw, offset)
        else:
            size += _discard_line(stream, raw)
            text, fault = "", _TOO_LONG
        yield _Line(text, number, offset, size, fault)
        offset += size


_TOO_LONG = _Fault(f"it is longer than {MAX_RECORD // 1024**2} MiB")


def _discard_line(stream: io.BufferedIOBase, part: bytes) -> int:
    """Read on to the end of the line that `part` begins; how many bytes that took."""
    skipped = 0
    while part and not part.endswith(b"\n"):
        part = stream.readline(_BUFFER)
        skipped += len(part)
    return skipped


def _decoded(raw: bytes, offset: int) -> tuple[str, _Fault | None]:
    """The line as text; with a fault, a stand-in that still has its quotes and commas."""
    start = len(UTF8_BOM) if offset == 0 and raw.startswith(UTF8_BOM) else 0
    try:
        text = raw[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = start + error.start
        return raw.decode("utf-8", "replace"), _not_utf8(offset + at, raw[at])
    if "\0" in text:
        return text, _Fault(f"byte {offset + raw.index(0)} of the file is a NUL")
    return text, None


def _not_utf8(offset: int, byte: int) -> _Fault:
    return _Fault(
        f"byte {offset} of the file (0x{byte:02X}) is not UTF-8",
        hint="save the file as UTF-8 (iconv -f latin1 -t utf-8), or --skip-bad-rows",
        code="not-utf-8",
    )


# --- one JSON object a line -------------------------------------------------------------


def _json_records(lines: _Lines) -> Iterator[_Record]:
    for line in lines.singly():
        if line.fault is None and not line.text.isspace():
            yield _Record((line,), *_json_object(line.text))
        else:
            yield _Record((line,), None, line.fault)


def _json_object(text: str) -> tuple[Mapping[str, object] | None, _Fault | None]:
    try:
        value = _JSON.decode(text)
    except json.JSONDecodeError as error:
        return None, _Fault(f"not JSON: {error.msg} (character {error.pos + 1})", _json_hint(text))
    except (ValueError, RecursionError) as error:
        return None, _Fault(f"not JSON: {error}")
    if isinstance(value, dict):
        return value, None
    return None, _Fault(f"{_kind(value)} where a JSON object is expected", _json_hint(text))


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON value"
    raise ValueError(message)


_JSON = json.JSONDecoder(parse_constant=_no_constant)
"""Kept, since `json.loads` would make one a row."""


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _json_hint(text: str) -> str:
    """What to do about a line that begins like a whole JSON document."""
    stripped = text.strip()
    if stripped.startswith("["):
        return "one object a line is needed; jq -c '.[]' FILE makes that of an array"
    if stripped == "{":
        return "one object a line is needed; jq -c . FILE puts each on its line"
    if stripped.startswith('"'):
        return 'write {"text": "..."} on each line, or use --input-format lines'
    return _SKIP_HINT


# --- separated values (RFC 4180) --------------------------------------------------------


def _csv_records(lines: _Lines) -> Iterator[_Record]:
    return _table_records(lines, _delimiter(lines.peek()))


def _tsv_records(lines: _Lines) -> Iterator[_Record]:
    return _table_records(lines, "\t")


def _table_records(lines: _Lines, delimiter: str) -> Iterator[_Record]:
    csv.field_size_limit(MAX_RECORD)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError) as error:
            # Only its first line is given up: a stray quote must not cost the rows after it.
            yield _Record(lines.take_first(), None, _quote_fault(error))
            continue
        taken = lines.take()
        if header:
            yield _table_record(taken, header, values)
        elif _is_blank(values):
            yield _Record(taken, None, _first_fault(taken))
        else:
            header = _header(taken, values)


def _table_record(taken: Sequence[_Line], header: tuple[str, ...], values: list[str]) -> _Record:
    fault = _first_fault(taken)
    if fault is not None:
        return _Record(taken, None, fault)
    if len(values) == len(header):
        return _Record(taken, dict(zip(header, values, strict=True)), None)
    if _is_blank(values):
        return _Record(taken, None, None)
    return _Record(taken, None, _Fault(_width(len(values), len(header))))


def _width(found: int, expected: int) -> str:
    return f"{counted(found, 'field')} where the header has {expected:,}"


def _is_blank(values: list[str]) -> bool:
    return not values or (len(values) == 1 and not values[0].strip())


def _first_fault(taken: Iterable[_Line]) -> _Fault | None:
    return next((line.fault for line in taken if line.fault is not None), None)


def _quote_fault(error: Exception) -> _Fault:
    if isinstance(error, _TooLongError):
        return _Fault(
            f"a quote is not closed within {MAX_LINES:,} lines or {MAX_RECORD // 1024**2} MiB"
        )
    said = str(error)
    if said == "unexpected end of data":
        return _Fault("a quote is opened and never closed")
    if "expected after" in said:
        return _Fault("text after a closing quote (a quote inside a field is written twice)")
    if said.startswith("new-line character"):
        return _Fault("a carriage return outside quotes")
    return _Fault(said)


class _HeaderError(Exception):
    """The header row cannot be used."""

    def __init__(self, line: int, fault: _Fault) -> None:
        super().__init__(fault.reason)
        self.line = line
        self.fault = fault


def _header(taken: Sequence[_Line], values: list[str]) -> tuple[str, ...]:
    """The columns' names; one without a name (an exported index) gets its number."""
    fault = _first_fault(taken)
    names = tuple(value.strip() or f"column_{n}" for n, value in enumerate(values, start=1))
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if fault is None and twice:
        fault = _Fault(
            f"the header names a column twice: {', '.join(twice)}",
            hint="the first row must name the columns, each once",
            code="bad-header",
        )
    if fault is not None:
        raise _HeaderError(taken[0].number, fault)
    return names


def _delimiter(header: str) -> str:
    """The comma, unless the header has none and another usual delimiter instead."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    if "," in unquoted:
        return ","
    return max(",\t;|", key=unquoted.count)


# --- plain lines ------------------------------------------------------------------------


def _text_records(lines: _Lines) -> Iterator[_Record]:
    for line in lines.singly():
        value = line.text.rstrip("\r\n")
        usable = bool(value.strip()) and line.fault is None
        yield _Record((line,), {"text": value} if usable else None, line.fault)


# --- folders and tables -----------------------------------------------------------------


def _file_records(folder: Path) -> Iterator[tuple[_Record, int]]:
    """Each file of a folder as a row of its name and its text."""
    done = 0
    for number, file in enumerate(sources.files(folder), start=1):
        name, size = sources.name_in(folder, file), file.stat().st_size
        text, fault = _whole_text(file, size)
        if fault is not None:
            fault = fault._replace(reason=f"{name}: {fault.reason}")
        fields = {"name": name, "text": text} if text.strip() and fault is None else None
        done += size
        yield _Record([_Line("", number, 0, size, None)], fields, fault), done


def _whole_text(file: Path, size: int) -> tuple[str, _Fault | None]:
    if size > MAX_RECORD:
        return "", _TOO_LONG
    try:
        return _decoded(file.read_bytes(), 0)
    except OSError as error:
        return "", _Fault(f"it cannot be read: {(error.strerror or str(error)).lower()}")


def _cell_records(path: Path) -> Iterator[tuple[_Record, int]]:
    """Each row of a table; its size is that of its text, since on disk it has none."""
    total = path.stat().st_size
    for number, (cells, share) in enumerate(tables.rows(path), start=1):
        if isinstance(cells, tables.CellError):
            fields, fault, size = None, _Fault(str(cells)), 1
        else:
            fields, fault, size = cells, None, 1 + sum(map(len, map(str, cells.values())))
        yield _Record([_Line("", number, 0, size, None)], fields, fault), round(total * share)


# --- the table of formats ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One row of the table: a new format is one more of these.

    `looks_like` judges the first line that is not blank; it chooses among the formats that
    share the file's suffix, or among all where the suffix says nothing. What is no stream of
    lines has `whole` instead, which reads the records of a path, each with the bytes of it
    that are done; such a path is recognised by what it is.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    looks_like: Callable[[str], bool] = lambda _first: False
    records: Callable[[_Lines], Iterator[_Record]] = _text_records
    whole: Callable[[Path], Iterator[tuple[_Record, int]]] | None = None
    quoted: bool = False
    """Whether a newline may stand inside quotes, where it ends no record."""

    @property
    def braced(self) -> bool:
        """Whether each record is a line from { to }, so that one which is not shows at sight."""
        return self.records is _json_records


_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


def _is_batch(first: str) -> bool:
    fields = _json_object(first)[0] or {}
    return "custom_id" in fields and any(isinstance(fields.get(k), dict) for k in _ENVELOPES)


_ENVELOPES = ("body", "params")


def _is_chat(first: str) -> bool:
    turns = (_json_object(first)[0] or {}).get("messages")
    return isinstance(turns, list) and all(isinstance(t, dict) and "role" in t for t in turns)


FORMATS: tuple[Format, ...] = (
    Format(name="batch", suffixes=_JSON_SUFFIXES, looks_like=_is_batch, records=_json_records),
    Format(name="chat", suffixes=_JSON_SUFFIXES, looks_like=_is_chat, records=_json_records),
    Format(
        name="jsonl",
        suffixes=_JSON_SUFFIXES,
        looks_like=lambda first: first.lstrip().startswith(("{", "[")),
        records=_json_records,
    ),
    Format(
        name="tsv",
        suffixes=(".tsv", ".tab"),
        looks_like=lambda first: "\t" in first and "," not in first,
        records=_tsv_records,
        quoted=True,
    ),
    Format(
        name="csv",
        suffixes=(".csv",),
        looks_like=lambda first: _delimiter(first) in first,
        records=_csv_records,
        quoted=True,
    ),
    Format(name="lines", suffixes=(".txt",)),
    Format(name="folder", whole=_file_records),
    Format(name="parquet", whole=_cell_records),
)


def format_names() -> tuple[str, ...]:
    """What `--input-format` accepts: the formats of lines; folders and tables are seen as such."""
    return tuple(each.name for each in FORMATS if each.whole is None)


def format_of(workload: Workload) -> Format:
    """The row of the table that reads this workload."""
    return _named_format(workload.format)


def _named_format(name: str) -> Format:
    for each in FORMATS:
        if each.name == name:
            return each
    known = format_names()
    raise InputError.of(
        "unknown-input-format",
        f"there is no input format {name}",
        hint=did_you_mean(name, known) or f"one of {', '.join(known)}",
    )


def _recognised_format(path: Path, first: str) -> Format:
    suffix = _plain_suffix(path)
    of_lines = tuple(each for each in FORMATS if each.whole is None)
    by_suffix = tuple(each for each in of_lines if suffix in each.suffixes)
    for each in by_suffix or of_lines:
        if each.looks_like(first):
            return each
    if by_suffix:
        return by_suffix[-1]
    raise InputError.of(
        "unknown-format",
        f"{path.name} does not show which format it has",
        where=str(path),
        hint=f"say it with --input-format {'|'.join(format_names())}",
    )


_PACKED = (".gz", ".zst")


def _plain_suffix(path: Path) -> str:
    """The suffix that speaks of the format: what stands before `.gz` or `.zst`."""
    suffixes = [each.lower() for each in path.suffixes if each.lower() not in _PACKED]
    return suffixes[-1] if suffixes else ""


# --- opening ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Rows in a known format; `bytes` is their size on disk.

    `title` is what errors call it where that is not its path, `kept` whatever has to live as
    long as it is read.
    """

    path: Path
    format: str
    bytes: int
    title: str | None = None
    kept: object = None

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.title or str(self.path)

    def digest(self) -> str:
        """`sha256:` and the hex digest of its bytes as they are on disk."""
        return sources.digest(self.path)

    def rows(self, *, skip_bad: bool = False, problems: list[Problem] | None = None) -> Rows:
        """One pass over the rows, in order.

        Unreadable rows stop it with an InputError, or with `skip_bad` are counted, the first
        few kept with their reasons (in `problems` where a list is given).
        """
        return Rows(self, skip_bad=skip_bad, problems=[] if problems is None else problems)

    def head(self, count: int = 100, *, skip_bad: bool = False) -> tuple[Row, ...]:
        """The first readable rows, fewer where they are huge: enough to check a template."""
        rows: list[Row] = []
        size = 0
        for row in self.rows(skip_bad=skip_bad):
            rows.append(row)
            size += row.size
            if len(rows) >= count or size >= _HEAD_ROWS:
                break
        return tuple(rows)

    def columns(self, sample: Iterable[Row]) -> tuple[str, ...]:
        """Every column the sample shows, in the order first seen."""
        return tuple(dict.fromkeys(name for row in sample for name in row.fields))


def open_workload(path: Path, *, format: str | None = None) -> Workload:
    """The workload at `path`, its format recognised unless it is given.

    A folder is one row a file; `-` is standard input, which is read to its end and kept.
    InputError: no such file, not a regular file, empty, binary, not UTF-8, or of a format that
    neither its name nor its first line shows.
    """
    if str(path) == STANDARD_INPUT:
        return _standard_input(format)
    chosen = _of_path(path)
    if chosen is not None and format in (None, chosen.name):
        size = sum(each.stat().st_size for each in sources.files(path)) if path.is_dir() else None
        size = sources.file_size(path) if size is None else size
        return Workload(path=path, format=chosen.name, bytes=size)
    size = sources.file_size(path)
    with sources.reading(path) as (_, stream):
        first = _first_line(path, stream)
    found = _recognised_format(path, first) if format is None else _of_lines(format, path)
    return Workload(path=path, format=found.name, bytes=size)


def _standard_input(format: str | None) -> Workload:
    title = "standard input"
    if sys.stdin.isatty():
        raise InputError.of("no-input", f"{title} is a terminal", hint="pipe the rows in: < FILE")
    kept = sources.Spool(sys.stdin.buffer)
    path = kept.path
    try:
        opened = open_workload(path, format=format)
    except InputError as error:
        raise InputError(*(_renamed(each, path, title) for each in error.problems)) from None
    return replace(opened, title=title, kept=kept)


def _renamed(problem: Problem, path: Path, title: str) -> Problem:
    where = (problem.where or "").replace(str(path), title) or None
    return replace(problem, where=where, message=problem.message.replace(path.name, title))


def _of_path(path: Path) -> Format | None:
    """The format that a path has by what it is; None for a file of lines."""
    if path.is_dir():
        return _named_format("folder")
    return _named_format("parquet") if path.is_file() and sources.is_table(path) else None


def _of_lines(format: str, path: Path) -> Format:
    named = _named_format(format)
    if named.whole is None:
        return named
    raise InputError.of("wrong-format", f"{path.name} is no {format}", where=str(path))


def one_row(
    workload: Workload, raw: bytes, *, header: bytes = b"", number: int = 1, line: int = 1
) -> Row | None:
    """The row in the bytes of one record that was cut out of the file; None for blank lines.

    `header` is what stands before the first row, `number` and `line` are by what names an
    InputError points at the row: it cannot be read, or the bytes are not those of one record.
    """
    stream = io.BytesIO(header + raw)
    found = (
        record
        for record in _named_format(workload.format).records(_Lines(stream))
        if record.fields is not None or record.fault is not None
    )
    records = list(islice(found, 2))  # a second one says enough; there may be a million
    if not records:
        return None
    fault = records[0].fault if len(records) == 1 else _Fault("its quotes do not pair up")
    if fault is not None or records[0].fields is None:
        assert fault is not None
        message = f"row {number} cannot be read: {fault.reason}"
        raise InputError(_problem(fault, message, f"{workload.name}:{line}"))
    return Row(number=number, line=line, fields=records[0].fields, size=len(raw))


def _first_line(path: Path, stream: io.BufferedIOBase) -> str:
    """The first line that is not blank, after a look at whether this is text at all."""
    head = stream.read(_HEAD)
    for bom, encoding in _OTHER_BOMS:
        if head.startswith(bom):
            raise InputError.of(
                "not-utf-8",
                f"the file is {encoding}, not UTF-8 (byte order mark at byte 0)",
                where=str(path),
                hint=f"iconv -f {encoding.lower()} -t utf-8 FILE > FILE.utf8",
            )
    if b"\0" in head:
        raise InputError.of(
            "binary-file",
            f"this is not a text file: byte {head.index(0)} is a NUL",
            where=str(path),
            hint=f"rows are read from {', '.join(format_names())} (also packed: gz, zst), a folder "
            "or Parquet",
        )
    text = head.removeprefix(UTF8_BOM).lstrip()
    if b"\n" not in text and len(head) == _HEAD:
        text += stream.readline(MAX_RECORD)
    return text.partition(b"\n")[0].decode("utf-8", "replace")


# --- one pass ---------------------------------------------------------------------------


class Rows:
    """One pass over a workload: iterate once; the counts grow as it goes."""

    def __init__(self, workload: Workload, *, skip_bad: bool, problems: list[Problem]) -> None:
        self.workload = workload
        self.skip_bad = skip_bad
        self.problems = problems
        self.good = 0
        self.bad = 0
        self.blank = 0
        self._begun = False
        self._raw: io.FileIO | None = None
        self._bytes_read = 0

    def __iter__(self) -> Iterator[Row]:
        assert not self._begun, "a pass is made once, or its counts would add up"
        self._begun = True
        return self._read()

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far, out of `workload.bytes`: for progress."""
        if self._raw is not None and not self._raw.closed:
            self._bytes_read = self._raw.tell()
        return self._bytes_read

    def refuse(self, problem: Problem) -> None:
        """Stop at a bad row, or count it where bad rows are to be skipped."""
        if not self.skip_bad:
            raise InputError(problem)
        self.bad += 1
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(problem)

    def withdraw(self, problem: Problem) -> None:
        """Refuse a row that was readable but turned out to be of no use (no request)."""
        self.refuse(problem)
        self.good -= 1

    def _read(self) -> Iterator[Row]:
        form = _named_format(self.workload.format)
        yield from self._of_lines(form) if form.whole is None else self._of_whole(form.whole)
        if self.good == 0:
            raise self._no_rows()

    def _of_lines(self, form: Format) -> Iterator[Row]:
        with sources.reading(self.workload.path) as (self._raw, stream):
            try:
                yield from self._rows(form.records(_Lines(stream)))
            except _HeaderError as error:
                where = f"{self.workload.name}:{error.line}"
                raise InputError(_problem(error.fault, error.fault.reason, where)) from None
            finally:
                self._bytes_read = self._raw.tell()

    def _of_whole(self, read: Callable[[Path], Iterator[tuple[_Record, int]]]) -> Iterator[Row]:
        for record, done in read(self.workload.path):
            self._bytes_read = done
            yield from self._rows(iter((record,)))

    def _rows(self, records: Iterator[_Record]) -> Iterator[Row]:
        for record in records:
            first = record.lines[0]
            if record.fields is not None:
                self.good += 1
                yield Row(
                    number=self.good + self.bad,
                    line=first.number,
                    fields=record.fields,
                    offset=first.offset,
                    size=sum([line.size for line in record.lines]),
                )
            elif record.fault is None:
                self.blank += 1
            else:
                self._refuse_record(first.number, record.fault)

    def _refuse_record(self, line: int, fault: _Fault) -> None:
        number = self.good + self.bad + 1
        message = f"row {number} cannot be read: {fault.reason}"
        self.refuse(_problem(fault, message, f"{self.workload.name}:{line}"))

    def _no_rows(self) -> InputError:
        said = "the file has no rows"
        if self.blank:
            said = f"{said}: {counted(self.blank, 'blank line')}"
        if self.bad:
            said = f"none of the file's {counted(self.bad, 'row')} can be used"
        problem = Problem(code="no-rows", message=said, where=self.workload.name)
        return InputError(problem, *self.problems)


def _problem(fault: _Fault, message: str, where: str) -> Problem:
    return Problem(code=fault.code, message=message, where=where, hint=fault.hint)
