"""Jobs that go through the loop: built by the real builder, sent by the real libraries to loopback.

`World` is what a person has (a data home, a plan that was built) and what is at the vendor; a
submitter is made, killed and made again on it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from unittest import mock

from planner import catalog as catalogs
from planner import drafting, pipeline
from planner.handoff import followup, rehearsal, resolve, spending
from planner.handoff.keys import Key, Secret
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors
from planner.handoff.submit import News, Step, Submitter
from planner.job import Job, Output, Text
from tests.answers import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from planner.handoff.build import Shard
    from planner.handoff.followup import FollowUp
    from planner.handoff.plan import Plan
    from planner.handoff.vendor import Batch, BatchVendor
    from planner.money import Usd

MODELS = {"anthropic": "claude-haiku-5-5", "openai": "gpt-6.2-sol"}
LANES = {"anthropic": "batch", "openai": "batch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A plan and the folder that was built from it."""

    provider: str
    plan: Plan
    folder: Path
    shards: tuple[Shard, ...]


def made(provider: str, folder: Path, *, rows: int, per_shard: int, limit: int = 64) -> Made:
    """A job of so many rows in shards of so many."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for n in range(rows):
            stream.write(json.dumps({"id": f"k{n}", "text": f"What is {n} plus one?"}) + "\n")
    facts = catalogs.load()
    job = Job(
        workload=path,
        prompt=Text(text="{{ text }}", name="--prompt"),
        output=Output(tokens=9, limit=limit),
        models=(MODELS[provider],),
    )
    answer = pipeline.estimate(facts, pipeline.measure(facts, job), job, now=NOW)
    option = next(
        each.id
        for each in answer.decision.options
        if each.strategy == "single" and each.lane == "batch"
    )
    plan = drafting.make(answer, drafting.Wishes(choose=option, key="id"), folder)
    ready = drafting.buildable(plan, facts, path, NOW)
    limits = replace(ready.recipe.limits, rows=per_shard)
    ready = replace(ready, recipe=replace(ready.recipe, limits=limits))
    out = drafting.build(ready, facts, folder / "built")
    return Made(provider=provider, plan=plan, folder=out.folder, shards=out.shards)


QUICK = rehearsal.Conduct(
    turnaround=rehearsal.steady(
        rehearsal.Pace(validating=5, waiting=5, running=20, finalizing=5, cancelling=20)
    )
)
"""Batches that are over in a minute: a test of the loop is not one of its patience."""


def home(parent: Path) -> Path:
    """A folder for a data home, in memory where there is such a place: a commit is a sync."""
    memory = Path("/dev/shm")  # noqa: S108 -- a private folder in it, deleted by its maker
    base = memory if memory.is_dir() else parent
    return Path(tempfile.mkdtemp(prefix="planner-", dir=base))


class Killed(BaseException):
    """The process ends here."""


class _Disguised:
    """A vendor whose batches are told otherwise than it tells them."""

    def __init__(self, vendor: BatchVendor, change: Callable[[Batch], Batch]) -> None:
        self._vendor, self._change = vendor, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vendor, name)

    def retrieve(self, batch_id: str) -> Batch:
        return self._change(self._vendor.retrieve(batch_id))


@dataclass
class World:
    """One person's data home and one vendor, on one virtual clock."""

    made: Made
    parent: Path
    faults: Collection[rehearsal.Fault] = ()
    conduct: rehearsal.Conduct = QUICK
    time: rehearsal.clock.Virtual | rehearsal.clock.Scaled = field(
        default_factory=lambda: rehearsal.clock.Virtual(NOW)
    )
    cap: Usd | None = None
    key: str = "rehearsal"
    disguise: Callable[[Batch], Batch] | None = None
    """What becomes of the vendor's word on a batch on its way to the loop."""
    follows: str | None = None
    """The job whose unfinished rows these are."""
    news: list[News] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    """Every durable step that was passed."""

    def __enter__(self) -> Self:
        self.home = home(self.parent)
        # Loopback needs no certificates, and reading the machine's takes longer than a job does.
        none = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(self.home)}
        self._patch = mock.patch.dict(os.environ, none)
        self._patch.start()
        self.server = rehearsal.Server(
            clock=self.time.clock, faults=self.faults, conduct=self.conduct
        )
        self.server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)
        self._patch.stop()
        shutil.rmtree(self.home)

    @property
    def provider(self) -> str:
        return self.made.provider

    def vendor(self, key: str = "rehearsal") -> BatchVendor:
        """The real library, pointed at loopback."""
        return vendors.open_batches(
            self.provider,
            base_url=self.server.base_url(self.provider),
            key=Key(secret=Secret(key), found_in="a test"),
        )

    def submitter(
        self, ledger: Ledger, vendor: BatchVendor, checkpoint: Callable[[str], None], **more: Any
    ) -> Submitter:
        """The loop of the job, admitted where it was not."""
        plan = self.made.plan
        folder = ledger.job_folder(plan.nonce)
        if not folder.exists():
            shutil.copytree(self.made.folder, folder)
        job = ledger.admit(
            plan,
            vendor.account,
            vendor.versions,
            self.made.shards,
            spending.ceilings(plan, self.made.shards),
            self.cap,
            self.time.now(),
            parent=self.follows,
            rehearsal=True,
        )
        return Submitter(
            ledger,
            job,
            plan,
            self.made.shards,
            folder,
            vendor,
            self.time.clock,
            self.news.append,
            checkpoint=checkpoint,
            **more,
        )

    def run(
        self,
        *,
        kill_at: int | None = None,
        steps: int | None = None,
        until_kind: str | None = None,
        cancel: bool = False,
        adopt: tuple[int, str] | None = None,
        vouch: str | None = None,
        until: datetime | None = None,
        **more: Any,
    ) -> Step:
        """One process: to its end, so many steps, or killed at its n-th durable one (`Killed`)."""
        passed = 0

        def checkpoint(step: str) -> None:
            nonlocal passed
            passed += 1
            self.steps.append(step)
            if passed == kill_at:
                raise Killed(step)

        vendor = None
        try:
            with Ledger.open(self.home, checkpoint=checkpoint) as ledger:
                vendor = self.vendor(self.key)
                if self.disguise is not None:
                    vendor = cast("BatchVendor", _Disguised(vendor, self.disguise))
                with ledger.lock(self.made.plan.nonce):
                    loop = self.submitter(ledger, vendor, checkpoint, **more)
                    if cancel:
                        loop.cancel()
                    if vouch is not None:
                        loop.vouch(vouch)
                    if adopt is not None:
                        loop.adopt(*adopt)
                    if until is not None:
                        return loop.run(until)
                    return self._steps(loop, steps, until_kind)
        finally:
            if vendor is not None:
                vendor.close()

    def killed(self, at: int, **more: Any) -> bool:
        """One process that is killed at its n-th durable step; False where it ends before."""
        try:
            self.run(kill_at=at, **more)
        except Killed:
            return True
        return False

    def _steps(self, loop: Submitter, most: int | None, until_kind: str | None) -> Step:
        for _ in range(most or 2000):
            step = loop.step()
            if step.over is not None or until_kind in self.kinds():
                return step
            if step.wait:
                self.time.sleep(step.wait)
        assert most is not None, f"the loop does not end: {self.kinds()[-20:]}"
        return step

    def send(self, shard: Path, rows: int | None = None) -> str:
        """Somebody else's batch in the same account; its id. `rows`: only the first so many."""
        if rows is not None:
            whole = json.loads(shard.read_bytes())
            shard = self.home / "theirs.json"
            shard.write_text(json.dumps({"requests": whole["requests"][:rows]}))
        vendor = self.vendor()
        try:
            return vendor.create(shard, file_id=None, endpoint="", tags={}).id
        finally:
            vendor.close()

    def repeat(self, shard: int) -> None:
        """The create of a shard as it was sent, once more."""
        vendor = self.vendor()
        try:
            with self.ledger() as ledger:
                job = ledger.job(self.made.plan.nonce)
                attempt = next(e for e in ledger.attempts(job.id) if e.shard == shard)
                vendor.create(
                    self.made.folder / self.made.shards[shard - 1].file,
                    file_id=attempt.file_id,
                    endpoint=self.made.plan.request.endpoint or "",
                    tags=resolve.tags(job, attempt),
                )
        finally:
            vendor.close()

    def follow_up(self, *, permanent: bool = False) -> FollowUp | None:
        """The rows that are left, as a job of their own; `follow` takes it up."""
        vendor = self.vendor()
        try:
            with Ledger.open(self.home) as ledger:
                job = ledger.job(self.made.plan.nonce)
                return followup.make(
                    ledger,
                    job,
                    self.made.plan,
                    vendor.result,
                    self.time.now(),
                    permanent=permanent,
                )
        finally:
            vendor.close()

    def follow(self, found: FollowUp) -> None:
        """From now on the job is this follow-up, built as any plan is."""
        facts = catalogs.load()
        ready = drafting.buildable(found.plan, facts, found.workload, self.time.now())
        out = drafting.build(ready, facts, self.home / "built" / found.plan.nonce)
        self.follows = self.made.plan.nonce
        self.made = Made(
            provider=self.provider, plan=found.plan, folder=out.folder, shards=out.shards
        )

    # --- what a test asks ---------------------------------------------------------------

    def kinds(self) -> list[str]:
        """What was narrated, in order."""
        return [each.kind for each in self.news]

    def output(self, job: str | None = None) -> list[dict[str, Any]]:
        """The merged rows."""
        path = self.home / "jobs" / (job or self.made.plan.nonce) / "out" / "results.jsonl"
        with path.open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def paid(self) -> list[int]:
        """Paid batches of each shard."""
        counted = self.server.paid(self.provider)
        return [counted[each.sha256] for each in self.made.shards]

    def right(self) -> bool:
        """Whether the merged file has every row once, in order, with its own answer."""
        rows = self.output()
        ids = [f"{self.made.plan.nonce}-{n}" for n in range(len(rows))]
        assert [row["key"] for row in rows] == [
            f"k{n}" for n in range(self.made.plan.workload.rows.value)
        ]
        return all(
            row["outcome"] == "succeeded" and row["text"].startswith(f"{id_}:")
            for row, id_ in zip(rows, ids, strict=True)
        )

    def ledger(self) -> Ledger:
        found = Ledger.read_only(self.home)
        assert found is not None
        return found
