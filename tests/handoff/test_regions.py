"""Where rows go: an address that contradicts the plan's region is refused, an unproved one said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from planner.errors import InputError
from planner.handoff.providers import regions
from tests.handoff.counter import Counter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.answers import Ask

OWN = "https://api.openai.com/v1"
EU = "https://eu.api.openai.com/v1"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (OWN, ""),
        (EU, "eu"),
        ("https://US.api.openai.com", "us"),
        ("https://eu.api.openai.com.evil.example/v1", None),
        ("https://api.openai.com.evil.example/v1", None),
        ("https://evilapi.openai.com/v1", None),
        ("http://127.0.0.1:9/v1", None),
        ("no address", None),
    ],
)
def test_only_the_vendors_own_addresses_name_a_region(url: str, region: str | None) -> None:
    assert regions.of_address("openai", url) == region
    assert regions.of_address("anthropic", url) is None


@pytest.mark.parametrize(("region", "url"), [("eu", EU), (None, OWN), ("eu", "http://127.0.0.1:9")])
def test_what_agrees_or_says_nothing_goes_on(region: str | None, url: str) -> None:
    regions.check("openai", region, url)
    regions.check("anthropic", region, url)


@pytest.mark.parametrize(
    ("region", "url", "hint"),
    [
        ("eu", OWN, f"--base-url {EU}, or plan without --region"),
        ("us", EU, "--base-url https://us.api.openai.com/v1, or plan with --region eu"),
        (None, EU, f"--base-url {OWN}, or plan with --region eu"),
    ],
)
def test_another_region_than_the_plans_is_refused(region: str | None, url: str, hint: str) -> None:
    with pytest.raises(InputError, match=re.escape(url)) as refused:
        regions.check("openai", region, url)
    assert refused.value.problems[0].hint == hint


def test_nothing_goes_to_an_address_that_is_not_of_the_plans_region(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(ask, tmp_path, monkeypatch, provider="openai")
    try:
        job = ("--prompt", "{{ text }}", "--model", "gpt-6.1-sol", "--output-tokens", "9")
        for name, more in (("eu", ("--region", "eu")), ("any", ())):
            path = str(tmp_path / f"{name}.plan.yaml")
            made = counter("plan", str(counter.rows()), *job, "--lane", "batch", "-o", path, *more)
            assert made.exit_code == 0, made.err
        agreed = ("--yes", "--max-cost", "5")
        for name, url in (("eu", OWN), ("any", EU)):
            answer = counter(
                "submit", str(tmp_path / f"{name}.plan.yaml"), *agreed, "--base-url", url
            )
            assert (answer.exit_code, "error[other-region]" in answer.err) == (2, True)
        assert counter.server.record.sent == []
        answer = counter("submit", str(tmp_path / "eu.plan.yaml"), *agreed, *counter.to)
        assert answer.exit_code == 0, answer.err
        said = re.sub(r"\s+", " ", answer.err)
        assert f"region eu: nothing that is sent says so, and {counter.to[1]}" in said
        assert "not verified" in said
    finally:
        counter.close()


def test_a_region_is_said_as_it_is_asked_for() -> None:
    assert regions.said("openai", None, OWN) is None
    assert regions.said("anthropic", "us", "http://x") == "us: every request asks for it"
    assert "by the address alone" in (regions.said("openai", "eu", EU) or "")
    assert "not verified" in (regions.said("openai", "eu", EU) or "")
