"""Rows that stall, break or fool other counters: each is counted, or refused with its number."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog, pipeline
from planner.errors import InputError
from planner.job import Job, Text

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
