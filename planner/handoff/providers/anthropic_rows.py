"""Requests in the words of Anthropic's Message Batches: one JSON body with every row of a shard.

The body is exactly what `POST /v1/messages/batches` takes, so that a shard is sent byte for
byte as it was checked.
"""

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

ROLES = ("user", "assistant")

BOUNDED = Bounded(
    keys=frozenset(
        "cache_control diagnostics inference_geo max_tokens messages metadata model output_config "
        "service_tier speed stop_sequences stream system temperature thinking tool_choice top_k "
        "top_p".split()
    ),
    tools=("custom", "bash_", "computer_", "memory_", "text_editor_"),
)
"""Not in it: `container`, whose skills run code at the vendor's, and other people's accounts."""


class Anthropic:
    """The adapter."""

    endpoints = ("/v1/messages",)
    envelope = "params"
    frame = Frame(suffix=".json", opening=b'{"requests":[\n', between=b",\n", closing=b"\n]}\n")

    def own_keys(self, endpoint: str) -> frozenset[str]:
        """What model, prompts and limit already say."""
        del endpoint
        return frozenset({"model", "messages", "system", "max_tokens"})

    def common(self, spec: Spec) -> dict[str, Any]:
        """Model, limit, the schema of the answer, and whatever else was asked for."""
        made = {"model": spec.model, "max_tokens": spec.max_output_tokens, **spec.params}
        if spec.schema is not None:
            config = dict(spec.params.get("output_config") or {})
            if "format" in config:
                raise InputError.of(
                    "schema-twice", "--json-schema and --param output_config both give a format"
                )
            config["format"] = {"type": "json_schema", "schema": spec.schema}
            made["output_config"] = config
        return made

    def turns(self, request: Request, endpoint: str) -> dict[str, Any]:
        """The system prompt beside the messages, as this vendor has it."""
        del endpoint
        system = [each.content for each in request.messages if each.role == "system"]
        said = [each for each in request.messages if each.role != "system"]
        for each in said:
            if each.role not in ROLES:
                raise UnsendableError(f"a message has the role {each.role!r}")
        made: dict[str, Any] = {"system": "\n\n".join(system)} if system else {}
        made["messages"] = [{"role": each.role, "content": each.content} for each in said]
        return made

    def line(self, custom_id: str, endpoint: str, body: bytes) -> bytes:
        """One entry of `requests`."""
        del endpoint
        return b'{"custom_id":' + json.dumps(custom_id).encode() + b',"params":' + body + b"}"

    def checker(self, endpoint: str) -> Callable[[bytes], str | None]:
        """The installed SDK's own parameters of a message."""
        del endpoint
        from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

        return sdk_types.checker(MessageCreateParamsNonStreaming)

    def priced(self, region: str | None) -> Mapping[str, tuple[object, ...]]:
        """Where it is processed, which costs more in a region, and at the ordinary speed."""
        geo = (None, "global") if region is None else (region,)
        return {"inference_geo": geo, "speed": (None, "standard")}

    def beyond(self, body: Mapping[str, Any], endpoint: str) -> str | None:
        """Tools that the vendor runs (searches, code), and keys that nobody has looked at."""
        del endpoint
        return BOUNDED.beyond(body)


ADAPTER = Anthropic()
