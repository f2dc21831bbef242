"""Why something stopped or failed, in whatever words: with a job's files, not in the ledger.

A vendor's refusal may quote the row that it refuses, and the ledger outlives a purge. So of every
reason the ledger has a mark alone, and the words stand in the job's own folder, where a purge finds
them; only our own fixed words stay as they are, since what follows hangs on them. Looking for
quotations in what vendors say was rejected: what is not recognised would stay for ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Final

from planner.handoff import home

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "reasons.jsonl"
LONGEST: Final = 1000
"""Characters of a reason that are kept."""

INTERRUPTED: Final = "interrupted"
CAPPED: Final = "cap"
CANCELLED: Final = "cancelled"
PURGED: Final = "purged"
SHORT: Final = "results that fall short of the vendor's counts were taken as they are"
NOT_FOUND: Final = "its batch is not found any more"
NOT_KEPT: Final = "its results were not kept any longer"
OWN: Final = frozenset({INTERRUPTED, CAPPED, CANCELLED, PURGED, SHORT, NOT_FOUND, NOT_KEPT})
"""Words of ours without a figure or a name in them; they stay whole."""

GONE: Final = "its words went with the job's files"

_MARK = re.compile(r"#[0-9a-f]{16}")


def keep(folder: Path, text: str | None) -> str | None:
    """What the ledger has of a reason; the words are in the job's folder, down to the disk.

    InputError where they cannot be written.
    """
    if text is None or text in OWN:
        return text
    text = text[:LONGEST]
    mark = f"#{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    if mark not in _read(folder):
        _append(home.private_folder(folder) / FILE, {"mark": mark, "words": text})
    return mark


def told(folder: Path, kept: str | None) -> str | None:
    """The words of a reason, or that they are gone."""
    if kept is None or not _MARK.fullmatch(kept):
        return kept
    return _read(folder).get(kept, GONE)


def _append(path: Path, line: dict[str, str]) -> None:
    """A line that is on the disk before the ledger speaks of it."""
    home.private_file(path)
    with path.open("ab") as stream:
        # On a line of its own, whatever a kill has left before it.
        stream.write(b"\n" + json.dumps(line).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _read(folder: Path) -> dict[str, str]:
    """Words by their mark; a line that a kill has cut is none."""
    path, found = folder / FILE, dict[str, str]()
    if not path.is_file():
        return found
    for line in path.read_bytes().split(b"\n"):
        try:
            known = json.loads(line)
            found[known["mark"]] = known["words"]
        except (ValueError, KeyError, TypeError):
            continue
    return found
