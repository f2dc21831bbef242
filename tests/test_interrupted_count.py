"""Ctrl-C while every row is counted keeps the estimate; a second one ends the program."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from planner.cli import estimate
from planner.workload import counting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.answers import Answer, Ask

ROWS = 3_000


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is drawn from before it is counted."""
    monkeypatch.setattr(counting, "SMALL", 100_000)
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"text": "A short row about an order that has not arrived yet, again."})
    path.write_text(f"{line}\n" * ROWS)
    return path


def interrupted(ask: Ask, path: Path, patch: pytest.MonkeyPatch, times: int) -> Answer:
    """The answer to --exact when Ctrl-C is pressed so often while rows are counted."""
    report = estimate.Bar.__call__
    left = times

    def pressing(bar: estimate.Bar, rows: int, done: int) -> None:
        nonlocal left
        if left and 0 < rows < ROWS and not bar.stopped:
            for _ in range(left):
                os.kill(os.getpid(), signal.SIGINT)
            left = 0
        report(bar, rows, done)

    patch.setattr(estimate.Bar, "__call__", pressing)
    return ask("estimate", str(path), "--exact", "--model", "gpt-5.4-mini", "--output-tokens", "9")


def test_the_first_keeps_the_estimate(
    ask: Ask, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    answer = interrupted(ask, large, monkeypatch, times=1)
    assert answer.exit_code == 0, answer.err
    assert "counting was stopped" in answer.out
    assert "were drawn" in answer.out
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ends_the_program(
    ask: Ask, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = interrupted(ask, large, monkeypatch, times=2)
    assert answer.exit_code == 130
    assert answer.out == ""


def test_nobody_presses_it(ask: Ask, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = interrupted(ask, large, monkeypatch, times=0)
    assert answer.exit_code == 0, answer.err
    assert "stopped" not in answer.out
