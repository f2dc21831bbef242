"""The answers as text for a terminal: the answer first, then the matrix, then what it rests on.

Legible without colour and without a terminal: a verdict is a word with a mark before it.
Every figure comes from the core; this module only says it.
"""

from __future__ import annotations

from dataclasses import replace
from string import ascii_uppercase
from typing import TYPE_CHECKING

from planner.decision.matrix import unsettled
from planner.decision.options import Verdict
from planner.money import dollars, plain
from planner.report.layout import UNKNOWN, Column, table, wrapped
from planner.words import aged, clock, compact, counted, duration, least, percent, portion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planner.decision.cost import Cost, CostComponent
    from planner.decision.flips import Cell, Flip
    from planner.decision.matrix import ModelChoice
    from planner.decision.options import Option
    from planner.decision.waiting import Waiting
    from planner.pipeline import Estimate
    from planner.workload.profile import TokenProfile
    from planner.workload.sizes import Range

MARKS = {
    Verdict.MEETS: "+ meets",
    Verdict.LIKELY: "~ likely",
    Verdict.AT_RISK: "! at risk",
    Verdict.CANNOT: "x cannot",
    Verdict.UNKNOWN: "? unknown",
}
CAN_RUN = "+ can run"
CHOSEN = ">"

LEFT_OUT = "Left out: tax, currency, contract discounts, tools and storage the vendor bills apart."


def estimate(answer: Estimate) -> str:
    """The whole answer."""
    blocks = [
        "\n".join(_heading(answer)),
        "\n".join(_headline(answer)),
        *("\n".join(_model_block(answer, model)) for model in answer.decision.models),
        "\n".join(_notes("Assumed", _whose(answer))),
        "\n".join(_notes("Warnings", answer.warnings)),
        "\n".join(_footer(answer)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _heading(answer: Estimate) -> Iterator[str]:
    measured, demand = answer.measured, answer.job.requirements
    facts = measured.workload
    rows = measured.rows
    if facts is None:
        yield f"{counted(rows, 'row')}, by the figures given"
    else:
        part = "" if facts.rows == rows else f" (counted: {facts.rows:,})"
        told = f"{counted(rows, 'row')}{part}, {facts.format}, {facts.digest[:19]}"
        yield f"{facts.path.name}: {told}"
    if demand.deadline is not None and answer.job.deadline_at is not None:
        at = clock(answer.job.deadline_at, answer.now)
        wanted = portion(demand.confidence)
        yield f"Deadline: {at}, in {duration(demand.deadline)}; wanted: {wanted}"
    if demand.respond_within is not None:
        yield f"Somebody waits: each answer within {demand.respond_within:g} s"


def _headline(answer: Estimate) -> Iterator[str]:
    decision = answer.decision
    if answer.measured.named and len(decision.models) > 1:
        chosen = decision.choice or _nothing(decision.options)
        yield wrapped(f"{chosen}: {decision.why}", first="=> ")


def _model_block(answer: Estimate, model: ModelChoice) -> Iterator[str]:
    """One model: its answer, its lanes, why not the others, its arithmetic."""
    profile, chosen = _profile(answer, model), model.chosen
    yield f"{model.model}: {_nothing(model.options) if chosen is None else ways(chosen)}"
    yield wrapped(f"{model.why}.", first="  ")
    rests = assumed_length(answer, model)
    if rests is not None:
        yield wrapped(rests, first="  ! ")
    if chosen is not None and chosen.rescue is not None:
        yield wrapped(_switch(answer, chosen), first="  ")
    yield wrapped(size_of(profile), first="  ", later="    ")
    rows = list(_rows(answer, model))
    if rows:
        yield from (f"  {line}" for line in table(_columns(answer), rows))
    yield from _why_not(model)
    if chosen is not None and chosen.cost is not None:
        yield f"  {chosen.id}:"
        yield from (f"    {line}" for line in arithmetic(chosen.cost.components))
        yield from (wrapped(risk, first="    risk: ") for risk in chosen.risks)
    yield from _flips(answer.flips.get(model.model, ()))
    yield from _waiting(answer.waiting.get(model.model))


def _profile(answer: Estimate, model: ModelChoice) -> TokenProfile:
    return next(each for each in answer.measured.profiles if each.model == model.model)


def _nothing(options: Sequence[Option]) -> str:
    """That no option is chosen: none meets the demand, or whether one does is not known."""
    return f"{UNMET[unsettled(options)]} the demand"


UNMET = {False: "nothing meets", True: "nothing is known to meet"}
"""Whether one that can run is not judged -> what is said where none is chosen."""


def assumed_length(answer: Estimate, model: ModelChoice) -> str | None:
    """The assumption that moves a cost most, to stand beside the answer that rests on it."""
    length, chosen = _profile(answer, model).output, model.chosen
    if length.basis != "assumed":
        return None
    ends = f"{float(length.low):,.0f} to {float(length.high):,.0f}"
    cost = chosen.cost if chosen is not None else None
    so = "" if cost is None else f", so anything from {dollars(cost.low)} to {dollars(cost.high)}"
    return (
        f"rests on answers of {counted(round(length.mean), 'token')} ({ends}) each, which is "
        f"ASSUMED{so}: --output-tokens or --output-sample settles it"
    )


def _flips(found: Sequence[Flip]) -> Iterator[str]:
    """What would change the choice: a line an input."""
    for name in FLIP_INPUTS:
        parts = [
            f"{flip_at(flip)}: {flip.choice.rpartition('/')[2] if flip.choice else 'nothing meets'}"
            for flip in found
            if flip.input == name
        ]
        if parts:
            said_name = name.replace("_", " ")
            yield wrapped("; ".join(parts), first=f"    {said_name} would change it: ")


def flip_at(flip: Flip) -> str:
    """The value from which on another option wins: `from 8h`, `below 1,200 rows`."""
    return FLIP_INPUTS[flip.input](flip)


def _waiting(found: Waiting | None) -> Iterator[str]:
    if found is not None:
        yield wrapped(worth(found), first="    waiting: ")


def worth(found: Waiting) -> str:
    """What an hour has to be worth before the sooner lane pays."""
    sooner, later = (each.rpartition("/")[2] for each in (found.sooner, found.later))
    return (
        f"{later} saves {dollars(found.saved)} and takes {duration(found.longer)} longer on "
        f"average: {sooner} pays where an hour is worth over {dollars(found.per_hour)}"
    )


def _beyond(flip: Flip, figure: str) -> str:
    return f"{'from' if flip.rising else 'below'} {figure}"


FLIP_INPUTS: Mapping[str, Callable[[Flip], str]] = {
    "deadline": lambda flip: _beyond(flip, duration(flip.at)),
    "volume": lambda flip: _beyond(flip, f"{counted(round(flip.at), 'row')}"),
    "output": lambda flip: _beyond(flip, f"{counted(round(flip.at), 'token')} an answer"),
    "confidence": lambda flip: _beyond(flip, percent(flip.at)),
    "hit_share": lambda flip: _beyond(flip, f"{portion(flip.at)} of rows cached"),
    "tier": lambda flip: f"in {flip.name}",
    "history": lambda flip: f"after {counted(round(flip.at), 'more batch')} of typical time",
}


def ways(option: Option) -> str:
    """How the option runs, in words: `batch`, `batch, then standard for what is left`."""
    _, _, joined = option.id.rpartition("/")
    if option.strategy == "rescue":
        return f"{option.lane}, then {joined.rpartition('>')[2]} for what is left"
    if option.strategy == "split":
        return f"{option.lane} and {joined.rpartition('|')[2]} side by side"
    return f"{option.lane} with cache" if option.cache else option.lane


def size_of(profile: TokenProfile) -> str:
    """`rows x (prompt + answer) tokens`, with the interval where there is one."""
    prompt, answer = profile.input, profile.output_total
    return (
        f"{counted(profile.rows.value, 'row')} x ({float(profile.sizes.mean):,.0f} in + "
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
        "" if not asked or p is None else least(p.low),
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


def _whose(answer: Estimate) -> list[str]:
    """The assumptions; what is taken for some of several models alone names them."""
    profiles = answer.measured.profiles

    def named(sentence: str) -> str:
        of = [each.model for each in profiles if sentence in (*each.said, each.output.said)]
        return f"{', '.join(of)}: {sentence}" if 0 < len(of) < len(profiles) else sentence

    return [named(each) for each in answer.assumptions]


def _notes(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield f"{title}:"
        yield from (wrapped(sentence, first="  - ") for sentence in sentences)


def _footer(answer: Estimate) -> Iterator[str]:
    yield from dict.fromkeys(wrapped(each) for each in _promises(answer))
    oldest = answer.evidence.oldest
    days = answer.evidence.age_days
    age = f", oldest source {aged(days)} ({oldest.id})" if oldest and days is not None else ""
    yield wrapped(f"Prices as of {answer.on}{age}. {LEFT_OUT}")


def _promises(answer: Estimate) -> Iterator[str]:
    """What is known of each batch lane that is in the answer, and what nobody promises."""
    for option in answer.decision.options:
        finish = option.finish
        single = option.strategy == "single" and option.delivery != "sync"
        if single and option.cost is not None and finish.p50 is not None and finish.p95 is not None:
            waves = f" in {counted(finish.waves or 1, 'wave')}" if (finish.waves or 1) > 1 else ""
            window = f" ({duration(finish.bound)}{waves})" if finish.bound else ""
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


NEVER, NOT_KNOWN = ".", "?"
"""Marks of a map where nothing meets the demand, and where nothing is known to."""


def lane_map(answer: Estimate, maps: Mapping[str, Sequence[Sequence[Cell]]]) -> str:
    """Which option wins at which deadline and volume, a table a model."""
    blocks = []
    for model, lines in maps.items():
        titles = [Column(title="rows", right=True)]
        titles += [Column(title=duration(cell.deadline), right=True) for cell in lines[0]]
        letters = lane_letters(lines)
        rows = [[f"{line[0].rows:,}", *(_cell(cell, letters) for cell in line)] for line in lines]
        marks = "; ".join(f"{mark} = {said}" for mark, said in map_legend(lines).items())
        blocks.append("\n".join([f"{model}: {marks}", *table(titles, rows)]))
    sure = portion(answer.job.requirements.confidence)
    note = f"Each cell: what wins when the job of so many rows is due in that time, {sure} wanted."
    return "\n\n".join([*blocks, note]) + "\n"


def lane_letters(lines: Sequence[Sequence[Cell]]) -> dict[str, str]:
    """A letter for each option that wins somewhere, in the order of the first deadline it does.

    A lane has its initial; where two lanes are joined (R then, X beside) or two begin alike,
    the next letter that is free.
    """
    winners = dict.fromkeys(
        cell.chosen.id.rpartition("/")[2]
        for column in zip(*lines, strict=True)
        for cell in column
        if cell.chosen is not None
    )
    taken: dict[str, str] = {}
    for name in sorted(winners, key=lambda each: (not each.isalnum(), each)):
        joined = "R" if ">" in name else "X" if "|" in name else ""
        wanted = f"{joined}{name}{ascii_uppercase}".upper()
        free = [each for each in wanted if each.isalpha() and each not in taken.values()]
        taken[name] = next(iter(free), "?")
    return {name: taken[name] for name in winners}


def map_legend(lines: Sequence[Sequence[Cell]], never: str = NEVER) -> dict[str, str]:
    """What each mark says that stands in a map: the lanes that win, then where none does."""
    said = {letter: name for name, letter in lane_letters(lines).items()}
    without = [cell for line in lines for cell in line if cell.chosen is None]
    for cell in sorted(without, key=lambda each: each.unsettled):
        said[unmet(cell, never)] = UNMET[cell.unsettled]
    return said


def unmet(cell: Cell, never: str = NEVER) -> str:
    """The mark of a cell where nothing wins: `never` where that is certain."""
    return NOT_KNOWN if cell.unsettled else never


def _cell(cell: Cell, letters: Mapping[str, str]) -> str:
    if cell.chosen is None or cell.chosen.cost is None:
        return unmet(cell)
    return f"{letters[cell.chosen.id.rpartition('/')[2]]} {dollars(cell.chosen.cost.expected)}"
