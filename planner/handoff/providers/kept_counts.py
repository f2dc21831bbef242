"""Counts that vendors gave, kept so that the same text is shown to nobody twice.

One line a count in a private file: the digest of vendor, model and text, and the number. The text
itself is nowhere in it. A database was rejected: there is nothing to look up but one digest, and a
line that is appended whole needs no lock.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from planner.handoff import home

if TYPE_CHECKING:
    from pathlib import Path

NAME = "counts.jsonl"


class KeptCounts:
    """The file, read once; what is added is written at once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._counts = dict(_read(self._path))

    def get(self, provider: str, model: str, text: str) -> int | None:
        """The count of that text, None where it was never asked for."""
        return self._counts.get(_digest(provider, model, text))

    def put(self, provider: str, model: str, text: str, tokens: int) -> None:
        """Keep a count; InputError where it cannot be written."""
        digest = _digest(provider, model, text)
        self._counts[digest] = tokens
        home.private_folder(self._path.parent)
        home.private_file(self._path)
        with self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps({"text": digest, "tokens": tokens}) + "\n")


def _digest(provider: str, model: str, text: str) -> str:
    named = json.dumps([provider, model]).encode()
    return hashlib.sha256(named + b"\n" + text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> list[tuple[str, int]]:
    """Every line that can be read; one that was cut by a crash is asked for again."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            found.append((str(entry["text"]), int(entry["tokens"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found
