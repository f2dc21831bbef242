"""The invented catalog, checked once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui import frames

if TYPE_CHECKING:
    from planner.catalog import Catalog


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return frames.invented(tmp_path_factory.mktemp("cache"))
