"""A budget as CSV: a line a job, month, price and meter, under FinOps FOCUS column names.

FOCUS describes what was billed; a budget fills the same columns with what will be, so that a
spreadsheet or a warehouse lays both beside each other. Columns of our own begin with `x_`. The
sum of BilledCost is what is left to pay: credits are lines of their own, with a minus.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.decision.forecast import after
from planner.money import Rate, amount, plain
from planner.report.layout import Column, as_csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from planner.budgets import BudgetAnswer, JobAnswer
    from planner.decision.cost import CostComponent
    from planner.decision.forecast import MonthCost, Part

COLUMNS = (
    "BillingPeriodStart BillingPeriodEnd ChargePeriodStart ChargePeriodEnd ChargeCategory "
    "ChargeDescription ProviderName ServiceCategory ServiceName RegionId SkuId SkuMeter "
    "ConsumedQuantity ConsumedUnit PricingQuantity PricingUnit ListUnitPrice ContractedUnitPrice "
    "ListCost ContractedCost EffectiveCost BilledCost BillingCurrency Tags "
    "x_Job x_Rows x_PromptsOver x_PriceMissing"
).split()

Line = dict[str, str]


def focus(answer: BudgetAnswer) -> str:
    """Every component of every month, then the credits."""
    lines = [*_usage(answer), *_credits(answer)]
    columns = [Column(title=name) for name in COLUMNS]
    return as_csv(columns, ([line.get(name, "") for name in COLUMNS] for line in lines))


def _at(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _usage(answer: BudgetAnswer) -> Iterator[Line]:
    for job in answer.jobs:
        for place, month in enumerate(job.forecast.months):
            for part in month.parts:
                common = _part(answer, job, month, part)
                if part.rows and part.why is not None:
                    yield {**common, "x_PriceMissing": part.why}
                for each in part.components:
                    listed = _list_rate(job, place, part, each)
                    yield {**common, **_component(each, listed)}


def _part(answer: BudgetAnswer, job: JobAnswer, month: MonthCost, part: Part) -> Line:
    line = job.forecast.line
    return {
        **_period(month.month),
        "ChargePeriodStart": _at(part.start),
        "ChargePeriodEnd": _at(part.end),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{answer.title}: {line.name}, {line.id}, expected",
        "ProviderName": line.model.provider,
        "ServiceName": line.profile.model,
        "RegionId": line.region or "",
        "SkuId": line.id,
        "Tags": json.dumps(dict(line.tags)),
        "x_Job": line.name,
        "x_Rows": str(part.rows),
    }


def _period(month: date) -> Line:
    return {
        "BillingPeriodStart": _at(month),
        "BillingPeriodEnd": _at(after(month)),
        "ServiceCategory": "AI and Machine Learning",
        "BillingCurrency": "USD",
    }


def _component(of: CostComponent, listed: Rate | None) -> Line:
    cost = plain(of.amount)
    return {
        "SkuMeter": of.meter,
        "ConsumedQuantity": str(of.quantity),
        "ConsumedUnit": "Tokens",
        "PricingQuantity": plain(amount(of.quantity, A_MILLION)),
        "PricingUnit": "1000000 Tokens",
        "ListUnitPrice": "" if listed is None else plain(listed),
        "ContractedUnitPrice": plain(of.rate),
        "ListCost": "" if listed is None else plain(amount(of.quantity, listed)),
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "BilledCost": cost,
        "x_PromptsOver": "" if of.over is None else str(of.over),
    }


A_MILLION = Rate(Decimal(1))
"""A rate of 1 turns a quantity into millions of it, exactly."""


def _list_rate(job: JobAnswer, place: int, part: Part, of: CostComponent) -> Rate | None:
    """The published rate of the same meter in those days; None where there is not one for all."""
    for other in job.listed.months[place].parts:
        if other.start <= part.start and part.end <= other.end and other.card is not None:
            tiers = {tier.edge: tier.rates for tier in other.card.tiers}
            return tiers.get(of.over or 0, other.card.rates).get(of.meter)
    return None


def _credits(answer: BudgetAnswer) -> Iterator[Line]:
    whole = answer.budget
    for month, credit in zip(whole.months, whole.credited, strict=True):
        if credit:
            yield {
                **_period(month),
                "ChargePeriodStart": _at(month),
                "ChargePeriodEnd": _at(after(month)),
                "ChargeCategory": "Credit",
                "ChargeDescription": f"{answer.title}: credits",
                "BilledCost": f"-{plain(credit)}",
                "EffectiveCost": "0",
            }
