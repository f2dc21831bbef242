"""Rescue: in every way a batch may end or not end, each row once, and no row in both lanes."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import pytest

from planner import catalog as catalogs
from planner import drafting
from planner.decision import realtime as law
from planner.errors import InputError
from planner.handoff import journal as journals
from planner.handoff import rehearsal, rescue, results, spending
from planner.handoff import runner as runners
from planner.handoff.keys import Key, Secret
from planner.handoff.ledger import Ledger
from planner.handoff.providers import vendors
from planner.handoff.providers.anthropic_batches import AnthropicBatches
from planner.handoff.rehearsal.laws import Pace as Turnaround
from planner.handoff.rescue import Rescue
from planner.handoff.submit import Submitter
from planner.handoff.vendor import NotSentError
from tests.answers import NOW
from tests.handoff.direct_world import Made, made, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from planner.handoff.desk import Step
    from planner.handoff.ledger import Charge
    from planner.handoff.realtime import Drive
    from planner.handoff.rows import Row
    from planner.handoff.runner import Outcome, Runner
    from planner.handoff.submit import OnUnknown
    from planner.handoff.vendor import Batch, RealtimeVendor

ROWS = 40
HOURS = 4
NEVER = 1e9


@pytest.fixture(scope="session")
def one_vendor(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return job("anthropic", tmp_path_factory.mktemp("anthropic"))


@pytest.fixture(scope="session")
def other_vendor(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return job("openai", tmp_path_factory.mktemp("openai"))


def job(provider: str, folder: Path) -> Made:
    """Two shards of 25 rows and 15."""
    return made(provider, folder, rows=ROWS, strategy="rescue", per_shard=25, hours=HOURS)


def seldom(one: Rescue) -> Step:
    """A run that looks at its batches every half an hour, up to the moment."""
    while True:
        step = one.step()
        if step.over is not None:
            return step
        clock = one.submitter.desk.clock
        left = (one.moment - clock.now()).total_seconds()
        clock.sleep(max(step.wait, min(left, 1_800)) if step.wait else 0)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class World:
    """One person's data home and one vendor, on time that leaps over waiting."""

    made: Made
    home: Path
    turnaround: Callable[[Any], Turnaround]
    faults: tuple[rehearsal.Fault, ...] = ()
    on_unknown: OnUnknown = "rearm"
    accept_short: bool = False
    open_realtime: Callable[[str, str], RealtimeVendor] = opened
    heard: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.time = rehearsal.clock.Leaping(NOW, 100)
        conduct = rehearsal.Conduct(
            turnaround=self.turnaround,
            latency=rehearsal.laws.Latency(base=1.0, per_token=0.008, cv=0.5),
        )
        self.server = rehearsal.Server(clock=self.time.clock, conduct=conduct, faults=self.faults)
        self.server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)

    @property
    def folder(self) -> Path:
        return self.home / "jobs" / self.made.plan.nonce

    def run(
        self,
        take: Callable[[Rescue], Step] = seldom,
        *,
        kill_at: int | None = None,
        **more: Any,
    ) -> Step | None:
        """One process, to its end or killed at its n-th durable step (None then)."""
        passed = 0

        def checkpoint(step: str) -> None:
            nonlocal passed
            passed += not step.endswith(" learn")  # polls are many, and change nothing
            if passed == kill_at:
                raise Killed(step)

        provider, address = self.made.provider, self.server.base_url(self.made.provider)
        key = Key(secret=Secret("rehearsal"), found_in="a test")
        vendor = vendors.open_batches(provider, base_url=address, key=key)
        try:
            with Ledger.open(self.home, checkpoint=checkpoint) as ledger:
                loop = self._loop(ledger, vendor, checkpoint)
                direct = drafting.direct(self.made.plan, catalogs.load(), NOW)
                self.rescue = Rescue(
                    loop,
                    direct,
                    lambda: self.open_realtime(provider, address),
                    self.heard.append,
                    **more,
                )
                return take(self.rescue)
        except Killed:
            return None
        finally:
            vendor.close()

    def _loop(self, ledger: Ledger, vendor: Any, checkpoint: Callable[[str], None]) -> Submitter:
        plan, shards = self.made.plan, self.made.shards
        if not self.folder.exists():
            shutil.copytree(self.made.folder, self.folder)
        ceilings = spending.ceilings(plan, shards)
        job = ledger.admit(
            plan, vendor.account, vendor.versions, shards, ceilings, None, self.time.now()
        )
        return Submitter(
            ledger,
            job,
            plan,
            shards,
            self.folder,
            vendor,
            self.time.clock,
            self.heard.append,
            on_unknown=self.on_unknown,
            accept_short=self.accept_short,
            checkpoint=checkpoint,
        )

    # --- what a test asks ---------------------------------------------------------------

    @property
    def said(self) -> str:
        return "\n".join(each.text for each in self.heard if isinstance(each, runners.Said))

    @property
    def kinds(self) -> list[str]:
        with Ledger.open(self.home) as ledger:
            return [each.kind for each in ledger.events(self.made.plan.nonce)]

    def batched(self) -> set[int]:
        """Rows that a batch answered."""
        parse = vendors.reading(self.made.provider)
        with Ledger.open(self.home) as ledger:
            leg = results.batch_leg(
                ledger, self.made.plan.nonce, self.folder, self.made.shards, parse
            )
            return {row.index for row in leg if row.outcome == "succeeded"}

    def direct(self) -> Counter[int]:
        """Rows that single requests answered."""
        return Counter(each.index for each in journals.final(self.folder))

    def charges(self) -> tuple[Charge, ...]:
        with Ledger.open(self.home) as ledger:
            return ledger.billed(self.made.plan.nonce)

    def right(self, *, twice: bool = False) -> None:
        """Each row once with its answer, in one lane alone, and billed as promised."""
        path = self.folder / "out" / "results.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert [row["key"] for row in rows] == [f"k{n}" for n in range(ROWS)]
        assert {row["outcome"] for row in rows} == {"succeeded"}
        direct = self.direct()
        assert set(direct.values()) <= {1}
        assert self.batched() | set(direct) == set(range(ROWS))
        if not twice:
            assert not self.batched() & set(direct), "no row is paid in both lanes"
            assert sum(self._paid_direct().values()) == len(direct)
            self._bill()

    def _paid_direct(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for world in self.server.worlds(self.made.provider):
            found += world.realtime.answered
        return found

    def _bill(self) -> None:
        """The ledger's bill is the vendor's, and within what the plan's range allows."""
        plan, charges = self.made.plan, self.charges()
        rates = {each.lane: each.rates for each in plan.rates}
        billed = sum((each.amount for each in charges), Decimal(0))
        usage: Counter[tuple[str, str]] = Counter()
        for each in charges:
            usage[each.lane, each.meter] += each.quantity
        tokens = sum(usage.values())
        cheapest = sum(rates["batch"][meter] * n for (_, meter), n in usage.items()) / 1_000_000
        dearest = sum(rates["standard"][meter] * n for (_, meter), n in usage.items()) / 1_000_000
        assert tokens
        assert cheapest <= billed <= dearest <= plan.cost.ceiling
        theirs = self.server.worlds(self.made.provider)[0].realtime.billed
        assert usage["standard", "output"] == theirs.output + theirs.reasoning
        assert usage["standard", "input"] == theirs.input
        with Ledger.open(self.home) as ledger:
            exposure = ledger.exposure(plan.nonce)
        assert exposure.in_flight == 0


def steady(**more: Any) -> Callable[[Any], Turnaround]:
    return rehearsal.steady(Turnaround(**more))


def by_size(small: Turnaround, large: Turnaround) -> Callable[[Any], Turnaround]:
    """The shard of 25 rows is the large one."""
    return lambda draw: large if draw.rows == 25 else small


# --- the moment -------------------------------------------------------------------------


def test_the_moment_is_the_plans_and_comes_later_as_rows_finish(one_vendor: Made) -> None:
    plan = one_vendor.plan
    direct = drafting.direct(plan, catalogs.load(), NOW)
    deadline = NOW + timedelta(hours=HOURS)

    def moment(rows: int, **more: Any) -> Any:
        terms: dict[str, Any] = {"deadline": deadline, "confidence": 0.95, "cancel": direct.cancel}
        return rescue.last_moment(direct.pace, rows, **{**terms, **more})

    planned = datetime.fromisoformat(plan.finish.rescue_at or "")
    assert abs(moment(ROWS) - planned) < timedelta(seconds=2)
    assert moment(ROWS) < moment(ROWS // 2) < moment(1) < moment(0)
    assert moment(0) == deadline - timedelta(seconds=direct.cancel)
    assert moment(ROWS, cancel=0.0) - moment(ROWS) == timedelta(seconds=direct.cancel)
    assert moment(ROWS, confidence=0.99) < moment(ROWS)
    quoted = law.quoted(direct.pace.load, 0.95)
    assert deadline - moment(ROWS, cancel=0.0) == pytest.approx(
        timedelta(seconds=quoted), abs=timedelta(seconds=0.001)
    )


# --- every way a batch may go -----------------------------------------------------------

ENDS: dict[str, tuple[Callable[[Any], Turnaround], int | None]] = {
    "done early": (steady(running=600), 0),
    "partly": (steady(running=600, stall_at=10), 20),
    "nothing": (steady(waiting=NEVER), ROWS),
    "one shard done, one not": (
        by_size(Turnaround(running=600), Turnaround(running=600, stall_at=4)),
        21,
    ),
    "one shard done, the other never begun": (
        by_size(Turnaround(waiting=NEVER), Turnaround(running=60)),
        15,
    ),
    "the cancel is slow": (steady(running=600, stall_at=10, cancelling=1_800), 20),
    "one cancel is slow": (
        by_size(
            Turnaround(running=600, stall_at=5),
            Turnaround(running=600, stall_at=5, cancelling=1_800),
        ),
        30,
    ),
    "it ends while it is cancelled": (steady(running=HOURS * 3600 - 700.0, cancelling=1_200), None),
}


OTHER_VENDOR = ("partly", "it ends while it is cancelled")


@pytest.mark.parametrize(
    ("vendor", "end"),
    [("one_vendor", end) for end in ENDS] + [("other_vendor", end) for end in OTHER_VENDOR],
)
def test_each_row_once_and_none_in_both_lanes(
    request: pytest.FixtureRequest, tmp_path: Path, vendor: str, end: str
) -> None:
    turnaround, expected = ENDS[end]
    with World(request.getfixturevalue(vendor), tmp_path, turnaround) as world:
        step = world.run()
        assert step is not None
        assert (step.over, step.because) == ("done", None)
        if expected is not None:
            assert len(world.direct()) == expected
        world.right()
        assert (rescue.BEGUN in world.kinds) == (expected != 0)
        assert world.kinds[-1] == rescue.OVER
        asked = len(world.server.record.sent)
        assert world.run() == step, "a job that is over is not touched again"
        assert len(world.server.record.sent) <= asked + 2, "but for who we are"


def test_it_waits_for_the_batch_until_the_moment_and_no_longer(
    one_vendor: Made, tmp_path: Path
) -> None:
    with World(one_vendor, tmp_path, steady(waiting=NEVER)) as world:
        world.run(Rescue.run)
        begun = next(
            each.at
            for each in Ledger.open(tmp_path).events(one_vendor.plan.nonce)
            if each.kind == rescue.BEGUN
        )
        planned = datetime.fromisoformat(one_vendor.plan.finish.rescue_at or "")
        assert timedelta(0) <= begun - planned < timedelta(minutes=6)


def test_a_person_is_told_the_moment_and_how_to_keep_it(one_vendor: Made, tmp_path: Path) -> None:
    with World(one_vendor, tmp_path, steady()) as world:
        world.run(lambda one: one.step())
        text = "\n".join(world.rescue.announcement())
        assert "2026-11-22T15:4" in text
        assert f"* * * * * planner resume {one_vendor.plan.nonce} --once" in text
        assert "only while a runner lives" in text


# --- steps, kills, interrupts -----------------------------------------------------------


def test_a_scheduler_may_take_every_step(one_vendor: Made, tmp_path: Path) -> None:
    with World(one_vendor, tmp_path, steady(running=600, stall_at=10)) as world:
        for _ in range(HOURS * 60):
            step = world.run(Rescue.once, reopen=False)
            assert step is not None
            if step.over is not None:
                assert step.over == "done"
                break
            late = world.time.now() - NOW > timedelta(hours=HOURS, minutes=-15)
            world.time.sleep(60 if late else 1_200)
        world.right()


def kills(made_: Made, home: Path, end: str, points: Iterable[int]) -> int:
    """Runs that are killed at one of their durable steps each; the last one that there was."""
    for at in points:
        with World(made_, home / str(at), ENDS[end][0]) as world:
            if world.run(kill_at=at) is not None:
                return at
            step = world.run()
            assert step is not None
            assert step.over == "done", at
            world.right()
    raise AssertionError("there are more steps")


def test_killed_at_a_durable_step_it_goes_on(one_vendor: Made, tmp_path: Path) -> None:
    assert kills(one_vendor, tmp_path, "one shard done, one not", range(3, 1_000, 15)) > 40


@pytest.mark.long
@pytest.mark.parametrize("end", ENDS)
def test_killed_at_every_durable_step(one_vendor: Made, tmp_path: Path, end: str) -> None:
    assert kills(one_vendor, tmp_path, end, range(1, 1_000)) > 30


def interrupting(after: int, times: int) -> Drive:
    """Ctrl-C when so many rows have been asked for."""

    def drive(runner: Runner, rows: Iterable[Row], vendor: RealtimeVendor) -> Outcome:
        def counted() -> Iterable[Row]:
            for number, row in enumerate(rows):
                if number == after:
                    for _ in range(times):
                        runner.interrupt()
                yield row

        return runners.carry_out(runner, counted(), vendor)

    return drive


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_single_requests_go_out_stops_and_a_resume_goes_on(
    one_vendor: Made, tmp_path: Path, times: int
) -> None:
    with World(one_vendor, tmp_path, steady(running=600, stall_at=10)) as world:
        step = world.run(drive=interrupting(8, times))
        assert step is not None
        assert (step.over, step.because) == ("stopped", runners.INTERRUPTED)
        done = len(world.direct())
        assert 0 <= done < 20
        waits = world.run(Rescue.once, reopen=False)
        assert waits is not None
        assert (waits.over, len(world.direct())) == ("stopped", done), "a scheduler respects it"
        resumed = world.run()
        assert resumed is not None
        assert resumed.over == "done"
        world.right(twice=times == 2)
        assert set(world.direct().values()) == {1}
        assert not world.batched() & set(world.direct())


def test_a_spending_limit_stops_it_and_says_so(one_vendor: Made, tmp_path: Path) -> None:
    limit = rehearsal.Fault(on="*.messages.create", kind="spend_limit", calls=range(5, 7))
    with World(one_vendor, tmp_path, steady(waiting=NEVER), faults=(limit,)) as world:
        step = world.run()
        assert step is not None
        assert step.over == "stopped"
        assert step.because
        with Ledger.open(tmp_path) as ledger:
            stood = ledger.job(one_vendor.plan.nonce)
        assert (stood.state, stood.stopped_because) == ("stopped", step.because)
        resumed = world.run()
        assert resumed is not None
        assert resumed.over == "done"
        world.right()


# --- a cancel that does not end ---------------------------------------------------------


def until(hours: float) -> Callable[[Rescue], Step]:
    """Steps until so many hours after the beginning."""

    def take(one: Rescue) -> Step:
        while True:
            step = one.step()
            clock = one.submitter.desk.clock
            past = clock.now() - NOW > timedelta(hours=hours)
            if step.over is not None or (past and step.wait):
                return step
            clock.sleep(max(step.wait, 240) if step.wait else 0)

    return take


def test_rows_of_a_batch_that_does_not_end_are_not_sent_unless_a_person_says_so(
    one_vendor: Made, tmp_path: Path
) -> None:
    stuck = by_size(
        Turnaround(running=600, stall_at=5),
        Turnaround(running=600, stall_at=5, cancelling=20_000),
    )
    with World(one_vendor, tmp_path, stuck) as world:
        step = world.run(until(HOURS + 0.5))
        assert step is not None
        assert step.over is None
        assert "(25 rows) is not sent again" in (step.because or "")
        assert len(world.direct()) == 10, "those of the other shard are"
        world.run(until(HOURS + 0.6), both=True)
        assert len(world.direct()) == 35
        ended = world.run()
        assert ended is not None
        assert ended.over == "done"
        world.right(twice=True)
        assert len(world.batched() & set(world.direct())) == 5, "what it means to say so"


@pytest.mark.parametrize("both", [False, True])
def test_rows_that_a_person_took_as_short_are_never_sent_again(
    one_vendor: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, both: bool
) -> None:
    """The vendor counts them as answered, so it has billed them, whatever it gives back."""
    whole = AnthropicBatches.download

    def half(self: AnthropicBatches, batch: Batch, name: str, into: BinaryIO) -> int:
        kept = io.BytesIO()
        whole(self, batch, name, kept)
        lines = kept.getvalue().splitlines(keepends=True)
        return into.write(b"".join(lines[: len(lines) // 2]))

    monkeypatch.setattr(AnthropicBatches, "download", half)
    ends = by_size(Turnaround(running=600, stall_at=20), Turnaround(waiting=NEVER))
    with World(one_vendor, tmp_path, ends, accept_short=True) as world:
        step = world.run(both=both)
        assert step is not None
        assert step.over == "done"
        answered = {int(each.rpartition("-")[2]) for each in world.server.answered("anthropic")}
        assert len(answered) == 15
        assert len(world.batched()) < 15
        assert not answered & set(world.direct())
        written = (world.folder / "out" / "results.jsonl").read_text().splitlines()
        lost = [each for each in map(json.loads, written) if each["outcome"] == "lost"]
        assert lost
        assert {each["error"] for each in lost} == {results.SHORT}


def test_rows_of_a_batch_that_may_exist_wait_for_a_person(one_vendor: Made, tmp_path: Path) -> None:
    """The reply to the first create is lost, and no list ever shows what it made."""
    lost = (
        rehearsal.Fault(on="*.batches.create", kind="drop_before"),
        rehearsal.Fault(on="*.batches.list", kind="drop_before", calls=range(3, 5)),
    )
    with World(one_vendor, tmp_path, steady(), faults=lost, on_unknown="ask") as world:
        step = world.run()
        assert step is not None
        assert step.over == "stopped"
        assert "(25 rows) is not sent again" in (step.because or "")
        assert len(world.direct()) == 15, "what was never sent is sent one by one"
        said = world.run(both=True)
        assert said is not None
        assert "(25 rows) was sent again" in (said.because or "")
        assert set(world.direct()) == set(range(ROWS))


def test_a_person_who_cancels_wants_no_rescue(one_vendor: Made, tmp_path: Path) -> None:
    def cancelling(one: Rescue) -> Step:
        for _ in range(3):
            one.step()
        one.submitter.cancel()
        return one.step()

    with World(one_vendor, tmp_path, steady(waiting=NEVER)) as world:
        world.run(cancelling)
        step = world.run()
        assert step is not None
        assert step.over == "done"
        assert not world.direct()
        assert rescue.BEGUN not in world.kinds


def test_a_cap_of_the_day_holds_the_single_requests_back(one_vendor: Made, tmp_path: Path) -> None:
    asked: list[Decimal] = []

    def gate(most: Decimal) -> str | None:
        asked.append(most)
        return "the day's cap" if len(asked) == 1 else None

    with World(one_vendor, tmp_path, steady(running=600, stall_at=10)) as world:
        step = world.run(gate=gate)
        assert step is not None
        assert (step.over, step.because) == ("stopped", "the day's cap")
        assert not world.direct()
        assert asked == [pytest.approx(one_vendor.plan.cost.ceiling / 2, rel=Decimal("0.01"))]
        resumed = world.run(gate=gate)
        assert resumed is not None
        assert resumed.over == "done"
        world.right()


def test_what_a_killed_run_set_aside_is_not_asked_for_again(
    one_vendor: Made, tmp_path: Path
) -> None:
    day = one_vendor.plan.cost.ceiling * Decimal("1.1")

    def gate(most: Decimal) -> str | None:
        spent = world.rescue.submitter.desk.ledger.exposure(one_vendor.plan.nonce)
        return "the day's cap" if spent.billed + spent.in_flight + most > day else None

    def killed(runner: Runner, rows: Iterable[Row], vendor: RealtimeVendor) -> Outcome:
        def some() -> Iterable[Row]:
            yield from islice(rows, 8)
            raise Killed

        return runners.carry_out(runner, some(), vendor)

    with World(one_vendor, tmp_path, steady(running=600, stall_at=10)) as world:
        assert world.run(drive=killed, gate=gate) is None
        with Ledger.open(tmp_path) as ledger:
            exposure = ledger.exposure(one_vendor.plan.nonce)
        assert exposure.in_flight == one_vendor.plan.cost.ceiling, "nobody gave it back"
        step = world.run(gate=gate)
        assert step is not None
        assert (step.over, step.because) == ("done", None)
        world.right(twice=True)


def test_a_vendor_out_of_reach_at_the_moment_is_asked_again(
    one_vendor: Made, tmp_path: Path
) -> None:
    tries = [0]

    def sometimes(provider: str, address: str) -> RealtimeVendor:
        tries[0] += 1
        if tries[0] == 1:
            raise NotSentError("no route")
        return opened(provider, address)

    with World(one_vendor, tmp_path, steady(waiting=NEVER), open_realtime=sometimes) as world:
        step = world.run()
        assert step is not None
        assert (step.over, tries[0]) == ("done", 2)
        world.right()


def test_a_rescue_needs_a_deadline(one_vendor: Made, tmp_path: Path) -> None:
    timeless = one_vendor.plan.demand.model_copy(update={"deadline": None})
    plan = one_vendor.plan.model_copy(update={"demand": timeless})
    with (
        World(replace(one_vendor, plan=plan), tmp_path, steady()) as world,
        pytest.raises(InputError, match="deadline"),
    ):
        world.run()
