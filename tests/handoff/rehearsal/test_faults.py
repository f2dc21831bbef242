"""Each fault as a client sees it, and what the vendor has of it afterwards."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.handoff.rehearsal import Fault
from planner.handoff.rehearsal.faults import BEFORE, Script
from tests.answers import NOW
from tests.handoff.rehearsal.conftest import MODEL, shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handoff.rehearsal.conftest import Stage

CREATE = "anthropic.batches.create"
RESULTS = "anthropic.batches.results"


def cause(error: BaseException | None) -> str:
    """The name of what was raised first."""
    assert error is not None
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__


def results(stage: Stage, batch_id: str) -> bytes:
    path = f"/v1/messages/batches/{batch_id}/results"
    return stage.anthropic.get(path, cast_to=httpx2.Response).content


# --- creates -----------------------------------------------------------------------------

CONNECTION = ["drop_before", "reset_before", "drop_after", "reset_after", "half_reply"]


@pytest.mark.parametrize("kind", CONNECTION)
def test_a_connection_that_breaks(play: Callable[..., Stage], kind: Any) -> None:
    stage = play(Fault(on="*.batches.create", kind=kind))
    with pytest.raises(anthropic.APIConnectionError) as lost:
        stage.message_batch()
    assert cause(lost.value) in {"ReadError", "RemoteProtocolError"}
    with pytest.raises(openai.APIConnectionError):
        stage.batch()
    made = 0 if kind in BEFORE else 1
    for provider in ("anthropic", "openai"):
        assert stage.server.paid(provider).total() == made
    (sent,) = stage.server.record.calls(CREATE)
    assert (sent.faults, sent.status, sent.made is not None) == ((kind,), None, bool(made))
    stage.message_batch()
    assert stage.server.paid("anthropic").total() == made + 1


def test_what_the_libraries_do_when_nobody_stops_them(play: Callable[..., Stage]) -> None:
    """Why creates are sent once: three paid batches, of which the caller knows none."""
    stage = play(Fault(on=CREATE, kind="drop_after", calls=None))
    client = stage.anthropic.with_options(max_retries=2)
    wanted: Any = [{"custom_id": "a", "params": {"model": MODEL, "max_tokens": 1, "messages": []}}]
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.batches.create(requests=wanted)
    assert list(stage.server.paid("anthropic").values()) == [3]


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529]
)
def test_refusals_are_the_vendors_own(play: Callable[..., Stage], status: int) -> None:
    stage = play(Fault(on="*.batches.create", kind="status", status=status, retry_after=7))
    with pytest.raises(anthropic.APIStatusError) as ours:
        stage.message_batch()
    assert (ours.value.status_code, ours.value.response.headers["retry-after"]) == (status, "7")
    assert ours.value.request_id is not None
    assert ours.value.type is not None
    with pytest.raises(openai.APIStatusError) as theirs:
        stage.batch()
    assert (theirs.value.status_code, bool(theirs.value.request_id)) == (status, True)
    assert isinstance(theirs.value.body, dict)
    assert stage.server.paid("anthropic") == stage.server.paid("openai") == {}


def test_a_status_that_lies(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on=CREATE, kind="status_after", status=500))
    with pytest.raises(anthropic.InternalServerError):
        stage.message_batch()
    assert stage.server.paid("anthropic").total() == 1


def test_limits_on_money_and_growth(play: Callable[..., Stage]) -> None:
    stage = play(
        Fault(on="*.create", kind="spend_limit"),
        Fault(on="*.create", kind="ramp_limit", calls=(2,), retry_after=30),
    )
    with pytest.raises(anthropic.RateLimitError) as spent:
        stage.message_batch()
    assert spent.value.error_code == "enforced_spend_limit_reached"
    with pytest.raises(anthropic.RateLimitError) as ramped:
        stage.message_batch()
    assert ramped.value.error_code == "ramp_limit_exceeded"
    assert ramped.value.response.headers["retry-after"] == "30"
    with pytest.raises(openai.RateLimitError) as quota:
        stage.openai.responses.create(model=MODEL, input="hi")
    assert quota.value.code == "insufficient_quota"


@pytest.mark.parametrize(("kind", "type_"), [("middlebox", "text/plain"), ("html", "text/html")])
def test_somebody_in_between(play: Callable[..., Stage], kind: Any, type_: str) -> None:
    stage = play(Fault(on=CREATE, kind=kind, status=404))
    with pytest.raises(anthropic.NotFoundError) as refused:
        stage.message_batch()
    assert (refused.value.request_id, refused.value.type) == (None, None)
    assert refused.value.response.headers["content-type"] == type_
    assert stage.server.paid("anthropic") == {}


def test_a_slow_reply(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on=CREATE, kind="slow", seconds=30))
    with pytest.raises(anthropic.APITimeoutError):
        stage.impatient.message_batch()
    patient = play(Fault(on=CREATE, kind="slow", seconds=0.01))
    assert patient.message_batch().id


def test_a_late_commit(play: Callable[..., Stage]) -> None:
    """The client has hung up and looked around, and then the batch is made after all."""
    stage = play(Fault(on=CREATE, kind="late", after=100))
    with pytest.raises(anthropic.APITimeoutError):
        stage.impatient.message_batch()
    listed = stage.anthropic.messages.batches.list
    stage.time.sleep(99)
    assert list(listed()) == []
    stage.time.sleep(1)
    (found,) = listed()
    assert found.created_at == NOW + timedelta(seconds=100)
    assert list(listed()) == [found]
    assert stage.server.paid("anthropic").total() == 1


def test_a_batch_that_is_not_there_yet(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on="*.batches.retrieve", kind="not_found"))
    made = stage.message_batch()
    with pytest.raises(anthropic.NotFoundError) as missing:
        stage.anthropic.messages.batches.retrieve(made.id)
    assert missing.value.request_id
    assert stage.anthropic.messages.batches.retrieve(made.id).id == made.id


# --- downloads ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cut_length", "cut_chunked"])
def test_a_download_that_breaks_off(play: Callable[..., Stage], kind: Any) -> None:
    stage = play(
        Fault(on=RESULTS, kind=kind), Fault(on="openai.files.content", kind=kind, keep=0.9)
    )
    made, batch = stage.message_batch(50), stage.batch(shard(50))
    ended = stage.ended().openai.batches.retrieve(batch.id)
    with pytest.raises((httpx2.RemoteProtocolError, anthropic.APIConnectionError)):
        results(stage, made.id)
    with pytest.raises((httpx2.RemoteProtocolError, openai.APIConnectionError)):
        stage.lines(ended.output_file_id)
    assert len(results(stage, made.id).splitlines()) == 50
    assert len(stage.lines(ended.output_file_id)) == 50


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_download_that_ends_early_and_says_nothing(
    play: Callable[..., Stage], keep: float
) -> None:
    stage = play(Fault(on=RESULTS, kind="cut_eof", keep=keep))
    made = stage.message_batch(50)
    cut, whole = results(stage.ended(), made.id), results(stage, made.id)
    assert cut == whole[: int(len(whole) * keep)]


def test_an_empty_line(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on=RESULTS, kind="blank_line"))
    made = stage.message_batch(3)
    with pytest.raises(json.JSONDecodeError):
        list(stage.ended().anthropic.messages.batches.results(made.id))
    assert len(list(stage.anthropic.messages.batches.results(made.id))) == 3


def test_an_unknown_kind_of_result(play: Callable[..., Stage]) -> None:
    """The library takes it for a success, which is why nobody should ask it."""
    stage = play(
        Fault(on=RESULTS, kind="unknown_result"),
        Fault(on="openai.files.content", kind="unknown_result"),
    )
    made, batch = stage.message_batch(3), stage.batch(shard(3))
    found = list(stage.ended().anthropic.messages.batches.results(made.id))
    assert [each.result.type for each in found].count("succeeded") == 2
    ended = stage.openai.batches.retrieve(batch.id)
    first = stage.lines(ended.output_file_id)[0]
    assert (first["response"], first["error"]) == (None, None)


# --- what is said of batches -------------------------------------------------------------


def test_a_status_that_nobody_knows(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on="*.batches.retrieve", kind="unknown_status"))
    made, batch = stage.message_batch(), stage.batch()
    assert str(stage.anthropic.messages.batches.retrieve(made.id).processing_status) == "scheduling"
    assert str(stage.openai.batches.retrieve(batch.id).status) == "scheduling"
    assert stage.anthropic.messages.batches.retrieve(made.id).processing_status == "in_progress"


def test_counts_that_are_missing(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on="*.batches.list", kind="no_counts"))
    stage.message_batch()
    stage.batch()
    (found,) = stage.anthropic.messages.batches.list().data
    assert found.to_dict()["request_counts"] is None
    assert stage.openai.batches.list().data[0].request_counts is None


def test_names_that_are_empty(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on="openai.batches.retrieve", kind="empty_ids", calls=None))
    batch = stage.batch()
    running = stage.openai.batches.retrieve(batch.id)
    assert (running.output_file_id, running.error_file_id) == ("", "")
    ended = stage.ended().openai.batches.retrieve(batch.id)
    assert (bool(ended.output_file_id), ended.error_file_id) == (True, "")


# --- single requests ---------------------------------------------------------------------


def ask(stage: Stage) -> Any:
    said: Any = [{"role": "user", "content": "hi"}]
    return stage.anthropic.messages.with_raw_response.create(
        model=MODEL, max_tokens=100, messages=said
    )


@pytest.mark.parametrize(("kind", "billed"), [("reset_before", 0), ("reset_after", 1)])
def test_only_what_was_answered_is_billed(
    play: Callable[..., Stage], kind: Any, billed: int
) -> None:
    stage = play(Fault(on="*.messages.create", kind=kind))
    with pytest.raises(anthropic.APIConnectionError):
        ask(stage)
    assert stage.server.billed("anthropic").rows == billed


def test_headers_that_lie(play: Callable[..., Stage]) -> None:
    stage = play(
        Fault(on="*.messages.create", kind="lying_headers", calls=None),
        limits={"rpm": 3, "otpm": 4_000},
    )
    remaining = [ask(stage).headers["anthropic-ratelimit-requests-remaining"] for _ in range(3)]
    assert remaining == ["3", "3", "3"]


# --- which calls -------------------------------------------------------------------------


def test_faults_are_counted_by_route(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on="*.batches.create", kind="status", calls=(2, 3), status=500))
    seen = []
    for number in range(4):
        try:
            seen.append(bool(stage.message_batch(1, start=number).id))
        except anthropic.InternalServerError:
            seen.append(False)
    assert seen == [True, False, False, True]
    assert stage.batch().id


def test_a_fault_may_be_added_while_the_server_runs(stage: Stage) -> None:
    stage.message_batch()
    stage.server.script.add(Fault(on=CREATE, kind="status", calls=(2,)))
    with pytest.raises(anthropic.InternalServerError):
        stage.message_batch()


@given(st.floats(0, 1), st.integers(0, 9))
def test_a_share_of_calls_is_drawn_by_the_seed(share: float, seed: int) -> None:
    def drawn() -> list[bool]:
        script = Script([Fault(on="a", kind="status", calls=None, share=share)], seed)
        return [bool(script.met("a")) for _ in range(400)]

    assert drawn() == drawn()
    assert abs(sum(drawn()) / 400 - share) < 0.12


def test_creates_that_run_side_by_side_are_seen(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on=CREATE, kind="slow", seconds=0.3, calls=None))
    threads = [threading.Thread(target=stage.message_batch) for _ in range(2)]
    stage.message_batch()
    assert stage.server.record.most_creating == 1
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert stage.server.record.most_creating == 2


def test_large_bodies_break_like_small_ones(play: Callable[..., Stage]) -> None:
    stage = play(Fault(on=CREATE, kind="drop_after"))
    with pytest.raises(anthropic.APIConnectionError):
        stage.message_batch(1, system="x" * 3_000_000)
    assert stage.server.paid("anthropic").total() == 1
