"""What the rehearsal answers has the shape that libraries and recordings say it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic.types as anthropics
import httpx2
import openai.types as openais
import pytest
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from anthropic.types.shared import ErrorResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import TypeAdapter

from planner.handoff.rehearsal import Answers, Pace, steady
from tests.handoff.rehearsal.conftest import MODEL, shard
from tests.handoff.replay import recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.handoff.rehearsal.conftest import Stage

CHAT = "/v1/chat/completions"
FULL = Answers(mean=30, cv=1, reasoning=0.5, cached=0.2, cache_written=0.1, refused=0.2)
STALL = steady(Pace(running=600, stall_at=15))


def fits(type_: Any, raw: bytes) -> None:
    """pydantic reads the libraries' types as they are declared; the libraries do not."""
    TypeAdapter(type_).validate_json(raw)


def got(stage: Stage, provider: str, path: str) -> bytes:
    client: Any = stage.anthropic if provider == "anthropic" else stage.openai
    content: bytes = client.get(path, cast_to=httpx2.Response).content
    return content


@pytest.mark.parametrize("seconds", [0, 100, 24 * 3600, 30 * 24 * 3600])
@pytest.mark.parametrize("cancelled", [False, True])
def test_message_batches(play: Callable[..., Stage], seconds: float, cancelled: bool) -> None:
    stage = play(answers=FULL, turnaround=STALL)
    made = stage.message_batch(20)
    if cancelled:
        stage.anthropic.messages.batches.cancel(made.id)
    stage.time.sleep(seconds)
    fits(MessageBatch, got(stage, "anthropic", f"/v1/messages/batches/{made.id}"))
    page = json.loads(got(stage, "anthropic", "/v1/messages/batches"))
    assert set(page) == {"data", "has_more", "first_id", "last_id"}


def test_results_of_message_batches(play: Callable[..., Stage]) -> None:
    stage = play(answers=FULL, turnaround=STALL)
    made = stage.message_batch(20, max_tokens=40)
    stage.time.sleep(24 * 3600)
    kinds = set()
    for raw in got(stage, "anthropic", f"/v1/messages/batches/{made.id}/results").splitlines():
        fits(MessageBatchIndividualResponse, raw)
        kinds.add(json.loads(raw)["result"]["type"])
    assert kinds == {"succeeded", "errored", "expired"}


def test_messages_and_errors(stage: Stage) -> None:
    body = json.dumps({"model": MODEL, "max_tokens": 9, "messages": [{"role": "user"}]}).encode()
    raw = stage.anthropic.post("/v1/messages", cast_to=httpx2.Response, content=body)
    fits(anthropics.Message, raw.content)
    missing = stage.wire.get(
        stage.server.base_url("anthropic") + "/v1/messages/batches/no", headers={"x-api-key": "k"}
    )
    fits(ErrorResponse, missing.content)
    fits(anthropics.ModelInfo, got(stage, "anthropic", f"/v1/models/{MODEL}"))


@pytest.mark.parametrize("seconds", [0, 100, 24 * 3600, 24 * 3600 + 20])
@pytest.mark.parametrize("raw", [shard(20), b"no\n"])
@pytest.mark.parametrize("cancelled", [False, True])
def test_batches(play: Callable[..., Stage], seconds: float, raw: bytes, cancelled: bool) -> None:
    stage = play(answers=FULL, turnaround=STALL)
    made = stage.batch(raw)
    if cancelled:
        stage.openai.batches.cancel(made.id)
    stage.time.sleep(seconds)
    found = got(stage, "openai", f"/batches/{made.id}")
    fits(openais.Batch, found)
    page = json.loads(got(stage, "openai", "/batches"))
    assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
    for key in ("input_file_id", "output_file_id", "error_file_id"):
        if name := json.loads(found)[key]:
            fits(openais.FileObject, got(stage, "openai", f"/files/{name}"))


@pytest.mark.parametrize(("url", "type_"), [("/v1/responses", Response), (CHAT, ChatCompletion)])
def test_answers_of_batches(play: Callable[..., Stage], url: str, type_: Any) -> None:
    stage = play(answers=FULL)
    made = stage.ended().batch(shard(20, url=url, max_output_tokens=30), url)
    ended = stage.ended().openai.batches.retrieve(made.id)
    for row in stage.lines(ended.output_file_id):
        assert set(row) == {"id", "custom_id", "response", "error"}
        fits(type_, json.dumps(row["response"]["body"]).encode())
    assert stage.lines(ended.error_file_id)


def test_single_answers(stage: Stage) -> None:
    said = {"model": MODEL, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    for path, type_ in (("/responses", Response), ("/chat/completions", ChatCompletion)):
        raw = stage.openai.post(path, cast_to=httpx2.Response, body=said)
        fits(type_, raw.content)
    fits(openais.Model, got(stage, "openai", f"/models/{MODEL}"))


# --- the recordings ----------------------------------------------------------------------


def recorded(provider: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a vendor answered, each line with what kind of thing it is."""
    for recording in recordings(provider):
        for call in recording.calls:
            for raw in (
                call.said.body.split(b"\n") if b"custom_id" in call.said.body else [call.said.body]
            ):
                if raw.strip():
                    found = json.loads(raw)
                    yield found.get("object") or found.get("type") or "line", found


def fields(found: Any, *, deep: bool = True) -> Any:
    """Names of all fields, however deep; lists by their first item."""
    if isinstance(found, dict):
        if not deep:
            return set(found)
        return {key: fields(each) for key, each in found.items() if key != "metadata"}
    return [fields(each) for each in found[:1]] if isinstance(found, list) else None


def lacks(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Fields of theirs that ours has not."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [] if ours is None else [path]
        return [
            missing
            for key, each in theirs.items()
            for missing in (
                lacks(ours[key], each, f"{path}.{key}") if key in ours else [f"{path}.{key}"]
            )
        ]
    if isinstance(theirs, list) and theirs and isinstance(ours, list) and ours:
        return lacks(ours[0], theirs[0], f"{path}[]")
    return []


def test_nothing_that_anthropic_was_recorded_to_say_is_left_out(stage: Stage) -> None:
    made = stage.message_batch()
    stage.ended()
    base = f"/v1/messages/batches/{made.id}"
    ours = {
        "message_batch": json.loads(got(stage, "anthropic", base)),
        "line": json.loads(got(stage, "anthropic", f"{base}/results").splitlines()[0]),
    }
    for kind, theirs in recorded("anthropic"):
        assert lacks(ours[kind], fields(theirs)) == []


def test_nothing_that_openai_was_recorded_to_say_is_left_out(stage: Stage) -> None:
    made = stage.batch(shard(2, url=CHAT), CHAT)
    ended = stage.ended().openai.batches.retrieve(made.id)
    ours = {
        "batch": json.loads(got(stage, "openai", f"/batches/{made.id}")),
        "file": json.loads(got(stage, "openai", f"/files/{made.input_file_id}")),
        "line": stage.lines(ended.output_file_id)[0],
    }
    for kind, theirs in recorded("openai"):
        assert lacks(ours[kind], fields(theirs)) == []
