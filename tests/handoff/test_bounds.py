"""Requests whose cost no ceiling bounds are neither planned, built nor sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from planner.handoff.providers import adapters, anthropic_rows, openai_rows

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.providers.bounds import Bounded
    from tests.answers import Answer, Ask

HAIKU, SOL = "claude-haiku-5-5", "gpt-6.2-sol"
CHAT = ("--endpoint", openai_rows.CHAT)
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}

UNBOUNDED: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (HAIKU, {"tools": [{"type": "web_search_20260318", "name": "web_search", "max_uses": 3}]}, ()),
    (HAIKU, {"tools": [{"type": "web_fetch_20260318", "name": "web_fetch"}]}, ()),
    (HAIKU, {"tools": [{"type": "code_execution_20260521", "name": "code_execution"}]}, ()),
    (HAIKU, {"tools": [{"name": "mine", "input_schema": {"type": "object"}},
                       {"type": "web_search_20250305", "name": "web_search"}]}, ()),
    (HAIKU, {"container": {"id": "container_1"}}, ()),
    (HAIKU, {"speed": "fast"}, ("--choose", f"{HAIKU}/standard")),
    (HAIKU, {"workspace_id": "wrkspc_of_somebody_else"}, ()),
    (SOL, {"tools": [{"type": "web_search"}]}, ()),
    (SOL, {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, ()),
    (SOL, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, ()),
    (SOL, {"tools": [{"type": "image_generation"}]}, ()),
    (SOL, {"previous_response_id": "resp_1"}, ()),
    (SOL, {"conversation": "conv_1"}, ()),
    (SOL, {"prompt": {"id": "pmpt_1"}}, ()),
    (SOL, {"background": True}, ()),
    (SOL, {"background_options": {"completion_window": "2h"}}, ()),
    (SOL, {"web_search_options": {}}, CHAT),
    (SOL, {"prediction": {"type": "content", "content": "long"}}, CHAT),
    (SOL, {"modalities": ["text", "audio"]}, CHAT),
    (SOL, {"audio": {"voice": "alloy", "format": "mp3"}}, CHAT),
]  # fmt: skip

BOUND: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (HAIKU, {"tools": [{"name": "mine", "input_schema": {"type": "object"}}]}, ()),
    (HAIKU, {"tools": [{"type": "bash_20250124", "name": "bash"}]}, ()),
    (HAIKU, {"metadata": {"user_id": "u"}, "stop_sequences": ["."]}, ()),
    (SOL, {"tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}]}, ()),
    (SOL, {"reasoning": {"effort": "low"}, "store": False}, ()),
    (SOL, {"tools": [FUNCTION]}, CHAT),
    (SOL, {"modalities": ["text"]}, CHAT),
]


def build(
    ask: Ask, folder: Path, model: str, params: dict[str, Any], more: tuple[str, ...]
) -> Answer:
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(3)))
    said = [part for key, value in params.items()
            for part in ("--param", f"{key}={json.dumps(value)}")]  # fmt: skip
    lane = () if "--choose" in more else ("--lane", "batch")
    command = ("plan", str(rows), "-o", str(folder / "a.plan.yaml"))
    if "--choose" not in more:
        command = ("build", str(rows), "-o", str(folder / "out"))
    job = ("--prompt", "{{ text }}", "--model", model, "--output-tokens", "9")
    return ask(*command, *job, *lane, *said, *more)


@pytest.mark.parametrize(("model", "params", "more"), UNBOUNDED)
def test_what_no_ceiling_bounds_is_refused(
    ask: Ask, tmp_path: Path, model: str, params: dict[str, Any], more: tuple[str, ...]
) -> None:
    answer = build(ask, tmp_path, model, params, more)
    if answer.exit_code == 0:  # a plan may say it; nothing can be made of it
        answer = ask("submit", str(tmp_path / "a.plan.yaml"))
    assert answer.exit_code == 2, answer.out
    assert "nothing bounds" in answer.err or "the plan's prices are for no" in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("model", "params", "more"), BOUND)
def test_what_tokens_bound_is_built(
    ask: Ask, tmp_path: Path, model: str, params: dict[str, Any], more: tuple[str, ...]
) -> None:
    answer = build(ask, tmp_path, model, params, more)
    assert answer.exit_code == 0, answer.err


def test_rows_that_bring_such_a_request_themselves_are_refused(ask: Ask, tmp_path: Path) -> None:
    rows = tmp_path / "own.jsonl"
    body = {"model": HAIKU, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    search = {"tools": [{"type": "web_search_20260318", "name": "web_search"}]}
    lines = [{"custom_id": f"r{n}", "params": body | (search if n else {})} for n in range(2)]
    rows.write_text("".join(json.dumps(each) + "\n" for each in lines))
    job = ("--model", HAIKU, "--output-tokens", "9", "--lane", "batch")
    answer = ask("build", str(rows), *job, "-o", str(tmp_path / "out"))
    assert answer.exit_code == 2
    assert "row 2 cannot be sent: a tool of the kind web_search_20260318" in answer.err


# --- the lists ----------------------------------------------------------------------------


def known_keys(endpoint: str) -> frozenset[str]:
    """Every key of a request that the installed library knows."""
    if endpoint in openai_rows.BOUNDED:
        types = openai_rows._types(endpoint)
    else:
        from anthropic.types import message_create_params

        types = message_create_params.MessageCreateParamsNonStreaming
    return frozenset(types.__required_keys__ | types.__optional_keys__)


BOUNDS: dict[str, Bounded] = {"/v1/messages": anthropic_rows.BOUNDED, **openai_rows.BOUNDED}
REMOVED = {"temperature", "top_k", "top_p"}
"""The types left them out; the vendor takes them of older models."""


@pytest.mark.parametrize("endpoint", BOUNDS)
def test_the_list_names_only_keys_that_there_are(endpoint: str) -> None:
    assert BOUNDS[endpoint].keys - known_keys(endpoint) <= REMOVED


@pytest.mark.parametrize("endpoint", BOUNDS)
def test_a_key_that_nobody_has_looked_at_is_refused(endpoint: str) -> None:
    """A library of next year knows more keys; until somebody has looked they are not sent."""
    assert BOUNDS[endpoint].beyond({"a_key_of_next_year": {"on": True}}) is not None
    assert BOUNDS[endpoint].beyond({"a_key_of_next_year": None}) is None
    assert BOUNDS[endpoint].beyond({"tools": [{"type": "a_tool_of_next_year"}]}) is not None
    assert BOUNDS[endpoint].beyond({"tools": "of no kind"}) is None, "the vendor's types refuse it"


@pytest.mark.parametrize("provider", adapters.ADAPTERS)
def test_what_an_adapter_makes_itself_is_bounded(provider: str) -> None:
    from planner.handoff.build import Spec

    adapter = adapters.adapter(provider)
    for endpoint in adapter.endpoints:
        schema = {"type": "object", "properties": {}, "additionalProperties": False}
        spec = Spec(model="m", endpoint=endpoint, max_output_tokens=9, schema=schema, region="us")
        assert adapter.beyond(adapter.common(spec), endpoint) is None
