"""Parquet: what the footer says before anything is read, and the cells of the rows asked for."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.workload import sources, tables
from planner.workload.readers import open_workload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

arrow: Any = pytest.importorskip("pyarrow", reason="the package pyarrow is not here")

TEXT = st.none() | st.text(alphabet="aé合\n", max_size=6)
STRUCT = st.none() | st.fixed_dictionaries({"role": TEXT, "content": TEXT})
LISTS = (st.none() | st.lists(each, max_size=3) for each in (TEXT, STRUCT))
ROW = st.tuples(TEXT, TEXT, TEXT, STRUCT, *LISTS, st.none() | st.integers(0, 9))


def kinds() -> dict[str, Any]:
    turn = arrow.struct([("role", arrow.string()), ("content", arrow.large_string())])
    return {
        "text": arrow.string(),
        "large": arrow.large_string(),
        "coded": arrow.dictionary(arrow.int32(), arrow.string()),
        "turn": turn,
        "list": arrow.list_(arrow.string()),
        "turns": arrow.large_list(turn),
        "number": arrow.int64(),
    }


def written(path: Path, table: Any, **how: Any) -> Path:
    writer: Any = importlib.import_module("pyarrow.parquet")
    writer.write_table(table, path, **how)
    return path


def of_texts(path: Path, texts: Sequence[object], group: int = 100, **how: Any) -> Path:
    columns = {"id": list(range(len(texts))), "text": texts}
    return written(path, arrow.table(columns), row_group_size=group, **how)


def size(value: object) -> int:
    """Bytes of text in a value, by its definition; an object has eight of its own."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return 8 + sum(map(size, value.values()))
    return sum(map(size, value)) if isinstance(value, list) else 0


@given(rows=st.lists(ROW, min_size=1, max_size=12), batch=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_bytes_of_a_row_are_those_of_its_text(
    rows: list[tuple[Any, ...]], batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema = arrow.schema(list(kinds().items()))
    columns = [list(column) for column in zip(*rows, strict=True)]
    arrays = [
        arrow.array(column, kind) for column, kind in zip(columns, kinds().values(), strict=True)
    ]
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    written(path, arrow.table(arrays, schema=schema), row_group_size=5)
    found: list[int] = []
    cells: list[dict[str, object]] = []
    with pytest.MonkeyPatch.context() as patch, tables.opened(path) as table:
        patch.setattr(table, "_batch_rows", batch)
        for group in table.groups(table.names):
            assert group.first == len(cells)
            for each in table.batches(group, table.names):
                ends = [0, *each.ends]
                found += [after - before for before, after in pairwise(ends)]
                cells += [each.row(place) for place in range(len(each))]
                assert all(
                    each.at(byte)[0] == place
                    for place in range(len(each))
                    for byte in range(ends[place], ends[place + 1])
                )
    assert cells == [dict(zip(kinds(), row, strict=True)) for row in rows]
    text, large, coded, turn, items, turns, _ = columns
    assert found == [
        1 + 8 + sum(map(size, (text[n], large[n], coded[n], items[n])))
        + size(turn[n] or {}) + sum(size(each or {}) for each in turns[n] or ())
        for n in range(len(rows))
    ]  # fmt: skip


def test_the_footer_has_rows_and_the_bytes_of_what_is_asked_for(tmp_path: Path) -> None:
    path = of_texts(tmp_path / "t.parquet", ["word " * 50 * (n // 100) for n in range(250)])
    with tables.opened(path) as table:
        groups = table.groups(["text"])
        assert (table.names, table.rows) == (("id", "text"), 250)
        assert [(g.number, g.first, g.rows) for g in groups] == [
            (0, 0, 100),
            (1, 100, 100),
            (2, 200, 50),
        ]
        for one, both in zip(groups, table.groups(table.names), strict=True):
            assert 0 < one.bytes < both.bytes


def test_groups_without_rows_are_passed_over(tmp_path: Path) -> None:
    writer: Any = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    some, none = arrow.table({"text": ["a", "b"]}), arrow.table({"text": arrow.nulls(0, "string")})
    with writer.ParquetWriter(path, some.schema) as file:
        for each in (none, some, none, some):
            file.write_table(each)
    with tables.opened(path) as table:
        assert [(g.first, g.rows) for g in table.groups(["text"])] == [(0, 2), (2, 2)]
    assert [row.fields["text"] for row in open_workload(path).rows()] == ["a", "b", "a", "b"]


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    path = of_texts(tmp_path / "t.parquet", [])
    with pytest.raises(InputError, match="no rows"):
        list(open_workload(path).rows())


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    columns = {"a.b": ["x"], "a": ["y"], "at": [datetime(2026, 1, 1, tzinfo=UTC)]}
    path = written(tmp_path / "t.parquet", arrow.table(columns))
    with tables.opened(path) as table:
        (group,) = table.groups(["a"])
        (batch,) = table.batches(group, ["a"])
        assert batch.row(0)["a"] == "y"
        (batch,) = table.batches(group, [])
        assert (len(batch), batch.row(0)) == (1, {})


@pytest.mark.parametrize(("repeated", "known"), [(False, 0), (True, 1)])
def test_long_rows_are_read_few_at_once(tmp_path: Path, repeated: bool, known: int) -> None:
    """By the footer; where each text stands there but once, from the second group on."""
    texts = [f"{0 if repeated else n:05} " * 1_500 for n in range(900)]
    path = of_texts(tmp_path / "t.parquet", texts, group=300)
    with tables.opened(path) as table:
        lengths = [
            [len(batch) for batch in table.batches(group, ["text"])]
            for group in table.groups(["text"])
        ]
    assert [sum(each) for each in lengths] == [300, 300, 300]
    assert max(lengths[0]) <= tables.FIRST_BATCH
    assert max(map(max, lengths[known:])) <= tables.BATCH_BYTES // 9_000 + 1


@pytest.mark.parametrize(
    "how",
    [
        {"write_statistics": False},
        {"use_dictionary": False, "compression": "none"},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"write_page_checksum": True},
    ],
)
def test_however_it_was_written_the_rows_are_the_same(tmp_path: Path, how: dict[str, Any]) -> None:
    texts = [f"row {n}" * (n % 7) for n in range(500)]
    path = of_texts(tmp_path / "t.parquet", texts, **how)
    assert [row.fields["text"] for row in open_workload(path).rows()] == texts


# --- what cannot be read ------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        list(open_workload(path).rows())
    return error.value.render()


def test_a_damaged_group_is_named(tmp_path: Path) -> None:
    texts = [f"{n} and some more words" for n in range(300)]
    path = of_texts(
        tmp_path / "t.parquet", texts, write_page_checksum=True, compression="none",
        use_dictionary=False,
    )  # fmt: skip
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"150 and some", b"150 xxx some"))
    said = refused(path)
    assert said.startswith("error[bad-table]: row group 2 cannot be read:")
    assert f"at {path}" in said
    assert "copy or write the file again" in said


def test_a_file_that_ends_early_says_so(tmp_path: Path) -> None:
    path = of_texts(tmp_path / "t.parquet", ["text"] * 300)
    path.write_bytes(path.read_bytes()[:-20])
    assert refused(path).startswith("error[bad-table]: the table cannot be read:")


def test_an_encrypted_table_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(sources.ENCRYPTED_PARQUET + b"\0" * 50 + sources.ENCRYPTED_PARQUET)
    said = refused(path)
    assert said.startswith("error[encrypted-table]: the table is encrypted")
    assert "write the rows unencrypted" in said


def test_two_columns_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    table = arrow.table([["a"], ["b"]], names=["text", "text"])
    path = written(tmp_path / "t.parquet", table)
    assert refused(path).startswith("error[bad-header]: the table names a column twice: text")


def test_a_value_without_a_form_makes_a_bad_row(tmp_path: Path) -> None:
    moments = arrow.array([1, 2_000], arrow.timestamp("ns"))
    path = written(tmp_path / "t.parquet", arrow.table({"at": moments, "text": ["a", "b"]}))
    assert "row 1 cannot be read: column at: Nanosecond resolution" in refused(path)
    rows = open_workload(path).rows(skip_bad=True)
    assert [row.fields["text"] for row in rows] == ["b"]
    assert rows.bad == 1


def test_bytes_that_are_no_text_make_a_bad_row(tmp_path: Path) -> None:
    raw = arrow.array([b"fine", b"\xff\xfe"], arrow.binary())
    texts = arrow.Array.from_buffers(arrow.string(), 2, raw.buffers())
    path = written(tmp_path / "t.parquet", arrow.table({"text": texts}), use_dictionary=False)
    assert "row 2 cannot be read: column text: 'utf-8' codec" in refused(path)
