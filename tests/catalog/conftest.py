"""The shipped catalog, and a small vendor whose file each test may spoil."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner import catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.catalog import Catalog

VENDOR = """\
schema: 1
provider: acme
name: Acme
currency: USD
per_tokens: 1000000
known_from: 2026-01-01
sources:
  list: {url: "https://acme.example/prices", read: 2026-06-01}
  late: {url: "https://acme.example/prices", read: 2026-09}
  other: {url: "https://sheet.example", read: 2026-05-01, via: dataset}
lanes:
  plain: {delivery: sync, base: true, models: all, source: list}
  slow:
    delivery: async
    models: all
    price: {multiply: 0.5, source: list}
    window: 24h
    at_window: expires
    billed: {done: true, lost: false, odd: unknown}
    source: list
  quick:
    delivery: sync
    models: listed
    price: {multiply: {"*": 2, cache_read: unpublished}, source: list}
    source: list
regions:
  eu:
    - {models: [small], lanes: [plain], multiply: 1.1, source: list}
    - {models: [small], support: false, source: list, note: plain only}
tiers:
  low: {title: Low, usd_month: 100, source: list}
  high: {source: list}
limits:
  - {tier: low, models: [small], rpm: 10, itpm: 1000, counts: {cache_read: false}, source: list}
  - {tier: low, models: all, usd_10min: 5, pool: everybody, source: other}
  - {tier: high, models: [small, big], pool: both, rpm: 100, source: list}
  - {tier: low, lane: slow, models: all, queued_requests: 7, source: list}
models:
  small:
    aliases: [small-2026]
    source: list
    prices:
      - source: list
        rates: {input: 1, output: 4, cache_read: 0.1}
        over: [{prompt_gt: 100, multiply: 2}, {prompt_ge: 1000, multiply: {"*": 4, output: 3}}]
      - from: 2026-07-01
        state: announced
        source: list
        rates: {input: 2, output: 8, cache_read: 0.2}
      - from: 2026-08-01
        state: cancelled
        source: list
        rates: {input: 9, output: 9, cache_read: 9}
    lanes:
      quick: {support: true, until: 2026-08-01, source: list}
  big:
    source: list
    lifecycle: {released: 2026-02-01, retires: 2026-12-01, source: list}
    prices:
      - {source: list, rates: {input: 10, output: 40}, over: [{prompt_gt: 100, multiply: 2}]}
    lanes:
      slow: {support: unknown, source: other, note: nobody says}
      quick:
        support: true
        price: {rates: {input: 15, output: 70}, over: [], source: list}
        source: list
"""


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalog in pricing/, checked anew."""
    return catalog.load(cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def acme(tmp_path: Path) -> Callable[..., Catalog]:
    """Loads the small vendor after replacing parts of its text."""

    def build(*changes: tuple[str, str]) -> Catalog:
        text = VENDOR
        for old, new in changes:
            assert old in text, f"the vendor file has no {old!r}"
            text = text.replace(old, new)
        folder = tmp_path / "pricing"
        folder.mkdir(exist_ok=True)
        (folder / "acme.yaml").write_text(text, encoding="utf-8")
        return catalog.load(folder, cache=tmp_path / "cache")

    return build
