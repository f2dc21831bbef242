"""Parquet: what the footer of a table says of its row groups, and the cells in them.

The footer has the number of rows and the bytes of every column of every group, so groups can be
chosen before anything is read; of those that are read, only the columns that are asked for. A
group is read in batches, so memory grows with neither the file nor a group of a gigabyte. How
many bytes of text each row has comes from the offsets that stand beside the text (no value is
touched); values become Python's own for the rows that are asked for alone. Reading groups whole
(`read_row_group`) was rejected: one writer's group is another writer's file.
"""

from __future__ import annotations

import importlib
from bisect import bisect_right
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.workload import sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCH_BYTES = 1024 * 1024
MOST_ROWS = 8192
FIRST_BATCH = 256
"""Rows that are read at once: as many as are about `BATCH_BYTES` of text by the footer, and by the
text of the group before: a long text that every row repeats is short in the footer."""

_READ_AHEAD = 256 * 1024
_FIXED = 8
"""Bytes that a value which is no text counts."""


_FORMLESS = (ValueError, OverflowError, ImportError)
"""What the package raises at such a value."""


class CellError(Exception):
    """A value that Python has no form for: bytes that are no UTF-8, a nanosecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A row group as the footer has it."""

    number: int
    first: int
    """Rows before it."""
    rows: int
    bytes: int
    """Of the columns that are asked for, unpacked, as they are encoded; at least 1 with rows."""


class Batch:
    """Some rows of a group, with the bytes of text of each."""

    def __init__(self, first: int, cells: Any) -> None:
        self.first = first
        """Rows of the table before it."""
        self.ends: Sequence[int] = _ends(cells)
        """Bytes of text up to the end of each row, which has one byte more than its text."""
        self._cells = cells

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def bytes(self) -> int:
        """Bytes of text of all its rows."""
        return self.ends[-1] if self.ends else 0

    def at(self, byte: int) -> tuple[int, int, int]:
        """(place of the row that holds that byte of the text, where it starts, its bytes)."""
        place = bisect_right(self.ends, byte)
        start = self.ends[place - 1] if place else 0
        return place, start, self.ends[place] - start

    def rows(self) -> Iterator[dict[str, object] | CellError]:
        """The cells of every row, or why it has none."""
        try:
            values = [column.to_pylist() for column in self._cells.columns]
        except _FORMLESS:
            yield from map(self._row_or_error, range(len(self)))
            return
        names = self._cells.schema.names
        for row in zip(*values, strict=True):
            yield {name: _plain(value) for name, value in zip(names, row, strict=True)}

    def _row_or_error(self, place: int) -> dict[str, object] | CellError:
        try:
            return self.row(place)
        except CellError as error:
            return error

    def row(self, place: int) -> dict[str, object]:
        """The cells of the row at that place; CellError."""
        found = {}
        for name, column in zip(self._cells.schema.names, self._cells.columns, strict=True):
            try:
                found[name] = _plain(column[place].as_py())
            except _FORMLESS as error:
                raise CellError(f"column {name}: {error}") from None
        return found


class Table:
    """An open Parquet file."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file
        self._batch_rows = FIRST_BATCH
        self.names: tuple[str, ...] = tuple(file.schema_arrow.names)
        self.rows: int = file.metadata.num_rows

    def groups(self, columns: Sequence[str]) -> tuple[Group, ...]:
        """The groups that hold rows, with the bytes of those columns."""
        footer = self._file.metadata
        leaves = [
            place
            for place in range(footer.num_columns)
            if _top(footer.schema.column(place).path, self.names) in columns
        ]
        found: list[Group] = []
        passed = 0
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            size = sum(group.column(leaf).total_uncompressed_size for leaf in leaves)
            if group.num_rows:
                found.append(
                    Group(number=number, first=passed, rows=group.num_rows, bytes=max(1, size))
                )
            passed += group.num_rows
        return tuple(found)

    def batches(self, group: Group, columns: Sequence[str]) -> Iterator[Batch]:
        """The rows of a group in their order, with those columns; InputError."""
        first, size = group.first, 0
        at_once = min(self._batch_rows, _rows_of(group.bytes, group.rows))
        with _telling(self._path, f"row group {group.number + 1}"):
            for cells in self._file.iter_batches(
                at_once, row_groups=[group.number], columns=list(columns)
            ):
                batch = Batch(first, cells)
                yield batch
                first += len(batch)
                size += batch.bytes
        self._batch_rows = min(_rows_of(size, group.rows), MOST_ROWS)


def _rows_of(size: int, rows: int) -> int:
    """How many rows are about `BATCH_BYTES`, where that many have that size."""
    return max(1, BATCH_BYTES * rows // size)


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """The table at a path while it is open.

    InputError where the package that reads it is not there, or the file is broken, encrypted, or
    has two columns of one name.
    """
    parquet = _library(path)
    with _telling(path, "the table"):
        file = parquet.ParquetFile(
            path, pre_buffer=False, buffer_size=_READ_AHEAD, page_checksum_verification=True
        )
    with file:
        table = Table(path, file)
        twice = sorted(name for name, times in Counter(table.names).items() if times > 1)
        if twice:
            raise InputError.of(
                "bad-header",
                f"the table names a column twice: {', '.join(twice)}",
                where=str(path),
                hint="write it with names that differ",
            )
        yield table


def rows(path: Path) -> Iterator[tuple[dict[str, object] | CellError, float]]:
    """Each row of the table, or why it has none, with the share of all rows that is read."""
    with opened(path) as table:
        for group in table.groups(table.names):
            for batch in table.batches(group, table.names):
                for place, cells in enumerate(batch.rows(), start=1):
                    yield cells, (batch.first + place) / table.rows


def _library(path: Path) -> Any:
    if sources.magic(path) == sources.ENCRYPTED_PARQUET:
        raise InputError.of(
            "encrypted-table",
            "the table is encrypted, and no key is ever asked for here",
            where=str(path),
            hint="write the rows unencrypted, as Parquet or JSONL",
        )
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise InputError.of(
            "needs-parquet",
            "the file is Parquet, and nothing here reads that",
            where=str(path),
            hint="install the package pyarrow, or write the rows as JSONL",
        ) from None


@contextmanager
def _telling(path: Path, what: str) -> Iterator[None]:
    """Whatever the package raises, as an InputError that says what cannot be read."""
    broken = importlib.import_module("pyarrow").ArrowException
    try:
        yield
    except (broken, OSError) as error:
        said = " ".join(str(error).split())
        raise InputError.of(
            "bad-table",
            f"{what} cannot be read: {said}",
            where=str(path),
            hint="copy or write the file again; a part of it is missing, damaged or encrypted",
        ) from None


def _top(leaf: str, names: Sequence[str]) -> str | None:
    """The column that a leaf of the schema belongs to."""
    return next((name for name in names if leaf == name or leaf.startswith(f"{name}.")), None)


# --- bytes of text ----------------------------------------------------------------------


def _ends(cells: Any) -> Sequence[int]:
    """Where each row ends in the text of all: the sum of its lengths, and one for itself."""
    compute = importlib.import_module("pyarrow.compute")
    lengths: Any = importlib.import_module("pyarrow").repeat(1, cells.num_rows)
    for column in cells.columns:
        lengths = compute.add(lengths, _lengths(column))
    ends = compute.cumulative_sum(lengths)
    found: Sequence[int] = memoryview(ends.buffers()[1]).cast("q")[: len(ends)]
    return found


def _lengths(column: Any) -> Any:
    """Bytes of the text in each value of a column, whatever that is made of."""
    arrow = importlib.import_module("pyarrow")
    compute = importlib.import_module("pyarrow.compute")
    kind, types = column.type, arrow.types
    if types.is_dictionary(kind):
        found = _lengths(column.dictionary).take(column.indices)
    elif types.is_string_view(kind) or types.is_binary_view(kind):
        found = compute.binary_length(column.cast(arrow.large_binary()))
    elif any(is_text(kind) for is_text in _texts(types)):
        found = compute.binary_length(column)
    elif types.is_struct(kind):
        found = arrow.repeat(_FIXED, len(column))
        for each in column.flatten():
            found = compute.add(found, _lengths(each))
    elif types.is_map(kind) or types.is_list(kind) or types.is_large_list(kind):
        found = _lengths_of_lists(column)
    else:
        found = arrow.repeat(_FIXED, len(column))
    return compute.fill_null(found, 0).cast(arrow.int64())


def _texts(types: Any) -> tuple[Any, ...]:
    return types.is_string, types.is_large_string, types.is_binary, types.is_large_binary


def _lengths_of_lists(column: Any) -> Any:
    """Bytes of the text in each list: between what passed before its first value and its last."""
    arrow = importlib.import_module("pyarrow")
    compute = importlib.import_module("pyarrow.compute")
    values = _lengths(column.values)
    passed = arrow.concat_arrays([arrow.array([0], arrow.int64()), compute.cumulative_sum(values)])
    ends = passed.take(column.offsets)
    found = compute.subtract(ends[1:], ends[:-1])
    return compute.if_else(column.is_valid(), found, 0)


def _plain(value: object) -> object:
    """A cell as JSON would have it: times and exact numbers are text, bytes are read as text."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value
