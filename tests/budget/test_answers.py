"""`planner budget` on files: the figures, in every format the same, and what a build reads."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from planner import catalog
from planner.money import Usd, dollars

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.answers import Ask

GOLDEN = Path(__file__).parent / "golden"
FORMATS = {
    "table": "txt",
    "json": "json",
    "csv": "csv",
    "md": "md",
    "comment": "comment.md",
    "html": "html",
}


@pytest.fixture
def budget(tmp_path: Path) -> Callable[..., str]:
    """Writes a budget file; its path as the command line takes it."""

    def write(text: str, name: str = "budget.yaml") -> str:
        path = tmp_path / name
        path.write_text(f"budget: 1\n{text}", encoding="utf-8")
        return str(path)

    return write


ARGON = """\
from: 2026-11
months: 12
jobs:
  - {name: argon, rows: 1000, input-tokens: 1000, output-tokens: 100, model: gemini-4-argon,
     lane: standard, runs-per-month: 30}
"""


# --- golden answers ---------------------------------------------------------------------


@pytest.mark.parametrize(("format", "suffix"), FORMATS.items(), ids=FORMATS)
def test_the_shipped_budget_in_every_format(format: str, suffix: str, ask: Ask) -> None:
    """To change one on purpose: delete it, run twice, and read the diff."""
    answer = ask("budget", "sample", "--format", format)
    assert (answer.exit_code, answer.err) == (0, "")
    out = re.sub(r"sha256:[0-9a-f]+", "sha256:...", answer.out)  # of every fact in pricing/
    golden = GOLDEN / f"sample.{suffix}"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(out, encoding="utf-8")
        pytest.fail(f"{golden.name} is written anew: read it and run again")
    assert out == golden.read_text(encoding="utf-8")


def test_the_same_question_has_the_same_bytes(ask: Ask) -> None:
    one, other = (ask("budget", "sample", "--format", "html").out for _ in range(2))
    assert one == other


# --- one scenario, five formats ---------------------------------------------------------


def test_every_format_shows_the_same_figures(ask: Ask) -> None:
    """The exact figures of the JSON, rounded once, stand in the table, both texts and the page;
    the lines of the CSV add up to them.
    """
    everywhere = {name: ask("budget", "sample", "--format", name).out for name in FORMATS}
    found = json.loads(everywhere["json"])
    shown = {
        *(found["total"][end] for end in ("expected", "low", "high", "best", "worst")),
        *(month[end] for month in found["months"] for end in ("expected", "low", "high")),
        *(job["total"]["expected"] for job in found["jobs"]),
        *(job[unit]["expected"] for job in found["jobs"]
          for unit in ("per_row", "per_1000_rows", "per_accepted_row", "per_run")),
        *(each["total_at_low"] for each in found["drivers"]),
        *(each["total_at_high"] for each in found["drivers"]),
        *(job["saved"] for job in found["jobs"]),
        *(other["total"]["expected"] for job in found["jobs"] for other in job["alternatives"]),
        found["to_pay"],
        found["double_volume"],
    }  # fmt: skip
    assert len(shown) > 50
    for name in ("table", "md", "html"):
        missing = [each for each in shown if dollars(Usd(Decimal(each))) not in everywhere[name]]
        assert missing == [], name
    marker, title = everywhere["comment"].splitlines()[:2]
    assert marker == "<!-- planner budget -->"
    assert dollars(Usd(Decimal(found["total"]["expected"]))) in title
    adds_up(found, everywhere["csv"])


def adds_up(found: dict[str, Any], text: str) -> None:
    lines = list(csv.DictReader(io.StringIO(text)))
    usage = [line for line in lines if line["ChargeCategory"] == "Usage"]
    assert sum(Decimal(line["EffectiveCost"]) for line in usage) == Decimal(
        found["total"]["expected"]
    )
    assert sum(Decimal(line["BilledCost"]) for line in lines) == Decimal(found["to_pay"])
    for job in found["jobs"]:
        mine = [line for line in usage if line["x_Job"] == job["name"]]
        assert sum(Decimal(line["BilledCost"]) for line in mine) == Decimal(
            job["total"]["expected"]
        )
        for line in mine:
            units = Decimal(line["PricingQuantity"])
            assert units * 10**6 == int(line["ConsumedQuantity"])
            assert units * Decimal(line["ContractedUnitPrice"]) == Decimal(line["ContractedCost"])
            assert units * Decimal(line["ListUnitPrice"]) == Decimal(line["ListCost"])


# --- exact figures ----------------------------------------------------------------------


def test_a_sampled_workload_with_growth_is_exact_to_the_cent(
    tmp_path: Path, budget: Callable[..., str], ask: Ask
) -> None:
    """Four rows stand for 1,000 a run. Written out by hand:

    tokens      the four prompts are 58 tokens, so a row is 14.5; answers are 10 by the file
    rates       gpt-6.2-sol in batch: $1 per million in, $5 per million out
    rows        20 runs of 1,000 = 20,000 in January, 10 % more each month: 22,000, 24,200
    paid for    5 % of the answers are rejected, one retry: x 1.05 = 21,000, 23,100, 25,410
    January     21,000 x 14.5 = 304,500 in x $1/M = $0.3045; x 10 = 210,000 x $5/M = $1.05
                $1.3545
    February    23,100 x 14.5 = 334,950 -> $0.33495; 231,000 -> $1.155;  $1.48995
    March       25,410 x 14.5 = 368,445 -> $0.368445; 254,100 -> $1.2705; $1.638945
    together    $1.3545 + $1.48995 + $1.638945 = $4.483395
    accepted    1 - 0.05^2 = 99.75 %: 19,950 + 21,945 + 24,139.5 -> 24,140 (half to even): 66,035
    """
    texts = ["Where is my parcel?", "I want my money back.", "The app crashes.",
             "Thank you, all good now!"]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8"
    )
    file = budget("""\
from: 2027-01
months: 3
jobs:
  - name: answers
    workload: rows.jsonl
    prompt: "Classify: {{ text }}"
    rows: 1000
    output-tokens: 10
    model: gpt-6.2-sol
    lane: batch
    runs-per-month: 20
    growth: 10%
    rejected: 5%
    retries: 1
guardrails: {monthly: 1.63}
""")
    found = json.loads(ask("budget", file, "--format", "json").out)
    (job,) = found["jobs"]
    assert [month["expected"] for month in found["months"]] == ["1.3545", "1.48995", "1.638945"]
    assert found["total"]["expected"] == "4.483395"
    assert [month["billed_rows"] for month in job["months"]] == [21_000, 23_100, 25_410]
    assert [month["accepted_rows"] for month in job["months"]] == [19_950, 21_945, 24_140]
    assert job["per_accepted_row"]["expected"] == "0.00006789"  # 4.483395 / 66,035
    assert job["per_run"]["expected"] == "0.07472325"  # 4.483395 / 60
    answer = ask("budget", file, "--check")
    assert answer.exit_code == 1
    assert answer.out == (
        "Guardrails: over: 2027-03 costs $1.64 (expected), over the monthly $1.63.\n"
    )


def test_argon_doubles_from_december_on_and_says_so(budget: Callable[..., str], ask: Ask) -> None:
    file = budget(ARGON)
    found = json.loads(ask("budget", file, "--format", "json").out)
    each = [Decimal(month["expected"]) for month in found["months"]]
    assert each == [Decimal(90), *[Decimal(180)] * 11]
    (change,) = found["changes"]
    assert (change["date"], change["factor"], change["state"]) == ("2026-12-01", "2", "announced")
    for name in ("table", "md", "html"):
        out = re.sub(r"\\|\s+", " ", ask("budget", file, "--format", name).out)
        assert "2026-12-01: argon (gemini-4-argon/standard)" in out
        assert "the same rows cost 2 times as much" in out


def test_credits_pay_until_they_are_used_up(budget: Callable[..., str], ask: Ask) -> None:
    paid = "credits: [{name: start, amount: 100}, {name: late, amount: 50, from: 2027-01}]\n"
    found = json.loads(ask("budget", budget(ARGON + paid), "--format", "json").out)
    assert [month["credits"] for month in found["months"]][:4] == ["90", "10", "50", "0"]
    assert Decimal(found["to_pay"]) == Decimal(found["total"]["expected"]) - 150


def test_a_part_of_a_month_is_held_against_its_days(budget: Callable[..., str], ask: Ask) -> None:
    """20 of the 30 days of November: two thirds of $90."""
    spent = "actuals: [{month: 2026-11, amount: 75, through: 2026-11-20}]\n"
    found = json.loads(ask("budget", budget(ARGON + spent), "--format", "json").out)
    (actual,) = found["actuals"]
    assert (actual["budgeted"], actual["more"]) == ("60", "15")


def test_an_actual_of_another_time_is_an_error(budget: Callable[..., str], ask: Ask) -> None:
    answer = ask("budget", budget(f"{ARGON}actuals: [{{month: 2027-11, amount: 75}}]\n"))
    assert answer.exit_code == 2
    assert "budget.yaml:7:12" in answer.err
    assert "2026-11 to 2027-10" in answer.err


def test_a_run_that_is_not_possible_is_told(budget: Callable[..., str], ask: Ask) -> None:
    """A prompt beyond the model's context has a price all the same."""
    large = ARGON.replace("input-tokens: 1000", "input-tokens: 2000000")
    found = json.loads(ask("budget", budget(large), "--format", "json").out)
    assert found["warnings"][0].startswith("argon: the largest row has 2,000,000 prompt tokens")
    assert json.loads(ask("budget", budget(ARGON), "--format", "json").out)["warnings"] == []


OVER = "google (standard): 2026-12 comes to ${}.00, over the tier's monthly spend limit of ${}"


@pytest.mark.parametrize("limit", [180, 179])
def test_months_over_what_the_tier_may_spend_are_told(
    budget: Callable[..., str], ask: Ask, limit: int
) -> None:
    """A run is $3 to $6 and within either limit; 30 of them are $180 from December on."""
    file = budget(ARGON.replace("30}", f"30, limits: {{usd_month: {limit}}}}}"))
    found = json.loads(ask("budget", file, "--format", "json").out)
    said = [f"{OVER.format(180, 179)} (and 10 more months)"]
    assert found["warnings"] == (said if limit < 180 else [])


def test_the_jobs_at_one_vendor_draw_on_one_monthly_limit(
    budget: Callable[..., str], ask: Ask
) -> None:
    """Each is $180 a month, the vendor's lowest tier may spend $250."""
    second = ARGON[ARGON.index("  - {name") :].replace("argon,", "more,", 1)
    found = json.loads(ask("budget", budget(ARGON + second), "--format", "json").out)
    assert found["warnings"] == [f"{OVER.format(360, 250)} (and 10 more months)"]


def test_own_prices_are_held_against_the_list(
    tmp_path: Path, budget: Callable[..., str], ask: Ask
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "google.yaml").write_text(
        """\
schema: 1
provider: google
sources: {contract: {url: "file:contract.pdf", read: 2026-11-20}}
models:
  gemini-4-argon:
    prices: [{from: 2026-11-01, source: contract, rates: {input: 1, output: 5}}]
""",
        encoding="utf-8",
    )
    file = budget(f"pricing: [ours]\n{ARGON}")
    found = json.loads(ask("budget", file, "--format", "json").out)
    (job,) = found["jobs"]
    assert (job["total"]["expected"], job["list"]) == ("540", "2070")
    assert job["saved"] == "1530"
    lines = list(csv.DictReader(io.StringIO(ask("budget", file, "--format", "csv").out)))
    assert sum(Decimal(line["ListCost"]) for line in lines) == 2070
    assert any("contract" in each["source"] or "own" in each["source"] for each in found["sources"])


# --- a successor, a gap -----------------------------------------------------------------


RETIRING = """\
from: 2026-11
months: 2
jobs:
  - {name: old, rows: 1000, input-tokens: 100, output-tokens: 10, model: MODEL, lane: standard}
"""


@pytest.fixture
def retiring() -> str:
    """A budget on a shipped model that retires on 2026-11-30."""
    gone = date(2026, 11, 30)
    model = next(each for each in catalog.load().models() if each.retires == gone)
    return RETIRING.replace("MODEL", f"{model.provider}/{model.id}")


def test_what_has_no_price_is_null_and_said(
    retiring: str, budget: Callable[..., str], ask: Ask
) -> None:
    file = budget(retiring)
    found = json.loads(ask("budget", file, "--format", "json").out)
    assert found["total"]["expected"] is None
    assert Decimal(found["total"]["known"]) > 0
    assert found["months"][1]["expected"] is None
    (gap,) = found["gaps"]
    assert (gap["start"], gap["end"]) == ("2026-11-30", "2027-01-01")
    out = ask("budget", file).out
    assert "=> at least $" in out
    said = re.sub(r"\s+", " ", out)
    assert re.search(r"no price from 2026-11-30 on, so [\d,]+ rows in no total", said)


def test_a_guardrail_that_cannot_be_judged_is_unknown(
    retiring: str, budget: Callable[..., str], ask: Ask
) -> None:
    answer = ask("budget", budget(f"{retiring}guardrails: {{total: 1000}}\n"), "--check")
    assert answer.exit_code == 3
    assert answer.out.startswith("Guardrails: not known: old has no price from 2026-11-30 on")


# --- guardrails -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rails", "code", "said"),
    [
        ("{monthly: 180}", 0, "all hold (expected)"),
        ("{monthly: 179.99}", 1, "2026-12 costs $180.00 (expected), over the monthly $179.99 (11"),
        ("{total: 2070}", 0, "all hold"),
        ("{total: 2069.99}", 1, "the period costs $2,070.00 (expected), over the $2,069.99"),
        ("{per-1000-rows: 5.75}", 0, "all hold"),
        ("{per-1000-rows: 5.74}", 1, "argon costs $5.75 per 1,000 rows (expected), over the $5.74"),
        ("{}", 0, "none are set"),
    ],
)
def test_each_guardrail_on_both_sides(
    rails: str, code: int, said: str, budget: Callable[..., str], ask: Ask
) -> None:
    answer = ask("budget", budget(f"{ARGON}guardrails: {rails}\n"), "--check")
    assert (answer.exit_code, said in answer.out) == (code, True), answer.out
    assert answer.out.count("\n") == 1


def test_the_high_may_be_held_against_a_guardrail(budget: Callable[..., str], ask: Ask) -> None:
    wide = ARGON.replace("rows: 1000", "rows: {expected: 1000, high: 2000}")
    on = [
        ask("budget", budget(f"{wide}guardrails: {{monthly: 200, on: {end}}}\n"), "--check")
        for end in ("expected", "high")
    ]
    assert [each.exit_code for each in on] == [0, 1]
    assert "not if the high comes: 2026-12 costs $360.00 (high)" in on[0].out


def test_a_check_with_a_format_prints_both(budget: Callable[..., str], ask: Ask) -> None:
    file = budget(f"{ARGON}guardrails: {{total: 1}}\n")
    answer = ask("budget", file, "--check", "--format", "comment")
    assert answer.exit_code == 1
    assert answer.out.startswith("<!-- planner budget -->\n### x Budget")
    assert answer.err.startswith("Guardrails: over: the period costs $2,070.00")


# --- a baseline -------------------------------------------------------------------------


def changed(tmp_path: Path, budget: Callable[..., str], ask: Ask, now: str) -> dict[str, Any]:
    """The comparison of a changed file with the answer to the unchanged one."""
    earlier = tmp_path / "earlier.json"
    assert ask("budget", budget(ARGON), "--format", "json", "-o", str(earlier)).exit_code == 0
    answer = ask("budget", budget(now), "--baseline", str(earlier), "--format", "json")
    assert answer.exit_code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)["baseline"]
    return found


@pytest.mark.parametrize(
    ("old", "new", "effects"),
    [
        ("rows: 1000", "rows: 1100", {("argon", "volume"): "207"}),
        ("runs-per-month: 30", "runs-per-month: 15", {("argon", "volume"): "-1035"}),
        ("input-tokens: 1000", "input-tokens: 1500", {("argon", "input-tokens"): "690"}),
        ("output-tokens: 100", "output-tokens: 50", {("argon", "output-tokens"): "-345"}),
        ("lane: standard", "lane: batch", {("argon", "lane"): "-1035"}),
        ("runs-per", "rejected: 10%, runs-per", {("argon", "rejected"): "227.7"}),
        ("name: argon", "name: other", {("argon", "a job left out"): "-2070",
                                        ("other", "a new job"): "2070"}),
        ("months: 12", "months: 11", {("argon", "other months"): "-180"}),
    ],
)  # fmt: skip
def test_each_driver_explains_its_part(
    old: str,
    new: str,
    effects: dict[tuple[str, str], str],
    tmp_path: Path,
    budget: Callable[..., str],
    ask: Ask,
) -> None:
    found = changed(tmp_path, budget, ask, ARGON.replace(old, new))
    assert {(each["job"], each["driver"]): each["amount"] for each in found["effects"]} == effects
    assert sum(map(Decimal, effects.values())) == Decimal(found["difference"])


def test_effects_add_up_when_everything_changes(
    tmp_path: Path, budget: Callable[..., str], ask: Ask
) -> None:
    now = ARGON.replace("rows: 1000", "rows: 1337").replace("tokens: 1000", "tokens: 777")
    now = now.replace("lane: standard", "growth: 3%, rejected: 7%, lane: batch")
    found = changed(tmp_path, budget, ask, now)
    assert len(found["effects"]) == 4
    assert sum(Decimal(each["amount"]) for each in found["effects"]) == Decimal(found["difference"])


def test_an_increase_is_held_against_the_baseline(
    tmp_path: Path, budget: Callable[..., str], ask: Ask
) -> None:
    earlier = tmp_path / "earlier.json"
    ask("budget", budget(ARGON), "--format", "json", "-o", str(earlier))
    more = ARGON.replace("rows: 1000", "rows: 1100") + "baseline: earlier.json\n"
    for share, code in (("10%", 0), ("9.9%", 1)):
        answer = ask("budget", budget(f"{more}guardrails: {{increase: {share}}}\n"), "--check")
        assert answer.exit_code == code, answer.out
    assert "$2,277.00 is $207.00 over the baseline of $2,070.00, more than the 9.9 %" in answer.out


def test_an_increase_without_a_baseline_is_an_error(budget: Callable[..., str], ask: Ask) -> None:
    answer = ask("budget", budget(f"{ARGON}guardrails: {{increase: 10%}}\n"), "--check")
    assert answer.exit_code == 2
    assert "budget.yaml:7:14" in answer.err
    assert "--baseline FILE" in answer.err


def test_a_baseline_that_is_none_is_an_error(budget: Callable[..., str], ask: Ask) -> None:
    file = budget(ARGON)
    answer = ask("budget", file, "--baseline", file)
    assert answer.exit_code == 2
    assert "error[baseline]" in answer.err
