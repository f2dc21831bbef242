"""Durations, moments, usage and transport accidents, away from any socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.providers import anthropic_wire, openai_wire, wire
from planner.handoff.usage import BUCKETS, Usage
from planner.handoff.vendor import AmbiguousError, NotSentError
from tests.handoff.contract.cases import KEY

# --- durations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1m2.5s", 62.5),
        ("20ms", 0.02),
        ("1h0m0s", 3600),
        ("24h", 86400),
        ("0s", 0),
        ("350µs", 0.00035),
        ("350μs", 0.00035),
        ("12", 12),
        ("0.25", 0.25),
        (" 7s ", 7),
        (".5s", 0.5),
        ("", None),
        (None, None),
        ("soon", None),
        ("6m 0s", None),
        ("-3s", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("3 s", None),
        ("3sm", None),
        ("s", None),
    ],
)
def test_durations(text: str | None, seconds: float | None) -> None:
    found = wire.seconds(text)
    assert found == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(0, 10**7), st.integers(0, 999))
def test_durations_as_go_writes_them(whole: int, thousandths: int) -> None:
    """Hours and minutes are left out from the left while they are 0; below a second it's ms."""
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f".{thousandths:03}".rstrip("0") if thousandths else ""
    text = f"{seconds}{tail}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    if not whole and thousandths:
        text = f"{thousandths}ms"
    assert wire.seconds(text) == pytest.approx(whole + thousandths / 1000)


SENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DATE = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}


@given(st.integers(-(10**6), 10**6))
def test_moments_are_counted_from_the_reply(seconds: int) -> None:
    there = SENT + timedelta(seconds=seconds)
    for text in (there.isoformat(), there.strftime("%Y-%m-%dT%H:%M:%SZ")):
        assert wire.until(text, DATE) == max(0, seconds)
        assert wire.until(text, {}) is None, "no clock of our own is asked"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "10"}, 10),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "4294967"}, 4294967),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"} | DATE, 30),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_a_reply_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wire.retry_after(headers) == seconds


# --- allowances --------------------------------------------------------------------------


def test_what_anthropic_says_of_limits() -> None:
    said = {
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "2000000",
        "anthropic-ratelimit-input-tokens-remaining": "1999000",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-22T12:00:30Z",
        "anthropic-ratelimit-output-tokens-remaining": "0",
    }
    found = anthropic_wire.WORDS.allowances(said | DATE)
    assert set(found) == {"rpm", "itpm", "otpm"}
    assert (found["rpm"].limit, found["rpm"].remaining, found["rpm"].reset_after) == (4000, 3999, 1)
    assert found["itpm"].reset_after == 30
    assert (found["otpm"].limit, found["otpm"].remaining) == (None, 0)
    assert found["otpm"].reset_after is None


def test_what_openai_says_of_limits() -> None:
    said = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "many",
        "x-ratelimit-reset-tokens": "1m2.5s",
    }
    found = openai_wire.WORDS.allowances(said)
    assert (found["rpm"].limit, found["rpm"].remaining) == (10000, 9999)
    assert found["rpm"].reset_after == pytest.approx(0.006)
    assert (found["tpm"].remaining, found["tpm"].reset_after) == (None, 62.5)
    assert openai_wire.WORDS.allowances({}) == {}


# --- usage -------------------------------------------------------------------------------

TOKENS = st.integers(0, 10**9)
ANY = st.one_of(TOKENS, st.none(), st.integers(-5, -1), st.text(max_size=3), st.booleans())


def buckets(found: Usage | None) -> int:
    assert found is not None
    assert all(getattr(found, name) >= 0 for name in BUCKETS)
    return sum(getattr(found, name) for name in BUCKETS)


@given(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, st.floats(0, 1))
def test_anthropics_usage_adds_up(
    read: int, cached: int, hour: int, minutes: int, output: int, thinking: float
) -> None:
    found = {
        "input_tokens": read,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": hour + minutes,
        "cache_creation": {
            "ephemeral_1h_input_tokens": hour,
            "ephemeral_5m_input_tokens": minutes,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": int(output * thinking)},
    }
    assert buckets(anthropic_wire.usage(found)) == read + cached + hour + minutes + output
    del found["cache_creation"]
    flat = anthropic_wire.usage(found)
    assert flat is not None
    assert (flat.cache_write_5m, flat.cache_write_1h) == (hour + minutes, 0)


@given(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, st.booleans(), st.booleans())
def test_openais_usage_adds_up_whatever_the_details_claim(
    read: int,
    cached: int,
    long: int,
    short: int,
    output: int,
    reasoning: int,
    chat: bool,
    broken_down: bool,
) -> None:
    into, out = (
        ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    )
    details: dict[str, Any] = {"cached_tokens": cached, "cache_write_tokens": long + short}
    if broken_down:
        lives = {"ttl_12h_tokens": long, "ttl_30m_tokens": short}
        details["cache_write_tokens_details"] = lives
    found = {
        into: read,
        f"{into}_details": details,
        out: output,
        f"{out}_details": {"reasoning_tokens": reasoning},
        "total_tokens": read + output,
    }
    usage = openai_wire.usage(found)
    assert buckets(usage) == read + output
    assert usage is not None
    if cached + long + short <= read and reasoning <= output:
        assert (usage.cache_read, usage.reasoning) == (cached, reasoning)
        expected = (long, short) if broken_down else (0, long + short)
        assert (usage.cache_write_12h, usage.cache_write_30m) == expected


@given(st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "prompt_tokens"]), ANY))
def test_usage_that_makes_no_sense_is_no_crash_and_never_negative(found: dict[str, Any]) -> None:
    buckets(anthropic_wire.usage(found))
    buckets(openai_wire.usage(found))
    assert anthropic_wire.usage(None) is None
    assert openai_wire.usage([]) is None


# --- accidents ---------------------------------------------------------------------------

UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
IN_DOUBT = (
    httpx2.ReadError,
    httpx2.ReadTimeout,
    httpx2.WriteError,
    httpx2.WriteTimeout,
    httpx2.CloseError,
    httpx2.RemoteProtocolError,
    httpx2.LocalProtocolError,
    ValueError,
)


class LibraryError(Exception):
    """As either library wraps an accident."""


@pytest.mark.parametrize(
    ("cause", "wanted"),
    [*((each, NotSentError) for each in UNSENT), *((each, AmbiguousError) for each in IN_DOUBT)],
)
def test_accidents_by_what_had_left(cause: type[Exception], wanted: type[Exception]) -> None:
    line = wire.Line(anthropic_wire.WORDS, KEY)

    def bare() -> None:
        raise cause("what happened")

    def wrapped() -> None:
        try:
            bare()
        except cause as error:
            raise LibraryError("Connection error.") from error

    for call in (bare, wrapped):
        with pytest.raises(wanted, match="what happened"):
            line.call(call)


def test_an_interrupted_call_is_not_sorted() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wire.Line(openai_wire.WORDS, KEY).call(interrupted)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        (
            "https://me:secret@gateway.example:8443/x?key=secret#secret",
            "https://gateway.example:8443/x",
        ),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_addresses_are_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert wire.plain_url(url) == shown
