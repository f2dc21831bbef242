"""The realtime run: every row once, on the disk before it counts, at the pace that was planned."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.decision import realtime
from planner.errors import InputError
from planner.handoff import journal as journals
from planner.handoff import plan as plans
from planner.handoff import rows as sent
from planner.handoff import runner as runners
from planner.handoff.billing import Book
from planner.handoff.journal import Journal
from planner.handoff.pacing import Pace
from planner.handoff.rows import Prices, Row
from planner.handoff.runner import Answer, Outcome, Progress, Runner, Said
from planner.handoff.vendor import Allowance, Reply, RowResult
from planner.money import ZERO, Usd
from tests.handoff.virtual import Vendor, answer, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from planner.decision.realtime import Bucket
    from planner.handoff.clock import Clock

RATES = plans.Rates(
    lane="standard",
    region=None,
    rates={"input": Decimal(1), "output": Decimal(5)},
    tiers=(),
    sources=(),
)
PRICES = Prices(book=Book(lanes=(RATES,)), lane="standard", max_output=400)
CEILING = Usd(Decimal("0.0026"))
"""600 tokens read, 400 written."""


def rows(count: int) -> list[Row]:
    body = b'{"messages": "' + b"x" * 2_000 + b'"}'
    return [Row(index=n, custom_id=f"abc-{n}", body=body, tokens=300) for n in range(count)]


def limits(scale: float = 1.0, *, burst: float = 1 / 60) -> tuple[Bucket, ...]:
    """25 rows a second, by requests; tokens leave some room."""
    return tuple(
        replace(realtime.standard(name, use=use, limit=scale * limit, cv=cv), burst=burst)
        for name, use, limit, cv in (
            ("rpm", 1.0, 1_500, 0.0),
            ("itpm", 300.0, 600_000, 0.0),
            ("otpm", 100.0, 200_000, 0.6),
        )
    )


def pace(
    count: int, buckets: tuple[Bucket, ...] | None = None, *, concurrency: int = 100, **more: Any
) -> Pace:
    load = realtime.Load(
        rows=count,
        latency_mean=2.0,
        latency_cv=0.4,
        concurrency=concurrency,
        buckets=limits() if buckets is None else buckets,
        retries=more.pop("retries", 2),
    )
    return Pace(load=load, fresh=300.0, mean_tokens=300.0, counts_max_output=False, **more)


class Job:
    """A folder with a journal, run as often as it takes."""

    def __init__(self, folder: Path, count: int, keeps: Pace | None = None) -> None:
        self.folder, self.count = folder, count
        self.pace = keeps or pace(count)
        self.heard: list[Progress | Said] = []
        self.answers: list[Answer] = []
        self.vendor: Vendor | None = None
        self.runner: Runner | None = None

    def run(
        self,
        vendor: Callable[[Clock], Vendor] = Vendor,
        *,
        given_rows: Iterable[Row] | None = None,
        **options: Any,
    ) -> Outcome:
        async def main(clock: Clock) -> Outcome:
            self.vendor = vendor(clock)
            journal = Journal(self.folder)
            self.runner = Runner(
                self.vendor,
                "/v1/messages",
                self.pace,
                journal,
                PRICES,
                clock,
                rows=self.count,
                narrate=self.heard.append,
                on_answer=self.answers.append,
                **options,
            )
            try:
                return await self.runner.run(given_rows or rows(self.count))
            finally:
                journal.close()

        return run(main)

    @property
    def final(self) -> Counter[int]:
        return Counter(entry.index for entry in journals.final(self.folder))

    def once_each(self) -> bool:
        return self.final == Counter(range(self.count))

    @property
    def said(self) -> str:
        return "\n".join(each.text for each in self.heard if isinstance(each, Said))


# --- undisturbed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "buckets", "concurrency"),
    [
        (2_000, limits(), 100),
        (1_000, limits(4.0), 20),
        (2_000, limits(burst=1.0), 60),
        (1_000, limits()[2:], 200),
        pytest.param(20_000, limits(), 100, marks=pytest.mark.long),
    ],
    ids=["requests bind", "slots bind", "a burst of a minute", "answers bind", "20,000 rows"],
)
def test_undisturbed_it_takes_as_long_as_was_planned(
    tmp_path: Path, count: int, buckets: tuple[Bucket, ...], concurrency: int
) -> None:
    keeps = pace(count, buckets, concurrency=concurrency)
    job = Job(tmp_path, count, keeps)
    outcome = job.run()
    planned = realtime.makespan(keeps.load)
    assert outcome.seconds == pytest.approx(planned.p50, rel=0.05)
    assert (outcome.stopped, outcome.left, outcome.ambiguous) == (None, 0, 0)
    assert job.once_each()
    assert job.vendor is not None
    assert job.vendor.most_out <= concurrency
    assert set(job.vendor.asked.values()) == {1}


def test_the_bill_is_that_of_the_answers(tmp_path: Path) -> None:
    job = Job(tmp_path, 50)
    outcome = job.run()
    assert outcome.usage is not None
    assert outcome.usage.input == 50 * 300
    expected = Decimal(outcome.usage.input + 5 * outcome.usage.output) / 1_000_000
    assert outcome.billed == expected == sum(each.billed or ZERO for each in job.answers)
    assert outcome.held == ZERO
    assert (outcome.unpriced, outcome.requests) == (0, 50)
    assert [each.result.text for each in job.answers] == ["yes"] * 50


def test_progress_says_how_far_how_fast_and_what_it_costs(tmp_path: Path) -> None:
    job = Job(tmp_path, 500)
    outcome = job.run(cap=Usd(Decimal(10)))
    seen = [each for each in job.heard if isinstance(each, Progress)]
    assert len(seen) >= outcome.seconds - 2
    middle = seen[len(seen) // 2]
    assert 0 < middle.done < 500
    assert middle.per_second == pytest.approx(25, rel=0.2)
    assert middle.left == pytest.approx((500 - middle.done) / 25, rel=0.2)
    assert middle.planned == realtime.makespan(job.pace.load).p50
    assert middle.waits_for == "rpm"
    assert middle.cap == Decimal(10)
    assert ZERO < middle.billed < outcome.billed
    assert middle.held == middle.in_flight * CEILING
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert seen[-1].done == 500


# --- limits that are not what was planned -----------------------------------------------


@pytest.mark.parametrize("retry_after", [1.0, None])
def test_at_half_as_much_again_as_the_vendor_takes_no_row_is_lost(
    tmp_path: Path, retry_after: float | None
) -> None:
    job = Job(tmp_path, 1_000, pace(1_000, limits(1.5), concurrency=200))
    outcome = job.run(
        lambda clock: Vendor(clock, limits=limits(), retry_after=retry_after, said=_mute)
    )
    assert job.once_each()
    assert job.vendor is not None
    assert set(job.vendor.answered.values()) == {1}
    assert (outcome.outcomes, outcome.ambiguous) == ({"succeeded": 1_000}, 0)
    assert job.vendor.refused > 0
    ideal = realtime.makespan(pace(1_000).load).p50
    assert outcome.seconds < 2 * ideal, "backing off does not stop it"


def _mute(_true: Mapping[str, Allowance]) -> Mapping[str, Allowance]:
    return {}


def test_headers_teach_it_the_vendors_own_limit(tmp_path: Path) -> None:
    job = Job(tmp_path, 1_000, pace(1_000, limits(1.5), concurrency=200))
    outcome = job.run(lambda clock: Vendor(clock, limits=limits()))
    assert job.vendor is not None
    assert job.vendor.refused < 200
    assert "the vendor's rpm is 1,500, the plan's 2,250" in job.said
    assert outcome.seconds == pytest.approx(realtime.makespan(pace(1_000).load).p50, rel=0.15)


LIES: dict[str, Callable[[Mapping[str, Allowance]], Mapping[str, Allowance]]] = {
    "too high": lambda _true: {"rpm": Allowance(limit=10**9, remaining=10**9)},
    "nothing left": lambda _true: {"rpm": Allowance(remaining=0), "otpm": Allowance(remaining=0)},
    "nonsense": lambda _true: {"rpm": Allowance(limit=-1, remaining=-7), "?": Allowance(limit=0)},
    "changing": lambda true: {"rpm": Allowance(limit=1 + true["rpm"].remaining, remaining=3)},  # type: ignore[operator]
}


@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie_lose_no_row_and_stop_nothing(tmp_path: Path, lie: str) -> None:
    job = Job(tmp_path, 600)
    outcome = job.run(lambda clock: Vendor(clock, limits=limits(), said=LIES[lie]))
    assert job.once_each()
    assert outcome.outcomes == {"succeeded": 600}
    assert outcome.seconds < 2.5 * realtime.makespan(job.pace.load).p50


# --- what goes wrong with single rows ---------------------------------------------------

ERRORED = RowResult(custom_id="abc-3", outcome="errored", error="bad: row", permanent=True)
PASSING = RowResult(custom_id="abc-3", outcome="errored", error="hiccup", permanent=False)
TROUBLE: dict[str, tuple[Reply, int, dict[str, int]]] = {
    "refused": (Reply(kind="refused", status=400, result=ERRORED), 1, {"errored": 1}),
    "refused without a word": (Reply(kind="refused", status=400), 1, {"errored": 1}),
    "errored, passing": (Reply(kind="answered", status=200, result=PASSING), 3, {"errored": 1}),
    "broken": (Reply(kind="overloaded", status=500), 3, {"errored": 1}),
    "in doubt": (Reply(kind="ambiguous", message="reset"), 3, {"errored": 1}),
    "too large for the limit": (
        Reply(kind="limited", status=429, retry_after=0.0),
        53,
        {"errored": 1},
    ),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_row_that_always_fails_ends_and_the_others_do_not_suffer(
    tmp_path: Path, kind: str
) -> None:
    reply, asked, outcomes = TROUBLE[kind]
    job = Job(tmp_path, 500)
    outcome = job.run(
        lambda clock: Vendor(clock, faults=lambda id_, _n: reply if id_ == "abc-3" else None)
    )
    assert job.vendor is not None
    assert asked <= job.vendor.asked["abc-3"] <= asked + 10 * (asked > runners.TURNED_AWAY)
    assert outcome.outcomes == {"succeeded": 499, **outcomes}
    assert job.once_each()
    doubts = asked if kind == "in doubt" else 0
    assert outcome.ambiguous == doubts
    unknown = asked if kind == "errored, passing" else 0
    assert outcome.held == (doubts + unknown) * CEILING
    entry = next(each for each in journals.final(tmp_path) if each.index == 3)
    assert entry.result is not None
    assert entry.result.outcome == "errored"
    assert entry.result.permanent == kind.startswith("refused")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(kind="overloaded", status=500),
        Reply(kind="overloaded", status=529),
        Reply(kind="limited", status=429, retry_after=2.0),
        Reply(kind="not_sent", message="no route"),
        Reply(kind="ambiguous", message="reset"),
    ],
    ids=lambda reply: f"{reply.kind} {reply.status or ''}".strip(),
)
def test_a_row_that_fails_twice_is_answered_the_third_time(tmp_path: Path, reply: Reply) -> None:
    job = Job(tmp_path, 100)
    outcome = job.run(
        lambda clock: Vendor(
            clock, faults=lambda id_, n: reply if n <= 2 and id_[-1] == "7" else None
        )
    )
    assert job.vendor is not None
    assert outcome.outcomes == {"succeeded": 100}
    assert {job.vendor.asked[f"abc-{n}7"] for n in range(1, 10)} == {3}
    assert outcome.ambiguous == (20 if reply.kind == "ambiguous" else 0)
    assert outcome.held == outcome.ambiguous * CEILING
    assert job.once_each()


def test_an_exception_of_a_vendor_is_a_doubt_and_not_the_end(tmp_path: Path) -> None:
    def faults(custom_id: str, times: int) -> None:
        if custom_id == "abc-3" and times == 1:
            raise RuntimeError("a bug")

    job = Job(tmp_path, 20)
    outcome = job.run(lambda clock: Vendor(clock, faults=faults))
    assert (outcome.outcomes, outcome.ambiguous) == ({"succeeded": 20}, 1)


# --- what stops it ----------------------------------------------------------------------


def test_a_stop_of_the_vendor_stops_all_and_a_later_run_goes_on(tmp_path: Path) -> None:
    stop = Reply(kind="limited", status=429, stop="spend_limit", message="the monthly limit")
    job = Job(tmp_path, 300)
    first = job.run(
        lambda clock: Vendor(clock, faults=lambda id_, _n: stop if id_ == "abc-100" else None)
    )
    assert first.stopped == "spend_limit"
    assert 100 <= first.done < 250
    assert first.ambiguous == 0
    sent = job.vendor
    assert sent is not None
    assert sent.asked["abc-100"] == 1
    second = job.run()
    assert (second.stopped, second.left, second.ambiguous) == (None, 0, 0)
    assert job.once_each()
    assert job.vendor is not None
    assert not (set(job.vendor.asked) & set(sent.answered)), "nothing that was answered goes again"


@pytest.mark.parametrize("afford", [1, 40, 41])
def test_the_cap_holds_whatever_is_out(tmp_path: Path, afford: int) -> None:
    cap = Usd(Decimal("1.5") + afford * CEILING)
    job = Job(tmp_path, 300)
    outcome = job.run(cap=cap, spent=Usd(Decimal("1.5")))
    assert outcome.stopped == runners.CAPPED
    assert Decimal("1.5") + outcome.billed + outcome.held <= cap
    assert outcome.billed + CEILING > afford * CEILING, "it uses what it may"
    assert all(
        each.billed + each.held <= afford * CEILING
        for each in job.heard
        if isinstance(each, Progress)
    )
    assert "the cap" in {each.waits_for for each in job.heard if isinstance(each, Progress)}


def test_too_many_doubts_stop_it_also_the_next_time(tmp_path: Path) -> None:
    lost = Reply(kind="ambiguous", message="reset")
    job = Job(tmp_path, 300)
    first = job.run(lambda clock: Vendor(clock, faults=lambda _id, _n: lost), most_doubts=30)
    assert first.stopped is not None
    assert "in doubt" in first.stopped
    assert first.ambiguous <= 30 + 100
    assert first.held == first.ambiguous * CEILING
    again = job.run(most_doubts=30)
    assert again.requests == first.requests, "nothing more is sent until a person says so"
    assert job.run(most_doubts=1_000).left == 0
    assert job.once_each()


def test_a_vendor_out_of_reach_stops_it_after_a_while_and_costs_nothing(tmp_path: Path) -> None:
    gone = Reply(kind="not_sent", message="no route")
    job = Job(tmp_path, 300)
    outcome = job.run(lambda clock: Vendor(clock, faults=lambda _id, _n: gone))
    assert outcome.stopped == "unreachable: no route"
    assert runners.UNREACHABLE_AFTER < outcome.seconds < 2 * runners.UNREACHABLE_AFTER
    assert outcome.done == outcome.billed == outcome.held == 0
    assert job.run().left == 0


# --- what a person does -----------------------------------------------------------------


def interrupted(job: Job, after: int, times: int, **options: Any) -> Outcome:
    """A run that is asked to stop when so many rows are asked for."""

    def make(clock: Clock) -> Vendor:
        def faults(_id: str, _times: int) -> None:
            if vendor.asked.total() == after:
                assert job.runner is not None
                for _ in range(times):
                    job.runner.interrupt()

        vendor = Vendor(clock, faults=faults)
        return vendor

    return job.run(make, **options)


def test_the_first_interrupt_waits_for_what_is_out(tmp_path: Path) -> None:
    job = Job(tmp_path, 300)
    outcome = interrupted(job, 120, 1)
    assert (outcome.stopped, outcome.done, outcome.ambiguous) == (runners.INTERRUPTED, 120, 0)
    assert "stopping (interrupted)" in job.said
    assert job.run().left == 0
    assert job.once_each()


def test_the_second_interrupt_leaves_what_is_out_in_doubt(tmp_path: Path) -> None:
    job = Job(tmp_path, 300)
    outcome = interrupted(job, 120, 2)
    out = 120 - outcome.done
    assert out > 0
    resumed = job.run(most_doubts=100)
    assert resumed.ambiguous == out
    assert resumed.held == out * CEILING
    assert resumed.requests == 300 + out
    assert f"out when the last run ended, and may be billed: {out} requests" in job.said
    assert job.once_each()


def test_a_vendor_that_never_answers_does_not_hold_a_stop_for_ever(tmp_path: Path) -> None:
    job = Job(tmp_path, 30)

    async def stop(clock: Clock) -> None:
        await clock.pause(10)
        assert job.runner is not None
        job.runner.interrupt()

    class Stopping(Vendor):
        async def ask(self, custom_id: str, endpoint: str, body: bytes) -> Reply:
            if custom_id == "abc-0":
                await stop(self.clock)
            return await super().ask(custom_id, endpoint, body)

    outcome = job.run(lambda clock: Stopping(clock, latency=(1e9, 0.0)))
    assert outcome.stopped == runners.INTERRUPTED
    assert outcome.seconds == pytest.approx(10 + runners.DRAIN, abs=2)
    assert Journal(tmp_path).lost == tuple((n, 1) for n in range(30))


# --- the journal ------------------------------------------------------------------------


def test_no_reply_counts_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, seen = [0], []
    sync = Journal.sync

    def watched(self: Journal) -> None:
        sync(self)
        synced[0] = len(self.standing.done)

    monkeypatch.setattr(Journal, "sync", watched)
    job = Job(tmp_path, 700, pace(700, ()))

    def heard(answer_: Answer) -> None:
        seen.append(answer_)
        assert len(seen) <= synced[0]

    job.answers = _Calls(heard)  # type: ignore[assignment]
    job.run()
    assert len(seen) == 700


class _Calls:
    def __init__(self, call: Callable[[Answer], None]) -> None:
        self.append = call


def test_a_journal_cut_anywhere_reads_back_what_was_whole(tmp_path: Path) -> None:
    job = Job(tmp_path / "whole", 12)
    job.run(lambda clock: Vendor(clock, faults=_some_lost))
    raw = journals_file(job.folder).read_bytes()
    random = Random(7)
    for cut in sorted(random.sample(range(len(raw)), 60)):
        folder = tmp_path / str(cut)
        journals_file(folder).parent.mkdir(parents=True)
        journals_file(folder).write_bytes(raw[:cut])
        before = journals.standing(folder)
        opened = Journal(folder)
        opened.close()
        after = opened.standing
        assert not after.open
        assert after.out == 0
        assert after.done == before.done
        assert after.ambiguous == before.ambiguous + len(before.open)
        assert after.held == before.held + before.out
        assert journals.standing(folder) == after, "what was noted reads back the same"
        resumed = Job(folder, 12)
        assert resumed.run().left == 0
        assert resumed.once_each()


def _some_lost(custom_id: str, times: int) -> Reply | None:
    return Reply(kind="ambiguous") if times == 1 and custom_id in ("abc-1", "abc-5") else None


def journals_file(folder: Path) -> Path:
    return folder / journals.FOLDER / journals.FILE


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = journals_file(tmp_path)
    path.parent.mkdir()
    path.write_text('{"ask": 1, "n": 1, "ceiling": "0.1"}\nnothing of ours\n')
    with pytest.raises(InputError, match="line 2"):
        Journal(tmp_path)
    assert path.read_text().endswith("nothing of ours\n")


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_a_reply_is_kept_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    job = Job(folder, 1)
    job.run(lambda clock: Vendor(clock, faults=lambda id_, _n: replace(answer(id_, 3, 4), raw=raw)))
    (entry,) = journals.final(folder)
    assert entry.raw == raw
    assert entry.result == answer("abc-0", 3, 4).result
    assert entry.billed == Decimal("0.000023")


def test_a_disk_that_is_full_stops_it_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [0]
    write = Journal._write

    def failing(self: Journal, line: dict[str, Any]) -> None:
        written[0] += 1
        if written[0] > 100:
            raise OSError(28, "No space left on device")
        write(self, line)

    job = Job(tmp_path, 300)
    monkeypatch.setattr(Journal, "_write", failing)
    with pytest.raises(OSError, match="No space"):
        job.run()
    monkeypatch.undo()
    assert job.run(most_doubts=200).left == 0
    assert job.once_each()


# --- the rows of a build ----------------------------------------------------------------

FRAMES = {
    "params": (b'{"requests":[\n', b'{"custom_id":"%b","params":%b}', b",\n", b"\n]}\n"),
    "body": (b"", b'{"custom_id":"%b","method":"POST","url":"/v1/x","body":%b}', b"\n", b"\n"),
}


@pytest.mark.parametrize("envelope", FRAMES)
def test_rows_come_out_of_the_shards_byte_for_byte(tmp_path: Path, envelope: str) -> None:
    from planner.handoff.build import Shard

    opening, line, between, closing = FRAMES[envelope]
    bodies = [json.dumps({"n": n, "s": f'x,\n"{envelope}":[{n}'}).encode() for n in range(7)]
    bodies[2] = b'{"body":{},"params":{}}'
    shards = []
    for number, part in enumerate((range(3), range(3, 7)), 1):
        lines = [line % (b"abc-%d" % n, bodies[n]) for n in part]
        (tmp_path / f"{number}").write_bytes(opening + between.join(lines) + closing)
        shards.append(
            Shard(
                shard=number,
                file=f"{number}",
                rows=len(part),
                first=part[0],
                bytes=1,
                sha256="",
                estimated_input_tokens=1,
            )
        )
    known = [{"index": n, "row": n, "key": n, "tokens": 10 + n} for n in range(7)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in known))
    found = list(sent.rows_of(tmp_path, shards, envelope))
    assert [row.body for row in found] == bodies
    assert [row.custom_id for row in found] == [f"abc-{n}" for n in range(7)]
    assert [row.tokens for row in found] == [10 + n for n in range(7)]
    left = sent.rows_of(tmp_path, shards, envelope, done={0, 3, 6})
    assert [row.index for row in left] == [1, 2, 4, 5]
