"""The shell around the screens: exit codes, a crash without secrets, who imports what."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.binding import Binding
from textual.worker import WorkerFailed

from planner import tui
from planner.tui.app import DEFECT, PlannerApp
from tests.answers import NOW
from tests.tui.frames import figures, seat

if TYPE_CHECKING:
    from planner.catalog import Catalog

PLANNER = Path(tui.__file__).parent.parent
SECRET = "sk-ant-api03-sentinel0of0a0key0that0nobody0has"


def test_importing_the_package_loads_no_screen_library() -> None:
    code = "import sys, planner.tui; print('textual' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PLANNER.parent)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "False"


def imports(path: Path) -> set[str]:
    """The modules a file imports, for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def drawing() -> list[Path]:
    """The modules that draw: those that import the screen library."""
    return [
        path
        for path in sorted(PLANNER.rglob("*.py"))
        if any(name.split(".")[0] == "textual" for name in imports(path))
    ]


def test_no_module_that_draws_knows_money_prices_or_chances() -> None:
    """They get words; who can reach an amount will sooner or later add two of them."""
    forbidden = ("planner.money", "planner.catalog.prices", "planner.decision", "planner.words")
    for path in drawing():
        known = {name for name in imports(path) if name.startswith(forbidden)}
        assert known == set(), path.name


def test_less_than_a_third_of_the_source_draws() -> None:
    lines = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in PLANNER.rglob("*.py")
    }
    assert sum(lines[path] for path in drawing()) < sum(lines.values()) / 3


@pytest.mark.anyio
async def test_quit_leaves_with_zero(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.pilot.press("q")
        await here.pilot.pause()
        assert not here.app.is_running
    assert (here.app.return_code or 0) == 0


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["the loop", "a thread"])
async def test_a_crash_shows_code_and_no_values(
    facts: Catalog, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    apps: list[PlannerApp] = []
    with pytest.raises((ZeroDivisionError, WorkerFailed)):
        await crashed(facts, apps, thread=where == "a thread")
    said = capsys.readouterr()
    assert "ZeroDivisionError" in said.err
    assert "return len(key) / 0" in said.err
    assert SECRET not in said.err + said.out
    assert apps[0].return_code == DEFECT


def refused(key: str) -> None:
    """As some vendors do."""
    raise ValueError(f"401: no such key: {key}")


async def crashed(facts: Catalog, apps: list[PlannerApp], *, thread: bool) -> None:
    """An app that meets a defect while a local variable holds a key, and a vendor quotes it."""

    def crash() -> float:
        key = SECRET
        try:
            refused(key)
        except ValueError:
            return len(key) / 0
        return 0.0

    async with seat(figures("acme-tall"), lambda: facts) as here:
        apps.append(here.app)
        await here.settle()
        if thread:
            here.app.run_worker(crash, thread=True)
        else:
            here.app.call_later(crash)
        for _ in range(100):
            await here.pilot.pause()
            if not here.app.is_running:
                break


def test_run_hands_the_exit_code_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (None, 0, DEFECT):
        monkeypatch.setattr(
            PlannerApp, "run", lambda self, code=code: setattr(self, "_return_code", code)
        )
        asked = tui.run(None, clock=lambda: NOW, on=None)
        assert asked == (code or 0)


@pytest.mark.anyio
async def test_the_palette_knows_every_action_of_the_screen(facts: Catalog) -> None:
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        for place in ("1", "2", "3", "4"):
            await here.press("escape", place)
            screen = here.app.screen
            known = {each.title for each in here.app.get_system_commands(screen)}
            nodes = (screen, screen.focused, here.app)
            means = {
                each.tooltip
                for node in nodes
                if node is not None
                for each in node.BINDINGS
                if isinstance(each, Binding) and node.check_action(each.action, ())
            }
            assert means - {""} <= known, place
            assert {"Go to Plan", "The keys of this screen"} <= known
        await here.press("1")
        command = next(
            each
            for each in here.app.get_system_commands(here.app.screen)
            if each.title == "Twice the rows"
        )
        command.callback()
        assert "24,960 rows instead of 12,480" in await here.settle()
