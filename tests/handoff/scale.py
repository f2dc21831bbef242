"""A large job from its rows to its merged answers in a process of its own, and what that took.

`python -m tests.handoff.scale PROVIDER ROWS FOLDER` prints one line of JSON. Client and rehearsed
vendor share the process, so the memory is that of both.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner import catalog, cli, handing
from planner.handoff import plan as plans
from planner.handoff import rehearsal
from planner.handoff.keys import Key, Secret
from tests.answers import NOW

if TYPE_CHECKING:
    from planner.handoff.plan import Plan

MODELS = {"anthropic": ("claude-haiku-5-5", "scale"), "openai": ("gpt-6.2-sol", "tier-5")}
"""Model and usage tier."""
LAW = rehearsal.Answers(mean=60)
LIMIT = 300


def planned(provider: str, rows: int, folder: Path) -> Path:
    """Rows of some 230 bytes, and the plan for them."""
    workload, plan = folder / "rows.jsonl", folder / "job.plan.yaml"
    with workload.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            said = f"Row {number}: " + "some words of a review that has to be sorted. " * 4
            stream.write(json.dumps({"id": f"k{number}", "text": said}) + "\n")
    model, tier = MODELS[provider]
    flags = f"--model {model} --tier {tier} --output-tokens 60 --max-output-tokens {LIMIT}"
    wanted = [*flags.split(), "--key", "id", "--deadline", "3d", "--choose", f"{model}/batch"]
    command = ["plan", str(workload), "--prompt", "{{ text }}", *wanted, "-o", str(plan)]
    with redirect_stdout(StringIO()):
        assert cli.main(command, clock=lambda: NOW) == 0
    return plan


def handed(path: Path, folder: Path) -> dict[str, Any]:
    """Submit it, and compare what came back with what had to come back."""
    plan = plans.read(path)
    provider = plan.choice.provider
    clock = rehearsal.clock.Virtual(NOW)
    conduct = rehearsal.Conduct(answers=LAW, turnaround=rehearsal.spread(3600, 0.5))
    seat = handing.Seat(
        catalog=catalog.load(),
        clock=clock.clock,
        data=folder / "data",
        key=Key(secret=Secret("rehearsal"), found_in="a test"),
        rehearsal=True,
    )
    with rehearsal.Server(clock=clock.clock, conduct=conduct) as server:
        terms = handing.Terms(base_url=server.base_url(provider))
        with handing.submitting(path, seat, terms) as handoff:
            job = handoff.admit()
            step = handoff.drive().run()
            results = seat.data / "jobs" / job.id / "out" / "results.jsonl"
            return {
                "over": step.over,
                "right": right(results, plan),
                "rows": job.rows,
                "paid": sorted(server.paid(provider).values()),
                "most_creating": server.record.most_creating,
                "calls": len(server.record.sent),
                "virtual_hours": (clock.now() - NOW).total_seconds() / 3600,
            }


def right(results: Path, plan: Plan) -> int:
    """How many rows have, in their place, the very answer that the vendor's law has for them."""
    found = 0
    with results.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            row = json.loads(line)
            name = f"{plan.nonce}-{number}"
            text = LAW.answer(0, name, characters=0, limit=LIMIT).text
            found += (row["key"], row["outcome"], row["text"]) == (f"k{number}", "succeeded", text)
    return found


def main() -> None:
    """Print what it took."""
    provider, rows, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    began = time.monotonic()
    found = handed(planned(provider, rows, folder), folder)
    found["seconds"] = round(time.monotonic() - began, 1)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))  # noqa: T201 -- its answer


if __name__ == "__main__":
    main()
