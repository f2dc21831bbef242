"""The answers as JSON: documented objects whose keys stay.

Money is a string of an exact decimal, times are seconds, tokens integers, shares 0 to 1. A
figure that is not known is null, never 0.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from planner.money import plain
from planner.words import iso

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.catalog import Source
    from planner.decision.cost import Cost, CostComponent
    from planner.decision.options import Option
    from planner.decision.timing import Finish, Probability
    from planner.decision.waiting import Waiting
    from planner.pipeline import Estimate
    from planner.workload.profile import TokenProfile
    from planner.workload.sizes import Range

Json = dict[str, Any]


def estimate(answer: Estimate) -> Json:
    """`planner.estimate/1`."""
    return {
        "schema": "planner.estimate/1",
        "catalog": {
            "digest": answer.catalog.digest,
            "as_of": answer.on.isoformat(),
            "oldest_source": _day(answer.evidence.oldest),
        },
        "workload": _workload(answer),
        "demand": _demand(answer),
        "tokens": [_tokens(profile) for profile in answer.measured.profiles],
        "options": [_option(option) for option in answer.decision.options],
        "decision": _decision(answer),
        "assumptions": list(answer.assumptions),
        "warnings": list(answer.warnings),
    }


def _workload(answer: Estimate) -> Json:
    facts = answer.measured.workload
    return {
        "path": str(facts.path) if facts else None,
        "format": facts.format if facts else None,
        "bytes": facts.bytes if facts else None,
        "digest": facts.digest if facts else None,
        "bad_rows": facts.bad_rows if facts else None,
        "rows": _range(answer.measured.profiles[0].rows),
    }


def _demand(answer: Estimate) -> Json:
    demand = answer.job.requirements
    return {
        "deadline": demand.deadline,
        "deadline_at": iso(answer.job.deadline_at),
        "confidence": demand.confidence,
        "respond_within": demand.respond_within,
        "max_cost": _decimal(demand.max_cost),
    }


def _range(of: Range) -> Json:
    return {"value": of.value, "low": of.low, "high": of.high}


def _tokens(profile: TokenProfile) -> Json:
    rows, sizes, output = profile.rows.value, profile.sizes, profile.output
    return {
        "model": profile.model,
        "counter": profile.counter,
        "grade": profile.grade,
        "method": profile.method,
        "n": profile.counted,
        "seed": profile.seed,
        "input": {
            **_range(profile.input),
            "row_p50": sizes.quantile(0.5),
            "row_p95": sizes.quantile(0.95),
            "row_max": sizes.largest,
        },
        "output": {
            **_range(profile.output_total),
            "ceiling": output.ceiling * rows,
            "row_limit": output.ceiling,
            "basis": output.basis,
            "said": output.said,
        },
        "shared_prefix": profile.shared_prefix,
    }


def _option(option: Option) -> Json:
    return {
        "id": option.id,
        "provider": option.provider,
        "model": option.model,
        "lane": option.lane,
        "strategy": option.strategy,
        "cache": option.cache,
        "cost": None if option.cost is None else _cost(option.cost),
        "finish": _finish(option.finish),
        "rescue": None if option.rescue is None else _rounded(asdict(option.rescue)),
        "p_deadline": _probability(option.p_deadline),
        "grade": option.grade,
        "verdict": option.verdict.value,
        "gates": [{"code": gate.code, "message": gate.message} for gate in option.gates],
        "risks": list(option.risks),
        "dominated": option.dominated,
    }


def _cost(cost: Cost) -> Json:
    return {
        "expected": plain(cost.expected),
        "low": plain(cost.low),
        "high": plain(cost.high),
        "p95": plain(cost.p95),
        "ceiling": plain(cost.ceiling),
        "components": [_component(each) for each in cost.components],
    }


def _component(part: CostComponent) -> Json:
    return {
        "lane": part.lane,
        "meter": part.meter,
        "over": part.over,
        "quantity": part.quantity,
        "rate": plain(part.rate),
        "amount": plain(part.amount),
    }


def _finish(finish: Finish) -> Json:
    return _rounded(asdict(finish))


def _probability(p: Probability | None) -> Json | None:
    return None if p is None else _rounded(asdict(p))


def _rounded(figures: Json) -> Json:
    """Seconds and shares to six decimals: what is left of a float below that says nothing."""
    return {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in figures.items()
    }


def _decision(answer: Estimate) -> Json:
    decision = answer.decision
    return {
        "choice": decision.choice,
        "why": decision.why,
        "by_model": {
            model.model: {
                "choice": model.choice,
                "why": model.why,
                "runner_up": model.runner_up,
                "flips": [_rounded(asdict(flip)) for flip in answer.flips.get(model.model, ())],
                "waiting": _waiting(answer.waiting.get(model.model)),
            }
            for model in decision.models
        },
    }


def _waiting(found: Waiting | None) -> Json | None:
    if found is None:
        return None
    return {
        "sooner": found.sooner,
        "later": found.later,
        "saved": plain(found.saved),
        "longer": round(found.longer, 6),
        "usd_per_hour": plain(found.per_hour),
    }


def _day(source: Source | None) -> str | None:
    return None if source is None else source.read.isoformat()


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
