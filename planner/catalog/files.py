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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.catalog.facts import Catalog, provider_from
from planner.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.errors import Problem

MAX_BYTES = 5_000_000
_HERE = Path(__file__).resolve().parent
_CODE = (
    *(_HERE / name for name in ("checks.py", "schema.py", "merging.py", "files.py")),
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
    return Path(named) if named else settings() / "pricing"


def settings() -> Path:
    """The user's own settings: `$XDG_CONFIG_HOME/planner`, or the platform's place for them."""
    return _base() / "planner"


def _base() -> Path:
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
    from planner.catalog import merging  # with pydantic and yaml: a fifth of a second

    return merging.checked(files)
