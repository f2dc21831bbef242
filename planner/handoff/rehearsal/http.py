"""HTTP/1.1 as far as two client libraries need it, with every way to break it.

One event loop in one thread serves hundreds of connections; bodies go to disk as they come in.
The standard library's server was rejected: it has a thread for each connection, and hides the
moments at which a reply can be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from planner.handoff.rehearsal.spool import CHUNK, Blob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import datetime
    from typing import BinaryIO

    from planner.handoff.rehearsal.spool import Spool

SMALL = 64 * 1024
"""Bodies up to this size stay in memory."""

HEAD_LIMIT = 256 * 1024

Framing = Literal["length", "chunked", "eof"]


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encoded(value: Any) -> bytes:
    """Compact JSON."""
    return _ENCODE(value).encode()


class BrokenError(Exception):
    """The client hung up, or did not speak HTTP."""


@dataclass(slots=True)
class Request:
    """A request that has arrived whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""
    blob: Blob | None = None
    """Where the body is, if it is too big for memory."""
    raw: bytes = b""
    size: int = 0
    sha256: str = ""

    def body(self) -> bytes:
        """The whole body in memory."""
        return self.raw if self.blob is None else self.blob.whole()

    def json(self) -> Any:
        """The body as JSON; ValueError."""
        return json.loads(self.body())


@dataclass(slots=True)
class Reply:
    """What is sent back."""

    status: int = 200
    body: bytes | Blob = b""
    headers: dict[str, str] = field(default_factory=dict)
    framing: Framing = "length"
    cut: float | None = None
    """Send only this share of the body, then close; the framing promises all of it."""

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """A reply in JSON."""
        body = encoded(value)
        named = {key.replace("_", "-"): each for key, each in headers.items()}
        return cls(status, body, {"content-type": "application/json", **named})

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size

    def pieces(self) -> Iterator[bytes]:
        """The body, a piece at a time."""
        if isinstance(self.body, bytes):
            yield self.body
        else:
            yield from self.body.chunks()


@dataclass(frozen=True, slots=True)
class Lost:
    """No reply at all: the connection goes, politely or with a reset."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class Half:
    """A reply that breaks off in its headers."""


Outcome = Reply | Lost | Half
Handler = "Callable[[Request, Peer], Awaitable[Outcome]]"


@dataclass(slots=True)
class Peer:
    """One connection, as a handler may need it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def gone(self) -> None:
        """Wait until the client has hung up."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read(1)


class Connections:
    """Serves connections one request after the other."""

    def __init__(
        self,
        handler: Callable[[Request, Peer], Awaitable[Outcome]],
        spool: Spool,
        now: Callable[[], datetime],
    ) -> None:
        self.handler = handler
        self.spool = spool
        self.now = now
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first request to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while await self._once(Peer(reader, writer)):
                pass
        except (BrokenError, ConnectionError, asyncio.CancelledError):
            pass  # cancelled by `close` alone, which waits for the end
        finally:
            del self._open[task]
            writer.transport.abort()

    async def close(self) -> None:
        """End all connections, whatever they are doing."""
        tasks = tuple(self._open)
        for task, writer in tuple(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _once(self, peer: Peer) -> bool:
        """One request and its reply; False where the connection is over."""
        request = await read(peer.reader, self.spool)
        if request is None:
            return False
        outcome = await self.handler(request, peer)
        if isinstance(outcome, Lost):
            await _hang_up(peer.writer, reset=outcome.reset)
            return False
        if isinstance(outcome, Half):
            peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-ty")
            await _hang_up(peer.writer, reset=False)
            return False
        return await write(peer.writer, outcome, self.now(), request.method)


async def _hang_up(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        _reset(writer)
        return
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees ECONNRESET."""
    import socket
    import struct

    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# --- reading ----------------------------------------------------------------------------


async def read(reader: asyncio.StreamReader, spool: Spool) -> Request | None:
    """The next request of a connection; None where the client has hung up."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    request = _head(head)
    sink = _Sink(spool)
    try:
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            await _chunked(reader, sink)
        else:
            await _counted(reader, sink, int(request.headers.get("content-length", 0)))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise BrokenError from error
    finally:
        sink.close()
    request.raw, request.blob = sink.raw, sink.blob
    request.size, request.sha256 = sink.size, sink.hash.hexdigest()
    return request


def _head(raw: bytes) -> Request:
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    try:
        method, target, _ = first.split(" ")
    except ValueError as error:
        raise BrokenError from error
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers)


class _Sink:
    """Bytes of a body, in memory while they are few, then in a file; hashed on the way."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.raw = b""
        self.size = 0
        self.hash = hashlib.sha256()
        self.blob: Blob | None = None
        self._stream: BinaryIO | None = None

    def add(self, raw: bytes) -> None:
        self.hash.update(raw)
        self.size += len(raw)
        if self._stream is None and self.size <= SMALL:
            self.raw += raw
            return
        if self._stream is None:
            path = self.spool.path()
            self.blob = Blob(path, 0, 0)
            self._stream = path.open("wb")
            self._stream.write(self.raw)
            self.raw = b""
        self._stream.write(raw)

    def close(self) -> None:
        if self._stream is not None:
            assert self.blob is not None
            self._stream.close()
            self.blob = Blob(self.blob.path, 0, self.size)


async def _counted(reader: asyncio.StreamReader, sink: _Sink, size: int) -> None:
    while size > 0:
        raw = await reader.read(min(size, CHUNK))
        if not raw:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(raw)
        sink.add(raw)


async def _chunked(reader: asyncio.StreamReader, sink: _Sink) -> None:
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        await _counted(reader, sink, size)
        await reader.readexactly(2)
        if size == 0:
            return


# --- writing ----------------------------------------------------------------------------


async def write(writer: asyncio.StreamWriter, reply: Reply, now: datetime, method: str) -> bool:
    """Send a reply; False where the connection is over after it."""
    headers = {"date": format_datetime(now.astimezone(UTC), usegmt=True), **reply.headers}
    if reply.framing == "length":
        headers["content-length"] = str(reply.size)
    elif reply.framing == "chunked":
        headers["transfer-encoding"] = "chunked"
    else:
        headers["connection"] = "close"
    writer.write(_status_and(headers, reply.status))
    if method == "HEAD":
        return True
    budget = reply.size if reply.cut is None else int(reply.size * reply.cut)
    for piece in reply.pieces():
        _put(writer, piece[:budget], reply.framing)
        budget -= len(piece)
        await writer.drain()
        if budget <= 0:
            break
    if reply.cut is not None or reply.framing == "eof":
        await _hang_up(writer, reset=False)
        return False
    if reply.framing == "chunked":
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _put(writer: asyncio.StreamWriter, piece: bytes, framing: Framing) -> None:
    if framing != "chunked":
        writer.write(piece)
    elif piece:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))


_OWN_NAMES: Mapping[int, str] = {529: "Overloaded"}


def _status_and(headers: Mapping[str, str], status: int) -> bytes:
    name = _OWN_NAMES.get(status) or HTTPStatus(status).phrase
    lines = [f"HTTP/1.1 {status} {name}", *(f"{key}: {each}" for key, each in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
