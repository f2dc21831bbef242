"""OpenAI's list of models, read with its library; it tells no support, sizes or limits."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from planner.errors import VendorError
from planner.handoff.providers.live import RETRIES, TIMEOUT, LiveModel, Reading

if TYPE_CHECKING:
    from openai.types import Model

KEY = "OPENAI_API_KEY"
NOTES = ("the list says nothing of batch support, sizes or your limits",)


def read(model: str, *, base_url: str | None = None) -> Reading:
    """Ask for the list; VendorError (exit 4) without the library or a key, or on failure."""
    try:
        import openai
    except ImportError:
        raise VendorError.of(
            "no-library",
            "OpenAI is asked with its own library, which is not installed",
            hint="pip install 'batch-planner[openai]'",
        ) from None
    if not os.environ.get(KEY):
        raise VendorError.of(
            "no-key",
            "no key for OpenAI, so its list of models cannot be asked for",
            hint=f"set {KEY}; without --live the catalog answers alone",
        )
    client = openai.OpenAI(base_url=base_url, max_retries=RETRIES, timeout=TIMEOUT)
    try:
        listed = tuple(_model(each) for each in client.models.list())
    except openai.APIStatusError as error:
        raise VendorError.of(
            "vendor-refused", f"OpenAI answered {error.status_code}: {error.message}"
        ) from None
    except openai.APIConnectionError as error:
        raise VendorError.of("no-answer", f"OpenAI cannot be reached: {error}") from None
    finally:
        client.close()
    return Reading(
        url=f"{str(client.base_url).rstrip('/')}/models",
        model=next((each for each in listed if each.id == model), None),
        listed=listed,
        notes=NOTES,
    )


def _model(info: Model) -> LiveModel:
    return LiveModel(
        id=info.id,
        released=datetime.fromtimestamp(info.created, UTC).date(),
        retires=date.fromisoformat(info.shutdown_date[:10]) if info.shutdown_date else None,
    )
