from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.workload import encodings
from planner.workload.encodings import (
    CELL,
    FAST_AFTER,
    HARD_TEXTS,
    SEARCH,
    SHARED,
    VOCABULARIES,
    Encoding,
    RepeatingTexts,
    cells,
    common,
    encoding,
    whole,
)

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "tokens" / "vectors.json").read_text("utf-8")
)
NAMES = sorted(VOCABULARIES)


@pytest.mark.parametrize("name", NAMES)
def test_packed_ranks_rebuild_the_official_file(name: str) -> None:
    tokens = encodings.tokens_of(encodings.packed_path(name).read_bytes())
    text = encodings.official_text(tokens)
    assert hashlib.sha256(text).hexdigest() == VOCABULARIES[name].sha256
    assert encodings.official_ranks(text) == tokens


def test_no_other_ranks_are_packed() -> None:
    packed = {path.stem for path in encodings.RANKS.iterdir()}
    assert packed == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_text_is_split_as_the_official_vocabulary_splits_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = import_module("tiktoken_ext.openai_public")
    monkeypatch.setattr(official, "load_tiktoken_bpe", lambda *args, **options: {})
    constructed: dict[str, Any] = official.ENCODING_CONSTRUCTORS[name]()
    assert VOCABULARIES[name].pattern == constructed["pat_str"]


@given(st.lists(st.binary(min_size=1, max_size=255), unique=True))
def test_packing_loses_nothing(tokens: list[bytes]) -> None:
    assert encodings.tokens_of(encodings.pack(tuple(tokens))) == tuple(tokens)
    assert encodings.official_ranks(encodings.official_text(tuple(tokens))) == tuple(tokens)


def test_ranks_with_a_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="not dense"):
        encodings.official_ranks(b"YQ== 0\nYg== 2\n")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["text"][:20]))
def test_known_counts(vector: dict[str, Any], name: str) -> None:
    assert encoding(name).count(vector["text"]) == vector[name]


@given(st.text(), st.integers(1, 40))
def test_cells_are_bounded_and_make_up_the_text(text: str, size: int) -> None:
    found = list(cells(text, size))
    assert "".join(found) == text
    assert all(1 <= len(cell) <= size for cell in found)


PIECES = ("word", "it's", "WE'LL", "1234567", "x=(y);", "?!", ".\n", "//", "<|endoftext|>")
SPACES = ("\n", "\r\n\r\n", " ", "\t", "\u00a0")
FOREIGN = ("größer", "包裹", "कार्य", "🙂", "e\u0301", "\ud800")
SENTENCE = st.lists(st.sampled_from((*PIECES, *SPACES, *FOREIGN)), max_size=60)


@pytest.mark.parametrize("name", NAMES)
@given(SENTENCE, SENTENCE)
def test_a_cut_before_a_space_after_something_visible_changes_no_count(
    name: str, before: list[str], after: list[str]
) -> None:
    head, tail = "".join(before) + "visible", " " + "".join(after)
    count = encoding(name).count
    assert count(head + tail) == count(head) + count(tail)


def test_a_cell_ends_where_no_token_can_span() -> None:
    assert list(cells("alpha beta  gamma", 13)) == ["alpha beta", "  gamma"]
    assert list(cells("alphabetagamma", 5)) == ["alpha", "betag", "amma"]


def test_a_cut_is_not_looked_for_further_back_than_allowed() -> None:
    near, far = "a " + "b" * (SEARCH - 2), "a " + "b" * (SEARCH - 1)
    assert next(cells(near + "bb", len(near))) == "a"
    assert next(cells(far + "bb", len(far))) == far


@pytest.mark.parametrize("name", NAMES)
def test_text_of_several_cells_counts_as_one(name: str) -> None:
    text = "The parcel arrived on Tuesday, but the box was empty.\n" * (3 * CELL // 54)
    whole = len(encoding(name)._encode(text))
    assert len(text) > 2 * CELL
    assert encoding(name).count(text) == whole


@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "\t", "\0", "!", "7", "🙂", "包", "\u0301", "\u200b", "क्षि", "A "]
)
def test_long_runs_are_counted_within_a_ten_thousandth(unit: str) -> None:
    text = unit * (250_000 // len(unit))
    encoded = encoding("o200k_base")
    assert abs(encoded.count(text) - len(encoded._encode(text))) * 10_000 <= len(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [" " * 1_000_000, "a" * 1_000_000, "<|endoftext|>" * 50_000, "\udc80" * 200_000],
    ids=["spaces", "letters", "special", "surrogates"],
)
def test_hard_inputs_are_counted(name: str, text: str) -> None:
    assert 0 < encoding(name).count(text) <= len(text.encode("utf-8", "surrogatepass"))


def test_half_a_surrogate_pair_counts_as_the_replacement_character() -> None:
    count = encoding("o200k_base").count
    assert count("a \ud83d b") == count("a \ufffd b")


@pytest.mark.parametrize("name", NAMES)
@given(st.text(st.characters()))
def test_every_string_has_a_count_between_one_and_its_bytes(name: str, text: str) -> None:
    count = encoding(name).count(text)
    assert count == encoding(name).count(text)
    assert bool(text) <= count <= len(text.encode("utf-8", "surrogatepass"))


def test_a_vocabulary_is_built_once() -> None:
    assert encoding("o200k_base") is encoding("o200k_base")


BLOCK = "Each line of the catalog has a number, a name and a price. " * (2 * SHARED // 59)
AROUND = st.sampled_from(
    ["", BLOCK, BLOCK + " ", BLOCK + "\n", BLOCK[:-1] + "x", "x" * SHARED, " " * SHARED, BLOCK * 2]
)


def counted(by: Encoding, texts: list[str]) -> list[int]:
    repeating = RepeatingTexts(by)
    parted = [repeating.parted(text) for text in texts]
    return [shared + by.count(own) for shared, own in parted]


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.tuples(AROUND, SENTENCE.map("".join), AROUND).map("".join), max_size=8))
def test_repeating_texts_count_as_each_alone(name: str, texts: list[str]) -> None:
    assert counted(encoding(name), texts) == [encoding(name).count(text) for text in texts]


def test_what_texts_share_is_encoded_once() -> None:
    encoded: list[int] = []

    def encode(text: str) -> list[int]:
        encoded.append(len(text))
        return [0] * len(text)

    texts = [f"{BLOCK} {row} {BLOCK}" for row in range(100, 200)]
    assert counted(Encoding("letters", encode), texts) == [len(text) for text in texts]
    assert sum(encoded) < 4 * len(texts[0])


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_common_beginnings(one: str, other: str) -> None:
    length = common(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or one == other


# --- the fast counter ---------------------------------------------------------------------


def letters(text: str) -> list[int]:
    return list(range(len(text)))


def lengths(texts: list[str]) -> list[int]:
    "".join(texts).encode()  # half a surrogate pair is refused, as by a library in Rust
    return [len(text) for text in texts]


def test_a_fast_counter_that_agrees_is_used_after_enough_text() -> None:
    asked: list[list[str]] = []

    def noting(texts: list[str]) -> list[int]:
        asked.append(texts)
        return lengths(texts)

    counting = Encoding("letters", letters, lambda: noting)
    assert counting.count_all(["abc", ""]) == [3, 0]
    assert asked == []
    assert counting.count_all(["x" * FAST_AFTER]) == [FAST_AFTER]
    asked.clear()
    assert counting.count_all(["abc", "a\ud800", "y" * (CELL + 1)]) == [3, 2, CELL + 1]
    assert asked
    assert all(len(text) <= CELL for texts in asked for text in texts)
    assert counting.said is None


@pytest.mark.parametrize("wrong", ["  \n\n  x\t\r\n", "of this job"])
def test_a_fast_counter_that_disagrees_is_not_used_and_that_is_said(wrong: str) -> None:
    def off(texts: list[str]) -> list[int]:
        return [len(text) + (text == wrong) for text in texts]

    counting = Encoding("letters", letters, lambda: off)
    counting.count_all(["of this job", "x" * FAST_AFTER])
    assert counting.count_all([wrong]) == [len(wrong)]
    assert counting.said is not None
    assert "not used" in counting.said


def test_without_a_fast_counter_nothing_is_said() -> None:
    counting = Encoding("letters", letters)
    counting.count_all(["x" * FAST_AFTER])
    assert counting.count_all(["abc"]) == [3]
    assert counting.said is None


@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_fast_extra_counts_as_the_reference_does(name: str) -> None:
    pytest.importorskip("toktok", reason="the fast extra is not here")
    fast = encodings._fast(name)
    assert fast is not None
    known = encoding(name)
    texts = [whole(text) for text in HARD_TEXTS]
    assert fast(texts) == [known.count(text) for text in texts]


def test_the_fast_extra_has_not_every_vocabulary() -> None:
    assert encodings._fast("nobody's") is None
