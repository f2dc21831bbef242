"""How often the chosen option keeps its deadline, and what it costs, when the truth is known.

Draws jobs (rows, prices, limits, deadline, confidence, own history), lets the program decide
each as it would for a person, and plays what it chose: batches from a true law of turnaround
that the decision does not know, realtime by the event simulation that also referees the closed
form. Beside it three habits, and the same rule with 2,000 own batches: as good as knowing the
law. Everything is seeded; a job's draws are its own, so the number of workers plays no part.
"""

from __future__ import annotations

import argparse
import heapq
import math
import multiprocessing
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import results
from planner import catalog
from planner.decision import assessment, matrix, options, realtime, timing
from planner.decision.requirements import Latency, Requirements
from planner.decision.turnaround import FinishedJob
from planner.money import Rate
from planner.workload.outputs import given_output
from planner.workload.profile import given_profile
from tests.decision import simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from planner.catalog import Catalog
    from planner.decision.options import Case, Option
    from planner.decision.turnaround import State

VENDOR = """\
schema: 1
provider: acme
name: Acme
currency: USD
per_tokens: 1000000
known_from: 2026-01-01
sources:
  list: {url: "https://acme.example/prices", read: 2026-11-01}
lanes:
  realtime: {delivery: sync, base: true, models: all, source: list}
  batch:
    delivery: async
    models: all
    price: {multiply: 0.5, source: list}
    window: 24h
    at_window: expires
    per_batch: {requests: 50000, bytes: 100000000}
    cancel: 10m
    turnaround: {p50: 30m, p90: 4h, worth: 4, grade: C, source: list}
    source: list
models:
  m:
    source: list
    prices: [{source: list, rates: {input: 1, output: 4}}]
"""
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, DAY = 3600.0, 86_400.0
WINDOW = DAY
P50, P90 = 1800.0, 14_400.0
KNOWING = 2_000
"""Own batches, at evenly spaced quantiles of the law, that stand for knowing it."""

CONFIDENCES = (0.8, 0.9, 0.95, 0.99)
KINDS = {
    "realtime": "realtime",
    "batch": "batch",
    "batch>realtime": "rescue",
    "batch|realtime": "split",
}
HABITS = ("always batch", "always realtime", "batch over 24 h")


# --- five true laws: the turnaround of one batch at quantile u ---------------------------


def log_logistic(u: float) -> float:
    """The public prior itself."""
    return P50 * (u / (1 - u)) ** (math.log(P90 / P50) / math.log(9))


def lognormal(p50: float, p90: float) -> Callable[[float], float]:
    """A lognormal time by its median and its 90th percentile."""
    normal = NormalDist()
    sigma = math.log(p90 / p50) / normal.inv_cdf(0.9)
    return lambda u: p50 * math.exp(sigma * normal.inv_cdf(u))


fast = lognormal(900.0, 3600.0)

LAWS: dict[str, Callable[[float], float]] = {
    "the prior itself": log_logistic,
    "eight times slower": lambda u: 8 * log_logistic(u),
    "OpenRouter's quantiles, lognormal": lognormal(420.0, 3600.0),
    "80 % fast, 20 % near the window": lambda u: (
        fast(u / 0.8) if u < 0.8 else WINDOW * (0.85 + 0.15 * (u - 0.8) / 0.2)  # noqa: PLR2004
    ),
    "5 % expire, the others as the prior": lambda u: (
        log_logistic(u / 0.95) if u < 0.95 else math.inf  # noqa: PLR2004
    ),
}


# --- jobs -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A job as drawn; its history comes with each law."""

    case: Case
    seed: str
    own: int

    @property
    def deadline(self) -> float:
        """Seconds from now."""
        assert self.case.requirements.deadline is not None
        return self.case.requirements.deadline


@cache
def vendor() -> Catalog:
    """The invented vendor, loaded once a process."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "acme.yaml").write_text(VENDOR, encoding="utf-8")
        return catalog.load(Path(folder), cache=Path(folder) / "cache")


def draw(seed: str) -> Drawn:
    """A job: sizes, prices and deadlines over orders of magnitude, evenly in their logarithms."""
    random = Random(seed)

    def between(low: float, high: float) -> float:
        return math.exp(random.uniform(math.log(low), math.log(high)))

    facts, rows = vendor(), round(between(100, 50_000))
    profile = given_profile(
        model="m",
        rows=rows,
        input_tokens=round(between(100, 8_000)),
        output=given_output(round(between(10, 1_000)), random.choice((0.4, 0.8, 2.0)), None),
    )
    limits = [("rpm", round(between(20, 2_000))), ("itpm", round(between(2e4, 2e6)))]
    if random.random() < 0.3:  # noqa: PLR2004
        limits.append(("queued_requests", max(1, round(rows * random.uniform(0.2, 1)))))
    demand = Requirements(
        deadline=between(HOUR / 6, 2 * DAY),
        confidence=random.choice(CONFIDENCES),
        limits=tuple(limits),
        latency=Latency(mean=between(1, 30), cv=random.choice((0.3, 0.8))),
        failure_rate=random.choice((0.0, 0.01, 0.05)),
    )
    case = options.Case(
        catalog=facts,
        offers=tuple(priced(facts, demand, random)),
        profile=profile,
        requirements=demand,
        now=NOW,
    )
    own = 0 if random.random() < 0.4 else random.randint(1, 50)  # noqa: PLR2004
    return Drawn(case=case, seed=seed, own=own)


def priced(facts: Catalog, demand: Requirements, random: Random) -> Iterator[options.Offer]:
    """Both lanes at a drawn price: an input price, an output price, a batch discount."""
    price = round(10 ** random.uniform(-1, 1), 2)
    output = price * random.choice((2, 4, 5, 8))
    for offer in options.offers(facts, facts.model("m"), demand, NOW.date()):
        assert offer.card is not None
        share = 1 if offer.lane.base else random.choice((0.25, 0.5, 0.5, 0.75))
        rates = {
            meter: Rate(to_four_places(rate * share))
            for meter, rate in (("input", price), ("output", output))
        }
        yield replace(offer, card=replace(offer.card, rates=rates))


def to_four_places(value: float) -> Decimal:
    """A price with four decimals, exact from there on."""
    return Decimal(f"{value:.4f}")


def history(drawn: Drawn, law: Callable[[float], float]) -> tuple[FinishedJob, ...]:
    """Own batches drawn from the true law, of the job's own order of size, up to 90 days old."""
    random = Random(f"{drawn.seed} history")
    rows = drawn.case.profile.rows.value
    return tuple(
        finished(
            law(random.random()),
            round(rows * random.uniform(0.2, 2)),
            age=timedelta(days=random.uniform(0, 90)),
        )
        for _ in range(drawn.own)
    )


@cache
def knowing(name: str) -> tuple[FinishedJob, ...]:
    """So many batches at the law's own quantiles that nothing is left to learn."""
    law = LAWS[name]
    return tuple(
        finished(law((i + 0.5) / KNOWING), 10**9, age=timedelta(0)) for i in range(KNOWING)
    )


def finished(took: float, rows: int, *, age: timedelta) -> FinishedJob:
    """A batch that ended, or expired at its window."""
    created = NOW - age - timedelta(seconds=min(took, WINDOW))
    state: State = "ended" if took <= WINDOW else "expired"
    return FinishedJob(
        provider="acme",
        model="m",
        lane="batch",
        rows=max(1, rows),
        created=created,
        ended=NOW - age,
        state=state,
    )


# --- what happened ----------------------------------------------------------------------


class World:
    """One job under one true law, played again and again; every plan meets the same luck."""

    def __init__(self, drawn: Drawn, law: Callable[[float], float], seed: str) -> None:
        self.drawn = drawn
        self.law = law
        self.seed = seed
        self.realtime, self.batch = drawn.case.offers

    def load(self, rows: int) -> realtime.Load:
        """The realtime client for so many rows."""
        case = self.drawn.case
        paced = timing.paced(
            case.profile.for_rows(rows), self.realtime.limits, case.requirements, None
        )
        assert paced is not None
        return paced.load

    def batches(self, rows: int, luck: Random) -> tuple[list[float], int]:
        """Ends of all batches of a shipment, and the rows in each but the last."""
        profile = self.drawn.case.profile.for_rows(rows)
        plan = timing.shipment_of(profile, self.batch.lane, self.batch.limits)
        free, ends = [0.0] * plan.concurrent, []
        for _ in range(plan.batches):
            took = 0.0
            while (once := self.law(luck.random())) > WINDOW:
                took += WINDOW
            ends.append(free[0] + took + once)
            heapq.heapreplace(free, ends[-1])
        return ends, plan.rows_per_batch

    def play(self, plan: str, found: dict[str, Option]) -> tuple[bool, float]:
        """Whether everything was there in time, and what it cost in US dollars."""
        luck = Random(self.seed)
        deadline, rows = self.drawn.deadline, self.drawn.case.profile.rows.value
        apart = {lane: cost(found[f"m/{lane}"]) for lane in ("batch", "realtime")}
        option = found[plan]
        if option.strategy == "rescue":
            return self.rescued(option, apart, luck)
        if option.strategy == "split":
            first = realtime.rows_by(
                self.load(rows), deadline, self.drawn.case.requirements.confidence
            )
            ends, _ = self.batches(rows - first, luck)
            return max(*ends, self.answered(first)) <= deadline, cost(option)
        if option.lane == "realtime":
            return self.answered(rows) <= deadline, apart["realtime"]
        return max(self.batches(rows, luck)[0]) <= deadline, apart["batch"]

    def rescued(self, option: Option, apart: dict[str, float], luck: Random) -> tuple[bool, float]:
        """Cancel what is unfinished at the switch; the longest cancelling time is taken."""
        assert option.rescue is not None
        rows = self.drawn.case.profile.rows.value
        ends, size = self.batches(rows, luck)
        if max(ends) <= option.rescue.at:
            return True, apart["batch"]
        left = min(rows, size * sum(end > option.rescue.at for end in ends))
        cancel = float(self.batch.lane.cancel or 0)
        end = option.rescue.at + cancel + self.answered(left)
        share = left / rows
        return end <= self.drawn.deadline, (
            share * apart["realtime"] + (1 - share) * apart["batch"]
        )

    def answered(self, rows: int) -> float:
        """Makespan of the realtime client: the event simulation, a seed a replay."""
        return simulated(self.load(rows), self.seed)


@cache
def simulated(load: realtime.Load, seed: str) -> float:
    """One run of the event simulation; laws share it, for it knows none of them."""
    return simulation.makespan(load, hash_of(seed))


def hash_of(seed: str) -> int:
    """A number of a text that is the same in every process."""
    return Random(seed).getrandbits(32)


def cost(option: Option) -> float:
    """US dollars expected, for averages."""
    assert option.cost is not None
    return float(option.cost.expected)


# --- the study --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Played:
    """One job under one law: what was chosen, and per plan the share in time and the cost.

    Costs are shares of what realtime alone costs, so that no job outweighs the others.
    """

    law: str
    asked: float
    own: int
    strategy: str | None
    knowing: str | None
    met: dict[str, float]
    paid: dict[str, float]


def study(task: tuple[str, int]) -> list[Played]:
    """One job under all laws."""
    seed, replays = task
    drawn = draw(seed)
    simulated.cache_clear()
    return [under(drawn, name, replays) for name in LAWS]


def under(drawn: Drawn, name: str, replays: int) -> Played:
    """One job under one law: decided by what is known of it, and by knowing it all."""
    choice, found = decided(drawn, history(drawn, LAWS[name]))
    best, informed = decided(drawn, knowing(name))
    found = {**informed, **found}
    plans = {"always batch": "m/batch", "always realtime": "m/realtime"}
    plans["batch over 24 h"] = "m/batch" if drawn.deadline > DAY else "m/realtime"
    plans |= {key: plan for key, plan in (("chosen", choice), ("knowing", best)) if plan}
    met: dict[str, list[float]] = defaultdict(list)
    paid: dict[str, list[float]] = defaultdict(list)
    for replay in range(replays):
        world = World(drawn, LAWS[name], f"{drawn.seed} replay {replay}")
        for key, plan in plans.items():
            known = informed if key == "knowing" else found
            in_time, dollars = world.play(plan, known)
            met[key].append(in_time)
            paid[key].append(dollars / cost(found["m/realtime"]))
    return Played(
        law=name,
        asked=drawn.case.requirements.confidence,
        own=drawn.own,
        strategy=None if choice is None else strategy(choice),
        knowing=None if best is None else strategy(best),
        met={key: fmean(each) for key, each in met.items()},
        paid={key: fmean(each) for key, each in paid.items()},
    )


def decided(drawn: Drawn, past: tuple[FinishedJob, ...]) -> tuple[str | None, dict[str, Option]]:
    """The program's own decision."""
    found = assessment.every_option(replace(drawn.case, history=past))
    choice = matrix.choose("m", found, drawn.case.requirements).choice
    return choice, {each.id: each for each in found}


def strategy(choice: str) -> str:
    """What kind of option an id names."""
    return KINDS[choice.removeprefix("m/")]


# --- the tables -------------------------------------------------------------------------


ABOUT = """\
{jobs:,} jobs under each law, each decision played {replays} times. Shares in time are of the jobs
for which something was chosen; costs are shares of what realtime alone costs. The decision knows
the public prior and up to 50 own batches, never the law. Batches of one job are drawn one by one:
an incident that slows all of them at once is not played, and the realtime client paces itself."""


def report(played: Sequence[Played], jobs: int, replays: int) -> str:
    """What came out, and what does not hold, in words."""
    laws = [[each for each in played if each.law == name] for name in LAWS]
    parts = [
        ABOUT.format(jobs=jobs, replays=replays),
        results.table(
            ["true law", "chosen for", "asked", "in time", *HABITS],
            [kept(name, each) for name, each in zip(LAWS, laws, strict=True)],
        ),
        "Cost against the same rule knowing the law, over the jobs where both chose:",
        results.table(
            ["true law", "jobs", "cost", "knowing", "ratio", *HABITS],
            [spent(name, each) for name, each in zip(LAWS, laws, strict=True)],
        ),
        "By what was chosen, share in time / asked (jobs):",
        results.table(["true law", *KINDS.values()], [by_strategy(name, played) for name in LAWS]),
        "By the confidence that was asked for, share in time / asked (jobs):",
        results.table(
            ["true law", *(f"{share:.0%}" for share in CONFIDENCES)],
            [by_confidence(name, played) for name in LAWS],
        ),
        "By own finished batches, share in time less the share asked for (jobs):",
        results.table(["true law", *OWN], [by_own(name, played) for name in LAWS]),
    ]
    return "\n\n".join(parts)


def kept(name: str, played: Sequence[Played]) -> list[str]:
    """A line of the first table."""
    chosen = [each for each in played if each.strategy]
    shares = (fmean(each.met[key] for each in chosen) for key in ("chosen", *HABITS))
    asked = fmean(each.asked for each in chosen)
    return [name, f"{len(chosen)}", f"{asked:.3f}", *(f"{share:.3f}" for share in shares)]


def spent(name: str, played: Sequence[Played]) -> list[str]:
    """A line of the second table."""
    both = [each for each in played if each.strategy and each.knowing]
    mean = {key: fmean(each.paid[key] for each in both) for key in ("chosen", "knowing", *HABITS)}
    figures = (mean["chosen"], mean["knowing"], mean["chosen"] / mean["knowing"])
    habits = (mean[key] for key in HABITS)
    return [name, f"{len(both)}", *(f"{each:.3f}" for each in (*figures, *habits))]


OWN = ("none", "1-10", "11-50")


def by_strategy(name: str, played: Sequence[Played]) -> list[str]:
    """Shares in time by the kind of option."""
    groups = [
        [e for e in played if e.law == name and e.strategy == kind] for kind in KINDS.values()
    ]
    return [name, *(in_time(group) for group in groups)]


def by_confidence(name: str, played: Sequence[Played]) -> list[str]:
    """Shares in time by the confidence asked for."""
    chosen = [each for each in played if each.law == name and each.strategy]
    groups = [[each for each in chosen if each.asked == share] for share in CONFIDENCES]
    return [name, *(in_time(group) for group in groups)]


def by_own(name: str, played: Sequence[Played]) -> list[str]:
    """Shares in time over the shares asked for, by the own history behind the decision."""
    chosen = [each for each in played if each.law == name and each.strategy]
    ranges = ((0, 0), (1, 10), (11, 50))
    groups = [[each for each in chosen if low <= each.own <= high] for low, high in ranges]
    return [
        name,
        *(
            f"{fmean(each.met['chosen'] - each.asked for each in group):+.3f} ({len(group)})"
            for group in groups
        ),
    ]


def in_time(group: Sequence[Played]) -> str:
    """The share in time, the share asked for, and how many jobs they are of."""
    if not group:
        return "-"
    met, asked = fmean(each.met["chosen"] for each in group), fmean(each.asked for each in group)
    return f"{met:.3f} / {asked:.2f} ({len(group)})"


def main() -> None:
    """Play the study and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--replays", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    asked = parser.parse_args()
    tasks = [(f"{asked.seed} job {index}", asked.replays) for index in range(asked.jobs)]
    with multiprocessing.Pool(asked.workers) as pool:
        played = [each for done in pool.imap(study, tasks, chunksize=8) for each in done]
    body = report(played, asked.jobs, asked.replays)
    print(body)
    if asked.write:
        command = "python benchmarks/decision_study.py --write"
        results.write("The decision under five true laws", command, body)


if __name__ == "__main__":
    main()
