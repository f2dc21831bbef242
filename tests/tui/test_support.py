"""The support table: what a filter leaves, what a row says, and how columns share a width."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import catalog
from planner.tui import support
from planner.tui.columns import Column, Grid
from planner.tui.digits import ROWS, large
from planner.tui.pieces import Piece, cells, plain
from tests.answers import NOW

if TYPE_CHECKING:
    from planner.catalog import Catalog

ON = NOW.date()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", "acme-tall acme-small bolt-one bolt-chat cast-wide"),
        ("acme", "acme-tall acme-small"),
        ("ACME small", "acme-small"),
        ("heap:yes", "acme-tall acme-small bolt-one"),
        ("heap:no", "bolt-chat"),
        ("heap:unknown", "cast-wide"),
        ("quick:unknown", "acme-small"),
        # Half typed: nothing flickers on the way to what is meant.
        ("he", "acme-tall acme-small bolt-one bolt-chat cast-wide"),
        ("heap:", "acme-tall acme-small bolt-one bolt-chat cast-wide"),
        ("heap:u", "cast-wide"),
        ("bolt heap:y", "bolt-one"),
        ("heap:maybe", ""),
        ("zebra", ""),
    ],
)
def test_filter(facts: Catalog, text: str, ids: str) -> None:
    found = support.filtered(support.shelf(facts, on=ON), text)
    assert [each.partition("/")[2] for each in found.grid.ids] == ids.split()
    assert bool(found.none) is not bool(ids)


def test_a_filter_counts_what_it_leaves(facts: Catalog) -> None:
    every = support.filtered(support.shelf(facts, on=ON), "")
    assert [plain(each) for each in every.counts] == [
        "5 of 5 models: 3 batch, 1 does not, 1 unknown",
        "5: 3 yes, 1 no, 1 unknown",
    ]


def test_nothing_found_names_what_is_near_and_the_age_of_the_catalog(facts: Catalog) -> None:
    found = support.filtered(support.shelf(facts, on=ON), "acme-tell")
    said = " ".join(plain(each.body) for each in found.none)
    assert "Did you mean acme-tall" in said
    assert "311 days ago" in said
    assert "--pricing" in said


def test_the_evidence_begins_with_the_batch_lane(facts: Catalog) -> None:
    told = support.evidence(support.shelf(facts, on=ON), "acme/acme-tall")
    assert plain(told[0].body) == "● yes  heap (the heap)"
    assert any("https://acme.example/prices" in plain(each.body) for each in told)


def test_a_vendor_without_a_batch_lane_is_among_the_unknown() -> None:
    shelf = support.shelf(catalog.load(), on=ON)
    without = [each for each in shelf.answers if support.batch_of(each, shelf.usual) is None]
    unknown = support.filtered(shelf, f"{shelf.usual}:unknown").grid.ids
    assert {support.key(each) for each in without} <= set(unknown)
    assert {each for each, state in shelf.states.items() if state == "unknown"} == set(unknown)


# --- columns ----------------------------------------------------------------------------

GRID = Grid(
    columns=(
        Column(title="name", wants=8, gives=4, tail=True),
        Column(title="note", rank=2),
        Column(title="cost", right=True),
        Column(title="read", rank=1),
    ),
    ids=("one", "two"),
    rows=tuple(
        tuple((Piece(text),) for text in row)
        for row in (("a-rather-long-name", "hm", "$1,140.00", "2026"), ("b", "", "$3", "2025"))
    ),
)


@given(width=st.integers(17, 60))
def test_money_is_whole_whatever_the_width(width: int) -> None:
    lines = [plain(GRID.line(n, width, cursor=False)) for n in range(2)]
    assert "$1,140.00" in lines[0]
    assert all(cells(GRID.line(n, width, cursor=True)) <= width for n in range(2))


def test_the_highest_rank_goes_first_and_a_name_keeps_its_end() -> None:
    assert plain(GRID.head(44)).split() == ["name", "note", "cost", "read"]
    assert plain(GRID.head(31)).split() == ["name", "cost", "read"]
    assert plain(GRID.head(22)).split() == ["name", "cost"]
    assert plain(GRID.line(0, 22, cursor=True)) == "› …ong-name  $1,140.00"  # noqa: RUF001 -- mark


# --- large figures ----------------------------------------------------------------------

AMOUNTS = st.from_regex(r"\A\$[0-9]{1,3}(,[0-9]{3}){0,3}\Z")


@given(one=AMOUNTS, other=AMOUNTS, width=st.integers(10, 120), height=st.integers(1, 30))
def test_two_figures_are_of_one_size_and_fit_or_are_plain(
    one: str, other: str, width: int, height: int
) -> None:
    drawn = large((one, other), width, height)
    if drawn == ((one,), (other,)):
        return
    assert len({len(each) for each in drawn}) == 1
    assert len(drawn[0]) in (ROWS, 2 * ROWS)
    assert len(drawn[0]) <= height
    assert all(len(line) <= width for each in drawn for line in each)


def test_every_digit_differs() -> None:
    assert len({large((each,), 6, ROWS) for each in "0123456789"}) == len("0123456789")


def test_an_id_that_is_cut_in_its_row_stands_whole_above(facts: Catalog) -> None:
    found = support.filtered(support.shelf(facts, on=ON), "")
    long = (found.grid.rows[0][0], (Piece("x" * 40),), *found.grid.rows[0][2:])
    longer = replace(found, grid=replace(found.grid, rows=(long,), wides=(), least=()))
    assert support.is_cut(longer, 0, 60)
    assert not support.is_cut(longer, 0, 200)
    assert not support.is_cut(found, 0, 60)
    for width in (48, 60, 120):
        line = plain(support.heading(found, 0, width, "acme/acme-tall"))
        assert line.endswith("acme/acme-tall")
        assert len(line) == width
    assert plain(support.heading(found, 0, 60)) == plain(found.counts[0])
    assert "2 ticked: p plans" in plain(support.heading(found, 2, 80))
