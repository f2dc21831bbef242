"""Anthropic's Messages, one request at a time: the row's own bytes, one attempt, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.handoff.providers import anthropic_wire as words
from planner.handoff.providers import wire

if TYPE_CHECKING:
    from planner.handoff.keys import Key
    from planner.handoff.vendor import Reply

ENDPOINT = "/v1/messages"


class AnthropicRealtime:
    """The vendor, under one key."""

    def __init__(self, key: Key, base_url: str | None) -> None:
        import anthropic

        self.account = words.whose(key, base_url)
        self._client = anthropic.AsyncAnthropic(
            api_key=key.secret.reveal(),
            base_url=base_url,
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        self._line = wire.Line(words.WORDS, key)

    async def ask(self, custom_id: str, endpoint: str, body: bytes) -> Reply:
        """Send one row's body exactly as it is; every failure comes back as a Reply."""
        import httpx2

        try:
            response = await self._client.post(endpoint, cast_to=httpx2.Response, content=body)
        except Exception as error:  # noqa: BLE001 -- whatever a library raises is sorted
            return wire.replied(self._line, error, custom_id)
        return wire.answer(self._line, response, lambda message: words.answered(custom_id, message))

    async def close(self) -> None:
        """Let connections go."""
        await self._client.close()


def open_realtime(key: Key | None, base_url: str | None) -> AnthropicRealtime:
    """Anthropic's messages under a key, the found one by default."""
    return AnthropicRealtime(key or words.key(), base_url)
