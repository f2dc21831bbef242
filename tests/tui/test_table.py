"""The matrix in every width: what decides is never lost, and money is never clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import pipeline
from planner.tui.pieces import cells, plain
from planner.tui.table import (
    CURSOR,
    LEFT_OUT_FIRST,
    Group,
    Key,
    Row,
    Table,
    group_line,
    head_line,
    layout,
    row_line,
    table,
)
from tests.answers import NOW
from tests.tui.frames import figures

if TYPE_CHECKING:
    from planner.catalog import Catalog

DECIDING = {Key.LANE, Key.COST, Key.BY, Key.P, Key.VERDICT}


@pytest.fixture(scope="session")
def tables(facts: Catalog) -> list[Table]:
    jobs = [figures(), figures(deadline=None), figures(rows=10**9), figures(rows=1, deadline=60.0)]
    return [
        table(pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)) for job in jobs
    ]


@given(st.data())
def test_money_is_whole_in_every_width(tables: list[Table], data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(tables))
    width = data.draw(st.integers(60, 220))
    laid = layout(made, width)
    row = data.draw(st.sampled_from(made.rows))
    line = plain(row_line(made, laid, row, cursor=False))
    assert row.cells[Key.COST] in line
    assert row.mark in line
    if Key.RANGE in dict(laid.columns):
        assert row.cells[Key.RANGE] in line


@given(st.data())
def test_every_line_fits(tables: list[Table], data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(tables))
    width = data.draw(st.integers(60, 220))
    laid = layout(made, width)
    assert cells(head_line(made, laid)) <= width
    for line in made.lines:
        drawn = (
            group_line(made, laid, line, width)
            if isinstance(line, Group)
            else row_line(made, laid, line, cursor=True)
        )
        assert cells(drawn) <= width


@given(st.data())
def test_columns_go_in_their_order_and_the_deciding_ones_never(
    tables: list[Table], data: st.DataObject
) -> None:
    made = data.draw(st.sampled_from(tables))
    width = data.draw(st.integers(60, 220))
    shown = set(dict(layout(made, width).columns))
    all_of_it = set(dict(layout(made, 400).columns))
    assert shown >= DECIDING & all_of_it
    lost = [key for key in LEFT_OUT_FIRST if key in all_of_it and key not in shown]
    candidates = [key for key in LEFT_OUT_FIRST if key in all_of_it]
    assert lost == candidates[: len(lost)]


def test_the_cursor_changes_its_mark_alone(tables: list[Table]) -> None:
    laid = layout(tables[0], 80)
    for row in tables[0].rows:
        there = plain(row_line(tables[0], laid, row, cursor=True))
        away = plain(row_line(tables[0], laid, row, cursor=False))
        assert there == CURSOR + away[1:]


def test_lanes_stand_by_cost_inside_their_model_and_models_as_asked(facts: Catalog) -> None:
    job = figures("bolt-one", "acme-tall")
    estimate = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)
    made = table(estimate)
    assert [line.model for line in made.lines if isinstance(line, Group)] == list(job.models)
    for model in job.models:
        costs = [
            option.cost.expected
            for row in made.rows
            if row.model == model and (option := estimate.option(row.id)).cost is not None
        ]
        assert costs == sorted(costs)
        assert costs


def test_every_option_has_a_row_and_one_choice_a_model(facts: Catalog) -> None:
    job = figures("bolt-one", "acme-tall", "acme-small")
    estimate = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)
    made = table(estimate)
    assert {row.id for row in made.rows} == {each.id for each in estimate.decision.options}
    chosen = {row.id for row in made.rows if row.chosen}
    assert chosen == {each.choice for each in estimate.decision.models} - {None}


def test_a_lane_that_cannot_run_says_why_in_place_of_its_range(facts: Catalog) -> None:
    job = figures("bolt-chat")
    made = table(pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW))
    remarks = {row.id: row.remark for row in made.rows}
    assert remarks == {"bolt-chat/plain": "finish not known", "bolt-chat/heap": "unsupported"}
    assert all(isinstance(row, Row) for row in made.rows)
