"""Where a schema was asked for, the answer fits it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.rehearsal import Answers, schemas
from tests.handoff.rehearsal.conftest import shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handoff.rehearsal.conftest import Stage

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad"]},
        "score": {"type": "number"},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["label", "score", "notes"],
    "additionalProperties": False,
}

LEAVES = st.sampled_from(
    [{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]
) | st.lists(st.integers(), min_size=1, max_size=3).map(lambda values: {"enum": values})


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.dictionaries(st.text(max_size=3), inner, max_size=3).map(
            lambda found: {"type": "object", "properties": found}
        )
        | inner.map(lambda found: {"type": "array", "items": found})
        | st.lists(inner, min_size=1, max_size=3).map(lambda found: {"anyOf": found})
    )


def fits(value: Any, schema: dict[str, Any]) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    if "anyOf" in schema:
        return any(fits(value, each) for each in schema["anyOf"])
    kind = schema["type"]
    if kind == "object":
        inner = schema["properties"]
        return (
            isinstance(value, dict)
            and set(value) == set(inner)
            and all(fits(value[key], inner[key]) for key in inner)
        )
    if kind == "array":
        return isinstance(value, list) and len(value) == 1 and fits(value[0], schema["items"])
    kinds = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}
    return type(value) is kinds[kind]


@given(st.recursive(LEAVES, nested, max_leaves=6), st.text(max_size=5), st.integers(0, 5))
def test_answers_fit_their_schema(schema: dict[str, Any], key: str, seed: int) -> None:
    said = schemas.answer(schema, seed, key)
    assert fits(json.loads(said), schema)
    assert said == schemas.answer(schema, seed, key)


def test_references_are_followed_and_come_to_an_end() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}
    found = json.loads(schemas.answer({"$ref": "#/$defs/tree", "$defs": {"tree": tree}}, 0, "k"))
    depth = 0
    while found is not None:
        found, depth = found["next"], depth + 1
    assert depth > 2


@pytest.mark.parametrize("cut", [False, True])
def test_both_vendors_answer_as_they_are_asked(play: Callable[..., Stage], cut: bool) -> None:
    stage = play(answers=Answers(mean=50, cv=0))
    limit = 10 if cut else 100
    config = {"format": {"type": "json_schema", "schema": SCHEMA}}
    made = stage.message_batch(2, output_config=config, max_tokens=limit)
    named = {"type": "json_schema", "name": "a", "schema": SCHEMA}
    responses = stage.batch(shard(2, text={"format": named}, max_output_tokens=limit))
    url = "/v1/chat/completions"
    asked = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    chat = stage.batch(shard(2, url=url, response_format=asked, max_tokens=limit), url)
    stage.ended()
    results: Any = stage.anthropic.messages.batches.results(made.id)
    said = [each.result.message.content[0].text for each in results]
    files = [stage.openai.batches.retrieve(each.id).output_file_id for each in (responses, chat)]
    bodies = [[row["response"]["body"] for row in stage.lines(file)] for file in files]
    said += [body["output"][0]["content"][0]["text"] for body in bodies[0]]
    said += [body["choices"][0]["message"]["content"] for body in bodies[1]]
    assert len(said) == 6
    for each in said:
        if cut:
            with pytest.raises(ValueError, match="Expecting"):
                json.loads(each)
        else:
            assert json.loads(each)["label"] in {"good", "bad"}
