"""What was sent, kept in files: whole bodies on disk, and where each row stands in them.

A job of 200,000 rows is half a gigabyte of requests; the server shares its process with the
client that sends them. Rows are therefore never kept as objects: a body is a file, a row is a
place in it, and both are read again when an answer is asked for.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 1024 * 1024

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*(?:' + _STRING + rb'[^"{}\[\]]*)*([{}\[\]])', re.DOTALL)
"""Up to the next bracket outside strings."""
_OPENING = re.compile(rb'\s*\{\s*"requests"\s*:\s*\[')
_ENDING = re.compile(rb"\s*\]\s*\}\s*")
_HEAD = 4096


class MalformedError(ValueError):
    """A body is not what it should be as a whole."""


class Spool:
    """A folder of numbered files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)

    def path(self) -> Path:
        """A name that nobody has yet."""
        return self.folder / f"{next(self._numbers):06d}"

    def keep(self, raw: bytes) -> Blob:
        """Some bytes as a file."""
        path = self.path()
        path.write_bytes(raw)
        return Blob(path, 0, len(raw))


@dataclass(frozen=True, slots=True)
class Blob:
    """A stretch of a file."""

    path: Path
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; fewer at the end."""
        with self.path.open("rb") as stream:
            stream.seek(self.start + offset)
            return stream.read(max(min(size, self.size - offset), 0))

    def chunks(self) -> Iterator[bytes]:
        """All of it, a piece at a time."""
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            left = self.size
            while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def sha256(self) -> str:
        """Of exactly these bytes."""
        made = hashlib.sha256()
        for chunk in self.chunks():
            made.update(chunk)
        return made.hexdigest()

    def whole(self) -> bytes:
        """All of it at once, for what is small."""
        return self.read(0, self.size)

    def find(self, wanted: bytes, offset: int = 0) -> int:
        """Where `wanted` begins at or after `offset`; -1: nowhere."""
        keep, position = b"", offset
        with self.path.open("rb") as stream:
            stream.seek(self.start + offset)
            while position < self.size:
                chunk = stream.read(min(CHUNK, self.size - position))
                if not chunk:
                    return -1
                window = keep + chunk
                found = window.find(wanted)
                if found >= 0:
                    return position - len(keep) + found
                position += len(chunk)
                keep = window[-(len(wanted) - 1) :] if len(wanted) > 1 else b""
        return -1


@dataclass(slots=True)
class Rows:
    """Places of the rows in a blob."""

    blob: Blob
    starts: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("L"))

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, start: int, size: int) -> None:
        """The place of one more row."""
        self.starts.append(start)
        self.sizes.append(size)

    def each(self, order: array[int] | range) -> Iterator[tuple[int, bytes]]:
        """Rows by number, in the given order."""
        with self.blob.path.open("rb") as stream:
            for number in order:
                stream.seek(self.blob.start + self.starts[number])
                yield number, stream.read(self.sizes[number])

    def all(self) -> Iterator[tuple[int, bytes]]:
        """Rows in the order in which they came."""
        return self.each(range(len(self)))


def lines(blob: Blob) -> Rows:
    """Rows of JSONL: what stands between newlines; empty lines are rows too, except at the end."""
    rows, position = Rows(blob), 0
    with blob.path.open("rb", buffering=CHUNK) as stream:
        stream.seek(blob.start)
        while position < blob.size:
            line = stream.readline(blob.size - position)
            if not line:
                break
            rows.add(position, len(line.rstrip(b"\r\n")))
            position += len(line)
    return rows


def requests(blob: Blob) -> Rows:
    """Rows of `{"requests": [{...}, ...]}`, however it is laid out; MalformedError."""
    opening = _OPENING.match(blob.read(0, _HEAD))
    if opening is None:
        raise MalformedError("requests: Field required")
    rows, depth, began, last = Rows(blob), 0, 0, opening.end()
    for position, bracket in _brackets(blob, opening.end()):
        if bracket in _OPEN:
            began = position if depth == 0 else began
            depth += 1
            continue
        depth -= 1
        if depth < 0:
            break
        if depth == 0:
            last = position + 1
            rows.add(began, last - began)
    if not _ENDING.fullmatch(blob.read(last, blob.size - last)):
        raise MalformedError("The request body is not valid JSON")
    return rows


_OPEN = b"{["


def _brackets(blob: Blob, offset: int) -> Iterator[tuple[int, int]]:
    """Braces and brackets outside strings, with their places."""
    kept, base = b"", offset
    for chunk in _from(blob, offset):
        window, done = kept + chunk, 0
        # No match: the piece ends inside a string, which is looked at again with the next one.
        while (match := _TO_BRACKET.match(window, done)) is not None:
            done = match.end()
            yield base + done - 1, window[done - 1]
        kept = window[done:]
        base += done


def _from(blob: Blob, offset: int) -> Iterator[bytes]:
    return Blob(blob.path, blob.start + offset, blob.size - offset).chunks()
