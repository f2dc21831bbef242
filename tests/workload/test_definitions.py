"""Tool definitions and schemas as a model gets to read them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from planner.workload.definitions import as_types, bare, read

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a place",
        "parameters": {
            "type": "object",
            "required": ["place"],
            "properties": {
                "place": {"type": "string", "description": "A town"},
                "unit": {"enum": ["C", "F"]},
                "days": {"type": "array", "items": {"type": "integer"}},
                "near": {"type": "object", "properties": {"km": {"type": "number"}}},
                "odd": {"anyOf": [{"type": "null"}, {"const": 1}]},
                "any": {},
            },
        },
    },
}

TYPES = """namespace functions {

// Weather of a place
type get_weather = (_: {
// A town
place: string,
unit?: "C" | "F",
days?: number[],
near?: {
km?: number,
},
odd?: null | 1,
any?: any,
}) => any;

type now = () => any;

{"type":"web_search"}

} // namespace functions"""


def test_definitions_become_types() -> None:
    tools = [WEATHER, {"name": "now", "input_schema": {"type": "object"}}, {"type": "web_search"}]
    assert as_types(read(json.dumps(tools))) == TYPES


def test_a_schema_loses_what_a_strict_one_says_anyway() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["a"],
        "properties": {"a": {"type": "array", "items": [{"required": []}]}},
    }
    expected = '{"type":"object","properties":{"a":{"type":"array","items":[{}]}}}'
    assert bare(json.dumps(schema)) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "name", "function", "parameters", "properties", "items", "enum", "anyOf"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_odd_definitions_are_written_out_and_break_nothing(value: object) -> None:
    tools = read(json.dumps(value))
    text = as_types(tools)
    assert text.startswith("namespace functions {")
    assert bare(json.dumps(value)) == json.dumps(
        json.loads(bare(json.dumps(value))), ensure_ascii=False, separators=(",", ":")
    )


def test_however_deep_a_definition_is_it_is_written_out() -> None:
    deep: object = {"type": "string"}
    for _ in range(100):
        deep = {"type": "object", "properties": {"a": {"anyOf": [deep]}}, "required": []}
    tool = {"name": "n", "parameters": deep}
    assert "any," in as_types(read(json.dumps([tool])))
    assert bare(json.dumps(deep)).count("required") < 100
