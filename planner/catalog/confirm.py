"""A person's re-check of a source, recorded in their own directory of figures.

Only the reading day moves, in an overlay: the shipped files stay as they came, and the next
release's later reading wins over it. The file is changed as text, one line of it, so that what
the user wrote around it stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner import strict_yaml
from planner.catalog import files
from planner.errors import InputError, UnknownFactError, did_you_mean

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from planner.catalog.facts import Catalog, Source
    from planner.strict_yaml import Document

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What was recorded, and where."""

    provider: str
    source: Source
    """As it was before."""
    read: date
    path: Path
    line: str
    """The line that was written."""


def known(folder: Path) -> Catalog:
    """The catalog that a confirmation in that folder will be laid over, the folder included."""
    own = files.own_overlays()
    if any(folder.glob("*.yaml")):
        own = files.own_overlays(folder)
    return files.load(overlays=own)


def confirm(catalog: Catalog, name: str, *, read: date, on: date, folder: Path) -> Confirmation:
    """Record in `folder` that the source was read again; the folder and the file may be new.

    `name` is a source's id, with `provider/` before it where several have one of that name.
    `UnknownFactError` for any other; `InputError` for a day that is ahead of `on` or not after
    the last reading, and for a file that cannot be changed.
    """
    provider, source = _named(catalog, name)
    _refuse(source, read, on)
    path = _file(folder, provider)
    line = f"  {_key(source.id)}: {read.isoformat()}"
    text = _changed(path, provider, source.id, line)
    found = strict_yaml.load(text, str(path)).data["confirmed"][source.id]
    if found != read:
        raise _by_hand(path, line)
    _write(path, text)
    return Confirmation(provider=provider, source=source, read=read, path=path, line=line)


def _named(catalog: Catalog, name: str) -> tuple[str, Source]:
    found = [
        (provider.id, source)
        for provider in catalog.providers
        for source in provider.sources.values()
        if name in (source.id, f"{provider.id}/{source.id}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        ways = " or ".join(f"{provider}/{source.id}" for provider, source in found)
        raise UnknownFactError.of(
            "ambiguous-source", f"several vendors have a source {name!r}", hint=f"say {ways}"
        )
    known = [f"{each.id}/{key}" for each in catalog.providers for key in each.sources]
    known += [key for each in catalog.providers for key in each.sources]
    hint = did_you_mean(name, known) or "planner prices audit and prices show name the sources"
    raise UnknownFactError.of("unknown-source", f"no source {name!r} in the catalog", hint=hint)


def _refuse(source: Source, read: date, on: date) -> None:
    if source.overlay is not None:
        raise InputError.of(
            "own-source",
            f"{source.id} is a source of your own file",
            hint=f"change its `read` in {source.overlay}",
        )
    if read > on:
        raise InputError.of("bad-date", f"{read} is ahead: it is {on}")
    if read <= source.read:
        raise InputError.of(
            "already-read", f"{source.id} was read on {source.read_as} already", hint=source.url
        )


def _file(folder: Path, provider: str) -> Path:
    """The folder's file of the vendor, whatever its name; else where it will be."""
    for path in sorted(folder.glob("*.yaml")):
        data = strict_yaml.read(path).data
        if isinstance(data, dict) and data.get("provider") == provider:
            return path
    return folder / f"{provider}.yaml"


def _key(source: str) -> str:
    return source if _PLAIN.fullmatch(source) else f"'{source.replace(chr(39), chr(39) * 2)}'"


def _changed(path: Path, provider: str, source: str, line: str) -> str:
    """The file's text with the line in its place."""
    if not path.exists():
        return f"schema: 1\nprovider: {provider}\nconfirmed:\n{line}\n"
    document = strict_yaml.read(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    known = document.data.get("confirmed")
    if known is None:
        return "\n".join([*lines, "confirmed:", line]) + "\n"
    head = _line_of(document, "confirmed")
    if not isinstance(known, dict) or (known and _line_of(document, "confirmed", *known) == head):
        raise _by_hand(path, line)
    if source in known:
        lines[_line_of(document, "confirmed", source) - 1] = line
    else:
        lines.insert(head, line)
    return "\n".join(lines) + "\n"


def _line_of(document: Document, *path: str) -> int:
    """The line of a key; of the first one where several are given below the first step."""
    return int(document.where(path[:2]).rsplit(":", 2)[1])


def _by_hand(path: Path, line: str) -> InputError:
    return InputError.of(
        "cannot-change",
        f"{path}: `confirmed` is not one line an entry, and is left as it is",
        hint=f"write it there yourself:{line}",
    )


def _write(path: Path, text: str) -> None:
    """In one step: nobody reads half a file."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError.of("cannot-write", f"{path}: {error.strerror}") from None
