"""What the vendors really answered, replayed on a socket of this machine to the real libraries.

The recordings are other projects' and stay beside the checkout; a clone elsewhere skips.
"""

from __future__ import annotations

import io
import json
from contextlib import closing
from functools import cache
from gzip import decompress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.handoff.contract.cases import VENDORS, Case
from tests.handoff.contract.loopback import Said, Script, serving

if TYPE_CHECKING:
    from planner.handoff.vendor import Batch, BatchVendor

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "recordings"
NAMES = {
    "anthropic": ("basic_batch_completion", "failed_request_batch_resume", "batch_cancel"),
    "openai": (
        "basic_batch_completion",
        "failed_request_batch_resume",
        "resubmission_batch_completion",
        "batch_cancel",
    ),
}
TAPES = [(case, name) for case in VENDORS for name in NAMES[case.provider]]
HOSTS = {"anthropic": "api.anthropic.com", "openai": "api.openai.com"}
OF_THE_SOCKET = frozenset({"content-length", "transfer-encoding", "connection"})

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no recorded traffic beside the checkout (../shared/recordings)"
)


@cache
def tape(provider: str, name: str) -> tuple[tuple[str, Said], ...]:
    """(call, reply) in their order, bodies as they went over the wire."""
    text = (FOLDER / f"{provider}-{name}.yaml").read_bytes()
    found: Any = yaml.load(text, Loader=yaml.CSafeLoader)  # noqa: TID251 -- not ours: binary
    return tuple(
        (f"{each['request']['method']} {url.path}", _said(each["response"]))
        for each in found["interactions"]
        if (url := urlsplit(each["request"]["uri"])).netloc == HOSTS[provider]
    )


def _said(response: dict[str, Any]) -> Said:
    text = response["body"]["string"]
    named = {name.lower(): value[0] for name, value in response["headers"].items()}
    return Said(
        status=response["status"]["code"],
        body=text if isinstance(text, bytes) else text.encode(),
        headers={name: value for name, value in named.items() if name not in OF_THE_SOCKET},
    )


def body(said: Said) -> bytes:
    zipped = said.headers.get("content-encoding") == "gzip"
    return decompress(said.body) if zipped else said.body


def replayed(case: Case, name: str) -> Script:
    script = Script()
    script.say(case.listing, Said.json(case.empty))
    for call, said in tape(case.provider, name):
        script.replies[call].append(said)
    return script


def created(case: Case, name: str) -> list[str]:
    """Ids of the batches that were made, in their order."""
    made = [said for call, said in tape(case.provider, name) if call == case.creating]
    return [json.loads(body(said))["id"] for said in made]


def sent(vendor: BatchVendor, case: Case, folder: Path) -> Batch:
    shard = case.shard(folder, 3)
    file_id = vendor.upload(shard, "1.jsonl") if vendor.uploads else None
    return vendor.create(shard, file_id=file_id, endpoint=case.endpoint, tags={})


def polled(vendor: BatchVendor, batch: Batch) -> list[Batch]:
    """Every poll until the last recorded one."""
    found = [vendor.retrieve(batch.id)]
    while found[-1].phase == "running" and len(found) < 100:
        found.append(vendor.retrieve(batch.id))
    return found


@pytest.mark.parametrize(("case", "name"), [each for each in TAPES if "cancel" not in each[1]])
def test_recorded_batches_are_read_to_their_last_row(case: Case, name: str, tmp_path: Path) -> None:
    with (
        serving(replayed(case, name)) as script,
        closing(case.batches(script.url + case.root)) as vendor,
    ):
        for id_ in created(case, name):
            made = sent(vendor, case, tmp_path)
            assert (made.id, made.phase) == (id_, "running")
            polls = polled(vendor, made)
            _check_polls(case, made, polls)
            _check_rows(case, script, vendor, polls[-1])


def _check_polls(case: Case, made: Batch, polls: list[Batch]) -> None:
    ended = polls[-1]
    assert ended.phase == "ended"
    assert {each.phase for each in polls} <= {"running", "ended"}
    assert ended.created == made.created
    assert ended.ended is not None
    assert ended.expires is not None
    assert ended.harvest_by is not None
    assert ended.harvest_by > ended.expires > ended.ended >= ended.created
    assert ended.counts is not None
    assert ended.counts.total == ended.counts.succeeded + ended.counts.errored > 0
    if case.provider == "anthropic":
        assert {each.poll_after for each in polls[:-1]} == {10}
    else:
        assert ended.file_id
        assert set(ended.tags) >= {"request_file"}


def _check_rows(case: Case, script: Script, vendor: BatchVendor, ended: Batch) -> None:
    """Row by row against the bytes of the recording."""
    total = rows = 0
    for name in ended.results:
        into = io.BytesIO()
        vendor.download(ended, name, into)
        for line in filter(None, into.getvalue().split(b"\n")):
            found = vendor.result(line)
            assert found.outcome == "succeeded"
            assert (found.text, found.stop) == _vendors_answer(case, json.loads(line))
            assert found.truncated == (found.stop in {"length", "max_tokens"})
            assert found.usage is not None
            assert found.usage.total == _vendors_total(case, json.loads(line))
            total += found.usage.total
            rows += 1
    assert ended.counts is not None
    # One of these has a failed row and no file of errors: its line is nowhere.
    assert rows == ended.counts.succeeded
    assert total > 0
    assert all("https://" not in each.path for each in script.asked)


def _vendors_answer(case: Case, line: dict[str, Any]) -> tuple[str, str]:
    if case.provider == "openai":
        (choice,) = line["response"]["body"]["choices"]
        return choice["message"]["content"], choice["finish_reason"]
    message = line["result"]["message"]
    (block,) = message["content"]
    return block["text"], message["stop_reason"]


def _vendors_total(case: Case, line: dict[str, Any]) -> int:
    if case.provider == "openai":
        said: int = line["response"]["body"]["usage"]["total_tokens"]
        return said
    usage = line["result"]["message"]["usage"]
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(usage[name] for name in (*names, "output_tokens"))


@pytest.mark.parametrize(("case", "name"), [each for each in TAPES if "cancel" in each[1]])
def test_recorded_cancels_are_on_their_way(case: Case, name: str, tmp_path: Path) -> None:
    with serving(replayed(case, name)) as script:
        vendor = case.batches(script.url + case.root)
        made = sent(vendor, case, tmp_path)
        assert vendor.retrieve(made.id).phase == "running"
        stopped = vendor.cancel(made.id)
        assert (stopped.id, stopped.phase, stopped.results) == (made.id, "cancelling", ())
        vendor.close()


@pytest.mark.parametrize("case", VENDORS)
def test_the_account_of_a_recording(case: Case) -> None:
    """Headers of a reply of 2025 name the organisation."""
    name = "anthropic-organization-id" if case.provider == "anthropic" else "openai-organization"
    first = next(said for _, said in tape(case.provider, "batch_cancel"))
    script = Script()
    kept = {name: first.headers[name]}
    script.say(case.listing, Said(body=Said.json(case.empty).body, headers=kept))
    with serving(script):
        vendor = case.batches(script.url + case.root)
        assert vendor.account.organization == first.headers[name]
        vendor.close()
