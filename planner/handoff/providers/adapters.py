"""Which vendors planner builds batch files for: one line each.

A module is loaded when its vendor is asked for; until then no vendor's library is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from planner.errors import UnknownFactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planner.handoff.build import Adapter

ADAPTERS: Mapping[str, str] = {
    "anthropic": "planner.handoff.providers.anthropic_rows",
    "openai": "planner.handoff.providers.openai_rows",
}
"""Vendor -> the module that holds its `ADAPTER`."""


def adapter(provider: str) -> Adapter:
    """The adapter of a vendor; UnknownFactError (exit 3) names those that have one."""
    if provider not in ADAPTERS:
        raise UnknownFactError.of(
            "no-adapter",
            f"planner builds no batch files for {provider} yet",
            hint=f"it does for {', '.join(ADAPTERS)}",
        )
    return cast("Adapter", import_module(ADAPTERS[provider]).ADAPTER)
