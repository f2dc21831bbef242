"""A vendor that says exactly what a test wrote down, on a socket of this machine.

The rehearsal server behaves as vendors do; this one doesn't behave at all, which is what a table
of every status, or recorded traffic, needs.
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Way = Literal[
    "whole",
    "drop",  # the request is read, then the connection closes
    "reset",  # the same with a reset
    "half",  # the reply breaks off within its headers
    "short",  # the body is shorter than its content-length
    "unchunked",  # the last chunk never comes
    "eof",  # no length at all: the end of the connection is the end of the body
]
MANY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One reply."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    way: Way = "whole"

    @classmethod
    def json(cls, body: object, status: int = 200, **headers: str) -> Said:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(
            status=status,
            body=json.dumps(body).encode(),
            headers={"content-type": "application/json"} | named,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Script:
    """Replies by `METHOD /path`, in their order; the last one stays."""

    def __init__(self) -> None:
        self.replies: defaultdict[str, deque[Said]] = defaultdict(deque)
        self.asked: list[Asked] = []
        self.port = 0

    def say(self, call: str, *replies: Said) -> None:
        self.replies[call] = deque(replies)

    def reply(self, asked: Asked) -> Said:
        self.asked.append(asked)
        left = self.replies[f"{asked.method} {urlsplit(asked.path).path}"]
        if not left:
            return Said(status=404, body=b"nothing was written down for this")
        return left.popleft() if len(left) > 1 else left[0]

    def calls(self, method: str, path: str) -> list[Asked]:
        return [
            each for each in self.asked if (each.method, urlsplit(each.path).path) == (method, path)
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    script: Script
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(method=self.command, path=self.path, headers=headers, body=body)
        self._say(self.script.reply(asked))

    do_GET = do_POST = do_DELETE = _any  # noqa: N815 -- the library's names

    def _body(self) -> bytes:
        length = self.headers.get("content-length")
        return self.rfile.read(int(length)) if length else b""

    def _say(self, said: Said) -> None:
        if said.way == "reset":
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        if said.way in {"drop", "reset"}:
            self.close_connection = True
            return
        if said.way == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-ty")
            self.close_connection = True
            return
        self.send_response_only(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self._send_body(said)

    def _send_body(self, said: Said) -> None:
        if said.way == "unchunked":
            self.send_header("transfer-encoding", "chunked")
        elif said.way != "eof":
            more = MANY if said.way == "short" else 0
            self.send_header("content-length", str(len(said.body) + more))
        self.end_headers()
        if said.way == "unchunked":
            self.wfile.write(f"{len(said.body):x}\r\n".encode() + said.body + b"\r\n")
        else:
            self.wfile.write(said.body)
        self.close_connection = said.way != "whole"

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(script: Script) -> Iterator[Script]:
    handler = type("Handler", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
