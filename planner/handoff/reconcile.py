"""The bill held against the plan: what it came to, by component, and why it is another figure.

The variance is taken apart like a chain: one driver after the other goes from what was planned to
what happened (rows, lane, prompt length, tokenizer, tiers, cache, output, price, the vendor's own
total), every link is priced exactly, and a reason is the difference between two links. So the
reasons add up to the variance to the last digit, whatever happened. Judging each driver by itself
was rejected: what several did together would be left over, and be called "other".

A link whose price is not known joins the next that is; a bill that is not known has no variance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeVar

from planner.handoff import billing
from planner.handoff.billing import Book, Key, Line
from planner.money import Usd, difference, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from planner.handoff.plan import Plan
    from planner.handoff.usage import Usage

OUTPUT = "output"

Code = Literal[
    "rows",
    "not-run",
    "errored",
    "expired",
    "canceled",
    "repeated",
    "lane",
    "prompt-length",
    "tokenizer",
    "long-prompts",
    "cache",
    "output-length",
    "price",
    "vendor",
]
"""Why a bill differs from its plan, in the order in which the chain goes."""

THRESHOLD = Fraction(1, 10)
"""A variance above this share of the plan is a no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What became of the rows of a job; each row that was built is counted once."""

    built: int
    billed: int = 0
    """With a reply that says what it used."""
    errored: int = 0
    expired: int = 0
    canceled: int = 0
    repeated: int = 0
    """Replies beyond the first of a row: billed, and bought nothing."""
    truncated: int = 0
    """Of `billed`: those that ran into the output limit."""
    ambiguous: int = 0
    """Requests whose reply was lost: they may be on the bill and are in no reply."""

    def __post_init__(self) -> None:
        if self.not_run < 0:
            raise ValueError(f"more rows came back than the {self.built} that were built")

    @property
    def not_run(self) -> int:
        """Built, and nothing came back: not sent, lost, or still at the vendor."""
        return self.built - self.billed - self.errored - self.expired - self.canceled


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorTotal:
    """What a vendor says that a batch used in all, beside the sum of its rows."""

    name: str
    theirs: Usage
    ours: Usage

    @property
    def differs(self) -> tuple[tuple[str, int, int], ...]:
        """(figure, the vendor's, the rows') where the two are not the same."""
        return tuple(
            (name, theirs, ours)
            for name in ("prompt", "cache_read", "written", "reasoning")
            if (theirs := getattr(self.theirs, name)) != (ours := getattr(self.ours, name))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What happened, as the replies prove it; `usage` and `replies` are by lane."""

    rows: Rows
    quantities: Mapping[Key, int]
    """Billed tokens by (lane, meter, tier)."""
    usage: Usage
    replies: Mapping[str, int]
    counted: int | None = None
    """Prompt tokens at which the billed rows were counted when they were built."""
    proofs: Mapping[tuple[str, str | None], int] = field(default_factory=dict)
    """(lane that was asked for, service tier that the reply names) -> replies."""
    totals: tuple[VendorTotal, ...] = ()
    at_most: Usd | None = None
    """What the ambiguous requests cost if all of them are billed; None: not known, or none."""
    vendor: Usd | None = None
    """The vendor's own amount for the job, where somebody has read it from a bill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One link of the chain: a driver from its planned figure to what it was; None: not known."""

    code: Code
    amount: Usd | None
    before: Fraction
    after: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One line of plan and bill beside each other."""

    lane: str
    meter: str
    over: int | None
    planned: Line | None
    actual: Line | None

    @property
    def variance(self) -> Usd | None:
        """The bill's amount less the plan's; None where it is not known."""
        there = NOTHING if self.actual is None else self.actual.amount
        here = NOTHING if self.planned is None else self.planned.amount
        return None if there is None or here is None else difference(there, here)


NOTHING = total([])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A plan and its bill; amounts are US dollars, None where a rate is not known."""

    plan: Plan
    actual: Actual
    planned: Usd
    billed: Usd | None
    components: tuple[Component, ...]
    reasons: tuple[Reason, ...]

    @property
    def variance(self) -> Usd | None:
        """The bill less the plan."""
        return None if self.billed is None else difference(self.billed, self.planned)

    @property
    def metered(self) -> Usd | None:
        """The components of the bill together, without what only the vendor knows of."""
        return billing.sum_of(each.actual for each in self.components if each.actual is not None)

    @property
    def share(self) -> Fraction | None:
        """The variance over the plan; None where either is not known or nothing was planned."""
        if self.variance is None or not self.planned:
            return None
        return Fraction(self.variance) / Fraction(self.planned)

    @property
    def inside(self) -> bool | None:
        """Whether the bill lies in the plan's 95 % interval."""
        if self.billed is None:
            return None
        return self.plan.cost.low <= self.billed <= self.plan.cost.high

    def over(self, threshold: Fraction) -> bool:
        """Whether the bill is further from the plan than that share, either way."""
        if self.variance is None:
            return False
        return abs(Fraction(self.variance)) > threshold * Fraction(self.planned)


def reconcile(
    plan: Plan, actual: Actual, *, book: Book | None = None, in_force: Book | None = None
) -> Reconciliation:
    """The bill of `actual` against the plan.

    `book` holds the plan's rates and, where replies prove other lanes, theirs; `in_force` what
    the vendor really charged on the day, where that is not what the plan pins.
    """
    book = book or Book.of(plan)
    planned = Usd(plan.cost.expected)
    charged = in_force or book
    lines = _lines(actual.quantities, charged)
    billed = actual.vendor if actual.vendor is not None else billing.sum_of(lines)
    links = _Chain(plan, actual, book, charged)
    return Reconciliation(
        plan=plan,
        actual=actual,
        planned=planned,
        billed=billed,
        components=_beside(plan, lines),
        reasons=tuple(_reasons(planned, links.links())),
    )


def _lines(quantities: Mapping[Key, int], book: Book) -> tuple[Line, ...]:
    used = sorted((key for key, quantity in quantities.items() if quantity), key=billing.order)
    return tuple(book.line(key, quantities[key]) for key in used)


def _beside(plan: Plan, lines: tuple[Line, ...]) -> tuple[Component, ...]:
    planned = {line.key: line for line in _planned(plan)}
    actual = {line.key: line for line in lines}
    keys = sorted(dict.fromkeys((*planned, *actual)), key=billing.order)
    return tuple(
        Component(
            lane=key[0],
            meter=key[1],
            over=key[2],
            planned=planned.get(key),
            actual=actual.get(key),
        )
        for key in keys
    )


def _planned(plan: Plan) -> tuple[Line, ...]:
    """The plan's components, those of one key (as after a cancel) as one line."""
    found: dict[Key, Line] = {}
    for each in map(billing.planned, plan.cost.components):
        there = found.get(each.key)
        found[each.key] = each if there is None else _joined(there, each)
    return tuple(found.values())


def _joined(one: Line, other: Line) -> Line:
    assert one.amount is not None
    assert other.amount is not None
    return Line(
        lane=one.lane,
        meter=one.meter,
        over=one.over,
        quantity=one.quantity + other.quantity,
        rate=one.rate,
        amount=total((one.amount, other.amount)),
    )


# --- the chain --------------------------------------------------------------------------

Quantities = dict[Key, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """What the job would have cost with this driver, and all before it, as they were."""

    code: Code
    amount: Usd | None
    before: Fraction
    after: Fraction


def _reasons(planned: Usd, links: Iterable[_Link]) -> Iterator[Reason]:
    """The differences between links; what did not move is left out."""
    known = planned
    for link in links:
        amount = None
        if link.amount is not None:
            amount = difference(link.amount, known)
            known = link.amount
        if amount or link.before != link.after:
            yield Reason(code=link.code, amount=amount, before=link.before, after=link.after)


class _Chain:
    """Drivers from planned to actual, one after the other."""

    def __init__(self, plan: Plan, actual: Actual, book: Book, charged: Book) -> None:
        self.plan, self.actual = plan, actual
        self.book, self.charged = book, charged
        self.start: Quantities = {line.key: line.quantity for line in _planned(plan)}
        self.now = dict(self.start)

    def links(self) -> Iterator[_Link]:
        """Every link, those that change nothing as well."""
        yield from self._rows()
        yield self._lanes()
        yield from self._prompts()
        yield self._long_prompts()
        yield self._cache()
        yield self._output()
        last = self._amount(self.charged)
        yield _Link(code="price", amount=last, before=Fraction(0), after=Fraction(0))
        if self.actual.vendor is not None:
            ours, theirs = Fraction(last or 0), Fraction(self.actual.vendor)
            yield _Link(code="vendor", amount=self.actual.vendor, before=ours, after=theirs)

    def _amount(self, book: Book | None = None) -> Usd | None:
        lines = (book or self.book).line
        return billing.sum_of(lines(key, n) for key, n in self.now.items() if n)

    def _link(self, code: Code, before: Fraction | int, after: Fraction | int) -> _Link:
        return _Link(
            code=code, amount=self._amount(), before=Fraction(before), after=Fraction(after)
        )

    # rows

    def _rows(self) -> Iterator[_Link]:
        """From the rows of the plan to the replies that are billed, one fate at a time."""
        planned, rows = self.plan.workload.rows.value, self.actual.rows
        left = rows.built
        yield self._scaled("rows", planned, left)
        fates: tuple[tuple[Code, int], ...] = (
            ("not-run", -rows.not_run),
            ("errored", -rows.errored),
            ("expired", -rows.expired),
            ("canceled", -rows.canceled),
            ("repeated", rows.repeated),
        )
        for code, step in fates:
            yield self._scaled(code, left, left + step)
            left += step

    def _scaled(self, code: Code, before: int, after: int) -> _Link:
        """The planned quantities for another number of rows."""
        share = Fraction(after, max(1, self.plan.workload.rows.value))
        self.now = {key: round(n * share) for key, n in self.start.items()}
        return self._link(code, before, after)

    # lanes

    def _lanes(self) -> _Link:
        """The same tokens in the lanes in which rows were really answered."""
        lane = self.plan.choice.lane
        planned: Counter[str] = Counter()
        for (name, _, _), n in self.now.items():
            planned[name] += n
        if self.actual.replies:
            moved: Counter[Key] = Counter()
            for (meter, over), n in self._together().items():
                for name, part in apportioned(n, self.actual.replies).items():
                    moved[name, meter, self._edge(name, over)] += part
            self.now = dict(moved)
        return self._link("lane", _elsewhere(lane, planned), _elsewhere(lane, self.actual.replies))

    def _together(self) -> Mapping[tuple[str, int | None], int]:
        found: Counter[tuple[str, int | None]] = Counter()
        for (_, meter, over), n in self.now.items():
            found[meter, over] += n
        return found

    def _edge(self, lane: str, over: int | None) -> int | None:
        """The same tier of another lane, which may have none."""
        return None if over is None else self.book.edge(lane, over + 1)

    # prompts

    def _prompts(self) -> Iterator[_Link]:
        """From the planned prompt length to what was built, and to what the vendor counted."""
        replies = max(1, self.actual.rows.billed + self.actual.rows.repeated)
        planned = sum(self._prompt(self.now).values())
        billed = sum(self._prompt(self.actual.quantities).values())
        built = self.actual.counted
        if built is not None:
            self._stretch(built)
            yield self._link("prompt-length", Fraction(planned, replies), Fraction(built, replies))
            planned = built
        self._stretch(billed)
        if built is None:
            yield self._link("prompt-length", Fraction(planned, replies), Fraction(billed, replies))
        else:
            ratio = Fraction(billed, built) if built else Fraction(1)
            yield self._link("tokenizer", Fraction(1), ratio)

    @staticmethod
    def _prompt(of: Mapping[Key, int]) -> Quantities:
        return {key: n for key, n in of.items() if key[1] != OUTPUT}

    def _stretch(self, wanted: int) -> None:
        """The prompt tokens at another total, shared out as they are."""
        now = self._prompt(self.now)
        if wanted and not any(now.values()):
            now = {(self._any_lane(), "input", None): 1}
        self.now.update(dict.fromkeys(now, 0))
        self.now.update(apportioned(wanted, now))

    def _any_lane(self) -> str:
        return next(iter(self.actual.replies), self.plan.choice.lane)

    def _long_prompts(self) -> _Link:
        """Prompt tokens in the lane and tier that they were billed in, with the planned cache."""
        before = self._beyond(self.now)
        wanted: Counter[tuple[str, int | None]] = Counter()
        for (lane, _, over), n in self._prompt(self.actual.quantities).items():
            wanted[lane, over] += n
        mixes = {place: self._mix(*place) for place in wanted}
        self.now = {key: n for key, n in self.now.items() if key[1] == OUTPUT}
        for (lane, over), n in wanted.items():
            for meter, part in apportioned(n, mixes[lane, over]).items():
                self.now[lane, meter, over] = part
        return self._link("long-prompts", before, self._beyond(self.now))

    def _mix(self, lane: str, over: int | None) -> Mapping[str, int]:
        """How planned prompt tokens are shared out over meters: there, in the lane, anywhere."""
        now = self._prompt(self.now)
        here: tuple[Callable[[Key], bool], ...] = (
            lambda key: key[0] == lane and key[2] == over,
            lambda key: key[0] == lane,
            lambda _key: True,
        )
        for fits in here:
            found: Counter[str] = Counter()
            for key, n in now.items():
                if n and fits(key):
                    found[key[1]] += n
            if found:
                return found
        return {"input": 1}

    def _beyond(self, of: Mapping[Key, int]) -> Fraction:
        """The share of prompt tokens above a context edge."""
        found = self._prompt(of)
        whole = sum(found.values())
        above = sum(n for key, n in found.items() if key[2] is not None)
        return Fraction(above, whole) if whole else Fraction(0)

    def _cache(self) -> _Link:
        """Prompt tokens on the meters that they were billed on."""
        before = self._read(self.now)
        self.now = {key: n for key, n in self.now.items() if key[1] == OUTPUT}
        self.now.update(self._prompt(self.actual.quantities))
        return self._link("cache", before, self._read(self.now))

    def _read(self, of: Mapping[Key, int]) -> Fraction:
        """The share of prompt tokens that come from a cache."""
        found = self._prompt(of)
        whole = sum(found.values())
        read = sum(n for key, n in found.items() if key[1] == "cache_read")
        return Fraction(read, whole) if whole else Fraction(0)

    # answers

    def _output(self) -> _Link:
        """Answers as long as they were."""
        replies = max(1, self.actual.rows.billed + self.actual.rows.repeated)
        before = sum(n for key, n in self.now.items() if key[1] == OUTPUT)
        self.now = {key: n for key, n in self.actual.quantities.items() if n}
        after = sum(n for key, n in self.now.items() if key[1] == OUTPUT)
        return self._link("output-length", Fraction(before, replies), Fraction(after, replies))


def _elsewhere(lane: str, by_lane: Mapping[str, int]) -> Fraction:
    """The share of tokens or replies outside the lane that was chosen."""
    whole = sum(by_lane.values())
    return Fraction(whole - by_lane.get(lane, 0), whole) if whole else Fraction(0)


K = TypeVar("K")


def apportioned(whole: int, weights: Mapping[K, int]) -> dict[K, int]:
    """A whole shared out in proportion, in whole parts that add up to it (largest remainder)."""
    of = sum(weights.values())
    if not of:
        return {}
    exact = {key: Fraction(whole * weight, of) for key, weight in weights.items()}
    parts = {key: int(share) for key, share in exact.items()}
    left = whole - sum(parts.values())
    by_remainder = sorted(exact, key=lambda key: parts[key] - exact[key])
    for key in by_remainder[:left]:
        parts[key] += 1
    return parts
