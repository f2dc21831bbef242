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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.catalog.facts import Catalog, provider_from
from planner.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 5_000_000
_HERE = Path(__file__).resolve().parent
_CODE = (_HERE / "schema.py", _HERE.parent / "strict_yaml.py")


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

    `cache` is a directory for checked facts; None is the user's own, see `default_cache`.
    """
    files = [
        _File.read(path)
        for folder in (directory or shipped(), *overlays)
        for path in _listing(folder)
    ]
    digest = _digest(files)
    place = (default_cache() if cache is None else cache) / f"catalog-{_key(digest)}.json"
    plain = _cached(place)
    if plain is None:
        plain = _checked(files)
        _keep(place, plain)
    return Catalog(
        digest=f"sha256:{digest}", providers=tuple(provider_from(each) for each in plain)
    )


class _File:
    """A file's bytes, read once: what is hashed is what is parsed."""

    __slots__ = ("name", "path", "raw")

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path = path
        self.name = f"{path.parent.name}/{path.name}"
        self.raw = raw

    @classmethod
    def read(cls, path: Path) -> _File:
        try:
            with path.open("rb") as stream:
                return cls(path, stream.read(MAX_BYTES + 1))
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise InputError.of("unreadable", f"cannot read {path}: {reason}") from None


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
        whole.update(f"{each.name}\0{len(each.raw)}\0".encode())
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
    """Every file as plain data; the problems of all of them in one error.

    The imports stand here because they cost a fifth of a second, which a cached catalog saves.
    """
    from planner import strict_yaml
    from planner.catalog import schema

    checked: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for each in files:
        try:
            document = strict_yaml.load(each.raw, each.name)
        except InputError as unreadable:
            problems.extend(unreadable.problems)
            continue
        plain, found = schema.normalised(document)
        problems.extend(found)
        if plain is not None:
            checked.append(plain)
    if problems:
        raise InputError(*problems)
    return checked
