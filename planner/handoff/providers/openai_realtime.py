"""OpenAI's Responses and Chat Completions, one request at a time: one attempt, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.handoff.providers import openai_wire as words
from planner.handoff.providers import wire

if TYPE_CHECKING:
    from planner.handoff.keys import Key
    from planner.handoff.vendor import Reply

ENDPOINTS = ("/v1/responses", "/v1/chat/completions")


class OpenAIRealtime:
    """The vendor, under one key."""

    def __init__(self, key: Key, base_url: str | None) -> None:
        words.library()
        import openai

        self.account = words.whose(key, base_url)
        self._client = openai.AsyncOpenAI(
            api_key=key.secret.reveal(),
            base_url=base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        self._line = wire.Line(words.WORDS, key)

    async def ask(self, custom_id: str, endpoint: str, body: bytes) -> Reply:
        """Send one row's body exactly as it is; every failure comes back as a Reply."""
        import httpx2

        path = endpoint.removeprefix(words.ROOT)
        try:
            response = await self._client.post(path, cast_to=httpx2.Response, content=body)
        except Exception as error:  # noqa: BLE001 -- whatever a library raises is sorted
            return wire.replied(self._line, error, custom_id)
        return wire.answer(self._line, response, lambda found: words.answered(custom_id, found))

    async def close(self) -> None:
        """Let connections go."""
        await self._client.close()


def open_realtime(key: Key | None, base_url: str | None) -> OpenAIRealtime:
    """OpenAI's endpoints under a key, the found one by default."""
    return OpenAIRealtime(key or words.key(), base_url)
