"""Recorded results of the real vendors add up to the vendors' own figures, token for token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from planner.handoff.billing import Bill
from planner.handoff.providers import vendors
from planner.handoff.reconcile import Actual, Rows, VendorTotal, reconcile
from planner.handoff.usage import Usage
from tests.handoff.bills import book, component, plan
from tests.handoff.contract.test_recordings import NAMES, body, tape
from tests.handoff.contract.test_recordings import pytestmark as beside_the_checkout

pytestmark = beside_the_checkout
TAPES = [(provider, name) for provider, names in NAMES.items() for name in names]


def results(provider: str, name: str) -> list[bytes]:
    """Every result line that was downloaded, once."""
    lines = [
        line
        for call, said in tape(provider, name)
        if call.endswith(("/results", "/content")) and said.status == 200
        for line in body(said).split(b"\n")
        if line.strip()
    ]
    return list(dict.fromkeys(lines))


def own_figures(line: bytes) -> dict[str, int] | None:
    """The vendor's own usage of a row, read apart from planner; None where there is none."""
    row: Any = json.loads(line)
    if "result" in row:
        usage = (row["result"].get("message") or {}).get("usage")
        cached = ("cache_creation_input_tokens", "cache_read_input_tokens")
        return usage and {
            "read": usage["input_tokens"] + sum(usage[each] or 0 for each in cached),
            "written": usage["output_tokens"],
        }
    usage = ((row.get("response") or {}).get("body") or {}).get("usage")
    if not usage:
        return None
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return {"read": usage["prompt_tokens"], "written": usage["completion_tokens"]}


@pytest.mark.parametrize(("provider", "name"), TAPES)
def test_recorded_rows_reconcile_to_the_vendors_own_totals(provider: str, name: str) -> None:
    lines, parse = results(provider, name), vendors.reading(provider)
    bill, ours, theirs = Bill(book("slow")), Usage(), {"read": 0, "written": 0}
    billed = 0
    for line in lines:
        usage, own = parse(line).usage, own_figures(line)
        assert (usage is None) == (own is None)
        if usage is None or own is None:
            continue
        assert (usage.prompt, usage.written) == (own["read"], own["written"])
        bill.add(usage, "slow")
        ours += usage
        billed += 1
        theirs = {key: theirs[key] + own[key] for key in theirs}
    assert (ours.prompt, ours.written, ours.total) == (*theirs.values(), sum(theirs.values()))
    assert sum(line.quantity for line in bill.lines) == sum(theirs.values())
    _reconciles(bill, ours, rows=len(lines), billed=billed)


def _reconciles(bill: Bill, ours: Usage, *, rows: int, billed: int) -> None:
    job = plan((component("slow", "input", 1000), component("slow", "output", 1000)))
    found = reconcile(
        job,
        Actual(
            rows=Rows(built=max(rows, billed), billed=billed),
            quantities={line.key: line.quantity for line in bill.lines},
            usage=ours,
            replies={"slow": billed} if billed else {},
            totals=(VendorTotal(name="b", theirs=ours, ours=ours),),
        ),
    )
    assert found.billed == bill.amount
    assert sum(each.amount or 0 for each in found.reasons) == found.variance
    assert not found.actual.totals[0].differs


def test_there_are_recorded_rows() -> None:
    """A tape without a result would let everything above pass."""
    assert sum(len(results(*each)) for each in TAPES) >= 12
