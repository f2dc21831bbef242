"""From counted rows to the profile of a job: totals, bands, intervals, answer lengths."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.workload import draws, passes, prompt, readers
from planner.workload.outputs import (
    OutputProfile,
    assumed_output,
    given_output,
    sampled_output,
    within,
)
from planner.workload.passes import count, count_answers
from planner.workload.profile import counted_profile, given_profile
from planner.workload.sizes import NO_ROWS, End, Range, Sizes
from planner.workload.tokens import counter

if TYPE_CHECKING:
    from pathlib import Path

    from planner.workload.passes import Counted
    from planner.workload.profile import TokenProfile

histograms = st.dictionaries(st.integers(0, 300_000), st.integers(1, 50), min_size=1, max_size=15)
edges = st.integers(0, 300_001)
stretches = st.fractions(Fraction(1, 2), 3, max_denominator=1000)


# --- ranges -------------------------------------------------------------------------------


def test_a_range_holds_its_value() -> None:
    found = Range(value=5, low=4, high=9)
    assert [found.at(end) for end in (End.LOW, End.VALUE, End.HIGH)] == [4, 5, 9]
    assert Range.exact(3) == Range(value=3, low=3, high=3)


@pytest.mark.parametrize(("low", "value", "high"), [(6, 5, 9), (4, 10, 9)])
def test_a_range_without_its_value_is_a_defect(low: int, value: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"not an interval: {low} <= {value} <= {high}"):
        Range(value=value, low=low, high=high)


# --- sizes --------------------------------------------------------------------------------


def test_sizes_by_hand() -> None:
    sizes = Sizes.of({10: 2, 30: 1})
    assert (sizes.rows, sizes.total, sizes.largest) == (3, 50, 30)
    assert sizes.mean == Fraction(50, 3)
    assert [sizes.quantile(share) for share in (0.0, 0.5, 0.66, 0.67, 1.0)] == [10, 10, 10, 30, 30]
    assert sizes.for_rows(300).total == 5000
    assert sizes.stretched(Fraction(3, 2)).total == 75


def test_no_rows_have_no_tokens() -> None:
    assert NO_ROWS.rows == NO_ROWS.total == NO_ROWS.largest == NO_ROWS.mean == 0
    assert NO_ROWS.quantile(0.5) == 0
    assert NO_ROWS.for_rows(10) == NO_ROWS
    assert NO_ROWS.above(0, inclusive=True) == NO_ROWS


@pytest.mark.parametrize(
    ("edge", "inclusive", "rows"),
    [(99, False, 2), (100, True, 2), (100, False, 1), (101, True, 1), (101, False, 0)],
)
def test_rows_above_an_edge(edge: int, inclusive: bool, rows: int) -> None:
    assert Sizes.of({100: 1, 101: 1}).above(edge, inclusive=inclusive).rows == rows


@pytest.mark.parametrize(("stretch", "rows"), [("1.999", 0), ("2", 0), ("2.0001", 1)])
def test_a_stretched_row_passes_an_edge_where_its_tokens_do(stretch: str, rows: int) -> None:
    sizes = Sizes.of({50: 1}).stretched(Fraction(stretch))
    assert sizes.above(100, inclusive=False).rows == rows


@given(histograms, edges)
def test_rows_stretched_to_nothing_pass_no_edge(seen: dict[int, int], edge: int) -> None:
    """The lower end of a tiny sample may reach zero; it still has to be priced."""
    nothing = Sizes.of(seen).stretched(Fraction(0))
    assert nothing.above(edge, inclusive=True).rows == 0
    assert nothing.total == 0


@given(histograms, edges, stretches)
def test_an_edge_cuts_a_job_in_two(seen: dict[int, int], edge: int, stretch: Fraction) -> None:
    sizes = Sizes.of(seen).stretched(stretch)
    over = sizes.above(edge, inclusive=False)
    reached = sizes.above(edge, inclusive=True)
    assert over.rows == sum(n for size, n in seen.items() if size * stretch > edge)
    assert reached.rows == sum(n for size, n in seen.items() if size * stretch >= edge)
    assert 0 <= over.total <= reached.total <= sizes.total


@given(histograms, st.integers(0, 10**7))
def test_another_volume_has_that_many_rows_of_the_same_kind(
    seen: dict[int, int], rows: int
) -> None:
    sizes, more = Sizes.of(seen), Sizes.of(seen).for_rows(rows)
    assert more.rows == rows
    assert more.total == round(sizes.mean * rows)
    assert (more.mean, more.largest) == (sizes.mean, sizes.largest)
    assert more.for_rows(sizes.rows) == sizes


@given(histograms, st.sampled_from([0.05, 0.5, 0.75, 0.95, 1.0]))
def test_a_quantile_is_the_size_that_enough_rows_do_not_exceed(
    seen: dict[int, int], share: float
) -> None:
    every = sorted(size for size, n in seen.items() for _ in range(n))
    found = Sizes.of(seen).quantile(share)
    assert sum(size <= found for size in every) >= Fraction(share) * len(every)
    assert sum(size < found for size in every) < Fraction(share) * len(every)


@given(histograms)
def test_totals_are_those_of_the_rows(seen: dict[int, int]) -> None:
    sizes = Sizes.of(dict(reversed(seen.items())))
    assert sizes.total == sum(size * n for size, n in seen.items())
    assert sizes.largest == max(seen)
    assert list(sizes.values) == sorted(set(sizes.values))
    assert bisect_left(sizes.values, max(seen)) == len(seen) - 1


# --- counting -----------------------------------------------------------------------------

ROWS = [
    {"text": "hello world"},
    {"text": "the quick brown fox jumps over the lazy dog"},
    {"text": "Zürich, 8001"},
]


def workload(folder: Path, rows: list[dict[str, str]]) -> readers.Workload:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return readers.open_workload(file)


def counted(folder: Path, rows: list[dict[str, str]], *encodings: str) -> Counted:
    found = workload(folder, rows)
    template = prompt.choose(found, prompt="Translate: {{ text }}", system=None).prompt
    return count(found.rows(), template, encodings or ("o200k_base",))


def made(folder: Path, key: str, *, of_rows: int | None = None, times: int = 1) -> TokenProfile:
    return counted_profile(
        counted(folder, ROWS * times),
        model="m",
        counter=counter(key, claim="exact"),
        output=given_output(10, None, None),
        of_rows=of_rows,
    )


def test_rows_are_counted_by_the_model_s_own_encoding(tmp_path: Path) -> None:
    """Each row is its text and the frame of a chat: 3 for the request, 4 for the message."""
    own = counter("o200k", claim="exact")
    texts = [own.text(f"Translate: {row['text']}") for row in ROWS]
    found = made(tmp_path, "o200k")
    assert texts == [4, 11, 7]
    assert found.input == Range.exact(sum(texts) + 3 * 7)
    assert (found.rows, found.counted, found.method) == (Range.exact(3), 3, "counted")
    assert (found.sizes.largest, found.sizes.quantile(0.5)) == (18, 14)
    assert (found.counter, found.grade) == ("o200k_base", "exact")


def test_one_pass_counts_every_encoding(tmp_path: Path) -> None:
    found = counted(tmp_path, ROWS, "o200k_base", "cl100k_base")
    assert set(found.tallies) == {"o200k_base", "cl100k_base"}
    assert {tally.rows for tally in found.tallies.values()} == {3}
    assert (found.rows, found.bad, found.answers, found.largest_asked) == (3, 0, {}, None)


def test_bytes_of_a_request_are_its_texts_and_an_envelope(tmp_path: Path) -> None:
    texts = [f"Translate: {row['text']}".encode() for row in ROWS]
    mean = math.ceil(sum(map(len, texts)) / 3 + draws.ENVELOPE_BYTES)
    assert counted(tmp_path, ROWS).bytes_per_row == mean
    assert made(tmp_path, "o200k").bytes_per_row == mean


@pytest.mark.parametrize(("name", "most"), [("BATCH_ROWS", 1), ("BATCH_CHARACTERS", 20)])
def test_how_rows_are_counted_together_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    both = ("o200k_base", "cl100k_base")
    together = counted(tmp_path, ROWS * 9, *both)
    monkeypatch.setattr(passes, name, most)
    apart = counted(tmp_path, ROWS * 9, *both)
    assert (apart.rows, apart.bytes_per_row) == (together.rows, together.bytes_per_row)
    for one, other in zip(apart.tallies.values(), together.tallies.values(), strict=True):
        assert one.shapes == other.shapes
        assert one.mix() == other.mix()
        assert one.shared_prefix() == other.shared_prefix()


def test_progress_is_told_and_may_stop_the_pass(tmp_path: Path) -> None:
    found = workload(tmp_path, ROWS * passes.BATCH_ROWS)
    template = prompt.choose(found, prompt="{{ text }}", system=None).prompt
    told: list[tuple[int, int]] = []

    def progress(rows: int, read: int) -> None:
        told.append((rows, read))
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count(found.rows(), template, ["o200k_base"], progress)
    assert [rows for rows, _ in told] == [passes.BATCH_ROWS, 2 * passes.BATCH_ROWS]
    assert 0 < told[0][1] <= told[1][1] <= found.bytes


def test_the_band_of_a_claude_counter_orders_the_ends(tmp_path: Path) -> None:
    found = made(tmp_path, "claude-v4.7")
    assert found.sizes_low.total < found.sizes.total < found.sizes_high.total
    assert found.input == Range(
        value=found.sizes.total, low=found.sizes_low.total, high=found.sizes_high.total
    )
    assert found.rows == Range.exact(3)
    assert found.grade == "ratio"
    assert any("ratio" in sentence for sentence in found.said)


# --- a sample of a larger job -------------------------------------------------------------


def test_a_sample_opens_the_interval_and_says_so(tmp_path: Path) -> None:
    whole, part = made(tmp_path, "o200k", times=20), made(tmp_path, "o200k", of_rows=6000, times=20)
    assert (part.rows, part.counted, part.method) == (Range.exact(6000), 60, "sampled")
    assert part.input.value == whole.input.value * 100
    assert part.input.low < part.input.value < part.input.high
    assert part.sizes_low.rows == part.sizes_high.rows == 6000
    assert "60 rows counted stand for 6,000, as a random sample" in part.said


def test_a_file_that_is_the_job_has_no_sampling_error(tmp_path: Path) -> None:
    assert made(tmp_path, "o200k", of_rows=3) == made(tmp_path, "o200k")


def test_sampling_joins_the_band_in_quadrature(tmp_path: Path) -> None:
    """Relative errors a and b make sqrt(a^2 + b^2): more than either, less than their sum."""
    counting = made(tmp_path, "claude-v4.7", times=20)
    sampling = made(tmp_path, "o200k", times=20, of_rows=6000)
    both = made(tmp_path, "claude-v4.7", times=20, of_rows=6000)

    def above(found: TokenProfile) -> float:
        return found.input.high / found.input.value - 1

    assert above(both) > max(above(counting), above(sampling))
    assert above(both) < above(counting) + 1.5 * above(sampling)


@given(st.integers(1, 10**8))
def test_a_profile_at_another_volume(rows: int) -> None:
    found = given_profile(
        model="m", rows=100, input_tokens=1180, output=given_output(220, None, None)
    ).for_rows(rows)
    assert found.rows == Range.exact(rows)
    assert found.input == Range.exact(1180 * rows)
    assert found.output_total == Range.exact(220 * rows)


def test_figures_alone() -> None:
    found = given_profile(
        model="m", rows=12_480, input_tokens=1180, output=given_output(220, None, None)
    )
    assert (found.method, found.grade, found.counted) == ("given", "given", 0)
    assert found.input == Range.exact(12_480 * 1180)
    assert (found.sizes.largest, found.bytes_per_row) == (1180, None)
    assert found.said == (
        "rows and prompt tokens as given; every row is taken to be of the mean size",
    )


# --- answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "ceiling"),
    [(1, 4), (63, 256), (64, 256), (65, 512), (150, 1024), (220, 1024), (300, 2048), (512, 2048)],
)
def test_the_limit_is_four_times_the_expected_up_to_a_power_of_two(
    tokens: int, ceiling: int
) -> None:
    assert given_output(tokens, None, None).ceiling == ceiling


def test_given_answers() -> None:
    found = given_output(220, 0.6, 500)
    assert found.mean == found.low == found.high == 220
    assert (found.cv, found.ceiling, found.basis) == (0.6, 500, "given")
    assert found.said == "answers of 220 tokens on average, as given"
    assert given_output(220, None, None).cv == 0.8


def test_a_limit_below_the_given_answers_cuts_them() -> None:
    found = given_output(500, None, 100)
    assert found.mean == found.low == found.high == found.ceiling == 100
    assert found.said == "answers of 500 tokens on average, as given, cut at the limit of 100"
    assert given_output(100, None, 100).said == "answers of 100 tokens on average, as given"


def test_assumed_answers_are_wide_and_say_so() -> None:
    found = assumed_output(None)
    assert found.total(1) == Range(value=300, low=30, high=3000)
    assert (found.ceiling, found.basis) == (4096, "assumed")
    assert "assumed (30 to 3,000)" in found.said
    assert found.total(10) == Range(value=3000, low=300, high=30_000)


@pytest.mark.parametrize(
    ("limit", "ends"), [(20, (20, 20, 20)), (100, (100, 30, 100)), (1000, (300, 30, 1000))]
)
def test_assumed_answers_stay_within_a_limit(limit: int, ends: tuple[int, int, int]) -> None:
    found = assumed_output(limit)
    assert (int(found.mean), int(found.low), int(found.high)) == ends
    assert found.ceiling == limit


def answers(*words: int) -> OutputProfile:
    """Answers of that many tokens, as the model's own encoding counts them."""
    own = counter("o200k", claim="exact")
    tallies = count_answers((" yes" * each for each in words), [own.encoding])
    return sampled_output(tallies[own.encoding], own, None, seed=0)


def test_real_answers() -> None:
    found = answers(*[10, 20] * 50)
    assert found.mean == 15
    assert float(found.mean - found.low) == pytest.approx(2 * 5.03 / 10, abs=0.05)
    assert float(found.high - found.mean) == pytest.approx(2 * 5.03 / 10, abs=0.05)
    assert found.ceiling == 64, "four times 15, up to a power of two"
    assert found.basis == "sample"
    assert found.said == (
        "answers of 15 tokens on average, from 100 real ones (longest 20); up to 3 % of the rows "
        "may still run to the limit of 64"
    )


def test_the_limit_covers_the_longest_answer_seen() -> None:
    assert answers(*[10] * 99, 300).ceiling == 512


@pytest.mark.parametrize(("n", "share"), [(1, "95 %"), (10, "25.9 %"), (100, "3 %")])
def test_what_a_sample_cannot_exclude_is_said(n: int, share: str) -> None:
    """A share of 1 - 0.05^(1/n) long answers goes unseen in a sample of n once in twenty."""
    assert f"up to {share} of the rows may still run to the limit" in answers(*[10] * n).said


def test_real_answers_stay_within_a_limit() -> None:
    own = counter("o200k", claim="exact")
    tallies = count_answers(["yes yes yes yes"] * 20, [own.encoding])
    found = sampled_output(tallies[own.encoding], own, 3, seed=0)
    assert found.mean == found.low == found.high == found.ceiling == 3


def test_the_band_of_a_counter_joins_the_spread_of_the_answers() -> None:
    claude = counter("claude-v4.7")
    tallies = count_answers(["The answer is no longer known."] * 30, [claude.encoding])
    found = sampled_output(tallies[claude.encoding], claude, None, seed=0)
    band = claude.band(tallies[claude.encoding].mix())
    assert float(found.low / found.mean) == pytest.approx(float(band.low / band.mid), abs=1e-6)
    assert float(found.high / found.mean) == pytest.approx(float(band.high / band.mid), abs=1e-6)


def test_answers_of_nobody_are_no_answers() -> None:
    assert count_answers([], ["o200k_base"]) == {}


@given(st.integers(1, 10_000), st.integers(1, 10**6), st.integers(1, 10**6))
def test_answers_add_up_over_rows(tokens: int, one: int, other: int) -> None:
    found = given_output(tokens, None, None)
    assert found.total(one).value + found.total(other).value == found.total(one + other).value


def test_a_model_that_gives_less_lowers_the_limit_that_nobody_set() -> None:
    assumed = assumed_output(None)
    assert within(assumed, 2000).ceiling == 2000
    assert within(assumed, 2000).high == 2000
    assert within(assumed, None) == within(assumed, 4096) == assumed
    assert within(assumed, 200) == assumed, "the answers themselves are longer: a gate says so"


def test_a_larger_volume_opens_the_interval_as_a_sample_of_that_job_does(tmp_path: Path) -> None:
    """What-if on the volume and `--of-rows` are one question, so they have one answer."""
    whole = made(tmp_path, "o200k", times=20)
    rows = whole.rows.value
    assert whole.input.low == whole.input.value == whole.input.high
    assert whole.for_rows(rows).input == whole.input
    larger = whole.for_rows(100 * rows)
    assert larger.input == made(tmp_path, "o200k", times=20, of_rows=100 * rows).input
    assert larger.input.low < larger.input.value < larger.input.high
    assert larger.method == "sampled"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (None, "answers of 300 tokens are assumed (30 to 3,000)"),
        (1000, "answers of 300 tokens are assumed (30 to 1,000)"),
        (100, "answers of 100 tokens are assumed (30 to 100)"),
    ],
)
def test_what_is_said_of_assumed_answers_is_what_is_reckoned_with(
    limit: int | None, said: str
) -> None:
    found = assumed_output(limit)
    assert found.said.startswith(said)
    assert f"answers of {found.mean} tokens" in found.said
