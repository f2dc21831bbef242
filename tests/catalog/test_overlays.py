"""A user's own files are laid over the catalog, win where they speak, and are named in answers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from planner import catalog
from planner.catalog import prices, support
from planner.errors import InputError, UnknownFactError
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.catalog import Catalog

ON = date(2026, 6, 15)

OVERLAY = """\
schema: 1
provider: acme
sources:
  contract: {url: "file:contract.pdf", read: 2026-06-10, title: Our contract}
limits:
  - {tier: low, models: [small], rpm: 77, source: contract}
models:
  small:
    prices:
      - {from: 2026-06-01, until: 2026-06-20, source: contract, rates:
          {input: 0.7, output: 3, cache_read: 0.07}}
    lanes:
      slow: {source: contract, price: {multiply: 0.4, source: contract}}
  ours:
    source: contract
    context: 5000
    prices: [{source: contract, rates: {input: 3, output: 3}}]
"""


@pytest.fixture
def laid(tmp_path: Path) -> Callable[..., Catalog]:
    """The small vendor with overlays over it."""

    def build(*overlays: str, vendor: str = VENDOR) -> Catalog:
        folders = [tmp_path / "pricing", *(tmp_path / f"mine{n}" for n in range(len(overlays)))]
        for folder, text in zip(folders, (vendor, *overlays), strict=True):
            folder.mkdir(exist_ok=True)
            (folder / "acme.yaml").write_text(text, encoding="utf-8")
        return catalog.load(folders[0], folders[1:], cache=tmp_path / "cache")

    return build


def rate(found: Catalog, model: str, lane: str, on: date = ON) -> str:
    return str(prices.card(found, model, lane, on=on).rate("input").normalize())


def test_a_negotiated_price_wins_on_the_days_it_covers(laid: Callable[..., Catalog]) -> None:
    found = laid(OVERLAY)
    days = [date(2026, 5, 31), date(2026, 6, 1), date(2026, 6, 19), date(2026, 6, 20)]
    assert [rate(found, "small", "plain", day) for day in days] == ["1", "0.7", "0.7", "1"]
    assert rate(found, "small", "plain", date(2026, 7, 1)) == "2"


def test_a_negotiated_lane_price_multiplies_whatever_is_listed(
    laid: Callable[..., Catalog],
) -> None:
    found = laid(OVERLAY)
    assert rate(found, "small", "slow") == "0.28"
    assert rate(found, "small", "slow", date(2026, 7, 1)) == "0.8"
    assert support.lane(found, "small", "slow", on=ON).state == "yes"


def test_a_lane_price_for_some_days_leaves_the_policy_for_the_others(
    laid: Callable[..., Catalog],
) -> None:
    dated = OVERLAY.replace(
        "price: {multiply: 0.4,", "price: {from: 2026-06-01, until: 2026-06-10, multiply: 0.4,"
    )
    found = laid(dated)
    assert rate(found, "small", "slow", date(2026, 6, 9)) == "0.28"
    assert rate(found, "small", "slow", date(2026, 6, 10)) == "0.35"


def test_answers_say_which_figures_are_yours(laid: Callable[..., Catalog]) -> None:
    card = prices.card(laid(OVERLAY), "small", "plain", on=ON)
    assert [source.overlay for source in card.sources] == ["mine0/acme.yaml"]
    assert card.steps[0] == (
        "input: 0.7 (list, from 2026-06-01) = 0.7 USD/M"
        " [source mine0/acme.yaml/contract, read 2026-06-10, from mine0/acme.yaml]"
    )
    later = prices.card(laid(OVERLAY), "small", "plain", on=date(2026, 6, 20))
    assert [source.overlay for source in later.sources] == [None]


def test_own_limits_win_figure_by_figure(laid: Callable[..., Catalog]) -> None:
    found = support.limits(laid(OVERLAY), "small", "plain", on=ON)
    assert (found.rpm, found.itpm, found.usd_10min) == (77, 1000, 5)
    assert found.source is not None
    assert found.source.overlay == "mine0/acme.yaml"


def test_a_private_model_joins_the_others(laid: Callable[..., Catalog]) -> None:
    found = laid(OVERLAY)
    assert [model.id for model in found.models()] == ["small", "big", "ours"]
    assert rate(found, "ours", "slow") == "1.5"


def test_the_last_overlay_wins(laid: Callable[..., Catalog]) -> None:
    second = OVERLAY.replace("input: 0.7,", "input: 0.6,")
    assert rate(laid(OVERLAY, second), "small", "plain") == "0.6"
    assert rate(laid(second, OVERLAY), "small", "plain") == "0.7"


def test_an_overlay_can_stand_in_for_a_whole_vendor(laid: Callable[..., Catalog]) -> None:
    whole = VENDOR.replace("schema: 1", "schema: 1\nreplaces: true").replace(
        "input: 10", "input: 11"
    )
    found = laid(whole)
    assert rate(found, "big", "plain") == "11"
    fewer = whole[: whole.index("  big:")].replace("[small, big]", "[small]")
    with pytest.raises(UnknownFactError):
        laid(fewer).model("big")


def test_an_overlay_of_another_vendor_is_a_file_of_its_own(
    laid: Callable[..., Catalog],
) -> None:
    found = laid(VENDOR.replace("provider: acme", "provider: zeta"))
    assert [provider.id for provider in found.providers] == ["acme", "zeta"]
    with pytest.raises(UnknownFactError) as caught:
        found.model("small")
    assert caught.value.problems[0].hint == "say acme/small or zeta/small"
    assert found.model("zeta/small").provider == "zeta"


def test_without_an_overlay_nothing_is_different(laid: Callable[..., Catalog]) -> None:
    nothing = "schema: 1\nprovider: acme\nsources: {}\n"
    assert laid(nothing).providers == laid().providers
    assert laid(nothing).digest != laid().digest


def test_problems_of_an_overlay_are_reported_where_they_stand(
    laid: Callable[..., Catalog],
) -> None:
    broken = OVERLAY.replace("{input: 0.7,", "{imput: 0.7,").replace(
        "models: [small], rpm", "models: [smal], rpm"
    )
    with pytest.raises(InputError) as caught:
        laid(broken)
    found = [(each.code, each.where) for each in caught.value.problems]
    assert found == [
        ("unknown-model", "mine0/acme.yaml:6:17"),
        ("unknown-meter", "mine0/acme.yaml:11:12"),
    ]


def test_sizes_from_an_overlay_need_its_source(laid: Callable[..., Catalog]) -> None:
    sourceless = OVERLAY.replace("  small:\n", "  small:\n    context: 77\n")
    with pytest.raises(InputError) as caught:
        laid(sourceless)
    assert [each.code for each in caught.value.problems] == ["missing-source"]


def test_one_directory_has_one_file_a_vendor(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(VENDOR, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        catalog.load(tmp_path, cache=tmp_path / "cache")
    assert caught.value.render() == (
        f"error[provider-twice]: provider 'acme' has a file already: {tmp_path.name}/a.yaml\n"
        f"  at {tmp_path.name}/b.yaml:2:1"
    )


def test_an_overlay_may_not_rank_itself(laid: Callable[..., Catalog]) -> None:
    ranked = OVERLAY.replace("{from: 2026-06-01,", "{layer: 9, from: 2026-06-01,")
    with pytest.raises(InputError):
        laid(ranked)
