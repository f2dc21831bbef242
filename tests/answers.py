"""What a command answered, and the shape of the fixture that asks (`ask` in conftest.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple, Protocol

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""When every test happens, unless it says otherwise."""


class Answer(NamedTuple):
    """Exit code, data and narration of one command."""

    exit_code: int
    out: str
    err: str


class Ask(Protocol):
    """Runs `planner ARGUMENTS` in this process at a given time."""

    def __call__(self, *arguments: str, now: datetime = NOW) -> Answer: ...
