"""The sample that travels with the package: support tickets to try everything out on.

Seventy tickets for a product that does not exist, written for this project, with the prompt
that sorts them and an answer each, from which output lengths can be learned. It lies inside
the package and not beside it, so that an installed planner has it as well as a checkout.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAME = "sample"
"""What a person calls it in place of a file; a file of that name is `./sample`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Where the sample's rows and prompt are, which column holds real-looking answers, a budget."""

    rows: Path
    prompt: Path
    output_field: str
    budget: Path


def paths() -> Sample:
    """The sample's files in this installation."""
    folder = Path(__file__).parent
    return Sample(
        rows=folder / "tickets.csv",
        prompt=folder / "prompt.txt",
        output_field="answer",
        budget=folder / "budget.yaml",
    )
