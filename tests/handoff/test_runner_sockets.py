"""The run against both vendors' own libraries on loopback: limits, faults, and kills."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from planner.decision import realtime
from planner.handoff import journal as journals
from planner.handoff import rehearsal
from planner.handoff.rehearsal import Fault
from tests.answers import NOW
from tests.handoff.direct_world import LANE, Made, Played, final, made, pace, paid

if TYPE_CHECKING:
    from collections.abc import Collection

    from planner.handoff.runner import Outcome
    from planner.money import Usd

ROOT = Path(__file__).parents[2]
SPEED = 100
"""Seconds of the run in one of the machine's."""
CALLS = {"anthropic": "anthropic.messages.create", "openai": "openai.responses.create"}


def conduct(rpm: int, *, slow: float = 0.0) -> rehearsal.Conduct:
    latency = rehearsal.laws.Latency(base=1.0, per_token=0.008, cv=0.5, slow=slow)
    return rehearsal.Conduct(limits={"rpm": rpm, "otpm": 120 * rpm}, latency=latency)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made("anthropic", tmp_path_factory.mktemp("anthropic"), rows=500)


@pytest.fixture(scope="session")
def hundreds(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made("openai", tmp_path_factory.mktemp("openai"), rows=300)


def faults_on(provider: str) -> Collection[Fault]:
    """What a bad hour looks like: a burst of 429, 529s, resets, lost replies, proxies, lies."""
    call = CALLS[provider]
    return (
        Fault(on=call, kind="status", status=429, calls=range(50, 80), retry_after=2),
        Fault(on=call, kind="status", status=529, calls=None, share=0.01),
        Fault(on=call, kind="status", status=500, calls=None, share=0.005),
        Fault(on=call, kind="ramp_limit", calls=(120, 121)),
        Fault(on=call, kind="reset_before", calls=None, share=0.003),
        Fault(on=call, kind="reset_after", calls=None, share=0.003),
        Fault(on=call, kind="middlebox", status=502, calls=None, share=0.002),
        Fault(on=call, kind="lying_headers", calls=None, share=0.3),
    )


def right(play: Played, outcome: Outcome) -> None:
    """Every row once, and nothing billed that is not counted or in doubt."""
    job = play.job
    assert (outcome.stopped, outcome.left) == (None, 0)
    assert final(job.folder) == list(range(job.rows))
    bill(play.server, job, outcome.billed, outcome.held)
    answered = paid(play.server, job.provider)
    twice = sum(times - 1 for times in answered.values())
    assert twice <= outcome.ambiguous


def bill(server: rehearsal.Server, job: Made, billed: Usd, held: Usd) -> None:
    """What the vendor would bill lies between what was counted and that plus what is in doubt."""
    rates = next(each.rates for each in job.plan.rates if each.lane == LANE)
    theirs = Decimal(0)
    for world in server.worlds(job.provider):
        sums = world.realtime.billed
        theirs += (sums.input * rates["input"] + sums.output * rates["output"]) / 1_000_000
    assert billed <= theirs <= billed + held


def test_undisturbed_the_real_library_keeps_the_planned_pace(
    hundreds: Made, tmp_path: Path
) -> None:
    keeps = pace(300, 240, mean=1.48)
    play = Played(hundreds.copied(tmp_path / "job"), keeps, conduct=conduct(240))
    outcome = play.run()
    right(play, outcome)
    assert outcome.seconds == pytest.approx(realtime.makespan(keeps.load).p50, rel=0.05)
    assert (outcome.ambiguous, outcome.requests) == (0, 300)


def test_a_bad_hour_at_overload_loses_no_row_and_merges_none_twice(
    many: Made, tmp_path: Path
) -> None:
    play = Played(
        many.copied(tmp_path / "job"),
        pace(500, 180),
        faults_on("anthropic"),
        conduct(120, slow=0.01),
    )
    outcome = play.run()
    right(play, outcome)
    assert outcome.outcomes["succeeded"] >= 498
    assert outcome.ambiguous > 0
    assert outcome.seconds < 1.7 * 500 / 2


@pytest.mark.long
def test_twenty_thousand_rows_at_overload(tmp_path: Path) -> None:
    job = made("anthropic", tmp_path, rows=20_000)
    play = Played(job, pace(20_000, 1_800), faults_on("anthropic"), conduct(1_200, slow=0.01))
    outcome = play.run()
    right(play, outcome)
    assert outcome.outcomes["succeeded"] >= 19_900


# --- kills ------------------------------------------------------------------------------


def ended(
    job: Made, address: str, at_bytes: int | None = None, how: signal.Signals = signal.SIGKILL
) -> int | None:
    """Rows that one process left; it gets a signal when its journal holds so many bytes."""
    command = [sys.executable, "-m", "tests.handoff.direct_world", str(job.folder)]
    process = subprocess.Popen(
        [*command, job.provider, address, "6000", str(SPEED)], cwd=ROOT, stdout=subprocess.PIPE
    )
    path = job.folder / journals.FOLDER / journals.FILE
    while at_bytes is not None and process.poll() is None:
        if path.exists() and path.stat().st_size >= at_bytes:
            process.send_signal(how)
            at_bytes = None
        time.sleep(0.003)
    out, _ = process.communicate(timeout=120)
    return int(out) if process.returncode == 0 else None


def kills(job: Made, times: int, seed: int) -> None:
    """A process that is killed again and again, then left alone."""
    random = Random(seed)
    path = job.folder / journals.FOLDER / journals.FILE
    doubts, held = 0, Decimal(0)
    scaled = rehearsal.clock.Scaled(NOW, SPEED)
    with rehearsal.Server(clock=scaled.clock, conduct=conduct(100_000)) as server:
        address, at = server.base_url(job.provider), 0
        for left in range(times, 0, -1):
            size = path.stat().st_size if path.exists() else 0
            room = job.rows * 800 - size
            at = size + random.randrange(1, max(2, 2 * room // (left + 1)))
            ended(job, address, at)
            seen = journals.standing(job.folder)
            assert seen.ambiguous == doubts, "nothing but kills is in doubt here"
            doubts, held = seen.ambiguous + len(seen.open), Decimal(seen.held + seen.out)
        assert ended(job, address) == 0
        seen = journals.standing(job.folder)
        assert (seen.ambiguous, seen.held, seen.open) == (doubts, held, {})
        assert final(job.folder) == list(range(job.rows))
        assert sum(paid(server, job.provider).values()) <= job.rows + doubts
        assert doubts > 0
        bill(server, job, seen.billed, seen.held)


def test_killed_at_random_moments_each_row_is_done_once_and_doubts_are_priced(
    hundreds: Made, tmp_path: Path
) -> None:
    kills(hundreds.copied(tmp_path / "job"), 5, seed=1)


def test_a_polite_end_waits_for_what_is_out_and_leaves_nothing_in_doubt(
    hundreds: Made, tmp_path: Path
) -> None:
    job = hundreds.copied(tmp_path / "job")
    scaled = rehearsal.clock.Scaled(NOW, SPEED)
    with rehearsal.Server(clock=scaled.clock, conduct=conduct(100_000)) as server:
        address = server.base_url(job.provider)
        path, size = job.folder / journals.FOLDER / journals.FILE, 0
        for how in (signal.SIGINT, signal.SIGTERM):
            left = ended(job, address, size + 20_000, how)
            size = path.stat().st_size
            seen = journals.standing(job.folder)
            assert left == job.rows - len(seen.done) > 0
            assert (seen.open, seen.ambiguous) == ({}, 0)
        assert ended(job, address) == 0
        assert set(paid(server, job.provider).values()) == {1}


@pytest.mark.long
def test_fifty_kills(tmp_path: Path) -> None:
    kills(made("openai", tmp_path, rows=5_000), 50, seed=2)
