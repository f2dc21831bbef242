"""Draws: what they say of a whole file, how well, and what they cannot be tripped by."""

from __future__ import annotations

import csv
import gzip
import json
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.workload import access, counting, designs, outputs, passes, profile, readers
from planner.workload.counting import How
from planner.workload.designs import by_offset, from_start
from planner.workload.draws import Draw, Drawer, Drawn, StoppedError
from planner.workload.encodings import encoding
from planner.workload.prompt import ReadyMade, Template
from planner.workload.sampling import Sample
from planner.workload.sizes import Range, Sizes, moved
from planner.workload.tokens import counter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from planner.workload.draws import Progress
    from planner.workload.profile import TokenProfile

ENCODING = "o200k_base"
WORDS = (
    "the order was shipped yesterday but customers ask why nothing arrived contract "
    "delivery 12345 München заказ 合同 {} return value; if (x) { y += 1; }"
).split()


def count(text: str) -> int:
    return encoding(ENCODING).count(text)


def prose(random: Random, words: int) -> str:
    return " ".join(random.choices(WORDS, k=words))


def uneven(rows: int, seed: int = 0) -> list[str]:
    """Texts of very different lengths."""
    random = Random(seed)
    return [prose(random, 1 + round(60 * random.lognormvariate(0, 1))) for _ in range(rows)]


def jsonl(folder: Path, texts: Sequence[str]) -> readers.Workload:
    path = folder / "rows.jsonl"
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return readers.open_workload(path)


def drawn_from(
    workload: readers.Workload, template: str = "{{ text }}", *, seed: int = 0, **options: object
) -> Drawn:
    edges = options.pop("edges", ())
    drawer = Drawer(Template(template), [ENCODING], edges=edges)  # type: ignore[arg-type]
    return by_offset(access.scan(workload), drawer, seed=seed, **options)  # type: ignore[arg-type]


def profile_of(drawn: Drawn, edges: tuple[int, ...] = ()) -> TokenProfile:
    return profile.counted_profile(
        passes.sampled(drawn),
        model="m",
        counter=counter("o200k", claim="exact"),
        output=outputs.given_output(1, None, None),
        edges=edges,
    )


def misses(drawn: Drawn, truth: int) -> bool:
    total = drawn.total(ENCODING, lambda shape: shape.text)
    return abs(total.value - truth) > total.half


# --- the estimate -------------------------------------------------------------------------


def test_the_interval_holds_the_count_of_every_row(tmp_path: Path) -> None:
    """Nineteen of twenty are promised; of these ten, at most two may miss."""
    texts = sorted(uneven(6_000), key=len)
    workload = jsonl(tmp_path, texts)
    truth = sum(map(count, texts))
    found = [drawn_from(workload, seed=seed, precision=0.03) for seed in range(10)]
    assert sum(misses(each, truth) for each in found) <= 2
    assert all(each.total(ENCODING, lambda s: s.text).relative <= 0.03 for each in found)
    assert len({each.total(ENCODING, lambda s: s.text).value for each in found}) == 10


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    workload = jsonl(tmp_path, uneven(2_000))
    one, same, other = (drawn_from(workload, seed=seed, precision=0.05) for seed in (7, 7, 8))
    assert one.draws == same.draws
    assert profile_of(one) == profile_of(same)
    assert one.draws != other.draws


def test_a_finer_precision_adds_draws_and_keeps_those_made(tmp_path: Path) -> None:
    workload = jsonl(tmp_path, uneven(3_000))
    coarse, fine = (drawn_from(workload, precision=precision) for precision in (0.5, 0.006))
    assert len(coarse.draws) == designs.FIRST_DRAWS
    assert len(fine.draws) > len(coarse.draws)
    assert set(coarse.draws) <= set(fine.draws)


def test_what_every_row_has_is_counted_exactly(tmp_path: Path) -> None:
    """2,000 tokens on rows of a few words: the number of rows decides, and it is known."""
    random = Random(1)
    texts = [prose(random, random.randint(1, 40)) for _ in range(4_000)]
    rules = prose(random, 900)
    template = f"{rules} Text: {{{{ text }}}} Now answer."
    drawn = drawn_from(jsonl(tmp_path, texts), template, precision=0.5)
    truth = sum(count(template.replace("{{ text }}", text)) for text in texts)
    total = drawn.total(ENCODING, lambda shape: shape.text)
    assert total.relative < 0.01
    assert total.value == pytest.approx(truth, rel=0.01)


def test_a_template_is_tokenised_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    known = encoding(ENCODING)

    class Noting:
        name = ENCODING

        def count(self, text: str) -> int:
            seen.append(len(text))
            return known.count(text)

    monkeypatch.setattr("planner.workload.encodings.encoding", lambda name: Noting())
    rules = prose(Random(2), 20_000)
    template = f"{rules} Text: {{{{ text }}}} Now answer."
    drawn_from(jsonl(tmp_path, uneven(2_000)), template, precision=0.5)
    assert sum(seen) < 12 * len(rules)


def test_few_rows_with_most_of_the_bytes(tmp_path: Path) -> None:
    """A random choice of rows would miss all three, and be off by half."""
    random = Random(3)
    small = [prose(random, 60) for _ in range(3_000)]
    huge = [prose(random, 150_000) for _ in range(3)]
    texts = [*small[:1_000], huge[0], *small[1_000:2_000], huge[1], huge[2], *small[2_000:]]
    drawn = drawn_from(jsonl(tmp_path, texts), precision=0.02)
    truth = sum(map(count, texts))
    total = drawn.total(ENCODING, lambda shape: shape.text)
    assert total.value == pytest.approx(truth, rel=0.02)
    sizes = profile_of(drawn).sizes
    assert sizes.rows == len(texts)
    assert sizes.largest == pytest.approx(max(map(count, huge)), rel=0.2)
    assert sizes.quantile(0.95) < 1_000


def test_tokens_above_a_price_edge_have_an_interval_of_their_own(tmp_path: Path) -> None:
    random = Random(4)
    small = [prose(random, random.randint(20, 200)) for _ in range(4_000)]
    large = [prose(random, random.randint(2_000, 6_000)) for _ in range(60)]
    texts = small + large
    random.shuffle(texts)
    edge = 5_000
    own = counter("o200k", claim="exact").framing
    each_row = [count(text) + own.per_request + own.per_message for text in texts]
    truth = sum(each_row) + sum(each for each in each_row if each > edge)

    def priced(sizes: Sizes) -> int:
        return sizes.total + sizes.above(edge, inclusive=False).total

    missed = 0
    for seed in range(6):
        made = profile_of(drawn_from(jsonl(tmp_path, texts), seed=seed, edges=(edge,)), (edge,))
        low, value, high = (priced(s) for s in (made.sizes_low, made.sizes, made.sizes_high))
        assert low < value < high
        assert {s.rows for s in (made.sizes_low, made.sizes, made.sizes_high)} == {len(texts)}
        assert high - value > made.input.high - made.input.value
        missed += not low <= truth <= high
    assert missed <= 1


@given(
    rows=st.dictionaries(st.integers(1, 99), st.integers(1, 50), min_size=2, max_size=8),
    above=st.dictionaries(st.integers(101, 400), st.integers(1, 9), min_size=1, max_size=4),
    percent=st.integers(70, 130),
)
def test_tokens_move_across_an_edge_and_none_is_lost(
    rows: dict[int, int], above: dict[int, int], percent: int
) -> None:
    """Rows, tokens, and what is asked of those above: where the rows below can make up for it."""
    unit = 10**9
    sizes = Sizes.of({value: n * unit for value, n in {**rows, **above}.items()})
    sizes = sizes.for_rows(10**6 * (sum(rows.values()) + sum(above.values())))
    factor = Fraction(percent, 100)
    made = moved(sizes, 100, factor)
    assert made.rows == sizes.rows
    assert made.total == pytest.approx(sizes.total, rel=1e-6)
    beyond = sizes.above(100, inclusive=False)
    left, tokens = sizes.rows - factor * beyond.rows, sizes.total - factor * beyond.total
    if left > 0 and min(rows) < tokens / left < max(rows):
        assert made.stretch == pytest.approx(1, rel=1e-6)
        across = made.above(100, inclusive=False).total
        assert across == pytest.approx(float(factor * beyond.total), rel=1e-3)


def test_a_profile_of_draws_adds_up(tmp_path: Path) -> None:
    """Rows are exact, and the histogram's total is the estimate's."""
    texts = uneven(3_000)
    drawn = drawn_from(jsonl(tmp_path, texts), precision=0.05)
    made = profile_of(drawn)
    own = counter("o200k", claim="exact").framing
    frame = own.per_request + own.per_message
    text = drawn.total(ENCODING, lambda shape: shape.text).value
    assert made.method == "sampled"
    assert made.rows == Range.exact(3_000)
    assert made.sizes.total == pytest.approx(text + frame * 3_000, rel=1e-5)
    assert made.input.low < made.input.value < made.input.high
    assert 0 < made.counted <= len(drawn.draws)
    sizes = sorted(map(count, texts))
    assert made.sizes.quantile(0.5) == pytest.approx(sizes[1_500], rel=0.3)


# --- hard inputs --------------------------------------------------------------------------


def test_quoted_newlines_are_no_rows(tmp_path: Path) -> None:
    texts = [text.replace(" ", "\n", 5).replace("order", '"order"') for text in uneven(3_000)]
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    drawn = drawn_from(readers.open_workload(path), precision=0.03)
    assert drawn.rows == 3_000
    total = drawn.total(ENCODING, lambda shape: shape.text)
    assert abs(total.value - sum(map(count, texts))) <= 2 * total.half


def test_a_million_spaces_and_what_looks_special(tmp_path: Path) -> None:
    texts = [" " * 1_000_000, "<|endoftext|>" * 20_000, "\ud800x" * 50_000, "a" * 400_000]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps({'text': f'x {text}'})}\n" for text in texts))
    drawn = drawn_from(readers.open_workload(path), precision=0.3)
    assert drawn.rows == 4
    assert drawn.total(ENCODING, lambda shape: shape.text).value > 100_000


def test_a_bad_row_is_named_or_left_out(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text}) for text in uneven(1_000)]
    lines[500] = json.dumps({"text": None, "other": "word " * 20_000})
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    workload = readers.open_workload(path)
    with pytest.raises(InputError, match="row 501 makes no request") as refused:
        drawn_from(workload)
    assert refused.value.problems[0].where == f"{path}:501"
    drawn = drawn_from(workload, skip_bad=True)
    assert drawn.rows == 999
    assert drawn.problems[0].where == f"{path}:501"


@pytest.mark.parametrize("torn", [['{"text": "half wr'], ["]", '{"text": "x"'] * 4])
def test_a_torn_line_is_named_though_no_draw_meets_it(tmp_path: Path, torn: list[str]) -> None:
    """A few bytes among a megabyte: the scan sees them, and skipped they are counted exactly."""
    lines = [json.dumps({"text": text}) for text in uneven(3_000)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*lines[:700], *torn[1:], *lines[700:], torn[0]]))
    workload = readers.open_workload(path)
    first = 3_001 if len(torn) == 1 else 701
    with pytest.raises(InputError, match=f"row {first} cannot be read: not JSON") as refused:
        drawn_from(workload, precision=0.5)
    assert refused.value.problems[0].where == f"{path}:{first}"
    drawn = drawn_from(workload, precision=0.5, skip_bad=True)
    assert (drawn.rows, drawn.bad, drawn.unread) == (3_000, 0, len(torn))
    assert passes.sampled(drawn).bad == len(torn)
    assert [each.where for each in drawn.problems][:1] == [f"{path}:{first}"]
    assert len(drawn.problems) == min(len(torn), readers.SHOWN_PROBLEMS)


def test_where_no_row_makes_a_request_there_is_no_estimate(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": null}\n' * 2_000)
    with pytest.raises(InputError, match="none of the rows that were drawn makes a request"):
        drawn_from(readers.open_workload(path), skip_bad=True)


def test_a_price_that_doubles_is_known_as_well_as_was_asked(tmp_path: Path) -> None:
    """What stands above an edge is known less well than all tokens are: draws go on for it."""
    random = Random(5)
    small = [prose(random, random.randint(20, 200)) for _ in range(4_000)]
    large = [prose(random, random.randint(2_000, 6_000)) for _ in range(60)]
    random.shuffle(texts := small + large)
    workload = jsonl(tmp_path, texts)
    edge = 5_000

    def doubled(drawn: Drawn) -> float:
        text, above = drawn.total(ENCODING, lambda shape: shape.text), drawn.above(ENCODING, edge)
        return (text.half + above.half) / (text.value + above.value)

    without, aware = (drawn_from(workload, precision=0.016, edges=each) for each in ((), (edge,)))
    assert without.total(ENCODING, lambda shape: shape.text).relative <= 0.016
    assert doubled(without) > 0.016 >= doubled(aware)
    made = profile_of(aware, (edge,))
    ends = [
        each.total + each.above(edge, inclusive=False).total
        for each in (made.sizes_low, made.sizes, made.sizes_high)
    ]
    assert (ends[2] - ends[0]) / 2 / ends[1] == pytest.approx(doubled(aware), rel=0.05)


# --- streams ------------------------------------------------------------------------------


def test_a_compressed_file_is_drawn_from_as_it_is_read(tmp_path: Path) -> None:
    texts = uneven(12_000)
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl(tmp_path, texts).path.read_bytes()))
    rows = readers.open_workload(path).rows()
    drawn = from_start(rows, Drawer(Template("{{ text }}"), [ENCODING]), precision=0.05)
    assert drawn.rows == 12_000
    assert 500 <= len(drawn.draws) <= 1_024
    total = drawn.total(ENCODING, lambda shape: shape.text)
    assert abs(total.value - sum(map(count, texts))) <= 2 * total.half
    assert total.relative < 0.06


# --- the whole way through ----------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> readers.Workload:
    """A file that is taken for a large one."""
    monkeypatch.setattr(counting, "SMALL", 100_000)
    return jsonl(tmp_path, uneven(2_000))


def test_small_files_are_counted_whole(tmp_path: Path) -> None:
    found = counting.count(jsonl(tmp_path, uneven(50)), Template("{{ text }}"), [ENCODING], How())
    assert (found.drawn, found.rows) == (None, 50)


def test_exact_counts_every_row(large: readers.Workload) -> None:
    template = Template("{{ text }}")
    exact = counting.count(large, template, [ENCODING], How(exact=True))
    estimate = counting.count(large, template, [ENCODING], How(precision=0.02))
    assert exact.drawn is None
    assert estimate.drawn is not None
    assert exact.rows == estimate.rows == 2_000
    assert exact.digest == estimate.digest == large.digest()


def stopping_after(reports: int) -> Progress:
    left = reports

    def report(rows: int, done: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoppedError

    return report


def test_stopping_the_exact_count_keeps_the_estimate(large: readers.Workload) -> None:
    template, how = Template("{{ text }}"), How(exact=True, precision=0.05)
    reports: list[int] = []
    counting.count(large, template, [ENCODING], How(precision=0.05), lambda *_: reports.append(1))
    stopped = counting.count(large, template, [ENCODING], how, stopping_after(len(reports) + 2))
    assert stopped.drawn is not None
    assert stopped.drawn.stopped
    assert stopped.rows == 2_000
    assert "stopped" in profile_of(stopped.drawn).said[-1]


def test_stopping_before_there_is_an_estimate_stops(large: readers.Workload) -> None:
    with pytest.raises(StoppedError):
        counting.count(large, Template("{{ text }}"), [ENCODING], How(), stopping_after(0))


def test_stray_quotes_are_read_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SMALL", 100_000)
    path = tmp_path / "rows.csv"
    texts = [text.replace(",", " ").replace('"', " ") for text in uneven(6_000)]
    texts[3] = 'a 5" pipe'
    path.write_text("text,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    found = counting.count(
        readers.open_workload(path), Template("{{ text }}"), [ENCODING], How(precision=0.1)
    )
    assert found.rows == 6_000
    assert found.drawn is not None


def test_answers_of_drawn_chats_have_the_interval_of_the_draws(tmp_path: Path) -> None:
    random = Random(5)
    asked = [prose(random, random.randint(5, 400)) for _ in range(2_000)]
    answered = [prose(random, random.randint(5, 60)) for _ in asked]
    path = tmp_path / "chats.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {
                    "messages": [
                        {"role": "user", "content": question},
                        {"role": "assistant", "content": answer},
                    ]
                }
            )
            + "\n"
            for question, answer in zip(asked, answered, strict=True)
        )
    )
    drawer = Drawer(ReadyMade(answers=True), [ENCODING])
    drawn = by_offset(access.scan(readers.open_workload(path)), drawer, precision=0.02)
    counted = passes.sampled(drawn)
    seen = outputs.sampled_output(
        counted.answers[ENCODING], counter("o200k", claim="exact"), None, seed=0, drawn=drawn
    )
    truth = sum(map(count, answered)) / len(answered)
    assert seen.low < seen.mean < seen.high
    assert float(seen.mean) == pytest.approx(truth, rel=0.1)
    assert float(seen.high) == pytest.approx(truth, rel=0.25)


def test_a_huge_row_among_many_keeps_its_weight() -> None:
    """A draw from it stands for a small part of one row, and the tokens hang on that part."""
    sizes = [30_000_000] * 3_000 + [1_000] * 3_000
    drawn = Drawn(
        encodings=(ENCODING,),
        draws=tuple(Draw(size=size) for size in sizes),
        sample=Sample(sizes, records=60_003, bytes=150_000_000),
        precision=0.01,
        prefix=(),
        bad=0,
    )
    unit = sum(drawn.counts()) / drawn.sample.records
    for weight, count in zip(drawn.sample.weights, drawn.counts(), strict=True):
        assert count / unit == pytest.approx(weight, rel=1e-6)
