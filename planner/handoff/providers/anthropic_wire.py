"""Anthropic's words, read into ours: its errors, headers, usage and answers.

Batches and single requests share them. The library builds its typed objects without looking
(a result of an unknown type becomes a success), so what is read here is the JSON itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.handoff import keys
from planner.handoff.providers import wire
from planner.handoff.usage import Usage
from planner.handoff.vendor import Account, RefusedError, RowResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anthropic

    from planner.handoff.keys import Key
    from planner.handoff.vendor import Allowance, RefusalKind

PROVIDER = "anthropic"
NAME = "Anthropic"
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")

SPENT = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)
"""`error.details.error_code` of limits on money (the library's typed errors have the list)."""
CLOSED = frozenset({"organization_on_hold", "claude_code_key_creator_not_member"})
RAMP = "ramp_limit_exceeded"
NO_CREDIT = "credit balance"
"""Of the message of a 400 that has no code of its own."""

MENDABLE = frozenset({"rate_limit_error", "timeout_error", "api_error", "overloaded_error"})
"""Types of a row's error that another attempt may not meet."""
TO_ACT = frozenset({"authentication_error", "billing_error", "permission_error"})
"""Types that the person can do something about."""
CUT = frozenset({"max_tokens", "model_context_window_exceeded"})

LIMITS = {
    "rpm": "requests",
    "itpm": "input-tokens",
    "otpm": "output-tokens",
    "tpm": "tokens",
}


class Words:
    """Anthropic's dialect."""

    name = NAME
    request_id = "request-id"
    variables = ("ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS")

    def kind(self, status: int, error: Mapping[str, Any]) -> RefusalKind:
        """By the stable code where there is one, else by the status."""
        code = wire.mapping(error.get("details")).get("error_code")
        if code in SPENT:
            return "spend_limit"
        if status == wire.LIMITED:
            return "full"
        if status in wire.NOT_ALLOWED or code in CLOSED:
            return "access"
        if status == wire.NOT_FOUND:
            return "missing"
        return "access" if NO_CREDIT in str(error.get("message")) else "request"

    def ramp(self, error: Mapping[str, Any]) -> bool:
        """The cap on how fast usage may grow."""
        return bool(wire.mapping(error.get("details")).get("error_code") == RAMP)

    def allowances(self, headers: Mapping[str, str]) -> Mapping[str, Allowance]:
        """`anthropic-ratelimit-*`; resets are moments."""
        found = {ours: _allowance(headers, theirs) for ours, theirs in LIMITS.items()}
        return {name: each for name, each in found.items() if each is not None}


def _allowance(headers: Mapping[str, str], name: str) -> Allowance | None:
    limit, remaining, reset = (
        headers.get(f"anthropic-ratelimit-{name}-{what}")
        for what in ("limit", "remaining", "reset")
    )
    return wire.allowance(limit, remaining, wire.until(reset, headers))


WORDS = Words()


def key() -> Key:
    """From the environment or the keyring; VendorError (exit 4)."""
    return keys.need(PROVIDER, NAME, KEYS)


def client(key: Key, base_url: str | None) -> anthropic.Anthropic:
    """The library's client: no second attempt, no redirect, no tracing of what is sent."""
    import anthropic

    return anthropic.Anthropic(
        api_key=key.secret.reveal(),
        base_url=base_url,
        max_retries=0,
        open_telemetry=False,
        http_client=anthropic.DefaultHttpxClient(follow_redirects=False),
    )


def account(client: anthropic.Anthropic, line: wire.Line, headers: Mapping[str, str]) -> Account:
    """Whom the headers of a reply name."""
    return Account(
        provider=PROVIDER,
        base_url=wire.plain_url(client.base_url),
        key_from=line.key.found_in,
        organization=wire.named(headers.get("anthropic-organization-id")),
        workspace=wire.named(headers.get("anthropic-workspace-id")),
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
                asking.messages.batches.with_raw_response.list(
                    limit=1, timeout=wire.PATIENCE
                ).http_response
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


def usage(found: object) -> Usage | None:
    """`usage` of a message: its input leaves cached tokens out, its output contains thinking."""
    if not isinstance(found, dict):
        return None
    written = wire.count(found, "cache_creation_input_tokens")
    hour = wire.count(found, "cache_creation", "ephemeral_1h_input_tokens")
    minutes = wire.count(found, "cache_creation", "ephemeral_5m_input_tokens")
    output = wire.count(found, "output_tokens")
    thought = min(output, wire.count(found, "output_tokens_details", "thinking_tokens"))
    return Usage(
        input=wire.count(found, "input_tokens"),
        cache_read=wire.count(found, "cache_read_input_tokens"),
        # Five minutes is what a cache lives unless asked otherwise, so what is not broken down.
        cache_write_5m=max(minutes, written - hour),
        cache_write_1h=hour,
        output=output - thought,
        reasoning=thought,
        tier=wire.named(found.get("service_tier")),
    )


def answered(custom_id: str, message: Mapping[str, Any]) -> RowResult:
    """A message that the model wrote."""
    stop = wire.named(message.get("stop_reason"))
    return RowResult(
        custom_id=custom_id,
        outcome="succeeded",
        text=_text(message.get("content")),
        stop=stop,
        truncated=stop in CUT,
        usage=usage(message.get("usage")),
    )


def _text(content: object) -> str | None:
    blocks = content if isinstance(content, list) else []
    found = [
        each["text"]
        for each in blocks
        if isinstance(each, dict) and each.get("type") == "text" and isinstance(each["text"], str)
    ]
    return "".join(found) if found else None


def refused(custom_id: str, envelope: object) -> RowResult:
    """A row's error: the envelope of a failed request, or the error alone."""
    outer = wire.mapping(envelope)
    error = wire.mapping(outer.get("error")) or outer
    type_ = error.get("type")
    return RowResult(
        custom_id=custom_id,
        outcome="errored",
        error=wire.labelled(error, "type"),
        permanent=bool(type_) and type_ not in MENDABLE | TO_ACT,
    )
