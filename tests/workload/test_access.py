"""Any byte of a file leads to the record that a pass from its start would find there."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.workload import access
from planner.workload.access import IrregularError
from planner.workload.readers import open_workload

if TYPE_CHECKING:
    from pathlib import Path

    from planner.errors import Problem
    from planner.workload.readers import Row, Workload

TEXTS = st.text(alphabet='ab "\n,;é\t', max_size=40)
BLOCKS = st.sampled_from((1, 2, 7, 64, 65536))


def rows_by_pass(workload: Workload) -> list[Row]:
    return list(workload.rows())


def rows_by_offset(workload: Workload) -> list[Row]:
    """The row around every byte, each once."""
    index = access.scan(workload)
    found: dict[int, Row] = {}
    with index.opened() as file:
        for offset in range(index.start, index.start + index.bytes):
            span = file.span(offset)
            assert span.offset <= offset < span.end
            row = file.row(span)
            if row is not None:
                number, line = file.place(span)
                found[span.offset] = type(row)(
                    number=number, line=line, fields=row.fields, offset=row.offset, size=row.size
                )
    return list(found.values())


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), block=BLOCKS)
@settings(max_examples=60)
def test_every_byte_of_separated_values_leads_to_its_record(
    rows: list[tuple[str, str]], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Newlines, quotes and commas inside fields, and blocks that end anywhere among them."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("one", "two"), ("x", "y"), *rows])
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    path.write_bytes(stream.getvalue().encode())
    workload = open_workload(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "BLOCK", block)
        index = access.scan(workload)
        expected = rows_by_pass(workload)
        assert index.records == len(expected)
        assert rows_by_offset(workload) == expected


@given(
    lines=st.lists(st.sampled_from(('{"a": 1}', '{"b": "x y"}', "", "  ", "\t")), max_size=12),
    block=BLOCKS,
    ended=st.booleans(),
)
@settings(max_examples=60)
def test_every_byte_of_lines_leads_to_its_record(
    lines: list[str], block: int, ended: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Blank lines are no rows, wherever a block ends; the last line may lack its newline."""
    text = "\n".join([*lines, '{"last": 2}']) + ("\n" if ended else "")
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    path.write_text(text)
    workload = open_workload(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "BLOCK", block)
        index = access.scan(workload)
        expected = rows_by_pass(workload)
        assert index.records == len(expected)
        assert rows_by_offset(workload) == expected


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    from planner.workload.sources import digest

    path = tmp_path / "rows.csv"
    path.write_text('\n"a\nname",b\n1,2\n')
    assert access.scan(open_workload(path)).digest == digest(path)


def test_a_record_longer_than_many_blocks_is_found_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    long = json.dumps({"text": "word " * 100_000})
    path.write_text(f'{{"text": "a"}}\n{long}\n{{"text": "b"}}\n')
    index = access.scan(open_workload(path))
    with index.opened() as file:
        span = file.span(len(long))
        row = file.row(span)
        assert row is not None
        assert row.fields == {"text": "word " * 100_000}
        assert file.place(span) == (2, 2)


def test_a_row_that_cannot_be_read_is_named_as_a_pass_would_name_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('\n{"text": "a"}\n\n{"text": broken}\n{"text": "b"}\n')
    workload = open_workload(path)
    with pytest.raises(InputError) as by_pass:
        list(workload.rows())
    index = access.scan(workload)
    with index.opened() as file, pytest.raises(InputError) as by_offset:
        file.row(file.span(path.read_bytes().index(b"broken")))
    assert by_offset.value.problems == by_pass.value.problems


def test_a_stray_quote_is_not_guessed_around(tmp_path: Path) -> None:
    """A lone quote inside a field is legal and breaks the pairs: the file says so itself."""
    path = tmp_path / "rows.csv"
    path.write_text('text,n\n5" pipe,1\nother,2\nmore,3\n')
    workload = open_workload(path)
    assert len(list(workload.rows())) == 3
    index = access.scan(workload)
    with index.opened() as file, pytest.raises(IrregularError):
        file.row(file.span(index.start))


def test_a_file_of_blank_lines_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("\n \n\t\n")
    with pytest.raises(InputError, match="no rows"):
        access.scan(open_workload(path, format="lines"))


def test_compressed_files_have_no_offsets(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert not access.seekable(open_workload(path))
    plain = tmp_path / "rows.jsonl"
    plain.write_text('{"a": 1}\n')
    assert access.seekable(open_workload(plain))


# ------------------------------------------------------------------ torn lines

TORN = ('{"a": 1', '"b": 2}', "x", "[1]", "{\r", '{"a": "é')
WHOLE = ('{"a": 1}', '{"b": "x"}\r', ' {"c": 3} ', "", " ", "\t\r")


@given(
    lines=st.lists(st.sampled_from((*TORN, *WHOLE)), max_size=12),
    block=BLOCKS,
    ended=st.booleans(),
    marked=st.booleans(),
)
@settings(max_examples=200)
def test_lines_that_lack_a_brace_are_told_wherever_a_block_ends(
    lines: list[str],
    block: int,
    *,
    ended: bool,
    marked: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Each is a line that a pass refuses, and a pass over the others refuses none."""
    text = ("\ufeff" if marked else "") + "\n".join(['{"first": 0}', *lines])
    path = tmp_path_factory.mktemp("torn") / "rows.jsonl"
    path.write_bytes((text + ("\n" if ended else "")).encode())
    workload = open_workload(path, format="jsonl")
    rows = workload.rows(skip_bad=True)
    passed = list(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "BLOCK", block)
        index = access.scan(workload)
        assert (index.torn, index.records) == (rows.bad, rows.good + rows.bad)
        with index.opened() as file:
            spans = {file.span(index.start + offset) for offset in range(index.bytes)}
            assert len([span for span in spans if file.torn(span)]) == index.torn
            assert len([span for span in spans if not (span.blank or file.torn(span))]) == len(
                passed
            )
            named: list[Problem] = []
            for offset in index.torn_at:
                with pytest.raises(InputError) as refused:
                    file.row(file.span(offset))
                named += refused.value.problems
    assert named == rows.problems


def test_only_where_rows_are_objects_a_brace_can_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("one\ntwo\n")
    index = access.scan(open_workload(path, format="lines"))
    assert (index.torn, index.torn_at, index.records) == (0, (), 2)
