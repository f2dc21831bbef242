"""A vendor whose price changes inside a month and whose old model retires inside another."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog
from planner.decision.forecast import Line, Spread
from planner.workload.outputs import given_output
from planner.workload.profile import given_profile

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
  list: {url: "https://acme.example/prices", read: 2026-11-01}
lanes:
  plain: {delivery: sync, base: true, models: all, source: list}
  slow:
    delivery: async
    models: all
    price: {multiply: 0.5, source: list}
    window: 24h
    at_window: expires
    per_batch: {requests: 1000}
    billed: {done: true}
    source: list
models:
  small:
    source: list
    prices:
      - {source: list, rates: {input: 1, output: 4}}
      - {from: 2026-12-11, state: announced, source: list, rates: {input: 2, output: 8}}
  old:
    source: list
    lifecycle: {retires: 2027-02-10, source: list}
    prices: [{source: list, rates: {input: 10, output: 40}}]
"""

NOVEMBER, DECEMBER, FEBRUARY = date(2026, 11, 1), date(2026, 12, 1), date(2027, 2, 1)


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The vendor, checked once."""
    folder: Path = tmp_path_factory.mktemp("pricing")
    (folder / "acme.yaml").write_text(VENDOR, encoding="utf-8")
    return catalog.load(folder, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def line(acme: Catalog) -> Callable[..., Line]:
    """A job of 1,000 rows a run, 100 tokens in and 10 out, once a month, whatever else is said."""

    def build(**said: Any) -> Line:
        model = acme.model(said.pop("model", "small"))
        profile = given_profile(
            model=model.id,
            rows=1000,
            input_tokens=said.pop("tokens", 100),
            output=given_output(said.pop("output", 10), None, None),
        )
        rest: dict[str, Any] = {
            "name": "job",
            "model": model,
            "lane": "plain",
            "profile": profile,
            "rows": Spread.exact(1000),
            "runs": Spread.exact(1),
        }
        return Line(**(rest | said))

    return build


def spread(low: object, expected: object, high: object) -> Spread:
    """A driver from three figures."""
    return Spread(
        low=Fraction(str(low)), expected=Fraction(str(expected)), high=Fraction(str(high))
    )
