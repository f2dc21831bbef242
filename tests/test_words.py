"""Figures in words: rounding goes the harmless way, and every step has its pair of neighbours."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.results import Row, Tally
from planner.report.handoff import outcomes
from planner.words import compact, counted, duration, least, percent, plural, portion

HERE = Path(__file__).parent
SHOWN = (*HERE.glob("*/golden/*"), *(HERE.parent / "docs").glob("*.md"), HERE.parent / "README.md")
"""Everything that the program is shown to print."""

times = st.floats(0, 400 * 86400, allow_nan=False)

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def read(text: str) -> int:
    """Seconds of a duration in words."""
    days = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m?)?(?:(\d+)s)?", text)
    if text.endswith("s"):
        return int(text[:-1])
    assert days, text
    parts = [int(each or 0) for each in days.groups()]
    return parts[0] * 86400 + parts[1] * 3600 + parts[2] * 60


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (0.2, "1s"),
        (8, "8s"),
        (119, "119s"),
        (119.01, "2m"),
        (120, "2m"),
        (120.01, "3m"),
        (180, "3m"),
        (1344.7, "23m"),
        (119 * 60, "119m"),
        (119 * 60 + 1, "2h"),
        (7200, "2h"),
        (7201, "2h01"),
        (4 * 3600 + 600, "4h10"),
        (29206.4, "8h07"),
        (48 * 3600 - 60, "47h59"),
        (48 * 3600 - 59, "2d"),
        (48 * 3600, "2d"),
        (48 * 3600 + 1, "2d01h"),
        (3 * 86400 + 4 * 3600, "3d04h"),
        (3 * 86400 + 23 * 3600 + 1, "4d"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(times)
def test_a_duration_is_never_shown_shorter_and_hardly_longer(seconds: float) -> None:
    shown = read(duration(seconds))
    assert shown >= seconds
    unit = 1 if shown < 120 else 60 if shown < 2 * 86400 else 3600
    assert shown - seconds <= unit + (60 if unit == 3600 else 0)


@given(times, times)
def test_durations_keep_their_order(one: float, other: float) -> None:
    assert read(duration(min(one, other))) <= read(duration(max(one, other)))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (1e-12, "<1 %"),
        (0.0099, "<1 %"),
        (0.01, "1 %"),
        (0.29, "29 %"),
        (0.57, "57 %"),
        (0.94929, "94 %"),
        (0.95, "95 %"),
        (0.9899, "98 %"),
        (0.99, "99 %"),
        (0.990001, ">99 %"),
        (1, ">99 %"),
    ],
)
def test_shares(share: float, words: str) -> None:
    assert percent(share) == words


@given(st.integers(1, 99))
def test_every_whole_percent_is_shown_as_itself(whole: int) -> None:
    assert percent(whole / 100) == f"{whole} %"


@given(st.floats(0, 1))
def test_a_share_is_never_a_certainty_and_never_rounded_up(share: float) -> None:
    shown = percent(share)
    assert "100" not in shown
    if share >= 0.01:
        assert int(shown.removeprefix(">").removesuffix(" %")) / 100 <= share + 1e-9


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (999, "999"),
        (8400, "8,400"),
        (9999, "9,999"),
        (10_000, "10.0k"),
        (12_480, "12.5k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (3_400_000, "3.40M"),
        (9_994_999, "9.99M"),
        (9_995_000, "10.0M"),
        (999_499_999, "999M"),
        (999_500_000, "1.00B"),
        (1_234_567_890_123, "1230B"),
    ],
)
def test_counts(count: int, words: str) -> None:
    assert compact(count) == words


@given(st.integers(10_000, 999_499_999_999))
def test_large_counts_show_three_digits_near_the_count(count: int) -> None:
    shown = compact(count)
    value = float(shown[:-1]) * {"k": 10**3, "M": 10**6, "B": 10**9}[shown[-1]]
    assert len(shown[:-1].replace(".", "")) == 3
    assert abs(value - count) <= count * 0.00501


@pytest.mark.parametrize(("count", "said"), [(1, "1 row, the first"), (2, "2 rows, the first")])
def test_one_row_that_failed_is_one_row(count: int, said: str) -> None:
    found = Tally()
    for index in range(count):
        found.add(Row(index=index, outcome="expired", row=index + 1))
    (line,) = outcomes(found)
    assert said in line


# --- counts and shares ------------------------------------------------------------------

NOUNS = (
    "row model request batch file job shard answer call wave retry day month field change source "
    "vendor piece place line token run thing"
).split()
ONE_OF_MANY = re.compile(rf"(?<![\d,.])1 (?:{'|'.join(map(plural, NOUNS))})\b")


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (7473, "row", "7,473 rows"),
        (2, "batch", "2 batches"),
        (2, "retry", "2 retries"),
        (2, "day", "2 days"),
        (1, "unreadable row", "1 unreadable row"),
    ],
)
def test_a_count_and_its_noun(count: int, noun: str, words: str) -> None:
    assert counted(count, noun) == words


@pytest.mark.parametrize("file", SHOWN, ids=lambda each: each.name)
def test_one_is_one(file: Path) -> None:
    assert ONE_OF_MANY.findall(file.read_text(encoding="utf-8")) == []


def test_one_of_many_is_found() -> None:
    assert ONE_OF_MANY.findall("sending 1 rows in 1 batches, 11 rows, 1,001 rows, 1 row") == [
        "1 rows",
        "1 batches",
    ]


@pytest.mark.parametrize("file", sorted(HERE.glob("*/golden/*.txt")), ids=lambda each: each.name)
def test_every_share_keeps_its_space(file: Path) -> None:
    assert re.findall(r"\d%", file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (0.01, "1 %"),
        (0.0419, "4.2 %"),
        (0.5, "50 %"),
        (Fraction(1, 3), "33.3 %"),
        (Decimal("0.999"), "99.9 %"),
        (1, "100 %"),
        (12.5, "1,250 %"),
        (-0.2, "-20 %"),
        (-0.0004, "0 %"),
    ],
)
def test_shares_that_were_counted(share: float | Fraction | Decimal, words: str) -> None:
    assert portion(share) == words


def test_a_difference_has_a_sign() -> None:
    assert [portion(each, signed=True) for each in (0.005, 0.0, -0.005)] == [
        "+0.5 %",
        "0 %",
        "-0.5 %",
    ]


@given(st.floats(0, 1))
def test_the_lower_end_of_a_probability_is_never_more_than_it_is(p: float) -> None:
    (said,) = re.findall(r"at least (\d+) %", least(p))
    assert int(said) <= min(99, 100 * p + 1e-6)
    assert int(said) > min(99, 100 * p) - 1.000001
