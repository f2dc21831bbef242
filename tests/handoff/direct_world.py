"""A job of the ordinary lane as a person has it: planned, built, and its vendor on loopback.

Run as a program it is the process that a test kills: `python -m tests.handoff.direct_world`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.decision.realtime import Load, standard
from planner.handoff import journal as journals
from planner.handoff import plan as plans
from planner.handoff import rehearsal
from planner.handoff.build import MANIFEST, Shard
from planner.handoff.journal import Journal
from planner.handoff.keys import Key, Secret
from planner.handoff.pacing import Pace
from planner.handoff.providers import adapters, vendors
from planner.handoff.rows import Prices, rows_of
from planner.handoff.runner import Outcome, Runner, carry_out
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import Collection

    from planner.handoff.clock import Clock
    from planner.handoff.plan import Plan
    from planner.handoff.vendor import RealtimeVendor

MODELS = {"anthropic": "claude-haiku-5-5", "openai": "gpt-6.2-sol"}
LANE = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A plan and the folder that was built from it."""

    provider: str
    plan: Plan
    folder: Path
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.shards)

    def copied(self, folder: Path) -> Made:
        """The same in a folder of its own."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)


def made(
    provider: str,
    folder: Path,
    *,
    rows: int,
    strategy: str = "single",
    per_shard: int | None = None,
    hours: float | None = None,
) -> Made:
    """A job of so many rows; for a rescue with a deadline in so many hours."""
    from planner import catalog as catalogs  # the process that is killed plans nothing
    from planner import drafting, pipeline
    from planner.decision.requirements import Latency, Requirements
    from planner.job import Job, Output, Text

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for n in range(rows):
            stream.write(json.dumps({"id": f"k{n}", "text": f"What is {n} plus one?"}) + "\n")
    facts = catalogs.load()
    demand = Requirements(
        deadline=None if hours is None else hours * 3600,
        latency=Latency(mean=1.5, cv=0.5),
        concurrency=20,
        limits=(("rpm", 600),),
    )
    job = Job(
        workload=path,
        prompt=Text(text="{{ text }}", name="--prompt"),
        output=Output(tokens=60, limit=400),
        models=(MODELS[provider],),
        requirements=demand,
        deadline_at=None,
    )
    job = job.at_deadline(demand.deadline, NOW)
    answer = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)
    options = [each for each in answer.decision.options if each.strategy == strategy]
    batch = strategy == "rescue"
    option = next(each for each in options if each.lane == ("batch" if batch else LANE))
    plan = drafting.make(answer, drafting.Wishes(choose=option.id, key="id"), folder)
    ready = drafting.buildable(plan, facts, path, NOW)
    if per_shard is not None:
        limits = replace(ready.recipe.limits, rows=per_shard)
        ready = replace(ready, recipe=replace(ready.recipe, limits=limits))
    out = drafting.build(ready, facts, folder / "built")
    return Made(provider=provider, plan=plan, folder=out.folder, shards=out.shards)


def pace(rows: int, rpm: int, *, concurrency: int = 40, mean: float = 1.5) -> Pace:
    """So many requests a minute; nothing else binds."""
    load = Load(
        rows=rows,
        latency_mean=mean,
        latency_cv=0.5,
        concurrency=concurrency,
        buckets=(
            standard("rpm", use=1.0, limit=rpm),
            standard("itpm", use=20.0, limit=40 * rpm),
            standard("otpm", use=60.0, limit=120 * rpm, cv=0.5),
        ),
        retries=2,
    )
    return Pace(load=load, fresh=20.0, mean_tokens=20.0, counts_max_output=False)


def opened(provider: str, base_url: str) -> RealtimeVendor:
    """The real library, pointed at loopback."""
    key = Key(secret=Secret("rehearsal"), found_in="a test")
    return vendors.open_realtime(provider, base_url=base_url, key=key)


def runner_of(
    job: Made, keeps: Pace, vendor: RealtimeVendor, journal: Journal, clock: Clock, **more: Any
) -> Runner:
    """A run of the job."""
    assert job.plan.request.endpoint is not None
    prices = Prices.of(job.plan, LANE)
    options = {"rows": job.rows, **more}
    return Runner(vendor, job.plan.request.endpoint, keeps, journal, prices, clock, **options)


def rows(job: Made, journal: Journal) -> Any:
    """What is left to send."""
    envelope = adapters.adapter(job.provider).envelope
    return rows_of(job.folder, job.shards, envelope, done=journal.standing.done)


@dataclass
class Played:
    """A run against the vendor in one loop, on time that jumps; what came of it."""

    job: Made
    keeps: Pace
    faults: Collection[rehearsal.Fault] = ()
    conduct: rehearsal.Conduct | None = None
    server: rehearsal.Server = field(init=False)

    def run(self, **more: Any) -> Outcome:
        time = rehearsal.clock.Jumping(NOW)

        async def main() -> Outcome:
            self.server = rehearsal.Server(
                clock=time.clock, faults=self.faults, conduct=self.conduct
            )
            async with self.server.here():
                address = self.server.base_url(self.job.provider)
                vendor = await asyncio.to_thread(opened, self.job.provider, address)
                journal = Journal(self.job.folder)
                try:
                    runner = runner_of(self.job, self.keeps, vendor, journal, time.clock, **more)
                    return await runner.run(rows(self.job, journal))
                finally:
                    journal.close()
                    await vendor.close()

        with asyncio.Runner(loop_factory=time.loop) as loop:
            return loop.run(main())


def paid(server: rehearsal.Server, provider: str) -> dict[str, int]:
    """How often each row was answered and billed at the vendor."""
    found: dict[str, int] = {}
    for world in server.worlds(provider):
        for key, times in world.realtime.answered.items():
            found[key] = found.get(key, 0) + times
    return found


def final(folder: Path) -> list[int]:
    """The rows that are done with, as often as they are."""
    return sorted(entry.index for entry in journals.final(folder))


def main() -> None:
    """One process of a job, against a vendor that outlives it."""
    folder, provider, address, rpm, speed = sys.argv[1:]
    plan = plans.read(Path(folder) / "job.plan.yaml")
    lines = (Path(folder) / MANIFEST).read_text(encoding="utf-8").splitlines()
    shards = tuple(
        Shard(**{name: each for name, each in json.loads(line).items() if name != "plan"})
        for line in lines
    )
    job = Made(provider=provider, plan=plan, folder=Path(folder), shards=shards)
    clock = rehearsal.clock.Scaled(NOW, float(speed)).clock
    vendor, journal = opened(provider, address), Journal(job.folder)
    keeps = pace(job.rows, int(rpm))
    runner = runner_of(job, keeps, vendor, journal, clock, most_doubts=100_000)
    print(carry_out(runner, rows(job, journal), vendor).left)  # noqa: T201
    journal.close()


if __name__ == "__main__":
    main()
