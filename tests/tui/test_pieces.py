"""Laws of toned text: nothing is lost in folding, nothing is wider than its room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.report.layout import width_of
from planner.tui.pieces import (
    ELLIPSIS,
    Paragraph,
    Piece,
    Tone,
    between,
    cells,
    cut,
    fitting,
    folded,
    paragraph,
    plain,
)

WORDS = st.text(st.sampled_from("abcß漢%$.,0123é "), max_size=60)
LINES = st.lists(st.builds(Piece, WORDS, st.sampled_from(Tone)), max_size=5).map(tuple)
WIDTHS = st.integers(2, 50)


@given(LINES, WIDTHS)
def test_folding_keeps_every_letter_and_tone(line: tuple[Piece, ...], width: int) -> None:
    rows = folded([Paragraph(body=line)], width)
    found = [(letter, piece.tone) for row in rows for piece in row for letter in piece.text]
    wanted = [(letter, piece.tone) for piece in line for letter in piece.text]
    assert [each for each in found if each[0] != " "] == [each for each in wanted if each[0] != " "]


@given(LINES, WIDTHS, st.sampled_from(["", "- ", "hint: "]))
def test_folded_lines_fit(line: tuple[Piece, ...], width: int, mark: str) -> None:
    rows = folded([Paragraph(body=line, mark=Piece(mark))], width)
    assert all(cells(row) <= width for row in rows)
    assert rows, "a blank paragraph is a blank line"


def test_later_lines_stand_under_the_text_of_the_first() -> None:
    rows = folded([paragraph("one two three", mark="· ")], 9)
    assert [plain(row) for row in rows] == ["· one two", "  three"]


def test_a_share_is_not_parted_from_its_sign() -> None:
    assert [plain(row) for row in folded([paragraph("is at 95 % now")], 9)] == ["is at", "95 % now"]


def test_control_characters_of_a_file_are_escaped() -> None:
    rows = folded([paragraph("a\x1b[31mred\nb")], 40)
    assert [plain(row) for row in rows] == ["a\\x1b[31mred\\nb"]


@given(LINES, st.integers(0, 60))
def test_cut_fits_and_says_so(line: tuple[Piece, ...], width: int) -> None:
    short = cut(line, width)
    assert cells(short) <= width
    if cells(line) <= width:
        assert short == line
    elif width:
        assert plain(short).endswith(ELLIPSIS)


@given(WORDS, WORDS, st.integers(1, 80))
def test_both_ends_share_a_line_and_the_left_gives_way(left: str, right: str, width: int) -> None:
    line = between((Piece(left),), (Piece(right),) if right else (), width)
    if width_of(right) < width:
        assert cells(line) == width
        assert plain(line).endswith(right)
    else:
        assert cells(line) <= width


@pytest.mark.parametrize(
    ("width", "text"), [(9, "long word"), (8, "word"), (4, "word"), (3, "wo…")]
)
def test_the_longest_wording_that_fits(width: int, text: str) -> None:
    variants = ((Piece("long word"),), (Piece("word"),))
    assert plain(fitting(variants, width)) == text
