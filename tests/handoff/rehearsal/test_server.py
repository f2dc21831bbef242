"""The server as a server: bodies in every framing, clients that misbehave, many at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest

from planner.handoff import rehearsal
from tests.answers import NOW
from tests.handoff.rehearsal.conftest import MODEL, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.handoff.rehearsal.conftest import Stage

BATCHES = "/anthropic/v1/messages/batches"
HEAD = f"POST {BATCHES} HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\n"


def said(stage: Stage, raw: bytes) -> bytes:
    """What a bare connection is answered, until it is closed."""
    with contextlib.closing(
        socket.create_connection(("127.0.0.1", stage.server.port))
    ) as connection:
        connection.settimeout(10)
        found = b""
        with contextlib.suppress(ConnectionError):  # a reset is an end as well
            connection.sendall(raw)
            with contextlib.suppress(OSError):  # the server was quicker to close
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                found += piece
        return found


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nx",
        b"G" * 2_000_000,
        HEAD.encode() + b"content-length: 100\r\n\r\nshort",
        HEAD.encode() + b"content-length: many\r\n\r\nshort",
        HEAD.encode() + b"transfer-encoding: chunked\r\n\r\n5\r\nab",
        HEAD.encode() + b"transfer-encoding: chunked\r\n\r\nx\r\nab",
    ],
    ids="nothing empty nonsense cut-head endless cut-body no-size cut-chunk no-chunk".split(),
)
def test_clients_that_do_not_finish_get_nothing(stage: Stage, raw: bytes) -> None:
    assert said(stage, raw) == b""
    assert stage.server.record.sent == []
    assert stage.message_batch().id


def test_two_requests_on_one_connection(stage: Stage) -> None:
    one = b"GET /anthropic/v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\n\r\n"
    assert said(stage, one + one).count(b"HTTP/1.1 200 OK") == 2


def test_a_path_of_no_vendor(stage: Stage) -> None:
    assert stage.wire.get(f"http://127.0.0.1:{stage.server.port}/").status_code == 404


@pytest.mark.parametrize("size", [0, 10, 1_000_000])
def test_a_body_in_chunks_is_the_same_body(stage: Stage, size: int) -> None:
    body = json.dumps({"requests": [message("a", system="x" * size)]}).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    url = f"http://127.0.0.1:{stage.server.port}{BATCHES}"
    for content in (body, pieces()):
        assert stage.wire.post(url, content=content, headers={"x-api-key": "k"}).status_code == 200
    assert list(stage.server.paid("anthropic").values()) == [2]


def test_nothing_is_left_behind(tmp_path: Path, wire: httpx2.Client) -> None:
    from tests.handoff.rehearsal.conftest import Stage

    time = rehearsal.clock.Virtual(NOW)
    with rehearsal.Server(clock=time.clock, folder=tmp_path) as server:
        Stage(server, time, wire).message_batch(1, system="x" * 100_000)
        assert [each for each in tmp_path.rglob("*") if each.is_file()]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(httpx2.ConnectError):
        wire.get(server.base_url("anthropic"))


def test_the_same_seed_gives_the_same_vendor(play: Callable[..., Stage]) -> None:
    def everything(stage: Stage) -> list[Any]:
        made = stage.message_batch(20)
        batch = stage.batch()
        stage.ended()
        ended = stage.openai.batches.retrieve(batch.id)
        results = stage.anthropic.messages.batches.results(made.id)
        return [
            made,
            ended,
            [each.to_dict() for each in results],
            stage.lines(ended.output_file_id),
        ]

    first, second = everything(play()), everything(play())
    assert first == second


def side_by_side(requests: int, gap: float, limits: dict[str, int]) -> tuple[float, int]:
    """Virtual seconds that single messages took, and how many of them were refused."""
    time = rehearsal.clock.Jumping(NOW)
    latency = rehearsal.Latency(base=2, per_token=0, cv=0)
    conduct = rehearsal.Conduct(latency=latency, limits=limits)  # type: ignore[arg-type]

    async def one(client: anthropic.AsyncAnthropic, number: int) -> bool:
        asked: Any = [{"role": "user", "content": str(number)}]
        try:
            await client.messages.create(model=MODEL, max_tokens=9, messages=asked)
        except anthropic.RateLimitError:
            return False
        return True

    async def main() -> int:
        async with (
            rehearsal.Server(clock=time.clock, conduct=conduct).here() as server,
            httpx2.AsyncClient(trust_env=False) as wire,
        ):
            url = server.base_url("anthropic")
            client = anthropic.AsyncAnthropic(
                api_key="k", base_url=url, max_retries=0, http_client=wire
            )
            tasks = []
            for number in range(requests):
                tasks.append(asyncio.create_task(one(client, number)))
                await time.pause(gap)
            return (await asyncio.gather(*tasks)).count(False)

    with asyncio.Runner(loop_factory=time.loop) as runner:
        refused = runner.run(main())
    return (time.now() - NOW).total_seconds(), refused


def test_messages_side_by_side_take_the_time_of_their_pace() -> None:
    """200 at 10 a second: 20 seconds, and the last answer's own two in part."""
    seconds, refused = side_by_side(200, 0.1, {"rpm": 600})
    assert refused == 0
    assert 199 * 0.1 + 2 - 1e-6 <= seconds <= 200 * 0.1 + 2


def test_messages_over_the_limit_are_refused() -> None:
    _, refused = side_by_side(200, 0.1, {"rpm": 60})
    assert 200 - 60 - 20 - 2 <= refused <= 200 - 60 - 20 + 2


def test_time_in_replies_is_the_rehearsals(stage: Stage) -> None:
    stage.time.sleep(timedelta(days=3).total_seconds())
    reply = stage.anthropic.models.with_raw_response.list()
    assert reply.headers["date"] == "Wed, 25 Nov 2026 12:00:00 GMT"
