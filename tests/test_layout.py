"""Tables on a page: aligned where they fit, told row by row where a terminal is too narrow."""

from __future__ import annotations

import pytest

from planner.report.layout import MARGIN, Column, page, table, width_of

COLUMNS = (
    Column(title=""),
    Column(title="lane"),
    Column(title="cost", right=True),
    Column(title="what is to be said of it"),
)
ROWS = (
    (" ", "plain", "$1,234.56", "no word of this line may be lost on a narrow terminal"),
    (">", "heap", "$0.02", "-"),
)
WIDE = max(map(width_of, table(COLUMNS, ROWS)))


@pytest.mark.parametrize("width", [60, WIDE + MARGIN - 1])
def test_a_narrow_terminal_gets_every_cell_within_its_width(width: int) -> None:
    with page(width, tables=True):
        lines = table(COLUMNS, ROWS)
    told = " ".join(" ".join(lines).split())
    assert all(width_of(line) <= width - MARGIN for line in lines)
    assert told == (
        "lane plain; cost $1,234.56; what is to be said of it no word of this line may be lost on a"
        " narrow terminal > lane heap; cost $0.02"
    )


def test_what_fits_stays_a_table() -> None:
    with page(WIDE + MARGIN, tables=True):
        assert table(COLUMNS, ROWS)[1].split()[:2] == ["plain", "$1,234.56"]


def test_a_pipe_and_a_file_keep_their_tables() -> None:
    with page(60):
        assert max(map(width_of, table(COLUMNS, ROWS))) == WIDE
