"""What differs between the vendors, so that one suite asks the same of each: one entry a vendor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.handoff.keys import Key, Secret
from planner.handoff.providers import anthropic_rows, anthropic_wire, openai_rows, openai_wire
from planner.handoff.providers import vendors as registry
from tests.handoff.contract.loopback import Said

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from planner.handoff.build import Adapter
    from planner.handoff.providers.wire import Dialect
    from planner.handoff.vendor import BatchVendor, RealtimeVendor

SECRET = "sk-ant-SENTINELKEY-9f3a77c1d2e4b5"
KEY = Key(secret=Secret(SECRET), found_in="THE_TEST")
PROMPT = "SENTINELPROMPT tell nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One vendor and one of its endpoints."""

    provider: str
    endpoint: str
    adapter: Adapter
    words: Dialect
    root: str
    """What its base URL ends with."""
    listing: str
    creating: str
    empty: Mapping[str, Any]

    def batches(self, base_url: str) -> BatchVendor:
        return registry.open_batches(self.provider, base_url=base_url, key=KEY)

    def realtime(self, base_url: str) -> RealtimeVendor:
        return registry.open_realtime(self.provider, base_url=base_url, key=KEY)

    def body(self, prompt: str = PROMPT) -> dict[str, Any]:
        """One request."""
        turns = [{"role": "user", "content": prompt}]
        if self.provider == "anthropic":
            return {"model": "claude-haiku-5-5", "max_tokens": 64, "messages": turns}
        if self.endpoint.endswith("responses"):
            return {"model": "gpt-6-sol", "max_output_tokens": 64, "input": turns}
        return {"model": "gpt-6-sol", "max_completion_tokens": 64, "messages": turns}

    def shard(self, folder: Path, rows: int = 5, nonce: str = "0123456789ab") -> Path:
        """A file of the vendor's, framed as planner builds it."""
        frame = self.adapter.frame
        made = folder / f"00001.a1{frame.suffix}"
        body = json.dumps(self.body()).encode()
        lines = (self.adapter.line(f"{nonce}-{at}", self.endpoint, body) for at in range(rows))
        made.write_bytes(frame.opening + frame.between.join(lines) + frame.closing)
        return made

    def refusal(self, status: int, code: str | None = None, **headers: str) -> Said:
        """The vendor's own no: request id, JSON envelope."""
        error: dict[str, Any] = {"type": "invalid_request_error", "message": f"no: {SECRET}"}
        if self.provider == "anthropic":
            more = {} if code is None else {"details": {"error_code": code}}
            return Said.json(
                {"type": "error", "error": error | more}, status, request_id="req_1", **headers
            )
        return Said.json(
            {"error": error | {"code": code, "param": None}},
            status,
            x_request_id="req_1",
            **headers,
        )


_ANTHROPIC: dict[str, Any] = {
    "provider": "anthropic",
    "adapter": anthropic_rows.ADAPTER,
    "words": anthropic_wire.WORDS,
    "root": "",
    "listing": "GET /v1/messages/batches",
    "creating": "POST /v1/messages/batches",
    "empty": {"data": [], "has_more": False, "first_id": None, "last_id": None},
}
_OPENAI: dict[str, Any] = {
    "provider": "openai",
    "adapter": openai_rows.ADAPTER,
    "words": openai_wire.WORDS,
    "root": "/v1",
    "listing": "GET /v1/batches",
    "creating": "POST /v1/batches",
    "empty": {"object": "list", "data": [], "has_more": False},
}
CASES = (
    Case(endpoint="/v1/messages", **_ANTHROPIC),
    Case(endpoint="/v1/responses", **_OPENAI),
    Case(endpoint="/v1/chat/completions", **_OPENAI),
)
VENDORS = CASES[:2]
"""One entry a vendor, where the endpoint makes no difference."""


def named(case: Case) -> str:
    """How a case is called in a test's name."""
    return f"{case.provider}:{case.endpoint.rpartition('/')[2]}"
