"""What the catalog says, as text and as data: support, prices, the matrix of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.money import plain
from planner.report import evidence
from planner.report.evidence import Json, decimals, listed
from planner.report.layout import UNKNOWN, Column, as_csv, as_json, markdown, table, wrapped
from planner.words import compact, counted, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from planner.catalog.prices import Change, RateCard
    from planner.handoff.providers.live import Compared
    from planner.lookups import LaneAnswer, NoLane, PriceAnswer


def support(answer: LaneAnswer, now: Compared | None = None) -> str:
    """One answer with its evidence, and what the vendor says of it now where it was asked."""
    found, lane = answer.support, answer.support.lane
    lines = [f"{found.state.upper()}: {answer.model.id}, {lane.id} ({lane.title}), {answer.on}"]
    lines.append(wrapped(found.why, first="  "))
    lines += [wrapped(text, first=f"  {name}: ") for name, text in told(answer)]
    if found.state == "unknown":
        lines.append(
            wrapped(
                "Nothing says yes or no. Ask the vendor's model list before you build on it; record"
                " the answer in an overlay (--pricing).",
                first="  ",
            )
        )
    if now is not None:
        lines += _now(now)
    return "\n".join(lines) + "\n"


def no_lane(answer: NoLane) -> str:
    """That nothing says yes or no, and what the model's vendor has instead."""
    lines = [f"UNKNOWN: {answer.model.id}, {answer.lane}, {answer.on}"]
    lines.append(wrapped(answer.why, first="  "))
    for each in answer.lanes:
        lane, note = each.support.lane, each.support.note
        said = ", ".join(f"{meter} x{plain(cut)}" for meter, cut in (each.discount or {}).items())
        price = f", of the ordinary price: {said}" if said else ""
        noted = f". {note}" if note else ""
        first = f"  {lane.id}: "
        lines.append(wrapped(f"{each.support.state} ({lane.title}){price}{noted}", first=first))
    return "\n".join(lines) + "\n"


def _now(now: Compared) -> Iterator[str]:
    """What the vendor's own endpoints say, beside the catalog."""
    yield f"  asked now: {now.reading.url}"
    for text in now.differences:
        yield wrapped(text, first="    ! ")
    if not now.differences:
        yield "    the catalog agrees"
    for limits in now.reading.limits:
        figures = ", ".join(f"{name} {most:,}" for name, most in limits.figures.items())
        yield wrapped(figures, first=f"    your {'batch ' if limits.batch else ''}limits: ")
    if now.tiers:
        yield wrapped(f"those of usage tier {' or '.join(now.tiers)}", first="    ")
    if now.unknown:
        yield wrapped(", ".join(now.unknown), first="    newer than the catalog: ")
    yield from (wrapped(note, first="    ") for note in now.reading.notes)


def told(answer: LaneAnswer) -> Iterator[tuple[str, str]]:
    """What holds where the lane is, or may be, supported, and who says so: label and text."""
    if answer.support.state != "no":
        yield from _offered(answer)
    elif answer.support.note:
        yield "note", answer.support.note
    if answer.support.source is not None:
        yield from evidence.told(answer.support.source)
    yield from (("warning", text) for text in answer.aged)


def _offered(answer: LaneAnswer) -> Iterator[tuple[str, str]]:
    yield from _rates(answer)
    if answer.support.ends is not None:
        yield "ends", f"not offered from {answer.support.ends} on"
    lane = answer.support.lane
    if lane.window is not None:
        ends = (lane.at_window or "what happens at its end is not stated").replace("_", " ")
        usual = f"; usual: {lane.usual}" if lane.usual else ""
        yield "window", f"{duration(lane.window)}, {ends}{usual}"
    limits = ", ".join(f"{most:,} {what}" for what, most in (lane.per_batch or {}).items())
    kept = None if lane.results_kept is None else duration(lane.results_kept)
    said = (
        ("per batch", limits),
        ("results kept", kept),
        ("billed", ", ".join(f"{what} {said}" for what, said in lane.billed.items())),
        ("refuses", ", ".join(lane.refuses)),
        ("needs", lane.needs),
        ("note", lane.note),
        ("inferred", answer.support.inferred),
        ("!", "; ".join(answer.support.begun_since_read)),
    )
    yield from ((name, text) for name, text in said if text)


def _rates(answer: LaneAnswer) -> Iterator[tuple[str, str]]:
    card = answer.card
    if card is None:
        yield "price", f"not known: {answer.no_price}"
        return
    known = "price" if answer.support.state == "yes" else "price, if it is offered"
    yield known, f"{listed(card.rates, '$')} per million tokens"
    for tier in card.tiers:
        sign = ">=" if tier.inclusive else ">"
        yield f"prompts {sign} {tier.edge:,}", listed(tier.rates, "$")
    if card.next_change is not None and card.next_change.date != answer.support.ends:
        yield "next", _next(card.next_change)
    if answer.discount:
        cuts = ", ".join(f"{meter} x{plain(cut)}" for meter, cut in answer.discount.items())
        yield "of the ordinary price", cuts


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
        sign = "from" if tier.inclusive else "over"
        lines.append(wrapped(listed(tier.rates), first=f"  prompts {sign} {tier.edge:,} tokens: "))
    lines += [wrapped(text, first="  inferred: ") for text in card.inferred]
    change = card.next_change
    if change is not None:
        lines.append(wrapped(_next(change), first="  next: "))
    if len(answer.history) > 1:
        from planner.report import changes

        lines += changes.history(answer.history)
    lines += [evidence.line(source) for source in card.sources]
    lines += [wrapped(text, first="  ! ") for text in card.begun_since_read]
    return "\n".join(lines) + "\n"


def _next(change: Change) -> str:
    if change.rates is None:
        return f"no price from {change.date} on: {change.what}"
    promise = " (announced; may be called off)" if change.state else ""
    return f"from {change.date}: {change.what}{promise}"


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
    Column(title="verified"),
)


def models(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    """The support matrix: a line a model, each lane with + (yes), - (no) or ? (unknown)."""
    if not answers:
        return ""
    lines = table(MODEL_COLUMNS, (model_cells(each) for each in answers))
    found = counted(len(answers), "model")
    count = wrapped(f"{found}; + supported, - not, ? unknown; prices in US dollars per million")
    return "\n".join([*lines, "", count, *_own(answers)]) + "\n"


def _own(answers: Sequence[Sequence[LaneAnswer]]) -> Iterator[str]:
    """Which figures are the user's own."""
    own: dict[str, dict[str, None]] = {}
    for answer in (each for lanes in answers for each in lanes):
        used = answer.card.sources if answer.card else ()
        for source in (*used, *((answer.support.source,) if answer.support.source else ())):
            if source.overlay is not None:
                own.setdefault(source.overlay, {})[answer.model.id] = None
    yield from (
        wrapped(", ".join(names), first=f"your own {file}: ") for file, names in own.items()
    )


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
        _verified(answers),
    )


def _verified(answers: Sequence[LaneAnswer]) -> str:
    """When the oldest source of the row was read, as on the screen."""
    found = [each.support.source for each in answers if each.support.source is not None]
    found += [source for each in answers if each.card for source in each.card.sources]
    return min(found, key=lambda each: each.read).read_as if found else ""


def _rate_of(card: RateCard | None, meter: str) -> str:
    rate = card.rates.get(meter) if card else None
    return UNKNOWN if rate is None else plain(rate)


# --- as data ---------------------------------------------------------------------------


def support_data(answer: LaneAnswer) -> Json:
    """`planner.support/1`."""
    found, lane = answer.support, answer.support.lane
    return {
        "schema": "planner.support/1",
        "provider": answer.model.provider,
        "model": answer.model.id,
        "lane": lane.id,
        "as_of": answer.on.isoformat(),
        "support": found.state,
        "why": found.why,
        "evidence": evidence.data(found.source),
        "inferred": found.inferred,
        "ends": None if found.ends is None else found.ends.isoformat(),
        "begun_since_read": list(found.begun_since_read),
        "warnings": list(answer.aged),
        "next_change": None if answer.card is None else _change(answer.card),
        "window": lane.window,
        "at_window": lane.at_window,
        "usual": lane.usual,
        "per_batch": dict(lane.per_batch) if lane.per_batch else None,
        "results_kept": lane.results_kept,
        "billed": dict(lane.billed) or None,
        "discount": decimals(answer.discount),
        "rates": None if answer.card is None else decimals(answer.card.rates),
        "refuses": list(lane.refuses),
        "needs": lane.needs,
        "max_output": lane.max_output or answer.model.max_output,
        "note": found.note,
    }


def no_lane_data(answer: NoLane) -> Json:
    """`planner.support/1` of a lane that the catalog does not know; the lanes there are with it."""
    return {
        "schema": "planner.support/1",
        "provider": answer.model.provider,
        "model": answer.model.id,
        "lane": answer.lane,
        "as_of": answer.on.isoformat(),
        "support": "unknown",
        "why": answer.why,
        "evidence": None,
        "lanes": [support_data(each) for each in answer.lanes],
    }


def live_data(now: Compared) -> Json:
    """What the vendor's own endpoints say: an addition to `planner.support/1`."""
    model = now.reading.model
    return {
        "url": now.reading.url,
        "listed": model is not None,
        "batch_supported": None if model is None else model.batch,
        "retires": None if model is None or model.retires is None else model.retires.isoformat(),
        "state": None if model is None else model.state,
        "max_input": None if model is None else model.max_input,
        "max_output": None if model is None else model.max_output,
        "limits": [
            {"of_batches": each.batch, "figures": dict(each.figures)} for each in now.reading.limits
        ],
        "tiers": list(now.tiers),
        "differences": list(now.differences),
        "newer_models": list(now.unknown),
        "notes": list(now.reading.notes),
    }


def _check_json(answer: LaneAnswer, now: Compared | None = None) -> str:
    found = support_data(answer)
    return as_json(found if now is None else found | {"live": live_data(now)})


def price_data(answer: PriceAnswer) -> Json:
    """`planner.price/1`: US dollars per million, the exact rates of one request."""
    from planner.report import changes

    card = answer.card
    return {
        "schema": "planner.price/1",
        "provider": card.provider,
        "model": card.model,
        "lane": card.lane,
        "region": card.region,
        "prompt_tokens": answer.prompt_tokens,
        "as_of": card.on.isoformat(),
        "rates": decimals(answer.rates),
        "tiers": [
            {"over": tier.edge, "inclusive": tier.inclusive, "rates": decimals(tier.rates)}
            for tier in card.tiers
        ],
        "unpublished": list(card.unpublished),
        "sources": [evidence.data(source) for source in card.sources],
        "inferred": list(card.inferred),
        "begun_since_read": list(card.begun_since_read),
        "next_change": _change(card),
        "history": changes.history_data(answer.history),
        "steps": list(card.steps),
    }


def _change(card: RateCard) -> Json | None:
    change = card.next_change
    if change is None:
        return None
    return {
        "date": change.date.isoformat(),
        "what": change.what,
        "state": change.state,
        "rates": decimals(change.rates),
    }


# --- the renderers ----------------------------------------------------------------------


def _models_csv(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    return as_csv(MODEL_COLUMNS, (model_cells(each) for each in answers))


def _models_markdown(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    cells = (model_cells(each) for each in answers)
    return "\n".join(markdown(MODEL_COLUMNS, cells)) + "\n"


def _models_json(answers: Sequence[Sequence[LaneAnswer]]) -> str:
    return as_json([support_data(answer) for lanes in answers for answer in lanes])


CHECK: Mapping[str, Callable[[LaneAnswer, Compared | None], str]] = {
    "table": support,
    "json": _check_json,
}
NO_LANE: Mapping[str, Callable[[NoLane], str]] = {
    "table": no_lane,
    "json": lambda answer: as_json(no_lane_data(answer)),
}
PRICES: Mapping[str, Callable[[PriceAnswer], str]] = {
    "table": price,
    "json": lambda answer: as_json(price_data(answer)),
}
MODELS: Mapping[str, Callable[[Sequence[Sequence[LaneAnswer]]], str]] = {
    "table": models,
    "json": _models_json,
    "csv": _models_csv,
    "md": _models_markdown,
}
