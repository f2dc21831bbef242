"""From the bytes of pricing files to checked plain data: parsed, overlays laid over, validated.

Apart from files.py because only a catalog that is not in the cache comes this way: a look-up
should not pay for the parser, the schema and the merging of files that it never reads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from planner import strict_yaml
from planner.catalog import schema
from planner.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.strict_yaml import Document, Mark


class File(Protocol):
    """A file as it was read; layer 0 is the catalog's own, overlays lie above."""

    name: str
    layer: int
    raw: bytes


def checked(files: Sequence[File]) -> list[dict[str, Any]]:
    """Every vendor's file, overlays laid over, as plain data; `InputError` with all problems."""
    vendors: dict[str, _Laid] = {}
    plain_files: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for each in files:
        try:
            document = strict_yaml.load(each.raw, each.name)
        except InputError as unreadable:
            problems.extend(unreadable.problems)
            continue
        problems.extend(_lay(vendors, _Laid(each, document)))
    for vendor in vendors.values():
        plain, found = schema.normalised(vendor.document)
        problems.extend(found)
        if plain is not None:
            plain_files.append(plain)
    if problems:
        order = {each.name: index for index, each in enumerate(files)}
        raise InputError(*sorted(problems, key=lambda problem: order[_file_of(problem)]))
    return plain_files


def _file_of(problem: Problem) -> str:
    """The file's name out of `name:line:column`, or a name alone."""
    name, *place = (problem.where or "").rsplit(":", 2)
    return name if all(each.isdigit() for each in place) else problem.where or ""


class _Laid:
    """A parsed file and the layer it belongs to."""

    __slots__ = ("document", "layer")

    def __init__(self, file: File, document: Document) -> None:
        self.layer = file.layer
        self.document = document

    @property
    def vendor(self) -> str:
        """Its provider's id; the file's name where it does not say."""
        data = self.document.data
        named = data.get("provider") if isinstance(data, dict) else None
        return named if isinstance(named, str) else self.document.name


def _lay(vendors: dict[str, _Laid], upper: _Laid) -> Iterator[Problem]:
    """Put a file in its place: a vendor's first, over what is there, or instead of it."""
    lower = vendors.get(upper.vendor)
    data = upper.document.data
    if lower is not None and lower.layer == upper.layer:
        yield Problem(
            code="provider-twice",
            message=f"provider {upper.vendor!r} has a file already: {lower.document.name}",
            where=upper.document.where(("provider",)),
        )
        return
    yield from _reserved(upper.document, data, ())
    if not upper.layer and isinstance(data, dict) and "confirmed" in data:
        message = "`confirmed` belongs into an overlay: here, change `read` itself"
        where = upper.document.where(("confirmed",))
        yield Problem(code="unknown-key", message=message, where=where)
    if upper.layer and isinstance(data, dict):
        yield from _unsourced(upper.document, lower)
        _Marker(upper.document, upper.layer).mark()
    replaced = not isinstance(data, dict) or data.get("replaces") is True
    if lower is not None and not replaced and isinstance(lower.document.data, dict):
        upper.document = _Merger(lower.document, upper.document).merged()
    vendors[upper.vendor] = upper


def _reserved(document: Document, here: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Keys that only the loader writes."""
    if isinstance(here, list):
        for index, each in enumerate(here):
            yield from _reserved(document, each, (*path, index))
    if not isinstance(here, dict):
        return
    for key, value in here.items():
        at = (*path, key)
        written = key in ("overlay", "confirmed") and len(at) == _DEEP and at[0] == "sources"
        if (key == "layer" and isinstance(value, int)) or written:
            message = f"{key} is written by the loader"
            yield Problem(code="unknown-key", message=message, where=document.where(at))
        yield from _reserved(document, value, at)


_DEEP = len(("sources", "an id", "overlay"))
_SIZES = ("context", "max_input", "max_output")


def _unsourced(document: Document, lower: _Laid | None) -> Iterator[Problem]:
    """Sizes that an overlay changes, which would otherwise pass as the lower file's facts."""
    models = document.data.get("models")
    if lower is None or not isinstance(models, dict):
        return
    for name, model in models.items():
        given = [key for key in _SIZES if isinstance(model, dict) and key in model]
        if given and "source" not in model:
            message = f"models.{name}: {', '.join(given)} without a `source` of this file"
            where = document.where(("models", name))
            yield Problem(code="missing-source", message=message, where=where)


class _Marker:
    """Says in an overlay's data where it comes from: its sources and, for ranking, its layer."""

    def __init__(self, document: Document, layer: int) -> None:
        self.document = document
        self.layer = layer
        own = document.data.get("sources")
        self.own = own if isinstance(own, dict) else {}

    def mark(self) -> None:
        """Rename the overlay's own sources to `file/source` and rank its prices and limits."""
        self._walk(self.document.data)
        marks = dict(self.document.marks.get(id(self.own), {}))
        for name in list(self.own):
            source = self.own.pop(name)
            self.own[self._renamed(name)] = source
            if isinstance(source, dict):
                source["overlay"] = self.document.name
            if name in marks:
                marks[self._renamed(name)] = marks.pop(name)
        _remark(self.document, self.own, marks)

    def _renamed(self, name: str) -> str:
        return f"{self.document.name}/{name}"

    def _walk(self, here: Any) -> None:
        if isinstance(here, list):
            for each in here:
                self._walk(each)
        if not isinstance(here, dict) or here is self.own:
            return
        if here.get("source") in self.own:
            here["source"] = self._renamed(here["source"])
        for key, value in here.items():
            self._walk(value)
            if key in _RANKED:
                for each in _several(value):
                    if isinstance(each, dict):
                        each["layer"] = self.layer


_RANKED = ("prices", "price", "limits")


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _remark(document: Document, container: object, marks: dict[str | int, Mark]) -> None:
    known = document.marks
    if isinstance(known, dict):
        known[id(container)] = marks


class _Merger:
    """Lays an overlay over a vendor's file, entry by entry.

    Lists of rules are put before the lower ones, since the first that applies decides; prices and
    limits are kept side by side and ranked by layer; any other key replaces the lower one. Every
    container keeps its own marks, so that a problem is still reported where it was written.
    """

    def __init__(self, lower: Document, upper: Document) -> None:
        self.upper = upper
        self.lower = lower
        self.marks = {**lower.marks, **upper.marks}

    def merged(self) -> Document:
        """One document of both."""
        data = self._mapping(self.lower.data, self.upper.data, _DEPTH)
        return replace(self.upper, data=data, marks=self.marks)

    def _mapping(self, lower: Any, upper: Any, depth: Mapping[str, Any]) -> Any:
        if not isinstance(lower, dict) or not isinstance(upper, dict):
            return upper
        result = dict(lower)
        for key, value in upper.items():
            rule = depth.get(key, depth.get("*"))
            below = lower.get(key)
            if below is None or rule is None:
                result[key] = value
            elif rule == _JOIN:
                result[key] = self._joined(below, value)
            else:
                result[key] = self._mapping(below, value, rule)
        self.marks[id(result)] = {**self._of(lower), **self._of(upper)}
        return result

    def _joined(self, lower: Any, upper: Any) -> list[Any]:
        """Both lists, the upper first; each entry keeps its place."""
        result: list[Any] = []
        marks: dict[str | int, Mark] = {}
        for whole in (upper, lower):
            for index, each in enumerate(_several(whole)):
                mark = self._of(whole).get(index)
                if mark is not None:
                    marks[len(result)] = mark
                result.append(each)
        self.marks[id(result)] = marks
        return result

    def _of(self, container: object) -> Mapping[str | int, Mark]:
        return self.marks.get(id(container), {})


_JOIN = "join"
_OFFERS = {"*": {"price": _JOIN}}
_DEPTH: Mapping[str, Any] = {
    "sources": {},
    "confirmed": {},
    "lanes": _OFFERS,
    "regions": {"*": _JOIN},
    "tiers": {"*": {}},
    "limits": _JOIN,
    "models": {"*": {"prices": _JOIN, "lanes": _OFFERS}},
}
"""Where an overlay goes into the file below it, and which lists it joins."""
