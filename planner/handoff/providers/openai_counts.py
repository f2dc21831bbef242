"""OpenAI's own count of a text's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.handoff.providers import openai_wire as words
from planner.handoff.providers import wire

if TYPE_CHECKING:
    import httpx2

    from planner.handoff.keys import Key


def open_counts(key: Key | None, base_url: str | None) -> wire.TextCounts:
    """The vendor's counts under a key, the found one by default."""
    key = key or words.key()
    account = words.whose(key, base_url)
    client = words.client(key, base_url)

    def ask(model: str, text: str) -> httpx2.Response:
        found: httpx2.Response = client.responses.input_tokens.with_raw_response.count(
            model=model, input=text, timeout=wire.PATIENCE
        ).http_response
        return found

    return wire.TextCounts(wire.Line(words.WORDS, key), account, ask, client.close)
