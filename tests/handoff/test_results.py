"""Merging does not depend on the order of lines or files, nor on how often a line comes."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.handoff import build as builds
from planner.handoff import results
from planner.handoff.results import Lines, Row
from planner.handoff.usage import Usage
from planner.handoff.vendor import Counts, RowResult

if TYPE_CHECKING:
    from collections.abc import Sequence

NONCE = "0123456789ab"
OUTCOMES = ("succeeded", "errored", "expired", "canceled", "unknown")


def parse(line: bytes) -> RowResult:
    return RowResult(**json.loads(line))


def line(index: int, outcome: str = "succeeded", text: str = "a", nonce: str = NONCE) -> bytes:
    made = {"custom_id": f"{nonce}-{index}", "outcome": outcome, "text": text}
    return json.dumps(made, ensure_ascii=False).encode() + b"\n"


def read(folder: Path, files: Sequence[bytes], *, first: int = 0, rows: int = 8) -> Lines:
    paths = []
    for number, raw in enumerate(files):
        paths.append(folder / f"{number}.jsonl")
        paths[-1].write_bytes(raw)
    return Lines(nonce=NONCE, first=first, rows=rows, files=tuple(paths)).read(parse)


lines = st.builds(
    line,
    st.integers(0, 3) | st.integers(0, 9),
    st.sampled_from(["succeeded", "errored"]) | st.sampled_from(OUTCOMES),
    st.sampled_from(["a", "b", "line\u2028separator", "\x85"]),
)


@settings(max_examples=80)
@given(st.lists(lines, max_size=20), st.data())
def test_the_merge_does_not_depend_on_order_files_or_repetition(
    found: list[bytes], data: st.DataObject
) -> None:
    repeated = st.lists(st.sampled_from(found), max_size=5) if found else st.just([])
    again = data.draw(st.permutations(found + data.draw(repeated)))
    cut = data.draw(st.integers(0, len(again)))
    blank = data.draw(st.sampled_from([b"", b"\n", b"  \n"]))
    with tempfile.TemporaryDirectory() as folder:
        one = read(Path(folder), [b"".join(found)])
        expected = list(one.each(parse))
        other = read(Path(folder), [b"".join(again[:cut]) + blank, b"".join(again[cut:])])
        assert list(other.each(parse)) == expected
    assert [index for index, _ in expected] == list(range(8))
    for index, result in expected:
        mine = [each for each in map(parse, found) if each.custom_id == f"{NONCE}-{index}"]
        assert (result is None) == (not mine)
        if any(each.outcome == "succeeded" for each in mine):
            assert result is not None
            assert result.outcome == "succeeded"


def test_lines_of_others_and_lines_that_are_none_are_counted(tmp_path: Path) -> None:
    strange = [line(0), line(8), line(1, nonce="ba9876543210"), b"<html>\n", b'{"custom_id"']
    found = read(tmp_path, [b"".join(strange)])
    assert (found.seen, found.foreign, found.unreadable) == (1, 2, 2)


@pytest.mark.parametrize(
    ("custom_id", "index"),
    [
        (f"{NONCE}-0", 0),
        (f"{NONCE}-120000", 120_000),
        (f"{NONCE}-", None),
        (f"{NONCE}-x", None),
        (f"{NONCE}-\u0661", None),
        (f"x{NONCE}-1", None),
        ("1", None),
    ],
)
def test_an_id_is_ours_or_not(custom_id: str, index: int | None) -> None:
    assert results.index_of(custom_id, NONCE) == index


@pytest.mark.parametrize(
    ("there", "counts", "proof"),
    [
        ("ssssssss", None, "whole"),
        ("sssssss.", None, "unproved"),
        ("sssssss.", Counts(total=8, succeeded=8), "short"),
        ("sssssss.", Counts(total=8, succeeded=7, errored=1), "short"),
        ("sssssss.", Counts(total=8, succeeded=7, canceled=1), "whole"),
        ("sssssse.", Counts(total=8, succeeded=7, expired=1), "short"),
        ("sssssu..", Counts(total=8, succeeded=6, expired=2), "whole"),
        ("........", Counts(total=8, expired=8), "whole"),
    ],
)
def test_counts_prove_a_download_or_not(
    tmp_path: Path, there: str, counts: Counts | None, proof: str
) -> None:
    words = {"s": "succeeded", "e": "errored", "u": "unknown"}
    raw = b"".join(line(n, words[each]) for n, each in enumerate(there) if each != ".")
    assert results.prove(read(tmp_path, [raw]), counts) == proof


def test_lines_of_somebody_else_alone_are_foreign(tmp_path: Path) -> None:
    found = read(tmp_path, [line(0, nonce="ba9876543210")])
    assert results.prove(found, Counts(total=8, succeeded=8)) == "foreign"


# --- legs -------------------------------------------------------------------------------


def names(folder: Path, rows: int) -> Path:
    with (folder / builds.ROWS).open("w", encoding="utf-8") as stream:
        for n in range(rows):
            stream.write(json.dumps({"index": n, "row": n + 1, "key": f"k{n}"}) + "\n")
    return folder


def row(index: int, outcome: Any, text: str = "") -> Row:
    result = RowResult(custom_id=f"{NONCE}-{index}", outcome="succeeded", text=text)
    return Row(index=index, outcome=outcome, result=result if outcome == "succeeded" else None)


outcomes = st.sampled_from(["succeeded", "errored", "expired", "pending", "missing", "unsent"])
legs = st.lists(st.dictionaries(st.integers(0, 5), outcomes), max_size=3)


@settings(max_examples=80)
@given(legs)
def test_the_first_answer_counts_and_else_what_was_sent_last(found: list[dict[int, str]]) -> None:
    streams = [
        [row(n, leg[n], text=f"leg {number}") for n in sorted(leg)]
        for number, leg in enumerate(found)
    ]
    with tempfile.TemporaryDirectory() as folder:
        merged = list(results.merged(names(Path(folder), 6), streams))
    assert [each.key for each in merged] == [f"k{n}" for n in range(6)]
    for n, each in enumerate(merged):
        said = [(number, leg[n]) for number, leg in enumerate(found) if n in leg]
        answers = [number for number, outcome in said if outcome == "succeeded"]
        if answers:
            assert each.result is not None
            assert each.result.text == f"leg {answers[0]}"
        elif any(outcome == "pending" for _, outcome in said) or not said:
            assert each.outcome == "pending"
        else:
            assert each.outcome == said[-1][1]


# --- the file ---------------------------------------------------------------------------

TEXT = 'a, "quoted"\nline \u2028 ünd 中文'


def rows_to_write() -> list[Row]:
    answer = RowResult(
        custom_id="x",
        outcome="succeeded",
        text=TEXT,
        stop="end_turn",
        usage=Usage(input=3, output=5),
    )
    return [
        Row(index=0, outcome="succeeded", result=answer, row=1, key="one"),
        Row(index=1, outcome="errored", error="overloaded: 1,234 ms", row=2, key=17),
        Row(index=2, outcome="errored", error="overloaded: 99 ms", row=3, key="three"),
    ]


def test_a_file_says_the_same_as_jsonl_and_as_csv(tmp_path: Path) -> None:
    counted = results.Tally()
    results.write(rows_to_write(), tmp_path / "out" / "results.jsonl", counted)
    results.write(rows_to_write(), tmp_path / "out" / "results.csv", results.Tally(), form="csv")
    raw = (tmp_path / "out" / "results.jsonl").read_bytes().split(b"\n")
    first = json.loads(raw[0])
    assert (first["key"], first["text"], first["usage"]) == ("one", TEXT, {"input": 3, "output": 5})
    text = (tmp_path / "out" / "results.csv").read_bytes().decode()
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [each["key"] for each in table] == ["one", "17", "three"]
    assert (table[0]["text"], table[0]["output"], table[1]["text"]) == (TEXT, "5", "")
    assert not list((tmp_path / "out").glob("*.part"))


def test_rows_that_failed_alike_stand_together(tmp_path: Path) -> None:
    counted = results.write(rows_to_write(), tmp_path / "results.jsonl", results.Tally())
    (group,) = counted.groups
    assert (group.rows, group.error, group.first) == (2, "overloaded: # ms", 2)
    assert (counted.rows, counted.unfinished, counted.outcomes["succeeded"]) == (3, 2, 1)


def test_kinds_of_errors_are_kept_to_a_hundred() -> None:
    counted = results.Tally()
    for n in range(300):
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(n))
        counted.add(Row(index=n, outcome="errored", error=letters))
    assert len(counted.groups) == 101
    assert sum(each.rows for each in counted.groups) == 300
