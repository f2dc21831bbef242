"""Support in three states with its evidence, lane conditions, limits by tier, freshness."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from planner.catalog import prices, support
from planner.catalog.freshness import freshness
from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.catalog import Catalog

TODAY = date(2026, 11, 22)


def state(catalog: Catalog, model: str, lane: str, on: date = TODAY) -> str:
    return support.lane(catalog, model, lane, on=on).state


# ------------------------------------------------------------------ support


@pytest.mark.parametrize(
    ("model", "lane", "expected"),
    [
        ("claude-haiku-5-5", "batch", "yes"),
        ("gpt-6.2-sol", "batch", "yes"),
        ("gpt-6.2-sol", "flex", "no"),
        ("gpt-6.2-astra", "flex", "no"),
        ("gpt-6.2-astra", "background_2h", "unknown"),
        ("gpt-6-rosalind", "batch", "unknown"),
        ("gpt-6-astra", "ultrafast", "unknown"),
        ("claude-opus-4-7", "fast", "no"),
        ("claude-haiku-5-5", "fast", "unknown"),
        ("o4-mini", "standard", "no"),
    ],
)
def test_three_states(shipped: Catalog, model: str, lane: str, expected: str) -> None:
    assert state(shipped, model, lane) == expected


def test_yes_comes_with_the_vendors_words(shipped: Catalog) -> None:
    found = support.lane(shipped, "claude-haiku-5-5", "batch", on=TODAY)
    assert found.source is not None
    assert found.source.quote == "All active models support the Message Batches API."
    assert (found.source.read_as, found.source.via) == ("2026-10-08", "mirror")


def test_no_says_why_and_who_says_so(shipped: Catalog) -> None:
    found = support.lane(shipped, "gpt-6.2-sol", "flex", on=TODAY)
    assert found.why == "gpt-6.2-sol is not offered in flex"
    assert found.note == "flex is being wound down and does not exist on GPT-6.2"
    assert found.source is not None
    assert found.source.url.endswith("/flex-processing")


def test_silence_in_a_listed_lane_is_unknown_and_names_no_source(shipped: Catalog) -> None:
    found = support.lane(shipped, "gpt-5.2-pro", "flex", on=TODAY)
    assert (found.state, found.source) == ("unknown", None)
    assert "no source says anything of gpt-5.2-pro" in found.why


def test_a_datasets_price_is_no_support(shipped: Catalog) -> None:
    assert state(shipped, "gpt-6.1-sol", "ultrafast") == "unknown"
    assert prices.card(shipped, "gpt-6.1-sol", "ultrafast", on=TODAY).rates["input"] == 12


def test_an_offer_ends_on_its_day(shipped: Catalog) -> None:
    last = date(2026, 11, 29)
    before = support.lane(shipped, "claude-opus-4-8", "fast", on=last)
    after = support.lane(shipped, "claude-opus-4-8", "fast", on=last + timedelta(days=1))
    assert (before.state, before.ends) == ("yes", date(2026, 11, 30))
    assert after.state == "no"
    assert after.why == "claude-opus-4-8 is no longer offered in fast mode since 2026-11-30"
    assert after.begun_since_read


def test_retirement_ends_every_lane(shipped: Catalog) -> None:
    found = support.lane(shipped, "claude-sonnet-4-5", "batch", on=date(2026, 11, 29))
    assert (found.state, found.ends) == ("yes", date(2026, 11, 30))
    assert state(shipped, "claude-sonnet-4-5", "batch", date(2026, 11, 30)) == "no"
    assert state(shipped, "claude-sonnet-4-5", "standard", date(2026, 11, 30)) == "no"


def test_a_floor_is_not_an_end(shipped: Catalog) -> None:
    haiku = shipped.model("claude-haiku-4-5")
    assert haiku.retires_not_before == date(2026, 10, 15)
    assert haiku.retires is None
    assert state(shipped, "claude-haiku-4-5", "batch", date(2027, 12, 1)) == "yes"


def test_before_its_release_a_model_is_not_there(shipped: Catalog) -> None:
    assert state(shipped, "gpt-6.2-sol", "batch", date(2026, 11, 16)) == "no"
    assert state(shipped, "gpt-6.2-sol", "batch", date(2026, 11, 17)) == "yes"


def test_unknown_names_are_errors(shipped: Catalog) -> None:
    for model, lane in [("gpt-7", "batch"), ("claude-haiku-5-5", "flex"), ("gpt-6-sol", "baths")]:
        with pytest.raises(UnknownFactError):
            support.lane(shipped, model, lane, on=TODAY)


def test_lane_conditions_as_the_vendor_states_them(shipped: Catalog) -> None:
    batch = support.lane(shipped, "claude-haiku-5-5", "batch", on=TODAY).lane
    assert (batch.delivery, batch.base, batch.window, batch.at_window) == (
        "async",
        False,
        86_400,
        "expires",
    )
    assert batch.per_batch == {"requests": 100_000, "bytes": 256_000_000}
    assert batch.results_kept == 29 * 86_400
    assert batch.billed == {"succeeded": "yes", "errored": "no", "canceled": "no", "expired": "no"}
    assert batch.max_output == 300_000
    assert batch.needs == "beta header output-300k-2026-03-24"
    assert batch.turnaround is not None
    prior = batch.turnaround
    assert (prior.p50, prior.p90, prior.worth, prior.grade) == (1800, 14_400, 4, "C")
    assert support.lane(shipped, "claude-sonnet-5-5", "batch", on=TODAY).lane.max_output is None
    openai = support.lane(shipped, "gpt-6.2-sol", "batch", on=TODAY).lane
    assert (openai.cancel, openai.billed["failed"]) == (600, "unknown")
    background = support.lane(shipped, "gpt-6.2-sol", "background_2h", on=TODAY).lane
    assert (background.window, background.at_window, background.turnaround) == (7200, None, None)


def test_every_vendor_has_its_base_lane_first(shipped: Catalog) -> None:
    for provider in shipped.providers:
        assert next(iter(provider.lanes)) == provider.base_lane
        for model in provider.models.values():
            assert model.lanes == tuple(provider.lanes)


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("model", "lane", "tier", "expected"),
    [
        (
            "claude-haiku-5-5",
            "standard",
            "start",
            {"rpm": 1000, "itpm": 2_000_000, "otpm": 400_000},
        ),
        ("claude-haiku-5-5", "standard", "Build", {"rpm": 5000, "itpm": 5_000_000}),
        ("claude-fable-5-2", "standard", "scale", {"rpm": 4000, "otpm": 800_000}),
        ("claude-opus-5", "batch", "build", {"rpm": 2000, "queued_requests": 300_000}),
        ("claude-opus-5", "batch", "scale", {"usd_month": 200_000}),
        ("gpt-6-sol", "standard", "tier-1", {"rpm": 500, "tpm": 500_000, "usd_month": 100}),
        ("gpt-6-sol", "batch", "Tier 3", {"queued_input_tokens": 100_000_000}),
        ("gpt-5.6-luna", "batch", "tier-5", {"queued_input_tokens": 15_000_000_000}),
        ("gpt-5.2-pro", "standard", "tier-2", {"tpm": 450_000}),
    ],
)
def test_limits_by_tier(
    shipped: Catalog, model: str, lane: str, tier: str, expected: dict[str, int]
) -> None:
    found = support.limits(shipped, model, lane, tier=tier, on=TODAY)
    assert {key: getattr(found, key) for key in expected} == expected
    assert found.published


def test_without_a_tier_the_lowest_published_one(shipped: Catalog) -> None:
    assert support.limits(shipped, "claude-haiku-5-5", "batch", on=TODAY).tier == "start"
    assert support.limits(shipped, "gpt-6-sol", "standard", on=TODAY).tier == "tier-1"
    assert support.limits(shipped, "gpt-6.2-astra", "standard", on=TODAY).tier == "tier-2"


def test_pools_are_shared_and_named(shipped: Catalog) -> None:
    opus = support.limits(shipped, "claude-opus-4-7", "standard", on=TODAY)
    assert opus.pool == "Opus 4.x combined"
    assert support.limits(shipped, "claude-opus-5", "standard", on=TODAY).pool is None
    assert support.limits(shipped, "claude-opus-5", "batch", on=TODAY).pool == "all models together"


def test_what_counts_is_stated_or_held_to(shipped: Catalog) -> None:
    claude = support.limits(shipped, "claude-haiku-5-5", "standard", on=TODAY)
    assert (claude.counts_cache_read, claude.counts_max_output) == (False, False)
    gpt = support.limits(shipped, "gpt-6-sol", "standard", on=TODAY)
    assert (gpt.counts_cache_read, gpt.counts_max_output) == (True, True)


def test_what_nobody_publishes_stays_unknown(shipped: Catalog) -> None:
    found = support.limits(shipped, "gpt-6.2-sol", "standard", on=TODAY)
    assert not found.published
    assert (found.rpm, found.tpm, found.source) == (None, None, None)
    assert not support.limits(shipped, "claude-opus-5", "fast", on=TODAY).published


def test_an_unknown_tier_lists_the_known_ones(shipped: Catalog) -> None:
    with pytest.raises(UnknownFactError) as caught:
        support.limits(shipped, "claude-haiku-5-5", "standard", tier="gold", on=TODAY)
    assert caught.value.render() == (
        "error[unknown-tier]: Anthropic has no usage tier 'gold' in the catalog\n"
        "  hint: its tiers: start, build, scale"
    )


def test_rows_that_apply_are_taken_together(acme: Callable[..., Catalog]) -> None:
    vendor = acme()
    low = support.limits(vendor, "small", "plain", on=TODAY)
    assert (low.rpm, low.itpm, low.usd_10min, low.usd_month) == (10, 1000, 5, 100)
    assert low.pool == "everybody"
    assert [source.id for source in low.sources] == ["list", "other"]
    assert not low.counts_cache_read
    assert low.counts_max_output
    high = support.limits(vendor, "big", "plain", tier="high", on=TODAY)
    assert (high.rpm, high.usd_10min, high.usd_month) == (100, None, None)


# ------------------------------------------------------------------ freshness


@pytest.mark.parametrize(
    ("days", "warned", "refused"), [(90, 0, 0), (91, 1, 0), (180, 1, 0), (181, 0, 1)]
)
def test_age_warns_and_then_refuses(shipped: Catalog, days: int, warned: int, refused: int) -> None:
    source = prices.card(shipped, "claude-haiku-5-5", "standard", on=TODAY).sources[0]
    found = freshness([source], on=source.read + timedelta(days=days))
    assert (len(found.warnings), len(found.refusals)) == (warned, refused)
    assert (found.age_days, found.stale) == (days, bool(refused))


def test_a_month_counts_from_its_first_day(acme: Callable[..., Catalog]) -> None:
    late = acme().provider("acme").sources["late"]
    assert (late.read, late.read_as) == (date(2026, 9, 1), "2026-09")


def test_only_the_sources_of_the_answer_count(shipped: Catalog) -> None:
    card = prices.card(shipped, "gpt-6.2-sol", "batch", on=TODAY)
    found = freshness(card.sources, on=TODAY)
    assert found.oldest is not None
    assert (found.oldest.read, found.warnings, found.stale) == (date(2026, 10, 14), (), False)


def test_a_change_since_it_was_read_needs_a_yes(acme: Callable[..., Catalog]) -> None:
    card = prices.card(acme(), "small", "plain", on=date(2026, 7, 1))
    found = freshness(card.sources, on=card.on, begun_since_read=card.begun_since_read)
    assert found.stale
    assert not freshness(card.sources, on=card.on).stale


def test_no_source_is_no_age() -> None:
    found = freshness([], on=TODAY)
    assert (found.oldest, found.age_days, found.stale) == (None, None, False)
