"""The cap holds under every schedule of answers, losses and kills; ceilings bound the bill."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.handoff import build as builds
from planner.handoff import spending
from planner.handoff.billing import Book
from planner.handoff.ledger import Ledger
from planner.handoff.rehearsal import clock as clocks
from planner.handoff.submit import Submitter
from planner.handoff.usage import Usage
from planner.handoff.vendor import Account, AmbiguousError, Batch, Counts, RefusedError, RowResult
from planner.money import ZERO, Usd, plus, total
from tests.answers import NOW
from tests.handoff.loop import Killed, Made, home, made

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROWS, PER_SHARD, LIMIT = 12, 3, 64
SECONDS = 60
ACCOUNT = Account(provider="anthropic", base_url="memory:", key_from="nowhere")


@dataclass
class Memory:
    """A vendor without a wire, to see more schedules than sockets allow."""

    time: clocks.Virtual
    job: Made
    schedule: list[str]
    hidden: bool
    """Batches whose reply was lost are never listed."""
    exact_match: bool
    cap: Usd
    batches: dict[str, Batch] = field(default_factory=dict)
    bodies: dict[str, list[str]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    most: Usd = ZERO
    """The most that could have had to be paid at any create."""
    uploads = False
    account = ACCOUNT
    versions: Mapping[str, str] = field(default_factory=dict)

    def upload(self, shard: Path, name: str) -> str:
        raise AssertionError(f"{name}: nothing is stored")

    def create(self, shard: Path, *, tags: Mapping[str, str], **_: Any) -> Batch:
        action = self.schedule.pop(0) if self.schedule else "made"
        if action == "unheard":
            raise AmbiguousError("nothing came back")
        if action == "full":
            raise RefusedError("too many", kind="full", status=429, retry_after=30)
        ids = [each["custom_id"] for each in json.loads(shard.read_bytes())["requests"]]
        name = f"batch-{len(self.batches)}"
        counts = Counts(total=len(ids), processing=len(ids))
        made_ = Batch(
            id=name,
            status="running",
            phase="running",
            created=self.time.now(),
            counts=counts,
            tags=dict(tags) if self.exact_match else {},
        )
        self.batches[name], self.bodies[name] = made_, ids
        self.most = max(self.most, self.exposed())
        if action == "lost":
            self.lost.add(name)
            raise AmbiguousError("the reply was lost")
        return made_

    def exposed(self) -> Usd:
        """What was billed, and the ceilings of what is not over."""
        return total(self._cost(each) for each in self.batches)

    def _cost(self, name: str) -> Usd:
        ids = self.bodies[name]
        shard = next(each for each in self.job.shards if ids[0].endswith(f"-{each.first}"))
        if self.retrieve(name).phase == "running":
            return spending.ceilings(self.job.plan, [shard])[0]
        book, found = Book.of(self.job.plan), []
        for each in ids:
            usage = self.result(self._line(each)).usage
            assert usage is not None
            found += [line.amount for line in book.priced(usage, "batch") if line.amount]
        return total(found)

    def listed(self) -> Iterator[Batch]:
        for name in reversed(self.batches):
            if not (self.hidden and name in self.lost):
                yield self.retrieve(name)

    def retrieve(self, batch_id: str) -> Batch:
        batch = self.batches[batch_id]
        if self.time.now() - batch.created < timedelta(seconds=SECONDS):
            return batch
        rows = len(self.bodies[batch_id])
        counts = Counts(total=rows, succeeded=rows)
        return replace(batch, status="over", phase="ended", counts=counts, results=("all",))

    def cancel(self, batch_id: str) -> Batch:
        return self.retrieve(batch_id)

    def download(self, batch: Batch, name: str, into: BinaryIO) -> int:
        del name
        return sum(into.write(self._line(each)) for each in self.bodies[batch.id])

    def _line(self, custom_id: str) -> bytes:
        index = int(custom_id.rpartition("-")[2])
        return json.dumps({"id": custom_id, "output": 1 + index * 17 % LIMIT}).encode() + b"\n"

    def result(self, line: bytes) -> RowResult:
        found = json.loads(line)
        usage = Usage(input=9, output=found["output"])
        return RowResult(custom_id=found["id"], outcome="succeeded", text="x", usage=usage)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("job")
    return made("anthropic", path, rows=ROWS, per_shard=PER_SHARD, limit=LIMIT)


@dataclass
class Life:
    """A job in memory through several processes."""

    vendor: Memory
    home: Path
    events: list[str] = field(default_factory=list)

    def process(self, kill_at: int | None) -> str | None:
        """One process; how it ended, None where it was killed."""
        passed = 0

        def checkpoint(_step: str) -> None:
            nonlocal passed
            passed += 1
            if passed == kill_at:
                raise Killed

        try:
            with Ledger.open(self.home, checkpoint=checkpoint) as ledger:
                return self._loop(ledger).run().over
        except Killed:
            return None

    def _loop(self, ledger: Ledger) -> Submitter:
        job, vendor = self.vendor.job, self.vendor
        folder = ledger.job_folder(job.plan.nonce)
        if not folder.exists():
            shutil.copytree(job.folder, folder)
        ceilings = spending.ceilings(job.plan, job.shards)
        admitted = ledger.admit(
            job.plan, ACCOUNT, {}, job.shards, ceilings, vendor.cap, vendor.time.now()
        )
        clock = vendor.time.clock
        narrate = lambda news: self.events.append(news.kind)  # noqa: E731
        return Submitter(
            ledger,
            admitted,
            job.plan,
            job.shards,
            folder,
            vendor,
            clock,
            narrate,
            on_unknown="rearm",
        )


actions = st.sampled_from(["made", "lost", "unheard", "full"])


@settings(max_examples=40)
@given(
    schedule=st.lists(actions, max_size=8),
    kills=st.lists(st.integers(1, 40), max_size=4),
    hidden=st.booleans(),
    exact=st.booleans(),
    share=st.integers(20, 130),
)
def test_the_cap_is_never_exceeded_under_any_schedule(
    job: Made,
    tmp_path_factory: pytest.TempPathFactory,
    schedule: list[str],
    kills: list[int],
    *,
    hidden: bool,
    exact: bool,
    share: int,
) -> None:
    ceilings = spending.ceilings(job.plan, job.shards)
    cap = Usd(total(ceilings) * share / 100)
    vendor = Memory(clocks.Virtual(NOW), job, list(schedule), hidden, exact, cap)
    parent = home(tmp_path_factory.getbasetemp())
    try:
        life = Life(vendor, parent)
        for kill_at in kills:
            life.process(kill_at)
        for _ in range(8):
            over = life.process(None)
            if over == "done":
                break
        assert vendor.most <= cap
        if over == "done":
            rows = (parent / "jobs" / job.plan.nonce / "out" / "results.jsonl").read_text()
            assert [json.loads(each)["key"] for each in rows.splitlines()] == [
                f"k{n}" for n in range(ROWS)
            ]
        if not hidden and over == "done":
            assert len(vendor.batches) == len(job.shards)
    finally:
        shutil.rmtree(parent)


# --- the parts --------------------------------------------------------------------------


def test_the_next_shard_fits_to_the_last_digit_or_waits_or_stops() -> None:
    purse = spending.Purse(cap=Usd(Decimal(10)), billed=Usd(Decimal(4)), in_flight=Usd(Decimal(3)))
    tiny = Decimal("0.000000001")
    assert purse.verdict(Usd(Decimal(3)), out=True) == "go"
    assert purse.verdict(Usd(Decimal(3) + tiny), out=True) == "wait"
    assert purse.verdict(Usd(Decimal(3) + tiny), out=False) == "stop"
    assert "a cap of $11.00 would do" in purse.refusal(Usd(Decimal(4)))
    assert replace(purse, cap=None).verdict(Usd(Decimal(10**9)), out=False) == "go"
    doubted = replace(purse, in_doubt=Usd(tiny))
    assert doubted.verdict(Usd(Decimal(3)), out=False) == "stop"


def test_ceilings_stand_between_what_is_expected_and_the_plans_own_ceiling(job: Made) -> None:
    made_ = spending.ceilings(job.plan, job.shards)
    assert job.plan.cost.expected <= total(made_) <= job.plan.cost.ceiling
    rates = job.plan.rates[0].rates
    high, middle = job.plan.tokens.input.high, job.plan.tokens.input.value
    for shard, ceiling in zip(job.shards, made_, strict=True):
        read = -(-shard.estimated_input_tokens * high // middle)
        written = shard.rows * LIMIT
        assert ceiling == (read * rates["input"] + written * rates["output"]) / 10**6


def shard_of(job: Made) -> builds.Shard:
    return job.shards[0]


def test_requests_that_may_write_to_a_cache_are_bound_by_its_dearest_rate(job: Made) -> None:
    plain = spending.ceilings(job.plan, [shard_of(job)])[0]
    for request in (
        {"prompt": None},
        {"params": {"cache_control": {"type": "ephemeral"}}},
        {"params": {"system": [{"type": "text", "cache_control": {"type": "ephemeral"}}]}},
    ):
        pinned = job.plan.request.model_copy(update=request)
        plan = job.plan.model_copy(update={"request": pinned})
        assert spending.ceilings(plan, [shard_of(job)])[0] > plain


@pytest.mark.parametrize(
    ("largest", "inclusive", "doubled"),
    [(1000, False, False), (1001, False, True), (1000, True, True), (999, True, False)],
)
def test_a_tier_counts_from_where_a_row_may_reach_it(
    job: Made, largest: int, *, inclusive: bool, doubled: bool
) -> None:
    from planner.handoff.plan import Tier

    rates = job.plan.rates[0]
    twice = {meter: 2 * rate for meter, rate in rates.rates.items()}
    tiered = rates.model_copy(
        update={"tiers": (Tier(over=1000, inclusive=inclusive, rates=twice),)}
    )
    counted = job.plan.tokens
    exact = counted.input.model_copy(
        update={"low": counted.input.value, "high": counted.input.value}
    )
    tokens = counted.model_copy(update={"largest_row": largest, "input": exact})
    plan = job.plan.model_copy(update={"rates": (tiered,), "tokens": tokens})
    flat = plan.model_copy(update={"rates": (rates,)})
    found, base = (spending.ceilings(each, [shard_of(job)])[0] for each in (plan, flat))
    assert found == (plus(base, base) if doubled else base)
