"""From pricing files to a Catalog: finding them, their digest, and a cache of the checked facts.

The cache holds what schema.py let through, as JSON beside its own checksum, under the digest of
the files' bytes and of the code that read them. Pickle would be quicker to write and would run
whatever a stranger put there; modification times would be quicker to compare and can lie.
A cache that is missing, damaged or not writable costs time and changes nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.catalog.facts import Catalog, provider_from
from planner.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.strict_yaml import Document, Mark

MAX_BYTES = 5_000_000
_HERE = Path(__file__).resolve().parent
_CODE = (
    *(_HERE / name for name in ("checks.py", "schema.py", "files.py")),
    _HERE.parent / "strict_yaml.py",
)


def shipped() -> Path:
    """The directory of pricing files that came with the program."""
    packaged = _HERE.parent / "_pricing"
    return packaged if packaged.is_dir() else _HERE.parents[1] / "pricing"


def load(
    directory: Path | None = None,
    overlays: Sequence[Path] = (),
    *,
    cache: Path | None = None,
) -> Catalog:
    """The catalog of a directory (None: the shipped one); `InputError` with every problem.

    `overlays` are directories of the user's own files, laid over it in order: the last one wins.
    `cache` is a directory for checked facts; None is the user's own, see `default_cache`.
    """
    folders = (directory or shipped(), *overlays)
    files = [
        _File.read(path, layer) for layer, folder in enumerate(folders) for path in _listing(folder)
    ]
    _distinguish(files)
    digest = _digest(files)
    place = (default_cache() if cache is None else cache) / f"catalog-{_key(digest)}.json"
    plain = _cached(place)
    if plain is None:
        plain = _checked(files)
        _keep(place, plain)
    return Catalog(
        digest=f"sha256:{digest}", providers=tuple(provider_from(each) for each in plain)
    )


def check(path: Path) -> tuple[Problem, ...]:
    """Every problem of one file; none where it is in order.

    A file that leaves out the currency is an overlay, judged on top of the shipped file of its
    vendor; any other stands by itself.
    """
    file = _File.read(path)
    below = _below(file)
    if below is not None:
        file.layer = below.layer + 1
    try:
        files = [file] if below is None else [below, file]
        _distinguish(files)
        _checked(files)
    except InputError as refused:
        return refused.problems
    return ()


def _below(file: _File) -> _File | None:
    """The shipped file that an overlay is laid over; None for a file that stands by itself."""
    from planner import strict_yaml

    try:
        data = strict_yaml.load(file.raw, file.name).data
    except InputError:
        return None
    if not isinstance(data, dict) or "currency" in data or data.get("replaces") is True:
        return None
    for path in _listing(shipped()):
        if path.stem == data.get("provider"):
            return _File.read(path)
    return None


def own_folder() -> Path:
    """The user's own pricing files: `$PLANNER_PRICING`, or the platform's place for settings."""
    named = os.environ.get("PLANNER_PRICING")
    return Path(named) if named else _settings() / "planner" / "pricing"


def _settings() -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if base.is_absolute():
        return base
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    home = Path.home()
    return (
        home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".config"
    )


def own_overlays(*named: Path) -> tuple[Path, ...]:
    """The user's own folder where it is there or `$PLANNER_PRICING` names it, then the named."""
    own = own_folder()
    said = bool(os.environ.get("PLANNER_PRICING"))
    folders = [own] if said or any(own.glob("*.yaml")) else []
    wanted = {each.resolve(): each for each in (*folders, *named)}
    return tuple(wanted.values())


class _File:
    """A file's bytes, read once: what is hashed is what is parsed."""

    __slots__ = ("layer", "name", "path", "raw")

    def __init__(self, path: Path, raw: bytes, layer: int) -> None:
        self.path = path
        self.layer = layer
        self.name = f"{path.parent.name}/{path.name}"
        self.raw = raw

    @classmethod
    def read(cls, path: Path, layer: int = 0) -> _File:
        try:
            with path.open("rb") as stream:
                return cls(path, stream.read(MAX_BYTES + 1), layer)
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise InputError.of("unreadable", f"cannot read {path}: {reason}") from None


def _distinguish(files: Sequence[_File]) -> None:
    """Longer names for overlays whose short ones are taken: a problem must say which file."""
    taken: set[str] = set()
    for each in files:
        parts, shown = each.path.absolute().parts, 2
        while each.name in taken and shown < len(parts):
            shown += 1
            each.name = "/".join(parts[-shown:])
        taken.add(each.name)


def _listing(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not found:
        raise InputError.of(
            "no-pricing", f"no pricing files (*.yaml) in {folder}", hint="name another directory"
        )
    return found


def _digest(files: Sequence[_File]) -> str:
    whole = hashlib.sha256()
    for each in files:
        whole.update(f"{each.layer}\0{each.name}\0{len(each.raw)}\0".encode())
        whole.update(each.raw)
    return whole.hexdigest()


def _key(digest: str) -> str:
    """The digest of the facts and of the code that checks them."""
    whole = hashlib.sha256(digest.encode())
    for path in _CODE:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:32]


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/planner`, or `~/.cache/planner`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "planner"


def _cached(place: Path) -> list[dict[str, Any]] | None:
    try:
        checksum, _, body = place.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            return None
        plain: list[dict[str, Any]] = json.loads(body)
    except (OSError, ValueError, RuntimeError):
        return None
    return plain


def _keep(place: Path, plain: list[dict[str, Any]]) -> None:
    """Write in one step, so that nobody reads half a file; failing to is no error."""
    import tempfile  # a tenth of the start-up time, needed once a catalog

    body = json.dumps(plain, separators=(",", ":")).encode()
    with contextlib.suppress(OSError, RuntimeError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.stem}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            Path(name).replace(place)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _checked(files: Sequence[_File]) -> list[dict[str, Any]]:
    """Every vendor's file, overlays laid over, as plain data; all problems in one error.

    The imports stand here because they cost a fifth of a second, which a cached catalog saves.
    """
    from planner import strict_yaml
    from planner.catalog import schema

    vendors: dict[str, _Laid] = {}
    checked: list[dict[str, Any]] = []
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
            checked.append(plain)
    if problems:
        order = {each.name: index for index, each in enumerate(files)}
        raise InputError(*sorted(problems, key=lambda problem: order[_file_of(problem)]))
    return checked


def _file_of(problem: Problem) -> str:
    """The file's name out of `name:line:column`, or a name alone."""
    name, *place = (problem.where or "").rsplit(":", 2)
    return name if all(each.isdigit() for each in place) else problem.where or ""


class _Laid:
    """A parsed file and the layer it belongs to."""

    __slots__ = ("document", "layer")

    def __init__(self, file: _File, document: Document) -> None:
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
