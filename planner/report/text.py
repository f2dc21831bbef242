"""The answers as text for a terminal: the answer first, then the matrix, then what it rests on.

Legible without colour and without a terminal: a verdict is a word with a mark before it.
Every figure comes from the core; this module only says it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from planner.decision.options import Verdict
from planner.money import dollars, plain
from planner.report.layout import Column, table, wrapped
from planner.words import clock, compact, duration, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.catalog import Source
    from planner.catalog.prices import RateCard
    from planner.decision.cost import Cost, CostComponent
    from planner.decision.matrix import ModelChoice
    from planner.decision.options import Option
    from planner.pipeline import Estimate, LaneAnswer, PriceAnswer
    from planner.workload.profile import Range, TokenProfile

MARKS = {
    Verdict.MEETS: "+ meets",
    Verdict.LIKELY: "~ likely",
    Verdict.AT_RISK: "! at risk",
    Verdict.CANNOT: "x cannot",
    Verdict.UNKNOWN: "? unknown",
}
CAN_RUN = "+ can run"
CHOSEN = ">"
UNKNOWN = "-"

LEFT_OUT = "Left out: tax, currency, contract discounts, tools and storage the vendor bills apart."


def estimate(answer: Estimate) -> str:
    """The whole answer."""
    blocks = [
        "\n".join(_heading(answer)),
        "\n".join(_headline(answer)),
        *("\n".join(_model_block(answer, model)) for model in answer.decision.models),
        "\n".join(_notes("Assumed", answer.assumptions)),
        "\n".join(_notes("Warnings", answer.warnings)),
        "\n".join(_footer(answer)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _heading(answer: Estimate) -> Iterator[str]:
    measured, demand = answer.measured, answer.job.requirements
    facts = measured.workload
    rows = measured.rows
    if facts is None:
        yield f"{rows:,} rows, by the figures given"
    else:
        part = "" if facts.rows == rows else f" (counted: {facts.rows:,})"
        yield f"{facts.path.name}: {rows:,} rows{part}, {facts.format}, {facts.digest[:19]}"
    if demand.deadline is not None and answer.job.deadline_at is not None:
        at = clock(answer.job.deadline_at, answer.now)
        yield f"Deadline: {at}, in {duration(demand.deadline)}; wanted: {percent(demand.confidence)}"
    if demand.respond_within is not None:
        yield f"Somebody waits: each answer within {demand.respond_within:g} s"


def _headline(answer: Estimate) -> Iterator[str]:
    decision = answer.decision
    if answer.measured.named and len(decision.models) > 1:
        chosen = decision.choice or "nothing meets the demand"
        yield wrapped(f"{chosen}: {decision.why}", first="=> ")


def _model_block(answer: Estimate, model: ModelChoice) -> Iterator[str]:
    """One model: its answer, its lanes, why not the others, its arithmetic."""
    profile = next(each for each in answer.measured.profiles if each.model == model.model)
    chosen = model.chosen
    yield f"{model.model}: {'nothing meets the demand' if chosen is None else ways(chosen)}"
    yield wrapped(f"{model.why}.", first="  ")
    if chosen is not None and chosen.rescue is not None:
        yield wrapped(_switch(answer, chosen), first="  ")
    yield f"  {size_of(profile)}"
    yield from (f"  {line}" for line in table(_columns(answer), _rows(answer, model)))
    yield from _why_not(model)
    if chosen is not None and chosen.cost is not None:
        yield f"  {chosen.id}:"
        yield from (f"    {line}" for line in arithmetic(chosen.cost.components))
        yield from (wrapped(risk, first="    risk: ") for risk in chosen.risks)


def ways(option: Option) -> str:
    """How the option runs, in words: `batch`, `batch, then standard for what is left`."""
    _, _, joined = option.id.rpartition("/")
    if option.strategy == "rescue":
        return f"{option.lane}, then {joined.rpartition('>')[2]} for what is left"
    if option.strategy == "split":
        return f"{option.lane} and {joined.rpartition('|')[2]} side by side"
    return option.lane


def size_of(profile: TokenProfile) -> str:
    """`rows x (prompt + answer) tokens`, with the interval where there is one."""
    prompt, answer = profile.input, profile.output_total
    return (
        f"{profile.rows.value:,} rows x ({float(profile.sizes.mean):,.0f} in + "
        f"{float(profile.output.mean):,.0f} out) = {compact(prompt.value)} in{_spread(prompt)} + "
        f"{compact(answer.value)} out{_spread(answer)} tokens"
    )


def _spread(of: Range) -> str:
    if of.low == of.high:
        return ""
    return f" ({compact(of.low)} to {compact(of.high)})"


COLUMNS = (
    Column(title=""),
    Column(title="lane"),
    Column(title="cost", right=True),
    Column(title="95 % interval", right=True),
    Column(title="ceiling", right=True),
    Column(title="typical", right=True),
    Column(title="95 % by", right=True),
    Column(title="P(deadline)", right=True),
    Column(title="", right=False),
    Column(title="verdict"),
)


def _columns(answer: Estimate) -> tuple[Column, ...]:
    at = answer.job.deadline_at
    title = "" if at is None else f"by {clock(at, answer.now, zone=False)}"
    return tuple(
        replace(column, title=title) if column.title == "P(deadline)" else column
        for column in COLUMNS
    )


def _rows(answer: Estimate, model: ModelChoice) -> Iterator[tuple[str, ...]]:
    """The options that have figures; the others are answered in words below."""
    asked = answer.job.requirements.deadline is not None
    for option in model.options:
        if option.cost is not None:
            yield option_cells(option, chosen=option.id == model.choice, asked=asked)


def option_cells(option: Option, *, chosen: bool, asked: bool) -> tuple[str, ...]:
    """One option as the cells of `COLUMNS`."""
    cost, finish, p = option.cost, option.finish, option.p_deadline
    return (
        CHOSEN if chosen else " ",
        option.id.removeprefix(f"{option.model}/"),
        dollars(cost.expected) if cost else UNKNOWN,
        _interval(cost) if cost else UNKNOWN,
        dollars(cost.ceiling) if cost else UNKNOWN,
        span(finish.p50),
        span(finish.p95),
        "" if not asked else UNKNOWN if p is None else percent(p.mean),
        "" if not asked or p is None else f"at least {percent(p.low)}",
        f"{mark(option, asked=asked)} [{option.grade}]",
    )


def _interval(cost: Cost) -> str:
    low, high = dollars(cost.low), dollars(cost.high)
    return low if low == high else f"{low} to {high}"


def mark(option: Option, *, asked: bool) -> str:
    """The verdict as a word with its mark; without a deadline there is nothing to meet."""
    if option.verdict is Verdict.MEETS and not asked:
        return CAN_RUN
    return MARKS[option.verdict] + (" (beaten)" if option.dominated else "")


def span(seconds: float | None) -> str:
    """A duration, or a dash where it is not known."""
    return UNKNOWN if seconds is None else duration(seconds)


def _why_not(model: ModelChoice) -> Iterator[str]:
    """Each reason once, behind the lanes that it holds for."""
    lanes: dict[str, list[str]] = {}
    for option in model.options:
        for sentence in _reasons(option):
            lanes.setdefault(sentence, []).append(option.id.removeprefix(f"{option.model}/"))
    for sentence, names in lanes.items():
        yield wrapped(sentence, first=f"  {', '.join(names)}: ", later="    ")


def _reasons(option: Option) -> Iterator[str]:
    for gate in option.gates:
        yield f"{gate.message} [{gate.code}]"
    if option.verdict is Verdict.UNKNOWN and not option.gates:
        yield from option.risks


def _switch(answer: Estimate, option: Option) -> str:
    """When the rescue gives up waiting, as a moment."""
    assert option.rescue is not None
    base = option.id.rpartition(">")[2]
    at = clock(answer.later(option.rescue.at), answer.now)
    return (
        f"Start {option.lane} now; what is unfinished at {at} is cancelled and runs in {base} "
        f"(needed in {percent(1 - option.rescue.p_no_rescue)} of such jobs)."
    )


def arithmetic(components: Sequence[CostComponent]) -> Iterator[str]:
    """`quantity x rate = amount`, one line a component."""
    rows = [
        (
            f"{part.quantity:,}",
            f"{part.meter} tokens" + (f" (prompts over {part.over:,})" if part.over else ""),
            f"x ${plain(part.rate)}/M",
            f"= {dollars(part.amount)}",
            part.lane,
        )
        for part in components
    ]
    columns = (
        Column(title="", right=True),
        Column(title=""),
        Column(title="", right=True),
        Column(title="", right=True),
        Column(title=""),
    )
    yield from table(columns, rows)[1:]


def _notes(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield f"{title}:"
        yield from (wrapped(sentence, first="  - ") for sentence in sentences)


def _footer(answer: Estimate) -> Iterator[str]:
    yield from dict.fromkeys(wrapped(each) for each in _promises(answer))
    oldest = answer.evidence.oldest
    age = f", oldest source {answer.evidence.age_days} days old ({oldest.id})" if oldest else ""
    yield wrapped(f"Prices as of {answer.on}{age}. {LEFT_OUT}")


def _promises(answer: Estimate) -> Iterator[str]:
    """What is known of each batch lane that is in the answer, and what nobody promises."""
    for option in answer.decision.options:
        finish = option.finish
        single = option.strategy == "single" and option.delivery != "sync"
        if single and option.cost is not None and finish.p50 is not None and finish.p95 is not None:
            window = f" (window {duration(finish.bound)})" if finish.bound else ""
            yield (
                f"{option.provider} {option.lane}: typically {duration(finish.p50)}, 95 in 100 "
                f"within {duration(finish.p95)} ({EVIDENCE[option.grade]}). Completion inside the "
                f"window{window} is not guaranteed: what expires must be sent again."
            )


EVIDENCE = {
    "A": "grade A: 20 or more of your own batches",
    "B": "grade B: 5 or more of your own batches",
    "C": "public estimate, grade C: no vendor promises less than its window",
    "D": "public estimate of smaller batches, grade D: none of this size is known",
}
"""What a grade rests on."""


# --- what the catalog says --------------------------------------------------------------


def support(answer: LaneAnswer) -> str:
    """One answer with its evidence."""
    found, lane = answer.support, answer.support.lane
    lines = [f"{found.state.upper()}: {answer.model.id}, {lane.id} ({lane.title}), {answer.on}"]
    lines.append(wrapped(found.why, first="  "))
    lines += _facts(answer)
    if found.source is not None:
        lines += list(evidence(found.source))
    if found.state == "unknown":
        lines.append(
            wrapped(
                "Nothing says yes or no. Ask the vendor's model list before you build on it; record"
                " the answer in an overlay (--pricing).",
                first="  ",
            )
        )
    return "\n".join(lines) + "\n"


def _facts(answer: LaneAnswer) -> Iterator[str]:
    lane, card = answer.support.lane, answer.card
    if answer.support.state == "no":
        return
    if card is not None:
        rates = ", ".join(f"{meter} ${plain(rate)}" for meter, rate in card.rates.items())
        yield wrapped(f"{rates} per million tokens", first="  price: ")
        for tier in card.tiers:
            over = ", ".join(f"{meter} ${plain(rate)}" for meter, rate in tier.rates.items())
            sign = ">=" if tier.inclusive else ">"
            yield wrapped(over, first=f"  prompts {sign} {tier.edge:,}: ")
    elif answer.no_price is not None:
        yield wrapped(answer.no_price, first="  price: not known: ")
    if answer.discount:
        cuts = ", ".join(f"{meter} x{plain(cut)}" for meter, cut in answer.discount.items())
        yield wrapped(cuts, first="  of the ordinary price: ")
    if lane.window is not None:
        ends = (lane.at_window or "what happens at its end is not stated").replace("_", " ")
        usual = f"; usual: {lane.usual}" if lane.usual else ""
        yield wrapped(f"{duration(lane.window)}, {ends}{usual}", first="  window: ")
    if lane.per_batch:
        limits = ", ".join(f"{amount:,} {what}" for what, amount in lane.per_batch.items())
        yield wrapped(limits, first="  per batch: ")
    if lane.results_kept is not None:
        yield f"  results kept: {duration(lane.results_kept)}"
    if lane.billed:
        told = ", ".join(f"{what} {said}" for what, said in lane.billed.items())
        yield wrapped(told, first="  billed: ")
    if lane.refuses:
        yield wrapped(", ".join(lane.refuses), first="  refuses: ")
    for text, name in (
        (lane.needs, "needs"),
        (lane.note, "note"),
        (answer.support.inferred, "inferred"),
    ):
        if text:
            yield wrapped(text, first=f"  {name}: ")


def evidence(source: Source) -> Iterator[str]:
    """Where it was read, when and how; and the vendor's words where they are kept."""
    if source.quote:
        yield wrapped(f'"{source.quote}"', first="  says: ")
    yield f"  read: {source.read_as}, {VIA[source.via]}"
    yield f"  source: {source.url}"


VIA = {
    "vendor": "the vendor's own page or package",
    "mirror": "a copy of the vendor's page",
    "dataset": "somebody's compilation, not the vendor",
}


def price(answer: PriceAnswer) -> str:
    """The exact rates of one request, with their sources and the next known change."""
    card = answer.card
    where = f", {card.region}" if card.region else ""
    size = f", a prompt of {answer.prompt_tokens:,} tokens" if answer.prompt_tokens else ""
    lines = [f"{card.model}, {card.lane}{where}, {card.on}{size}: US dollars per million tokens"]
    rows = [(f"  {meter}", plain(rate)) for meter, rate in answer.rates.items()]
    lines += table((Column(title=""), Column(title="", right=True)), rows)[1:]
    lines += [f"  {meter}: no rate is published" for meter in card.unpublished]
    for tier in card.tiers:
        over = ", ".join(f"{meter} {plain(rate)}" for meter, rate in tier.rates.items())
        sign = "from" if tier.inclusive else "over"
        lines.append(wrapped(over, first=f"  prompts {sign} {tier.edge:,} tokens: "))
    lines += [wrapped(text, first="  inferred: ") for text in card.inferred]
    change = card.next_change
    if change is not None:
        then = ", ".join(f"{meter} {plain(rate)}" for meter, rate in (change.rates or {}).items())
        lines.append(
            wrapped(
                f"{change.what} on {change.date}: {then or 'no price from then on'}",
                first="  next: ",
            )
        )
    for source in card.sources:
        lines.append(f"  read {source.read_as}, {VIA[source.via]}: {source.url}")
    return "\n".join(lines) + "\n"


def steps(answer: PriceAnswer) -> str:
    """How each rate came about."""
    return price(answer) + "\n".join(f"  {step}" for step in answer.card.steps) + "\n"


MODEL_COLUMNS = (
    Column(title="model"),
    Column(title="provider"),
    Column(title="input", right=True),
    Column(title="output", right=True),
    Column(title="context", right=True),
    Column(title="lanes"),
    Column(title="read"),
)


def models(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    """The support matrix: a line a model, each lane with + (yes), - (no) or ? (unknown)."""
    if not answers:
        return ""
    lines = table(MODEL_COLUMNS, (model_cells(each) for each in answers))
    count = (
        f"{len(answers)} models; + supported, - not, ? unknown; prices in US dollars per million"
    )
    return "\n".join([*lines, "", count]) + "\n"


STATE_MARKS = {"yes": "+", "no": "-", "unknown": "?"}


def model_cells(answers: Sequence[LaneAnswer]) -> tuple[str, ...]:
    """One model as the cells of `MODEL_COLUMNS`; the price is that of the first lane shown."""
    first = answers[0]
    card = first.card
    lanes = " ".join(f"{STATE_MARKS[each.support.state]}{each.support.lane.id}" for each in answers)
    return (
        first.model.id,
        first.model.provider,
        _rate_of(card, "input"),
        _rate_of(card, "output"),
        compact(first.model.context) if first.model.context else UNKNOWN,
        lanes,
        max((each.support.source.read_as for each in answers if each.support.source), default=""),
    )


def _rate_of(card: RateCard | None, meter: str) -> str:
    rate = card.rates.get(meter) if card else None
    return UNKNOWN if rate is None else plain(rate)


def explain(answer: Estimate, wanted: str) -> str:
    """The arithmetic of one option, with where each input comes from."""
    option = answer.option(wanted)
    case = next(each for each in answer.cases if each.profile.model == option.model)
    lines = [f"{option.id}: {mark(option, asked=answer.job.requirements.deadline is not None)}"]
    lines += [wrapped(f"{gate.message} [{gate.code}]", first="  gate: ") for gate in option.gates]
    lines += _explained_cost(option)
    lines += _explained_time(option)
    for offer in case.offers:
        if offer.lane.id in (option.lane, option.id.rpartition(">")[2]) and offer.card is not None:
            lines.append(f"  rates of {offer.lane.id}:")
            lines += [wrapped(step, first="    ") for step in offer.card.steps]
            if offer.limits.source is not None:
                lines.append(f"  limits of tier {offer.limits.tier}: {offer.limits.source.url}")
    lines += [wrapped(risk, first="  risk: ") for risk in option.risks]
    lines += [wrapped(sentence, first="  assumed: ") for sentence in answer.assumptions]
    return "\n".join(lines) + "\n"


def _explained_cost(option: Option) -> Iterator[str]:
    cost = option.cost
    if cost is None:
        return
    yield "  cost:"
    yield from (f"    {line}" for line in arithmetic(cost.components))
    yield (
        f"    = {dollars(cost.expected)} expected (${plain(cost.expected)}); 95 % interval "
        f"{dollars(cost.low)} to {dollars(cost.high)}, ceiling {dollars(cost.ceiling)}"
    )


def _explained_time(option: Option) -> Iterator[str]:
    finish = option.finish
    yield f"  time: typical {span(finish.p50)}, 95 % by {span(finish.p95)}, window {span(finish.bound)}"
    if finish.batches is not None:
        yield (
            f"    {finish.batches} batches of {finish.rows_per_batch:,} rows at the most, "
            f"{finish.concurrent} at once, {finish.waves} waves"
        )
    if finish.rate is not None:
        limit = finish.binding or "nothing but the answer's own time"
        yield f"    {finish.rate:.3g} rows a second at the most, held by {limit}"
    if finish.last_admission is not None:
        yield f"    last row sent after {duration(finish.last_admission)}; P95 quoted with 10 % on top"
