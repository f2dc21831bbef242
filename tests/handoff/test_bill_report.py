"""What people see of a bill beside its plan: the same figures in every form."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from planner.closing import Closed
from planner.handoff.ledger import Job
from planner.handoff.reconcile import Actual, Rows, VendorTotal, reconcile
from planner.handoff.usage import Usage
from planner.money import Usd
from planner.report.bill import BILL, Shown
from tests.handoff.bills import EDGE, book, component, plan
from tests.handoff.jobs import ACCOUNT
from tests.handoff.test_learned import lesson

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"table": "txt", "json": "json", "csv": "csv", "md": "md"}
CREATED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def shown(**more: Any) -> Shown:
    """A rescue in which nearly everything came otherwise than planned."""
    parts = (
        component("slow", "input", 90_000),
        component("slow", "output", 18_000),
        component("quick", "input", 10_000),
        component("quick", "output", 2_000),
    )
    job = plan(parts, lanes=("slow", "quick"))
    usage = Usage(input=70_000, cache_read=30_000, output=20_000, reasoning=4_000)
    actual = Actual(
        rows=Rows(
            built=1000, billed=960, errored=20, expired=8, repeated=2, truncated=7, ambiguous=1
        ),
        quantities={
            ("slow", "input", None): 60_000,
            ("slow", "cache_read", None): 30_000,
            ("slow", "output", None): 20_000,
            ("quick", "input", None): 8_000,
            ("quick", "input", EDGE): 2_000,
            ("quick", "output", None): 4_000,
        },
        usage=usage,
        replies={"slow": 860, "quick": 102},
        counted=97_000,
        proofs={("slow", "batch"): 860, ("quick", None): 102},
        totals=(
            VendorTotal(name="batch_1", theirs=usage, ours=usage),
            VendorTotal(name="batch_2", theirs=Usage(input=10), ours=Usage(input=8)),
        ),
        at_most=Usd(Decimal("0.002")),
        **more,
    )
    closed = Closed(
        job=Job(
            id=job.nonce,
            plan_id=job.id,
            provider="acme",
            model="tall",
            lane="slow",
            strategy="rescue",
            account=ACCOUNT,
            fingerprint="f",
            versions={},
            rows=1000,
            cap=None,
            created=CREATED,
            state="done",
        ),
        plan=job,
        reconciliation=reconcile(job, actual, book=book("slow", "quick")),
        lesson=lesson(),
        listed=book("slow", "quick", times="2"),
        day=date(2026, 12, 1),
        unmeasured=0,
    )
    return Shown(closed=closed, threshold=Fraction(1, 10), tags={"project": "orders"})


@pytest.mark.parametrize("form", SUFFIXES)
def test_golden(form: str) -> None:
    out = BILL[form](shown())
    golden = GOLDEN / f"bill.{SUFFIXES[form]}"
    if not golden.exists():
        golden.write_text(out, encoding="utf-8")
        pytest.fail(f"{golden.name} is written anew: read it and run again")
    assert out == golden.read_text(encoding="utf-8")


def test_every_form_shows_the_same_figures() -> None:
    of = shown()
    data = json.loads(BILL["json"](of))
    lines = list(csv.DictReader(io.StringIO(BILL["csv"](of))))
    variance = Decimal(data["variance"])
    assert sum(Decimal(each["amount"]) for each in data["reasons"]) == variance
    assert sum(Decimal(line["x_Variance"]) for line in lines) == variance
    assert sum(Decimal(line["BilledCost"]) for line in lines) == Decimal(data["billed"])
    assert sum(Decimal(line["ListCost"]) for line in lines) == 2 * Decimal(data["billed"])
    for form in ("table", "md"):
        text = BILL[form](of)
        assert all(each["said"] in text for each in data["reasons"])
        assert "batch_2 otherwise: prompt 10, not 8" in " ".join(text.split())


def test_what_the_vendor_billed_besides_is_named_with_what_may_explain_it() -> None:
    of = shown(vendor=Usd(Decimal("0.15")))
    data = json.loads(BILL["json"](of))
    assert data["billed"] == "0.15"
    assert "1 lost answer may cost up to $0.0020 of it" in data["reasons"][-1]["said"]
    assert sum(Decimal(each["amount"]) for each in data["reasons"]) == Decimal(data["variance"])


def test_a_rate_that_is_not_known_is_said_and_is_no_number() -> None:
    of = shown()
    lacking = reconcile(of.held.plan, of.held.actual, book=book("slow"))
    text = BILL["table"](
        Shown(
            closed=Closed(
                **{
                    **{name: getattr(of.closed, name) for name in Closed.__slots__},
                    "reconciliation": lacking,
                }
            ),
            threshold=of.threshold,
        )
    )
    assert "the bill is not known: a rate of it is not published" in text
    assert "cannot be said" in text
