from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import date
from fractions import Fraction
from functools import reduce
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import UnknownFactError
from planner.workload import vocabularies
from planner.workload.content import Content, ContentMix, classify, excerpt, statistics
from planner.workload.media import Fixed, Media, MediaRules, Patches, UncountableError
from planner.workload.prompt import Message, Request
from planner.workload.tokens import (
    Band,
    Grade,
    Shape,
    Tally,
    common_prefix,
    counter,
    parts,
    shape,
    stretched,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BANDED = sorted(key for key, row in table().items() if row.bands is not None)
OWN = sorted(table().keys() - set(BANDED))


@pytest.fixture(autouse=True, scope="module")
def _no_package() -> Iterator[None]:
    """Ratios are what is held here, on a machine with a vendor's own vocabulary too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabularies, "installed", lambda _: None)
        yield


def chat(*contents: str, system: str | None = None) -> Request:
    """A chat of user and assistant turns, perhaps after a system prompt."""
    turns = [
        Message(role=("user", "assistant")[place % 2], content=content)
        for place, content in enumerate(contents)
    ]
    first = [] if system is None else [Message(role="system", content=system)]
    return Request(messages=(*first, *turns))


def all_of(kind: Content) -> ContentMix:
    return ContentMix(tokens=((kind, 1000),))


# ------------------------------------------------------------------ the table


def test_the_table_has_every_family() -> None:
    assert OWN == ["cl100k", "o200k", "o200k_harmony"]
    assert BANDED == [
        "claude-v3",
        "claude-v4.7",
        "deepseek",
        "gemini",
        "grok",
        "kimi",
        "llama",
        "mistral",
        "qwen",
        "unknown",
    ]


def test_a_name_that_is_not_in_the_table_gets_suggestions() -> None:
    with pytest.raises(UnknownFactError) as caught:
        counter("claude-4.7")
    (problem,) = caught.value.problems
    assert problem.code == "unknown-counter"
    assert problem.hint is not None
    assert "claude-v4.7" in problem.hint


@pytest.mark.parametrize("key", OWN)
def test_only_a_claim_makes_a_count_exact(key: str) -> None:
    assert counter(key).grade is Grade.ASSUMED
    assert counter(key, claim="assumed").grade is Grade.ASSUMED
    assert counter(key, claim="exact").grade is Grade.EXACT


@pytest.mark.parametrize("key", BANDED)
def test_no_claim_makes_a_ratio_exact(key: str) -> None:
    assert counter(key, claim="exact").grade is Grade.RATIO


def test_ids_name_the_encoding_where_it_is_the_models_own() -> None:
    assert counter("o200k").id == "o200k_base"
    assert counter("o200k_harmony").id == "o200k_harmony"
    assert counter("o200k_harmony").encoding == "o200k_base"
    assert counter("claude-v4.7").id == "claude-v4.7"


@pytest.mark.parametrize("key", BANDED)
@pytest.mark.parametrize("kind", Content)
def test_every_kind_of_text_has_a_band(key: str, kind: Content) -> None:
    band = counter(key).band(all_of(kind))
    assert 0 < band.low < band.mid < band.high
    assert band.narrowed_by is not None
    assert "estimated" in band.said


@pytest.mark.parametrize("key", OWN)
def test_a_models_own_vocabulary_has_no_width(key: str) -> None:
    band = counter(key, claim="exact").band(all_of(Content.CODE))
    assert band.low == band.mid == band.high == 1
    assert band.narrowed_by is None


# ------------------------------------------------------------------ documented figures

# Ratios to o200k_base that the vendor's own answers gave, and those of the corpora behind them.
MEASURED: dict[str, dict[Content, tuple[float, ...]]] = {
    "claude-v3": {
        Content.ENGLISH: (1.07, 1.11, 1.14, 1.15, 1.16),
        Content.CODE: (1.18, 1.24, 1.30, 1.33),
        Content.JSON: (1.19, 1.20, 1.22, 1.23),
        Content.LATIN: (1.34, 1.58, 1.35, 1.40, 1.27, 1.24, 1.21, 1.47, 1.86),
        Content.FIGURES: (1.00, 1.14),
        Content.CHINESE: (1.36, 1.41, 1.49),
        Content.JAPANESE: (1.10, 1.29),
        Content.KOREAN: (1.77, 1.83),
        Content.CYRILLIC: (1.53, 1.54, 1.31),
        Content.ARABIC: (2.10, 2.00, 1.91),
        Content.INDIC: (2.44, 2.15, 2.05, 2.27),
        Content.THAI: (2.03, 2.26),
        Content.OTHER_SCRIPT: (1.84, 1.71, 2.04, 1.77),
        Content.MIXED: (1.18, 1.27, 1.43, 2.10),
    },
    "claude-v4.7": {
        Content.ENGLISH: (1.56, 1.57, 1.53, 1.46, 1.41, 1.63),
        Content.CODE: (1.45, 1.76, 1.81, 1.62),
        Content.JSON: (1.46, 1.43, 1.66, 1.35),
        Content.LATIN: (1.71, 2.24, 1.85, 2.00, 1.75, 1.48, 1.96),
        Content.FIGURES: (1.00, 1.19),
        Content.CHINESE: (1.36, 1.43, 1.60),
        Content.JAPANESE: (1.10, 1.37),
        Content.KOREAN: (1.77, 1.91),
        Content.CYRILLIC: (1.53, 1.63, 1.38),
        Content.ARABIC: (2.10, 2.02, 1.99),
        Content.INDIC: (2.44, 2.16, 2.30),
        Content.THAI: (2.03, 2.33),
        Content.OTHER_SCRIPT: (1.91, 1.80, 2.11),
        Content.MIXED: (1.43, 1.39, 1.61, 1.24),
    },
    "gemini": {
        Content.ENGLISH: (1.04,),
        Content.CODE: (1.21, 1.20),
        Content.JSON: (1.05, 1.18),
        Content.FIGURES: (1.84,),
        Content.LATIN: (1.03, 1.01),
        Content.CHINESE: (0.92,),
        Content.INDIC: (0.87,),
        Content.ARABIC: (1.09,),
    },
    "mistral": {Content.ENGLISH: (1.05, 1.19), Content.FIGURES: (1.70, 2.30)},
    "qwen": {Content.INDIC: (2.80, 2.47), Content.CHINESE: (0.90, 0.92)},
    "deepseek": {Content.CHINESE: (0.79, 0.91), Content.INDIC: (1.72, 1.15)},
}
DOCUMENTED = [
    (key, kind, ratio)
    for key, kinds in MEASURED.items()
    for kind, ratios in kinds.items()
    for ratio in ratios
]


@pytest.mark.parametrize(("key", "kind", "ratio"), DOCUMENTED)
def test_bands_hold_the_measured_ratios(key: str, kind: Content, ratio: float) -> None:
    band = counter(key).band(all_of(kind))
    assert band.low <= Fraction(str(ratio)) <= band.high


@pytest.mark.parametrize(
    ("key", "kind", "low", "mid", "high"),
    [
        ("claude-v4.7", Content.ENGLISH, "1.33", "1.57", "1.77"),
        ("claude-v4.7", Content.CODE, "1.3", "1.65", "2.05"),
        ("claude-v4.7", Content.JSON, "1.33", "1.45", "1.85"),
        ("claude-v4.7", Content.MIXED, "1.2", "1.6", "2.2"),
        ("claude-v3", Content.ENGLISH, "1.02", "1.11", "1.21"),
        ("claude-v3", Content.CODE, "1.1", "1.25", "1.44"),
        ("claude-v3", Content.JSON, "1.05", "1.2", "1.35"),
        ("claude-v3", Content.MIXED, "1.04", "1.3", "2.1"),
    ],
)
def test_claude_bands_are_those_of_the_measurement(
    key: str, kind: Content, low: str, mid: str, high: str
) -> None:
    band = counter(key).band(all_of(kind))
    assert (band.low, band.mid, band.high) == (Fraction(low), Fraction(mid), Fraction(high))


@pytest.mark.parametrize("kind", [Content.ENGLISH, Content.LATIN, Content.CODE, Content.JSON])
def test_the_newer_claude_vocabulary_makes_more_tokens_of_latin_text(kind: Content) -> None:
    newer, older = (counter(key).band(all_of(kind)).mid for key in ("claude-v4.7", "claude-v3"))
    assert newer / older > Fraction(6, 5)


def test_the_newer_claude_vocabulary_is_as_much_larger_as_its_vendor_says() -> None:
    """Approximately 30 percent more tokens: platform.claude.com on token counting, 2026-11-22."""
    kinds = (Content.ENGLISH, Content.LATIN, Content.CODE, Content.JSON)
    newer, older = (counter(key) for key in ("claude-v4.7", "claude-v3"))
    more = [newer.band(all_of(kind)).mid / older.band(all_of(kind)).mid for kind in kinds]
    assert Fraction("1.25") < sum(more) / len(more) < Fraction("1.35")
    assert min(more) < Fraction("1.3") < max(more)


@pytest.mark.parametrize("undercount", ["0.15", "0.20"])
@pytest.mark.parametrize("kind", [Content.ENGLISH, Content.CODE, Content.JSON, Content.MIXED])
def test_claude_bands_hold_how_far_its_vendor_says_that_tiktoken_is_off(
    kind: Content, undercount: str
) -> None:
    """Some 15-20 % on typical text, much more on code: Claude Code's own reference, 2026."""
    ratio = 1 / (1 - Fraction(undercount))
    bands = [counter(key).band(all_of(kind)) for key in ("claude-v3", "claude-v4.7")]
    assert min(band.low for band in bands) <= ratio <= max(band.high for band in bands)
    assert ratio <= bands[1].mid


# ------------------------------------------------------------------ bands of mixed jobs

MIXES = st.dictionaries(st.sampled_from(Content), st.integers(1, 10**9), min_size=1).map(
    lambda tokens: ContentMix(tokens=tuple(tokens.items()))
)


@given(st.sampled_from(BANDED), MIXES)
def test_the_band_of_a_mix_lies_within_those_of_its_kinds(key: str, mix: ContentMix) -> None:
    whole = counter(key).band(mix)
    kinds = [counter(key).band(all_of(kind)) for kind, _ in mix.shares()]
    assert min(each.low for each in kinds) <= whole.low <= whole.mid <= whole.high
    assert whole.high <= max(each.high for each in kinds)


def test_the_band_of_a_mix_is_weighted_by_tokens() -> None:
    mix = ContentMix(tokens=((Content.ENGLISH, 750), (Content.CODE, 250)))
    band = counter("claude-v4.7").band(mix)
    assert band.mid == (3 * Fraction("1.57") + Fraction("1.65")) / 4
    assert band.low == (3 * Fraction("1.33") + Fraction("1.3")) / 4


def test_a_job_of_which_nothing_was_seen_has_the_widest_band() -> None:
    empty, mixed = ContentMix(), all_of(Content.MIXED)
    assert counter("claude-v3").band(empty).high == counter("claude-v3").band(mixed).high


def test_a_band_that_does_not_hold_its_middle_is_a_defect() -> None:
    with pytest.raises(ValueError, match="not a band"):
        Band(low=Fraction(2), mid=Fraction(1), high=Fraction(3), said="")


# ------------------------------------------------------------------ what is said


def test_an_exact_count_says_so() -> None:
    said = counter("o200k", claim="exact").band(ContentMix()).said
    assert said == "Input tokens are counted with o200k_base, the model's own encoding."


def test_an_assumed_count_says_what_is_assumed() -> None:
    said = counter("o200k", claim="assumed").band(ContentMix()).said
    assert said == (
        "Input tokens are counted with o200k_base: that the model uses it is assumed, "
        "its vendor has not said so."
    )


def test_a_ratio_shows_its_band_its_kind_and_what_narrows_it() -> None:
    band = counter("claude-v4.7").band(all_of(Content.ENGLISH))
    assert band.said == (
        "Input tokens are estimated: o200k_base x 1.57 (1.33-1.77), the ratio seen for English "
        "prose (Claude 4.7 and later; 5.1, 5.2 and 5.5 are taken to share its vocabulary)."
    )
    assert band.narrowed_by == (
        "A reconstruction of its tokenizer that you install narrows this (--reconstruct)."
    )


@pytest.mark.parametrize(
    ("key", "claim", "vendor_counts", "said"),
    [
        ("o200k", "exact", True, None),
        ("o200k", "assumed", False, None),
        ("o200k", "assumed", True, "Its vendor's own count of a sample checks that (--measure)."),
        (
            "claude-v3",
            None,
            True,
            "Ten calls of its vendor's own count narrow this to 1-2 % (--measure).",
        ),
        (
            "qwen",
            None,
            False,
            "The package dashscope brings its own vocabulary, which counts exactly.",
        ),
    ],
)
def test_what_would_make_a_count_surer(
    key: str, claim: Literal["exact", "assumed"] | None, vendor_counts: bool, said: str | None
) -> None:
    found = counter(key, claim=claim, vendor_counts=vendor_counts)
    assert found.narrowed_by == said


def test_an_estimate_says_what_would_narrow_it() -> None:
    found = counter("claude-v3", vendor_counts=True)
    tally = Tally(found.encoding)
    tally.add(chat("Where is my order?"), rows=3)
    said = found.sizes(tally).band.said
    assert found.narrowed_by is not None
    assert said.endswith(found.narrowed_by)


def test_an_unknown_frame_is_said() -> None:
    said = counter("mistral").band(all_of(Content.CODE)).said
    assert said.endswith("What its chat format adds is not known: 0 is taken.")
    assert counter("mistral").frame(chat("a", "b", system="c")) == 0


def test_a_measured_ratio_replaces_every_band() -> None:
    measured = counter("claude-v4.7").measured(
        low=Fraction("1.50"),
        mid=Fraction("1.52"),
        high=Fraction("1.54"),
        grade=Grade.MEASURED,
        note="10 count_tokens calls",
    )
    band = measured.band(all_of(Content.THAI))
    assert (band.low, band.mid, band.high) == (Fraction("1.5"), Fraction("1.52"), Fraction("1.54"))
    assert band.narrowed_by is None
    assert band.said == (
        "Input tokens are measured on a sample: o200k_base x 1.52 (1.50-1.54) "
        "(10 count_tokens calls)."
    )


# ------------------------------------------------------------------ whole requests


def test_a_chat_costs_what_its_vendor_billed_for_it() -> None:
    # 3 a message, 1 for each role, 3 for the answer's start; "Hello, world!" has 4 tokens.
    openai = counter("o200k", claim="exact")
    request = chat("Hello, world!", system="Hello, world!")
    assert openai.request(request) + openai.frame(request) == 3 + 2 * (3 + 1 + 4)


@pytest.mark.parametrize(("key", "first"), [("claude-v3", 7), ("claude-v4.7", 6)])
def test_claude_frames_its_messages_and_not_its_system_prompt(key: str, first: int) -> None:
    claude = counter(key)
    assert claude.frame(chat("a")) == first
    assert claude.frame(chat("a", system="b")) == first
    assert claude.frame(chat("a", "b", "c")) == first + 6


def test_a_models_own_framing_replaces_the_counters() -> None:
    framing = {"per_request": 8, "tools": 320, "as_of": date(2026, 11, 22)}
    claude = counter("claude-v4.7", framing=framing)
    assert claude.frame(chat("a")) == 11
    with_tools = Request(messages=chat("a").messages, tools='[{"name":"find"}]')
    assert claude.frame(with_tools) == 331
    assert claude.request(with_tools) == claude.text("a") + claude.text('[{"name":"find"}]')


def test_a_schema_is_counted_and_framed() -> None:
    framing = {"per_request": 0, "per_message": 0, "schema": 50}
    request = Request(messages=chat("a").messages, schema='{"type":"object"}')
    openai = counter("o200k", framing=framing)
    assert openai.frame(request) == 50
    assert openai.request(request) == openai.text("a") + openai.text('{"type":"object"}')


# What was billed for recorded requests of gpt-4o and gpt-4.1-mini (public recordings of
# pydantic-ai's tests); "within" is what the estimate states.
CITY = {
    "additionalProperties": False,
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "type": "object",
}
LANGUAGE = {
    **CITY,
    "properties": {"country": {"type": "string"}, "language": {"type": "string"}},
    "required": ["country", "language"],
}
WHERE = "What is the largest city in the user country?"
NO_PARAMETERS = {"name": "get_user_country", "description": "", "parameters": {"type": "object"}}
FINAL = {
    "name": "final_result",
    "description": "The final response which ends this conversation",
    "parameters": CITY,
}
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather for a location",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
}


def kind(name: str, data: object) -> object:
    return {
        "additionalProperties": False,
        "properties": {"data": data, "kind": {"const": name, "type": "string"}},
        "required": ["kind", "data"],
        "type": "object",
    }


EITHER = {
    "additionalProperties": False,
    "properties": {
        "result": {"anyOf": [kind("CityLocation", CITY), kind("CountryLanguage", LANGUAGE)]}
    },
    "required": ["result"],
    "type": "object",
}


@pytest.mark.parametrize(
    ("text", "tools", "schema", "billed"),
    [
        (WHERE, [NO_PARAMETERS, FINAL], None, 68),
        ("What is the weather in Paris?", [WEATHER], None, 51),
        (WHERE, [NO_PARAMETERS], CITY, 79),
        (WHERE, [NO_PARAMETERS], EITHER, 148),
    ],
)
def test_tools_and_schemas_cost_about_what_was_billed_for_them(
    text: str, tools: list[object], schema: object, billed: int
) -> None:
    request = Request(
        messages=chat(text).messages,
        tools=json.dumps([{"type": "function", "function": tool} for tool in tools]),
        schema=None if schema is None else json.dumps(schema),
    )
    openai = counter("o200k", claim="exact")
    tally = Tally(openai.encoding)
    tally.add(request)
    sizes = openai.sizes(tally)
    (low,), (value,), (high,) = sizes.low, sizes.value, sizes.high
    assert low <= billed <= high
    assert abs(value - billed) <= 10
    assert "an estimate, within 10 tokens a tool" in sizes.band.said
    assert ("schema" in sizes.band.said) == (schema is not None)


def test_claude_reads_its_tools_as_json() -> None:
    request = Request(messages=chat("a").messages, tools=json.dumps([WEATHER]))
    claude, openai = counter("claude-v3"), counter("o200k")
    assert claude.request(request) == claude.text("a") + claude.text(json.dumps([WEATHER]))
    assert openai.request(request) < claude.request(request)
    forced = Request(messages=request.messages, tools=request.tools, forced=True)
    assert claude.frame(request) == 7 + 502
    assert claude.frame(forced) == 7 + 600
    assert openai.frame(forced) == openai.frame(request) == 7 + 9


@pytest.mark.parametrize("definitions", [0, 1, 7])
def test_each_tool_widens_the_interval_by_its_own_doubt(definitions: int) -> None:
    openai = counter("o200k", claim="exact")
    tally = Tally(openai.encoding)
    tally.add(
        Request(messages=chat("a " * 200).messages, tools=json.dumps([WEATHER] * definitions))
    )
    sizes = openai.sizes(tally)
    (low,), (value,), (high,) = sizes.low, sizes.value, sizes.high
    assert high - value == value - low == 10 * definitions


# ------------------------------------------------------------------ pictures and documents


def photo(size: tuple[int, int] | None) -> Request:
    media = (Media(kind="image", size=size),)
    return Request(messages=(Message(role="user", content="a", media=media),))


def test_a_picture_adds_its_tokens_unscaled() -> None:
    rules = MediaRules(image=Patches(patch=28), page=(10, 20, 30))
    claude = counter("claude-v4.7", media=rules)
    assert claude.frame(photo((280, 56))) == claude.frame(chat("a")) + 20
    tally = Tally(claude.encoding)
    document = Media(kind="pdf", pages=2)
    tally.add(Request(messages=(Message(role="user", content="", media=(document,)),)))
    sizes = claude.sizes(tally)
    frame = claude.frame(chat(""))
    assert [min(each) - frame for each in (sizes.low, sizes.value, sizes.high)] == [20, 40, 60]
    assert "formula" in sizes.band.said


def test_what_no_formula_covers_is_never_counted_as_nothing() -> None:
    unknown = counter("unknown")
    tally = Tally(unknown.encoding)
    tally.add(photo((10, 10)))
    with pytest.raises(UncountableError):
        unknown.sizes(tally)
    assert unknown.uncountable(Media(kind="image", size=(1, 1))) is not None
    known = counter("unknown", media=MediaRules(image=Fixed(tokens_by_detail={"*": 9})))
    assert known.uncountable(Media(kind="image")) is None
    assert known.uncountable(Media(kind="pdf", pages=1)) is not None


MESSAGES = st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=40)).map(
    lambda said: Message(*said)
)
REQUESTS = st.tuples(
    st.lists(MESSAGES, max_size=4).map(tuple),
    st.none() | st.just('[{"name":"find"}]'),
    st.none() | st.just('{"type":"object"}'),
).map(lambda made: Request(*made))


@given(REQUESTS)
def test_a_shape_accounts_for_every_part(request_: Request) -> None:
    found = shape(request_, len)
    assert found.messages + found.systems == len(request_.messages)
    definitions = (found.tools is not None) + (found.schema is not None)
    assert len(parts(request_)) == len(request_.messages) + definitions


# ------------------------------------------------------------------ tallies


@given(st.sampled_from(sorted(table())), st.lists(st.tuples(REQUESTS, st.integers(1, 9))))
def test_a_tally_says_what_counting_each_row_says(
    key: str, rows: list[tuple[Request, int]]
) -> None:
    chosen = counter(key)
    tally = Tally(chosen.encoding)
    for request, times in rows:
        tally.add(request, times)
    sizes = chosen.sizes(tally)
    expected = sum(
        (stretched(chosen.request(request), sizes.band.mid) + chosen.frame(request)) * times
        for request, times in rows
    )
    assert tally.rows == sum(times for _, times in rows) == rows_of(sizes.value)
    assert tokens_of(sizes.value) == expected
    assert tokens_of(sizes.low) <= expected <= tokens_of(sizes.high)


RULES = "Answer from the catalog below, and say which line you took it from. " * 20
LONG = st.sampled_from([RULES, f"{RULES}\n", RULES[:-9]])
LONG_CHATS = st.tuples(LONG, st.text("ab \n", max_size=9), LONG).map("".join).map(chat)


@given(st.lists(st.lists(REQUESTS | LONG_CHATS, max_size=6), max_size=4))
def test_many_at_once_are_counted_as_one_by_one(batches: list[list[Request]]) -> None:
    one, many = Tally("o200k_base"), Tally("o200k_base")
    singly = [one.add(request) for batch in batches for request in batch]
    assert [each for batch in batches for each in many.add_all(batch)] == singly
    assert many.shapes == one.shapes
    assert many.mix() == one.mix()
    assert many.shared_prefix() == one.shared_prefix()


def rows_of(histogram: Mapping[int, int]) -> int:
    return sum(histogram.values())


def tokens_of(histogram: Mapping[int, int]) -> int:
    return sum(size * rows for size, rows in histogram.items())


@given(st.lists(REQUESTS, max_size=12), st.integers())
def test_the_order_of_rows_changes_no_size(rows: list[Request], seed: int) -> None:
    one, other = Tally("o200k_base"), Tally("o200k_base")
    for request in rows:
        one.add(request)
    for request in Random(seed).sample(rows, len(rows)):
        other.add(request)
    assert one.shapes == other.shapes


def test_a_shared_block_raises_the_input_by_rows_times_block() -> None:
    block = "Answer from the catalog below, and say which line you took it from. " * 100
    plain, with_block = Tally("o200k_base"), Tally("o200k_base")
    for row in range(50):
        plain.add(chat(f"question {row}"))
        with_block.add(chat(f"question {row}", system=block))
    chosen = counter("o200k", claim="exact")
    added = tokens_of(chosen.sizes(with_block).value) - tokens_of(chosen.sizes(plain).value)
    assert added == 50 * (chosen.text(block) + chosen.framing.per_system)


def test_the_shared_prefix_is_what_every_row_begins_with() -> None:
    tally = Tally("o200k_base")
    rules = "Name the category of the ticket. "
    tally.add(chat(f"{rules}My card is late", system="You sort tickets."))
    assert tally.shared_prefix() == 0
    tally.add(chat(f"{rules}My parcel is late", system="You sort tickets."))
    count = counter("o200k").text
    assert tally.shared_prefix() == count("You sort tickets.") + count(f"{rules}My ")
    tally.add(chat(f"{rules}Where is it", system="You sort mail."))
    assert tally.shared_prefix() == count("You sort ")


@given(st.lists(st.lists(st.text("ab ", max_size=6), max_size=3).map(tuple), min_size=2))
def test_every_text_begins_with_the_common_prefix(rows: list[tuple[str, ...]]) -> None:
    found = reduce(common_prefix, rows)
    for row in rows:
        whole, last = found[:-1], found[-1:]
        assert row[: len(whole)] == whole
        assert all(row[len(whole)].startswith(text) for text in last)


def test_a_tally_of_another_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="counts with cl100k_base"):
        counter("cl100k").sizes(Tally("o200k_base"))


def test_frames_are_not_stretched() -> None:
    tally = Tally("o200k_base")
    tally.add(chat("Hello, world!"))
    assert tally.shapes == {Shape(text=4, messages=1, systems=0): 1}
    sizes = counter("claude-v3").sizes(tally)
    assert (dict(sizes.low), dict(sizes.high)) == ({4 + 7: 1}, {8 + 7: 1})


@given(st.integers(0, 10**9), st.fractions(min_value=Fraction(1, 10), max_value=5))
def test_stretching_rounds_to_the_nearest_token(tokens: int, ratio: Fraction) -> None:
    assert abs(stretched(tokens, ratio) - tokens * ratio) <= Fraction(1, 2)
    assert stretched(tokens, Fraction(1)) == tokens


# ------------------------------------------------------------------ real rows and imports


def test_real_rows_are_recognised(shared_workloads: Path) -> None:
    def kind(text: str) -> Content:
        return classify(statistics(excerpt(text)))

    with (shared_workloads / "gsm8k_train.jsonl").open(encoding="utf-8") as lines:
        questions = [json.loads(line)["question"] for line in islice(lines, 500)]
    with (shared_workloads / "banking77.csv").open(encoding="utf-8", newline="") as lines:
        rows = [next(iter(row.values())) for row in islice(csv.DictReader(lines), 500)]
    tally = Tally("o200k_base")
    for text in (*questions, *rows):
        tally.add(chat(text))
    shares = dict(tally.mix().shares())
    assert shares[Content.ENGLISH] > Fraction(95, 100)
    for lease in (shared_workloads / "leases").iterdir():
        assert kind(lease.read_text("utf-8")) is Content.ENGLISH


def test_the_tokenizer_is_loaded_by_counting_only() -> None:
    program = (
        "import sys; from planner.workload import tokens; tokens.counter('o200k');"
        "before = 'tiktoken' in sys.modules; tokens.counter('o200k').text('a');"
        "print(before, 'tiktoken' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False True\n", "")
