"""What the Models screen says: the support matrix as rows, what a filter leaves, the evidence.

Pure functions from look-ups to toned text. A filter term means what it means to
`planner models`; the one difference is that a term is read while it is still being typed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from planner import lookups
from planner.catalog.facts import SupportState
from planner.catalog.freshness import freshness
from planner.money import plain
from planner.report import facts
from planner.tui.columns import GAP, Column, Grid, widest
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
from planner.words import compact, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from planner.catalog import Catalog, Source
    from planner.catalog.facts import LaneFacts
    from planner.lookups import LaneAnswer

STATES: Mapping[str, tuple[str, Tone]] = {
    "yes": ("●", Tone.GOOD),
    "no": ("○", Tone.BAD),
    "unknown": ("?", Tone.WARN),
}
"""The mark and the tone of an answer; unknown is neither yes nor no."""

NOTHING = "-"

COLUMNS = (
    Column(title="batch"),
    Column(title="model", wants=20, gives=10, tail=True),
    Column(title="provider", rank=3),
    Column(title="price", right=True, rank=2),
    Column(title="window", rank=4),
    Column(title="a batch takes", rank=6),
    Column(title="context", right=True, rank=5),
    Column(title="in $/M", right=True),
    Column(title="out $/M", right=True),
    Column(title="other lanes", rank=7),
    Column(title="verified", rank=1),
)


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Every model of the catalog with all its answers, and its row ready to be drawn."""

    catalog: Catalog
    on: date
    answers: tuple[tuple[LaneAnswer, ...], ...]
    rows: Mapping[str, tuple[Line, ...]]
    wides: tuple[int, ...]
    sizes: Mapping[str, tuple[int, ...]]
    """Model -> the width of each cell of its row."""
    states: Mapping[str, str]
    """Model -> yes, no or unknown in its vendor's batch lane."""
    usual: str
    """What that lane is called at most vendors."""

    def grid(
        self, found: tuple[tuple[LaneAnswer, ...], ...], ticked: frozenset[str] = frozenset()
    ) -> Grid:
        """Some of the models, in columns that stay where they are."""
        ids = tuple(key(each) for each in found)
        return Grid(
            columns=COLUMNS,
            ids=ids,
            rows=tuple(self.rows[each] for each in ids),
            wides=self.wides,
            least=(self.wides[0], *widest(COLUMNS, [self.sizes[each] for each in ids])[1:]),
            ticked=ticked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a filter leaves."""

    terms: tuple[str, ...]
    grid: Grid
    counts: tuple[Line, ...]
    """How many, by state, the longest wording first."""
    none: tuple[Paragraph, ...] = ()
    """What to say where nothing is left."""


def shelf(catalog: Catalog, *, on: date) -> Shelf:
    """Look everything up once; a filter only chooses from it."""
    answers = lookups.support_matrix(catalog, on=on)
    usual = _usual(answers)
    rows = {key(each): _row(each, usual, on) for each in answers}
    sizes = {name: tuple(map(cells, row)) for name, row in rows.items()}
    return Shelf(
        catalog=catalog,
        on=on,
        answers=answers,
        rows=rows,
        usual=usual,
        wides=widest(COLUMNS, tuple(sizes.values())),
        sizes=sizes,
        states={key(each): _state(batch_of(each, usual)) for each in answers},
    )


def key(answers: tuple[LaneAnswer, ...]) -> str:
    """PROVIDER/MODEL: two vendors may sell one id."""
    model = answers[0].model
    return f"{model.provider}/{model.id}"


def batch_of(answers: tuple[LaneAnswer, ...], usual: str) -> LaneAnswer | None:
    """The answer for the vendor's batch lane; None where the catalog knows none."""
    own = [each for each in answers if each.support.lane.per_batch is not None]
    named = [each for each in answers if each.support.lane.id == usual]
    return next(iter(own + named), None)


def _usual(matrix: tuple[tuple[LaneAnswer, ...], ...]) -> str:
    """What the lane that takes rows by the batch is called at most vendors."""
    lanes = [each.support.lane for answers in matrix for each in answers]
    names = [lane.id for lane in lanes if lane.per_batch is not None]
    return max(names, key=names.count, default="")


def _state(batch: LaneAnswer | None) -> str:
    """A lane that the catalog does not know is no `no`: nobody may have read it yet."""
    return "unknown" if batch is None else batch.support.state


# --- rows -------------------------------------------------------------------------------


def _row(answers: tuple[LaneAnswer, ...], usual: str, on: date) -> tuple[Line, ...]:
    base, batch = answers[0], batch_of(answers, usual)
    state = _state(batch)
    mark, tone = STATES[state]
    offered = batch.support.lane if batch is not None and state != "no" else None
    texts = (
        base.model.provider,
        _price(batch) if state != "no" else NOTHING,
        NOTHING if offered is None or offered.window is None else duration(offered.window),
        NOTHING if offered is None else _takes(offered),
        NOTHING if base.model.context is None else compact(base.model.context),
        _rate(base, "input"),
        _rate(base, "output"),
        _others(answers, batch),
    )
    return (
        (Piece(f"{mark} {state}", tone),),
        (Piece(base.model.id, Tone.STRONG),),
        *((Piece(text),) for text in texts),
        _verified((base, batch) if batch is not None else (base,), on),
    )


def _price(batch: LaneAnswer | None) -> str:
    """The batch lane's price over the ordinary one; a range where its meters differ."""
    cuts = sorted(set((batch.discount or {}).values())) if batch is not None else []
    ends = dict.fromkeys(plain(round(cut, 2)) for cut in cuts[:1] + cuts[-1:])
    return f"x{'-'.join(ends)}" if ends else NOTHING


def _takes(lane: LaneFacts) -> str:
    """The limits of one batch, the first ones the vendor states."""
    most = [f"{_short(count)} {what}" for what, count in (lane.per_batch or {}).items()]
    return ", ".join(most[:2]) or NOTHING


def _short(count: int) -> str:
    """A limit is a round figure: 100k, 256M."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size and count % size == 0:
            return f"{count // size}{unit}"
    return compact(count)


def _rate(answer: LaneAnswer, meter: str) -> str:
    rate = answer.card.rates.get(meter) if answer.card is not None else None
    return NOTHING if rate is None else plain(rate)


def _others(answers: tuple[LaneAnswer, ...], batch: LaneAnswer | None) -> str:
    """The other lanes, as `planner models` marks them."""
    return " ".join(
        f"{facts.STATE_MARKS[each.support.state]}{each.support.lane.id}"
        for each in answers[1:]
        if each is not batch
    )


def _verified(answers: tuple[LaneAnswer, ...], on: date) -> Line:
    """When the oldest source behind the row was read."""
    found = freshness(tuple(source for each in answers for source in _sources(each)), on=on)
    if found.oldest is None:
        return (Piece(NOTHING, Tone.MUTED),)
    if found.warnings or found.refusals:
        return (Piece(f"{found.oldest.read_as} stale", Tone.WARN),)
    return (Piece(found.oldest.read_as, Tone.MUTED),)


def _sources(answer: LaneAnswer) -> Iterator[Source]:
    if answer.support.source is not None:
        yield answer.support.source
    if answer.card is not None:
        yield from answer.card.sources


def age(of: Shelf) -> int | None:
    """Days since the oldest source of the catalog was read."""
    sources = (s for answers in of.answers for each in answers for s in _sources(each))
    return freshness(sources, on=of.on).age_days


def example(of: Shelf) -> str:
    """What may be typed, for the empty field."""
    states = "  ".join(f"{of.usual}:{state}" for state in get_args(SupportState))
    return f"part of a name, a vendor, or {states}"


# --- a filter ---------------------------------------------------------------------------


def filtered(of: Shelf, text: str, ticked: frozenset[str] = frozenset()) -> Found:
    """The models that fit what is typed; a state that is half typed fits all it may become."""
    terms = _terms(of, text)
    found = _fitting(of, terms)
    return Found(
        terms=terms,
        grid=of.grid(found, ticked),
        counts=_counts(of, found),
        none=() if found else tuple(_none(of, text, terms)),
    )


def answers(of: Shelf, found: Found) -> tuple[tuple[LaneAnswer, ...], ...]:
    """Every lane of the models that are left."""
    left = frozenset(found.grid.ids)
    return tuple(each for each in of.answers if key(each) in left)


def _fitting(of: Shelf, terms: tuple[str, ...]) -> tuple[tuple[LaneAnswer, ...], ...]:
    """Of a vendor without such a lane, nothing is known: its models are among the unknown."""
    wanted = {term.partition(":")[2] for term in terms if term.startswith(f"{of.usual}:")}
    others = tuple(term for term in terms if not term.startswith(f"{of.usual}:"))
    found = lookups.fitting(of.answers, others)
    return tuple(each for each in found if wanted <= {of.states[key(each)]})


def _terms(of: Shelf, text: str) -> tuple[str, ...]:
    lanes = {each.support.lane.id for answers in of.answers for each in answers}
    return tuple(each for term in text.split() if (each := _term(term.lower(), lanes, of)))


def _term(term: str, lanes: set[str], of: Shelf) -> str | None:
    """A term as it is meant; None while it says nothing yet."""
    lane, colon, state = term.partition(":")
    if lane not in lanes:
        begun = not colon and any(each.startswith(lane) for each in lanes)
        return None if begun and not lookups.fitting(of.answers, (term,)) else term
    if not colon:
        return term if lookups.fitting(of.answers, (term,)) else None
    meant = [each for each in get_args(SupportState) if each.startswith(state)]
    if not state:
        return None
    return f"{lane}:{meant[0]}" if meant else term


def _counts(of: Shelf, found: tuple[tuple[LaneAnswer, ...], ...]) -> tuple[Line, ...]:
    states = [of.states[key(each)] for each in found]
    yes, no = states.count("yes"), states.count("no")
    every = f"{len(found)} of {counted(len(of.answers), 'model')}: "
    verb = "does" if no == 1 else "do"
    unknown = Piece(f"{states.count('unknown')} unknown", Tone.WARN)
    whole = (Piece(every), Piece(f"{yes} batch", Tone.GOOD), Piece(f", {no} {verb} not, "), unknown)
    few = (Piece(f"{len(found)}: "), Piece(f"{yes} yes", Tone.GOOD), Piece(f", {no} no, "), unknown)
    return whole, few


def heading(found: Found, ticked: int, width: int, whole: str = "") -> Line:
    """How many models there are and are ticked; at the right an id that its row has cut short."""
    chosen: Line = ()
    if ticked:
        chosen = (Piece(f"  {ticked} ticked: ", Tone.STRONG), Piece("p", Tone.KEY), Piece(" plans"))
    told = [(*each, *chosen) for each in found.counts]
    if not whole:
        return fitting(told, width)
    name = (Piece(whole, Tone.STRONG),)
    room = width - cells(name) - GAP
    return between(next((each for each in (*told, chosen) if cells(each) <= room), ()), name, width)


def is_cut(found: Found, place: int, width: int) -> bool:
    """Whether the row of that place has its id cut short in a list of that width."""
    of = [each.title for each in COLUMNS].index("model")
    return cells(found.grid.rows[place][of]) > found.grid.layout(width)[of]


def _none(of: Shelf, text: str, terms: tuple[str, ...]) -> Iterator[Paragraph]:
    problem = lookups.no_match(of.catalog, terms).problems[0]
    yield Paragraph(
        body=(Piece("No model fits "), Piece(" ".join(text.split()), Tone.STRONG), Piece("."))
    )
    if problem.hint:
        yield BLANK
        yield paragraph(f"{problem.hint[0].upper()}{problem.hint[1:]}")
    oldest = age(of)
    read = "" if oldest is None else f", the oldest source read {counted(oldest, 'day')} ago"
    yield BLANK
    yield paragraph(f"The catalog knows {counted(len(of.answers), 'model')} as of {of.on}{read}.")
    yield paragraph(
        "Missing one? Put it into a pricing file of your own and say --pricing DIR; "
        "planner prices check FILE tells what is wrong with it.",
        Tone.MUTED,
    )
    yield BLANK
    yield Paragraph(body=(Piece("Esc", Tone.KEY), Piece(" leaves the field, once more clears it")))


# --- the evidence -----------------------------------------------------------------------


def evidence(of: Shelf, id: str) -> tuple[Paragraph, ...]:
    """Every lane of a model, the batch lane first: what holds and who says so."""
    answers = next(each for each in of.answers if key(each) == id)
    batch = batch_of(answers, of.usual)
    ordered = sorted(answers, key=lambda each: each is not batch)
    if batch is None:
        vendor = answers[0].model.provider
        none = paragraph(f"? unknown  the catalog knows no batch lane of {vendor}", Tone.WARN)
        return (none, BLANK, *(line for each in ordered for line in _lane(each)))
    return tuple(line for each in ordered for line in _lane(each))


WHO_SAYS = ("read", "source")
"""What stands first on a screen of 24 lines: a yes is worth as much as whoever says it."""


def _lane(answer: LaneAnswer) -> Iterator[Paragraph]:
    found = answer.support
    mark, tone = STATES[found.state]
    name = Piece(f"  {found.lane.id}", Tone.STRONG)
    title = Piece("" if found.lane.title == found.lane.id else f" ({found.lane.title})")
    yield Paragraph(body=(Piece(f"{mark} {found.state}", tone), name, title))
    yield paragraph(found.why, mark="  ")
    for label, text in sorted(facts.told(answer), key=lambda told: told[0] not in WHO_SAYS):
        yield replace(paragraph(text), mark=Piece(f"  {label}: ", Tone.MUTED))
    if found.state == "unknown":
        yield paragraph("Ask the vendor's model list before you build on it.", Tone.WARN, mark="  ")
    yield BLANK


def twin(of: Shelf, id: str) -> tuple[str, ...]:
    """The words of the command that prints the same; the vendor's name where two sell the id."""
    models = [each[0].model for each in of.answers]
    model = next(each[0].model for each in of.answers if key(each) == id)
    alone = [each.id for each in models].count(model.id) == 1
    return ("planner", "check", model.id if alone else id)


def next_state(of: Shelf, text: str) -> str:
    """The filter with its batch term at the next state, at last without one."""
    steps = ("", *(f"{of.usual}:{state}" for state in get_args(SupportState)))
    terms = text.split()
    now = next((term for term in terms if term in steps), "")
    wanted = steps[(steps.index(now) + 1) % len(steps)]
    return " ".join([term for term in terms if term != now] + [wanted] * bool(wanted))
