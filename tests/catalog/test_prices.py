"""Rates: exact, dated, tiered, never a guess and never dependent on an earlier question."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import catalog as catalog_package
from planner.catalog import prices
from planner.errors import UnknownFactError
from planner.money import amount, plain, total

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog

PINS = Path(__file__).resolve().parent.parent / "data" / "price_pins.csv"
TODAY = date(2026, 11, 22)
DAYS = st.dates(date(2026, 1, 1), date(2028, 1, 1))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_package.load(cache=tmp_path_factory.mktemp("cache"))


def rate(
    catalog: Catalog, model: str, lane: str, on: date, prompt: int = 0, meter: str = "input"
) -> str:
    return plain(prices.card(catalog, model, lane, on=on).rate(meter, prompt))


def refusal(catalog: Catalog, model: str, lane: str, on: date, region: str | None = None) -> str:
    with pytest.raises(UnknownFactError) as caught:
        prices.card(catalog, model, lane, on=on, region=region)
    return caught.value.problems[0].code


# ------------------------------------------------------------------ edges of context


@pytest.mark.parametrize(
    ("model", "lane", "prompt", "meter", "expected"),
    [
        ("claude-haiku-5-5", "standard", 100_000, "input", "0.1"),
        ("claude-haiku-5-5", "standard", 100_001, "input", "0.5"),
        ("claude-haiku-5-5", "standard", 100_001, "output", "2.5"),
        ("claude-haiku-5-5", "batch", 100_000, "cache_write_5m", "0.0625"),
        ("claude-haiku-5-5", "batch", 100_001, "cache_write_5m", "0.3125"),
        ("gpt-6.2-sol", "standard", 272_000, "input", "2"),
        ("gpt-6.2-sol", "standard", 272_001, "input", "4"),
        ("gpt-6.2-sol", "standard", 272_001, "output", "15"),
        ("gpt-6.2-sol", "batch", 272_001, "output", "7.5"),
        ("gpt-6.2-sol", "background_2h", 0, "input", "1.4"),
        ("gpt-6.2-sol", "background_8h", 0, "output", "6"),
        ("gpt-5.4", "batch", 272_000, "cache_read", "0.13"),
        ("gpt-5.4", "batch", 272_001, "cache_read", "0.25"),
        ("gpt-5.4", "flex", 272_001, "output", "11.25"),
        ("gpt-5-mini", "fast", 0, "output", "3.6"),
        ("gpt-4o-mini", "fast", 0, "input", "0.25"),
    ],
)
def test_both_sides_of_every_edge(
    shipped: Catalog, model: str, lane: str, prompt: int, meter: str, expected: str
) -> None:
    assert rate(shipped, model, lane, TODAY, prompt, meter) == expected


def test_an_inclusive_edge_is_reached_by_itself(acme: Callable[..., Catalog]) -> None:
    on = date(2026, 6, 15)
    small = prices.card(acme(), "small", "plain", on=on)
    reads = [str(small.rate("input", prompt)) for prompt in (100, 101, 999, 1000)]
    assert reads == ["1", "2", "2", "4"]
    assert small.rate("output", 1000) == 12
    assert [tier.inclusive for tier in small.tiers] == [False, True]


def test_beyond_what_a_lane_publishes_there_is_no_price(shipped: Catalog) -> None:
    card = prices.card(shipped, "gpt-5.5", "fast", on=TODAY)
    assert card.rate("input", 272_000) == Decimal("12.5")
    assert card.published_to is not None
    with pytest.raises(UnknownFactError) as caught:
        card.rate("input", 272_001)
    assert caught.value.render() == (
        "error[unknown-tier]: no price is published for gpt-5.5 in fast with a prompt of"
        " 272,001 tokens\n  hint: prices of this lane end at 272,000 prompt tokens"
    )


# ------------------------------------------------------------------ days of change


@pytest.mark.parametrize(
    ("model", "lane", "day", "meter", "before", "after"),
    [
        ("gpt-6.2-sol", "ultrafast", date(2027, 3, 1), "input", "6", "12"),
        ("claude-sonnet-5-5", "standard", date(2026, 10, 7), "cache_read", "0.2", "0.1"),
        ("claude-sonnet-5", "standard", date(2026, 9, 1), "input", "2", "2"),
        ("gpt-5.6-sol", "standard", date(2026, 8, 21), "output", "30", "20"),
        ("gpt-5.6-terra", "batch", date(2026, 7, 30), "input", "1.25", "1"),
        ("gpt-5.6-luna", "standard", date(2026, 7, 30), "output", "6", "1.2"),
    ],
)
def test_the_day_before_and_the_day_of_a_change(
    shipped: Catalog, model: str, lane: str, day: date, meter: str, before: str, after: str
) -> None:
    eve = day - timedelta(days=1)
    assert rate(shipped, model, lane, eve, meter=meter) == before
    assert rate(shipped, model, lane, day, meter=meter) == after


@pytest.mark.parametrize(
    ("model", "lane", "last", "code"),
    [
        ("claude-opus-4-8", "fast", date(2026, 11, 29), "unsupported"),
        ("claude-sonnet-4-5", "batch", date(2026, 11, 29), "retired"),
        ("gpt-5", "standard", date(2026, 12, 10), "retired"),
        ("gpt-4.1", "batch", date(2027, 1, 13), "retired"),
    ],
)
def test_the_last_day_of_an_offer(
    shipped: Catalog, model: str, lane: str, last: date, code: str
) -> None:
    assert prices.card(shipped, model, lane, on=last).rates["input"] > 0
    assert refusal(shipped, model, lane, last + timedelta(days=1)) == code


def test_a_cancelled_rise_never_applies(acme: Callable[..., Catalog]) -> None:
    small = acme()
    assert rate(small, "small", "plain", date(2026, 8, 1)) == "2"
    assert rate(small, "small", "plain", date(2027, 8, 1)) == "2"


def test_the_next_change_is_named(shipped: Catalog) -> None:
    change = prices.card(shipped, "gpt-6.2-sol", "ultrafast", on=TODAY).next_change
    assert change is not None
    assert (change.date, change.state) == (date(2027, 3, 1), "announced")
    assert change.rates is not None
    assert change.rates["input"] == 12
    leaving = prices.card(shipped, "claude-opus-4-8", "fast", on=TODAY).next_change
    assert leaving is not None
    assert (leaving.date, leaving.rates) == (date(2026, 11, 30), None)
    assert prices.card(shipped, "claude-haiku-5-5", "batch", on=TODAY).next_change is None


def test_an_announced_price_that_began_since_it_was_read_says_so(
    acme: Callable[..., Catalog],
) -> None:
    vendor = acme()
    assert prices.card(vendor, "small", "plain", on=date(2026, 6, 30)).begun_since_read == ()
    begun = prices.card(vendor, "small", "plain", on=date(2026, 7, 1)).begun_since_read
    assert begun == (
        (
            "a price of small announced for 2026-07-01 has begun since its source was read"
            " (2026-06-01)"
        ),
    )


# ------------------------------------------------------------------ what is not known


@pytest.mark.parametrize(
    ("model", "lane", "on", "region", "code"),
    [
        ("gpt-9", "standard", TODAY, None, "unknown-model"),
        ("gpt-5-nan", "standard", TODAY, None, "unknown-model"),
        ("claude-haiku", "standard", TODAY, None, "unknown-model"),
        ("CLAUDE-HAIKU-5-5", "standard", TODAY, None, "unknown-model"),
        ("gpt-5.4-2026", "standard", TODAY, None, "unknown-model"),
        ("openai/claude-haiku-5-5", "standard", TODAY, None, "unknown-model"),
        ("claude-haiku-5-5", "flex", TODAY, None, "unknown-lane"),
        ("gpt-6-sol", "bach", TODAY, None, "unknown-lane"),
        ("gpt-6.2-sol", "flex", TODAY, None, "unsupported"),
        ("gpt-5.4-nano", "fast", TODAY, None, "no-price"),
        ("gpt-6-rosalind", "batch", TODAY, None, "no-price"),
        ("gpt-6-sol", "standard", TODAY, "mars", "unknown-region"),
        ("gpt-6.2-sol", "standard", TODAY, "eu", "no-price"),
        ("gpt-6-sol", "batch", TODAY, "eu", "unsupported"),
        ("claude-haiku-4-5", "standard", TODAY, "us", "unsupported"),
        ("gpt-6.2-sol", "standard", date(2026, 11, 16), None, "not-released"),
        ("claude-opus-5", "standard", date(2020, 1, 1), None, "unknown-date"),
        ("claude-sonnet-5-5", "standard", date(2026, 9, 28), None, "unknown-date"),
        ("o4-mini", "standard", TODAY, None, "retired"),
        ("o4-mini", "standard", date(2026, 10, 1), None, "no-price"),
    ],
)
def test_whatever_is_not_known_is_an_error(
    shipped: Catalog, model: str, lane: str, on: date, region: str | None, code: str
) -> None:
    assert refusal(shipped, model, lane, on, region) == code


def test_unknown_names_come_with_suggestions(shipped: Catalog) -> None:
    with pytest.raises(UnknownFactError) as caught:
        shipped.model("claude-haiku-55")
    assert caught.value.exit_code == 3
    assert "claude-haiku-5-5" in (caught.value.problems[0].hint or "")


def test_a_meter_without_a_published_rate_is_unknown(shipped: Catalog) -> None:
    card = prices.card(shipped, "gpt-4.1", "batch", on=TODAY)
    assert "cache_read" not in card.rates
    assert card.unpublished == ("cache_read",)
    with pytest.raises(UnknownFactError):
        card.rate("cache_read")
    with pytest.raises(UnknownFactError):
        card.rate("imput")


def test_names_match_whole_or_not_at_all(shipped: Catalog) -> None:
    assert shipped.model("gpt-5-nano").id == "gpt-5-nano"
    assert rate(shipped, "gpt-5-nano", "standard", TODAY) == "0.05"
    assert rate(shipped, "gpt-5", "standard", TODAY) == "1.25"
    assert shipped.model("openai/gpt-5").id == "gpt-5"
    assert shipped.model("gpt-5-2025-08-07").id == "gpt-5"


@given(data=st.data())
def test_no_part_of_a_name_finds_a_model(everything: Catalog, data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(everything.models()))
    cut = data.draw(st.integers(1, len(model.id) - 1))
    known = {name for each in everything.models() for name in (each.id, *each.aliases)}
    for part in (model.id[:cut], model.id[cut:], model.id + data.draw(st.sampled_from("-0.x"))):
        if part not in known:
            with pytest.raises(UnknownFactError):
                everything.model(part)


# ------------------------------------------------------------------ laws

QUESTION = st.tuples(st.integers(0, 10**6), st.integers(0, 20), DAYS, st.sampled_from([None, "us"]))


def answered(catalog: Catalog, question: tuple[int, int, date, str | None]) -> str:
    which, lane, on, region = question
    model = catalog.models()[which % len(catalog.models())]
    try:
        card = prices.card(
            catalog, model, model.lanes[lane % len(model.lanes)], on=on, region=region
        )
    except UnknownFactError as unknown:
        return unknown.render()
    return repr((card, card.steps, card.next_change))


@given(st.lists(QUESTION, min_size=2, max_size=6))
def test_an_answer_never_depends_on_earlier_questions(
    everything: Catalog, questions: list[tuple[int, int, date, str | None]]
) -> None:
    forwards = [answered(everything, question) for question in questions]
    backwards = [answered(everything, question) for question in reversed(questions)]
    assert forwards == backwards[::-1]


@given(QUESTION, st.integers(0, 2_000_000), st.integers(0, 10**9), st.integers(0, 10**9))
def test_cost_is_additive_in_tokens(
    everything: Catalog,
    question: tuple[int, int, date, str | None],
    prompt: int,
    some: int,
    more: int,
) -> None:
    which, lane, on, _ = question
    model = everything.models()[which % len(everything.models())]
    try:
        rates = prices.card(everything, model, model.lanes[lane % len(model.lanes)], on=on).over(
            prompt
        )
    except UnknownFactError:
        return
    for each in rates.values():
        assert amount(some + more, each) == total((amount(some, each), amount(more, each)))


@given(QUESTION, st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_a_longer_prompt_is_never_cheaper_by_the_token(
    everything: Catalog, question: tuple[int, int, date, str | None], one: int, other: int
) -> None:
    which, lane, on, region = question
    model = everything.models()[which % len(everything.models())]
    try:
        card = prices.card(
            everything, model, model.lanes[lane % len(model.lanes)], on=on, region=region
        )
        short, long = card.over(min(one, other)), card.over(max(one, other))
    except UnknownFactError:
        return
    assert all(long[meter] >= value for meter, value in short.items())


def test_every_day_between_changes_has_the_same_price(shipped: Catalog) -> None:
    for model in shipped.models():
        for lane in model.lanes:
            try:
                card = prices.card(shipped, model, lane, on=TODAY)
            except UnknownFactError:
                continue
            assert card.since is None or card.since <= TODAY
            assert card.until is None or card.until > TODAY
            for day in (card.since, card.until and card.until - timedelta(days=1)):
                if day is not None:
                    assert prices.card(shipped, model, lane, on=day).rates == card.rates


# ------------------------------------------------------------------ how it came about


def test_steps_multiply_in_order_with_their_sources(shipped: Catalog) -> None:
    card = prices.card(shipped, "claude-haiku-5-5", "batch", on=TODAY, region="us")
    assert card.steps[0] == (
        "input: 0.1 (list) x 0.5 (batch) x 1.1 (us) = 0.055 USD/M"
        " [source pricing, read 2026-10-08; source batch, read 2026-10-08]"
    )
    assert (
        "output, prompt > 100,000: 0.5 (list) x 5 (prompt > 100,000) x 0.5 (batch) x 1.1 (us)"
        " = 1.375 USD/M [source pricing, read 2026-10-08; source batch, read 2026-10-08]"
    ) in card.steps


def test_the_factors_of_a_step_make_its_rate(shipped: Catalog) -> None:
    for model in shipped.models():
        for lane in model.lanes:
            for region in (None, "us", "eu"):
                try:
                    card = prices.card(shipped, model, lane, on=TODAY, region=region)
                except UnknownFactError:
                    continue
                for step in card.steps:
                    if "USD/M" in step:
                        assert product(step) == stated(step), step


def product(step: str) -> Decimal:
    """The product of the factors of `name: a (..) x b (..) = r USD/M [..]`."""
    result = Decimal(1)
    for factor in step.split(": ", 1)[1].split(" = ", maxsplit=1)[0].split(" x "):
        result *= Decimal(factor.split(" ")[0])
    return result


def stated(step: str) -> Decimal:
    return Decimal(step.split(" = ")[1].split(" USD/M", maxsplit=1)[0])


def test_published_rates_win_and_say_so(shipped: Catalog) -> None:
    card = prices.card(shipped, "gpt-5.4", "batch", on=TODAY)
    assert card.rates["cache_read"] == Decimal("0.13")
    assert any(step.startswith("cache_read: 0.13 (batch, published) = 0.13") for step in card.steps)


def test_a_price_somebody_inferred_says_so(shipped: Catalog) -> None:
    card = prices.card(shipped, "gpt-6.2-astra", "standard", on=TODAY)
    assert card.inferred
    assert "[inferred: " in card.steps[0]


# ------------------------------------------------------------------ history


def test_history_has_each_stretch_once_and_the_cancelled_change_last(shipped: Catalog) -> None:
    told = [
        (each.since, each.until, str(each.rates["cache_read"].normalize()), each.state)
        for each in prices.history(shipped, "claude-sonnet-5-5", "standard")
    ]
    assert told == [
        (date(2026, 9, 29), date(2026, 10, 7), "0.2", None),
        (date(2026, 10, 7), None, "0.1", None),
    ]
    cancelled = prices.history(shipped, "claude-sonnet-5", "standard")[-1]
    assert (cancelled.state, cancelled.since) == ("cancelled", date(2026, 9, 1))
    assert cancelled.rates["input"] == Decimal(3)
    fast = prices.history(shipped, "claude-opus-4-8", "fast")
    assert [(each.since, each.until) for each in fast] == [(None, date(2026, 11, 30))]
    ahead = prices.history(shipped, "gpt-6.2-sol", "ultrafast")
    assert [(each.since, each.state) for each in ahead] == [
        (date(2026, 11, 17), None),
        (date(2027, 3, 1), "announced"),
    ]
    assert prices.history(shipped, "gpt-6.2-sol", "flex") == ()


def test_history_answers_as_a_card_does(shipped: Catalog) -> None:
    for model in shipped.models():
        for lane in model.lanes:
            for each in prices.history(shipped, model, lane):
                if each.state != "cancelled" and each.since is not None:
                    assert prices.card(shipped, model, lane, on=each.since).rates == each.rates


def pins() -> list[dict[str, str]]:
    with PINS.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("pin", pins(), ids=lambda pin: "-".join(pin.values()))
def test_past_days_still_price_as_pinned(shipped: Catalog, pin: dict[str, str]) -> None:
    card = prices.card(
        shipped,
        pin["model"],
        pin["lane"],
        on=date.fromisoformat(pin["on"]),
        region=pin["region"] or None,
    )
    assert card.rate(pin["meter"], int(pin["prompt_tokens"])) == Decimal(pin["usd_per_million"])
