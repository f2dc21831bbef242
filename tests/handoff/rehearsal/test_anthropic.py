"""The whole life of message batches, and single messages, through Anthropic's own library."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest

from planner.handoff.rehearsal import Answers, Habits, Latency, Pace, RowError, key_of, steady
from tests.answers import NOW
from tests.handoff.rehearsal.conftest import MODEL, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handoff.rehearsal.conftest import Stage

BATCHES = "/v1/messages/batches"
STALL = steady(Pace(running=600, stall_at=2))


def rows(stage: Stage, batch_id: str) -> dict[str, Any]:
    return {
        each.custom_id: each.result for each in stage.anthropic.messages.batches.results(batch_id)
    }


def test_a_batch_from_its_making_to_its_results(stage: Stage) -> None:
    batches = stage.anthropic.messages.batches
    made = stage.message_batch(5)
    assert (made.processing_status, made.created_at) == ("in_progress", NOW)
    assert made.expires_at == NOW + timedelta(hours=24)
    assert made.request_counts.processing == 5
    stage.time.sleep(629)
    running = batches.retrieve(made.id)
    assert running.request_counts.processing == 5
    assert (running.ended_at, running.results_url) == (None, None)
    stage.time.sleep(1)
    ended = batches.retrieve(made.id)
    assert ended.processing_status == "ended"
    assert (ended.request_counts.succeeded, ended.request_counts.processing) == (5, 0)
    assert ended.ended_at == NOW + timedelta(seconds=630)
    found = rows(stage, made.id)
    law = Answers()
    for custom_id, result in found.items():
        expected = law.answer(1, custom_id, characters=6, limit=1000)
        assert result.message.content[0].text == expected.text
        assert result.message.usage.output_tokens == expected.output
        assert result.message.usage.service_tier == "batch"
    assert sorted(found) == [f"x-{number}" for number in range(5)]
    assert stage.server.answered("anthropic") == Counter(found.keys())
    assert stage.server.billed("anthropic").rows == 5


def test_results_come_in_another_order(stage: Stage) -> None:
    made = stage.message_batch(40)
    order = list(rows(stage.ended(), made.id))
    assert order != sorted(order, key=lambda name: int(name[2:]))


def test_what_is_sent_is_known_by_its_hash(stage: Stage) -> None:
    body = json.dumps({"requests": [message("a")]}, indent=1).encode()
    stage.anthropic.post(BATCHES, cast_to=httpx2.Response, content=body)
    stage.anthropic.post(BATCHES, cast_to=httpx2.Response, content=body)
    import hashlib

    assert stage.server.paid("anthropic") == {hashlib.sha256(body).hexdigest(): 2}


def test_a_large_body_is_taken_as_well(stage: Stage) -> None:
    long = "x" * 300_000
    made = stage.message_batch(3, messages=[{"role": "user", "content": long}])
    found = rows(stage.ended(), made.id)
    assert {each.message.usage.input_tokens for each in found.values()} == {75_001}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([], "at least 1"),
        ([message("a b")], "custom_id"),
        ([message("x" * 65)], "custom_id"),
        ([message("a"), message("b"), message("a")], "unique"),
        ([{"custom_id": "a"}], "params"),
    ],
)
def test_what_is_refused_when_it_is_made(stage: Stage, wanted: Any, said: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=said) as refused:
        stage.anthropic.messages.batches.create(requests=wanted)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id is not None
    assert stage.server.paid("anthropic") == {}


def test_a_body_that_is_no_json_is_refused(stage: Stage) -> None:
    with pytest.raises(anthropic.BadRequestError):
        stage.anthropic.post(BATCHES, cast_to=httpx2.Response, content=b'{"requests":[{"cus')


def test_limits_of_a_batch(play: Callable[..., Stage]) -> None:
    stage = play(habits={"anthropic": Habits(batch_rows=3, batch_bytes=500)})
    stage.message_batch(3)
    with pytest.raises(anthropic.BadRequestError, match="at most 3"):
        stage.message_batch(4)
    with pytest.raises(anthropic.RequestTooLargeError) as refused:
        stage.message_batch(1, system="x" * 600)
    assert refused.value.status_code == 413


def test_rows_are_checked_when_they_have_their_turn(stage: Stage) -> None:
    wanted = [
        message("good"),
        message("limitless", max_tokens=...),
        message("silent", messages=[]),
        message("streamed", stream=True),
    ]
    made = stage.anthropic.messages.batches.create(requests=wanted)  # type: ignore[arg-type]
    counts = stage.ended().anthropic.messages.batches.retrieve(made.id).request_counts
    assert (counts.succeeded, counts.errored) == (1, 3)
    found = rows(stage, made.id)
    assert {name for name, each in found.items() if each.type == "errored"} == {
        "limitless",
        "silent",
        "streamed",
    }
    assert found["limitless"].error.error.type == "invalid_request_error"
    assert stage.server.billed("anthropic").rows == 1


def test_answers_may_be_refused_by_law(play: Callable[..., Stage]) -> None:
    busy = RowError(status=529, kind="overloaded_error", message="busy")
    stage = play(answers=Answers(trouble=lambda name: busy if name == "x-1" else None))
    made = stage.message_batch(3)
    found = rows(stage.ended(), made.id)
    assert found["x-1"].error.error.type == "overloaded_error"
    assert [each.type for each in found.values()].count("succeeded") == 2


def test_an_answer_is_cut_at_its_limit(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(mean=500, cv=0, reasoning=1))
    made = stage.message_batch(1, max_tokens=600)
    (result,) = rows(stage.ended(), made.id).values()
    assert result.message.stop_reason == "max_tokens"
    assert result.message.usage.output_tokens == 600
    assert result.message.usage.output_tokens_details.thinking_tokens == 500


def test_expired_rows_are_listed_and_not_billed(play: Callable[..., Stage]) -> None:
    stage = play(turnaround=STALL)
    made = stage.message_batch(5)
    ended = stage.ended(24 * 3600).anthropic.messages.batches.retrieve(made.id)
    assert (ended.request_counts.succeeded, ended.request_counts.expired) == (2, 3)
    assert Counter(each.type for each in rows(stage, made.id).values()) == {
        "succeeded": 2,
        "expired": 3,
    }
    assert stage.server.billed("anthropic").rows == 2
    assert stage.server.answered("anthropic").total() == 2


def test_a_cancel_takes_time_and_keeps_what_is_done(stage: Stage) -> None:
    made = stage.message_batch(10)
    stage.time.sleep(330)
    batches = stage.anthropic.messages.batches
    assert batches.cancel(made.id).processing_status == "canceling"
    assert batches.cancel(made.id).cancel_initiated_at == NOW + timedelta(seconds=330)
    stage.time.sleep(60)
    ended = batches.retrieve(made.id)
    assert ended.processing_status == "ended"
    assert (ended.request_counts.succeeded, ended.request_counts.canceled) == (6, 4)
    assert batches.cancel(made.id).processing_status == "ended"


def test_there_are_no_results_before_the_end(stage: Stage) -> None:
    made = stage.message_batch()
    with pytest.raises(anthropic.NotFoundError) as early:
        stage.anthropic.get(f"{BATCHES}/{made.id}/results", cast_to=httpx2.Response)
    assert early.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(anthropic.BadRequestError):
        stage.anthropic.messages.batches.delete(made.id)


def test_results_go_after_a_while_and_the_batch_stays(stage: Stage) -> None:
    made = stage.message_batch()
    stage.time.sleep(29 * 24 * 3600 - 1)
    assert len(rows(stage, made.id)) == 5
    stage.time.sleep(1)
    archived = stage.anthropic.messages.batches.retrieve(made.id)
    assert archived.archived_at == NOW + timedelta(days=29)
    assert archived.results_url is None
    with pytest.raises(anthropic.NotFoundError):
        stage.anthropic.get(f"{BATCHES}/{made.id}/results", cast_to=httpx2.Response)


def test_a_deleted_batch_is_gone(stage: Stage) -> None:
    made = stage.message_batch()
    stage.ended().anthropic.messages.batches.delete(made.id)
    with pytest.raises(anthropic.NotFoundError):
        stage.anthropic.messages.batches.retrieve(made.id)
    assert list(stage.anthropic.messages.batches.list()) == []


def test_the_list_is_newest_first_in_pages_both_ways(stage: Stage) -> None:
    made = [stage.message_batch(1, start=number).id for number in range(5)]
    batches = stage.anthropic.messages.batches
    newest = list(reversed(made))
    assert [each.id for each in batches.list(limit=2)] == newest
    first = batches.list(limit=2)
    assert (first.has_more, first.first_id, first.last_id) == (True, newest[0], newest[1])
    before = batches.list(limit=2, before_id=newest[3])
    assert [each.id for each in before.data] == newest[1:3]
    assert before.has_more
    assert not batches.list(limit=5).has_more
    assert [each.id for each in batches.list(limit=2, after_id=newest[4]).data] == []


def test_accounts_see_their_own_batches(play: Callable[..., Stage]) -> None:
    stage = play(tenants={"theirs": "org-2/ws-2", "rotated": "org-1", "first": "org-1"})
    made = stage.other("first").message_batch()
    assert len(list(stage.other("rotated").anthropic.messages.batches.list())) == 1
    theirs = stage.other("theirs").anthropic
    reply = theirs.messages.batches.with_raw_response.list()
    assert list(reply.parse().data) == []
    assert reply.headers["anthropic-organization-id"] == "org-2"
    assert reply.headers["anthropic-workspace-id"] == "ws-2"
    with pytest.raises(anthropic.NotFoundError):
        theirs.messages.batches.retrieve(made.id)


def test_queue_and_creation_limits(play: Callable[..., Stage]) -> None:
    stage = play(habits={"anthropic": Habits(queued_rows=8, creates_per_hour=2)})
    stage.message_batch(5)
    with pytest.raises(anthropic.RateLimitError, match="queued"):
        stage.message_batch(4)
    stage.message_batch(3)
    stage.time.sleep(1800)
    with pytest.raises(anthropic.RateLimitError, match="creation") as refused:
        stage.message_batch(1)
    assert refused.value.response.headers["retry-after"] == "1800"
    stage.time.sleep(1800)
    stage.message_batch(8)
    assert stage.server.paid("anthropic").total() == 3


def test_polls_carry_a_hint_until_the_end(stage: Stage) -> None:
    made = stage.message_batch()
    raw = stage.anthropic.messages.batches.with_raw_response
    assert raw.retrieve(made.id).headers["retry-after"] == "10"
    assert (
        "retry-after"
        not in stage.ended().anthropic.messages.batches.with_raw_response.retrieve(made.id).headers
    )


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/messages/batches/msgbatch_unknown"])
def test_what_does_not_exist(stage: Stage, path: str) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        stage.anthropic.get(path, cast_to=httpx2.Response)
    assert missing.value.type == "not_found_error"


def test_no_key_no_answer(stage: Stage) -> None:
    reply = stage.wire.get(stage.server.base_url("anthropic") + BATCHES)
    assert reply.status_code == 401
    assert reply.json()["error"]["type"] == "authentication_error"
    assert reply.headers["request-id"]


def test_small_questions(stage: Stage) -> None:
    client = stage.anthropic
    said: Any = [{"role": "user", "content": "x" * 40}]
    assert client.messages.count_tokens(model=MODEL, messages=said).input_tokens == 11
    assert client.models.retrieve(MODEL).id == MODEL
    stage.message_batch()
    assert [each.id for each in client.models.list()] == [MODEL]


# --- single messages ---------------------------------------------------------------------


def ask(stage: Stage, content: str = "hi", **more: Any) -> Any:
    said: Any = [{"role": "user", "content": content}]
    raw = stage.anthropic.messages.with_raw_response
    return raw.create(**({"model": MODEL, "max_tokens": 1000, "messages": said} | more))


def test_a_message_takes_its_time_and_is_billed_once(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(mean=100, cv=0), latency=Latency(cv=0))
    message = ask(stage).parse()
    assert message.usage.service_tier == "standard"
    assert stage.time.now() - NOW == timedelta(seconds=1.6)
    (key,) = stage.server.worlds("anthropic")[0].realtime.answered
    assert message.content[0].text.startswith(f"{key}: ")
    assert stage.server.billed("anthropic").output == message.usage.output_tokens


def test_the_key_of_a_message_is_that_of_its_bytes(stage: Stage) -> None:
    body = json.dumps(message("x")["params"]).encode()
    reply = stage.anthropic.post("/v1/messages", cast_to=httpx2.Response, content=body)
    assert reply.json()["content"][0]["text"].startswith(key_of(body))


def test_limits_refuse_and_say_when_to_come_again(play: Callable[..., Stage]) -> None:
    stage = play(
        limits={"rpm": 2, "itpm": 3_000, "otpm": 10_000}, latency=Latency(base=0, per_token=0)
    )
    first = ask(stage).headers
    assert first["anthropic-ratelimit-requests-limit"] == "2"
    assert first["anthropic-ratelimit-requests-remaining"] == "1"
    assert first["anthropic-ratelimit-requests-reset"] == "2026-11-22T12:00:30Z"
    assert first["anthropic-ratelimit-input-tokens-remaining"] == "3000"
    ask(stage)
    with pytest.raises(anthropic.RateLimitError, match="requests per minute") as refused:
        ask(stage)
    headers = refused.value.response.headers
    assert headers["retry-after"] == "30"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    stage.time.sleep(30)
    ask(stage)
    assert stage.server.worlds("anthropic")[0].realtime.answered.total() == 3


@pytest.mark.parametrize(
    ("limits", "name"), [({"itpm": 100}, "input tokens"), ({"otpm": 50}, "output tokens")]
)
def test_tokens_are_limited_too(
    play: Callable[..., Stage], limits: dict[str, int], name: str
) -> None:
    stage = play(
        limits=limits, answers=Answers(mean=80, cv=0), latency=Latency(base=0, per_token=0)
    )
    ask(stage, "x" * 300)
    with pytest.raises(anthropic.RateLimitError, match=name):
        ask(stage, "x" * 300)


def test_cached_input_does_not_count(play: Callable[..., Stage]) -> None:
    stage = play(limits={"itpm": 100}, answers=Answers(cached=0.9))
    usage = ask(stage, "x" * 400).parse().usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (11, 90)
    assert ask(stage, "x" * 400).status_code == 200


def test_wrong_messages_are_refused(stage: Stage) -> None:
    with pytest.raises(anthropic.BadRequestError):
        ask(stage, max_tokens=0)
    with pytest.raises(anthropic.BadRequestError):
        stage.anthropic.post("/v1/messages", cast_to=httpx2.Response, content=b"[]")
    assert stage.server.billed("anthropic").rows == 0
