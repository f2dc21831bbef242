"""The loop against both vendors' own libraries on loopback: what happens, and what never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.handoff.loop import Made, World, made

if TYPE_CHECKING:
    from pathlib import Path

VENDORS = ("anthropic", "openai")


@pytest.fixture(scope="session", params=VENDORS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two shards, of three rows and two."""
    return made(request.param, tmp_path_factory.mktemp(request.param), rows=5, per_shard=3)


def test_a_job_goes_through_and_its_rows_come_out_in_order(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        step = world.run()
        assert step is not None
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()
