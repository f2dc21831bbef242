"""Everything goes wrong at once, drawn by a seed: still no batch twice, and no row lost.

The crash matrix walks one accident at a time through every step; here they meet.
"""

from __future__ import annotations

import contextlib
from random import Random
from typing import TYPE_CHECKING, Self

import pytest

from planner.handoff.rehearsal import Fault
from planner.handoff.vendor import AmbiguousError, RefusedError
from tests.handoff.loop import QUICK, Made, World, made

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.rehearsal.faults import Kind

LOST: tuple[Kind, ...] = ("drop_before", "reset_before", "drop_after", "reset_after", "half_reply")
CUT: tuple[Kind, ...] = ("cut_length", "cut_chunked", "cut_eof", "blank_line")
SAID: tuple[Kind, ...] = ("unknown_status", "no_counts", "not_found")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    return {
        each: made(each, tmp_path_factory.mktemp(each), rows=7, per_shard=3)
        for each in ("anthropic", "openai")
    }


def storm(provider: str, share: float) -> list[Fault]:
    """Every kind of accident at the calls that it can happen to, a share of them each."""
    reads = f"{provider}.batches.retrieve"
    download = {"anthropic": "anthropic.batches.results", "openai": "openai.files.content"}
    faults = [Fault(on="*.create", kind=kind, calls=None, share=share) for kind in LOST]
    faults += [
        Fault(on="*.batches.list", kind=kind, calls=range(2, 10**6), share=share) for kind in LOST
    ]
    faults += [Fault(on=reads, kind=kind, calls=None, share=share) for kind in (*LOST, *SAID[:2])]
    faults += [Fault(on=download[provider], kind=kind, calls=None, share=share) for kind in CUT]
    faults += [
        Fault(on="*.create", kind="status", status=status, calls=None, share=share, retry_after=5)
        for status in (429, 500, 503, 529)
    ]
    faults.append(Fault(on="*.create", kind="status_after", status=500, calls=None, share=share))
    faults.append(Fault(on="*.create", kind="html", status=502, calls=None, share=share))
    return faults


class Weather(World):
    """A world whose accidents depend on a seed."""

    seed: int = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self.server.script.seed = self.seed
        return self


def weathered(job: Made, folder: Path, seed: int, kills: int) -> None:
    """One job in one storm, killed so often on its way; then what it came to."""
    faults = storm(job.provider, 0.1)
    world = Weather(job, folder, faults=faults, conduct=QUICK)
    world.seed = seed
    steps = Random(seed)
    with world:
        left, step = kills, None
        for _ in range(200):
            # Who cannot even learn whose account it is starts again later.
            with contextlib.suppress(AmbiguousError, RefusedError):
                if left and world.killed(steps.randint(1, 25), on_unknown="rearm"):
                    left -= 1
                elif not left:
                    step = world.run(on_unknown="rearm")
                    break
                else:
                    left = 0
        assert step is not None
        assert step.over == "done", world.kinds()[-12:]
        assert world.paid() == [1, 1, 1]
        assert world.right()
        assert world.server.record.most_creating == 1
        assert any(each.faults for each in world.server.record.sent)


@pytest.mark.parametrize("kills", [0, 4])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_storm_costs_patience_and_nothing_else(
    jobs: dict[str, Made], tmp_path: Path, provider: str, seed: int, kills: int
) -> None:
    weathered(jobs[provider], tmp_path, seed, kills)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 60))
@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_many_storms(jobs: dict[str, Made], tmp_path: Path, provider: str, seed: int) -> None:
    weathered(jobs[provider], tmp_path, seed, seed % 7)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_vendor_that_forgets_what_it_said_loses_no_rows(
    jobs: dict[str, Made], tmp_path: Path, provider: str
) -> None:
    """Over already, and then for a while of a status that nobody knows, and without counts."""
    with World(jobs[provider], tmp_path) as world:
        world.run(until_kind="ended")
        route = f"{provider}.batches.retrieve"
        known = world.server.script.calls[route]
        for kind in SAID[:2]:
            calls = range(known + 1, known + 6)
            world.server.script.add(Fault(on=route, kind=kind, calls=calls))
        assert world.run().over == "done"
        assert world.right()
        assert world.paid() == [1, 1, 1]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_counts_that_were_told_once_are_not_forgotten(
    jobs: dict[str, Made], tmp_path: Path, provider: str
) -> None:
    """Twice the same empty download proves nothing against counts that the vendor has given."""
    download = {"anthropic": "anthropic.batches.results", "openai": "openai.files.content"}
    empty = Fault(on=download[provider], kind="cut_eof", calls=(1, 2), keep=0)
    with World(jobs[provider], tmp_path, faults=[empty]) as world:
        world.run(until_kind="ended")
        route = f"{provider}.batches.retrieve"
        known = world.server.script.calls[route]
        calls = range(known + 1, known + 4)
        world.server.script.add(Fault(on=route, kind="no_counts", calls=calls))
        assert world.run().over == "done"
        assert world.right()
