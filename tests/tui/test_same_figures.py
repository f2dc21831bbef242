"""The screen and the command line say the same of the same question, whatever jobs have taught."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog, cli, outlook, pipeline
from planner.decision.turnaround import FinishedJob
from planner.handoff import learned
from planner.handoff.ledger import Ledger
from planner.money import plain
from planner.report import answers
from planner.report import budget as report
from planner.tui.agenda import Source
from planner.tui.desk import Desk
from planner.tui.session import Inputs
from tests.answers import NOW
from tests.budget.test_spent import TAGGED, billed
from tests.handoff import bills, jobs
from tests.handoff.test_learned import MODEL, PROMPT, lesson

if TYPE_CHECKING:
    from pathlib import Path

    from planner.job import Job
    from tests.answers import Ask

    Patch = pytest.MonkeyPatch


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = (json.dumps({"text": "Where is my parcel? " * (1 + n % 9)}) + "\n" for n in range(300))
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A ledger of jobs that taught how long answers are, and how long batches take."""
    home = tmp_path / "data"
    monkeypatch.setenv("PLANNER_DATA", str(home))
    with Ledger.open(home) as ledger:
        job = ledger.admit(bills.plan(), jobs.ACCOUNT, {}, (), (), None, NOW)
        learned.keep(ledger, lesson(job=job.id), NOW)
        for n in range(20):
            created = NOW - timedelta(days=2, hours=n)
            took = timedelta(minutes=20 + n)
            ledger.remember(f"batch-{n}", _batch(created, created + took))
    return home


def _batch(created: Any, ended: Any) -> FinishedJob:
    return FinishedJob(
        provider="anthropic",
        model=MODEL,
        lane="batch",
        rows=300,
        created=created,
        ended=ended,
        state="ended",
    )


def opened(monkeypatch: Patch, *arguments: str) -> tuple[Job | None, Desk, dict[str, Any]]:
    """The desk of the screen that the command line opens, with the job it opens on."""
    seen: dict[str, Any] = {}

    def screen(job: Job | None, **rest: Any) -> int:
        seen.update(rest, job=job)
        return 0

    with monkeypatch.context() as patch:
        for stream in (sys.stdin, sys.stdout):
            patch.setattr(stream, "isatty", lambda: True)
        assert cli.main(list(arguments), clock=lambda: NOW, screen=screen) == 0
    wanted = ("clock", "on", "taught", "same", "pricing")
    stated = {name: seen[name] for name in wanted}
    overlays = catalog.own_overlays(*seen["pricing"])
    desk = Desk(catalog_loader=lambda: catalog.load(overlays=overlays), **stated)
    return seen["job"], desk, seen


@pytest.mark.parametrize("history", ["the ledger's", "a file's", "none"])
def test_an_estimate_is_the_same(
    rows: Path, data: Path, ask: Ask, monkeypatch: Patch, tmp_path: Path, history: str
) -> None:
    asked: tuple[str, ...] = (str(rows), "--prompt", PROMPT, "--model", MODEL, "--deadline", "1h")
    if history == "a file's":
        line = {"provider": "anthropic", "model": MODEL, "lane": "batch", "rows": 300}
        ends = {"created": "2026-11-20T10:00:00Z", "ended": "2026-11-20T10:09:00Z"}
        path = tmp_path / "history.jsonl"
        path.write_text(json.dumps({**line, **ends, "state": "ended"}) + "\n", encoding="utf-8")
        asked = (*asked, "--history", str(path))
    elif history == "none":
        monkeypatch.setenv("PLANNER_DATA", str(data / "elsewhere"))
    told = ask("estimate", *asked, "--format", "json")
    job, desk, _ = opened(monkeypatch, *asked)
    assert job is not None
    measured = desk.measure(job, lambda _rows, _done: None)
    answer = desk.answer(measured, Inputs(deadline=job.requirements.deadline))
    shown = answers.ESTIMATE["json"](pipeline.with_flips(answer.estimate))
    assert json.loads(shown) == json.loads(told.out)
    basis = json.loads(told.out)["tokens"][0]["output"]["basis"]
    assert basis == ("pilot" if history == "the ledger's" else "assumed")


def test_a_budget_spends_the_same(data: Path, ask: Ask, monkeypatch: Patch, tmp_path: Path) -> None:
    billed(data, {"project": "math"}, NOW.replace(day=3), 400_000)
    path = tmp_path / "budget.yaml"
    path.write_text(f"budget: 1\nfrom: 2026-11\n{TAGGED}actuals: ledger\n", encoding="utf-8")
    told = json.loads(ask("budget", str(path), "--format", "json").out)
    _, desk, seen = opened(monkeypatch, str(path))
    agenda = Source(file=seen["budget"]).agenda(desk)
    page = outlook.page(agenda, outlook.Question(), now=desk.now, on=desk.on)
    assert page.budget is not None
    (actual,) = page.budget.actuals
    (theirs,) = told["actuals"]
    assert theirs["spent"] == "1"
    assert plain(actual.spent.amount) == theirs["spent"]
    assert plain(actual.budgeted) == theirs["budgeted"]
    assert plain(page.budget.total.expected) == told["total"]["expected"]
    assert page.budget.total == page.other.period if page.other else None


OWN = """
schema: 1
provider: anthropic
sources:
  contract: {url: "https://example.com/contract", read: 2026-11-01}
models:
  claude-haiku-5-5:
    prices:
      - {source: contract, rates: {input: 0.05, output: 0.25}}
"""


@pytest.mark.parametrize("place", ["of the file", "of a flag"])
def test_own_prices_are_no_list_prices(
    ask: Ask, monkeypatch: Patch, tmp_path: Path, place: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "anthropic.yaml").write_text(OWN, encoding="utf-8")
    path = tmp_path / "budget.yaml"
    named = "pricing: [own]\n" if place == "of the file" else ""
    path.write_text(f"budget: 1\nfrom: 2026-11\n{TAGGED}{named}", encoding="utf-8")
    flag = () if named else ("--pricing", str(own))
    told = json.loads(ask("budget", str(path), *flag, "--format", "json").out)
    _, desk, seen = opened(monkeypatch, str(path), *flag)
    answer = Source(file=seen["budget"]).budget(desk)
    shown = json.loads(report.BUDGET["json"](answer))
    assert shown["total"] == told["total"]
    assert shown["jobs"] == told["jobs"]
    listed = json.loads(ask("budget", str(path), "--format", "json").out) if flag else None
    assert listed is None or listed["total"] != told["total"], "own prices decide the total"
