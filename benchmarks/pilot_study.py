"""Does the interval of a pilot cover the total of the job, and what stands beside it where not?

Jobs with known answer lengths are piloted again and again by the program's own estimator. Real
lengths come from ../shared/workloads (gsm8k_train.jsonl, `answer`, o200k tokens) where that
folder stands; two more laws are drawn: a lognormal one with the spread of public code traces, and
one in which two rows of a hundred are fifty times longer.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from planner.workload.encodings import encoding
from planner.workload.sampling import COVERAGE, mean_estimate, student

ROWS = 5_000
PILOTS = (10, 20, 50, 100, 200)
REAL = Path(__file__).resolve().parents[2] / "shared" / "workloads" / "gsm8k_train.jsonl"
UNSEEN = 0.05


@dataclass(frozen=True)
class Law:
    """Answer lengths of a whole job."""

    name: str
    lengths: tuple[int, ...]
    tail: int
    """Lengths above it are the tail that a pilot may not see."""

    @property
    def limit(self) -> int:
        """An output limit that cuts nothing."""
        return 1 << (max(self.lengths) - 1).bit_length()


def lognormal(random: Random, mean: float, cv: float, rows: int) -> list[int]:
    """Lengths of a lognormal law with that mean and spread, at least 1."""
    sigma = math.sqrt(math.log(1 + cv * cv))
    mu = math.log(mean) - sigma * sigma / 2
    return [max(1, round(random.lognormvariate(mu, sigma))) for _ in range(rows)]


def laws(rows: int = ROWS) -> list[Law]:
    """Every law that can be had here."""
    random = Random(1)
    found = []
    if REAL.is_file():
        count = encoding("o200k_base").count
        with REAL.open(encoding="utf-8") as stream:
            real = tuple(count(json.loads(line)["answer"]) for line in stream)
        found.append(Law("gsm8k answers, real", real, max(real)))
    heavy = tuple(lognormal(random, 200, 2.15, rows))
    found.append(Law("lognormal, CV 2.15", heavy, max(heavy)))
    short = lognormal(random, 200, 0.5, rows)
    long = {n for n in range(rows) if n % 50 == 0}
    mixed = tuple(each * 50 if n in long else each for n, each in enumerate(short))
    found.append(Law("2 % of rows 50 x longer", mixed, max(short)))
    return found


def spread(lengths: tuple[int, ...]) -> float:
    """Standard deviation over mean."""
    mean = sum(lengths) / len(lengths)
    return math.sqrt(sum((each - mean) ** 2 for each in lengths) / len(lengths)) / mean


@dataclass(frozen=True)
class Seen:
    """One pilot against the truth."""

    covered: bool
    plain: bool
    """Whether Student's t covers."""
    over: bool
    """The truth lies above the upper end."""
    bounded: bool
    """The ceiling, every row at the limit, holds the truth."""
    told: bool
    """The share of rows in the unseen tail is within what the line beside it allows."""
    width: float


def pilot(law: Law, k: int, seed: int, coverage: float = COVERAGE) -> Seen:
    """Draw k rows and hold what they say against all rows."""
    random = Random(seed)
    drawn = random.sample(law.lengths, k)
    rows, truth = len(law.lengths), sum(law.lengths)
    found = mean_estimate(dict(Counter(drawn)), seed=seed, population=rows, coverage=coverage)
    mean = sum(drawn) / k
    error = math.sqrt(sum((each - mean) ** 2 for each in drawn) / (k - 1) / k * (1 - k / rows))
    reach = student(0.5 + coverage / 2, k - 1) * error
    share = sum(each > law.tail for each in law.lengths) / rows
    unseen = all(each <= law.tail for each in drawn)
    return Seen(
        covered=found.low * rows <= truth <= found.high * rows,
        plain=abs(mean - truth / rows) <= reach,
        over=truth > found.high * rows,
        bounded=truth <= law.limit * rows,
        told=not unseen or share <= 1 - UNSEEN ** (1 / k),
        width=float((found.high - found.low) / (2 * found.mean)),
    )


def study(task: tuple[Law, int, int, float]) -> list[str]:
    """One line of the table."""
    law, k, repeats, coverage = task
    seen = [pilot(law, k, seed, coverage) for seed in range(repeats)]

    def share(name: str) -> str:
        return f"{sum(getattr(each, name) for each in seen) / repeats:.3f}"

    width = sorted(each.width for each in seen)[repeats // 2]
    return [
        law.name,
        str(k),
        f"{coverage:.0%}",
        share("covered"),
        share("plain"),
        share("over"),
        f"+-{width:.0%}",
        share("bounded"),
        share("told"),
    ]


TITLES = [
    "answer lengths",
    "pilot",
    "stated",
    "bootstrap-t covers",
    "t covers",
    "truth above",
    "half-width",
    "ceiling holds",
    "unseen line holds",
]


def main() -> None:
    """Play every law, and print or keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    every = laws()
    tasks = [
        (law, k, given.repeats, coverage)
        for law in every
        for k in PILOTS
        for coverage in (0.9, COVERAGE)
    ]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        lines = pool.map(study, tasks, chunksize=1)
    known = "; ".join(
        f"{law.name}: {len(law.lengths):,} rows, CV {spread(law.lengths):.2f}" for law in every
    )
    body = (
        f"{given.repeats} pilots a line. {known}. `covers`: the total of all rows lies in the "
        "interval; `truth above`: it lies above the upper end; `ceiling holds`: rows x limit is at "
        "least the total; `unseen line holds`: where the pilot saw no row of the tail, the tail's "
        "share is at most what the line beside the interval allows.\n\n"
        f"{results.table(TITLES, lines)}"
    )
    print(body)
    if given.write:
        results.write("Pilots on skewed answers", "python benchmarks/pilot_study.py --write", body)


if __name__ == "__main__":
    main()
