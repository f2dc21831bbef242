"""OpenAI's own count of a text's tokens: nothing answers, and the text leaves this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.handoff.providers import openai_wire as words
from planner.handoff.providers import wire
from planner.handoff.vendor import AmbiguousError

if TYPE_CHECKING:
    from planner.handoff.keys import Key


class OpenAICounts:
    """The vendor, under one key."""

    def __init__(self, key: Key, base_url: str | None) -> None:
        self.account = words.whose(key, base_url)
        self._client = words.client(key, base_url)
        self._line = wire.Line(words.WORDS, key)

    def count(self, model: str, text: str) -> int:
        """Tokens of one user message with that text, its frame included."""
        found, _ = self._line.object(
            lambda: (
                self._client.responses.input_tokens.with_raw_response.count(
                    model=model, input=text, timeout=wire.PATIENCE
                ).http_response
            )
        )
        tokens = wire.count(found, "input_tokens")
        if not tokens:
            raise AmbiguousError("OpenAI was reached, and what came back is no count")
        return tokens

    def close(self) -> None:
        """Let connections go."""
        self._client.close()


def open_counts(key: Key | None, base_url: str | None) -> OpenAICounts:
    """OpenAI's counts under a key, the found one by default."""
    return OpenAICounts(key or words.key(), base_url)
