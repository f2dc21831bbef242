"""Who says how a text is counted: the surest that answers, and what was not answered is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from planner import catalog, counted_by
from planner.job import Job
from planner.workload import prompt, readers, tokens
from planner.workload.calibration import Inquiry, Reply, UnansweredError
from planner.workload.tokens import Grade

if TYPE_CHECKING:
    from pathlib import Path

    from planner.catalog import Catalog, Model
    from planner.workload.tokens import Counter

CLAUDE, ASSUMED, EXACT = "claude-haiku-5-5", "gpt-6.2-sol", "gpt-5.5"


@dataclass
class Somebody:
    """A reference that answers for some models with so many of its tokens for each of ours."""

    grade: Grade
    times: int
    knows: frozenset[str] = frozenset({CLAUDE, ASSUMED})
    most: int = 10_000
    asked: list[str] = field(default_factory=list)

    def betters(self, counter: Counter) -> bool:
        return counter.grade is not Grade.EXACT

    def counts(self, model: Model, counter: Counter, inquiry: Inquiry) -> Reply:
        self.asked.append(model.id)
        if model.id not in self.knows:
            raise UnansweredError(f"{model.id} is nobody's")
        counts = tuple(self.times * counter.text(text) for text in inquiry.questions)
        return Reply(counts=counts, grade=self.grade, by="somebody's counts")


@pytest.fixture(scope="module")
def facts() -> Catalog:
    return catalog.load()


@pytest.fixture
def workload(tmp_path: Path) -> readers.Workload:
    path = tmp_path / "rows.jsonl"
    lines = ({"t": f"The order of customer {n * 7919} is late again."} for n in range(200))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return readers.open_workload(path)


def told(
    facts: Catalog, workload: readers.Workload, *references: Somebody
) -> tuple[dict[str, Counter | None], tuple[str, ...]]:
    models = [facts.model(name) for name in (CLAUDE, ASSUMED, EXACT)]
    of = [(model, counted_by.catalog(model)) for model in models]
    template = prompt.Template(prompt="{{ t }}", system=None)
    made, unanswered = counted_by.references(references, Job(), of, workload, template)
    return dict(zip((CLAUDE, ASSUMED, EXACT), made, strict=True)), unanswered


def test_the_first_that_answers_holds_and_the_next_is_not_asked(
    facts: Catalog, workload: readers.Workload
) -> None:
    vendor = Somebody(Grade.MEASURED, 2, knows=frozenset({CLAUDE}))
    plugin = Somebody(Grade.RECONSTRUCTED, 3)
    made, unanswered = told(facts, workload, vendor, plugin)
    grades = {name: counter and counter.grade for name, counter in made.items()}
    assert grades == {CLAUDE: Grade.MEASURED, ASSUMED: Grade.RECONSTRUCTED, EXACT: None}
    assert (vendor.asked, plugin.asked) == ([CLAUDE, ASSUMED], [ASSUMED])
    assert unanswered == (f"{ASSUMED} is nobody's",)


def test_nobody_asked_changes_nothing(facts: Catalog, workload: readers.Workload) -> None:
    assert told(facts, workload) == ({CLAUDE: None, ASSUMED: None, EXACT: None}, ())


def test_a_bill_says_more_than_a_reconstruction_and_less_than_the_vendor_on_these_rows() -> None:
    claude = tokens.counter("claude-v4.7")
    one = Fraction(1)
    shown = {
        grade: claude.measured(low=one, mid=one, high=one, grade=grade, note="a test")
        for grade in (Grade.MEASURED, Grade.RECONSTRUCTED)
    }
    billed = replace(shown[Grade.MEASURED], note="a bill")
    vendor, plugin = shown[Grade.MEASURED], shown[Grade.RECONSTRUCTED]
    assert counted_by.surest(vendor, billed) is vendor
    assert counted_by.surest(plugin, billed) is billed
    assert counted_by.surest(plugin, claude) is plugin
    assert counted_by.surest(None, claude) is claude


@pytest.mark.parametrize("model", [CLAUDE, ASSUMED])
def test_what_would_be_surer_is_said_only_where_the_vendor_counts(
    facts: Catalog, model: str
) -> None:
    assert "--measure" in (counted_by.catalog(facts.model(model)).narrowed_by or "")
    elsewhere = replace(facts.model(model), provider="somebody-else")
    assert "--measure" not in (counted_by.catalog(elsewhere).narrowed_by or "")
