"""A small job as the ledger sees it: a plan, an account, shards, and what each may cost at most."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.handoff import plan as plans
from planner.handoff.build import Shard
from planner.handoff.vendor import Account
from planner.money import Usd
from tests.answers import NOW

if TYPE_CHECKING:
    from planner.handoff.ledger import Job, Ledger
    from planner.handoff.plan import Plan

ACCOUNT = Account(
    provider="anthropic",
    base_url="https://api.anthropic.com",
    key_from="ANTHROPIC_API_KEY",
    organization="org-one",
    settings=("HTTPS_PROXY",),
)
CEILING = Usd(Decimal("1.25"))
_ONE = {"value": 10, "low": 10, "high": 10}
_MONEY = Decimal("0.5")


def plan(**request: Any) -> Plan:
    """A plan of 10 rows; another request makes another plan."""
    return plans.sealed(
        {
            "created": NOW.isoformat(),
            "workload": {
                "path": "rows.jsonl",
                "format": "jsonl",
                "bytes": 100,
                "digest": plans.digest("rows"),
                "rows": _ONE,
                "skip_bad_rows": False,
                "key": None,
            },
            "request": {
                "model": "claude-haiku-5-5",
                "endpoint": "/v1/messages",
                "max_output_tokens": 128,
                "prompt": None,
                "system": None,
                "json_schema": None,
                "params": {},
                **request,
            },
            "choice": {
                "option": "claude-haiku-5-5/batch",
                "provider": "anthropic",
                "model": "claude-haiku-5-5",
                "lane": "batch",
                "delivery": "async",
                "strategy": "single",
                "cache": False,
                "verdict": "meets",
                "grade": "C",
                "recommended": None,
                "why": "",
                "gives_up": (),
                "needs": None,
                "risks": (),
            },
            "demand": {
                "deadline": None,
                "confidence": Decimal("0.95"),
                "respond_within": None,
                "max_cost": None,
                "region": None,
                "tier": None,
                "limits": {},
                "latency": None,
                "concurrency": None,
                "failure_rate": Decimal("0.01"),
                "retries": 2,
                "degraded": False,
                "seed": 0,
            },
            "cost": {
                **dict.fromkeys(("expected", "low", "high", "p95", "ceiling"), _MONEY),
                "components": (),
            },
            "finish": {
                "p50": Decimal(1800),
                "p95": Decimal(29206),
                "bound": Decimal(86400),
                "batches": 1,
                "waves": 1,
                "rescue_at": None,
                "p_deadline": None,
            },
            "tokens": {
                "counter": "o200k_base",
                "grade": "ratio",
                "method": "counted",
                "input": _ONE,
                "largest_row": 1,
                "output": _ONE,
                "output_basis": "given",
                "shared_prefix": 0,
                "bytes_per_row": 10,
            },
            "rates": (),
            "catalog": {
                "digest": plans.digest("facts"),
                "as_of": NOW.date(),
                "oldest_source": None,
            },
            "accepted": {"assumed_output": False, "stale": ()},
            "stale": {"after": NOW.isoformat(), "price_changes": None, "retires": None},
            "assumptions": (),
            "warnings": (),
        }
    )


def shards(count: int) -> tuple[Shard, ...]:
    """So many shards of 10 rows."""
    return tuple(
        Shard(
            shard=number,
            file=f"shards/{number:05}.jsonl",
            rows=10,
            first=10 * number,
            bytes=100,
            sha256=f"{number:064x}",
            estimated_input_tokens=50,
        )
        for number in range(count)
    )


def admitted(ledger: Ledger, count: int = 1, **request: Any) -> Job:
    """The job of a plan of so many shards in a ledger."""
    made = plan(**request)
    return ledger.admit(
        made, ACCOUNT, {"anthropic": "2.12.0"}, shards(count), [CEILING] * count, None, NOW
    )
