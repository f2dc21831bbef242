"""The life of a batch, the same for every vendor: real libraries and sockets, rehearsed vendors."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from planner.catalog import load
from planner.errors import UnknownFactError, VendorError
from planner.handoff.keys import Key, Secret
from planner.handoff.providers import anthropic_batches, openai_batches
from planner.handoff.providers import vendors as registry
from planner.handoff.rehearsal import Answers, Conduct, Fault, Pace, RowError, Server, steady
from planner.handoff.vendor import AmbiguousError, NotSentError, RefusedError
from tests.handoff.contract.cases import CASES, KEY, SECRET, named

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.rehearsal.clock import Virtual
    from planner.handoff.vendor import Batch, BatchVendor, RowResult
    from tests.handoff.contract.cases import Case

HOUR = 3600
TAGS = {"planner_job": "0123456789ab", "planner_shard": "1"}


def send(vendor: BatchVendor, case: Case, shard: Path) -> Batch:
    file_id = vendor.upload(shard, f"{shard.stem}.jsonl") if vendor.uploads else None
    return vendor.create(shard, file_id=file_id, endpoint=case.endpoint, tags=TAGS)


def finished(vendor: BatchVendor, batch: Batch, time: Virtual, most: int = 30) -> Batch:
    for _ in range(most):
        batch = vendor.retrieve(batch.id)
        if batch.phase not in {"running", "cancelling"}:
            return batch
        time.sleep(HOUR)
    raise AssertionError(f"still {batch.status}")


def rows(vendor: BatchVendor, batch: Batch) -> list[RowResult]:
    found = []
    for name in batch.results:
        into = io.BytesIO()
        assert vendor.download(batch, name, into) == len(into.getvalue())
        found += [vendor.result(line) for line in into.getvalue().split(b"\n") if line.strip()]
    return found


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_is_sent_is_the_file_to_the_last_byte(
    case: Case, vendor: BatchVendor, server: Server, tmp_path: Path
) -> None:
    shard = case.shard(tmp_path, 500)
    send(vendor, case, shard)
    (world,) = server.worlds(case.provider)
    (batch,) = world.batches.values()
    stored = [each.sha256 for each in world.files.values()] or [batch.sha256]
    assert hashlib.sha256(shard.read_bytes()).hexdigest() in stored


def test_what_is_sent_is_read_in_pieces(
    case: Case, vendor: BatchVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(-1 if size is None else size) or b""
            sizes.append(len(found))
            return found

    module = {"anthropic": anthropic_batches, "openai": openai_batches}[case.provider]
    monkeypatch.setattr(module, "opened", lambda shard: Watched(shard, "rb"))
    shard = case.shard(tmp_path, 20_000)
    send(vendor, case, shard)
    assert sum(sizes) == shard.stat().st_size > 3_000_000
    assert max(sizes) <= 64 * 1024


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_batch_from_its_making_to_its_last_row(
    case: Case, vendor: BatchVendor, time: Virtual, tmp_path: Path
) -> None:
    made = send(vendor, case, case.shard(tmp_path, 7))
    assert (made.phase, made.results) == ("running", ())
    ended = finished(vendor, made, time)
    assert (ended.id, ended.phase) == (made.id, "ended")
    assert ended.ended is not None
    assert ended.expires == made.created + timedelta(hours=24)
    assert ended.counts is not None
    assert (ended.counts.total, ended.counts.succeeded, ended.counts.processing) == (7, 7, 0)
    found = rows(vendor, ended)
    assert {each.custom_id for each in found} == {f"0123456789ab-{at}" for at in range(7)}
    assert {each.outcome for each in found} == {"succeeded"}
    for each in found:
        assert each.text is not None
        assert each.text.startswith(f"{each.custom_id}:")
        assert each.usage is not None
        assert each.usage.total > 0


def test_results_are_kept_as_long_as_the_catalog_says(
    case: Case, vendor: BatchVendor, time: Virtual, tmp_path: Path
) -> None:
    ended = finished(vendor, send(vendor, case, case.shard(tmp_path)), time)
    kept = load().provider(case.provider).lane("batch").results_kept
    module = {"anthropic": anthropic_batches, "openai": openai_batches}[case.provider]
    assert kept is not None
    assert timedelta(seconds=kept) == module.KEPT
    since = ended.created if case.provider == "anthropic" else ended.ended
    assert since is not None
    assert ended.harvest_by == since + module.KEPT


def test_everything_is_listed_newest_first_over_many_pages(
    case: Case, vendor: BatchVendor, time: Virtual, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"anthropic": anthropic_batches, "openai": openai_batches}[case.provider]
    monkeypatch.setattr(module, "PAGE", 2)
    made = []
    for rows_ in range(1, 6):
        made.append(send(vendor, case, case.shard(tmp_path, rows_)).id)
        time.sleep(60)
    assert [each.id for each in vendor.listed()] == made[::-1]


def test_what_was_attached_comes_back_where_the_vendor_keeps_such_things(
    case: Case, vendor: BatchVendor, tmp_path: Path
) -> None:
    made = send(vendor, case, case.shard(tmp_path))
    (found,) = vendor.listed()
    assert (found.id, found.file_id) == (made.id, made.file_id)
    assert found.tags == (TAGS if vendor.exact_match else {})
    assert (found.file_id is not None) == vendor.uploads


def test_polls_say_when_to_ask_again(case: Case, vendor: BatchVendor, tmp_path: Path) -> None:
    made = send(vendor, case, case.shard(tmp_path))
    hinted = vendor.retrieve(made.id).poll_after
    assert hinted == (10 if case.provider == "anthropic" else None)


def test_a_cancelled_batch_keeps_what_was_done(case: Case, time: Virtual, tmp_path: Path) -> None:
    conduct = Conduct(turnaround=steady(Pace(running=10 * HOUR)))
    with Server(clock=time.clock, conduct=conduct) as server:
        vendor = case.batches(server.base_url(case.provider))
        made = send(vendor, case, case.shard(tmp_path, 10))
        time.sleep(5 * HOUR)
        assert vendor.cancel(made.id).phase == "cancelling"
        ended = finished(vendor, made, time)
        found = rows(vendor, ended)
        vendor.close()
    done = [each for each in found if each.outcome == "succeeded"]
    assert 0 < len(done) < 10
    assert {each.outcome for each in found} == {"succeeded", "canceled"}
    assert ended.counts is not None
    assert ended.counts.total == 10
    assert ended.counts.succeeded == len(done)


def test_an_expired_batch_keeps_what_was_done(case: Case, time: Virtual, tmp_path: Path) -> None:
    conduct = Conduct(turnaround=steady(Pace(stall_at=4)))
    with Server(clock=time.clock, conduct=conduct) as server:
        vendor = case.batches(server.base_url(case.provider))
        ended = finished(vendor, send(vendor, case, case.shard(tmp_path, 10)), time)
        found = [each.outcome for each in rows(vendor, ended)]
        vendor.close()
    assert (found.count("succeeded"), found.count("expired")) == (4, 6)


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (RowError(), True),
        (RowError(status=500, kind="api_error", code="server_error"), False),
        (RowError(status=429, kind="rate_limit_error", code="rate_limit_exceeded"), False),
    ],
)
def test_rows_that_fail_say_why_and_whether_for_good(
    case: Case, time: Virtual, tmp_path: Path, error: RowError, permanent: bool
) -> None:
    wrong = Answers(trouble=lambda key: error if key.endswith("-2") else None)
    with Server(clock=time.clock, conduct=Conduct(answers=wrong)) as server:
        vendor = case.batches(server.base_url(case.provider))
        ended = finished(vendor, send(vendor, case, case.shard(tmp_path)), time)
        found = {each.custom_id: each for each in rows(vendor, ended)}
        vendor.close()
    bad = found.pop("0123456789ab-2")
    assert (bad.outcome, bad.permanent, bad.text) == ("errored", permanent, None)
    assert bad.error is not None
    assert error.message in bad.error
    assert len(found) == 4
    assert {each.outcome for each in found.values()} == {"succeeded"}


# --- what goes wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_after", "reset_after", "half_reply", "drop_before"])
def test_a_lost_reply_is_in_doubt_and_the_call_was_made_once(
    case: Case, time: Virtual, tmp_path: Path, kind: str
) -> None:
    fault = Fault(on="*.batches.create", kind=kind)  # type: ignore[arg-type]
    with Server(clock=time.clock, faults=[fault]) as server:
        vendor = case.batches(server.base_url(case.provider))
        with pytest.raises(AmbiguousError):
            send(vendor, case, case.shard(tmp_path))
        assert len(server.record.calls(f"{case.provider}.batches.create")) == 1
        there = len(list(vendor.listed()))
        vendor.close()
    assert there == (0 if kind == "drop_before" else 1)


@pytest.mark.parametrize("kind", ["status_after", "status", "middlebox", "html"])
@pytest.mark.parametrize("status", [500, 502, 408, 409])
def test_an_answer_that_is_neither_yes_nor_no_is_in_doubt(
    case: Case, time: Virtual, tmp_path: Path, kind: str, status: int
) -> None:
    fault = Fault(on="*.batches.create", kind=kind, status=status)  # type: ignore[arg-type]
    with Server(clock=time.clock, faults=[fault]) as server:
        vendor = case.batches(server.base_url(case.provider))
        with pytest.raises(AmbiguousError):
            send(vendor, case, case.shard(tmp_path))
        assert len(server.record.calls(f"{case.provider}.batches.create")) == 1
        vendor.close()


def test_a_404_of_something_in_between_is_no_refusal(
    case: Case, time: Virtual, tmp_path: Path
) -> None:
    faults = [Fault(on="*.batches.create", kind="middlebox", status=404)]
    with Server(clock=time.clock, faults=faults) as server:
        vendor = case.batches(server.base_url(case.provider))
        with pytest.raises(AmbiguousError, match="not the vendor's own"):
            send(vendor, case, case.shard(tmp_path))
        with pytest.raises(RefusedError) as refused:
            vendor.retrieve("batch_nobody_made")
        vendor.close()
    assert refused.value.kind == "missing"


def test_limits_on_money_and_on_growth_are_told_apart(
    case: Case, time: Virtual, tmp_path: Path
) -> None:
    faults = [
        Fault(on="*.batches.create", kind="spend_limit", calls=(1,)),
        Fault(on="*.batches.create", kind="status", status=429, retry_after=17, calls=(2,)),
    ]
    with Server(clock=time.clock, faults=faults) as server:
        vendor = case.batches(server.base_url(case.provider))
        refusals = []
        for _ in range(2):
            with pytest.raises(RefusedError) as refused:
                send(vendor, case, case.shard(tmp_path))
            refusals.append(refused.value)
        vendor.close()
    assert [each.kind for each in refusals] == ["spend_limit", "full"]
    assert refusals[1].retry_after == 17
    assert all(each.status == 429 and each.request_id for each in refusals)


def test_a_vendor_out_of_reach_was_sent_nothing(
    case: Case, vendor: BatchVendor, server: Server, tmp_path: Path
) -> None:
    shard = case.shard(tmp_path)
    server.__exit__(None, None, None)
    try:
        with pytest.raises(NotSentError):
            send(vendor, case, shard)
    finally:
        server.__enter__()


def test_a_shard_that_cannot_be_read_was_not_sent(
    case: Case, vendor: BatchVendor, tmp_path: Path
) -> None:
    with pytest.raises(NotSentError, match="cannot be read"):
        send(vendor, case, tmp_path / "gone.jsonl")


@pytest.mark.parametrize("kind", ["cut_length", "cut_chunked", "cut_eof"])
def test_a_download_that_breaks_off_says_so(
    case: Case, time: Virtual, tmp_path: Path, kind: str
) -> None:
    route = "anthropic.batches.results" if case.provider == "anthropic" else "openai.files.content"
    fault = Fault(on=route, kind=kind)  # type: ignore[arg-type]
    with Server(clock=time.clock, faults=[fault]) as server:
        vendor = case.batches(server.base_url(case.provider))
        ended = finished(vendor, send(vendor, case, case.shard(tmp_path, 50)), time)
        with pytest.raises(AmbiguousError):
            vendor.download(ended, ended.results[0], io.BytesIO())
        assert len(rows(vendor, ended)) == 50, "whole, the second time"
        vendor.close()


def test_statuses_and_types_that_nobody_documented_are_unknown(
    case: Case, time: Virtual, tmp_path: Path
) -> None:
    faults = [
        Fault(on="*.batches.retrieve", kind="unknown_status", calls=(1,)),
        Fault(on="*.batches.retrieve", kind="no_counts", calls=(2,)),
    ]
    with Server(clock=time.clock, faults=faults) as server:
        vendor = case.batches(server.base_url(case.provider))
        made = send(vendor, case, case.shard(tmp_path))
        assert vendor.retrieve(made.id).phase == "unknown"
        assert vendor.retrieve(made.id).counts is None
        vendor.close()


def test_results_that_are_not_there_are_not_offered(
    case: Case, time: Virtual, tmp_path: Path
) -> None:
    with Server(clock=time.clock) as server:
        vendor = case.batches(server.base_url(case.provider))
        made = send(vendor, case, case.shard(tmp_path))
        finished(vendor, made, time)
        server.script.add(Fault(on="*.batches.retrieve", kind="empty_ids", calls=None))
        found = vendor.retrieve(made.id)
        vendor.close()
    assert "" not in found.files.values()


# --- opening -----------------------------------------------------------------------------


def test_the_account_is_who_answers_and_never_the_key(
    case: Case, vendor: BatchVendor, server: Server
) -> None:
    account = vendor.account
    assert account.provider == case.provider
    assert account.base_url == server.base_url(case.provider)
    assert account.organization == "org-rehearsal"
    assert account.key_from == "THE_TEST"
    assert SECRET not in repr(account)
    other = registry.open_batches(
        case.provider,
        base_url=server.base_url(case.provider),
        key=Key(secret=Secret("sk-rotated-0123456789"), found_in="ELSEWHERE"),
    )
    assert other.account.fingerprint == account.fingerprint
    other.close()


def test_versions_are_recorded(case: Case, vendor: BatchVendor) -> None:
    assert vendor.versions[case.provider].count(".") == 2
    assert vendor.versions[f"{case.provider}-version"][:2] == "20"


def test_the_address_in_the_environment_is_obeyed_and_shown(
    case: Case, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{case.provider.upper()}_BASE_URL"
    base = server.base_url(case.provider)
    monkeypatch.setenv(name, base.replace("http://", "http://user:hunter2hunter2@"))
    vendor = registry.open_batches(case.provider, key=KEY)
    assert vendor.account.base_url == base, "without what is secret in it"
    assert name in vendor.account.settings
    vendor.close()


def test_keys_are_found_where_the_library_looks(
    case: Case, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{case.provider.upper()}_API_KEY"
    monkeypatch.setenv(name, SECRET)
    vendor = registry.open_batches(case.provider, base_url=server.base_url(case.provider))
    assert vendor.account.key_from == name
    vendor.close()


def test_headers_in_the_environment_are_shown_by_name_alone(
    case: Case, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{case.provider.upper()}_CUSTOM_HEADERS"
    monkeypatch.setenv(name, "X-Gateway-Token: hunter2hunter2")
    monkeypatch.setenv("https_proxy", "http://user:hunter2hunter2@127.0.0.1:9")
    vendor = case.batches(server.base_url(case.provider))
    assert vendor.account.settings == (name, "https_proxy")
    assert "hunter2" not in repr(vendor.account)
    vendor.close()


@pytest.mark.parametrize("case", CASES[1:2], ids=named)
def test_without_the_vendors_library_nothing_is_opened(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, case.provider, None)
    for opening in (case.batches, case.realtime):
        with pytest.raises(VendorError, match="not installed"):
            opening("http://127.0.0.1:9")


def test_without_a_key_nothing_is_opened(case: Case) -> None:
    with pytest.raises(VendorError, match="no key"):
        registry.open_batches(case.provider, base_url="http://127.0.0.1:9")


def test_a_vendor_that_planner_hands_nothing_to() -> None:
    for opening in (registry.open_batches, registry.open_realtime):
        with pytest.raises(UnknownFactError, match="hands no jobs to nobody"):
            opening("nobody")


def test_lines_that_are_no_results(case: Case, vendor: BatchVendor) -> None:
    for line in (b"", b"{", b"[]", b"{}", b'"x"', json.dumps({"custom_id": ""}).encode()):
        with pytest.raises(ValueError):  # noqa: PT011 -- said by the decoder
            vendor.result(line)
