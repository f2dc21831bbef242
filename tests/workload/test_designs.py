"""Row groups that are drawn, and rows in them: what they say of a whole table, and how well."""

from __future__ import annotations

import importlib
import json
import math
from random import Random
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import InputError
from planner.workload import counting, designs, readers
from planner.workload.counting import How
from planner.workload.designs import by_group
from planner.workload.draws import Draw, Drawer, Drawn, StoppedError
from planner.workload.encodings import encoding
from planner.workload.prompt import ReadyMade, Template
from planner.workload.tables import Table
from planner.workload.tokens import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from planner.workload.readers import Row
    from planner.workload.tables import Group

arrow: Any = pytest.importorskip("pyarrow", reason="the package pyarrow is not here")

ENCODING = "o200k_base"


class Known(Drawer):
    """Draws of rows whose tokens are known, so that thousands of samples take a second."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__(Template("{{ text }}"), [ENCODING])
        self._tokens = tokens

    def draw(self, row: Row, place: float) -> Draw:
        assert 0 <= place < 1
        shape = Shape(self._tokens[row.number - 1], 1, 0)
        return Draw(size=row.size, offset=row.offset, shapes=(shape,))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of some kilobytes are taken for large ones."""
    monkeypatch.setattr(designs, "READ_ANYWAY", 0)
    monkeypatch.setattr(designs, "FIRST_GROUPS", 8)
    monkeypatch.setattr(designs, "STREAM_POWERS", (6, 12))


def table(
    folder: Path, texts: Sequence[str | None], group: int, name: str = "t.parquet"
) -> readers.Workload:
    writer: Any = importlib.import_module("pyarrow.parquet")
    columns = {"text": texts, "note": ["x" * 50] * len(texts)}
    writer.write_table(arrow.table(columns), folder / name, row_group_size=group)
    return readers.open_workload(folder / name)


def uneven(rows: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Texts of very different lengths, and tokens that are not in proportion to those."""
    random = Random(seed)
    sizes = [1 + round(60 * random.lognormvariate(0, 1)) for _ in range(rows)]
    tokens = [max(1, round(size * random.uniform(0.1, 0.5))) for size in sizes]
    return ["".join(random.choices("abcdefgh", k=size)) for size in sizes], tokens


def text(drawn: Drawn) -> Any:
    return drawn.total(ENCODING, lambda shape: shape.text)


def clusters(drawn: Drawn) -> int:
    return len({(draw.offset - 1) // 10 for draw in drawn.draws})


# --- every row alike ----------------------------------------------------------------------


def test_every_row_stands_for_itself_on_average(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many seeds each row weighs one row, in large groups and small, first and last."""
    monkeypatch.setattr(designs, "FIRST_GROUPS", 16)
    random = Random(1)
    texts = ["ab" * random.randint(8, 30) for _ in range(72)]
    sizes = [2, 1, 1, 3, 1, 2, 1, 1, 4, 1, 2, 1, 1, 3, 1, 1, 2, 1, 5, 2] * 2
    path = tmp_path / "t.parquet"
    writer: Any = importlib.import_module("pyarrow.parquet")
    columns = arrow.table({"text": texts})
    with writer.ParquetWriter(path, columns.schema) as file:
        for size in sizes:
            file.write_table(columns.slice(0, size))
            columns = columns.slice(size)
    workload = readers.open_workload(path)
    seen: list[list[float]] = [[] for _ in texts]
    for seed in range(400):
        drawn = by_group(workload, Known([1] * 72), precision=9, seed=seed)
        weights = [0.0] * 72
        for draw, weight in zip(drawn.draws, drawn.sample.weights, strict=True):
            weights[draw.offset - 1] += weight
        assert sum(weights) == pytest.approx(72)
        for row, weight in zip(seen, weights, strict=True):
            row.append(weight)
    off = [abs(fmean(row) - 1) / (pstdev(row) / math.sqrt(len(row))) for row in seen]
    assert max(off) < 4.5, "of 72 normal deviates one in 2,000 would be beyond"


@pytest.mark.parametrize("order", ["as they come", "by length", "by ratio", "groups alike"])
def test_the_interval_holds_the_sum_of_all_rows(tmp_path: Path, order: str) -> None:
    """Nineteen of twenty are promised; of these sixty, at most eight may miss."""
    texts, tokens = uneven(2_000)
    places = list(range(2_000))
    if order == "by length":
        places.sort(key=lambda row: len(texts[row]))
    if order in ("by ratio", "groups alike"):
        places.sort(key=lambda row: tokens[row] / len(texts[row]))
    if order == "groups alike":
        groups = [places[start : start + 10] for start in range(0, 2_000, 10)]
        Random(2).shuffle(groups)
        places = [row for group in groups for row in group]
    workload = table(tmp_path, [texts[row] for row in places], 10)
    drawer, truth = Known([tokens[row] for row in places]), sum(tokens)
    found = [text(by_group(workload, drawer, seed=seed, precision=0.1)) for seed in range(60)]
    missed = sum(abs(each.value - truth) > each.half for each in found)
    assert missed <= 8
    assert all(each.relative <= 0.1 for each in found)
    assert fmean(each.value for each in found) == pytest.approx(truth, rel=0.02)


# --- what is read -------------------------------------------------------------------------


class Reading:
    """Notes which groups are read, and with which columns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups: list[int] = []
        self.columns: set[str] = set()
        known = Table.batches

        def batches(table: Table, group: Group, columns: Sequence[str]) -> Any:
            self.groups.append(group.number)
            self.columns.update(columns)
            return known(table, group, columns)

        monkeypatch.setattr(Table, "batches", batches)


def test_only_the_groups_that_were_drawn_are_read_and_of_them_one_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, tokens = uneven(2_000)
    workload = table(tmp_path, texts, 10)
    reading = Reading(monkeypatch)
    drawn = by_group(workload, Known(tokens), precision=0.5)
    assert len(reading.groups) == 8
    assert reading.groups == sorted(reading.groups)
    assert reading.columns == {"text"}
    assert {(draw.offset - 1) // 10 for draw in drawn.draws} == set(reading.groups)
    assert drawn.rows == 2_000


def test_a_finer_precision_reads_more_groups_and_keeps_those_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, tokens = uneven(3_000)
    workload = table(tmp_path, texts, 10)
    reading = Reading(monkeypatch)
    coarse = by_group(workload, Known(tokens), precision=0.5)
    reading.groups.clear()
    fine = by_group(workload, Known(tokens), precision=0.06)
    assert len(reading.groups) > 8
    assert text(fine).relative <= 0.06 < text(coarse).relative
    assert text(by_group(workload, Known(tokens), precision=0.06)) == text(fine)
    assert text(by_group(workload, Known(tokens), precision=0.06, seed=1)) != text(fine)


@pytest.mark.parametrize("group", [10, 2_000])
def test_of_few_groups_all_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    texts, tokens = uneven(160 if group == 10 else 2_000)
    workload = table(tmp_path, texts, group)
    reading = Reading(monkeypatch)
    drawn = by_group(workload, Known(tokens), precision=0.2)
    assert reading.groups == list(range(math.ceil(len(texts) / group)))
    assert abs(text(drawn).value - sum(tokens)) <= 2 * text(drawn).half


def test_where_groups_differ_too_much_all_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every group is of one kind, and no neighbour is like it."""
    texts = ["word " * 20] * 400
    kinds = Random(4).choices((5, 100), k=40)
    tokens = [kinds[row // 10] for row in range(400)]
    workload = table(tmp_path, texts, 10)
    reading = Reading(monkeypatch)
    drawn = by_group(workload, Known(tokens), precision=0.05)
    assert set(reading.groups) == set(range(40))
    assert text(drawn).value == pytest.approx(sum(tokens), rel=0.05)


# --- the whole way ------------------------------------------------------------------------


def test_a_table_and_its_lines_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted row by row they are equal; drawn, the interval holds that count."""
    texts = [f"{each} {n} and some words" for n, each in enumerate(uneven(1_500)[0])]
    workload = table(tmp_path, texts, 10)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": each}) + "\n" for each in texts))
    prompt = Template("Read: {{ text }}")
    lines = counting.count(readers.open_workload(path), prompt, [ENCODING], How())
    whole = counting.count(workload, prompt, [ENCODING], How(exact=True))
    assert whole.tallies[ENCODING].shapes == lines.tallies[ENCODING].shapes
    monkeypatch.setattr(counting, "SMALL_PACKED", 0)
    drawn = counting.count(workload, prompt, [ENCODING], How(precision=0.1)).drawn
    assert drawn is not None
    truth = sum(encoding(ENCODING).count(f"Read: {each}") for each in texts)
    assert abs(text(drawn).value - truth) <= 2 * text(drawn).half


def test_chats_in_nested_columns_are_drawn(tmp_path: Path) -> None:
    texts, _ = uneven(600)
    turns = [[{"role": "user", "content": each}] for each in texts]
    writer: Any = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "chats.parquet"
    writer.write_table(arrow.table({"messages": turns}), path, row_group_size=20)
    drawer = Drawer(ReadyMade(answers=True), [ENCODING])
    drawn = by_group(readers.open_workload(path), drawer, precision=0.1)
    truth = sum(map(encoding(ENCODING).count, texts))
    assert abs(text(drawn).value - truth) <= 2 * text(drawn).half


def test_a_bad_row_is_named_or_left_out(tmp_path: Path) -> None:
    texts: list[str | None] = list(uneven(1_000)[0])
    texts[500:510] = [" " * 300] * 10
    workload = table(tmp_path, texts, 1_000)
    drawer = Drawer(Template("{{ text }}"), [ENCODING])
    with pytest.raises(InputError, match=r"row 5\d\d makes no request: the prompt comes out empty"):
        by_group(workload, drawer, precision=0.02)
    drawn = by_group(workload, drawer, precision=0.02, skip_bad=True)
    assert 980 <= drawn.rows < 1_000
    assert drawn.problems[0].where == str(workload.path)


def test_stopped_early_the_estimate_stays(tmp_path: Path) -> None:
    texts, tokens = uneven(2_000)
    workload = table(tmp_path, texts, 10)

    def stop_after(calls: int) -> Drawn:
        left = iter(range(calls))

        def progress(rows: int, done: int) -> None:
            assert 0 < rows <= 2_000
            assert 0 < done <= workload.bytes
            if next(left, None) is None:
                raise StoppedError

        return by_group(workload, Known(tokens), precision=0.0001, progress=progress)

    assert stop_after(12).stopped
    assert not stop_after(10**6).stopped
    with pytest.raises(StoppedError):
        stop_after(3)
