"""The ledger: nothing happens that the table does not know, and a kill loses no commit."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.decision.cost import CostComponent
from planner.decision.turnaround import FinishedJob
from planner.errors import InputError
from planner.handoff import home, policy, states
from planner.handoff.ledger import Attempt, Ledger, NoRoomError, Spent
from planner.handoff.vendor import Counts
from planner.money import ZERO, Rate, Usd, amount, plus, total
from tests.answers import NOW
from tests.handoff import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.handoff.states import Event

EVENTS = sorted({event for _, event in states.TABLE})
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="permission bits of POSIX")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "home") as opened:
        yield opened


def line(tokens: int, rate: str = "2.5", meter: str = "input") -> CostComponent:
    priced = Rate(Decimal(rate))
    return CostComponent(
        lane="batch", meter=meter, quantity=tokens, rate=priced, amount=amount(tokens, priced)
    )


def sent(ledger: Ledger, attempt: Attempt, batch: str = "batch_1") -> Attempt:
    attempt = ledger.move(attempt, "send", NOW, intent_at=NOW)
    return ledger.move(attempt, "created", NOW, batch_id=batch, created_at=NOW)


# --- the table --------------------------------------------------------------------------


@given(chosen=st.lists(st.sampled_from(EVENTS), max_size=40))
@settings(max_examples=40)
def test_an_attempt_goes_only_where_the_table_lets_it(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder)) as ledger:
        (attempt,) = ledger.attempts(jobs.admitted(ledger).id)
        state, taken = attempt.state, 0
        for event in chosen:
            wanted = states.TABLE.get((state, cast("Event", event)))
            if wanted is None:
                with pytest.raises(AssertionError):
                    ledger.move(attempt, cast("Event", event), NOW)
            else:
                attempt = ledger.move(attempt, cast("Event", event), NOW)
                state, taken = wanted, taken + 1
            assert ledger.attempts(attempt.job) == (attempt,)
            assert attempt.state == state
        told = [each for each in ledger.events(attempt.job) if each.shard is not None]
        assert len(told) == taken
        assert all(each.facts["state"] for each in told)


def test_an_attempt_that_another_process_moved_is_not_moved_from_where_it_was(
    ledger: Ledger,
) -> None:
    (seen,) = ledger.attempts(jobs.admitted(ledger).id)
    ledger.move(seen, "send", NOW)
    with pytest.raises(AssertionError, match="no longer built"):
        ledger.move(seen, "send", NOW)


def test_facts_come_back_as_they_were_given(ledger: Ledger) -> None:
    (attempt,) = ledger.attempts(jobs.admitted(ledger).id)
    counts = Counts(total=10, succeeded=7, errored=3)
    attempt = ledger.move(attempt, "send", NOW, intent_at=NOW, high_water="batch_0")
    attempt = ledger.move(
        attempt, "created", NOW, batch_id="b", created_at=NOW, counts=counts, status="validating"
    )
    assert (attempt.intent_at, attempt.high_water, attempt.counts) == (NOW, "batch_0", counts)
    with pytest.raises(AssertionError, match="no such facts"):
        ledger.learn(attempt, NOW, prompt="hello")


def test_a_poll_is_an_event_only_when_the_status_is_new(ledger: Ledger) -> None:
    attempt = sent(ledger, ledger.attempts(jobs.admitted(ledger).id)[0])
    before = len(ledger.events(attempt.job))
    attempt = ledger.learn(attempt, NOW, status="in_progress", last_poll=NOW)
    attempt = ledger.learn(attempt, NOW, status="in_progress", last_poll=NOW + timedelta(hours=1))
    assert len(ledger.events(attempt.job)) == before + 1
    assert attempt.last_poll == NOW + timedelta(hours=1)


def test_one_batch_belongs_to_one_attempt(ledger: Ledger) -> None:
    one, other = ledger.attempts(jobs.admitted(ledger, 2).id)
    sent(ledger, one, "batch_1")
    with pytest.raises(sqlite3.IntegrityError):
        sent(ledger, other, "batch_1")
    assert ledger.attempts(one.job)[1].state == "sending", "the refused step left nothing"
    assert ledger.batches("anthropic") == {"batch_1"}


def test_another_attempt_follows_one_that_came_to_nothing(ledger: Ledger) -> None:
    (first,) = ledger.attempts(jobs.admitted(ledger).id)
    with pytest.raises(AssertionError, match="built is not over"):
        ledger.again(first, NOW)
    over = ledger.move(ledger.move(first, "send", NOW), "refused", NOW, error="too many")
    second = ledger.again(over, NOW)
    assert (second.n, second.state, second.error) == (2, "built", None)
    assert second.sha256 == first.sha256
    assert ledger.attempts(first.job) == (second,)
    assert [each.n for each in ledger.attempts(first.job, all=True)] == [1, 2]


# --- jobs -------------------------------------------------------------------------------


def test_the_same_plan_is_the_same_job(ledger: Ledger) -> None:
    one = jobs.admitted(ledger, 2)
    sent(ledger, ledger.attempts(one.id)[0])
    assert jobs.admitted(ledger, 2) == one
    assert [each.state for each in ledger.attempts(one.id)] == ["submitted", "built"]
    assert jobs.admitted(ledger, 2, max_output_tokens=64).id != one.id


def test_a_cap_is_raised_by_asking_again_and_never_dropped(ledger: Ledger) -> None:
    plan, shards = jobs.plan(), jobs.shards(1)
    for cap, kept in ((Usd(Decimal(5)), 5), (None, 5), (Usd(Decimal(8)), 8)):
        job = ledger.admit(plan, jobs.ACCOUNT, {}, shards, [jobs.CEILING], cap, NOW)
        assert job.cap == kept


def test_another_account_is_refused_and_a_rotated_key_goes_on(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    ledger.check_account(job, replace(jobs.ACCOUNT, key_from="keyring"))
    for other in (
        replace(jobs.ACCOUNT, organization="org-two"),
        replace(jobs.ACCOUNT, workspace="w"),
        replace(jobs.ACCOUNT, base_url="https://gateway.example"),
    ):
        with pytest.raises(InputError, match="belongs to another account"):
            ledger.check_account(job, other)
        with pytest.raises(InputError, match="belongs to another account"):
            ledger.admit(jobs.plan(), other, {}, jobs.shards(1), [jobs.CEILING], None, NOW)


def test_a_job_is_named_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    assert ledger.job(job.id[:4]) == job
    for name in ("", "zzz"):
        with pytest.raises(InputError, match="no job"):
            ledger.job(name)
    assert ledger.settle(job.id, "stopped", NOW, because="spend limit").stopped_because is not None


# --- money ------------------------------------------------------------------------------


@given(parts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**9)), max_size=12))
@settings(max_examples=30)
def test_a_bill_is_what_was_said_last_of_each_shard(parts: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder)) as ledger:
        job = jobs.admitted(ledger, 4)
        for shard, tokens in parts:
            ledger.bill(job.id, "batch", [line(tokens)], NOW, shard=shard)
        last = dict(parts)
        billed = ledger.billed(job.id)
        assert sum(each.quantity for each in billed) == sum(last.values())
        assert all(each.amount == amount(each.quantity, each.rate) for each in billed)
        assert ledger.exposure(job.id).billed == sum(each.amount for each in billed)


def test_a_ceiling_counts_until_its_shard_is_billed(ledger: Ledger) -> None:
    job = jobs.admitted(ledger, 2)
    one, other = ledger.attempts(job.id)
    assert ledger.spent() == ()
    one = sent(ledger, one)
    ledger.move(other, "send", NOW)
    assert ledger.exposure(job.id).in_flight == 2 * jobs.CEILING
    one = ledger.move(ledger.move(one, "ended", NOW), "fetched", NOW)
    ledger.bill(job.id, "batch", [line(1000)], NOW, shard=0)
    (spent,) = ledger.spent()
    assert spent == Spent(job=job.id, billed=Usd(Decimal("0.0025")), in_flight=jobs.CEILING)
    ledger.move(one, "merged", NOW)
    assert ledger.spent() == (spent,)


@pytest.mark.parametrize("lines", [[], [line(1000)]], ids=["nothing known", "some known"])
def test_what_a_bill_cannot_price_stays_aside_until_one_can(
    ledger: Ledger, lines: list[CostComponent]
) -> None:
    job = jobs.admitted(ledger, 2)
    one, other = ledger.attempts(job.id)
    one = ledger.move(ledger.move(sent(ledger, one), "ended", NOW), "fetched", NOW)
    ledger.move(other, "send", NOW)
    aside = Usd(Decimal("0.75"))
    for _ in range(2):
        ledger.bill(job.id, "batch", lines, NOW, aside=aside)
        assert ledger.exposure(job.id).in_flight == aside + jobs.CEILING
    ledger.move(one, "merged", NOW)
    assert ledger.exposure(job.id).in_flight == aside + jobs.CEILING
    ledger.bill(job.id, "batch", [], NOW, shard=1)
    assert ledger.exposure(job.id).in_flight == aside + jobs.CEILING, "another shard's bill"
    ledger.bill(job.id, "batch", [line(2000)], NOW)
    assert ledger.exposure(job.id).in_flight == jobs.CEILING


def test_what_was_lost_stays_at_its_ceiling_and_a_refusal_costs_nothing(ledger: Ledger) -> None:
    job = jobs.admitted(ledger, 2)
    one, other = ledger.attempts(job.id)
    ledger.move(sent(ledger, one), "gone", NOW)
    ledger.move(ledger.move(other, "send", NOW), "refused", NOW)
    assert ledger.exposure(job.id).in_flight == jobs.CEILING


@given(said=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=6))
@settings(max_examples=30)
def test_each_day_has_what_was_charged_on_it(said: list[tuple[int, int]]) -> None:
    """Figures that grow book only what is more; the same figures again change nothing."""
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder)) as ledger:
        job = jobs.admitted(ledger)
        read = written = 0
        for day, (more_read, more_written) in enumerate(said):
            read, written = read + more_read, written + more_written
            lines = [line(read), line(written, "10", "output")]
            ledger.bill(job.id, "realtime", lines, NOW + timedelta(days=day))
            ledger.bill(job.id, "realtime", lines, NOW + timedelta(days=day + 100))
            assert ledger.exposure(job.id).billed == sum(each.amount for each in lines)
            assert {each.meter: each.quantity for each in ledger.billed(job.id)} == {
                "input": read,
                "output": written,
            }
            today = ledger.spent(NOW + timedelta(days=day))
            added = amount(more_read, Rate(Decimal("2.5")))
            added = plus(added, amount(more_written, Rate(Decimal(10))))
            assert sum(each.billed for each in today) == added


def test_the_cap_of_a_day_sees_what_a_run_of_two_days_spent_on_it(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    rules = policy.Policy(daily_cap=Usd(Decimal(1)))
    later = NOW + timedelta(days=1)
    ledger.bill(job.id, "realtime", [line(100_000)], NOW)
    assert policy.room(rules, ledger, NOW) == Decimal("0.75")
    assert policy.room(rules, ledger, later) == 1
    ledger.bill(job.id, "realtime", [line(300_000)], later)
    assert policy.room(rules, ledger, later) == Decimal("0.5")
    assert ledger.exposure(job.id).billed == Decimal("0.75")


def test_a_bill_that_shrinks_takes_from_the_newest_day(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    first, second = NOW, NOW + timedelta(days=1)
    ledger.bill(job.id, "batch", [line(1000)], first)
    ledger.bill(job.id, "batch", [line(3000)], second)
    ledger.bill(job.id, "batch", [line(1500)], second + timedelta(days=1))
    assert ledger.spent(second)[0].billed == amount(500, Rate(Decimal("2.5")))
    ledger.bill(job.id, "batch", [line(400)], second + timedelta(days=1))
    assert ledger.spent(second) == ()
    assert ledger.spent(first)[0].billed == amount(400, Rate(Decimal("2.5")))


def test_a_leg_without_shards_holds_what_it_has_in_flight(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    for held in ("0.75", "0.25", "0"):
        ledger.hold(job.id, "realtime", Usd(Decimal(held)))
        assert ledger.exposure(job.id).in_flight == Decimal(held)
    assert ledger.exposure("nobody").billed == ZERO


# --- history ----------------------------------------------------------------------------


def test_a_batch_that_ended_is_history(ledger: Ledger) -> None:
    job = jobs.admitted(ledger, 3)
    one, other, third = ledger.attempts(job.id)
    done = NOW + timedelta(minutes=14)
    ledger.move(sent(ledger, one, "b1"), "ended", done, ended_at=done)
    late = Counts(total=10, succeeded=4, expired=6)
    ledger.move(sent(ledger, other, "b2"), "ended", done, ended_at=done, counts=late)
    ledger.move(sent(ledger, third, "b3"), "failed", done)
    assert [each.state for each in ledger.finished()] == ["ended", "expired", "failed"]
    assert ledger.finished()[0].turnaround == 840


def test_an_imported_batch_is_history_once(ledger: Ledger) -> None:
    running = FinishedJob(
        provider="openai", model="m", lane="batch", rows=9, created=NOW, ended=None, state="running"
    )
    assert ledger.remember("b1", running)
    done = replace(running, ended=NOW + timedelta(hours=1), state="ended")
    assert not ledger.remember("b1", done)
    assert ledger.finished() == (done,)


def test_a_rehearsal_is_no_history(ledger: Ledger) -> None:
    job = ledger.admit(
        jobs.plan(), jobs.ACCOUNT, {}, jobs.shards(1), [jobs.CEILING], None, NOW, rehearsal=True
    )
    sent(ledger, ledger.attempts(job.id)[0])
    assert ledger.finished() == ()


# --- the file ---------------------------------------------------------------------------


@POSIX
def test_files_and_folders_are_nobody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "home"
    previous = os.umask(0)
    try:
        with Ledger.open(folder) as ledger, ledger.lock(jobs.admitted(ledger).id):
            pass
    finally:
        os.umask(previous)
    bits = {each: each.stat().st_mode & 0o777 for each in (folder, *folder.rglob("*"))}
    assert len(bits) == 4
    assert all(bit == (0o700 if each.is_dir() else 0o600) for each, bit in bits.items())


@POSIX
def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    Ledger.open(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_events_are_appended_only(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    for statement in ("DELETE FROM event", "UPDATE event SET kind = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="appended"):
            ledger._db.execute(statement)
    assert [each.kind for each in ledger.events(job.id)] == ["admitted"]


def test_the_journal_is_the_one_that_loses_nothing(ledger: Ledger) -> None:
    settings_ = {name: ledger._db.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
    assert settings_ == PRAGMAS


PRAGMAS = {"journal_mode": "delete", "synchronous": 3, "foreign_keys": 1}


def test_a_second_process_reads_while_the_first_is_writing(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    ledger._db.execute("BEGIN IMMEDIATE")
    ledger._db.execute("UPDATE job SET state = 'done'")
    code = (
        "import sys; from pathlib import Path; from planner.handoff.ledger import Ledger\n"
        "print(*[each.state for each in Ledger.read_only(Path(sys.argv[1])).jobs()])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(ledger.folder)], check=True, capture_output=True, text=True
    )
    ledger._db.execute("ROLLBACK")
    assert told.stdout.split() == ["open"]
    assert ledger.job(job.id).state == "open"


def test_reading_changes_nothing(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    watching = Ledger.read_only(ledger.folder)
    assert watching is not None
    assert watching.jobs() == ledger.jobs()
    with pytest.raises(InputError, match="readonly"):
        watching.note(job.id, "seen", NOW)
    watching.close()
    assert Ledger.read_only(ledger.folder / "elsewhere") is None


def test_a_second_runner_of_a_job_is_refused_and_a_dead_one_is_not(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    code = (
        "import sys, time; from pathlib import Path; from planner.handoff.ledger import Ledger\n"
        "with Ledger.open(Path(sys.argv[1])).lock(sys.argv[2]): print('held', flush=True); "
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(ledger.folder), job.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert home.held(ledger.folder / home.JOBS / f"{job.id}.lock")
        with pytest.raises(InputError, match="run by another process"), ledger.lock(job.id):
            pass
        other.kill()
    assert not home.held(ledger.folder / home.JOBS / f"{job.id}.lock")
    assert not home.held(ledger.folder / home.JOBS / "nobody.lock")
    with ledger.lock(job.id):
        pass


# Commits, and dies by the process's own hand on one side of a commit.
DYING = """
import os, sys
from pathlib import Path
from planner.handoff.ledger import Ledger
from tests.answers import NOW
from tests.handoff import jobs
def die(step):
    if step == sys.argv[2]:
        os._exit(9)
ledger = Ledger.open(Path(sys.argv[1]), checkpoint=die)
(attempt,) = ledger.attempts(jobs.admitted(ledger).id)
ledger.move(attempt, "send", NOW, intent_at=NOW, high_water="batch_0")
"""


@pytest.mark.parametrize(
    ("step", "state"), [("before admit", None), ("before send", "built"), ("after send", "sending")]
)
def test_a_kill_on_either_side_of_a_commit(tmp_path: Path, step: str, state: str | None) -> None:
    folder = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(folder), step],
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 9
    watching = Ledger.read_only(folder)
    assert watching is not None
    found = [each for job in watching.jobs() for each in watching.attempts(job.id)]
    assert [each.state for each in found] == ([] if state is None else [state])
    with Ledger.open(folder) as again:
        assert again.health() == ()
        assert jobs.admitted(again).state == "open"


SPILLING = """
import os, sys
from pathlib import Path
from planner.handoff.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
ledger._db.execute("PRAGMA cache_size = 4")
ledger._db.execute("BEGIN IMMEDIATE")
ledger._db.execute("UPDATE job SET state = 'done'")
for _ in range(400):
    values = ["y" * 4000]
    ledger._db.execute("INSERT INTO event (at, job, kind, facts) VALUES ('', '', 'x', ?)", values)
os._exit(9)
"""


def test_a_watcher_finds_what_stood_before_a_kill_in_the_middle_of_writing(ledger: Ledger) -> None:
    job = jobs.admitted(ledger)
    ledger.close()
    subprocess.run([sys.executable, "-c", SPILLING, str(ledger.folder)], check=False)
    journal = ledger.folder / f"{home.LEDGER}-journal"
    assert journal.stat().st_size
    assert (ledger.folder / home.LEDGER).stat().st_size > 1_000_000, "it was written over"
    watching = Ledger.read_only(ledger.folder)
    assert watching is not None
    assert watching.jobs() == (job,)
    assert watching.health() == ()


@pytest.mark.parametrize("way", ["hold", "send"])
def test_processes_that_look_for_room_at_once_do_not_take_the_same(
    tmp_path: Path, way: str
) -> None:
    """Eight want what only three have room for; each looks in the moment in which it takes."""
    with Ledger.open(tmp_path) as ledger:
        names = [jobs.admitted(ledger, max_output_tokens=100 + n).id for n in range(8)]
    day = Usd(jobs.CEILING * 3)
    start = Barrier(len(names))

    def take(name: str) -> bool:
        with Ledger.open(tmp_path) as ledger:
            (attempt,) = ledger.attempts(name)

            def full() -> str | None:
                spent = total(plus(each.billed, each.in_flight) for each in ledger.spent())
                return "no room" if plus(spent, jobs.CEILING) > day else None

            assert full() is None, "before, there is room for everybody"
            start.wait()
            try:
                if way == "hold":
                    ledger.hold(name, "realtime", jobs.CEILING, unless=full)
                else:
                    ledger.move(attempt, "send", NOW, unless=full, intent_at=NOW)
            except NoRoomError:
                return False
            return True

    with ThreadPoolExecutor(len(names)) as pool:
        taken = list(pool.map(take, names))
    assert sum(taken) == 3
    with Ledger.open(tmp_path) as ledger:
        assert total(each.in_flight for each in ledger.spent()) == day
        moved = [ledger.attempts(each)[0].state for each in names]
        assert moved.count("sending") == (3 if way == "send" else 0)


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(step: str) -> None:
        if step == "before created":
            raise OSError("the disk is full")

    with Ledger.open(tmp_path / "home", checkpoint=fail) as ledger:
        (attempt,) = ledger.attempts(jobs.admitted(ledger).id)
        attempt = ledger.move(attempt, "send", NOW)
        with pytest.raises(OSError, match="full"):
            ledger.move(attempt, "created", NOW, batch_id="b")
        assert ledger.attempts(attempt.job) == (attempt,)
        assert ledger.events(attempt.job)[-1].kind == "send"


def test_a_damaged_or_foreign_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / home.LEDGER).write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match="ledger cannot be used"):
        Ledger.open(tmp_path)
    with pytest.raises(InputError, match="ledger cannot be used"):
        Ledger.read_only(tmp_path)
    (tmp_path / home.LEDGER).unlink()
    other = sqlite3.connect(tmp_path / home.LEDGER)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(InputError, match="not a ledger of planner"):
        Ledger.open(tmp_path)


def test_a_newer_ledger_is_left_alone(ledger: Ledger) -> None:
    ledger._db.execute("PRAGMA user_version = 99")
    for opened in (Ledger.open, Ledger.read_only):
        with pytest.raises(InputError, match="has version 99"):
            opened(ledger.folder)


# --- where it is ------------------------------------------------------------------------


def test_the_data_home_is_the_named_one_else_the_platforms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert home.data_home() == Path.home() / ".local" / "share" / "planner"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home.data_home() == tmp_path / "planner"
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "mine"))
    assert home.data_home() == tmp_path / "mine"
