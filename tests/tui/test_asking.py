"""What happens behind the screen: progress, stops, counts that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.tui.asking import slowed

if TYPE_CHECKING:
    import pytest


def test_progress_is_passed_on_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(number / 100 for number in range(10_000))
    monkeypatch.setattr("planner.tui.asking.time.monotonic", lambda: next(clock))
    seen: list[int] = []
    report = slowed(lambda rows, done: seen.append(rows))
    for row in range(1000):
        report(row, row)
    assert 90 <= len(seen) <= 100
