"""A person at the command line with both vendors on loopback: what they type, see and keep."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from planner.cli import handoff as face
from planner.handoff import rehearsal
from planner.handoff.ledger import Ledger
from tests.answers import NOW

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.answers import Answer, Ask

MODELS = {"anthropic": "claude-haiku-5-5", "openai": "gpt-6.2-sol"}
KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
QUICK = rehearsal.steady(rehearsal.Pace(validating=5, waiting=5, running=60, finalizing=5))
"""A batch of a minute: it is looked at a few times."""
SENTINEL = "sk-ant-api03-S3nt1nelQwErTyUiOpAsDfGhJkLzXcVbNm0123456789"


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@dataclass
class Counter:
    """The command line, a data home, and vendors that keep what was sent."""

    ask: Ask
    folder: Path
    patch: pytest.MonkeyPatch
    conduct: rehearsal.Conduct | None = None
    provider: str = "anthropic"
    faults: list[rehearsal.Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.time = rehearsal.clock.Virtual(NOW)
        self.server = rehearsal.Server(
            clock=self.time.clock,
            faults=self.faults,
            conduct=self.conduct or rehearsal.Conduct(turnaround=QUICK),
        )
        self.server.__enter__()
        self.patch.setattr(face, "ticking", lambda _clock: self.time.clock)
        self.patch.setenv("PLANNER_DATA", str(self.data))
        self.key(SENTINEL)

    def close(self) -> None:
        self.server.__exit__(None, None, None)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def key(self, text: str) -> None:
        self.patch.setenv(KEYS[self.provider], text)

    def types(self, text: str) -> None:
        self.patch.setattr("sys.stdin", Terminal(f"{text}\n"))

    @property
    def to(self) -> tuple[str, str]:
        return "--base-url", self.server.base_url(self.provider)

    def rows(self, count: int = 12) -> Path:
        path = self.folder / "rows.jsonl"
        lines = ({"id": f"k{n}", "text": f"Where is my order number {n}?"} for n in range(count))
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        return path

    def plan(self, *more: str, rows: int = 12, name: str = "job") -> Path:
        path = self.folder / f"{name}.plan.yaml"
        job = ("--prompt", "{{ text }}", "--model", MODELS[self.provider], "--output-tokens", "20")
        lane = () if "--choose" in more else ("--lane", "batch")
        made = self(
            "plan", str(self.rows(rows)), *job, "--key", "id", *lane, "-o", str(path), *more
        )
        assert made.exit_code == 0, made.err
        return path

    def submit(self, plan: Path, *more: str) -> Answer:
        agreed = () if {"--yes", "--rehearse"} & set(more) else ("--yes", "--max-cost", "5")
        return self("submit", str(plan), *agreed, *self.to, *more)

    def __call__(self, *arguments: str) -> Answer:
        return self.ask(*arguments, now=self.time.now())

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.data)

    @property
    def job(self) -> str:
        with self.ledger as ledger:
            (job,) = ledger.jobs()
            return job.id

    @property
    def paid(self) -> int:
        return self.server.paid(self.provider).total()

    def answers(self, job: str | None = None) -> list[dict[str, Any]]:
        path = self.data / "jobs" / (job or self.job) / "out" / "results.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
