"""Rows that stall, break or fool other counters: each is counted, or refused with its number."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog, pipeline
from planner.errors import InputError
from planner.job import Job, Text
from planner.workload import counting

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.pipeline import Measured


@pytest.fixture(scope="module")
def facts() -> Catalog:
    return catalog.load()


def line(content: object, **asked: object) -> str:
    body = {"messages": [{"role": "user", "content": content}], **asked}
    return json.dumps({"custom_id": "1", "body": body})


def measured(facts: Catalog, folder: Path, row: str, *models: str, **how: Any) -> Measured:
    path = folder / "rows.jsonl"
    path.write_text(f"{line('hi')}\n{row}\n", encoding="utf-8")
    job = Job(workload=path, input_format="batch", models=models or ("gpt-5.5",), **how)
    return pipeline.measure(facts, job)


def tokens(found: Measured) -> list[int]:
    return [profile.input.value for profile in found.profiles]


@pytest.mark.parametrize(
    ("content", "least"),
    [
        (" " * 1_000_000, 1_000),
        ("a" * 1_000_000, 100_000),
        ("\n" * 1_000_000, 10_000),
        ("7" * 1_000_000, 333_000),
        ("<|endoftext|><|im_start|>" * 100, 800),
        ("\u7684" * 100_000, 50_000),
        ("\u200d" * 100_000, 50_000),
        ("x\ud800y", 1),
        ("a\0b", 1),
        ("word " * 1_000_000, 1_000_000),
    ],
    ids=[
        "spaces",
        "one word",
        "newlines",
        "digits",
        "special",
        "han",
        "joiners",
        "half",
        "nul",
        "long",
    ],
)
def test_hard_text_is_counted(facts: Catalog, tmp_path: Path, content: str, least: int) -> None:
    (count,) = tokens(measured(facts, tmp_path, line(content)))
    assert count >= least


# --- in a larger file, drawn from by offset and counted whole ------------------------------

PROSE = "Nobody has answered my letter on the order that was lost in transit last week. "
MIDDLE = 300


def large(folder: Path, row: bytes, name: str = "large.jsonl") -> Path:
    """Six hundred rows of prose with one that is none of the kind among them."""
    path = folder / name
    rows = [json.dumps({"t": f"{n} {PROSE * (1 + n % 9)}"}).encode() for n in range(2 * MIDDLE)]
    path.write_bytes(b"\n".join((*rows[:MIDDLE], row, *rows[MIDDLE:])) + b"\n")
    return path


def table(folder: Path, *lines: bytes) -> Path:
    """The same as CSV, where a cell may hold newlines."""
    path = folder / "large.csv"
    rows = [f'{n},"{PROSE * (1 + n % 9)}"'.encode() for n in range(2 * MIDDLE)]
    path.write_bytes(b"\n".join((b"n,t", *rows[:MIDDLE], *lines, *rows[MIDDLE:])) + b"\n")
    return path


def both_ways(facts: Catalog, path: Path, **how: Any) -> tuple[Measured, Measured]:
    """What draws of the rows say, and what counting every row says."""
    job = Job(workload=path, models=("gpt-5.5", "claude-haiku-5-5"), **how)
    template = Text(text="{{ t }}", name="--prompt")
    made = [
        pipeline.measure(facts, replace(job, prompt=template, exact=exact))
        for exact in (False, True)
    ]
    drawn, counted = made
    assert [each.profiles[0].method for each in made] == ["sampled", "counted"]
    return drawn, counted


@pytest.fixture
def _drawn_from_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few hundred kilobytes is large."""
    monkeypatch.setattr(counting, "SMALL", 50_000)


def row_of(text: str, *, ascii: bool = True) -> bytes:
    return json.dumps({"t": text}, ensure_ascii=ascii).encode("utf-8", "surrogatepass")


@pytest.mark.usefixtures("_drawn_from_early")
@pytest.mark.parametrize(
    "row",
    [
        row_of(" " * 1_000_000 + "x"),
        row_of("a" * 1_000_000),
        row_of("=-" * 500_000),
        row_of("word " * 4_000_000),
        row_of("<|endoftext|><|im_start|>" * 20_000),
        row_of("x\ud83d " * 50_000),
        row_of("a\0b" * 50_000),
        row_of("\u7684" * 200_000, ascii=False),
        row_of("e" + "\u0301" * 200_000, ascii=False),
        json.dumps({"t": "x", **{f"k{n}": 1 for n in range(50_000)}}).encode(),
    ],
    ids=[
        "spaces",
        "one word",
        "signs",
        "20 MB",
        "special",
        "half pairs",
        "nul",
        "han",
        "accents",
        "keys",
    ],
)
def test_hard_rows_of_a_large_file_are_counted(facts: Catalog, tmp_path: Path, row: bytes) -> None:
    drawn, counted = both_ways(facts, large(tmp_path, row))
    assert counted.rows == 2 * MIDDLE + 1
    for sampled, exact in zip(drawn.profiles, counted.profiles, strict=True):
        spread = sampled.input.high - sampled.input.low
        # Text that can only be cut inside a token gets some tokens more from every cut.
        slack = exact.input.value // 20
        assert abs(sampled.input.value - exact.input.value) <= max(spread, slack)


# Draws meet most bytes and not every row, so what is refused here is not small either.


@pytest.mark.usefixtures("_drawn_from_early")
@pytest.mark.parametrize("exact", [False, True], ids=["drawn", "counted"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        (row_of(" " * 1_000_000), "makes no request: the prompt comes out empty"),
        (b'{"t": "' + b"a \xed\xa0\x80 " * 50_000 + b'"}', "cannot be read: byte"),
        (b"\0" * 200_000, "cannot be read: byte"),
        (b"[" * 100_000, "cannot be read: not JSON"),
        (b'{"t":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, "cannot be read: not JSON"),
        (b'{"t": "' + b"y" * 1_000_000, "cannot be read: not JSON"),
        (b'{"t": "x", "n": ' + b"9" * 100_000 + b"}", "cannot be read: not JSON"),
    ],
    ids=["spaces", "not UTF-8", "nul", "brackets", "deep", "unclosed", "long number"],
)
def test_hard_rows_of_a_large_file_are_refused_with_their_number(
    facts: Catalog, tmp_path: Path, row: bytes, said: str, *, exact: bool
) -> None:
    path = large(tmp_path, row)
    template = Text(text="{{ t }}", name="--prompt")
    job = Job(workload=path, models=("gpt-5.5",), prompt=template, exact=exact)
    with pytest.raises(InputError) as caught:
        pipeline.measure(facts, job)
    problem = caught.value.problems[0]
    assert problem.message.startswith(f"row {MIDDLE + 1} {said}")
    assert problem.where == f"{path}:{MIDDLE + 1}"
    left_out = pipeline.measure(facts, replace(job, skip_bad_rows=True))
    assert left_out.workload is not None
    assert (left_out.workload.rows, left_out.workload.bad_rows) == (2 * MIDDLE, 1)


@pytest.mark.usefixtures("_drawn_from_early")
@pytest.mark.parametrize("exact", [False, True], ids=["drawn", "counted"])
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((b",".join([b"1"] * 200_000),), "cannot be read: 200,000 fields where the header has 2"),
        ((b'7,"never closed',), "cannot be read: "),
        ((b'7,"' + b"x\n" * 300_000 + b'"',), "cannot be read: a quote is not closed within"),
        ((b'7,"' + b"a\0b" * 50_000 + b'"',), "cannot be read: byte"),
    ],
    ids=["200k fields", "open quote", "300k lines", "nul"],
)
def test_hard_rows_of_a_table_are_refused_with_their_number(
    facts: Catalog, tmp_path: Path, lines: tuple[bytes, ...], said: str, *, exact: bool
) -> None:
    template = Text(text="{{ t }}", name="--prompt")
    job = Job(workload=table(tmp_path, *lines), models=("gpt-5.5",), prompt=template, exact=exact)
    with pytest.raises(InputError) as caught:
        pipeline.measure(facts, job)
    problem = caught.value.problems[0]
    assert problem.message.startswith(f"row {MIDDLE + 1} {said}")


def test_a_table_of_200_000_columns(facts: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = ",".join(f"c{n}" for n in range(200_000))
    ones = ",".join(["1"] * 200_000)
    path.write_text(f"t,{names}\n" + f"hello,{ones}\n" * 3)
    for exact in (False, True):
        template = Text(text="{{ t }} {{ c199999 }}", name="--prompt")
        job = Job(workload=path, models=("gpt-5.5",), prompt=template, exact=exact)
        found = pipeline.measure(facts, job)
        assert found.rows == 3
    wrong = Text(text="{{ tt }}", name="--prompt")
    with pytest.raises(InputError, match="no such column"):
        pipeline.measure(facts, Job(workload=path, models=("gpt-5.5",), prompt=wrong))


def test_what_is_said_of_a_huge_name_can_be_read(facts: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("x" * 5_000_000 + "\nhello\n")
    template = Text(text="{{ t }}", name="--prompt")
    with pytest.raises(InputError) as caught:
        pipeline.measure(facts, Job(workload=path, models=("gpt-5.5",), prompt=template))
    assert len(caught.value.render()) < 2000
    assert "(5,000,0" in caught.value.render()


def nested(levels: int) -> object:
    inner: object = {"type": "string"}
    for _ in range(levels):
        inner = {"type": "object", "properties": {"a": inner}}
    return inner


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": [{"type": "function", "function": {"name": "n", "parameters": nested(200)}}]},
        {"tools": "text"},
        {"tools": 5},
        {"tools": [1, None, {}]},
        {"response_format": {"json_schema": {"schema": nested(200)}}},
        {"response_format": {"json_schema": {"schema": {"type": 7, "enum": 3}}}},
    ],
)
def test_odd_definitions_are_counted(facts: Catalog, tmp_path: Path, asked: Any) -> None:
    bare, with_asked = (
        sum(tokens(measured(facts, tmp_path, row))) for row in (line("a"), line("a", **asked))
    )
    assert with_asked > bare


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"custom_id": "1", "body": ' + "[" * 100_000, "row 2 cannot be read: not JSON"),
        ('{"custom_id": "1", "body": {"messages": null}}', "row 2 makes no request"),
        (line([{"type": "input_audio"}]), "row 2 makes no request: a part of type input_audio"),
        (line([{"type": "image_url"}]), "row 2 makes no request: gpt-5.5: a picture's size"),
        (
            line([{"type": "document", "source": {"type": "file"}}]),
            "row 2 makes no request: gpt-5.5: how its vendor counts PDF pages is not known",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused_with_its_number(
    facts: Catalog, tmp_path: Path, row: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        measured(facts, tmp_path, row)
    (problem,) = caught.value.problems
    assert problem.message.startswith(said)
    assert problem.where is not None
    assert problem.where.endswith(":2")
    left_out = measured(facts, tmp_path, row, skip_bad_rows=True)
    assert left_out.workload is not None
    assert (left_out.workload.rows, left_out.workload.bad_rows) == (1, 1)


def test_a_picture_costs_what_each_vendor_counts_for_it(facts: Catalog, tmp_path: Path) -> None:
    header = struct.pack(">I4sII", 13, b"IHDR", 1024, 1024)
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + header).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    models = ("gpt-5.5", "gpt-4o", "claude-sonnet-5-5")
    without = tokens(measured(facts, tmp_path, line([]), *models))
    found = measured(facts, tmp_path, line([picture]), *models)
    added = [with_it - bare for with_it, bare in zip(tokens(found), without, strict=True)]
    assert added == [1229, 765, 1369]
    assert all(any("formula" in said for said in each.said) for each in found.profiles)


def test_a_model_that_cannot_count_it_is_named(facts: Catalog, tmp_path: Path) -> None:
    row = line([{"type": "image_url", "size": "10x10"}])
    with pytest.raises(InputError, match="how its vendor counts pictures"):
        measured(facts, tmp_path, row, "gpt-5.5", "gpt-5.6-sol")


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-sonnet-5-5"])
def test_a_shared_block_raises_the_input_by_rows_times_block(
    facts: Catalog, tmp_path: Path, model: str
) -> None:
    block = "Answer from the catalog below, and say which line you took it from. " * 200
    rows = 40
    (tmp_path / "rows.csv").write_text("t\n" + "".join(f"question {n}?\n" for n in range(rows)))
    sizes, shared = [], []
    for prompt in ("{{ t }}", block + "{{ t }}"):
        stated = Text(text=prompt, name="--prompt")
        job = Job(workload=tmp_path / "rows.csv", prompt=stated, models=(model,))
        (profile,) = pipeline.measure(facts, job).profiles
        sizes.append(profile.input.value)
        shared.append(profile.shared_prefix)
    per_row = (sizes[1] - sizes[0]) / rows
    assert shared[1] == pytest.approx(per_row, rel=0.01)
    assert per_row > 2000
