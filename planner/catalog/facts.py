"""The catalog in memory: frozen facts, and which of them hold on a day.

Built from the plain data that schema.py lets through, whether it was just validated or comes
from a cache: one path, so a cache cannot change an answer. Reading the pydantic models directly
would save these classes and cost every command a fifth of a second of imports.

Nothing here reads a clock. Whatever depends on a date takes it as `on`; a period holds from its
first day (inclusive) until its last (exclusive).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import UnknownFactError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVERY = "*"
UNPUBLISHED = "unpublished"
LIMIT_FIGURES = (
    "rpm",
    "rpd",
    "itpm",
    "otpm",
    "tpm",
    "usd_10min",
    "usd_month",
    "queued_requests",
    "queued_input_tokens",
    "max_active",
)
"""The figures of a limit, by the names that files and people give them."""

SupportState = Literal["yes", "no", "unknown"]
Factors = dict[str, "Decimal | None"]
"""Meter (or `*`) -> multiplier; None: the vendor publishes no rate for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact was read; `read` of a month alone is its first day."""

    id: str
    url: str
    read: date
    read_as: str
    via: str
    """vendor, mirror (a copy of the vendor's page) or dataset (somebody's compilation)."""
    title: str | None = None
    quote: str | None = None
    about: str | None = None
    """`support` where the quote says which models a lane is offered for."""
    note: str | None = None
    overlay: str | None = None
    """The user's own file that the fact comes from; None: the catalog's."""
    confirmed: str | None = None
    """The user's own file that says somebody read it again on `read`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A prompt length above (or from, if `inclusive`) which the whole request is re-priced."""

    at: int
    inclusive: bool
    multiply: Factors
    rates: Factors

    def reached(self, prompt_tokens: int) -> bool:
        """Whether a prompt of that many tokens is priced by this edge."""
        return prompt_tokens >= self.at if self.inclusive else prompt_tokens > self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A price and the days it holds; `until` is filled in from the next period's start."""

    source: Source
    start: date | None
    until: date | None
    layer: int
    """0 for the catalog's own files; overlays lie above and win on the days they cover."""
    state: str | None
    """announced, cancelled, or None for a price that was in force when it was read."""
    multiply: Factors
    rates: Factors
    over: tuple[Edge, ...] | None
    note: str | None = None
    inferred: str | None = None

    def holds(self, on: date) -> bool:
        """Whether the period covers the day; a cancelled one never does."""
        return self.state != "cancelled" and _within(on, self.start, self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnaround:
    """The public prior for one batch: submit to last result, seconds."""

    p50: int
    p90: int
    worth: int
    """How many batches of one's own it weighs as much as."""
    grade: str
    source: Source
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHours:
    """When a lane is there: minutes of the UTC day, on these days (0 is Monday)."""

    days: frozenset[int]
    minutes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFacts:
    """What the vendor says of a lane, for one model where the model differs; times in seconds.

    None is "not stated", an empty `billed` too.
    """

    id: str
    title: str
    delivery: str
    """sync (the answer comes on the connection) or async."""
    base: bool
    source: Source
    listed: bool
    """Models are named one by one: silence about a model means unknown."""
    window: int | None = None
    window_max: int | None = None
    target: int | None = None
    at_window: str | None = None
    usual: str | None = None
    per_batch: Mapping[str, int] | None = None
    results_kept: int | None = None
    billed: Mapping[str, str] = field(default_factory=dict)
    """Outcome of a row -> yes, no or unknown."""
    cache_hits: tuple[Decimal, Decimal] | None = None
    refuses: tuple[str, ...] = ()
    needs: str | None = None
    max_output: int | None = None
    cancel: int | None = None
    admission: str | None = None
    """best_effort: requests are turned away while capacity is short."""
    turnaround: Turnaround | None = None
    open: tuple[OpenHours, ...] = ()
    note: str | None = None
    prices: tuple[Period, ...] = ()

    def stated(self, offer: Offer | None) -> SupportState:
        """Whether a model is offered here: what is said of it, else the policy."""
        if offer is not None and offer.state is not None:
            return offer.state
        return "unknown" if self.listed else "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is said of one model in one lane."""

    state: SupportState | None
    """None: the lane's policy decides."""
    source: Source
    start: date | None
    until: date | None
    note: str | None = None
    inferred: str | None = None
    prices: tuple[Period, ...] = ()
    needs: str | None = None
    max_output: int | None = None
    window: int | None = None
    refuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Processing in one place: whether it is offered and what it multiplies the price by."""

    source: Source
    state: SupportState
    start: date | None
    until: date | None
    multiply: Decimal
    models: frozenset[str] | None
    lanes: frozenset[str] | None
    note: str | None = None

    def covers(self, model: str, lane: str, on: date) -> bool:
        """Whether the rule speaks of the model in the lane on that day."""
        return (
            (self.models is None or model in self.models)
            and (self.lanes is None or lane in self.lanes)
            and _within(on, self.start, self.until)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTier:
    """A usage tier; dollars are whole."""

    id: str
    title: str
    usd_month: int | None
    spend: int | None
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """Limits of a tier for some models in some lanes (None: the base lane)."""

    tier: str
    source: Source
    models: frozenset[str] | None
    lanes: frozenset[str] | None
    pool: str | None
    figures: Mapping[str, int]
    counts: Mapping[str, bool]
    note: str | None = None
    inferred: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenInput:
    """Prompt tokens the vendor adds and bills."""

    what: str
    tokens: int
    source: Source
    when: str | None = None
    """tools, tools_forced (one must be called), or None: with every request."""
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """Constants of the model's own token counting (see `schema.Framing` and `schema.Media`)."""

    figures: Mapping[str, Any]
    as_of: date
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of one vendor. None is "not published", never zero."""

    id: str
    provider: str
    name: str
    source: Source
    aliases: tuple[str, ...]
    featured: bool
    context: int | None
    max_input: int | None
    max_output: int | None
    counter: str | None
    counter_grade_claim: str | None
    counter_source: Source | None
    cache_min_prefix: int | None
    cache_source: Source | None
    released: date | None
    retires: date | None
    retires_not_before: date | None
    life_sources: tuple[Source, ...]
    hidden_input: tuple[HiddenInput, ...]
    framing: TokenFacts | None
    media: TokenFacts | None
    lanes: tuple[str, ...]
    """Every lane of its vendor, the base lane first; see `support.lane` for which it has."""
    prices: tuple[Period, ...]
    offers: Mapping[str, Offer]
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One vendor."""

    id: str
    name: str
    known_from: date
    sources: Mapping[str, Source]
    lanes: Mapping[str, LaneFacts]
    regions: Mapping[str, tuple[RegionRule, ...]]
    tiers: tuple[UsageTier, ...]
    limits: tuple[LimitRow, ...]
    models: Mapping[str, Model]
    note: str | None = None

    @property
    def base_lane(self) -> str:
        """The ordinary lane: what the list price is for."""
        return next(lane.id for lane in self.lanes.values() if lane.base)

    def lane(self, name: str) -> LaneFacts:
        """A lane by its id; `UnknownFactError` where the vendor has none of that name."""
        found = self.lanes.get(name)
        if found is None:
            hint = did_you_mean(name, self.lanes) or f"its lanes: {', '.join(self.lanes)}"
            raise UnknownFactError.of(
                "unknown-lane", f"{self.name} has no lane {name!r} in the catalog", hint=hint
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All vendors' facts, and the digest of the files they came from."""

    digest: str
    providers: tuple[Provider, ...]
    named: Mapping[str, tuple[Model, ...]] = field(init=False, repr=False, compare=False)
    """Every exact spelling -> the models of that name; one entry unless vendors share it."""

    def __post_init__(self) -> None:
        named: dict[str, tuple[Model, ...]] = {}
        for model in self.models():
            for name in _names(model):
                named[name] = (*named.get(name, ()), model)
        object.__setattr__(self, "named", named)

    def models(self) -> tuple[Model, ...]:
        """Every model, in the files' order."""
        return tuple(model for each in self.providers for model in each.models.values())

    def featured(self) -> tuple[Model, ...]:
        """The models answered for when none is named."""
        return tuple(model for model in self.models() if model.featured)

    def provider(self, name: str) -> Provider:
        """A vendor by id; `UnknownFactError` with suggestions."""
        for each in self.providers:
            if each.id == name:
                return each
        known = [each.id for each in self.providers]
        hint = did_you_mean(name, known) or f"providers: {', '.join(known)}"
        raise UnknownFactError.of("unknown-provider", f"no provider {name!r}", hint=hint)

    def model(self, name: str) -> Model:
        """A model by exact id or listed alias, with or without `provider/` before it.

        `UnknownFactError` with suggestions otherwise: never a prefix match, never a guess.
        """
        found = self.named.get(name, ())
        if len(found) == 1:
            return found[0]
        if found:
            ways = " or ".join(f"{model.provider}/{model.id}" for model in found)
            raise UnknownFactError.of(
                "ambiguous-model", f"{name!r} is sold by several vendors", hint=f"say {ways}"
            )
        bare = {each for model in self.models() for each in (model.id, *model.aliases)}
        hint = did_you_mean(name, bare) or "planner models lists all"
        raise UnknownFactError.of("unknown-model", f"no model {name!r} in the catalog", hint=hint)


def _names(model: Model) -> tuple[str, ...]:
    bare = (model.id, *model.aliases)
    return (*bare, *(f"{model.provider}/{name}" for name in bare))


def _within(on: date, start: date | None, until: date | None) -> bool:
    return (start is None or start <= on) and (until is None or on < until)


def provider_from(plain: Mapping[str, Any]) -> Provider:
    """A vendor's facts from normalised plain data (see `schema.normalised`)."""
    sources = {key: _source(key, each) for key, each in plain["sources"].items()}
    lanes = {key: _lane(key, each, sources) for key, each in plain["lanes"].items()}
    ordered = sorted(lanes, key=lambda key: not lanes[key].base)
    build = _ModelBuilder(plain["provider"], tuple(ordered), sources)
    return Provider(
        id=plain["provider"],
        name=plain["name"],
        known_from=date.fromisoformat(plain["known_from"]),
        sources=sources,
        lanes={key: lanes[key] for key in ordered},
        regions={
            key: tuple(_region(rule, sources) for rule in rules)
            for key, rules in plain["regions"].items()
        },
        tiers=tuple(_tier(key, each, sources) for key, each in plain["tiers"].items()),
        limits=tuple(
            _limit(row, sources)
            for row in sorted(plain["limits"], key=lambda row: row["layer"], reverse=True)
        ),
        models={key: build.model(key, each) for key, each in plain["models"].items()},
        note=plain.get("note"),
    )


Sources = dict[str, Source]
Plain = dict[str, Any]


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _source(key: str, plain: Plain) -> Source:
    read = plain["read"]
    return Source(
        id=key,
        url=plain["url"],
        read=date.fromisoformat(read if len(read) > len("2026-09") else f"{read}-01"),
        read_as=read,
        via=plain["via"],
        title=plain.get("title"),
        quote=plain.get("quote"),
        about=plain.get("about"),
        note=plain.get("note"),
        overlay=plain.get("overlay"),
        confirmed=plain.get("confirmed"),
    )


def _factors(plain: Mapping[str, str] | None) -> Factors:
    if plain is None:
        return {}
    return {key: None if each == UNPUBLISHED else Decimal(each) for key, each in plain.items()}


def _edge(plain: Plain) -> Edge:
    inclusive = "prompt_ge" in plain
    return Edge(
        at=plain["prompt_ge" if inclusive else "prompt_gt"],
        inclusive=inclusive,
        multiply=_factors(plain.get("multiply")),
        rates=_factors(plain.get("rates")),
    )


def _periods(plain: Iterable[Plain], sources: Sources) -> tuple[Period, ...]:
    """Periods with the highest layer first; each ends at the latest where its next one begins."""
    layers: dict[int, list[Plain]] = {}
    for each in plain:
        layers.setdefault(each["layer"], []).append(each)
    return tuple(
        period
        for layer in sorted(layers, reverse=True)
        for period in _one_layer(layers[layer], sources)
    )


def _one_layer(entries: list[Plain], sources: Sources) -> tuple[Period, ...]:
    ends: list[str | None] = []
    following: str | None = None
    for each in reversed(entries):
        ends.append(each.get("until", following))
        if each.get("state") != "cancelled":
            following = each.get("start")
    return tuple(
        _period(each, until, sources) for each, until in zip(entries, reversed(ends), strict=True)
    )


def _period(plain: Plain, until: str | None, sources: Sources) -> Period:
    over = plain.get("over")
    return Period(
        source=sources[plain["source"]],
        start=_day(plain.get("start")),
        until=_day(until),
        layer=plain["layer"],
        state=plain.get("state"),
        multiply=_factors(plain.get("multiply")),
        rates=_factors(plain.get("rates")),
        over=None if over is None else tuple(_edge(each) for each in over),
        note=plain.get("note"),
        inferred=plain.get("inferred"),
    )


def _lane(key: str, plain: Plain, sources: Sources) -> LaneFacts:
    hits = plain.get("cache_hits")
    return LaneFacts(
        id=key,
        title=plain.get("title", key.replace("_", " ")),
        source=sources[plain["source"]],
        listed=plain["models"] == "listed",
        cache_hits=None if hits is None else (Decimal(hits["low"]), Decimal(hits["high"])),
        refuses=tuple(plain["refuses"]),
        turnaround=_turnaround(plain.get("turnaround"), sources),
        open=tuple(_open(each) for each in plain["open"]),
        prices=_periods(plain.get("price", ()), sources),
        delivery=plain["delivery"],
        base=plain["base"],
        billed=plain["billed"],
        **{name: plain.get(name) for name in _LANE_FIELDS},
    )


_LANE_FIELDS = (
    "window",
    "window_max",
    "target",
    "at_window",
    "usual",
    "per_batch",
    "results_kept",
    "needs",
    "max_output",
    "cancel",
    "admission",
    "note",
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _turnaround(plain: Plain | None, sources: Sources) -> Turnaround | None:
    if plain is None:
        return None
    return Turnaround(
        p50=plain["p50"],
        p90=plain["p90"],
        worth=plain["worth"],
        grade=plain["grade"],
        source=sources[plain["source"]],
        note=plain.get("note"),
    )


def _open(plain: Plain) -> OpenHours:
    spans = (each.split("-") for each in plain["hours_utc"])
    return OpenHours(
        days=frozenset(_DAYS.index(day) for day in plain["days"]),
        minutes=tuple((_minute(start), _minute(end)) for start, end in spans),
    )


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _region(plain: Plain, sources: Sources) -> RegionRule:
    lanes = plain.get("lanes")
    return RegionRule(
        source=sources[plain["source"]],
        state=plain["support"],
        start=_day(plain.get("start")),
        until=_day(plain.get("until")),
        multiply=Decimal(plain.get("multiply", "1")),
        models=_named(plain["models"]),
        lanes=None if lanes is None else frozenset(lanes),
        note=plain.get("note"),
    )


def _named(models: str | list[str]) -> frozenset[str] | None:
    return None if models == "all" else frozenset(models)


def _tier(key: str, plain: Plain, sources: Sources) -> UsageTier:
    return UsageTier(
        id=key,
        title=plain.get("title", key),
        usd_month=plain.get("usd_month"),
        spend=plain.get("spend"),
        source=sources[plain["source"]],
    )


def _limit(plain: Plain, sources: Sources) -> LimitRow:
    lanes = plain.get("lane")
    return LimitRow(
        tier=plain["tier"],
        source=sources[plain["source"]],
        models=_named(plain["models"]),
        lanes=None if lanes is None else frozenset(lanes),
        pool=plain.get("pool"),
        figures={key: plain[key] for key in LIMIT_FIGURES if key in plain},
        counts=plain.get("counts", {}),
        note=plain.get("note"),
        inferred=plain.get("inferred"),
    )


@dataclass(frozen=True, slots=True)
class _ModelBuilder:
    provider: str
    lanes: tuple[str, ...]
    sources: Sources

    def model(self, key: str, plain: Plain) -> Model:
        life: Plain = {}
        for entry in plain["lifecycle"]:
            life.update({name: entry[name] for name in _LIFE if name in entry})
        return Model(
            id=key,
            provider=self.provider,
            name=plain.get("name", key),
            source=self.sources[plain["source"]],
            aliases=tuple(plain["aliases"]),
            released=_day(life.get("released")),
            retires=_day(life.get("retires")),
            retires_not_before=_day(life.get("retires_not_before")),
            life_sources=tuple(self.sources[each["source"]] for each in plain["lifecycle"]),
            hidden_input=tuple(self._hidden(each) for each in plain["hidden_input"]),
            lanes=self.lanes,
            prices=_periods(plain["prices"], self.sources),
            offers={lane: self._offer(each) for lane, each in plain["lanes"].items()},
            **self._measures(plain),
            featured=plain["featured"],
            context=plain.get("context"),
            max_input=plain.get("max_input"),
            max_output=plain.get("max_output"),
            note=plain.get("note"),
        )

    def _measures(self, plain: Plain) -> Plain:
        tokens, cache = plain.get("tokens", {}), plain.get("cache", {})
        return {
            "counter": tokens.get("counter"),
            "counter_grade_claim": tokens.get("claim"),
            "counter_source": self.sources[tokens["source"]] if tokens else None,
            "framing": self._token_facts(tokens.get("framing")),
            "media": self._token_facts(tokens.get("media")),
            "cache_min_prefix": cache.get("min_prefix"),
            "cache_source": self.sources[cache["source"]] if cache else None,
        }

    def _offer(self, plain: Plain) -> Offer:
        return Offer(
            state=plain.get("support"),
            source=self.sources[plain["source"]],
            start=_day(plain.get("start")),
            until=_day(plain.get("until")),
            prices=_periods(plain.get("price", ()), self.sources),
            refuses=tuple(plain["refuses"]),
            note=plain.get("note"),
            inferred=plain.get("inferred"),
            needs=plain.get("needs"),
            max_output=plain.get("max_output"),
            window=plain.get("window"),
        )

    def _token_facts(self, plain: Plain | None) -> TokenFacts | None:
        if plain is None:
            return None
        return TokenFacts(
            figures={key.rstrip("_"): each for key, each in plain.items() if key not in _ASIDE},
            as_of=date.fromisoformat(plain["as_of"]),
            source=self.sources[plain["source"]],
        )

    def _hidden(self, plain: Plain) -> HiddenInput:
        return HiddenInput(
            what=plain["what"],
            tokens=plain["tokens"],
            source=self.sources[plain["source"]],
            when=plain.get("when"),
            note=plain.get("note"),
        )


_ASIDE = ("as_of", "source", "note", "inferred")
_LIFE = ("released", "retires", "retires_not_before")
