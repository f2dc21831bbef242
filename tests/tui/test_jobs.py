"""Jobs as a person sees them, from a ledger that was written for it; and the door to send one."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from planner import catalog, standing
from planner.handoff import journal as journals
from planner.handoff import plan as plans
from planner.handoff import rehearsal
from planner.job import Job, Output, Text
from planner.tui import work
from planner.tui.app import PlannerApp
from planner.tui.desk import Desk
from planner.tui.hands import Hands, UnwantedError
from planner.tui.pieces import plain
from tests.answers import NOW
from tests.handoff import direct_world
from tests.tui.books import BEGUN, ROWS, Book, planned
from tests.tui.frames import Seat, check, figures, frame, line_with, running, seat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from planner.catalog import Catalog

pytestmark = pytest.mark.anyio


async def test_without_jobs_it_says_how_to_get_one(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANNER_DATA", str(tmp_path / "none"))
    async with seat(None, lambda: facts, place="Jobs") as here:
        check("jobs-empty", await here.sizes())


async def test_jobs_and_the_one_under_the_cursor(facts: Catalog, book: Book) -> None:
    going = book.job(planned("tickets.jsonl", due=NOW + timedelta(hours=3)))
    book.send(going, 0)
    book.send(going, 1)
    book.end(going, 0, 70, succeeded=ROWS // 2)
    done = book.job(planned("evals.jsonl", max_output_tokens=64))
    for shard in (0, 1):
        book.send(done, shard)
        book.end(done, shard, 20 + shard, succeeded=ROWS // 2 - 3, errored=3)
    book.ledger.settle(done, "done", BEGUN + timedelta(minutes=22))
    async with seat(None, lambda: facts, place="Jobs") as here:
        text = await here.sizes()
        check("jobs", text)
        await here.pilot.resize_terminal(80, 24)
        await here.settle()
        frames = [await here.press("home"), await here.press("down")]
        ours = next(each for each in frames if "Slower than usual" in each)
        assert "Due in 3h (15:00 UTC)" in ours
        assert "2,000 answered, 2,000 at the vendor" in ours
        assert "r Follow" in ours
        assert "c End" in ours
        other = next(each for each in frames if each != ours)
        assert "Over after 21m; planned: typically 30m, 95 % by 8h07." in other
        assert "6 failed" in other
        assert "t Try again" in other
        assert "c End" not in other


async def test_a_stopped_job_says_why_and_what_next(facts: Catalog, book: Book) -> None:
    job = book.job(planned("rows.jsonl"))
    book.ledger.settle(job, "stopped", NOW, because="the vendor says: credit balance is too low")
    async with seat(None, lambda: facts, place="Jobs") as here:
        check("jobs-stopped", await here.sizes())
        await here.pilot.resize_terminal(80, 24)
        text = await here.settle()
        assert "! stopped" in line_with(text, "rows.jsonl", "$0")
        assert "credit balance is too low" in text
        assert "r goes on, once the reason is gone" in text


async def test_without_a_key_following_is_refused_and_nothing_breaks(book: Book) -> None:
    book.job(planned("rows.jsonl"))
    async with seat(None, catalog.load, place="Jobs") as here:
        await here.settle()
        await here.press("r")
        check("jobs-no-key", await here.sizes())
        await here.pilot.resize_terminal(80, 24)
        text = await here.settle()
        assert "no key for Anthropic" in text
        assert "hint: set ANTHROPIC_API_KEY" in text
        assert here.app.is_running
        assert "r Follow" in text, "it may be tried again"


async def test_ending_a_job_needs_the_word(facts: Catalog, book: Book) -> None:
    job = book.job(planned("rows.jsonl"))
    async with seat(None, lambda: facts, place="Jobs") as here:
        await here.settle()
        text = await here.press("c")
        assert f"End job {job}?" in text
        assert "stays unsent: 4,000 rows" in text
        assert "$0 is billed so far." in text, "nobody ends what they do not know the cost of"
        check("jobs-end", await here.sizes())
        assert "End job" in await here.press("y", "enter"), "a y is not the word"
        await here.press("escape")
        assert len(here.app.screen_stack) == 1


async def test_a_process_that_holds_the_job_keeps_it(facts: Catalog, book: Book) -> None:
    job = book.job(planned("rows.jsonl"))
    with book.ledger.lock(job):
        async with seat(None, lambda: facts, place="Jobs") as here:
            text = await here.settle()
            assert "> running" in text
            assert "r Follow" not in text


def test_a_share_of_rows_is_a_count_and_no_probability() -> None:
    from planner.tui import work

    assert work._share(4, 4) == "100 %"
    assert work._share(3999, 4000) == ">99 %"
    assert work._share(0, 4) == "0 %"


def test_the_course_never_leaves_its_frame(book: Book) -> None:
    from planner import standing
    from planner.tui import work
    from planner.tui.pieces import cells

    job = book.job(planned("rows.jsonl", due=NOW))
    it = standing.standing(book.ledger, job)
    for width in range(20, 130, 7):
        for height in range(3, 30, 5):
            lines = work.completion(it, NOW + timedelta(hours=30), width, height)
            assert len(lines) <= height
            assert all(cells(line) <= width for line in lines), (width, height)


# --- from Plan through the door -----------------------------------------------------------


@asynccontextmanager
async def planning(
    folder: Path, facts: Catalog, time: rehearsal.clock.Virtual
) -> AsyncIterator[Seat]:
    """Forty rows on the Plan screen, of a vendor that planner hands jobs to."""
    path = folder / "rows.jsonl"
    path.write_text("".join(f'{{"text": "What is {n} plus one?"}}\n' for n in range(40)), "utf-8")
    job = Job(
        workload=path,
        prompt=Text(text="{{ text }}", name="--prompt"),
        models=("claude-made-up",),
        output=Output(tokens=30),
    )
    desk = Desk(catalog_loader=lambda: facts, clock=time.now, on=NOW.date())
    app = PlannerApp(desk, job)
    app._hands = Hands(desk, time=time.clock)
    async with running(app) as here:
        yield here


def portless(text: str) -> str:
    """The vendor on this machine has another port each time."""
    return re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:55555", text)


async def test_from_plan_to_the_answers(
    tmp_path: Path, book: Book, vendor: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    time = rehearsal.clock.Virtual(NOW)
    with rehearsal.Server(clock=time.clock, seed=0) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-made-up")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url("anthropic"))
        async with planning(tmp_path, vendor, time) as here:
            await here.settle()
            await here.pilot.press("s")
            await here.sees("Type 40 and Enter")
            check("submit", portless(await here.sizes(workers=False)))
            await here.pilot.resize_terminal(80, 24)
            text = await here.settle(workers=False)
            said = " ".join(text.replace("│", " ").split())
            for part in ("To send: 40 rows of rows.jsonl", "expected", "at most", "leaves"):
                assert part in said
            await here.pilot.press("4", "enter")
            assert "That is not the number of rows." in await here.sees("not the number")
            assert not server.record.sent or all(e.made is None for e in server.record.sent)
            await here.pilot.press("0", "enter")
            text = await here.sees("40 at the vendor")
            assert "~ waiting" in text
            await here.pilot.press("r")
            await here.sees("40 answered")
            await here.sees("f Fetch")  # not before it is followed no more
            await here.pilot.press("f")
            text = await here.sees("answered: 40 of 40 rows")
            assert "Done after" in text
    answers = next((tmp_path / "data" / "jobs").glob("*/out/results.jsonl"))
    assert len(answers.read_text(encoding="utf-8").splitlines()) == 40


async def test_without_a_key_the_door_stays_shut_and_rehearsing_is_offered(
    tmp_path: Path, book: Book, vendor: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with planning(tmp_path, vendor, rehearsal.clock.Virtual(NOW)) as here:
        await here.settle()
        await here.press("s")
        text = await here.sizes()
        check("submit-no-key", text)
        assert "no key for Anthropic" in text
        await here.pilot.resize_terminal(80, 24)
        text = await here.press("ctrl+r")
        assert "Rehearsed: 40 of 40 rows answered" in text
        await here.press("escape")
        assert "s Submit" in await here.settle()
    assert written(tmp_path) == {"rows.jsonl", "data"}, "nobody said yes to a plan"


async def test_offline_the_door_says_so_and_leaving_keeps_nothing(
    tmp_path: Path, book: Book, vendor: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-made-up")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    async with planning(tmp_path, vendor, rehearsal.clock.Virtual(NOW)) as here:
        await here.settle()
        await here.press("s")
        text = await here.sizes()
        check("submit-offline", text)
        assert "Anthropic was not reached" in text
        assert "sk-ant-made-up" not in frame(here.app)
    assert written(tmp_path) == {"rows.jsonl", "data"}


def written(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_what_has_no_plan_says_why(
    facts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with seat(figures("acme-tall"), lambda: facts) as here:
        await here.settle()
        await here.press("s")
        text = await here.sizes()
        check("submit-figures", text)
        assert "a plan is of rows that can be sent" in text
    assert not written(tmp_path)


async def test_leaving_wakes_a_thread_that_waits_for_a_vendor(facts: Catalog) -> None:
    desk = Desk(catalog_loader=lambda: facts, clock=lambda: NOW, on=NOW.date())
    hands = Hands(desk)
    clock = hands._clock(lambda: True)

    def wait() -> None:
        with pytest.raises(UnwantedError):
            clock.sleep(3600.0)

    waiting = Thread(target=wait)
    waiting.start()
    hands.leaving.set()
    waiting.join(timeout=10)
    assert not waiting.is_alive()


def test_leaving_a_run_of_single_requests_waits_for_those_that_are_out(
    tmp_path: Path, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = direct_world.made("anthropic", tmp_path / "job", rows=200)
    path = tmp_path / "job" / "job.plan.yaml"
    plans.write(job.plan, path)
    time, facts = rehearsal.clock.Leaping(NOW, 20), catalog.load()
    hands = Hands(
        Desk(catalog_loader=lambda: facts, clock=time.now, on=NOW.date()), time=time.clock
    )
    conduct = rehearsal.Conduct(latency=rehearsal.laws.Latency(base=4.0))
    with rehearsal.Server(clock=time.clock, conduct=conduct) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-made-up")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url("anthropic"))

        def wanted() -> bool:
            return len(server.record.sent) < 20

        said = hands.submit(path, wanted, lambda _ready: True)
        assert said is not None
        assert "interrupted" in said.text
        stood = journals.standing(book.ledger.job_folder(job.plan.nonce))
        assert 0 < len(stood.done) < 200
        assert (stood.ambiguous, stood.open) == (0, {}), "none is torn off"
        assert hands.follow(job.plan.nonce, lambda: True).text == "done"
        paid = direct_world.paid(server, "anthropic")
    assert len(paid) == 200
    assert set(paid.values()) == {1}, "none is paid for twice"


@pytest.mark.parametrize(
    ("hours", "said"),
    [(-1, "Late, it was due"), (1, "Due in 60m"), (0, "Late, it was due")],
)
def test_what_is_due_is_late_from_that_moment_on(book: Book, hours: int, said: str) -> None:
    job = book.job(planned("rows.jsonl", due=NOW + timedelta(hours=hours)))
    text = plain(work.course(standing.standing(book.ledger, job), NOW).body)
    assert said in text
    assert "not late" not in text or hours > 0


@pytest.mark.parametrize(("minutes", "said"), [(90, "in time"), (130, "late")])
def test_what_is_over_was_in_time_or_not(book: Book, minutes: int, said: str) -> None:
    job = book.job(planned("rows.jsonl", due=BEGUN + timedelta(minutes=100)), shards=2)
    for shard in (0, 1):
        book.send(job, shard)
        book.end(job, shard, minutes, succeeded=2000)
    text = plain(work.course(standing.standing(book.ledger, job), NOW).body)
    assert text.endswith(f": {said}.")
