"""A plan, what moved between two, and what was built, as text and as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.handoff import plan as plans
from planner.money import Usd, difference, dollars, plain, ratio
from planner.report.layout import Column, as_json, table, wrapped
from planner.words import clock, compact, counted, duration, least, percent, portion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from planner.drafting import Outlook
    from planner.handoff.build import Built
    from planner.handoff.plan import Plan

Json = dict[str, Any]
SHOWN_ID = 19


# --- one plan ---------------------------------------------------------------------------


def summary(plan: Plan, now: datetime, outlook: Outlook | None = None) -> str:
    """A plan in a few lines: what, how much, when, and until when it holds."""
    lines = [_head(plan)]
    for name, said in _said(plan, now, outlook):
        lines.append(wrapped(said, first=f"  {name:<9} ", later=" " * 12))
    return "\n".join(lines) + "\n"


def _head(plan: Plan) -> str:
    choice, rows = plan.choice, plan.workload.rows
    how = "recommended"
    if choice.recommended != choice.option:
        best = choice.recommended
        how = "chosen by you" if best is None else f"chosen by you; recommended: {best}"
    about = "" if rows.low == rows.high else "about "
    return f"{choice.option} ({how}): {about}{counted(rows.value, 'row')} of {plan.workload.path}"


def _said(plan: Plan, now: datetime, outlook: Outlook | None) -> Iterator[tuple[str, str]]:
    cost, cap = plan.cost, plan.demand.max_cost
    capped = "no cap (--max-cost)" if cap is None else f"cap {dollars(Usd(cap))}"
    said = (
        f"{dollars(Usd(cost.expected))} expected, {dollars(Usd(cost.p95))} at the 95th percentile, "
        f"{dollars(Usd(cost.ceiling))} if every answer runs to its limit; {capped}"
    )
    yield "cost", said
    yield "tokens", f"{compact(plan.tokens.input.value)} in, {_output(plan)}"
    yield "requests", _requests(plan)
    yield "finish", _finish(plan, now) if outlook is None else _outlook(plan, now, outlook)
    if plan.finish.rescue_at is not None:
        at = clock(datetime.fromisoformat(plan.finish.rescue_at), now)
        yield "rescue", f"what is unfinished at {at} is to be cancelled and sent in realtime"
    if plan.choice.gives_up:
        yield "gives up", "; ".join(plan.choice.gives_up)
    if plan.choice.needs:
        yield "needs", plan.choice.needs
    yield "stale", "; ".join(_stale(plan))
    yield "id", plan.id


def _output(plan: Plan) -> str:
    known = plan.tokens
    assumed = known.output_basis == "assumed"
    basis = "ASSUMED, not known" if assumed else known.output_basis
    return f"{compact(known.output.value)} out ({basis})"


def _requests(plan: Plan) -> str:
    request = plan.request
    said = [request.endpoint or "no batch files of this vendor are built yet"]
    said.append(f"at most {request.max_output_tokens:,} output tokens each")
    if request.json_schema is not None:
        said.append("answers follow a JSON schema")
    if request.params:
        said.append(f"with {', '.join(request.params)}")
    return ", ".join(said)


def _finish(plan: Plan, now: datetime) -> str:
    finish = plan.finish
    return _times(
        None if finish.p50 is None else float(finish.p50),
        None if finish.p95 is None else float(finish.p95),
        _by(plan, now, finish.p_deadline),
    )


def _outlook(plan: Plan, now: datetime, outlook: Outlook) -> str:
    if outlook.why_not is not None:
        return outlook.why_not
    finish = outlook.finish
    return f"from now: {_times(finish.p50, finish.p95, _by(plan, now, outlook.p_deadline))}"


def _times(p50: float | None, p95: float | None, by: str) -> str:
    if p50 is None or p95 is None:
        return f"not known{by}"
    return f"typically {duration(p50)}, 95 in 100 within {duration(p95)}{by}"


def _by(plan: Plan, now: datetime, p: Any) -> str:
    if plan.deadline is None or p is None:
        return ""
    chance = f"{percent(float(p.mean))} ({least(float(p.low))})"
    return f"; by {clock(plan.deadline, now)}: {chance}"


def _stale(plan: Plan) -> Iterator[str]:
    yield f"after {plan.stale.after[:16]}, or when a byte of the workload or a price changes"
    if plan.stale.price_changes is not None:
        yield f"a price changes on {plan.stale.price_changes}"
    if plan.stale.retires is not None:
        yield f"no longer offered from {plan.stale.retires}"


def as_data(plan: Plan) -> str:
    """The plan as JSON, amounts as strings of exact decimals."""
    return as_json(_exact(plans.content(plan)))


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    if isinstance(value, Decimal):
        return plain(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


# --- between two plans ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One field that differs; None where one of the plans has no such field."""

    field: str
    before: Any
    after: Any
    change: str | None = None
    share: str | None = None


NOT_SHOWN = frozenset({"id"})


def _is_money(name: str) -> bool:
    """Whether a field is an amount of US dollars; a rate is not, it keeps every digit."""
    if name.startswith("cost.components."):
        return name.endswith(".amount")
    return name.startswith("cost.") or name == "demand.max_cost"


def moves(before: Plan, after: Plan) -> tuple[Move, ...]:
    """What moved between two plans, in the order of the file."""
    one, other = dict(_flat(plans.content(before))), dict(_flat(plans.content(after)))
    return tuple(
        _move(name, one.get(name), other.get(name))
        for name in dict.fromkeys((*one, *other))
        if one.get(name) != other.get(name) and name not in NOT_SHOWN
    )


NAMES = ("lane", "meter", "over")
"""What a part of a list is called by where it has them, so that an insertion moves only itself."""


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, leaf) of everything in a plan."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}" if place else key)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value, start=1):
            yield from _flat(each, f"{place}.{_name(each, index)}")
    else:
        yield place, value


def _name(part: Any, index: int) -> str:
    known = [str(part[key]) for key in NAMES if part.get(key)] if isinstance(part, dict) else []
    return ".".join(known) or str(index)


def _move(name: str, before: Any, after: Any) -> Move:
    if not (_is_number(before) and _is_number(after)):
        return Move(field=name, before=before, after=after)
    one, other = Decimal(before), Decimal(after)
    step = difference(Usd(other), Usd(one))
    share = None
    if one:
        share = portion(ratio(step, one), signed=True)  # type: ignore[arg-type]  # two numbers
    return Move(field=name, before=before, after=after, change=_signed(name, step), share=share)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _signed(name: str, step: Usd) -> str:
    sign = "-" if step < 0 else "+"
    size = Usd(abs(step))
    return f"{sign}{_figure(name, size)}"


def _figure(name: str, value: Decimal) -> str:
    if _is_money(name):
        return dollars(Usd(value))
    return f"{int(value):,}" if value == int(value) else plain(value)


def diff(before: Plan, after: Plan) -> str:
    """What moved, a line a field; money and counts with their change and its share."""
    found = moves(before, after)
    if not found:
        return "the same plan\n"
    rows = ((each.field, _cell(each, each.before), _cell(each, each.after), *_change(each))
            for each in found)  # fmt: skip
    columns = (
        Column(title="field"),
        Column(title="before", right=True),
        Column(title="after", right=True),
        Column(title="change", right=True),
        Column(title="", right=True),
    )
    head = f"{before.id[:SHOWN_ID]} -> {after.id[:SHOWN_ID]}: {counted(len(found), 'field')} moved"
    return "\n".join([head, *table(columns, rows)]) + "\n"


def _change(move: Move) -> tuple[str, str]:
    return move.change or "", move.share or ""


LONGEST_CELL = 40


def _cell(move: Move, value: Any) -> str:
    if value is None:
        return "-"
    if _is_number(value):
        return _figure(move.field, Decimal(value))
    text = str(value)
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."


def diff_data(before: Plan, after: Plan) -> str:
    """`planner.plan_diff/1`."""
    return as_json(
        {
            "schema": "planner.plan_diff/1",
            "before": before.id,
            "after": after.id,
            "moved": [_exact(asdict(each)) for each in moves(before, after)],
        }
    )


# --- what was built ---------------------------------------------------------------------


def built(made: Built, plan: Plan, now: datetime, outlook: Outlook) -> str:
    """The files, then the plan that they are of."""
    verb = "Already built" if made.already else "Built"
    head = (
        f"{verb}: {counted(len(made.shards), 'file')} in {made.folder}, "
        f"{counted(made.rows, 'row')}, {made.bytes:,} bytes, about "
        f"{compact(made.tokens)} input tokens. Nothing was sent."
    )
    lines = [head]
    lines += [f"  {line}" for line in table(SHARD_COLUMNS, _shard_cells(made))]
    if made.skipped:
        lines.append(f"  {counted(made.skipped, 'row')} left out:")
        lines += [wrapped(each.message, first="    ") for each in made.problems]
    return "\n".join([*lines, "", summary(plan, now, outlook)])


SHARD_COLUMNS = (
    Column(title="file"),
    Column(title="rows", right=True),
    Column(title="bytes", right=True),
    Column(title="input tokens", right=True),
    Column(title="sha256"),
)
MOST_SHARDS = 10
DIGITS = 12


def _shard_cells(made: Built) -> Iterator[tuple[str, ...]]:
    for each in made.shards[:MOST_SHARDS]:
        figures = (each.rows, each.bytes, each.estimated_input_tokens)
        yield (each.file, *(f"{figure:,}" for figure in figures), each.sha256[:DIGITS])
    more = len(made.shards) - MOST_SHARDS
    if more > 0:
        yield (f"and {more:,} more, see the manifest", "", "", "", "")


def built_data(made: Built, plan: Plan, _now: datetime, outlook: Outlook) -> str:
    """`planner.build/1`."""
    return as_json(
        {
            "schema": "planner.build/1",
            "plan": plan.id,
            "folder": str(made.folder),
            "already": made.already,
            "rows": made.rows,
            "bytes": made.bytes,
            "estimated_input_tokens": made.tokens,
            "skipped": made.skipped,
            "shards": [asdict(each) for each in made.shards],
            "cost": {
                name: plain(getattr(plan.cost, name)) for name in ("expected", "p95", "ceiling")
            },
            "finish": {"p50": outlook.finish.p50, "p95": outlook.finish.p95},
            "p_deadline": None if outlook.p_deadline is None else asdict(outlook.p_deadline),
            "why_not": outlook.why_not,
        }
    )


PLAN: Mapping[str, Callable[[Plan, datetime], str]] = {
    "table": summary,
    "json": lambda plan, _now: as_data(plan),
}
DIFF: Mapping[str, Callable[[Plan, Plan], str]] = {"table": diff, "json": diff_data}
BUILT: Mapping[str, Callable[[Built, Plan, datetime, Outlook], str]] = {
    "table": built,
    "json": built_data,
}
