"""Tool definitions and schemas as the text a model gets to read.

Some vendors show a model its tools as compact JSON, others as a namespace of TypeScript
types; nobody documents it, recorded usage tells. Counting the JSON everywhere was rejected:
it is up to twice as long as the types.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PLAIN = {
    "string": "string",
    "boolean": "boolean",
    "null": "null",
    "integer": "number",
    "number": "number",
}
DEEPEST = 60
"""Levels of nesting that are written out; what is deeper is `any`, in no sane definition."""

_STRICT = ("additionalProperties", "required")


def read(tools: str) -> tuple[Mapping[str, Any], ...]:
    """The definitions in a request's `tools` (a JSON list, or a single one)."""
    found = json.loads(tools)
    listed = found if isinstance(found, list) else [found]
    return tuple(each for each in listed if isinstance(each, dict))


def as_types(tools: Sequence[Mapping[str, Any]]) -> str:
    """The definitions as a namespace of TypeScript functions.

    A tool that the vendor runs itself has no parameters to write out; it stands as its JSON.
    """
    lines = ["namespace functions {", ""]
    for tool in tools:
        lines += [*_function(tool), ""]
    lines.append("} // namespace functions")
    return "\n".join(lines)


def bare(schema: str) -> str:
    """A schema as compact JSON without what a strict one says anyway: all fields, no others."""
    return json.dumps(_bare(json.loads(schema)), ensure_ascii=False, separators=(",", ":"))


def _bare(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        return value
    if isinstance(value, dict):
        return {key: _bare(each, depth + 1) for key, each in value.items() if key not in _STRICT}
    return [_bare(each, depth + 1) for each in value] if isinstance(value, list) else value


def _function(tool: Mapping[str, Any]) -> Iterator[str]:
    inner = tool.get("function")
    function = inner if isinstance(inner, dict) else tool
    name = function.get("name")
    if not isinstance(name, str):
        yield json.dumps(tool, ensure_ascii=False, separators=(",", ":"))
        return
    yield from _comment(function)
    parameters = function.get("parameters") or function.get("input_schema")
    fields = list(_fields(parameters)) if isinstance(parameters, dict) else []
    if fields:
        yield from (f"type {name} = (_: {{", *fields, "}) => any;")
    else:
        yield f"type {name} = () => any;"


def _comment(of: Mapping[str, Any]) -> Iterator[str]:
    said = of.get("description")
    if isinstance(said, str) and said:
        yield f"// {said}"


def _fields(schema: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return
    needed = required if isinstance(required, list) else []
    for name, each in properties.items():
        if isinstance(each, dict):
            yield from _comment(each)
            yield f"{name}{'' if name in needed else '?'}: {_type(each, depth + 1)},"


def _type(schema: Mapping[str, Any], depth: int) -> str:
    kind = schema.get("type") if depth <= DEEPEST else None
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        return " | ".join(json.dumps(each, ensure_ascii=False) for each in values)
    choices = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(choices, list) and depth <= DEEPEST:
        return " | ".join(_type(each, depth + 1) for each in choices if isinstance(each, dict))
    if kind == "array":
        items = schema.get("items")
        return f"{_type(items, depth + 1)}[]" if isinstance(items, dict) else "any[]"
    if kind == "object":
        return "\n".join(("{", *_fields(schema, depth), "}"))
    return _PLAIN.get(str(kind), "any")
