"""What a vendor says right now of a model, and where the catalog differs from it.

Questions only: nothing is sent, spent or written, and the catalog's files stay as they are. A
vendor's module asks with its own library and answers in the words here; comparing is the same for
all. Letting the live answer replace the catalog's would be shorter, and an estimate would then
depend on who holds which key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from planner.catalog import support
from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from planner.catalog import Catalog, Model

SOURCES: Mapping[str, str] = {
    "anthropic": "planner.handoff.providers.anthropic_live",
    "openai": "planner.handoff.providers.openai_live",
}
"""Vendor -> the module that asks it."""

TIMEOUT = 20.0
RETRIES = 1
"""Somebody waits for the answer, and asking again is one key away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveModel:
    """A model as its vendor lists it; None: this vendor does not say."""

    id: str
    released: date | None = None
    retires: date | None = None
    state: str | None = None
    batch: bool | None = None
    max_input: int | None = None
    max_output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """The limits of the organisation that the key belongs to."""

    batch: bool
    """Of its batches, or of its ordinary requests."""
    figures: Mapping[str, int]
    """The catalog's names where it has one, the vendor's otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything that was asked, as it was answered."""

    url: str
    model: LiveModel | None
    """None: the vendor does not list the model for this key."""
    listed: tuple[LiveModel, ...]
    limits: tuple[LiveLimits, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be asked, and why."""


class Source(Protocol):
    """What a vendor's module offers."""

    def read(self, model: str, *, base_url: str | None = None) -> Reading:
        """Ask; VendorError (exit 4) without a key, when refused, or out of reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A reading beside the catalog."""

    reading: Reading
    differences: tuple[str, ...]
    """Where the catalog is behind."""
    tiers: tuple[str, ...]
    """Usage tiers of the catalog that have exactly the organisation's limits."""
    unknown: tuple[str, ...] = field(default=())
    """Listed models that came after the catalog's newest of this vendor and that it lacks."""


def live(
    catalog: Catalog, model: Model, lane: str, *, on: date, base_url: str | None = None
) -> Compared:
    """Ask the model's vendor and compare; UnknownFactError where planner cannot ask it."""
    if model.provider not in SOURCES:
        raise UnknownFactError.of(
            "no-live",
            f"planner asks nothing of {catalog.provider(model.provider).name} itself",
            hint=f"--live works for {', '.join(SOURCES)}",
        )
    source = cast("Source", import_module(SOURCES[model.provider]))
    return compare(catalog, model, lane, source.read(model.id, base_url=base_url), on=on)


def compare(catalog: Catalog, model: Model, lane: str, reading: Reading, *, on: date) -> Compared:
    """Where the catalog says otherwise than the vendor does now."""
    return Compared(
        reading=reading,
        differences=tuple(_differences(catalog, model, lane, reading, on)),
        tiers=tuple(_tiers(catalog, model, lane, reading, on)),
        unknown=tuple(_unknown(catalog, model, reading)),
    )


def _differences(
    catalog: Catalog, model: Model, lane: str, reading: Reading, on: date
) -> Iterator[str]:
    now = reading.model
    if now is None:
        yield f"the vendor does not list {model.id} for this key; the catalog sells it"
        return
    found = support.lane(catalog, model, lane, on=on)
    said = {None: found.state, True: "yes", False: "no"}[now.batch]
    if found.lane.per_batch is not None and found.state != said:
        yield f"batch: the vendor says {said}, the catalog {found.state}"
    for what, theirs, ours in (
        ("most input tokens", now.max_input, model.max_input or model.context),
        ("most output tokens", now.max_output, model.max_output),
        ("retires", now.retires, model.retires),
    ):
        if theirs is not None and theirs != ours:
            yield f"{what}: the vendor says {_shown(theirs)}, the catalog {_shown(ours)}"
    if now.retires is None and model.retires is not None and now.state is not None:
        yield f"retires: the catalog says {model.retires}, the vendor has no date ({now.state})"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tiers(catalog: Catalog, model: Model, lane: str, reading: Reading, on: date) -> Iterator[str]:
    batch = catalog.provider(model.provider).lane(lane).per_batch is not None
    own = [each.figures for each in reading.limits if each.batch == batch]
    for tier in support.tiers(catalog, model.provider) if own else ():
        known = support.limits(catalog, model, lane, tier=tier.id, on=on)
        theirs = {name: most for name, most in own[0].items() if hasattr(known, name)}
        if theirs and theirs == {name: getattr(known, name) for name in theirs}:
            yield tier.id


def _unknown(catalog: Catalog, model: Model, reading: Reading) -> Iterator[str]:
    """Newer than everything the catalog has of the vendor: what a release would bring."""
    ours = catalog.provider(model.provider).models.values()
    newest = max((each.released for each in ours if each.released is not None), default=None)
    names = {name for each in ours for name in (each.id, *each.aliases)}
    for listed in reading.listed:
        newer = newest is None or listed.released is None or listed.released > newest
        if newer and listed.id not in names:
            yield listed.id
