"""The table of counters: how many input tokens a request has, and how well that is known.

A counter is a vocabulary we have (`encoding`), what a chat adds to its text (`Framing`), and
a band: the ratio of the model's own tokens to ours, one to one where the vocabulary is the
model's. The ratio depends on the kind of text, so a job is first counted and surveyed
(`Tally`), then each model's sizes follow from the same tally. A bare count of another
vendor's tokenizer was rejected: on Claude it is a third too low and looks exact.

Exact is only what the catalog claims: the word of the vendor that this model uses this
encoding. Without it the same count is `assumed`.
"""

from __future__ import annotations

from collections import Counter as Multiset
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from planner import strict_yaml
from planner.errors import UnknownFactError, did_you_mean
from planner.workload import definitions, encodings, plugins, vocabularies
from planner.workload import media as pictures
from planner.workload.content import Content, ContentMix, Survey
from planner.workload.encodings import RepeatingTexts
from planner.workload.media import NO_RULES, UncountableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from planner.workload.media import Media, MediaRules
    from planner.workload.prompt import Request

TABLE = Path(__file__).parent / "counters.yaml"

SYSTEM = "system"


SCRIPTS = frozenset(
    {
        Content.CHINESE,
        Content.JAPANESE,
        Content.KOREAN,
        Content.CYRILLIC,
        Content.ARABIC,
        Content.INDIC,
        Content.THAI,
    }
)
"""Kinds that fall back on the band of `OTHER_SCRIPT` where a counter has none of their own."""


class Grade(StrEnum):
    """How a count is known, the strongest first."""

    EXACT = "exact"
    ASSUMED = "assumed"
    MEASURED = "measured"
    RECONSTRUCTED = "reconstructed"
    RATIO = "ratio"


OF_THE_JOB = frozenset({Grade.MEASURED, Grade.RECONSTRUCTED})
"""Grades of a ratio that was found on the job's own text, not on other people's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Tokens that a chat request adds to its text; they are counted as they are, never scaled.

    `per_message` is for every message that is not the system's; `tools` and `schema` are added
    once where the request has any (`tools_forced` instead where it must call one; None: the
    same). How tools and schemas are shown to a model is known within `tool_error` tokens a
    definition and `schema_error` a schema.
    """

    per_request: int
    per_message: int
    per_system: int
    tools: int = 0
    tools_forced: int | None = None
    schema: int = 0
    tool_error: int = 0
    schema_error: int = 0
    as_of: date | None = None

    def of(self, shape: Shape) -> int:
        """The frame of a request of that shape, in tokens."""
        return (
            self.per_request
            + self.per_message * shape.messages
            + self.per_system * shape.systems
            + self._tools(shape.tools)
            + (self.schema if shape.schema is not None else 0)
        )

    def error(self, shape: Shape) -> int:
        """How far a request of that shape may be off, in tokens either way."""
        definitions_ = shape.tools.definitions if shape.tools else 0
        return self.tool_error * definitions_ + (
            self.schema_error if shape.schema is not None else 0
        )

    def _tools(self, tools: Tools | None) -> int:
        if tools is None:
            return 0
        return self.tools_forced if tools.forced and self.tools_forced is not None else self.tools

    @property
    def known(self) -> bool:
        """Whether anything is known of the vendor's chat framing."""
        return self.as_of is not None


class Tools(NamedTuple):
    """The tool definitions of a request, in tokens of the counting encoding."""

    definitions: int
    """How many there are."""
    as_json: int
    as_types: int
    forced: bool = False


class Schema(NamedTuple):
    """The schema that an answer has to follow, in tokens of the counting encoding."""

    as_json: int
    as_types: int
    """Without what a strict schema says anyway."""


class Shape(NamedTuple):
    """All that a counter needs to know of a request: tokens of its text, and its parts."""

    text: int
    """Tokens of every message in the counting encoding."""
    messages: int
    systems: int
    tools: Tools | None = None
    schema: Schema | None = None
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The model's tokens for each token counted, with the ends that hold 95 % of documents."""

    low: Fraction
    mid: Fraction
    high: Fraction
    said: str
    narrowed_by: str | None = None
    """What would make the band narrower; None where nothing is left to narrow."""

    def __post_init__(self) -> None:
        """A band that does not hold its own middle is a defect of ours."""
        if not 0 < self.low <= self.mid <= self.high:
            raise ValueError(f"not a band: {self.low} <= {self.mid} <= {self.high}")


Ends = tuple[Fraction, Fraction, Fraction]

ONE_TO_ONE: Ends = (Fraction(1), Fraction(1), Fraction(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Histograms:
    """{prompt tokens: rows} at the two ends and in the middle of the band."""

    low: Mapping[int, int]
    value: Mapping[int, int]
    high: Mapping[int, int]
    band: Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One way to know the tokens of a text; `bands` is None where the vocabulary is the model's."""

    key: str
    id: str
    encoding: str
    grade: Grade
    framing: Framing
    tools_as: Literal["json", "types"] = "json"
    """How the vendor shows tool definitions and schemas to the model."""
    media: MediaRules = NO_RULES
    bands: Mapping[Content, Ends] | None = None
    note: str | None = None
    own: str | None = None
    """The vocabulary of `vocabularies` that is the model's own, used where it is installed."""
    vendor_counts: bool = False
    """The model's vendor counts a text for whoever asks."""

    @property
    def narrowed_by(self) -> str | None:
        """What would make the count surer, the surest first; None where nothing is left to."""
        return " ".join(_narrowing(self)) or None

    def text(self, text: str) -> int:
        """Tokens of a text in the counting encoding, before the band."""
        return encodings.encoding(self.encoding).count(text)

    def request(self, request: Request) -> int:
        """Tokens of a request's text in the counting encoding, before band and frame."""
        return self._text(shape(request, self.text))

    def frame(self, request: Request) -> int:
        """Tokens that the request adds to its text; the band does not apply to them.

        UncountableError where it holds a picture or document without a known formula.
        """
        found = shape(request, self.text)
        return self.framing.of(found) + self._media(found)[1]

    def uncountable(self, media: Media) -> str | None:
        """Why a picture or document cannot be counted, or None where it can."""
        try:
            self.media.tokens(media)
        except UncountableError as error:
            return str(error)
        return None

    def band(self, mix: ContentMix) -> Band:
        """The band for a job of that content: each kind's band, weighted by its share.

        Low ends are taken together with low ends: the kinds share one unknown, the
        vocabulary, so their errors are not independent.
        """
        low, mid, high = (
            sum((share * self._ends(kind)[end] for kind, share in mix.shares()), Fraction(0))
            for end in range(3)
        )
        said = self._said(mix, low, mid, high)
        return Band(low=low, mid=mid, high=high, said=said, narrowed_by=self.narrowed_by)

    def band_of(self, tally: Tally) -> Band:
        """The band for a tallied job; what kind of text it is only matters for a ratio."""
        return self.band(ContentMix() if self.bands is None else tally.mix())

    def sizes(self, tally: Tally) -> Histograms:
        """The prompt sizes of a tallied job; a row is its text times the ratio, plus its frame.

        UncountableError where a row holds a picture or document without a known formula.
        """
        if tally.encoding.name != self.encoding:
            raise ValueError(f"{self.key} counts with {self.encoding}, not {tally.encoding.name}")
        band = self.band_of(tally)
        rows: tuple[Multiset[int], ...] = (Multiset(), Multiset(), Multiset())
        for each, count in tally.shapes.items():
            if self.grade in OF_THE_JOB:
                self._spread(each, count, band, rows)
                continue
            for histogram, size in zip(rows, self.prompt_tokens(each, band), strict=True):
                histogram[size] += count
        low, value, high = rows
        narrower = (band.narrowed_by,) if band.narrowed_by else ()
        said = " ".join((band.said, *self._said_of_parts(tally.shapes), *narrower))
        return Histograms(low=low, value=value, high=high, band=replace(band, said=said))

    def measured(
        self, *, low: Fraction, mid: Fraction, high: Fraction, grade: Grade, note: str
    ) -> Counter:
        """The same counter with one ratio that was measured on this job's own text."""
        every = dict.fromkeys(Content, (low, mid, high))
        return replace(self, bands=every, grade=grade, note=note)

    def _ends(self, kind: Content) -> Ends:
        return ONE_TO_ONE if self.bands is None else self.bands[kind]

    def _text(self, of: Shape) -> int:
        """Tokens that the band applies to: messages, definitions as they are shown, schema."""
        shown = [each for each in (of.tools, of.schema) if each is not None]
        typed = self.tools_as == "types"
        return of.text + sum(each.as_types if typed else each.as_json for each in shown)

    def _media(self, of: Shape) -> tuple[int, int, int]:
        ends = [self.media.tokens(each) for each in of.media]
        low, value, high = (sum(each[end] for each in ends) for end in range(3))
        return low, value, high

    def prompt_tokens(self, of: Shape, band: Band) -> tuple[int, int, int]:
        """The low, expected and high size of a row of that shape."""
        text = self._text(of)
        ratios = (band.low, band.mid, band.high)
        low, value, high = (
            stretched(text, ratio) + beside
            for ratio, beside in zip(ratios, self._beside(of), strict=True)
        )
        return max(0, low), value, high

    def _spread(self, of: Shape, count: int, band: Band, rows: tuple[Multiset[int], ...]) -> None:
        """Add so many rows of one shape, some rounded down and some up, so that their sum stays.

        Short rows of equal length, all rounded the same way, would be off by more than a ratio
        is that was measured.
        """
        text = self._text(of)
        ratios = (band.low, band.mid, band.high)
        for histogram, ratio, beside in zip(rows, ratios, self._beside(of), strict=True):
            exact = max(Fraction(0), text * ratio + beside)
            least = exact.numerator // exact.denominator
            more = stretched(count, exact - least)
            histogram.update({least: count - more})
            histogram.update({least + 1: more} if more else {})

    def _beside(self, of: Shape) -> tuple[int, int, int]:
        """What is not text: the frame, pictures and documents, with how far they may be off."""
        frame, error = self.framing.of(of), self.framing.error(of)
        low, value, high = self._media(of)
        return frame + low - error, frame + value, frame + high + error

    def _said_of_parts(self, shapes: Mapping[Shape, int]) -> Iterator[str]:
        """What has to be said of rows that are more than text."""
        framing, as_of = self.framing, f", as of {self.framing.as_of}" if self.framing.as_of else ""
        if any(each.tools for each in shapes):
            shown = "TypeScript types" if self.tools_as == "types" else "JSON"
            yield (
                f"Tool definitions are counted as {shown} with {framing.tools:,} tokens around them"
                f"{as_of}: an estimate, within {framing.tool_error} tokens a tool."
            )
        if any(each.schema is not None for each in shapes):
            yield (
                f"An answer's schema is counted with {framing.schema:,} tokens around it{as_of}: "
                f"an estimate, within {framing.schema_error}."
            )
        if any(each.media for each in shapes):
            when = f", as of {self.media.as_of}" if self.media.as_of else ""
            yield f"Pictures and documents are counted by their vendor's formula{when}."

    def _said(self, mix: ContentMix, low: Fraction, mid: Fraction, high: Fraction) -> str:
        frame = "" if self.framing.known else " What its chat format adds is not known: 0 is taken."
        if self.grade is Grade.EXACT:
            return f"Input tokens are counted with {self.id}, the model's own encoding.{frame}"
        if self.grade is Grade.ASSUMED:
            return (
                f"Input tokens are counted with {self.id}: that the model uses it is assumed, "
                f"its vendor has not said so.{frame}"
            )
        ratio = f"{float(mid):.2f} ({float(low):.2f}-{float(high):.2f})"
        how = {
            Grade.RATIO: f"estimated: {self.encoding} x {ratio}, the ratio seen for {mix}",
            Grade.MEASURED: f"measured on a sample: {self.encoding} x {ratio}",
            Grade.RECONSTRUCTED: f"reconstructed on a sample: {self.encoding} x {ratio}",
        }[self.grade]
        note = f" ({self.note})" if self.note else ""
        return f"Input tokens are {how}{note}.{frame}"


class Tally:
    """Counts a stream of requests once, for every counter that shares the encoding."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encodings.encoding(encoding)
        self.shapes: Multiset[Shape] = Multiset()
        self._survey = Survey()
        self._prefix: tuple[str, ...] | None = None
        self._places: list[RepeatingTexts] = []
        self._tools: tuple[str, Tools] | None = None
        self._schema: tuple[str, Schema] | None = None

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return self.shapes.total()

    def add(self, request: Request, rows: int = 1) -> Shape:
        """Count a request that stands for that many rows."""
        return self.add_all((request,), rows)[0]

    def add_all(self, requests: Sequence[Request], rows: int = 1) -> list[Shape]:
        """Count requests that stand for that many rows each; many at once take less time."""
        if not requests:
            return []
        texts = self._parts(requests)
        counts = self._counts(texts)
        for text, tokens in zip(chain.from_iterable(texts), counts, strict=True):
            self._survey.add(text, tokens * rows)
        given = iter(counts)
        shapes = [
            _shape(request, given, self._read_tools, self._read_schema) for request in requests
        ]
        for each in shapes:
            self.shapes[each] += rows
        return shapes

    def _parts(self, requests: Sequence[Request]) -> list[tuple[str, ...]]:
        """The texts of each request; what all begin with, and the places they stand at, noted."""
        texts = list(map(parts, requests))
        # What the first and the last in alphabetical order begin with, all between them do.
        shared = common_prefix(min(texts), max(texts))
        self._prefix = shared if self._prefix is None else common_prefix(self._prefix, shared)
        for _ in range(len(self._places), max(map(len, texts))):
            self._places.append(RepeatingTexts(self.encoding))
        return texts

    def _counts(self, texts: Sequence[tuple[str, ...]]) -> list[int]:
        """Tokens of every text of every request, one after the other."""
        parted = [
            place.parted(text)
            for each in texts
            for place, text in zip(self._places, each, strict=False)
        ]
        own = self.encoding.count_all([text for _, text in parted])
        return [shared + count for (shared, _), count in zip(parted, own, strict=True)]

    # Definitions are read once where rows repeat them.

    def _read_tools(self, tools: str, as_json: int) -> Tools:
        if self._tools is None or self._tools[0] != tools:
            self._tools = tools, _tools(self.encoding.count, tools, as_json)
        return self._tools[1]

    def _read_schema(self, schema: str, as_json: int) -> Schema:
        if self._schema is None or self._schema[0] != schema:
            self._schema = schema, _schema(self.encoding.count, schema, as_json)
        return self._schema[1]

    def mix(self) -> ContentMix:
        """What kinds of text were seen so far."""
        return self._survey.mix()

    def shared_prefix(self) -> int:
        """Tokens with which the text of every row begins, before band; 0 for a single row."""
        return sum(map(self.encoding.count, self._prefix or ())) if self.rows > 1 else 0


def parts(request: Request) -> tuple[str, ...]:
    """Each text of a request in the order in which vendors cache it: tools, schema, messages."""
    said = [message.content for message in request.messages]
    if request.tools is None and request.schema is None:
        return tuple(said)
    return (*[text for text in (request.tools, request.schema) if text is not None], *said)


def common_prefix(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The texts with which both begin; the last of them may be the beginning of a text."""
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return (*one[:place], mine[: encodings.common(mine, theirs)])
    return min(one, other, key=len)


def shape(request: Request, count: Callable[[str], int]) -> Shape:
    """The shape of a request, its texts counted by `count`."""
    counts = map(count, parts(request))
    return _shape(request, counts, partial(_tools, count), partial(_schema, count))


def _shape(
    request: Request,
    counts: Iterator[int],
    tools_of: Callable[[str, int], Tools],
    schema_of: Callable[[str, int], Schema],
) -> Shape:
    """The shape of the request whose parts have the next of `counts`, in their order."""
    tools, schema = request.tools, request.schema
    shown = None if tools is None else tools_of(tools, next(counts))
    asked = None if schema is None else schema_of(schema, next(counts))
    roles = [message.role for message in request.messages]
    systems = roles.count(SYSTEM)
    return Shape(
        text=sum(islice(counts, len(roles))),
        messages=len(roles) - systems,
        systems=systems,
        tools=None if shown is None else shown._replace(forced=request.forced),
        schema=asked,
        media=request.media,
    )


def _tools(count: Callable[[str], int], tools: str, as_json: int) -> Tools:
    found = definitions.read(tools)
    return Tools(
        definitions=len(found), as_json=as_json, as_types=count(definitions.as_types(found))
    )


def _schema(count: Callable[[str], int], schema: str, as_json: int) -> Schema:
    return Schema(as_json=as_json, as_types=count(definitions.bare(schema)))


def stretched(tokens: int, ratio: Fraction) -> int:
    """Tokens times a ratio, to the nearest token (halves up)."""
    return (2 * tokens * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)


def counter(
    key: str,
    *,
    claim: Literal["exact", "assumed"] | None = None,
    framing: Mapping[str, Any] | None = None,
    media: MediaRules | None = None,
    vendor_counts: bool = False,
) -> Counter:
    """The counter of that name, with what the catalog claims of the model that uses it.

    `claim` grades a counter whose vocabulary is the model's (without one it is assumed); a
    banded counter stays a ratio. What `framing` names and `media` replace the counter's own;
    `vendor_counts` says that the model's vendor counts a text for whoever asks. Raises
    UnknownFactError for a name that is not in the table.
    """
    found = table().get(key)
    if found is None:
        raise UnknownFactError.of(
            "unknown-counter",
            f"there is no token counter {key!r}",
            hint=did_you_mean(key, table()) or f"counters: {', '.join(table())}",
        )
    if found.own is not None:
        found = _with_own(found, found.own)
    grade = Grade.RATIO if found.bands is not None else Grade(claim or Grade.ASSUMED)
    return replace(
        found,
        grade=grade,
        framing=replace(found.framing, **framing) if framing else found.framing,
        media=media or found.media,
        vendor_counts=vendor_counts,
    )


def _with_own(counter: Counter, name: str) -> Counter:
    """The counter with the model's own vocabulary, where the package that brings it is there."""
    if vocabularies.installed(name) is None:
        return counter
    return replace(counter, id=name, encoding=name, bands=None, note=None)


def _narrowing(counter: Counter) -> Iterator[str]:
    grade, asked = counter.grade, counter.vendor_counts
    if grade is Grade.ASSUMED and asked:
        yield "Its vendor's own count of a sample checks that (--measure)."
    if grade is Grade.RATIO and counter.own is not None:
        package = vocabularies.SHIPPED[counter.own].package
        yield f"The package {package} brings its own vocabulary, which counts exactly."
    if grade in {Grade.RATIO, Grade.RECONSTRUCTED} and asked:
        yield "Ten calls of its vendor's own count narrow this to 1-2 % (--measure)."
    if grade is Grade.RATIO:
        plugin = plugins.installed(counter.key)
        if plugin is not None:
            yield f"{plugin.said}, which you have installed, reconstructs it (--reconstruct)."
        elif counter.own is None and not asked:
            yield "A reconstruction of its tokenizer that you install narrows this (--reconstruct)."


@cache
def table() -> Mapping[str, Counter]:
    """Every counter by its name, from the file of measured facts that travels with the code."""
    facts = strict_yaml.read(TABLE).data["counters"]
    return MappingProxyType({key: _counter(key, row) for key, row in facts.items()})


def _counter(key: str, row: Mapping[str, Any]) -> Counter:
    bands = row.get("bands")
    return Counter(
        key=key,
        id=row.get("id", key),
        encoding=row["encoding"],
        grade=Grade.RATIO if bands else Grade.ASSUMED,
        framing=Framing(**row["framing"]),
        tools_as=row.get("tools_as", "json"),
        media=pictures.rules(row["media"]) if "media" in row else NO_RULES,
        bands=_bands(bands) if bands else None,
        note=row.get("note"),
        own=row.get("own"),
    )


def _bands(rows: Mapping[str, Any]) -> dict[Content, Ends]:
    bands = {Content(kind): _ends(*ends) for kind, ends in rows.items()}
    return {kind: bands.get(kind) or bands[_fallback(kind)] for kind in Content}


def _ends(low: Decimal, mid: Decimal, high: Decimal) -> Ends:
    return Fraction(low), Fraction(mid), Fraction(high)


def _fallback(kind: Content) -> Content:
    """The kind whose band serves where a counter has none for this one."""
    return Content.OTHER_SCRIPT if kind in SCRIPTS else Content.MIXED
