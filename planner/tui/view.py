"""What the Plan screen says around its matrix: heading, answer band, why, explanation.

Pure functions from core values to toned text. A figure that is not in the core is asked
there or is a plain difference of two amounts; nothing is priced, counted or weighed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.decision.matrix import cheaper_short, short, unsettled
from planner.decision.options import Verdict
from planner.money import difference, dollars, plain, times
from planner.report.layout import printable
from planner.report.text import EVIDENCE, LEFT_OUT, arithmetic, flip_at, worth
from planner.tui.keyed import keyed
from planner.tui.pieces import (
    BLANK,
    Line,
    Paragraph,
    Piece,
    Tone,
    between,
    cells,
    fitting,
    paragraph,
)
from planner.tui.table import lane_of, profile_of, sign
from planner.words import batches, clock, compact, counted, duration, least, percent, portion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.decision.flips import Flip
    from planner.decision.matrix import ModelChoice
    from planner.decision.options import Offer, Option
    from planner.decision.requirements import Requirements
    from planner.pipeline import Estimate
    from planner.tui.desk import Answer, Closer, Loosened

DOT = " · "


# --- the lines at the top ---------------------------------------------------------------


def heading(answer: Answer, width: int, remark: str = "") -> Line:
    """What is planned: the workload and its volume, and until when; and what goes on meanwhile."""
    estimate = answer.estimate
    facts = estimate.measured.workload
    name = printable(facts.path.name) if facts else "figures given"
    rows = estimate.measured.rows
    what_if = f" instead of {answer.own_rows:,}" if rows != answer.own_rows else ""
    bad = f", {facts.bad_rows:,} unreadable left out" if facts and facts.bad_rows else ""
    left = (
        Piece(name, Tone.STRONG),
        Piece(f"  {counted(rows, 'row')}"),
        Piece(what_if + bad, Tone.WARN),
    )
    size = Piece(f"  {tokens(estimate)} tokens", Tone.MUTED)
    told = (Piece(f"  {remark}", Tone.KEY),) if remark else ()
    due, moment = _due(estimate)
    if cells((*left, *told, *due, moment)) + 2 <= width:
        due = (*due, moment)
    wordings = ((*left, size, *told), (*left, *told), left)
    return between(fitting(wordings, width - cells(due) - 2), due, width)


def tokens(estimate: Estimate) -> str:
    """Tokens of the whole job; two figures where tokenizers and answers differ."""
    totals = [each.input.value + each.output_total.value for each in estimate.measured.profiles]
    low, high = compact(min(totals)), compact(max(totals))
    return low if low == high else f"{low} to {high}"


def _due(estimate: Estimate) -> tuple[Line, Piece]:
    """The deadline as a duration, and the moment it means."""
    demand, at = estimate.job.requirements, estimate.job.deadline_at
    if demand.deadline is None:
        return (Piece("no deadline", Tone.MUTED),), Piece("")
    moment = f" ({clock(at, estimate.now)})" if at is not None else ""
    due = (Piece("due in ", Tone.MUTED), Piece(duration(demand.deadline), Tone.WARN))
    return due, Piece(moment)


# --- the answer -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The answer for one model in three lines."""

    tone: Tone
    lines: tuple[Line, Line, Line]


def band(answer: Answer, model: str, loosened: Mapping[str, Loosened], width: int) -> Band:
    """The answer for a model: its choice, or what is missing and what would do."""
    estimate = answer.estimate
    choice = next(each for each in estimate.decision.models if each.model == model)
    if choice.chosen is not None:
        return _chosen(answer, choice, choice.chosen, width)
    return _none(estimate, choice, loosened.get(model), width)


def _chosen(answer: Answer, choice: ModelChoice, best: Option, width: int) -> Band:
    estimate = answer.estimate
    demand = estimate.job.requirements
    name = (Piece(title(best), Tone.GOOD), Piece("  on "), Piece(choice.model, Tone.STRONG))
    first = between(name, _standing(estimate, choice, width - cells(name) - 3), width)
    second = fitting(tuple(_figures(best, demand, answer.inputs.runs)), width)
    third = fitting((_counterfactual(choice, best, demand),), width)
    return Band(tone=Tone.GOOD, lines=(first, second, third))


def title(option: Option) -> str:
    """What to do, in capitals: the lane, or which lanes in which order."""
    lane = lane_of(option)
    for joint, word in ((">", ", then "), ("|", " beside ")):
        first, found, second = lane.partition(joint)
        if found:
            return f"{first.upper()}{word}{second.upper()}"
    return lane.upper()


def _standing(estimate: Estimate, choice: ModelChoice, room: int) -> Line:
    """Where the model stands among those asked about; quality is never judged."""
    models, overall = estimate.decision.models, estimate.decision.choice
    if len(models) == 1:
        return ()
    if overall is None or not estimate.measured.named:
        said = (f"one of {len(models)} models; quality not judged", f"one of {len(models)} models")
    elif overall == choice.choice:
        said = ("cheapest of those named; quality not judged", "quality not judged")
    else:
        best = estimate.option(overall)
        cost = dollars(best.cost.expected) if best.cost else ""
        said = (f"cheapest of those named: {best.model} {cost}", f"cheapest: {best.model} {cost}")
    lines = [(Piece(text, Tone.MUTED),) for text in said]
    return next((line for line in lines if cells(line) <= room), ())


def _figures(best: Option, demand: Requirements, runs: int | None) -> Iterator[Line]:
    """Cost, time and probability; shorter wordings after longer ones."""
    if best.cost is None:
        return
    cost: Line = (Piece(dollars(best.cost.expected), Tone.STRONG), Piece(" a run"))
    short = cost
    if runs is not None:
        month = dollars(times(best.cost.expected, runs))
        over = best.over_month(runs) is not None
        limit = Piece(f", over the tier's ${best.usd_month:,}" if over else "", Tone.WARN)
        monthly = (*cost, Piece("   "), Piece(month, Tone.STRONG), Piece(" a month"))
        short = (*monthly, limit)
        cost = (*monthly, Piece(f" of {runs:,} runs", Tone.MUTED), limit)
    spread = (
        Piece(f" ({dollars(best.cost.low)} to {dollars(best.cost.high)})", Tone.MUTED)
        if best.cost.low != best.cost.high
        else Piece("")
    )
    late = best.finish.p95
    by: Line = (Piece("   finish not known"),)
    if late is not None:
        by = (Piece("   95 % by "), Piece(duration(late), Tone.STRONG))
    typical = best.finish.p50
    usual = Piece("" if typical is None else f"   typically {duration(typical)}")
    chance = _chance(best, demand)
    yield (*cost, spread, usual, *by, *chance, Piece(f"   grade {best.grade}", Tone.MUTED))
    yield (*cost, spread, usual, *by, *chance)
    yield (*cost, spread, *by, *chance)
    yield (*cost, *by, *chance)
    yield (*short, *by, *chance)
    yield (*short, *by, *chance[:2])


def _chance(option: Option, demand: Requirements) -> Line:
    p = option.p_deadline
    if p is None or demand.deadline is None:
        return ()
    return (
        Piece(f"   in {duration(demand.deadline)}: "),
        Piece(percent(p.mean), Tone.STRONG),
        Piece(f" ({least(p.low)})", Tone.MUTED),
    )


def _counterfactual(choice: ModelChoice, best: Option, demand: Requirements) -> Line:
    """One line of what else: what is cheaper and falls short, else what comes next."""
    cheaper = cheaper_short(best, choice.options)
    if cheaper is not None:
        return (Piece(_would_save(cheaper, best, demand), Tone.MUTED),)
    second = next((each for each in choice.options if each.id == choice.runner_up), None)
    if second is None or second.cost is None or best.cost is None:
        return (Piece("nothing else that is known can run", Tone.MUTED),)
    more = difference(second.cost.expected, best.cost.expected)
    if more < 0:
        saved = dollars(difference(best.cost.expected, second.cost.expected))
        text = f"{lane_of(second)} would save {saved}, too little for more to operate"
    else:
        price = f" for {dollars(more)} more" if more else ", for the same"
        text = f"next: {lane_of(second)}{price}"
    return (Piece(text, Tone.MUTED),)


def _would_save(cheaper: Option, best: Option, demand: Requirements) -> str:
    assert cheaper.cost is not None
    assert best.cost is not None
    saved = dollars(difference(best.cost.expected, cheaper.cost.expected))
    return f"{lane_of(cheaper)} would save {saved} but {short(cheaper, demand)}"


def _none(estimate: Estimate, choice: ModelChoice, loosened: Loosened | None, width: int) -> Band:
    demand = estimate.job.requirements
    able = [each for each in choice.options if not each.gates and each.cost is not None]
    judged = [each for each in able if each.p_deadline is not None]
    if judged:
        nothing = "NOTHING IS KNOWN TO MEET" if unsettled(choice.options) else "NOTHING MEETS"
        what = f"{nothing} {duration(demand.deadline or 0)}"
        asked = f" at {portion(demand.confidence)}"
        closest = fitting((_closest(judged, demand),), width)
    else:
        what, asked = ("FINISH NOT KNOWN", "") if able else ("NO LANE CAN RUN THIS", "")
        closest = fitting(((Piece(choice.why),),), width)
    first = between(
        (Piece(what, Tone.BAD), Piece(asked), Piece("  on "), Piece(choice.model, Tone.STRONG)),
        (),
        width,
    )
    next_ = _would_do(loosened) if able else NO_LANE
    return Band(tone=Tone.BAD, lines=(first, closest, fitting((next_,), width)))


def _closest(judged: Sequence[Option], demand: Requirements) -> Line:
    best = max(judged, key=_likelihood)
    cost = dollars(best.cost.expected) if best.cost else ""
    return (
        Piece("closest: "),
        Piece(lane_of(best), Tone.STRONG),
        Piece(f" for {cost}, which {short(best, demand)}"),
    )


def _likelihood(option: Option) -> tuple[float, float]:
    p = option.p_deadline
    return (p.low, p.mean) if p else (0.0, 0.0)


NO_LANE = (Piece("Enter: why · e other models · o another file", Tone.MUTED),)


def _would_do(loosened: Loosened | None) -> Line:
    if loosened is None or loosened.choice.chosen is None:
        return (Piece("Enter: why · ] a later deadline · - fewer rows", Tone.MUTED),)
    option = loosened.choice.chosen
    when = (
        "without a deadline"
        if loosened.deadline is None
        else f"due in {duration(loosened.deadline)}"
    )
    cost = f" for {dollars(option.cost.expected)}" if option.cost else ""
    return (Piece("would do: "), Piece(when, Tone.STRONG), Piece(f", by {lane_of(option)}{cost}"))


# --- why --------------------------------------------------------------------------------


def why(
    answer: Answer, option_id: str, closer: Closer | None = None, *, brief: bool = False
) -> tuple[Paragraph, ...]:
    """Why this option is the choice or is not, what would change that; arithmetic, risks, basis.

    `brief` leaves out what the band above says already; `closer` is what a search found.
    """
    return tuple(_why(answer, answer.estimate.option(option_id), closer, brief=brief))


def _why(
    answer: Answer, option: Option, closer: Closer | None, *, brief: bool
) -> Iterator[Paragraph]:
    estimate = answer.estimate
    choice = next(each for each in estimate.decision.models if each.model == option.model)
    if not (brief and option.id == choice.choice):
        yield _verdict(estimate, choice, option)
    for warning in (*_over_month(answer, option), *estimate.warnings[:1]):
        yield paragraph(keyed(warning), Tone.WARN, mark="! ")
    yield from _needs(estimate, choice, closer)
    yield from (paragraph(keyed(gate.message), mark="✗ ") for gate in option.gates[1:])
    yield from _switch(estimate, option)
    yield from _sum(option)
    yield from (paragraph(keyed(risk), mark="· ") for risk in option.risks)
    yield from (
        paragraph(keyed(warning), Tone.WARN, mark="! ") for warning in estimate.warnings[1:]
    )
    yield BLANK
    yield paragraph("Where it comes from", Tone.MUTED)
    yield from _origin(estimate, option)
    if estimate.assumptions:
        yield BLANK
        yield paragraph("Assumed", Tone.MUTED)
    yield from (paragraph(keyed(each), Tone.MUTED, mark="· ") for each in estimate.assumptions)
    yield BLANK
    yield paragraph(LEFT_OUT, Tone.MUTED)


def _over_month(answer: Answer, option: Option) -> Iterator[str]:
    """That the usage tier does not let the option run as often a month as is asked."""
    runs = answer.inputs.runs
    said = None if runs is None else option.over_month(runs)
    if said is not None:
        yield said


def _needs(estimate: Estimate, choice: ModelChoice, closer: Closer | None) -> Iterator[Paragraph]:
    """What the next cheaper lane would need, then what else would change the choice."""
    if closer is None:
        return
    best = choice.chosen
    cheaper = None if best is None else cheaper_short(best, choice.options)
    wins = {
        each.choice: [condition(flip) for flip in closer.flips if flip.choice == each.choice]
        for each in closer.flips
    }
    if cheaper is not None:
        found = wins.pop(cheaper.id, None)
        said = " · ".join(found) if found else "no one change that was tried makes it the choice"
        yield _change(f"for {lane_of(cheaper)}: ", said)
    asked = estimate.job.requirements.deadline is not None
    nothing = "nothing meets it: " if asked else "no lane can run it: "
    for id_, found in wins.items():
        name = nothing if id_ is None else f"for {id_.rpartition('/')[2]}: "
        yield _change(name, " · ".join(found))
    if closer.waiting is not None:
        yield paragraph(worth(closer.waiting), mark="· ")


def _change(name: str, said: str) -> Paragraph:
    return Paragraph(body=(Piece(name, Tone.STRONG), Piece(said)), mark=Piece("→ ", Tone.KEY))


def condition(flip: Flip) -> str:
    """From where on something else wins: `due from 8h`, `from 20,000 rows`."""
    said = {"deadline": "due ", "confidence": "wanted "}.get(flip.input, "")
    return f"{said}{flip_at(flip)}"


def _origin(estimate: Estimate, option: Option) -> Iterator[Paragraph]:
    """Of tokens, price and time: how each is known, and since when."""
    profile = profile_of(estimate, option.model)
    yield paragraph(f"tokens: {profile.how}, grade {profile.grade}", Tone.MUTED, mark="· ")
    used = _offers(estimate, option)
    read = [source.read_as for each in used if each.card for source in each.card.sources]
    if read:
        yield paragraph(f"price: read {', '.join(dict.fromkeys(read))}", Tone.MUTED, mark="· ")
    tiers = [each.limits for each in used if each.limits.published]
    for limits in tiers[:1]:
        days = ", ".join(dict.fromkeys(source.read_as for source in limits.sources))
        said = f"limits: usage tier {limits.tier or '?'}, read {days}"
        yield paragraph(said, Tone.MUTED, mark="· ")
    if option.delivery != "sync" and not option.gates:
        yield paragraph(f"time: {EVIDENCE[option.grade]}", Tone.MUTED, mark="· ")


def _offers(estimate: Estimate, option: Option) -> list[Offer]:
    """The lanes that the option uses."""
    case = next(each for each in estimate.cases if each.profile.model == option.model)
    lanes = {option.lane, option.id.rpartition(">")[2], option.id.rpartition("|")[2]}
    return [offer for offer in case.offers if offer.lane.id in lanes]


def _verdict(estimate: Estimate, choice: ModelChoice, option: Option) -> Paragraph:
    name = Piece(f"{option.id}: ", Tone.STRONG)
    return Paragraph(body=(name, Piece(printable(_reason(estimate, choice, option)))))


def _reason(estimate: Estimate, choice: ModelChoice, option: Option) -> str:
    demand = estimate.job.requirements
    if option.id == choice.choice:
        return choice.why.removeprefix(f"{option.id} ")
    if option.gates:
        return option.gates[0].message
    if option.cost is None:
        return "its price is not known"
    if option.verdict is Verdict.UNKNOWN:
        return "when it would be done is not known"
    if option.verdict is not Verdict.MEETS:
        return f"{short(option, demand)}; you asked for {portion(demand.confidence)}"
    return _second(choice, option)


def _second(choice: ModelChoice, option: Option) -> str:
    """An option that meets the demand and is not the choice."""
    best = choice.chosen
    if best is None or best.cost is None or option.cost is None:
        return "it can run"
    if option.cost.expected < best.cost.expected:
        saved = dollars(difference(best.cost.expected, option.cost.expected))
        return f"would save {saved} against {lane_of(best)}, too little for more to operate"
    more = dollars(difference(option.cost.expected, best.cost.expected))
    beaten = "; another is no dearer, no less likely and no less simple" if option.dominated else ""
    than = f"{more} more than" if option.cost.expected > best.cost.expected else "the same as"
    return f"can do it too, for {than} {lane_of(best)}{beaten}"


def _switch(estimate: Estimate, option: Option) -> Iterator[Paragraph]:
    if option.rescue is None:
        return
    base = option.id.rpartition(">")[2]
    at = clock(estimate.later(option.rescue.at), estimate.now)
    yield paragraph(
        f"Start {option.lane} now; what is unfinished at {at} is cancelled and runs in {base}. "
        f"It is {percent(option.rescue.p_no_rescue)} likely that nothing is left by then.",
        mark="· ",
    )


def _sum(option: Option) -> Iterator[Paragraph]:
    """The arithmetic in one sentence: quantity x rate + ... = cost."""
    if option.cost is None:
        return
    lanes = {part.lane for part in option.cost.components}
    parts = " + ".join(
        f"{part.quantity:,} {part.meter}{f' ({part.lane})' if len(lanes) > 1 else ''}"
        f" x ${plain(part.rate)}/M"
        for part in option.cost.components
    )
    yield paragraph(f"{parts} = {dollars(option.cost.expected)}", mark="= ")


# --- one option in full -----------------------------------------------------------------


def explanation(
    answer: Answer, option_id: str, closer: Closer | None = None
) -> tuple[Paragraph, ...]:
    """One option: arithmetic, time, probability, gates, risks, evidence, assumptions."""
    return tuple(_explanation(answer, answer.estimate.option(option_id), closer))


def _explanation(answer: Answer, option: Option, closer: Closer | None) -> Iterator[Paragraph]:
    estimate = answer.estimate
    choice = next(each for each in estimate.decision.models if each.model == option.model)
    mark, word, tone = sign(option, asked=estimate.job.requirements.deadline is not None)
    yield Paragraph(
        body=(Piece(f"{mark} {word}  ", tone), Piece(_reason(estimate, choice, option)))
    )
    yield from (
        paragraph(f"{keyed(gate.message)} [{gate.code}]", mark="✗ ") for gate in option.gates
    )
    yield from _cost(estimate, option)
    yield from _time(estimate, option)
    changes = list(_needs(estimate, choice, closer))
    if changes:
        yield from _heading("What would change the choice")
        yield from changes
    yield from _list("Risks", (*_over_month(answer, option), *option.risks))
    yield from _list("Warnings", estimate.warnings)
    yield from _list("Assumed", estimate.assumptions)
    yield from _evidence(estimate, option)


def _heading(text: str) -> Iterator[Paragraph]:
    yield BLANK
    yield paragraph(text, Tone.STRONG)


def _cost(estimate: Estimate, option: Option) -> Iterator[Paragraph]:
    cost = option.cost
    yield from _heading("Cost")
    if cost is None:
        yield paragraph("not known", mark="  ")
        return
    yield from (_indented(line) for line in arithmetic(cost.components))
    yield Paragraph(
        body=(
            Piece(dollars(cost.expected), Tone.STRONG),
            Piece(
                f" expected; 95 % interval {dollars(cost.low)} to {dollars(cost.high)}; "
                f"{dollars(cost.ceiling)} if every answer runs to its limit"
            ),
        ),
        mark=Piece("= "),
    )
    profile = profile_of(estimate, option.model)
    yield paragraph(
        f"{counted(profile.rows.value, 'row')}; prompts of {round(profile.sizes.mean):,} tokens "
        f"on average, at most {profile.sizes.largest:,}; {keyed(profile.output.said)}",
        Tone.MUTED,
        mark="  ",
    )


def _indented(line: str) -> Paragraph:
    """A line that keeps its leading blanks: figures stand under figures."""
    text = line.lstrip()
    return paragraph(text, mark=" " * (2 + len(line) - len(text)))


def _time(estimate: Estimate, option: Option) -> Iterator[Paragraph]:
    finish, p, demand = option.finish, option.p_deadline, estimate.job.requirements
    yield from _heading("Time")
    usual = "not known" if finish.p50 is None else duration(finish.p50)
    late = "not known" if finish.p95 is None else duration(finish.p95)
    documented = finish.bound if option.strategy == "single" else None
    bound = "" if documented is None else f"; documented window {duration(documented)}"
    yield paragraph(f"typically {usual}; 95 % by {late}{bound}; grade {option.grade}", mark="  ")
    if p is not None and demand.deadline is not None:
        yield paragraph(
            f"in {duration(demand.deadline)}: {percent(p.mean)}, {least(p.low)}; asked: "
            f"{portion(demand.confidence)}",
            mark="  ",
        )
    yield from _switch(estimate, option)
    if finish.batches is not None and finish.waves is not None and finish.batches > 1:
        yield paragraph(
            f"{batches(finish.batches)} of at most "
            f"{counted(finish.rows_per_batch or 0, 'row')}, {finish.concurrent or 0:,} at once: "
            f"{counted(finish.waves, 'wave')}",
            mark="  ",
        )
    if finish.rate is not None:
        held = f", held by {finish.binding}" if finish.binding else ""
        yield paragraph(f"{finish.rate:.3g} rows a second{held}", mark="  ")


def _list(name: str, sentences: Sequence[str]) -> Iterator[Paragraph]:
    if sentences:
        yield from _heading(name)
        yield from (paragraph(keyed(each), mark="· ") for each in sentences)


def _evidence(estimate: Estimate, option: Option) -> Iterator[Paragraph]:
    used = _offers(estimate, option)
    sources = [source for offer in used if offer.card for source in offer.card.sources]
    sources += [source for offer in used for source in offer.limits.sources]
    yield from _heading("Evidence")
    steps = [(offer.lane.id, step) for offer in used if offer.card for step in offer.card.steps]
    yield from (paragraph(f"{lane}: {step}", mark="= ") for lane, step in dict.fromkeys(steps))
    yield from _origin(estimate, option)
    for source in dict.fromkeys(sources):
        yield paragraph(f"read {source.read_as} ({source.via}): {source.url}", mark="· ")
    yield paragraph(f"Prices as of {estimate.on}. {LEFT_OUT}", Tone.MUTED)
