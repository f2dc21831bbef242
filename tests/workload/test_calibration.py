"""Measured ratios: the truth lies within them, for ten calls and a bounded share of the rows."""

from __future__ import annotations

import json
from collections import Counter as Multiset
from fractions import Fraction
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.workload import calibration, encodings, prompt, readers, tokens
from planner.workload.content import Content
from planner.workload.counting import SMALL
from planner.workload.tokens import Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FRAME = 6
WORDS = "the order was lost in transit and nobody has answered my last three letters".split()
CODE = "def total(rows): return sum(row.price * row.count for row in rows if row.price > 0)".split()
CHINESE = "合同 昨天 已经 签署 但是 因为 缺少 许可 交货 推迟".split()
BANKS = (WORDS, CODE, CHINESE)
SEEDS = 6
LEAST = calibration.LEAST[Grade.MEASURED]
MEASURED, RECONSTRUCTED = Grade.MEASURED, Grade.RECONSTRUCTED
EMPTY = tokens.Shape(text=0, messages=1, systems=0)


def ours(text: str) -> int:
    return encodings.encoding("o200k_base").count(text)


def vendors(text: str) -> int:
    """Another vocabulary behind a frame: what a vendor's own counts look like from outside."""
    return encodings.encoding("cl100k_base").count(text) + FRAME


def ratio(
    pieces: Sequence[str],
    own: Callable[[str], int],
    theirs: Callable[[str], int],
    least: Fraction = LEAST,
) -> calibration.Ratio:
    """The ratio of two tokenizers, one of which answers an inquiry."""
    questions = calibration.Inquiry(pieces=tuple(pieces)).questions
    return calibration.ratio(pieces, own, [theirs(text) for text in questions], least)


def replied(
    pieces: Sequence[str], theirs: Callable[[str], int], grade: Grade
) -> tuple[calibration.Inquiry, calibration.Reply]:
    inquiry = calibration.Inquiry(pieces=tuple(pieces))
    counts = tuple(map(theirs, inquiry.questions))
    return inquiry, calibration.Reply(counts=counts, grade=grade, by="the counts of a test")


def texts(kind: str, rows: int) -> list[str]:
    random = Random(f"{kind} {rows}")
    made = []
    for number in range(rows):
        bank = BANKS[number % 3] if kind == "mixed" else WORDS
        size = {"short": random.randrange(3, 15), "long": random.randrange(800, 3000)}
        words = random.choices(bank, k=size.get(kind, random.randrange(5, 400)))
        made.append(" ".join(words) + random.choice(".?!"))
    return made


@cache
def truth(kind: str, rows: int, before: str) -> Fraction:
    every = [before + text for text in texts(kind, rows)]
    theirs = sum(encodings.encoding("cl100k_base").count(text) for text in every)
    return Fraction(theirs, sum(map(ours, every)))


def workload(folder: Path, rows: list[str]) -> readers.Workload:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), "utf-8")
    return readers.open_workload(path)


@pytest.mark.parametrize(
    ("kind", "rows", "before", "most"),
    [
        ("short", 900, "", 0.01),
        ("short", 900, "You answer letters of customers. Be kind, be brief. " * 12, 0.01),
        ("long", 40, "", 0.02),
        ("mixed", 600, "", 0.05),
    ],
)
def test_the_truth_is_within_the_interval(
    tmp_path: Path, kind: str, rows: int, before: str, most: float
) -> None:
    file = workload(tmp_path, texts(kind, rows))
    template = prompt.Template(prompt=before + "{{ text }}", system=None)
    held = 0
    for seed in range(SEEDS):
        pieces = calibration.pieces(file, template, seed=seed, skip_bad=False)
        found = ratio(pieces, ours, vendors)
        assert found.frame == FRAME
        assert (found.high - found.mid) / found.mid <= most
        held += found.low <= truth(kind, rows, before) <= found.high
    assert held >= SEEDS - 1, "95 % of the seeds"


def test_a_large_file_is_looked_up_at_offsets(tmp_path: Path) -> None:
    every = texts("mixed", 4500)
    file = workload(tmp_path, every)
    assert file.bytes > SMALL
    pieces = calibration.pieces(file, _plain(), seed=3, skip_bad=False)
    found = ratio(pieces, ours, vendors)
    assert found.low <= truth("mixed", 4500, "") <= found.high


def test_ten_calls_and_no_more_text_than_is_said(tmp_path: Path) -> None:
    file = workload(tmp_path, texts("long", 400))
    pieces = calibration.pieces(file, _plain(), seed=0, skip_bad=False)
    asked: list[str] = []

    def counted(text: str) -> int:
        asked.append(text)
        return vendors(text)

    found = ratio(pieces, ours, counted)
    assert len(asked) == calibration.CALLS == 10
    shown = calibration.Inquiry(pieces=pieces).characters
    assert 0.9 < shown / calibration.MOST_CHARACTERS < 1.1
    assert len(pieces) == found.pieces


def test_less_is_shown_where_less_is_asked_for(tmp_path: Path) -> None:
    file = workload(tmp_path, texts("long", 400))
    most = calibration.MOST_CHARACTERS // 5
    pieces = calibration.pieces(file, _plain(), seed=0, skip_bad=False, most=most)
    assert 0.9 < sum(map(len, pieces)) / most < 1.1


def test_a_small_job_is_shown_once(tmp_path: Path) -> None:
    every = texts("short", 12)
    for seed in range(5):
        pieces = calibration.pieces(workload(tmp_path, every), _plain(), seed=seed, skip_bad=False)
        assert len(pieces) <= len(every) + 1
        assert sum(Multiset(pieces).values()) <= len(every) + 1


def test_the_same_seed_shows_the_same_pieces(tmp_path: Path) -> None:
    file = workload(tmp_path, texts("mixed", 300))
    drawn = [calibration.pieces(file, _plain(), seed=seed, skip_bad=False) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_that_cannot_be_sent_as_they_are_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "half a \\ud83d pair"}\n{"text": " "}\n{"text": "whole"}\n')
    pieces = calibration.pieces(readers.open_workload(path), _plain(), seed=0, skip_bad=True)
    assert "".join(pieces).encode("utf-8")
    assert all(piece.strip() for piece in pieces)


@given(
    st.lists(st.sampled_from([" ".join(WORDS), " ".join(CODE)]), min_size=4, max_size=60),
    st.integers(2, 16),
    st.integers(0, 40),
    st.integers(0, 3),
)
def test_what_a_call_and_a_joint_add_is_not_taken_for_text(
    pieces: list[str], fourths: int, frame: int, joint: int
) -> None:
    """A vendor whose counts follow a law exactly is measured exactly, up to its rounding."""
    true = Fraction(fourths, 4)

    def theirs(text: str) -> int:
        if text == calibration.LETTER:
            return frame + 1
        parts = text.split(calibration.JOINT)
        return frame + round(true * sum(map(_words, parts))) + joint * (len(parts) - 1)

    found = ratio(pieces, _words, theirs)
    # Each call is rounded once; so is what a joint costs, which counts once a piece.
    slack = Fraction(calibration.TEXTS, 2) + len(pieces)
    assert abs(found.mid - true) <= slack / sum(map(_words, pieces))
    assert found.frame == frame


def _words(text: str) -> int:
    """A tokenizer of words, which the joint's own are no part of."""
    return len(text.split())


@pytest.mark.parametrize("tokens_of_every_text", [1, 10**9])
def test_counts_that_make_no_sense_change_nothing(tokens_of_every_text: int) -> None:
    inquiry, reply = replied([" ".join(WORDS * 3)] * 9, lambda _: tokens_of_every_text, MEASURED)
    with pytest.raises(calibration.UnansweredError, match="the counts of a test make no sense"):
        calibration.calibrated(tokens.counter("claude-v4.7"), inquiry, reply)


def test_a_measured_counter_has_the_frame_that_was_measured() -> None:
    claude = tokens.counter("claude-v4.7")
    made = calibration.calibrated(claude, *replied([" ".join(WORDS)] * 8, _framed(11), MEASURED))
    assert made.grade is MEASURED
    assert made.framing.of(EMPTY) == 11
    assert claude.framing.of(EMPTY) == 6


def test_a_reconstructed_counter_keeps_the_frame_that_is_known() -> None:
    """Of texts alone none can be seen; one that a reconstruction adds is none of the text's."""
    claude = tokens.counter("claude-v4.7")
    pieces = [" ".join(WORDS)] * 8
    for frame in (0, 11):
        made = calibration.calibrated(claude, *replied(pieces, _framed(frame), RECONSTRUCTED))
        assert made.grade is RECONSTRUCTED
        assert made.framing == claude.framing
        assert (made.bands or {})[Content.THAI][1] == 1


def test_a_reconstruction_is_never_believed_as_closely_as_the_vendor() -> None:
    claude, pieces = tokens.counter("claude-v4.7"), [" ".join(WORDS)] * 80
    widths = []
    for grade in (MEASURED, RECONSTRUCTED):
        made = calibration.calibrated(claude, *replied(pieces, ours, grade))
        low, mid, high = (made.bands or {})[Content.ENGLISH]
        widths.append((high - low) / mid)
    assert widths == [Fraction(1, 100), Fraction(4, 100)]


def test_short_rows_of_one_length_are_not_all_rounded_the_same_way() -> None:
    half = Fraction(3, 2)
    made = tokens.counter("claude-v4.7").measured(
        low=half, mid=half, high=half, grade=tokens.Grade.MEASURED, note="a test"
    )
    tally = tokens.Tally("o200k_base")
    message = prompt.Message(role="user", content=" ".join(WORDS[:7]))
    tally.add(prompt.Request(messages=(message,)), rows=1001)
    text = ours(message.content)
    assert text % 2 == 1
    sizes = made.sizes(tally).value
    assert sum(sizes.values()) == 1001
    assert len(sizes) == 2
    total = sum(size * rows for size, rows in sizes.items())
    assert abs(total - 1001 * (text * half + 6)) <= Fraction(1, 2)


def _framed(frame: int) -> Callable[[str], int]:
    return lambda text: ours(text) + frame


def _plain() -> prompt.Template:
    return prompt.Template(prompt="{{ text }}", system=None)
