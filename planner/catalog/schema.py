"""The shape of a provider file, and every check that one file can fail.

Facts enter the program here and nowhere else. A looser shape (numbers as they come, a price
without its source, a meter invented in passing) would load more files and leave the doubt to
whoever reads the estimate; this one refuses and says where. What passes is handed on as plain
data (`normalised`), so that nothing behind this module needs pydantic.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.types import Strict
from pydantic_core import PydanticCustomError

from planner import strict_yaml
from planner.catalog.checks import READ_DAY, cross_checks
from planner.catalog.facts import EVERY, UNPUBLISHED
from planner.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planner.catalog.checks import Found
    from planner.strict_yaml import Document

METERS: Mapping[str, str] = {
    "input": "prompt tokens that no cache served",
    "output": "generated tokens, thinking included",
    "cache_read": "prompt tokens served from a cache",
    "cache_write": "prompt tokens written to a cache of unstated life",
    "cache_write_5m": "prompt tokens written to a cache that lives five minutes",
    "cache_write_30m": "prompt tokens written to a cache that lives thirty minutes",
    "cache_write_1h": "prompt tokens written to a cache that lives an hour",
    "cache_write_12h": "prompt tokens written to a cache that lives twelve hours",
    "cache_storage": "token-hours that an explicit cache is kept",
}
"""Everything that can be billed; a rate is US dollars per million of it."""

DURATION = re.compile(r"([1-9][0-9]*)(s|m|h|d)")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
HOURS = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-(?:([01][0-9]|2[0-3]):[0-5][0-9]|24:00)")
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"


def _refuse(code: str, message: str, hint: str = "") -> PydanticCustomError:
    """A mismatch; `code` and `hint` reach the reader as they are."""
    context = {"hint": hint, "said": message}
    return PydanticCustomError(code, "{said}", context)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        hint = "write it without quotes, as in 0.125"
        raise _refuse("bad-number", f"a number is wanted, not {value!r}", hint)
    number = Decimal(value)
    if number < 0:
        raise _refuse("bad-number", f"a number below zero: {value}")
    return number


def _seconds(value: object) -> int:
    found = DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        hint = "write 30s, 10m, 24h or 29d"
        raise _refuse("bad-duration", f"a length of time is wanted, not {value!r}", hint)
    return int(found.group(1)) * SECONDS[found.group(2)]


def _read_day(value: object) -> str:
    """A day, or a month that counts from its first day."""
    if type(value) is date:
        return value.isoformat()
    if isinstance(value, str) and READ_DAY.fullmatch(value):
        return value
    raise _refuse("bad-date", f"a day is wanted, not {value!r}", "write 2026-10-08 or 2026-10")


def _meter(value: str) -> str:
    if value not in METERS:
        hint = did_you_mean(value, METERS) or f"known meters: {', '.join(METERS)}"
        raise _refuse("unknown-meter", f"unknown meter {value!r}", hint)
    return value


def _meter_or_every(value: str) -> str:
    return value if value == EVERY else _meter(value)


def _listed(value: object) -> object:
    """One entry stands for a list of one."""
    return value if isinstance(value, list) else [value]


def _factors(value: object) -> object:
    """One number stands for every meter."""
    return value if isinstance(value, dict) else {EVERY: value}


def _factor(value: object) -> Decimal | str:
    return UNPUBLISHED if value == UNPUBLISHED else _number(value)


def _named_models(value: object) -> object:
    if value == "all" or isinstance(value, list):
        return value
    raise _refuse("bad-models", f"models is `all` or a list of ids, not {value!r}")


def _support(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == "unknown":
        return value
    raise _refuse("bad-support", f"support is true, false or unknown, not {value!r}")


def _billed(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == "unknown":
        return value
    raise _refuse("bad-billed", f"billed is true, false or unknown, not {value!r}")


def _hours(value: str) -> str:
    found = HOURS.fullmatch(value)
    if found is None or value[:5] >= value[6:]:
        hint = 'write them in order within one day, as in "04:00-06:00"'
        raise _refuse("bad-hours", f"hours are wanted, not {value!r}", hint)
    return value


_A_NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
_A_FACTOR: dict[str, Any] = {"anyOf": [_A_NUMBER, {"const": UNPUBLISHED}]}
_THREE_STATES: dict[str, Any] = {"enum": [True, False, "unknown"]}


def _by_meter(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The JSON Schema of a mapping from meters."""
    return {
        "type": "object",
        "properties": dict.fromkeys(keys, value),
        "additionalProperties": False,
        "minProperties": 1,
    }


Text = Annotated[StrictStr, Field(min_length=1)]
Id = Annotated[StrictStr, Field(pattern=IDENTIFIER)]
SourceId = Annotated[StrictStr, Field(pattern=r"^[^\s].*$")]
Day = Annotated[date, Strict()]
ReadDay = Annotated[
    str,
    BeforeValidator(_read_day),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"}),
]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema(_A_NUMBER)]
Count = Annotated[StrictInt, Field(gt=0)]
Natural = Annotated[StrictInt, Field(ge=0)]
Layer = Annotated[StrictInt, Field(ge=0)]
"""0 for the catalog's own files, above for overlays; written by the loader, the highest wins."""
Seconds = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$"}),
]
Meter = Annotated[str, AfterValidator(_meter)]
Factor = Annotated[Decimal | str, BeforeValidator(_factor)]
Rates = Annotated[
    dict[Meter, Number], Field(min_length=1), WithJsonSchema(_by_meter(_A_NUMBER, *METERS))
]
LaneRates = Annotated[
    dict[Meter, Factor], Field(min_length=1), WithJsonSchema(_by_meter(_A_FACTOR, *METERS))
]
Factors = Annotated[
    dict[Annotated[str, AfterValidator(_meter_or_every)], Factor],
    BeforeValidator(_factors),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_A_FACTOR, _by_meter(_A_FACTOR, EVERY, *METERS)]}),
]
Ids = tuple[Id, ...]
Models = Annotated[Literal["all"] | Ids, BeforeValidator(_named_models)]
Support = Annotated[
    Literal["yes", "no", "unknown"], BeforeValidator(_support), WithJsonSchema(_THREE_STATES)
]
Billed = Annotated[
    Literal["yes", "no", "unknown"], BeforeValidator(_billed), WithJsonSchema(_THREE_STATES)
]
LaneIds = Annotated[Ids, BeforeValidator(_listed, json_schema_input_type=Id | Ids)]


class Strictly(BaseModel):
    """Nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=False)


class Source(Strictly):
    """Where a fact was read, when, and how: from the vendor, a copy, or somebody's dataset."""

    url: Text
    read: ReadDay
    via: Literal["vendor", "mirror", "dataset"] = "vendor"
    title: Text | None = None
    quote: Text | None = None
    about: Literal["support"] | None = None
    """What the quote settles; without it, it stands beside no verdict."""
    note: Text | None = None
    overlay: Text | None = None
    """The user's own file that the fact comes from; written by the loader."""
    confirmed: Text | None = None
    """The user's own file that says it was read again; written by the loader."""


class Fact(Strictly):
    """Something a source says; `inferred` says what was concluded rather than read."""

    source: SourceId
    note: Text | None = None
    inferred: Text | None = None


class Dated(Fact):
    """A fact that holds from a day (inclusive) until another (exclusive)."""

    start: Day | None = Field(default=None, alias="from")
    until: Day | None = None


class Edge(Strictly):
    """A prompt length above which the whole request is priced otherwise."""

    prompt_gt: Count | None = None
    prompt_ge: Count | None = None
    multiply: Factors | None = None
    rates: LaneRates | None = None


class ListPrice(Dated):
    """What the vendor's ordinary lane costs in a period."""

    layer: Layer = 0
    state: Literal["announced", "cancelled"] | None = None
    rates: Rates
    over: tuple[Edge, ...] = ()


class LanePrice(Dated):
    """How a lane's rates come from the list: a multiplier, or rates of its own, which win."""

    layer: Layer = 0
    state: Literal["announced", "cancelled"] | None = None
    multiply: Factors | None = None
    rates: LaneRates | None = None
    over: tuple[Edge, ...] | None = None


LanePrices = Annotated[
    tuple[LanePrice, ...],
    BeforeValidator(_listed, json_schema_input_type=LanePrice | tuple[LanePrice, ...]),
    Field(min_length=1),
]


class PerBatch(Strictly):
    """The most (and least) that one batch may hold."""

    requests: Count | None = None
    min_requests: Count | None = None
    bytes: Count | None = None
    inline_bytes: Count | None = None
    request_bytes: Count | None = None
    tokens: Count | None = None


class CacheHits(Strictly):
    """Share of cacheable prompt tokens that users see served from a cache."""

    low: Number
    high: Number


class Turnaround(Fact):
    """Submit to last result of one batch: median, nine in ten, and how many batches it is worth."""

    p50: Seconds
    p90: Seconds
    worth: Count
    grade: Literal["A", "B", "C", "D"]


class Open(Strictly):
    """Hours of a lane that is not always there; days and hours are UTC."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    hours_utc: tuple[Annotated[StrictStr, AfterValidator(_hours)], ...]


class Lane(Fact):
    """What a vendor says of one way to run a request."""

    title: Text | None = None
    delivery: Literal["sync", "async"]
    base: StrictBool = False
    models: Literal["all", "listed"]
    price: LanePrices | None = None
    target: Seconds | None = None
    window: Seconds | None = None
    window_max: Seconds | None = None
    at_window: (
        Literal["expires", "expires_without_results", "keeps_running", "best_effort"] | None
    ) = None
    usual: Text | None = None
    per_batch: PerBatch | None = None
    results_kept: Seconds | None = None
    billed: dict[Id, Billed] = Field(default_factory=dict)
    cache_hits: CacheHits | None = None
    refuses: tuple[Text, ...] = ()
    needs: Text | None = None
    max_output: Count | None = None
    cancel: Seconds | None = None
    admission: Literal["best_effort"] | None = None
    turnaround: Turnaround | None = None
    open: tuple[Open, ...] = ()


class Offer(Dated):
    """One model in one lane: whether it is offered, and what differs from the lane's policy.

    Without `support`, the lane's policy decides and only the differences are this entry's.
    """

    support: Support | None = None
    price: LanePrices | None = None
    needs: Text | None = None
    max_output: Count | None = None
    window: Seconds | None = None
    refuses: tuple[Text, ...] = ()


class Region(Dated):
    """What processing in one place costs, for some models in some lanes; applied last."""

    support: Support = "yes"
    multiply: Number | None = None
    models: Models
    lanes: LaneIds | None = None


Regions = Annotated[
    tuple[Region, ...],
    BeforeValidator(_listed, json_schema_input_type=Region | tuple[Region, ...]),
    Field(min_length=1),
]


class Tier(Fact):
    """A usage tier; tiers stand in the file from the lowest to the highest."""

    title: Text | None = None
    usd_month: Count | None = None
    spend: Count | None = None


class Counts(Strictly):
    """What draws on the token limits; where the vendor is silent, everything is held to."""

    cache_read: StrictBool | None = None
    max_output: StrictBool | None = None


class Limit(Fact):
    """What a usage tier may send; without `pool`, each model named has its own."""

    layer: Layer = 0
    tier: Id
    models: Models
    lane: LaneIds | None = None
    pool: Text | None = None
    rpm: Count | None = None
    rpd: Count | None = None
    itpm: Count | None = None
    otpm: Count | None = None
    tpm: Count | None = None
    usd_10min: Count | None = None
    usd_month: Count | None = None
    queued_requests: Count | None = None
    queued_input_tokens: Count | None = None
    max_active: Count | None = None
    counts: Counts | None = None


class Framing(Fact):
    """Tokens that a request's structure adds to its text, measured on that day.

    `tools` stand around tool definitions (`tools_forced` where one must be called), `schema`
    around the schema of an answer. What is left out is the counter's own.
    """

    as_of: Day
    per_request: Natural | None = None
    per_message: Natural | None = None
    per_system: Natural | None = None
    tools: Natural | None = None
    tools_forced: Natural | None = None
    schema_: Natural | None = Field(default=None, alias="schema")


class ImageTokens(Strictly):
    """A picture's tokens: by patches of its area, by tiles, or fixed by its detail.

    The constants are those of the formulas in planner/workload/media.py.
    """

    scheme: Literal["patches", "tiles", "fixed"]
    patch: Count | None = None
    multiply: Number | None = None
    long_edge: Count | None = None
    most: dict[Text, Count] | None = None
    whole: StrictBool | None = None
    low: Count | None = None
    base: Count | None = None
    tile: Count | None = None
    tokens: dict[Text, Count] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Each scheme has the constants that it cannot do without."""
        needed = {"patches": ("patch",), "tiles": ("base", "tile"), "fixed": ("tokens",)}
        missing = [key for key in needed[self.scheme] if getattr(self, key) is None]
        if missing:
            raise _refuse("incomplete", f"{self.scheme} need {' and '.join(missing)}")
        return self


class Media(Fact):
    """Tokens of a picture, and of a page of a PDF (low, expected, high); nothing: not known."""

    as_of: Day
    image: ImageTokens | None = None
    page: tuple[Count, Count, Count] | None = None


class Tokens(Fact):
    """Which counter measures the model's text; `claim` is how sure the vendor's side of it is."""

    counter: Id
    claim: Literal["exact", "assumed"] | None = None
    framing: Framing | None = None
    media: Media | None = None


class Cache(Fact):
    """The shortest prompt prefix that is cached at all."""

    min_prefix: Count


class Lifecycle(Fact):
    """Dates of a model's life; a floor (`retires_not_before`) is not a date."""

    released: Day | None = None
    retires: Day | None = None
    retires_not_before: Day | None = None


class HiddenInput(Fact):
    """Prompt tokens that the vendor adds and bills, where a request has what `when` says."""

    what: Text
    tokens: Count
    when: Literal["tools", "tools_forced"] | None = None


class Model(Fact):
    """One model; the model's own `source` stands behind its sizes."""

    name: Text | None = None
    aliases: Ids = ()
    featured: StrictBool = False
    context: Count | None = None
    max_input: Count | None = None
    max_output: Count | None = None
    tokens: Tokens | None = None
    cache: Cache | None = None
    lifecycle: Annotated[
        tuple[Lifecycle, ...],
        BeforeValidator(_listed, json_schema_input_type=Lifecycle | tuple[Lifecycle, ...]),
    ] = ()
    hidden_input: tuple[HiddenInput, ...] = ()
    prices: tuple[ListPrice, ...] = ()
    lanes: dict[Id, Offer] = Field(default_factory=dict)


class ProviderFile(Strictly):
    """One vendor's facts. `known_from`: where a price has no `from`, it holds from this day on.

    `replaces`: an overlay that stands in for the catalog's file instead of being laid over it.
    `confirmed`: sources of the file below that the user has read again, and when.
    """

    schema_: Literal[1] = Field(alias="schema")
    provider: Id
    name: Text
    currency: Literal["USD"]
    per_tokens: Literal[1_000_000]
    known_from: Day
    note: Text | None = None
    replaces: StrictBool = False
    confirmed: dict[SourceId, Day] = Field(default_factory=dict)
    sources: dict[SourceId, Source]
    lanes: dict[Id, Lane]
    regions: dict[Id, Regions] = Field(default_factory=dict)
    tiers: dict[Id, Tier] = Field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    models: dict[Id, Model]


def normalised(document: Document) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """A provider file as plain data (decimals and days as text), or every problem it has."""
    parsed, problems = strict_yaml.attempt(document, ProviderFile)
    further = tuple(_problem(document, found) for found in cross_checks(document.data))
    if parsed is None or further:
        return None, _in_order(problems + further)
    plain = parsed.model_dump(mode="json", exclude_none=True)
    _confirm(document, plain)
    return plain, ()


def _confirm(document: Document, plain: dict[str, Any]) -> None:
    """Move the reading days of confirmed sources; what was announced and has begun is in force."""
    moved: dict[str, str] = {}
    for name, day in plain.pop("confirmed").items():
        source = plain["sources"][name]
        if day > f"{source['read']}-01"[: len(day)]:
            file = document.where(("confirmed", name)).rsplit(":", 2)[0]
            source |= {"read": day, "confirmed": file}
            moved[name] = day
    holders = [*plain["models"].values(), *plain["lanes"].values()]
    holders += [offer for model in plain["models"].values() for offer in model["lanes"].values()]
    for holder in holders:
        for period in (*holder.get("prices", ()), *holder.get("price", ())):
            begun = period.get("start", "") <= moved.get(period["source"], "")
            if period.get("state") == "announced" and begun:
                del period["state"]


def _in_order(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    def place(problem: Problem) -> tuple[int, int]:
        line, column = (problem.where or ":0:0").rsplit(":", 2)[-2:]
        return int(line), int(column)

    return tuple(sorted(problems, key=place))


def _problem(document: Document, found: Found) -> Problem:
    path, code, message, hint = found
    words = f"{strict_yaml.dotted(path)}: {message}"
    return Problem(code=code, message=words, where=document.where(path), hint=hint)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a provider file or an overlay, for editors.

    Without the keys that only the loader writes. An overlay (no `currency`) may leave out what
    the file below it has, so editors do not miss keys of a lane or a model; the loader does.
    """
    made = ProviderFile.model_json_schema(by_alias=True)
    definitions = made["$defs"]
    for each in definitions.values():
        each.get("properties", {}).pop("layer", None)
    for written in ("overlay", "confirmed"):
        del definitions["Source"]["properties"][written]
    for laid_over in ("Lane", "Model"):
        del definitions[laid_over]["required"]
    whole = {"required": made["required"]}
    made["required"] = ["schema", "provider"]
    made["anyOf"] = [whole, {"not": {"required": ["currency"]}}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
