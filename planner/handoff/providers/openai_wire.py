"""OpenAI's words, read into ours: its errors, headers, usage and answers of both endpoints.

Batches and single requests share them. What is read is the JSON itself: the library passes
statuses it does not know through, and gateways in front of the vendor add some.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from planner.errors import VendorError
from planner.handoff import keys
from planner.handoff.providers import wire
from planner.handoff.usage import Usage
from planner.handoff.vendor import Account, RefusedError, RowResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    import openai

    from planner.handoff.keys import Key
    from planner.handoff.vendor import Allowance, RefusalKind

PROVIDER = "openai"
NAME = "OpenAI"
KEYS = ("OPENAI_API_KEY",)
ROOT = "/v1"
"""What an endpoint begins with, and the base URL ends with."""

SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes of limits on money: 429 like a limit on speed, and pointless to repeat."""
INACTIVE = frozenset({"billing_not_active"})
NO_ROOM = "token_limit_exceeded"
"""The queue of the model is full: nothing is wrong with what was sent."""

PERMANENT = frozenset({400, 404, 413, 422})
"""Statuses of a row that it would meet again."""
WRONG = "invalid_request_error"
FAILED = 400
CUT = frozenset({"length", "max_output_tokens", "max_tokens"})

LIMITS = {"rpm": "requests", "tpm": "tokens"}


class Words:
    """OpenAI's dialect."""

    name = NAME
    request_id = "x-request-id"
    variables = ("OPENAI_BASE_URL", "OPENAI_CUSTOM_HEADERS", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")

    def kind(self, status: int, error: Mapping[str, Any]) -> RefusalKind:
        """By the code where it decides, else by the status."""
        codes = {error.get("code"), error.get("type")}
        if codes & SPENT:
            return "spend_limit"
        if codes & INACTIVE or status in wire.NOT_ALLOWED:
            return "access"
        if status == wire.LIMITED or NO_ROOM in codes:
            return "full"
        return "missing" if status == wire.NOT_FOUND else "request"

    def ramp(self, error: Mapping[str, Any]) -> bool:
        """It has no such limit of its own name."""
        del error
        return False

    def allowances(self, headers: Mapping[str, str]) -> Mapping[str, Allowance]:
        """`x-ratelimit-*`; resets are durations as Go writes them, elsewhere bare seconds."""
        found = {ours: _allowance(headers, theirs) for ours, theirs in LIMITS.items()}
        return {name: each for name, each in found.items() if each is not None}


def _allowance(headers: Mapping[str, str], name: str) -> Allowance | None:
    limit, remaining, reset = (
        headers.get(f"x-ratelimit-{what}-{name}") for what in ("limit", "remaining", "reset")
    )
    return wire.allowance(limit, remaining, wire.seconds(reset))


WORDS = Words()


def key() -> Key:
    """From the environment or the keyring; VendorError (exit 4)."""
    return keys.need(PROVIDER, NAME, KEYS)


def library() -> ModuleType:
    """OpenAI's library; VendorError (exit 4) where it is not installed."""
    try:
        import openai
    except ImportError:
        raise VendorError.of(
            "no-library",
            "OpenAI is spoken to with its own library, which is not installed",
            hint="pip install 'batch-planner[openai]'",
        ) from None
    return openai


def client(key: Key, base_url: str | None) -> openai.OpenAI:
    """The library's client: no second attempt, no redirect."""
    library()
    import openai

    return openai.OpenAI(
        api_key=key.secret.reveal(),
        base_url=base_url,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(follow_redirects=False),
    )


def account(client: openai.OpenAI, line: wire.Line, headers: Mapping[str, str]) -> Account:
    """Whom the headers of a reply name, else whom the environment asks for."""
    return Account(
        provider=PROVIDER,
        base_url=wire.plain_url(client.base_url),
        key_from=line.key.found_in,
        organization=wire.named(headers.get("openai-organization")) or client.organization,
        project=wire.named(headers.get("openai-project")) or client.project,
        settings=line.settings(),
    )


def whose(key: Key, base_url: str | None) -> Account:
    """Whose a key is, told by a list of at most one batch, which costs nothing, as for batches.

    A key may be allowed to ask and not to list; then nobody says whose it is.
    """
    asking = client(key, base_url)
    line = wire.Line(WORDS, key)
    try:
        _, response = line.object(
            lambda: (
                asking.batches.with_raw_response.list(limit=1, timeout=wire.PATIENCE).http_response
            )
        )
        return account(asking, line, response.headers)
    except RefusedError as error:
        if error.kind not in {"missing", "access"} or error.status in {401, 402}:
            raise
        return account(asking, line, {})
    finally:
        asking.close()


# --- answers -----------------------------------------------------------------------------


def usage(found: object, tier: str | None = None) -> Usage | None:
    """`usage` of either endpoint or a whole batch: input contains cached, output reasoning."""
    if not isinstance(found, dict):
        return None
    chat = "prompt_tokens" in found
    into, out = (
        ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    )
    read, written = wire.count(found, into), wire.count(found, out)
    of = f"{into}_details"
    cached = min(read, wire.count(found, of, "cached_tokens"))
    long = wire.count(found, of, "cache_write_tokens_details", "ttl_12h_tokens")
    short = wire.count(found, of, "cache_write_tokens_details", "ttl_30m_tokens")
    kept = min(read - cached, max(long + short, wire.count(found, of, "cache_write_tokens")))
    long = min(kept, long)
    thought = min(written, wire.count(found, f"{out}_details", "reasoning_tokens"))
    return Usage(
        input=read - cached - kept,
        cache_read=cached,
        # Half an hour is what a cache lives unless asked otherwise, so what is not broken down.
        cache_write_30m=kept - long,
        cache_write_12h=long,
        output=written - thought,
        reasoning=thought,
        tier=tier,
    )


def answered(custom_id: str, body: Mapping[str, Any]) -> RowResult:
    """A body that either endpoint gave; `unknown` where it is neither's."""
    tokens = usage(body.get("usage"), wire.named(body.get("service_tier")))
    if isinstance(body.get("choices"), list):
        text, stop = _chat(wire.mapping(next(iter(body["choices"]), None)))
    elif isinstance(body.get("output"), list):
        error = body.get("error")
        if body.get("status") == "failed" or isinstance(error, dict):
            return _failed(custom_id, wire.mapping(error), tokens)
        text, stop = _response(body)
    else:
        return RowResult(
            custom_id=custom_id,
            outcome="unknown",
            error="unknown: an answer of neither endpoint",
            usage=tokens,
        )
    return RowResult(
        custom_id=custom_id,
        outcome="succeeded",
        text=text,
        stop=stop,
        truncated=stop in CUT,
        usage=tokens,
    )


def _failed(custom_id: str, error: Mapping[str, Any], tokens: Usage | None) -> RowResult:
    return RowResult(
        custom_id=custom_id,
        outcome="errored",
        error=wire.labelled(error, "code", "type"),
        permanent=WRONG in {error.get("code"), error.get("type")},
        usage=tokens,
    )


def _chat(choice: Mapping[str, Any]) -> tuple[str | None, str | None]:
    message = wire.mapping(choice.get("message"))
    said = message.get("content")
    if said is None:
        said = message.get("refusal")
    return said if isinstance(said, str) else None, wire.named(choice.get("finish_reason"))


def _response(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    reason = wire.mapping(body.get("incomplete_details")).get("reason")
    found = list(_texts(body["output"]))
    return "".join(found) if found else None, wire.named(reason) or wire.named(body.get("status"))


def _texts(output: list[Any]) -> Iterator[str]:
    for item in output:
        content = wire.mapping(item).get("content")
        for part in content if isinstance(content, list) else ():
            said = wire.mapping(part)
            text = {"output_text": said.get("text"), "refusal": said.get("refusal")}
            if isinstance(text.get(str(said.get("type"))), str):
                yield text[str(said["type"])]  # type: ignore[misc]  # looked at above


def refused(custom_id: str, status: int | None, error: Mapping[str, Any]) -> RowResult:
    """A row's error, with the status of its request where there was one."""
    wrong = WRONG in {error.get("code"), error.get("type")}
    return RowResult(
        custom_id=custom_id,
        outcome="errored",
        error=wire.labelled(error, "code", "type"),
        permanent=wrong if status is None else status in PERMANENT,
    )


def unwrapped(body: object) -> object:
    """A body that some servers give as JSON in a string."""
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return body
