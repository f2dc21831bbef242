"""The JSON Schema that editors use: up to date, and it takes every file that loads."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import strict_yaml
from planner.catalog.facts import LIMIT_FIGURES
from planner.catalog.schema import Fact, Limit, json_schema
from tests.catalog.conftest import VENDOR
from tests.catalog.test_overlays import OVERLAY

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICING = Path(__file__).resolve().parents[2] / "pricing"
FILES = sorted(PRICING.glob("*.yaml"))
SCHEMA = json_schema()
KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def test_the_file_is_what_the_code_says() -> None:
    """If not: python scripts/write_schema.py."""
    assert json.loads((PRICING / "schema.json").read_text(encoding="utf-8")) == SCHEMA


def test_the_checks_know_every_figure_of_a_limit() -> None:
    scope = {"tier", "models", "lane", "pool", "counts", "layer"}
    assert set(LIMIT_FIGURES) == set(Limit.model_fields) - set(Fact.model_fields) - scope


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_fits_and_names_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(misfits(strict_yaml.load(text, path.name).data)) == []
    assert text.splitlines()[0] == "# yaml-language-server: $schema=schema.json"


@pytest.mark.parametrize("text", [VENDOR, OVERLAY], ids=["vendor", "overlay"])
def test_short_forms_and_overlays_fit(text: str) -> None:
    assert list(misfits(strict_yaml.load(text, "x").data)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("window: 24h", "window: 24 hours"),
        ("input: 1,", "inputs: 1,"),
        ("input: 1,", "input: -1,"),
        ("models: listed", "models: some"),
        ("support: unknown", "support: maybe"),
        ("multiply: 0.5", "multiply: half"),
        ("delivery: async", "delivery: later"),
        ("  small:\n", "  small:\n    layer: 1\n"),
        ("schema: 1\n", ""),
        ("known_from: 2026-01-01\n", ""),
        ("read: 2026-06-01", "read: June"),
        ("rpm: 10", "rpm: 0"),
    ],
)
def test_what_does_not_load_does_not_fit(old: str, new: str) -> None:
    assert old in VENDOR
    text = VENDOR.replace(old, new, 1)
    assert list(misfits(strict_yaml.load(text, "x").data)) != []


# --- as much of JSON Schema as the file uses ----------------------------------------------


def misfits(value: Any, rule: dict[str, Any] = SCHEMA, at: str = "") -> Iterator[str]:
    """Every place where a value does not fit; dates are strings to a YAML editor."""
    value = value.isoformat() if isinstance(value, date) else value
    if "$ref" in rule:
        yield from misfits(value, SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]], at)
    if "anyOf" in rule and all(list(misfits(value, each, at)) for each in rule["anyOf"]):
        yield f"{at}: no alternative fits {value!r}"
    if "not" in rule and not list(misfits(value, rule["not"], at)):
        yield f"{at}: excluded"
    if not kind_fits(value, rule) or not scalar_fits(value, rule):
        yield f"{at}: {value!r} is not {rule}"
    elif isinstance(value, dict):
        yield from in_mapping(value, rule, at)
    elif isinstance(value, list):
        if len(value) < rule.get("minItems", 0):
            yield f"{at}: too few"
        for index, each in enumerate(value):
            yield from misfits(each, rule.get("items", {}), f"{at}[{index}]")


def kind_fits(value: Any, rule: dict[str, Any]) -> bool:
    kind = rule.get("type")
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if kind == "integer":
        return number and isinstance(value, int)
    return number if kind == "number" else kind is None or isinstance(value, KINDS[kind])


def scalar_fits(value: Any, rule: dict[str, Any]) -> bool:
    return (
        ("const" not in rule or value == rule["const"])
        and ("enum" not in rule or any(value is e or value == e for e in rule["enum"]))
        and ("pattern" not in rule or re.search(rule["pattern"], value) is not None)
        and ("minimum" not in rule or value >= rule["minimum"])
        and ("exclusiveMinimum" not in rule or value > rule["exclusiveMinimum"])
        and ("minLength" not in rule or not isinstance(value, str) or value != "")
    )


def in_mapping(value: dict[str, Any], rule: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}: without {key}" for key in rule.get("required", ()) if key not in value)
    if len(value) < rule.get("minProperties", 0):
        yield f"{at}: empty"
    patterns = rule.get("patternProperties", {})
    for key, each in value.items():
        known = [rule["properties"][key]] if key in rule.get("properties", {}) else []
        known += [inner for pattern, inner in patterns.items() if re.search(pattern, key)]
        other = rule.get("additionalProperties", True)
        if not known and other is False:
            yield f"{at}.{key}: unknown"
        for inner in known or ([other] if isinstance(other, dict) else []):
            yield from misfits(each, inner, f"{at}.{key}")
