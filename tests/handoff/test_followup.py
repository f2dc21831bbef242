"""142 of 2,000 rows done, however a batch ended: they are kept and paid, the others are offered."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner import standing
from planner.errors import InputError
from planner.handoff import followup, spending
from planner.handoff import plan as plans
from planner.handoff.ledger import Ledger
from planner.handoff.rehearsal import Answers, Conduct, Fault, Habits, Pace, RowError, steady
from planner.money import Usd, total
from tests.handoff.loop import QUICK, Made, World, made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.handoff.followup import FollowUp


VENDORS = ("anthropic", "openai")
ROWS, DONE = 2000, 142
HOUR = {each: Habits(window=timedelta(hours=1), checks_later=each == "openai") for each in VENDORS}
"""A day's window is no different, and takes three hundred looks."""
BUSY = RowError(status=529, kind="overloaded_error", code="server_error", message="try later")
STALLED = Pace(validating=5, waiting=5, running=20, finalizing=5, stall_at=DONE, cancelling=20)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    return {
        each: made(each, tmp_path_factory.mktemp(each), rows=ROWS, per_shard=ROWS)
        for each in VENDORS
    }


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Ten rows, for what does not depend on how many there are."""
    return {
        each: made(each, tmp_path_factory.mktemp(each), rows=10, per_shard=10) for each in VENDORS
    }


STALLED_SOON = replace(QUICK, turnaround=steady(replace(STALLED, stall_at=4)), habits=HOUR)


@pytest.fixture(params=VENDORS)
def job(request: pytest.FixtureRequest, jobs: dict[str, Made]) -> Made:
    return jobs[request.param]


def busy(custom_id: str) -> RowError | None:
    """All but the first 142 rows fail for now."""
    return None if int(custom_id.rpartition("-")[2]) < DONE else BUSY


def completed(world: World) -> None:
    world.run()


def expired(world: World) -> None:
    world.run()


def cancelled(world: World) -> None:
    world.run(until_kind="sent")
    world.time.sleep(1800)
    world.run(cancel=True)


def failed(world: World) -> None:
    """It ends, and its vendor calls it failed, though there is output."""
    world.disguise = lambda batch: (
        replace(batch, phase="failed", status="failed") if batch.phase == "ended" else batch
    )
    world.run()


ENDINGS: dict[str, tuple[Callable[[World], None], Conduct, set[str]]] = {
    "completed with errors": (
        completed,
        replace(QUICK, answers=Answers(trouble=busy)),
        {"errored"},
    ),
    "expired": (expired, replace(QUICK, turnaround=steady(STALLED), habits=HOUR), {"expired"}),
    "cancelled": (
        cancelled,
        replace(QUICK, turnaround=steady(STALLED), habits=HOUR),
        {"canceled", "missing"},
    ),
    "failed with output": (
        failed,
        replace(QUICK, turnaround=steady(STALLED), habits=HOUR),
        {"expired"},
    ),
}


def bodies(job: Made) -> list[Any]:
    """The requests of a job's one shard, without their names."""
    raw = (job.folder / job.shards[0].file).read_text(encoding="utf-8")
    if job.provider == "anthropic":
        return [each["params"] for each in json.loads(raw)["requests"]]
    return [json.loads(line)["body"] for line in raw.splitlines()]


def billed(world: World) -> tuple[dict[str, int], Decimal]:
    with world.ledger() as ledger:
        lines = ledger.billed(world.made.plan.nonce)
        in_flight = ledger.exposure(world.made.plan.nonce).in_flight
    assert in_flight == Decimal(0)
    return {each.meter: each.quantity for each in lines}, total(each.amount for each in lines)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_done_is_kept_and_paid_and_the_rest_is_planned(
    job: Made, tmp_path: Path, ending: str
) -> None:
    bring_to_its_end, conduct, outcomes = ENDINGS[ending]
    with World(job, tmp_path, conduct=conduct) as world:
        bring_to_its_end(world)
        rows = world.output()
        kept = [row for row in rows if row["outcome"] == "succeeded"]
        assert (len(rows), len(kept)) == (ROWS, DONE)
        assert {row["outcome"] for row in rows} - {"succeeded"} <= outcomes
        _paid_for(world, kept)
        found = world.follow_up()
        assert found is not None
        _planned(world, found, rows)


def _paid_for(world: World, kept: list[dict[str, Any]]) -> None:
    """The bill is the tokens of the rows that have an answer, at the plan's rates."""
    used: Counter[str] = Counter()
    for row in kept:
        used.update(row["usage"])
    quantities, amount = billed(world)
    assert quantities == dict(used)
    (rates,) = [each.rates for each in world.made.plan.rates if each.lane == "batch"]
    assert amount == sum(rates[meter] * used[meter] / 10**6 for meter in used)


def _planned(world: World, found: FollowUp, rows: list[dict[str, Any]]) -> None:
    """A plan of the 1,858 others, their requests as they were sent and their keys."""
    left = [row for row in rows if row["outcome"] != "succeeded"]
    assert (found.rows, found.done, found.pending) == (ROWS - DONE, DONE, 0)
    lines = [json.loads(line) for line in found.workload.read_text().splitlines()]
    assert [each["key"] for each in lines] == [row["key"] for row in left]
    parent, plan = world.made.plan, plans.read(found.plan_path)
    assert plan.workload.rows.value == ROWS - DONE
    share = Decimal(ROWS - DONE) / ROWS
    assert abs(plan.cost.expected - parent.cost.expected * share) < Decimal("0.00001")
    assert plan.cost.low <= plan.cost.expected <= plan.cost.p95 <= plan.cost.ceiling
    assert plan.choice.lane == parent.choice.lane
    assert plan.rates == parent.rates


def test_the_answers_of_a_follow_up_make_the_first_job_whole(job: Made, tmp_path: Path) -> None:
    _, conduct, _ = ENDINGS["expired"]
    with World(job, tmp_path, conduct=conduct) as world:
        world.run()
        before = {row["key"]: row["text"] for row in world.output()}
        first = job.plan.nonce
        found = world.follow_up()
        assert found is not None
        (vendor_side,) = world.server.worlds(job.provider)
        vendor_side.turnaround = QUICK.turnaround
        world.follow(found)
        sent = bodies(job)
        assert bodies(world.made) == [
            body for key, body in zip(before, sent, strict=True) if before[key] is None
        ]
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1])
        rows = world.output(first)
        assert [row["key"] for row in rows] == [f"k{n}" for n in range(ROWS)]
        assert {row["outcome"] for row in rows} == {"succeeded"}
        kept = [row for row in rows if before[row["key"]] is not None]
        assert [row["text"] for row in kept] == [before[row["key"]] for row in kept]
        assert len(kept) == DONE
        with world.ledger() as ledger:
            assert ledger.job(world.made.plan.nonce).parent == first


def test_the_same_rows_left_make_the_same_follow_up(few: dict[str, Made], tmp_path: Path) -> None:
    with World(few["anthropic"], tmp_path, conduct=STALLED_SOON) as world:
        world.run()
        one = world.follow_up()
        world.time.sleep(3600)
        other = world.follow_up()
        assert one is not None
        assert other is not None
        assert (one.plan.id, one.workload) == (other.plan.id, other.workload)


def test_a_follow_up_that_is_under_way_is_not_offered_twice(
    few: dict[str, Made], tmp_path: Path
) -> None:
    with World(few["anthropic"], tmp_path, conduct=STALLED_SOON) as world:
        world.run()
        parent = world.made
        found = world.follow_up()
        assert found is not None
        world.follow(found)
        world.news.clear()
        world.run(until_kind="sent")
        world.made = parent
        assert world.follow_up() is None


@pytest.mark.parametrize("permanent", [False, True])
def test_rows_that_would_fail_again_are_listed_and_left_out_unless_asked_for(
    few: dict[str, Made], tmp_path: Path, *, permanent: bool
) -> None:
    def trouble(custom_id: str) -> RowError | None:
        index = int(custom_id.rpartition("-")[2])
        return (RowError() if index % 2 else BUSY) if index >= 4 else None

    conduct = replace(QUICK, answers=Answers(trouble=trouble))
    with World(few["anthropic"], tmp_path, conduct=conduct) as world:
        world.run()
        found = world.follow_up(permanent=permanent)
        assert found is not None
        assert found.rows == (6 if permanent else 3)
        left = [(each.rows, each.permanent) for each in found.left_out]
        assert left == ([] if permanent else [(3, True)])


def test_a_job_with_errors_alone_has_a_result_and_no_bill(
    few: dict[str, Made], tmp_path: Path
) -> None:
    for provider in VENDORS:
        conduct = replace(QUICK, answers=Answers(trouble=lambda _: BUSY))
        with World(few[provider], tmp_path, conduct=conduct) as world:
            step = world.run()
            assert step.over == "done"
            assert {row["outcome"] for row in world.output()} == {"errored"}
            assert billed(world) == ({}, Decimal(0))
            found = world.follow_up()
            assert found is not None
            assert found.rows == 10


def test_a_job_that_is_whole_has_no_follow_up(few: dict[str, Made], tmp_path: Path) -> None:
    with World(few["openai"], tmp_path) as world:
        world.run()
        assert world.follow_up() is None


def test_what_is_left_of_the_cap_is_the_cap_of_the_rest(
    few: dict[str, Made], tmp_path: Path
) -> None:
    job = few["openai"]
    (ceiling,) = spending.ceilings(job.plan, job.shards)
    cap = Usd(ceiling + Decimal("0.01"))
    fault = Fault(on="openai.batches.create", kind="status", status=400)
    with World(job, tmp_path, cap=cap, faults=[fault]) as world:
        world.run()
        world.run()
        found = world.follow_up(permanent=True)
        assert found is not None
        assert found.plan.demand.max_cost == cap


def test_what_follow_ups_cost_is_off_the_cap_and_their_answers_stay(
    few: dict[str, Made], tmp_path: Path
) -> None:
    cap = Usd(Decimal(10))
    with World(few["openai"], tmp_path, cap=cap, conduct=STALLED_SOON) as world:
        world.run()
        first = world.made
        found = world.follow_up()
        assert found is not None
        world.follow(found)
        world.run()
        names = [first.plan.nonce, world.made.plan.nonce]
        with Ledger.open(world.home) as ledger:
            spent = [ledger.exposure(each).billed for each in names]
            left = followup._left_of_cap(ledger, ledger.job(names[0]))
            assert all(spent)
            assert left == cap - sum(spent)
            with pytest.raises(InputError, match=f"holds answers of job {names[0]}"):
                standing.purge(ledger, names[1], world.time.now())
            for each in names:
                standing.purge(ledger, each, world.time.now())


def test_a_follow_up_whose_files_were_deleted_is_passed_over(
    few: dict[str, Made], tmp_path: Path
) -> None:
    with World(few["openai"], tmp_path, conduct=STALLED_SOON) as world:
        world.run()
        first = world.made
        found = world.follow_up()
        assert found is not None
        world.follow(found)
        world.run(steps=3)
        shutil.rmtree(world.home / "jobs" / world.made.plan.nonce)
        world.made = first
        again = world.follow_up()
        assert again is not None
        assert again.rows == 6


@pytest.mark.parametrize("late", [False, True])
def test_a_rescue_that_is_too_late_is_followed_up_by_its_batch_alone(
    few: dict[str, Made], *, late: bool
) -> None:
    plan = few["anthropic"].plan
    option = plan.choice.option
    choice = plan.choice.model_copy(update={"strategy": "rescue", "option": f"{option}>standard"})
    demand = plan.demand.model_copy(update={"deadline": "2026-11-23T12:00:00+00:00"})
    rescue = plan.model_copy(update={"choice": choice, "demand": demand})
    now = datetime(2026, 11, 24 if late else 22, tzinfo=UTC)
    pinned = plan.workload.model_dump() | {"path": "rows.jsonl"}
    made_ = followup.planned(rescue, 2, pinned, now, None)
    assert made_.choice.strategy == ("single" if late else "rescue")
    assert made_.choice.option == (option if late else f"{option}>standard")
    assert (made_.deadline is None) == late
    assert bool(made_.warnings) == late


def test_a_kind_of_result_that_nobody_knows_may_be_an_answer_and_is_not_sent_again(
    few: dict[str, Made], tmp_path: Path
) -> None:
    strange = Fault(on="anthropic.batches.results", kind="unknown_result", calls=None)
    with World(few["anthropic"], tmp_path, faults=[strange]) as world:
        world.run()
        unknown = sum(row["outcome"] == "unknown" for row in world.output())
        assert unknown > 0
        assert world.follow_up() is None
        found = world.follow_up(permanent=True)
        assert found is not None
        assert (found.rows, dict(found.offered)) == (unknown, {"unknown": unknown})
