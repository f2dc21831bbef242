"""One request, one attempt, one reply that says what came of it: the same for every vendor."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from planner.handoff.rehearsal import Conduct, Server
from planner.handoff.vendor import RefusedError
from tests.handoff.contract.cases import CASES, VENDORS, Case, named
from tests.handoff.contract.loopback import Said

if TYPE_CHECKING:
    from planner.handoff.rehearsal.clock import Virtual
    from planner.handoff.vendor import Account, Reply
    from tests.handoff.contract.loopback import Script, Way

DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/messages": {
        "type": "message",
        "content": [{"type": "text", "text": "yes"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 2, "service_tier": "standard"},
    },
    "/v1/responses": {
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
        "service_tier": "standard",
    },
    "/v1/chat/completions": {
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
        "service_tier": "standard",
    },
}
ROOM = {
    "anthropic": {
        "anthropic-ratelimit-requests-remaining": "41",
        "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:06Z",
    },
    "openai": {"x-ratelimit-remaining-requests": "41", "x-ratelimit-reset-requests": "6s"},
}


def ask(case: Case, script: Script, body: bytes | None = None) -> Reply:
    """Open, ask once, close."""

    async def once() -> Reply:
        vendor = case.realtime(script.url + case.root)
        try:
            sent = body or json.dumps(case.body()).encode()
            return await vendor.ask("a-1", case.endpoint, sent)
        finally:
            await vendor.close()

    return asyncio.run(once())


def answer(case: Case, **headers: str) -> Said:
    made = Said.json(ANSWERS[case.endpoint], 200, **headers)
    return Said(body=made.body, headers=dict(made.headers) | ROOM[case.provider] | {"date": DATE})


@pytest.mark.parametrize("case", CASES, ids=named)
def test_an_answer_with_its_usage_and_the_room_that_is_left(case: Case, script: Script) -> None:
    script.say(f"POST {case.endpoint}", answer(case))
    body = b'{ "spaces":  "stay",\n "\xc3\xa9": 1}'
    reply = ask(case, script, body)
    assert reply.kind == "answered"
    assert json.loads(reply.raw) == ANSWERS[case.endpoint]
    assert reply.result is not None
    found = reply.result
    assert (found.custom_id, found.outcome, found.text) == ("a-1", "succeeded", "yes")
    assert found.usage is not None
    assert (found.usage.total, found.usage.tier) == (11, "standard")
    assert (reply.allowances["rpm"].remaining, reply.allowances["rpm"].reset_after) == (41, 6)
    (asked,) = script.calls("POST", case.endpoint)
    assert asked.body == body, "byte for byte"
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "kind", "stops"),
    [
        (400, "refused", False),
        (413, "refused", False),
        (422, "refused", False),
        (401, "refused", True),
        (402, "refused", True),
        (403, "refused", True),
        (404, "refused", True),
        (429, "limited", False),
        (408, "overloaded", False),
        (409, "overloaded", False),
        (500, "overloaded", False),
        (503, "overloaded", False),
        (529, "overloaded", False),
    ],
)
def test_what_each_status_comes_to(
    case: Case, status: int, kind: str, stops: bool, script: Script
) -> None:
    script.say(f"POST {case.endpoint}", case.refusal(status, retry_after="3"))
    reply = ask(case, script)
    assert (reply.kind, reply.status, reply.retry_after) == (kind, status, 3)
    assert (reply.stop is not None) == stops
    assert (reply.result is not None) == (kind == "refused")
    if reply.result is not None:
        assert (reply.result.outcome, reply.result.permanent) == ("errored", not stops)
    assert not reply.ramp
    assert len(script.calls("POST", case.endpoint)) == 1


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (VENDORS[0], "enforced_spend_limit_reached"),
        (VENDORS[0], "contract_spend_limit_reached"),
        (VENDORS[1], "insufficient_quota"),
    ],
)
def test_a_limit_on_money_stops_everything(case: Case, code: str, script: Script) -> None:
    script.say(f"POST {case.endpoint}", case.refusal(429, code, retry_after="3"))
    reply = ask(case, script)
    assert reply.kind == "refused"
    assert reply.stop


@pytest.mark.parametrize("case", VENDORS[:1], ids=named)
def test_growing_too_fast_is_a_limit_of_its_own(case: Case, script: Script) -> None:
    script.say(f"POST {case.endpoint}", case.refusal(429, "ramp_limit_exceeded"))
    reply = ask(case, script)
    assert (reply.kind, reply.ramp, reply.stop) == ("limited", True, None)


@pytest.mark.parametrize(
    "said",
    [
        Said(status=502, body=b"<html>bad gateway</html>"),
        Said(status=429, body=b"slow down"),
        Said(status=403, body=b'{"detail": "no"}'),
        Said(body=b"<html>welcome</html>"),
        Said(body=b"[]"),
    ],
)
def test_what_the_vendor_did_not_sign_may_be_billed(case: Case, said: Said, script: Script) -> None:
    script.say(f"POST {case.endpoint}", said)
    reply = ask(case, script)
    assert (reply.kind, reply.stop) == ("ambiguous", None)


@pytest.mark.parametrize("way", ["drop", "reset", "half", "short", "unchunked"])
def test_a_broken_connection_may_be_billed(case: Case, way: Way, script: Script) -> None:
    script.say(f"POST {case.endpoint}", Said(body=b'{"id": 1}', way=way))
    assert ask(case, script).kind == "ambiguous"
    assert len(script.calls("POST", case.endpoint)) == 1


def test_out_of_reach_is_not_sent(case: Case, script: Script) -> None:
    async def once() -> Reply:
        vendor = case.realtime(script.url + case.root)
        vendor._client.base_url = "http://127.0.0.1:9" + case.root  # type: ignore[attr-defined]
        try:
            return await vendor.ask("a-1", case.endpoint, b"{}")
        finally:
            await vendor.close()

    assert asyncio.run(once()).kind == "not_sent"


@pytest.mark.parametrize("case", CASES[1:2], ids=named)
def test_a_response_that_failed_is_no_answer(case: Case, script: Script) -> None:
    error = {"code": "server_error", "message": "broke"}
    failed = ANSWERS[case.endpoint] | {"status": "failed", "error": error}
    script.say(f"POST {case.endpoint}", Said.json(failed))
    reply = ask(case, script)
    assert reply.kind == "refused"
    assert reply.result is not None
    assert reply.result.usage is not None, "what it cost is known all the same"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_rehearsed_vendor_says_how_much_room_is_left_and_when_there_is_none(
    case: Case, time: Virtual
) -> None:
    async def asked(url: str) -> list[Reply]:
        vendor = case.realtime(url)
        body = json.dumps(case.body()).encode()
        try:
            return [await vendor.ask(f"a-{at}", case.endpoint, body) for at in range(3)]
        finally:
            await vendor.close()

    with Server(clock=time.clock, conduct=Conduct(limits={"rpm": 2, "tpm": 10_000})) as server:
        replies = asyncio.run(asked(server.base_url(case.provider)))
    assert [each.kind for each in replies] == ["answered", "answered", "limited"]
    rooms = [reply.allowances["rpm"] for reply in replies]
    assert [(each.limit, each.remaining) for each in rooms] == [(2, 1), (2, 0), (2, 0)]
    assert all(each.reset_after is not None and each.reset_after > 0 for each in rooms)
    assert replies[2].retry_after is not None
    assert replies[2].retry_after > 0
    for number, reply in enumerate(replies[:2]):
        assert reply.result is not None
        assert reply.result.custom_id == f"a-{number}"
        assert reply.result.usage is not None
        assert reply.result.usage.total > 0


# --- opening -----------------------------------------------------------------------------


def account(case: Case, script: Script) -> Account:
    async def opened() -> Account:
        vendor = case.realtime(script.url + case.root)
        await vendor.close()
        return vendor.account

    return asyncio.run(opened())


def test_the_account_is_the_one_that_batches_have(case: Case, script: Script) -> None:
    who = {"anthropic_organization_id": "org-1", "openai_organization": "org-1"}
    place = {"anthropic_workspace_id": "w-1", "openai_project": "w-1"}
    script.say(case.listing, Said.json(case.empty, 200, **who, **place))
    found = account(case, script)
    vendor = case.batches(script.url + case.root)
    assert found.fingerprint == vendor.account.fingerprint
    assert (found.organization, found.workspace or found.project) == ("org-1", "w-1")
    vendor.close()


def test_a_key_that_may_ask_but_not_list(case: Case, script: Script) -> None:
    script.say(case.listing, case.refusal(403))
    assert account(case, script).organization is None
    script.say(case.listing, case.refusal(401))
    with pytest.raises(RefusedError):
        account(case, script)
