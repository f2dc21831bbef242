"""OpenAI's states and row errors in every shape that has been seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.handoff.contract.cases import VENDORS, Case, named
from tests.handoff.contract.loopback import Said

if TYPE_CHECKING:
    from planner.handoff.vendor import Batch, BatchVendor
    from tests.handoff.contract.loopback import Script

pytestmark = pytest.mark.parametrize("case", VENDORS[1:], ids=named)

MADE: dict[str, Any] = {"id": "batch_1", "created_at": 1_790_000_000, "input_file_id": "file-0"}
FULL = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None}
BAD_LINE = {"code": "invalid_json_line", "message": "not JSON", "line": 3}


def told_of(script: Script, told: BatchVendor, **found: Any) -> Batch:
    script.say("GET /v1/batches/batch_1", Said.json(MADE | found))
    return told.retrieve("batch_1")


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("validating", "running"),
        ("in_progress", "running"),
        ("finalizing", "running"),
        ("cancelling", "cancelling"),
        ("completed", "ended"),
        ("expired", "ended"),
        ("cancelled", "ended"),
        ("failed", "failed"),
        ("scheduling", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_what_each_status_means(
    case: Case, status: str | None, phase: str, script: Script, told: BatchVendor
) -> None:
    assert told_of(script, told, status=status).phase == phase


def test_both_files_are_read_whatever_the_status(
    case: Case, script: Script, told: BatchVendor
) -> None:
    both = {"output_file_id": "file-1", "error_file_id": "file-2"}
    for status in ("completed", "expired", "cancelled", "failed"):
        found = told_of(script, told, status=status, **both)
        assert (found.phase, found.results) == ("ended", ("output", "error"))
        assert found.files == {"output": "file-1", "error": "file-2"}
    for empty in (None, "", 0, False):
        alone = told_of(script, told, status="completed", **both | {"output_file_id": empty})
        assert alone.results == ("error",), "errors alone are results"


def test_a_full_queue_may_be_met_again_and_a_bad_line_not(
    case: Case, script: Script, told: BatchVendor
) -> None:
    full = told_of(script, told, status="failed", errors={"object": "list", "data": [FULL]})
    bad = told_of(script, told, status="failed", errors={"data": [BAD_LINE]})
    assert (full.requeue, bad.requeue) == (True, False)
    assert full.errors == ("token_limit_exceeded: Enqueued token limit reached",)
    assert bad.errors == ("invalid_json_line: not JSON (line 3)",)
    nothing: tuple[Any, ...] = (None, {}, {"data": None}, {"data": []})
    for none in nothing:
        assert told_of(script, told, status="failed", errors=none).errors == ()


@pytest.mark.parametrize(
    ("status", "where"),
    [("in_progress", "processing"), ("expired", "expired"), ("cancelled", "canceled")],
)
def test_rows_that_were_not_reached(
    case: Case, status: str, where: str, script: Script, told: BatchVendor
) -> None:
    counts = {"total": 2000, "completed": 142, "failed": 8}
    found = told_of(script, told, status=status, request_counts=counts).counts
    assert found is not None
    assert (found.total, found.succeeded, found.errored) == (2000, 142, 8)
    assert getattr(found, where) == 1850


def test_the_vendors_own_total(case: Case, script: Script, told: BatchVendor) -> None:
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 300},
        "output_tokens": 500,
        "output_tokens_details": {"reasoning_tokens": 200},
        "total_tokens": 1500,
    }
    found = told_of(script, told, status="completed", usage=usage).usage
    assert found is not None
    assert (found.input, found.cache_read, found.output, found.reasoning) == (700, 300, 300, 200)
    assert found.total == 1500
    zeros = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert told_of(script, told, status="in_progress", usage=zeros).usage is None


# --- rows --------------------------------------------------------------------------------

INNER = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
SHAPES: list[tuple[dict[str, Any], str, bool]] = [
    ({"error": {"code": "batch_expired", "message": "out of time"}}, "expired", False),
    ({"error": {"code": "batch_cancelled", "message": "cancelled"}}, "canceled", False),
    ({"error": INNER, "response": None}, "errored", True),
    ({"error": {"code": "server_error", "message": "x"}}, "errored", False),
    ({"response": {"status_code": 400, "body": {"error": INNER}}}, "errored", True),
    ({"response": {"status_code": 400, "body": json.dumps({"error": INNER})}}, "errored", True),
    ({"response": {"status_code": 400, "body": INNER}}, "errored", True),
    ({"response": {"status_code": 500, "body": "upstream failed"}}, "errored", False),
    ({"response": {"status_code": 503, "body": None}}, "errored", False),
    ({"response": {"status_code": 429, "body": {"error": "slow down"}}}, "errored", False),
    ({"response": {"status_code": 401, "body": {"error": INNER}}}, "errored", False),
    ({"response": {"status_code": 200, "body": None}}, "unknown", False),
    ({"response": {"status_code": 200, "body": {"object": "surprise"}}}, "unknown", False),
    ({"response": None, "error": None}, "unknown", False),
    ({}, "unknown", False),
]


@pytest.mark.parametrize(("shape", "outcome", "permanent"), SHAPES)
def test_errors_of_rows_in_every_shape(
    case: Case, shape: dict[str, Any], outcome: str, permanent: bool, told: BatchVendor
) -> None:
    found = told.result(json.dumps({"id": "x", "custom_id": "a-1", **shape}).encode())
    assert (found.custom_id, found.outcome, found.permanent) == ("a-1", outcome, permanent)
    assert found.error
    assert found.text is None


def row(body: object) -> bytes:
    reply = {"status_code": 200, "request_id": "r", "body": body}
    return json.dumps({"custom_id": "a-1", "response": reply, "error": None}).encode()


CHAT = {
    "choices": [{"message": {"content": "yes\u2028\u0085no"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    "service_tier": "default",
}
PARTS = [{"type": "output_text", "text": "ye"}, {"type": "output_text", "text": "s"}]
RESPONSE = {
    "status": "completed",
    "error": None,
    "output": [{"type": "reasoning", "content": None}, {"type": "message", "content": PARTS}],
    "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
}


def test_answers_of_both_endpoints(case: Case, told: BatchVendor) -> None:
    chat = told.result(row(CHAT))
    assert (chat.outcome, chat.text, chat.stop) == ("succeeded", "yes\u2028\u0085no", "stop")
    assert chat.usage is not None
    assert (chat.usage.total, chat.usage.tier) == (7, "default")
    assert told.result(row(json.dumps(CHAT))).text == chat.text, "a body as a JSON string"
    made = told.result(row(RESPONSE))
    assert (made.outcome, made.text, made.truncated) == ("succeeded", "yes", False)


def test_answers_that_were_cut(case: Case, told: BatchVendor) -> None:
    choice = {"message": {"content": "ye"}, "finish_reason": "length"}
    assert told.result(row(CHAT | {"choices": [choice]})).truncated
    for reason, cut in (("max_output_tokens", True), ("content_filter", False)):
        body = RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": reason}}
        found = told.result(row(body))
        assert (found.truncated, found.stop) == (cut, reason)


def test_refusals_are_answers(case: Case, told: BatchVendor) -> None:
    message = {"content": None, "refusal": "I will not"}
    said = told.result(row(CHAT | {"choices": [{"message": message, "finish_reason": "stop"}]}))
    assert (said.outcome, said.text) == ("succeeded", "I will not")
    parts = [{"type": "refusal", "refusal": "I will not"}]
    output = [{"type": "message", "content": parts}]
    assert told.result(row(RESPONSE | {"output": output})).text == "I will not"


def test_a_response_that_failed_inside_keeps_its_usage(case: Case, told: BatchVendor) -> None:
    error = {"code": "server_error", "message": "broke"}
    found = told.result(row(RESPONSE | {"status": "failed", "error": error}))
    assert (found.outcome, found.error) == ("errored", "server_error: broke")
    assert found.usage is not None
    assert found.usage.total == 7
