"""An answer where a schema was asked for: the smallest value that fits, always the same one.

Only what vendors take in a schema for structured output is understood; anything else gives null,
which a reader of the answers then sees. A library that draws from any schema was rejected: one
more dependency, for answers that nobody reads twice.
"""

from __future__ import annotations

import json
from typing import Any

from planner.handoff.rehearsal.laws import share

DEEPEST = 8
"""A schema that refers to itself ends here."""


def asked(params: dict[str, Any]) -> dict[str, Any] | None:
    """The schema in a request of either vendor; None: it asks for text."""
    places = (
        ("output_config", "format", "schema"),
        ("text", "format", "schema"),
        ("response_format", "json_schema", "schema"),
    )
    for place in places:
        found: Any = params
        for key in place:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    return None


def answer(schema: dict[str, Any], seed: int, key: str) -> str:
    """A JSON text that fits a schema."""
    return json.dumps(_value(schema, schema, seed, key, 0), ensure_ascii=False)


def _value(schema: Any, root: dict[str, Any], seed: int, key: str, depth: int) -> Any:
    schema = _chosen(schema, root, seed, key, depth)
    if not isinstance(schema, dict) or depth > DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return _picked(schema["enum"], seed, key, depth)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = _picked(kind, seed, key, depth)
    if kind == "object":
        inner = (schema.get("properties") or {}).items()
        return {name: _value(of, root, seed, f"{key} {name}", depth + 1) for name, of in inner}
    if kind == "array":
        return [_value(schema.get("items"), root, seed, key, depth + 1)]
    return _plain(kind, seed, key)


def _chosen(schema: Any, root: dict[str, Any], seed: int, key: str, depth: int) -> Any:
    """The schema itself, behind references and choices."""
    for _ in range(DEEPEST):
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            schema = _followed(schema["$ref"], root)
        elif choices := schema.get("anyOf") or schema.get("oneOf"):
            schema = _picked(choices, seed, key, depth)
        else:
            return schema
    return None


def _plain(kind: Any, seed: int, key: str) -> Any:
    drawn = share(seed, "schema", key)
    values = {
        "string": f"{key}: amber",
        "boolean": drawn < 0.5,  # noqa: PLR2004 -- a coin
        "integer": int(drawn * 100),
        "number": round(drawn, 3),
    }
    return values.get(str(kind))


def _picked(options: list[Any], seed: int, key: str, depth: int) -> Any:
    return options[int(share(seed, "choice", key, depth) * len(options))]


def _followed(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found
