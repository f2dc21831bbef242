"""The invented catalog, checked once; a ledger to write jobs into; no pauses for keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner.tui.asking import Asking
from tests.tui import frames
from tests.tui.books import Book

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from planner.catalog import Catalog


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return frames.invented(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_pause_for_keys() -> Iterator[None]:
    """A closer look comes at once: a test waits for it anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Asking, "LOOK_AFTER", 0.0)
        yield


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A vendor that jobs are handed to, with invented facts."""
    return frames.invented(tmp_path_factory.mktemp("vendor"), "vendor")


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "data"))
    return Book(tmp_path / "data")


@pytest.fixture
def budget(tmp_path: Path) -> Path:
    path = tmp_path / "budget.yaml"
    path.write_text(frames.BUDGET, encoding="utf-8")
    return path
