"""The one YAML loader: catalog, job, plan, budget and configuration files pass through here.

YAML is built here from the parser's events. The tempting alternative, `yaml.safe_load`, turns
0.1 into a binary float, lets the second of two equal keys win, reads `no` as false and 010 as
eight, expands aliases, and forgets where a value stood. Here a number is an int or a Decimal made
from its own text, whatever has two readings is refused, and every problem of a file comes in one
report with its line, column and path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import yaml

from planner.errors import Collector, InputError, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel, ValidationError

    Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 5_000_000
MAX_NODES = 200_000
MAX_DEPTH = 40
MAX_DIGITS = 40
MAX_SHOWN = 60
MAX_PROBLEMS = 100
"""Beyond this many the report ends: the file is not a planner file with mistakes in it."""

Path_ = tuple["str | int", ...]
Mark = tuple[str, int, int]

_PARSER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBERISH = re.compile(r"[-+]?(?:\.?[0-9]|\.(?:inf|nan)$|inf$|nan$)", re.IGNORECASE)
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)e[-+]?[0-9]+", re.IGNORECASE)
_OCTAL = re.compile(r"[-+]?0(?:[0-9]+|o[0-7]+)", re.IGNORECASE)
_RADIX = re.compile(r"[-+]?0(?:x[0-9a-f]+|b[01]+)", re.IGNORECASE)
_GROUPED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?")
_BARE_POINT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.)")
_SIGNED = re.compile(r"\+[0-9]+(?:\.[0-9]+)?")
_PADDED = re.compile(r"[-+]?0[0-9]+\.[0-9]*")
_NOT_FINITE = re.compile(r"[-+]?\.?(?:inf|nan)", re.IGNORECASE)
_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "~"})
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]"
)
_TAB = re.compile(r"^ *\t", re.MULTILINE)

_AMBIGUOUS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (_EXPONENT, "exponent-number", "write all digits, as in 0.000001"),
    (_OCTAL, "octal-number", "remove the leading zero, or quote the value if it is text"),
    (_RADIX, "radix-number", "write the number in decimal digits, or quote it if it is text"),
    (_GROUPED, "grouped-number", "write the digits without underscores"),
    (_BARE_POINT, "bare-point", "write a digit on both sides of the point, as in 0.5"),
    (_SIGNED, "plus-sign", "write the number without its plus sign"),
    (_PADDED, "octal-number", "remove the leading zero"),
    (_NOT_FINITE, "not-finite", "only finite numbers are allowed; quote the value if it is text"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed file: plain values, and where each of them stood."""

    name: str
    data: Any
    """dict, list, str, int, Decimal, date, bool or None; mapping keys are always str."""
    marks: Mapping[int, Mapping[str | int, Mark]] = field(repr=False)
    """id of a container -> its key or index -> file, line and column, counted from 1."""

    def where(self, path: Sequence[str | int]) -> str:
        """`name:line:col` of a path, or of the nearest thing above it that exists."""
        name, line, column = self.name, 1, 1
        here = self.data
        for step in path:
            mark = self.marks.get(id(here), {}).get(step)
            if mark is None:
                break
            name, line, column = mark
            here = here[step]
        return f"{name}:{line}:{column}"


def read(path: Path, name: str | None = None) -> Document:
    """Load one file; `InputError` with all its problems, also when it cannot be read."""
    shown = name or str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise InputError.of("unreadable", f"cannot read {shown}: {reason}", where=shown) from None
    return load(raw, shown)


def load(source: str | bytes, name: str) -> Document:
    """Parse one document; `InputError` with every problem found, each with file:line:col."""
    problems = Collector()
    text = _text(source, name, problems)
    if text is None:
        raise InputError(*problems.problems)
    builder = _Builder(name, problems)
    if not problems.problems:
        builder.run(text)
    problems.raise_if_any()
    return Document(name=name, data=builder.root, marks=builder.marks)


def dotted(path: Sequence[str | int]) -> str:
    """A path for the eye: `models.claude-haiku-5-5.prices[0].rates`."""
    parts: list[str] = []
    for step in path:
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}" if parts else step)
    return "".join(parts) or "(the whole file)"


def _text(source: str | bytes, name: str, problems: Collector) -> str | None:
    size = len(source)
    if size > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES:,} bytes; nothing was parsed"
        problems.add("too-large", message, where=name)
        return None
    text = source if isinstance(source, str) else _decoded(source, name, problems)
    if text is None:
        return None
    for found in _limited(_CONTROL.finditer(text)):
        what = f"character U+{ord(found.group()):04X} is not allowed"
        hint = "save the file as UTF-8 without a byte order mark" if found.start() == 0 else None
        problems.add("bad-character", what, where=_position(name, text, found.start()), hint=hint)
    for found in _limited(_TAB.finditer(text)):
        where = _position(name, text, found.end() - 1)
        problems.add("tab", "a tab in the indentation", where=where, hint="indent with spaces")
    return text


def _decoded(raw: bytes, name: str, problems: Collector) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        column = problem.start - (raw.rfind(b"\n", 0, problem.start) + 1) + 1
        message = f"byte 0x{raw[problem.start]:02X} is not UTF-8"
        hint = "save the file as UTF-8"
        problems.add("not-utf8", message, where=f"{name}:{line}:{column}", hint=hint)
        return None


def _limited(found: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
    for count, each in enumerate(found):
        if count >= MAX_PROBLEMS:
            return
        yield each


def _position(name: str, text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"{name}:{line}:{offset - (text.rfind(chr(10), 0, offset) + 1) + 1}"


class _StopError(Exception):
    """Parsing cannot go on: the problem is already noted."""


class _Frame:
    """An open mapping or sequence: `key` is where its next value will stand."""

    __slots__ = ("container", "key", "marks")

    def __init__(self, container: dict[str, Any] | list[Any]) -> None:
        self.container = container
        self.key: str | int | None = None if isinstance(container, dict) else 0
        self.marks: dict[str | int, Mark] = {}

    def advance(self) -> None:
        """The value at `key` is complete."""
        self.key = None if isinstance(self.container, dict) else len(self.container)


class _Builder:
    """Turns events into plain values; notes problems and goes on wherever it can."""

    def __init__(self, name: str, problems: Collector) -> None:
        self.name = name
        self.problems = problems
        self.root: Any = None
        self.marks: dict[int, Mapping[str | int, Mark]] = {}
        self.stack: list[_Frame] = []
        self.nodes = 0
        self.documents = 0

    def run(self, text: str) -> None:
        """Consume all events of `text`."""
        try:
            parser = _PARSER(text)
            while (event := parser.get_event()) is not None:
                self._event(event)
        except _StopError:
            return
        except yaml.MarkedYAMLError as problem:
            self._syntax(problem)
        except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as problem:
            self.problems.add("syntax", f"not YAML: {str(problem)[:200]}", where=self.name)

    def _syntax(self, problem: yaml.MarkedYAMLError) -> None:
        mark = problem.problem_mark or problem.context_mark
        where = self.name if mark is None else f"{self.name}:{mark.line + 1}:{mark.column + 1}"
        words = ", ".join(part for part in (problem.problem, problem.context) if part)
        self.problems.add("syntax", f"not YAML: {words}", where=where)

    def _event(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(event)
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(event, [])
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._count(event)
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _alias(self, event: Any) -> None:
        self._note(event, "alias", f"an alias (*{event.anchor})", "write the value out")
        if self._wants_key():
            raise _StopError
        self._put(event, None)

    def _document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._note(event, "several-documents", "a second document", "one document a file")
            raise _StopError
        if event.version or event.tags:
            self._note(event, "directive", "a %YAML or %TAG directive", "remove it")

    def _count(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._note(event, "too-many-nodes", f"more than {MAX_NODES:,} values", None)
            raise _StopError
        if len(self.problems.problems) >= MAX_PROBLEMS:
            raise _StopError

    def _open(self, event: Any, container: dict[str, Any] | list[Any]) -> None:
        self._count(event)
        if len(self.stack) >= MAX_DEPTH:
            self._note(event, "too-deep", f"nested deeper than {MAX_DEPTH} levels", None)
            raise _StopError
        self._plain_node(event)
        if self._wants_key():
            self._note(event, "bad-key", "a key that is a mapping or a list", "use plain text")
            raise _StopError
        self._place(event, container)
        self.stack.append(_Frame(container))

    def _close(self) -> None:
        frame = self.stack.pop()
        self.marks[id(frame.container)] = frame.marks
        if self.stack:
            self.stack[-1].advance()

    def _wants_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].key is None

    def _plain_node(self, event: Any) -> None:
        if event.anchor is not None:
            self._note(event, "anchor", f"an anchor (&{event.anchor})", "write the value out")
        if event.tag is not None:
            self._note(event, "tag", f"a tag ({event.tag})", "remove it; quote text instead")

    def _scalar(self, event: Any) -> None:
        if event.anchor is not None or event.tag is not None:
            self._plain_node(event)
        if self._wants_key():
            self._key(event)
        else:
            self._put(event, event.value if event.style else self._value(event))

    def _key(self, event: Any) -> None:
        frame = self.stack[-1]
        key = event.value
        frame.key = key
        mark = event.start_mark
        if key in frame.marks:
            first = frame.marks[key][1]
            self._note(
                event, "duplicate-key", f"key {key!r} a second time", f"first on line {first}"
            )
            return
        frame.marks[key] = (self.name, mark.line + 1, mark.column + 1)
        if not key:
            self._note(event, "bad-key", "an empty key", None)
        elif key == "<<" and not event.style:
            self._note(event, "merge-key", "a merge key (<<)", "write the keys out")

    def _put(self, event: Any, value: Any) -> None:
        self._place(event, value)
        if self.stack:
            self.stack[-1].advance()

    def _place(self, event: Any, value: Any) -> None:
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        if isinstance(frame.container, dict):
            frame.container.setdefault(cast("str", frame.key), value)
            return
        mark = event.start_mark
        frame.marks[len(frame.container)] = (self.name, mark.line + 1, mark.column + 1)
        frame.container.append(value)

    def _value(self, event: Any) -> Any:
        """A plain scalar: what its text says, or a problem when it could say two things."""
        text = event.value
        first = text[:1]
        if first in "0123456789-+.iInN" and _NUMBERISH.match(text):
            return self._number(event, text)
        if text == "true":
            return True
        if text == "false":
            return False
        if text in ("", "null"):
            return None
        if text.lower() in _WORDS:
            hint = 'write true, false or null; put text in quotes, as in "no"'
            self._note(event, "ambiguous-word", f"{text!r} can be read two ways", hint)
        return text

    def _number(self, event: Any, text: str) -> Any:
        if len(text) > MAX_DIGITS:
            return self._long(event, text)
        if _INT.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
        if _DATE.fullmatch(text):
            return self._date(event, text)
        for pattern, code, hint in _AMBIGUOUS:
            if pattern.fullmatch(text):
                self._note(event, code, f"{text!r} is not a plain decimal number", hint)
                return None
        return text

    def _long(self, event: Any, text: str) -> str:
        if re.fullmatch(r"[-+0-9._eExX]+", text):
            self._note(event, "long-number", f"a number of {len(text)} characters", None)
        return text

    def _date(self, event: Any, text: str) -> date | None:
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._note(event, "bad-date", f"there is no day {text}", "write YYYY-MM-DD")
            return None

    def _note(self, event: Any, code: str, message: str, hint: str | None) -> None:
        mark = event.start_mark
        path = dotted([frame.key for frame in self.stack if frame.key is not None])
        where = f"{self.name}:{mark.line + 1}:{mark.column + 1}"
        self.problems.add(code, f"{path}: {message}", where=where, hint=hint)


def validate(document: Document, model: type[Model]) -> Model:
    """The document as `model`; `InputError` with each mismatch at its line and path."""
    result, problems = attempt(document, model)
    if result is None:
        raise InputError(*problems)
    return result


def attempt(document: Document, model: type[Model]) -> tuple[Model | None, tuple[Problem, ...]]:
    """As `validate`, for callers that collect the problems of several files or further checks."""
    from pydantic import ValidationError

    try:
        return model.model_validate(document.data), ()
    except ValidationError as problem:
        return None, tuple(_problems(document, model, problem))


def _problems(
    document: Document, model: type[BaseModel], problem: ValidationError
) -> Iterator[Problem]:
    for error in problem.errors(include_url=False)[:MAX_PROBLEMS]:
        path = _existing(document.data, error["loc"])
        code, message, hint = _wording(error, model)
        yield Problem(
            code=code,
            message=f"{dotted(path)}: {message}",
            where=document.where(path),
            hint=hint,
        )


def _existing(data: Any, location: Sequence[str | int]) -> Path_:
    """The location without pydantic's own additions (union members, `[key]`)."""
    path: list[str | int] = []
    for count, step in enumerate(location):
        inside = (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data)
        )
        if inside:
            path.append(step)
            data = data[step]
        elif count == len(location) - 1 and step != "[key]" and isinstance(data, dict):
            path.append(step)
    return tuple(path)


def _wording(error: Mapping[str, Any], model: type[BaseModel]) -> tuple[str, str, str | None]:
    kind = error["type"]
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        known = _keys_at(model, error["loc"][:-1])
        hint = did_you_mean(name, known) or (f"known keys: {', '.join(sorted(known))}")
        return "unknown-key", f"unknown key {name!r}", hint
    if kind == "missing":
        return "missing-key", f"key {error['loc'][-1]!r} is missing", None
    context = error.get("ctx", {})
    if "hint" in context:
        return kind.replace("_", "-"), error["msg"], context["hint"] or None
    return "bad-value", f"{error['msg']}, not {_shown(error['input'])}", None


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, (Decimal, date)) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> frozenset[str]:
    """The keys allowed at a location, by walking the fields' annotations."""
    here: list[type[BaseModel]] = [model]
    for step in location:
        inner = [
            each
            for candidate in here
            for key, info in candidate.model_fields.items()
            if step in (key, info.alias)
            for each in _models_in(info.annotation)
        ]
        here = inner or here
    return frozenset(
        info.alias or key for candidate in here for key, info in candidate.model_fields.items()
    )


def _models_in(annotation: object) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        yield cast("type[BaseModel]", annotation)
    for inner in get_args(annotation):
        yield from _models_in(inner)
