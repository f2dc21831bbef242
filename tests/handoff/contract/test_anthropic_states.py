"""Anthropic's states and result types, also those that do not exist yet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.handoff.contract.cases import VENDORS, Case, named
from tests.handoff.contract.loopback import Said

if TYPE_CHECKING:
    from planner.handoff.vendor import BatchVendor, RowResult
    from tests.handoff.contract.loopback import Script

pytestmark = pytest.mark.parametrize("case", VENDORS[:1], ids=named)

MADE: dict[str, Any] = {"id": "msgbatch_1", "created_at": "2026-11-22T12:00:00.123456+00:00"}
MESSAGE: dict[str, Any] = {
    "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "yes"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 2, "service_tier": "batch"},
}


def read(told: BatchVendor, result: object) -> RowResult:
    return told.result(json.dumps({"custom_id": "a-1", "result": result}).encode())


@pytest.mark.parametrize(
    ("status", "phase", "results"),
    [
        ("in_progress", "running", ()),
        ("canceling", "cancelling", ()),
        ("ended", "ended", ("results",)),
        ("paused", "unknown", ()),
        (None, "unknown", ()),
    ],
)
def test_what_each_status_means(
    case: Case,
    status: str | None,
    phase: str,
    results: tuple[str, ...],
    script: Script,
    told: BatchVendor,
) -> None:
    script.say(f"{case.listing}/msgbatch_1", Said.json(MADE | {"processing_status": status}))
    found = told.retrieve("msgbatch_1")
    assert (found.phase, found.results) == (phase, results)


def test_archived_results_are_gone(case: Case, script: Script, told: BatchVendor) -> None:
    gone = {"processing_status": "ended", "archived_at": "2026-12-21T12:00:00Z"}
    script.say(f"{case.listing}/msgbatch_1", Said.json(MADE | gone))
    assert told.retrieve("msgbatch_1").results == ()


def test_an_answer(case: Case, told: BatchVendor) -> None:
    found = read(told, {"type": "succeeded", "message": MESSAGE})
    assert (found.outcome, found.text, found.stop) == ("succeeded", "yes", "end_turn")
    assert found.usage is not None
    assert (found.usage.total, found.usage.tier) == (7, "batch")


@pytest.mark.parametrize(
    ("stop", "cut"),
    [("max_tokens", True), ("model_context_window_exceeded", True), ("refusal", False)],
)
def test_answers_that_were_cut(case: Case, stop: str, cut: bool, told: BatchVendor) -> None:
    found = read(told, {"type": "succeeded", "message": MESSAGE | {"stop_reason": stop}})
    assert (found.truncated, found.stop) == (cut, stop)


@pytest.mark.parametrize(
    ("type_", "permanent"),
    [
        ("invalid_request_error", True),
        ("not_found_error", True),
        ("request_too_large", True),
        ("authentication_error", False),
        ("billing_error", False),
        ("permission_error", False),
        ("rate_limit_error", False),
        ("overloaded_error", False),
        ("timeout_error", False),
        ("api_error", False),
    ],
)
def test_errors_of_rows(case: Case, type_: str, permanent: bool, told: BatchVendor) -> None:
    error = {"type": type_, "message": "no"}
    for shape in ({"type": "error", "error": error, "request_id": None}, error):
        found = read(told, {"type": "errored", "error": shape})
        assert (found.outcome, found.permanent, found.error) == (
            "errored",
            permanent,
            f"{type_}: no",
        )


@pytest.mark.parametrize("type_", ["expired", "canceled"])
def test_rows_that_were_not_reached(case: Case, type_: str, told: BatchVendor) -> None:
    assert read(told, {"type": type_}).outcome == type_


@pytest.mark.parametrize(
    "result",
    [
        {"type": "weird_new", "message": MESSAGE},
        {"type": "succeeded"},
        {"type": None},
        {},
        None,
        "succeeded",
    ],
)
def test_a_result_of_an_unknown_type_is_no_success(
    case: Case, result: object, told: BatchVendor
) -> None:
    found = read(told, result)
    assert (found.outcome, found.text) == ("unknown", None)
    assert (found.usage is not None) == (isinstance(result, dict) and "message" in result)
