"""The loop against both vendors' own libraries on loopback: what happens, and what never does."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import InputError
from planner.handoff import spending
from planner.handoff.billing import Book
from planner.handoff.ledger import Ledger
from planner.handoff.rehearsal import Answers, Conduct, Fault, Habits, Pace, RowError, steady
from planner.handoff.sending import Queue
from planner.money import Usd, plus
from tests.handoff.loop import QUICK, Made, World, made

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.ledger import Attempt

VENDORS = ("anthropic", "openai")
ANTHROPIC, OPENAI = ("anthropic",), ("openai",)
COUNTING = ("create", "retrieve", "list")
RESULTS = {"anthropic": "anthropic.batches.results", "openai": "openai.files.content"}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Two shards, of three rows and two, for each vendor."""
    return {
        each: made(each, tmp_path_factory.mktemp(each), rows=5, per_shard=3) for each in VENDORS
    }


@pytest.fixture(params=VENDORS)
def small(request: pytest.FixtureRequest, jobs: dict[str, Made]) -> Made:
    return jobs[request.param]


@pytest.fixture(scope="module")
def alien(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Somebody else's shards: as many rows, other bytes, other names."""
    return made("anthropic", tmp_path_factory.mktemp("alien"), rows=6, per_shard=3, limit=65)


def fault(small: Made, route: str, kind: Any, **more: Any) -> Fault:
    return Fault(on=f"{small.provider}.{route}", kind=kind, **more)


def habits(small: Made, **more: Any) -> Conduct:
    uploads = small.provider == "openai"
    return replace(QUICK, habits={small.provider: Habits(checks_later=uploads, **more)})


def creates(world: World) -> int:
    return len(world.server.record.calls(f"{world.provider}.batches.create"))


def states(world: World) -> list[str]:
    with world.ledger() as ledger:
        return [each.state for each in ledger.attempts(world.made.plan.nonce)]


# --- the life of a job ------------------------------------------------------------------


def test_a_job_goes_through_and_its_rows_come_out_in_order(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        step = world.run()
        assert (step.over, world.paid(), states(world)) == ("done", [1, 1], ["merged", "merged"])
        assert world.right()
        with world.ledger() as ledger:
            job = ledger.job(small.plan.nonce)
            spent = ledger.exposure(job.id)
            assert (job.state, str(spent.in_flight)) == ("done", "0")
            assert 0 < spent.billed <= sum(spending.ceilings(small.plan, small.shards))
        most = world.server.record.most_creating
        assert most == 1


def test_a_job_that_is_done_stays_done_and_sends_nothing(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        world.run()
        sent = creates(world)
        step = world.run()
        assert (step.over, creates(world)) == ("done", sent)


def test_each_step_may_be_a_process_of_its_own(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        for _ in range(60):
            step = world.run(steps=1)
            if step.over is not None:
                break
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()


def test_rows_as_csv_have_the_same_order_and_words(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        world.run(form="csv")
        path = world.home / "jobs" / small.plan.nonce / "out" / "results.csv"
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["key"] for row in rows] == [f"k{n}" for n in range(5)]
        assert [row["text"].split(":")[0] for row in rows] == [
            f"{small.plan.nonce}-{n}" for n in range(5)
        ]
        assert path.stat().st_mode & 0o777 == 0o600


def test_nobody_else_runs_a_job_at_the_same_time(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        world.run(steps=2)
        with (
            Ledger.open(world.home) as ledger,
            ledger.lock(small.plan.nonce),
            pytest.raises(InputError, match="another process"),
        ):
            world.run()
        step = world.run()
        assert step.over == "done"


def test_another_account_is_refused_and_another_key_of_it_is_not(
    small: Made, tmp_path: Path
) -> None:
    tenants = {"elsewhere": "org-other/other", "one": "org-one/one", "two": "org-one/one"}
    with World(small, tmp_path, conduct=replace(QUICK, tenants=tenants)) as world:
        world.key = "one"
        world.run(steps=3)
        world.key = "elsewhere"
        with pytest.raises(InputError, match="another account"):
            world.run()
        world.key = "two"
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])


def test_many_batches_are_asked_for_by_one_listing(tmp_path: Path) -> None:
    job = made("anthropic", tmp_path / "many", rows=10, per_shard=2)
    with World(job, tmp_path) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1] * 5)
        asked = len(world.server.record.calls("anthropic.batches.retrieve"))
        assert asked == 5  # once each, when its results are fetched
        assert world.right()


# --- replies that are lost --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_after", "reset_after", "status_after", "half_reply"])
def test_a_batch_whose_reply_is_lost_is_found_and_not_sent_again(
    small: Made, tmp_path: Path, kind: str
) -> None:
    faults = [fault(small, "batches.create", kind, calls=(1, 2))]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, creates(world), world.paid()) == ("done", 2, [1, 1])
        assert world.kinds().count("adopted") == 2
        assert world.right()


def test_a_batch_that_is_listed_late_is_found_by_a_later_look(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.create", "drop_after")]
    with World(small, tmp_path, faults=faults, conduct=habits(small, list_lag=200)) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        waits = [each.figures["again_in"] for each in world.news if each.kind == "looked"]
        assert waits == [60, 300]
        assert world.right()


def test_a_create_that_nobody_heard_is_asked_about_and_then_sent(
    small: Made, tmp_path: Path
) -> None:
    faults = [fault(small, "batches.create", "drop_before")]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, creates(world), states(world)) == ("stopped", 1, ["held", "built"])
        assert "lost" in (step.because or "")
        step = world.run()
        assert (step.over, creates(world)) == ("stopped", 1)  # asked again, not answered
        step = world.run(on_unknown="rearm")
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()


def test_with_the_answer_given_beforehand_nobody_is_asked(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.create", "drop_before")]
    with World(small, tmp_path, faults=faults) as world:
        began = world.time.now()
        step = world.run(on_unknown="rearm")
        assert (step.over, world.paid()) == ("done", [1, 1])
        rearmed = next(each.at for each in world.news if each.kind == "rearmed")
        assert rearmed - began >= timedelta(seconds=360)


def test_a_batch_that_turns_up_before_the_answer_is_taken(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.create", "drop_after")]
    with World(small, tmp_path, faults=faults, conduct=habits(small, list_lag=500)) as world:
        step = world.run()
        assert step.over == "stopped"
        world.time.sleep(200)
        step = world.run(on_unknown="rearm")
        assert (step.over, creates(world), world.paid()) == ("done", 2, [1, 1])
        assert world.right()


def test_a_duplicate_that_turns_up_later_is_ended_and_reported(
    jobs: dict[str, Made], tmp_path: Path
) -> None:
    small = jobs["openai"]
    slow = replace(QUICK, turnaround=steady(Pace(running=3000)))
    conduct = replace(slow, habits=habits(small, list_lag=1000).habits)
    faults = [fault(small, "batches.create", "drop_after")]
    with World(small, tmp_path, faults=faults, conduct=conduct) as world:
        step = world.run(on_unknown="rearm")
        assert (step.over, sorted(world.paid())) == ("done", [1, 2])
        told = [each.figures["batch"] for each in world.news if each.kind == "duplicate"]
        (vendor_side,) = world.server.worlds("openai")
        ended = [each.id for each in vendor_side.batches.values() if each.cancel_at is not None]
        assert told == ended
        assert world.right()


# --- batches of others ------------------------------------------------------------------


def test_a_foreign_batch_of_before_is_not_taken_for_ours(
    jobs: dict[str, Made], alien: Made, tmp_path: Path
) -> None:
    faults = [Fault(on="anthropic.batches.create", kind="drop_after", calls=(2,))]
    with World(jobs["anthropic"], tmp_path, faults=faults) as world:
        world.send(alien.folder / "shards" / "00001.json")
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()


def test_a_foreign_batch_of_another_size_disturbs_nothing(
    jobs: dict[str, Made], alien: Made, tmp_path: Path
) -> None:
    faults = [Fault(on="anthropic.batches.create", kind="drop_after")]
    with World(jobs["anthropic"], tmp_path, faults=faults) as world:
        world.run(steps=1)
        world.send(alien.folder / "shards" / "00001.json", rows=2)
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])


def test_a_foreign_batch_that_was_adopted_is_let_go_and_never_cancelled(
    jobs: dict[str, Made], alien: Made, tmp_path: Path
) -> None:
    faults = [Fault(on="anthropic.batches.create", kind="drop_before")]
    with World(jobs["anthropic"], tmp_path, faults=faults) as world:
        world.run(steps=1)
        theirs = world.send(alien.folder / "shards" / "00001.json")
        results = world.home / "jobs" / jobs["anthropic"].plan.nonce / "results"
        world.run(until_kind="fetched")
        assert alien.plan.nonce in next(results.iterdir()).read_text()
        world.run(until_kind="foreign")
        assert list(results.iterdir()) == []
        step = world.run(on_unknown="rearm")
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.kinds().count("foreign") == 1
        assert world.server.record.calls("anthropic.batches.cancel") == []
        with world.ledger() as ledger:
            assert theirs not in ledger.batches("anthropic")
        assert world.right()


def test_batches_that_nobody_can_tell_apart_are_held_until_a_person_says(
    jobs: dict[str, Made], alien: Made, tmp_path: Path
) -> None:
    faults = [Fault(on="anthropic.batches.create", kind="drop_after")]
    with World(jobs["anthropic"], tmp_path, faults=faults) as world:
        world.run(steps=1)
        world.send(alien.folder / "shards" / "00001.json")
        step = world.run(on_unknown="rearm")  # even so: a paid batch is there
        assert (step.over, creates(world), states(world)[0]) == ("stopped", 2, "held")
        (vendor_side,) = world.server.worlds("anthropic")
        ours = jobs["anthropic"].shards[0].sha256
        mine = next(each.id for each in vendor_side.batches.values() if each.sha256 == ours)
        assert mine in (step.because or "")
        step = world.run(adopt=(1, mine))
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()


@pytest.mark.parametrize(("between", "over"), [(100, "stopped"), (10_000, "done")])
def test_a_batch_that_two_jobs_may_wait_for_is_taken_by_neither(
    jobs: dict[str, Made], alien: Made, tmp_path: Path, between: float, over: str
) -> None:
    faults = [
        Fault(on="anthropic.batches.create", kind="drop_before", calls=(1,)),
        Fault(on="anthropic.batches.create", kind="drop_after", calls=(2,)),
    ]
    with World(alien, tmp_path, faults=faults) as world:
        world.run(steps=1)  # theirs is in doubt from here on
        world.time.sleep(between)
        world.made = jobs["anthropic"]
        step = world.run()
        assert step.over == over
        assert states(world)[0] == ("held" if over == "stopped" else "merged")
        assert creates(world) == (2 if over == "stopped" else 3)


# --- a vendor that says no --------------------------------------------------------------


def test_a_full_queue_is_waited_for_as_long_as_it_asks(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.create", "status", status=429, retry_after=700)]
    with World(small, tmp_path, faults=faults) as world:
        began = world.time.now()
        step = world.run()
        assert (step.over, creates(world), world.paid()) == ("done", 3, [1, 1])
        first = next(each.at for each in world.news if each.kind == "sent")
        assert first - began >= timedelta(seconds=700)


def test_a_spend_limit_stops_and_is_not_tried_again_unasked(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.create", "spend_limit")]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, creates(world)) == ("stopped", 1)
        step = world.run(reopen=False)
        assert (step.over, creates(world)) == ("stopped", 1)
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])


def test_a_refused_shard_stops_the_rest_until_somebody_has_looked(
    small: Made, tmp_path: Path
) -> None:
    faults = [fault(small, "batches.create", "status", status=400)]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, creates(world), states(world)) == ("stopped", 1, ["rejected", "built"])
        step = world.run()
        assert (step.over, world.paid()) == ("done", [0, 1])
        outcomes = [row["outcome"] for row in world.output()]
        assert outcomes == ["refused"] * 3 + ["succeeded"] * 2


def test_what_is_out_comes_home_though_the_rest_is_refused(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.create", "status", status=400, calls=(2,))]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, states(world)) == ("stopped", ["merged", "rejected"])
        assert [row["outcome"] for row in world.output()][:3] == ["succeeded"] * 3


def test_a_key_that_is_refused_stops_everything_and_loses_nothing(
    small: Made, tmp_path: Path
) -> None:
    faults = [fault(small, "batches.retrieve", "status", status=401)]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, states(world)) == ("stopped", ["submitted", "submitted"])
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()


def test_a_shard_that_is_not_what_was_built_is_not_sent(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        world.killed(1)
        folder = world.home / "jobs" / small.plan.nonce
        if not folder.exists():
            world.killed(2)
        shard = folder / small.shards[0].file
        shard.write_bytes(shard.read_bytes().replace(b"plus one", b"plus two"))
        step = world.run()
        assert (step.over, creates(world)) == ("stopped", 0)
        assert "not what was built" in (step.because or "")


def test_a_stored_file_is_stored_again_where_its_reply_is_lost(
    jobs: dict[str, Made], tmp_path: Path
) -> None:
    faults = [Fault(on="openai.files.create", kind="drop_after")]
    with World(jobs["openai"], tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert len(world.server.record.calls("openai.files.create")) == 3


@pytest.mark.parametrize(("missed", "stored"), [(1, 2), (5, 3)])
def test_a_fresh_file_that_is_not_found_yet_is_waited_for(
    jobs: dict[str, Made], tmp_path: Path, missed: int, stored: int
) -> None:
    calls = range(1, missed + 1)
    faults = [Fault(on="openai.batches.create", kind="not_found", calls=calls)]
    with World(jobs["openai"], tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert len(world.server.record.calls("openai.files.create")) == stored


# --- following --------------------------------------------------------------------------


def test_a_status_that_nobody_knows_is_asked_about_again_and_said(
    small: Made, tmp_path: Path
) -> None:
    faults = [fault(small, "batches.retrieve", "unknown_status", calls=range(1, 5))]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert "strange_status" in world.kinds()
        assert world.right()


def test_polls_that_fail_are_repeated(small: Made, tmp_path: Path) -> None:
    kinds = ("drop_after", "status", "html", "middlebox")
    faults = [
        fault(small, "batches.retrieve", kind, calls=(n,), status=503)
        for n, kind in enumerate(kinds, 1)
    ]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.right()


def test_a_batch_that_is_not_found_is_gone_only_after_a_while(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.retrieve", "not_found", calls=None)]
    with World(small, tmp_path, faults=faults) as world:
        began = world.time.now()
        step = world.run()
        assert (step.over, states(world)) == ("done", ["lost", "lost"])
        lost = next(each.at for each in world.news if each.kind == "lost")
        assert lost - began >= timedelta(minutes=10)
        with world.ledger() as ledger:  # nobody knows that it cost nothing
            out = ledger.exposure(small.plan.nonce).in_flight
        assert out == sum(spending.ceilings(small.plan, small.shards))


def test_a_batch_that_is_not_found_for_a_moment_is_not_gone(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, "batches.retrieve", "not_found", calls=range(1, 5))]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert "missing" in world.kinds()
        assert world.right()


def test_waves_keep_to_the_queue(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path, conduct=habits(small, queued_rows=3)) as world:
        step = world.run(queue=Queue(rows=4))
        assert (step.over, creates(world), world.paid()) == ("done", 2, [1, 1])
        kinds = world.kinds()
        assert kinds.index("ended") < len(kinds) - 1 - kinds[::-1].index("sent")


def test_waves_count_what_other_jobs_of_the_account_have_queued(
    jobs: dict[str, Made], alien: Made, tmp_path: Path
) -> None:
    with World(alien, tmp_path, conduct=replace(QUICK, turnaround=steady(Pace()))) as world:
        world.run(until_kind="sent")
        began = world.time.now()
        world.made = jobs["anthropic"]
        world.news.clear()
        step = world.run(queue=Queue(rows=5))
        assert (step.over, world.paid()) == ("done", [1, 1])
        first = next(each.at for each in world.news if each.kind == "sent")
        # Nobody follows the other job, and after a while it is not waited for any more.
        assert timedelta(hours=2) <= first - began <= timedelta(hours=3)


def test_waves_keep_to_queued_tokens(small: Made, tmp_path: Path) -> None:
    most = max(each.estimated_input_tokens for each in small.shards)
    with World(small, tmp_path) as world:
        step = world.run(queue=Queue(tokens=most))
        assert step.over == "done"
        kinds = world.kinds()
        assert kinds.index("ended") < len(kinds) - 1 - kinds[::-1].index("sent")


def test_a_shard_that_found_the_queue_full_goes_again(
    jobs: dict[str, Made], tmp_path: Path
) -> None:
    small = jobs["openai"]
    conduct = habits(small, queued_tokens=20)  # it counts 15 and 10, and one does not fit
    with World(small, tmp_path, conduct=conduct) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert "requeued" in world.kinds()
        assert world.right()


# --- results ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cut_length", "cut_chunked", "cut_eof"])
def test_results_that_end_early_are_fetched_again(small: Made, tmp_path: Path, kind: str) -> None:
    faults = [Fault(on=RESULTS[small.provider], kind=kind, calls=(1, 3))]  # type: ignore[arg-type]  # parametrised
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert {"again"} <= set(world.kinds())
        assert world.right()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """One shard of four rows for each vendor."""
    return {
        each: made(each, tmp_path_factory.mktemp(each), rows=4, per_shard=9) for each in VENDORS
    }


def cut_between_lines(job: Made, path: Path) -> Fault:
    """A download that always ends after its third line, and looks complete."""
    with World(job, path) as world:
        world.run()
        (raw,) = (world.home / "jobs" / job.plan.nonce / "results").iterdir()
        whole = raw.read_bytes()
    third = len(b"".join(whole.splitlines(keepends=True)[:3]))
    return Fault(
        on=RESULTS[job.provider], kind="cut_eof", calls=None, keep=(third + 0.5) / len(whole)
    )


@pytest.mark.parametrize("provider", VENDORS)
def test_results_that_stay_short_release_no_row_and_are_asked_about(
    single: dict[str, Made], tmp_path: Path, provider: str
) -> None:
    job = single[provider]
    with World(job, tmp_path, faults=[cut_between_lines(job, tmp_path)]) as world:
        step = world.run()
        assert (step.over, states(world)) == ("stopped", ["ended"])
        assert world.kinds().count("short") == 5
        assert "3 rows" in (step.because or "")
        world.server.script.faults.clear()
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1])
        assert world.right()


@pytest.mark.parametrize("provider", VENDORS)
def test_results_that_stay_short_may_be_taken_as_they_are(
    single: dict[str, Made], tmp_path: Path, provider: str
) -> None:
    job = single[provider]
    with World(job, tmp_path, faults=[cut_between_lines(job, tmp_path)]) as world:
        step = world.run(accept_short=True)
        assert (step.over, states(world)) == ("done", ["merged"])
        outcomes = sorted(row["outcome"] for row in world.output())
        assert outcomes == ["lost", "succeeded", "succeeded", "succeeded"]
        found = world.follow_up()
        assert found is not None
        assert (found.rows, found.offered) == (1, {"lost": 1}), "only another yes sends it again"


@pytest.mark.parametrize("provider", VENDORS)
def test_without_counts_results_are_proved_by_coming_twice(
    single: dict[str, Made], tmp_path: Path, provider: str
) -> None:
    job = single[provider]
    silent = [fault(job, f"batches.{each}", "no_counts", calls=None) for each in COUNTING]
    with World(job, tmp_path, faults=[*silent, cut_between_lines(job, tmp_path)]) as world:
        step = world.run()
        assert (step.over, states(world)) == ("done", ["merged"])
        assert world.kinds().count("short") == 1


def test_without_counts_a_line_for_every_row_is_proof_enough(small: Made, tmp_path: Path) -> None:
    faults = [fault(small, f"batches.{each}", "no_counts", calls=None) for each in COUNTING]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert "short" not in world.kinds()
        assert world.right()


def test_blank_lines_and_kinds_of_result_that_nobody_knows(small: Made, tmp_path: Path) -> None:
    route = RESULTS[small.provider]
    faults = [
        Fault(on=route, kind="blank_line", calls=None),
        Fault(on=route, kind="unknown_result", calls=(2,)),
    ]
    with World(small, tmp_path, faults=faults) as world:
        step = world.run()
        assert step.over == "done"
        rows = world.output()
        assert [row["key"] for row in rows] == [f"k{n}" for n in range(5)]
        strange = [row for row in rows if row["outcome"] == "unknown"]
        assert strange
        assert all(row["text"] is None for row in strange)


def test_rows_that_fail_are_kept_with_their_error(small: Made, tmp_path: Path) -> None:
    def trouble(custom_id: str) -> RowError | None:
        return RowError() if custom_id.endswith("-1") else None

    conduct = replace(QUICK, answers=Answers(trouble=trouble))
    with World(small, tmp_path, conduct=conduct) as world:
        step = world.run()
        assert step.over == "done"
        rows = world.output()
        assert [row["outcome"] for row in rows] == [
            "succeeded",
            "errored",
            "succeeded",
            "succeeded",
            "succeeded",
        ]
        assert "refused by the rehearsal" in rows[1]["error"]


# --- money ------------------------------------------------------------------------------


def test_the_cap_waits_for_room_and_then_sends(small: Made, tmp_path: Path) -> None:
    first, second = spending.ceilings(small.plan, small.shards)
    cap = Usd(plus(first, second) - Decimal("0.0000001"))
    with World(small, tmp_path, cap=cap) as world:
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        kinds = world.kinds()
        assert kinds.index("merged") < len(kinds) - 1 - kinds[::-1].index("sent")


def test_a_cap_without_room_stops_and_says_what_would_do(small: Made, tmp_path: Path) -> None:
    first, second = spending.ceilings(small.plan, small.shards)
    with World(small, tmp_path, cap=Usd(first - Decimal("0.0000001"))) as world:
        step = world.run()
        assert (step.over, creates(world)) == ("stopped", 0)
        assert "a cap of" in (step.because or "")
        world.cap = plus(first, second)
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])


def test_a_shard_that_cannot_be_priced_counts_at_its_ceiling(
    small: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what a meter without a rate costs, and it is not nothing."""
    right = Book.rate

    def unknown(self: Book, key: Any) -> Any:
        return None if key[1] == "output" else right(self, key)

    monkeypatch.setattr(Book, "rate", unknown)
    first, second = spending.ceilings(small.plan, small.shards)
    cap = Usd(plus(first, second) - Decimal("0.0000001"))
    with World(small, tmp_path, cap=cap) as world:
        step = world.run()
        assert (step.over, creates(world)) == ("stopped", 1), "the first still holds its ceiling"
        with Ledger.open(world.home) as ledger:
            spent = ledger.exposure(small.plan.nonce)
        assert spent.billed > 0
        assert spent.in_flight > 0
        assert plus(spent.billed, spent.in_flight) == first
    with World(small, tmp_path) as world:
        assert world.run().over == "done"
        with Ledger.open(world.home) as ledger:
            spent = ledger.exposure(small.plan.nonce)
        assert plus(spent.billed, spent.in_flight) == plus(first, second)


def test_a_gate_stops_a_shard_and_says_why(small: Made, tmp_path: Path) -> None:
    def gate(attempt: Attempt) -> str | None:
        return "the day's cap is reached" if attempt.shard == 2 else None

    with World(small, tmp_path) as world:
        step = world.run(gate=gate)
        assert (step.over, step.because) == ("stopped", "the day's cap is reached")
        assert world.paid() == [1, 0]


# --- cancelling -------------------------------------------------------------------------


def test_a_cancelled_job_sends_nothing_more_and_keeps_what_is_done(
    small: Made, tmp_path: Path
) -> None:
    stalled = replace(QUICK, turnaround=steady(Pace(running=30, stall_at=1, cancelling=20)))
    with World(small, tmp_path, conduct=stalled) as world:
        world.run(until_kind="sent")
        world.time.sleep(200)
        step = world.run(cancel=True)
        assert (step.over, sum(world.paid())) == ("done", 1)
        outcomes = [row["outcome"] for row in world.output()]
        assert sorted(outcomes) == ["canceled"] * 2 + ["succeeded"] + ["unsent"] * 2
        with world.ledger() as ledger:
            assert ledger.exposure(small.plan.nonce).in_flight == 0


@pytest.mark.parametrize("asked", [False, True])
def test_a_batch_that_may_be_somebody_elses_is_cancelled_only_where_that_is_asked_for(
    jobs: dict[str, Made], tmp_path: Path, *, asked: bool
) -> None:
    slow = replace(QUICK, turnaround=steady(Pace(running=3000)))
    faults = [Fault(on="anthropic.batches.create", kind="drop_after")]
    with World(jobs["anthropic"], tmp_path, faults=faults, conduct=slow) as world:
        world.run(until_kind="adopted")
        with world.ledger() as ledger:
            (batch,) = ledger.batches("anthropic")
        with pytest.raises(InputError, match="none that job"):
            world.run(vouch="msgbatch_of_somebody_else")
        step = world.run(cancel=True, vouch=batch if asked else None)
        assert (step.over, sum(world.paid())) == ("done", 1)
        assert len(world.server.record.calls("anthropic.batches.cancel")) == asked
        assert ("spared" in world.kinds()) != asked
        found = [row["outcome"] for row in world.output()]
        assert found == ["canceled" if asked else "succeeded"] * 3 + ["unsent"] * 2


def test_a_cancel_that_is_killed_goes_on(small: Made, tmp_path: Path) -> None:
    stalled = replace(QUICK, turnaround=steady(Pace(running=30, stall_at=1, cancelling=20)))
    for kill_at in (1, 2, 3, 4, 5, 6, 7, 8):
        with World(small, tmp_path, conduct=stalled) as world:
            world.run(until_kind="sent")
            killed = world.killed(kill_at, cancel=True)
            step = world.run(cancel=killed)
            assert (step.over, sum(world.paid())) == ("done", 1)


def test_creates_are_one_at_a_time_in_an_account_whatever_the_job(
    small: Made, tmp_path: Path
) -> None:
    from planner.handoff import home

    with World(small, tmp_path) as world:
        world.run(steps=1)
        with world.ledger() as ledger:
            fingerprint = ledger.job(small.plan.nonce).fingerprint
        with home.lock(world.home / "jobs" / f"account-{fingerprint}.lock", "a test"):
            step = world.run(steps=2)
            waits = [each.kind for each in world.news]
        assert creates(world) <= 1, waits
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])


# --- made twice on the way --------------------------------------------------------------


@pytest.mark.parametrize("sent", [1, 2])
def test_a_plan_whose_ledger_is_lost_is_not_paid_for_again(
    jobs: dict[str, Made], tmp_path: Path, sent: int
) -> None:
    """The data home is gone, or is another machine's: the vendor's marks say what was sent."""
    with World(jobs["openai"], tmp_path) as world:
        while world.kinds().count("sent") < sent:
            world.run(steps=1)
        for each in (world.home / "ledger.db", world.home / "jobs"):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        world.news.clear()
        step = world.run()
        assert (step.over, world.paid()) == ("done", [1, 1])
        assert world.kinds().count("adopted") == sent
        assert world.kinds().count("sent") == 2 - sent
        assert world.right()


def test_of_two_batches_that_are_ours_the_first_is_kept_and_the_other_ended(
    jobs: dict[str, Made], tmp_path: Path
) -> None:
    small = jobs["openai"]
    slow = replace(QUICK, turnaround=steady(Pace(running=300)))
    # Something on the way repeats the call, and then the end of the second is not heard at once.
    faults = [
        fault(small, "batches.create", "drop_after"),
        fault(small, "batches.cancel", "drop_before"),
    ]
    with World(small, tmp_path, faults=faults, conduct=slow) as world:
        world.run(until_kind="unknown")
        world.time.sleep(5)
        world.repeat(1)
        step = world.run()
        assert (step.over, sorted(world.paid())) == ("done", [1, 2])
        (vendor_side,) = world.server.worlds("openai")
        ended = [each.id for each in vendor_side.batches.values() if each.cancel_at is not None]
        told = [each.figures["batch"] for each in world.news if each.kind == "duplicate"]
        assert told == ended
        kept = [each for each in vendor_side.batches.values() if each.id not in ended]
        assert max(each.created for each in kept) != vendor_side.batches[ended[0]].created
        assert world.right()


# --- a person says which ----------------------------------------------------------------


def test_only_a_batch_that_can_be_it_is_taken_for_a_shard(
    jobs: dict[str, Made], alien: Made, tmp_path: Path
) -> None:
    faults = [Fault(on="anthropic.batches.create", kind="drop_before")]
    with World(jobs["anthropic"], tmp_path, faults=faults) as world:
        world.run()
        smaller = world.send(alien.folder / "shards" / "00001.json", rows=2)
        for shard, batch, said in (
            (2, smaller, "does not wait"),
            (1, smaller, "has 2 rows"),
            (1, "msgbatch_nowhere", "msgbatch_nowhere"),
        ):
            with pytest.raises(InputError, match=said):
                world.run(adopt=(shard, batch))
        assert states(world) == ["held", "built"]


def test_a_run_may_last_until_a_moment(small: Made, tmp_path: Path) -> None:
    with World(small, tmp_path) as world:
        moment = world.time.now() + timedelta(seconds=15)
        step = world.run(until=moment)
        assert step.over is None
        assert world.time.now() == moment
        assert world.run().over == "done"


def test_results_that_nobody_fetched_in_time_are_lost_and_not_called_missing(
    small: Made, tmp_path: Path
) -> None:
    with World(small, tmp_path) as world:
        world.run(until_kind="sent")
        world.time.sleep(40 * 86400)
        step = world.run()
        assert (step.over, states(world)[0]) == ("done", "lost")
        assert [row["outcome"] for row in world.output()][:3] == ["lost"] * 3
