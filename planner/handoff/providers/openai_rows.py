"""Requests in the words of OpenAI's Batch API: a JSONL file for one endpoint and one model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.handoff.build import Frame, UnsendableError
from planner.handoff.providers import sdk_types
from planner.handoff.providers.bounds import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from planner.handoff.build import Spec
    from planner.workload.prompt import Request

RESPONSES = "/v1/responses"
CHAT = "/v1/chat/completions"
ROLES = ("system", "user", "assistant")

LIMIT = {RESPONSES: "max_output_tokens", CHAT: "max_completion_tokens"}
TURNS = {RESPONSES: "input", CHAT: "messages"}
_BOTH = (
    "metadata model parallel_tool_calls prompt_cache_key prompt_cache_options "
    "prompt_cache_retention safety_identifier service_tier store stream stream_options "
    "temperature tool_choice top_logprobs top_p user"
)
_CLIENT_TOOLS = ("function", "custom", "apply_patch", "computer", "local_shell")
BOUNDED = {
    RESPONSES: Bounded(
        keys=frozenset(f"{_BOTH} include input instructions max_output_tokens max_tool_calls "
                       "reasoning text truncation".split()),
        tools=_CLIENT_TOOLS,
    ),
    CHAT: Bounded(
        keys=frozenset(f"{_BOTH} frequency_penalty function_call functions logit_bias logprobs "
                       "max_completion_tokens max_tokens messages modalities n presence_penalty "
                       "reasoning_effort response_format seed stop verbosity".split()),
        tools=_CLIENT_TOOLS,
    ),
}  # fmt: skip
"""Not in it: what brings in an earlier conversation or a stored prompt, other windows and what
runs in the background, predicted text (billed where it is wrong), sound, searches."""
SCHEMA_NAME = "answer"
"""A schema needs a name here; it is not shown to anybody but the model."""


class OpenAI:
    """The adapter."""

    endpoints = (RESPONSES, CHAT)
    envelope = "body"
    frame = Frame(suffix=".jsonl", opening=b"", between=b"\n", closing=b"\n")

    def own_keys(self, endpoint: str) -> frozenset[str]:
        """What model, prompts and limit already say."""
        said = {"model", "instructions", "max_tokens", LIMIT[endpoint], TURNS[endpoint]}
        return frozenset(said)

    def common(self, spec: Spec) -> dict[str, Any]:
        """Model, limit, the schema of the answer, and whatever else was asked for."""
        limit = {LIMIT[spec.endpoint]: spec.max_output_tokens}
        made = {"model": spec.model, **limit, **spec.params}
        if spec.schema is not None:
            made |= _schema(spec)
        return made

    def turns(self, request: Request, endpoint: str) -> dict[str, Any]:
        """Every message in its order, system prompts among them."""
        for each in request.messages:
            if each.role not in ROLES:
                raise UnsendableError(f"a message has the role {each.role!r}")
        said = [{"role": each.role, "content": each.content} for each in request.messages]
        return {TURNS[endpoint]: said}

    def line(self, custom_id: str, endpoint: str, body: bytes) -> bytes:
        """One line of the file."""
        head = json.dumps(
            {"custom_id": custom_id, "method": "POST", "url": endpoint}, separators=(",", ":")
        )
        return head[:-1].encode() + b',"body":' + body + b"}"

    def checker(self, endpoint: str) -> Callable[[bytes], str | None]:
        """The installed SDK's own parameters of that endpoint."""
        try:
            return sdk_types.checker(_types(endpoint))
        except ImportError:
            raise InputError.of(
                "no-library",
                "the openai package, whose types every row is checked against, is not installed",
                hint="pip install 'batch-planner[openai]'",
            ) from None

    def priced(self, region: str | None) -> Mapping[str, tuple[object, ...]]:
        """One answer a request, at the ordinary rate; its region is its address's."""
        del region
        return {
            "n": (None, 1),
            "service_tier": (None, "auto", "default"),
            "modalities": (None, ["text"]),
        }

    def beyond(self, body: Mapping[str, Any], endpoint: str) -> str | None:
        """Tools that the vendor runs, text that it brings in, and keys nobody has looked at."""
        return BOUNDED[endpoint].beyond(body)


def _types(endpoint: str) -> Any:
    if endpoint == CHAT:
        from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

        return CompletionCreateParamsNonStreaming
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

    return ResponseCreateParamsNonStreaming


def _schema(spec: Spec) -> dict[str, Any]:
    """The schema of the answer, each endpoint in its own wrapping."""
    named = {"name": SCHEMA_NAME, "schema": spec.schema, "strict": True}
    if spec.endpoint == CHAT:
        if "response_format" in spec.params:
            raise _twice("response_format")
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    config = dict(spec.params.get("text") or {})
    if "format" in config:
        raise _twice("text")
    return {"text": {**config, "format": {"type": "json_schema", **named}}}


def _twice(key: str) -> InputError:
    return InputError.of("schema-twice", f"--json-schema and --param {key} both give a format")


ADAPTER = OpenAI()
