"""Anthropic's models endpoint and the organisation's own rate limits, read with its library."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from planner.errors import VendorError
from planner.handoff.providers.live import RETRIES, TIMEOUT, LiveLimits, LiveModel, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anthropic import Anthropic
    from anthropic.types import ModelInfo

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
FIGURES = {
    "requests_per_minute": "rpm",
    "input_tokens_per_minute": "itpm",
    "input_tokens_per_minute_cache_aware": "itpm",
    "output_tokens_per_minute": "otpm",
    "tokens_per_minute": "tpm",
    "enqueued_batch_requests": "queued_requests",
}
EPOCH = 1970
"""The year of a release that the vendor does not know."""


def read(model: str, *, base_url: str | None = None) -> Reading:
    """Ask for the model, the list of models and the limits; VendorError (exit 4) on failure."""
    import anthropic

    if not any(os.environ.get(name) for name in KEYS):
        raise VendorError.of(
            "no-key",
            "no key for Anthropic, so its endpoints cannot be asked",
            hint=f"set {KEYS[0]}; without --live the catalog answers alone",
        )
    client = anthropic.Anthropic(base_url=base_url, max_retries=RETRIES, timeout=TIMEOUT)
    try:
        listed = tuple(_model(each) for each in client.models.list(limit=1000))
        found = _retrieved(client, model)
        limits, notes = _limits(client, model)
    except anthropic.APIStatusError as error:
        raise VendorError.of(
            "vendor-refused", f"Anthropic answered {error.status_code}: {error.message}"
        ) from None
    except anthropic.APIConnectionError as error:
        raise VendorError.of("no-answer", f"Anthropic cannot be reached: {error}") from None
    finally:
        client.close()
    return Reading(
        url=f"{str(client.base_url).rstrip('/')}/v1/models/{model}",
        model=found,
        listed=listed,
        limits=limits,
        notes=notes,
    )


def _retrieved(client: Anthropic, model: str) -> LiveModel | None:
    import anthropic

    try:
        return _model(client.models.retrieve(model))
    except anthropic.NotFoundError:
        return None


def _model(info: ModelInfo) -> LiveModel:
    released = info.created_at.date()
    return LiveModel(
        id=info.id,
        released=released if released.year > EPOCH else None,
        retires=info.retires_at.date() if info.retires_at else None,
        state=info.lifecycle,
        batch=info.capabilities.batch.supported if info.capabilities else None,
        max_input=info.max_input_tokens,
        max_output=info.max_tokens,
    )


def _limits(client: Anthropic, model: str) -> tuple[tuple[LiveLimits, ...], tuple[str, ...]]:
    """The organisation's limits; an ordinary key may not be allowed to read them."""
    import anthropic

    try:
        return tuple(_groups(client, model)), ()
    except (anthropic.PermissionDeniedError, anthropic.NotFoundError) as error:
        return (), (f"the organisation's limits were not told ({error.status_code})",)


def _groups(client: Anthropic, model: str) -> Iterator[LiveLimits]:
    limits = client.organization.rate_limits
    for batch, entries in (
        (True, limits.list(group_type="batch")),
        (False, limits.list(group_type="model_group", model=model)),
    ):
        for entry in entries:
            yield LiveLimits(batch=batch, figures=_figures(entry.limits))


def _figures(values: list[Any]) -> dict[str, int]:
    return {FIGURES.get(each.type, each.type): each.value for each in values}
