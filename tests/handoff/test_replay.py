"""Both libraries read everything that both vendors were recorded to say."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from tests.handoff.replay import Recorded, Recording, recordings, replaying


@pytest.fixture
def anthropics() -> list[Recording]:
    return recordings("anthropic")


@pytest.fixture
def openais() -> list[Recording]:
    return recordings("openai")


def ids(call: Recorded) -> list[str]:
    return call.path.split("/")


def asked_of_anthropic(client: anthropic.Anthropic, call: Recorded) -> Any:
    batches = client.messages.batches
    match [call.method, *ids(call)[3:]]:
        case ["POST", "batches"]:
            return batches.create(**json.loads(call.sent))
        case ["GET", "batches", name]:
            return batches.retrieve(name)
        case ["POST", "batches", name, "cancel"]:
            return batches.cancel(name)
        case ["GET", "batches", _, "results"]:
            raw = client.get(call.path, cast_to=httpx2.Response)  # not at the recorded address
            lines = [line for line in raw.content.split(b"\n") if line]
            return [MessageBatchIndividualResponse.model_validate_json(line) for line in lines]
    raise AssertionError(call.path)


def asked_of_openai(client: openai.OpenAI, call: Recorded) -> Any:
    match [call.method, *ids(call)[2:]]:
        case ["POST", "files"]:
            return client.files.create(file=("upload.jsonl", b"{}"), purpose="batch")
        case ["GET", "files", name]:
            return client.files.retrieve(name)
        case ["GET", "files", name, "content"]:
            return client.files.content(name).read()
        case ["POST", "batches"]:
            return client.batches.create(**json.loads(call.sent))
        case ["GET", "batches", name]:
            return client.batches.retrieve(name)
        case ["POST", "batches", name, "cancel"]:
            return client.batches.cancel(name)
    raise AssertionError(call.path)


def test_anthropics_library_reads_all_of_it(anthropics: list[Recording]) -> None:
    statuses, rows = set(), 0
    for recording in anthropics:
        with replaying(recording) as script:
            client = anthropic.Anthropic(api_key="k", base_url=script.url, max_retries=0)
            for call in recording.calls:
                said = asked_of_anthropic(client, call)
                if isinstance(said, list):
                    rows += sum(row.result.type == "succeeded" for row in said)
                else:
                    statuses.add(said.processing_status)
            client.close()
    assert statuses == {"in_progress", "canceling", "ended"}
    assert rows == 4


def test_openais_library_reads_all_of_it(openais: list[Recording]) -> None:
    statuses, rows = set(), 0
    for recording in openais:
        with replaying(recording) as script:
            client = openai.OpenAI(api_key="k", base_url=f"{script.url}/v1", max_retries=0)
            for call in recording.calls:
                said = asked_of_openai(client, call)
                if isinstance(said, bytes):
                    rows += sum(bool(line) for line in said.split(b"\n"))
                elif said.object == "batch":
                    statuses.add(said.status)
            client.close()
    assert statuses == {"validating", "in_progress", "finalizing", "completed", "cancelling"}
    assert rows >= 5


def test_a_replay_gives_the_replies_in_their_order(anthropics: list[Recording]) -> None:
    recording = next(each for each in anthropics if "basic" in each.name)
    with replaying(recording) as script:
        client = anthropic.Anthropic(api_key="k", base_url=script.url, max_retries=0)
        polls = [call for call in recording.calls if call.method == "GET"]
        name = ids(polls[0])[4]
        seen = [
            client.messages.batches.retrieve(name).processing_status
            for call in polls
            if not call.path.endswith("/results")
        ]
        client.close()
    assert seen == ["in_progress"] * (len(seen) - 2) + ["ended"] * 2
    assert len(seen) > 30


def test_polls_that_are_not_over_ask_to_wait(anthropics: list[Recording]) -> None:
    """What the rehearsal does as well: a hint on each poll of a running batch, none after."""
    hints = {
        (json.loads(call.said.body)["processing_status"], call.said.headers.get("retry-after"))
        for recording in anthropics
        for call in recording.calls
        if call.method == "GET" and not call.path.endswith("/results")
    }
    assert hints == {("in_progress", "10"), ("ended", None)}
