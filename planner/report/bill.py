"""A bill beside its plan, and what all bills say of all plans: text, data, CSV, Markdown.

Reasons are sentences with their figures in them, so that the variance can be read aloud; their
amounts stand in a column and add up to it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from planner.money import UNITS_PER_RATE, Rate, Usd, amount, difference, dollars, plain
from planner.report.layout import (
    UNKNOWN,
    Column,
    as_csv,
    as_json,
    markdown,
    printable,
    table,
    wrapped,
)
from planner.words import batches, compact, counted, iso, portion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from planner.closing import Closed
    from planner.handoff.billing import Line
    from planner.handoff.reconcile import Component, Reason, Reconciliation

Json = dict[str, Any]

A_MILLION = Rate(Decimal(1))
"""A rate of 1 turns a quantity into millions of it, exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A closed job with what it is held against, and whom it is charged to."""

    closed: Closed
    threshold: Fraction
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def held(self) -> Reconciliation:
        """The bill beside the plan."""
        return self.closed.reconciliation

    @property
    def over(self) -> bool:
        """Whether the bill is too far from the plan."""
        return self.held.over(self.threshold)

    @property
    def disputed(self) -> bool:
        """Whether a total of the vendor's is not that of the replies."""
        return any(each.differs for each in self.held.actual.totals)


# --- words ------------------------------------------------------------------------------


def _signed(value: Usd | None) -> str:
    if value is None:
        return UNKNOWN
    sign = "-" if value < 0 else "+"
    return f"{sign}{dollars(Usd(abs(value)))}" if value else dollars(value)


def _share(value: Fraction | None) -> str:
    return UNKNOWN if value is None else portion(value, signed=True)


def _money(value: Usd | None) -> str:
    return UNKNOWN if value is None else dollars(value)


def headline(shown: Shown) -> str:
    """What it came to against what was planned, in a sentence."""
    held, cost = shown.held, shown.held.plan.cost
    range_ = f"{dollars(Usd(cost.low))} to {dollars(Usd(cost.high))}"
    if held.billed is None:
        return f"the bill is not known: a rate of it is not published; planned {range_}"
    inside = "inside" if held.inside else "outside"
    whose = "the vendor billed" if held.actual.vendor is not None else "billed"
    return (
        f"{whose} {dollars(held.billed)}, planned {dollars(held.planned)}: "
        f"{_signed(held.variance)} ({_share(held.share)}), {inside} the planned {range_}"
    )


def verdict(shown: Shown) -> str:
    """Whether the variance is small enough."""
    allowed = portion(shown.threshold)
    if shown.held.variance is None:
        return f"whether it keeps the threshold of {allowed} cannot be said"
    return f"{'OVER' if shown.over else 'within'} the threshold of {allowed}"


def _why(reason: Reason, held: Reconciliation) -> str:
    """One reason as a sentence."""
    before, after, rows = reason.before, reason.after, held.actual.rows
    said: Mapping[str, str] = {
        "rows": f"{counted(int(after), 'row')} to run, {int(before):,} planned",
        "not-run": f"{counted(int(before - after), 'row')} did not run",
        "errored": f"{counted(int(before - after), 'row')} failed, which is not billed",
        "expired": f"{counted(int(before - after), 'row')} expired, which is not billed",
        "canceled": f"cancelled: {counted(int(before - after), 'row')}",
        "repeated": f"{counted(int(after - before), 'answer')} to rows that had one: billed twice",
        "lane": f"{portion(after)} outside {held.plan.choice.lane}, {portion(before)} planned",
        "prompt-length": f"prompts of {_mean(after)} tokens, {_mean(before)} planned",
        "tokenizer": f"the vendor counts {float(after):.3f} x the tokens that were counted here",
        "long-prompts": f"{portion(after)} of the prompt in dearer tiers, "
        f"{portion(before)} planned",
        "cache": f"{portion(after)} of the prompt read from a cache, {portion(before)} planned",
        "output-length": f"answers of {_mean(after)} tokens, {_mean(before)} planned"
        + _aside(held),
        "price": "the prices in force are not those of the plan",
        "vendor": f"on the vendor's bill and in no reply{_doubt(held)}",
    }
    more = f"; {rows.truncated:,} cut at the limit" if rows.truncated else ""
    return said[reason.code] + (more if reason.code == "output-length" else "")


def _mean(tokens: Fraction) -> str:
    return f"{float(tokens):,.1f}"


def _aside(held: Reconciliation) -> str:
    usage = held.actual.usage
    if not usage.reasoning:
        return ""
    return f" ({portion(Fraction(usage.reasoning, usage.written))} reasoning)"


def _doubt(held: Reconciliation) -> str:
    rows, most = held.actual.rows, held.actual.at_most
    if not rows.ambiguous or most is None:
        return ""
    return f"; {counted(rows.ambiguous, 'lost answer')} may cost up to {dollars(most)} of it"


# --- the table --------------------------------------------------------------------------

COLUMNS = (
    Column(title="lane"),
    Column(title="meter"),
    Column(title="prompts over", right=True),
    Column(title="planned", right=True),
    Column(title="billed", right=True),
    Column(title="$/M", right=True),
    Column(title="planned $", right=True),
    Column(title="billed $", right=True),
    Column(title="variance", right=True),
    Column(title="", right=True),
)

REASONS = (Column(title="because"), Column(title="$", right=True))


def _cells(of: Component) -> tuple[str, ...]:
    planned, actual = of.planned, of.actual
    line = actual or planned
    assert line is not None
    return (
        of.lane,
        of.meter,
        "" if of.over is None else f"{of.over:,}",
        _quantity(planned),
        _quantity(actual),
        _rates(planned, actual),
        _amount(planned),
        _amount(actual),
        _signed(of.variance),
        _share(_of_planned(of)),
    )


def _quantity(line: Line | None) -> str:
    return "0" if line is None else compact(line.quantity)


def _amount(line: Line | None) -> str:
    return "$0" if line is None else _money(line.amount)


def _rates(planned: Line | None, actual: Line | None) -> str:
    """The rate, or both where they differ."""
    found = [each.rate for each in (planned, actual) if each is not None]
    return " -> ".join(dict.fromkeys(UNKNOWN if each is None else plain(each) for each in found))


def _of_planned(of: Component) -> Fraction | None:
    if of.variance is None or of.planned is None or not of.planned.amount:
        return None
    return Fraction(of.variance) / Fraction(of.planned.amount)


def _total(held: Reconciliation) -> tuple[str, ...]:
    whole = held.metered
    off = None if whole is None else difference(whole, held.planned)
    share = None if off is None or not held.planned else Fraction(off) / Fraction(held.planned)
    cells = (dollars(held.planned), _money(whole), _signed(off), _share(share))
    return ("total", *("",) * 5, *cells)


def _reasons(held: Reconciliation) -> Iterator[tuple[str, str]]:
    for each in held.reasons:
        amount_ = "in the next" if each.amount is None else _signed(each.amount)
        yield _why(each, held), amount_
    if held.variance is not None:
        yield "together", _signed(held.variance)


def text(shown: Shown) -> str:
    """The bill beside the plan for a terminal."""
    closed, held = shown.closed, shown.held
    lines = [
        wrapped(f"{closed.job.id} {held.plan.choice.option}: {headline(shown)}", later="  "),
        wrapped(verdict(shown), first="  "),
        "",
        *(f"  {line}" for line in table(COLUMNS, [*map(_cells, held.components), _total(held)])),
    ]
    if held.reasons:
        lines += ["", *(f"  {line}" for line in table(REASONS, _reasons(held)))]
    lines += ["", *(wrapped(each, first="  ", later="    ") for each in _notes(shown))]
    return "\n".join(lines) + "\n"


def _notes(shown: Shown) -> Iterator[str]:
    closed, held = shown.closed, shown.held
    if closed.open:
        yield "The job is not over: what is still to come is counted as not run."
    if closed.job.rehearsal:
        yield "This was a rehearsal: nothing was billed, and nothing is learned from it."
    yield _fates(held)
    yield from _proofs(held)
    yield from _vendors(held)
    if closed.unmeasured:
        yield f"{counted(closed.unmeasured, 'answer')} do not say what they used."
    rows, most = held.actual.rows, held.actual.at_most
    if rows.ambiguous and most is not None:
        yield (
            f"{counted(rows.ambiguous, 'request')} whose answer was lost may be on the vendor's "
            f"bill besides, at {dollars(most)} at the most."
        )
    if shown.tags:
        yield "Tags: " + ", ".join(f"{key}={value}" for key, value in shown.tags.items())


def _fates(held: Reconciliation) -> str:
    rows = held.actual.rows
    parts = [f"{rows.billed:,} answered"]
    fates = ("errored", "expired", "canceled", "not_run", "repeated")
    words = ("failed", "expired", "cancelled", "not run", "replies too many")
    for name, word in zip(fates, words, strict=True):
        if getattr(rows, name):
            parts.append(f"{getattr(rows, name):,} {word}")
    return f"Of {counted(rows.built, 'row')}: {', '.join(parts)}."


def _proofs(held: Reconciliation) -> Iterator[str]:
    """What the replies say of the tier that served them."""
    for (lane, tier), replies in sorted(held.actual.proofs.items(), key=str):
        said = "without a service tier" if tier is None else f"served as {printable(tier)!r}"
        yield f"Sent as {lane}: {counted(replies, 'answer')} {said}."


def _vendors(held: Reconciliation) -> Iterator[str]:
    totals = held.actual.totals
    wrong = [each for each in totals if each.differs]
    if totals and not wrong:
        which = "its batch agrees" if len(totals) == 1 else f"all {batches(len(totals))} agree"
        yield f"The vendor's own total of {which} with the rows, token for token."
    for each in wrong:
        said = "; ".join(f"{n} {theirs:,}, not {ours:,}" for n, theirs, ours in each.differs)
        yield f"The vendor counts batch {each.name} otherwise: {said}."


def as_markdown(shown: Shown) -> str:
    """The same for a document or a pull request."""
    held = shown.held
    rows = [*map(_cells, held.components), _total(held)]
    lines = [
        f"**{shown.closed.job.id} {held.plan.choice.option}:** {headline(shown)}; {verdict(shown)}",
        "",
        *markdown(COLUMNS, rows),
        "",
        *markdown(REASONS, _reasons(held)),
        "",
        *(f"- {each}" for each in _notes(shown)),
    ]
    return "\n".join(lines) + "\n"


# --- data -------------------------------------------------------------------------------


def data(shown: Shown) -> str:
    """`planner.reconcile/1`."""
    closed, held, rows = shown.closed, shown.held, shown.held.actual.rows
    return as_json(
        {
            "schema": "planner.reconcile/1",
            "job": closed.job.id,
            "plan": held.plan.id,
            "option": held.plan.choice.option,
            "state": closed.job.state,
            "rehearsal": closed.job.rehearsal,
            "day": closed.day.isoformat(),
            "planned": plain(held.planned),
            "low": plain(held.plan.cost.low),
            "high": plain(held.plan.cost.high),
            "billed": _plain(held.billed),
            "variance": _plain(held.variance),
            "share": None if held.share is None else round(float(held.share), 6),
            "threshold": float(shown.threshold),
            "over": shown.over,
            "components": [_component(each) for each in held.components],
            "reasons": [_reason(each, held) for each in held.reasons],
            "rows": {**asdict(rows), "not_run": rows.not_run},
            "usage": {k: v for k, v in asdict(held.actual.usage).items() if k != "tier"},
            "tiers": [
                {"lane": lane, "tier": tier, "replies": n}
                for (lane, tier), n in sorted(held.actual.proofs.items(), key=str)
            ],
            "ambiguous_at_most": _plain(held.actual.at_most),
            "vendor_totals": [
                {"id": each.name, "agrees": not each.differs,
                 "differs": {n: {"vendor": t, "rows": o} for n, t, o in each.differs}}
                for each in held.actual.totals
            ],
            "tags": dict(shown.tags),
        }
    )  # fmt: skip


def _plain(value: Usd | None) -> str | None:
    return None if value is None else plain(value)


def _component(of: Component) -> Json:
    return {
        "lane": of.lane,
        "meter": of.meter,
        "over": of.over,
        "planned": _line(of.planned),
        "billed": _line(of.actual),
        "variance": _plain(of.variance),
    }


def _line(of: Line | None) -> Json | None:
    if of is None:
        return None
    rate = None if of.rate is None else plain(of.rate)
    return {"quantity": of.quantity, "rate": rate, "amount": _plain(of.amount)}


def _reason(of: Reason, held: Reconciliation) -> Json:
    return {
        "code": of.code,
        "amount": _plain(of.amount),
        "before": round(float(of.before), 6),
        "after": round(float(of.after), 6),
        "said": _why(of, held),
    }


# --- FOCUS ------------------------------------------------------------------------------

FOCUS = (
    "BillingPeriodStart BillingPeriodEnd ChargePeriodStart ChargePeriodEnd ChargeCategory "
    "ChargeDescription ProviderName ServiceCategory ServiceName RegionId SkuId SkuMeter "
    "ConsumedQuantity ConsumedUnit PricingQuantity PricingUnit ListUnitPrice ContractedUnitPrice "
    "ListCost ContractedCost EffectiveCost BilledCost BillingCurrency Tags "
    "x_Job x_PlanId x_PromptsOver x_PlannedQuantity x_PlannedCost x_Variance"
).split()
"""The columns of a budget's CSV, so that both lie beside each other, and what was planned."""


def focus(shown: Shown) -> str:
    """A line a component under FinOps FOCUS column names; what was planned in columns of ours."""
    columns = [Column(title=name) for name in FOCUS]
    lines = (_focus(shown, each) for each in shown.held.components)
    return as_csv(columns, ([line.get(name, "") for name in FOCUS] for line in lines))


def _focus(shown: Shown, of: Component) -> dict[str, str]:
    closed, plan = shown.closed, shown.held.plan
    planned, actual = of.planned, of.actual
    return {
        **_periods(closed),
        **_billed(shown, of),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{plan.workload.path}: {plan.choice.option}",
        "ProviderName": plan.choice.provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": plan.choice.model,
        "RegionId": plan.demand.region or "",
        "SkuId": f"{plan.choice.model}/{of.lane}",
        "SkuMeter": of.meter,
        "ConsumedUnit": "Tokens",
        "PricingUnit": f"{10**UNITS_PER_RATE} Tokens",
        "BillingCurrency": "USD",
        "Tags": json.dumps(dict(shown.tags)),
        "x_Job": closed.job.id,
        "x_PlanId": plan.id,
        "x_PromptsOver": "" if of.over is None else str(of.over),
        "x_PlannedQuantity": "0" if planned is None else str(planned.quantity),
        "x_PlannedCost": "0" if planned is None else _plain(planned.amount) or "",
        "x_Variance": _plain(of.variance) or "",
        "ConsumedQuantity": "0" if actual is None else str(actual.quantity),
    }


def _periods(closed: Closed) -> dict[str, str]:
    """The month of the bill, and the time from the beginning to the day after the last reply."""
    from datetime import timedelta

    first, day = closed.day.replace(day=1), closed.day + timedelta(days=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return {
        "BillingPeriodStart": f"{first}T00:00:00Z",
        "BillingPeriodEnd": f"{following}T00:00:00Z",
        "ChargePeriodStart": (iso(closed.job.created) or "").replace("+00:00", "Z"),
        "ChargePeriodEnd": f"{day}T00:00:00Z",
    }


def _billed(shown: Shown, of: Component) -> dict[str, str]:
    actual = of.actual
    if actual is None:
        return {"BilledCost": "0", "EffectiveCost": "0", "ContractedCost": "0", "ListCost": "0"}
    listed = None if shown.closed.listed is None else shown.closed.listed.rate(actual.key)
    cost = _plain(actual.amount) or ""
    return {
        "PricingQuantity": plain(amount(actual.quantity, A_MILLION)),
        "ListUnitPrice": "" if listed is None else plain(listed),
        "ContractedUnitPrice": "" if actual.rate is None else plain(actual.rate),
        "ListCost": "" if listed is None else plain(amount(actual.quantity, listed)),
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "BilledCost": cost,
    }


BILL: Mapping[str, Callable[[Shown], str]] = {
    "table": text,
    "json": data,
    "csv": focus,
    "md": as_markdown,
}
