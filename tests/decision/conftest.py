"""The invented vendor of pricing/, checked once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.decision import builders

if TYPE_CHECKING:
    from planner.catalog import Catalog


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return builders.acme(tmp_path_factory.mktemp("acme"))
