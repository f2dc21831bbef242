"""One option's figures traced: each sum written out, each input with where it comes from.

The answer of `--explain`. Nothing is computed anew but what the sum shows: a second copy of
the arithmetic could agree with the screen and be wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.decision import timing, turnaround
from planner.money import dollars, plain
from planner.report import evidence
from planner.report.layout import wrapped
from planner.report.text import EVIDENCE, arithmetic, mark, span
from planner.words import batches, clock, counted, duration, percent, portion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.catalog.support import Limits
    from planner.decision.cost import Cost, CostComponent
    from planner.decision.options import Case, Offer, Option
    from planner.pipeline import Estimate


def explain(answer: Estimate, wanted: str) -> str:
    """The arithmetic of one option; InputError for one that is not there."""
    option = answer.option(wanted)
    case = next(each for each in answer.cases if each.profile.model == option.model)
    lines = [f"{option.id}: {mark(option, asked=answer.job.requirements.deadline is not None)}"]
    lines += [wrapped(f"{gate.message} [{gate.code}]", first="  gate: ") for gate in option.gates]
    lines += _cost(option)
    lines += _time(option)
    lines += _deadline(answer, option)
    for offer in case.offers:
        if offer.lane.id in _lanes(option):
            lines += _lane(answer, case, offer, option)
    lines += [wrapped(risk, first="  risk: ") for risk in option.risks]
    lines += [wrapped(sentence, first="  assumed: ") for sentence in answer.assumptions]
    return "\n".join(lines) + "\n"


def _lanes(option: Option) -> tuple[str, ...]:
    """The option's lane, and the one it is joined with."""
    joined = option.id.rpartition("|" if option.strategy == "split" else ">")[2]
    return (option.lane, joined)


def _cost(option: Option) -> Iterator[str]:
    cost = option.cost
    if cost is None:
        return
    yield "  cost:"
    yield from (f"    {line}" for line in arithmetic(cost.components))
    yield (
        f"    = {dollars(cost.expected)} expected (${plain(cost.expected)}); 95 % interval "
        f"{dollars(cost.low)} to {dollars(cost.high)}, ceiling {dollars(cost.ceiling)}"
    )


def _time(option: Option) -> Iterator[str]:
    finish = option.finish
    yield (
        f"  time: typical {span(finish.p50)}, 95 % by {span(finish.p95)}, "
        f"window {span(finish.bound)}"
    )
    if finish.batches is not None:
        waves = counted(finish.waves or 0, "wave")
        most = counted(finish.rows_per_batch or 0, "row")
        count = batches(finish.batches)
        yield f"    {count} of {most} at the most, {finish.concurrent} at once, {waves}"
    if finish.rate is not None:
        limit = finish.binding or "nothing but the answer's own time"
        yield f"    {finish.rate:.3g} rows a second at the most, held by {limit}"
    if finish.last_admission is not None:
        sent = duration(finish.last_admission)
        yield f"    last row sent after {sent}; P95 quoted with 10 % on top"


# --- the deadline -----------------------------------------------------------------------


def _deadline(answer: Estimate, option: Option) -> Iterator[str]:
    """How likely it is met, and for a rescue how that comes about."""
    demand, p = answer.job.requirements, option.p_deadline
    if demand.deadline is None or p is None:
        return
    yield (
        f"  deadline in {duration(demand.deadline)}: {percent(p.mean)}, 80 % interval "
        f"{percent(p.low)} to {percent(p.high)}; {portion(demand.confidence)} asked for"
    )
    rescue = option.rescue
    if rescue is None:
        return
    kept, sure = rescue.p_no_rescue, demand.confidence
    at = clock(answer.later(rescue.at), answer.now)
    yield wrapped(
        f"switch at {at}, after {duration(rescue.at)}: the deadline less the time to cancel and "
        "the quoted time to run every row again",
        first="    ",
    )
    yield (
        f"    {kept:.4f} done by then + (1 - {kept:.4f}) x {sure:g} in the time left = {p.mean:.4f}"
    )


# --- inputs of a lane -------------------------------------------------------------------


def _lane(answer: Estimate, case: Case, offer: Offer, option: Option) -> Iterator[str]:
    """What is known of a lane, and who says so."""
    if offer.card is not None:
        yield f"  rates of {offer.lane.id}:"
        used = [part for part in _parts(option) if part.lane == offer.lane.id]
        steps = [step for step in offer.card.steps if any(_sets(step, part) for part in used)]
        yield from (wrapped(step, first="    ") for step in steps or offer.card.steps)
    yield from _limits(case, offer.limits, offer.lane.id)
    if offer.lane.delivery == "sync" and not option.cache:
        alone = answer.option(f"{option.model}/{offer.lane.id}")
        yield from _pace(case, offer, alone.cost)
    elif offer.lane.delivery != "sync":
        yield from _turnaround(case, offer, option)


def _parts(option: Option) -> tuple[CostComponent, ...]:
    return option.cost.components if option.cost else ()


def _sets(step: str, part: CostComponent) -> bool:
    """Whether the step tells how this component's rate came about."""
    meter, _, edge = step.partition(":")[0].partition(",")
    above = "" if part.over is None else f" {part.over:,}"
    return meter == part.meter and bool(edge) is bool(above) and edge.endswith(above)


LIMITS = "rpm rpd itpm otpm tpm usd_10min usd_month queued_requests queued_input_tokens".split()


def _limits(case: Case, limits: Limits, lane: str) -> Iterator[str]:
    own = dict(case.requirements.limits)
    known = [(name, value) for name in LIMITS if (value := getattr(limits, name)) is not None]
    if not known:
        return
    said = ", ".join(
        f"{name} {value:,}" + (" (your own)" if own.get(name) == value else "")
        for name, value in known
    )
    yield wrapped(said, first=f"  limits of {lane} in tier {limits.tier or '?'}: ", later="    ")
    yield from (f"  {evidence.line(source)}" for source in limits.sources)


def _pace(case: Case, offer: Offer, cost: Cost | None) -> Iterator[str]:
    """What an attempt takes, how long, and how many run at once."""
    demand = case.requirements
    paced = timing.paced(case.profile, offer.limits, demand, cost)
    if paced is None:
        return
    load = paced.load
    uses = ", ".join(f"{bucket.use:,.6g} of {bucket.name}" for bucket in load.buckets)
    takes = f"an attempt takes {uses} on average"
    yield wrapped(takes, first=f"  pace of {offer.lane.id}: ", later="    ")
    measured = "as measured" if case.profile.latency else "assumed from the answer's length"
    how = "as given" if demand.latency else measured
    yield f"    and {load.latency_mean:.3g} s (CV {load.latency_cv:g}), {how}"
    how = "as given" if demand.concurrency else "as many as keep the limits busy"
    retries = counted(load.retries, "retry")
    yield (
        f"    {load.concurrency} at once, {how}; {load.attempts_per_row:.4g} attempts a row "
        f"({portion(load.failure_rate)} fail, {retries})"
    )


def _turnaround(case: Case, offer: Offer, option: Option) -> Iterator[str]:
    """The public estimate and the own batches that stand against it."""
    facts, rows = offer.lane.turnaround, option.finish.rows_per_batch
    if facts is not None:
        yield (
            f"  turnaround of {offer.lane.id}: half within {duration(facts.p50)}, 9 in 10 within "
            f"{duration(facts.p90)}; counts as {batches(facts.worth)}"
        )
        yield f"  {evidence.line(facts.source)}"
    if rows is None:
        return
    jobs = turnaround.matching(
        case.history, provider=option.provider, model=offer.model.id, lane=offer.lane.id
    )
    law = turnaround.posterior(None, jobs, now=case.now, rows=rows)
    yield wrapped(
        f"own batches of this lane: {len(jobs)}, weighing {law.own:.1f} by age and size: "
        f"{EVIDENCE[option.grade]}",
        first="    ",
    )
