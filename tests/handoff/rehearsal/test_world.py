"""Where a batch stands is a function of the time: laws, and pairs around each moment."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from planner.handoff.rehearsal.laws import (
    Answers,
    Latency,
    Pace,
    RowError,
    key_of,
    lognormal,
    share,
    spread,
    steady,
)
from planner.handoff.rehearsal.limits import Realtime
from planner.handoff.rehearsal.spool import Blob, Rows, Spool
from planner.handoff.rehearsal.world import (
    OVER,
    Batch,
    Habits,
    Problem,
    Sheet,
    World,
    characters,
    stand,
)
from tests.answers import NOW

PACE = Pace(validating=30, waiting=30, running=600, finalizing=20, cancelling=60)


def batch(rows: int = 100, pace: Pace = PACE, cancel: float | None = None) -> Batch:
    sheet = Sheet(rows=Rows(Blob(Path("nothing"), 0, 0)))
    for number in range(rows):
        sheet.rows.add(number, 1)
    return Batch(
        id="b",
        created=NOW,
        sheet=sheet,
        sha256="s",
        pace=pace,
        window=timedelta(hours=24),
        cancel_at=None if cancel is None else NOW + timedelta(seconds=cancel),
    )


def at(made: Batch, seconds: float) -> str:
    return stand(made, NOW + timedelta(seconds=seconds)).phase


@pytest.mark.parametrize(
    ("seconds", "phase", "done"),
    [
        (0, "validating", 0),
        (29.9, "validating", 0),
        (30, "running", 0),
        (60, "running", 0),
        (66, "running", 1),
        (659.9, "running", 99),
        (660, "finalizing", 100),
        (679.9, "finalizing", 100),
        (680, "completed", 100),
        (10**7, "completed", 100),
    ],
)
def test_an_undisturbed_life(seconds: float, phase: str, done: int) -> None:
    where = stand(batch(), NOW + timedelta(seconds=seconds))
    assert (where.phase, where.done) == (phase, done)


def test_the_window_ends_what_is_stalled() -> None:
    stalled = batch(2000, replace(PACE, stall_at=142))
    day = 24 * 3600
    assert at(stalled, day - 1) == "running"
    assert at(stalled, day) == "finalizing"
    assert at(stalled, day + 20) == "expired"
    assert stand(stalled, NOW + timedelta(seconds=day + 20)).done == 142


def test_a_cancel_takes_its_time_and_keeps_what_is_done() -> None:
    made = batch(cancel=360)
    assert at(made, 359) == "running"
    assert at(made, 360) == "cancelling"
    assert at(made, 439.9) == "cancelling"
    where = stand(made, NOW + timedelta(seconds=440))
    assert (where.phase, where.done) == ("cancelled", 60)


def test_a_batch_may_end_while_it_is_being_cancelled() -> None:
    assert at(batch(cancel=650), 679.9) == "cancelling"
    assert at(batch(cancel=650), 680) == "completed"


def test_what_was_never_checked_is_cancelled_with_nothing_done() -> None:
    made = batch(pace=replace(PACE, validating=600), cancel=10)
    where = stand(made, NOW + timedelta(seconds=90))
    assert (where.phase, where.done, where.running_at) == ("cancelled", 0, None)


def test_a_wrong_file_fails_when_it_has_been_checked() -> None:
    made = batch()
    made.sheet.problems.append(Problem(code="invalid_json_line", message="no"))
    assert at(made, 29) == "validating"
    assert at(made, 30) == "failed"
    assert at(made, 10**7) == "failed"


SECONDS = st.floats(0, 3e5)
PACES = st.builds(
    Pace,
    validating=st.floats(0, 1e3),
    waiting=st.floats(0, 1e4),
    running=st.floats(0, 2e5),
    finalizing=st.floats(0, 100),
    cancelling=st.floats(0, 1e3),
    stall_at=st.none() | st.integers(0, 300),
)


@given(
    rows=st.integers(1, 200),
    pace=PACES,
    cancel=st.none() | SECONDS,
    looks=st.lists(SECONDS, min_size=2, max_size=12),
)
@example(rows=7, pace=replace(PACE, running=882.5235875), cancel=None, looks=[0.0, 1e4])
def test_nothing_is_undone_as_time_passes(
    rows: int, pace: Pace, cancel: float | None, looks: list[float]
) -> None:
    made = batch(rows, pace, cancel)
    seen = [stand(made, NOW + timedelta(seconds=each)) for each in sorted(looks)]
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert all(0 <= each.done <= rows for each in seen)
    ended = [each for each in seen if each.ended_at is not None]
    assert seen[len(seen) - len(ended) :] == ended
    assert len({(each.phase, each.done, each.ended_at) for each in ended}) <= 1
    for each, look in zip(seen, sorted(looks), strict=True):
        assert (each.phase in OVER) == (each.ended_at is not None)
        assert (
            each.phase not in {"completed", "finalizing"}
            or each.done == rows
            or (
                each.finalizing_at == NOW + made.window  # its time was up
            )
        )
        assert each.ended_at is None or each.ended_at <= NOW + timedelta(seconds=look)


@given(st.integers(1, 300), st.integers(0, 5))
def test_rows_get_done_in_an_order_of_their_own(rows: int, seed: int) -> None:
    order = batch(rows).order(seed)
    assert sorted(order) == list(range(rows))
    assert order == batch(rows).order(seed)


def world(spool: Spool, habits: Habits | None = None) -> World:
    return World(
        provider="v",
        tenant="t",
        seed=1,
        spool=spool,
        habits=habits or Habits(checks_later=True),
        answers=Answers(),
        turnaround=spread(3600, 1),
        realtime=Realtime(),
    )


def test_turnaround_depends_on_the_content_and_on_how_often_it_came(tmp_path: Path) -> None:
    one, other = world(Spool(tmp_path)), world(Spool(tmp_path))
    sheet = batch().sheet
    paces = [one.add(f"b{n}", sheet, sha, NOW).pace for n, sha in enumerate(["x", "y", "x"])]
    assert len({pace.running for pace in paces}) == 3
    assert other.add("c", sheet, "y", NOW).pace == paces[1]


def test_the_queue_counts_what_has_not_ended(tmp_path: Path) -> None:
    made = world(Spool(tmp_path))
    made.turnaround = steady(PACE)
    sheet = batch(100).sheet
    sheet.tokens, sheet.model = 5_000, "m"
    made.add("a", sheet, "x", NOW)
    later = NOW + timedelta(seconds=360)
    assert made.queued(NOW) == made.queued(NOW, "m") == (100, 5_000)
    assert made.queued(NOW, "other") == (0, 0)
    assert made.queued(later) == (50, 5_000)
    assert made.queued(NOW + timedelta(seconds=680)) == (0, 0)


def test_a_new_batch_may_be_listed_late(tmp_path: Path) -> None:
    made = world(Spool(tmp_path), Habits(list_lag=60))
    made.add("a", batch().sheet, "x", NOW)
    assert list(made.newest(NOW + timedelta(seconds=59))) == []
    assert [each.id for each in made.newest(NOW + timedelta(seconds=60))] == ["a"]


# --- laws of answers ---------------------------------------------------------------------


@given(mean=st.floats(1, 1e4), cv=st.floats(0.01, 3))
def test_lognormal_has_the_mean_and_spread_that_were_asked_for(mean: float, cv: float) -> None:
    draws = [lognormal(mean, cv, (place + 0.5) / 4000) for place in range(4000)]
    average = sum(draws) / len(draws)
    # The last of 4,000 quantiles cuts the tail off, and the more so the longer it is.
    assert average <= mean * 1.001
    assert average >= mean * (1 - 0.08 * cv)
    assert draws == sorted(draws)


def test_shares_are_spread_evenly_and_stay_the_same() -> None:
    found = [share(1, "x", number) for number in range(2000)]
    assert found == [share(1, "x", number) for number in range(2000)]
    assert found != [share(2, "x", number) for number in range(2000)]
    for tenth in range(10):
        assert 150 < sum(tenth / 10 <= each < (tenth + 1) / 10 for each in found) < 250


KEYS = st.text("abc-123", min_size=1, max_size=12)


@given(
    key=KEYS,
    characters=st.integers(0, 10_000),
    limit=st.none() | st.integers(1, 300),
    reasoning=st.floats(0, 3),
    cached=st.floats(0, 0.5),
    written=st.floats(0, 0.5),
)
def test_tokens_of_an_answer_stand_in_one_bucket_each(
    key: str,
    characters: int,
    limit: int | None,
    reasoning: float,
    cached: float,
    written: float,
) -> None:
    law = Answers(reasoning=reasoning, cached=cached, cache_written=written)
    made = law.answer(7, key, characters=characters, limit=limit)
    assert made == law.answer(7, key, characters=characters, limit=limit)
    assert made.input + made.cache_read + made.cache_write == max(-(-characters // 4), 1)
    assert min(made.input, made.cache_read, made.cache_write, made.output, made.reasoning) >= 0
    free = law.answer(7, key, characters=characters, limit=None)
    if limit is not None:
        assert made.output + made.reasoning <= limit
        assert made.truncated == (free.output + free.reasoning > limit)
        if made.truncated:
            assert made.output + made.reasoning == limit
    assert not free.truncated
    assert made.text.startswith(f"{key}: ")


def test_rows_that_are_refused_are_always_the_same() -> None:
    law = Answers(refused=0.2)
    refused = {key for key in map(str, range(1000)) if law.wrong(3, key)}
    assert refused == {key for key in map(str, range(1000)) if law.wrong(3, key)}
    assert 150 < len(refused) < 250
    own = Answers(trouble=lambda key: RowError(status=418) if key == "7" else None)
    assert [key for key in map(str, range(20)) if own.wrong(3, key)] == ["7"]


def test_slow_answers_are_as_many_and_as_slow_as_was_said() -> None:
    law, tail = Latency(cv=0), Latency(cv=0, slow=0.1, factor=20)
    usual = law.seconds(0, "k", 1, 100)
    seconds = [tail.seconds(0, str(number), 1, 100) for number in range(1000)]
    assert usual == pytest.approx(0.8 + 0.8)
    assert {round(each / usual, 6) for each in seconds} == {1.0, 20.0}
    assert 60 < sum(each > usual for each in seconds) < 140


def test_the_key_of_a_realtime_row_is_its_bodys() -> None:
    assert key_of(b"a") == key_of(b"a") != key_of(b"b")


@given(st.recursive(st.text(max_size=9), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_characters_are_those_of_all_values(value: object) -> None:
    def flat(each: object) -> str:
        if isinstance(each, dict):
            return "".join(map(flat, each.values()))
        return "".join(map(flat, each)) if isinstance(each, list) else str(each)

    assert characters(value) == len(flat(value))


def test_hashes_name_the_bytes(tmp_path: Path) -> None:
    kept = Spool(tmp_path).keep(b"abc")
    assert kept.sha256() == hashlib.sha256(b"abc").hexdigest()
