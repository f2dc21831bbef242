"""Whatever a vendor may answer, sorted: it said no, nobody knows, or nothing was ever sent."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

from planner.handoff.vendor import AmbiguousError, RefusedError
from tests.handoff.contract.cases import SECRET, VENDORS, Case, named
from tests.handoff.contract.loopback import Said

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.vendor import BatchVendor
    from tests.handoff.contract.loopback import Script, Way

ANTHROPIC, OPENAI = VENDORS
UNCLEAR = (408, 409, 499, 500, 502, 503, 504, 529, 301, 302, 307)
EITHER = {
    400: "request",
    401: "access",
    402: "access",
    403: "access",
    404: "missing",
    413: "request",
    422: "request",
    429: "full",
}
CODES = [
    (ANTHROPIC, 429, "enforced_spend_limit_reached", "spend_limit"),
    (ANTHROPIC, 429, "contract_spend_limit_reached", "spend_limit"),
    (ANTHROPIC, 402, "linked_organization_spend_limit_reached", "spend_limit"),
    (ANTHROPIC, 402, "linked_organization_billing_unavailable", "access"),
    (ANTHROPIC, 429, "ramp_limit_exceeded", "full"),
    (ANTHROPIC, 400, "organization_on_hold", "access"),
    (ANTHROPIC, 400, "request_body_timeout", "request"),
    (OPENAI, 429, "insufficient_quota", "spend_limit"),
    (OPENAI, 400, "billing_hard_limit_reached", "spend_limit"),
    (OPENAI, 429, "billing_not_active", "access"),
    (OPENAI, 429, "rate_limit_exceeded", "full"),
    (OPENAI, 400, "token_limit_exceeded", "full"),
]
TABLE = [
    *((case, status, None, kind) for case in VENDORS for status, kind in EITHER.items()),
    *CODES,
]
UNSIGNED = [
    Said.json({"error": {"message": "no", "type": "invalid_request_error"}}, 404),
    Said(status=404, body=b"<html>not here</html>", headers={"content-type": "text/html"}),
    Said.json({"detail": "no"}, 403, request_id="req_1", x_request_id="req_1"),
    Said(status=400, body=b"", headers={"request-id": "req_1", "x-request-id": "req_1"}),
]
NO_BATCH = [
    Said.json({}),
    Said.json([]),
    Said.json({"id": "", "created_at": 1}),
    Said.json({"id": 7, "created_at": "yesterday"}),
    Said(body=b"<html>welcome to this network</html>", headers={"content-type": "text/html"}),
    Said(body=b'{"id": "batch', headers={"content-type": "application/json"}),
    Said(status=204, body=b""),
]


def create(told: BatchVendor, case: Case, shard: Path) -> object:
    file_id = "file-1" if told.uploads else None
    return told.create(shard, file_id=file_id, endpoint=case.endpoint, tags={"a": "b"})


@pytest.mark.parametrize(("case", "status", "code", "kind"), TABLE)
def test_a_refusal_is_the_vendors_own(
    case: Case,
    status: int,
    code: str | None,
    kind: str,
    script: Script,
    told: BatchVendor,
    tmp_path: Path,
) -> None:
    script.say(case.creating, case.refusal(status, code, retry_after="7"))
    with pytest.raises(RefusedError) as refused:
        create(told, case, case.shard(tmp_path))
    found = refused.value
    assert (found.kind, found.status, found.retry_after) == (kind, status, 7)
    assert found.request_id == "req_1"
    assert len(script.calls("POST", case.creating.removeprefix("POST "))) == 1


@pytest.mark.parametrize("status", UNCLEAR)
def test_neither_yes_nor_no(
    case: Case, status: int, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    elsewhere = f"{script.url}/elsewhere"
    script.say(case.creating, case.refusal(status, location=elsewhere, x_should_retry="true"))
    with pytest.raises(AmbiguousError):
        create(told, case, case.shard(tmp_path))
    assert len(script.calls("POST", case.creating.removeprefix("POST "))) == 1
    assert all("elsewhere" not in each.path for each in script.asked), "no redirect is followed"


@pytest.mark.parametrize("said", UNSIGNED)
def test_a_no_that_the_vendor_did_not_sign(
    case: Case, said: Said, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    script.say(case.creating, said)
    with pytest.raises(AmbiguousError, match="not the vendor's own words"):
        create(told, case, case.shard(tmp_path))


@pytest.mark.parametrize("said", NO_BATCH)
def test_a_yes_that_names_no_batch(
    case: Case, said: Said, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    script.say(case.creating, said)
    with pytest.raises(AmbiguousError):
        create(told, case, case.shard(tmp_path))


@pytest.mark.parametrize("way", ["drop", "reset", "half", "short", "unchunked"])
def test_a_reply_that_does_not_arrive(
    case: Case, way: Way, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    script.say(case.creating, Said(body=b'{"id": "batch_1"}', way=way))
    with pytest.raises(AmbiguousError):
        create(told, case, case.shard(tmp_path))
    assert len(script.calls("POST", case.creating.removeprefix("POST "))) == 1


def test_a_key_that_the_vendor_quotes_is_seen_by_nobody(
    case: Case, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    replies: list[Any] = [case.refusal(401), case.refusal(500), Said(body=b"{}")]
    for said in replies:
        script.say(case.creating, said)
        with pytest.raises((RefusedError, AmbiguousError)) as failed:
            create(told, case, case.shard(tmp_path))
        shown = "".join(traceback.format_exception(failed.value))
        assert SECRET not in shown
        assert "SENTINEL" not in shown


def test_a_vendor_that_refuses_the_key_is_not_opened(case: Case, script: Script) -> None:
    """And leaves no connection behind: an open one would fail this test as a warning."""
    for status, kind in ((401, "access"), (403, "access"), (429, "full")):
        script.say(case.listing, case.refusal(status))
        with pytest.raises(RefusedError) as refused:
            case.batches(script.url + case.root)
        assert refused.value.kind == kind


def test_each_call_of_the_contract_is_made_once(
    case: Case, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    for said in (case.refusal(500), Said(way="drop")):
        script.replies.clear()
        for call in ("POST /v1/files", case.creating, f"{case.creating}/batch_1/cancel"):
            script.say(call, said)
        before = len(script.asked)
        with pytest.raises(AmbiguousError):
            create(told, case, case.shard(tmp_path))
        with pytest.raises(AmbiguousError):
            told.cancel("batch_1")
        if told.uploads:
            with pytest.raises(AmbiguousError):
                told.upload(case.shard(tmp_path), "1.jsonl")
        assert len(script.asked) - before == 2 + told.uploads


def test_an_address_in_a_reply_is_never_followed(
    case: Case, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    found = {
        "anthropic": {
            "id": "batch_1",
            "created_at": "2026-11-22T12:00:00Z",
            "processing_status": "ended",
            "results_url": f"{script.url}/stolen",
        },
        "openai": {
            "id": "batch_1",
            "created_at": 1_790_000_000,
            "status": "completed",
            "output_file_id": "file-1",
        },
    }[case.provider]
    script.say(f"{case.listing}/batch_1", Said.json(found))
    wanted = {
        "anthropic": "GET /v1/messages/batches/batch_1/results",
        "openai": "GET /v1/files/file-1/content",
    }[case.provider]
    script.say(wanted, Said(body=b'{"custom_id": "a-1"}\n'))
    batch = told.retrieve("batch_1")
    with (tmp_path / "results").open("wb") as into:
        assert told.download(batch, batch.results[0], into) == 21
    assert all("stolen" not in each.path for each in script.asked)


@pytest.mark.parametrize("way", ["short", "unchunked", "eof"])
def test_a_download_cut_within_a_line_is_in_doubt(
    case: Case, way: Way, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    created: dict[str, Any] = {"anthropic": "2026-11-22T12:00:00Z", "openai": 1_790_000_000}
    names = {"processing_status": "ended", "status": "completed", "output_file_id": "file-1"}
    at = {"id": "batch_1", "created_at": created[case.provider]}
    script.say(f"{case.listing}/batch_1", Said.json(at | names))
    for call in (f"{case.listing}/batch_1/results", "GET /v1/files/file-1/content"):
        script.say(call, Said(body=b'{"custom_id": "a-1"}\n{"custom_id": "a-', way=way))
    batch = told.retrieve("batch_1")
    with (tmp_path / "results").open("wb") as into, pytest.raises(AmbiguousError):
        told.download(batch, batch.results[0], into)


def test_a_list_that_never_ends_ends(case: Case, script: Script, told: BatchVendor) -> None:
    entry: dict[str, Any] = {"anthropic": "2026-11-22T12:00:00Z", "openai": 1_790_000_000}
    batch = {"id": "batch_1", "created_at": entry[case.provider]}
    page = {"data": [batch], "has_more": True, "last_id": "batch_1"}
    script.say(case.listing, Said.json(page))
    assert [each.id for each in told.listed()] == ["batch_1", "batch_1"]


@pytest.mark.parametrize("case", VENDORS, ids=named)
def test_unpaid_rows_that_were_counted_by_nobody(
    case: Case, script: Script, told: BatchVendor
) -> None:
    entry: dict[str, Any] = {"anthropic": "2026-11-22T12:00:00Z", "openai": 1_790_000_000}
    batch = {"id": "batch_1", "created_at": entry[case.provider]}
    for counts in (None, {}, {"total": 0}, "many"):
        script.say(f"{case.listing}/batch_1", Said.json(batch | {"request_counts": counts}))
        assert told.retrieve("batch_1").counts is None
