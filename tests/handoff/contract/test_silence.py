"""Everything logged by everybody: neither a prompt nor a piece of a key is in it."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import TYPE_CHECKING

import pytest

from planner.handoff.rehearsal import Fault, Server
from planner.handoff.vendor import AmbiguousError, RefusedError
from tests.handoff.contract.cases import PROMPT, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from planner.handoff.rehearsal.clock import Virtual
    from planner.handoff.vendor import Batch, BatchVendor
    from tests.handoff.contract.cases import Case
    from tests.handoff.contract.loopback import Script

LIBRARIES = ("anthropic", "openai", "httpx2", "httpcore2")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """A root that writes everything down, and libraries that were asked to tell everything."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = root.level, {name: logging.getLogger(name).level for name in LIBRARIES}
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.DEBUG)
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    monkeypatch.setenv("OPENAI_LOG", "debug")
    yield written
    root.removeHandler(handler)
    root.setLevel(before[0])
    for name, level in before[1].items():
        logging.getLogger(name).setLevel(level)


def send(vendor: BatchVendor, case: Case, shard: Path) -> Batch:
    file_id = vendor.upload(shard, "1.jsonl") if vendor.uploads else None
    return vendor.create(shard, file_id=file_id, endpoint=case.endpoint, tags={})


def test_a_root_that_logs_everything_learns_nothing(
    case: Case, log: io.StringIO, time: Virtual, tmp_path: Path
) -> None:
    logging.getLogger("anthropic").debug("the log works: %s", "a sentence of our own")
    faults = [Fault(on="*.batches.create", kind="drop_after", calls=(2,))]
    with Server(clock=time.clock, faults=faults) as server:
        base = server.base_url(case.provider)
        vendor = case.batches(base)
        shard = case.shard(tmp_path)
        made = send(vendor, case, shard)
        with pytest.raises(AmbiguousError):
            send(vendor, case, shard)
        time.sleep(7200)
        ended = vendor.retrieve(made.id)
        vendor.download(ended, ended.results[0], io.BytesIO())
        vendor.close()
    said = log.getvalue()
    assert "a sentence of our own" in said
    for secret in (PROMPT, "SENTINEL", SECRET, SECRET[4:14], SECRET[-10:]):
        assert secret not in said


def test_a_single_request_is_not_logged_either(
    case: Case, log: io.StringIO, script: Script, told: BatchVendor
) -> None:
    script.say(f"POST {case.endpoint}", case.refusal(401))

    async def ask() -> None:
        vendor = case.realtime(script.url + case.root)
        reply = await vendor.ask("a-1", case.endpoint, PROMPT.encode())
        assert "SENTINEL" not in repr(reply.message)
        assert reply.result is not None
        assert "SENTINEL" not in str(reply.result.error)
        await vendor.close()

    logging.getLogger("test").debug("a sentence of our own")
    asyncio.run(ask())
    assert "a sentence of our own" in log.getvalue()
    assert "SENTINEL" not in log.getvalue()


def test_errors_are_logged_without_what_they_quote(
    case: Case, log: io.StringIO, script: Script, told: BatchVendor, tmp_path: Path
) -> None:
    script.say(case.creating, case.refusal(401))
    try:
        told.create(case.shard(tmp_path), file_id="file-1", endpoint=case.endpoint, tags={})
    except RefusedError:
        logging.getLogger("planner").exception("the create was refused")
    assert "the create was refused" in log.getvalue()
    assert "SENTINEL" not in log.getvalue()
