"""Laws of the pace: never faster than the limits, whatever a vendor says, and never stuck."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision import realtime
from planner.handoff import pacing
from planner.handoff.pacing import Pace, Pacer, TokenBucket
from planner.handoff.usage import Usage
from planner.handoff.vendor import Allowance, Reply

LIMITS = st.builds(
    realtime.Bucket,
    name=st.just("itpm"),
    use=st.just(1.0),
    limit=st.floats(1, 1e7),
    window=st.sampled_from([1.0, 60.0, 86_400.0]),
    burst=st.floats(1 / 60, 1),
)
SHARES = st.floats(0, 3)
"""Of a bucket's burst."""


def bucket(limit: float = 600.0, burst: float = 1 / 60) -> TokenBucket:
    spec = realtime.Bucket(name="itpm", use=1.0, limit=limit, window=60.0, burst=burst)
    return TokenBucket(spec, 0.0)


# --- one bucket -------------------------------------------------------------------------


@given(LIMITS, st.lists(st.tuples(SHARES, st.floats(0, 100)), min_size=1, max_size=40))
def test_no_window_admits_more_than_its_limit_and_one_burst(
    spec: realtime.Bucket, rows: list[tuple[float, float]]
) -> None:
    one, now, admitted = TokenBucket(spec, 0.0), 0.0, []
    for share, idle in rows:
        use = share * one.burst
        now += idle + one.wait(use, now + idle)
        assert one.wait(use, now) <= pacing.AT_ONCE * 1.01
        one.take(use, now)
        admitted.append((now, use))
    slack = len(admitted) * pacing.AT_ONCE * one.rate
    for first, (since, _) in enumerate(admitted):
        total = 0.0
        for until, use in admitted[first:]:
            total += use
            # A row larger than the burst goes out when the bucket is full; the next ones pay.
            allowed = one.rate * (until - since) + max(one.burst, use)
            assert total <= allowed * (1 + 1e-9) + slack


@given(LIMITS, st.lists(st.tuples(SHARES, st.floats(0, 50)), max_size=30), st.floats(0, 100))
def test_a_process_that_begins_anew_knows_what_was_taken(
    spec: realtime.Bucket, rows: list[tuple[float, float]], idle: float
) -> None:
    one, now, taken = TokenBucket(spec, -spec.window), 0.0, []
    for share, pause in rows:
        now += pause
        one.take(share * one.burst, now)
        taken.append((now, share * one.burst))
    now += idle
    other = TokenBucket(spec, 0.0)
    other.remember((at - now, units) for at, units in taken)
    assert other.wait(1.0, 0.0) == pytest.approx(one.wait(1.0, now), rel=1e-6, abs=1e-4)


def test_only_limits_of_a_longer_window_are_remembered() -> None:
    buckets = tuple(realtime.standard(each, use=1.0, limit=60) for each in ("rpm", "rpd"))
    load = replace(pace().load, buckets=buckets)
    both = Pacer(Pace(load=load), 0.0)
    short = Pacer(Pace(load=replace(load, buckets=buckets[:1])), 0.0)
    assert (both.lasting, short.lasting) == (86_400.0, 0.0)
    both.remember([(-3600.0 + n, 1.0, 0.0) for n in range(60)])
    assert both.buckets[0].wait(1.0, 0.0) == 0.0
    assert both.buckets[1].level == pytest.approx(3600 / 1440, abs=0.1)
    both.remember([])
    assert both.buckets[1].level == both.buckets[1].burst


@given(LIMITS, SHARES, SHARES, st.floats(0, 1000), st.floats(0, 1000))
def test_waiting_never_grows_with_time_and_never_shrinks_with_size(
    spec: realtime.Bucket, taken: float, use: float, earlier: float, more: float
) -> None:
    def wait(units: float, at: float) -> float:
        one = TokenBucket(spec, 0.0)
        one.take(taken * one.burst, 0.0)
        return one.wait(units * one.burst, at)

    assert wait(use, earlier + more) <= wait(use, earlier)
    assert wait(use, earlier) <= wait(use + 0.5, earlier)


@given(LIMITS, SHARES, st.integers(-5, 10**8), st.integers(0, 10**8))
def test_the_vendors_word_on_what_is_left_lowers_and_never_below_zero(
    spec: realtime.Bucket, taken: float, remaining: int, more: int
) -> None:
    def heard(said: int) -> tuple[float, float]:
        one = TokenBucket(spec, 0.0)
        one.take(taken * one.burst, 0.0)
        before = one.level
        one.hear_remaining(said, 0.0)
        return before, one.level

    before, level = heard(remaining)
    assert level <= before
    assert level >= min(before, 0.0)
    assert level <= heard(remaining + more)[1]


@given(st.lists(st.integers(1, 5), max_size=60), st.booleans())
def test_a_limit_counts_while_a_vendor_repeats_it(said: list[int], refuses: bool) -> None:
    one, last, times = bucket(1_800), 0, 0
    if refuses:
        one.refused()
    for each in said:
        times = times + 1 if each == last else 1
        last = each
        one.hear_limit(600 * each)
        assert one.limit in (1_800, 600 * each)
        if one.limit > 1_800:
            assert times >= pacing.RAISED_AFTER
        if one.limit < 1_800:
            assert refuses
            assert times >= pacing.LOWERED_AFTER


@pytest.mark.parametrize(
    ("limit", "times", "refuses", "after"),
    [
        (900, pacing.RAISED_AFTER - 1, False, 600),
        (900, pacing.RAISED_AFTER, False, 900),
        (300, pacing.LOWERED_AFTER - 1, True, 600),
        (300, pacing.LOWERED_AFTER, True, 300),
        (300, 100, False, 600),
        (0, 100, True, 600),
        (-1, 100, True, 600),
    ],
)
def test_a_limit_is_believed_when_it_is_borne_out(
    limit: int, times: int, refuses: bool, after: int
) -> None:
    one = bucket()
    if refuses:
        one.refused()
    believed = [one.hear_limit(limit) for _ in range(times)]
    assert one.limit == after
    assert sum(believed) == (after != 600)
    assert one.level <= one.burst


def test_no_vendor_raises_a_limit_that_a_person_has_set() -> None:
    firm = Pacer(pace(firm=frozenset({"rpm"})), 0.0)
    said = Reply(kind="answered", status=200, allowances={"rpm": Allowance(limit=6_000)})
    for _ in range(50):
        settle(firm, firm.admit({}, 0.0), said)
    assert (firm.buckets[0].limit, firm.notes) == (600, [])


def test_a_refusal_makes_it_doubt_what_it_was_about_to_believe() -> None:
    one = bucket()
    for _ in range(pacing.RAISED_AFTER - 1):
        one.hear_limit(900)
    one.refused()
    one.hear_limit(900)
    assert one.limit == 600


@given(LIMITS, st.floats(0, 1), st.floats(0, 2))
def test_a_correction_gives_back_what_was_too_much_and_no_more(
    spec: realtime.Bucket, charged: float, used: float
) -> None:
    one, exact = TokenBucket(spec, 0.0), TokenBucket(spec, 0.0)
    one.take(charged * one.burst, 0.0)
    one.correct((charged - used) * one.burst, 0.0)
    exact.take(used * one.burst, 0.0)
    assert one.level == pytest.approx(exact.level, abs=1e-6 * one.burst)
    one.correct(100 * one.burst, 0.0)
    assert one.level == one.burst


# --- the whole pace ---------------------------------------------------------------------


def pace(concurrency: int = 10, **more: object) -> Pace:
    buckets = (
        realtime.standard("rpm", use=1.0, limit=600),
        realtime.standard("itpm", use=200.0, limit=600_000),
        realtime.standard("otpm", use=100.0, limit=300_000),
    )
    load = realtime.Load(
        rows=100, latency_mean=1.0, latency_cv=0.0, concurrency=concurrency, buckets=buckets
    )
    return Pace(load=load, fresh=200.0, mean_tokens=400.0, **more)  # type: ignore[arg-type]


def limited(retry_after: float | None = None, status: int = 429, *, ramp: bool = False) -> Reply:
    return Reply(kind="limited", status=status, retry_after=retry_after, ramp=ramp)


def settle(pacer: Pacer, ticket: pacing.Ticket, reply: Reply, now: float = 0.0) -> None:
    usage = Usage(input=400, output=100) if reply.kind == "answered" else None
    pacer.settle(ticket, reply, now, usage=usage, billed=0.0)


def test_a_longer_row_is_charged_more_of_what_its_length_uses() -> None:
    assert pace().charge(400) == {"rpm": 1.0, "itpm": 200.0, "otpm": 100.0}
    assert pace().charge(800) == {"rpm": 1.0, "itpm": 400.0, "otpm": 100.0}


@pytest.mark.parametrize(
    ("counts_read", "counts_most", "used"),
    [
        (True, True, {"itpm": 500.0, "otpm": 100.0, "tpm": 530.0}),
        (False, True, {"itpm": 200.0, "otpm": 100.0, "tpm": 300.0}),
        (False, False, {"itpm": 200.0, "otpm": 30.0, "tpm": 230.0}),
    ],
)
def test_what_a_row_used_counts_as_the_vendor_counts(
    counts_read: bool, counts_most: bool, used: dict[str, float]
) -> None:
    one = pace(counts_cache_read=counts_read, counts_max_output=counts_most)
    usage = Usage(input=200, cache_read=300, output=20, reasoning=10)
    charged = {"itpm": 200.0, "otpm": 100.0, "tpm": 300.0}
    assert {each: one.used(each, charged[each], usage, 0.0) for each in charged} == used


def test_one_pause_for_all_who_were_sent_at_the_same_pace() -> None:
    pacer = Pacer(pace(concurrency=10), 0.0)
    tickets = [pacer.admit({}, 0.0) for _ in range(10)]
    for ticket in tickets:
        settle(pacer, ticket, limited())
    assert pacer.slots == 7, "ten refusals of one burst are one cut"
    assert pacer.wait({}, 0.0) == (pacing.FIRST_PAUSE, "the vendor's pause")
    settle(pacer, pacer.admit({}, 1.0), limited(), 1.0)
    assert pacer.slots == 4
    assert pacer.wait({}, 1.0)[0] == 2 * pacing.FIRST_PAUSE


@given(
    st.lists(st.sampled_from(["limited", "answered", "broken"]), max_size=200), st.integers(1, 50)
)
def test_slots_stay_between_one_and_what_was_planned(kinds: list[str], most: int) -> None:
    pacer = Pacer(pace(concurrency=most), 0.0)
    for kind in kinds:
        ticket = pacer.admit({}, 0.0)
        reply = {
            "limited": limited(1.0),
            "answered": Reply(kind="answered", status=200),
            "broken": Reply(kind="overloaded", status=500),
        }[kind]
        before = pacer.room
        settle(pacer, ticket, reply)
        assert 1 <= pacer.slots <= most
        grown = {"limited": pacer.room <= before, "broken": pacer.room == before}
        assert grown.get(kind, pacer.room >= before)
    assert pacer.out == 0


def test_slots_come_back() -> None:
    pacer = Pacer(pace(concurrency=100), 0.0)
    for _ in range(20):
        settle(pacer, pacer.admit({}, 0.0), limited(0.0))
    assert pacer.slots == 1
    for _ in range(3_000):
        settle(pacer, pacer.admit({}, 0.0), Reply(kind="answered", status=200))
    assert pacer.slots == 100


def test_after_growing_too_fast_it_grows_slower() -> None:
    def after(*, ramp: bool) -> float:
        pacer = Pacer(pace(concurrency=100), 0.0)
        settle(pacer, pacer.admit({}, 0.0), limited(0.0, ramp=ramp))
        for _ in range(100):
            settle(pacer, pacer.admit({}, 0.0), Reply(kind="answered", status=200))
        return pacer.room

    assert 70 < after(ramp=True) < after(ramp=False)


@pytest.mark.parametrize(
    ("asked", "kept"), [(3.0, 3.0), (-5.0, 0.0), (4_294_967.0, pacing.LONGEST_RETRY_AFTER)]
)
def test_everybody_waits_as_long_as_the_vendor_asks(asked: float, kept: float) -> None:
    pacer = Pacer(pace(), 0.0)
    settle(pacer, pacer.admit({}, 0.0), limited(asked))
    assert pacer.wait({}, 0.0)[0] == kept


def test_no_pause_is_so_short_that_a_clock_could_not_tell() -> None:
    pacer = Pacer(pace(), 0.0)
    settle(pacer, pacer.admit({}, 0.0), limited(1.0))
    assert pacer.wait({}, 1.0 - pacing.AT_ONCE / 2)[0] == 0.0


def test_headers_of_one_moment_are_heard_once() -> None:
    pacer = Pacer(pace(), 0.0)
    first, second = pacer.admit({}, 0.0), pacer.admit({}, 0.0)
    said = Reply(kind="answered", status=200, allowances={"itpm": Allowance(remaining=0)})
    settle(pacer, first, said)
    itpm = pacer.buckets[1]
    assert itpm.level == 0
    itpm.correct(5_000.0, 0.0)
    settle(pacer, second, said)
    assert itpm.level > 0, "it left before we listened: what it says is known already"
    settle(pacer, pacer.admit({}, 0.0), said)
    assert itpm.level == 0


def test_a_limit_that_is_believed_is_told() -> None:
    pacer = Pacer(pace(), 0.0)
    settle(pacer, pacer.admit({}, 0.0), limited(0.0))
    said = Reply(kind="answered", status=200, allowances={"rpm": Allowance(limit=60)})
    for _ in range(5):
        settle(pacer, pacer.admit({}, 0.0), said)
    assert pacer.notes == ["the vendor's rpm is 60, the plan's 600"]
