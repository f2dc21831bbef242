"""What the catalog says of counting: frames, hidden prompts, pictures; dated and with a source."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from planner import strict_yaml
from planner.catalog import schema
from planner.catalog.facts import provider_from
from tests.catalog.conftest import VENDOR

if TYPE_CHECKING:
    from planner.catalog import Model

ANCHOR = "  big:\n    source: list\n"
FRAMING = "framing: {per_request: 8, schema: 50, as_of: 2026-01-02, source: other}"
PATCHES = "{scheme: patches, patch: 28, multiply: 1.2, most: {high: 9}}"
MEDIA = f"media: {{image: {PATCHES}, page: [1, 2, 3], as_of: 2026-01-03, source: list}}"


def counting(tokens: str, hidden: str = "[]") -> str:
    added = f"    tokens: {{counter: c, source: list{tokens}}}\n    hidden_input: {hidden}\n"
    assert ANCHOR in VENDOR
    return VENDOR.replace(ANCHOR, ANCHOR + added, 1)


def big(text: str) -> Model:
    plain, problems = schema.normalised(strict_yaml.load(text, "acme.yaml"))
    assert not problems
    assert plain is not None
    return provider_from(plain).models["big"]


def refused(text: str) -> list[str]:
    _, problems = schema.normalised(strict_yaml.load(text, "acme.yaml"))
    return [problem.message for problem in problems]


def test_a_frame_has_its_figures_its_day_and_its_source() -> None:
    framing = big(counting(f", {FRAMING}")).framing
    assert framing is not None
    assert framing.figures == {"per_request": 8, "schema": 50}
    assert (framing.as_of, framing.source.id) == (date(2026, 1, 2), "other")


def test_the_constants_of_a_formula_pass_as_they_are_written() -> None:
    media = big(counting(f", {MEDIA}")).media
    assert media is not None
    patches = {"scheme": "patches", "patch": 28, "multiply": "1.2", "most": {"high": 9}}
    assert media.figures == {"image": patches, "page": [1, 2, 3]}
    assert media.as_of == date(2026, 1, 3)


def test_nothing_said_is_nothing_known() -> None:
    plain = big(VENDOR)
    assert plain.framing is None
    assert plain.media is None


def test_hidden_prompts_say_when_they_are_sent() -> None:
    hidden = "[{what: a, tokens: 5, when: tools, source: list}, {what: b, tokens: 6, source: list}]"
    found = big(counting("", hidden)).hidden_input
    assert [(each.what, each.when) for each in found] == [("a", "tools"), ("b", None)]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (", framing: {per_request: 8, source: list}", "as_of"),
        (", framing: {per_request: -1, as_of: 2026-01-02, source: list}", "per_request"),
        (", framing: {per_request: 8, as_of: 2026-01-02, source: nowhere}", "no source 'nowhere'"),
        (", media: {image: {scheme: tiles, base: 1}, as_of: 2026-01-02, source: list}", "tile"),
        (", media: {image: {scheme: patches}, as_of: 2026-01-02, source: list}", "patch"),
        (", media: {image: {scheme: rings}, as_of: 2026-01-02, source: list}", "scheme"),
        (", media: {page: [1, 2], as_of: 2026-01-02, source: list}", "page"),
    ],
)
def test_half_a_fact_is_refused(tokens: str, said: str) -> None:
    assert any(said in problem for problem in refused(counting(tokens)))
