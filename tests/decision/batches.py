"""Own batches, the law they make and the shipments that follow it, for both tests of time."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from planner.decision.shipment import Chance, Finish, Shipment, finish
from planner.decision.turnaround import FinishedJob, Law, Prior, State, posterior

WORKED = json.loads(
    (Path(__file__).parents[1] / "data" / "worked_examples.json").read_text(encoding="utf-8")
)
CASES = {case["id"]: case for case in WORKED}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, DAY = 3_600.0, 86_400.0
PRIOR = Prior(p50=1_800, p90=14_400, worth=4, grade="C")


def near(value: float) -> object:
    return pytest.approx(value, rel=0.005)


def job(seconds: float | None = 600.0, *, state: State = "ended", age: timedelta = timedelta(0),
        rows: int = 100, provider: str = "acme", model: str = "m", lane: str = "batch"
        ) -> FinishedJob:  # fmt: skip
    """An own batch that took `seconds` (None: no end) and ended, or was created, `age` ago."""
    at = NOW - age
    took = timedelta(seconds=seconds or 0)
    return FinishedJob(
        provider=provider,
        model=model,
        lane=lane,
        rows=rows,
        created=at - took,
        ended=None if seconds is None else at,
        state=state,
    )


def law_of(*jobs: FinishedJob, prior: Prior | None = PRIOR, rows: int = 100) -> Law:
    return posterior(prior, jobs, now=NOW, rows=rows)


def single(law: Law, **said: Any) -> Finish:
    return finish(law, Shipment(), window=said.pop("window", DAY), **said)


def in_waves(batches: int, concurrent: int) -> Shipment:
    return Shipment(batches=batches, concurrent=concurrent, waves=-(-batches // concurrent))


def mean_of(chance: Chance) -> float:
    assert chance.mean is not None
    return chance.mean


def low_of(chance: Chance) -> float:
    assert chance.low is not None
    return chance.low


histories = st.lists(
    st.builds(
        job,
        st.floats(1, 200_000),
        state=st.sampled_from(["ended", "ended", "ended", "expired", "running"]),
        age=st.timedeltas(timedelta(0), timedelta(days=200)),
    ),
    max_size=12,
)
laws = histories.map(lambda jobs: law_of(*jobs))
times = st.floats(1, 500_000)
