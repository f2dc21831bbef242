"""Laws of the pictures: everything fits, money is whole, what is asked about is marked."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import pipeline
from planner.money import dollars
from planner.tui.charts import CostTime, Histogram, LaneMap, _Scale
from planner.tui.desk import Desk
from planner.tui.pieces import HEAT, cells, plain
from planner.tui.session import Inputs
from planner.tui.table import table
from planner.workload.histogram import bins
from planner.workload.sizes import Sizes
from tests.answers import NOW
from tests.tui.frames import HOUR, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.catalog import Catalog
    from planner.pipeline import Estimate
    from planner.tui.charts import Picture

    Pictures = tuple[Picture, ...]


TWO = ("acme-tall", "bolt-one")


def estimated(facts: Catalog, deadline: float | None, *models: str) -> Estimate:
    job = figures(*(models or TWO), deadline=deadline)
    desk = Desk(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    counted = desk.measure(job, lambda rows, done: None)
    return desk.answer(counted, Inputs(deadline=deadline)).estimate


def pictures(facts: Catalog, deadline: float | None) -> Pictures:
    answer = estimated(facts, deadline)
    made = table(answer)
    grid = pipeline.maps(answer, "acme-tall")["acme-tall"]
    return (
        LaneMap(model="acme-tall", grid=grid, rows=12_480, deadline=deadline, confidence=0.95),
        CostTime(table=made, cursor=made.rows[0].id, named=True),
        Histogram(profile=answer.measured.profiles[0]),
    )


@pytest.fixture(scope="module")
def six_hours(facts: Catalog) -> Pictures:
    return pictures(facts, 6 * HOUR)


def text(picture: Picture, width: int, height: int) -> list[str]:
    return [plain(line) for line in picture.lines(width, height)]


@pytest.mark.parametrize("deadline", [None, 0.5 * HOUR, 6 * HOUR])
def test_no_line_is_wider_than_the_room(facts: Catalog, deadline: float | None) -> None:
    for picture in pictures(facts, deadline):
        for width in range(40, 220, 7):
            for line in picture.lines(width, picture.height(width)):
                assert cells(line) <= width


def test_a_map_names_each_winner_and_marks_what_was_asked(six_hours: Pictures) -> None:
    lanes, _, _ = six_hours
    assert isinstance(lanes, LaneMap)
    lines = text(lanes, 120, 12)
    assert [line for line in lines if "[" in line and "you are here" not in line] == [
        next(line for line in lines if line.lstrip().startswith("12.5k"))
    ]
    assert "P plain" in lines[-1]
    assert "R heap>plain" in lines[-1]
    assert "H heap" in lines[-1]


def test_a_map_says_nothing_meets_only_where_that_is_known(facts: Catalog) -> None:
    answer = estimated(facts, 6 * HOUR, "bolt-one", "acme-small")
    for model, said, unsaid in (
        ("bolt-one", "? nothing is known to meet", "nothing meets"),
        ("acme-small", "· nothing meets", "known to meet"),
    ):
        grid = pipeline.maps(answer, model)[model]
        lanes = LaneMap(model=model, grid=grid, rows=12_480, deadline=None, confidence=0.95)
        *body, legend = text(lanes, 200, 12)
        assert said in legend
        assert unsaid not in legend
        empty = sum(cell.chosen is None for line in grid for cell in line)
        assert sum(line.split().count(said[0]) for line in body) == empty > 0


def test_a_map_that_loses_columns_keeps_the_one_that_was_asked(six_hours: Pictures) -> None:
    lanes, _, _ = six_hours
    for width in (30, 40, 60, 80, 100):
        head = text(lanes, width, 12)[1].split()
        assert "6h" in head
        assert len(head) - 1 <= width // 10


def test_every_amount_of_a_map_is_whole(six_hours: Pictures) -> None:
    lanes, _, _ = six_hours
    assert isinstance(lanes, LaneMap)
    known_amounts = {
        dollars(cell.chosen.cost.expected)
        for line in lanes.grid
        for cell in line
        if cell.chosen is not None and cell.chosen.cost is not None
    }
    for width in (50, 80, 140):
        said = [word for line in text(lanes, width, 40)[2:] for word in line.split()]
        amounts = {word.strip("[]") for word in said if word.startswith("$")}
        assert amounts <= known_amounts
        assert amounts


def test_shades_go_from_blue_to_yellow_with_the_deadline(six_hours: Pictures) -> None:
    lanes, _, _ = six_hours
    row = lanes.lines(200, 12)[6]
    shades = [HEAT.index(piece.tone) for piece in row if piece.tone in HEAT]
    assert shades == sorted(shades)
    assert len(set(shades)) > 1


def test_a_map_grows_with_its_room(six_hours: Pictures) -> None:
    lanes, _, _ = six_hours
    low, high = (len(lanes.lines(120, height)) for height in (12, 22))
    assert high > low


def test_every_option_that_is_known_stands_in_the_chart(six_hours: Pictures) -> None:
    _, chart, _ = six_hours
    assert isinstance(chart, CostTime)
    lines = text(chart, 100, 20)
    plot = "".join(line[8:] for line in lines[1:-4])
    shown = [row for row in chart.table.rows if row.late is not None and row.cost and row.able]
    assert shown
    for row in shown:
        assert row.letter in plot
    assert any(line.startswith(" acme-tall: a heap $56.91") for line in lines)


def test_cheaper_is_lower_and_later_is_further_right(six_hours: Pictures) -> None:
    _, chart, _ = six_hours
    assert isinstance(chart, CostTime)
    lines = text(chart, 100, 24)
    places = {
        row.letter: next(
            (x, y)
            for y, line in enumerate(lines[1:])
            for x, each in enumerate(line)
            if each == row.letter and x > 8
        )
        for row in chart.table.rows
        if row.late is not None and row.able and row.model == "acme-tall"
    }
    assert places["c"][1] < places["a"][1], "plain is dearer than heap"
    assert places["c"][0] < places["a"][0], "plain is done sooner than heap"


@given(st.lists(st.decimals("0.0001", "9999999", places=4), min_size=1, max_size=6))
def test_a_scale_holds_every_amount_in_order(amounts: list[Decimal]) -> None:
    scale = _Scale.of(amounts)
    places = [scale.place(each, 20) for each in sorted(amounts)]
    assert all(0 <= place <= 19 for place in places)
    assert places == sorted(places, reverse=True)
    assert scale.ticks()


def test_an_amount_of_nothing_stands_at_the_bottom() -> None:
    assert _Scale.of([Decimal(0), Decimal(5)]).place(Decimal(0), 10) == 9
    assert _Scale.of([Decimal(20), Decimal(20)]).ticks()


SIZES = st.dictionaries(st.integers(0, 10**6), st.integers(1, 1000), min_size=1, max_size=40)


@given(SIZES, st.integers(1, 12))
def test_bins_hold_every_row_once(histogram: dict[int, int], most: int) -> None:
    sizes = Sizes.of(histogram)
    found = bins(sizes, most)
    assert 1 <= len(found) <= most
    assert abs(sum(each.rows for each in found) - 1) < 1e-9
    assert abs(sum(each.tokens for each in found) - (1 if sum(histogram) else 0)) < 1e-9
    assert found[0].low <= min(histogram)
    assert found[-1].high == max(histogram)
    neighbours: Sequence[tuple[int, int]] = [
        (one.high, other.low) for one, other in itertools.pairwise(found)
    ]
    assert all(low == high + 1 for high, low in neighbours)


def test_no_rows_have_no_bins() -> None:
    assert bins(Sizes(values=(), counts=()), 8) == ()
