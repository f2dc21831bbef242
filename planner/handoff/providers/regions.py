"""Where rows are processed: what asks the vendor for a region, and what an address says of it.

One vendor is told the region in every request, so it holds wherever the request goes. Another is
told it by the address alone, and only for projects that are set to it, which nothing that may be
asked tells. What is priced and allowed for one region must not go to an address of another, so an
address that contradicts the plan is refused; one that says nothing is passed on, and said to be
unproved. Adding the region to an address ourselves was rejected: whoever gave the address may have
a reason, such as a gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from planner.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTS: Final[Mapping[str, str]] = {"openai": "api.openai.com"}
"""Vendor -> its host, where a region is a word before it: developers.openai.com/api/docs/guides/
data-residency, read 2026-11-22. The others are told the region in each request."""


def of_address(provider: str, base_url: str) -> str | None:
    """The region that an address of this vendor's own names; '' for its one without a region.

    None: it says nothing, being a gateway, or a vendor's whose addresses name none.
    """
    host, own = urlsplit(base_url).hostname or "", HOSTS.get(provider)
    if own is None:
        return None
    if host == own:
        return ""
    return host.removesuffix(f".{own}") if host.endswith(f".{own}") else None


def check(provider: str, region: str | None, base_url: str) -> None:
    """InputError where a plan's region is not the one that its rows would go to."""
    named = of_address(provider, base_url)
    if named is None or named == (region or ""):
        return
    planned = f"for region {region}" if region else "for no region, whose rates are lower"
    place = f"region {named}" if named else "no region"
    own = HOSTS[provider]
    wanted = f"https://{f'{region}.' if region else ''}{own}/v1"
    other = f"with --region {named}" if named else "without --region"
    raise InputError.of(
        "other-region",
        f"the plan is {planned}, and {base_url} is of {place}",
        hint=f"--base-url {wanted}, or plan {other}",
    )


def said(provider: str, region: str | None, base_url: str) -> str | None:
    """What a person must know of a plan's region before rows go; None: it has none."""
    if region is None:
        return None
    if provider not in HOSTS:
        return f"{region}: every request asks for it"
    if of_address(provider, base_url) == region:
        return f"{region}, by the address alone; that the project is set to it is not verified"
    return f"{region}: nothing that is sent says so, and {base_url} is not known; not verified"
