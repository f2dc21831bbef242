"""Rows come back as they were written, and every unusable file says exactly what is wrong."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import InputError, Problem
from planner.workload import readers
from planner.workload.readers import Row, Workload, format_names, open_workload
from planner.workload.sources import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40)
names = st.lists(
    st.text(st.characters(categories=["L"]), min_size=1, max_size=8),
    min_size=1,
    max_size=4,
    unique=True,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty, so that errors name files as a user would."""
    monkeypatch.chdir(tmp_path)
    return Path()


def opened(content: bytes | str, name: str, format: str | None = None) -> Workload:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return open_workload(Path(name), format=format)


def fields(content: bytes | str, name: str, *, skip_bad: bool = False) -> list[dict[str, object]]:
    return [dict(row.fields) for row in opened(content, name).rows(skip_bad=skip_bad)]


def complaint(content: bytes | str, name: str, format: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        list(opened(content, name, format).rows())
    assert caught.value.exit_code == 2
    return caught.value.render()


# --- what was written comes back --------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    header = draw(names)
    width = len(header)
    row = st.lists(text, min_size=width, max_size=width)
    return [header, *draw(st.lists(row, min_size=1, max_size=8))]


def written(table: Sequence[Sequence[str]], delimiter: str, terminator: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=terminator, quoting=csv.QUOTE_ALL)
    writer.writerows(table)
    return out.getvalue().encode()


@REUSED_FOLDER
@given(
    table=tables(),
    delimiter=st.sampled_from(",\t"),
    terminator=st.sampled_from(("\n", "\r\n")),
    bom=st.sampled_from((b"", b"\xef\xbb\xbf")),
)
def test_tables_round_trip(
    folder: Path, table: list[list[str]], delimiter: str, terminator: str, bom: bytes
) -> None:
    content = bom + written(table, delimiter, terminator)
    header, *rows = table
    expected = [dict(zip(header, row, strict=True)) for row in rows]
    assert fields(content, "t.tsv" if delimiter == "\t" else "t.csv") == expected


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
json_values = scalars | st.lists(scalars, max_size=3)


@REUSED_FOLDER
@given(
    objects=st.lists(st.dictionaries(st.text(max_size=8), json_values), min_size=1, max_size=8),
    ascii_only=st.booleans(),
    end=st.sampled_from(("\n", "\r\n", "\n\n", "\n  \n")),
)
def test_json_lines_round_trip(
    folder: Path, objects: list[dict[str, object]], ascii_only: bool, end: str
) -> None:
    content = "".join(json.dumps(each, ensure_ascii=ascii_only) + end for each in objects)
    workload = opened(content.encode("utf-8"), "rows.jsonl", "jsonl")
    rows = workload.rows()
    assert [row.fields for row in rows] == objects
    assert rows.good == len(objects)
    assert rows.blank == len(objects) * (end.count("\n") - 1)


@REUSED_FOLDER
@given(table=tables(), terminator=st.sampled_from(("\n", "\r\n")))
def test_offset_and_size_cut_the_record_out_of_the_file(
    folder: Path, table: list[list[str]], terminator: str
) -> None:
    header = [*table[0], "last column"]
    table = [header, *([*row, "x"] for row in table[1:])]
    content = written(table, ",", terminator)
    for row in opened(content, "t.csv").rows():
        cut = content[row.offset : row.offset + row.size]
        assert cut == written([[str(v) for v in row.fields.values()]], ",", terminator)
        assert row.line == content[: row.offset].count(b"\n") + 1


def test_line_ends_inside_quotes_belong_to_the_field_and_lines_are_counted(folder: Path) -> None:
    content = 'id,text\n1,"a\nb\n\nc"\n2,"x, ""y"""\r\n\n3,z'
    rows = list(opened(content, "t.csv").rows())
    assert rows == [
        Row(number=1, line=2, fields={"id": "1", "text": "a\nb\n\nc"}, offset=8, size=11),
        Row(number=2, line=6, fields={"id": "2", "text": 'x, "y"'}, offset=19, size=14),
        Row(number=3, line=8, fields={"id": "3", "text": "z"}, offset=34, size=3),
    ]


def test_only_a_newline_byte_ends_a_line(folder: Path) -> None:
    odd = "a\u2028b\x0bc\x85d"
    assert fields(json.dumps({"t": odd}, ensure_ascii=False), "t.jsonl") == [{"t": odd}]
    assert fields(f"t\n{odd}\n", "t.csv") == [{"t": odd}]


def test_a_field_longer_than_the_csv_module_likes(folder: Path) -> None:
    long = "x" * 300_000
    assert fields(f"t,u\n{long},1\n", "t.csv") == [{"t": long, "u": "1"}]


def test_columns_without_a_name_get_their_number(folder: Path) -> None:
    assert fields(", text \n0,a\n", "t.csv") == [{"column_1": "0", "text": "a"}]


def test_blank_lines_are_counted_and_number_nothing(folder: Path) -> None:
    rows = opened('\n{"a": 1}\n\n  \n{"a": 2}\n\n', "t.jsonl").rows()
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 5)]
    assert rows.blank == 4


# --- recognising the format -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"a": 1}', "jsonl"),
        ("a.ndjson", '{"a": 1}', "jsonl"),
        ("a.JSONL", '\n\n{"a": 1}', "jsonl"),
        ("a.csv", '{"a": 1}', "csv"),
        ("a.csv", "a\tb", "csv"),
        ("a.tsv", "a,b", "tsv"),
        ("a.txt", "a,b", "lines"),
        ("a", '{"a": 1}', "jsonl"),
        ("a.data", "a,b\n1,2", "csv"),
        ("a.data", "a\tb\n1\t2", "tsv"),
        ("a.data", "\ufeffa\tb\n1\t2", "tsv"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "x"}]}', "chat"),
        ("a.jsonl", '{"messages": "none"}', "jsonl"),
        ("a.jsonl", '{"custom_id": "1", "body": {"messages": []}}', "batch"),
        ("a.jsonl", '{"custom_id": "1", "params": {"messages": []}}', "batch"),
        ("a.jsonl", '{"custom_id": "1", "body": "text"}', "jsonl"),
    ],
)
def test_the_name_decides_and_then_the_first_line(
    folder: Path, name: str, content: str, expected: str
) -> None:
    assert opened(content, name).format == expected


def test_a_named_format_wins_over_everything(folder: Path) -> None:
    workload = opened("a\tb\n1\t2\n", "t.csv", "tsv")
    assert workload.format == "tsv"
    assert [row.fields for row in workload.rows()] == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a;b\n1;2\n", {"a": "1", "b": "2"}),
        ("a|b\n1|2\n", {"a": "1", "b": "2"}),
        ("a\tb\n1\t2\n", {"a": "1", "b": "2"}),
        ("a;b,c\n1,2\n", {"a;b": "1", "c": "2"}),
        ('"a,b";c\n1;2\n', {"a,b": "1", "c": "2"}),
        ("text\nno delimiter at all\n", {"text": "no delimiter at all"}),
    ],
)
def test_the_delimiter_of_a_csv_is_the_headers(
    folder: Path, content: str, expected: dict[str, str]
) -> None:
    assert fields(content, "t.csv") == [expected]


def test_plain_lines_are_rows_of_one_column(folder: Path) -> None:
    rows = opened("one, two\r\n\n three\n", "t.txt").rows()
    assert [row.fields for row in rows] == [{"text": "one, two"}, {"text": " three"}]
    assert rows.blank == 1


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.gz"])
def test_a_gzipped_file_reads_like_what_it_holds(folder: Path, name: str) -> None:
    packed = gzip.compress(b'{"a": "b"}\n' * 1000)
    rows = opened(packed, name).rows()
    assert [row.fields for row in rows] == [{"a": "b"}] * 1000
    assert rows.bytes_read == rows.workload.bytes == len(packed)


# --- one pass ---------------------------------------------------------------------------


def test_bytes_read_grow_to_the_size_of_the_file(folder: Path) -> None:
    content = '{"a": "' + "x" * 1000 + '"}\n'
    rows = opened(content * 5000, "t.jsonl").rows()
    seen = [rows.bytes_read for _ in rows]
    assert seen == sorted(seen)
    assert 0 < seen[0] < rows.workload.bytes
    assert rows.bytes_read == rows.workload.bytes == len(content) * 5000


def test_a_pass_does_not_change_the_next(folder: Path) -> None:
    workload = opened("a\n1\n2\n", "t.csv")
    assert list(workload.rows()) == list(workload.rows()) == list(workload.head())
    assert workload.head(1) == workload.head()[:1]


def test_a_head_of_huge_rows_is_short(folder: Path) -> None:
    content = '{"a": "' + "x" * 3 * 1024 * 1024 + '"}\n'
    workload = opened(content * 5, "t.jsonl")
    assert len(workload.head()) == 3
    assert len(workload.head(2)) == 2


def test_columns_are_those_of_all_sampled_rows_in_order(folder: Path) -> None:
    workload = opened('{"b": 1, "a": 1}\n{"c": 1, "a": 1}', "t.jsonl")
    assert workload.columns(workload.head()) == ("b", "a", "c")


def test_skipped_rows_keep_their_number_and_the_first_reasons(folder: Path) -> None:
    content = "a,b\n1,2\n1\n3,4\n" + "1,2,3\n" * 10
    problems: list[Problem] = []
    rows = opened(content, "t.csv").rows(skip_bad=True, problems=problems)
    assert [row.number for row in rows] == [1, 3]
    assert (rows.good, rows.bad, len(problems)) == (2, 11, readers.SHOWN_PROBLEMS)
    assert problems[0] == Problem(
        code="bad-row",
        message="row 2 cannot be read: 1 field where the header has 2",
        where="t.csv:3",
        hint="--skip-bad-rows leaves such rows out and counts them",
    )


def test_a_stray_quote_costs_its_own_line_only(folder: Path) -> None:
    content = 'id,text\n1,"broken\n2,fine\n3,fine\n'
    rows = opened(content, "t.csv").rows(skip_bad=True)
    assert [(row.number, row.line, row.fields["id"]) for row in rows] == [(2, 3, "2"), (3, 4, "3")]
    assert rows.bad == 1


@REUSED_FOLDER
@given(st.lists(st.sampled_from(['1,"a', "2,b", '"3",c', '4,"d""', '"5"x,e', "6"]), max_size=12))
def test_whatever_is_broken_every_line_is_accounted_for(folder: Path, lines: list[str]) -> None:
    content = "id,text\n0,first\n" + "".join(f"{line}\n" for line in lines)
    rows = opened(content, "t.csv").rows(skip_bad=True)
    covered = sum(row.size for row in rows)
    numbers = rows.good + rows.bad
    assert covered <= len(content.encode())
    assert numbers <= len(lines) + 1
    assert rows.bad or covered + len("id,text\n") == len(content)


def test_a_record_past_the_bound_is_refused_and_the_next_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_RECORD", 100)
    content = json.dumps({"a": "x" * 500}) + '\n{"a": "y"}\n'
    rows = opened(content, "t.jsonl", "jsonl").rows(skip_bad=True)
    assert [(row.number, row.line, row.fields["a"]) for row in rows] == [(2, 2, "y")]

    unclosed = 'a,b\n1,"' + "x\n" * 80 + '"\n2,y\n'
    rows = opened(unclosed, "t.csv").rows(skip_bad=True)
    assert [row.fields for row in rows] == [{"a": "2", "b": "y"}]
    assert rows.problems[0].message == (
        "row 1 cannot be read: a quote is not closed within 200,000 lines or 0 MiB"
    )


@pytest.mark.parametrize(("lines", "good"), [(20, 2), (21, 1)])
def test_a_cell_of_more_lines_than_any_is_a_quote_that_was_never_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lines: int, good: int
) -> None:
    monkeypatch.setattr(readers, "MAX_LINES", 20)
    cell = "\n".join(["x"] * lines)
    rows = opened(f'a,b\n1,"{cell}"\n2,y\n', "t.csv").rows(skip_bad=True)
    assert len([row.fields for row in rows]) == good


def test_the_digest_is_that_of_the_bytes_on_disk(folder: Path) -> None:
    content = gzip.compress(b"a\n1\n")
    opened(content, "t.csv.gz")
    assert digest(Path("t.csv.gz")) == f"sha256:{hashlib.sha256(content).hexdigest()}"


# --- errors, word for word --------------------------------------------------------------

SKIP = "  hint: --skip-bad-rows leaves such rows out and counts them"
FORMATS = "batch, chat, jsonl, tsv, csv, lines"


def test_the_formats_that_errors_list_are_all_there_are() -> None:
    assert ", ".join(format_names()) == FORMATS


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", b"", "error[empty-file]: the file is empty\n  at t.csv"),
        ("t.csv", b"a,b\r\n", "error[no-rows]: the file has no rows\n  at t.csv"),
        ("t.jsonl", b"\n \n", "error[no-rows]: the file has no rows: 2 blank lines\n  at t.jsonl"),
        (
            "t.csv",
            b"\x89PNG\r\n\x1a\n\0\0",
            (
                "error[binary-file]: this is not a text file: byte 8 is a NUL\n  at t.csv\n"
                f"  hint: rows are read from {FORMATS} (also packed: gz, zst), a folder or Parquet"
            ),
        ),
        (
            "t.csv",
            "a,b\n1,2\n".encode("utf-16"),
            (
                "error[not-utf-8]: the file is UTF-16, not UTF-8 (byte order mark at byte 0)\n"
                "  at t.csv\n  hint: iconv -f utf-16 -t utf-8 FILE > FILE.utf8"
            ),
        ),
        (
            "t.csv",
            b"a,b\n1,2\n3,caf\xe9\n",
            (
                "error[not-utf-8]: row 2 cannot be read: byte 13 of the file (0xE9) is not UTF-8\n"
                "  at t.csv:3\n"
                "  hint: save the file as UTF-8 (iconv -f latin1 -t utf-8), or --skip-bad-rows"
            ),
        ),
        (
            "t.csv",
            b"caf\xe9,b\n1,2\n",
            (
                "error[not-utf-8]: byte 3 of the file (0xE9) is not UTF-8\n  at t.csv:1\n"
                "  hint: save the file as UTF-8 (iconv -f latin1 -t utf-8), or --skip-bad-rows"
            ),
        ),
        (
            "t.csv",
            b"a,b\n" + b"1,2\n" * 20_000 + b"1,\0\n",
            (
                "error[bad-row]: row 20001 cannot be read: byte 80006 of the file is a NUL\n"
                f"  at t.csv:20002\n{SKIP}"
            ),
        ),
        (
            "t.csv",
            'a,b\n1,"x\ny"\n1,2,3\n',
            (
                "error[bad-row]: row 2 cannot be read: 3 fields where the header has 2\n"
                f"  at t.csv:4\n{SKIP}"
            ),
        ),
        (
            "t.csv",
            'a,b\n1,2\n3,"x\ny\n',
            (
                "error[bad-row]: row 2 cannot be read: a quote is opened and never closed\n"
                f"  at t.csv:3\n{SKIP}"
            ),
        ),
        (
            "t.csv",
            'a,b\n"1"x,2\n',
            (
                "error[bad-row]: row 1 cannot be read: text after a closing quote "
                f"(a quote inside a field is written twice)\n  at t.csv:2\n{SKIP}"
            ),
        ),
        (
            "t.csv",
            "a,b\n1,x\ry\n",
            (
                "error[bad-row]: row 1 cannot be read: a carriage return outside quotes\n"
                f"  at t.csv:2\n{SKIP}"
            ),
        ),
        (
            "t.csv",
            "a,b,a\n1,2,3\n",
            (
                "error[bad-header]: the header names a column twice: a\n  at t.csv:1\n"
                "  hint: the first row must name the columns, each once"
            ),
        ),
        (
            "t.jsonl",
            '{"a": 1}\n{"a": }\n',
            (
                "error[bad-row]: row 2 cannot be read: not JSON: Expecting value (character 7)\n"
                f"  at t.jsonl:2\n{SKIP}"
            ),
        ),
        (
            "t.jsonl",
            '{"a": NaN}\n',
            (
                "error[bad-row]: row 1 cannot be read: not JSON: NaN is not a JSON value\n"
                f"  at t.jsonl:1\n{SKIP}"
            ),
        ),
        (
            "t.jsonl",
            '"just text"\n',
            (
                "error[bad-row]: row 1 cannot be read: a string where a JSON object is expected\n"
                '  at t.jsonl:1\n  hint: write {"text": "..."} on each line, '
                "or use --input-format lines"
            ),
        ),
        (
            "t.json",
            '[{"a": 1}]\n',
            (
                "error[bad-row]: row 1 cannot be read: a list where a JSON object is expected\n"
                "  at t.json:1\n"
                "  hint: one object a line is needed; jq -c '.[]' FILE makes that of an array"
            ),
        ),
        (
            "t.json",
            '[\n{"a": 1}\n]\n',
            (
                "error[bad-row]: row 1 cannot be read: not JSON: Expecting value (character 3)\n"
                "  at t.json:1\n"
                "  hint: one object a line is needed; jq -c '.[]' FILE makes that of an array"
            ),
        ),
        (
            "t.json",
            '{\n  "a": 1\n}\n',
            (
                "error[bad-row]: row 1 cannot be read: not JSON: Expecting property name enclosed "
                "in double quotes (character 3)\n  at t.json:1\n"
                "  hint: one object a line is needed; jq -c . FILE puts each on its line"
            ),
        ),
        (
            "t",
            "no delimiter\n",
            (
                "error[unknown-format]: t does not show which format it has\n  at t\n"
                "  hint: say it with --input-format batch|chat|jsonl|tsv|csv|lines"
            ),
        ),
        (
            "t.csv.gz",
            gzip.compress(b"a,b\n" + random.Random(0).randbytes(4096).hex().encode())[:-2000],
            (
                "error[bad-compression]: the file cannot be unpacked: Compressed file ended before "
                "the end-of-stream marker was reached\n  at t.csv.gz"
            ),
        ),
    ],
)
def test_each_unusable_file_says_what_is_wrong(
    folder: Path, name: str, content: bytes | str, expected: str
) -> None:
    assert complaint(content, name) == expected


def test_depth_and_size_of_numbers_are_bad_rows_not_crashes(folder: Path) -> None:
    deep = '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}\n"
    huge = '{"a": ' + "9" * 10_000 + "}\n"
    rows = opened(f'{deep}{huge}{{"a": 1}}\n', "t.jsonl", "jsonl").rows(skip_bad=True)
    assert [row.number for row in rows] == [3]
    assert rows.bad == 2


def test_when_every_row_is_bad_the_first_reasons_are_given(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        list(opened("a,b\n1\n", "t.csv").rows(skip_bad=True))
    assert caught.value.render() == (
        "error[no-rows]: none of the file's 1 row can be used\n  at t.csv\n"
        f"error[bad-row]: row 1 cannot be read: 1 field where the header has 2\n"
        f"  at t.csv:2\n{SKIP}"
    )


def test_a_missing_file_names_its_neighbour(folder: Path) -> None:
    Path("tickets.csv").write_text("a\n1\n")
    with pytest.raises(InputError) as caught:
        open_workload(Path("ticket.csv"))
    assert caught.value.render() == (
        "error[no-such-file]: there is no such file\n  at ticket.csv\n"
        "  hint: did you mean tickets.csv?"
    )


def test_a_folder_is_not_a_file_of_lines(folder: Path) -> None:
    Path("rows").mkdir()
    Path("rows/a.csv").write_text("a\n1\n")
    with pytest.raises(InputError) as caught:
        open_workload(Path("rows"), format="csv")
    assert caught.value.render() == (
        "error[is-a-folder]: rows is a folder, not a file of rows\n  at rows"
    )


def test_a_pipe_cannot_be_read_twice(folder: Path) -> None:
    os.mkfifo("pipe")
    with pytest.raises(InputError) as caught:
        open_workload(Path("pipe"))
    assert caught.value.render() == (
        "error[not-a-file]: a workload is read more than once, so it must be a regular file\n"
        "  at pipe\n  hint: write the rows to a file first, or pipe them in (-)"
    )


def test_an_unknown_format_name_gets_suggestions(folder: Path) -> None:
    Path("t.csv").write_text("a\n1\n")
    with pytest.raises(InputError) as caught:
        open_workload(Path("t.csv"), format="json")
    assert caught.value.render() == (
        "error[unknown-input-format]: there is no input format json\n  hint: did you mean jsonl?"
    )


# --- rows that others wrote -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "format", "count"),
    [
        ("banking77.csv", "csv", 10_003),
        ("gsm8k_train.jsonl", "jsonl", 7_473),
        ("support_tickets.tsv", "tsv", 68),
        ("json_mode_chat.jsonl", "chat", 500),
        ("openai_batchinput.jsonl", "batch", 4),
    ],
)
def test_real_workloads_have_the_rows_they_are_said_to_have(
    shared_workloads: Path, name: str, format: str, count: int
) -> None:
    workload = open_workload(shared_workloads / name)
    rows = workload.rows()
    assert (workload.format, sum(1 for _ in rows)) == (format, count)
    assert rows.bytes_read == workload.bytes
