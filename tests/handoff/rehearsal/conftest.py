"""Both vendors' real libraries at a rehearsal server."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import pytest

from planner.handoff import rehearsal
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai.types import FileObject

MODEL = "made-up"


@pytest.fixture(scope="session")
def wire() -> Iterator[httpx2.Client]:
    """One transport for all: making one takes a tenth of a second."""
    with httpx2.Client(timeout=30, trust_env=False) as made:
        yield made


@dataclass
class Stage:
    """A server, its time, and a client of each vendor."""

    server: rehearsal.Server
    time: rehearsal.clock.Virtual
    wire: httpx2.Client
    key: str = "a-key"

    @cached_property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            api_key=self.key,
            base_url=self.server.base_url("anthropic"),
            max_retries=0,
            http_client=self.wire,
        )

    @cached_property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=self.key,
            base_url=self.server.base_url("openai"),
            max_retries=0,
            http_client=self.wire,
        )

    def other(self, key: str) -> Stage:
        return Stage(self.server, self.time, self.wire, key)

    @property
    def impatient(self) -> Stage:
        made = self.other(self.key)
        made.anthropic = self.anthropic.with_options(timeout=0.2)
        return made

    # what tests send

    def message_batch(self, rows: int = 5, start: int = 0, **params: Any) -> Any:
        wanted = [message(f"x-{start + number}", **params) for number in range(rows)]
        return self.anthropic.messages.batches.create(requests=wanted)  # type: ignore[arg-type]

    def upload(self, raw: bytes, name: str = "shard.jsonl") -> FileObject:
        return self.openai.files.create(file=(name, io.BytesIO(raw)), purpose="batch")

    def batch(self, raw: bytes | None = None, url: Any = "/v1/responses", **more: Any) -> Any:
        file = self.upload(shard() if raw is None else raw)
        return self.openai.batches.create(
            input_file_id=file.id, endpoint=url, completion_window="24h", **more
        )

    def ended(self, seconds: float = 3600) -> Stage:
        self.time.sleep(seconds)
        return self

    def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        assert file_id is not None
        return [json.loads(line) for line in self.openai.files.content(file_id).text.splitlines()]


def message(custom_id: str, **params: Any) -> dict[str, Any]:
    said = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
    kept = {key: each for key, each in (said | params).items() if each is not ...}
    return {"custom_id": custom_id, "params": kept}


def line(custom_id: str, url: str = "/v1/responses", **body: Any) -> bytes:
    said: dict[str, Any] = {"model": MODEL}
    key = "input" if url == "/v1/responses" else "messages"
    said[key] = [{"role": "user", "content": "hello"}]
    row = {"custom_id": custom_id, "method": "POST", "url": url, "body": said | body}
    return json.dumps(row).encode() + b"\n"


def shard(rows: int = 5, start: int = 0, url: str = "/v1/responses", **body: Any) -> bytes:
    return b"".join(line(f"x-{start + number}", url, **body) for number in range(rows))


@pytest.fixture
def play(wire: httpx2.Client) -> Iterator[Callable[..., Stage]]:
    """`play(*faults, **conduct)`: a server with these faults that behaves like this."""
    with ExitStack() as stack:

        def played(*faults: rehearsal.Fault, **conduct: Any) -> Stage:
            time = rehearsal.clock.Virtual(NOW)
            server = rehearsal.Server(
                clock=time.clock, seed=1, faults=faults, conduct=rehearsal.Conduct(**conduct)
            )
            return Stage(stack.enter_context(server), time, wire)

        yield played


@pytest.fixture
def stage(play: Callable[..., Stage]) -> Stage:
    """Nothing goes wrong."""
    return play()
