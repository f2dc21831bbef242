"""OpenAI's Responses and Chat Completions, one request at a time: one attempt, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.handoff.providers import openai_wire as words
from planner.handoff.providers import wire
from planner.handoff.vendor import Account, RefusedError, Reply

if TYPE_CHECKING:
    from planner.handoff.keys import Key

ENDPOINTS = ("/v1/responses", "/v1/chat/completions")


class OpenAIRealtime:
    """The vendor, under one key."""

    def __init__(self, key: Key, base_url: str | None) -> None:
        words.library()
        import openai

        self._client = openai.AsyncOpenAI(
            api_key=key.secret.reveal(),
            base_url=base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        self._line = wire.Line(words.WORDS, key)
        self.account = self._whose(key, base_url)

    def _whose(self, key: Key, base_url: str | None) -> Account:
        """Told by a list of at most one batch, which costs nothing, as for batches."""
        client = words.client(key, base_url)
        try:
            _, response = self._line.object(
                lambda: client.batches.with_raw_response.list(limit=1).http_response
            )
            return words.account(client, self._line, response.headers)
        except RefusedError as error:
            # A key may be allowed to ask and not to list; then nobody says whose it is.
            if error.kind not in {"missing", "access"} or error.status in {401, 402}:
                raise
            return words.account(client, self._line, {})
        finally:
            client.close()

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
