"""A plan as a job of a budget, and the ledger as the record of what was spent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.handoff import build as builds
from planner.handoff import plan as plans
from planner.handoff.billing import Bill
from planner.handoff.ledger import Ledger
from planner.handoff.usage import Usage
from tests.answers import NOW
from tests.handoff import bills
from tests.handoff.jobs import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.handoff.plan import Plan
    from tests.answers import Ask

MODEL = "claude-haiku-5-5"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "data"
    monkeypatch.setenv("PLANNER_DATA", str(home))
    return home


@pytest.fixture
def budget(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "budget.yaml"
        path.write_text(f"budget: 1\nfrom: 2026-11\nmonths: 2\n{text}", encoding="utf-8")
        return str(path)

    return write


def answered(ask: Ask, path: str, *more: str) -> Any:
    answer = ask("budget", path, "--format", "json", *more)
    assert answer.exit_code == 0, answer.err
    return json.loads(answer.out)


# --- a plan as a job --------------------------------------------------------------------


@pytest.fixture
def plan(ask: Ask, tmp_path: Path) -> Plan:
    rows = tmp_path / "rows.jsonl"
    lines = (json.dumps({"text": "What is it? " * (1 + n % 7)}) + "\n" for n in range(37))
    rows.write_text("".join(lines), encoding="utf-8")
    path = tmp_path / "a.plan.yaml"
    job = ("--prompt", "{{ text }}", "--model", MODEL, "--output-tokens", "20")
    answer = ask("plan", str(rows), *job, "--tag", "project=triage", "-o", str(path))
    assert answer.exit_code == 0, answer.err
    return plans.read(path)


def test_a_plan_costs_in_a_budget_what_it_costs_by_itself(
    plan: Plan, budget: Callable[[str], str], ask: Ask
) -> None:
    found = answered(ask, budget("jobs: [{name: a, plan: a.plan.yaml, runs-per-month: 3}]\n"))
    month = found["months"][0]
    assert Decimal(month["expected"]) == 3 * plan.cost.expected
    assert found["jobs"][0]["tags"] == {"project": "triage"}


def test_a_job_file_may_hold_the_tags(plan: Plan, ask: Ask, tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        f"workload: rows.jsonl\nprompt: '{{{{ text }}}}'\nmodel: {MODEL}\noutput-tokens: 20\n"
        "tags: {cost-centre: 4711, project: triage}\n",
        encoding="utf-8",
    )
    path = tmp_path / "b.plan.yaml"
    answer = ask("plan", str(job), "-o", str(path))
    assert answer.exit_code == 0, answer.err
    assert plans.read(path).tags == {"cost-centre": "4711", "project": "triage"}
    assert plans.read(path).id != plan.id
    assert ask("plan", str(job), "--tag", "project").exit_code == 2


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{name: a, plan: a.plan.yaml, model: gpt-6.2-sol}", "plan decides that itself: model"),
        ("{name: a, rows: 5, input-tokens: 5, lane: batch}", "no model"),
        ("{name: a, rows: 5, input-tokens: 5, model: gpt-6.2-sol}", "no lane"),
        ("{name: a, plan: nothing.plan.yaml}", "nothing.plan.yaml"),
    ],
)
def test_a_plan_says_everything_or_nothing(
    plan: Plan, budget: Callable[[str], str], ask: Ask, entry: str, said: str
) -> None:
    answer = ask("budget", budget(f"jobs: [{entry}]\n"))
    assert answer.exit_code == 2
    assert said in answer.err
    assert plan.nonce


# --- what the ledger has ----------------------------------------------------------------

TAGGED = "jobs: [{name: a, rows: 1000, input-tokens: 100, output-tokens: 10, model: claude-haiku-5-5, lane: batch, tags: {project: math}}]\n"  # noqa: E501 -- one line of YAML


def billed(
    folder: Path, tags: dict[str, str], at: datetime, output: int, *, rehearsal: bool = False
) -> None:
    """A job with these tags that was billed that day."""
    made = bills.plan(tags=tags, created=at.isoformat(), assumptions=(str(output),))
    with Ledger.open(folder) as ledger:
        job = ledger.admit(made, ACCOUNT, {}, (), (), None, at, rehearsal=rehearsal)
        home = ledger.job_folder(job.id)
        home.mkdir(parents=True)
        plans.write(made, home / builds.PLAN)
        bill = Bill(bills.book("slow"))
        bill.add(Usage(output=output), "slow")
        ledger.bill(job.id, "batch", bill.lines, at)  # type: ignore[arg-type]  # all rates are known


def test_the_ledger_says_what_jobs_of_these_tags_cost(
    data: Path, budget: Callable[[str], str], ask: Ask
) -> None:
    """2.5 USD per million: 400,000 tokens are a dollar."""
    math, now = {"project": "math", "team": "b"}, NOW
    billed(data, math, now.replace(day=3), 400_000)
    billed(data, math, now.replace(day=20), 800_000)
    billed(data, math, now.replace(month=10), 4_000_000)
    billed(data, {"project": "other"}, now, 40_000_000)
    billed(data, math, now, 40_000_000, rehearsal=True)
    path = budget(f"{TAGGED}actuals: ledger\n")
    (actual,) = answered(ask, path)["actuals"]
    assert (actual["month"], actual["through"], actual["spent"]) == ("2026-11", "2026-11-22", "3")
    table = ask("budget", path).out
    assert "As the ledger has it, of 3 jobs with these tags" in table


def test_the_months_meet_without_a_gap(data: Path, budget: Callable[[str], str], ask: Ask) -> None:
    last = datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)
    billed(data, {"project": "math"}, last, 400_000)
    billed(data, {"project": "math"}, datetime(2026, 12, 1, tzinfo=UTC), 800_000)
    path = budget(f"{TAGGED}actuals: ledger\n")
    answer = ask("budget", path, "--format", "json", now=datetime(2026, 12, 5, tzinfo=UTC))
    found = json.loads(answer.out)["actuals"]
    assert [(each["month"], each["through"], each["spent"]) for each in found] == [
        ("2026-11", None, "1"),
        ("2026-12", "2026-12-05", "2"),
    ]


def test_nothing_is_taken_from_the_ledger_unasked(
    data: Path, budget: Callable[[str], str], ask: Ask
) -> None:
    billed(data, {"project": "math"}, NOW, 400_000)
    assert answered(ask, budget(TAGGED))["actuals"] == []


def test_without_a_ledger_what_was_spent_is_not_known(
    data: Path, budget: Callable[[str], str], ask: Ask
) -> None:
    answer = ask("budget", budget(f"{TAGGED}actuals: ledger\n"), "--format", "json")
    assert answer.exit_code == 0
    assert json.loads(answer.out)["actuals"] == []
    assert "is not known" in answer.err
    assert not data.exists()


def test_jobs_without_tags_cannot_be_found_in_the_ledger(
    budget: Callable[[str], str], ask: Ask
) -> None:
    plain = TAGGED.replace(", tags: {project: math}", "")
    answer = ask("budget", budget(f"{plain}actuals: ledger\n"))
    assert answer.exit_code == 2
    assert "finds jobs by their tags" in answer.err
