"""Which vendors planner hands jobs to: one line each.

A module is loaded when its vendor is asked for; until then no vendor's library is.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar, cast

from planner.errors import UnknownFactError
from planner.handoff.keys import Key, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from planner.handoff.vendor import BatchVendor, RealtimeVendor, RowResult, TokenVendor

T = TypeVar("T")

BATCHES: Mapping[str, str] = {
    "anthropic": "planner.handoff.providers.anthropic_batches",
    "openai": "planner.handoff.providers.openai_batches",
}
"""Vendor -> the module with its `open_batches`."""

REALTIME: Mapping[str, str] = {
    "anthropic": "planner.handoff.providers.anthropic_realtime",
    "openai": "planner.handoff.providers.openai_realtime",
}
"""Vendor -> the module with its `open_realtime`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A vendor's own count of a text, without an answer to it."""

    module: str
    """With its `open_counts`."""
    free: bool
    """A page of the vendor says that it costs nothing."""


COUNTS: Mapping[str, Counts] = {
    "anthropic": Counts(module="planner.handoff.providers.anthropic_counts", free=True),
    # Its guide to counting names no price (read 2026-11-22); that it is free, others say.
    "openai": Counts(module="planner.handoff.providers.openai_counts", free=False),
}
"""Vendor -> how it counts."""

PROOFS: Mapping[str, Mapping[str, str]] = {
    "anthropic": {"batch": "batch", "standard": "standard"},
    "openai": {"flex": "flex", "priority": "fast"},
}
"""Vendor -> service tier that a reply names -> the lane that is billed.

A word that is not here proves nothing: OpenAI says `default` in batches as well.
"""

WORDS: Mapping[str, str] = {
    "anthropic": "planner.handoff.providers.anthropic_wire",
    "openai": "planner.handoff.providers.openai_wire",
}
"""Vendor -> the module with its name, its keys' variables and its `client`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A vendor before anything is asked of it."""

    provider: str
    name: str
    variables: Sequence[str]
    """Where its library looks for a key, in this order."""
    obeyed: Sequence[str]
    """What its library reads from the environment besides the key."""


def about(provider: str) -> About:
    """A vendor's names; UnknownFactError (exit 3) where planner hands it no jobs."""
    words = import_module(_named(WORDS, provider))
    return About(
        provider=provider,
        name=words.NAME,
        variables=words.KEYS,
        obeyed=words.WORDS.variables,
    )


def address(provider: str, base_url: str | None = None) -> str:
    """Where a vendor would be reached, as its own library resolves it; nothing is sent."""
    from planner.handoff.providers import wire

    words = import_module(_named(WORDS, provider))
    client = words.client(Key(secret=Secret("none"), found_in="nowhere"), base_url)
    try:
        return wire.plain_url(client.base_url)
    finally:
        client.close()


def open_batches(
    provider: str, *, base_url: str | None = None, key: Key | None = None
) -> BatchVendor:
    """A vendor's batches, its account asked for with one harmless question.

    The key is looked for where it usually is unless one is given. UnknownFactError (exit 3),
    VendorError (exit 4) without a key or the vendor's library; and what any call may raise.
    """
    opened = import_module(_named(BATCHES, provider)).open_batches(key, base_url)
    return cast("BatchVendor", opened)


def open_realtime(
    provider: str, *, base_url: str | None = None, key: Key | None = None
) -> RealtimeVendor:
    """A vendor's single requests; errors as of `open_batches`."""
    opened = import_module(_named(REALTIME, provider)).open_realtime(key, base_url)
    return cast("RealtimeVendor", opened)


def open_counts(
    provider: str, *, base_url: str | None = None, key: Key | None = None
) -> TokenVendor:
    """A vendor's own token counts; errors as of `open_batches`."""
    opened = import_module(_named(COUNTS, provider).module).open_counts(key, base_url)
    return cast("TokenVendor", opened)


def reading(provider: str) -> Callable[[bytes], RowResult]:
    """How a vendor's result lines are read, without an account: they may be old, or imported."""
    return cast("Callable[[bytes], RowResult]", import_module(_named(BATCHES, provider)).result)


def _named(table: Mapping[str, T], provider: str) -> T:
    if provider not in table:
        raise UnknownFactError.of(
            "no-vendor",
            f"planner hands no jobs to {provider} yet",
            hint=f"it does for {', '.join(table)}",
        )
    return table[provider]
