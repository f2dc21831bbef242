"""`planner` without a command: which screen opens on what, and what is printed instead."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import cli, sample
from planner.cli import SCREENS
from planner.tui.widgets import PLACES
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.answers import Ask

BUDGET = str(sample.paths().budget)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What the screen is opened with, on a terminal."""

    def ask(*arguments: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def screen(job: object, **rest: Any) -> int:
            seen.update(rest, job=job)
            return 0

        for stream in (sys.stdin, sys.stdout):
            monkeypatch.setattr(stream, "isatty", lambda: True)
        assert cli.main(list(arguments), clock=lambda: NOW, screen=screen) == 0
        return seen

    return ask


@pytest.mark.parametrize("place", SCREENS)
def test_each_place_can_be_opened(opened: Callable[..., dict[str, Any]], place: str) -> None:
    seen = opened("--screen", place)
    assert seen["place"] == place
    assert seen["job"] is None


def test_plan_is_where_it_opens(opened: Callable[..., dict[str, Any]]) -> None:
    assert opened()["place"] == "plan"
    assert opened("--rows", "5", "--input-tokens", "5")["place"] == "plan"


def test_a_budget_file_opens_the_budget(opened: Callable[..., dict[str, Any]]) -> None:
    seen = opened(BUDGET)
    assert (seen["place"], seen["budget"], seen["job"]) == ("budget", Path(BUDGET), None)


def test_a_job_can_be_opened_at_the_budget(opened: Callable[..., dict[str, Any]]) -> None:
    seen = opened("--rows", "5", "--input-tokens", "5", "--screen", "budget")
    assert seen["place"] == "budget"
    assert seen["budget"] is None
    assert seen["job"].rows == 5


def test_a_job_file_is_no_budget(opened: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("rows: 5\ninput-tokens: 7\n", encoding="utf-8")
    seen = opened(str(path))
    assert (seen["place"], seen["job"].rows) == ("plan", 5)


def test_without_a_terminal_the_same_is_printed(ask: Ask) -> None:
    assert (
        ask(BUDGET, "--as-of", "2026-11-20").out
        == ask("budget", BUDGET, "--as-of", "2026-11-20").out
    )
    assert ask("--screen", "models").out == ask("models").out


def test_the_command_line_names_the_places_of_the_screen() -> None:
    assert tuple(name.lower() for name in PLACES) == SCREENS


def test_an_unknown_place_is_refused(ask: Ask) -> None:
    answer = ask("--screen", "nowhere")
    assert answer.exit_code == 2
    assert "nowhere" in answer.err
