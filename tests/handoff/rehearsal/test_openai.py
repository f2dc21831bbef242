"""Files, batches and single requests, through OpenAI's own library."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from planner.handoff.rehearsal import Answers, Habits, Latency, Pace, RowError, steady
from tests.answers import NOW
from tests.handoff.rehearsal.conftest import MODEL, line, shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handoff.rehearsal.conftest import Stage

CHAT = "/v1/chat/completions"
START = int(NOW.timestamp())
STALL = steady(Pace(running=600, stall_at=2))


def test_a_batch_from_its_file_to_its_answers(stage: Stage) -> None:
    raw = shard(5)
    made = stage.batch(raw, metadata={"nonce": "abc"})
    assert (made.status, made.request_counts.total) == ("validating", 0)
    assert (made.created_at, made.expires_at) == (START, START + 24 * 3600)
    statuses: dict[str, int] = {}
    for second in range(0, 700, 5):
        now = stage.openai.batches.retrieve(made.id)
        statuses.setdefault(now.status, second)
        stage.time.sleep(5)
    assert statuses == {"validating": 0, "in_progress": 30, "finalizing": 660, "completed": 680}
    ended = stage.openai.batches.retrieve(made.id)
    assert ended.request_counts is not None
    assert (ended.request_counts.completed, ended.request_counts.failed) == (5, 0)
    assert (ended.in_progress_at, ended.completed_at) == (START + 30, START + 680)
    assert (ended.metadata, ended.model, ended.error_file_id) == ({"nonce": "abc"}, MODEL, None)
    found = {each["custom_id"]: each for each in stage.lines(ended.output_file_id)}
    law = Answers()
    for custom_id, row in found.items():
        body = row["response"]["body"]
        expected = law.answer(1, custom_id, characters=9, limit=None)
        assert body["output"][0]["content"][0]["text"] == expected.text
        assert body["usage"]["output_tokens"] == expected.output
    assert sorted(found) == [f"x-{number}" for number in range(5)]
    assert stage.server.paid("openai") == {hashlib.sha256(raw).hexdigest(): 1}


def test_the_batchs_usage_is_the_sum_of_its_rows(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(reasoning=0.5, cached=0.3, cache_written=0.2))
    made = stage.batch(shard(20, input="some words " * 40))
    ended = stage.ended().openai.batches.retrieve(made.id)
    usages = [each["response"]["body"]["usage"] for each in stage.lines(ended.output_file_id)]
    assert ended.usage is not None
    assert ended.usage.input_tokens == sum(each["input_tokens"] for each in usages)
    assert ended.usage.output_tokens == sum(each["output_tokens"] for each in usages)
    assert ended.usage.total_tokens == sum(each["total_tokens"] for each in usages)
    billed = stage.server.billed("openai")
    assert ended.usage.input_tokens_details.cached_tokens == billed.cache_read
    assert ended.usage.output_tokens_details.reasoning_tokens == billed.reasoning
    assert ended.usage.input_tokens == billed.input + billed.cache_read + billed.cache_write
    assert all(each["input_tokens_details"]["cache_write_tokens"] == 22 for each in usages)


def test_completions(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(mean=100, cv=0))
    made = stage.batch(shard(3, url=CHAT, max_completion_tokens=20), CHAT)
    ended = stage.ended().openai.batches.retrieve(made.id)
    bodies = [each["response"]["body"] for each in stage.lines(ended.output_file_id)]
    assert {each["choices"][0]["finish_reason"] for each in bodies} == {"length"}
    assert {each["usage"]["completion_tokens"] for each in bodies} == {20}


def test_an_incomplete_response_says_why(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(mean=100, cv=0))
    made = stage.batch(shard(1, max_output_tokens=20))
    (row,) = stage.lines(stage.ended().openai.batches.retrieve(made.id).output_file_id)
    body = row["response"]["body"]
    assert (body["status"], body["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )


@pytest.mark.parametrize(
    ("raw", "code", "at"),
    [
        (b"", "empty_file", None),
        (shard(2) + b"{not json\n", "invalid_json_line", 3),
        (shard(2) + b"\n" + line("y"), "invalid_json_line", 3),
        (shard(2) + line("x-0"), "duplicate_custom_id", 3),
        (shard(1) + line("y", CHAT), "mismatched_url", 2),
        (shard(1) + line("y", model="other"), "mismatched_model", 2),
        (
            shard(1) + b'{"custom_id": "a", "url": "/v1/responses"}\n',
            "missing_required_parameter",
            2,
        ),
    ],
)
def test_a_wrong_file_fails_later(stage: Stage, raw: bytes, code: str, at: int | None) -> None:
    made = stage.batch(raw)
    assert (made.status, made.errors) == ("validating", None)
    failed = stage.ended(30).openai.batches.retrieve(made.id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [(each.code, each.line) for each in failed.errors.data] == [(code, at)]
    assert (failed.failed_at, failed.output_file_id) == (START + 30, None)
    assert stage.server.paid("openai") == {}


def test_a_failed_batch_names_some_of_its_lines(stage: Stage) -> None:
    made = stage.batch(b"no\n" * 100)
    failed = stage.ended().openai.batches.retrieve(made.id)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [each.line for each in failed.errors.data] == list(range(1, 21))


def test_too_many_rows_fail_later(play: Callable[..., Stage]) -> None:
    stage = play(habits={"openai": Habits(batch_rows=3, checks_later=True)})
    failed = [stage.batch(shard(rows)).id for rows in (3, 4)]
    stage.ended()
    found = [stage.openai.batches.retrieve(each) for each in failed]
    assert [each.status for each in found] == ["completed", "failed"]


def test_a_full_queue_fails_later_and_empties(play: Callable[..., Stage]) -> None:
    """The batch is made, and says after its check that there was no room."""
    raw = shard(10, input="x" * 400)
    stage = play(habits={"openai": Habits(queued_tokens=1500, checks_later=True)})
    first, second = stage.batch(raw), stage.batch(raw)
    failed = stage.ended(60).openai.batches.retrieve(second.id)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert failed.errors.data[0].code == "token_limit_exceeded"
    assert stage.openai.batches.retrieve(first.id).status == "in_progress"
    third = stage.ended(700).batch(raw)
    assert stage.ended(60).openai.batches.retrieve(third.id).status == "in_progress"
    assert stage.server.paid("openai").total() == 2


def test_row_errors_stand_in_a_file_of_their_own(play: Callable[..., Stage]) -> None:
    wrong = RowError(status=400, code="invalid_prompt", message="no")
    stage = play(answers=Answers(trouble=lambda name: wrong if name == "x-1" else None))
    made = stage.batch(shard(3) + line("silent", input=[]))
    ended = stage.ended().openai.batches.retrieve(made.id)
    assert ended.request_counts is not None
    assert (ended.request_counts.completed, ended.request_counts.failed) == (2, 2)
    errors = {each["custom_id"]: each for each in stage.lines(ended.error_file_id)}
    assert set(errors) == {"x-1", "silent"}
    response = errors["x-1"]["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (400, "invalid_prompt")


def test_a_batch_of_errors_alone_has_no_answers(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(refused=1))
    made = stage.batch()
    ended = stage.ended().openai.batches.retrieve(made.id)
    assert (ended.status, ended.output_file_id) == ("completed", None)
    assert len(stage.lines(ended.error_file_id)) == 5


def test_expired_rows_stand_among_the_errors(play: Callable[..., Stage]) -> None:
    stage = play(turnaround=STALL)
    made = stage.batch()
    ended = stage.ended(24 * 3600 + 20).openai.batches.retrieve(made.id)
    assert (ended.status, ended.expired_at) == ("expired", START + 24 * 3600 + 20)
    assert len(stage.lines(ended.output_file_id)) == 2
    errors = stage.lines(ended.error_file_id)
    assert [each["error"]["code"] for each in errors] == ["batch_expired"] * 3
    assert all(each["response"] is None for each in errors)
    assert ended.request_counts is not None
    assert (ended.request_counts.completed, ended.request_counts.failed) == (2, 0)


@pytest.mark.parametrize("listed", [True, False])
def test_a_cancel_takes_time_and_keeps_what_is_done(
    play: Callable[..., Stage], listed: bool
) -> None:
    habits = Habits(checks_later=True, cancelled_rows_listed=listed)
    stage = play(habits={"openai": habits})
    made = stage.batch(shard(10))
    stage.time.sleep(360)
    assert stage.openai.batches.cancel(made.id).status == "cancelling"
    stage.time.sleep(79)
    assert stage.openai.batches.retrieve(made.id).status == "cancelling"
    stage.time.sleep(1)
    ended = stage.openai.batches.retrieve(made.id)
    assert (ended.status, ended.cancelled_at) == ("cancelled", START + 440)
    assert len(stage.lines(ended.output_file_id)) == 6
    if listed:
        errors = stage.lines(ended.error_file_id)
        assert [each["error"]["code"] for each in errors] == ["batch_cancelled"] * 4
    else:
        assert ended.error_file_id is None
    with pytest.raises(openai.ConflictError):
        stage.openai.batches.cancel(made.id)


def test_results_go_after_a_while(stage: Stage) -> None:
    made = stage.batch()
    ended = stage.ended().openai.batches.retrieve(made.id)
    kept = stage.openai.files.retrieve(ended.output_file_id or "")
    assert kept.expires_at == START + 680 + 30 * 24 * 3600
    assert kept.bytes == len(stage.openai.files.content(kept.id).content)
    stage.time.sleep(30 * 24 * 3600)
    with pytest.raises(openai.NotFoundError):
        stage.openai.files.content(kept.id)
    assert list(stage.openai.files.list()) == []


def test_results_may_be_asked_to_go_sooner(stage: Stage) -> None:
    made = stage.batch(output_expires_after={"anchor": "created_at", "seconds": 7200})
    ended = stage.ended(700).openai.batches.retrieve(made.id)
    kept = stage.openai.files.retrieve(ended.output_file_id or "")
    assert kept.expires_at == START + 680 + 7200


def test_a_large_file_is_taken_as_it_is(stage: Stage) -> None:
    raw = shard(200, input="x" * 3_000)
    file = stage.upload(raw)
    assert (file.bytes, file.status, file.filename) == (len(raw), "processed", "shard.jsonl")
    assert stage.openai.files.content(file.id).content == raw


@pytest.mark.parametrize(("name", "taken"), [("a.jsonl", True), ("upload", True), ("a.txt", False)])
def test_names_of_files(stage: Stage, name: str, taken: bool) -> None:
    if taken:
        assert stage.upload(b"x", name).filename == name
    else:
        with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
            stage.upload(b"x", name)


def test_files_are_listed_and_deleted(stage: Stage) -> None:
    files = [stage.upload(b"x").id for _ in range(3)]
    assert [each.id for each in stage.openai.files.list(purpose="batch")] == list(reversed(files))
    assert list(stage.openai.files.list(purpose="vision")) == []
    page = stage.openai.files.list(limit=1, after=files[2])
    assert [each.id for each in page.data] == [files[1]]
    stage.openai.files.delete(files[0])
    with pytest.raises(openai.NotFoundError):
        stage.openai.files.retrieve(files[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "/v1/nothing"},
        {"completion_window": "1d"},
        {"metadata": {str(number): "x" for number in range(17)}},
        {"metadata": {"x" * 65: "x"}},
        {"metadata": {"x": "x" * 513}},
        {"input_file_id": None},
    ],
)
def test_what_is_refused_when_it_is_made(stage: Stage, wrong: dict[str, Any]) -> None:
    file = stage.upload(shard())
    good = {"input_file_id": file.id, "endpoint": "/v1/responses", "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError) as refused:
        stage.openai.post("/batches", cast_to=httpx2.Response, body=good | wrong)
    assert refused.value.request_id
    assert stage.server.paid("openai") == {}


def test_a_file_that_does_not_exist(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError):
        stage.openai.batches.create(
            input_file_id="file-no", endpoint="/v1/responses", completion_window="24h"
        )


def test_the_list_is_newest_first_in_pages(stage: Stage) -> None:
    made = [stage.batch(shard(1, number)).id for number in range(5)]
    assert [each.id for each in stage.openai.batches.list(limit=2)] == list(reversed(made))
    assert stage.openai.batches.list(limit=2).has_more
    assert not stage.openai.batches.list(limit=5).has_more


def test_the_rate_of_making_batches(play: Callable[..., Stage]) -> None:
    stage = play(habits={"openai": Habits(creates_per_hour=1)})
    stage.batch()
    with pytest.raises(openai.RateLimitError) as refused:
        stage.batch()
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.response.headers["retry-after"] == "3600"


def test_accounts_see_their_own(play: Callable[..., Stage]) -> None:
    stage = play(tenants={"theirs": "org-2/proj-2"})
    made = stage.batch()
    theirs = stage.other("theirs").openai
    reply = theirs.batches.with_raw_response.list()
    assert reply.parse().data == []
    assert reply.headers["openai-organization"] == "org-2"
    assert reply.headers["openai-project"] == "proj-2"
    with pytest.raises(openai.NotFoundError):
        theirs.files.retrieve(made.input_file_id)


def test_no_key_no_answer(stage: Stage) -> None:
    reply = stage.wire.get(stage.server.base_url("openai") + "/batches")
    assert reply.status_code == 401
    assert "message" in reply.json()["error"]


# --- single requests ---------------------------------------------------------------------


def test_a_response_takes_its_time(play: Callable[..., Stage]) -> None:
    stage = play(answers=Answers(mean=100, cv=0, reasoning=1), latency=Latency(cv=0))
    made = stage.openai.responses.create(model=MODEL, input="hi")
    assert stage.time.now() - NOW == timedelta(seconds=0.8 + 1.6)
    assert made.usage is not None
    assert (made.usage.output_tokens, made.usage.output_tokens_details.reasoning_tokens) == (
        200,
        100,
    )
    assert [each.type for each in made.output] == ["reasoning", "message"]
    assert made.service_tier == "default"


def test_a_completion(stage: Stage) -> None:
    made = stage.openai.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hi"}]
    )
    assert made.choices[0].message.content
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens


def test_limits_count_the_longest_answer(play: Callable[..., Stage]) -> None:
    stage = play(limits={"rpm": 100, "tpm": 1000}, latency=Latency(base=0, per_token=0))
    raw = stage.openai.responses.with_raw_response
    first = raw.create(model=MODEL, input="x" * 400, max_output_tokens=500).headers
    assert first["x-ratelimit-limit-tokens"] == "1000"
    assert first["x-ratelimit-remaining-tokens"] == "400"
    assert first["x-ratelimit-reset-tokens"] == "36s"
    assert first["x-ratelimit-remaining-requests"] == "99"
    assert first["x-ratelimit-reset-requests"] == "600ms"
    with pytest.raises(openai.RateLimitError) as refused:
        raw.create(model=MODEL, input="x" * 400, max_output_tokens=500)
    assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "tokens")
    assert refused.value.response.headers["retry-after"] == "12"
    stage.time.sleep(12)
    raw.create(model=MODEL, input="x" * 400, max_output_tokens=500)
    assert stage.server.billed("openai").rows == 2


def test_wrong_requests_are_refused(stage: Stage) -> None:
    for body in (b"[]", b"{", json.dumps({"model": MODEL}).encode()):
        with pytest.raises(openai.BadRequestError):
            stage.openai.post("/responses", cast_to=httpx2.Response, content=body)


def test_a_prompt_is_counted_by_the_law_that_bills_it(stage: Stage) -> None:
    asked: Any = {"model": MODEL, "input": "x" * 41}
    counted = stage.openai.responses.input_tokens.count(**asked)
    made = stage.openai.responses.create(**asked)
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens == made.usage.input_tokens == 11


def test_models(stage: Stage) -> None:
    stage.batch()
    assert [each.id for each in stage.openai.models.list()] == [MODEL]
    assert stage.openai.models.retrieve(MODEL).id == MODEL
