"""From the command line, against both vendors on loopback: pilot, bill, what is learned."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.handoff import learned, rehearsal
from planner.handoff import plan as plans
from tests.handoff.counter import QUICK, Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.answers import Answer, Ask

    Make = Callable[..., Counter]

AS_PLANNED = rehearsal.Conduct(answers=rehearsal.Answers(mean=20.0), turnaround=QUICK)


@pytest.fixture
def make(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[Counter] = []

    def counter(**more: Any) -> Counter:
        made.append(Counter(ask, tmp_path, monkeypatch, **{"conduct": AS_PLANNED, **more}))
        return made[-1]

    yield counter
    for each in made:
        each.close()


def sent(counter: Counter, *more: str, rows: int = 40) -> plans.Plan:
    """A job that is over."""
    path = counter.plan(*more, rows=rows)
    answer = counter.submit(path)
    assert answer.exit_code == 0, answer.err
    return plans.read(path)


def bill(counter: Counter, *more: str) -> Any:
    answer = counter("reconcile", counter.job[:6], "--format", "json", *more)
    assert answer.exit_code in (0, 1), answer.err
    return json.loads(answer.out)


def total(found: list[Any], name: str) -> Decimal:
    return sum((Decimal(each[name]) for each in found), Decimal(0))


# --- reconcile --------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_bill_is_what_the_ledger_has_and_its_reasons_add_up(make: Make, provider: str) -> None:
    counter = make(provider=provider)
    plan = sent(counter, "--tag", "project=orders")
    found = bill(counter, "--tag", "team=b")
    with counter.ledger as ledger:
        assert Decimal(found["billed"]) == ledger.exposure(counter.job).billed
    assert Decimal(found["planned"]) == plan.cost.expected
    assert total(found["reasons"], "amount") == Decimal(found["variance"])
    assert total(found["components"], "variance") == Decimal(found["variance"])
    assert found["rows"]["built"] == found["rows"]["billed"] == 40
    assert found["tags"] == {"project": "orders", "team": "b"}
    used = found["usage"]
    assert sum(used.values()) == sum(each["billed"]["quantity"] for each in found["components"])
    told = {each["tier"] for each in found["tiers"]}
    assert told == {"batch" if provider == "anthropic" else "default"}
    agreed = [each["agrees"] for each in found["vendor_totals"]]
    assert agreed == ([] if provider == "anthropic" else [True])


def test_the_threshold_decides_the_exit(make: Make) -> None:
    counter = make()
    sent(counter)
    share = abs(bill(counter)["share"])
    assert 0.002 < share < 0.98
    within = counter("reconcile", counter.job, "--threshold", f"{share + 0.001:.6f}")
    over = counter("reconcile", counter.job, "--threshold", f"{share - 0.001:.6f}")
    assert (within.exit_code, over.exit_code) == (0, 1)
    assert "within the threshold" in within.out
    assert "OVER the threshold" in over.err


def test_what_the_vendor_billed_is_a_reason_of_its_own(make: Make, tmp_path: Path) -> None:
    counter = make()
    sent(counter)
    ours = Decimal(bill(counter)["billed"])
    export = tmp_path / "costs.csv"
    export.write_text(f"Date,BilledCost\n2026-11-22,{ours}\n2026-11-23,0.25\n", encoding="utf-8")
    for given in (str(ours + Decimal("0.25")), str(export)):
        found = bill(counter, "--vendor-total", given)
        assert Decimal(found["billed"]) == ours + Decimal("0.25")
        last = found["reasons"][-1]
        assert (last["code"], last["amount"]) == ("vendor", "0.25")
    export.write_text("Date,What\n2026-11-22,0.25\n", encoding="utf-8")
    assert counter("reconcile", counter.job, "--vendor-total", str(export)).exit_code == 2
    export.write_text("BilledCost\nmuch\n", encoding="utf-8")
    wrong = counter("reconcile", counter.job, "--vendor-total", str(export))
    assert "costs.csv:2" in wrong.err


def test_the_csv_adds_up_under_focus_names(make: Make) -> None:
    counter = make()
    plan = sent(counter, "--tag", "project=orders")
    found = bill(counter)
    out = counter("reconcile", counter.job, "--format", "csv").out
    lines = list(csv.DictReader(io.StringIO(out)))
    assert total(lines, "BilledCost") == Decimal(found["billed"])
    assert total(lines, "x_PlannedCost") == plan.cost.expected
    assert total(lines, "x_Variance") == Decimal(found["variance"])
    assert {line["Tags"] for line in lines} == {'{"project": "orders"}'}
    for line in lines:
        quantity, price = Decimal(line["PricingQuantity"]), Decimal(line["ContractedUnitPrice"])
        assert quantity * price == Decimal(line["BilledCost"]) == Decimal(line["ListCost"])
        assert quantity * 1_000_000 == Decimal(line["ConsumedQuantity"])


def test_rows_that_failed_are_a_reason(make: Make) -> None:
    error = rehearsal.RowError(status=500, kind="api_error", message="overloaded")
    answers = rehearsal.Answers(mean=20.0, refused=0.3, error=error)
    counter = make(conduct=rehearsal.Conduct(answers=answers, turnaround=QUICK))
    path = counter.plan(rows=40)
    assert counter.submit(path).exit_code == 1
    found = bill(counter)
    failed = found["rows"]["errored"]
    assert failed > 0
    (reason,) = (each for each in found["reasons"] if each["code"] == "errored")
    assert Decimal(reason["amount"]) < 0
    assert f"{failed} rows failed" in reason["said"]
    assert total(found["reasons"], "amount") == Decimal(found["variance"])


def test_no_job_and_no_such_job_are_said(make: Make) -> None:
    counter = make()
    assert "no-jobs" in counter("reconcile", "abc").err
    assert counter("calibration").exit_code == 2
    sent(counter)
    assert counter("reconcile", "zzz").exit_code == 2


# --- what is learned --------------------------------------------------------------------


def estimate(counter: Counter, *more: str) -> Any:
    rows = counter.folder / "rows.jsonl"
    job = ("--prompt", "{{ text }}", "--model", "claude-haiku-5-5", "--format", "json", *more)
    answer = counter("estimate", str(rows), *job)
    assert answer.exit_code == 0, answer.err
    return json.loads(answer.out)


def test_a_finished_job_narrows_the_next_estimate_visibly(make: Make) -> None:
    counter = make()
    path = counter.plan(rows=40)
    assert estimate(counter)["tokens"][0]["output"]["basis"] == "assumed"
    assert counter.submit(path).exit_code == 0
    after = estimate(counter)["tokens"][0]["output"]
    written = bill(counter)["usage"]["output"]
    assert (after["basis"], after["value"]) == ("history", written)
    assert "a job of 40 answers on 2026-11-22" in after["said"]
    (counter.folder / "empty.jsonl").write_text("", encoding="utf-8")
    alone = estimate(counter, "--history", str(counter.folder / "empty.jsonl"))
    assert alone["tokens"][0]["output"]["basis"] == "assumed"


def test_every_finished_job_is_in_the_calibration(make: Make) -> None:
    counter = make()
    plan = sent(counter, "--deadline", "30h")
    found = json.loads(counter("calibration", "--format", "json").out)
    (line,) = found["by_job"]
    assert Decimal(line["expected"]) == plan.cost.expected
    assert Decimal(line["billed"]) == Decimal(bill(counter)["billed"])
    assert line["in_time"] is True
    assert [each["n"] for each in found["cost"]] == [1, 1, 1]
    assert found["deadline"][0]["hits"] == 1


def test_what_a_job_taught_outlives_its_files(make: Make) -> None:
    counter = make()
    sent(counter)
    before = counter("calibration", "--format", "json").out
    purged = counter("jobs", "purge", counter.job, "--yes")
    assert purged.exit_code == 0, purged.err
    assert counter("calibration", "--format", "json").out == before
    assert estimate(counter)["tokens"][0]["output"]["basis"] == "history"
    gone = counter("reconcile", counter.job)
    assert (gone.exit_code, "purged" in gone.err) == (2, True)


# --- pilot ------------------------------------------------------------------------------


def pilot(counter: Counter, *more: str, rows: int = 60) -> Answer:
    path = counter.rows(rows)
    job = ("--prompt", "{{ text }}", "--model", "claude-haiku-5-5", *counter.to)
    return counter("pilot", str(path), *job, *more)


AGREED = ("--yes", "--max-cost", "0.50")


def test_a_pilot_says_what_it_costs_and_cost_and_what_it_found(make: Make) -> None:
    counter = make()
    answer = pilot(counter, "-n", "30", *AGREED, "--format", "json")
    assert answer.exit_code == 0, answer.err
    assert "30 rows of 60 by chance" in answer.err
    assert "cap $0.50" in answer.err
    found = json.loads(answer.out)
    with counter.ledger as ledger:
        assert Decimal(found["billed"]) == ledger.exposure(found["job"]).billed > 0
    assert (found["rows"], found["of"], found["output"]["n"]) == (30, 60, 30)
    low, value, high = (found["output"]["all_rows"][each] for each in ("low", "value", "high"))
    assert low <= value <= high <= found["output"]["all_rows"]["ceiling"]
    assert found["output"]["unseen"] == pytest.approx(1 - 0.05 ** (1 / 30), abs=1e-6)
    assert found["prompt"]["billed"] > 0
    assert len(found["answers"]) == 5
    assert all(each["text"] for each in found["answers"])


def test_a_pilot_sets_the_next_estimate_and_plan(make: Make) -> None:
    counter = make()
    pilot(counter, "-n", "30", *AGREED)
    known = estimate(counter)["tokens"][0]["output"]
    assert known["basis"] == "pilot"
    assert "a pilot of 30 answers on 2026-11-22" in known["said"]
    assert "may still run to the limit" in known["said"]
    path = counter.folder / "next.plan.yaml"
    job = ("--prompt", "{{ text }}", "--model", "claude-haiku-5-5", "-o", str(path))
    answer = counter("plan", str(counter.folder / "rows.jsonl"), *job)
    assert answer.exit_code == 0, answer.err
    assert plans.read(path).tokens.output_basis == "pilot"


def test_the_same_pilot_is_not_paid_twice_and_a_larger_one_holds_it(make: Make) -> None:
    counter = make()
    first = json.loads(pilot(counter, "-n", "10", *AGREED, "--format", "json").out)
    asked = len(counter.server.record.sent)
    again = pilot(counter, "-n", "10", *AGREED)
    assert "run before" in again.out
    assert len(counter.server.record.sent) - asked <= 1
    larger = pilot(counter, "-n", "20", *AGREED, "--format", "json", "--show", "20")
    keys = {each["key"] for each in json.loads(larger.out)["answers"]}
    assert {each["key"] for each in first["answers"]} <= keys
    with counter.ledger as ledger:
        assert [each.source for each in learned.lessons(ledger)] == ["pilot", "pilot"]


def test_a_later_job_takes_a_pilots_answers_and_does_not_pay_for_them(make: Make) -> None:
    counter = make()
    found = json.loads(
        pilot(counter, "-n", "10", "--max-output-tokens", "64", *AGREED, "--format", "json").out
    )
    with counter.ledger as ledger:
        asked = {row["key"]: row["text"] for row in counter.answers(found["job"])}
        assert ledger.exposure(found["job"]).billed > 0
    path = counter.plan("--max-output-tokens", "64", rows=60)
    answer = counter.submit(path)
    assert answer.exit_code == 0, answer.err
    assert "10 answers of a pilot: not sent again" in answer.err
    job = plans.read(path).nonce
    rows = counter.answers(job)
    assert [row["key"] for row in rows] == [f"k{n}" for n in range(60)]
    assert len({row["text"] for row in rows} & set(asked.values())) == 10
    bill_ = json.loads(counter("reconcile", job, "--format", "json").out)
    assert (bill_["rows"]["built"], bill_["rows"]["billed"]) == (50, 50)
    (reason,) = (each for each in bill_["reasons"] if each["code"] == "rows")
    assert "50 rows to run, 60 planned" in reason["said"]
    assert total(bill_["reasons"], "amount") == Decimal(bill_["variance"])


@pytest.mark.parametrize(
    "more", [("--max-output-tokens", "65"), ("--param", 'metadata={"user_id": "u"}')]
)
def test_another_request_is_asked_anew(make: Make, more: tuple[str, ...]) -> None:
    counter = make()
    pilot(counter, "-n", "10", "--max-output-tokens", "64", *AGREED)
    limit = () if "--max-output-tokens" in more else ("--max-output-tokens", "64")
    answer = counter.submit(counter.plan(*more, *limit, rows=60))
    assert "answers of a pilot" not in answer.err
    assert len(counter.answers(plans.read(counter.folder / "job.plan.yaml").nonce)) == 60


def test_answers_that_were_cut_are_a_no_with_what_to_do(make: Make) -> None:
    counter = make()
    answer = pilot(counter, "-n", "30", "--max-output-tokens", "10", *AGREED)
    assert answer.exit_code == 1
    assert "answers hit max_tokens (10)" in answer.out
    assert "--max-output-tokens 32" in " ".join(answer.out.split())
    borne = pilot(
        counter, "-n", "30", "--max-output-tokens", "10", "--allow-failures", "0.99", *AGREED
    )
    assert borne.exit_code == 0


def test_nothing_is_sent_without_a_yes_or_without_a_cap(make: Make) -> None:
    counter = make()
    assert pilot(counter, "-n", "5", "--yes").exit_code == 2
    assert pilot(counter, "-n", "5").exit_code == 2
    counter.types("n")
    refused = pilot(counter, "-n", "5", "--max-cost", "1")
    assert (refused.exit_code, "nothing was sent" in refused.err) == (1, True)
    assert counter.paid == 0
    counter.types("y")
    assert pilot(counter, "-n", "5", "--max-cost", "1").exit_code in (0, 1)


@pytest.mark.parametrize("agreed", [(), AGREED])
def test_a_pilot_of_a_vendor_that_planner_cannot_send_to_asks_nobody(
    make: Make, agreed: tuple[str, ...]
) -> None:
    counter = make()
    counter.types("y")
    job = ("--prompt", "{{ text }}", "--model", "gemini-2.5-flash", "-n", "5")
    answer = counter("pilot", str(counter.rows(60)), *job, *agreed, *counter.to)
    assert (answer.exit_code, answer.out) == (3, "")
    assert answer.err.startswith("error[no-vendor]: planner hands no jobs to")
    assert "[y/N]" not in answer.err
    assert not counter.data.exists()


@pytest.mark.parametrize("end", ["no", "refused", "done"])
def test_drawn_rows_are_on_the_disk_no_longer_than_they_are_needed(
    make: Make, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    counter = make()
    counter.types("n")
    agreed = () if end == "no" else AGREED
    if end == "refused":
        (counter.folder / "planner").mkdir()
        (counter.folder / "planner" / "policy.yaml").write_text("vendors: [openai]\n")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(counter.folder))
    pilot(counter, "-n", "10", *agreed)
    left = [each.name for each in (counter.data / "pilots").iterdir()]
    assert [each for each in left if each.endswith(".jsonl")] == []
    assert len(left) == (end not in ("no", "refused")), "the plan of a job is how it is found again"
    if end == "done":
        assert "run before" in pilot(counter, "-n", "10", *AGREED).out
        assert counter("jobs", "purge", counter.job, "--yes").exit_code == 0
        assert list((counter.data / "pilots").iterdir()) == []


def test_a_pilot_over_its_cap_is_not_begun(make: Make) -> None:
    counter = make()
    answer = pilot(counter, "-n", "50", "--yes", "--max-cost", "0.0000001")
    assert answer.exit_code in (1, 4)
    with counter.ledger as ledger:
        assert all(ledger.exposure(each.id).billed == 0 for each in ledger.jobs())


def test_a_pilot_that_meets_its_cap_goes_on_under_a_higher_one(make: Make) -> None:
    """Of 20 rows some fit under the cap, each with its ceiling set aside first."""
    counter = make()
    limit = ("-n", "20", "--max-output-tokens", "128")
    short = pilot(counter, *limit, "--yes", "--max-cost", "0.00021")
    assert short.exit_code == 1, short.out + short.err
    assert "give a higher --max-cost" in " ".join(short.out.split())
    whole = pilot(counter, *limit, *AGREED, "--format", "json")
    found = json.loads(whole.out)
    assert (whole.exit_code, found["rows"]) == (0, 20)
    with counter.ledger as ledger:
        assert len(ledger.jobs()) == 1


def test_a_rehearsed_pilot_costs_nothing_and_keeps_nothing(make: Make) -> None:
    counter = make()
    path = counter.rows(60)
    job = ("--prompt", "{{ text }}", "--model", "claude-haiku-5-5", "-n", "20", "--rehearse")
    answer = counter("pilot", str(path), *job)
    assert "This was a rehearsal" in answer.out
    assert not counter.data.exists()
    assert counter.server.record.sent == []


def test_a_pilot_is_of_a_file_and_one_model(make: Make) -> None:
    counter = make()
    figures = ("--rows", "5", "--input-tokens", "9", "--model", "claude-haiku-5-5")
    assert "no-workload" in counter("pilot", *figures, *AGREED).err
    both = pilot(counter, "--model", "gpt-6.2-sol", *AGREED)
    assert "one-model" in both.err


# --- both legs --------------------------------------------------------------------------


def test_a_rescue_reconciles_over_both_lanes(make: Make) -> None:
    slow = rehearsal.steady(rehearsal.Pace(running=100_000))
    counter = make(conduct=rehearsal.Conduct(answers=rehearsal.Answers(mean=20.0), turnaround=slow))
    option = "claude-haiku-5-5/batch>standard"
    path = counter.plan("--choose", option, "--deadline", "4h", "--limit", "rpm=1000", rows=30)
    answer = counter.submit(path)
    assert answer.exit_code == 0, answer.err
    found = bill(counter)
    with counter.ledger as ledger:
        assert Decimal(found["billed"]) == ledger.exposure(counter.job).billed
    used = {each["lane"] for each in found["components"] if each["billed"]}
    assert used == {"batch", "standard"}
    assert (found["rows"]["billed"], found["rows"]["repeated"]) == (30, 0)
    (lane,) = (each for each in found["reasons"] if each["code"] == "lane")
    assert lane["before"] < lane["after"] < 1
    assert Decimal(lane["amount"]) > 0
    assert total(found["reasons"], "amount") == Decimal(found["variance"])
    assert total(found["components"], "variance") == Decimal(found["variance"])


def test_a_ratio_that_was_learned_is_not_a_reason_twice(make: Make) -> None:
    """Long texts, of which the loopback vendor counts other tokens than planner does."""
    counter = make()
    rows = counter.folder / "long.jsonl"
    text = "Where is my order, and when will it come? " * 30
    lines = (json.dumps({"id": n, "text": f"{text} {n}"}) + "\n" for n in range(60))
    rows.write_text("".join(lines), encoding="utf-8")
    job = ("--prompt", "{{ text }}", "--model", "claude-haiku-5-5")
    sent_ = counter("pilot", str(rows), *job, "-n", "30", *AGREED, *counter.to)
    assert sent_.exit_code == 0, sent_.err
    path = counter.folder / "long.plan.yaml"
    more = ("--lane", "batch", "--max-output-tokens", "512", "-o", str(path))
    assert counter("plan", str(rows), *job, *more).exit_code == 0
    plan = plans.read(path)
    assert plan.tokens.grade == "measured"
    assert counter.submit(path).exit_code == 0
    answer = counter("reconcile", plan.nonce, "--format", "json")
    found = json.loads(answer.out)
    by_code = {each["code"]: Decimal(each["amount"]) for each in found["reasons"]}
    for code in ("prompt-length", "tokenizer"):
        assert abs(by_code.get(code, Decimal(0))) < plan.cost.expected / 100
    assert sum(by_code.values()) == Decimal(found["variance"])
