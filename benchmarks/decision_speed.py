"""CPU of the decision: ten models with all their lanes, from a profile, as on a key press.

The least and the median of repeated calls; what a screen keeps between two deadlines against
an answer from nothing, and the search for flips and the map, which run beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import results
from planner import catalog, pipeline
from planner.decision import flips
from planner.decision.assessment import Assessments
from planner.decision.requirements import Requirements
from planner.job import Job, Output

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOUR = 3600.0
MODELS = 10
WAVES = 1_600_000
"""Rows that no vendor takes at once: their batches are played, wave after wave."""


def spent(ask: Callable[[int], object], runs: int) -> list[str]:
    """Least and median CPU of so many calls, in milliseconds; each call is told its number."""
    times = []
    for run in range(runs):
        before = time.process_time()
        ask(run)
        times.append(1000 * (time.process_time() - before))
    return [f"{min(times):.0f}", f"{median(times):.0f}"]


def main() -> None:
    """Measure, print and, where asked, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    asked = parser.parse_args()
    facts = catalog.load()
    others = sorted(facts.models(), key=lambda each: -len(each.lanes))
    by_name = {f"{each.provider}/{each.id}": each for each in (*facts.featured(), *others)}
    models = list(by_name)[:MODELS]
    job = Job(
        rows=12_480,
        input_tokens=1_180,
        output=Output(tokens=220),
        models=tuple(models),
        requirements=Requirements(deadline=6 * HOUR),
    )
    measured = pipeline.measure(facts, job)
    kept = Assessments()

    def answer(run: int, kept: Assessments | None = None, rows: int = 12_480) -> pipeline.Estimate:
        what_if = job.at_deadline((1 + run) * HOUR, NOW)
        return pipeline.estimate(facts, measured.for_rows(rows), what_if, now=NOW, kept=kept)

    whole = answer(5)
    one = whole.cases[0].profile.model
    rows = [
        ["everything anew", *spent(answer, asked.runs)],
        ["another deadline, the rest kept", *spent(lambda run: answer(run, kept), asked.runs)],
        ["another volume", *spent(lambda run: answer(5, kept, 12_480 + run), asked.runs)],
        ["a volume that was asked before", *spent(lambda _: answer(5, kept, 12_480), asked.runs)],
        ["a volume of several waves", *spent(lambda run: answer(5, kept, WAVES + run), 5)],
        ["flips of one model", *spent(lambda _: flips.flips(whole.cases[0]), 5)],
        ["flips of all", *spent(lambda _: pipeline.with_flips(whole), 3)],
        ["map of all", *spent(lambda _: pipeline.maps(whole), 3)],
    ]
    body = (
        f"{len(models)} models, {len(whole.decision.options)} options; CPU in milliseconds on one "
        f"core ({one} alone for the flips of one model).\n\n"
        + results.table(["question", "least", "median"], rows)
    )
    print(body)
    if asked.write:
        results.write(
            "A decision as keys are pressed", "python benchmarks/decision_speed.py --write", body
        )


if __name__ == "__main__":
    main()
