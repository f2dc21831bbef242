"""Folders, packed files, standard input and tables: what they hold, read as rows."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import json
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.workload import sources
from planner.workload.prompt import choose
from planner.workload.readers import MAX_RECORD, Workload, open_workload

WORKLOADS = Path(__file__).parents[3] / "shared" / "workloads"


def texts(workload: Workload) -> list[dict[str, Any]]:
    return [dict(row.fields) for row in workload.rows()]


def written(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def refused(path: Path, **how: Any) -> str:
    with pytest.raises(InputError) as caught:
        texts(open_workload(path, **how))
    return caught.value.render()


# ------------------------------------------------------------------ folders


def test_each_file_of_a_folder_is_a_row(tmp_path: Path) -> None:
    folder = written(tmp_path, b_dot_txt="second", a__deep_dot_md="\ufefffirst\n", _dot_hidden="x")
    workload = open_workload(folder)
    assert workload.format == "folder"
    assert workload.bytes == len("second") + len("\ufefffirst\n".encode())
    rows = list(workload.rows())
    assert [dict(row.fields) for row in rows] == [
        {"name": "a/deep.md", "text": "first\n"},
        {"name": "b.txt", "text": "second"},
    ]
    assert [(row.number, row.size) for row in rows] == [(1, 9), (2, 6)]
    assert workload.columns(rows) == ("name", "text")


def test_the_bytes_done_grow_to_all_of_a_folder(tmp_path: Path) -> None:
    rows = open_workload(written(tmp_path, a="1", b="22", c="333")).rows()
    assert [rows.bytes_read for _ in rows] == [1, 3, 6]


def test_a_blank_file_is_no_row_and_a_broken_one_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, a=" \n", b=b"caf\xe9", c="fine", d=b"a\0b")
    assert "row 1 cannot be read: b: byte 3 of the file (0xE9) is not UTF-8" in refused(folder)
    rows = open_workload(folder).rows(skip_bad=True)
    assert [row.fields["name"] for row in rows] == ["c"]
    assert (rows.good, rows.bad, rows.blank) == (1, 2, 1)


def test_a_file_that_no_model_takes_is_refused_unread(tmp_path: Path) -> None:
    folder = written(tmp_path, small="a")
    with (folder / "huge").open("wb") as file:
        file.truncate(MAX_RECORD + 1)
    assert "row 1 cannot be read: huge: it is longer than 32 MiB" in refused(folder)


def test_an_empty_folder_has_no_rows(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith("error[empty-folder]: there is no file in this folder")
    assert "none" not in refused(written(tmp_path, a=""))


def test_the_digest_of_a_folder_follows_names_and_contents(tmp_path: Path) -> None:
    one = written(tmp_path / "1", a="x", b="y")
    same = written(tmp_path / "2", b="y", a="x")
    renamed = written(tmp_path / "3", a="x", c="y")
    changed = written(tmp_path / "4", a="x", b="z")
    digests = [open_workload(each).digest() for each in (one, same, renamed, changed)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_real_documents_are_rows() -> None:
    folder = WORKLOADS / "leases"
    if not folder.is_dir():
        pytest.skip("the folder of leases is not here")
    rows = texts(open_workload(folder))
    assert len(rows) == 6
    assert all(len(row["text"]) > 20_000 for row in rows)


# ------------------------------------------------------------------ standard input


class Piped:
    def __init__(self, content: bytes, *, terminal: bool = False) -> None:
        self.buffer = io.BytesIO(content)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (b"a,b\n1,2\n3,4\n", "csv"),
        (b'{"a": "1", "b": "2"}\n{"a": "3", "b": "4"}\n', "jsonl"),
        (gzip.compress(b"a,b\n1,2\n3,4\n"), "csv"),
    ],
)
def test_rows_come_out_of_standard_input(
    monkeypatch: pytest.MonkeyPatch, content: bytes, format: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(content))
    workload = open_workload(Path("-"))
    assert (workload.format, workload.bytes) == (format, len(content))
    assert texts(workload) == texts(workload) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert workload.digest().startswith("sha256:")


def test_what_was_piped_in_goes_with_its_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"a,b\n1,2\n"))
    workload = open_workload(Path("-"))
    path = workload.path
    assert path.exists()
    del workload
    assert not path.exists()


def test_errors_of_standard_input_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"a,b\n1\n"))
    assert "  at standard input:2\n" in refused(Path("-"))
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    assert refused(Path("-")) == "error[empty-file]: the file is empty\n  at standard input"
    monkeypatch.setattr(sys, "stdin", Piped(b"plain text\n"))
    assert "standard input does not show which format it has" in refused(Path("-"))
    monkeypatch.setattr(sys, "stdin", Piped(b"", terminal=True))
    assert refused(Path("-")).startswith("error[no-input]: standard input is a terminal")


# ------------------------------------------------------------------ packed with zstd

ROWS = b"a,b\n" + b"1,2\n" * 5000
WITHOUT = dict.fromkeys(("compression.zstd", "zstandard", "pyarrow.parquet"))


def zstandard() -> Any:
    return pytest.importorskip("zstandard", reason="the package zstandard is not here")


def test_a_zstd_file_reads_like_what_it_holds(tmp_path: Path) -> None:
    packer = zstandard().ZstdCompressor()
    path = tmp_path / "rows.csv.zst"
    half = len(ROWS) // 2
    path.write_bytes(packer.compress(ROWS[:half]) + packer.compress(ROWS[half:]))
    workload = open_workload(path)
    assert workload.format == "csv"
    assert len(texts(workload)) == 5000
    assert sources.is_packed(path)


def test_a_broken_zstd_file_says_so(tmp_path: Path) -> None:
    packed = zstandard().ZstdCompressor().compress(ROWS)
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(packed[:6] + b"\xff" * 40)
    assert refused(path).startswith("error[bad-compression]: the file cannot be unpacked")


def test_without_the_package_zstd_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in WITHOUT:
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(sources.ZSTD + b"whatever")
    said = refused(path)
    assert said.startswith("error[needs-zstd]: the file is packed with zstd")
    assert "install the package zstandard" in said


# ------------------------------------------------------------------ tables


def parquet(path: Path, rows: list[dict[str, object]], **how: Any) -> Path:
    pytest.importorskip("pyarrow", reason="the package pyarrow is not here")
    arrow: Any = importlib.import_module("pyarrow")
    writer: Any = importlib.import_module("pyarrow.parquet")
    writer.write_table(arrow.Table.from_pylist(rows), path, **how)
    return path


def test_each_row_of_a_table_is_a_row(tmp_path: Path) -> None:
    made: list[dict[str, object]] = [
        {"id": n, "text": f"row {n}", "none": None} for n in range(1000)
    ]
    path = parquet(tmp_path / "named.any", made, row_group_size=300)
    workload = open_workload(path)
    assert (workload.format, workload.bytes) == ("parquet", path.stat().st_size)
    rows = workload.rows()
    found = [(row.number, dict(row.fields), rows.bytes_read) for row in rows]
    assert [fields for _, fields, _ in found] == made
    assert [number for number, _, _ in found] == list(range(1, 1001))
    assert found[-1][2] == workload.bytes
    assert all(row.size > 0 for row in workload.rows())


def test_cells_are_what_json_would_have(tmp_path: Path) -> None:
    cells = {"day": date(2026, 1, 2), "price": Decimal("1.50"), "list": [b"x"], "map": {"k": 1}}
    path = parquet(tmp_path / "t.parquet", [cells])
    (row,) = texts(open_workload(path))
    assert row == {"day": "2026-01-02", "price": "1.50", "list": ["x"], "map": {"k": 1}}
    assert json.dumps(row)


def test_a_broken_table_says_so(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the package pyarrow is not here")
    path = tmp_path / "t.parquet"
    path.write_bytes(sources.PARQUET + b"\xff" * 100 + sources.PARQUET)
    assert refused(path).startswith("error[bad-table]: the table cannot be read")


def test_without_the_package_a_table_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = tmp_path / "t.parquet"
    path.write_bytes(sources.PARQUET + b"whatever")
    said = refused(path)
    assert said.startswith("error[needs-parquet]: the file is Parquet")
    assert "install the package pyarrow" in said


def test_a_file_is_no_table_by_being_called_one(tmp_path: Path) -> None:
    path = written(tmp_path, t_dot_csv="a\n1\n") / "t.csv"
    assert refused(path, format="parquet").startswith("error[wrong-format]: t.csv is no parquet")


# ------------------------------------------------------------------ real files


@pytest.mark.parametrize(
    ("name", "format", "rows", "answers"),
    [("json_mode_chat.jsonl", "chat", 500, True), ("openai_batchinput.jsonl", "batch", 4, False)],
)
def test_real_request_files_are_read(name: str, format: str, rows: int, answers: bool) -> None:
    path = WORKLOADS / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    workload = open_workload(path)
    assert workload.format == format
    chosen = choose(workload).prompt
    made = [(chosen.render(row), row) for row in workload.rows()]
    assert len(made) == rows
    assert all(request.messages[-1].role == "user" for request, _ in made)
    if answers:
        seen = [getattr(chosen, "answer")(row) for _, row in made]  # noqa: B009 -- not of Prompt
        assert all(seen)


@given(st.binary(max_size=200))
def test_whatever_was_piped_in_is_rows_or_refused(content: bytes) -> None:
    kept = sources.Spool(io.BytesIO(content))
    workload = Workload(path=kept.path, format="lines", bytes=len(content))
    rows = workload.rows(skip_bad=True)
    with contextlib.suppress(InputError):
        assert len(list(rows)) == rows.good > 0
    assert rows.good + rows.bad + rows.blank <= content.count(b"\n") + 1
