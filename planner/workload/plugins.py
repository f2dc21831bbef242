"""Counters that people install themselves: found by their metadata, run only when asked for.

Vendors that publish no tokenizer have had theirs reconstructed by others. Such a package is
unofficial, and whether its use is allowed is for each person to judge: so none is a dependency,
none is part of planner, and having one installed changes no figure until `--reconstruct` asks.
Any package, or a few lines around one, offers a function from a text to its tokens under the name
of a family of `counters.yaml`:

    [project.entry-points."planner.counters"]
    "claude-v4.7" = "my_counters:claude"

Asking a package which families it knows was rejected: that runs its code to find out whether it
is wanted. The metadata of a package says it without importing anything.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUP = "planner.counters"
"""The group of entry points: family -> a function of one text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A package's claim that it counts what a family of models counts."""

    family: str
    value: str
    """Where the function is, as entry points write it: `module:function`."""
    package: str
    version: str

    @property
    def said(self) -> str:
        """The package, as people install it."""
        return f"{self.package} {self.version}".strip()


def installed(family: str) -> Plugin | None:
    """The plugin for a family; None without one, and where several claim it: none is chosen."""
    found = claims().get(family, ())
    return found[0] if len(found) == 1 else None


def claims() -> Mapping[str, tuple[Plugin, ...]]:
    """Every family that an installed package claims. Imports nothing of theirs."""
    return _claims(tuple(sys.path))


@lru_cache(maxsize=1)
def _claims(path: tuple[str, ...]) -> Mapping[str, tuple[Plugin, ...]]:
    """Of the packages along that path, which is read once: it takes some milliseconds."""
    del path  # `metadata` reads sys.path itself
    found: dict[str, tuple[Plugin, ...]] = {}
    for plugin in _found():
        found[plugin.family] = (*found.get(plugin.family, ()), plugin)
    return found


def _found() -> Sequence[Plugin]:
    try:
        return [_plugin(point) for point in metadata.entry_points(group=GROUP)]
    except Exception:  # noqa: BLE001 -- one package's broken metadata must break no estimate
        return []


def _plugin(point: metadata.EntryPoint) -> Plugin:
    of = None if point.dist is None else point.dist.metadata
    name, version = (of and of[each] for each in ("Name", "Version"))
    return Plugin(
        family=point.name,
        value=point.value,
        package=name or "a package without a name",
        version=version or "",
    )
