"""A budget as JSON: `planner.budget/1`, a documented object whose keys stay.

Money is a string of an exact decimal, times are seconds, tokens integers. A figure that is not
known is null; where rows without a price are missing from a sum, `known` has what is known of it.
"""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.budget_file import SCHEMA
from planner.decision.baseline import snapshot
from planner.decision.budget import Outcome
from planner.decision.forecast import Driver
from planner.money import Rate, plain, ratio
from planner.report import budget_words as words

if TYPE_CHECKING:
    from fractions import Fraction

    from planner.budgets import BudgetAnswer, Candidate, JobAnswer, Wait
    from planner.decision.baseline import Comparison, MonthSnapshot
    from planner.decision.cost import CostComponent
    from planner.decision.forecast import Figure, Forecast, MonthCost, Part, PriceChange, Spread

Json = dict[str, Any]


def budget(answer: BudgetAnswer) -> Json:
    """`planner.budget/1`."""
    whole, total = answer.budget, answer.budget.total
    return {
        "schema": SCHEMA,
        "title": answer.title,
        "file": answer.file,
        "period": {"from": words.month(whole.months[0]), "months": len(whole.months)},
        "catalog": {
            "digest": answer.digest,
            "as_of": answer.on.isoformat(),
            "oldest_source": _text(answer.evidence.oldest and answer.evidence.oldest.read),
        },
        "total": _figure(total, complete=answer.complete),
        "to_pay": plain(whole.to_pay) if answer.complete else None,
        "double_volume": plain(whole.doubled) if answer.complete else None,
        "months": _months(answer),
        "jobs": [
            _job(each, snapshot(whole)[each.forecast.line.name].months) for each in answer.jobs
        ],
        "drivers": _drivers(answer),
        "changes": [_change(change) for each in answer.jobs for change in each.forecast.changes],
        "gaps": _gaps(answer),
        "actuals": _actuals(answer),
        "guardrails": _guardrails(answer),
        "baseline": None if answer.comparison is None else _comparison(answer.comparison),
        "sources": [
            {"source": name, "read": read, "url": url} for name, read, url in words.sources(answer)
        ],
        "assumptions": list(words.assumptions(answer)),
        "warnings": list(answer.warnings),
        "left_out": words.LEFT_OUT,
    }


def _gaps(answer: BudgetAnswer) -> list[Json]:
    return [
        {**asdict(gap), "start": gap.start.isoformat(), "end": gap.end.isoformat()}
        for gap in answer.budget.gaps
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _fraction(value: Fraction) -> str:
    """A driver as a decimal; one that has no end is rounded to six places."""
    scaled = ratio(Rate(Decimal(value.numerator)), Rate(Decimal(value.denominator)))
    return plain(scaled)


def _figure(figure: Figure | None, *, complete: bool = True) -> Json | None:
    if figure is None:
        return None
    if not complete:
        nothing = dict.fromkeys(("expected", "low", "high", "best", "worst"))
        return {**nothing, "known": plain(figure.expected)}
    return {name: plain(value) for name, value in asdict(figure).items()}


def _months(answer: BudgetAnswer) -> list[Json]:
    whole = answer.budget
    rows = zip(whole.months, whole.by_month, whole.credited, strict=True)
    return [
        {
            "month": words.month(day),
            **(_figure(figure, complete=not _missing(answer, place)) or {}),
            "credits": plain(credit),
        }
        for place, (day, figure, credit) in enumerate(rows)
    ]


def _missing(answer: BudgetAnswer, place: int) -> bool:
    return any(each.forecast.months[place].gaps for each in answer.jobs)


def _drivers(answer: BudgetAnswer) -> list[Json]:
    return [
        {
            "job": each.job,
            "driver": each.driver.value,
            "from": _fraction(each.at_low),
            "to": _fraction(each.at_high),
            "total_at_low": plain(each.low),
            "total_at_high": plain(each.high),
            "difference": plain(each.width),
        }
        for each in answer.budget.swings
    ]


def _change(change: PriceChange) -> Json:
    return {
        "date": change.date.isoformat(),
        "job": change.job,
        "id": change.id,
        "what": change.what,
        "state": change.state,
        "factor": None if change.factor is None else _fraction(change.factor),
    }


def _actuals(answer: BudgetAnswer) -> list[Json]:
    return [
        {
            "month": words.month(each.spent.month),
            "through": _text(each.spent.through),
            "spent": plain(each.spent.amount),
            "budgeted": plain(each.budgeted),
            "more": plain(each.more),
        }
        for each in answer.budget.actuals
    ]


def _guardrails(answer: BudgetAnswer) -> Json:
    rails, broken = answer.judged.rails, answer.judged.breaches
    unknown = answer.judged.outcome is Outcome.UNKNOWN
    return {
        "on": rails.on,
        "monthly": _exact(rails.monthly),
        "total": _exact(rails.total),
        "per_1000_rows": _exact(rails.per_thousand),
        "increase": None if rails.increase is None else _fraction(rails.increase),
        "holds": None if unknown else not broken,
        "breaches": [{"guardrail": each.guardrail, "message": each.message} for each in broken],
    }


def _comparison(found: Comparison) -> Json:
    return {
        "name": found.name,
        "before": plain(found.before),
        "now": plain(found.now),
        "difference": plain(found.more),
        "share": None if found.share is None else _fraction(found.share),
        "effects": [
            {"job": each.job, "driver": each.driver, "amount": plain(each.amount)}
            for each in found.effects
        ],
    }


# --- one job ----------------------------------------------------------------------------


def _job(job: JobAnswer, months: Any) -> Json:
    of, line = job.forecast, job.forecast.line
    complete = not any(month.gaps for month in of.months)
    return {
        "name": line.name,
        "tags": dict(line.tags),
        "provider": line.model.provider,
        "model": line.profile.model,
        "lane": line.lane,
        "region": line.region,
        "rows": of.rows,
        "total": _figure(of.total, complete=complete),
        "per_row": _figure(of.per_row),
        "per_1000_rows": _figure(of.per_thousand),
        "per_accepted_row": _figure(of.per_accepted),
        "per_run": _figure(of.per_run),
        "drivers": {
            Driver.ROWS.value: _spread(line.rows),
            Driver.RUNS.value: _spread(line.runs),
            Driver.GROWTH.value: _spread(line.growth),
            Driver.REJECTED.value: _spread(line.rejected),
        },
        "months": [
            _month(of, place, each, months[each.month]) for place, each in enumerate(of.months)
        ],
        "list": plain(job.listed.total.expected) if _whole(job.listed) else None,
        "realtime_list": plain(job.realtime.total.expected) if _whole(job.realtime) else None,
        "saved": _exact(job.saved),
        "wait": _wait(job.wait),
        "alternatives": [_candidate(each) for each in job.candidates],
    }


def _whole(of: Forecast) -> bool:
    return not any(month.gaps for month in of.months)


def _spread(of: Spread) -> Json:
    return {
        "low": _fraction(of.low),
        "expected": _fraction(of.expected),
        "high": _fraction(of.high),
    }


def _month(of: Forecast, place: int, each: MonthCost, known: MonthSnapshot) -> Json:
    return {
        "month": words.month(each.month),
        "rows": each.rows,
        "billed_rows": each.billed,
        "accepted_rows": each.accepted,
        "cost": _figure(of.month(place), complete=not each.gaps),
        "meters": {
            name: {"quantity": meter.quantity, "amount": plain(meter.amount)}
            for name, meter in known.meters.items()
        },
        "parts": [_part(part) for part in each.parts],
    }


def _part(part: Part) -> Json:
    return {
        "from": part.start.isoformat(),
        "before": part.end.isoformat(),
        "rows": part.rows,
        "components": [_component(each) for each in part.components],
        "no_price": part.why,
    }


def _component(of: CostComponent) -> Json:
    return {
        "meter": of.meter,
        "over": of.over,
        "quantity": of.quantity,
        "rate": plain(of.rate),
        "amount": plain(of.amount),
    }


def _wait(wait: Wait | None) -> Json | None:
    if wait is None:
        return None
    finish, p = wait.option.finish, wait.option.p_deadline
    return {
        "deadline": wait.deadline,
        "p50": _rounded(finish.p50),
        "p95": _rounded(finish.p95),
        "bound": _rounded(finish.bound),
        "p_deadline": None if p is None else {k: _rounded(v) for k, v in asdict(p).items()},
        "grade": wait.option.grade,
        "verdict": wait.option.verdict.value,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _candidate(each: Candidate) -> Json:
    known = each.forecast if each.none is None else None
    return {
        "id": each.id,
        "total": None if known is None else _figure(known.total),
        "per_1000_rows": None if known is None else _figure(known.per_thousand),
        "wait": _wait(each.wait),
        "none": each.none,
    }
