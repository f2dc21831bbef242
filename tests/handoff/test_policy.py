"""The policy: what it does not allow does not leave, and a file with a mistake allows nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from planner.errors import InputError
from planner.handoff import policy
from planner.handoff.ledger import Ledger
from planner.handoff.policy import Policy, Sending
from planner.money import Usd
from tests.answers import NOW
from tests.handoff import jobs

if TYPE_CHECKING:
    from collections.abc import Callable

SENDING = Sending(
    provider="anthropic",
    model="claude-haiku-5-5",
    region=None,
    base_url=jobs.ACCOUNT.base_url,
    kept=True,
    account=jobs.ACCOUNT,
)
WHOLE = """
schema: planner.policy/1
daily_cap: 2.50
vendors: [anthropic]
models: [claude-haiku-*, claude-sonnet-5-5]
regions: [us]
base_urls: [https://api.anthropic.com]
zero_retention_only: true
zero_retention_accounts: [org-one]
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Policy]:
    def write(text: str) -> Policy:
        path = tmp_path / policy.NAME
        path.write_text(text, encoding="utf-8")
        return policy.read(path)

    return write


def forbidden(rules: Policy, sending: Sending) -> list[str]:
    try:
        policy.check(rules, sending)
    except InputError as refused:
        return [each.message for each in refused.problems]
    return []


def test_without_a_file_all_is_allowed(tmp_path: Path) -> None:
    assert forbidden(policy.read(tmp_path / "none.yaml"), SENDING) == []
    assert policy.place() == Path.home() / ".config" / "planner" / "policy.yaml"


def test_an_empty_file_allows_all_and_every_key_is_read(
    written: Callable[[str], Policy],
) -> None:
    assert written("# nothing yet\n") == Policy()
    rules = written(WHOLE)
    assert rules.daily_cap == Decimal("2.50")
    for name in set(Policy.model_fields) - {"schema_"}:
        assert getattr(rules, name) != getattr(Policy(), name), name


def test_all_that_is_forbidden_is_said_at_once(written: Callable[[str], Policy]) -> None:
    rules = written(WHOLE.replace("[org-one]", "[]"))
    told = "\n".join(forbidden(rules, replace(SENDING, provider="openai", model="gpt-6-sol")))
    for part in ("vendor openai", "model gpt-6-sol", "no region", "keeps the answers", "org-one"):
        assert part in told
    other = replace(SENDING, region="us", base_url="https://gateway.example", account=None)
    assert [each.partition(";")[0] for each in forbidden(rules, replace(other, kept=False))] == [
        "forbidden: address https://gateway.example"
    ], "whose account it is is judged when it is known"
    allowed = replace(SENDING, region="us", kept=False)
    assert forbidden(written(WHOLE), allowed) == []


@pytest.mark.parametrize(
    ("key", "bad"),
    [("daily_caps", "5"), ("daily_cap", "yes"), ("base_urls", "[api.anthropic.com]"),
     ("vendors", "anthropic"), ("zero_retention_only", "maybe")],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(
    written: Callable[[str], Policy], key: str, bad: str
) -> None:
    with pytest.raises(InputError) as refused:
        written(f"schema: planner.policy/1\n{key}: {bad}\n")
    (problem,) = refused.value.problems
    assert problem.where is not None
    assert ":2:" in problem.where
    assert key in problem.message


def test_an_unknown_key_has_a_hint(written: Callable[[str], Policy]) -> None:
    with pytest.raises(InputError, match="unknown key 'vendor'") as refused:
        written("vendor: [anthropic]\n")
    assert refused.value.problems[0].hint == "did you mean vendors?"


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://api.anthropic.com", True),
        ("https://API.anthropic.com:443/", True),
        ("https://api.anthropic.com/v1", True),
        ("http://api.anthropic.com", False),
        ("https://api.anthropic.com.evil.example", False),
        ("https://api.anthropic.com:8443", False),
        ("https://api.anthropic.com@evil.example", False),
        ("nonsense", False),
    ],
)
def test_an_address_is_compared_by_its_parts(url: str, inside: bool) -> None:
    assert policy.within(url, "https://api.anthropic.com") is inside


def test_a_path_is_not_a_prefix_of_a_longer_name() -> None:
    assert policy.within("https://g.example/team/v1", "https://g.example/team/")
    assert not policy.within("https://g.example/teams", "https://g.example/team")


def test_the_day_counts_what_was_billed_today_and_all_that_is_in_flight(tmp_path: Path) -> None:
    rules = Policy(daily_cap=Usd(Decimal("2.50")))
    with Ledger.open(tmp_path / "home") as ledger:
        assert policy.room(Policy(), ledger, NOW) is None
        assert policy.room(rules, ledger, NOW) == Decimal("2.50")
        job = jobs.admitted(ledger)
        ledger.move(ledger.attempts(job.id)[0], "send", NOW - timedelta(days=3))
        assert policy.room(rules, ledger, NOW) == Decimal("1.25")
        policy.check_day(rules, ledger, NOW, Usd(Decimal("1.25")))
        with pytest.raises(InputError, match=r"\$1.26 more is over the daily cap of \$2.50"):
            policy.check_day(rules, ledger, NOW, Usd(Decimal("1.26")))
        policy.check_day(Policy(), ledger, NOW, Usd(Decimal(10**9)))


def test_a_day_begins_at_midnight() -> None:
    assert policy.day_start(NOW).isoformat() == "2026-11-22T00:00:00+00:00"
