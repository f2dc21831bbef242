"""Killed at every durable step, with replies lost: no batch is paid twice, no row is lost.

The process ends at each side of each commit and of each rename; what is in memory is gone, what
is on the disk and at the vendor stays. A new process then takes over with the real libraries on
a real socket.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.handoff.rehearsal import Fault, Habits, clock
from tests.answers import NOW
from tests.handoff import victim as victims
from tests.handoff.loop import QUICK, Made, World, made

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
VENDORS = ("anthropic", "openai")
DROPS = (0, 1, 2)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """A job of two shards for each vendor."""
    return {
        each: made(each, tmp_path_factory.mktemp(each), rows=5, per_shard=3) for each in VENDORS
    }


@dataclass
class Count:
    """What a matrix came to."""

    cases: int = 0
    duplicates: int = 0
    losses: int = 0
    asked: int = 0
    broken: list[str] = field(default_factory=list)

    def take(self, name: str, world: World) -> None:
        """Judge one case: every shard paid once and every row merged once.

        Where it stops and asks, it must be asked with nothing paid that it does not know, and
        the answer must bring it to the same end.
        """
        step = world.run()
        if step.over == "stopped":
            self.asked += "held" in world.kinds()
            step = world.run(on_unknown="rearm")
        paid = world.paid()
        twice = any(n > 1 for n in paid)
        lost = step.over != "done" or 0 in paid or not world.right()
        self.cases, self.duplicates, self.losses = (
            self.cases + 1,
            self.duplicates + twice,
            self.losses + lost,
        )
        if twice or lost:
            self.broken.append(f"{name}: paid {paid}, {step}, {world.kinds()[-8:]}")

    def __str__(self) -> str:
        return (
            f"{self.cases} cases, {self.duplicates} duplicates, {self.losses} losses, "
            f"{self.asked} stopped and asked"
        )


def dropped(provider: str, times: int) -> list[Fault]:
    """The first creates are done, and their replies lost."""
    calls = range(1, times + 1)
    return [Fault(on=f"{provider}.batches.create", kind="drop_after", calls=calls)]


def durable_steps(job: Made, path: Path, faults: list[Fault]) -> int:
    with World(job, path, faults=faults) as world:
        world.run()
        assert world.right()
        return len(world.steps)


def matrix(
    jobs: dict[str, Made], path: Path, every: dict[int, slice]
) -> Iterator[tuple[str, Count]]:
    """Each vendor and number of lost replies, killed at these of its durable steps."""
    for provider, job in jobs.items():
        for drops in DROPS:
            count, faults = Count(), dropped(provider, drops)
            steps = durable_steps(job, path, faults)
            for kill_at in range(1, steps + 1)[every[drops]]:
                with World(job, path, faults=faults) as world:
                    assert world.killed(kill_at)
                    count.take(f"kill {kill_at} ({world.steps[kill_at - 1]})", world)
            yield f"{provider}, {drops} replies lost", count


def judged(found: Iterator[tuple[str, Count]]) -> Count:
    """All of it added up; the figures are printed, since they are what is wanted of it."""
    whole = Count()
    for name, count in found:
        print(f"{name}: {count}")  # noqa: T201
        whole.cases += count.cases
        whole.duplicates += count.duplicates
        whole.losses += count.losses
        whole.asked += count.asked
        whole.broken += [f"{name}: {each}" for each in count.broken]
    print(f"crash matrix: {whole}")  # noqa: T201
    return whole


def test_a_kill_at_a_durable_step_duplicates_and_loses_nothing(
    jobs: dict[str, Made], tmp_path: Path
) -> None:
    # Every step is killed with one number of lost replies at least; `long` takes every pair.
    some = {0: slice(0, None, 2), 1: slice(1, None, 2), 2: slice(0, None, 3)}
    whole = judged(matrix(jobs, tmp_path, some))
    assert whole.broken == []
    assert whole.cases >= 132
    assert (whole.duplicates, whole.losses) == (0, 0)


@pytest.mark.long
def test_a_kill_at_every_durable_step_duplicates_and_loses_nothing(
    jobs: dict[str, Made], tmp_path: Path
) -> None:
    whole = judged(matrix(jobs, tmp_path, dict.fromkeys(DROPS, slice(None))))
    assert whole.broken == []
    assert whole.cases >= 300
    assert (whole.duplicates, whole.losses) == (0, 0)


STEPS = (
    "after send",  # the intent is written, nothing was said
    "before created",  # the vendor has said yes, and nobody has written it down
    "after ended",
    "before results",
    "before merged",
    "before output",
)


def victim(world: World, step: str) -> int:
    """A process that runs the job until the system kills it; its exit code."""
    arguments = (
        world.provider,
        world.server.base_url(world.provider),
        str(world.home),
        str(world.made.folder),
        step,
    )
    command = [sys.executable, "-m", "tests.handoff.victim", *arguments]
    return subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode


@pytest.mark.parametrize("provider", VENDORS)
@pytest.mark.parametrize(
    "step",
    [pytest.param(each, marks=[] if "created" in each else pytest.mark.long) for each in STEPS],
)
def test_a_process_that_the_system_kills_is_taken_over(
    jobs: dict[str, Made], tmp_path: Path, provider: str, step: str
) -> None:
    with World(jobs[provider], tmp_path, time=clock.Scaled(NOW, victims.SPEED)) as world:
        assert victim(world, step) == -signal.SIGKILL
        count = Count()
        count.take(step, world)
        assert count.broken == []
        assert (count.duplicates, count.losses) == (0, 0)


# --- two kills --------------------------------------------------------------------------


@pytest.mark.long
@settings(max_examples=60)
@given(
    provider=st.sampled_from(VENDORS),
    kills=st.lists(st.integers(1, 60), min_size=2, max_size=4),
    drops=st.sets(st.integers(1, 4)),
    lag=st.sampled_from([0, 30, 200]),
)
def test_several_kills_in_a_row_duplicate_and_lose_nothing(
    jobs: dict[str, Made],
    tmp_path_factory: pytest.TempPathFactory,
    *,
    provider: str,
    kills: list[int],
    drops: set[int],
    lag: float,
) -> None:
    faults = [Fault(on=f"{provider}.batches.create", kind="drop_after", calls=drops)]
    habits = Habits(checks_later=provider == "openai", list_lag=lag)
    conduct = replace(QUICK, habits={provider: habits})
    path = tmp_path_factory.getbasetemp()
    with World(jobs[provider], path, faults=faults, conduct=conduct) as world:
        for kill_at in kills:
            world.killed(kill_at)
        count = Count()
        count.take(f"kills {kills}", world)
        assert count.broken == []
