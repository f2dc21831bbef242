"""A ledger with jobs in it, as the Jobs screen finds them; two shards of 2,000 rows each."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.handoff import build as builds
from planner.handoff import plan as plans
from planner.handoff.build import Shard
from planner.handoff.ledger import Ledger
from planner.handoff.vendor import Counts
from planner.money import Usd
from tests.answers import NOW
from tests.handoff import jobs as made

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.plan import Plan

BEGUN = NOW - timedelta(hours=2)
ROWS = 4000


def planned(path: str, *, due: datetime | None = None, **request: Any) -> Plan:
    """A plan of 4,000 rows: typically 30m, 95 % by 8h07, $40 expected."""
    before = made.plan(**request).model_dump(mode="json", by_alias=True)
    before.pop("id")
    before["created"] = BEGUN.isoformat()
    before["workload"]["path"] = path
    before["workload"]["rows"] = dict.fromkeys(("value", "low", "high"), ROWS)
    before["cost"]["expected"] = "40"
    before["demand"]["deadline"] = None if due is None else due.isoformat()
    return plans.sealed(before)


class Book:
    """A ledger, and jobs in it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(folder)

    def job(self, plan: Plan, shards: int = 2) -> str:
        """A job of so many batches, none of them sent."""
        folder = self.ledger.job_folder(plan.nonce)
        folder.mkdir(parents=True)
        plans.write(plan, folder / builds.PLAN)
        parts = [
            Shard(
                shard=n,
                file=f"shard-{n}.jsonl",
                rows=ROWS // shards,
                first=n * (ROWS // shards),
                bytes=1000,
                sha256=f"{n}" * 64,
                estimated_input_tokens=1000,
            )
            for n in range(shards)
        ]
        lines = "\n".join(each.as_json(plan.id) for each in parts)
        (folder / builds.MANIFEST).write_text(lines, encoding="utf-8")
        self.ledger.admit(
            plan, made.ACCOUNT, {}, parts, [made.CEILING] * shards, Usd(Decimal(60)), BEGUN
        )
        return plan.nonce

    def send(self, job: str, shard: int) -> None:
        """At the vendor since the beginning."""
        attempt = self.ledger.attempts(job)[shard]
        attempt = self.ledger.move(attempt, "send", BEGUN)
        facts: dict[str, Any] = {"batch_id": f"batch-{job}-{shard}", "created_at": BEGUN}
        self.ledger.move(attempt, "created", BEGUN, **facts)

    def end(self, job: str, shard: int, minutes: int, **counts: int) -> None:
        """Over, brought home and merged."""
        at = BEGUN + timedelta(minutes=minutes)
        attempt = self.ledger.attempts(job)[shard]
        found = Counts(total=ROWS // 2, **counts)
        attempt = self.ledger.move(attempt, "ended", at, ended_at=at, counts=found)
        attempt = self.ledger.move(attempt, "fetched", at)
        self.ledger.move(attempt, "merged", at)
